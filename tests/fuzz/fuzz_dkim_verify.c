/* Any octets as key records, a line each up to an empty line, and as a mail (the rest): the same verdicts however the
 * mail is cut, and no pass that should not be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/header.h"
#include "server/mailauth/dkim_verify.h"
#include "server/mailauth/whole_header.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

enum { RECORDS_MAX = 8 };

/* Question i has record i, and every third one after the records two of them. */
static void answer(struct records *r, const struct slice *lines, size_t n)
{
    const struct records_question *q;

    for (size_t i = 0; (q = records_take(r)); i++) {
        struct records_value v[2] = {{.name = ""}, {.name = ""}};
        struct records_answer a = {.err = OK, .exists = n > 0, .n = n > 0, .v = v};
        CHECK(q->type == RECORDS_TXT && strstr(q->name, "._domainkey.") && i < DKIM_SIGNATURES_MAX + 2 * ARC_SETS_MAX);
        if (n)
            v[0].data = lines[i % n];
        if (n > 1 && i >= n && i % 3 == 0) {
            v[1].data = lines[0];
            a.n = 2;
        }
        records_put(r, q, &a);
    }
}

static void judge(const uint8_t *mail, size_t len, size_t cut, const struct slice *lines, size_t n,
                  struct dkim_verdicts *ret)
{
    const struct iovec pieces[] = {{(void *)mail, cut}, {(void *)(mail + cut), len - cut}};
    struct records *r = records_create();
    struct whole_header h;
    struct dkim_check *c;
    const int err = whole_header_read(&h, pieces, 2);

    CHECK(r && dkim_check_create(err == OK ? &h.view : NULL, pieces, 2, 1700000000, &c) == OK);
    whole_header_free(&h);
    if (dkim_check_judge(c, r, ret) == ERR_AGAIN) {
        answer(r, lines, n);
        CHECK(dkim_check_judge(c, r, ret) == OK);
    }
    dkim_check_destroy(c);
    records_destroy(r);
}

static void check_authors(const uint8_t *mail, size_t len)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    unsigned authors = 0;

    CHECK(header_parse(mail, len, fields, HEADER_FIELDS_MAX, &v) == OK && !v.malformed && !v.strays);
    for (size_t i = 0; i < v.count; i++)
        authors += header_field_is(v.s, &v.fields[i], "From");
    CHECK(authors == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dkim_verdicts v, again;
    struct slice records[RECORDS_MAX];
    size_t n = 0;

    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t line = end ? (size_t)(end - data) : size;
        if (line && n < RECORDS_MAX)
            records[n++] = slice_of(data, line);
        data += line + (end != NULL);
        size -= line + (end != NULL);
        if (!line)
            break;
    }
    judge(data, size, 0, records, n, &v);
    judge(data, size, size / 3, records, n, &again);
    CHECK(memcmp(&v, &again, sizeof(v)) == 0);
    CHECK(v.n <= DKIM_SIGNATURES_MAX && v.arc.sets <= ARC_SETS_MAX && v.arc.failed <= v.arc.sets);
    for (size_t i = 0; i < v.n; i++) {
        CHECK(v.v[i].result == dkim_result_of(v.v[i].reason));
        if (v.v[i].result == AUTH_PASS)
            check_authors(data, size);
    }
    CHECK((v.arc.result == AUTH_PASS) == (v.arc.oldest_pass > 0) && v.arc.oldest_pass <= v.arc.sets);
    if (v.arc.result == AUTH_PASS)
        check_authors(data, size);
    return 0;
}
