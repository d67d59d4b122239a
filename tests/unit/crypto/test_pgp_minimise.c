/* What is published of a certificate: which packets stay, that nobody else's do, and what poisoned ones cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/pgp_minimise.h"
#include "crypto/pgp_signature.h"
#include "tests/support/judge_certs.h"
#include "tests/support/judge_forged.h"

enum { AUTHENTICATES = 0x20, OUT = 64 * 1024 };

/* The linker puts it in pgp_signature_verify's place: what is verified costs, and is counted. */
static size_t verified;
int __real_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over);
int __wrap_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over);
int __wrap_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over)
{
    verified++;
    return __real_pgp_signature_verify(s, by, over);
}

static bool is_named(void *arg, const uint8_t *user_id, size_t len)
{
    const char *name = arg;
    return len >= strlen(name) && !memcmp(user_id, name, strlen(name));
}

static uint8_t made[OUT];
static struct pgp_minimised facts;

/* From a copy of exactly its size. What comes out has its form, is no longer, and is its own copy. */
static size_t minimise_at(const uint8_t *cert, size_t len, uint64_t now, const char *name, int want)
{
    static uint8_t again[OUT];
    struct pgp_minimised more;
    struct pgp_published p;
    uint8_t *in = malloc(len ? len : 1);
    size_t n = 0, m = 0;
    assert_non_null(in);
    memcpy(in, cert, len);
    verified = 0;
    int err = pgp_minimise(in, len, now, name ? is_named : NULL, (void *)name, made, sizeof(made), &n, &facts);
    free(in);
    assert_int_equal(err, want);
    if (err)
        return 0;
    assert_true(n <= len);
    assert_int_equal(pgp_published_read(made, n, &p), OK);
    assert_int_equal(p.nuser_ids, facts.user_ids);
    assert_int_equal(p.revoked, facts.revoked);
    assert_memory_equal(p.key[0].fpr, facts.fpr, sizeof(facts.fpr));
    assert_int_equal(pgp_minimise(made, n, now, name ? is_named : NULL, (void *)name, again, sizeof(again), &m, &more),
                     OK);
    assert_int_equal(m, n);
    assert_memory_equal(again, made, n);
    assert_int_equal(pgp_minimise(made, n, now, NULL, NULL, again, n - 1, &m, &more), ERR_LIMIT);
    return n;
}

static size_t minimise(const char *name, int want)
{
    return minimise_at(forged.data, forged.len, NOW, name, want);
}

/* Its packets: "K", "U" and "S", keys; with a user id its text, with a signature its type. */
static const char *shape(size_t len)
{
    static char text[4096];
    struct pgp_packet p;
    size_t n = 0;
    for (size_t pos = 0; pgp_packet_next(made, len, &pos, &p) == OK;) {
        assert_true(p.new_format);
        if (p.tag == PGP_TAG_SIGNATURE)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x ", p.body[1]);
        else if (p.tag == PGP_TAG_USER_ID)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "U:%.*s ", (int)p.body_len, (const char *)p.body);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%c ", p.tag == PGP_TAG_PUBLIC_KEY ? 'K' : 'S');
    }
    text[n ? n - 1 : 0] = 0;
    return text;
}

static bool holds(size_t len, const void *what, size_t n)
{
    return memmem(made, len, what, n) != NULL;
}

static void put_subkey(const struct forge_key *k, struct forge_sig s)
{
    uint8_t back[300], sub[310];
    size_t n = 0;
    if (s.flags & PGP_FLAG_SIGN) {
        n = forge_sig_body(back, &(struct forge_sig){.type = BACK, .created = T0}, k, &primary, k, NULL);
        n = forge_sub(sub, PGP_SUB_EMBEDDED, back, n);
        s.hashed = sub;
        s.hashed_len = n;
    }
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, k);
    forged_bind(s, &primary, k);
}

/* ---- what stays ---- */

static void what_others_added_goes(void **state)
{
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        uint8_t junk[40];
        const size_t n = forge_sub(junk, 100, "by anybody, unhashed", 20);
        forged_start(v);
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0 + 1}, &stranger, &primary, NULL, "a");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0 - 1}, &primary, &primary, NULL, "a");
        forge_put_uid(&forged, "b");
        forge_put_sig(&forged,
                      (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .unhashed = junk, .unhashed_len = n},
                      &primary, &primary, NULL, "b");
        forge_put_uid(&forged, "b, says a stranger");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &stranger, &primary, NULL,
                      "b, says a stranger");
        forge_packet(&forged, PGP_TAG_USER_ATTRIBUTE, "\5\1pict", 6);
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "x");
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        forged_bind((struct forge_sig){.flags = ENC, .created = T0 + 2}, &primary, &enc);
        forged_bind((struct forge_sig){.flags = ENC, .created = T0 + 3}, &stranger, &enc);
        put_subkey(&sign, (struct forge_sig){.flags = PGP_FLAG_SIGN});
        forge_packet(&forged, PGP_TAG_TRUST, "x", 1);
        forge_packet(&forged, 60, "private", 7);
        size_t len = minimise("b", OK);
        assert_string_equal(shape(len), v == 6 ? "K 1f U:b 13 S 18 S 18" : "K U:b 13 S 18 S 18");
        assert_false(holds(len, "by anybody", 10));
        assert_int_equal(facts.user_ids, 1);
        assert_false(facts.revoked || facts.expired);
        assert_memory_equal(facts.fpr, primary.fpr, primary.fpr_len);
        len = minimise(NULL, OK);
        assert_string_equal(shape(len), v == 6 ? "K 1f U:a 13 U:b 13 S 18 S 18" : "K U:a 13 U:b 13 S 18 S 18");
        minimise("c", ERR_NOT_FOUND);
    }
}

static void what_is_over_goes_and_revocations_stay(void **state)
{
    (void)state;
    struct forge_key old, login;
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        forge_key_make(&old, v, PGP_X25519, T0, 20);
        forge_key_make(&login, v, PGP_ED25519, T0, 21);
        put_subkey(&old, (struct forge_sig){.flags = ENC, .key_expires = DAY});
        put_subkey(&login, (struct forge_sig){.flags = AUTHENTICATES});
        put_subkey(&enc2, (struct forge_sig){.flags = ENC, .created = T0 + DAY});
        forged_bind((struct forge_sig){.type = 0x28, .reason = 1003}, &primary, &enc2);
        forged_bind((struct forge_sig){.type = 0x28, .created = T0 + 2 * DAY, .reason = 1003}, &primary, &enc2);
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        size_t len = minimise("a", OK);
        assert_string_equal(shape(len), v == 6 ? "K 1f U:a 13 S 18 28 S 18" : "K U:a 13 S 18 28 S 18");
        assert_true(holds(len, enc.body, enc.body_len) && holds(len, enc2.body, enc2.body_len));
        /* A day after it was made the old one was still good. */
        len = minimise_at(forged.data, forged.len, T0 + DAY - 1, "a", OK);
        assert_true(holds(len, old.body, old.body_len));
        /* The whole is revoked, behind its end, as people append it. */
        forge_put_sig(&forged, (struct forge_sig){.type = 0x20, .created = T0 + DAY, .reason = 1002}, &primary,
                      &primary, NULL, NULL);
        len = minimise("a", OK);
        assert_true(facts.revoked);
        assert_string_equal(shape(len), v == 6 ? "K 20 1f U:a 13 S 18 28 S 18" : "K 20 U:a 13 S 18 28 S 18");
    }
}

static void a_user_id_that_was_revoked_is_not_published(void **state)
{
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        size_t good = forged.len;
        forge_put_uid(&forged, "b");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL,
                      "b");
        forge_put_sig(&forged, (struct forge_sig){.type = 0x30, .created = T0 + 1}, &primary, &primary, NULL, "b");
        minimise("b", ERR_NOT_FOUND);
        assert_true(minimise("a", OK) > 0);
        forged.len = good;
        forge_put_uid(&forged, "b");
        minimise("b", ERR_NOT_FOUND);
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &liar, &primary, NULL, "b");
        minimise("b", ERR_NOT_FOUND);
    }
}

/* Old certificates have self-signatures over SHA-1, and GnuPG takes them. */
static void sha1_counts_in_version_4(void **state)
{
    struct forge_key old = forge_rsa(4, 2048);
    (void)state;
    forged_keys(4);
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &old);
    forge_put_uid(&forged, "a");
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .hash = 2}, &old, &old, NULL,
                  "a");
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forge_put_sig(&forged, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC, .hash = 2}, &old, &old, &enc,
                  NULL);
    assert_int_equal(forged_judged(), PGP_FAULT_SELF_SIGNED);
    assert_string_equal(shape(minimise("a", OK)), "K U:a 13 S 18");
    EVP_PKEY_free(old.pkey);
}

static void real_ones(void **state)
{
    static const char *const texts[] = {cert_v6_25519,  cert_v6_448,      cert_v6_rsa,     cert_v6_signing_subkey,
                                        cert_v4_legacy, cert_v4_expiring, cert_v6_p521,    cert_v6_revoked,
                                        cert_v4_25519,  cert_v4_revoked,  cert_v6_user_ids};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t cert[8192];
        size_t len = from_text(texts[i], cert, sizeof(cert));
        assert_true(minimise_at(cert, len, NOW, NULL, OK) > 0);
        /* Cut anywhere it is refused or shorter; nothing is read beyond. */
        for (size_t cut = 0; cut < len; cut += 7) {
            uint8_t *part = malloc(cut ? cut : 1);
            size_t n = 0;
            memcpy(part, cert, cut);
            if (pgp_minimise(part, cut, NOW, NULL, NULL, made, sizeof(made), &n, &facts) == OK)
                assert_true(n <= cut);
            free(part);
        }
    }
}

/* ---- poisoned ones ---- */

static uint8_t *big;
static size_t big_len;

static void big_start(size_t cap)
{
    big = malloc(cap);
    assert_non_null(big);
    memcpy(big, forged.data, forged.len);
    big_len = forged.len;
}

static void big_add(size_t cap, int tag, const void *body, size_t len)
{
    assert_true(cap - big_len >= len + 6);
    big_len += pgp_packet_header(big + big_len, (enum pgp_tag)tag, len);
    memcpy(big + big_len, body, len);
    big_len += len;
}

/* SKS's poison: a hundred thousand signatures of others on a user id. As many as a megabyte holds are walked over once,
 * and none is verified; 30 MB are not even walked over. */
static void a_hundred_thousand_foreign_signatures(void **state)
{
    uint8_t foreign[400];
    struct forge_sig s = {.type = CERT, .created = T0};
    (void)state;
    forged_start(4);
    put_subkey(&enc, (struct forge_sig){.flags = ENC});
    size_t plain = minimise("a", OK), cost = verified;
    forged_start(4);
    size_t n = forge_sig_body(foreign, &s, &stranger, &primary, NULL, "a");
    size_t cap = 32 << 20;
    big_start(cap);
    while (big_len + n + 6 < PGP_CERT_MAX - 200)
        big_add(cap, PGP_TAG_SIGNATURE, foreign, n);
    size_t at = big_len;
    forged.len = 0;
    put_subkey(&enc, (struct forge_sig){.flags = ENC});
    memcpy(big + at, forged.data, forged.len);
    big_len += forged.len;
    assert_int_equal(minimise_at(big, big_len, NOW, "a", OK), plain);
    size_t len = 0;
    verified = 0;
    assert_int_equal(pgp_minimise(big, big_len, NOW, is_named, (void *)"a", made, sizeof(made), &len, &facts), OK);
    assert_int_equal(len, plain);
    assert_true(verified <= cost);
    big_len = at;
    for (unsigned i = 0; i < 100000; i++)
        big_add(cap, PGP_TAG_SIGNATURE, foreign, n);
    verified = 0;
    minimise_at(big, big_len, NOW, "a", ERR_LIMIT);
    while (big_len + 20000 < 30u << 20)
        big_add(cap, PGP_TAG_USER_ATTRIBUTE, big, 16384);
    minimise_at(big, big_len, NOW, "a", ERR_LIMIT);
    assert_int_equal(verified, 0);
    free(big);
}

/* Forged ones that claim the key itself as their maker have to be tried, newest first, and only so many are. */
static void forged_by_its_own_name(void **state)
{
    enum { CAP = 1 << 20 };
    uint8_t body[400];
    (void)state;
    forged_start(4);
    big_start(CAP);
    for (unsigned i = 0; i < 2000; i++) {
        struct forge_sig s = {.type = CERT, .created = T0 + 10 + i};
        big_add(CAP, PGP_TAG_SIGNATURE, body, forge_sig_body(body, &s, &liar, &primary, NULL, "a"));
    }
    size_t len;
    verified = 0;
    assert_int_equal(pgp_minimise(big, big_len, NOW, is_named, (void *)"a", made, sizeof(made), &len, &facts),
                     ERR_LIMIT);
    assert_true(verified <= PGP_SIGNATURES_MAX);
    free(big);
}

static void thousands_of_user_ids(void **state)
{
    enum { CAP = 1 << 20, MANY = 5000 };
    uint8_t body[400];
    char name[64];
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        big_start(CAP);
        for (unsigned i = 0; i < MANY; i++) {
            size_t n = (size_t)snprintf(name, sizeof(name), "c%u", i);
            big_add(CAP, PGP_TAG_USER_ID, name, n);
            if (i % 10 == 0)
                big_add(CAP, PGP_TAG_SIGNATURE, body,
                        forge_sig_body(body, &(struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL,
                                       name));
        }
        size_t len = minimise_at(big, big_len, NOW, "a", OK);
        assert_string_equal(shape(len), v == 6 ? "K 1f U:a 13" : "K U:a 13");
        minimise_at(big, big_len, NOW, NULL, ERR_LIMIT);
        minimise_at(big, big_len, NOW, "c", ERR_LIMIT); /* all of one address */
        free(big);
    }
}

/* Keys that bind one another, themselves, or the primary key. */
static void circles_bind_nothing(void **state)
{
    struct forge_key other;
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        forge_key_make(&other, v, PGP_ED25519, T0, 22);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &primary); /* the primary as its own subkey */
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &primary);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &sign);
        forge_put_sig(&forged, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &other, &primary, &sign,
                      NULL);
        forge_put_sig(&forged, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &sign, &primary, &sign,
                      NULL);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &other);
        forge_put_sig(&forged, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &sign, &primary, &other,
                      NULL);
        /* A stranger's signing key, which has not agreed. */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &stranger);
        forged_bind((struct forge_sig){.flags = PGP_FLAG_SIGN}, &primary, &stranger);
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        size_t len = minimise("a", OK);
        assert_string_equal(shape(len), v == 6 ? "K 1f U:a 13 S 18" : "K U:a 13 S 18");
        assert_true(holds(len, enc.body, enc.body_len));
    }
}

static void bad_numbers_and_sizes(void **state)
{
    struct forge_key k;
    uint8_t wide[PGP_MINIMISE_SIGNATURE_MAX], sub[PGP_MINIMISE_SIGNATURE_MAX + 8];
    static const uint8_t mpis[] = {0xff, 0xff, 0x01, 0, 0, 0x10, 0};
    (void)state;
    memset(wide, 'n', sizeof(wide));
    for (int v = 4; v <= 6; v += 2) {
        forged_keys(v);
        forge_body(&k, v, PGP_RSA, T0, mpis, sizeof(mpis));
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &k);
        forge_put_uid(&forged, "a");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .algo = PGP_RSA}, &primary, &k, NULL,
                      "a");
        minimise("a", v == 4 ? ERR_NOT_FOUND : ERR_REFUSED);
        /* A notation that fills a signature: the older one without it stays. */
        forged_start(v);
        forge_put_sig(&forged,
                      (struct forge_sig){.type = CERT,
                                         .created = T0 + 5,
                                         .hashed = sub,
                                         .hashed_len = forge_sub(sub, 20, wide, sizeof(wide))},
                      &primary, &primary, NULL, "a");
        size_t len = minimise("a", OK);
        assert_true(len < 1024 && !holds(len, "nnnnnnnn", 8));
    }
}

/* ---- the form, and two copies of one ---- */

static void the_form_is_held_to(void **state)
{
    struct pgp_published p;
    uint8_t bad[OUT];
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        put_subkey(&sign, (struct forge_sig){.flags = PGP_FLAG_SIGN});
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        size_t len = minimise("a", OK), pos = 0, at = 0, n;
        struct pgp_packet one;
        assert_int_equal(pgp_published_read(made, len, &p), OK);
        assert_int_equal(p.nkeys, 3);
        assert_memory_equal(p.key[1].fpr, sign.fpr, sign.fpr_len);
        assert_memory_equal(p.key[1].key_id, v == 4 ? sign.fpr + 12 : sign.fpr, 8);
        /* Each packet twice, and each left out: neither has the form, but for what may be missing. */
        for (; pgp_packet_next(made, len, &pos, &one) == OK; at = pos) {
            memcpy(bad, made, pos);
            memcpy(bad + pos, made + at, len - at);
            n = len + pos - at;
            bool may = one.tag == PGP_TAG_USER_ID;
            assert_int_equal(pgp_published_read(bad, n, &p), ERR_FORMAT);
            memcpy(bad, made, at);
            memcpy(bad + at, made + pos, len - pos);
            may = one.tag == PGP_TAG_SIGNATURE && one.body[1] == DIRECT;
            assert_int_equal(pgp_published_read(bad, len - (pos - at), &p), may ? OK : ERR_FORMAT);
            /* A stranger's text in a packet of its own. */
            memcpy(bad, made, pos);
            n = pos + pgp_packet_header(bad + pos, (enum pgp_tag)60, 4);
            memcpy(bad + n, "text", 4);
            memcpy(bad + n + 4, made + pos, len - pos);
            assert_int_equal(pgp_published_read(bad, n + 4 + len - pos, &p), ERR_FORMAT);
        }
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, made, cut);
            int err = pgp_published_read(part, cut, &p);
            assert_true(err == OK || err == ERR_FORMAT);
            free(part);
        }
    }
    assert_int_equal(pgp_published_read(bad, PGP_PUBLISHED_MAX + 1, &p), ERR_LIMIT);
}

static void two_user_ids_are_joined(void **state)
{
    (void)state;
    for (int v = 4; v <= 6; v += 2) {
        uint8_t a[4096], b[4096], both[8192];
        size_t joined;
        forged_start(v);
        forge_put_uid(&forged, "b");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "b");
        put_subkey(&enc, (struct forge_sig){.flags = ENC});
        size_t a_len = minimise("a", OK);
        memcpy(a, made, a_len);
        size_t b_len = minimise("b", OK);
        memcpy(b, made, b_len);
        size_t whole = minimise(NULL, OK);
        assert_int_equal(pgp_published_join(a, a_len, b, b_len, both, sizeof(both), &joined), OK);
        assert_int_equal(joined, whole);
        assert_memory_equal(both, made, whole);
        assert_int_equal(pgp_published_join(both, joined, b, b_len, made, sizeof(made), &whole), OK);
        assert_int_equal(whole, joined);
        assert_int_equal(pgp_published_join(a, a_len, b, b_len, both, joined - 1, &whole), ERR_LIMIT);
        uint8_t cert[8192];
        size_t other = from_text(cert_v4_legacy, cert, sizeof(cert));
        other = minimise_at(cert, other, NOW, NULL, OK);
        assert_int_equal(pgp_published_join(a, a_len, made, other, both, sizeof(both), &joined), ERR_CONFLICT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_added_goes),
        cmocka_unit_test(what_is_over_goes_and_revocations_stay),
        cmocka_unit_test(a_user_id_that_was_revoked_is_not_published),
        cmocka_unit_test(sha1_counts_in_version_4),
        cmocka_unit_test(real_ones),
        cmocka_unit_test(a_hundred_thousand_foreign_signatures),
        cmocka_unit_test(forged_by_its_own_name),
        cmocka_unit_test(thousands_of_user_ids),
        cmocka_unit_test(circles_bind_nothing),
        cmocka_unit_test(bad_numbers_and_sizes),
        cmocka_unit_test(the_form_is_held_to),
        cmocka_unit_test(two_user_ids_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
