/* Certificates that strangers send in: what is read of them, what is handed on, and that the answer is the same whoever
 * is here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_armor.h"
#include "keyserver/impl.h"
#include "server/core/error.h"
#include "server/keys/upload.h"
#include "tests/support/keyserver_bench.h"
#include "tests/support/published_cert.h"

enum { MADE = 1700000000, CERTIFIES = 3, POISON_MAX = 700 * 1024, TEXT_MAX = 1024 * 1024 };

static struct keyserver_bench b;
static uint8_t cert[POISON_MAX];
static char armour[TEXT_MAX];
static size_t armour_len;

/* ---- material ---- */

static void use(const uint8_t *data, size_t len)
{
    assert_int_equal(pgp_armor_encode(data, len, "PUBLIC KEY BLOCK", true, armour, sizeof(armour), &armour_len), OK);
}

static void use_cert(uint8_t seed, const char *const *user_ids)
{
    struct forge_key primary, enc;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, seed);
    forge_key_make(&enc, 4, PGP_X25519, MADE, (uint8_t)(seed + 1));
    const size_t len = published_cert_of(&primary, &enc, user_ids, cert, sizeof(cert));
    assert_true(len > 0);
    use(cert, len);
}

static unsigned post_json(const char *path, json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    assert_non_null(text);
    unsigned status = keyserver_bench_post(&b, path, "application/json", slice_str(text));
    free(text);
    return status;
}

static json_t *answered(void)
{
    json_t *root = json_loadb((const char *)b.a.body, b.a.len, 0, NULL);
    assert_int_equal(b.a.times, 1);
    assert_string_equal(b.a.type, "application/json");
    assert_non_null(root);
    return root;
}

static const char *status_of(json_t *root, const char *address)
{
    return json_string_value(json_object_get(json_object_get(root, "status"), address));
}

/* Sends what is in armour. The answer; the caller's. */
static json_t *upload(void)
{
    b.handed.n = 0;
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#}", "keytext", armour, armour_len)), 200);
    assert_int_equal(b.handed.n, 0); /* nobody is asked yet */
    return answered();
}

static json_t *verify(json_t *uploaded, const char *const *addresses)
{
    json_t *list = json_array();
    for (; *addresses; addresses++)
        json_array_append_new(list, json_string(*addresses));
    assert_int_equal(post_json("/vks/v1/request-verify",
                               json_pack("{s:O,s:o}", "token", json_object_get(uploaded, "token"), "addresses", list)),
                     200);
    return answered();
}

static unsigned post_form(void)
{
    static char form[3 * TEXT_MAX];
    size_t n = (size_t)sprintf(form, "options=mr&keytext=");
    for (size_t i = 0; i < armour_len; i++)
        n += (size_t)sprintf(form + n, "%%%02X", (uint8_t)armour[i]);
    b.handed.n = 0;
    return keyserver_bench_post(&b, "/pks/add", "application/x-www-form-urlencoded", slice_of(form, n));
}

/* ---- tests ---- */

static void each_address_is_handed_on_alone(void **state)
{
    (void)state;
    use_cert(100, (const char *const[]){"Ann <ann@example.org>", "<new@example.org>", "New <NEW@Example.org>",
                                        "No address", "<x@elsewhere.example>", NULL});
    json_t *said = upload();
    assert_int_equal(json_object_size(json_object_get(said, "status")), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(status_of(said, (const char *const[]){"ann@example.org", "new@example.org",
                                                                  "x@elsewhere.example"}[i]),
                            "unpublished"); /* Ann is found by another key */
    assert_int_equal(strlen(json_string_value(json_object_get(said, "key_fpr"))), 40);
    json_t *asked = verify(said, (const char *const[]){"New@example.ORG", "new@example.org", "nobody@example.org", "",
                                                       "x@elsewhere.example", NULL});
    assert_string_equal(status_of(asked, "new@example.org"), "pending");
    assert_string_equal(status_of(asked, "x@elsewhere.example"), "pending");
    assert_string_equal(status_of(asked, "ann@example.org"), "unpublished");
    assert_string_equal(json_string_value(json_object_get(asked, "token")),
                        json_string_value(json_object_get(said, "token")));
    assert_int_equal(b.handed.n, 2);
    assert_string_equal(b.handed.address[0], "new@example.org");
    assert_string_equal(b.handed.address[1], "x@elsewhere.example");
    assert_int_equal(b.handed.last.nuser_ids, 1);
    json_decref(said), json_decref(asked);
}

static void what_is_published_so_is_said(void **state)
{
    (void)state;
    const size_t len = published_cert_of(&b.ann, &b.ann_enc, (const char *const[]){"<" POST ">", NULL}, cert, TEXT_MAX);
    use(cert, len);
    json_t *said = upload();
    assert_string_equal(status_of(said, POST), "published");
    json_decref(said);
    /* Another copy of it is another thing. */
    struct forge_key enc;
    forge_key_make(&enc, 4, PGP_X25519, MADE, 99);
    use(cert, published_cert_of(&b.ann, &enc, (const char *const[]){"<" POST ">", NULL}, cert, TEXT_MAX));
    said = upload();
    assert_string_equal(status_of(said, POST), "unpublished");
    json_decref(said);
}

/* As many looks into the store, the same words: for an address that is found, was once, is nobody's, is elsewhere. */
static void answers_are_alike(void **state)
{
    static const char *const whose[] = {GONE, "nobody@example.org", "ann@elsewhere.example", "none@example.org"};
    uint64_t gets[2][4];
    char first[200] = "";
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char text[200];
        use_cert(110, (const char *const[]){whose[i], NULL});
        b.gets = 0;
        json_t *said = upload();
        gets[0][i] = b.gets;
        b.gets = 0;
        json_t *asked = verify(said, (const char *const[]){whose[i], NULL});
        gets[1][i] = b.gets;
        assert_int_equal(b.handed.n, 1);
        assert_string_equal(status_of(asked, whose[i]), "pending");
        snprintf(text, sizeof(text), "%s %s %zu", status_of(said, whose[i]),
                 json_string_value(json_object_get(asked, "key_fpr")), json_object_size(asked));
        if (i)
            assert_string_equal(first, text);
        memcpy(first, text, sizeof(first));
        json_decref(said), json_decref(asked);
        assert_true(gets[0][i] == gets[0][0] && gets[1][i] == gets[1][0]);
    }
}

static void few_addresses_a_request(void **state)
{
    static char ids[100][40];
    static const char *list[101];
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        snprintf(ids[i], sizeof(ids[i]), "a%zu@example.org", i);
        list[i] = ids[i];
    }
    use_cert(120, list);
    json_t *said = upload();
    assert_int_equal(json_object_size(json_object_get(said, "status")), COMING_ADDRESSES_MAX);
    json_decref(verify(said, list));
    assert_int_equal(b.handed.n, UPLOAD_VERIFY_MAX);
    json_decref(said);
    assert_int_equal(post_form(), 200);
    assert_int_equal(b.handed.n, 0); /* no domain is hosted in this store */
}

static void what_is_refused(void **state)
{
    static const char *const bodies[] = {"",
                                         "x",
                                         "[]",
                                         "null",
                                         "{\"keytext\":[]}",
                                         "{\"keytext\":\"\"}",
                                         "{\"keytext\":\"x\"} x",
                                         "{\"a\":[[[[]]]],\"keytext\":\"x\"}",
                                         "{\"a\":\"\\\"[[[[[\"}",
                                         "\"",
                                         "{\"token\":\"AAAA\",\"addresses\":[]}",
                                         "{\"token\":\"\",\"addresses\":[\"a@b\"]}",
                                         "{\"token\":\"****\",\"addresses\":[\"a@b\"]}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        for (size_t k = 0; k < 2; k++) {
            const char *path = k ? "/vks/v1/request-verify" : "/vks/v1/upload";
            assert_int_equal(keyserver_bench_post(&b, path, "application/json", slice_str(bodies[i])), 400);
            json_t *said = answered();
            assert_true(json_is_string(json_object_get(said, "error")));
            json_decref(said);
        }
    b.too_many = true;
    assert_int_equal(post_json("/vks/v1/upload", json_object()), 429);
    assert_int_equal(post_json("/vks/v1/request-verify", json_object()), 429);
    assert_int_equal(keyserver_bench_post(&b, "/pks/add", NULL, slice_str("")), 429);
    b.too_many = false;
}

/* A good certificate, beside more than anybody means: it is not even parsed. */
static void json_is_small(void **state)
{
    json_t *deep = json_pack("[[[]]]"), *wide = json_array();
    (void)state;
    use_cert(125, (const char *const[]){"x@example.org <x@example.org>", NULL});
    for (int i = 0; i < 200; i++)
        json_array_append_new(wide, json_integer(i));
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#,s:[]}", "keytext", armour, armour_len, "a")), 200);
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#,s:o}", "keytext", armour, armour_len, "a", deep)),
                     400);
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#,s:o}", "keytext", armour, armour_len, "a", wide)),
                     400);
}

/* As SKS gave certificates out, and behind an editor's or a mail program's words. */
static void armour_as_it_comes(void **state)
{
    static char text[8192];
    static const char begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    (void)state;
    use_cert(126, (const char *const[]){"<x@example.org>", NULL});
    int n = snprintf(text, sizeof(text),
                     "Here it is:\n\n%sVersion: SKS 1.1.5\nComment: Hostname: pgp.mit.edu\n%.*s\n-- \nX", begin,
                     (int)(armour_len - strlen(begin)), armour + strlen(begin));
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#}", "keytext", text, (size_t)n)), 200);
}

/* ---- poison ---- */

static clock_t began;

static void check_time(const char *what)
{
    const double ms = (double)(clock() - began) * 1000 / CLOCKS_PER_SEC;
    print_message("%s: %.0f ms, %zu octets\n", what, ms, armour_len);
}

static void start_clock(void)
{
    began = clock();
}

/* Signatures that strangers made, thousands of them: none is verified, and none is handed on. */
static void foreign_signatures(void **state)
{
    static struct forge f;
    struct forge_key primary, enc, other;
    (void)state;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, 130);
    forge_key_make(&enc, 4, PGP_X25519, MADE, 131);
    forge_key_make(&other, 4, PGP_ED25519, MADE, 132);
    const size_t clean =
        published_cert_of(&primary, &enc, (const char *const[]){"<p@example.org>", NULL}, cert, TEXT_MAX);
    f.len = 0;
    forge_put_sig(&f, (struct forge_sig){.type = 0x10, .created = MADE}, &other, &primary, NULL, "<p@example.org>");
    struct pgp_packet p;
    size_t pos = 0, at = 0;
    while (pgp_packet_next(cert, clean, &pos, &p) == OK && p.tag != PGP_TAG_PUBLIC_SUBKEY)
        at = pos;
    const size_t n = (POISON_MAX - clean) / f.len;
    memmove(cert + at + n * f.len, cert + at, clean - at);
    for (size_t i = 0; i < n; i++)
        memcpy(cert + at + i * f.len, f.data, f.len);
    use(cert, clean + n * f.len);
    assert_true(n > 4000);
    start_clock();
    json_t *said = upload();
    check_time("foreign signatures");
    assert_true(json_string_length(json_object_get(said, "token")) < 3 * clean);
    json_decref(said);
}

/* Of its own, which are verified: so many and no more. */
static void too_many_own_signatures(void **state)
{
    static struct forge f;
    struct forge_key primary;
    (void)state;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, 140);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    forge_put_uid(&f, "<q@example.org>");
    for (unsigned i = 0; i < 2000; i++)
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE + i, .flags = CERTIFIES, .bad = true},
                      &primary, &primary, NULL, "<q@example.org>");
    use(f.data, f.len);
    start_clock();
    assert_int_equal(post_json("/vks/v1/upload", json_pack("{s:s#}", "keytext", armour, armour_len)), 400);
    check_time("own signatures");
}

static void thousands_of_user_ids(void **state)
{
    static struct forge f;
    struct forge_key primary;
    char id[40];
    (void)state;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, 150);
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(id, sizeof(id), "<u%u@example.org>", i);
        forge_put_uid(&f, id);
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE, .flags = CERTIFIES}, &primary, &primary,
                      NULL, id);
    }
    use(f.data, f.len);
    start_clock();
    json_t *said = upload();
    check_time("user ids");
    assert_int_equal(json_object_size(json_object_get(said, "status")), COMING_ADDRESSES_MAX);
    json_decref(said);
}

/* ---- the link ---- */

static unsigned press(const char *token)
{
    char path[200];
    snprintf(path, sizeof(path), "/verify/%s", token);
    return keyserver_bench_post(&b, path, "application/x-www-form-urlencoded", slice_str("publish=yes"));
}

static void the_button(void **state)
{
    static const struct {
        int status;
        unsigned code;
    } rows[] = {{OK, 200},          {ERR_NOT_FOUND, 404}, {ERR_DENIED, 409}, {ERR_CONFLICT, 409},
                {ERR_REFUSED, 409}, {ERR_GONE, 503},      {ERR_FULL, 503}};
    uint8_t token[UPLOAD_TOKEN_SIZE];
    char text[UPLOAD_TOKEN_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof(token); i++)
        token[i] = (uint8_t)(i * 7);
    keys_token_write(token, text);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        press(text);
        assert_int_equal(b.a.times, 0);
        assert_memory_equal(b.handed.token, token, sizeof(token));
        b.handed.done(b.handed.asker, rows[i].status);
        assert_int_equal(b.a.times, 1);
        assert_int_equal(b.a.status, rows[i].code);
        assert_string_equal(b.a.type, "text/html; charset=utf-8");
    }
    /* Whoever leaves is not answered, and nothing is kept of it. */
    press(text);
    b.waits->gone(b.waits->gone_arg);
    assert_null(b.handed.done);
    b.fail_confirm = ERR_GONE;
    assert_int_equal(press(text), 503);
    b.fail_confirm = OK;
    const size_t before = b.handed.confirmed;
    assert_int_equal(press("x"), 404);
    text[5] = '!';
    assert_int_equal(press(text), 404);
    text[5] = 'A';
    assert_int_equal(press(text), 404);
    b.too_many = true;
    assert_int_equal(press(text), 429);
    b.too_many = false;
    assert_int_equal(b.handed.confirmed, before);
    assert_int_equal(keyserver_bench_ask(&b, HTTP_GET, "example.org", slice_str("/verify/x")), 200);
    assert_non_null(memmem(b.a.body, b.a.len, "<form method=\"post\">", 20));
}

static int open_bench(void **state)
{
    (void)state;
    keyserver_bench_open(&b);
    return 0;
}

static int close_bench(void **state)
{
    (void)state;
    keyserver_bench_close(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_is_handed_on_alone),
        cmocka_unit_test(what_is_published_so_is_said),
        cmocka_unit_test(answers_are_alike),
        cmocka_unit_test(few_addresses_a_request),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(json_is_small),
        cmocka_unit_test(armour_as_it_comes),
        cmocka_unit_test(foreign_signatures),
        cmocka_unit_test(too_many_own_signatures),
        cmocka_unit_test(thousands_of_user_ids),
        cmocka_unit_test(the_button),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
