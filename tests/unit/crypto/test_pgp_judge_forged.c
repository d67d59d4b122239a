/* Judging certificates that somebody has tampered with, or made badly: each case says what is to come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/crypto/pgp_forge.h" /* OpenSSL before error.h */
#include "tests/unit/crypto/judge_support.h"

enum { T0 = 1700000000, DAY = 86400, ENC = 0x0c, BIND = 0x18, BACK = 0x19, DIRECT = 0x1f, CERT = 0x13 };

static struct forge f;
static struct pgp_judged j;
static struct forge_key primary, enc, enc2, sign, stranger, liar; /* liar: the primary's name, a stranger's secret */

static void keys_for(int version)
{
    forge_key_make(&primary, version, PGP_ED25519, T0, 1);
    forge_key_make(&enc, version, PGP_X25519, T0, 2);
    forge_key_make(&enc2, version, PGP_X25519, T0 + DAY, 3);
    forge_key_make(&sign, version, PGP_ED25519, T0, 4);
    forge_key_make(&stranger, version, PGP_ED25519, T0, 5);
    liar = primary;
    memcpy(liar.sk, stranger.sk, sizeof liar.sk);
}

/* Primary key, direct key signature in version 6, one user id. */
static void start(int version)
{
    keys_for(version);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    if (version == 6)
        forge_put_sig(&f, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3, .features = 9}, &primary, &primary, NULL, NULL);
    forge_put_uid(&f, "a");
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 9}, &primary, &primary, NULL, "a");
}

static void bind_by(struct forge_sig s, const struct forge_key *by, const struct forge_key *subkey)
{
    s.type = s.type ? s.type : BIND;
    s.created = s.created ? s.created : T0;
    forge_put_sig(&f, s, by, &primary, subkey, NULL);
}

static enum pgp_fault judged_at(uint64_t now)
{
    int err = judge_copy(f.data, f.len, now, &j);
    assert_int_equal(err == OK, j.fault == PGP_FAULT_NONE);
    if (err == OK) { /* once more from bytes that stay */
        assert_int_equal(pgp_judge(f.data, f.len, now, &j), OK);
        check_minimal(f.data, f.len, &j, NULL);
    }
    return j.fault;
}

static enum pgp_fault judged(void)
{
    return judged_at(NOW);
}

static bool seals_with(const struct forge_key *k)
{
    return j.verdict.enc_fpr_len == k->fpr_len && memcmp(j.verdict.enc_fpr, k->fpr, k->fpr_len) == 0;
}

/* One encryption subkey with one binding of the given kind: does it count? */
static bool binding_counts(int version, struct forge_sig s, const struct forge_key *by)
{
    start(version);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    s.flags = s.flags ? s.flags : ENC;
    bind_by(s, by, &enc);
    enum pgp_fault fault = judged();
    if (fault != PGP_FAULT_NONE)
        assert_int_equal(fault, PGP_FAULT_SIGNING_ONLY);
    return fault == PGP_FAULT_NONE;
}

static void bindings(void **state)
{
    static const uint8_t unknown_critical[] = {2, 0x80 | 100, 0}, unknown[] = {2, 100, 0}, created_short[] = {4, 2, 1, 2, 3},
                         notation[] = {10, 0x80 | 20, 0, 0, 0, 0, 0, 1, 0, 0, 'x'}, soft_notation[] = {10, 20, 0, 0, 0, 0, 0, 1, 0, 0, 'x'},
                         no_subpacket[] = {0};
    for (int v = 4; v <= 6; v += 2) {
        keys_for(v);
        struct forge_key p = primary, wrong = liar, other = stranger;
        assert_true(binding_counts(v, (struct forge_sig){0}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.anonymous = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){0}, &wrong));
        assert_false(binding_counts(v, (struct forge_sig){0}, &other));
        assert_false(binding_counts(v, (struct forge_sig){.anonymous = true}, &other));
        assert_false(binding_counts(v, (struct forge_sig){.named_by_stranger = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.bad = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.bad_left = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.no_date = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.created = T0 - 1}, &p)); /* older than the key that made it */
        assert_false(binding_counts(v, (struct forge_sig){.created = NOW + 1}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.created = NOW}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.type = 0x28}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.type = DIRECT}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.algo = PGP_RSA}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.version = (uint8_t)(10 - v)}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.hashed = unknown_critical, .hashed_len = 3}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.hashed = unknown, .hashed_len = 3}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.unhashed = unknown_critical, .unhashed_len = 3}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.hashed = notation, .hashed_len = 11}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.hashed = soft_notation, .hashed_len = 11}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.hashed = created_short, .hashed_len = 5}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.hashed = no_subpacket, .hashed_len = 1}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.unhashed = no_subpacket, .unhashed_len = 1}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.flags = 0x20}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.flags = 0x04}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.flags = 0x08}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.flags = 1000}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.flags = 0x0e}, &p)); /* signs too, and has nothing to say */
        static const struct { uint8_t hash; bool counts; } hashes[] = {
            {1, false}, {2, false}, {8, true}, {9, true}, {10, true}, {11, false /* too short for Ed25519 */}, {12, true}, {14, true}};
        for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
            assert_int_equal(binding_counts(v, (struct forge_sig){.hash = hashes[i].hash}, &p), hashes[i].counts);
    }
    keys_for(6);
    struct forge_key p = primary;
    assert_false(binding_counts(6, (struct forge_sig){.bad_salt_len = true}, &p));
    /* No flags stated: version 4 goes by the algorithm. */
    for (int v = 4; v <= 6; v += 2) {
        start(v);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){0}, &primary, &enc);
        assert_int_equal(judged(), v == 4 ? PGP_FAULT_NONE : PGP_FAULT_SIGNING_ONLY);
    }
}

static void which_binding(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        start(v); /* none */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        assert_int_equal(judged(), PGP_FAULT_SIGNING_ONLY);
        assert_int_equal(j.validity[1], PGP_UNBOUND);
        start(v); /* each other's */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc2);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_SIGNING_ONLY);
        start(v); /* of another certificate's subkey, made there */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forge_put_sig(&f, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &stranger, &stranger, &enc, NULL);
        assert_int_equal(judged(), PGP_FAULT_SIGNING_ONLY);
        start(v); /* the newest that is good decides, though it stands first; forged ones do not hide it */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.created = T0 + 2, .flags = ENC, .key_expires = 5 * DAY}, &primary, &enc);
        bind_by((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        bind_by((struct forge_sig){.created = T0 + 3, .flags = ENC}, &liar, &enc);
        bind_by((struct forge_sig){.created = T0 + 3, .flags = ENC, .bad = true}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_int_equal(j.verdict.enc_expires, T0 + 5 * DAY);
        assert_int_equal(j.validity[1], PGP_EXPIRED);
        assert_int_equal(judged_at(T0 + DAY), PGP_FAULT_NONE);
        assert_int_equal(j.validity[1], PGP_VALID);
        start(v); /* a newer one takes encryption away */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        bind_by((struct forge_sig){.created = T0 + 2, .flags = 0x20}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_SIGNING_ONLY);
        start(v); /* one that wore off: the older one that did not goes before */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        bind_by((struct forge_sig){.created = T0 + 2, .flags = ENC, .expires = DAY}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_int_equal(j.validity[1], PGP_VALID);
        start(v); /* only such: expired, and sealed to all the same */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.created = T0 + 2, .flags = ENC, .expires = DAY}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_int_equal(j.validity[1], PGP_EXPIRED);
        assert_int_equal(j.verdict.enc_expires, T0 + 2 + DAY);
        start(v); /* past 2106 is never */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC, .key_expires = UINT32_MAX}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_int_equal(j.verdict.enc_expires, 0);
        start(v); /* the primary as a subkey of itself */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &primary);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &primary);
        assert_int_equal(judged(), PGP_FAULT_SIGNING_ONLY);
        assert_int_equal(j.nkeys, 1);
    }
}

static void which_key(void **state)
{
    struct { uint32_t expires1, expires2; int chosen; } t[] = {{0, 0, 2}, {0, DAY, 1}, {DAY, 0, 2}, {DAY, DAY, 2}};
    for (size_t i = 0; i < 4; i++) {
        start(6);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC, .key_expires = t[i].expires1}, &primary, &enc);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        bind_by((struct forge_sig){.created = T0 + DAY, .flags = ENC, .key_expires = t[i].expires2}, &primary, &enc2);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_true(seals_with(t[i].chosen == 1 ? &enc : &enc2));
    }
    struct forge_key twin; /* as old: the first */
    start(4);
    forge_key_make(&twin, 4, PGP_X25519, T0, 7);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &twin);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &twin);
    assert_int_equal(judged(), PGP_FAULT_NONE);
    assert_true(seals_with(&enc));
    /* No subkey outlives its primary. */
    keys_for(6);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_sig(&f, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3, .key_expires = 2 * DAY}, &primary, &primary, NULL, NULL);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC, .key_expires = 3 * DAY}, &primary, &enc);
    assert_int_equal(judged(), PGP_FAULT_NONE);
    assert_int_equal(j.verdict.expires, T0 + 2 * DAY);
    assert_int_equal(j.verdict.enc_expires, T0 + 2 * DAY);
    assert_int_equal(j.validity[0], PGP_EXPIRED);
    assert_int_equal(j.validity[1], PGP_EXPIRED);
}

/* A signing subkey with an embedded signature of the given kind. */
static enum pgp_validity signing(int version, struct forge_sig back, const struct forge_key *by, const struct forge_key *over, bool hashed)
{
    static uint8_t body[1024], sub[1200];
    start(version);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &sign);
    struct forge_sig s = {.flags = 2};
    size_t n = 0;
    if (by) {
        back.type = back.type ? back.type : BACK;
        back.created = back.created ? back.created : T0;
        n = forge_sub(sub, 32, body, forge_sig_body(body, &back, by, &primary, over, NULL));
    }
    if (hashed)
        s.hashed = sub, s.hashed_len = n;
    else
        s.unhashed = sub, s.unhashed_len = n;
    bind_by(s, &primary, &sign);
    assert_int_equal(judged(), PGP_FAULT_NONE);
    assert_true(seals_with(&enc));
    return j.validity[2];
}

static void back_signatures(void **state)
{
    static const uint8_t junk[] = {9, 100, 'r', 'e', 'a', 'd', 'a', 'b', 'l', 'e'};
    for (int v = 4; v <= 6; v += 2) {
        keys_for(v);
        struct forge_key s = sign, p = primary, e = enc, as_sign = sign;
        memcpy(as_sign.sk, p.sk, sizeof p.sk);
        for (int hashed = 0; hashed < 2; hashed++) {
            assert_int_equal(signing(v, (struct forge_sig){0}, NULL, NULL, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){0}, &s, &s, hashed), PGP_VALID);
            assert_int_equal(signing(v, (struct forge_sig){.bad = true}, &s, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){0}, &p, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){0}, &as_sign, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){0}, &s, &e, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){.type = BIND}, &s, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){.hash = 2}, &s, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){.created = NOW + 1}, &s, &s, hashed), PGP_UNBOUND);
            assert_int_equal(signing(v, (struct forge_sig){.expires = 1}, &s, &s, hashed), PGP_UNBOUND);
        }
        /* What stands unhashed in the embedded one is nobody's word: the copy leaves it out. */
        uint8_t out[8192];
        size_t n;
        assert_int_equal(signing(v, (struct forge_sig){.unhashed = junk, .unhashed_len = sizeof junk}, &s, &s, false), PGP_VALID);
        assert_non_null(memmem(f.data, f.len, "readable", 8));
        assert_int_equal(pgp_cert_minimal(f.data, f.len, &j, NULL, NULL, out, sizeof out, &n), OK);
        assert_null(memmem(out, n, "readable", 8));
    }
}

static enum pgp_fault subkey_revoked(int version, struct forge_sig s, const struct forge_key *by, const struct forge_key *subkey)
{
    start(version);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
    s.type = 0x28;
    s.created = s.created ? s.created : T0 + 5;
    bind_by(s, by, subkey);
    bind_by((struct forge_sig){.flags = ENC, .created = T0 + 10}, &primary, &enc); /* too late to take it back */
    return judged();
}

static void revocations(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        keys_for(v);
        struct forge_key p = primary, e = enc, e2 = enc2, q = stranger, l = liar;
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 2}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 3}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 2, .created = NOW + 9}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 3, .created = NOW + 9}, &p, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.expires = 1}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.bad = true}, &p, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &p, &e2), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &q, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &l, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &e, &e), PGP_FAULT_NONE); /* its own word does not count */
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.hash = 2}, &p, &e), PGP_FAULT_NONE); /* too short for Ed25519 */
        start(v); /* the other subkey remains */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        bind_by((struct forge_sig){.created = T0 + DAY, .flags = ENC}, &primary, &enc2);
        bind_by((struct forge_sig){.type = 0x28, .created = T0 + DAY}, &primary, &enc2);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_true(seals_with(&enc));
        assert_int_equal(j.validity[2], PGP_REVOKED);
    }
}

static void user_ids(void **state)
{
    static const struct { uint32_t revoked, again; bool bad; enum pgp_validity want; } t[] = {
        {T0 + 1, 0, false, PGP_REVOKED}, {T0 + 1, T0 + 2, false, PGP_VALID}, {T0 + 2, T0 + 1, false, PGP_REVOKED},
        {T0 + 1, T0 + 1, false, PGP_REVOKED}, {T0 + 1, 0, true, PGP_VALID}, {NOW + 1, 0, false, PGP_VALID}};
    for (int v = 4; v <= 6; v += 2) {
        for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
            start(v);
            forge_put_sig(&f, (struct forge_sig){.type = 0x30, .created = t[i].revoked, .bad = t[i].bad}, &primary, &primary, NULL, "a");
            if (t[i].again)
                forge_put_sig(&f, (struct forge_sig){.type = 0x10, .created = t[i].again, .flags = 3}, &primary, &primary, NULL, "a");
            forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
            bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
            assert_int_equal(judged(), v == 4 && t[i].want == PGP_REVOKED ? PGP_FAULT_SELF_SIGNED : PGP_FAULT_NONE);
            assert_int_equal(j.user_ids[0].validity, t[i].want);
        }
        start(v); /* signed by somebody else, over another name, or not at all */
        forge_put_uid(&f, "b");
        forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0}, &liar, &primary, NULL, "b");
        forge_put_uid(&f, "c");
        forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "a");
        forge_put_uid(&f, "d");
        forge_put_uid(&f, "");
        forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "");
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(judged(), PGP_FAULT_NONE);
        assert_int_equal(j.nuser_ids, 5);
        static const enum pgp_validity want[] = {PGP_VALID, PGP_UNBOUND, PGP_UNBOUND, PGP_UNBOUND, PGP_VALID};
        for (int i = 0; i < 5; i++)
            assert_int_equal(j.user_ids[i].validity, want[i]);
    }
}

/* Version 6 rests on its direct key signature alone. */
static void direct_signatures(void **state)
{
    static const struct { struct forge_sig s; enum pgp_fault want; } t[] = {
        {{.type = DIRECT, .created = T0, .flags = 3}, PGP_FAULT_NONE},
        {{.type = DIRECT, .created = T0, .flags = 3, .bad = true}, PGP_FAULT_SELF_SIGNED},
        {{.type = DIRECT, .created = NOW + 1, .flags = 3}, PGP_FAULT_SELF_SIGNED},
        {{.type = DIRECT, .created = T0, .flags = 3, .expires = 1}, PGP_FAULT_NONE}, /* expired: still sealed to */
        {{.type = CERT, .created = T0, .flags = 3}, PGP_FAULT_SELF_SIGNED},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        keys_for(6);
        f.len = 0;
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_sig(&f, t[i].s, &primary, &primary, NULL, NULL);
        forge_put_uid(&f, "a");
        forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL, "a");
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(judged(), t[i].want);
    }
    for (int again = 0; again < 2; again++) { /* cancelled (section 5.2.1.13), and made anew */
        start(6);
        f.len = 0;
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_sig(&f, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3}, &primary, &primary, NULL, NULL);
        forge_put_sig(&f, (struct forge_sig){.type = 0x30, .created = T0 + 1}, &primary, &primary, NULL, NULL);
        if (again)
            forge_put_sig(&f, (struct forge_sig){.type = DIRECT, .created = T0 + 2, .flags = 3}, &primary, &primary, NULL, NULL);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(judged(), again ? PGP_FAULT_NONE : PGP_FAULT_SELF_SIGNED);
    }
}

/* Only what is valid says what the certificate can take. */
static void preferences(void **state)
{
    keys_for(4);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_uid(&f, "a");
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 1}, &primary, &primary, NULL, "a");
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0 + 9, .flags = 3, .features = 9}, &liar, &primary, NULL, "a");
    forge_put_uid(&f, "b"); /* marked primary, and revoked */
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 9, .primary_uid = true, .key_expires = 5},
                  &primary, &primary, NULL, "b");
    forge_put_sig(&f, (struct forge_sig){.type = 0x30, .created = T0 + 1}, &primary, &primary, NULL, "b");
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC, .features = 9}, &primary, &enc);
    assert_int_equal(judged(), PGP_FAULT_NONE);
    assert_false(j.verdict.prefs.seipd_v2);
    assert_int_equal(j.verdict.expires, 0);
    assert_true(j.user_ids[0].primary && !j.user_ids[1].primary);
    /* Of a reduced certificate the same is read without verifying. */
    uint8_t out[4096];
    size_t n;
    struct pgp_prefs p;
    assert_int_equal(pgp_cert_minimal(f.data, f.len, &j, NULL, NULL, out, sizeof out, &n), OK);
    assert_int_equal(pgp_cert_prefs(out, n, &p), OK);
    assert_false(p.seipd_v2);
    /* In version 6 a user id says nothing about the whole. */
    start(6);
    forge_put_uid(&f, "b");
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0 + 1, .flags = 0x0f, .features = 1, .key_expires = 5, .primary_uid = true},
                  &primary, &primary, NULL, "b");
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
    assert_int_equal(judged(), PGP_FAULT_NONE);
    assert_true(j.verdict.prefs.seipd_v2);
    assert_int_equal(j.verdict.expires, 0);
}

static void expect(enum pgp_fault fault, unsigned detail)
{
    assert_int_equal(judged(), fault);
    assert_int_equal(j.detail, detail);
}

/* A certificate that is good but for one packet behind it or a key of another kind. */
static void whole_certificates(void **state)
{
    struct forge_key k;
    uint8_t old[80];
    for (int v = 4; v <= 6; v += 2) {
        start(v);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        size_t good = f.len;
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
        expect(PGP_FAULT_SEVERAL, 0);
        f.len = good;
        forge_put_key(&f, PGP_TAG_SECRET_SUBKEY, &enc2);
        expect(PGP_FAULT_SECRET, 0);
        f.len = good;
        forge_packet(&f, PGP_TAG_LITERAL, "b\0\0\0\0\0", 6);
        expect(PGP_FAULT_FORMAT, 0);
        f.len = good;
        forge_packet(&f, 39, "x", 1); /* unknown and critical; the next one is not */
        expect(PGP_FAULT_FORMAT, 0);
        f.len = good;
        forge_packet(&f, 40, "x", 1);
        forge_packet(&f, PGP_TAG_MARKER, "PGP", 3);
        forge_packet(&f, PGP_TAG_TRUST, "x", 1);
        forge_packet(&f, PGP_TAG_PADDING, "xxxx", 4);
        forge_packet(&f, PGP_TAG_USER_ATTRIBUTE, "x", 1);
        forge_packet(&f, PGP_TAG_SIGNATURE, "\3\5\x13zzzz", 7); /* version 3 does not count */
        forge_packet(&f, PGP_TAG_SIGNATURE, "\5", 1);
        forge_packet(&f, PGP_TAG_SIGNATURE, "", 0);
        expect(PGP_FAULT_NONE, 0);
        f.len = good;
        forge_key_make(&k, 10 - v, PGP_X25519, T0, 8);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
        expect(PGP_FAULT_FORMAT, 0);
        f.len = good;
        forge_key_make(&k, 4, PGP_X25519, T0, 8);
        k.body[0] = 5;
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
        expect(PGP_FAULT_VERSION, 5);
        f.len = good - 1; /* the last packet is cut */
        expect(PGP_FAULT_FORMAT, 0);
    }
    for (uint8_t v = 2; v <= 5; v += v == 3 ? 2 : 1) {
        memcpy(old, enc.body, enc.body_len);
        old[0] = v;
        f.len = 0;
        forge_packet(&f, PGP_TAG_PUBLIC_KEY, old, enc.body_len);
        expect(PGP_FAULT_VERSION, v);
    }
    f.len = 0;
    expect(PGP_FAULT_FORMAT, 0);
    forge_put_key(&f, PGP_TAG_SECRET_KEY, &primary);
    expect(PGP_FAULT_SECRET, 0);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    expect(PGP_FAULT_FORMAT, 0);
    f.len = 0;
    memcpy(f.data, "-----BEGIN PGP", 14);
    f.len = 14;
    expect(PGP_FAULT_FORMAT, 0);
}

static void kinds_of_keys(void **state)
{
    struct forge_key k;
    static const struct { uint8_t algo; unsigned detail; enum pgp_fault fault; } t[] = {
        {35, 35, PGP_FAULT_ALGORITHM}, {PGP_ELGAMAL, PGP_ELGAMAL, PGP_FAULT_ALGORITHM}, {PGP_ED25519, 0, PGP_FAULT_SIGNING_ONLY},
        {PGP_X448, 0, PGP_FAULT_FORMAT}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        start(6);
        forge_key_make(&k, 6, PGP_X25519, T0, 8);
        k.body[5] = t[i].algo;
        if (t[i].algo == PGP_ELGAMAL)
            k.body[10] = 9; /* 2,300 bits and more */
        forge_finger(&k);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &k);
        expect(t[i].fault, t[i].detail);
    }
    start(6); /* a point of small order */
    k = enc;
    memset(k.body + 10, 0, 32);
    forge_finger(&k);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &k);
    expect(PGP_FAULT_FORMAT, 0);
    static const struct { uint8_t algo; uint8_t m[4]; enum pgp_fault fault; unsigned detail; } p[] = {
        {35, {0}, PGP_FAULT_ALGORITHM, 35},     {PGP_X25519, {0}, PGP_FAULT_ALGORITHM, PGP_X25519},
        {PGP_RSA, {4, 0}, PGP_FAULT_WEAK, 1024}, {PGP_RSA, {7, 0xff}, PGP_FAULT_WEAK, 2047},
        {PGP_DSA, {4, 0}, PGP_FAULT_WEAK, 1024}, {PGP_ECDSA, {2, 1, 2}, PGP_FAULT_ALGORITHM, PGP_ECDSA},
        {PGP_EDDSA_LEGACY, {3, 1, 2, 3}, PGP_FAULT_ALGORITHM, PGP_EDDSA_LEGACY}};
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++) {
        forge_key_make(&k, 4, PGP_ED25519, T0, 8);
        k.body[5] = p[i].algo;
        memcpy(k.body + 6, p[i].m, 4);
        f.len = 0;
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &k);
        forge_put_uid(&f, "a");
        expect(p[i].fault, p[i].detail);
    }
    forge_key_make(&k, 6, PGP_ED25519, T0, 8); /* not in version 6 (section 9.1) */
    k.body[5] = PGP_DSA;
    k.body[10] = 8;
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &k);
    expect(PGP_FAULT_ALGORITHM, PGP_DSA);
}

static void limits(void **state)
{
    static uint8_t big[PGP_CERT_MAX + 1];
    struct forge_key k;
    char name[16];
    assert_int_equal(pgp_judge(big, sizeof big, NOW, &j), ERR_LIMIT);
    for (int more = 0; more < 2; more++) {
        start(6);
        for (int i = 0; i < PGP_KEYS_MAX - 1 + more; i++) {
            forge_key_make(&k, 6, PGP_X25519, T0 + 1000u + (uint32_t)i, 8);
            forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
            bind_by((struct forge_sig){.flags = ENC, .created = T0 + DAY}, &primary, &k);
        }
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_NONE, 0);
        start(6);
        for (int i = 0; i < PGP_USER_IDS_MAX - 1 + more; i++) {
            snprintf(name, sizeof name, "name %d", i);
            forge_put_uid(&f, name);
            forge_put_uid(&f, "a"); /* again: not one more */
        }
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_SIGNING_ONLY, 0);
        start(6);
        memset(big, 'x', sizeof big);
        forge_packet(&f, PGP_TAG_USER_ID, big, PGP_USER_ID_LEN_MAX + (size_t)more);
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_SIGNING_ONLY, 0);
        start(6); /* forged signatures, each newer than the good one: as many as are looked at, and one more */
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
        size_t at = f.len;
        bind_by((struct forge_sig){.flags = ENC, .created = T0 + 1, .bad = true}, &primary, &enc);
        size_t one = f.len - at;
        f.len = at;
        /* Besides: the direct key signature, the user id's, the good binding. */
        for (int i = 0; i < PGP_SIGNATURES_MAX - 3 + more; i++) {
            if (i == 0)
                bind_by((struct forge_sig){.flags = ENC, .created = T0 + 1, .bad = true}, &primary, &enc);
            else
                memcpy(f.data + f.len, f.data + at, one), f.len += one;
        }
        clock_t before = clock();
        assert_int_equal(pgp_judge(f.data, f.len, NOW, &j), more ? ERR_LIMIT : OK);
        assert_int_equal(j.fault, more ? PGP_FAULT_LIMIT : PGP_FAULT_NONE);
        assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 5);
    }
    /* Strangers' signatures are not even tried, however many. */
    start(6);
    size_t at = f.len;
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0}, &stranger, &primary, NULL, "a");
    size_t one = f.len - at;
    while (f.len + one + 1000 < sizeof f.data)
        memcpy(f.data + f.len, f.data + at, one), f.len += one;
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    bind_by((struct forge_sig){.flags = ENC}, &primary, &enc);
    expect(PGP_FAULT_NONE, 0);
    uint8_t out[2048];
    size_t n;
    assert_int_equal(pgp_cert_minimal(f.data, f.len, &j, NULL, NULL, out, sizeof out, &n), OK);
    assert_true(n < 1000);
    /* A key packet of a size that no algorithm has. */
    f.len = 0;
    memset(big, 0, 9000);
    memcpy(big, primary.body, 6);
    forge_be(big + 6, 8990, 4);
    forge_packet(&f, PGP_TAG_PUBLIC_KEY, big, 9000);
    expect(PGP_FAULT_LIMIT, 0);
}

/* Packets of all sorts in any order: whatever is accepted has a minimal copy that is judged alike. */
static void any_order(void **state)
{
    uint64_t x = 88172645463325252u;
    size_t accepted = 0;
    for (int round = 0; round < 1500; round++) {
        start(round & 1 ? 6 : 4);
        const struct forge_key *subkeys[] = {&enc, &enc2, &sign}, *signers[] = {&primary, &primary, &primary, &liar, &stranger};
        static const char *const names[] = {"a", "b", "c"};
        static const uint8_t types[] = {BIND, BIND, BIND, 0x28, CERT, 0x10, 0x30, DIRECT, 0x20, BACK};
        for (int i = 0; i < 12; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            struct forge_sig s = {.type = types[x % 10], .created = T0 + (uint32_t)(x >> 8) % 5 * DAY,
                                  .flags = (x >> 16) % 3 ? ENC : 0x20, .features = (int)((x >> 18) % 2 * 9),
                                  .key_expires = (x >> 20) % 3 ? 0 : 30 * DAY, .expires = (x >> 22) % 4 ? 0 : 3 * DAY,
                                  .reason = (x >> 24) % 2 ? 0 : 3, .bad = (x >> 26) % 5 == 0, .primary_uid = (x >> 30) % 3 == 0};
            const struct forge_key *sub = subkeys[(x >> 32) % 3], *by = signers[(x >> 36) % 5];
            const char *uid = names[(x >> 40) % 3];
            bool over_subkey = s.type == BIND || s.type == 0x28 || s.type == BACK, over_uid = s.type < BIND || s.type == 0x30;
            if (s.type == 0x20)
                s.created = NOW + DAY; /* or nothing would be left */
            if ((x >> 44) % 3 == 0)
                forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, sub);
            if ((x >> 44) % 3 == 1 && over_uid)
                forge_put_uid(&f, uid);
            forge_put_sig(&f, s, by, &primary, over_subkey ? sub : NULL, over_uid ? uid : NULL);
        }
        accepted += judged_at(T0 + (x >> 50) % 60 * DAY) == PGP_FAULT_NONE;
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings),        cmocka_unit_test(which_binding), cmocka_unit_test(which_key),
        cmocka_unit_test(back_signatures), cmocka_unit_test(revocations),   cmocka_unit_test(user_ids),
        cmocka_unit_test(direct_signatures), cmocka_unit_test(preferences), cmocka_unit_test(whole_certificates),
        cmocka_unit_test(kinds_of_keys),   cmocka_unit_test(limits),        cmocka_unit_test(any_order),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
