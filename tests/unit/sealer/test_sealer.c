/* The sealer over a store in memory: what it makes opens, gives back the sender's octets and passes the vault's gate;
 * and every way it can fail leaves nothing behind. The gpg role is played by this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/header_protection.h"
#include "crypto/pgp_armor.h"
#include "crypto/pgp_seal.h"
#include "server/sealer/sealer.h"
#include "store/account.h"
#include "store/render.h"
#include "store/vault/gate.h"
#include "tests/unit/crypto/pgp_open.h"
#include "tests/unit/armor.h"

enum { NOW = 1800000000 };
static const uint8_t STORE_KEY[32] = {9};
static const char RECEIVED[] = "Received: from c ([192.0.2.1])\r\n\tby mx.example.org (Letterlock) with ESMTP\r\n\tid 1;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n";

/* ---- the gpg role's part ---- */

struct gpg_seal_client { int gone, fail_at, calls, pending; };
struct gpg_seal_op { struct pgp_recipient *to[4]; size_t n; const struct iovec *in; size_t iovcnt; pgp_sink *sink; void *sink_arg;
                     void (*done)(void *arg, int status); void *arg; int calls; };
static struct gpg_seal_client gpg;
static struct gpg_seal_op gpg_op;
static struct test_key keys[3]; /* alice's two, a stranger's */

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_cert *certs, size_t ncerts, const struct iovec *in, size_t iovcnt,
                   pgp_sink *sink, void *sink_arg, void (*done)(void *arg, int status), void *arg, struct gpg_seal_op **ret_op)
{
    if (c->gone)
        return ERR_GONE;
    gpg_op = (struct gpg_seal_op){.n = ncerts, .in = in, .iovcnt = iovcnt, .sink = sink, .sink_arg = sink_arg, .done = done, .arg = arg};
    for (size_t i = 0; i < ncerts; i++) {
        struct pgp_verdict v = {.enc_fpr_len = (uint8_t)certs[i].fpr_len, .enc_algo = PGP_ECDH, .native = true};
        memcpy(v.enc_fpr, certs[i].fpr, certs[i].fpr_len);
        assert_int_equal(pgp_recipient_create(certs[i].cert, certs[i].len, &v, &gpg_op.to[i]), OK);
    }
    c->calls++;
    c->pending = 1;
    *ret_op = &gpg_op;
    return OK;
}

static void gpg_free_op(void)
{
    for (size_t i = 0; i < gpg_op.n; i++)
        pgp_recipient_destroy(gpg_op.to[i]);
    gpg_op.n = 0;
    gpg.pending = 0;
}

void gpg_seal_cancel(struct gpg_seal_op *op)
{
    assert_true(gpg.pending);
    gpg_free_op();
}

static void gpg_run(void)
{
    while (gpg.pending) {
        struct gpg_seal_op op = gpg_op;
        int r = gpg.fail_at == gpg.calls ? ERR_GONE : pgp_seal(op.to, op.n, op.in, op.iovcnt, op.sink, op.sink_arg, NULL);
        gpg_free_op();
        op.done(op.arg, r);
    }
}

/* ---- the store ---- */

static struct engine *engine;
static struct record_keys *rkeys;
static struct view *view;
static struct sealer *sealer;
static uint64_t alice;

static void write_group(int (*fn)(struct store_write *w, void *arg), void *arg)
{
    static struct store_write w;

    memset(&w, 0, sizeof(w));
    w.keys = rkeys;
    w.now = NOW;
    w.account = alice;
    assert_int_equal(engine_group_begin(engine, &w.t), OK);
    assert_int_equal(fn(&w, arg), OK);
    assert_int_equal(engine_group_commit(w.t), OK);
}

static int add_domain(struct store_write *w, void *arg)
{
    return domain_add(w, "example.org");
}

static int add_account(struct store_write *w, void *arg)
{
    struct test_key *k = arg;
    struct account_new a = {.address = "alice@example.org", .policy = POLICY_SHY, .verdict = k->verdict, .cert = slice_of(k->cert, k->cert_len)};

    return account_add(w, &a, &alice);
}

static int add_key(struct store_write *w, void *arg)
{
    struct test_key *k = arg;
    struct schema_account a;
    int r = schema_get_account(w->t, w->keys, w->account, &a);

    return r == OK ? account_key_add(w, &a, &k->verdict, slice_of(k->cert, k->cert_len)) : r;
}

static int retire_key(struct store_write *w, void *arg)
{
    struct test_key *k = arg;

    return account_key_retire(w, k->verdict.primary_fpr, k->verdict.primary_fpr_len);
}

static int set_policy(struct store_write *w, void *arg)
{
    return account_set(w, *(uint8_t *)arg, ~UINT64_C(0));
}

static int remove_account(struct store_write *w, void *arg)
{
    return account_remove(w);
}

static void open_store(struct test_key *first)
{
    alice = 0;
    memset(&gpg, 0, sizeof(gpg));
    assert_int_equal(engine_mem_create(&engine), OK);
    rkeys = record_keys_create(STORE_KEY);
    assert_int_equal(store_init(engine, rkeys, NOW), OK);
    write_group(add_domain, NULL);
    write_group(add_account, first);
    assert_int_equal(view_over(engine, rkeys, &view), OK);
    sealer = sealer_create(NULL, view, &gpg, "mx.example.org");
    assert_non_null(sealer);
}

static int setup(void **state)
{
    for (int i = 0; i < 3; i++) {
        if (test_key_make(&keys[i], 4, PGP_ECDH, test_oid_25519) != 0)
            return -1;
        keys[i].verdict.primary_fpr[0] ^= (uint8_t)i; /* the fixture's primary is always the same */
    }
    open_store(&keys[0]);
    return 0;
}

static int teardown(void **state)
{
    sealer_destroy(sealer);
    view_close(view);
    engine_close(engine);
    record_keys_destroy(rkeys);
    for (int i = 0; i < 3; i++)
        test_key_free(&keys[i]);
    return 0;
}

/* ---- sealing ---- */

struct outcome { int calls, status; struct seal_result r; };

static void on_done(void *arg, int status, const struct seal_result *r)
{
    struct outcome *o = arg;

    o->calls++;
    o->status = status;
    assert_true((status == OK) == (r != NULL));
    if (r)
        o->r = *r;
}

static int open_fds(void)
{
    int n = 0;

    for (int i = 0; i < 256; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return n;
}

/* piece: octets of each piece the mail is cut into; 0: one piece. */
static struct outcome seal_begin(const char *mail, size_t len, size_t piece, struct iovec *iov, struct seal_op **op)
{
    struct outcome o = {0};
    static struct outcome kept;
    size_t n = 0;

    for (size_t i = 0; i < len;) {
        size_t m = piece && len - i > piece ? piece : len - i;
        iov[n++] = (struct iovec){(char *)(uintptr_t)(mail + i), m};
        i += m;
    }
    struct seal_request q = {.account = alice, .mail = iov, .mail_n = n, .mail_len = len, .received = RECEIVED, .auth_results = "",
                             .tls = "TLSv1.3 X", .now = NOW};
    kept = o;
    assert_int_equal(sealer_start(sealer, &q, on_done, &kept, op), OK);
    if (*op) {
        assert_int_equal(kept.calls, 0);
        gpg_run();
    }
    return kept;
}

static struct outcome seal(const char *mail, size_t len, size_t piece)
{
    static struct iovec iov[8192];
    struct seal_op *op = NULL;
    struct outcome o = seal_begin(mail, len, piece, iov, &op);

    assert_int_equal(o.calls, 1);
    return o;
}

/* The vault's gate must let it in. */
static void check_gate(const struct outcome *o, const struct parcel *p)
{
    static struct store_write w;
    struct schema_account a;
    struct gate *g;
    struct gate_verdict v;
    const char *why = "";

    memset(&w, 0, sizeof(w));
    w.keys = rkeys;
    w.account = alice;
    assert_int_equal(gate_create(&g), OK);
    assert_int_equal(engine_group_begin(engine, &w.t), OK);
    assert_int_equal(schema_get_account(w.t, rkeys, alice, &a), OK);
    if (gate_check(g, &w, &a, o->r.kind, p, &v, &why) != OK)
        fail_msg("the gate refuses: %s\n%.*s", why, (int)p->outer.len, (const char *)p->outer.data);
    engine_group_abort(w.t);
    gate_destroy(g);
}

/* Opens the parcel, checks it from all sides, and that key k gives back the original. */
static void check_sealed(struct outcome *o, const struct test_key *k, const char *mail, size_t len)
{
    struct parcel p;
    struct test_session ses;
    size_t n, original;
    uint8_t *plain;

    assert_int_equal(o->status, OK);
    assert_int_equal(o->r.kind, MESSAGE_SERVER_SEALED);
    assert_int_equal(parcel_open(o->r.parcel_fd, 256 << 20, &p), OK);
    assert_int_equal(o->r.rendered_size, render_size(RENDER_VERSION, p.outer.len, p.packets.len));
    check_gate(o, &p);
    plain = malloc(p.packets.len + p.capsule.len + 64);
    assert_int_equal(test_open(k, p.packets.data, p.packets.len, plain, &n, &ses), 0);
    assert_non_null(memmem(plain, n, RECEIVED, strlen(RECEIVED)));
    assert_int_equal(header_unprotect(plain, n, &original), OK);
    assert_int_equal(original, len);
    assert_memory_equal(plain, mail, len);
    assert_int_equal(test_open(k, p.capsule.data, p.capsule.len, plain, &n, &ses), 0);
    assert_true(n > 2 && plain[0] == '{');
    free(plain);
    parcel_close(&p);
    close(o->r.parcel_fd);
}

#define MAIL "From: Bob <bob@example.net>\r\nTo: alice@example.org\r\nSubject: a secret\r\nMessage-ID: <1@example.net>\r\n\r\nHello\r\n"

static void test_shapes(void **state)
{
    static const struct { const char *text; size_t len; } shapes[] = {
#define SHAPE(s) {s, sizeof(s) - 1}
        SHAPE(MAIL), SHAPE(""), SHAPE("\r\n"), SHAPE("x"), SHAPE("no header at all\r\n"), SHAPE("Subject: only a header\r\n"),
        SHAPE("Subject: x\r\n\r\n\0\1\xff\x80" "8-bit\r\n"), SHAPE("From: a\r\n b\r\nContent-Type: text/plain; charset=\"x\"\r\n\r\nb"),
        SHAPE("Letterlock-Seal: v=1; len=3\r\nSealed-By: x\r\n\r\nforged"), SHAPE("\0\0\0\0"), SHAPE(": \r\n\r\n"),
    };

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (size_t piece = 0; piece < 8; piece++) {
            struct outcome o = seal(shapes[i].text, shapes[i].len, piece);
            check_sealed(&o, &keys[0], shapes[i].text, shapes[i].len);
        }
}

static void test_sizes(void **state)
{
    /* Around the chunk of secmem, the head that is taken apart, and what a large message is. */
    static const size_t sizes[] = {1000, 65471, 65472, 65473, 131072, 400000, 5000000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *mail = malloc(sizes[i]);
        size_t n = strlen(MAIL);
        memset(mail, 'x', sizes[i]);
        memcpy(mail, MAIL, n);
        struct outcome o = seal(mail, sizes[i], 65472);
        check_sealed(&o, &keys[0], mail, sizes[i]);
        free(mail);
    }
}

static void test_long_header(void **state)
{
    int before = open_fds();

    /* A header over several pieces is taken apart; one beyond HEADER_MAX is refused for good. */
    for (size_t len = 60000; len <= 400000; len += 85000) {
        char *mail = malloc(len + 1000);
        size_t n = 0;
        while (n < len)
            n += (size_t)sprintf(mail + n, "X-Long-%06zu: %0600d\r\n", n, 7);
        n += (size_t)sprintf(mail + n, "Subject: s\r\n\r\nbody\r\n");
        struct outcome o = seal(mail, n, 65472);
        if (n - 6 > HEADER_MAX)
            assert_int_equal(o.status, ERR_LIMIT);
        else
            check_sealed(&o, &keys[0], mail, n);
        free(mail);
    }
    assert_int_equal(open_fds(), before);
}

static void test_policies(void **state)
{
    for (uint8_t policy = POLICY_SHY; policy <= POLICY_HIDDEN; policy++) {
        struct parcel p;
        write_group(set_policy, &policy);
        struct outcome o = seal(MAIL, strlen(MAIL), 0);
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.policy, policy);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
        assert_null(memmem(p.outer.data, p.outer.len, "secret", 6));
        assert_true((memmem(p.outer.data, p.outer.len, "bob@example.net", 15) != NULL) == (policy != POLICY_HIDDEN));
        parcel_close(&p);
        check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    }
}

static void test_threads(void **state)
{
    static const char reply[] = "Message-ID: <2@example.net>\r\nReferences: <1@example.net> <x@y>\r\n\r\n", none[] = "Subject: x\r\n\r\n";
    struct outcome a = seal(MAIL, strlen(MAIL), 0), b = seal(reply, strlen(reply), 0), c = seal(none, strlen(none), 0), d = seal(none, strlen(none), 0);
    static const uint8_t zero[RECORD_HASH_SIZE];

    assert_memory_equal(a.r.thread, b.r.thread, RECORD_HASH_SIZE);
    assert_memory_not_equal(a.r.own_id, b.r.own_id, RECORD_HASH_SIZE);
    /* Mail without ids is alone, not all in one thread. */
    assert_memory_not_equal(c.r.thread, d.r.thread, RECORD_HASH_SIZE);
    assert_memory_not_equal(c.r.thread, zero, RECORD_HASH_SIZE);
    assert_memory_equal(c.r.own_id, zero, RECORD_HASH_SIZE);
    close(a.r.parcel_fd);
    close(b.r.parcel_fd);
    close(c.r.parcel_fd);
    close(d.r.parcel_fd);
}

/* ---- keys ---- */

static void test_keys_change(void **state)
{
    struct outcome o = seal(MAIL, strlen(MAIL), 0);

    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    write_group(add_key, &keys[1]);
    for (int i = 0; i < 2; i++) {
        o = seal(MAIL, strlen(MAIL), 0);
        check_sealed(&o, &keys[i], MAIL, strlen(MAIL)); /* either opens it */
    }
    write_group(retire_key, &keys[0]);
    o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[1], MAIL, strlen(MAIL));
    struct parcel p;
    struct test_session ses;
    uint8_t plain[8192];
    size_t n;
    o = seal(MAIL, strlen(MAIL), 0);
    assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
    assert_int_not_equal(test_open(&keys[0], p.packets.data, p.packets.len, plain, &n, &ses), 0);
    parcel_close(&p);
    close(o.r.parcel_fd);
}

static void test_expired_key(void **state)
{
    struct parcel p;
    struct test_session ses;
    uint8_t plain[8192];
    size_t n;

    keys[0].verdict.enc_expires = NOW - 1;
    write_group(add_key, &keys[0]); /* a known fingerprint is replaced */
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    assert_int_equal(o.status, OK);
    assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
    assert_int_equal(test_open(&keys[0], p.capsule.data, p.capsule.len, plain, &n, &ses), 0);
    assert_non_null(memmem(plain, n, "key-expired", 11));
    parcel_close(&p);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
}

static void check_fails(int status)
{
    int before = open_fds();
    struct outcome o = seal(MAIL, strlen(MAIL), 0);

    if (status)
        assert_int_equal(o.status, status);
    assert_int_not_equal(o.status, OK);
    assert_int_equal(open_fds(), before); /* no parcel */
}

static void check_can_seal(int want)
{
    assert_int_equal(view_begin(view), OK);
    assert_int_equal(sealer_can_seal(sealer, alice), want);
    assert_int_equal(view_end(view), OK);
}

static int drop_keys(struct store_write *w, void *arg)
{
    struct schema_keybuf k;
    struct schema_account a;
    int r = write_del(w, key_fpr(&k, keys[0].verdict.primary_fpr, 20));

    if (r == OK)
        r = schema_get_account(w->t, w->keys, w->account, &a);
    a.keys_version++;
    return r == OK ? schema_put_account(w->t, w->keys, w->account, &a) : r;
}

static void test_no_key(void **state)
{
    check_can_seal(OK);
    write_group(drop_keys, NULL);
    check_can_seal(ERR_NO_KEY);
    check_fails(ERR_NO_KEY);
}

static void test_no_account(void **state)
{
    write_group(remove_account, NULL);
    check_can_seal(ERR_NOT_FOUND);
    check_fails(ERR_NOT_FOUND);
    alice = 424242;
    check_fails(ERR_NOT_FOUND);
}

/* The certificate does not hold the key that the verdict names; then one that does not parse. */
static void test_broken_certificate(void **state)
{
    struct test_key broken = keys[1];

    broken.verdict.enc_fpr[5] ^= 1;
    broken.verdict.primary_fpr[0] ^= 0x40;
    write_group(add_key, &broken);
    check_fails(0);
    write_group(retire_key, &broken);
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    broken = keys[1];
    broken.verdict.primary_fpr[0] ^= 0x20;
    broken.cert_len = 20;
    write_group(add_key, &broken);
    check_fails(0);
}

/* As many current keys as the store lets an account have: one message opens with each. */
static int add_key_or_limit(struct store_write *w, void *arg)
{
    struct test_key k = keys[0];
    int n = 0, r;

    do {
        k.verdict.primary_fpr[1] = (uint8_t)(keys[0].verdict.primary_fpr[1] + ++n);
        r = add_key(w, &k);
    } while (r == OK && n < 100);
    *(int *)arg = n;
    return r == ERR_LIMIT ? OK : ERR_STATE;
}

static void test_many_keys(void **state)
{
    int n = 0;

    write_group(add_key_or_limit, &n);
    assert_true(n <= PGP_SEAL_RECIPIENTS_MAX); /* the store's limit is not beyond the engine's */
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
}

/* ---- the gpg role ---- */

static void use_gpg(void)
{
    keys[0].verdict.native = false;
    write_group(add_key, &keys[0]);
}

static void test_gpg(void **state)
{
    use_gpg();
    struct outcome o = seal(MAIL, strlen(MAIL), 10);
    assert_int_equal(gpg.calls, 2); /* capsule and message */
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    /* One native key and one that is not: all through the role, one message for both. */
    write_group(add_key, &keys[1]);
    for (int i = 0; i < 2; i++) {
        o = seal(MAIL, strlen(MAIL), 0);
        check_sealed(&o, &keys[i], MAIL, strlen(MAIL));
    }
}

static void test_gpg_fails(void **state)
{
    use_gpg();
    gpg.gone = 1;
    check_fails(ERR_GONE);
    gpg.gone = 0;
    for (gpg.fail_at = 1; gpg.fail_at <= 2; gpg.fail_at++) {
        gpg.calls = 0;
        check_fails(ERR_GONE);
    }
}

static void test_gpg_cancel(void **state)
{
    static struct outcome o;
    struct iovec iov = {(char *)(uintptr_t)MAIL, strlen(MAIL)};
    struct seal_request q = {.account = alice, .mail = &iov, .mail_n = 1, .mail_len = iov.iov_len, .received = RECEIVED, .auth_results = "",
                             .tls = "", .now = NOW};
    struct seal_op *op = NULL;
    int before = open_fds();

    use_gpg();
    assert_int_equal(sealer_start(sealer, &q, on_done, &o, &op), OK);
    assert_non_null(op);
    seal_cancel(op);
    gpg_run();
    assert_int_equal(o.calls, 0);
    assert_int_equal(open_fds(), before);
}

/* ---- mail that arrives encrypted ---- */

struct packets { uint8_t data[4096]; size_t len; };

static int packets_sink(void *arg, const uint8_t *data, size_t len)
{
    struct packets *p = arg;

    memcpy(p->data + p->len, data, len);
    p->len += len;
    return OK;
}

static struct packets encrypt_to(const struct test_key *k)
{
    struct packets p = {.len = 0};
    struct iovec in = {(char *)(uintptr_t)"end to end", 10};
    struct pgp_recipient *r;

    assert_int_equal(pgp_recipient_create(k->cert, k->cert_len, &k->verdict, &r), OK);
    assert_int_equal(pgp_seal(&r, 1, &in, 1, packets_sink, &p, NULL), OK);
    pgp_recipient_destroy(r);
    return p;
}

static size_t pgp_mime(char *out, const struct packets *p)
{
    size_t n = (size_t)sprintf(out, "From: bob@example.net\r\nSubject: as published\r\nMIME-Version: 1.0\r\n"
                               "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n"
                               "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
                               "--b\r\nContent-Type: application/octet-stream\r\n\r\n");

    n += armor_encode(p->data, p->len, "MESSAGE", out + n);
    return n + (size_t)sprintf(out + n, "\r\n--b--\r\n");
}

static void check_foreign(bool ours, const struct packets *p)
{
    static char mail[16384];
    size_t len = pgp_mime(mail, p);

    for (size_t piece = 0; piece < 300; piece += 97) {
        struct outcome o = seal(mail, len, piece);
        struct parcel parcel;
        if (!ours) {
            check_sealed(&o, &keys[0], mail, len);
            continue;
        }
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.kind, MESSAGE_FOREIGN);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &parcel), OK);
        check_gate(&o, &parcel);
        assert_int_equal(parcel.packets.len, p->len); /* byte for byte */
        assert_memory_equal(parcel.packets.data, p->data, p->len);
        assert_non_null(memmem(parcel.outer.data, parcel.outer.len, "as published", 12));
        assert_null(memmem(parcel.outer.data, parcel.outer.len, "Sealed-By", 9));
        struct test_session ses;
        uint8_t plain[8192];
        size_t n;
        assert_int_equal(test_open(&keys[0], parcel.capsule.data, parcel.capsule.len, plain, &n, &ses), 0);
        assert_non_null(memmem(plain, n, "192.0.2.1", 9)); /* our Received is kept there */
        parcel_close(&parcel);
        close(o.r.parcel_fd);
    }
}

static void test_foreign(void **state)
{
    struct packets ours = encrypt_to(&keys[0]), stranger = encrypt_to(&keys[2]), junk = {.len = 100};

    check_foreign(true, &ours);
    check_foreign(false, &stranger); /* encrypted, but not for this account: sealed like any other */
    check_foreign(false, &junk);     /* a label alone proves nothing */
    junk = ours;
    junk.data[junk.len++] = 0xcb;    /* something behind the container */
    check_foreign(false, &junk);
    junk = ours;
    junk.len--;
    check_foreign(false, &junk);
}

static void test_foreign_gpg(void **state)
{
    struct packets ours = encrypt_to(&keys[0]);

    use_gpg();
    check_foreign(true, &ours);
    assert_int_equal(gpg.calls, 4); /* the capsules alone */
}

static void test_foreign_append(void **state)
{
    static char mail[16384];
    struct packets ours = encrypt_to(&keys[0]);
    struct iovec iov = {mail, pgp_mime(mail, &ours)};
    struct seal_request q = {.account = alice, .mail = &iov, .mail_n = 1, .mail_len = iov.iov_len, .received = "", .auth_results = "",
                             .tls = "", .now = NOW, .client_append = 1};
    struct outcome o = {0};
    struct seal_op *op;

    assert_int_equal(sealer_start(sealer, &q, on_done, &o, &op), OK);
    assert_int_equal(o.status, OK);
    assert_int_equal(o.r.kind, MESSAGE_CLIENT);
    close(o.r.parcel_fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes), TEST(test_sizes), TEST(test_long_header), TEST(test_policies), TEST(test_threads),
        TEST(test_keys_change), TEST(test_expired_key), TEST(test_no_key), TEST(test_no_account), TEST(test_broken_certificate),
        TEST(test_many_keys), TEST(test_gpg), TEST(test_gpg_fails), TEST(test_gpg_cancel), TEST(test_foreign), TEST(test_foreign_gpg),
        TEST(test_foreign_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
