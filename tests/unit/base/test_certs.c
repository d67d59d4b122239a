/* Certificates by name: which pair is for a name, what a set may hold, its messages, and what a client is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/certs.h"
#include "server/base/ipc.h"
#include "server/base/tls_impl.h"
#include "server/core/error.h"
#include "tests/support/tls_fixture.h"

static const struct slice a_chain = {(const uint8_t *)"chain", 5}, a_key = {(const uint8_t *)"key", 3};

static struct certs *new_set(void)
{
    struct certs *c;
    assert_int_equal(certs_create(&c), OK);
    return c;
}

static int add(struct certs *c, const char *name)
{
    return certs_add(c, &name, 1, a_chain, a_key);
}

/* -1: the default serves. */
static int found(const struct certs *c, const char *name)
{
    size_t pair;
    return certs_find(c, name, &pair) ? (int)pair : -1;
}

static void test_find(void **state)
{
    static const char *const more[] = {"b.example.org", "*.example.org", "a.example.org"};
    struct certs *c = new_set();

    (void)state;
    assert_int_equal(add(c, "mail.example.org"), OK);
    assert_int_equal(certs_add(c, more, 3, a_chain, a_key), OK);
    assert_int_equal(add(c, "deep.a.example.org"), OK);
    assert_int_equal(add(c, "*.wild.example.net"), OK);
    assert_int_equal(found(c, "mail.example.org"), 0); /* the exact name before a pattern of another pair */
    assert_int_equal(found(c, "MAIL.Example.ORG"), 0);
    assert_int_equal(found(c, "mail.example.org."), 0);
    assert_int_equal(found(c, "a.example.org"), 1);
    assert_int_equal(found(c, "anything.example.org"), 1);
    assert_int_equal(found(c, "xn--bcher-kva.example.org"), 1);
    assert_int_equal(found(c, "deep.a.example.org"), 2);
    assert_int_equal(found(c, "x.wild.example.net"), 3);
    static const char *const none[] = {"example.org",
                                       "x.y.example.org",
                                       ".example.org",
                                       "",
                                       ".",
                                       "..",
                                       "wild.example.net",
                                       "x.y.wild.example.net",
                                       "mail.example.org..",
                                       "org",
                                       "mail.example.org.x"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(found(c, none[i]), -1);
    assert_string_equal(certs_pair(c, 1).name, "b.example.org");
    assert_string_equal(certs_name(c, 1, 2), "a.example.org");
    assert_null(certs_name(c, 1, 3));
    certs_unref(c);
}

/* What a client sends is only compared, whatever it is. */
static void test_find_hostile(void **state)
{
    struct certs *c = new_set();
    char text[600];

    (void)state;
    assert_int_equal(add(c, "*.example.org"), OK);
    for (size_t n = 0; n < sizeof(text); n++) {
        memset(text, 'a', n);
        text[n] = '\0';
        assert_int_equal(found(c, text), -1);
        memset(text, '.', n);
        assert_int_equal(found(c, text), -1);
        if (n > 14) {
            memset(text, 'a', n);
            memcpy(text + n - 12, ".example.org", 12);
            assert_int_equal(found(c, text), n <= CERTS_NAME_MAX ? 0 : -1);
        }
    }
    for (int i = 1; i < 256; i++) {
        snprintf(text, sizeof(text), "%c.example.or%c", i, i);
        assert_int_equal(found(c, text), i == 'g' || i == 'G' ? 0 : -1);
    }
    certs_unref(c);
}

static void test_names(void **state)
{
    static const char *const good[] = {"localhost", "a.b", "*.example.org", "_x.example.org", "xn--a.org", "1.2"};
    static const char *const bad[] = {"",      ".",    "a.",    ".a",        "a..b", "*",          "*.",
                                      "a.*.b", "**.a", "x*.a",  "A.b",       "a b",  "a/b",        "../a",
                                      "a\nb",  "a:25", "[::1]", "b\xc3\xbc", "a,b",  "*.*.example"};
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(certs_name_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(certs_name_valid(bad[i]));
    memset(text, 'a', 63);
    text[63] = '\0';
    assert_true(certs_name_valid(text));
    text[63] = 'a';
    text[64] = '\0';
    assert_false(certs_name_valid(text));
    for (size_t i = 0; i < 254; i++)
        text[i] = i % 2 ? '.' : 'a';
    text[253] = '\0';
    assert_true(certs_name_valid(text));
    text[253] = '.';
    text[254] = 'a';
    text[255] = '\0';
    assert_false(certs_name_valid(text));
}

static void test_bounds(void **state)
{
    static uint8_t large[CERTS_CHAIN_MAX + 1];
    static const char *const twice[] = {"x.org", "x.org"};
    char text[CERTS_NAMES_MAX + 1][16];
    const char *many[CERTS_NAMES_MAX + 1];
    struct certs *c = new_set();
    size_t n = 0;
    int err = OK;

    (void)state;
    assert_int_equal(certs_add(c, NULL, 0, slice_of("", 0), a_key), ERR_FORMAT);
    assert_int_equal(certs_add(c, NULL, 0, a_chain, slice_of("", 0)), ERR_FORMAT);
    assert_int_equal(certs_add(c, NULL, 0, slice_of(large, sizeof(large)), a_key), ERR_LIMIT);
    assert_int_equal(certs_add(c, NULL, 0, a_chain, slice_of(large, CERTS_KEY_MAX + 1)), ERR_LIMIT);
    assert_int_equal(certs_add(c, twice, 2, a_chain, a_key), ERR_EXISTS);
    assert_int_equal(add(c, "Upper.org"), ERR_FORMAT);
    for (size_t i = 0; i <= CERTS_NAMES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "n%zu.org", i);
        many[i] = text[i];
    }
    assert_int_equal(certs_add(c, many, CERTS_NAMES_MAX + 1, a_chain, a_key), ERR_LIMIT);
    assert_int_equal(certs_pairs(c), 0);
    assert_int_equal(certs_add(c, many, CERTS_NAMES_MAX, a_chain, a_key), OK);
    assert_int_equal(add(c, "n77.org"), ERR_EXISTS);
    assert_int_equal(found(c, "n77.org"), 0);
    while ((err = certs_add(c, NULL, 0, slice_of(large, CERTS_CHAIN_MAX), a_key)) == OK)
        n++;
    assert_int_equal(err, ERR_LIMIT);
    assert_true(n <= CERTS_BYTES_MAX / CERTS_CHAIN_MAX && n >= CERTS_BYTES_MAX / CERTS_CHAIN_MAX - 1);
    certs_unref(c);
    c = new_set();
    for (n = 0; n < CERTS_PAIRS_MAX; n++)
        assert_int_equal(certs_add(c, NULL, 0, a_chain, a_key), OK);
    assert_int_equal(certs_add(c, NULL, 0, a_chain, a_key), ERR_LIMIT);
    certs_unref(c);
}

/* ---- messages ---- */

/* Each pair as large as it may be fits one message. */
static void test_messages(void **state)
{
    static uint8_t out[IPC_MAX], large[CERTS_CHAIN_MAX];
    char text[CERTS_NAMES_MAX][64];
    const char *names[CERTS_NAMES_MAX];
    struct certs *c = new_set(), *coming = NULL, *whole = NULL;
    struct pack p;

    (void)state;
    memset(large, 'x', sizeof(large));
    for (size_t i = 0; i < CERTS_NAMES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "a-name-of-52-octets-is-what-takes-all-of-it.n%03zu.org", i);
        names[i] = text[i];
    }
    assert_int_equal(certs_add(c, names, CERTS_NAMES_MAX, slice_of(large, CERTS_CHAIN_MAX),
                               slice_of(large, CERTS_KEY_MAX)),
                     OK);
    assert_int_equal(add(c, "second.org"), OK);
    assert_int_equal(add(c, "third.org"), OK);
    for (int again = 0; again < 2; again++) { /* the first pair begins a set anew */
        for (size_t i = 0; i < (again ? 3 : 2); i++) {
            pack_init(&p, out, sizeof(out));
            assert_int_equal(certs_pack(c, i, &p), OK);
            assert_null(whole);
            assert_int_equal(certs_take(&coming, slice_of(out, p.len), &whole), OK);
        }
    }
    assert_null(coming);
    assert_int_equal(certs_pairs(whole), 3);
    assert_int_equal(found(whole, names[127]), 0);
    assert_int_equal(found(whole, "third.org"), 2);
    assert_int_equal(certs_pair(whole, 0).key.len, CERTS_KEY_MAX);
    assert_memory_equal(certs_pair(whole, 2).chain.data, "chain", 5);
    certs_unref(c);
    certs_unref(whole);
}

static void test_bad_messages(void **state)
{
    uint8_t out[200], copy[201];
    struct certs *c = new_set(), *coming = NULL, *whole;
    struct pack p;

    (void)state;
    assert_int_equal(add(c, "first.org"), OK);
    assert_int_equal(add(c, "second.org"), OK);
    pack_init(&p, out, sizeof(out));
    assert_int_equal(certs_pack(c, 1, &p), OK);
    assert_int_equal(certs_take(&coming, slice_of(out, p.len), &whole), ERR_FORMAT); /* the second without the first */
    pack_init(&p, out, sizeof(out));
    assert_int_equal(certs_pack(c, 0, &p), OK);
    for (size_t n = 0; n < p.len; n++)
        assert_int_not_equal(certs_take(&coming, slice_of(out, n), &whole), OK);
    memcpy(copy, out, p.len);
    copy[p.len] = 0;
    assert_int_equal(certs_take(&coming, slice_of(copy, p.len + 1), &whole), ERR_FORMAT);
    copy[4] = 2; /* neither the last nor not */
    assert_int_equal(certs_take(&coming, slice_of(copy, p.len), &whole), ERR_FORMAT);
    copy[4] = 0;
    copy[5] = 0xff; /* names without end */
    assert_int_equal(certs_take(&coming, slice_of(copy, p.len), &whole), ERR_FORMAT);
    assert_null(coming);
    assert_null(whole);
    assert_int_equal(certs_take(&coming, slice_of(out, p.len), &whole), OK);
    assert_null(whole);
    assert_int_equal(certs_take(&coming, slice_of(out, p.len), &whole), OK); /* anew, not twice */
    certs_unref(coming);
    certs_unref(c);
}

/* ---- what a client is shown ---- */

static struct fixture_pem rsa, ec, other;
static struct tls_ctx *ctx;

static void drive(SSL *client, SSL *server)
{
    for (int i = 0; i < 1000 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server)); i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
}

static bool is_of(X509 *x, const struct fixture_pem *f)
{
    BIO *b = BIO_new_mem_buf(f->chain, (int)f->chain_len);
    X509 *own = PEM_read_bio_X509(b, NULL, NULL, NULL);
    bool same = x && X509_cmp(x, own) == 0;

    X509_free(own);
    BIO_free(b);
    return same;
}

/* What one who asks for that name sees; the server knows it for its own too, which channel binding goes by. */
static void shown_to(int version, const char *name, const char *sigalgs, const struct fixture_pem *want)
{
    SSL_CTX *c = fixture_client_ctx(version);
    int pair[2];
    SSL *client, *server;
    X509 *peer;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client = SSL_new(c);
    SSL_set_fd(client, pair[0]);
    SSL_set_connect_state(client);
    if (name)
        SSL_set_tlsext_host_name(client, name);
    if (sigalgs)
        assert_int_equal(SSL_set1_sigalgs_list(client, sigalgs), 1);
    server = tls_server(ctx, pair[1]);
    drive(client, server);
    peer = SSL_get1_peer_certificate(client);
    assert_true(is_of(peer, want));
    assert_true(is_of(SSL_get_certificate(server), want));
    assert_false(SSL_session_reused(server));
    assert_null(SSL_get0_session(client) && SSL_SESSION_has_ticket(SSL_get0_session(client)) ? peer : NULL);
    X509_free(peer);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(c);
    close(pair[0]);
    close(pair[1]);
}

static struct certs *real_set(void)
{
    static const char *const a = "mail.example.org", *b = "*.example.net", *d = "broken.example.com";
    struct certs *c = new_set();

    assert_int_equal(certs_add(c, &a, 1, slice_of(rsa.chain, rsa.chain_len), slice_of(rsa.key, rsa.key_len)), OK);
    assert_int_equal(certs_add(c, &b, 1, slice_of(ec.chain, ec.chain_len), slice_of(ec.key, ec.key_len)), OK);
    assert_int_equal(certs_add(c, &d, 1, slice_of(ec.chain, ec.chain_len), slice_of(other.key, other.key_len)), OK);
    return c;
}

/* The default is RSA, the other pair ECDSA: a client that knows both kinds gets that of the name, not the one it likes
 * better. */
static void test_shown(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, 0};
    static const char both[] = "RSA-PSS+SHA256:ECDSA+SHA256";

    (void)state;
    for (size_t v = 0; v < 2; v++)
        for (int again = 0; again < 2; again++) {
            shown_to(versions[v], NULL, NULL, &rsa);
            shown_to(versions[v], "mail.example.org", both, &rsa);
            shown_to(versions[v], "a.example.net", both, &ec);
            shown_to(versions[v], "B.Example.Net", NULL, &ec);
            shown_to(versions[v], "a.example.net", "ECDSA+SHA256", &ec);
            shown_to(versions[v], "nobody.example.com", both, &rsa); /* no such name is no error */
        }
}

/* The other way round: of both kinds our own order of signatures begins with ECDSA, which is the default's here. */
static void test_shown_not_the_default(void **state)
{
    static const char *const name = "rsa.example.org";
    struct tls_ctx *before = ctx;
    struct certs *c = new_set();

    (void)state;
    assert_int_equal(certs_add(c, NULL, 0, slice_of(ec.chain, ec.chain_len), slice_of(ec.key, ec.key_len)), OK);
    assert_int_equal(certs_add(c, &name, 1, slice_of(rsa.chain, rsa.chain_len), slice_of(rsa.key, rsa.key_len)), OK);
    assert_int_equal(tls_ctx_create_by_name(TLS_SMTP, c, &ctx, NULL), OK);
    certs_unref(c);
    shown_to(0, name, NULL, &rsa);
    shown_to(TLS1_2_VERSION, name, NULL, &rsa);
    shown_to(0, NULL, NULL, &ec);
    tls_ctx_unref(ctx);
    ctx = before;
}

/* One that master should not have let through ends its own handshakes alone. */
static void test_unusable(void **state)
{
    SSL_CTX *c = fixture_client_ctx(0);
    int pair[2];
    SSL *client, *server;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client = SSL_new(c);
    SSL_set_fd(client, pair[0]);
    SSL_set_connect_state(client);
    SSL_set_tlsext_host_name(client, "broken.example.com");
    server = tls_server(ctx, pair[1]);
    for (int i = 0; i < 4; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    assert_false(SSL_is_init_finished(server));
    ERR_clear_error();
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(c);
    close(pair[0]);
    close(pair[1]);
    shown_to(0, "a.example.net", NULL, &ec);
}

static int make(void **state)
{
    struct certs *c;

    (void)state;
    fixture_make(&ec);
    fixture_make(&other);
    fixture_make_with(&rsa, EVP_RSA_gen(2048));
    c = real_set();
    if (tls_ctx_create_by_name(TLS_SMTP, c, &ctx, NULL) != OK)
        return -1;
    certs_unref(c); /* the context has its own reference */
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    tls_ctx_unref(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),     cmocka_unit_test(test_find_hostile),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_shown),    cmocka_unit_test(test_shown_not_the_default),
        cmocka_unit_test(test_unusable),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
