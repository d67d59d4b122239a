#include "server/cli/publish.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_minimise.h"
#include "server/core/error.h"
#include "server/mail/date.h"

/* ---- what should be ---- */

/* Lower ones come first. */
static int rank(const struct schema_key *k)
{
    return k->state == KEY_CURRENT ? 0 : 1;
}

/* Of one whose encryption key alone was revoked the certificate with that word is not kept. */
static bool may_be_shown(const struct schema_key *k)
{
    return k->state == KEY_CURRENT || k->state == KEY_REVOKED;
}

static bool goes_before(const struct schema_key *a, const struct schema_key *b)
{
    if (rank(a) != rank(b))
        return rank(a) < rank(b);
    const uint64_t x = rank(a) == 0 ? a->added : a->ended, y = rank(a) == 0 ? b->added : b->ended;
    return x != y ? x > y : a->blob > b->blob; /* in one second, the one that was stored later */
}

static size_t next_best(const struct schema_key *keys, size_t n, const bool *tried)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (!tried[i] && may_be_shown(&keys[i]) && (best == n || goes_before(&keys[i], &keys[best])))
            best = i;
    return best;
}

/* One that has no such user id, or is no good for it, leaves *ret_len. */
static int try_key(struct view *v, uint64_t account, const struct schema_key *k, const char *address,
                   uint8_t cert[PGP_PUBLISHED_MAX], size_t *ret_len)
{
    static uint8_t whole[PGP_CERT_MAX];
    struct pgp_published p;
    struct pgp_minimised m;
    size_t len = 0, n = 0;
    int err = view_key_cert(v, account, k, whole, &len);
    if (err)
        return err;
    err = pgp_minimise(whole, len, (uint64_t)time(NULL), published_names, (void *)address, cert, PGP_PUBLISHED_MAX, &n,
                       &m);
    if (!err)
        err = pgp_published_read(cert, n, &p);
    if (err == ERR_MEMORY)
        return err;
    if (!err)
        *ret_len = n;
    return OK;
}

/* What should be published for an address of an account: the newest current certificate that has a user id of it; if
 * none is current, the one that was revoked last. *ret_len 0: none. */
static int read_wanted(struct view *v, uint64_t account, const char *address, uint8_t cert[PGP_PUBLISHED_MAX],
                       size_t *ret_len)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    struct schema_account a;
    bool tried[PGP_KEYS_MAX] = {false};
    size_t n = 0, found = 0;
    int err = view_account(v, account, &a);
    if (!err && !a.unpublished)
        err = view_keys_read(v, account, keys, &n);
    if (!err && !a.unpublished)
        err = view_keys_approved(v, &a, keys, n);
    for (size_t i = next_best(keys, n, tried); !err && i < n && !found; i = next_best(keys, n, tried)) {
        tried[i] = true;
        err = try_key(v, account, &keys[i], address, cert, &found);
    }
    if (!err)
        *ret_len = found;
    return err;
}

static struct published there;
static uint8_t wanted[PGP_PUBLISHED_MAX];

static bool same_primary(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    struct pgp_published x, y;
    return pgp_published_read(a, a_len, &x) == OK && pgp_published_read(b, b_len, &y) == OK &&
           !memcmp(x.key[0].fpr, y.key[0].fpr, sizeof(x.key[0].fpr));
}

/* Of two copies of one key the newer one, unless the other tells of its end. */
static bool is_newer(size_t len)
{
    struct pgp_published p;
    uint32_t a, b;
    return pgp_published_read(wanted, len, &p) == OK && !p.revoked && pgp_cert_signed_at(wanted, len, &a) == OK &&
           pgp_cert_signed_at(there.cert, there.len, &b) == OK && b >= a;
}

static int look(struct view *v, uint64_t account, const char *address, struct published_state *ret, size_t *ret_len)
{
    struct schema_account a;
    size_t len = 0;
    int err = read_wanted(v, account, address, wanted, &len);
    if (!err)
        err = view_account(v, account, &a);
    if (err)
        return err;
    err = view_published(v, address, &there);
    if (err && err != ERR_NOT_FOUND)
        return err;
    *ret = (struct published_state){.there = !err, .wanted = len > 0};
    if (ret->there && ret->wanted) {
        ret->same = there.len == len && !memcmp(there.cert, wanted, len);
        ret->same_key = ret->same || same_primary(there.cert, there.len, wanted, len);
    } else {
        ret->same = ret->same_key = ret->there == ret->wanted;
    }
    ret->verified = ret->there && !a.unpublished && there.why == PUBLISH_VERIFIED;
    ret->newer = ret->verified && ret->wanted && ret->same_key && is_newer(len);
    *ret_len = len;
    return OK;
}

int publish_look(struct view *v, uint64_t account, const char *address, struct published_state *ret)
{
    size_t len;
    return look(v, account, address, ret, &len);
}

/* ---- whose addresses ---- */

static int collect(void *arg, const struct schema_address *a)
{
    struct publish_addresses *l = arg;
    if (a->kind == ADDRESS_CATCH_ALL || (l->account && a->account != l->account))
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        struct publish_address *more = realloc(l->v, cap * sizeof(*more));
        if (!more)
            return ERR_MEMORY;
        l->v = more;
        l->cap = cap;
    }
    l->v[l->n].account = a->account;
    memcpy(l->v[l->n++].address, a->address, sizeof(a->address));
    return 0;
}

static int collect_all(void *arg, struct view *v)
{
    ((struct publish_addresses *)arg)->n = 0;
    return view_addresses_each(v, collect, arg);
}

static int unreadable(const struct cli *c, int err)
{
    return cli_fail(c, "the store cannot be read: %s", err_str(err));
}

int publish_addresses_read(struct instance *i, struct publish_addresses *a)
{
    return view_run(i->view, collect_all, a);
}

static int read_addresses(const struct cli *c, struct instance *i, struct publish_addresses *a)
{
    int err = publish_addresses_read(i, a);
    return err ? unreadable(c, err) : EXIT_DONE;
}

/* ---- making it so ---- */

static int ask(const struct cli *c, struct instance *i, const char *address, struct slice cert, enum publish_why why)
{
    const struct vault_request q = {.type = VAULT_KEY_PUBLISH, .publish = {slice_str(address), cert, (uint8_t)why}};
    int rc = i->vault < 0 ? instance_vault(c, i) : EXIT_DONE;
    return rc ? rc : instance_call(c, i, &q, -1, NULL);
}

struct one {
    const struct publish_address *of;
    struct published_state state;
    size_t len;
};

static int look_at_one(void *arg, struct view *v)
{
    struct one *o = arg;
    return look(v, o->of->account, o->of->address, &o->state, &o->len);
}

static int publish_one(const struct cli *c, struct instance *i, const struct publish_address *a, enum publish_why why)
{
    struct one o = {.of = a};
    int err = view_run(i->view, look_at_one, &o);
    if (err == ERR_UNAPPROVED) {
        cli_mind(c, "%s: nobody approved its certificates, so what others find stays as it is", a->address);
        return EXIT_DONE;
    }
    if (err)
        return unreadable(c, err);
    /* Its holder's own word stays until the account's certificates change, the newer one of the same key even then. */
    if (o.state.same || (o.state.verified && (why != PUBLISH_KEY || o.state.newer)))
        return EXIT_DONE;
    return ask(c, i, a->address, slice_of(wanted, o.len), why);
}

int publish_account(const struct cli *c, struct instance *i, uint64_t account, enum publish_why why)
{
    struct publish_addresses a = {.account = account};
    int rc = read_addresses(c, i, &a);
    for (size_t k = 0; k < a.n && !rc; k++)
        rc = publish_one(c, i, &a.v[k], why);
    free(a.v);
    if (rc)
        cli_mind(c, "that itself is done, but what others find is not brought up to date: letterlock key publish");
    return rc;
}

static int read_there(void *arg, struct view *v)
{
    return view_published(v, arg, &there);
}

int publish_withdraw_one(const struct cli *c, struct instance *i, const char *address, enum publish_why why)
{
    int err = view_run(i->view, read_there, (void *)address);
    if (err == ERR_NOT_FOUND)
        return EXIT_DONE;
    return err ? unreadable(c, err) : ask(c, i, address, slice_of("", 0), why);
}

int publish_withdraw(const struct cli *c, struct instance *i, uint64_t account, enum publish_why why)
{
    struct publish_addresses a = {.account = account};
    int rc = read_addresses(c, i, &a);
    for (size_t k = 0; k < a.n && !rc; k++)
        rc = publish_withdraw_one(c, i, a.v[k].address, why);
    free(a.v);
    return rc;
}

/* ---- key publish: all of it ---- */

struct strays {
    char address[ADDRESS_MAX];
    uint8_t last[RECORD_HASH_SIZE];
    bool begun;
};

/* The next one whose address is nobody's here. */
static int see_stray(void *arg, const uint8_t hash[RECORD_HASH_SIZE], const struct published *p)
{
    struct strays *s = arg;
    memcpy(s->last, hash, sizeof(s->last));
    memcpy(s->address, p->address, sizeof(s->address));
    return 1;
}

static int next_entry(void *arg, struct view *v)
{
    struct strays *s = arg, next = *s;
    struct schema_address a;
    int err = view_published_after(v, s->begun ? s->last : NULL, &there, see_stray, &next);
    if (err != 1)
        return err == OK ? ERR_NOT_FOUND : err;
    next.begun = true;
    err = view_address(v, next.address, &a);
    if (err == OK && a.kind != ADDRESS_CATCH_ALL)
        next.address[0] = '\0'; /* somebody's */
    *s = next;
    return err == ERR_NOT_FOUND || err == ERR_UNAPPROVED ? OK : err;
}

static int withdraw_strays(const struct cli *c, struct instance *i)
{
    struct strays s = {.begun = false};
    int err, rc = EXIT_DONE;
    while (!rc && (err = view_run(i->view, next_entry, &s)) == OK)
        if (s.address[0])
            rc = ask(c, i, s.address, slice_of("", 0), PUBLISH_MENDED);
    return rc ? rc : err == ERR_NOT_FOUND ? EXIT_DONE : unreadable(c, err);
}

int command_key_publish(struct cli *c)
{
    struct instance i;
    struct schema_account account = {.id = 0};
    struct publish_addresses a = {.account = 0};
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    if (c->nargs)
        rc = instance_account(c, &i, c->arg[0], &account);
    a.account = account.id;
    if (!rc)
        rc = read_addresses(c, &i, &a);
    for (size_t k = 0; k < a.n && !rc; k++)
        rc = publish_one(c, &i, &a.v[k], PUBLISH_MENDED);
    if (!rc && !c->nargs)
        rc = withdraw_strays(c, &i);
    free(a.v);
    instance_close(&i);
    return rc;
}

/* ---- account show ---- */

struct printing {
    struct view *v;
    const struct schema_account *account;
    FILE *out;
};

static int print_one(void *arg, const struct schema_address *a)
{
    const struct printing *p = arg;
    struct published_state s;
    struct pgp_published cert;
    if (a->account != p->account->id || a->kind == ADDRESS_CATCH_ALL)
        return 0;
    int err = publish_look(p->v, a->account, a->address, &s);
    if (err)
        return err == ERR_UNAPPROVED ? OK : err; /* the log says it, and audit */
    if (s.there && pgp_published_read(there.cert, there.len, &cert) == OK) {
        char day[DATE_DAY_SIZE];
        date_write_day(there.since, day);
        fprintf(p->out, "  found    %s  ", a->address);
        cli_print_fpr(p->out, cert.key[0].fpr, cert.key[0].fpr_len);
        fprintf(p->out, "  since %s%s%s\n", day, s.verified ? ", by its holder's word" : "",
                cert.revoked ? ", revoked" : "");
    } else if (!p->account->unpublished && !s.wanted) {
        fprintf(p->out, "  hidden   %s: no certificate has a user id of it\n", a->address);
    }
    if (!s.verified && (s.there != s.wanted || !s.same_key))
        fprintf(p->out, "  mind     %s: what others find is not up to date; letterlock key publish\n", a->address);
    return 0;
}

int publish_print(struct view *v, const struct schema_account *account, FILE *out)
{
    struct printing p = {v, account, out};
    fprintf(out, "  publish  %s\n  autocrypt %s\n  key-change-notices %s\n", account->unpublished ? "no" : "yes",
            account->no_autocrypt ? "no" : "yes", account->key_changes ? "yes" : "no");
    return view_addresses_each(v, print_one, &p);
}
