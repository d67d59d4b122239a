/* From a reply to a verdict and to RFC 3463's status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/relay/outcome.h"

static struct outcome of(const char *text, bool taken)
{
    struct smtp_client_reply r = {0};
    struct outcome o;

    sscanf(text, "%d", &r.code);
    if (strlen(text) > 4 && text[5] == '.')
        sscanf(text + 4, "%11s", r.enhanced);
    snprintf(r.text, sizeof(r.text), "%s", text);
    outcome_reply(&r, taken, &o);
    return o;
}

static void replies_are_verdicts(void **state)
{
    static const struct {
        const char *reply;
        bool taken;
        enum verdict verdict;
        bool again;
    } rows[] = {
        {"250 2.0.0 taken", false, VERDICT_SENT, false},
        {"251 User not local; will forward", false, VERDICT_SENT, false},
        {"450 4.2.0 greylisted", false, VERDICT_DEFERRED, false},
        {"452 4.5.3 too many recipients", true, VERDICT_DEFERRED, true},
        {"452 too many recipients", true, VERDICT_DEFERRED, true},
        {"452 4.5.3 too many recipients", false, VERDICT_DEFERRED, false},
        {"452 4.2.2 full", true, VERDICT_DEFERRED, false},
        {"552 too many recipients", true, VERDICT_DEFERRED, true},
        {"552 5.5.3 too many recipients", true, VERDICT_DEFERRED, true},
        {"552 5.2.2 full", true, VERDICT_FAILED, false},
        {"552 too large", false, VERDICT_FAILED, false},
        {"550 5.1.1 nobody", true, VERDICT_FAILED, false},
        {"354 go on", false, VERDICT_DEFERRED, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = of(rows[i].reply, rows[i].taken);
        if (o.verdict != rows[i].verdict || o.again_at_once != rows[i].again)
            fail_msg("%s: %d", rows[i].reply, o.verdict);
        assert_string_equal(o.reply, rows[i].reply);
    }
    assert_string_equal(of("550 a\r\nb\x1b[31m\x80", false).reply, "550 a??b?[31m?");
}

static void a_status_is_of_the_verdict(void **state)
{
    static const struct {
        const char *reply;
        enum verdict now;
        const char *status;
    } rows[] = {
        {"550 5.1.1 nobody", VERDICT_FAILED, "5.1.1"},
        {"450 4.2.0 greylisted", VERDICT_DEFERRED, "4.2.0"},
        {"450 4.2.0 greylisted", VERDICT_FAILED, "5.2.0"},
        {"556 5.1.10 null", VERDICT_FAILED, "5.1.10"},
        {"550 5.7.999", VERDICT_FAILED, "5.7.999"},
        {"550 5.7.1000 x", VERDICT_FAILED, "5.0.0"},
        {"550 5.1", VERDICT_FAILED, "5.0.0"},
        {"550 nobody", VERDICT_FAILED, "5.0.0"},
        {"550", VERDICT_FAILED, "5.0.0"},
        {"55", VERDICT_DEFERRED, "4.0.0"},
        {"", VERDICT_SENT, "2.0.0"},
        {"550 5.1.1x", VERDICT_FAILED, "5.0.0"},
        {"250 2.1.5 ok", VERDICT_SENT, "2.1.5"},
    };
    char status[OUTCOME_STATUS_MAX];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        outcome_status(rows[i].reply, rows[i].now, status);
        assert_string_equal(status, rows[i].status);
    }
}

static void obstacles_have_words_of_their_class(void **state)
{
    char status[OUTCOME_STATUS_MAX];

    for (int i = 0; i < OBSTACLES; i++) {
        struct outcome o;
        outcome_obstacle((enum obstacle)i, &o);
        assert_true(o.reply[0] == (o.verdict == VERDICT_FAILED ? '5' : '4'));
        outcome_status(o.reply, o.verdict, status);
        assert_int_equal(strncmp(status, o.reply + 4, strlen(status)), 0); /* they agree */
        assert_int_equal(o.reply[4 + strlen(status)], ' ');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_verdicts),
        cmocka_unit_test(a_status_is_of_the_verdict),
        cmocka_unit_test(obstacles_have_words_of_their_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
