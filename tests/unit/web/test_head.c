/* Heads as libmicrohttpd leaves them. Each case is written as it would come; what the library does to it is done here
 * once more: NULs for line ends, for the first colon of each line, and behind method and target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server/web/head.h"

static char block[8192];
static struct http_field fields[HTTP_FIELDS_MAX];

/* Its parse_initial_message_line: target behind all blanks, version behind the last one. */
static void take_request_line(char *line, size_t len, struct head_block *b)
{
    char *blank = memchr(line, ' ', len), *target, *version;

    assert_non_null(blank);
    target = blank;
    *blank = '\0';
    while (*++target == ' ')
        ;
    version = memrchr(target, ' ', len - (size_t)(target - line));
    assert_non_null(version);
    *version = '\0';
    b->target_at = (size_t)(target - block);
    b->target_len = (size_t)(version - target);
}

static unsigned read_octets(const char *came, size_t len, struct http_head *ret)
{
    struct head_block b = {.data = block, .len = len};
    char *p = block;
    bool first = true;

    assert_true(len < sizeof(block));
    memset(block, 'X', sizeof(block));
    memcpy(block, came, len);
    while (p < block + len) {
        char *lf = memchr(p, '\n', (size_t)(block + len - p)), *end = lf;

        assert_non_null(lf);
        *lf = '\0';
        if (end > p && end[-1] == '\r')
            *--end = '\0';
        if (first)
            take_request_line(p, (size_t)(end - p), &b);
        else if (memchr(p, ':', (size_t)(end - p)) && *p != ' ' && *p != '\t')
            *(char *)memchr(p, ':', (size_t)(end - p)) = '\0';
        first = false;
        p = lf + 1;
    }
    return head_read(&b, fields, ret);
}

static unsigned read_text(const char *came, struct http_head *ret)
{
    return read_octets(came, strlen(came), ret);
}

static void a_head_is_read(void **state)
{
    struct http_head h;

    assert_int_equal(read_text("GET /x?y HTTP/1.1\r\nHost: a.example\r\nX:\r\nY: \t b c \t \r\nZ:d:e\r\n\r\n", &h), 0);
    assert_string_equal(h.method, "GET");
    assert_false(h.http_1_0);
    assert_int_equal(h.nfields, 4);
    assert_string_equal(h.fields[0].name, "Host");
    assert_string_equal(h.fields[0].value, "a.example");
    assert_string_equal(h.fields[1].value, "");
    assert_string_equal(h.fields[2].value, "b c");
    assert_string_equal(h.fields[3].value, "d:e");
    assert_int_equal(read_text("GET / HTTP/1.0\r\n\r\n", &h), 0);
    assert_true(h.http_1_0);
    assert_int_equal(h.nfields, 0);
}

static void what_the_library_lets_pass_is_refused(void **state)
{
    static const struct {
        const char *came;
        unsigned status;
    } bad[] = {
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},         {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},         {"GET / HTTP/1.1\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400}, {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},      {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400},       {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400}, {"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400},     {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nH(st: a\r\n\r\n", 400},       {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},     {"GET / HTTP/1.1\r\nHost: a\x0b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", 400},   {"GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
    };
    struct http_head h;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (read_text(bad[i].came, &h) != bad[i].status)
            fail_msg("%zu: %s", i, bad[i].came);
}

static void nuls_that_came_are_refused(void **state)
{
    static const char value[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", name[] = "GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n",
                      end[] = "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
                      two[] = "GET / HTTP/1.1\r\nHost: a\0\0X: y\r\n\r\n",
                      line[] = "GET / HTTP/1.1\r\nHost: a\r\n\0\0\r\n";
    struct http_head h;

    assert_int_equal(read_octets(value, sizeof(value) - 1, &h), 400);
    assert_int_equal(read_octets(name, sizeof(name) - 1, &h), 400);
    assert_int_equal(read_octets(end, sizeof(end) - 1, &h), 400);
    assert_int_equal(read_octets(line, sizeof(line) - 1, &h), 400);
    /* "\0\0X: y" has the colon of its line in Host's, so what stands behind it is a name */
    assert_int_equal(read_octets(two, sizeof(two) - 1, &h), 400);
}

static void fields_are_counted(void **state)
{
    char text[4096] = "GET / HTTP/1.1\r\n";
    struct http_head h;

    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        strcat(text, "a: b\r\n");
    strcat(text, "\r\n");
    assert_int_equal(read_text(text, &h), 0);
    assert_int_equal(h.nfields, HTTP_FIELDS_MAX);
    strcpy(text + strlen(text) - 2, "a: b\r\n\r\n");
    assert_int_equal(read_text(text, &h), 431);
}

/* Every cut, and every octet that is changed to NUL, CR, LF or a blank: no octet is read beyond the block, and what is
 * taken has only what a head may have. */
static void damaged_ones_stay_within(void **state)
{
    static const char good[] = "POST /a/b?c=d HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
    struct http_head h;

    for (size_t at = 0; at < sizeof(good) - 1; at++)
        for (size_t k = 0; k < 5; k++) {
            struct head_block b = {.target_at = 5, .target_len = 8, .len = k == 4 ? at : sizeof(good) - 1};

            b.data = malloc(b.len + 1);
            memcpy(b.data, good, b.len);
            for (size_t i = 0; i < b.len; i++)
                if (strchr("\r\n", b.data[i]) || i == 4 || i == 13 || i == 28 || i == 54)
                    b.data[i] = '\0';
            if (k < 4)
                b.data[at] = "\0\r\n "[k];
            if (head_read(&b, fields, &h) == 0)
                for (size_t i = 0; i < h.nfields; i++)
                    assert_true(http_name_valid(slice_str(h.fields[i].name)) &&
                                http_value_valid(slice_str(h.fields[i].value)));
            free(b.data);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read),
        cmocka_unit_test(what_the_library_lets_pass_is_refused),
        cmocka_unit_test(nuls_that_came_are_refused),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(damaged_ones_stay_within),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
