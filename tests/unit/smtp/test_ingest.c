/* Sessions of the ingest role against a real vault over a store in memory, all on one loop; only the gpg role is
 * played here. The client is this test, octet for octet. */
#include "tests/unit/crypto/pgp_open.h" /* OpenSSL's headers come before error.h */

#include "tests/unit/vault/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "crypto/header_protection.h"
#include "server/ingest/ingest.h"

/* ---- the gpg role's part: asked for and never answered, or gone ---- */

struct gpg_seal_client { int gone; void (*done)(void *arg, int status); void *arg; };
static struct gpg_seal_client fake_gpg;

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_cert *certs, size_t ncerts, const struct iovec *in, size_t iovcnt,
                   pgp_sink *sink, void *sink_arg, void (*done)(void *arg, int status), void *arg, struct gpg_seal_op **ret_op)
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

void gpg_seal_client_channel(struct gpg_seal_client *c, int fd)
{
    close(fd);
}

/* ---- the house ---- */

static struct bench b;
static struct ingest in;
static struct view *view;
static struct test_key key, odd_key;
static uint64_t alice, bob, odd;

struct talker { int fd; struct watch *watch; char text[65536]; size_t len; bool over; };

static uint64_t add_account(const char *address, uint64_t quota, const struct test_key *k)
{
    uint8_t packed[PGP_VERDICT_SIZE];
    int fd;
    uint64_t id;

    pgp_verdict_pack(&k->verdict, packed);
    PACK(p);
    pack_str(&p, address);
    pack_u8(&p, POLICY_SHY);
    pack_u64(&p, quota);
    pack_u8(&p, 0);
    pack_raw(&p, packed, sizeof(packed));
    pack_u32(&p, (uint32_t)k->cert_len);
    assert_int_equal(parcel_make_plain(k->cert, k->cert_len, &fd), OK);
    assert_int_equal(call(&b, VAULT_ACCOUNT_ADD, &p, fd), OK);
    close(fd);
    id = unpack_u64(&b.body);
    return id;
}

static void add_alias(const char *alias, uint64_t account, uint8_t kind)
{
    PACK(p);
    pack_str(&p, alias);
    pack_u8(&p, kind);
    pack_u64(&p, account);
    assert_int_equal(call(&b, VAULT_ADDRESS_ADD, &p, -1), OK);
}

static void connect_vault(void)
{
    int pair[2];

    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], false), OK);
    vault_client_channel(in.vault, pair[1]);
}

static int setup(void **state)
{
    memset(&in, 0, sizeof(in));
    memset(&fake_gpg, 0, sizeof(fake_gpg));
    if (!key.priv && (test_key_make(&key, 4, PGP_ECDH, test_oid_25519) != 0 || test_key_make(&odd_key, 4, PGP_ECDH, test_oid_25519) != 0))
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
    in.loop = b.loop;
    in.view = view;
    in.vault = vault_client_create(b.loop, NULL, NULL);
    connect_vault();
    in.peers = peers_create(64);
    in.sealer = sealer_create(b.loop, view, &fake_gpg, in.config.domain);
    return 0;
}

static int teardown(void **state)
{
    while (in.sessions)
        smtp_session_destroy(in.sessions);
    /* Whatever happened: no plaintext, no promise and no session is left. */
    assert_int_equal(in.plaintext, 0);
    assert_int_equal(in.nsessions, 0);
    assert_int_equal(quota_reserved(alice), 0);
    assert_int_equal(quota_reserved(bob), 0);
    store_recount(b.engine, b.keys, alice);
    sealer_destroy(in.sealer);
    vault_client_destroy(in.vault);
    peers_destroy(in.peers);
    view_close(view);
    bench_close(&b);
    return 0;
}

/* ---- the client ---- */

static void on_readable(void *arg, unsigned events)
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

static void on_tick(void *arg)
{
    *(bool *)arg = true;
    loop_stop(b.loop);
}

static void run_ms(uint64_t ms)
{
    bool late = false;
    struct timer *t = timer_create_in(b.loop, on_tick, &late);

    timer_set(t, ms);
    while (!late)
        loop_run(b.loop);
    timer_destroy(t);
}

static struct talker *dial_from(const char *addr)
{
    struct talker *t = calloc(1, sizeof(*t));
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
    int pair[2];

    sin->sin_family = AF_INET;
    inet_pton(AF_INET, addr, &sin->sin_addr);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    t->fd = pair[1];
    t->watch = watch_create(b.loop, t->fd, LOOP_READ, on_readable, t);
    assert_int_equal(peers_enter(in.peers, &ss, 50), OK);
    smtp_session_open(&in, pair[0], &ss);
    return t;
}

static void hang_up(struct talker *t)
{
    watch_destroy(t->watch);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

static void say_len(struct talker *t, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(t->fd, text, len);
        if (n < 0)
            run_ms(1);
        else
            text += n, len -= (size_t)n;
    }
}

static void say(struct talker *t, const char *text)
{
    say_len(t, text, strlen(text));
}

/* Waits until the last line begins so; forgets what came. */
static void expect(struct talker *t, const char *want)
{
    bool late = false;
    struct timer *timer = timer_create_in(b.loop, on_tick, &late);
    const char *last;

    timer_set(timer, 5000);
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

static struct talker *dial(void)
{
    struct talker *t = dial_from("192.0.2.1");

    expect(t, "220 mx.example.org ESMTP");
    say(t, "EHLO c\r\n");
    expect(t, "250 ENHANCEDSTATUSCODES");
    return t;
}

static unsigned stored(uint64_t account)
{
    struct schema_usage u;
    struct engine_txn *t;

    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_usage(t, account, &u), OK);
    assert_int_equal(engine_read_end(t), OK);
    return (unsigned)u.messages;
}

#define FROM "MAIL FROM:<x@example.net>\r\n"
#define TO(who) "RCPT TO:<" who "@example.org>\r\n"
#define BODY "Subject: hello\r\n\r\nHello\r\n.\r\n"

static void send_to_alice(struct talker *t, const char *want)
{
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, want);
}

/* The last message of an account, opened: the payload as sealed. */
static size_t open_last(uint64_t account, char *out)
{
    struct schema_account a;
    struct schema_message m;
    struct test_session ses;
    static uint8_t packets[1 << 20];
    size_t n;

    assert_int_equal(view_begin(view), OK);
    assert_int_equal(view_account(view, account, &a), OK);
    assert_int_equal(view_message(view, account, a.message_next - 1, &m, NULL), OK);
    assert_int_equal(view_blob(view, account, m.id, 0, packets, m.packets_len), OK);
    assert_int_equal(view_end(view), OK);
    assert_int_equal(test_open(&key, packets, m.packets_len, (uint8_t *)out, &n, &ses), 0);
    out[n] = '\0';
    return n;
}

/* ---- tests ---- */

static void test_accept(void **state)
{
    static char text[65536];
    struct talker *t = dial();
    size_t n, original;

    send_to_alice(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(alice), 1);
    n = open_last(alice, text);
    assert_non_null(strstr(text, "Received: from c ([192.0.2.1])\r\n\tby mx.example.org (Letterlock) with ESMTP\r\n\tid "));
    assert_non_null(strstr(text, "\r\n\tfor <alice@example.org>;\r\n\t"));
    assert_int_equal(header_unprotect((uint8_t *)text, n, &original), OK);
    assert_memory_equal(text, "Subject: hello\r\n\r\nHello\r\n", original);
    assert_int_equal(in.counters[COUNT_ACCEPTED], 1);
    assert_int_equal(in.counters[COUNT_SEALED], 1);
    assert_int_equal(in.counters[COUNT_BYTES], 25);
    assert_int_equal(in.plaintext, 0);
    hang_up(t);
}

static void test_many(void **state)
{
    struct talker *t = dial();
    static char text[65536];

    /* Two names of one account are one copy; several recipients are not named in Received. */
    say(t, FROM TO("alice") TO("al") TO("bob") TO("Alice+tag") "BDAT 3 LAST\r\nx\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 1);
    open_last(bob, text);
    assert_null(strstr(text, "\tfor <"));
    /* Many messages in one session, and in one write. */
    for (int i = 0; i < 50; i++)
        say(t, FROM TO("alice") "BDAT 12 LAST\r\nSubject: y\r\n");
    say(t, "NOOP\r\n");
    expect(t, "250 2.0.0 OK");
    assert_int_equal(stored(alice), 2); /* the same content from the same sender: the delivery id knows it */
    for (int i = 0; i < 50; i++) {
        char m[100];
        snprintf(m, sizeof(m), FROM TO("alice") "BDAT 14 LAST\r\nSubject: %03d\r\n", i);
        say(t, m);
    }
    say(t, "NOOP\r\n");
    expect(t, "250 2.0.0 OK");
    assert_int_equal(stored(alice), 52);
    hang_up(t);
}

static void say_big(struct talker *t, size_t lines)
{
    char line[102];

    memset(line, 'x', 100);
    memcpy(line + 100, "\r\n", 2);
    for (size_t i = 0; i < lines; i++)
        say_len(t, line, sizeof(line));
}

/* More recipients than may wait for the vault at once, and a message that is sealed with pauses. */
static void test_crowd(void **state)
{
    struct talker *t = dial();
    char line[100];
    uint64_t ids[40];

    for (int i = 0; i < 40; i++) {
        snprintf(line, sizeof(line), "user%d@example.org", i);
        ids[i] = add_account(line, 0, &key);
    }
    for (int big = 0; big < 2; big++) {
        say(t, FROM);
        for (int i = 0; i < 40; i++) {
            snprintf(line, sizeof(line), "RCPT TO:<user%d@example.org>\r\n", i);
            say(t, line);
        }
        say(t, "DATA\r\n");
        expect(t, "354 ");
        if (big)
            say_big(t, 10000);
        say(t, BODY);
        expect(t, "250 2.0.0 Accepted");
        for (int i = 0; i < 40; i++)
            assert_int_equal(stored(ids[i]), big + 1);
    }
    hang_up(t);
}

static void test_recipients(void **state)
{
    static const struct { const char *rcpt, *want; enum ingest_counter c; } cases[] = {
        {"nobody@example.org", "550 5.1.1 ", COUNT_NO_USER}, {"alice@example.net", "550 5.7.1 ", COUNT_RELAY},
        {"full@example.org", "452 4.2.2 ", COUNT_QUOTA}, {"\"a b\"@example.org", "550 5.1.", COUNT_NO_USER},
        {"a@[192.0.2.1]", "550 5.", COUNT_RELAY},
    };
    struct talker *t = dial();
    char line[200];

    say(t, "MAIL FROM:<x@example.net> SIZE=1000\r\n");
    expect(t, "250 2.1.0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", cases[i].rcpt);
        say(t, line);
        expect(t, cases[i].want);
    }
    say(t, "RCPT TO:<ALICE@EXAMPLE.ORG>\r\n");
    expect(t, "250 2.1.5");
    say(t, "RSET\r\nMAIL FROM:<x@example.net> SIZE=3000000\r\n");
    expect(t, "552 5.3.4");
    in.config.recipients_max = 1; /* of new sessions */
    struct talker *u = dial();
    say(u, FROM TO("alice") TO("bob"));
    expect(u, "452 4.5.3");
    hang_up(u);
    hang_up(t);
}

static void test_quota_reserved(void **state)
{
    uint64_t carol = add_account("carol@example.org", 100000, &key);
    struct talker *t = dial(), *u = dial();

    /* What one session was promised, another is not. */
    say(t, "MAIL FROM:<x@example.net> SIZE=90000\r\n" TO("carol"));
    expect(t, "250 2.1.5");
    assert_int_equal(quota_reserved(carol), 90000);
    say(u, "MAIL FROM:<x@example.net> SIZE=20000\r\n" TO("carol"));
    expect(u, "452 4.2.2");
    say(t, "RSET\r\n");
    expect(t, "250 2.0.0");
    say(u, TO("carol"));
    expect(u, "250 2.1.5");
    hang_up(t);
    hang_up(u);
    run_ms(20);
    assert_int_equal(quota_reserved(carol), 0);
}

/* The store fails at every possible write in turn: never 250, never half a message; the retry brings what is missing
 * and no doubles. */
static void test_store_fails(void **state)
{
    struct talker *t = dial();
    unsigned failures = 0, na = 0, nb = 0;

    for (uint64_t nth = 1; nth < 60; nth++) {
        char m[300];
        snprintf(m, sizeof(m), FROM TO("alice") TO("bob") "BDAT 14 LAST\r\nSubject: %03u\r\n", (unsigned)nth);
        engine_fail_at(b.fail, nth, nth % 2 ? ERR_FULL : ERR_IO);
        say(t, m);
        bool late = false;
        struct timer *timer = timer_create_in(b.loop, on_tick, &late);
        timer_set(timer, 5000);
        while (!late && !strstr(t->text, "Accepted") && !strstr(t->text, "45"))
            loop_run(b.loop);
        timer_destroy(timer);
        assert_false(late);
        bool ok = strstr(t->text, "250 2.0.0 Accepted") != NULL;
        t->len = 0;
        t->text[0] = '\0';
        engine_fail_at(b.fail, 0, OK);
        if (ok) {
            assert_int_equal(stored(alice), na + 1);
            assert_int_equal(stored(bob), nb + 1);
        } else {
            failures++;
            say(t, m);
            expect(t, "250 2.0.0 Accepted");
        }
        na++, nb++;
        assert_int_equal(stored(alice), na);
        assert_int_equal(stored(bob), nb);
    }
    assert_true(failures > 1); /* most are mended by the vault, which runs a spoilt group again, one request each */
    hang_up(t);
}

static void test_vault_returns(void **state)
{
    struct talker *t = dial();

    /* The vault's channel is lost while a message comes; the next one brings it home. */
    vault_client_channel(in.vault, dup(open("/dev/null", O_RDONLY)));
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    run_ms(50);
    assert_int_equal(t->len, 0);
    connect_vault();
    expect(t, "250 2.0.0 Accepted");
    assert_int_equal(stored(alice), 1);
    hang_up(t);
}

static void test_size(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 21000);
    assert_int_equal(in.counters[COUNT_SIZE], 1);
    assert_int_equal(in.plaintext, 0); /* long before the end */
    say(t, ".\r\n");
    expect(t, "552 5.3.4");
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 20000);
    say(t, ".\r\n");
    expect(t, "250 2.0.0");
    hang_up(t);
}

static void test_budget(void **state)
{
    struct talker *t = dial(), *u, *other;

    /* One peer's share is used up; another peer is not affected; in all there is an end as well. */
    in.config.plaintext_budget_peer = 1 << 20;
    in.config.plaintext_budget = 3 << 19;
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 8000); /* 816,000 octets stay in flight */
    run_ms(20);
    assert_true(in.plaintext >= 816000 && in.plaintext < 1 << 20);
    u = dial();
    say(u, FROM TO("alice") "DATA\r\n");
    expect(u, "354 ");
    say_big(u, 5000);
    say(u, ".\r\n");
    expect(u, "452 4.3.1");
    other = dial_from("192.0.2.2");
    expect(other, "220 ");
    say(other, "HELO c\r\n" FROM TO("bob") "DATA\r\n");
    expect(other, "354 ");
    say_big(other, 5000);
    say(other, ".\r\n");
    expect(other, "250 2.0.0");
    say(other, FROM TO("bob") "DATA\r\n");
    expect(other, "354 ");
    say_big(other, 9000); /* within its share, past what is left in all */
    say(other, ".\r\n");
    expect(other, "452 4.3.1");
    say(other, "MAIL FROM:<x@example.net> SIZE=1000000\r\n");
    expect(other, "452 4.3.1"); /* said before it comes */
    say(t, ".\r\n");
    expect(t, "250 2.0.0");
    assert_int_equal(in.plaintext, 0);
    assert_int_equal(in.counters[COUNT_BUDGET], 3);
    hang_up(t);
    hang_up(u);
    hang_up(other);
}

static void test_loop(void **state)
{
    struct talker *t = dial();

    for (int n = 50; n <= 51; n++) {
        say(t, FROM TO("alice") "DATA\r\n");
        expect(t, "354 ");
        for (int i = 0; i < n; i++)
            say(t, i % 2 ? "RECEIVED \t: x\r\n\tReceived: folded\r\n" : "Received: from a by b; now\r\n");
        say(t, "Received-Not: x\r\n\r\nReceived: body\r\n.\r\n");
        expect(t, n == 50 ? "250 " : "554 5.4.6");
    }
    hang_up(t);
}

static void test_bare(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, "x\r\n.\nMAIL FROM:<evil@x>\r\n.\r\n");
    expect(t, "554 5.6.0");
    assert_int_equal(in.counters[COUNT_BARE], 1);
    assert_int_equal(stored(alice), 0);
    hang_up(t);
}

/* A key that only the gpg role seals to. */
static void test_gpg(void **state)
{
    struct talker *t = dial();

    fake_gpg.gone = 1;
    say(t, FROM TO("odd") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "451 4.3.0");
    fake_gpg.gone = 0;
    /* Under way when it dies; the other recipient of the message has it already, and once only. */
    for (int i = 0; i < 2; i++) {
        say(t, FROM TO("alice") TO("odd") TO("bob") "DATA\r\n");
        expect(t, "354 ");
        say(t, BODY);
        run_ms(20);
        assert_non_null(fake_gpg.done);
        assert_true(in.plaintext > 0);
        fake_gpg.done(fake_gpg.arg, ERR_GONE);
        expect(t, "451 4.3.0");
        assert_int_equal(in.plaintext, 0);
        assert_int_equal(stored(alice), 1);
        assert_int_equal(stored(bob), 1);
        assert_int_equal(stored(odd), 0);
    }
    hang_up(t);
}

/* A role that hangs, as a process stuck in the kernel would: 451 in the end, nothing held, and the retry makes no double. */
static void test_stall(void **state)
{
    struct talker *t = dial();
    int pair[2];

    in.stall_ms = 300;
    say(t, FROM TO("alice") TO("odd") TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "451 4.3.0");
    assert_null(fake_gpg.done); /* cancelled */
    assert_int_equal(in.plaintext, 0);
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 0);
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(in.vault, pair[1]); /* nobody reads at the other end */
    send_to_alice(t, "451 4.3.0");
    assert_int_equal(in.plaintext, 0);
    close(pair[0]);
    connect_vault();
    say(t, FROM TO("alice") TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "250 2.0.0");
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 1);
    hang_up(t);
}

static void test_client_goes(void **state)
{
    struct talker *t = dial();

    /* In the middle of content, and while a seal is under way. */
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, "half");
    run_ms(10);
    hang_up(t);
    run_ms(10);
    assert_int_equal(in.nsessions, 0);
    assert_int_equal(in.plaintext, 0);
    t = dial();
    say(t, FROM TO("odd") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    run_ms(10);
    assert_non_null(fake_gpg.done);
    smtp_session_destroy(in.sessions);
    assert_null(fake_gpg.done);
    assert_int_equal(in.plaintext, 0);
    hang_up(t);
}

/* A client that says everything at once and closes its side still gets every reply. */
static void test_half_close(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "BDAT 12 LAST\r\nSubject: y\r\n" FROM TO("bob") "BDAT 12 LAST\r\nSubject: y\r\nQUIT\r\n");
    assert_int_equal(shutdown(t->fd, SHUT_WR), 0);
    expect(t, "221 2.0.0");
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 1);
    run_ms(20);
    assert_int_equal(in.nsessions, 0);
    hang_up(t);
}

static void test_stop(void **state)
{
    struct talker *idle = dial(), *busy = dial();

    say(busy, FROM TO("odd") "DATA\r\n");
    expect(busy, "354 ");
    say(busy, BODY);
    run_ms(20);
    in.stopping = true;
    for (struct session *s = in.sessions, *next; s; s = next) {
        next = s->next;
        smtp_session_stop(s);
    }
    expect(idle, "421 4.3.2");
    assert_int_equal(busy->len, 0);
    fake_gpg.done(fake_gpg.arg, ERR_GONE);
    run_ms(20);
    assert_non_null(strstr(busy->text, "451 4.3.0"));
    assert_non_null(strstr(busy->text, "421 4.3.2"));
    hang_up(idle);
    hang_up(busy);
}

static void test_timeouts(void **state)
{
    in.config.smtp_command_timeout = in.config.smtp_data_timeout = 1;
    struct talker *t = dial(), *u = dial();

    say(u, FROM TO("alice") "DATA\r\n");
    expect(u, "354 ");
    for (int i = 0; i < 3; i++) { /* one that keeps sending is not timed out */
        run_ms(500);
        say(u, "x\r\n");
    }
    expect(t, "421 4.4.2");
    expect(u, "421 4.4.2");
    assert_int_equal(in.counters[COUNT_TIMEOUTS], 2);
    in.config.smtp_session_timeout = 1;
    in.config.smtp_command_timeout = 100;
    struct talker *w = dial();
    for (int i = 0; i < 4 && !w->over && !strstr(w->text, "421"); i++) {
        say(w, "NOOP\r\n");
        run_ms(400);
    }
    assert_non_null(strstr(w->text, "421 4.4.2"));
    hang_up(t);
    hang_up(u);
    hang_up(w);
}

static void test_xclient(void **state)
{
    static char text[65536];
    struct talker *t = dial_from("192.0.2.7"), *no = dial();

    say(no, "XCLIENT ADDR=198.51.100.9\r\n");
    expect(no, "550 5.7.0");
    expect(t, "220 ");
    say(t, "XCLIENT ADDR=IPv6:2001:db8::5 HELO=far.example.net PROTO=ESMTP\r\n");
    expect(t, "220 ");
    send_to_alice(t, "250 2.0.0");
    open_last(alice, text);
    assert_non_null(strstr(text, "Received: from far.example.net ([IPv6:2001:db8::5])\r\n"));
    hang_up(t);
    hang_up(no);
    run_ms(20);
}

/* Replies that nobody reads do not pile up. */
static void test_never_reads(void **state)
{
    struct talker *t = dial();
    uint64_t before = 0;

    watch_set(t->watch, 0);
    for (int i = 0; i < 200000; i++) {
        ssize_t n = write(t->fd, "EHLO c\r\n", 8);
        if (n != 8) {
            if (before++ > 200)
                break;
            run_ms(1);
        }
    }
    assert_true(before > 200); /* we were stopped, not swallowed without end */
    assert_int_equal(in.nsessions, 1);
    hang_up(t);
    run_ms(20);
    assert_int_equal(in.nsessions, 0);
}

static void test_received(void **state)
{
    struct smtp_envelope env = {.helo = "weird_name", .sender = "", .esmtp = true, .tls = true, .smtputf8 = true};
    struct sockaddr_storage ss = {.ss_family = AF_INET6};
    char out[RECEIVED_MAX];

    received_make(&env, &ss, "mx.example.org", "TLSv1.3 TLS_AES_256_GCM_SHA384", "abc", NULL, 1792000000, out);
    assert_string_equal(out, "Received: from [IPv6:::] ([IPv6:::])\r\n\tby mx.example.org (Letterlock) with UTF8SMTPS\r\n"
                        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid abc;\r\n\tWed, 14 Oct 2026 17:46:40 +0000\r\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_accept), TEST(test_many), TEST(test_crowd), TEST(test_recipients), TEST(test_quota_reserved), TEST(test_store_fails), TEST(test_vault_returns),
        TEST(test_size), TEST(test_budget), TEST(test_loop), TEST(test_bare), TEST(test_gpg), TEST(test_stall), TEST(test_client_goes), TEST(test_half_close),
        TEST(test_stop), TEST(test_timeouts), TEST(test_xclient), TEST(test_never_reads), cmocka_unit_test(test_received),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return r;
}
