/* Judging certificates that somebody has tampered with, or made badly: each case says what is to come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/judge_forged.h"

/* One encryption subkey with one binding of the given kind: does it count? */
static bool binding_counts(int version, struct forge_sig s, const struct forge_key *by)
{
    forged_start(version);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    s.flags = s.flags ? s.flags : ENC;
    forged_bind(s, by, &enc);
    enum pgp_fault fault = forged_judged();
    if (fault != PGP_FAULT_NONE)
        assert_int_equal(fault, s.created > NOW ? PGP_FAULT_CLOCK : PGP_FAULT_SIGNING_ONLY);
    return fault == PGP_FAULT_NONE;
}

static void bindings(void **state)
{
    static const uint8_t unknown_critical[] = {2, 0x80 | 100, 0}, unknown[] = {2, 100, 0},
                         created_short[] = {4, 2, 1, 2, 3}, notation[] = {10, 0x80 | 20, 0, 0, 0, 0, 0, 1, 0, 0, 'x'},
                         soft_notation[] = {10, 20, 0, 0, 0, 0, 0, 1, 0, 0, 'x'}, no_subpacket[] = {0};
    for (int v = 4; v <= 6; v += 2) {
        forged_keys(v);
        struct forge_key p = primary, wrong = liar, other = stranger;
        assert_true(binding_counts(v, (struct forge_sig){0}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.anonymous = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){0}, &wrong));
        assert_false(binding_counts(v, (struct forge_sig){0}, &other));
        assert_false(binding_counts(v, (struct forge_sig){.anonymous = true}, &other));
        assert_false(binding_counts(v, (struct forge_sig){.named_by_stranger = true}, &p));
        /* Who made it, said where anybody can say it: another's name beside the right one changes nothing. */
        uint8_t names[80], issuer[33] = {(uint8_t)v};
        memcpy(issuer + 1, other.fpr, other.fpr_len);
        size_t n = forge_sub(names, 33, issuer, 1 + other.fpr_len);
        assert_false(
            binding_counts(v, (struct forge_sig){.anonymous = true, .unhashed = names, .unhashed_len = n}, &p));
        assert_true(binding_counts(v, (struct forge_sig){.unhashed = names, .unhashed_len = n}, &p));
        memcpy(issuer + 1, p.fpr, p.fpr_len);
        n += forge_sub(names + n, 33, issuer, 1 + p.fpr_len);
        assert_true(binding_counts(v, (struct forge_sig){.anonymous = true, .unhashed = names, .unhashed_len = n}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.bad = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.bad_left = true}, &p));
        assert_false(binding_counts(v, (struct forge_sig){.no_date = true}, &p));
        assert_false(
            binding_counts(v, (struct forge_sig){.created = T0 - 1}, &p)); /* older than the key that made it */
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
        static const struct {
            uint8_t hash;
            bool counts;
        } hashes[] = {{1, false}, {2, false}, {8, true}, {9, true}, {10, true}, {11, false /* too short for Ed25519 */},
                      {12, true}, {14, true}};
        for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
            assert_int_equal(binding_counts(v, (struct forge_sig){.hash = hashes[i].hash}, &p), hashes[i].counts);
    }
    forged_keys(6);
    struct forge_key p = primary;
    assert_false(binding_counts(6, (struct forge_sig){.bad_salt_len = true}, &p));
    /* No flags stated: version 4 goes by the algorithm. */
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){0}, &primary, &enc);
        assert_int_equal(forged_judged(), v == 4 ? PGP_FAULT_NONE : PGP_FAULT_SIGNING_ONLY);
    }
}

static void which_binding(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v); /* none */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_SIGNING_ONLY);
        assert_int_equal(judgement.validity[1], PGP_UNBOUND);
        forged_start(v); /* each other's */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc2);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_SIGNING_ONLY);
        forged_start(v); /* of another certificate's subkey, made there */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forge_put_sig(&forged, (struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &stranger, &stranger,
                      &enc, NULL);
        assert_int_equal(forged_judged(), PGP_FAULT_SIGNING_ONLY);
        forged_start(v); /* the newest that is good decides, though it stands first; forged ones do not hide it */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.created = T0 + 2, .flags = ENC, .key_expires = 5 * DAY}, &primary, &enc);
        forged_bind((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        forged_bind((struct forge_sig){.created = T0 + 3, .flags = ENC}, &liar, &enc);
        forged_bind((struct forge_sig){.created = T0 + 3, .flags = ENC, .bad = true}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.verdict.enc_expires, T0 + 5 * DAY);
        assert_int_equal(judgement.validity[1], PGP_EXPIRED);
        assert_int_equal(forged_judged_at(T0 + DAY), PGP_FAULT_NONE);
        assert_int_equal(judgement.validity[1], PGP_VALID);
        forged_start(v); /* a newer one takes encryption away */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        forged_bind((struct forge_sig){.created = T0 + 2, .flags = 0x20}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_SIGNING_ONLY);
        forged_start(v); /* one that wore off: the older one that did not goes before */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.created = T0 + 1, .flags = ENC}, &primary, &enc);
        forged_bind((struct forge_sig){.created = T0 + 2, .flags = ENC, .expires = DAY}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.validity[1], PGP_VALID);
        forged_start(v); /* only such: expired, and sealed to all the same */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.created = T0 + 2, .flags = ENC, .expires = DAY}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.validity[1], PGP_EXPIRED);
        assert_int_equal(judgement.verdict.enc_expires, T0 + 2 + DAY);
        forged_start(v); /* past 2106 is never */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC, .key_expires = UINT32_MAX}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.verdict.enc_expires, 0);
        forged_start(v); /* the primary as a subkey of itself */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &primary);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &primary);
        assert_int_equal(forged_judged(), PGP_FAULT_SIGNING_ONLY);
        assert_int_equal(judgement.nkeys, 1);
    }
}

static void which_key(void **state)
{
    struct {
        uint32_t expires1, expires2;
        int chosen;
    } t[] = {{0, 0, 2}, {0, DAY, 1}, {DAY, 0, 2}, {DAY, DAY, 2}};
    for (size_t i = 0; i < 4; i++) {
        forged_start(6);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC, .key_expires = t[i].expires1}, &primary, &enc);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        forged_bind((struct forge_sig){.created = T0 + DAY, .flags = ENC, .key_expires = t[i].expires2}, &primary,
                    &enc2);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(t[i].chosen == 1 ? &enc : &enc2));
    }
    struct forge_key twin; /* as old: the first */
    forged_start(4);
    forge_key_make(&twin, 4, PGP_X25519, T0, 7);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &twin);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &twin);
    assert_int_equal(forged_judged(), PGP_FAULT_NONE);
    assert_true(forged_seals_with(&enc));
    /* No subkey outlives its primary. */
    forged_keys(6);
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_sig(&forged, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3, .key_expires = 2 * DAY},
                  &primary, &primary, NULL, NULL);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC, .key_expires = 3 * DAY}, &primary, &enc);
    assert_int_equal(forged_judged(), PGP_FAULT_NONE);
    assert_int_equal(judgement.verdict.expires, T0 + 2 * DAY);
    assert_int_equal(judgement.verdict.enc_expires, T0 + 2 * DAY);
    assert_int_equal(judgement.validity[0], PGP_EXPIRED);
    assert_int_equal(judgement.validity[1], PGP_EXPIRED);
}

/* Sections 5.8 and 5.14: marker and padding packets are nothing, wherever they stand. */
static void markers_and_padding(void **state)
{
    static const uint8_t marker[] = {0xca, 3, 'P', 'G', 'P'}, padding[] = {0xd5, 2, 1, 2};
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        memmove(forged.data + 9, forged.data, forged.len);
        memcpy(forged.data, marker, sizeof(marker));
        memcpy(forged.data + sizeof(marker), padding, sizeof(padding));
        forged.len += 9;
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        memcpy(forged.data + forged.len, marker, sizeof(marker));
        forged.len += sizeof(marker);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(&enc));
    }
}

/* Nobody encrypts to a key before its own date (gpg and sq neither), whatever its binding's date. */
static void subkey_of_the_future(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        struct forge_key late;
        forged_start(v);
        forge_key_make(&late, v, PGP_X25519, NOW + DAY, 6);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &late);
        forged_bind((struct forge_sig){.created = NOW, .flags = ENC}, &primary, &late);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(&enc));
        assert_int_equal(judgement.validity[2], PGP_NOT_YET);
        assert_int_equal(forged_judged_at(NOW + DAY), PGP_FAULT_NONE);
        assert_true(forged_seals_with(&late));
    }
}

/* A primary key that encrypts too: 1 valid, 2 expired; the same of its subkey, 0: none. */
static void encrypting_primary(void **state)
{
    static const struct {
        int primary, subkey, chosen;
    } t[] = {{1, 0, 0}, {1, 1, 1}, {1, 2, 0}, {2, 0, 0}, {2, 2, 1}};
    forged_keys(4);
    primary = forge_rsa(4, 2048);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_uid(&forged, "a");
        forge_put_sig(
            &forged,
            (struct forge_sig){.type = CERT, .created = T0, .flags = 0x0f, .key_expires = t[i].primary == 2 ? DAY : 0},
            &primary, &primary, NULL, "a");
        if (t[i].subkey) {
            forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
            forged_bind((struct forge_sig){.flags = ENC, .key_expires = t[i].subkey == 2 ? DAY : 0}, &primary, &enc);
        }
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(t[i].chosen ? &enc : &primary));
        assert_true(judgement.encrypts[0] && judgement.verdict.native);
        assert_int_equal(judgement.validity[t[i].chosen], t[i].primary == 2 ? PGP_EXPIRED : PGP_VALID);
    }
    /* ElGamal is GnuPG's to seal to: it counts while GnuPG knows every key, and what is not bound is none. */
    struct forge_key elgamal = forge_elgamal(4, T0 + DAY, 4);
    for (int what = 0; what < 3; what++) {
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_uid(&forged, "a");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL,
                      "a");
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &elgamal);
        forged_bind((struct forge_sig){.flags = ENC, .created = T0 + DAY}, &primary, &elgamal);
        if (what)
            forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        if (what == 2)
            forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(what == 2 ? &enc : &elgamal));
        assert_int_equal(judgement.verdict.native, what == 2);
    }
    EVP_PKEY_free(primary.pkey);
}

/* A signing subkey with an embedded signature of the given kind. */
static enum pgp_validity signing(int version, struct forge_sig back, const struct forge_key *by,
                                 const struct forge_key *over, bool hashed)
{
    static uint8_t body[1024], sub[1200];
    forged_start(version);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &sign);
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
    forged_bind(s, &primary, &sign);
    assert_int_equal(forged_judged(), PGP_FAULT_NONE);
    assert_true(forged_seals_with(&enc));
    return judgement.validity[2];
}

static void back_signatures(void **state)
{
    static const uint8_t junk[] = {9, 100, 'r', 'e', 'a', 'd', 'a', 'b', 'l', 'e'};
    for (int v = 4; v <= 6; v += 2) {
        forged_keys(v);
        struct forge_key s = sign, p = primary, e = enc, as_sign = sign;
        memcpy(as_sign.sk, p.sk, sizeof(p.sk));
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
        assert_int_equal(signing(v, (struct forge_sig){.unhashed = junk, .unhashed_len = sizeof(junk)}, &s, &s, false),
                         PGP_VALID);
        assert_non_null(memmem(forged.data, forged.len, "readable", 8));
        assert_int_equal(pgp_cert_minimal(forged.data, forged.len, &judgement, NULL, NULL, out, sizeof(out), &n), OK);
        assert_null(memmem(out, n, "readable", 8));
    }
}

static enum pgp_fault subkey_revoked(int version, struct forge_sig s, const struct forge_key *by,
                                     const struct forge_key *subkey)
{
    forged_start(version);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    s.type = 0x28;
    s.created = s.created ? s.created : T0 + 5;
    forged_bind(s, by, subkey);
    forged_bind((struct forge_sig){.flags = ENC, .created = T0 + 10}, &primary, &enc); /* too late to take it back */
    return forged_judged();
}

static void revocations(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        forged_keys(v);
        struct forge_key p = primary, e = enc, e2 = enc2, q = stranger, l = liar;
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 2}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 3}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 2, .created = NOW + 9}, &p, &e),
                         PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.reason = 3, .created = NOW + 9}, &p, &e),
                         PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.expires = 1}, &p, &e), PGP_FAULT_ENC_REVOKED);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.bad = true}, &p, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &p, &e2), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &q, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &l, &e), PGP_FAULT_NONE);
        assert_int_equal(subkey_revoked(v, (struct forge_sig){0}, &e, &e),
                         PGP_FAULT_NONE); /* its own word does not count */
        assert_int_equal(subkey_revoked(v, (struct forge_sig){.hash = 2}, &p, &e),
                         PGP_FAULT_NONE); /* too short for Ed25519 */
        forged_start(v);                  /* the other subkey remains */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc2);
        forged_bind((struct forge_sig){.created = T0 + DAY, .flags = ENC}, &primary, &enc2);
        forged_bind((struct forge_sig){.type = 0x28, .created = T0 + DAY}, &primary, &enc2);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_true(forged_seals_with(&enc));
        assert_int_equal(judgement.validity[2], PGP_REVOKED);
    }
}

static void user_ids(void **state)
{
    static const struct {
        uint32_t revoked, again;
        bool bad;
        enum pgp_validity want;
    } t[] = {{T0 + 1, 0, false, PGP_REVOKED},      {T0 + 1, T0 + 2, false, PGP_VALID},
             {T0 + 2, T0 + 1, false, PGP_REVOKED}, {T0 + 1, T0 + 1, false, PGP_REVOKED},
             {T0 + 1, 0, true, PGP_VALID},         {NOW + 1, 0, false, PGP_VALID}};
    for (int v = 4; v <= 6; v += 2) {
        for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
            forged_start(v);
            forge_put_sig(&forged, (struct forge_sig){.type = 0x30, .created = t[i].revoked, .bad = t[i].bad}, &primary,
                          &primary, NULL, "a");
            if (t[i].again)
                forge_put_sig(&forged, (struct forge_sig){.type = 0x10, .created = t[i].again, .flags = 3}, &primary,
                              &primary, NULL, "a");
            forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
            forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
            assert_int_equal(forged_judged(), v == 4 && t[i].want == PGP_REVOKED ? PGP_FAULT_USER_IDS : PGP_FAULT_NONE);
            assert_int_equal(judgement.user_ids[0].validity, t[i].want);
        }
        forged_start(v); /* signed by somebody else, over another name, or not at all */
        forge_put_uid(&forged, "b");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &liar, &primary, NULL, "b");
        forge_put_uid(&forged, "c");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "a");
        forge_put_uid(&forged, "d");
        forge_put_uid(&forged, "");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &primary, &primary, NULL, "");
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.nuser_ids, 5);
        static const enum pgp_validity want[] = {PGP_VALID, PGP_UNBOUND, PGP_UNBOUND, PGP_UNBOUND, PGP_VALID};
        for (int i = 0; i < 5; i++)
            assert_int_equal(judgement.user_ids[i].validity, want[i]);
    }
}

static bool keep_b(void *arg, const uint8_t *user_id, size_t len)
{
    return len == 1 && user_id[0] == 'b';
}

/* Those whose signature has expired stand in only where no other is valid. */
static void expired_user_ids(void **state)
{
    for (int both = 0; both < 2; both++) {
        forged_keys(4);
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_uid(&forged, "a");
        forge_put_sig(
            &forged,
            (struct forge_sig){.type = CERT, .created = T0 + 9, .flags = 3, .expires = DAY, .primary_uid = true},
            &primary, &primary, NULL, "a");
        forge_put_uid(&forged, "b");
        forge_put_sig(&forged,
                      (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .expires = both ? 2 * DAY : 0},
                      &primary, &primary, NULL, "b");
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), PGP_FAULT_NONE);
        assert_int_equal(judgement.user_ids[0].validity, PGP_EXPIRED);
        assert_int_equal(judgement.user_ids[1].validity, both ? PGP_EXPIRED : PGP_VALID);
        assert_int_equal(judgement.validity[1], both ? PGP_EXPIRED : PGP_VALID);
        assert_int_equal(judgement.verdict.expires, both ? T0 + 2 * DAY : 0);
        assert_true(judgement.user_ids[both ? 0 : 1].primary);
        uint8_t out[4096];
        size_t n;
        static struct pgp_judged again;
        assert_int_equal(pgp_cert_minimal(forged.data, forged.len, &judgement, keep_b, NULL, out, sizeof(out), &n), OK);
        assert_int_equal(pgp_judge(out, n, NOW, &again), OK);
        assert_int_equal(again.nuser_ids, 1);
        assert_memory_equal(again.user_ids[0].text, "b", 1);
    }
}

/* Version 6 rests on its direct key signature alone. */
static void direct_signatures(void **state)
{
    static const struct {
        struct forge_sig s;
        enum pgp_fault want;
    } t[] = {
        {{.type = DIRECT, .created = T0, .flags = 3}, PGP_FAULT_NONE},
        {{.type = DIRECT, .created = T0, .flags = 3, .bad = true}, PGP_FAULT_SELF_SIGNED},
        {{.type = DIRECT, .created = NOW + 1, .flags = 3}, PGP_FAULT_CLOCK},
        {{.type = DIRECT, .created = T0, .flags = 3, .expires = 1}, PGP_FAULT_NONE}, /* expired: still sealed to */
        {{.type = CERT, .created = T0, .flags = 3}, PGP_FAULT_SELF_SIGNED},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        forged_keys(6);
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_sig(&forged, t[i].s, &primary, &primary, NULL, NULL);
        forge_put_uid(&forged, "a");
        forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL,
                      "a");
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), t[i].want);
    }
    for (int again = 0; again < 2; again++) { /* cancelled (section 5.2.1.13), and made anew */
        forged_start(6);
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_sig(&forged, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3}, &primary, &primary, NULL,
                      NULL);
        forge_put_sig(&forged, (struct forge_sig){.type = 0x30, .created = T0 + 1}, &primary, &primary, NULL, NULL);
        if (again)
            forge_put_sig(&forged, (struct forge_sig){.type = DIRECT, .created = T0 + 2, .flags = 3}, &primary,
                          &primary, NULL, NULL);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        assert_int_equal(forged_judged(), again ? PGP_FAULT_NONE : PGP_FAULT_SELF_SIGNED);
    }
}

/* Only what is valid says what the certificate can take. */
static void preferences(void **state)
{
    forged_keys(4);
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_uid(&forged, "a");
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 1}, &primary,
                  &primary, NULL, "a");
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0 + 9, .flags = 3, .features = 9}, &liar,
                  &primary, NULL, "a");
    forge_put_uid(&forged, "b"); /* marked primary, and revoked */
    forge_put_sig(&forged,
                  (struct forge_sig){
                      .type = CERT, .created = T0, .flags = 3, .features = 9, .primary_uid = true, .key_expires = 5},
                  &primary, &primary, NULL, "b");
    forge_put_sig(&forged, (struct forge_sig){.type = 0x30, .created = T0 + 1}, &primary, &primary, NULL, "b");
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC, .features = 9}, &primary, &enc);
    assert_int_equal(forged_judged(), PGP_FAULT_NONE);
    assert_false(judgement.verdict.prefs.seipd_v2);
    assert_int_equal(judgement.verdict.expires, 0);
    assert_true(judgement.user_ids[0].primary && !judgement.user_ids[1].primary);
    /* Of a reduced certificate the same is read without verifying. */
    uint8_t out[4096];
    size_t n;
    struct pgp_prefs p;
    assert_int_equal(pgp_cert_minimal(forged.data, forged.len, &judgement, NULL, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(pgp_cert_prefs(out, n, &p), OK);
    assert_false(p.seipd_v2);
    /* In version 6 a user id says nothing about the whole. */
    forged_start(6);
    forge_put_uid(&forged, "b");
    forge_put_sig(&forged,
                  (struct forge_sig){.type = CERT,
                                     .created = T0 + 1,
                                     .flags = 0x0f,
                                     .features = 1,
                                     .key_expires = 5,
                                     .primary_uid = true},
                  &primary, &primary, NULL, "b");
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    assert_int_equal(forged_judged(), PGP_FAULT_NONE);
    assert_true(judgement.verdict.prefs.seipd_v2);
    assert_int_equal(judgement.verdict.expires, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings),
        cmocka_unit_test(which_binding),
        cmocka_unit_test(which_key),
        cmocka_unit_test(back_signatures),
        cmocka_unit_test(revocations),
        cmocka_unit_test(user_ids),
        cmocka_unit_test(direct_signatures),
        cmocka_unit_test(preferences),
        cmocka_unit_test(expired_user_ids),
        cmocka_unit_test(encrypting_primary),
        cmocka_unit_test(subkey_of_the_future),
        cmocka_unit_test(markers_and_padding),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
