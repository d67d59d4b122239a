/* Any octets as a header block: fields lie one behind another; what is at hand decides where the block ends only when
 * more octets could not change it. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/header.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static void fields_are_a_block(const struct header_view *v)
{
    size_t at = 0, strays = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct header_field *f = &v->fields[i];
        must(f->offset == at && f->len > 0);
        if (!f->name_len) { /* a stray line */
            strays++;
            at += f->len;
            continue;
        }
        must(f->value_offset > at + f->name_len && f->value_offset <= at + f->len);
        must(v->s[f->value_offset - 1] == ':' && f->blank == (f->value_offset > at + f->name_len + 1));
        must(header_field_value(v->s, f).len == at + f->len - f->value_offset);
        header_field_is_plain(v->s, f);
        header_field_is_content(v->s, f);
        at += f->len;
    }
    must(v->header_len >= at && v->header_len <= at + 2 && v->header_len <= v->len);
    must(!v->malformed || v->header_len == at);
    must(strays <= v->strays && v->strays <= HEADER_STRAYS_MAX);
}

/* A walk that goes on sees every octet once. */
static void walk(const uint8_t *s, size_t len)
{
    struct header_field f;
    size_t pos = 0, before = 0;
    while (header_next(s, len, &pos, &f) != HEADER_END) {
        must(pos > before && pos <= len);
        before = pos;
    }
    must(pos == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct header_field fields[HEADER_FIELDS_MAX], part_fields[HEADER_FIELDS_MAX];
    struct header_view whole, part;
    if (size < 2)
        return 0;
    size_t cut = data[0] | (size_t)data[1] << 8, len = size - 2;
    data += 2;
    walk(data, len);
    header_value_valid(data, len, cut % 80, HEADER_LINE_MAX);
    if (header_parse(data, len, fields, HEADER_FIELDS_MAX, &whole) != OK)
        return 0;
    fields_are_a_block(&whole);
    cut %= len + 1;
    uint8_t *copy = malloc(cut ? cut : 1);
    memcpy(copy, data, cut);
    must(header_parse(copy, cut, part_fields, HEADER_FIELDS_MAX, &part) == OK);
    fields_are_a_block(&part);
    if (part.ends)
        must(whole.ends && part.header_len == whole.header_len && part.count == whole.count &&
             part.malformed == whole.malformed);
    free(copy);
    return 0;
}
