/* The gate's decision on packets: every hostile or odd shape is refused, with its own reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/pgp_check.h"
#include "server/core/error.h"
#include "tests/support/pgp_shapes.h"

#define NOT_OURS "not encrypted for the account"
#define NOT_CURRENT "a session-key packet is not for a current key of the account"
#define MANY "more session-key packets than the account has current keys"
#define FRAMING "malformed packet framing"
#define OTHER "a packet other than session keys and one encrypted container"
#define VERSIONS "session-key packets and encrypted container are of versions that do not go together"
#define FIELDS "a session-key packet's fields do not fit its algorithm"
#define BEHIND "bytes behind the encrypted container"
#define SHORT "the encrypted container is too short"
#define MALFORMED "a session-key packet is malformed or of an unknown version"
#define CIPHER "the encrypted container names an unknown cipher"

/* Expected word for the server's own seals and for mail that arrives so; NULL: accepted. hidden: accepted after all
 * where mail for hidden recipients is kept. */
static const struct {
    const char *name;
    void (*build)(struct msg *m);
    const char *server, *foreign;
    bool hidden;
} table[] = {
    {"v3", good_v3, NULL, NULL},
    {"two current keys", b_two_keys, NULL, NULL},
    {"v6", b_v6, NULL, NULL},
    {"v3 naming a v6 key", b_v3_for_v6_key, NULL, NULL},
    {"partial lengths", b_partial, NULL, NULL},
    {"old format", b_old_format, NULL, NULL},
    {"64 session keys", b_64_pkesks, MANY, NULL},
    {"one key twice", b_twice, MANY, NULL},
    {"ECDH", b_ecdh, NULL, NULL},
    {"ECDH, the longest point", b_ecdh_p521, NULL, NULL},
    {"ECDH, longer", b_ecdh_long, FIELDS, FIELDS},
    {"ECDH, text for a point", b_ecdh_text, FIELDS, FIELDS},
    {"ECDH, no point's beginning", b_ecdh_no_point, FIELDS, FIELDS},
    {"a stranger's beside ours", b_stranger_too, NOT_CURRENT, NULL},
    {"wildcard beside ours", b_wildcard_and_ours, NOT_CURRENT, NULL},
    {"stranger", b_stranger, NOT_CURRENT, NOT_OURS},
    {"retired", b_retired, NOT_CURRENT, "encrypted for a retired key only"},
    {"our key id, another algorithm", b_other_algo, NOT_CURRENT, NOT_OURS},
    {"our key id, another algorithm, and ours", b_other_algo_and_ours, NOT_CURRENT, NULL},
    {"wildcard", b_wildcard, NOT_CURRENT, NOT_OURS, true},
    {"wildcard v6", b_wildcard_v6, NOT_CURRENT, NOT_OURS, true},
    {"wildcard, ECDH", b_wildcard_ecdh, NOT_CURRENT, NOT_OURS, true},
    {"wildcard of an algorithm that no key has", b_wildcard_rsa, NOT_CURRENT, NOT_OURS},
    {"wildcard beside a stranger", b_wildcard_stranger, NOT_CURRENT, NOT_OURS, true},
    {"wildcard beside a retired key", b_wildcard_retired, NOT_CURRENT, "encrypted for a retired key only", true},
    {"wildcard, literal behind", b_wildcard_literal, NOT_CURRENT, BEHIND},
    {"wildcard and password", b_wildcard_skesk, NOT_CURRENT, OTHER},
    {"password only", b_skesk_only, OTHER, OTHER},
    {"signed only", b_one_pass, OTHER, OTHER},
    {"a literal for us", b_literal_for_us, OTHER, OTHER},
    {"compressed for us", b_compressed_for_us, OTHER, OTHER},
    {"an unknown algorithm among good ones", b_unknown_among_good, FIELDS, FIELDS},
    {"an unknown version among good ones", b_v4_pkesk_among_good, MALFORMED, MALFORMED},
    {"indeterminate container", b_old_seipd_indeterminate, FRAMING, FRAMING},
    {"padding first", b_padding_first, OTHER, OTHER},
    {"padding behind", b_padding_behind, BEHIND, BEHIND},
    {"marker behind", b_marker_behind, BEHIND, BEHIND},
    {"a whole message behind", b_message_behind, BEHIND, BEHIND},
    {"nothing", b_empty, "no packet", "no packet"},
    {"text", b_text, FRAMING, FRAMING},
    {"session key only", b_pkesk_only, "no encrypted container", "no encrypted container"},
    {"container only", b_seipd_only, "no session-key packet before the encrypted container",
     "no session-key packet before the encrypted container"},
    {"mixed versions", b_mixed, "session-key packets of different versions",
     "session-key packets of different versions"},
    {"v6 with SEIPD v1", b_v6_with_v1, VERSIONS, VERSIONS},
    {"v3 with SEIPD v2", b_v3_with_v2, VERSIONS, VERSIONS},
    {"SEIPD v3", b_seipd_v3, VERSIONS, VERSIONS},
    {"empty container", b_zero_seipd, "the encrypted container is empty", "the encrypted container is empty"},
    {"short v1", b_short_v1, SHORT, SHORT},
    {"short v2", b_short_v2, SHORT, SHORT},
    {"v2 with cipher 0", b_v2_cipher, CIPHER, CIPHER},
    {"v2 with giant chunks", b_v2_chunk, CIPHER, CIPHER},
    {"trailing octet", b_trailing_byte, BEHIND, BEHIND},
    {"trailing newline", b_trailing_newline, BEHIND, BEHIND},
    {"literal behind", b_literal_behind, BEHIND, BEHIND},
    {"two containers", b_two_seipd, BEHIND, BEHIND},
    {"literal first", b_literal_first, OTHER, OTHER},
    {"compressed", b_compressed, OTHER, OTHER},
    {"marker", b_marker, OTHER, OTHER},
    {"padding", b_padding, OTHER, OTHER},
    {"password", b_skesk, OTHER, OTHER},
    {"container without integrity", b_sed, OTHER, OTHER},
    {"GnuPG's AEAD", b_gnupg_aead, OTHER, OTHER},
    {"unknown packet with text", b_private_tag, OTHER, OTHER},
    {"text behind a session key", b_hidden_in_pkesk, FIELDS, FIELDS},
    {"unknown algorithm", b_unknown_algo, FIELDS, FIELDS},
    {"MPI longer than said", b_rsa_bad_mpi, FIELDS, FIELDS},
    {"session key v5", b_pkesk_v5, MALFORMED, MALFORMED},
    {"v6 with odd fingerprint", b_v6_odd_fpr, MALFORMED, MALFORMED},
    {"huge session key", b_huge_pkesk, "a session-key packet is too large", "a session-key packet is too large"},
    {"65 session keys", b_65_pkesks, MANY, "too many session-key packets"},
    {"short first partial chunk", b_partial_short_first, FRAMING, FRAMING},
    {"partial session key", b_partial_pkesk, FRAMING, FRAMING},
    {"indeterminate length", b_indeterminate, FRAMING, FRAMING},
    {"tag 0", b_tag_zero, FRAMING, FRAMING},
};

static int setup(void **state)
{
    static const enum who who[KEYS] = {OURS, RETIRED, OURS_V6, SECOND, OURS_ECDH};
    for (int i = 0; i < KEYS; i++) {
        shape_keys[i] = (struct pgp_key_ref){.fpr_len = who[i] == OURS_V6 ? 32 : 20,
                                             .current = who[i] != RETIRED,
                                             .algo = who[i] == OURS_ECDH ? PGP_ECDH : PGP_X25519};
        shape_fpr(who[i], shape_keys[i].fpr);
    }
    return 0;
}

static void judge(const struct msg *m, enum pgp_check_mode mode, const char *want, const char *name)
{
    /* An exact heap copy, so that reading one octet too far is seen. */
    uint8_t *copy = malloc(m->len ? m->len : 1);
    memcpy(copy, m->data, m->len);
    struct pgp_check_result res = {.pkesks = 4711};
    const char *why = NULL;
    int err = pgp_check_message(copy, m->len, shape_keys, KEYS, mode, &res, &why);
    free(copy);
    if (!want) {
        if (err != OK)
            fail_msg("%s, mode %d: refused: %s", name, mode, why);
        assert_int_not_equal(res.pkesks, 4711);
        return;
    }
    assert_int_equal(err, ERR_REFUSED);
    assert_non_null(why);
    if (strcmp(why, want) != 0)
        fail_msg("%s, mode %d: \"%s\" instead of \"%s\"", name, mode, why, want);
    assert_int_equal(res.pkesks, 4711);
}

static void every_shape(void **state)
{
    static struct msg m;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        m.len = 0;
        table[i].build(&m);
        judge(&m, PGP_CHECK_SERVER_SEAL, table[i].server, table[i].name);
        judge(&m, PGP_CHECK_FOREIGN, table[i].foreign, table[i].name);
        judge(&m, PGP_CHECK_FOREIGN_WILDCARD, table[i].hidden ? NULL : table[i].foreign, table[i].name);
    }
}

static void every_truncation(void **state)
{
    static struct msg m;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        m.len = 0;
        table[i].build(&m);
        if ((table[i].foreign && !table[i].hidden) || m.len > 4000)
            continue;
        for (size_t n = 0; n < m.len; n++) {
            uint8_t *copy = malloc(n ? n : 1);
            memcpy(copy, m.data, n);
            struct pgp_check_result res;
            const char *why;
            assert_int_equal(pgp_check_message(copy, n, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why),
                             ERR_REFUSED);
            free(copy);
        }
    }
}

/* Keys of no known length, and none at all, match nothing. */
static void keys_that_match_nothing(void **state)
{
    static struct msg m;
    struct pgp_key_ref odd[2] = {{.fpr_len = 0, .current = true}, {.fpr_len = 8, .current = true}};
    struct pgp_check_result res;
    const char *why = NULL;
    m.len = 0;
    b_wildcard(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, odd, 2, PGP_CHECK_FOREIGN_WILDCARD, &res, &why), ERR_REFUSED);
    m.len = 0;
    good_v3(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, odd, 2, PGP_CHECK_FOREIGN, &res, &why), ERR_REFUSED);
    assert_int_equal(pgp_check_message(m.data, m.len, NULL, 0, PGP_CHECK_SERVER_SEAL, &res, &why), ERR_REFUSED);
    /* A v4 fingerprint that begins like the key id is another key: its id is at the end. */
    struct pgp_key_ref swapped = shape_keys[0];
    memmove(swapped.fpr, shape_keys[0].fpr + 12, 8);
    memset(swapped.fpr + 12, 0x99, 8);
    assert_int_equal(pgp_check_message(m.data, m.len, &swapped, 1, PGP_CHECK_FOREIGN, &res, &why), ERR_REFUSED);
}

static void what_is_reported(void **state)
{
    static struct msg m;
    struct pgp_check_result res;
    const char *why;
    m.len = 0;
    pkesk(&m, 3, STRANGER);
    pkesk(&m, 3, SECOND);
    pkesk(&m, 3, RETIRED);
    size_t at = m.len;
    seipd(&m, 1, 8000);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN, &res, &why), OK);
    assert_int_equal(res.pkesks, 3);
    assert_int_equal(res.ours, 2);
    assert_int_equal(res.keys_used, 1u << 3 | 1u << 1);
    assert_int_equal(res.seipd_offset, at);
    assert_int_equal(res.pkesk_version, 3);
    assert_int_equal(res.seipd_version, 1);
    assert_false(res.wildcard);
    m.len = 0;
    b_wildcard_and_ours(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why), OK);
    assert_false(res.wildcard); /* ours alone would do */
    m.len = 0;
    b_wildcard_retired(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why), OK);
    assert_true(res.wildcard);
    assert_int_equal(res.ours, 1);
    assert_int_equal(res.keys_used, 1u << 1);
    /* Only a key that could open it lets a hidden recipient be ours: not a retired one. */
    shape_keys[4].current = false;
    m.len = 0;
    b_wildcard_ecdh(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why),
                     ERR_REFUSED);
    shape_keys[4].current = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(keys_that_match_nothing),
        cmocka_unit_test(what_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
