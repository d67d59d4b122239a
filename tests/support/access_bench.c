#include "tests/support/access_bench.h"
#include "tests/support/patience.h"

#include <errno.h>
#include <netinet/tcp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct bench bench;

struct access acc;

int seal_status;
char sealed_for[ADDRESS_MAX];

bool seal_foreign;

size_t seal_len = 500;

size_t sealed_mail_len;

bool seal_later;

struct seal_op held;

static void seal_answer(seal_done_fn *done, void *arg)
{
    struct seal_result r = {.kind = MESSAGE_SERVER_SEALED};
    if (!seal_status)
        r.parcel_fd = parcel_of(OUTER, 1, seal_len);
    done(arg, seal_status, seal_status ? NULL : &r);
}

int sealer_start(struct sealer *s, const struct seal_request *q, seal_done_fn *done, void *arg, struct seal_op **ret_op)
{
    sealed_mail_len = q->mail_len;
    snprintf(sealed_for, sizeof(sealed_for), "%s", q->primary ? q->primary : "anybody");
    *ret_op = NULL;
    if (!seal_foreign && q->plain_max && q->mail_len > q->plain_max) {
        done(arg, ERR_LIMIT, NULL);
        return OK;
    }
    if (!seal_later) {
        seal_answer(done, arg);
        return OK;
    }
    assert_null(held.done);
    held = (struct seal_op){done, arg};
    *ret_op = &held;
    return OK;
}

void seal_finish(void)
{
    struct seal_op op = held;
    assert_non_null(op.done);
    held = (struct seal_op){0};
    seal_answer(op.done, op.arg);
}

void sealer_cancel(struct seal_op *op)
{
    assert_ptr_equal(op, &held);
    assert_non_null(op->done);
    *op = (struct seal_op){0};
}

static bool satisfied(const struct client_end *c)
{
    const char *u = c->until;
    if (c->closed || !u || c->len < 2 || memcmp(c->text + c->len - 2, "\r\n", 2) != 0)
        return c->closed;
    return memmem(c->text, c->len, u, strlen(u)) || (u[0] == '\n' && strncmp(c->text, u + 1, strlen(u + 1)) == 0);
}

static void client_read(void *arg, unsigned events)
{
    struct client_end *c = arg;
    for (;;) {
        if (c->cap - c->len < 65536) {
            c->cap = c->cap * 2 + 131072;
            c->text = realloc(c->text, c->cap);
            assert_non_null(c->text);
        }
        ssize_t n = read(c->fd, c->text + c->len, c->slow ? c->slow : 65535);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            c->closed = true;
            watch_set(c->watch, 0);
            break;
        }
        if (n < 0)
            break;
        c->len += (size_t)n;
        if (c->slow)
            break;
    }
    c->text[c->len] = 0;
    if (satisfied(c))
        loop_stop(bench.loop);
}

static void client_late(void *arg)
{
    ((struct client_end *)arg)->late = true;
    loop_stop(bench.loop);
}

static int tcp_pair(int *ret_client)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&sin, &len), 0);
    assert_int_equal(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    assert_int_equal(connect(c, (struct sockaddr *)&sin, sizeof(sin)), 0);
    int s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(s >= 0);
    close(l);
    fcntl(c, F_SETFL, O_NONBLOCK);
    *ret_client = c;
    return s;
}

const char *wait_for(struct client_end *c, const char *until)
{
    c->until = until;
    c->late = false;
    timer_set(c->limit, PATIENCE_MS);
    if (!satisfied(c))
        assert_int_equal(loop_run(bench.loop), OK);
    timer_set(c->limit, 0);
    if (c->late)
        print_error("waited for \"%s\", have: %.2000s\n", until ? until : "(end)", c->text ? c->text : "");
    assert_false(c->late);
    return c->text;
}

void client_open(struct client_end *c)
{
    memset(c, 0, sizeof(*c));
    int server = tcp_pair(&c->fd);
    c->watch = watch_create(bench.loop, c->fd, LOOP_READ, client_read, c);
    c->limit = timer_create_in(bench.loop, client_late, c);
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    assert_int_equal(getpeername(server, (struct sockaddr *)&peer, &len), 0);
    uint32_t on;
    assert_int_equal(places_enter(acc.places, &peer, &on), OK);
    imap_serve(&acc, server, &peer, on, false);
    wait_for(c, "\r\n");
}

void client_close(struct client_end *c)
{
    watch_destroy(c->watch);
    timer_destroy(c->limit);
    close(c->fd);
    free(c->text);
}

void send_bytes(struct client_end *c, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(c->fd, p, len);
        if (n < 0 && errno == EAGAIN) { /* let the server read */
            c->until = NULL;
            timer_set(c->limit, 5);
            loop_run(bench.loop);
            continue;
        }
        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

const char *say(struct client_end *c, const char *fmt, ...)
{
    char text[70000];
    va_list ap;
    int n = sprintf(text, "t ");
    va_start(ap, fmt);
    n += vsnprintf(text + n, sizeof(text) - 10, fmt, ap);
    va_end(ap);
    n += sprintf(text + n, "\r\n");
    c->len = 0;
    if (c->text)
        c->text[0] = 0;
    send_bytes(c, text, (size_t)n);
    return wait_for(c, "\nt ");
}

void bench_password(const char *password, const char *label)
{
    struct vault_request q = {.type = VAULT_APP_PASSWORD_ADD,
                              .account = bench.account,
                              .password = {.scope = SCOPE_IMAP, .label = slice_str(label)}};
    assert_int_equal(app_password_hash(bench.keys, bench.account, password, strlen(password), q.password.hash), OK);
    assert_int_equal(request(&bench, &q, -1), OK);
}

static struct peers *peers;

void bench_limits(uint64_t octets, uint64_t octets_peer)
{
    acc.config.plaintext_budget = octets;
    acc.config.plaintext_budget_peer = octets_peer;
    places_limit(acc.places, &(struct places_limits){.sessions = 1000,
                                                     .octets = octets,
                                                     .sessions_peer = 200,
                                                     .octets_peer = octets_peer,
                                                     .octets_always = octets_peer});
}

void bench_up(void)
{
    bench_mem(&bench, true);
    assert_true(sodium_init() >= 0);
    bench_account(&bench);
    memset(&acc, 0, sizeof(acc));
    acc.loop = bench.loop;
    config_defaults(&acc.config);
    strcpy(acc.config.domain, "mx.example.org");
    acc.config.imap_plain_auth_loopback = true;
    buf_init(&acc.staging, IMAP_STAGING_MAX, false);
    peers = peers_create(64);
    acc.places = places_create(&(struct places_params){
        .loop = bench.loop, .peers = peers, .may_end = imap_session_may_end, .end = imap_session_end});
    bench_limits(acc.config.plaintext_budget, acc.config.plaintext_budget_peer);
    assert_int_equal(view_over(bench.engine, bench.keys, &acc.view), OK);
    acc.login = master_up(bench.loop, acc.view);
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    acc.vault = vault_client_create(bench.loop, imap_notice, &acc);
    acc.depositor.vault = acc.vault;
    told_seen_init(&acc.seen, bench.loop, acc.vault);
    acc.content = content_hash_create(view_keys(acc.view));
    assert_non_null(acc.content);
    vault_client_channel(acc.vault, pair[0]);
    assert_int_equal(vault_client_add(bench.vault, pair[1], VAULT_MAY_ACCESS), OK);
    bench_password(PASSWORD, "test");
    seal_status = OK;
    seal_later = seal_foreign = false;
    seal_len = 500;
}

void bench_down(void)
{
    while (acc.sessions)
        imap_session_destroy(acc.sessions);
    assert_null(held.done); /* every seal that was asked for is finished or cancelled */
    told_seen_free(&acc.seen);
    vault_client_destroy(acc.vault);
    content_hash_destroy(acc.content);
    master_down();
    view_close(acc.view);
    places_destroy(acc.places);
    peers_destroy(peers);
    buf_free(&acc.staging);
    bench_close(&bench);
    for (size_t i = 0; i < IMAP_MAP_BUCKETS; i++)
        assert_null(acc.maps[i]); /* every map is given back with its last session */
}

void deliver(uint32_t mailbox, uint64_t flags, size_t len)
{
    struct letter l = {.mailbox = mailbox, .flags = flags, .internaldate = 1000000000};
    int fd = parcel_of(OUTER, 1, len);
    assert_int_equal(deliver_call(&bench, &l, fd), OK);
    close(fd);
}

void client_in(struct client_end *c)
{
    client_open(c);
    assert_non_null(strstr(say(c, "LOGIN alice@example.org " PASSWORD), "t OK ["));
}

void check(const char *text, const char *what, bool wanted, int line)
{
    bool there = text && strstr(text, what);
    if (there != wanted)
        print_error("line %d: %s \"%s\" in: %.3000s\n", line, wanted ? "no" : "there is", what,
                    text ? text : "(nothing)");
    assert_true(there == wanted);
}
