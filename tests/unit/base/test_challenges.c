/* What an ACME server is answered: the table, its grammar and bounds, its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "server/base/challenges.h"
#include "server/base/ipc.h"
#include "server/core/error.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define HASH "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

static struct challenges table, other;

static int reset(void **state)
{
    (void)state;
    table.n = other.n = 0;
    return 0;
}

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(challenges_put(&table, "a.org", TOKEN, TOKEN "." HASH, 100), OK);
    assert_int_equal(challenges_put(&table, "b.org", TOKEN, TOKEN "." HASH, 50), OK);
    assert_string_equal(challenges_find(&table, "a.org", TOKEN), TOKEN "." HASH);
    assert_null(challenges_find(&table, "c.org", TOKEN)); /* a token is good under its own name alone */
    assert_null(challenges_find(&table, "a.org", TOKEN "x"));
    assert_null(challenges_find(&table, "", ""));
    assert_int_equal(challenges_put(&table, "b.org", TOKEN, TOKEN "." HASH, 200), OK); /* again */
    assert_int_equal(table.n, 2);
    assert_int_equal(challenges_expire(&table, 99), 100);
    assert_int_equal(challenges_expire(&table, 100), 200);
    assert_null(challenges_find(&table, "a.org", TOKEN));
    assert_int_equal(challenges_drop(&table, "a.org", TOKEN), ERR_NOT_FOUND);
    assert_int_equal(challenges_drop(&table, "b.org", TOKEN), OK);
    assert_int_equal(challenges_expire(&table, 1), 0);
    assert_int_equal(table.n, 0);
}

/* RFC 8555 section 8.1 and 8.3: nothing else is ever answered. */
static void test_grammar(void **state)
{
    static const struct {
        const char *name, *token, *text;
    } bad[] = {
        {"", TOKEN, TOKEN "." HASH},
        {"*.a.org", TOKEN, TOKEN "." HASH},
        {"A.org", TOKEN, TOKEN "." HASH},
        {"a.org/x", TOKEN, TOKEN "." HASH},
        {"a.org", "", "." HASH},
        {"a.org", "short", "short." HASH},
        {"a.org", "../../../../etc/passwd12", "../../../../etc/passwd12." HASH},
        {"a.org", "evaGxfADs6pSRb2LAv9IZf17\r\nX", "evaGxfADs6pSRb2LAv9IZf17\r\nX." HASH},
        {"a.org", "evaGxfADs6pSRb2LAv9IZ+17=", "evaGxfADs6pSRb2LAv9IZ+17=." HASH},
        {"a.org", TOKEN, ""},
        {"a.org", TOKEN, TOKEN},
        {"a.org", TOKEN, TOKEN "."},
        {"a.org", TOKEN, TOKEN "." HASH "x"},
        {"a.org", TOKEN, TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqT"},
        {"a.org", TOKEN, TOKEN ".<script>alert(1)</script>/AAAAAAAAAAAAAAAAA"},
        {"a.org", TOKEN, "x" TOKEN "." HASH},
    };
    char token[CHALLENGE_TOKEN_MAX + 2], text[CHALLENGE_TEXT_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(challenges_put(&table, bad[i].name, bad[i].token, bad[i].text, 1), ERR_FORMAT);
    memset(token, 'a', sizeof(token));
    for (int more = 0; more < 2; more++) {
        token[CHALLENGE_TOKEN_MAX + more] = '\0';
        snprintf(text, sizeof(text), "%s.%s", token, HASH);
        assert_int_equal(challenges_put(&table, "a.org", token, text, 1), more ? ERR_FORMAT : OK);
        token[CHALLENGE_TOKEN_MAX] = 'a';
    }
}

/* As many as there may be, each as large as it may be, fit one message. */
static void test_full(void **state)
{
    static uint8_t out[IPC_MAX];
    char name[CERTS_NAME_MAX + 1], token[CHALLENGE_TOKEN_MAX + 1], text[CHALLENGE_TEXT_MAX + 1];
    struct pack p;

    (void)state;
    for (size_t i = 0; i < CERTS_NAME_MAX; i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    name[CERTS_NAME_MAX] = '\0';
    memset(token, 'a', CHALLENGE_TOKEN_MAX);
    token[CHALLENGE_TOKEN_MAX] = '\0';
    for (int i = 0; i <= CHALLENGES_MAX; i++) {
        token[0] = (char)('A' + i % 26);
        token[1] = (char)('A' + i / 26);
        snprintf(text, sizeof(text), "%s.%s", token, HASH);
        assert_int_equal(challenges_put(&table, name, token, text, 1), i < CHALLENGES_MAX ? OK : ERR_LIMIT);
    }
    pack_init(&p, out, sizeof(out));
    challenges_pack(&table, &p);
    assert_false(p.failed);
    assert_int_equal(challenges_unpack(slice_of(out, p.len), &other), OK);
    assert_int_equal(other.n, CHALLENGES_MAX);
    token[0] = 'C', token[1] = 'B';
    assert_non_null(challenges_find(&other, name, token));
    for (size_t n = 0; n < p.len; n += 97)
        assert_int_equal(challenges_unpack(slice_of(out, n), &other), ERR_FORMAT);
    out[3]++; /* one more than there may be */
    assert_int_equal(challenges_unpack(slice_of(out, p.len), &other), ERR_FORMAT);
}

static void test_message_says_one_twice(void **state)
{
    uint8_t out[600];
    struct pack p;

    (void)state;
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, 2);
    for (int i = 0; i < 2; i++) {
        pack_str(&p, "a.org");
        pack_str(&p, TOKEN);
        pack_str(&p, TOKEN "." HASH);
    }
    assert_int_equal(challenges_unpack(slice_of(out, p.len), &other), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_table, reset),
        cmocka_unit_test_setup(test_grammar, reset),
        cmocka_unit_test_setup(test_full, reset),
        cmocka_unit_test_setup(test_message_says_one_twice, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
