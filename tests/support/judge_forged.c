#include "tests/support/judge_forged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct forge forged;

struct pgp_judged judgement;

struct forge_key primary, enc, enc2, sign, stranger, liar;

void forged_keys(int version)
{
    forge_key_make(&primary, version, PGP_ED25519, T0, 1);
    forge_key_make(&enc, version, PGP_X25519, T0, 2);
    forge_key_make(&enc2, version, PGP_X25519, T0 + DAY, 3);
    forge_key_make(&sign, version, PGP_ED25519, T0, 4);
    forge_key_make(&stranger, version, PGP_ED25519, T0, 5);
    liar = primary;
    memcpy(liar.sk, stranger.sk, sizeof(liar.sk));
}

void forged_start(int version)
{
    forged_keys(version);
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
    if (version == 6)
        forge_put_sig(&forged, (struct forge_sig){.type = DIRECT, .created = T0, .flags = 3, .features = 9}, &primary,
                      &primary, NULL, NULL);
    forge_put_uid(&forged, "a");
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3, .features = 9}, &primary,
                  &primary, NULL, "a");
}

void forged_bind(struct forge_sig s, const struct forge_key *by, const struct forge_key *subkey)
{
    s.type = s.type ? s.type : BIND;
    s.created = s.created ? s.created : T0;
    forge_put_sig(&forged, s, by, &primary, subkey, NULL);
}

enum pgp_fault forged_judged_at(uint64_t now)
{
    int err = judge_copy(forged.data, forged.len, now, &judgement);
    assert_int_equal(err == OK, judgement.fault == PGP_FAULT_NONE);
    if (err == OK) { /* once more from bytes that stay */
        assert_int_equal(pgp_judge(forged.data, forged.len, now, &judgement), OK);
        check_minimal(forged.data, forged.len, &judgement, NULL);
    }
    return judgement.fault;
}

enum pgp_fault forged_judged(void)
{
    return forged_judged_at(NOW);
}

bool forged_seals_with(const struct forge_key *k)
{
    return judgement.verdict.enc_fpr_len == k->fpr_len && memcmp(judgement.verdict.enc_fpr, k->fpr, k->fpr_len) == 0;
}
