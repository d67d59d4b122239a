/* letterlock trace: searches a log for one address. See trace.h. */
#include "server/cli/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/cli/cli.h"
#include "server/core/error.h"

enum { CHUNK = 256 * 1024, PROGRESS = 100000 };

/* ---- names ---- */

/* What is about mail, by what process, and where its hashes are, as server/base/event_table.h has them. */
enum { ID, SALT, FROM, MAIL_FROM_DOMAIN = 4, MAIL_TO, MAIL_TO_ACCOUNT = 7, OUTGOING_TO = 3, OUTGOING_TO_DOMAIN };
_Static_assert(MAIL_TO_ACCOUNT + 1 == EVENT_RAWS_mail, "the hashes of mail");
_Static_assert(OUTGOING_TO_DOMAIN + 1 == EVENT_RAWS_outgoing, "the hashes of outgoing");
static const struct about {
    const char *process;
    enum event_kind event;
    int last_from, to, last_to;
} abouts[] = {
    {"ingest", EVENT_mail, MAIL_FROM_DOMAIN, MAIL_TO, MAIL_TO_ACCOUNT},
    {"relay", EVENT_outgoing, FROM, OUTGOING_TO, OUTGOING_TO_DOMAIN},
};

static const struct about *find_about(const struct event_line *l)
{
    for (size_t i = 0; i < sizeof(abouts) / sizeof(abouts[0]); i++)
        if (abouts[i].event == l->r.event && strcmp(abouts[i].process, l->process) == 0)
            return &abouts[i];
    return NULL;
}

void trace_name_init(struct trace_name *n, const char *said)
{
    *n = (struct trace_name){.said = said};
    log_name_spell(said, strlen(said), &n->name);
}

static bool is_one(const struct trace_name *n, const struct record_keys *k, enum log_name_side side,
                   const struct event_record *r, int first, int last)
{
    uint8_t hash[RECORD_HASH_SIZE];

    log_name_hash(k, r->raws[SALT].data, side, n->name.text, n->name.len, hash);
    for (int i = first; i <= last; i++)
        if (memcmp(r->raws[i].data, hash, sizeof(hash)) == 0)
            return true;
    return false;
}

/* Whether a line is about it: two hashes. */
static bool try_name(struct trace_name *n, const struct record_keys *k, const struct about *a,
                     const struct event_record *r)
{
    n->is_sender = is_one(n, k, LOG_NAME_SENDER, r, FROM, a->last_from);
    n->is_recipient = is_one(n, k, LOG_NAME_RECIPIENT, r, a->to, a->last_to);
    return n->is_sender || n->is_recipient;
}

/* ---- the search ---- */

struct search {
    const struct record_keys *keys;
    struct trace_name name, other; /* other.said NULL: none */
    int64_t since, until;
    struct trace_found *found;
    size_t n, cap;
    struct trace_trouble trouble;
    uint64_t lines, about_mail, unreadable;
    bool progress;
};

static int keep(struct search *s, const struct event_line *l)
{
    struct trace_found *f;

    if (s->n == s->cap) {
        const size_t cap = s->cap ? s->cap * 2 : 64;
        struct trace_found *more = cap <= 2 * TRACE_FOUND_MAX ? realloc(s->found, cap * sizeof(*more)) : NULL;
        if (!more)
            return ERR_MEMORY;
        s->found = more;
        s->cap = cap;
    }
    if (s->n == TRACE_FOUND_MAX)
        return ERR_LIMIT;
    f = &s->found[s->n];
    *f = (struct trace_found){.at = l->at,
                              .outgoing = l->r.event == EVENT_outgoing,
                              .sender = s->name.is_sender,
                              .recipient = s->name.is_recipient,
                              .other_sender = s->other.is_sender,
                              .other_recipient = s->other.is_recipient,
                              .order = s->n};
    memcpy(f->id, l->r.raws[ID].data, l->r.raws[ID].len);
    memcpy(f->numbers, l->r.numbers, sizeof(f->numbers));
    s->n++;
    return OK;
}

static int take_line(struct search *s, const char *line, size_t len)
{
    const struct about *about;
    struct event_line l;
    int err;

    if (++s->lines % PROGRESS == 0 && s->progress)
        fprintf(stderr, "\rlines %" PRIu64 " ...", s->lines);
    err = event_read(line, len, &l);
    if (err == ERR_FORMAT)
        s->unreadable++;
    if (err != OK || l.at < s->since || l.at >= s->until)
        return OK;
    if (strcmp(l.process, "ingest") == 0)
        trace_trouble_add(&s->trouble, &l.r);
    about = find_about(&l);
    if (!about || l.r.more)
        return OK;
    s->about_mail++;
    if (!try_name(&s->name, s->keys, about, &l.r) || (s->other.said && !try_name(&s->other, s->keys, about, &l.r)))
        return OK;
    return keep(s, &l);
}

/* Line by line, in pieces: a log may be larger than memory. Lines past TRACE_LINE_MAX are none of ours. ERR_IO
 * (errno), ERR_LIMIT, ERR_MEMORY. */
static int search_fd(struct search *s, int fd)
{
    static char data[TRACE_LINE_MAX + CHUNK];
    size_t len = 0;
    bool skipping = false;
    int err = OK;

    for (;;) {
        const ssize_t got = read(fd, data + len, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        size_t at = 0;
        const char *end;
        len += (size_t)got;
        while (err == OK && (end = memchr(data + at, '\n', len - at))) {
            const size_t n = (size_t)(end - data) - at;
            if (skipping || n > TRACE_LINE_MAX)
                s->lines++, s->unreadable++;
            else /* a log that has been on another system may have CR LF */
                err = take_line(s, data + at, n && end[-1] == '\r' ? n - 1 : n);
            skipping = false;
            at += n + 1;
        }
        if (err != OK)
            return err;
        len -= at;
        memmove(data, data + at, len);
        if (got == 0)
            return len && !skipping ? take_line(s, data, len) : OK;
        if (len > TRACE_LINE_MAX) {
            skipping = true;
            len = 0;
        }
    }
}

/* ---- the command ---- */

static int read_time(const struct cli *c, enum cli_option option, const char *name, int64_t *ret)
{
    const char *text = c->opt[option];

    if (!text || trace_time_read(text, (int64_t)time(NULL), ret) == OK)
        return EXIT_DONE;
    return cli_usage(c, "--%s %s is no time: write 2026-11-29, 2026-11-29T14:00 (UTC) or \"2 hours ago\"", name, text);
}

static int search_file(const struct cli *c, struct search *s)
{
    const char *path = c->nargs > 1 && strcmp(c->arg[1], "-") != 0 ? c->arg[1] : NULL;
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    int err, why;

    if (fd < 0)
        return cli_fail(c, "cannot read %s: %s", path, strerror(errno));
    if (!path && isatty(fd))
        fprintf(stderr, "reading the log from this terminal; journalctl -o cat -u letterlock | letterlock trace ...\n");
    err = search_fd(s, fd);
    why = errno;
    if (path)
        close(fd);
    if (s->progress && s->lines >= PROGRESS)
        fprintf(stderr, "\r\n");
    if (err == ERR_IO)
        return cli_fail(c, "cannot read %s: %s", path ? path : "stdin", strerror(why));
    if (err == ERR_LIMIT)
        return cli_fail(c, "more than %d lines are about that: say --since and --until", TRACE_FOUND_MAX);
    return err ? cli_fail(c, "%s", err_str(err)) : EXIT_DONE;
}

static int tell(const struct cli *c, struct search *s)
{
    const size_t mails = trace_tell(s->found, s->n, &s->name, s->other.said ? &s->other : NULL);

    trace_trouble_tell(&s->trouble);
    if (s->unreadable)
        cli_mind(c, "%" PRIu64 " of %" PRIu64 " lines are damaged", s->unreadable, s->lines);
    if (mails == 0)
        return cli_fail(c, "none of %" PRIu64 " lines about mail is about %s", s->about_mail, s->name.said);
    return EXIT_DONE;
}

int command_trace(struct cli *c)
{
    struct search s = {.until = INT64_MAX, .progress = isatty(STDERR_FILENO)};
    struct record_keys *keys = NULL;
    struct instance i;
    int rc = read_time(c, OPT_SINCE, "since", &s.since);

    if (!rc)
        rc = read_time(c, OPT_UNTIL, "until", &s.until);
    if (!rc)
        rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    keys = record_keys_create(i.keys);
    instance_close(&i);
    if (!keys)
        return cli_fail(c, "out of memory");
    s.keys = keys;
    trace_name_init(&s.name, c->arg[0]);
    if (c->opt[OPT_WITH])
        trace_name_init(&s.other, c->opt[OPT_WITH]);
    rc = search_file(c, &s);
    if (!rc)
        rc = tell(c, &s);
    record_keys_destroy(keys);
    free(s.found);
    return rc;
}
