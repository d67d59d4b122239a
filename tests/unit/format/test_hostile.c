/* Headers made to cost time: whatever a header repeats, looking at it stays proportional to its length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "server/format/capsule.h"
#include "server/format/protection.h"
#include "server/format/find.h"
#include "server/core/error.h"
#include "server/format/outer.h"
#include "store/schema.h"

enum { LONG = 240 * 1024, SECONDS_MAX_MS = 1000 };

static const char *const names[] = {
    "From", "To", "Date", "References", "Subject", "Content-Type", "Authentication-Results"};
static const char *const units[] = {
    "[",
    "(",
    ")",
    "\"",
    "<",
    ">",
    "@",
    ",",
    ":",
    ";",
    "\\",
    "a,",
    "a@b,",
    "a@b, ",
    "<a@b>,",
    "g:",
    "g: a@b;",
    "()",
    "(a)",
    "(((a)",
    "\"\"",
    "\"a\"",
    "\"a\" ",
    "[a]",
    "[a",
    "[a,",
    "[],",
    "<[",
    "([",
    "@[",
    "<@",
    "<@a,",
    "<a@b> ",
    "<a@b",
    "a ",
    "a.",
    ". ",
    " ",
    "\t",
    "\r\n ",
    "\r\n\t(",
    "=?utf-8?q?=",
    "=?utf-8?b?4?= ",
    "a/b;",
    "a/b;a=b;",
    "a/b;a=\"",
    ";a=\\",
    "*=",
    "\xc3\xa4",
    "\xff",
    "&amp",
    "<a",
    "--x\r\n ",
};

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t make(char *mail, const char *name, const char *unit, size_t len)
{
    size_t n = (size_t)sprintf(mail, "%s: ", name), u = strlen(unit);
    while (n + u < len) {
        memcpy(mail + n, unit, u);
        n += u;
    }
    return n + (size_t)sprintf(mail + n, "\r\n\r\nx\r\n");
}

static void protect(const struct header_view *v, enum header_policy policy)
{
    static const uint8_t key[32] = {1};
    struct protect_params p = {.policy = policy,
                               .domain = "mx.example",
                               .received = "",
                               .auth_results = "",
                               .pseudonym_key = key,
                               .date = 1800000000};
    struct protected_mail m;
    const char *why;
    int err = header_protect(&p, v, v->len, false, &m);
    assert_true(err == OK || err == ERR_LIMIT);
    if (err != OK)
        return;
    assert_int_equal(outer_check(m.outer.data, m.outer.len, MESSAGE_SERVER_SEALED, (uint8_t)policy, &why), OK);
    protected_mail_free(&m);
}

static void capsule(const struct header_view *v)
{
    struct capsule_params p = {.sealed_by = "mx.example", .tls = "", .auth_results = "", .warnings = ""};
    char own[512], root[512];
    struct buf out;
    buf_init(&out, CAPSULE_MAX, true);
    assert_int_equal(capsule_make(&p, v, &out), OK);
    capsule_thread_ids(v, own, root);
    buf_free(&out);
}

static void test_time_is_linear(void **state)
{
    static char mail[LONG + 1024];
    static uint8_t packets[LONG + 1024];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        for (size_t k = 0; k < sizeof(units) / sizeof(*units); k++) {
            size_t len = make(mail, names[i], units[k], LONG);
            struct pgp_found found;
            static struct header_field fields[HEADER_FIELDS_MAX];
            struct header_view v;
            double at[4] = {seconds()};
            assert_int_equal(header_parse((const uint8_t *)mail, len, fields, HEADER_FIELDS_MAX, &v), OK);
            for (int policy = POLICY_SHY; policy <= POLICY_HIDDEN; policy++)
                protect(&v, (enum header_policy)policy);
            at[1] = seconds();
            capsule(&v);
            at[2] = seconds();
            (void)pgp_find_likely(&v, len);
            (void)pgp_find_message((const uint8_t *)mail, len, packets, len, &found);
            at[3] = seconds();
            if (at[3] - at[0] > SECONDS_MAX_MS / 1000.0)
                fail_msg("%s of \"%s\": protect %.2f s, capsule %.2f s, find %.2f s", names[i], units[k], at[1] - at[0],
                         at[2] - at[1], at[3] - at[2]);
        }
}

/* The gate has 16 KB at most, but a subverted sealer chooses them. */
static void test_gate_time(void **state)
{
    static const char *const fields[] = {"From",       "To",          "Cc",         "Subject",
                                         "References", "In-Reply-To", "Message-ID", "Sealed-By"};
    static char outer[LONG];
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        for (size_t k = 0; k < sizeof(units) / sizeof(*units); k++) {
            const char *why;
            size_t n = (size_t)sprintf(outer, "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\n%s: ", fields[i]);
            for (; n < OUTER_MAX - 100; n += strlen(units[k]))
                strcpy(outer + n, units[k]);
            n += (size_t)sprintf(outer + n, "\r\n");
            double start = seconds();
            for (uint8_t kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_CLIENT; kind++)
                for (uint8_t policy = 0; policy <= 2; policy++)
                    (void)outer_check((const uint8_t *)outer, n, kind, policy, &why);
            if (seconds() - start > 0.2)
                fail_msg("%s of \"%s\": %.2f s", fields[i], units[k], seconds() - start);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_time_is_linear), cmocka_unit_test(test_gate_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
