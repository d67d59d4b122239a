/* A header block as it is searched: folds out, encoded words decoded, ASCII letters in lower case. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/date.h"
#include "server/mail/encoding.h"
#include "server/mail/token.h"
#include "server/proto/imap_out.h"
#include "server/proto/imap_search.h"

/* RFC 2047 section 2 has 75; more is seen. Where one begins and does not end, so many octets are looked at in vain. */
enum { WORD_MAX = 1024 };
_Static_assert(sizeof(((struct imap_words *)0)->text) <= UINT16_MAX, "positions in it");

static void put(struct imap_words *w, uint8_t c, bool latin1)
{
    if (latin1 && c >= 0x80) {
        if (w->len + 2 <= sizeof(w->text))
            w->len += utf8_encode(c, (char *)w->text + w->len);
        return;
    }
    if (c >= 'A' && c <= 'Z')
        c += 32;
    if (w->len < sizeof(w->text))
        w->text[w->len++] = c;
}

/* An encoded word at the start of v. Octets used, 0: none here, or a charset we do not know. */
static size_t put_word(struct imap_words *w, struct slice v)
{
    struct encoded_word word;
    uint8_t text[WORD_MAX];
    if (v.len < 2 || v.data[1] != '?')
        return 0;
    v.len = v.len < WORD_MAX ? v.len : WORD_MAX;
    size_t used = encoding_word(v, &word);
    w->work += used ? used : v.len;
    if (!used)
        return 0;
    bool latin1 = imap_word_is(word.charset, "ISO-8859-1") || imap_word_is(word.charset, "WINDOWS-1252");
    if (!latin1 && !imap_word_is(word.charset, "UTF-8") && !imap_word_is(word.charset, "US-ASCII"))
        return 0;
    size_t n = encoding_word_decode(&word, text, sizeof(text));
    for (size_t i = 0; i < n; i++)
        put(w, text[i], latin1);
    return used;
}

static void decode(struct imap_words *w, struct slice v)
{
    size_t after_word = SIZE_MAX; /* where blanks between two encoded words began (RFC 2047 section 6.2: not shown) */
    for (size_t i = 0; i < v.len;) {
        uint8_t c = v.data[i];
        size_t mark = w->len;
        if (c == '=' && after_word != SIZE_MAX)
            w->len = after_word;
        size_t n = c == '=' ? put_word(w, slice_of(v.data + i, v.len - i)) : 0;
        if (n) {
            i += n;
            after_word = w->len;
            continue;
        }
        w->len = mark;
        i++;
        if (c != '\r' && c != '\n')
            put(w, c, false);
        if (after_word != SIZE_MAX && !token_is_space(c))
            after_word = SIZE_MAX;
    }
}

void imap_words_begin(struct imap_words *w, struct slice header)
{
    w->header = header;
    w->header.len = header.len < IMAP_WORDS_HEADER_MAX ? header.len : IMAP_WORDS_HEADER_MAX;
    w->made = w->dated = false;
    w->work = w->n = w->len = 0;
}

static void add(struct imap_words *w, const struct imap_field *f)
{
    const uint8_t *value_end = f->value.data + f->value.len, *end = f->whole.data + f->whole.len;
    size_t i = w->n++;
    w->fields[i].name = (uint16_t)(f->name.data - w->header.data);
    w->fields[i].name_len = (uint16_t)f->name.len;
    w->fields[i].whole = (uint16_t)w->len;
    decode(w, slice_of(f->whole.data, (size_t)(f->value.data - f->whole.data)));
    w->fields[i].value = (uint16_t)w->len;
    decode(w, f->value);
    w->fields[i].behind = (uint16_t)w->len;
    decode(w, slice_of(value_end, (size_t)(end - value_end)));
}

static void make(struct imap_words *w)
{
    static const char *const date = "Date";
    struct imap_field f;
    struct slice v;
    int64_t seconds;
    if (w->made)
        return;
    w->made = true;
    for (size_t pos = 0; w->n < IMAP_WORDS_FIELDS_MAX && imap_field_next(w->header, &pos, &f);)
        add(w, &f);
    imap_fields_find(w->header, &date, 1, &v);
    w->dated = v.data && !date_read(v.data, v.len, &seconds, &w->day);
    w->work += 2 * w->header.len;
}

bool imap_words_day(struct imap_words *w, int32_t *ret)
{
    make(w);
    w->work++;
    if (w->dated)
        *ret = w->day;
    return w->dated;
}

static bool is_named(const struct imap_words *w, size_t i, const char *name, size_t len)
{
    const uint8_t *p = w->header.data + w->fields[i].name;
    return w->fields[i].name_len == len && strncasecmp((const char *)p, name, len) == 0;
}

/* HEADER with "" asks whether the field is there (RFC 3501 section 6.4.4). */
bool imap_words_have(struct imap_words *w, const char *name, struct slice text)
{
    size_t name_len = strlen(name);
    make(w);
    for (size_t i = 0; i < w->n; i++) {
        w->work += 4; /* as a name's comparison takes */
        if (name_len && !is_named(w, i, name, name_len))
            continue;
        size_t end = i + 1 < w->n ? w->fields[i + 1].whole : w->len;
        size_t from = name_len ? w->fields[i].value : w->fields[i].whole, to = name_len ? w->fields[i].behind : end;
        w->work += to - from;
        if (text.len == 0 || memmem(w->text + from, to - from, text.data, text.len))
            return true;
    }
    return false;
}
