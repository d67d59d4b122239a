#include "tests/support/sealer_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/approving.h"

static const uint8_t STORE_KEY[32] = {9};

const char RECEIVED[] = "Received: from c ([192.0.2.1])\r\n\tby mx.example.org (Letterlock) with ESMTP\r\n"
                        "\tid 1;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n";

struct gpg_seal_client gpg;

static struct gpg_seal_op gpg_op;

struct test_key keys[3];

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_job *job, void (*done)(void *arg, int status),
                   void *arg, struct gpg_seal_op **ret_op)
{
    if (c->gone)
        return ERR_GONE;
    gpg_op = (struct gpg_seal_op){.n = job->ncerts,
                                  .in = job->in,
                                  .iovcnt = job->iovcnt,
                                  .sink = job->sink,
                                  .sink_arg = job->sink_arg,
                                  .done = done,
                                  .arg = arg};
    for (size_t i = 0; i < job->ncerts; i++) {
        struct pgp_verdict v = {.enc_fpr_len = (uint8_t)job->certs[i].fpr_len, .enc_algo = PGP_ECDH, .native = true};
        memcpy(v.enc_fpr, job->certs[i].fpr, job->certs[i].fpr_len);
        assert_int_equal(pgp_recipient_create(job->certs[i].cert, job->certs[i].len, &v, &gpg_op.to[i]), OK);
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

void gpg_run(void)
{
    while (gpg.pending) {
        struct gpg_seal_op op = gpg_op;
        int err =
            gpg.fail_at == gpg.calls ? ERR_GONE : pgp_seal(op.to, op.n, op.in, op.iovcnt, op.sink, op.sink_arg, NULL);
        gpg_free_op();
        op.done(op.arg, err);
    }
}

struct engine *engine;

static struct record_keys *rkeys;

struct view *view;

struct sealer *sealer;

const char *routed_to;
uint64_t alice;

void write_group(int (*fn)(struct store_write *w, void *arg), void *arg)
{
    static struct store_write w;

    memset(&w, 0, sizeof(w));
    w.keys = rkeys;
    w.now = NOW;
    w.account = alice;
    assert_int_equal(engine_group_begin(engine, &w.t), OK);
    assert_int_equal(fn(&w, arg), OK);
    assert_int_equal(write_end(&w), OK);
    assert_int_equal(engine_group_commit(w.t), OK);
}

struct vault_approval approval_for(struct vault_request q, struct slice cert)
{
    return approval_of(engine, rkeys, STORE_KEY, q, cert);
}

static int add_domain(struct store_write *w, void *arg)
{
    return domain_add(w, "example.org");
}

/* Its steps, each in a group of its own. */
static int begin_account(struct store_write *w, void *arg)
{
    return account_begin(w, arg, &alice);
}

static int fill_account(struct store_write *w, void *arg)
{
    return account_fill(w, arg);
}

static int list_account(struct store_write *w, void *arg)
{
    return account_list(w, arg);
}

static void add_account(struct test_key *k)
{
    struct account_new a = {.address = "alice@example.org",
                            .policy = POLICY_SHY,
                            .verdict = k->verdict,
                            .cert = slice_of(k->cert, k->cert_len)};

    approving_new(engine, rkeys, STORE_KEY, &a);
    write_group(begin_account, &a);
    write_group(fill_account, &a);
    write_group(list_account, &a);
}

int add_key(struct store_write *w, void *arg)
{
    struct test_key *k = arg;
    struct schema_account a;
    int err = schema_get_account(w->t, w->keys, w->account, &a);
    struct slice cert = slice_of(k->cert, k->cert_len);
    const struct vault_approval approval =
        approval_for((struct vault_request){.type = VAULT_KEY_ADD, .account = w->account, .key.verdict = k->verdict},
                     cert);

    return err == OK ? account_key_add(w, &a, &k->verdict, cert, &approval) : err;
}

static void open_store(struct test_key *first)
{
    alice = 0;
    memset(&gpg, 0, sizeof(gpg));
    struct engine *mem;
    assert_int_equal(engine_mem_create(&mem), OK);
    assert_int_equal(engine_fail_wrap(mem, &engine), OK);
    rkeys = record_keys_of_root(STORE_KEY);
    assert_int_equal(store_init(engine, rkeys, NOW), OK);
    write_group(add_domain, NULL);
    add_account(first);
    assert_int_equal(view_over(engine, rkeys, &view), OK);
    sealer = sealer_create(NULL, view, &gpg, "mx.example.org");
    assert_non_null(sealer);
}

int setup(void **state)
{
    for (int i = 0; i < 3; i++) {
        if (test_key_make(&keys[i], 4, PGP_ECDH, test_oid_25519) != 0)
            return -1;
        keys[i].verdict.primary_fpr[0] ^= (uint8_t)i; /* the fixture's primary is always the same */
    }
    open_store(&keys[0]);
    return 0;
}

int teardown(void **state)
{
    sealer_destroy(sealer);
    view_close(view);
    engine_close(engine);
    record_keys_destroy(rkeys);
    for (int i = 0; i < 3; i++)
        test_key_free(&keys[i]);
    return 0;
}

void on_done(void *arg, int status, const struct seal_result *r)
{
    struct outcome *o = arg;

    o->calls++;
    o->status = status;
    assert_true((status == OK) == (r != NULL));
    if (r)
        o->r = *r;
}

int open_fds(void)
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
    struct seal_request q = {.account = alice,
                             .primary = routed_to,
                             .mail = iov,
                             .mail_n = n,
                             .mail_len = len,
                             .received = RECEIVED,
                             .auth_results = "",
                             .tls = "TLSv1.3 X",
                             .now = NOW,
                             .date = NOW};
    kept = o;
    assert_int_equal(sealer_start(sealer, &q, on_done, &kept, op), OK);
    if (*op) {
        assert_int_equal(kept.calls, 0);
        gpg_run();
    }
    return kept;
}

struct outcome seal(const char *mail, size_t len, size_t piece)
{
    static struct iovec iov[8192];
    struct seal_op *op = NULL;
    struct outcome o = seal_begin(mail, len, piece, iov, &op);

    assert_int_equal(o.calls, 1);
    return o;
}

bool keep_wildcard;

void check_gate(const struct outcome *o, const struct parcel *p)
{
    static struct store_write w;
    struct schema_account a;
    struct gate *g;
    struct gate_finding v;
    const char *why = "";

    memset(&w, 0, sizeof(w));
    w.keys = rkeys;
    w.account = alice;
    assert_int_equal(gate_create(slice_of("", 0), &g), OK);
    gate_keep_wildcard(g, keep_wildcard);
    assert_int_equal(engine_group_begin(engine, &w.t), OK);
    assert_int_equal(schema_get_account(w.t, rkeys, alice, &a), OK);
    if (gate_check(g, &w, &a, o->r.kind, p, &v, &why) != OK)
        fail_msg("the gate refuses: %s\n%.*s", why, (int)p->outer.len, (const char *)p->outer.data);
    engine_group_abort(w.t);
    gate_destroy(g);
}

void check_sealed(struct outcome *o, const struct test_key *k, const char *mail, size_t len)
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

void use_gpg(void)
{
    keys[0].verdict.native = false;
    write_group(add_key, &keys[0]);
}
