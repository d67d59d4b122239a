/* What an account is told of another key: of which records, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/submission/key_change.h"

enum { NOW = 1000000000 };
#define OLD "0101010101010101010101010101010101010101"
#define NEW "0202020202020202020202020202020202020202"

static struct correspondent_key key_of(uint8_t tag, uint8_t from, uint64_t since)
{
    struct correspondent_key k = {.from = from, .fpr_len = 20, .since = since};
    memset(k.fpr, tag, 20);
    return k;
}

static const struct row {
    uint64_t other;    /* was found then and not followed; 0: none was */
    uint64_t followed; /* the key before ended then; 0: there was none */
    enum correspondent_end end;
    uint64_t told;
    bool refused, untold;
    enum key_change_outcome outcome;
} rows[] = {
    {0, 0, 0, 0, false, false, 0},
    {NOW, 0, 0, 0, true, true, KEY_CHANGE_REFUSED},
    {NOW, 0, 0, 0, false, true, KEY_CHANGE_KEPT},
    {NOW, 0, 0, NOW, true, false, 0},
    {NOW, 0, 0, NOW - 1, true, true, KEY_CHANGE_REFUSED},
    {0, NOW, CORRESPONDENT_FOLLOWED, 0, false, true, KEY_CHANGE_FOLLOWED},
    {0, NOW, CORRESPONDENT_FOLLOWED, NOW, false, false, 0},
    {0, NOW, CORRESPONDENT_OVERRULED, 0, false, false, 0}, /* by hand: the administrator knows */
    {NOW, NOW - 9, CORRESPONDENT_FOLLOWED, 0, false, true, KEY_CHANGE_KEPT},
};

static struct correspondent c;

static void what_was_not_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct key_change k = {.now = NOW};
        c = (struct correspondent){.address = "bob@example.net", .key = key_of(1, KNOWN_DOMAIN, 1), .told = r->told};
        if (r->other)
            c.other = key_of(2, KNOWN_SERVER, r->other);
        if (r->followed) {
            c.npast = 1;
            c.past[0].key = key_of(3, KNOWN_DOMAIN, 1);
            c.past[0].until = r->followed;
            c.past[0].end = (uint8_t)r->end;
        }
        if (submission_key_change_untold(&c, r->refused, &k) != r->untold || (r->untold && k.outcome != r->outcome))
            fail_msg("row %zu", i);
        if (r->untold)
            assert_true(k.other.fpr[0] == (r->other ? 2 : 1) && k.kept.fpr[0] == (r->other ? 1 : 3));
    }
}

static char out[KEY_CHANGE_MAIL_MAX + 1];

static const char *write(const char *address, enum key_change_outcome outcome, uint8_t from)
{
    const struct key_change k = {.account = "alice@example.org",
                                 .address = address,
                                 .kept = key_of(1, KNOWN_DOMAIN, NOW - 86400),
                                 .other = key_of(2, from, NOW),
                                 .outcome = outcome,
                                 .now = NOW};
    size_t len = 0;
    assert_int_equal(submission_key_change_mail(&k, out, &len), OK);
    assert_true(len < KEY_CHANGE_MAIL_MAX);
    out[len] = '\0';
    return out;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s\n\nhas no: %s", text, part);
}

static void what_it_says(void **state)
{
    (void)state;
    const char *text = write("bob@example.net", KEY_CHANGE_REFUSED, KNOWN_SERVER);
    has(text, "From: Letterlock <postmaster@example.org>\r\nTo: alice@example.org\r\n");
    has(text, "Auto-Submitted: auto-generated\r\n");
    has(text, "\r\n  bob@example.net\r\n");
    has(text, "before " OLD);
    has(text, "new    " NEW);
    has(text, "at a key server, which alone vouches for it, since 2001-09-09");
    has(text, "is refused until");
    has(text, "correspondent accept alice@example.org bob@example.net " NEW "\r\n");
    assert_null(strstr(text, "bob@example.net " OLD));
    has(write("bob@example.net", KEY_CHANGE_KEPT, KNOWN_DNSSEC), "sealed to the key before");
    text = write("bob@example.net", KEY_CHANGE_FOLLOWED, KNOWN_DNSSEC);
    has(text, "signed up to the root (DNSSEC)");
    has(text, "sealed to the new key");
    has(text, "correspondent accept alice@example.org bob@example.net " OLD "\r\n");
    for (const char *at = text; *at; at++)
        assert_true((*at != '\n' || at[-1] == '\r') && (*at != '\r' || at[1] == '\n'));
}

/* The command is copied into a shell, and whom one writes to strangers have a say in. */
static void no_address_is_a_command(void **state)
{
    (void)state;
    has(write("\"a;touch x\"@example.net", KEY_CHANGE_REFUSED, KNOWN_DOMAIN),
        "accept alice@example.org '\"a;touch x\"@example.net' " NEW);
    has(write("it's$(x)@example.net", KEY_CHANGE_REFUSED, KNOWN_DOMAIN), " 'it'\\''s$(x)@example.net' ");
    has(write("-rf@example.net", KEY_CHANGE_REFUSED, KNOWN_DOMAIN), " '-rf@example.net' ");
    char longest[ADDRESS_MAX];
    memset(longest, '\'', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    has(write(longest, KEY_CHANGE_FOLLOWED, KNOWN_DOMAIN), "no.\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_told),
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(no_address_is_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
