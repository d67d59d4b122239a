/* Who a request says it comes from, and pages of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "webmail-api/session/cookie.h"

#define TOKEN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define OTHER "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define OURS COOKIE_NAME "=" TOKEN

static int read_fields(const struct http_field *fields, size_t n, struct credentials *ret)
{
    const struct http_request r = {.method = HTTP_GET, .tls = true, .fields = fields, .nfields = n};

    return credentials_read(&r, ret);
}

static int read_one(const char *name, const char *value, struct credentials *ret)
{
    return read_fields((const struct http_field[]){{"Host", "mail.example.org"}, {name, value}}, 2, ret);
}

static void cookies(void **state)
{
    static const char *const good[] = {
        OURS,
        "a=b; " OURS,
        OURS "; a=b",
        "a=b;" OURS,
        "a=\"x; " OURS,
        OURS ";",
        "; " OURS,
        COOKIE_NAME "x=1; " OURS,
        "__host-letterlock=1; " OURS,
        " " COOKIE_NAME "=1; " OURS,
        "=" COOKIE_NAME "=1; " OURS,
        "$Version=1; " OURS,
    };
    static const char *const none[] = {
        "",
        ";",
        "=",
        "a=b",
        "__host-letterlock=" TOKEN,
        "__Host-letterlockx=" TOKEN,
        "a=" OURS,
        "a=b;  " OURS,
        "\t" OURS,
        "a=b, " OURS,
        "$Version=1,  " OURS,
        "\xe2\x80\x80" OURS,
        "\xc2\xa0" OURS,
        "__Host-letterlock\t=" TOKEN,
        "__Host-letterlock =" TOKEN,
        "%5F_Host-letterlock=" TOKEN,
    };
    static const char *const odd[] = {
        COOKIE_NAME "=",
        COOKIE_NAME,
        COOKIE_NAME "=\"" TOKEN "\"",
        COOKIE_NAME "= " TOKEN,
        OURS " ",
        OURS "=",
        OURS "A",
        COOKIE_NAME "=AAEC",
        OURS "; " OURS,
        OURS "; " COOKIE_NAME "=" OTHER,
        OURS "; " COOKIE_NAME,
        OURS "; a=b; " COOKIE_NAME "=",
        OURS ", a=b",
        COOKIE_NAME "="
                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
    };
    struct credentials c;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        memset(&c, 0x5a, sizeof(c));
        assert_int_equal(read_one("cookie", good[i], &c), OK);
        assert_int_equal(c.kind, CREDENTIALS_COOKIE);
        for (unsigned k = 0; k < sizeof(c.token); k++)
            assert_int_equal(c.token[k], k);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        assert_int_equal(read_one("Cookie", none[i], &c), OK);
        if (c.kind != CREDENTIALS_NONE)
            fail_msg("%s", none[i]);
    }
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        struct credentials before = c;
        if (read_one("Cookie", odd[i], &c) != ERR_FORMAT)
            fail_msg("%s", odd[i]);
        assert_memory_equal(&c, &before, sizeof(c));
    }
    /* in two fields */
    assert_int_equal(read_fields((const struct http_field[]){{"Cookie", "a=b"}, {"Cookie", OURS}}, 2, &c), OK);
    assert_int_equal(c.kind, CREDENTIALS_COOKIE);
    assert_int_equal(read_fields((const struct http_field[]){{"Cookie", OURS}, {"COOKIE", OURS}}, 2, &c), ERR_FORMAT);
}

static void set_and_read_again(void **state)
{
    char text[COOKIE_SET_MAX];
    uint8_t token[COOKIE_TOKEN_SIZE];
    struct credentials c;

    for (unsigned k = 0; k < sizeof(token); k++)
        token[k] = (uint8_t)k;
    cookie_set(token, 4294967295u, text);
    assert_string_equal(text, OURS "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=4294967295");
    *strchr(text, ';') = '\0';
    assert_int_equal(read_one("Cookie", text, &c), OK);
    assert_memory_equal(c.token, token, sizeof(token));
    assert_string_equal(cookie_clear, COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
}

static void authorization(void **state)
{
    static const struct {
        const char *value;
        enum credentials_kind kind;
        const char *first, *second;
    } good[] = {
        {"Bearer mF_9.B5f-4.1JqM", CREDENTIALS_BEARER, "mF_9.B5f-4.1JqM", ""}, /* RFC 6750 section 2.1 */
        {"bEARER   ab+/~==", CREDENTIALS_BEARER, "ab+/~==", ""},
        {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", CREDENTIALS_BASIC, "Aladdin", "open sesame"}, /* RFC 7617 section 2 */
        {"basic dGVzdDoxMjPCow==", CREDENTIALS_BASIC, "test", "123\xc2\xa3"},                /* its section 2.1 */
        {"Basic YTpiOmM6", CREDENTIALS_BASIC, "a", "b:c:"},
    };
    static const char *const odd[] = {
        "",
        "Bearer",
        "Bearer ",
        "Bearer =",
        "Bearer a b",
        "Bearer a,b",
        "Bearer \"a\"",
        "Bearer a=b",
        "Bearer\ta",
        "Bearer a ",
        "Bearer: a",
        "Bearer a\xc3\xbc",
        "Basic",
        "Basic YQ==",
        "Basic YTpi=",
        "Basic YTpi====",
        "Basic YTpiOg",
        "Basic OmE=",
        "Basic YTo=",
        "Basic Og==",
        "Basic YQA6Yg==",
        "Basic YTpiAA==",
        "Basic YTpiCg==",
        "Basic YTqA",
        "Basic YTpi, Bearer x",
        "Digest username=\"a\"",
        "Token abc",
        "BearerX a",
        " Bearer a",
    };
    struct credentials c;
    char big[2000];

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(read_one("authorization", good[i].value, &c), OK);
        assert_int_equal(c.kind, good[i].kind);
        assert_string_equal(c.kind == CREDENTIALS_BASIC ? c.user : c.bearer, good[i].first);
        assert_string_equal(c.password, good[i].second);
    }
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        if (read_one("Authorization", odd[i], &c) != ERR_FORMAT)
            fail_msg("%s", odd[i]);
    for (size_t n = CREDENTIALS_BEARER_MAX; n <= CREDENTIALS_BEARER_MAX + 1; n++) {
        memset(big, 'a', sizeof(big));
        memcpy(big, "Bearer ", 7);
        big[7 + n] = '\0';
        assert_int_equal(read_one("Authorization", big, &c), n == CREDENTIALS_BEARER_MAX ? OK : ERR_FORMAT);
    }
    memset(big, 'a', sizeof(big));
    memcpy(big, "Basic ", 6);
    big[6 + 1600] = '\0';
    assert_int_equal(read_one("Authorization", big, &c), ERR_FORMAT);
    /* the cookie is for who has nothing to say by itself; what is broken is not made up for by it */
    assert_int_equal(read_fields((const struct http_field[]){{"Cookie", OURS}, {"Authorization", "Bearer a"}}, 2, &c),
                     OK);
    assert_int_equal(c.kind, CREDENTIALS_BEARER);
    assert_int_equal(read_fields((const struct http_field[]){{"Cookie", OURS}, {"Authorization", "Bearer"}}, 2, &c),
                     ERR_FORMAT);
    assert_int_equal(
        read_fields((const struct http_field[]){{"Authorization", "Bearer a"}, {"Authorization", "Bearer a"}}, 2, &c),
        ERR_FORMAT);
}

/* ---- pages of others ---- */

static bool fits(enum http_method m, enum credentials_kind by, const char *host, const char *site, const char *origin,
                 const char *field)
{
    struct http_field f[4] = {{"Host", host}};
    struct http_request r = {.method = m, .tls = true, .fields = f, .nfields = 1};

    if (site)
        f[r.nfields++] = (struct http_field){"sec-fetch-site", site};
    if (origin)
        f[r.nfields++] = (struct http_field){"origin", origin};
    if (field)
        f[r.nfields++] = (struct http_field){"letterlock-csrf", field};
    return csrf_fits(&r, by);
}

static bool posts(const char *site, const char *origin, const char *field)
{
    return fits(HTTP_POST, CREDENTIALS_COOKIE, "mail.example.org", site, origin, field);
}

static void pages_of_others(void **state)
{
    static const char *const ours[] = {"https://mail.example.org", "https://MAIL.example.org",
                                       "https://mail.example.org:443"};
    static const char *const others[] = {
        "",
        "null",
        "https://",
        "http://mail.example.org",
        "https://mail.example.org:8443",
        "https://example.org",
        "https://evil.mail.example.org",
        "https://mail.example.org.evil",
        "https://mail.example.org/",
        "mail.example.org",
        "https://mail.example.orG.",
        "https://mail.example.org https://evil",
        "HTTPS://mail.example.org",
        "https://mail.example.org@evil",
        "https://mail.example.org:443:443",
        "https://mail.example.org:80",
    };

    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        assert_true(posts("same-origin", ours[i], "1"));
        assert_true(posts(NULL, ours[i], "1"));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (posts("same-origin", others[i], "1") || posts(NULL, others[i], "1"))
            fail_msg("%s", others[i]);
        assert_false(fits(HTTP_GET, CREDENTIALS_COOKIE, "mail.example.org", NULL, others[i], NULL));
        assert_false(fits(HTTP_POST, CREDENTIALS_BASIC, "mail.example.org", NULL, others[i], NULL));
    }
    assert_true(fits(HTTP_PUT, CREDENTIALS_COOKIE, "localhost:8443", "same-origin", "https://localhost:8443", "1"));
    assert_false(fits(HTTP_PUT, CREDENTIALS_COOKIE, "localhost:8443", "same-origin", "https://localhost", "1"));
    assert_true(fits(HTTP_PUT, CREDENTIALS_COOKIE, "[::1]:443", NULL, "https://[::1]", "1"));
    assert_false(fits(HTTP_PUT, CREDENTIALS_COOKIE, "[::1]", NULL, "https://[::1]:444", "1"));
}

static void fetch_metadata(void **state)
{
    static const char *const sites[] = {"cross-site", "same-site", "", "Same-Origin", "same-origin, cross-site", "x"};
    static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE};

    for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
        for (size_t m = 0; m < sizeof(methods) / sizeof(*methods); m++) {
            assert_false(fits(methods[m], CREDENTIALS_COOKIE, "h", sites[i], NULL, "1"));
            assert_false(fits(methods[m], CREDENTIALS_BASIC, "h", sites[i], NULL, "1"));
            assert_false(fits(methods[m], CREDENTIALS_NONE, "h", sites[i], NULL, "1"));
            assert_true(fits(methods[m], CREDENTIALS_BEARER, "h", sites[i], "https://evil", NULL));
        }
    }
    assert_true(fits(HTTP_GET, CREDENTIALS_COOKIE, "h", "none", NULL, NULL));
    assert_true(fits(HTTP_GET, CREDENTIALS_COOKIE, "h", "same-origin", NULL, NULL));
    assert_true(fits(HTTP_GET, CREDENTIALS_COOKIE, "h", NULL, NULL, NULL));
}

static void the_field(void **state)
{
    static const char *const values[] = {NULL, "", "0", "true", "1 ", "11"};

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        assert_false(posts("same-origin", "https://mail.example.org", values[i]));
        assert_false(posts(NULL, NULL, values[i]));
        assert_true(fits(HTTP_POST, CREDENTIALS_BASIC, "h", NULL, NULL, values[i]));
        assert_true(fits(HTTP_DELETE, CREDENTIALS_BEARER, "h", NULL, NULL, values[i]));
    }
    assert_true(posts(NULL, NULL, "1")); /* a program, or a browser from before 2020 */
    assert_true(fits(HTTP_DELETE, CREDENTIALS_COOKIE, "h", NULL, NULL, "1"));
    assert_false(fits(HTTP_DELETE, CREDENTIALS_COOKIE, "h", NULL, NULL, NULL));
}

static void said_twice(void **state)
{
    static const struct http_field twice[] = {
        {"Host", "h"},
        {"Letterlock-CSRF", "1"},
        {"Letterlock-CSRF", "1"},
        {"Host", "h"},
        {"Sec-Fetch-Site", "same-origin"},
        {"Sec-Fetch-Site", "same-origin"},
        {"Host", "h"},
        {"Origin", "https://h"},
        {"Origin", "https://h"},
        {"Host", "h"},
        {"Host", "h"},
        {"Origin", "https://h"},
    };

    for (size_t i = 0; i < sizeof(twice) / sizeof(*twice); i += 3) {
        struct http_field f[4] = {twice[i], twice[i + 1], twice[i + 2], {"Letterlock-CSRF", "1"}};
        const struct http_request r = {.method = HTTP_POST, .tls = true, .fields = f, .nfields = i ? 4 : 3};
        assert_false(csrf_fits(&r, CREDENTIALS_COOKIE));
    }
    const struct http_request clear = {.method = HTTP_POST,
                                       .fields = (const struct http_field[]){{"Host", "localhost:80"},
                                                                             {"Origin", "http://localhost"},
                                                                             {"Letterlock-CSRF", "1"}},
                                       .nfields = 3};
    assert_true(csrf_fits(&clear, CREDENTIALS_COOKIE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies),         cmocka_unit_test(set_and_read_again), cmocka_unit_test(authorization),
        cmocka_unit_test(pages_of_others), cmocka_unit_test(fetch_metadata),     cmocka_unit_test(the_field),
        cmocka_unit_test(said_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
