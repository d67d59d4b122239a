/* The rule table, cell by cell. A row has a sender's wish, the operator's word and what DANE says; its columns are what
 * MTA-STS says: none, testing, enforce, another host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/relay/trust.h"

enum { WISHES = 3, WORDS = 5, DANES = 4, STSS = 4 };

/* A letter for each demand: a ANY, e ENCRYPT, d DANE, s STS, v VERIFY, f FINGERPRINT, u UNKNOWN, n NO_PROOF, r REFUSED.
 * [wish][word]: DANE none, unusable, usable, unknown. */
static const char *const cells[WISHES][WORDS] = {
    [QUEUE_TLS_USUAL] =
        {
            [TRUST_WORD_NONE] = "aasn eesn dddd uuuu",
            [TRUST_WORD_MAY] = "aaaa aaaa aaaa aaaa",
            [TRUST_WORD_DANE] = "nnnn nnnn dddd uuuu",
            [TRUST_WORD_VERIFY] = "vvvv vvvv vvvv vvvv",
            [TRUST_WORD_FINGERPRINT] = "ffff ffff ffff ffff",
        },
    [QUEUE_TLS_REQUIRED] =
        {
            [TRUST_WORD_NONE] = "rrsn rrsn dddd uuuu",
            [TRUST_WORD_MAY] = "rrsn rrsn dddd uuuu",
            [TRUST_WORD_DANE] = "nnnn nnnn dddd uuuu",
            [TRUST_WORD_VERIFY] = "vvvv vvvv vvvv vvvv",
            [TRUST_WORD_FINGERPRINT] = "ffff ffff ffff ffff",
        },
    [QUEUE_TLS_OPTIONAL] =
        {
            [TRUST_WORD_NONE] = "aaaa aaaa aaaa aaaa",
            [TRUST_WORD_MAY] = "aaaa aaaa aaaa aaaa",
            [TRUST_WORD_DANE] = "nnnn nnnn dddd uuuu",
            [TRUST_WORD_VERIFY] = "vvvv vvvv vvvv vvvv",
            [TRUST_WORD_FINGERPRINT] = "ffff ffff ffff ffff",
        },
};
static const char letters[TRUST_DEMANDS] = {[TRUST_ANY] = 'a',     [TRUST_ENCRYPT] = 'e',  [TRUST_DANE] = 'd',
                                            [TRUST_STS] = 's',     [TRUST_VERIFY] = 'v',   [TRUST_FINGERPRINT] = 'f',
                                            [TRUST_UNKNOWN] = 'u', [TRUST_NO_PROOF] = 'n', [TRUST_REFUSED] = 'r'};

static void each_cell_is_as_it_must_be(void **state)
{
    unsigned n = 0;

    for (int mail = 0; mail < WISHES; mail++)
        for (int word = 0; word < WORDS; word++)
            for (int dane = 0; dane < DANES; dane++)
                for (int sts = 0; sts < STSS; sts++, n++) {
                    const struct trust_facts f = {(enum queue_tls)mail, (enum trust_word)word, (enum trust_dane)dane,
                                                  (enum trust_sts)sts};
                    const char want = cells[mail][word][dane * 5 + sts];
                    if (letters[trust_demand(&f)] != want)
                        fail_msg("wish %d word %d dane %d sts %d: %c, not %c", mail, word, dane, sts,
                                 letters[trust_demand(&f)], want);
                }
    assert_int_equal(n, 240);
}

static void what_is_not_usable_says_why(void **state)
{
    for (int d = 0; d < TRUST_DEMANDS; d++) {
        const bool usable = d <= TRUST_FINGERPRINT;
        assert_int_equal(trust_usable((enum trust_demand)d), usable);
        assert_int_equal(trust_obstacle((enum trust_demand)d) == OBSTACLES, usable);
    }
    assert_int_equal(trust_obstacle(TRUST_UNKNOWN), OBSTACLE_NAMES);
    assert_int_equal(trust_obstacle(TRUST_NO_PROOF), OBSTACLE_TLS);
    assert_int_equal(trust_obstacle(TRUST_REFUSED), OBSTACLE_UNPROVED);
}

static void only_what_asks_for_nothing_goes_in_the_clear(void **state)
{
    assert_int_equal(trust_proof(TRUST_ANY, false), QUEUE_PROOF_CLEAR);
    assert_int_equal(trust_proof(TRUST_ANY, true), QUEUE_PROOF_TLS);
    assert_int_equal(trust_proof(TRUST_ENCRYPT, true), QUEUE_PROOF_TLS);
    assert_int_equal(trust_proof(TRUST_DANE, true), QUEUE_PROOF_DANE);
    assert_int_equal(trust_proof(TRUST_STS, true), QUEUE_PROOF_STS);
    assert_int_equal(trust_proof(TRUST_VERIFY, true), QUEUE_PROOF_VERIFY);
    assert_int_equal(trust_proof(TRUST_FINGERPRINT, true), QUEUE_PROOF_FINGERPRINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_is_as_it_must_be),
        cmocka_unit_test(what_is_not_usable_says_why),
        cmocka_unit_test(only_what_asks_for_nothing_goes_in_the_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
