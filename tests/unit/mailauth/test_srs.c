/* Return paths that are written anew: read back as they were, whatever relays do to their case, and made up by nobody.
 */
#include "server/mailauth/srs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"

#define OURS "ours.example"
enum { DAY = 86400 };
static const uint8_t key[SRS_KEY_SIZE] = {1, 2, 3}, other_key[SRS_KEY_SIZE] = {1, 2, 4};
static const uint64_t now = UINT64_C(20787) * DAY + 5;

static const char *made(const char *sender)
{
    static char out[ADDRESS_MAX];

    assert_int_equal(srs_make(key, OURS, sender, now, out), OK);
    assert_true(srs_looks_so(out));
    assert_true(strchr(out, '@') - out <= SRS_LOCAL_MAX);
    return out;
}

static int opened_at(const char *address, uint64_t when, const char *sender)
{
    char out[ADDRESS_MAX] = "untouched";
    int err = srs_open(key, OURS, address, when, out);

    if (err == OK)
        assert_string_equal(out, sender);
    return err;
}

static void fold(char *s, bool up)
{
    for (; *s; s++)
        if (up ? *s >= 'a' && *s <= 'z' : *s >= 'A' && *s <= 'Z')
            *s ^= 0x20;
}

static void test_round(void **state)
{
    static const char *const senders[] = {"bob@example.net",
                                          "b=o=b@example.net",
                                          "bounce+x-y_z@a-b.example.net",
                                          "srs0@example.net",
                                          "=@e.example",
                                          "b.o.b@example.net",
                                          "j\xc3\xb6rg@example.net",
                                          "SRS0x=@example.net",
                                          "!#$%&'*/?^`{|}~@example.net",
                                          "+=-@x.yy"};

    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
        char path[ADDRESS_MAX], lower[ADDRESS_MAX];
        snprintf(path, sizeof(path), "%s", made(senders[i]));
        assert_int_equal(opened_at(path, now, senders[i]), OK);
        snprintf(lower, sizeof(lower), "%s", senders[i]);
        fold(lower, false);
        fold(path, false);
        assert_int_equal(opened_at(path, now, lower), OK);
        fold(path, true);
        fold(lower, true);
        fold(strrchr(lower, '@'), false); /* a domain is given back in lower case */
        assert_int_equal(opened_at(path, now, lower), OK);
    }
    assert_int_equal(opened_at(made("bob@EXAMPLE.net"), now, "bob@example.net"), OK);
    assert_int_equal(opened_at(made("bob@b\xc3\xbc"
                                    "cher.example"),
                               now, "bob@xn--bcher-kva.example"),
                     OK);
}

static void test_days(void **state)
{
    char path[ADDRESS_MAX];

    snprintf(path, sizeof(path), "%s", made("bob@example.net"));
    for (uint64_t day = 0; day < 1024; day++)
        assert_int_equal(opened_at(path, now + day * DAY, "bob@example.net"), day <= SRS_DAYS ? OK : ERR_FORMAT);
    assert_int_equal(opened_at(path, now - DAY, "bob@example.net"), ERR_FORMAT);
}

static void test_again(void **state)
{
    static const struct {
        const char *sender, *path, *back;
    } rows[] = {
        {"SRS0=HHHH=TT=orig.example=bob@first.example", "first.example==HHHH=TT=orig.example=bob",
         "SRS0=HHHH=TT=orig.example=bob@first.example"},
        {"srs0+HHHH=TT=orig.example=bob@first.example", "first.example=+HHHH=TT=orig.example=bob",
         "SRS0+HHHH=TT=orig.example=bob@first.example"},
        {"SRS0-x@first.example", "first.example=-x", "SRS0-x@first.example"},
        {"SRS1=GGGG=first.example==HHHH=TT=o.example=bob@second.example", "first.example==HHHH=TT=o.example=bob",
         "SRS0=HHHH=TT=o.example=bob@first.example"},
        {"SRS1+GGGG=first.example=-x@second.example", "first.example=-x", "SRS0-x@first.example"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *path = made(rows[i].sender);
        const size_t n = strlen(rows[i].path);
        assert_memory_equal(path, "SRS1=", 5);
        assert_int_equal(path[13], '=');
        assert_memory_equal(path + 14, rows[i].path, n);
        assert_string_equal(path + 14 + n, "@" OURS);
        assert_int_equal(opened_at(path, now, rows[i].back), OK);
        assert_int_equal(opened_at(path, now + SRS_DAYS * DAY, rows[i].back), OK);
        assert_int_equal(opened_at(path, now + 2 * SRS_DAYS * DAY, rows[i].back), ERR_FORMAT);
    }
    /* What is no SRS1 is somebody's name. */
    assert_memory_equal(made("SRS1=x@second.example"), "SRS0=", 5);
    assert_int_equal(opened_at(made("SRS1=x@second.example"), now, "SRS1=x@second.example"), OK);
}

/* What could not be read back, or is longer than a local part may be, is not written. */
static void test_what_is_not_written(void **state)
{
    static const char *const senders[] = {
        "",
        "bob",
        "@example.net",
        "bob@",
        "\"a b\"@example.net",
        "\"a@b\"@example.net",
        "bob@[192.0.2.1]",
        "bob@[IPv6:2001:db8::1]",
        "bob@exa mple.net",
        "a..b@example.net",
        ".a@example.net",
        "a b@example.net",
        "a\n@example.net",
        "a@b\n.example",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@example.net",
        "b@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example",
        "SRS0=HHHH=TT=orig.example=bobbobbobbobbobbobbobbobbobbob@first.example"};
    char out[ADDRESS_MAX] = "untouched", sender[ADDRESS_MAX];

    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
        int err = srs_make(key, OURS, senders[i], now, out);
        if (err != ERR_UNSUPPORTED)
            fail_msg("%s: %d", senders[i], err);
    }
    for (int n = 1; n < 80; n++) { /* to the octet */
        snprintf(sender, sizeof(sender), "%.*s@e.example", n,
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        int err = srs_make(key, OURS, sender, now, out);
        assert_int_equal(err, n <= SRS_LOCAL_MAX - 14 - 3 - 10 ? OK : ERR_UNSUPPORTED);
    }
}

/* Each octet of it counts, at each place, and what stands before and behind. */
static void test_forged(void **state)
{
    char path[ADDRESS_MAX], changed[ADDRESS_MAX + 2], out[ADDRESS_MAX];
    const char *at;

    snprintf(path, sizeof(path), "%s", made("bob@example.net"));
    at = strchr(path, '@');
    for (size_t i = 0; path + i < at; i++)
        for (int c = 1; c < 256; c++) {
            strcpy(changed, path);
            changed[i] = (char)c;
            if (((c | 0x20) == (path[i] | 0x20) && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) || c == path[i])
                continue;
            if (opened_at(changed, now, "") == OK)
                fail_msg("%s", changed);
        }
    for (size_t i = 0; path + i <= at; i++) { /* one octet less, one more */
        snprintf(changed, sizeof(changed), "%.*s%s", (int)i, path, path + i + 1);
        assert_int_equal(srs_open(key, OURS, changed, now, out), ERR_FORMAT);
        snprintf(changed, sizeof(changed), "%.*sx%s", (int)i, path, path + i);
        assert_int_equal(srs_open(key, OURS, changed, now, out), ERR_FORMAT);
    }
    assert_int_equal(srs_open(other_key, OURS, path, now, out), ERR_FORMAT);
    assert_int_equal(srs_open(key, "other.example", path, now, out), ERR_FORMAT);
    strcpy(strchr(path, '@'), "@other.example");
    assert_int_equal(srs_open(key, OURS, path, now, out), ERR_FORMAT);
    assert_int_equal(srs_open(key, "other.example", path, now, out), ERR_FORMAT);
}

static void test_hostile(void **state)
{
    static const char *const rows[] = {"",
                                       "@",
                                       "SRS0",
                                       "SRS0@" OURS,
                                       "SRS0=@" OURS,
                                       "SRS0==@" OURS,
                                       "SRS0=AAAAAAAA@" OURS,
                                       "SRS0=AAAAAAAA=@" OURS,
                                       "SRS0=AAAAAAAA=TT@" OURS,
                                       "SRS0=AAAAAAAA=TT=@" OURS,
                                       "SRS0=AAAAAAAA=TT==@" OURS,
                                       "SRS0=AAAAAAAA=TT=x=@" OURS,
                                       "SRS0=AAAAAAAA=TT==x@" OURS,
                                       "SRS1=AAAAAAAA=@" OURS,
                                       "SRS1=AAAAAAAA==@" OURS,
                                       "SRS1=AAAAAAAA==x@" OURS,
                                       "SRS1=AAAAAAAA=x@" OURS,
                                       "SRS1=AAAAAAAA=x=@" OURS,
                                       "SRS2=AAAAAAAA=TT=x.y=z@" OURS,
                                       "SRS0+AAAAAAAA=TT=x.y=z@" OURS,
                                       "\"SRS0=AAAAAAAA=TT=x.y=z\"@" OURS,
                                       "SRS0=AAAAAAA1=TT=x.y=z@" OURS,
                                       "SRS0=AAAAAAAA=11=x.y=z@" OURS,
                                       "SRS0=\xff\xff=TT=x.y=z@" OURS};
    char out[ADDRESS_MAX];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (srs_open(key, OURS, rows[i], now, out) != ERR_FORMAT)
            fail_msg("%s", rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),  cmocka_unit_test(test_days),    cmocka_unit_test(test_again),
        cmocka_unit_test(test_forged), cmocka_unit_test(test_hostile), cmocka_unit_test(test_what_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
