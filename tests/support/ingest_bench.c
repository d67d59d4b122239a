#include "tests/support/ingest_bench.h"
#include "tests/support/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/base/debts.h"
#include "server/ingest/submission/pace.h"
#include "server/ingest/smtp/errors.h"

struct gpg_seal_client fake_gpg;

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_job *job, void (*done)(void *arg, int status),
                   void *arg, struct gpg_seal_op **ret_op)
{
    if (c->gone)
        return ERR_GONE;
    c->done = done;
    c->arg = arg;
    *ret_op = (struct gpg_seal_op *)c;
    return OK;
}

void gpg_seal_cancel(struct gpg_seal_op *op)
{
    fake_gpg.done = NULL;
}

struct gpg_seal_client *gpg_seal_client_create(struct loop *l)
{
    return &fake_gpg;
}

void gpg_seal_client_destroy(struct gpg_seal_client *c)
{
}

struct gpg_seal_counts gpg_seal_counts(const struct gpg_seal_client *c)
{
    return (struct gpg_seal_counts){0};
}

void gpg_seal_client_channel(struct gpg_seal_client *c, int fd)
{
    close(fd);
}

struct bench b;

struct ingest in;

struct view *view;

struct test_key key, odd_key;

uint64_t alice, bob, odd;

uint64_t add_account(const char *address, uint64_t quota, const struct test_key *k)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_ADD,
                                    .new = {.address = slice_str(address),
                                            .policy = POLICY_SHY,
                                            .quota = quota,
                                            .verdict = k->verdict,
                                            .cert_len = (uint32_t)k->cert_len}};

    assert_int_equal(request_cert(&b, &q, k->cert, k->cert_len), OK);
    return b.r.account;
}

void add_alias(const char *alias, uint64_t account, uint8_t kind)
{
    const struct vault_request q = {.type = VAULT_ADDRESS_ADD, .account = account, .name = {slice_str(alias), kind}};

    assert_int_equal(request(&b, &q, -1), OK);
}

void connect_vault(void)
{
    int pair[2];

    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_INGEST), OK);
    vault_client_channel(in.depositor.vault, pair[1]);
}

static struct peers *peers;

void use_limits(void)
{
    places_limit(in.places, &(struct places_limits){.sessions = 1000,
                                                    .octets = in.config.plaintext_budget,
                                                    .sessions_peer = 50,
                                                    .octets_peer = in.config.plaintext_budget_peer,
                                                    .octets_always = in.config.plaintext_budget_peer});
}

int setup(void **state)
{
    memset(&in, 0, sizeof(in));
    memset(&fake_gpg, 0, sizeof(fake_gpg));
    if (!key.priv && (test_key_make(&key, 4, PGP_ECDH, test_oid_25519) != 0 ||
                      test_key_make(&odd_key, 4, PGP_ECDH, test_oid_25519) != 0))
        return -1;
    odd_key.verdict.native = false;
    bench_mem(&b, true);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    alice = add_account("alice@example.org", 0, &key);
    bob = add_account("bob@example.org", 0, &key);
    odd = add_account("odd@example.org", 0, &odd_key);
    add_account("full@example.org", 1, &key);
    add_alias("al@example.org", alice, ADDRESS_ALIAS);
    assert_int_equal(view_over(b.engine, b.keys, &view), OK);
    config_defaults(&in.config);
    strcpy(in.config.domain, "mx.example.org");
    strcpy(in.config.xclient_hosts, "192.0.2.7, 127.0.0.1");
    in.config.message_max = 2 << 20;
    in.stall_ms = 30000;
    in.closing_ms = 60000;
    in.vain_ms = DEBTS_WAIT_MS;
    nonces_init(&in.nonces);
    in.loop = b.loop;
    in.view = view;
    in.depositor.vault = vault_client_create(b.loop, NULL, NULL);
    told_seen_init(&in.seen, b.loop, in.depositor.vault);
    connect_vault();
    peers = peers_create(64);
    in.debts = debts_create(NULL, DEBTS_PEERS);
    debts_limits(in.debts, in.config.smtp_errors_peer, in.config.smtp_errors_minute);
    in.pacing = submission_pacing_create(NULL);
    submission_pacing_limits(in.pacing, &in.config);
    in.places = places_create(&(struct places_params){
        .loop = b.loop, .peers = peers, .may_end = smtp_session_may_end, .end = smtp_session_end});
    use_limits();
    in.gpg = &fake_gpg;
    in.depositor.sealer = sealer_create(b.loop, view, &fake_gpg, in.config.domain);
    in.content = content_hash_create(view_keys(view));
    return 0;
}

int teardown(void **state)
{
    while (in.sessions)
        smtp_session_destroy(in.sessions);
    /* Whatever happened: no plaintext, no promise and no session is left. */
    assert_int_equal(budget_taken(in.places), 0);
    assert_int_equal(places_sessions(in.places), 0);
    assert_int_equal(transaction_quota_reserved(alice), 0);
    assert_int_equal(transaction_quota_reserved(bob), 0);
    store_recount(b.engine, b.keys, alice);
    sealer_destroy(in.depositor.sealer);
    content_hash_destroy(in.content);
    told_seen_free(&in.seen);
    vault_client_destroy(in.depositor.vault);
    places_destroy(in.places);
    smtp_errors_say(&in);
    submission_pacing_say(&in);
    submission_pacing_destroy(in.pacing);
    debts_destroy(in.debts);
    peers_destroy(peers);
    view_close(view);
    bench_close(&b);
    return 0;
}

void on_readable(void *arg, unsigned events)
{
    struct talker *t = arg;
    ssize_t n = read(t->fd, t->text + t->len, sizeof(t->text) - 1 - t->len);

    if (n > 0)
        t->len += (size_t)n;
    else
        t->over = true;
    t->text[t->len] = '\0';
    if (t->over)
        watch_set(t->watch, 0);
    loop_stop(b.loop);
}

void on_tick(void *arg)
{
    *(bool *)arg = true;
    loop_stop(b.loop);
}

void run_ms(uint64_t ms)
{
    bool late = false;
    struct timer *t = timer_create_in(b.loop, on_tick, &late);

    timer_set(t, ms);
    while (!late)
        loop_run(b.loop);
    timer_destroy(t);
}

int small_socket;

struct talker *dial_to(const struct smtp_receiver *kind, const char *addr)
{
    struct talker *t = calloc(1, sizeof(*t));
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
    uint32_t on;
    int pair[2];

    sin->sin_family = AF_INET;
    inet_pton(AF_INET, addr, &sin->sin_addr);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    if (small_socket)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small_socket, sizeof(small_socket));
    t->fd = pair[1];
    t->watch = watch_create(b.loop, t->fd, LOOP_READ, on_readable, t);
    assert_int_equal(places_enter(in.places, &ss, &on), OK);
    smtp_session_open(&in, kind, pair[0], &ss, on, false);
    return t;
}

struct talker *dial_from(const char *addr)
{
    return dial_to(&mx_receiver, addr);
}

void hang_up(struct talker *t)
{
    watch_destroy(t->watch);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

void say_len(struct talker *t, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(t->fd, text, len);
        if (n < 0)
            run_ms(1);
        else
            text += n, len -= (size_t)n;
    }
}

void say(struct talker *t, const char *text)
{
    say_len(t, text, strlen(text));
}

void expect(struct talker *t, const char *want)
{
    bool late = false;
    struct timer *timer = timer_create_in(b.loop, on_tick, &late);
    const char *last;

    timer_set(timer, PATIENCE_MS);
    for (;;) {
        last = t->len > 1 ? memrchr(t->text, '\n', t->len - 1) : NULL;
        last = last ? last + 1 : t->text;
        if (t->len && t->text[t->len - 1] == '\n' && strncmp(last, want, strlen(want)) == 0)
            break;
        if (late || t->over)
            fail_msg("expected %s, got: %s%s", want, t->text, t->over ? "(end)" : "");
        loop_run(b.loop);
    }
    timer_destroy(timer);
    t->len = 0;
    t->text[0] = '\0';
}

struct talker *dial(void)
{
    struct talker *t = dial_from("192.0.2.1");

    expect(t, "220 mx.example.org ESMTP");
    say(t, "EHLO c\r\n");
    expect(t, "250 ENHANCEDSTATUSCODES");
    return t;
}

unsigned stored(uint64_t account)
{
    struct schema_usage u;
    struct engine_txn *t;

    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_usage(t, b.keys, account, &u), OK);
    assert_int_equal(engine_read_end(t), OK);
    return (unsigned)u.messages;
}

void send_to_alice(struct talker *t, const char *want)
{
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, want);
}

size_t open_last(uint64_t account, char *out)
{
    struct schema_usage u;
    struct schema_message m;
    struct test_session ses;
    static uint8_t packets[1 << 20];
    size_t n = 0;

    assert_int_equal(view_begin(view), OK);
    assert_int_equal(view_usage(view, account, &u), OK);
    assert_int_equal(view_message(view, account, u.number_next - 1, &m, NULL), OK);
    assert_int_equal(view_packets(view, account, &m, 0, packets, m.packets_len), OK);
    assert_int_equal(view_end(view), OK);
    assert_int_equal(test_open(&key, packets, m.packets_len, (uint8_t *)out, &n, &ses), 0);
    out[n] = '\0';
    return n;
}
