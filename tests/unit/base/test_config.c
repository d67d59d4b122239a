/* The configuration: what is written reads back, and each kind of mistake is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/config.h"
#include "server/core/error.h"

static char why[256];

static int parse(const char *text, struct config *ret)
{
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1); /* no NUL to lean on */
    int err;

    memcpy(exact, text, n);
    why[0] = '\0';
    err = config_parse(exact, n, ret, why, sizeof(why));
    free(exact);
    return err;
}

static void test_defaults(void **state)
{
    struct config c, d;

    config_defaults(&d);
    assert_int_equal(parse("", &c), OK);
    assert_memory_equal(&c, &d, sizeof(c));
    assert_int_equal(c.message_max, 50 << 20);
    assert_int_equal(c.recipients_max, 100);
    assert_int_equal(c.role_uid_base, 61800);
    assert_true(c.smtp && c.imap && c.imaps);
    assert_false(c.debug_names || c.allow_no_landlock || c.imap_plain_auth_loopback);
}

static void test_written_reads_back(void **state)
{
    static char text[32768];
    struct config c, d;
    long n;

    config_defaults(&c);
    strcpy(c.domain, "mail.example.org");
    strcpy(c.bind, "2001:db8::1");
    strcpy(c.xclient_hosts, "127.0.0.1, ::1");
    strcpy(c.store_key_file, "/etc/a key#1");
    strcpy(c.policy_default, "hidden");
    c.publish_default = false;
    c.autocrypt_default = false;
    c.port_base = 20000;
    c.imaps = false;
    c.debug_names = true;
    c.message_max = (1 << 20) + 1;
    c.quota_default = UINT64_C(5) << 40;
    n = config_write(&c, text, sizeof(text));
    assert_true(n > 0);
    assert_int_equal(config_parse(text, (size_t)n, &d, why, sizeof(why)), OK);
    assert_memory_equal(&c, &d, sizeof(c));
    for (size_t i = 0; config_item_name(i); i++) {
        char line[80];

        snprintf(line, sizeof(line), "\n%s = ", config_item_name(i));
        assert_non_null(strstr(text, line));
    }
    for (long cap = 0; cap < n; cap += 97) {
        char *small = malloc((size_t)cap + 1);

        assert_int_equal(config_write(&c, small, (size_t)cap), ERR_LIMIT);
        free(small);
    }
    text[n] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 200);
}

static void test_accepts(void **state)
{
    struct config c;

    assert_int_equal(parse("# c\n\n \t\n\t domain =  example.org \t\nmessage_max=64KB\nsmtp = no", &c), OK);
    assert_string_equal(c.domain, "example.org");
    assert_int_equal(c.message_max, 65536);
    assert_false(c.smtp);
    assert_int_equal(parse("xclient_hosts =\nstore_key_file =\n", &c), OK);
    assert_int_equal(parse("plaintext_budget = 1 TB\nplaintext_budget_peer = 2 GB\nmessage_max = 1048576 KB\n", &c),
                     OK);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\n\nnonsense = 1\n", "line 3: there is no item named \"nonsense\""},
        {"smtp = yes\nsmtp = yes\n", "line 2: smtp is set a second time"},
        {"domain\n", "line 1: \"name = value\" is expected"},
        {"= 1\n", "line 1: there is no item named \"\""},
        {"smtp = true\n", "yes or no"},
        {"smtp =\n", "yes or no"},
        {"smtp = ye\n", "yes or no"},
        {"recipients_max = 0\n", "a number from 1 to 10000"},
        {"recipients_max = 10001\n", "a number from 1 to 10000"},
        {"recipients_max = 5 KB\n", "a number from"},
        {"recipients_max = -1\n", "a number from"},
        {"recipients_max = +1\n", "a number from"},
        {"recipients_max = 0x10\n", "a number from"},
        {"recipients_max = 99999999999999999999999\n", "a number from"},
        {"recipients_max = \n", "a number from"},
        {"message_max = 18446744073709551615 TB\n", "a size"},
        {"message_max = 5 mb\n", "a size"},
        {"message_max = 5 MBs\n", "a size"},
        {"message_max = 5  MB\n", "a size"},
        {"message_max = MB\n", "a size"},
        {"message_max = 1 KB\n", "from 64 KB to 1 GB"},
        {"domain = exa mple.org\n", "host name"},
        {"domain = -a.org\n", "host name"},
        {"domain = a-.org\n", "host name"},
        {"domain = a..org\n", "host name"},
        {"domain = a.org.\n", "host name"},
        {"domain =\n", "host name"},
        {"domain = b\xc3\xbc"
         "cher.example\n",
         "host name"},
        {"domain = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org\n", "host name"},
        {"domain = example.org # mine\n", "a comment stands on a line of its own"},
        {"bind = localhost\n", "an IPv4 or IPv6 address"},
        {"bind = 127.0.0.1.1\n", "an IPv4 or IPv6 address"},
        {"bind = 00000000000000000000000000000000000000000000000000000000000000000\n", "longer than 63"},
        {"xclient_hosts = 127.0.0.1,\n", "addresses with commas"},
        {"xclient_hosts = ,\n", "addresses with commas"},
        {"xclient_hosts = 127.0.0.1 ::1\n", "addresses with commas"},
        {"policy_default = Shy\n", "shy, baseline or hidden"},
        {"rsa_bits_min = 2047\n", "from 2048 to 8192"},
        {"rsa_bits_min = 8193\n", "from 2048 to 8192"},
        {"accept_dsa = 1\n", "yes or no"},
        {"accept_elgamal = \n", "yes or no"},
        {"log_level = verbose\n", "error, warn, info or debug"},
        {"tls_key =\n", "a path"},
        {"smtp = yes\r\n", "line 1: a control character (0x0d)"},
        {"message_max = 1 GB\n", "could never be received"},
        {"port_base = 64001\n", "from 0 to 64000"},
    };
    struct config c;

    memset(&c, 0x5a, sizeof(c));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].text, &c), ERR_FORMAT);
        if (!strstr(why, cases[i].says))
            fail_msg("%s: said \"%s\"", cases[i].text, why);
        for (size_t k = 0; k < sizeof(c); k++)
            assert_int_equal(((unsigned char *)&c)[k], 0x5a); /* untouched */
    }
    assert_int_equal(config_parse("smtp\0 = yes", 11, &c, why, sizeof(why)), ERR_FORMAT);
    assert_int_equal(config_parse("nonsense = 1", 12, &c, why, 5), ERR_FORMAT);
    assert_int_equal(strlen(why), 4);
    assert_int_equal(config_parse("nonsense = 1", 12, &c, NULL, 0), ERR_FORMAT);
}

/* The configured figures are the whole server's. */
static void test_share(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 7, 64};
    struct config whole, c;

    config_defaults(&whole);
    whole.smtp_sessions = whole.imap_sessions = 1000;
    whole.smtp_sessions_peer = whole.imap_sessions_peer = 5;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint32_t n = counts[i] ? counts[i] : 1;

        c = whole;
        config_share(&c, counts[i]);
        if (n == 1)
            assert_memory_equal(&c, &whole, sizeof(c));
        assert_true(c.smtp_sessions * n >= 1000 && (c.smtp_sessions - 1) * n < 1000);
        assert_true(c.imap_sessions * n >= 1000 && (c.imap_sessions - 1) * n < 1000);
        assert_true(c.smtp_sessions_peer >= 1 && c.smtp_sessions_peer <= 5 && c.imap_sessions_peer <= 5);
        assert_true(c.smtp_sessions_peer * n >= 5);
        assert_true(c.plaintext_budget > c.message_max && c.plaintext_budget_peer > c.message_max);
        assert_true(c.plaintext_budget <= whole.plaintext_budget);
        assert_true(n > 8 || c.plaintext_budget * n <= whole.plaintext_budget + n);
    }
    /* A configured 1 stays 1, and nothing wraps at the bounds. */
    whole.smtp_sessions = whole.smtp_sessions_peer = 1;
    whole.plaintext_budget = whole.plaintext_budget_peer = UINT64_C(1) << 40;
    c = whole;
    config_share(&c, 2);
    assert_int_equal(c.smtp_sessions, 1);
    assert_int_equal(c.smtp_sessions_peer, 1);
    assert_true(c.plaintext_budget == UINT64_C(1) << 39 && c.plaintext_budget_peer == UINT64_C(1) << 40);
}

/* What takes effect at the next start stays, and is named as long as it differs. */
static void test_reload(void **state)
{
    struct config c, d;
    char late[64], small[12];

    config_defaults(&c);
    d = c;
    config_reload(&c, &d, late, sizeof(late));
    assert_string_equal(late, "");
    strcpy(d.domain, "mail.example.org");
    strcpy(d.xclient_hosts, "127.0.0.1");
    d.message_max = d.map_size = 64 << 20;
    d.imaps = d.accept_dsa = false;
    d.smtp_sessions = d.smtp_sessions_peer = 7;
    for (int again = 0; again < 2; again++) {
        config_reload(&c, &d, late, sizeof(late));
        assert_string_equal(late, "domain, imaps, map_size");
        assert_string_equal(c.domain, "localhost");
        assert_true(c.imaps && !c.accept_dsa && c.map_size != d.map_size);
        assert_string_equal(c.xclient_hosts, "127.0.0.1");
        assert_int_equal(c.message_max, 64 << 20);
        assert_true(c.smtp_sessions == 7 && c.smtp_sessions_peer == 7);
    }
    config_reload(&c, &d, small, sizeof(small)); /* cut, not run over */
    assert_string_equal(small, "domain, ima");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_written_reads_back),
        cmocka_unit_test(test_accepts),  cmocka_unit_test(test_share),
        cmocka_unit_test(test_refuses),  cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
