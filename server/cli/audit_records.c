/* The part of letterlock audit that looks at records: in pieces, each in a snapshot of its own, in which what a record
 * names is there or is not. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/audit.h"
#include "server/core/error.h"
#include "store/check.h"

enum { PIECE_RECORDS = 2048, PIECE_MESSAGES = 2048, FIRST_ACCOUNT = 16 };

struct records {
    uint64_t part;
    struct check_walk walk, next;
    struct check_refs refs;
    struct check_found found;
    struct blob_at blob, blob_next;
    bool begun, begun_next;
};

static void tell(struct audit *a, const struct check_found *f)
{
    for (unsigned i = 0; i < f->n; i++)
        puts(f->line[i]);
    if (f->faults > f->n)
        printf("and %" PRIu64 " more of the kind\n", f->faults - f->n);
    a->bad += f->faults;
}

static int see_records(void *arg, struct view *v)
{
    struct records *r = arg;
    r->next = r->walk;
    r->found.faults = r->found.n = 0;
    return view_check(v, r->part, PIECE_RECORDS, &r->next, &r->refs, &r->found);
}

static int walk_records(struct audit *a, struct records *r)
{
    int more = 1;
    while (more == 1) {
        more = view_run(a->i->view, see_records, r);
        if (more < 0)
            return more;
        r->walk = r->next;
        tell(a, &r->found);
    }
    a->records += r->walk.records;
    return OK;
}

/* ---- what is counted over the whole account ---- */

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct refs_walk {
    const struct records *r;
    struct check_found found;
    uint64_t after, last;
    size_t at, at_next;
    unsigned left;
};

static void say(struct check_found *f, uint64_t account, const char *what, uint64_t number, uint64_t says, uint64_t has)
{
    if (f->faults++ < CHECK_LINES)
        snprintf(f->line[f->n++], CHECK_LINE_MAX,
                 "account %" PRIu64 ", %s %" PRIu64 ": it says that %" PRIu64 " entries have it, %" PRIu64 " do",
                 account, what, number, says, has);
}

static int count_refs(void *arg, const struct schema_message *m)
{
    struct refs_walk *w = arg;
    const uint64_t *message = w->r->refs.message;
    size_t n = w->r->walk.nrefs, first;
    while (w->at_next < n && message[w->at_next] < m->id)
        w->at_next++;
    for (first = w->at_next; w->at_next < n && message[w->at_next] == m->id;)
        w->at_next++;
    if (w->at_next - first != m->references)
        say(&w->found, w->r->part, "message", m->id, m->references, w->at_next - first);
    w->last = m->id;
    return --w->left == 0;
}

static int see_refs(void *arg, struct view *v)
{
    struct refs_walk *w = arg;
    w->at_next = w->at;
    w->last = w->after;
    w->left = PIECE_MESSAGES;
    w->found.faults = w->found.n = 0;
    return view_messages_after(v, w->r->part, w->after, count_refs, w);
}

static int check_refs(struct audit *a, struct records *r)
{
    static struct refs_walk w;
    w = (struct refs_walk){.r = r};
    int more = 1;
    if (r->walk.nrefs)
        qsort(r->refs.message, r->walk.nrefs, sizeof(*r->refs.message), by_number);
    while (more == 1) {
        more = view_run(a->i->view, see_refs, &w);
        if (more < 0)
            return more;
        w.at = w.at_next;
        w.after = w.last;
        tell(a, &w.found);
    }
    return OK;
}

struct carried {
    const struct records *r;
    struct check_found found;
};

static int see_keywords(void *arg, struct view *v)
{
    static struct schema_keywords k;
    struct carried *w = arg;
    w->found.faults = w->found.n = 0;
    int err = view_keywords(v, w->r->part, &k);
    for (unsigned i = 0; i < k.n && !err; i++)
        if (k.v[i].entries != w->r->walk.carry[i])
            say(&w->found, w->r->part, "keyword", i, k.v[i].entries, w->r->walk.carry[i]);
    return err;
}

static int check_keywords(struct audit *a, struct records *r)
{
    static struct carried w;
    w.r = r;
    int err = view_run(a->i->view, see_keywords, &w);
    if (!err)
        tell(a, &w.found);
    return err;
}

int audit_records(struct audit *a, uint64_t account)
{
    static struct records r;
    r = (struct records){.part = account};
    uint64_t bad = a->bad;
    int err = walk_records(a, &r);
    if (!err && !a->i->running && a->bad == bad) /* entries that do not open are not counted */
        err = check_refs(a, &r);
    if (!err && !a->i->running && a->bad == bad)
        err = check_keywords(a, &r);
    free(r.refs.message);
    return err;
}

static int see_blobs(void *arg, struct view *v)
{
    struct records *r = arg;
    r->blob_next = r->blob;
    r->begun_next = r->begun;
    r->found.faults = r->found.n = 0;
    return view_check_blobs(v, PIECE_RECORDS, &r->blob_next, &r->begun_next, &r->found);
}

int audit_directory(struct audit *a)
{
    static struct records r;
    int err = OK, more = 1;
    for (uint64_t part = 0; part < FIRST_ACCOUNT && !err; part++) {
        r = (struct records){.part = part};
        err = walk_records(a, &r);
    }
    while (!err && more == 1) {
        more = view_run(a->i->view, see_blobs, &r);
        if (more < 0)
            return more;
        r.blob = r.blob_next;
        r.begun = r.begun_next;
        tell(a, &r.found);
    }
    return err;
}
