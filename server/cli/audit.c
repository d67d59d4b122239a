/* letterlock audit: every message against the gate's rules, every mailbox's counts against a recount, every byte of every file of the instance against the canaries. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/header_protection.h"
#include "crypto/pgp_check.h"
#include "server/base/error.h"
#include "server/cli/cli.h"
#include "store/outer.h"

enum { CANARIES_MAX = 10000, CANARY_MIN = 6, WINDOW = 1 << 20, IDS_A_TURN = 512, PIECE = 2 << 20 };

/* A canary as it may stand in a file: itself, or one of its three alignments in base64 without the characters that depend on neighbours. */
struct needle { char *text; size_t len; size_t line; const char *form; };

struct audit {
    const struct cli *c;
    struct instance *i;
    struct needle *needles; size_t nneedles;
    uint64_t accounts, messages, bad, files, bytes, found;
    uint8_t *window;
    int progress;
};

static void tell_progress(struct audit *a, const char *what, uint64_t n)
{
    if (a->progress)
        fprintf(stderr, "\r%s %" PRIu64 " ...", what, n);
}

/* ---- messages ---- */

struct ids { uint64_t id[IDS_A_TURN]; size_t n; uint64_t account, from; };

static int collect_id(void *arg, struct slice key, struct slice value)
{
    struct ids *ids = arg;
    struct unpack u;
    unpack_init(&u, key.data + 1, key.len - 1);
    ids->id[ids->n++] = unpack_u64(&u);
    return ids->n == IDS_A_TURN;
}

static int read_ids(void *arg, struct view *v)
{
    struct ids *ids = arg;
    struct schema_keybuf from, prefix, end;
    ids->n = 0;
    int err = engine_scan(view_txn(v), ids->account, key_u64(&from, 'm', ids->from), key_after(&end, key_simple(&prefix, 'm')), 0, collect_id, ids);
    return err == 1 ? OK : err;
}

struct key_list { struct pgp_key_ref ref[PGP_KEYS_MAX]; size_t n; uint64_t account; };

/* A message sealed to a key that was retired since is as good as it was: for the audit every key of the account counts. */
static int collect_key(void *arg, const struct schema_key *key)
{
    struct key_list *l = arg;
    if (l->n == PGP_KEYS_MAX)
        return ERR_LIMIT;
    struct pgp_key_ref *r = &l->ref[l->n++];
    memcpy(r->fpr, key->verdict.enc_fpr, sizeof r->fpr);
    r->fpr_len = key->verdict.enc_fpr_len;
    r->current = true;
    return 0;
}

static int read_keys(void *arg, struct view *v)
{
    struct key_list *l = arg;
    l->n = 0;
    return view_keys_each(v, l->account, collect_key, l);
}

struct one_message { uint64_t account, id; struct schema_message m; uint8_t outer[OUTER_MAX]; };

static int read_message(void *arg, struct view *v)
{
    struct one_message *o = arg;
    return view_message(v, o->account, o->id, &o->m, o->outer);
}

struct piece { uint64_t account, blob, offset; uint8_t *out; size_t len; };

static int read_piece(void *arg, struct view *v)
{
    struct piece *p = arg;
    return view_blob(v, p->account, p->blob, p->offset, p->out, p->len);
}

static int read_blob(struct audit *a, uint64_t account, uint64_t blob, uint64_t len, uint8_t **ret)
{
    uint8_t *data = malloc(len ? len : 1);
    int err = data ? OK : ERR_MEMORY;
    for (uint64_t at = 0; at < len && !err; at += PIECE) {
        struct piece p = {account, blob, at, data + at, len - at < PIECE ? len - at : PIECE};
        err = instance_snapshot(a->i, read_piece, &p);
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

static int check_packets(struct audit *a, const struct one_message *o, const struct key_list *keys, uint64_t blob, uint64_t len, int server_mode, const char **why)
{
    uint8_t *data;
    struct pgp_check_result result;
    int err = read_blob(a, o->account, blob, len, &data);
    if (err) {
        *why = "its packets cannot be read";
        return err;
    }
    err = pgp_check_message(data, len, keys->ref, keys->n, server_mode ? PGP_CHECK_SERVER_SEAL : PGP_CHECK_FOREIGN, &result, why);
    free(data);
    return err;
}

static void check_message(struct audit *a, const struct key_list *keys, uint64_t id)
{
    static struct one_message o;
    const char *why = "its record cannot be read";
    o.account = keys->account;
    o.id = id;
    int err = instance_snapshot(a->i, read_message, &o);
    if (err == ERR_NOT_FOUND && a->i->running)
        return; /* expunged since its number was read */
    if (!err)
        err = outer_fits_a_policy(o.outer, o.m.outer_len, o.m.kind, &why);
    if (!err)
        err = check_packets(a, &o, keys, id, o.m.packets_len, o.m.kind == MESSAGE_SERVER_SEALED, &why);
    if (!err)
        err = check_packets(a, &o, keys, CAPSULE_BLOB | id, o.m.capsule_len, 1, &why);
    if (err && a->i->running && instance_snapshot(a->i, read_message, &o) == ERR_NOT_FOUND)
        return;
    a->messages++;
    if (err) {
        a->bad++;
        printf("account %" PRIu64 " message %" PRIu64 ": does not pass the gate: %s\n", o.account, id, why);
    }
    if (a->messages % 100 == 0)
        tell_progress(a, "messages", a->messages);
}

/* ---- counts ---- */

struct recount { struct audit *a; uint64_t account; struct view *v; char bad[256]; uint32_t exists, unseen; };

static int count_entry(void *arg, uint32_t uid, const struct schema_entry *e)
{
    struct recount *r = arg;
    struct schema_keybuf k;
    struct slice ignored;
    r->exists++;
    r->unseen += !(e->flags & FLAG_SEEN);
    if (engine_get(view_txn(r->v), r->account, key_u64(&k, 'm', e->message), &ignored))
        snprintf(r->bad, sizeof r->bad, "UID %" PRIu32 " names message %" PRIu64 ", which is not there", uid, e->message);
    return 0;
}

static int recount_mailbox(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    struct recount *r = arg;
    r->exists = r->unseen = 0;
    int err = view_entries_each(r->v, r->account, box->id, 1, UINT32_MAX, count_entry, r);
    if (!err && !*r->bad && (r->exists != box->exists || r->unseen != box->unseen))
        snprintf(r->bad, sizeof r->bad, "mailbox %" PRIu32 " counts %" PRIu32 " (%" PRIu32 " unseen), has %" PRIu32 " (%" PRIu32 ")", box->id,
                 box->exists, box->unseen, r->exists, r->unseen);
    return err;
}

static int read_counts(void *arg, struct view *v)
{
    struct recount *r = arg;
    r->v = v;
    *r->bad = 0;
    return view_mailboxes_each(v, r->account, recount_mailbox, r);
}

static int check_account(void *arg, uint64_t account)
{
    struct audit *a = arg;
    struct key_list keys = {.account = account};
    struct ids ids = {.account = account};
    int err = instance_snapshot(a->i, read_keys, &keys);
    while (!err) {
        err = instance_snapshot(a->i, read_ids, &ids);
        for (size_t k = 0; k < ids.n && !err; k++)
            check_message(a, &keys, ids.id[k]);
        if (err || ids.n < IDS_A_TURN)
            break;
        ids.from = ids.id[ids.n - 1] + 1;
    }
    struct recount r = {.a = a, .account = account};
    if (!err)
        err = instance_snapshot(a->i, read_counts, &r);
    if (!err && *r.bad) {
        a->bad++;
        printf("account %" PRIu64 ": %s\n", account, r.bad);
    }
    a->accounts++;
    return err;
}

struct partitions { uint64_t part[100000]; size_t n; };

static int collect_partition(void *arg, uint64_t part)
{
    struct partitions *p = arg;
    if (part < PART_ACCOUNT_FIRST)
        return 0;
    if (p->n == sizeof p->part / sizeof p->part[0])
        return ERR_LIMIT;
    p->part[p->n++] = part;
    return 0;
}

static int read_partitions(void *arg, struct view *v)
{
    struct partitions *p = arg;
    p->n = 0;
    return engine_partitions(view_txn(v), collect_partition, p);
}

/* ---- files ---- */

static struct audit *walking; /* nftw hands its callback no argument */

static void search_window(struct audit *a, const char *path, uint64_t at, size_t len, size_t from)
{
    for (size_t k = 0; k < a->nneedles; k++) {
        const struct needle *n = &a->needles[k];
        /* A match that ends inside what the last window showed was reported then. */
        size_t begin = from >= n->len ? from - n->len + 1 : 0;
        uint8_t *p = a->window + begin, *hit;
        while ((hit = memmem(p, (size_t)(a->window + len - p), n->text, n->len))) {
            a->found++;
            printf("%s: canary of line %zu in the clear%s at byte %" PRIu64 "\n", path, n->line, n->form, at + (uint64_t)(hit - a->window));
            p = hit + 1;
        }
    }
}

static int read_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    struct audit *a = walking;
    if (type != FTW_F || !S_ISREG(st->st_mode))
        return 0;
    size_t keep = 0, longest = 0;
    for (size_t k = 0; k < a->nneedles; k++)
        longest = a->needles[k].len > longest ? a->needles[k].len : longest;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        a->bad++;
        printf("%s: cannot be read: %s\n", path, strerror(errno));
        return 0;
    }
    uint64_t at = 0;
    ssize_t n;
    while ((n = read(fd, a->window + keep, WINDOW)) > 0) {
        size_t len = keep + (size_t)n;
        search_window(a, path, at, len, keep);
        a->bytes += (uint64_t)n;
        size_t next = !longest ? 0 : len < longest - 1 ? len : longest - 1;
        memmove(a->window, a->window + len - next, next);
        at += len - next;
        keep = next;
    }
    if (n < 0) {
        a->bad++;
        printf("%s: cannot be read: %s\n", path, strerror(errno));
    }
    close(fd);
    a->files++;
    tell_progress(a, "bytes", a->bytes);
    return 0;
}

static int add_needle(struct audit *a, const char *text, size_t len, size_t line, const char *form)
{
    struct needle *larger = realloc(a->needles, (a->nneedles + 1) * sizeof *larger);
    if (!larger)
        return ERR_MEMORY;
    a->needles = larger;
    struct needle n = {malloc(len), len, line, form};
    if (!n.text)
        return ERR_MEMORY;
    memcpy(n.text, text, len);
    a->needles[a->nneedles++] = n;
    return OK;
}

static int add_canary(struct audit *a, const char *text, size_t len, size_t line)
{
    int err = add_needle(a, text, len, line, "");
    for (size_t shift = 0; shift < 3 && !err; shift++) {
        uint8_t raw[1024 + 2] = {0};
        char b64[2048];
        memcpy(raw + shift, text, len);
        sodium_bin2base64(b64, sizeof b64, raw, shift + len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
        /* Characters made of the canary's bits alone. */
        size_t first = (shift * 8 + 5) / 6, last = (shift + len) * 8 / 6;
        err = add_needle(a, b64 + first, last - first, line, " (base64)");
    }
    return err;
}

static int read_canaries(struct audit *a)
{
    char *text;
    size_t len, line = 0;
    if (!a->c->opt[OPT_CANARY])
        return EXIT_DONE;
    if (cli_read_file(a->c->opt[OPT_CANARY], 16 << 20, &text, &len))
        return cli_fail(a->c, "cannot read %s", a->c->opt[OPT_CANARY]);
    int rc = EXIT_DONE;
    for (char *p = text; *p && !rc;) {
        size_t n = strcspn(p, "\r\n");
        line++;
        if (n && (n < CANARY_MIN || n > 1024 || line > CANARIES_MAX))
            rc = cli_fail(a->c, "%s line %zu: a canary has %d to 1024 bytes, and there are at most %d", a->c->opt[OPT_CANARY], line, CANARY_MIN, CANARIES_MAX);
        else if (n && add_canary(a, p, n, line))
            rc = cli_fail(a->c, "out of memory");
        p += n;
        p += *p == '\r';
        p += *p == '\n';
    }
    free(text);
    return rc;
}

int command_audit(struct cli *c)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    struct audit a = {.c = c, .i = &i, .progress = isatty(2), .window = malloc(WINDOW + 8192)};
    struct partitions *parts = malloc(sizeof *parts);
    if (!a.window || !parts)
        rc = cli_fail(c, "out of memory");
    if (!rc)
        rc = read_canaries(&a);
    int err = rc ? OK : instance_snapshot(&i, read_partitions, parts);
    for (size_t k = 0; !rc && !err && k < parts->n; k++)
        err = check_account(&a, parts->part[k]);
    if (err)
        rc = cli_fail(c, "the store cannot be read: %s", err_str(err));
    walking = &a;
    if (!rc && nftw(c->dir, read_file, 16, FTW_PHYS))
        rc = cli_fail(c, "cannot walk %s: %s", c->dir, strerror(errno));
    if (a.progress)
        fputc('\n', stderr);
    if (!rc) {
        printf("%" PRIu64 " accounts, %" PRIu64 " messages, %" PRIu64 " files, %" PRIu64 " bytes read: %" PRIu64 " faults, %" PRIu64 " canaries in the clear\n",
               a.accounts, a.messages, a.files, a.bytes, a.bad, a.found);
        if (a.bad || a.found)
            rc = cli_fail(c, "%" PRIu64 " faults and %" PRIu64 " canaries in the clear; the lines above name each", a.bad, a.found);
    }
    for (size_t k = 0; k < a.nneedles; k++)
        free(a.needles[k].text);
    free(a.needles);
    free(a.window);
    free(parts);
    instance_close(&i);
    return rc;
}
