/* Any octets as a MIME field's value and as an encoded body: read strictly is read leniently alike, and what is taken
 * out of a Content-Type is gone. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/mime.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

static void strict_is_lenient(struct slice s)
{
    struct mime_reader a = mime_read(s, true), b = mime_read(s, false);
    struct slice type, subtype, type2, subtype2;
    struct mime_parameter p, q;
    enum mime_next next;
    uint8_t value[64];
    if (!mime_read_type(&a, &type, &subtype))
        return;
    must(mime_read_type(&b, &type2, &subtype2) && same(type, type2) && same(subtype, subtype2));
    while ((next = mime_read_parameter(&a, &p)) == MIME_PARAMETER) {
        enum mime_next lenient = mime_read_parameter(&b, &q);
        size_t n = mime_unquote(p.value, value, sizeof(value));
        must(n == (size_t)-1 || n <= sizeof(value));
        if (lenient != MIME_PARAMETER || !same(p.value, q.value))
            return; /* the strict one stops at the next octet */
        must(same(p.name, q.name));
    }
    if (next == MIME_END)
        must(mime_read_parameter(&b, &q) == MIME_END);
}

static void without_hp(struct slice s)
{
    struct mime_type t;
    struct buf out;
    mime_type_scan(s, &t);
    must(t.end <= s.len);
    if (!t.ok)
        return;
    buf_init(&out, 1 << 20, false);
    must(mime_type_without_hp(s, &out) == OK);
    mime_type_scan(slice_of(out.data, out.len), &t);
    must(t.ok && !t.has_hp && !t.ends_in_semicolon && t.end == out.len);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct encoded_word w;
    size_t n;
    uint8_t *copy = malloc(size ? size : 1), *out = malloc(size ? size : 1);
    memcpy(copy, data, size);
    struct slice s = slice_of(copy, size);
    strict_is_lenient(s);
    without_hp(s);
    mime_auth_results_is_ours(s, "mail.example.org");
    if (encoding_decode_base64(s, out, &n) == OK)
        must(n <= size / 4 * 3);
    if (encoding_decode_quoted_printable(s, out, &n) == OK)
        must(n <= size);
    n = encoding_word(s, &w);
    must(n <= size);
    if (n)
        must(encoding_word_decode(&w, out, size) <= w.text.len);
    free(copy);
    free(out);
    return 0;
}
