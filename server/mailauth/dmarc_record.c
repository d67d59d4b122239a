/* Records of DMARC (RFC 9989 section 4.7 and 4.8). */
#include <string.h>
#include <strings.h>

#include "server/mail/token.h"
#include "server/mailauth/dmarc.h"

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp((const char *)s.data, word, s.len) == 0;
}

/* The part in front of the next ch, cut off *s with it. */
static struct slice cut(struct slice *s, char ch)
{
    const uint8_t *end = memchr(s->data, ch, s->len);
    size_t n = end ? (size_t)(end - s->data) : s->len, used = n + (end != NULL);
    struct slice part = slice_of(s->data, n);

    *s = slice_of(s->data + used, s->len - used);
    return part;
}

/* tag = value, without white space around them. */
static bool split(struct slice part, struct slice *ret_tag, struct slice *ret_value)
{
    const size_t len = part.len;
    struct slice tag = cut(&part, '=');

    *ret_tag = token_trim(tag);
    *ret_value = token_trim(part);
    return tag.len < len;
}

/* The first of that name. */
static bool find(struct slice list, const char *name, struct slice *ret)
{
    struct slice tag, value;

    while (list.len)
        if (split(cut(&list, ';'), &tag, &value) && is(tag, name)) {
            *ret = value;
            return true;
        }
    return false;
}

bool dmarc_is_record(struct slice txt)
{
    struct slice tag, value;

    /* The version's case counts, and nothing stands in front of it. */
    return txt.len && !token_is_space(txt.data[0]) && split(cut(&txt, ';'), &tag, &value) && is(tag, "v") &&
           value.len == 6 && memcmp(value.data, "DMARC1", 6) == 0;
}

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* scheme ":" and something, as far as it matters that there is one (RFC 3986 section 3). */
static bool is_uri(struct slice s)
{
    struct slice rest = s, scheme = cut(&rest, ':');

    if (scheme.len == s.len || !scheme.len || !rest.len || !is_letter(s.data[0]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= 0x20 || s.data[i] > 0x7e)
            return false;
    return !is(scheme, "mailto") || (memchr(rest.data, '@', rest.len) && rest.data[0] != '@');
}

static bool has_uri(struct slice list)
{
    struct slice value;

    if (!find(list, "rua", &value))
        return false;
    while (value.len)
        if (is_uri(token_trim(cut(&value, ','))))
            return true;
    return false;
}

/* False: it is there, and none. Without it, *policy stays. */
static bool read_policy(struct slice list, const char *name, bool *ret_there, enum dmarc_policy *policy)
{
    static const enum dmarc_policy all[] = {DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT};
    struct slice value;

    *ret_there = find(list, name, &value);
    for (size_t i = 0; *ret_there && i < sizeof(all) / sizeof(*all); i++)
        if (is(value, dmarc_policy_name(all[i]))) {
            *policy = all[i];
            return true;
        }
    return !*ret_there;
}

static bool says(struct slice list, const char *name, const char *word)
{
    struct slice value;

    return find(list, name, &value) && is(value, word);
}

void dmarc_parse(struct slice txt, struct dmarc_record *ret)
{
    struct dmarc_record r = {.usable = true, .psd = says(txt, "psd", "y") ? 'y' : says(txt, "psd", "n") ? 'n' : 'u'};
    bool has_p, has_sp;

    r.testing = says(txt, "t", "y");
    r.strict_dkim = says(txt, "adkim", "s");
    r.strict_spf = says(txt, "aspf", "s");
    /* Section 4.10.1: a policy that cannot be read makes all of them none, if reports are wanted; else nothing is
     * done. */
    bool valid = read_policy(txt, "p", &has_p, &r.p) && has_p;
    r.sp = r.p;
    valid &= read_policy(txt, "sp", &has_sp, &r.sp);
    r.np = r.sp;
    valid &= read_policy(txt, "np", &r.has_np, &r.np);
    if (!valid) {
        r.usable = has_uri(txt);
        r.has_np = false;
        r.p = r.sp = r.np = DMARC_NONE;
    }
    *ret = r;
}
