#include "server/mail/autocrypt.h"

#include <stdio.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mail/encoding.h"
#include "server/mail/mime.h"
#include "server/mail/token.h"

enum { ADDR, PREFER, KEYDATA, NAMES };
static const char *const names[NAMES] = {"addr", "prefer-encrypt", "keydata"};

/* Up to the next ";", which is stepped over: "name=value". */
static int next_attribute(struct slice *rest, struct slice *name, struct slice *value)
{
    const uint8_t *end = memchr(rest->data, ';', rest->len);
    const struct slice one = token_trim(slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->len));
    const uint8_t *eq = one.len ? memchr(one.data, '=', one.len) : NULL;
    *rest = end ? slice_of(end + 1, rest->len - (size_t)(end + 1 - rest->data)) : slice_of(NULL, 0);
    if (!eq)
        return ERR_FORMAT;
    *name = token_trim(slice_of(one.data, (size_t)(eq - one.data)));
    *value = token_trim(slice_of(eq + 1, one.len - (size_t)(eq + 1 - one.data)));
    return name->len && value->len ? OK : ERR_FORMAT;
}

/* ERR_UNSUPPORTED: it is critical, and not known. Those that begin with "_" are not critical. */
static int find_name(struct slice name, size_t *ret)
{
    for (*ret = 0; *ret < NAMES; ++*ret)
        if (mime_is(name, names[*ret]))
            return OK;
    return name.data[0] == '_' ? OK : ERR_UNSUPPORTED;
}

int autocrypt_read(struct slice value, struct autocrypt *ret)
{
    struct slice rest = token_trim(value), name, text, found[NAMES] = {{0}};
    size_t at, plus, which;
    while (rest.len) {
        int err = next_attribute(&rest, &name, &text);
        if (!err)
            err = find_name(name, &which);
        if (err)
            return err;
        if (which == NAMES)
            continue;
        if (found[which].data)
            return ERR_FORMAT;
        found[which] = text;
        if (which == KEYDATA && token_trim(rest).len) /* it is the last */
            return ERR_FORMAT;
    }
    if (!found[ADDR].data || !found[KEYDATA].data)
        return ERR_FORMAT;
    if (found[KEYDATA].len > AUTOCRYPT_KEY_MAX * 3 / 2) /* a third more for base64, and for folds */
        return ERR_LIMIT;
    int err = address_normalize((const char *)found[ADDR].data, found[ADDR].len, ret->address, &at, &plus);
    if (err)
        return err;
    ret->mutual = found[PREFER].data && mime_is(found[PREFER], "mutual");
    ret->keydata = found[KEYDATA];
    ret->date = 0;
    return OK;
}

int autocrypt_author(const uint8_t *s, const struct header_field *fields, size_t count, char ret[ADDRESS_MAX])
{
    char text[ADDRESS_CANONICAL_MAX];
    struct slice value = {0};
    struct address_item item, other;
    size_t at, plus, n = 0;
    for (size_t i = 0; i < count; i++)
        if (header_field_is(s, &fields[i], "From")) {
            value = header_field_value(s, &fields[i]);
            n++;
        }
    struct address_reader r = {.s = value.data, .len = value.len};
    if (n != 1 || !address_read(&r, &item) || item.kind != ADDRESS_MAILBOX || address_read(&r, &other))
        return ERR_NOT_FOUND;
    n = address_canonical(&item, text);
    if (!n)
        return ERR_NOT_FOUND;
    int err = address_normalize(text, n, ret, &at, &plus);
    return err == ERR_FORMAT ? ERR_NOT_FOUND : err;
}

static bool is_report(const struct header_view *v)
{
    const struct header_field *f = header_find(v, "Content-Type");
    struct slice type, subtype;
    if (!f)
        return false;
    struct mime_reader r = mime_read(header_field_value(v->s, f), false);
    return mime_read_type(&r, &type, &subtype) && mime_is(type, "multipart") && mime_is(subtype, "report");
}

static int64_t effective_date(const struct header_view *v, int64_t now)
{
    const struct header_field *f = header_find(v, "Date");
    int64_t t = now;
    if (f) {
        const struct slice value = token_trim(header_field_value(v->s, f));
        if (date_read(value.data, value.len, &t, NULL) != OK)
            t = now;
    }
    return t < now ? t : now;
}

int autocrypt_find(const struct header_view *v, int64_t now, struct autocrypt *ret)
{
    char author[ADDRESS_MAX];
    struct autocrypt one;
    size_t n = 0;
    if (!header_find(v, "Autocrypt"))
        return ERR_NOT_FOUND;
    int err = is_report(v) ? ERR_NOT_FOUND : autocrypt_author(v->s, v->fields, v->count, author);
    if (err)
        return err;
    for (size_t i = 0; i < v->count; i++) {
        if (!header_field_is(v->s, &v->fields[i], "Autocrypt"))
            continue;
        err = autocrypt_read(header_field_value(v->s, &v->fields[i]), &one);
        if (err == ERR_MEMORY)
            return err;
        if (err || strcmp(one.address, author) != 0)
            continue;
        if (n++)
            return ERR_NOT_FOUND;
        one.value = header_field_value(v->s, &v->fields[i]);
        *ret = one;
    }
    if (!n)
        return ERR_NOT_FOUND;
    ret->date = effective_date(v, now);
    return OK;
}

int autocrypt_decode(const struct autocrypt *a, uint8_t *out, size_t *ret_len)
{
    return encoding_decode_base64(a->keydata, out, ret_len);
}

/* ---- writing ---- */

enum { LINE = 57 /* octets: 76 characters (RFC 2045 section 6.8) */, FRAME = ADDRESS_MAX + 64 };

size_t autocrypt_write_max(size_t key_len)
{
    return FRAME + (key_len / LINE + 1) * (76 + 3);
}

size_t autocrypt_write(const char *address, bool mutual, const uint8_t *key, size_t len, char *out)
{
    size_t n = (size_t)snprintf(out, FRAME, "Autocrypt: addr=%s;%s keydata=\r\n", address,
                                mutual ? " prefer-encrypt=mutual;" : "");
    for (size_t at = 0; at < len; at += LINE) {
        out[n++] = ' ';
        for (size_t i = at; i < len && i < at + LINE; i += 3, n += 4)
            digit_base64_write(key + i, len - i < 3 ? len - i : 3, (uint8_t *)out + n);
        out[n++] = '\r';
        out[n++] = '\n';
    }
    return n;
}
