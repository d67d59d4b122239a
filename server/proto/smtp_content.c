/* Message content: DATA's lines with dot-stuffing undone (RFC 5321 section 4.5.2) and BDAT's counted octets (RFC
 * 3030). The end of DATA is CRLF "." CRLF and nothing else; a CR or LF by itself never ends anything, and the message
 * that holds one is refused once its true end has been found (section 2.3.8). */
#include <string.h>

#include "server/core/error.h"
#include "server/proto/smtp_engine.h"

static const struct smtp_complaint fault_words[SMTP_FAULTS] = {
    /* RFC 5321 sections 2.3.8 and 4.5.3.1.6, RFC 1870 section 6.3 */
    [SMTP_FAULT_BARE] = {554, "5.6.0", "Message holds a CR or LF by itself; lines must end in CRLF"},
    [SMTP_FAULT_LINE] = {554, "5.6.0", "Message holds a line that is too long"},
    [SMTP_FAULT_SIZE] = {552, "5.3.4", "Message is larger than this server takes"},
};

void smtp_content_begin(struct smtp *s, enum smtp_mode mode)
{
    s->mode = mode;
    if (mode == MODE_DATA || !s->chunking) {
        s->refused = (struct smtp_refusal){0}; /* from now on, what is refused is the message */
        s->at = AT_LINE_START;
        s->line_octets = 0;
        s->env.octets = 0;
    }
    s->chunking = mode == MODE_BDAT;
}

/* Follows line rules through p[0..len) from where s stands. Stops before a dot that starts a line when dots is set.
 * Returns octets passed. */
static size_t scan(struct smtp *s, const uint8_t *p, size_t len, bool dots, enum smtp_fault *fault)
{
    const uint8_t *lf, *cr;
    size_t pos = 0, chunk;

    while (pos < len) {
        if (s->at == AT_CR) {
            s->at = p[pos] == '\n' ? AT_LINE_START : AT_INSIDE;
            if (s->at == AT_LINE_START)
                pos++;
            else if (*fault == SMTP_FAULT_NONE)
                *fault = SMTP_FAULT_BARE;
            s->line_octets = 0;
            continue;
        }
        if (s->at == AT_LINE_START && dots && p[pos] == '.')
            break;
        lf = memchr(p + pos, '\n', len - pos);
        chunk = lf ? (size_t)(lf - p) - pos : len - pos;
        cr = memchr(p + pos, '\r', chunk);
        s->at = AT_INSIDE;
        s->line_octets += cr ? (size_t)(cr - p) - pos : chunk;
        if (s->line_octets > s->p.text_line_max && *fault == SMTP_FAULT_NONE)
            *fault = SMTP_FAULT_LINE;
        if (cr) {
            pos = (size_t)(cr - p) + 1;
            s->at = AT_CR;
        } else if (lf) {
            if (*fault == SMTP_FAULT_NONE)
                *fault = SMTP_FAULT_BARE;
            pos = (size_t)(lf - p) + 1;
            s->line_octets = 0;
        } else {
            pos = len;
        }
    }
    return pos;
}

/* The reply at the end of a message or chunk that was refused on the way. */
static void end_failed(struct smtp *s)
{
    s->mode = MODE_COMMAND;
    smtp_put(s, s->fail_code, s->fail_enhanced, s->fail_text);
    smtp_end_transaction(s, true);
}

static bool end_whole(struct smtp *s, struct smtp_event *ret)
{
    s->mode = MODE_COMMAND;
    s->pending = ret->type = SMTP_END;
    return true;
}

/* Of n octets those that the message may still have, so that the first broken rule is found, however the input was
 * cut. */
static size_t allowed(const struct smtp *s, size_t n)
{
    uint64_t left = s->p.message_max - s->env.octets;

    return s->failed || n < left ? n : (size_t)left;
}

/* Gives n scanned octets at the front of in to the caller, or drops them. */
static bool hand_out(struct smtp *s, struct buf *in, size_t n, enum smtp_fault fault, struct smtp_event *ret)
{
    if (s->failed) {
        buf_consume(in, n);
        return false;
    }
    s->env.octets += n;
    if (fault != SMTP_FAULT_NONE) {
        buf_consume(in, n);
        smtp_fail(s, fault_words[fault].code, fault_words[fault].enhanced, fault_words[fault].text);
        ret->type = SMTP_FAILED;
        ret->fault = fault;
        return true;
    }
    s->given = n;
    ret->type = SMTP_CONTENT;
    ret->content = slice_of(in->data, n);
    return true;
}

static bool data_next(struct smtp *s, struct buf *in, struct smtp_event *ret)
{
    enum smtp_fault fault = SMTP_FAULT_NONE;
    size_t n;

    if (s->at == AT_LINE_START && in->len > 0 && in->data[0] == '.') { /* RFC 5321 section 4.5.2 */
        if (in->len < 2 || (in->data[1] == '\r' && in->len < 3)) {
            ret->type = SMTP_NEED_INPUT;
            return true;
        }
        if (in->data[1] == '\r' && in->data[2] == '\n') {
            buf_consume(in, 3);
            if (!s->failed)
                return end_whole(s, ret);
            end_failed(s);
            return false;
        }
        buf_consume(in, 1);
        s->at = AT_INSIDE;
    }
    if (in->len == 0) {
        ret->type = SMTP_NEED_INPUT;
        return true;
    }
    n = allowed(s, in->len);
    if (n == 0)
        return hand_out(s, in, 0, SMTP_FAULT_SIZE, ret);
    n = scan(s, in->data, n, true, &fault);
    return hand_out(s, in, n, fault, ret);
}

static bool bdat_next(struct smtp *s, struct buf *in, struct smtp_event *ret)
{
    enum smtp_fault fault = SMTP_FAULT_NONE;
    size_t n = in->len < s->chunk_left ? in->len : (size_t)s->chunk_left;

    if (s->chunk_left > 0) {
        if (n == 0) {
            ret->type = SMTP_NEED_INPUT;
            return true;
        }
        n = allowed(s, n);
        if (n == 0)
            return hand_out(s, in, 0, SMTP_FAULT_SIZE, ret);
        s->chunk_left -= n;
        if (!s->failed)
            scan(s, in->data, n, false, &fault);
        return hand_out(s, in, n, fault, ret);
    }
    if (!s->failed && s->chunk_last && s->at == AT_CR)
        return hand_out(s, in, 0, SMTP_FAULT_BARE, ret);
    if (s->failed) {
        end_failed(s);
        return false;
    }
    if (s->chunk_last)
        return end_whole(s, ret);
    s->mode = MODE_COMMAND;
    smtp_put(s, 250, "2.0.0", "Chunk received"); /* RFC 3030 section 2: a reply to each chunk */
    return false;
}

bool smtp_content_next(struct smtp *s, struct buf *in, struct smtp_event *ret)
{
    return s->mode == MODE_DATA ? data_next(s, in, ret) : bdat_next(s, in, ret);
}
