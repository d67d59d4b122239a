/* letterlock audit: every page of the store's file (audit_file.c), every message against the gate's rules, every
 * mailbox's counts against a recount, every byte of every file of the instance against the canaries. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/format/protection.h"
#include "crypto/pgp_check.h"
#include "server/core/error.h"
#include "server/cli/audit_approval.h"
#include "server/cli/audit.h"
#include "server/format/outer.h"

enum { IDS_A_TURN = 512, PIECE = 2 << 20 };

static void tell_progress(const struct audit *a)
{
    if (a->progress && a->messages % 100 == 0)
        fprintf(stderr, "\rmessages %" PRIu64 " ...", a->messages);
}

/* ---- messages ---- */

struct ids {
    uint64_t id[IDS_A_TURN];
    size_t n;
    uint64_t account, after;
};

static int collect_id(void *arg, uint64_t message)
{
    struct ids *ids = arg;
    ids->id[ids->n++] = message;
    return ids->n == IDS_A_TURN;
}

static int read_ids(void *arg, struct view *v)
{
    struct ids *ids = arg;
    ids->n = 0;
    int err = view_message_ids_after(v, ids->account, ids->after, collect_id, ids);
    return err == 1 ? OK : err;
}

struct key_list {
    struct pgp_key_ref ref[PGP_KEYS_MAX * (1 + KEY_FORMER_MAX)];
    size_t n;
    uint64_t account;
};

/* A message sealed to a key that was retired or renewed since is as good as it was: every key of the account counts.
 */
static int collect_key(void *arg, const struct schema_key *key)
{
    struct key_list *l = arg;
    if (sizeof(l->ref) / sizeof(*l->ref) - l->n < 1 + KEY_FORMER_MAX)
        return ERR_LIMIT;
    l->ref[l->n++] = pgp_verdict_key(&key->verdict, true);
    for (unsigned i = 0; i < key->nformer; i++) {
        struct pgp_key_ref *r = &l->ref[l->n++];
        *r = (struct pgp_key_ref){.fpr_len = key->former[i].fpr_len, .current = true};
        memcpy(r->fpr, key->former[i].fpr, sizeof(r->fpr));
    }
    return 0;
}

static int read_keys(void *arg, struct view *v)
{
    struct key_list *l = arg;
    l->n = 0;
    return view_keys_each(v, l->account, collect_key, l);
}

struct one_message {
    uint64_t account, id;
    struct schema_message m;
    uint8_t outer[OUTER_MAX];
};

static int read_message(void *arg, struct view *v)
{
    struct one_message *o = arg;
    return view_message(v, o->account, o->id, &o->m, o->outer);
}

struct piece {
    const struct one_message *of;
    bool capsule;
    uint64_t offset;
    uint8_t *out;
    size_t len;
};

static int read_piece(void *arg, struct view *v)
{
    const struct piece *p = arg;
    if (p->capsule)
        return view_capsule(v, p->of->account, &p->of->m, (uint32_t)p->offset, p->out, p->len);
    return view_packets(v, p->of->account, &p->of->m, p->offset, p->out, p->len);
}

static int read_all(struct audit *a, const struct one_message *o, bool capsule, uint64_t len, uint8_t **ret)
{
    uint8_t *data = malloc(len ? len : 1);
    int err = data ? OK : ERR_MEMORY;
    for (uint64_t at = 0; at < len && !err; at += PIECE) {
        struct piece p = {o, capsule, at, data + at, len - at < PIECE ? len - at : PIECE};
        err = view_run(a->i->view, read_piece, &p);
    }
    if (err) {
        free(data);
        return err;
    }
    *ret = data;
    return OK;
}

/* The policy may have changed since the message came: its outer header must fit one of them. */
static int outer_fits_a_policy(const uint8_t *outer, size_t len, uint8_t kind, const char **why)
{
    int err = ERR_REFUSED;
    for (int policy = POLICY_SHY; policy <= POLICY_HIDDEN && err; policy++)
        err = outer_check(outer, len, kind, (uint8_t)policy, why);
    return err;
}

static int check_packets(struct audit *a, const struct one_message *o, const struct key_list *keys, bool capsule,
                         uint64_t len, bool server_seal, const char **why)
{
    uint8_t *data;
    struct pgp_check_result result;
    int err = read_all(a, o, capsule, len, &data);
    if (err) {
        *why = capsule ? "its capsule cannot be read" : "its packets cannot be read";
        return err;
    }
    /* Mail for hidden recipients may have been kept before the operator changed their mind. */
    err = pgp_check_message(data, len, keys->ref, keys->n,
                            server_seal ? PGP_CHECK_SERVER_SEAL : PGP_CHECK_FOREIGN_WILDCARD, &result, why);
    free(data);
    return err;
}

/* The outer seal on its body, chunk by chunk. */
struct seal_check {
    const struct one_message *of;
    uint32_t n, chunks;
};

static int check_chunk(void *arg, struct view *v)
{
    struct seal_check *s = arg;
    return view_check_packets(v, s->of->account, &s->of->m, s->n, &s->chunks);
}

static int check_seal(struct audit *a, const struct one_message *o, const char **why)
{
    struct seal_check s = {.of = o, .chunks = 1};
    int err = OK;
    for (; !err && s.n < s.chunks; s.n++)
        err = view_run(a->i->view, check_chunk, &s);
    if (err)
        *why = "the outer seal on its packets does not fit: they were changed on the disk";
    return err;
}

/* An account that is being erased has lost its own record first; what is left of it is not judged. */
static int read_account(void *arg, struct view *v)
{
    uint64_t id = *(const uint64_t *)arg;
    struct schema_account account;
    int err = view_account(v, id, &account);
    return err == ERR_NOT_FOUND && view_account_erasing(v, id) == OK ? ERR_GONE : err;
}

static void check_message(struct audit *a, const struct key_list *keys, uint64_t id)
{
    static struct one_message o;
    const char *why = "its record cannot be read";
    o.account = keys->account;
    o.id = id;
    int err = view_run(a->i->view, read_message, &o);
    if (err == ERR_NOT_FOUND && a->i->running)
        return; /* expunged since its number was read */
    if (!err)
        err = outer_fits_a_policy(o.outer, o.m.outer_len, o.m.kind, &why);
    if (!err)
        err = check_packets(a, &o, keys, false, o.m.packets_len, o.m.kind == MESSAGE_SERVER_SEALED, &why);
    if (!err)
        err = check_seal(a, &o, &why);
    if (!err)
        err = check_packets(a, &o, keys, true, o.m.capsule_len, true, &why);
    if (err && a->i->running &&
        (view_run(a->i->view, read_message, &o) == ERR_NOT_FOUND || view_run(a->i->view, read_account, &o.account)))
        return; /* expunged meanwhile, or the whole account removed */
    a->messages++;
    if (err) {
        a->bad++;
        printf("account %" PRIu64 " message %" PRIu64 ": does not pass the gate: %s\n", o.account, id, why);
    }
    tell_progress(a);
}

/* ---- usage ---- */

/* What the account is charged must be what its records say. They are counted in pieces: while the server runs, a count
 * is worth something only if the figure stood still meanwhile. */
enum { USAGE_PIECE = 16384, USAGE_TRIES = 3 };

struct usage_check {
    uint64_t account;
    struct schema_usage said;
    struct usage_walk walk, next;
};

static int read_said(void *arg, struct view *v)
{
    struct usage_check *u = arg;
    return view_usage(v, u->account, &u->said);
}

static int walk_piece(void *arg, struct view *v)
{
    struct usage_check *u = arg;
    u->next = u->walk;
    return view_usage_walk(v, u->account, USAGE_PIECE, &u->next);
}

static bool same_usage(const struct schema_usage *a, const struct schema_usage *b)
{
    return a->bytes == b->bytes && a->messages == b->messages && a->entries == b->entries;
}

static int count_usage(struct audit *a, struct usage_check *u)
{
    u->walk = (struct usage_walk){.left = 0};
    int err = view_run(a->i->view, read_said, u);
    int more = err ? err : 1;
    while (more == 1) {
        more = view_run(a->i->view, walk_piece, u);
        u->walk = u->next;
    }
    return more;
}

static int check_usage(struct audit *a, uint64_t account)
{
    struct usage_check u = {.account = account};
    for (int i = 0; i < USAGE_TRIES; i++) {
        int err = count_usage(a, &u);
        const struct schema_usage was = u.said;
        if (err)
            return err;
        if (same_usage(&was, &u.walk.sum))
            return OK;
        err = view_run(a->i->view, read_said, &u);
        if (err)
            return err;
        if (same_usage(&was, &u.said))
            break;
        if (i + 1 == USAGE_TRIES)
            return OK; /* too busy to be counted */
    }
    a->bad++;
    printf("account %" PRIu64 " is charged %" PRIu64 " octets, has %" PRIu64 "\n", account, u.said.bytes,
           u.walk.sum.bytes);
    return OK;
}

static int check_account(struct audit *a, uint64_t account)
{
    struct key_list keys = {.account = account};
    struct ids ids = {.account = account};
    int err = view_run(a->i->view, read_account, &account);
    if (err == ERR_GONE || (err == ERR_NOT_FOUND && a->i->running))
        return OK;
    if (err) {
        a->bad++;
        printf("account %" PRIu64 ": its record cannot be read: %s\n", account, err_str(err));
        return OK;
    }
    uint64_t bad = a->bad;
    err = audit_records(a, account);
    if (!err)
        err = view_run(a->i->view, read_keys, &keys);
    if (!err)
        err = audit_keys_approved(a->i, account, &a->bad);
    while (!err) {
        err = view_run(a->i->view, read_ids, &ids);
        for (size_t k = 0; k < ids.n && !err; k++)
            check_message(a, &keys, ids.id[k]);
        if (err || ids.n < IDS_A_TURN)
            break;
        ids.after = ids.id[ids.n - 1];
    }
    if (!err)
        err = check_usage(a, account);
    a->accounts++;
    return a->bad > bad && (err == ERR_CRYPTO || err == ERR_FORMAT) ? OK : err; /* said of the record itself */
}

struct numbers {
    uint64_t *account;
    size_t n, cap;
};

static int collect_number(void *arg, uint64_t account)
{
    struct numbers *p = arg;
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        uint64_t *larger = realloc(p->account, cap * sizeof(*larger));
        if (!larger)
            return ERR_MEMORY;
        p->account = larger;
        p->cap = cap;
    }
    p->account[p->n++] = account;
    return 0;
}

static int read_numbers(void *arg, struct view *v)
{
    struct numbers *p = arg;
    p->n = 0;
    return view_account_numbers_each(v, collect_number, p);
}

static int check_messages(struct audit *a)
{
    struct numbers numbers = {.account = NULL};
    int err = audit_directory(a);
    if (!err)
        err = view_run(a->i->view, read_numbers, &numbers);
    for (size_t k = 0; !err && k < numbers.n; k++)
        err = check_account(a, numbers.account[k]);
    free(numbers.account);
    if (!err)
        err = audit_queue(a);
    if (!err)
        err = audit_published(a);
    if (!err)
        err = audit_addresses_approved(a->i, &a->bad);
    if (a->progress)
        fputc('\n', stderr);
    return err ? cli_fail(a->c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int command_audit(struct cli *c)
{
    struct instance i;
    struct canaries *canaries;
    struct canary_counts seen = {0};
    int rc = canaries_read(c, c->opt[OPT_CANARY], &canaries);
    if (rc)
        return rc;
    struct config config;
    uint64_t pages = 0;
    rc = instance_read_config(c, &config, NULL, NULL); /* is this an instance at all? */
    if (!rc)
        rc = audit_file(c, &pages);
    if (!rc)
        rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc) {
        canaries_destroy(canaries);
        return rc;
    }
    struct audit a = {.c = c, .i = &i, .progress = isatty(STDERR_FILENO)};
    rc = check_messages(&a);
    int failed = rc ? 0 : canaries_search(canaries, c->dir, &seen);
    if (failed)
        rc = cli_fail(c, "cannot walk %s: %s", c->dir, strerror(failed));
    if (!rc) {
        a.bad += seen.unread;
        if (!pages)
            puts("a server runs: the pages of the store's file were not looked at");
        printf("%" PRIu64 " accounts, %" PRIu64 " messages, %" PRIu64 " files, %" PRIu64 " bytes read: %" PRIu64
               " faults, %" PRIu64 " canaries in the clear\n",
               a.accounts, a.messages, seen.files, seen.bytes, a.bad, seen.found);
        if (a.bad || seen.found)
            rc = cli_fail(c, "%" PRIu64 " faults and %" PRIu64 " canaries in the clear; the lines on stdout name each",
                          a.bad, seen.found);
    }
    canaries_destroy(canaries);
    instance_close(&i);
    return rc;
}
