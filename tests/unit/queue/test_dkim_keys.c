/* Which keys sign: put by a real vault, read by a view, at any time of their lives. */
#include "tests/support/vault_support.h"

#include <stdio.h>

#include "server/mailauth/dkim.h"
#include "server/queue/dkim_keys.h"

static struct bench b;
static struct view *view;
static struct dkim_keys *keys;

static void put(const char *domain, const char *selector, enum dkim_algorithm a, uint64_t use_from, bool broken)
{
    struct vault_request q = {.type = VAULT_DKIM_PUT};
    struct dkim_record r = {.algorithm = (uint8_t)a, .made = 1, .use_from = use_from};
    uint8_t out[QUEUE_DKIM_MAX];
    size_t len;
    snprintf(r.domain, sizeof(r.domain), "%s", domain);
    snprintf(r.selector, sizeof(r.selector), "%s", selector);
    assert_int_equal(dkim_key_make(a, r.der, &r.der_len), OK);
    r.der_len -= broken;
    assert_int_equal(dkim_record_seal(b.keys, &r, q.dkim.hash, out, &len), OK);
    q.dkim.record = slice_of(out, len);
    assert_int_equal(request(&b, &q, -1), OK);
}

static void del(const char *domain, const char *selector)
{
    struct vault_request q = {.type = VAULT_DKIM_DEL};
    dkim_record_hash(b.keys, domain, selector, q.dkim.hash);
    assert_int_equal(request(&b, &q, -1), OK);
}

static int setup(void **state)
{
    bench_mem(&b, false);
    assert_int_equal(view_over(b.engine, b.keys, &view), OK);
    keys = dkim_keys_create(view);
    put("a.example", "old", DKIM_RSA_SHA256, 100, false);
    put("a.example", "new", DKIM_RSA_SHA256, 1000, false);
    put("a.example", "ed", DKIM_ED25519_SHA256, 100, false);
    put("b.example", "b", DKIM_ED25519_SHA256, 100, false);
    put("aa.example", "aa", DKIM_ED25519_SHA256, 100, false);
    put("xn--bcher-kva.example", "x", DKIM_ED25519_SHA256, 100, false);
    put("half.example", "bad", DKIM_RSA_SHA256, 100, true);
    put("half.example", "good", DKIM_ED25519_SHA256, 100, false);
    dkim_keys_changed(keys);
    return 0;
}

static int teardown(void **state)
{
    dkim_keys_destroy(keys);
    view_close(view);
    bench_close(&b);
    return 0;
}

/* "rsa-sha256 d s; ..." of what is signed. */
static const char *signed_by(const char *from, uint64_t now)
{
    static char said[1024];
    char head[512], body[] = "\r\nHello\r\n";
    struct iovec mail[] = {{head, 0}, {body, strlen(body)}};
    struct buf fields;
    char *text, *at;
    snprintf(head, sizeof(head), "Subject: x\r\n%s\r\n", from);
    mail[0].iov_len = strlen(head);
    buf_init(&fields, 16384, false);
    assert_int_equal(dkim_keys_sign(keys, mail, 2, now, &fields), OK);
    *said = '\0';
    text = fields.len ? strndup((const char *)fields.data, fields.len) : NULL;
    for (at = text; at && (at = strstr(at, "DKIM-Signature:")); at++) {
        char a[32], d[64], s[64];
        assert_non_null(strstr(at, "a="));
        assert_int_equal(sscanf(strstr(at, "a="), "a=%31[^;]", a), 1);
        assert_int_equal(sscanf(strstr(at, "d="), "d=%63[^;]", d), 1);
        assert_int_equal(sscanf(strstr(at, "s="), "s=%63[^;]", s), 1);
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s %s %s;", a, d, s);
    }
    free(text);
    buf_free(&fields);
    return said;
}

static void by_time(void **state)
{
    static const char from[] = "From: Ann <ann@A.Example>";
    assert_string_equal(signed_by(from, 99), "");
    assert_string_equal(signed_by(from, 100), "rsa-sha256 a.example old;ed25519-sha256 a.example ed;");
    assert_string_equal(signed_by(from, 999), "rsa-sha256 a.example old;ed25519-sha256 a.example ed;");
    assert_string_equal(signed_by(from, 1000), "rsa-sha256 a.example new;ed25519-sha256 a.example ed;");
    assert_string_equal(signed_by(from, UINT64_MAX - 1), "rsa-sha256 a.example new;ed25519-sha256 a.example ed;");
}

/* Whose name a report of the server's own has. */
static void a_domain(void **state)
{
    char domain[DOMAIN_CAP] = "";
    assert_int_equal(dkim_keys_domain(keys, "b.example", 500, domain), OK);
    assert_string_equal(domain, "b.example");
    assert_int_equal(dkim_keys_domain(keys, "mail.example", 500, domain), OK);
    assert_string_equal(domain, "a.example");
    assert_int_equal(dkim_keys_domain(keys, "b.example", 99, domain), ERR_NOT_FOUND);
    assert_string_equal(domain, "a.example");
}

static void by_author(void **state)
{
    assert_string_equal(signed_by("From: x@b.example", 500), "ed25519-sha256 b.example b;");
    assert_string_equal(signed_by("From: \"c@a.example\" <x@b.example>", 500), "ed25519-sha256 b.example b;");
    assert_string_equal(signed_by("From: (a@a.example) x@b.example, y@a.example", 500), "ed25519-sha256 b.example b;");
    assert_string_equal(signed_by("From: g: x@b.example;", 500), "ed25519-sha256 b.example b;");
    assert_string_equal(signed_by("From: x@aa.example", 500), "ed25519-sha256 aa.example aa;");
    assert_string_equal(signed_by("From: x@b\xc3\xbc"
                                  "cher.example",
                                  500),
                        "ed25519-sha256 xn--bcher-kva.example x;");
    assert_string_equal(signed_by("From: x@sub.b.example", 500), "");
    assert_string_equal(signed_by("From: x@example", 500), "");
    assert_string_equal(signed_by("From: x@elsewhere.example\r\nSender: x@b.example", 500), "");
    assert_string_equal(signed_by("From: x@half.example", 500), "ed25519-sha256 half.example good;");
}

static void without_an_author(void **state)
{
    static const char *const heads[] = {
        "Subject: x\r\n\r\n", "From:\r\n\r\n", "From: nobody\r\n\r\n", "", "\r\n", "From: x@[192.0.2.1]\r\n\r\n"};
    struct buf fields;
    buf_init(&fields, 16384, false);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        const struct iovec mail = {(char *)heads[i], strlen(heads[i])};
        assert_int_equal(dkim_keys_sign(keys, &mail, 1, 500, &fields), ERR_FORMAT);
        assert_int_equal(fields.len, 0);
    }
    assert_int_equal(dkim_keys_sign(keys, NULL, 0, 500, &fields), ERR_FORMAT);
    buf_free(&fields);
}

static void changes(void **state)
{
    static const char from[] = "From: x@new.example";
    assert_string_equal(signed_by(from, 500), "");
    put("new.example", "n", DKIM_ED25519_SHA256, 1, false);
    assert_string_equal(signed_by(from, 500), ""); /* as it was read */
    dkim_keys_changed(keys);
    assert_string_equal(signed_by(from, 500), "ed25519-sha256 new.example n;");
    del("new.example", "n");
    dkim_keys_changed(keys);
    assert_string_equal(signed_by(from, 500), "");
}

static void one_that_does_not_open(void **state)
{
    struct vault_request q = {.type = VAULT_DKIM_PUT, .dkim = {.hash = {1}}};
    uint8_t junk[200] = {2};
    q.dkim.record = slice_of(junk, sizeof(junk));
    assert_int_equal(request(&b, &q, -1), OK);
    dkim_keys_changed(keys);
    assert_string_equal(signed_by("From: x@b.example", 500), "ed25519-sha256 b.example b;");
    assert_int_equal(dkim_keys_unreadable(keys), 1);
    q.type = VAULT_DKIM_DEL;
    assert_int_equal(request(&b, &q, -1), OK);
    dkim_keys_changed(keys);
    assert_string_equal(signed_by("From: x@b.example", 500), "ed25519-sha256 b.example b;");
    assert_int_equal(dkim_keys_unreadable(keys), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_time),           cmocka_unit_test(a_domain), cmocka_unit_test(by_author),
        cmocka_unit_test(without_an_author), cmocka_unit_test(changes),  cmocka_unit_test(one_that_does_not_open),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
