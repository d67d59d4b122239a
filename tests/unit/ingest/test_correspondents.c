/* The rule by which a key that is found is held against the one that is kept, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/core/error.h"
#include "server/ingest/submission/correspondents.h"

enum { NOW = 1000000000, DAY = 86400, OLD = NOW - 2 * DAY };

enum kept { NO, WELL, EXPIRED, BARE, REVOKED, BY_HAND, BY_DNSSEC };
enum found { NOTHING, UNKNOWN, SAME, RENEWED, OLDER, OTHER, OTHER_BY_SERVER, ITS_REVOCATION };

static const struct row {
    enum kept kept;
    enum found found;
    bool always;
    enum correspondent_word word;
    enum correspondent_write write;
    int why;
    uint8_t key;   /* then: the tag of the one in use; 0: not looked at */
    uint8_t other; /* and of one that is not followed */
} rows[] = {
    /* none was ever seen */
    {NO, NOTHING, true, CORRESPONDENT_NOTHING, CORRESPONDENT_STAYS, OK, 0, 0},
    {NO, UNKNOWN, false, CORRESPONDENT_NOTHING, CORRESPONDENT_STAYS, OK, 0, 0},
    {NO, SAME, true, CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK, 1, 0},
    {NO, SAME, false, CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK, 1, 0},
    /* the same */
    {WELL, SAME, true, CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK, 1, 0}, /* seen the day before yesterday */
    {WELL, RENEWED, true, CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK, 1, 0},
    {WELL, OLDER, true, CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK, 1, 0},
    {EXPIRED, OLDER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_ENDED, 1, 0},
    {EXPIRED, RENEWED, true, CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK, 1, 0},
    {BARE, SAME, true, CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK, 1, 0},
    {BY_HAND, SAME, true, CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK, 1, 0},
    {REVOKED, RENEWED, true, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_ENDED, 1, 0},
    {REVOKED, SAME, false, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_WAITS, 1, 0},
    /* another */
    {WELL, OTHER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    {EXPIRED, OTHER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    {REVOKED, OTHER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    {BARE, OTHER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    {WELL, OTHER, false, CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK, 2, 0},
    {REVOKED, OTHER, false, CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK, 2, 0},
    {BY_HAND, OTHER, false, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    /* from where it is less sure */
    {BY_DNSSEC, OTHER_BY_SERVER, false, CORRESPONDENT_OWN, CORRESPONDENT_NOTES, OK, 1, 2},
    {BY_DNSSEC, OTHER_BY_SERVER, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_CHANGED, 1, 2},
    /* none */
    {WELL, NOTHING, true, CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK, 1, 0},
    {WELL, NOTHING, false, CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK, 1, 0},
    {WELL, UNKNOWN, false, CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK, 1, 0},
    {EXPIRED, NOTHING, true, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_ENDED, 1, 0},
    {EXPIRED, NOTHING, false, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_WAITS, 1, 0},
    {EXPIRED, UNKNOWN, true, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, ERR_UNKNOWN, 1, 0},
    {BARE, NOTHING, true, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_ENDED, 1, 0},
    {BARE, NOTHING, false, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_WAITS, 1, 0},
    {REVOKED, NOTHING, false, CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, CORRESPONDENT_WAITS, 1, 0},
    {WELL, ITS_REVOCATION, true, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_ENDED, 1, 0},
    {WELL, ITS_REVOCATION, false, CORRESPONDENT_REFUSED, CORRESPONDENT_NOTES, CORRESPONDENT_WAITS, 1, 0},
};

static uint8_t octets[4] = {1, 2, 3, 4};
static struct correspondent kept;

static struct known_key certificate(uint8_t tag, uint32_t signed_at)
{
    return (struct known_key){.verdict = {.primary_fpr = {tag}, .primary_fpr_len = 20, .signed_at = signed_at},
                              .cert = octets,
                              .len = 4};
}

static void stand(enum kept how)
{
    kept = (struct correspondent){.address = "bob@example.net",
                                  .key = {KNOWN_DOMAIN, 20, {1}, OLD},
                                  .seen = OLD,
                                  .verdict = {.primary_fpr = {1}, .primary_fpr_len = 20, .signed_at = 50},
                                  .len = 4};
    memcpy(kept.cert, octets, 4);
    kept.verdict.enc_expires = how == EXPIRED ? NOW - 1 : 0;
    kept.revoked = how == REVOKED;
    kept.key.from = how == BY_HAND ? KNOWN_BY_HAND : how == BY_DNSSEC ? KNOWN_DNSSEC : KNOWN_DOMAIN;
    if (how == BARE)
        kept.len = 0;
    if (how == NO)
        memset(&kept.key, 0, sizeof(kept.key));
}

static void every_case(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        const bool other = r->found == OTHER || r->found == OTHER_BY_SERVER;
        const struct known_key key = certificate(other ? 2 : 1, r->found == OLDER ? 10 : r->found == RENEWED ? 90 : 50);
        const bool nothing = r->found == NOTHING || r->found == UNKNOWN || r->found == ITS_REVOCATION;
        stand(r->kept);
        const struct correspondent_case c = {.kept = &kept,
                                             .any = r->kept != NO,
                                             .found = nothing ? NULL : &key,
                                             .from = r->found == OTHER_BY_SERVER ? KNOWN_SERVER : KNOWN_DOMAIN,
                                             .revoked = r->found == ITS_REVOCATION,
                                             .unknown = r->found == UNKNOWN,
                                             .always = r->always,
                                             .now = NOW};
        const struct correspondent_ruling got = submission_correspondent_rule(&c);
        if (got.word != r->word || got.write != r->write || (got.word == CORRESPONDENT_REFUSED && got.why != r->why) ||
            (r->key && kept.key.fpr[0] != r->key) || kept.other.fpr[0] != r->other)
            fail_msg("row %zu: word %d, write %d, why %d, key %u, other %u", i, got.word, got.write, got.why,
                     kept.key.fpr[0], kept.other.fpr[0]);
        if (r->key == 2)
            assert_true(kept.npast == 1 && kept.past[0].key.fpr[0] == 1 && !kept.revoked &&
                        kept.past[0].end == CORRESPONDENT_FOLLOWED);
        if (r->kept == BY_HAND && r->key == 1)
            assert_int_equal(kept.key.from, KNOWN_BY_HAND);
    }
}

/* What is seen daily is written daily, and what stands in the way of that is written once. */
static void nothing_is_written_for_nothing(void **state)
{
    const struct known_key key = certificate(1, 50), other = certificate(2, 50);
    stand(WELL);
    struct correspondent_case c = {
        .kept = &kept, .any = true, .found = &key, .from = KNOWN_DOMAIN, .always = true, .now = NOW};
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_NOTES);
    assert_int_equal(kept.seen, NOW);
    c.now += DAY - 1;
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_STAYS);
    c.now++;
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_NOTES);
    c.from = KNOWN_DNSSEC; /* surer than before */
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_NOTES);
    assert_int_equal(kept.key.from, KNOWN_DNSSEC);
    c.from = KNOWN_SERVER;
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_STAYS);
    c.found = &other;
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_NOTES);
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_STAYS);
}

/* Without room for certificates the fingerprint guards as before. */
static void without_room(void **state)
{
    static uint8_t large[CORRESPONDENT_CERT_MAX + 1];
    struct known_key key = certificate(1, 50);
    stand(NO);
    struct correspondent_case c = {
        .kept = &kept, .found = &key, .from = KNOWN_DOMAIN, .always = true, .bare = true, .now = NOW};
    kept.len = 0;
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_KEEPS);
    assert_true(kept.len == 0 && kept.key.fpr[0] == 1);
    c.any = true;
    c.bare = false;
    key.cert = large;
    key.len = sizeof(large);
    assert_int_equal(submission_correspondent_rule(&c).write, CORRESPONDENT_STAYS);
    assert_int_equal(kept.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),
        cmocka_unit_test(nothing_is_written_for_nothing),
        cmocka_unit_test(without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
