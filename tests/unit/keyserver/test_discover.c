/* Domains with every kind of answer: for each what becomes of each source, which certificate counts, and how sure it
 * is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "keyserver/discover/discover.h"
#include "server/core/error.h"
#include "tests/support/pgp_forge.h"

enum { MADE = 1700000000, NOW = 1767225600, DAY = 86400, CAP = 64 * 1024, CERTIFIES = 3, ENCRYPTS = 0x0c };
#define ANN "Ann <ann@example.org>"

/* ---- certificates ---- */

struct want {
    const char *uid, *more; /* user ids */
    uint8_t seed;
    int version, features, bad; /* bad: its user id's signature is */
    uint32_t made, ends, subkey_ends;
    bool revoked, no_subkey;
    uint32_t signed_later;
    uint8_t subkey_algo;
};

static void put_uid(struct forge *f, const struct want *w, const struct forge_key *primary, const char *uid)
{
    const struct forge_sig s = {.type = 0x13,
                                .created = (w->made ? w->made : MADE) + w->signed_later,
                                .flags = CERTIFIES,
                                .features = w->features,
                                .key_expires = w->ends,
                                .bad = w->bad};
    forge_put_uid(f, uid);
    forge_put_sig(f, s, primary, primary, NULL, uid);
}

static size_t make(const struct want *w, uint8_t *out)
{
    static struct forge f;
    struct forge_key primary, enc;
    const int version = w->version ? w->version : 4;
    const uint32_t made = w->made ? w->made : MADE;
    f.len = 0;
    forge_key_make(&primary, version, PGP_ED25519, made, w->seed);
    forge_key_make(&enc, version, w->subkey_algo ? w->subkey_algo : PGP_X25519, made, (uint8_t)(w->seed + 1));
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    if (w->revoked)
        forge_put_sig(&f, (struct forge_sig){.type = 0x20, .created = made + 1}, &primary, &primary, NULL, NULL);
    if (version == 6)
        forge_put_sig(&f,
                      (struct forge_sig){.type = 0x1f, .created = made, .flags = CERTIFIES, .features = w->features},
                      &primary, &primary, NULL, NULL);
    put_uid(&f, w, &primary, w->uid ? w->uid : ANN);
    if (w->more)
        put_uid(&f, w, &primary, w->more);
    if (!w->no_subkey) {
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forge_put_sig(
            &f, (struct forge_sig){.type = 0x18, .created = made, .flags = ENCRYPTS, .key_expires = w->subkey_ends},
            &primary, &primary, &enc, NULL);
    }
    assert_true(f.len <= CAP);
    memcpy(out, f.data, f.len);
    return f.len;
}

/* What a server has. Two letters: one after the other. */
static const struct {
    char letter;
    struct want want;
} certs[] = {
    {'a', {.seed = 1}},
    {'b', {.seed = 11}},
    {'6', {.seed = 1, .version = 6, .features = 9}},
    {'v', {.seed = 1, .features = 9}}, /* SEIPD v1 and v2 */
    {'m', {.seed = 1, .uid = "Eve <eve@example.net>", .more = "ann@EXAMPLE.org"}},
    {'e', {.seed = 21, .ends = DAY}},
    {'E', {.seed = 21, .subkey_ends = DAY}},
    {'r', {.seed = 31, .revoked = true}},
    {'R', {.seed = 1, .revoked = true}},                      /* a's */
    {'A', {.seed = 1, .signed_later = DAY, .ends = 2 * DAY}}, /* a newer copy, by which it has ended */
    {'s', {.seed = 41, .no_subkey = true}},
    {'o', {.seed = 51, .uid = "Eve <eve@example.net>"}},
    {'O', {.seed = 51, .uid = "ann@example.org.evil.example"}},
    {'P', {.seed = 51, .uid = "ann+x@example.org"}},
    {'Q', {.seed = 51, .uid = "ann@example.org <eve@example.net>"}},
    {'f', {.seed = 61, .made = NOW + 30 * DAY}},
    {'u', {.seed = 71, .bad = true}},
    {'z', {.seed = 81, .ends = NOW - MADE + 600}}, /* ends ten minutes from now */
};

static size_t octets_of(const char *letters, uint8_t *out)
{
    size_t len = 0;
    for (; *letters; letters++) {
        size_t i = 0;
        while (certs[i].letter != *letters)
            assert_true(++i < sizeof(certs) / sizeof(*certs));
        len += make(&certs[i].want, out + len);
    }
    return len;
}

static void fingerprint(char letter, uint8_t fpr[PGP_FPR_MAX])
{
    struct forge_key primary;
    for (size_t i = 0; i < sizeof(certs) / sizeof(*certs); i++)
        if (certs[i].letter == letter) {
            const struct want *w = &certs[i].want;
            forge_key_make(&primary, w->version ? w->version : 4, PGP_ED25519, w->made ? w->made : MADE, w->seed);
            memcpy(fpr, primary.fpr, primary.fpr_len);
            return;
        }
    fail();
}

/* ---- answers ---- */

static uint8_t body[CAP];
static char text[2 * CAP];

/* "!" and a word: it fails so; "=404": a status; "-": nothing is there; "@": as armour; else letters. */
static int page(struct discover *d, enum discover_source s, const char *what)
{
    static const struct {
        const char *word;
        int err;
    } errors[] = {{"!host", ERR_NOT_FOUND}, {"!inside", ERR_DENIED}, {"!moved", ERR_MOVED}, {"!large", ERR_LIMIT},
                  {"!tls", ERR_CRYPTO},     {"!slow", ERR_TIMEOUT},  {"!down", ERR_AGAIN},  {"!bad", ERR_FORMAT}};
    struct fetch_answer a = {.status = 200, .type = "application/octet-stream"};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
        if (!strcmp(errors[i].word, what))
            return discover_page(d, s, errors[i].err, NULL);
    if (*what == '=')
        a.status = (uint32_t)atoi(what + 1);
    else if (*what == '<')
        len = strlen(strcpy((char *)body, what));
    else
        len = octets_of(what + (*what == '@'), body);
    a.body = slice_of(body, len);
    if (*what == '@') {
        assert_int_equal(pgp_armor_encode(body, len, "PUBLIC KEY BLOCK", true, text, sizeof(text), &len), OK);
        a.body = slice_of(text, len);
    }
    return discover_page(d, s, OK, &a);
}

/* "+": signed, and each letter a record. */
static int records(struct discover *d, const char *what)
{
    static struct dns_record v[16];
    struct dns_answer a = {.trust = *what == '+' ? DNS_SECURE : DNS_INSECURE, .ttl = 1200, .canonical = "x", .v = v};
    size_t at = 0;
    if (!strcmp(what, "!bogus"))
        return discover_records(d, ERR_CRYPTO, NULL);
    if (!strcmp(what, "!slow"))
        return discover_records(d, ERR_TIMEOUT, NULL);
    what += *what == '+';
    a.exists = *what != '\0';
    for (; *what; what++) {
        const char one[2] = {*what, '\0'};
        const size_t n = octets_of(one, body + at);
        v[a.n++].data = slice_of(body + at, n);
        at += n;
    }
    return discover_records(d, OK, &a);
}

struct row {
    const char *advanced, *direct, *dane, *vks; /* NULL: must not be asked */
    enum discover_outcome outcome;
    enum discover_source source;
    enum discover_trust trust;
    char key;
    bool differs;
    enum discover_outcome direct_came; /* 0: unasked */
};
#define NOBODY 0, DISCOVER_BY_NOBODY, 0

static void answer_all(struct discover *d, const struct row *r)
{
    struct discover_question q;
    unsigned asked = 0;
    while (discover_next(d, &q)) {
        const char *what = q.source == DISCOVER_WKD_ADVANCED ? r->advanced
                           : q.source == DISCOVER_WKD_DIRECT ? r->direct
                           : q.source == DISCOVER_VKS        ? r->vks
                                                             : r->dane;
        assert_true(++asked <= DISCOVER_SOURCES);
        if (!what)
            fail_msg("%s must not be asked", discover_source_name(q.source));
        if (q.url)
            assert_int_equal(page(d, q.source, what), OK);
        else
            assert_int_equal(records(d, what), OK);
    }
    assert_true(discover_over(d));
}

static struct discover *begin(const char *address, const char *server, bool every)
{
    const struct discover_params p = {.address = address, .server = server, .now = NOW, .every = every};
    struct discover *d = NULL;
    assert_int_equal(discover_create(&p, &d), OK);
    return d;
}

static void check(const struct row *r, size_t i)
{
    struct discover *d = begin("Ann@Example.org", "vks:keys.test", false);
    uint8_t fpr[PGP_FPR_MAX];
    answer_all(d, r);
    const struct discover_result got = discover_result(d);
    if (got.outcome != r->outcome || (r->outcome != DISCOVER_NONE && got.source != r->source) ||
        got.trust != r->trust || got.differs != r->differs ||
        discover_report(d, DISCOVER_WKD_DIRECT).outcome != r->direct_came)
        fail_msg("row %zu: %s, %s, %s, %d; direct: %s", i, discover_outcome_text(got.outcome),
                 discover_source_name(got.source), discover_trust_name(got.trust), got.differs,
                 discover_outcome_text(discover_report(d, DISCOVER_WKD_DIRECT).outcome));
    if (r->key) {
        fingerprint(r->key, fpr);
        assert_int_equal(got.verdict.primary_fpr_len, r->key == '6' ? 32 : 20);
        assert_memory_equal(got.verdict.primary_fpr, fpr, got.verdict.primary_fpr_len);
        assert_true(got.len > 0 && got.cert);
        assert_true(got.verdict.native);
        assert_int_equal(got.verdict.prefs.seipd_v2, r->key == '6' || r->key == 'v');
        assert_true(got.keep >= 300 && got.keep <= DAY);
    } else {
        assert_null(got.cert);
        assert_true(got.keep == 300 || got.keep == 3600);
    }
    discover_destroy(d);
}

#define WEB(source, key) DISCOVER_FOUND, DISCOVER_##source, DISCOVER_BY_DOMAIN, key
#define DNS(key) DISCOVER_FOUND, DISCOVER_DANE, DISCOVER_BY_DNSSEC, key
#define WHY(why, source) DISCOVER_##why, DISCOVER_##source, DISCOVER_BY_NOBODY, 0
static const struct row domains[] = {
    /* a Web Key Directory */
    {"a", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"!host", "a", "", NULL, WEB(WKD_DIRECT, 'a'), false, DISCOVER_FOUND},
    {"=404", NULL, "", "=404", DISCOVER_NONE, NOBODY}, /* it exists: the direct method is not asked */
    {"!tls", NULL, "", "=404", WHY(NO_TLS, WKD_ADVANCED)},
    {"!slow", NULL, "", "=404", WHY(TIMEOUT, WKD_ADVANCED)},
    {"!down", NULL, "", "=404", WHY(UNREACHABLE, WKD_ADVANCED)},
    {"!host", "=404", "", "=404", DISCOVER_NONE, NOBODY, false, DISCOVER_NONE},
    {"!host", "!host", "", "=404", DISCOVER_NONE, NOBODY, false, DISCOVER_NO_HOST},
    {"=500", NULL, "", "=404", WHY(HTTP, WKD_ADVANCED)},
    {"=410", NULL, "", "=404", DISCOVER_NONE, NOBODY},
    {"!moved", NULL, "", "=404", WHY(MOVED, WKD_ADVANCED)},
    {"!inside", NULL, "", "=404", WHY(FORBIDDEN, WKD_ADVANCED)},
    {"!host", "!inside", "", "=404", WHY(FORBIDDEN, WKD_DIRECT), false, DISCOVER_FORBIDDEN},
    {"!large", NULL, "", "=404", WHY(TOO_LARGE, WKD_ADVANCED)},
    {"<html>", NULL, "", "=404", WHY(MALFORMED, WKD_ADVANCED)},
    {"", NULL, "", "=404", WHY(MALFORMED, WKD_ADVANCED)},
    {"@a", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"6", NULL, "", NULL, WEB(WKD_ADVANCED, '6')},
    {"v", NULL, "", NULL, WEB(WKD_ADVANCED, 'v')},
    {"m", NULL, "", NULL, WEB(WKD_ADVANCED, 'm')},
    /* what cannot be used */
    {"e", NULL, "", "=404", WHY(EXPIRED, WKD_ADVANCED)},
    {"E", NULL, "", "=404", WHY(EXPIRED, WKD_ADVANCED)},
    {"r", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    {"s", NULL, "", "=404", WHY(SIGNS_ONLY, WKD_ADVANCED)},
    {"o", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    {"O", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    {"P", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    {"Q", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    {"f", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    {"u", NULL, "", "=404", WHY(ANOTHERS, WKD_ADVANCED)},
    /* several: one that is given up beside its successor, somebody else's beside the right one */
    {"ra", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"ar", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"oea", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"aa", NULL, "", NULL, WEB(WKD_ADVANCED, 'a')},
    {"ab", NULL, "", "=404", WHY(AMBIGUOUS, WKD_ADVANCED)},
    {"abr", NULL, "", "=404", WHY(AMBIGUOUS, WKD_ADVANCED)},
    {"or", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    /* several copies of one: the newer counts, and a revocation in any */
    {"aA", NULL, "", "=404", WHY(EXPIRED, WKD_ADVANCED)},
    {"Aa", NULL, "", "=404", WHY(EXPIRED, WKD_ADVANCED)},
    {"aR", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    {"Ra", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    {"AR", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    {"RA", NULL, "", "=404", WHY(REVOKED, WKD_ADVANCED)},
    {"aRb", NULL, "", NULL, WEB(WKD_ADVANCED, 'b')},
    {"abR", NULL, "", "=404", WHY(AMBIGUOUS, WKD_ADVANCED)},
    {"=404", NULL, "+aR", "=404", WHY(REVOKED, DANE)},
    {"aooooooob", NULL, "", "=404", WHY(TOO_LARGE, WKD_ADVANCED)},
    /* DNS */
    {"=404", NULL, "+a", NULL, DNS('a')},
    {"!host", "!host", "+6", NULL, DNS('6'), false, DISCOVER_NO_HOST},
    {"=404", NULL, "a", "=404", WHY(UNSIGNED, DANE)},
    {"=404", NULL, "!bogus", "=404", WHY(BOGUS, DANE)},
    {"=404", NULL, "!slow", "=404", WHY(TIMEOUT, DANE)},
    {"=404", NULL, "+e", "=404", WHY(EXPIRED, DANE)},
    {"=404", NULL, "+o", "=404", WHY(ANOTHERS, DANE)},
    {"=404", NULL, "+ra", NULL, DNS('a')},
    {"=404", NULL, "+ab", "=404", WHY(AMBIGUOUS, DANE)},
    {"!slow", NULL, "+a", NULL, DNS('a')},
    /* both */
    {"a", NULL, "+a", NULL, DNS('a')},
    {"a", NULL, "+b", NULL, DNS('b'), true},
    {"a", NULL, "b", NULL, WEB(WKD_ADVANCED, 'a')},
    {"a", NULL, "+e", NULL, WEB(WKD_ADVANCED, 'a')},
    {"ab", NULL, "+b", NULL, DNS('b')},
    {"a", NULL, "+R", NULL, WHY(REVOKED, WKD_ADVANCED)},
    {"R", NULL, "+a", NULL, WHY(REVOKED, WKD_ADVANCED)},
    {"b", NULL, "+R", NULL, WEB(WKD_ADVANCED, 'b')},
    /* a key server */
    {"=404", NULL, "", "@a", DISCOVER_FOUND, DISCOVER_VKS, DISCOVER_BY_SERVER, 'a'},
    {"!tls", NULL, "a", "@b", DISCOVER_FOUND, DISCOVER_VKS, DISCOVER_BY_SERVER, 'b'},
    {"=404", NULL, "", "@o", WHY(ANOTHERS, VKS)},
    {"R", NULL, "", "@a", WHY(REVOKED, WKD_ADVANCED)},
    {"R", NULL, "", "@b", DISCOVER_FOUND, DISCOVER_VKS, DISCOVER_BY_SERVER, 'b'},
    {"e", NULL, "", "!moved", WHY(EXPIRED, WKD_ADVANCED)},
    {"=404", NULL, "", "!inside", WHY(FORBIDDEN, VKS)},
};

static void every_kind_of_domain(void **state)
{
    for (size_t i = 0; i < sizeof(domains) / sizeof(*domains); i++)
        check(&domains[i], i);
}

/* A direct method that is looked at, and not believed, makes nothing surer. */
static void looked_at_alone(void **state)
{
    static const struct row r = {"=404", "a", "", "a", 0, NOBODY, false, 0};
    struct discover *d = begin("Ann@Example.org", "vks:keys.test", true);
    answer_all(d, &r);
    const struct discover_result got = discover_result(d);
    assert_int_equal(discover_report(d, DISCOVER_WKD_DIRECT).outcome, DISCOVER_FOUND);
    assert_int_equal(got.source, DISCOVER_VKS);
    assert_int_equal(got.trust, DISCOVER_BY_SERVER);
    assert_false(got.differs);
    discover_destroy(d);
}

static void asked_as_published(void **state)
{
    struct discover *d = begin("Joe.Doe@Example.ORG", "hkp:keys.example", true);
    struct discover_question q[2];
    assert_true(discover_next(d, &q[0]) && discover_next(d, &q[1]));
    assert_string_equal(q[0].url, "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/"
                                  "iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=joe.doe");
    assert_null(q[1].url);
    assert_string_equal(discover_address(d), "joe.doe@example.org");
    assert_false(discover_next(d, &q[0]));
    assert_int_equal(page(d, DISCOVER_WKD_ADVANCED, "=404"), OK);
    assert_true(discover_next(d, &q[0]));
    assert_string_equal(q[0].url,
                        "https://example.org/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=joe.doe");
    assert_int_equal(page(d, DISCOVER_WKD_DIRECT, "=404"), OK);
    assert_int_equal(records(d, ""), OK);
    assert_true(discover_next(d, &q[0]));
    assert_string_equal(q[0].url,
                        "https://keys.example/pks/lookup?op=get&options=mr&exact=on&search=joe.doe%40example.org");
    discover_destroy(d);

    d = begin("hugh@example.com", "vks:keys.example", false); /* RFC 7929 section 3 */
    assert_true(discover_next(d, &q[0]) && discover_next(d, &q[1]));
    assert_string_equal(q[1].name, "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._openpgpkey.example.com");
    discover_give_up(d, true);
    assert_true(discover_over(d));
    assert_int_equal(discover_result(d).outcome, DISCOVER_TIMEOUT);
    discover_destroy(d);

    d = begin("a&b=c/d?e#f@example.com", "vks:keys.example", false); /* nothing of it is syntax of a URL */
    assert_true(discover_next(d, &q[0]));
    assert_non_null(strstr(q[0].url, "?l=a%26b%3Dc%2Fd%3Fe%23f"));
    assert_null(strchr(q[0].url, '#'));
    discover_destroy(d);
}

/* A certificate with so many more signatures over its user id that do not hold, by its own word or a stranger's. */
static enum discover_outcome with_bad_signatures(unsigned n, bool anothers)
{
    static struct forge f;
    const char uid[] = "ann@example.org";
    struct forge_key primary, enc, other;
    struct discover *d = begin(uid, "", false);
    struct discover_question q;
    f.len = 0;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, 1);
    forge_key_make(&enc, 4, PGP_X25519, MADE, 2);
    forge_key_make(&other, 4, PGP_ED25519, MADE, 3);
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_uid(&f, uid);
    for (unsigned i = 0; i < n; i++)
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE + 9, .flags = CERTIFIES, .bad = true},
                      anothers ? &other : &primary, &primary, NULL, uid);
    forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE, .flags = CERTIFIES}, &primary, &primary, NULL,
                  uid);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forge_put_sig(&f, (struct forge_sig){.type = 0x18, .created = MADE, .flags = ENCRYPTS}, &primary, &primary, &enc,
                  NULL);
    assert_true(discover_next(d, &q) && discover_next(d, &q));
    const struct fetch_answer a = {.status = 200, .type = "", .body = slice_of(f.data, f.len)};
    assert_int_equal(discover_page(d, DISCOVER_WKD_ADVANCED, OK, &a), OK);
    const enum discover_outcome o = discover_report(d, DISCOVER_WKD_ADVANCED).outcome;
    discover_destroy(d);
    return o;
}

/* What costs time is bounded before it is spent; strangers' signatures cost none. */
static void so_many_signatures(void **state)
{
    assert_int_equal(with_bad_signatures(DISCOVER_SIGNATURES_MAX - 2, false), DISCOVER_FOUND);
    assert_int_equal(with_bad_signatures(DISCOVER_SIGNATURES_MAX - 1, false), DISCOVER_TOO_LARGE);
    assert_int_equal(with_bad_signatures(300, false), DISCOVER_TOO_LARGE);
    assert_int_equal(with_bad_signatures(300, true), DISCOVER_FOUND);
}

/* With every, the direct method is asked too, to be looked at: it counts no more than without. */
static void looked_at(void **state)
{
    const struct row r = {"=404", "a", "", "=404", DISCOVER_NONE, NOBODY};
    struct discover *d = begin("ann@example.org", "vks:keys.test", true);
    answer_all(d, &r);
    assert_int_equal(discover_report(d, DISCOVER_WKD_DIRECT).outcome, DISCOVER_FOUND);
    assert_int_equal(discover_report(d, DISCOVER_WKD_DIRECT).fpr_len, 20);
    assert_int_equal(discover_result(d).outcome, DISCOVER_NONE);
    assert_null(discover_result(d).cert);
    discover_destroy(d);
}

static void what_it_is_given(void **state)
{
    static const char *const bad[] = {"",        "ann",     "@example.org",      "ann@", "ann@[192.0.2.1]",
                                      "ann@a b", "a@b\r\n", "ann@example.org\nx"};
    static const char *const servers[] = {"keys.test",    "vks:",        "vks:localhost", "vks:keys.test/x",
                                          "vks:a@b.test", "http:x.test", "hkp:KEYS.test", "vks:127.0.0.1:80"};
    struct discover *d = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct discover_params p = {.address = bad[i], .server = ""};
        assert_int_equal(discover_create(&p, &d), ERR_FORMAT);
    }
    for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
        const struct discover_params p = {.address = "ann@example.org", .server = servers[i]};
        assert_int_equal(discover_create(&p, &d), ERR_FORMAT);
    }
    assert_true(discover_server_valid("") && discover_server_valid("vks:keys.openpgp.org"));
    assert_null(d);
}

/* What nobody waits for any more is not taken when it comes; what was not asked for is not either. */
static void late_and_unasked(void **state)
{
    struct discover *d = begin("ann@example.org", "vks:keys.test", false);
    struct discover_question q;
    assert_int_equal(page(d, DISCOVER_WKD_ADVANCED, "a"), OK);
    assert_int_equal(records(d, "+a"), OK);
    assert_false(discover_over(d));
    assert_true(discover_next(d, &q) && discover_next(d, &q));
    assert_int_equal(records(d, ""), OK);
    discover_give_up(d, true);
    assert_int_equal(page(d, DISCOVER_WKD_ADVANCED, "a"), OK);
    assert_int_equal(discover_result(d).outcome, DISCOVER_TIMEOUT);
    assert_int_equal(discover_result(d).keep, 300);
    assert_true(discover_outcome_passes(DISCOVER_TIMEOUT) && !discover_outcome_passes(DISCOVER_NONE));
    discover_destroy(d);
}

/* A domain that is slow leaves the key server to be asked. */
static void given_up_by_halves(void **state)
{
    struct discover *d = begin("ann@example.org", "vks:keys.test", false);
    struct discover_question q;
    assert_true(discover_next(d, &q) && discover_next(d, &q) && !discover_next(d, &q));
    discover_give_up(d, false);
    assert_false(discover_over(d));
    assert_true(discover_next(d, &q));
    assert_int_equal(q.source, DISCOVER_VKS);
    assert_int_equal(page(d, DISCOVER_VKS, "@a"), OK);
    assert_true(discover_over(d));
    assert_int_equal(discover_result(d).trust, DISCOVER_BY_SERVER);
    discover_destroy(d);
}

/* No longer than the key lasts, nor than DNS says. */
static void kept_for(void **state)
{
    static const struct {
        const char *advanced, *dane;
        uint32_t keep;
    } rows[] = {{"a", "", DAY}, {"z", "", 600}, {"=404", "+a", 1200}, {"=404", "+z", 600}, {"!down", "", 300}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct discover *d = begin("ann@example.org", "", false);
        answer_all(d, &(struct row){rows[i].advanced, NULL, rows[i].dane, NULL});
        assert_int_equal(discover_result(d).keep, rows[i].keep);
        discover_destroy(d);
    }
}

/* An expired key at the domain is no last word while a key server, which may have it renewed, does not answer. */
static void may_come_soon(void **state)
{
    static const struct {
        const char *advanced, *vks;
        bool passes;
    } rows[] = {{"e", "!down", true},
                {"e", "=404", false},
                {"=404", "!slow", true},
                {"=404", "=404", false},
                {"a", NULL, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct discover *d = begin("ann@example.org", "vks:keys.test", false);
        answer_all(d, &(struct row){rows[i].advanced, NULL, "", rows[i].vks});
        assert_int_equal(discover_result(d).passes, rows[i].passes);
        discover_destroy(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_domain), cmocka_unit_test(looked_at_alone),
        cmocka_unit_test(asked_as_published),   cmocka_unit_test(looked_at),
        cmocka_unit_test(what_it_is_given),     cmocka_unit_test(late_and_unasked),
        cmocka_unit_test(given_up_by_halves),   cmocka_unit_test(kept_for),
        cmocka_unit_test(may_come_soon),        cmocka_unit_test(so_many_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
