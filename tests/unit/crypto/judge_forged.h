/* A certificate under construction and what is made of it: for the tests that forge them. */
#ifndef TESTS_CRYPTO_JUDGE_FORGED_H
#define TESTS_CRYPTO_JUDGE_FORGED_H

#include "tests/unit/crypto/pgp_forge.h"
#include "tests/unit/crypto/judge_support.h"

enum { T0 = 1700000000, DAY = 86400, ENC = 0x0c, BIND = 0x18, BACK = 0x19, DIRECT = 0x1f, CERT = 0x13 };

static struct forge f;
static struct pgp_judged j;
static struct forge_key primary, enc, enc2, sign, stranger, liar; /* liar: the primary's name, a stranger's secret */

static inline void keys_for(int version)
{
    forge_key_make(&primary, version, PGP_ED25519, T0, 1);
    forge_key_make(&enc, version, PGP_X25519, T0, 2);
    forge_key_make(&enc2, version, PGP_X25519, T0 + DAY, 3);
    forge_key_make(&sign, version, PGP_ED25519, T0, 4);
    forge_key_make(&stranger, version, PGP_ED25519, T0, 5);
    liar = primary;
    memcpy(liar.sk, stranger.sk, sizeof(liar.sk));
}

/* Primary key, direct key signature in version 6, one user id. */
static inline void start(int version)
{
    keys_for(version);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    if (version == 6)
        forge_put_sig(&f, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3, .features = 9}, &primary,
                      &primary, NULL, NULL);
    forge_put_uid(&f, "a");
    forge_put_sig(&f, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 9}, &primary, &primary,
                  NULL, "a");
}

static inline void bind_by(struct forge_sig s, const struct forge_key *by, const struct forge_key *subkey)
{
    s.type = s.type ? s.type : BIND;
    s.created = s.created ? s.created : T0;
    forge_put_sig(&f, s, by, &primary, subkey, NULL);
}

static inline enum pgp_fault judged_at(uint64_t now)
{
    int err = judge_copy(f.data, f.len, now, &j);
    assert_int_equal(err == OK, j.fault == PGP_FAULT_NONE);
    if (err == OK) { /* once more from bytes that stay */
        assert_int_equal(pgp_judge(f.data, f.len, now, &j), OK);
        check_minimal(f.data, f.len, &j, NULL);
    }
    return j.fault;
}

static inline enum pgp_fault judged(void)
{
    return judged_at(NOW);
}

static inline bool seals_with(const struct forge_key *k)
{
    return j.verdict.enc_fpr_len == k->fpr_len && memcmp(j.verdict.enc_fpr, k->fpr, k->fpr_len) == 0;
}

#endif
