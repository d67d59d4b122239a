/* Which keys of mail that comes in change what is kept of its author (Autocrypt level 1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/ingest/mx/peer_key.h"

enum { NOW = 1000000000, DAY = 86400, BEFORE = NOW - 10 * DAY };

enum { NONE, THERE, OVER };
static const struct row {
    int record;   /* a mutual key with tag 1, of BEFORE */
    uint8_t tag;  /* of what comes */
    int64_t date; /* since BEFORE */
    bool mutual, proven, changes;
    uint8_t then;     /* the tag afterwards */
    bool then_mutual; /* likewise */
} rows[] = {
    {NONE, 1, 0, true, false, true, 1, true},         {NONE, 1, 0, false, false, true, 1, false},
    {THERE, 1, -1, true, true, false, 1, true},       /* older than what it is of */
    {THERE, 1, 0, true, false, false, 1, true},       /* the same once more */
    {THERE, 1, DAY - 1, true, false, false, 1, true}, /* noted daily */
    {THERE, 1, DAY, true, false, true, 1, true},      /* as here */
    {THERE, 1, DAY, false, false, true, 1, true},     /* nobody's word takes the wish back */
    {THERE, 1, 1, false, true, true, 1, false},       /* its author's does */
    {THERE, 2, DAY, true, false, false, 1, true},     /* another, and nobody's word */
    {THERE, 2, DAY, true, true, true, 2, true},       /* its author's */
    {THERE, 2, -1, true, true, false, 1, true},       /* an older mail of its author */
    {OVER, 2, DAY, true, false, true, 2, true},       /* where nothing can be used any more */
    {OVER, 2, DAY, false, false, true, 2, false},     {OVER, 2, -1, true, false, false, 1, true},
};

static void every_case(void **state)
{
    static struct correspondent c;
    uint8_t octets[4] = {9, 9, 9, 9};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        const struct pgp_verdict verdict = {.primary_fpr = {r->tag}, .primary_fpr_len = 20, .signed_at = 5};
        octets[0] = r->tag;
        const struct peer_key k = {.date = (uint64_t)(BEFORE + r->date),
                                   .mutual = r->mutual,
                                   .proven = r->proven,
                                   .cert = octets,
                                   .len = sizeof(octets),
                                   .verdict = &verdict};
        c = (struct correspondent){.address = "bob@example.net"};
        if (r->record != NONE) {
            c.key = (struct correspondent_key){KNOWN_AUTOCRYPT, 20, {1}, BEFORE};
            c.seen = BEFORE;
            c.mutual = true;
            c.len = 4;
            memcpy(c.cert, (uint8_t[]){1, 9, 9, 9}, 4);
            c.verdict = (struct pgp_verdict){.primary_fpr = {1}, .primary_fpr_len = 20, .signed_at = 5};
            c.verdict.enc_expires = r->record == OVER ? NOW - 1 : 0;
        }
        const bool changes = mx_peer_key_rule(&c, r->record != NONE, &k, NOW);
        if (changes != r->changes || c.key.fpr[0] != r->then || c.mutual != r->then_mutual)
            fail_msg("row %zu: changes %d, key %u, mutual %d", i, changes, c.key.fpr[0], c.mutual);
        if (changes)
            assert_true(c.key.since == k.date && c.seen == k.date && c.key.from == KNOWN_AUTOCRYPT && c.len == 4);
    }
}

/* An older copy of the certificate has lost what its owner said since. */
static void an_older_copy(void **state)
{
    static struct correspondent c;
    const struct pgp_verdict newer = {.primary_fpr = {1}, .primary_fpr_len = 20, .signed_at = 9},
                             older = {.primary_fpr = {1}, .primary_fpr_len = 20, .signed_at = 8};
    uint8_t octets[4] = {1};
    struct peer_key k = {.date = BEFORE, .cert = octets, .len = 4, .verdict = &newer};
    assert_true(mx_peer_key_rule(&c, false, &k, NOW));
    k.verdict = &older;
    k.date += 2 * DAY;
    octets[1] = 7;
    assert_false(mx_peer_key_rule(&c, true, &k, NOW));
    assert_int_equal(c.cert[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case), cmocka_unit_test(an_older_copy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
