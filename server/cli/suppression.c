/* letterlock suppression: addresses elsewhere that bounced for good, and to which nothing is taken for a while. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "store/client.h"
#include "store/suppression.h"

enum { SLICE = 64, DAY = 86400 };

struct listing {
    const struct cli *c;
    uint64_t now;
    bool any /* has been printed */, begun;
    /* a slice, in one snapshot */
    unsigned n;
    uint8_t after[RECORD_HASH_SIZE];
    struct suppressed v[SLICE];
    int err[SLICE];
};

static int collect(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct suppressed *s)
{
    struct listing *l = arg;
    l->v[l->n] = *s;
    l->err[l->n++] = err;
    memcpy(l->after, hash, RECORD_HASH_SIZE);
    return l->n == SLICE;
}

static int read_slice(void *arg, struct view *v)
{
    struct listing *l = arg;
    uint8_t from[RECORD_HASH_SIZE];
    memcpy(from, l->after, sizeof(from));
    l->n = 0;
    int err = view_suppressed_each(v, l->begun ? from : NULL, collect, l);
    if (err < 0)
        memcpy(l->after, from, sizeof(from));
    return err < 0 ? err : OK;
}

static void print_json(struct listing *l, const struct suppressed *s)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:s}", "address", s->address, "since", (json_int_t)s->since, "until",
                          (json_int_t)s->until, "reply", s->reply);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    printf("%s%s", l->any ? ",\n" : "", text != NULL ? text : "{}");
    free(text);
    json_decref(o);
}

static void print_one(struct listing *l, struct suppressed *s, int err)
{
    char since[DATE_DAY_SIZE], until[DATE_DAY_SIZE];
    if (err == OK && s->until <= l->now)
        return;
    cli_tame(s->address);
    cli_tame(s->reply);
    if (l->c->opt[OPT_JSON]) {
        print_json(l, s);
        l->any = true;
        return;
    }
    if (err != OK) {
        printf("an address that queue.key does not open\n");
        return;
    }
    date_write_day(s->since, since);
    date_write_day(s->until, until);
    printf("%s  since %s, until %s\n        %s\n", s->address, since, until, s->reply[0] ? s->reply : "by hand");
}

int command_suppression_list(struct cli *c)
{
    static struct listing l; /* large */
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i), err = OK;
    if (rc)
        return rc;
    l.c = c;
    l.now = (uint64_t)time(NULL);
    if (c->opt[OPT_JSON])
        putchar('[');
    for (bool more = true; more && err == OK; l.begun = true) {
        err = view_run(i.view, read_slice, &l);
        more = err == OK && l.n == SLICE;
        for (unsigned k = 0; err == OK && k < l.n; k++)
            print_one(&l, &l.v[k], l.err[k]);
    }
    if (c->opt[OPT_JSON])
        puts("]");
    instance_close(&i);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

static int make_request(const struct instance *i, const char *address, bool put, struct vault_request *q,
                        uint8_t record[SUPPRESSED_RECORD_MAX])
{
    struct record_keys *keys = record_keys_create(i->keys);
    const uint64_t now = (uint64_t)time(NULL);
    struct suppressed s = {.since = now, .until = now + SUPPRESSED_DAYS * (uint64_t)DAY};
    size_t len = 0;
    int err = keys != NULL ? suppression_spell(address, s.address) : ERR_MEMORY;
    if (err == OK && put)
        err = suppression_seal(keys, &s, q->suppress.hash, record, &len);
    else if (err == OK)
        suppression_hash(keys, s.address, q->suppress.hash);
    q->suppress.record = slice_of(record, len);
    record_keys_destroy(keys);
    return err;
}

struct finding {
    const char *address;
    struct suppressed s;
};

static int find(void *arg, struct view *v)
{
    struct finding *f = arg;
    char spelt[ADDRESS_MAX];
    int err = suppression_spell(f->address, spelt);
    return err == OK ? view_suppressed(v, spelt, &f->s) : err;
}

static int change(const struct cli *c, bool put)
{
    struct vault_request q = {.type = put ? VAULT_SUPPRESS_PUT : VAULT_SUPPRESS_DEL};
    uint8_t record[SUPPRESSED_RECORD_MAX];
    struct finding f = {.address = c->arg[0]};
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    int err = make_request(&i, c->arg[0], put, &q, record);
    if (err == OK && !put && view_run(i.view, find, &f) == ERR_NOT_FOUND)
        rc = cli_fail(c, "%s is not suppressed", c->arg[0]);
    else if (err == ERR_FORMAT)
        rc = cli_fail(c, "%s is not a mail address", c->arg[0]);
    else if (err != OK)
        rc = cli_fail(c, "%s", err_str(err));
    else
        rc = instance_call(c, &i, &q, -1, NULL);
    instance_close(&i);
    return rc;
}

int command_suppression_add(struct cli *c)
{
    return change(c, true);
}

int command_suppression_remove(struct cli *c)
{
    return change(c, false);
}
