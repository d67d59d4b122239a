/* The IMAP command engine: whatever comes, however it is cut, the same events come of it. The first two octets say how
 * to cut. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/proto/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct trace {
    struct buf text;
    bool in_data;
};

static void note(struct trace *t, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    buf_puts(&t->text, line);
}

static void note_tree(struct trace *t, const struct imap_node *n)
{
    for (; n; n = n->next) {
        note(t, n->type == IMAP_LIST ? "(" : n->glued ? "+<" : "<");
        if (n->type == IMAP_LIST)
            note_tree(t, n->child);
        else
            buf_append(&t->text, n->text.data, n->text.len);
        note(t, ">");
    }
}

static void note_event(struct trace *t, struct imap_parser *p, enum imap_event ev, const struct imap_command *c,
                       struct slice span)
{
    bool fatal;
    if (ev == IMAP_APPEND_DATA) {
        buf_append(&t->text, span.data, span.len);
        return;
    }
    if (ev == IMAP_MORE)
        return;
    note(t, "\n%d ", ev);
    if (ev == IMAP_LINE)
        buf_append(&t->text, span.data, span.len);
    if (ev == IMAP_COMMAND || ev == IMAP_APPEND) {
        if (strlen(c->tag) == 0 || strlen(c->tag) > IMAP_TAG_MAX || strlen(c->name) > IMAP_NAME_MAX)
            abort();
        note(t, "%s %s %d ", c->tag, c->name, c->uid);
        note_tree(t, c->args);
        if (ev == IMAP_COMMAND && (strcmp(c->name, "IDLE") == 0 || strcmp(c->name, "AUTHENTICATE") == 0))
            imap_expect_line(p);
    }
    if (ev == IMAP_BAD || ev == IMAP_FATAL)
        note(t, "%s %s", c->tag, c->why ? c->why : "");
    if (ev == IMAP_APPEND) {
        if (c->literal % 2)
            imap_append_refuse(p, 1 << 20, &fatal);
        else
            imap_append_accept(p);
    }
}

static void run(struct trace *t, const uint8_t *data, size_t size, size_t step)
{
    struct imap_parser p;
    imap_parser_init(&p);
    buf_init(&t->text, 1 << 22, false);
    for (size_t at = 0, end; at < size; at = end) {
        end = size - at < step ? size : at + step;
        uint8_t *piece = malloc(end - at);
        memcpy(piece, data + at, end - at);
        for (size_t used = 0, n; used < end - at; used += n) {
            const struct imap_command *c = NULL;
            struct slice span = {0};
            n = 0;
            enum imap_event ev = imap_next(&p, piece + used, end - at - used, &n, &c, &span);
            if (n == 0 && ev == IMAP_MORE)
                abort();
            note_event(t, &p, ev, c, span);
            if (ev == IMAP_FATAL) {
                end = size;
                break;
            }
        }
        free(piece);
        if (end == size)
            break;
    }
    if (p.raw.len > IMAP_COMMAND_MAX)
        abort();
    imap_parser_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    size_t step = 1 + data[0] % 64;
    run(&whole, data + 2, size - 2, size);
    run(&cut, data + 2, size - 2, step);
    if (whole.text.len != cut.text.len ||
        (whole.text.len && memcmp(whole.text.data, cut.text.data, whole.text.len) != 0))
        abort();
    buf_free(&whole.text);
    buf_free(&cut.text);
    return 0;
}
