/* TLS as a client, against servers of OpenSSL's: whose certificate is taken, by each policy, and how the others fail;
 * and connections of our own making. */
#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include "tests/support/conn_bench.h"

/* ---- certificates ---- */

struct identity {
    X509 *cert;
    EVP_PKEY *key;
    uint8_t spki[32];
};

static struct identity ca, other_ca, good, expired, early, alone, weak, cn_only;
static struct tls_roots *roots;

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* names: of the extension; NULL: none. issuer NULL: itself. days: from that day on, for two. */
static void make(struct identity *id, const char *cn, const char *names, const struct identity *issuer, long day,
                 int bits)
{
    static long serial;
    uint8_t *der = NULL;
    int len;

    id->key = bits ? EVP_RSA_gen((unsigned)bits) : EVP_EC_gen("P-256");
    id->cert = X509_new();
    X509_set_version(id->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id->cert), day * 86400 - 3600);
    X509_gmtime_adj(X509_getm_notAfter(id->cert), (day + 2) * 86400);
    X509_set_pubkey(id->cert, id->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id->cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
                               0);
    X509_set_issuer_name(id->cert, X509_get_subject_name(issuer ? issuer->cert : id->cert));
    add_extension(id->cert, NID_basic_constraints, names || issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names)
        add_extension(id->cert, NID_subject_alt_name, names);
    assert_true(X509_sign(id->cert, issuer ? issuer->key : id->key, EVP_sha256()) > 0);
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(id->cert), &der);
    assert_true(len > 0);
    assert_int_equal(EVP_Digest(der, (size_t)len, id->spki, NULL, EVP_sha256(), NULL), 1);
    OPENSSL_free(der);
}

static size_t to_pem(X509 *x, char *out, size_t cap)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *data;
    long n;

    PEM_write_bio_X509(b, x);
    n = BIO_get_mem_data(b, &data);
    assert_in_range(n, 1, cap);
    memcpy(out, data, (size_t)n);
    BIO_free(b);
    return (size_t)n;
}

static int make_all(void **state)
{
    char text[8192];
    static const char damaged[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    size_t n;

    make(&ca, "ca", NULL, NULL, 0, 0);
    make(&other_ca, "other", NULL, NULL, 0, 0);
    make(&good, "unused", "DNS:mx.example.org,DNS:*.wild.example", &ca, 0, 0);
    make(&expired, "unused", "DNS:mx.example.org", &ca, -10, 0);
    make(&early, "unused", "DNS:mx.example.org", &ca, 10, 0);
    make(&alone, "unused", "DNS:mx.example.org", NULL, 0, 0);
    make(&weak, "unused", "DNS:mx.example.org", &ca, 0, 1024);
    make(&cn_only, "mx.example.org", NULL, &ca, 0, 0);
    /* One that does not parse takes nothing from the others. */
    n = to_pem(other_ca.cert, text, sizeof(text));
    memcpy(text + n, damaged, sizeof(damaged) - 1);
    n += sizeof(damaged) - 1;
    n += to_pem(ca.cert, text + n, sizeof(text) - n);
    assert_int_equal(tls_roots_create(text, n, &roots), OK);
    return 0;
}

/* ---- a server ---- */

static struct {
    const struct identity *is;
    bool with_ca, silent, plain, ends, refuses;
    int max_version;
    char sni[64];
} peer;

static int note_sni(SSL *s, int *alert, void *arg)
{
    const char *name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name);

    snprintf(peer.sni, sizeof(peer.sni), "%s", name ? name : "-");
    if (!peer.refuses)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int serve_tls(struct client *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char b[4];
    int err = -1;

    SSL_CTX_set_security_level(ctx, 0);
    if (peer.max_version)
        SSL_CTX_set_max_proto_version(ctx, peer.max_version);
    SSL_CTX_use_certificate(ctx, peer.is->cert);
    SSL_CTX_use_PrivateKey(ctx, peer.is->key);
    if (peer.with_ca)
        SSL_CTX_add1_chain_cert(ctx, ca.cert);
    SSL_CTX_set_tlsext_servername_callback(ctx, note_sni);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_accept(c->ssl) == 1 && get_all(c, b, 4) == 0 && memcmp(b, "ping", 4) == 0 && put_all(c, "pong", 4) == 0)
        err = 0;
    return c->want ? (err ? 0 : -1) : err; /* want: that it comes to nothing */
}

/* Reads what comes and says nothing of TLS, or nothing at all. */
static int serve_other(struct client *c)
{
    char b[512];

    if (peer.ends)
        return recv(c->fd, b, sizeof(b), 0) > 0 ? 0 : -1;
    if (peer.plain)
        send(c->fd, "554 what is this?\r\n", 19, MSG_NOSIGNAL);
    while (recv(c->fd, b, sizeof(b), 0) > 0)
        ;
    return 0;
}

static enum tls_client_fault seen; /* once it stands */

static void ping(void *arg)
{
    struct server *s = arg;

    seen = conn_tls_client_fault(s->conn);

    on_tls(arg);
    assert_int_equal(conn_write(s->conn, "ping", 4), OK);
}

static void pong(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    s->datas++;
    s->got += in->len;
    buf_consume(in, in->len);
}

static enum tls_client_fault fault;

static void end_with_fault(void *arg, enum conn_end why)
{
    struct server *s = arg;

    fault = s->tls_done ? TLS_CLIENT_FAULT_NONE : conn_tls_client_fault(s->conn);
    on_end(arg, why);
}

static const struct conn_ops ops = {pong, on_drain, ping, end_with_fault};

/* TLS_CLIENT_FAULT_NONE: it must stand, and octets go both ways. */
static void try_one(const struct identity *is, const struct tls_verify *v, enum tls_client_fault want)
{
    struct server s;

    peer.is = is;
    start(&s, &ops, &small, serve_tls);
    s.client.want = want != TLS_CLIENT_FAULT_NONE;
    assert_int_equal(conn_start_tls_client(s.conn, v), OK);
    assert_int_equal(conn_start_tls_client(s.conn, v), ERR_CONFLICT);
    run(&s);
    assert_int_equal(s.ended, 1);
    assert_int_equal(fault, want);
    assert_int_equal(s.tls_done, want == TLS_CLIENT_FAULT_NONE);
    assert_int_equal(s.got, want == TLS_CLIENT_FAULT_NONE ? 4 : 0);
    assert_int_equal(s.why, want == TLS_CLIENT_FAULT_NONE ? CONN_EOF : CONN_TLS_FAILED);
    assert_int_equal(conn_tls_faults(TLS_FAULT_ALERT) + conn_tls_faults(TLS_FAULT_OTHER), 0);
    memset(&peer, 0, sizeof(peer));
}

#define AS(p, ...) (&(struct tls_verify){.policy = p, .sni = "mx.example.org", __VA_ARGS__})
#define NAMED(...) .names = {__VA_ARGS__}

/* ---- policies ---- */

static void test_may_takes_any(void **state)
{
    const struct identity *all[] = {&good, &expired, &early, &alone, &weak};
    const int versions[] = {0, TLS1_2_VERSION};

    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 2; k++) {
            peer.max_version = versions[k];
            try_one(all[i], AS(TLS_MAY), TLS_CLIENT_FAULT_NONE);
        }
    peer.max_version = TLS1_1_VERSION;
    try_one(&good, AS(TLS_MAY), TLS_CLIENT_FAULT_HANDSHAKE);
}

static void test_verify(void **state)
{
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org")), TLS_CLIENT_FAULT_NONE);
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("a.example.org", "MX.example.ORG")), TLS_CLIENT_FAULT_NONE);
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("a.wild.example")), TLS_CLIENT_FAULT_NONE);
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("a.b.wild.example")), TLS_CLIENT_FAULT_NAME);
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("example.org")), TLS_CLIENT_FAULT_NAME);
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("192.0.2.1")), TLS_CLIENT_FAULT_NAME);
    try_one(&good, AS(TLS_VERIFY, NAMED("mx.example.org")), TLS_CLIENT_FAULT_UNTRUSTED);
    try_one(&alone, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org")), TLS_CLIENT_FAULT_UNTRUSTED);
    try_one(&expired, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org")), TLS_CLIENT_FAULT_EXPIRED);
    try_one(&early, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org")), TLS_CLIENT_FAULT_EXPIRED);
    /* RFC 9525 section 6.3: a common name is none. */
    try_one(&cn_only, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org")), TLS_CLIENT_FAULT_NAME);
}

/* What is wrong is said, and nothing ends for it; what is no TLS still does. */
static void test_look(void **state)
{
    const struct {
        const struct identity *is;
        const char *name;
        bool trusts;
        enum tls_client_fault fault;
    } table[] = {{&good, "mx.example.org", true, TLS_CLIENT_FAULT_NONE},
                 {&good, "example.org", true, TLS_CLIENT_FAULT_NAME},
                 {&good, "mx.example.org", false, TLS_CLIENT_FAULT_UNTRUSTED},
                 {&alone, "mx.example.org", true, TLS_CLIENT_FAULT_UNTRUSTED},
                 {&expired, "mx.example.org", true, TLS_CLIENT_FAULT_EXPIRED}};

    for (size_t i = 0; i < 2 * sizeof(table) / sizeof(table[0]); i++) {
        peer.max_version = i % 2 ? TLS1_2_VERSION : 0;
        try_one(table[i / 2].is,
                AS(TLS_VERIFY, .roots = table[i / 2].trusts ? roots : NULL, NAMED(table[i / 2].name), .look = true),
                TLS_CLIENT_FAULT_NONE);
        assert_int_equal(seen, table[i / 2].fault);
    }
    peer.max_version = TLS1_1_VERSION;
    try_one(&good, AS(TLS_VERIFY, .roots = roots, NAMED("mx.example.org"), .look = true), TLS_CLIENT_FAULT_HANDSHAKE);
}

/* libssl takes "" for "do not look at names" and ".x" for all below x. */
static void test_names_that_switch_off(void **state)
{
    static const struct tls_tlsa ee = {3, 1, 1, good.spki, 32};
    const struct {
        const char *names[TLS_NAMES_MAX];
    } bad[] = {{{NULL}}, {{""}}, {{".example.org"}}, {{"mx.example.org", ""}}, {{"a.example", ".example.org"}}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (int dane = 0; dane < 2; dane++) {
            struct tls_verify v = {.policy = dane ? TLS_DANE : TLS_VERIFY, .sni = "", .roots = roots};
            struct server s;

            v.tlsa = &ee;
            v.ntlsa = 1;
            memcpy(v.names, bad[i].names, sizeof(v.names));
            start(&s, &ops, &small, NULL);
            assert_int_equal(conn_start_tls_client(s.conn, &v), ERR_FORMAT);
            close(s.client.fd);
            conn_destroy(s.conn);
            loop_destroy(s.loop);
        }
}

static void test_fingerprint(void **state)
{
    uint8_t changed[32];

    try_one(&good, AS(TLS_FINGERPRINT, .fingerprint = good.spki), TLS_CLIENT_FAULT_NONE);
    try_one(&expired, AS(TLS_FINGERPRINT, .fingerprint = expired.spki), TLS_CLIENT_FAULT_NONE);
    memcpy(changed, good.spki, 32);
    for (size_t i = 0; i < 32; i += 31) {
        changed[i] ^= 1;
        try_one(&good, AS(TLS_FINGERPRINT, .fingerprint = changed), TLS_CLIENT_FAULT_UNTRUSTED);
        changed[i] ^= 1;
    }
}

/* ---- DANE (RFC 7672 section 3) ---- */

#define TLSA(...)                                   \
    .tlsa = (const struct tls_tlsa[]){__VA_ARGS__}, \
    .ntlsa = sizeof((struct tls_tlsa[]){__VA_ARGS__}) / sizeof(struct tls_tlsa)

static void test_dane_end_entity(void **state)
{
    struct tls_tlsa fits = {3, 1, 1, NULL, 32}, not = {3, 1, 1, NULL, 32};

    fits.data = good.spki;
    not .data = ca.spki;
    try_one(&good, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(fits)), TLS_CLIENT_FAULT_NONE);
    try_one(&good, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(not, fits)), TLS_CLIENT_FAULT_NONE);
    try_one(&good, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(not )), TLS_CLIENT_FAULT_UNTRUSTED);
    /* Neither names nor dates count: section 3.1.1. */
    try_one(&good, AS(TLS_DANE, NAMED("other.example"), TLSA(fits)), TLS_CLIENT_FAULT_NONE);
    fits.data = expired.spki;
    try_one(&expired, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(fits)), TLS_CLIENT_FAULT_NONE);
    fits.data = alone.spki;
    try_one(&alone, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(fits)), TLS_CLIENT_FAULT_NONE);
}

static void test_dane_trust_anchor(void **state)
{
    struct tls_tlsa anchor = {2, 1, 1, NULL, 32}, other = {2, 1, 1, NULL, 32};
    const struct {
        const struct identity *is;
        const char *name;
        enum tls_client_fault want;
    } cases[] = {
        {&good, "mx.example.org", TLS_CLIENT_FAULT_NONE},
        {&good, "other.example", TLS_CLIENT_FAULT_NAME}, /* section 3.1.2: names count */
        {&expired, "mx.example.org", TLS_CLIENT_FAULT_EXPIRED},
        {&alone, "mx.example.org", TLS_CLIENT_FAULT_UNTRUSTED},
    };

    anchor.data = ca.spki;
    other.data = other_ca.spki;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        peer.with_ca = true;
        try_one(cases[i].is, AS(TLS_DANE, NAMED(cases[i].name), TLSA(anchor)), cases[i].want);
    }
    peer.with_ca = true;
    try_one(&good, AS(TLS_DANE, NAMED("base.example", "mx.example.org"), TLSA(anchor)), TLS_CLIENT_FAULT_NONE);
    peer.with_ca = true;
    try_one(&good, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(other)), TLS_CLIENT_FAULT_UNTRUSTED);
    /* Section 3.1.2: the anchor must come with the chain when only its hash is known. */
    try_one(&good, AS(TLS_DANE, NAMED("mx.example.org"), TLSA(anchor)), TLS_CLIENT_FAULT_UNTRUSTED);
}

/* Section 3.1.3: what would need a root of the web, and what is malformed, is as if it were not there. */
static void test_dane_unusable(void **state)
{
    struct tls_tlsa all[] = {{0, 1, 1, NULL, 32}, {1, 1, 1, NULL, 32}, {3, 1, 1, NULL, 31}, {3, 2, 1, NULL, 32},
                             {3, 1, 9, NULL, 32}, {3, 1, 1, NULL, 0},  {4, 1, 1, NULL, 32}, {3, 0, 0, NULL, 32}};
    const size_t n = sizeof(all) / sizeof(all[0]);
    struct tls_verify v = {.policy = TLS_DANE, .sni = "", .names = {"mx.example.org"}, .tlsa = all, .ntlsa = n};
    struct tls_tlsa mixed[2] = {{1, 1, 1, NULL, 32}, {3, 1, 1, NULL, 32}};
    struct server s;

    for (size_t i = 0; i < n; i++)
        all[i].data = good.spki;
    start(&s, &ops, &small, NULL);
    assert_int_equal(conn_start_tls_client(s.conn, &v), ERR_UNSUPPORTED);
    assert_int_equal(conn_tls_client_fault(s.conn), TLS_CLIENT_FAULT_TLSA);
    v.ntlsa = 0;
    assert_int_equal(conn_start_tls_client(s.conn, &v), ERR_UNSUPPORTED);
    /* It stands as it was. */
    assert_int_equal(conn_start_tls_client(s.conn, AS(TLS_MAY)), OK);
    close(s.client.fd);
    conn_destroy(s.conn);
    loop_destroy(s.loop);

    mixed[0].data = good.spki;
    mixed[1].data = ca.spki;
    v = (struct tls_verify){TLS_DANE, "", {"mx.example.org"}, mixed, 2, NULL, NULL};
    try_one(&good, &v, TLS_CLIENT_FAULT_UNTRUSTED);
}

/* ---- servers that are none ---- */

static void test_no_tls(void **state)
{
    struct tls_tlsa fits = {3, 1, 1, good.spki, 32};
    const struct tls_verify *all[] = {AS(TLS_MAY), AS(TLS_DANE, NAMED("mx.example.org"), TLSA(fits))};

    for (size_t i = 0; i < 4; i++) {
        struct server s;

        peer.plain = i < 2;
        peer.ends = i >= 2;
        start(&s, &ops, &small, serve_other);
        assert_int_equal(conn_start_tls_client(s.conn, all[i % 2]), OK);
        run(&s);
        assert_int_equal(s.why, CONN_TLS_FAILED);
        assert_int_equal(fault, TLS_CLIENT_FAULT_HANDSHAKE);
        assert_int_equal(s.datas, 0);
        memset(&peer, 0, sizeof(peer));
    }
    peer.refuses = true;
    try_one(&good, AS(TLS_MAY), TLS_CLIENT_FAULT_HANDSHAKE); /* an alert */
}

static void test_hang_in_handshake(void **state)
{
    struct server s;

    start(&s, &ops, &small, serve_other);
    conn_set_timeout(s.conn, 100);
    assert_int_equal(conn_start_tls_client(s.conn, AS(TLS_MAY)), OK);
    run(&s);
    assert_int_equal(s.why, CONN_TLS_FAILED);
    assert_int_equal(fault, TLS_CLIENT_FAULT_HANDSHAKE);
}

static void test_sni(void **state)
{
    peer.is = &good;
    for (int i = 0; i < 2; i++) {
        struct server s;

        start(&s, &ops, &small, serve_tls);
        assert_int_equal(conn_start_tls_client(s.conn, &(struct tls_verify){.sni = i ? "" : "mx.example.org"}), OK);
        run(&s);
        assert_string_equal(peer.sni, i ? "-" : "mx.example.org");
    }
    memset(&peer, 0, sizeof(peer));
}

/* What was written before goes out in the clear, and nothing that came in the clear counts behind it. */
static int starttls_then_serve(struct client *c)
{
    char b[10];

    if (get_all(c, b, 10) || memcmp(b, "STARTTLS\r\n", 10) != 0)
        return -1;
    return serve_tls(c);
}

static void test_after_plain_output(void **state)
{
    struct server s;

    peer.is = &good;
    start(&s, &ops, &small, starttls_then_serve);
    assert_int_equal(conn_write(s.conn, "STARTTLS\r\n", 10), OK);
    assert_int_equal(conn_start_tls_client(s.conn, AS(TLS_MAY)), OK);
    run(&s);
    assert_int_equal(s.tls_done, 1);
    assert_int_equal(s.got, 4);
    memset(&peer, 0, sizeof(peer));
}

/* ---- bindings ---- */

static uint8_t exporter_seen[64], end_point_seen[64];
static size_t exporter_len, end_point_len;

static void note_bindings(void *arg)
{
    struct server *s = arg;

    exporter_len = conn_tls_binding(s->conn, false, exporter_seen);
    end_point_len = conn_tls_binding(s->conn, true, end_point_seen);
    ping(arg);
}

static uint8_t exporter_of_peer[32];

static int serve_and_export(struct client *c)
{
    int err = serve_tls(c);

    if (SSL_export_keying_material(c->ssl, exporter_of_peer, 32, "EXPORTER-Channel-Binding", 24,
                                   (const unsigned char *)"", 0, 1) != 1)
        return -1;
    return err;
}

static void test_bindings(void **state)
{
    static const struct conn_ops noting = {pong, on_drain, note_bindings, end_with_fault};
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    uint8_t hash[64];
    struct server s;

    X509_digest(good.cert, EVP_sha256(), hash, NULL);
    for (size_t i = 0; i < 2; i++) {
        peer.is = &good;
        peer.max_version = versions[i];
        start(&s, &noting, &small, serve_and_export);
        assert_int_equal(conn_tls_binding(s.conn, false, exporter_seen), 0);
        assert_int_equal(conn_tls_binding(s.conn, true, exporter_seen), 0);
        assert_int_equal(conn_start_tls_client(s.conn, AS(TLS_MAY)), OK);
        run(&s);
        assert_int_equal(end_point_len, 32);
        assert_memory_equal(end_point_seen, hash, 32);
        assert_int_equal(exporter_len, i ? 32 : 0);
        if (i)
            assert_memory_equal(exporter_seen, exporter_of_peer, 32);
    }
    memset(&peer, 0, sizeof(peer));
}

/* The other side, ours: the same octets as the client has. */
static int bind_as_client(struct client *c)
{
    char b[4];

    if (client_tls(c, 0) || SSL_export_keying_material(c->ssl, exporter_of_peer, 32, "EXPORTER-Channel-Binding", 24,
                                                       (const unsigned char *)"", 0, 1) != 1)
        return -1;
    return get_all(c, b, 4) || put_all(c, "pong", 4);
}

static void test_bindings_of_a_server(void **state)
{
    static const struct conn_ops noting = {pong, on_drain, note_bindings, end_with_fault};
    struct server s;

    start(&s, &noting, &small, bind_as_client);
    assert_int_equal(conn_start_tls(s.conn, tls), OK);
    run(&s);
    assert_int_equal(exporter_len, 32);
    assert_memory_equal(exporter_seen, exporter_of_peer, 32);
    assert_int_equal(end_point_len, 32);
}

static void test_roots(void **state)
{
    struct tls_roots *r = NULL;

    assert_int_equal(tls_roots_create("", 0, &r), ERR_FORMAT);
    assert_int_equal(tls_roots_create("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", 57, &r),
                     ERR_FORMAT);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_may_takes_any),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_names_that_switch_off),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_dane_end_entity),
        cmocka_unit_test(test_dane_trust_anchor),
        cmocka_unit_test(test_dane_unusable),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_hang_in_handshake),
        cmocka_unit_test(test_sni),
        cmocka_unit_test(test_after_plain_output),
        cmocka_unit_test(test_bindings),
        cmocka_unit_test(test_bindings_of_a_server),
        cmocka_unit_test(test_roots),
    };
    int err;

    fixture_make(&pem);
    if (tls_ctx_create(TLS_SMTP, pem.chain, pem.chain_len, pem.key, pem.key_len, &tls, NULL) != OK)
        return 1;
    err = cmocka_run_group_tests(tests, make_all, NULL);
    tls_ctx_unref(tls);
    return err;
}
