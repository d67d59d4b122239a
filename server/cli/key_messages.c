/* letterlock key messages: where the mail stands that a key opens. In slices of snapshots and with bounded memory: a
 * message that is moved meanwhile may be listed twice or not at all. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"

enum { SLICE_MAX = 1024, SLICE_MIN = 16 };

struct box {
    uint32_t id, uidvalidity;
    char name[MAILBOX_NAME_MAX];
};
struct boxes {
    uint64_t account;
    struct box *v;
    size_t n;
};

static int collect_box(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    struct boxes *b = arg;
    if (b->n == MAILBOXES_MAX)
        return ERR_LIMIT;
    struct box *x = &b->v[b->n++];
    x->id = box->id;
    x->uidvalidity = box->uidvalidity;
    memcpy(x->name, name->name, sizeof(x->name));
    return 0;
}

static int collect_boxes(void *arg, struct view *v)
{
    struct boxes *b = arg;
    b->n = 0;
    return view_mailboxes_each(v, b->account, collect_box, b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct box *)a)->name, ((const struct box *)b)->name);
}

struct row {
    uint32_t uid;
    bool only;
};
struct slice_of_box {
    const struct keys_list *list;
    const struct keys_entry *key;
    const struct box *box;
    struct view *view;
    uint32_t from, last;
    unsigned max, n;
    bool full;
    struct row rows[SLICE_MAX];
    unsigned nrows;
};

static int see_entry(void *arg, uint32_t uid, const struct schema_entry *e)
{
    struct slice_of_box *s = arg;
    struct schema_message m;
    int err = view_message(s->view, s->list->account, e->message, &m, NULL);
    if (err)
        return err;
    uint64_t opening = keys_opening(s->list, &m), mine = UINT64_C(1) << (s->key - s->list->v);
    if (opening & mine)
        s->rows[s->nrows++] = (struct row){.uid = uid, .only = opening == mine};
    s->last = uid;
    s->full = ++s->n == s->max;
    return s->full;
}

static int see_some(void *arg, struct view *v)
{
    struct slice_of_box *s = arg;
    if (s->n && s->max > SLICE_MIN) /* the last try was too slow */
        s->max /= 2;
    s->n = s->nrows = 0;
    s->full = false;
    s->view = v;
    int err = view_entries_each(v, s->list->account, s->box->id, s->from, UINT32_MAX, see_entry, s);
    return err < 0 ? err : OK;
}

static void print_rows(const struct cli *c, const struct slice_of_box *s, bool *first)
{
    json_t *name = json_string(s->box->name);
    char *quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    for (unsigned k = 0; k < s->nrows; k++)
        if (c->opt[OPT_JSON])
            printf("%s{\"mailbox\": %s, \"uidvalidity\": %" PRIu32 ", \"uid\": %" PRIu32 ", \"only\": %s}",
                   *first ? (*first = false, "[\n") : ",\n", quoted ? quoted : "null", s->box->uidvalidity,
                   s->rows[k].uid, s->rows[k].only ? "true" : "false");
        else
            printf("%s\t%" PRIu32 "\t%" PRIu32 "\n", s->box->name, s->box->uidvalidity, s->rows[k].uid);
    free(quoted);
    json_decref(name);
}

static int list_box(const struct cli *c, struct instance *i, struct slice_of_box *s, bool *first)
{
    s->from = 1;
    do {
        s->n = 0;
        int err = view_run(i->view, see_some, s);
        if (err)
            return cli_fail(c, "the store cannot be read: %s", err_str(err));
        print_rows(c, s, first);
        if (s->full && s->last == UINT32_MAX)
            break;
        s->from = s->last + 1;
    } while (s->full);
    return EXIT_DONE;
}

int key_messages(const struct cli *c, struct instance *i, const struct keys_list *l, const struct keys_entry *f)
{
    static struct slice_of_box s;
    struct boxes b = {.account = l->account, .v = calloc(MAILBOXES_MAX, sizeof(struct box))};
    bool first = true;
    int err = b.v ? view_run(i->view, collect_boxes, &b) : ERR_MEMORY;
    int rc = err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
    if (!rc)
        qsort(b.v, b.n, sizeof(*b.v), by_name);
    s = (struct slice_of_box){.list = l, .key = f, .max = SLICE_MAX};
    for (size_t k = 0; k < b.n && !rc; k++) {
        s.box = &b.v[k];
        rc = list_box(c, i, &s, &first);
    }
    if (!rc && c->opt[OPT_JSON])
        puts(first ? "[]" : "\n]");
    free(b.v);
    return rc;
}
