/* Lines of the log read back: what was written is read, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/base/event_impl.h"
#include "server/cli/event_read.h"
#include "server/base/event_text.h"
#include "server/core/error.h"

#define STAMP "2026-11-29T03:00:00.123Z "
#define HASH "0123456789abcdef0123456789abcdef"
#define FACTS \
    "at=end reason=accepted reply=250 status=2.0.0 octets=32768 recipients=2 tls=0304/1302 id=8058f0f573eb772e"
#define NAMES "salt=" HASH " from=" HASH " from_base=none from_domain=none to=" HASH " to_base=none to_account=none"
#define MAIL STAMP "info ingest.1 mail " FACTS " " NAMES

static int read_text(const char *text, struct event_line *ret)
{
    const size_t len = strlen(text);
    char *exact = malloc(len ? len : 1); /* so that reading past it is seen */
    memcpy(exact, text, len);
    const int err = event_read(exact, len, ret);
    free(exact);
    return err;
}

static void a_line_about_mail(void **state)
{
    static const uint8_t hash[EVENT_HASH_SIZE] = {1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                                  1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    static const uint8_t zeros[EVENT_HASH_SIZE];
    static const char *const lines[] = {
        MAIL,
        "Nov 29 03:00:01 host letterlock[77]: " MAIL,
        "2026-11-29T03:00:01+0000 host letterlock[77]: " MAIL,
        "2026-11-29T03:00:01.123456+0000 host letterlock[77]: " MAIL,
        "<14>1 2026-11-29T03:00:01.456Z host letterlock 77 - - " MAIL, /* RFC 5424 */
        "2026-11-29T03:00:01.123456789Z stderr F " MAIL,
        "{\"x\":1} 2026-11-29T03:00:01.456Z 2026-99-29T03:00:01.456Z " MAIL,
    };
    struct event_line l;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(read_text(lines[i], &l), OK);
        assert_int_equal(l.at, 1795921200);
        assert_int_equal(l.ms, 123);
        assert_string_equal(l.process, "ingest");
        assert_int_equal(l.instance, 1);
        assert_int_equal(l.r.event, EVENT_mail);
        assert_int_equal(l.r.more, 0);
        const uint64_t want[] = {EVENT_STAGE_END,         EVENT_REASON_ACCEPTED, 250, 20000, 32768, 2,
                                 event_tls(0x304, 0x1302)};
        assert_memory_equal(l.r.numbers, want, sizeof(want));
        assert_int_equal(l.r.raws[0].len, 16);
        assert_memory_equal(l.r.raws[0].data, "8058f0f573eb772e", 16);
        assert_memory_equal(l.r.raws[1].data, hash, sizeof(hash));
        assert_memory_equal(l.r.raws[3].data, zeros, sizeof(zeros));
    }
}

/* Every event of the table: as it was said, or it is said that it cannot be read. */
static void every_event_there_and_back(void **state)
{
    unsigned read = 0;

    for (int e = 0; e < EVENTS; e++) {
        struct event_record r = {.event = (enum event_kind)e};
        char line[64 + EVENT_LINE_MAX], again[EVENT_LINE_MAX];
        struct event_line back;

        for (unsigned i = 0; i < EVENT_FIELDS_MAX; i++)
            r.raws[i] = slice_of("0123456789abcdef", EVENT_HASH_SIZE);
        for (uint64_t n = 0; n < 3; n++) {
            const struct event_row *row = &event_rows[e];
            for (unsigned i = 0; i < row->numbers; i++)
                if (row->fields[i].type == EVENT_TYPE_COUNT || event_word(row->fields[i].type, n))
                    r.numbers[i] = n;
            const int len = sprintf(line, "2026-11-29T03:00:00.005Z warn vault ");
            event_text(&r, line + len, EVENT_LINE_MAX);
            const int err = read_text(line, &back);
            if (err == ERR_UNSUPPORTED)
                break;
            assert_int_equal(err, OK);
            assert_int_equal(back.instance, -1);
            assert_int_equal(back.ms, 5);
            event_text(&back.r, again, sizeof(again));
            assert_string_equal(strstr(line, again), again);
            read++;
        }
        r.more = 12;
        r.seconds = 61;
        const int len = sprintf(line, "1970-01-01T00:00:00.000Z error gpg-seal.0 ");
        event_text(&r, line + len, EVENT_LINE_MAX);
        assert_int_equal(read_text(line, &back), OK);
        assert_int_equal(back.at, 0);
        assert_int_equal(back.r.event, e);
        assert_int_equal(back.r.more, 12);
        assert_int_equal(back.r.seconds, 61);
    }
    assert_true(read > 20);
}

static void what_is_none_of_ours(void **state)
{
    static const char *const lines[] = {
        "",
        "ready",
        "Nov 29 03:00:01 host kernel: 2026-11-29 03:00:00",
        "2026-11-29T03:00:00.123",
        STAMP,
        STAMP "loud ingest.1 out-of-memory",
        STAMP "info",
        "2026-11-29T03:00:00,123Z info ingest mail",
        "2026-11-29t03:00:00.123Z info ingest mail",
    };
    struct event_line l;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(read_text(lines[i], &l), ERR_NOT_FOUND);
}

static void what_nobody_wrote(void **state)
{
    static const char *const lines[] = {
        STAMP "info ingest.1 mail",
        STAMP "info ingest.1 mail ",
        STAMP "info ingest. out-of-memory",
        STAMP "info ingest.99999 out-of-memory",
        STAMP "info ingest.01 out-of-memory",
        STAMP "info a-process-with-a-long-name-indeed out-of-memory",
        STAMP "info ingest out-of-memory ",
        STAMP "info ingest out-of-memory more=0 seconds=60",
        STAMP "info ingest out-of-memory more=4294967296 seconds=60",
        STAMP "info ingest out-of-memory more=1",
        "2026-02-29T03:00:00.123Z info ingest out-of-memory",
        "2026-13-29T03:00:00.123Z info ingest out-of-memory",
        "2026-11-29T24:00:00.123Z info ingest out-of-memory",
        "2026-11-29T03:60:00.123Z info ingest out-of-memory",
        "0000-00-00T00:00:00.000Z info ingest out-of-memory",
        MAIL " ",
        MAIL " more=1",
        MAIL " " NAMES,
        STAMP "info ingest.1 mail " NAMES " " FACTS,
        STAMP "info ingest.1 mail  " FACTS " " NAMES,
        STAMP "info ingest.1 mail-untold lines=01 seconds=60",
        STAMP "info ingest.1 mail-untold lines=-1 seconds=60",
        STAMP "info ingest.1 mail-untold lines=18446744073709551616 seconds=60",
        STAMP "info ingest.1 mail-untold lines= seconds=60",
        STAMP "info ingest.1 tls-failed why=no-such-reason",
        STAMP "info ingest.1 tls-failed why=\"timeout",
        STAMP "info ingest.1 tls-failed why=\"timeout\"",
        STAMP "info ingest.1 tls-failed why=timeouts",
    };
    struct event_line l;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(read_text(lines[i], &l), ERR_FORMAT);
    assert_int_equal(read_text(STAMP "info ingest.1 mail-untold lines=18446744073709551615 seconds=60", &l), OK);
    assert_int_equal(read_text(STAMP "info ingest out-of-memoryx", &l), ERR_UNSUPPORTED);
    assert_int_equal(read_text(STAMP "info master stopping (signal 15)", &l), ERR_UNSUPPORTED);
}

/* A line of mail with any octet changed into any of these is read only if its fields may be so. */
static void any_octet_changed(void **state)
{
    static const char others[] = "\0\n =\"<0gZ.";
    char line[sizeof(MAIL)], again[EVENT_LINE_MAX];
    struct event_line l;

    for (size_t i = sizeof(STAMP) - 1; i < sizeof(MAIL) - 1; i++)
        for (size_t o = 0; o < sizeof(others) - 1; o++) {
            memcpy(line, MAIL, sizeof(MAIL));
            line[i] = others[o];
            if (event_read(line, sizeof(MAIL) - 1, &l) != OK)
                continue;
            event_text(&l.r, again, sizeof(again));
            assert_string_equal(strstr(line, " mail ") + 1, again);
        }
    for (size_t n = 0; n < sizeof(MAIL) - 1; n++)
        assert_int_not_equal(event_read(MAIL, n, &l), OK);
}

/* While debug_names is on, a stranger's text stands in a line. It cannot be taken for a line of its own: the first
 * stamp counts. */
static void a_name_that_looks_like_a_line(void **state)
{
    struct event_line l;

    assert_int_equal(read_text(STAMP "info ingest.0 named-mail recipients=1 id=a peer=<p> from=<\"" MAIL "\"@x> to=<>",
                               &l),
                     ERR_UNSUPPORTED);
    assert_int_equal(read_text(STAMP "info ingest.0 named-mail recipients=1 id=a peer=<p> from=<x> to=<y> " MAIL, &l),
                     ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_about_mail),    cmocka_unit_test(every_event_there_and_back),
        cmocka_unit_test(what_is_none_of_ours), cmocka_unit_test(what_nobody_wrote),
        cmocka_unit_test(any_octet_changed),    cmocka_unit_test(a_name_that_looks_like_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
