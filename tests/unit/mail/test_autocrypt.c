/* Autocrypt's field as clients write it, as its specification forbids it, and as strangers might; and ours, read
 * again. The shapes of clients are made here from their public descriptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/autocrypt.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

/* Level 1, "Header Format". */
static void values(void **state)
{
    static const struct {
        const char *text;
        int err;
        const char *address;
        bool mutual;
        const char *key; /* NULL: the keydata is no base64 */
    } rows[] = {
        /* Delta Chat: all on one line, folded by the mail's writer */
        {" addr=alice@example.org; prefer-encrypt=mutual; keydata=YWJj\r\n ZGVm", OK, "alice@example.org", true,
         "abcdef"},
        /* Thunderbird, Enigmail: keydata on lines of its own */
        {" addr=alice@example.org; keydata=\r\n YWJj\r\n ZGVm\r\n", OK, "alice@example.org", false, "abcdef"},
        /* K-9: lines of 76 characters, cut anywhere */
        {" addr=alice@example.org;prefer-encrypt=mutual;keydata=Y\r\n WJjZGV\r\n m", OK, "alice@example.org", true,
         "abcdef"},
        /* Mailvelope: a fold before each attribute */
        {"\r\n addr=alice@example.org;\r\n prefer-encrypt=mutual;\r\n keydata=YWJjZGU=", OK, "alice@example.org", true,
         "abcde"},
        /* names and words in any case, as fields have them; blanks and tabs around each */
        {"ADDR=alice@example.org; Prefer-Encrypt=MUTUAL; KeyData=YWJj", OK, "alice@example.org", true, "abc"},
        {"\taddr =\talice@example.org ;\r\n\tkeydata\t= Y W\tJ\r\n\tj ", OK, "alice@example.org", false, "abc"},
        /* K-9 once cut the whole field into lines of 76, an address too: unfolded, that has a blank in it */
        {"addr=alice@exam\r\n ple.org; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=ALICE@Example.ORG; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        {"addr=alice@b\xc3\xbc"
         "cher.example; keydata=YWJj",
         OK, "alice@xn--bcher-kva.example", false, "abc"},
        {"keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; keydata=", ERR_FORMAT, NULL, false, NULL},
        {"addr=; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=Alice <alice@example.org>; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=a@example.org,b@example.org; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; addr=bob@example.org; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; keydata=YWJj; keydata=ZGVm", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; keydata=YWJj; prefer-encrypt=mutual", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; keydata=YWJj;", OK, "alice@example.org", false, "abc"},
        /* "prefer-encrypt": only mutual is known; another word is none */
        {"addr=alice@example.org; prefer-encrypt=nopreference; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        {"addr=alice@example.org; prefer-encrypt=always; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        {"addr=alice@example.org; prefer-encrypt=mutual-not; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        /* attributes that are not known: "_" says that they do not matter */
        {"addr=alice@example.org; _monkey=ignore; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        {"addr=alice@example.org; monkey=critical; keydata=YWJj", ERR_UNSUPPORTED, NULL, false, NULL},
        {"to=alice@example.org; key=YWJj", ERR_UNSUPPORTED, NULL, false, NULL}, /* an early draft's */
        {"addr=alice@example.org; type=1; keydata=YWJj", ERR_UNSUPPORTED, NULL, false, NULL},
        {"addr=alice@example.org; keydata*0=\"YW\"; keydata*1=\"Jj\"", ERR_UNSUPPORTED, NULL, false,
         NULL},                                                                             /* RFC 2231 */
        {"addr=alice@example.org; keydata=\"YWJj\"", OK, "alice@example.org", false, NULL}, /* no value is quoted */
        {"prefer-encrypt=mutual", ERR_FORMAT, NULL, false, NULL},                           /* of a Setup Message */
        {"addr=alice@example.org; _=; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; _a=1; _a=2; _keydata=ZGVm; keydata=YWJj", OK, "alice@example.org", false, "abc"},
        {"addr=alice@example.org; ; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; novalue; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"addr=alice@example.org; =x; keydata=YWJj", ERR_FORMAT, NULL, false, NULL},
        {"", ERR_FORMAT, NULL, false, NULL},
        {";", ERR_FORMAT, NULL, false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct autocrypt a;
        uint8_t key[64];
        size_t len;
        int err = autocrypt_read(slice_str(rows[i].text), &a);
        if (err != rows[i].err)
            fail_msg("%s: %d", rows[i].text, err);
        if (err)
            continue;
        assert_string_equal(a.address, rows[i].address);
        assert_int_equal(a.mutual, rows[i].mutual);
        err = autocrypt_decode(&a, key, &len);
        assert_int_equal(err, rows[i].key ? OK : ERR_FORMAT);
        if (err)
            continue;
        assert_int_equal(len, strlen(rows[i].key));
        assert_memory_equal(key, rows[i].key, len);
    }
}

static void keydata_that_is_none(void **state)
{
    static const char *const texts[] = {"YW*j", "YWJ", "YWJj=", "====", "YWJjYQ==YWJj", "-_-_"};
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        char text[128];
        struct autocrypt a;
        uint8_t key[64];
        size_t len;
        snprintf(text, sizeof(text), "addr=alice@example.org; keydata=%s", texts[i]);
        assert_int_equal(autocrypt_read(slice_str(text), &a), OK);
        assert_int_equal(autocrypt_decode(&a, key, &len), ERR_FORMAT);
    }
}

static void too_much(void **state)
{
    const size_t most = AUTOCRYPT_KEY_MAX * 3 / 2;
    char *text = malloc(most + 128);
    struct autocrypt a;
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t n = (size_t)sprintf(text, "addr=alice@example.org; keydata=");
        memset(text + n, 'A', most + more);
        assert_int_equal(autocrypt_read(slice_of(text, n + most + more), &a), more ? ERR_LIMIT : OK);
    }
    free(text);
}

#define GOOD "Autocrypt: addr=alice@example.org; keydata=YWJj\r\n"
#define OTHER "Autocrypt: addr=mallory@example.org; keydata=ZGVm\r\n"
#define FROM "From: Alice <alice@example.org>\r\n"

/* Level 1, "Updating Autocrypt Peer State". */
static void mails(void **state)
{
    enum { NOW = 1780000000, DAY = 86400 };
    static const struct {
        const char *text;
        int err;
        int64_t date; /* 0: now */
    } rows[] = {
        {FROM GOOD, OK, 0},
        {GOOD FROM "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n", OK, 1767225600},
        {GOOD FROM "Date: Fri, 01 Jan 2027 00:00:00 +0000\r\n", OK, 0}, /* the future is now */
        {GOOD FROM "Date: nonsense\r\n", OK, 0},
        {FROM GOOD OTHER, OK, 0}, /* another's is not valid here */
        {FROM OTHER GOOD, OK, 0},
        {FROM GOOD "Autocrypt: nonsense\r\n", OK, 0},
        {FROM GOOD "Autocrypt: addr=alice@example.org; monkey=1; keydata=ZGVm\r\n", OK, 0},
        {FROM GOOD "Content-Type: multipart/mixed; boundary=report\r\n", OK, 0},
        {"From: ALICE@EXAMPLE.ORG\r\n" GOOD, OK, 0},
        {"from: alice@example.org (Bob)\r\nAUTOCRYPT: addr=alice@example.org; keydata=YWJj\r\n", OK, 0},
        {FROM, ERR_NOT_FOUND, 0},
        {GOOD, ERR_NOT_FOUND, 0},
        {FROM OTHER, ERR_NOT_FOUND, 0},
        {FROM GOOD GOOD, ERR_NOT_FOUND, 0},
        {FROM GOOD "Autocrypt: addr=alice@example.org; keydata=ZGVm\r\n", ERR_NOT_FOUND, 0},
        {FROM GOOD FROM, ERR_NOT_FOUND, 0},
        {"From: alice@example.org, bob@example.org\r\n" GOOD, ERR_NOT_FOUND, 0},
        {"From: People: alice@example.org;\r\n" GOOD, ERR_NOT_FOUND, 0},
        {"From: alice@example.org, \r\n" GOOD, OK, 0}, /* a list of one, in its obsolete form */
        {"From: \"alice@example.org\" <mallory@example.org>\r\n" GOOD, ERR_NOT_FOUND, 0},
        {"From: Alice\r\n" GOOD, ERR_NOT_FOUND, 0},
        {"From:\r\n" GOOD, ERR_NOT_FOUND, 0},
        {"Sender: alice@example.org\r\nFrom: bob@example.org\r\n" GOOD, ERR_NOT_FOUND, 0},
        {FROM GOOD "Content-Type: multipart/report; report-type=delivery-status\r\n", ERR_NOT_FOUND, 0},
        {FROM GOOD "Content-Type: Multipart / Report\r\n", ERR_NOT_FOUND, 0},
        {FROM "Autocrypt-Gossip: addr=alice@example.org; keydata=YWJj\r\n", ERR_NOT_FOUND, 0},
        {FROM "\r\n" GOOD, ERR_NOT_FOUND, 0}, /* in the body */
    };
    static struct header_field fields[HEADER_FIELDS_MAX];
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct header_view v;
        struct autocrypt a;
        char text[1024];
        size_t len = (size_t)snprintf(text, sizeof(text), "%s\r\nbody\r\n", rows[i].text);
        assert_int_equal(header_parse((const uint8_t *)text, len, fields, HEADER_FIELDS_MAX, &v), OK);
        int err = autocrypt_find(&v, NOW, &a);
        if (err != rows[i].err)
            fail_msg("%s: %d", rows[i].text, err);
        if (err)
            continue;
        assert_string_equal(a.address, "alice@example.org");
        assert_int_equal(a.date, rows[i].date ? rows[i].date : NOW);
        assert_memory_equal(a.keydata.data, "YWJj", 4);
    }
}

static void written_and_read(void **state)
{
    static uint8_t key[2000], back[4000];
    static char text[8000];
    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7);
    for (size_t len = 1; len < sizeof(key); len += len < 200 ? 1 : 97) {
        struct autocrypt a;
        size_t got, n = autocrypt_write("j\xc3\xb6rg@example.org", len % 2, key, len, text);
        assert_true(n <= autocrypt_write_max(len));
        text[n] = '\0';
        for (const char *line = text; *line; line = strstr(line, "\r\n") + 2)
            assert_true(strstr(line, "\r\n") - line <= 78);
        assert_int_equal(autocrypt_read(slice_of(text + 10, n - 10), &a), OK);
        assert_string_equal(a.address, "j\xc3\xb6rg@example.org");
        assert_int_equal(a.mutual, len % 2);
        assert_int_equal(autocrypt_decode(&a, back, &got), OK);
        assert_int_equal(got, len);
        assert_memory_equal(back, key, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(keydata_that_is_none), cmocka_unit_test(too_much),
        cmocka_unit_test(mails),  cmocka_unit_test(written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
