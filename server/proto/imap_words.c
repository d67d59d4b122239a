/* Looking for text in a header value: folds out, encoded words decoded, ASCII letters in any case. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/encoding.h"
#include "server/mail/token.h"
#include "server/proto/imap_search.h"

enum { VALUE_MAX = 16384 };

struct sink {
    uint8_t b[VALUE_MAX];
    size_t len;
    bool latin1;
};

static void put(struct sink *o, uint8_t c)
{
    if (o->latin1 && c >= 0x80) {
        if (o->len + 2 <= sizeof(o->b))
            o->len += utf8_encode(c, (char *)o->b + o->len);
        return;
    }
    if (c >= 'A' && c <= 'Z')
        c += 32;
    if (o->len < sizeof(o->b))
        o->b[o->len++] = c;
}

/* An encoded word at the start of v. Octets used, 0: none here, or a charset we do not know. */
static size_t put_word(struct sink *o, struct slice v)
{
    struct encoded_word w;
    uint8_t text[VALUE_MAX];
    size_t used = encoding_word(v, &w);
    if (!used)
        return 0;
    bool latin1 = imap_word_is(w.charset, "ISO-8859-1") || imap_word_is(w.charset, "WINDOWS-1252");
    if (!latin1 && !imap_word_is(w.charset, "UTF-8") && !imap_word_is(w.charset, "US-ASCII"))
        return 0;
    size_t n = encoding_word_decode(&w, text, sizeof(text));
    o->latin1 = latin1;
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
    o->latin1 = false;
    return used;
}

static void decode(struct sink *o, struct slice v)
{
    size_t after_word = SIZE_MAX; /* where blanks between two encoded words began (RFC 2047 section 6.2: not shown) */
    o->len = 0;
    o->latin1 = false;
    for (size_t i = 0; i < v.len;) {
        uint8_t c = v.data[i];
        size_t mark = o->len;
        if (c == '=' && after_word != SIZE_MAX)
            o->len = after_word;
        size_t n = c == '=' ? put_word(o, slice_of(v.data + i, v.len - i)) : 0;
        if (n) {
            i += n;
            after_word = o->len;
            continue;
        }
        o->len = mark;
        i++;
        if (c != '\r' && c != '\n')
            put(o, c);
        if (after_word != SIZE_MAX && !token_is_space(c))
            after_word = SIZE_MAX;
    }
}

bool imap_header_contains(struct slice value, struct slice needle)
{
    struct sink text, want = {.len = 0};
    if (needle.len == 0)
        return true;
    if (needle.len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < needle.len; i++)
        put(&want, needle.data[i]);
    decode(&text, value);
    return memmem(text.b, text.len, want.b, want.len) != NULL;
}
