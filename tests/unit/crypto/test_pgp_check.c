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

/* A session key for nobody by name: first and then, if it is not 0, second octets of integer or point, which begin with
 * prefix; where the algorithm wraps, wrapped octets. */
struct wildcard {
    uint8_t version, algo;
    unsigned first, second;
    uint8_t prefix, wrapped;
};

static size_t put_mpi(uint8_t *b, size_t octets, uint8_t first)
{
    size_t bits = 8 * octets;
    for (uint8_t top = first; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    b[0] = (uint8_t)(bits >> 8);
    b[1] = (uint8_t)bits;
    memset(b + 2, 0x61, octets);
    b[2] = first;
    return 2 + octets;
}

static void wildcard(struct msg *m, const struct wildcard *w)
{
    static uint8_t b[2048];
    size_t n = w->version == 3 ? 9 : 2;
    memset(b, 0, sizeof(b));
    b[0] = w->version;
    b[n++] = w->algo;
    if (w->algo == PGP_X25519 || w->algo == PGP_X448) {
        memset(b + n, 0x42, w->first);
        n += w->first;
    } else {
        n += put_mpi(b + n, w->first, w->prefix);
    }
    if (w->second)
        n += put_mpi(b + n, w->second, w->prefix);
    if (w->wrapped)
        b[n++] = w->wrapped;
    memset(b + n, 0x24, w->wrapped);
    n += w->wrapped;
    m->len += pgp_packet_header(m->data + m->len, PGP_TAG_PKESK, n);
    memcpy(m->data + m->len, b, n);
    m->len += n;
}

static void wildcards(struct msg *m, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pkesk(m, 3, WILDCARD);
    seipd(m, 1, 200);
}

static void b_16_wildcards(struct msg *m)
{
    wildcards(m, 16);
}

static void b_17_wildcards(struct msg *m)
{
    wildcards(m, 17);
}

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
    {"16 wildcards", b_16_wildcards, NOT_CURRENT, NOT_OURS, true},
    {"17 wildcards", b_17_wildcards, NOT_CURRENT, NOT_OURS},
    {"wildcard beside a stranger", b_wildcard_stranger, NOT_CURRENT, NOT_OURS},
    {"wildcard beside a retired key", b_wildcard_retired, NOT_CURRENT, "encrypted for a retired key only"},
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
                                             .algo = who[i] == OURS_ECDH ? PGP_ECDH : PGP_X25519,
                                             .octets = who[i] == OURS_ECDH ? 33 : 32};
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
    b_16_wildcards(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why), OK);
    assert_true(res.wildcard);
    assert_int_equal(res.pkesks, 16);
    assert_int_equal(res.ours, 0);
    assert_int_equal(res.keys_used, 0);
    /* Only a key that could open it lets a hidden recipient be ours: not a retired one. */
    shape_keys[4].current = false;
    m.len = 0;
    b_wildcard_ecdh(&m);
    assert_int_equal(pgp_check_message(m.data, m.len, shape_keys, KEYS, PGP_CHECK_FOREIGN_WILDCARD, &res, &why),
                     ERR_REFUSED);
    shape_keys[4].current = true;
}

static int judge_hidden(const struct msg *m, const struct pgp_key_ref *ref, size_t n)
{
    struct pgp_check_result res = {.wildcard = false};
    const char *why;
    uint8_t *copy = malloc(m->len); /* exact, so that reading one octet too far is seen */
    memcpy(copy, m->data, m->len);
    int err = pgp_check_message(copy, m->len, ref, n, PGP_CHECK_FOREIGN_WILDCARD, &res, &why);
    free(copy);
    assert_int_equal(res.wildcard, err == OK);
    return err;
}

static const struct pgp_key_ref ours[] = {
    {.fpr_len = 20, .algo = PGP_X25519, .octets = 32, .current = true},
    {.fpr_len = 20, .algo = PGP_ECDH, .octets = 33, .current = true},
    {.fpr_len = 20, .algo = PGP_ECDH, .octets = 97, .current = true},
    {.fpr_len = 20, .algo = PGP_RSA, .octets = 384, .current = true},
    {.fpr_len = 20, .algo = PGP_ELGAMAL, .octets = 256, .current = true},
    {.fpr_len = 20, .algo = PGP_RSA, .octets = 512, .current = false},
    {.fpr_len = 20, .algo = PGP_ECDH, .octets = 0, .current = true}, /* judged before it was noted */
};
enum { N = sizeof(ours) / sizeof(*ours) };

/* Algorithm, length of modulus, prime or point, and length of what is wrapped: as one of the current keys has them. */
static const struct {
    struct wildcard w;
    bool fits;
} fitting[] = {
    {{3, PGP_X25519, 32, 0, 0, 25}, true},
    {{3, PGP_X25519, 32, 0, 0, 33}, true},
    {{3, PGP_X25519, 32, 0, 0, 41}, true},
    {{3, PGP_X25519, 32, 0, 0, 49}, false},
    {{3, PGP_X25519, 32, 0, 0, 201}, false},
    {{6, PGP_X25519, 32, 0, 0, 24}, true},
    {{6, PGP_X25519, 32, 0, 0, 40}, true},
    {{6, PGP_X25519, 32, 0, 0, 48}, false},
    {{3, PGP_X448, 56, 0, 0, 41}, false}, /* no key has it */
    {{3, PGP_ECDH, 33, 0, 0x40, 48}, true},
    {{3, PGP_ECDH, 33, 0, 0x40, 40}, true},
    {{6, PGP_ECDH, 33, 0, 0x40, 32}, true},
    {{3, PGP_ECDH, 33, 0, 0x40, 24}, false},
    {{3, PGP_ECDH, 33, 0, 0x40, 56}, false},
    {{3, PGP_ECDH, 33, 0, 4, 48}, false}, /* no point of Curve25519 */
    {{3, PGP_ECDH, 57, 0, 0x40, 48}, false},
    {{3, PGP_ECDH, 65, 0, 4, 48}, false},
    {{3, PGP_ECDH, 97, 0, 4, 48}, true},
    {{3, PGP_ECDH, 97, 0, 0x40, 48}, false},
    {{3, PGP_ECDH, 133, 0, 4, 48}, false},
    {{3, PGP_RSA, 384, 0, 0x80, 0}, true},
    {{3, PGP_RSA, 384, 0, 1, 0}, true},
    {{6, PGP_RSA, 383, 0, 0xff, 0}, true}, /* once in 256 times */
    {{3, PGP_RSA, 382, 0, 0xff, 0}, true},
    {{3, PGP_RSA, 381, 0, 0xff, 0}, false},
    {{3, PGP_RSA, 385, 0, 1, 0}, false},
    {{3, PGP_RSA, 256, 0, 0x80, 0}, false},
    {{3, PGP_RSA, 512, 0, 0x80, 0}, false}, /* the retired key's */
    {{3, PGP_RSA_ENCRYPT, 384, 0, 0x80, 0}, false},
    {{3, PGP_ELGAMAL, 256, 255, 0x80, 0}, true},
    {{3, PGP_ELGAMAL, 256, 253, 0x80, 0}, false},
    {{3, PGP_ELGAMAL, 200, 256, 0x80, 0}, false},
    {{3, PGP_ELGAMAL, 384, 384, 0x80, 0}, false},
};

static void which_wildcards_fit(void **state)
{
    static struct msg m;
    for (size_t i = 0; i < sizeof(fitting) / sizeof(*fitting); i++) {
        m.len = 0;
        wildcard(&m, &fitting[i].w);
        seipd(&m, fitting[i].w.version == 3 ? 1 : 2, 200);
        if ((judge_hidden(&m, ours, N) == OK) != fitting[i].fits)
            fail_msg("row %zu", i);
    }
}

/* One that fits is enough, wherever it stands; named ones beside it are not. */
static void one_wildcard_of_many(void **state)
{
    static struct msg m;
    static const struct wildcard no = {3, PGP_RSA, 256, 0, 0x80, 0}, yes = {3, PGP_RSA, 384, 0, 0x80, 0};
    for (size_t at = 0; at < 16; at++) {
        m.len = 0;
        for (size_t i = 0; i < 16; i++)
            wildcard(&m, i == at ? &yes : &no);
        size_t end = m.len;
        seipd(&m, 1, 200);
        assert_int_equal(judge_hidden(&m, ours, N), OK);
        m.len = end;
        pkesk(&m, 3, STRANGER);
        seipd(&m, 1, 200);
        assert_int_equal(judge_hidden(&m, ours, N), ERR_REFUSED);
    }
}

/* Keys of which less is noted. */
static void wildcards_and_old_keys(void **state)
{
    static const struct wildcard no = {3, PGP_RSA, 256, 0, 0x80, 0};
    static struct msg m;
    const struct pgp_key_ref unknown = {.fpr_len = 20, .current = true},
                             unmeasured = {.fpr_len = 20, .algo = PGP_X25519, .current = true};
    m.len = 0;
    b_wildcard(&m);
    assert_int_equal(judge_hidden(&m, &ours[0], 1), OK);
    assert_int_equal(judge_hidden(&m, &unmeasured, 1), ERR_REFUSED);
    m.len = 0;
    wildcard(&m, &no);
    seipd(&m, 1, 200);
    assert_int_equal(judge_hidden(&m, &unknown, 1), OK); /* a key of before a renewal may have been any */
    assert_int_equal(judge_hidden(&m, ours, N), ERR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(keys_that_match_nothing),
        cmocka_unit_test(what_is_reported),
        cmocka_unit_test(which_wildcards_fit),
        cmocka_unit_test(one_wildcard_of_many),
        cmocka_unit_test(wildcards_and_old_keys),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
