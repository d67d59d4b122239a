/* Addresses in the log: one spelling for each, hashes that only salt, side and key together give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/format/log_name.h"

static void spelt(const char *given, const char *text, const char *base, const char *domain)
{
    struct log_name n;

    log_name_spell(given, strlen(given), &n);
    assert_int_equal(n.len, strlen(text));
    assert_memory_equal(n.text, text, n.len);
    assert_int_equal(n.base_len, strlen(base));
    assert_memory_equal(n.base, base, n.base_len);
    assert_int_equal(n.len - n.domain, strlen(domain));
    assert_memory_equal(n.text + n.domain, domain, n.len - n.domain);
}

static void one_spelling(void **state)
{
    spelt("Ann@Example.ORG", "ann@example.org", "", "@example.org");
    spelt("<Ann@Example.ORG>", "ann@example.org", "", "@example.org");
    spelt("\"ann\"@example.org.", "ann@example.org", "", "@example.org");
    spelt("Ann+List+More@example.org", "ann+list+more@example.org", "ann@example.org", "@example.org");
    spelt("\"a+b\"@example.org", "a+b@example.org", "a@example.org", "@example.org");
    spelt("a..b@example.org", "\"a..b\"@example.org", "", "@example.org");
    spelt("\"a..b\"@example.org", "\"a..b\"@example.org", "", "@example.org");
    spelt("J\xc3\x96RG@B\xc3\xbc"
          "cher.example",
          "j\xc3\xb6rg@xn--bcher-kva.example", "", "@xn--bcher-kva.example");
    spelt("Someone@my_host.example", "someone@my_host.example", "", "@my_host.example");
    spelt("x@[192.0.2.1]", "x@[192.0.2.1]", "", "@[192.0.2.1]");
    spelt("", "", "", "");
    spelt("<>", "", "", "");
    spelt("@Example.ORG", "@example.org", "", "@example.org");
    spelt("+x@example.org", "+x@example.org", "", "@example.org");
    /* no addresses */
    spelt("<A b@", "a b@", "", "@");
    spelt("<Ann@example.org", "ann@example.org", "", "@example.org");
    spelt("Ann@example.org>", "ann@example.org", "", "@example.org");
    spelt("ROOT", "root", "", "");
    spelt("@", "@", "", "@");
    spelt("<", "", "", "");
    spelt(">", "", "", "");
    spelt("><", "><", "", "");
    spelt("@ x", "@ x", "", "@ x");
}

static void what_is_too_long_is_cut(void **state)
{
    char given[3000];
    struct log_name n;

    memset(given, 'A', sizeof(given));
    log_name_spell(given, sizeof(given), &n);
    assert_int_equal(n.len, LOG_NAME_MAX);
    assert_int_equal(n.text[LOG_NAME_MAX - 1], 'a');
    memcpy(given + sizeof(given) - 12, "@example.org", 12);
    log_name_spell(given, sizeof(given), &n);
    assert_int_equal(n.len, LOG_NAME_MAX);
    log_name_spell(given + sizeof(given) - 600, 600, &n);
    assert_int_equal(n.len, LOG_NAME_MAX);
}

static void hashes(void **state)
{
    uint8_t store_key[RECORD_KEY_SIZE] = {1}, salt[LOG_NAME_SALT_SIZE] = {2}, all[6][RECORD_HASH_SIZE];
    struct record_keys *one, *other;

    one = record_keys_of_root(store_key);
    store_key[31] = 1;
    other = record_keys_of_root(store_key);
    log_name_hash(one, salt, LOG_NAME_SENDER, "ann@x", 5, all[0]);
    log_name_hash(one, salt, LOG_NAME_SENDER, "ann@x", 5, all[1]);
    assert_memory_equal(all[0], all[1], RECORD_HASH_SIZE);
    log_name_hash(one, salt, LOG_NAME_RECIPIENT, "ann@x", 5, all[1]);
    log_name_hash(one, salt, LOG_NAME_SENDER, "ann@y", 5, all[2]);
    log_name_hash(other, salt, LOG_NAME_SENDER, "ann@x", 5, all[3]);
    salt[15] = 1;
    log_name_hash(one, salt, LOG_NAME_SENDER, "ann@x", 5, all[4]);
    record_hash(one, RECORD_ADDRESS, 0, (struct record_part[]){{salt, 16}, {"ann@x", 5}}, 2, all[5]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(all[i], all[j], RECORD_HASH_SIZE);
    record_keys_destroy(one);
    record_keys_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_spelling),
        cmocka_unit_test(what_is_too_long_is_cut),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
