/* letterlock correspondent: whose keys an account has seen, and the administrator's word on them. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "store/client.h"

enum { SLICE = 16 };

static const char *const ends[] = {[CORRESPONDENT_FOLLOWED] = "followed", [CORRESPONDENT_OVERRULED] = "by-hand"};

const char *cli_key_source(uint8_t from)
{
    static const char *const sources[] = {
        [KNOWN_DNSSEC] = "dnssec",       [KNOWN_DOMAIN] = "domain",   [KNOWN_SERVER] = "key-server",
        [KNOWN_AUTOCRYPT] = "autocrypt", [KNOWN_BY_HAND] = "by-hand",
    };
    return sources[from];
}

/* ---- one, for people and for programs ---- */

static json_t *key_json(const struct correspondent_key *k)
{
    char hex[2 * PGP_FPR_MAX + 1];
    sodium_bin2hex(hex, sizeof(hex), k->fpr, k->fpr_len);
    return json_pack("{s:s, s:s, s:I}", "fingerprint", hex, "source", cli_key_source(k->from), "since",
                     (json_int_t)k->since);
}

static const char *state_of(const struct correspondent *c, uint64_t now)
{
    if (c->revoked)
        return "revoked";
    if (c->len == 0)
        return "fingerprint";
    return c->verdict.enc_expires && c->verdict.enc_expires <= now ? "expired" : "usable";
}

static json_t *to_json(const struct correspondent *c, uint64_t now)
{
    json_t *o = json_pack("{s:s, s:o, s:I, s:s, s:I}", "address", c->address, "key", key_json(&c->key), "seen",
                          (json_int_t)c->seen, "state", state_of(c, now), "expires",
                          (json_int_t)(c->len ? c->verdict.enc_expires : 0));
    json_t *past = json_array();
    if (c->key.from == KNOWN_AUTOCRYPT)
        json_object_set_new(o, "mutual", json_boolean(c->mutual));
    if (c->other.fpr_len)
        json_object_set_new(o, "other", key_json(&c->other));
    for (uint32_t i = 0; i < c->npast; i++) {
        json_t *p = key_json(&c->past[i].key);
        json_object_set_new(p, "until", json_integer((json_int_t)c->past[i].until));
        json_object_set_new(p, "end", json_string(ends[c->past[i].end]));
        json_array_append_new(past, p);
    }
    json_object_set_new(o, "past", past);
    return o;
}

static void print_key(const char *what, const struct correspondent_key *k)
{
    char day[DATE_DAY_SIZE];
    date_write_day(k->since, day);
    printf("  %-6s", what);
    cli_print_fpr(stdout, k->fpr, k->fpr_len);
    printf("  %s, since %s", cli_key_source(k->from), day);
}

static void print_one(const struct correspondent *c, uint64_t now)
{
    char day[DATE_DAY_SIZE], name[ADDRESS_MAX];
    memcpy(name, c->address, sizeof(name));
    cli_tame(name);
    printf("%s\n", name);
    print_key(c->key.from == KNOWN_AUTOCRYPT ? "mail" : "key", &c->key);
    date_write_day(c->seen, day);
    printf(", seen %s: %s\n", day, state_of(c, now));
    if (c->other.fpr_len) {
        print_key("other", &c->other);
        puts(": not followed");
    }
    for (uint32_t i = 0; i < c->npast; i++) {
        print_key("past", &c->past[i].key);
        date_write_day(c->past[i].until, day);
        printf(", until %s: %s\n", day, ends[c->past[i].end]);
    }
}

/* ---- list, show ---- */

struct listing {
    const struct cli *c;
    uint64_t account, now;
    bool any, begun;
    uint8_t kind;
    unsigned n;
    uint8_t after[RECORD_HASH_SIZE];
    struct correspondent room, v[SLICE];
    int err[SLICE];
};

static int collect(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct correspondent *c)
{
    struct listing *l = arg;
    l->v[l->n] = *c;
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
    int err = view_correspondents_each(v, l->account, l->kind, l->begun ? from : NULL, &l->room, collect, l);
    if (err < 0)
        memcpy(l->after, from, sizeof(from));
    return err < 0 ? err : OK;
}

static void say(struct listing *l, const struct correspondent *c, int err)
{
    if (err != OK) {
        fprintf(stderr, "a correspondent's record is damaged: %s\n", err_str(err));
    } else if (l->c->opt[OPT_JSON]) {
        json_t *o = to_json(c, l->now);
        char *text = json_dumps(o, JSON_COMPACT);
        printf("%s%s", l->any ? ",\n" : "", text ? text : "{}");
        free(text);
        json_decref(o);
        l->any = true;
    } else {
        print_one(c, l->now);
    }
}

static int list_kind(struct listing *l, struct instance *i, uint8_t kind)
{
    int err = OK;
    l->kind = kind;
    l->begun = false;
    for (bool more = true; more && err == OK; l->begun = true) {
        err = view_run(i->view, read_slice, l);
        more = err == OK && l->n == SLICE;
        for (unsigned k = 0; err == OK && k < l->n; k++)
            say(l, &l->v[k], l->err[k]);
    }
    return err;
}

static int list(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct listing l; /* large */
    (void)arg;
    l.c = c;
    l.account = a->id;
    l.now = (uint64_t)time(NULL);
    if (c->opt[OPT_JSON])
        putchar('[');
    int err = list_kind(&l, i, CORRESPONDENT_KEPT);
    if (err == OK)
        err = list_kind(&l, i, CORRESPONDENT_INCOMING);
    if (c->opt[OPT_JSON])
        puts("]");
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int command_correspondent_list(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW, list, NULL);
}

/* Both records of the address that the second operand names. */
struct pair {
    uint64_t account;
    char address[ADDRESS_MAX];
    struct correspondent kept, incoming;
    uint8_t seen[CORRESPONDENT_SEEN];
    int kept_err, incoming_err;
};

static int read_pair(void *arg, struct view *v)
{
    struct pair *p = arg;
    uint8_t seen[CORRESPONDENT_SEEN];
    p->kept_err = view_correspondent(v, p->account, CORRESPONDENT_KEPT, p->address, &p->kept, p->seen);
    p->incoming_err = view_correspondent(v, p->account, CORRESPONDENT_INCOMING, p->address, &p->incoming, seen);
    return p->kept_err == ERR_OVERRUN || p->incoming_err == ERR_OVERRUN ? ERR_OVERRUN : OK;
}

static int read_both(const struct cli *c, struct instance *i, const struct schema_account *a, struct pair *p)
{
    size_t at, plus;
    if (address_normalize(c->arg[1], strlen(c->arg[1]), p->address, &at, &plus) != OK)
        return cli_fail(c, "%s is not a mail address", c->arg[1]);
    p->account = a->id;
    int err = view_run(i->view, read_pair, p);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

static int show(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct pair p; /* large */
    static struct listing l;
    (void)arg;
    int rc = read_both(c, i, a, &p);
    if (rc)
        return rc;
    if (p.kept_err == ERR_NOT_FOUND && p.incoming_err == ERR_NOT_FOUND)
        return cli_fail(c, "%s has seen no key of %s", c->arg[0], p.address);
    l.c = c;
    l.now = (uint64_t)time(NULL);
    if (c->opt[OPT_JSON])
        putchar('[');
    if (p.kept_err != ERR_NOT_FOUND)
        say(&l, &p.kept, p.kept_err);
    if (p.incoming_err != ERR_NOT_FOUND)
        say(&l, &p.incoming, p.incoming_err);
    if (c->opt[OPT_JSON])
        puts("]");
    return EXIT_DONE;
}

int command_correspondent_show(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW, show, NULL);
}

/* ---- accept, forget ---- */

static int read_key(const struct cli *c, struct correspondent_key *ret)
{
    size_t len;
    *ret = (struct correspondent_key){.from = KNOWN_BY_HAND, .since = (uint64_t)time(NULL)};
    if (!cli_read_fpr(c->arg[2], ret->fpr, &len))
        return cli_fail(c, "FPR is the whole fingerprint of the certificate");
    ret->fpr_len = (uint8_t)len;
    return EXIT_DONE;
}

/* What mail brought along is at hand; else the next mail to the address brings it. */
static void take_key(struct pair *p, const struct correspondent_key *key)
{
    struct correspondent *k = &p->kept;
    if (p->kept_err != OK)
        *k = (struct correspondent){.key = *key, .seen = key->since};
    else if (correspondent_same_key(&k->key, key))
        k->key.from = KNOWN_BY_HAND;
    else
        correspondent_turn(k, key, CORRESPONDENT_OVERRULED, key->since);
    memcpy(k->address, p->address, sizeof(k->address));
    k->other = (struct correspondent_key){0};
    if (k->len == 0 && p->incoming_err == OK && correspondent_same_key(&p->incoming.key, key)) {
        k->len = p->incoming.len;
        k->verdict = p->incoming.verdict;
        memcpy(k->cert, p->incoming.cert, k->len);
    }
}

static int accept_key(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct pair p; /* large */
    static uint8_t packed[CORRESPONDENT_PACKED_MAX];
    struct vault_request q = {.type = VAULT_CORRESPONDENT_PUT, .account = a->id};
    struct correspondent_key key;
    size_t len;
    (void)arg;
    int rc = read_both(c, i, a, &p);
    if (!rc)
        rc = read_key(c, &key);
    if (rc)
        return rc;
    take_key(&p, &key);
    int err = correspondent_pack(&p.kept, packed, &len);
    if (err != OK)
        return cli_fail(c, "%s", err_str(err));
    q.correspondent = (struct vault_correspondent){CORRESPONDENT_KEPT, p.seen, slice_of(packed, len)};
    return instance_call(c, i, &q, -1, NULL);
}

int command_correspondent_accept(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, accept_key, NULL);
}

static int forget_one(const struct cli *c, struct instance *i, uint64_t account, const char *address, uint8_t kind)
{
    const struct vault_request q = {.type = VAULT_CORRESPONDENT_DEL,
                                    .account = account,
                                    .correspondent = {.kind = kind, .record = slice_str(address)}};
    return instance_call(c, i, &q, -1, NULL);
}

static int forget(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct pair p; /* large */
    (void)arg;
    int rc = read_both(c, i, a, &p);
    if (!rc && p.kept_err == ERR_NOT_FOUND && p.incoming_err == ERR_NOT_FOUND)
        return cli_fail(c, "%s has seen no key of %s", c->arg[0], p.address);
    if (!rc)
        rc = forget_one(c, i, a->id, p.address, CORRESPONDENT_KEPT);
    return rc ? rc : forget_one(c, i, a->id, p.address, CORRESPONDENT_INCOMING);
}

int command_correspondent_forget(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, forget, NULL);
}
