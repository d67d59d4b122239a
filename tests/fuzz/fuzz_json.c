/* What strangers send as JSON, by tables with every kind of member: read or refused, never in part; what is read fits
 * its row, and is read again from what is written of it. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "webmail-api/json/json_in.h"
#include "webmail-api/json/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
    uint64_t n;
    bool yes;
};

struct asked {
    char text[32];
    uint8_t octets[3];
    JSON_SPAN(8) span;
    uint64_t number;
    bool yes;
    uint32_t words;
    struct inner inner;
    bool has_text, has_octets, has_span, has_number, has_yes, has_words, has_inner;
};

static const char *const words[] = {"mail", "jmap", "admin", NULL};
static const struct json_in_member inner_rows[] = {
    {"n", JSON_IN_UNSIGNED, JSON_IN_AT(struct inner, n), .max = JSON_IN_NUMBER_MAX},
    {"yes", JSON_IN_BOOL, JSON_IN_AT(struct inner, yes)},
};
static const struct json_in_table inner = JSON_IN_TABLE(struct inner, inner_rows);
#define ROW(name, kind, at) #name, kind, at(struct asked, name), JSON_IN_FLAG(struct asked, has_##name)
static const struct json_in_member rows[] = {
    {ROW(text, JSON_IN_TEXT, JSON_IN_AT)},
    {ROW(octets, JSON_IN_OCTETS, JSON_IN_AT)},
    {ROW(span, JSON_IN_SPAN, JSON_IN_SPAN_AT)},
    {ROW(number, JSON_IN_UNSIGNED, JSON_IN_AT), .max = 1000},
    {ROW(yes, JSON_IN_BOOL, JSON_IN_AT)},
    {ROW(words, JSON_IN_WORDS, JSON_IN_AT), .words = words, .others = true},
    {ROW(inner, JSON_IN_OBJECT, JSON_IN_AT), .table = &inner},
};
static const struct json_in_table strict = JSON_IN_TABLE(struct asked, rows);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_inner(struct json_out *o, const struct asked *a)
{
    json_out_object(o, "inner");
    json_out_number(o, "n", (int64_t)a->inner.n);
    json_out_bool(o, "yes", a->inner.yes);
    json_out_end(o);
}

static void write_words(struct json_out *o, const struct asked *a)
{
    json_out_list(o, "words");
    for (unsigned i = 0; words[i]; i++)
        if (a->words >> i & 1)
            json_out_text(o, NULL, slice_str(words[i]));
    json_out_end(o);
}

static void write_again(const struct asked *a, struct buf *ret)
{
    struct json_out o;

    json_out_init(&o);
    if (a->has_text)
        json_out_text(&o, "text", slice_str(a->text));
    if (a->has_octets)
        json_out_octets(&o, "octets", slice_of(a->octets, sizeof(a->octets)));
    if (a->has_span)
        json_out_octets(&o, "span", slice_of(a->span.data, a->span.len));
    if (a->has_number)
        json_out_number(&o, "number", (int64_t)a->number);
    if (a->has_yes)
        json_out_bool(&o, "yes", a->yes);
    if (a->has_words)
        write_words(&o, a);
    if (a->has_inner)
        write_inner(&o, a);
    must(json_out_finish(&o, ret) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_in_table lenient = strict;
    struct asked a, b, before;
    struct json_in_why why = {NULL, NULL};
    struct buf again;

    memset(&a, 0x5a, sizeof(a));
    before = a;
    int err = json_in_read(slice_of(data, size), &strict, &a, &why);
    lenient.others = true;
    if (err != OK) {
        must((err == ERR_FORMAT || err == ERR_LIMIT) && why.what && memcmp(&a, &before, sizeof(a)) == 0);
        (void)json_in_read(slice_of(data, size), &lenient, &a, NULL);
        return 0;
    }
    must(json_in_read(slice_of(data, size), &lenient, &b, NULL) == OK && memcmp(&a, &b, sizeof(a)) == 0);
    must(utf8_printable(a.text, strlen(a.text)) && a.number <= 1000 && a.span.len <= 8 && a.words < 8);
    buf_init(&again, 4096, false);
    write_again(&a, &again);
    must(json_in_read(slice_of(again.data, again.len), &strict, &b, NULL) == OK && memcmp(&a, &b, sizeof(a)) == 0);
    buf_free(&again);
    return 0;
}
