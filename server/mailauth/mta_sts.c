#include "server/mailauth/mta_sts.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/token.h"

enum { NAME_MAX_OCTETS = 253, LABEL_MAX = 63, WORD_MAX = 32 };

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

static struct slice trim(struct slice s)
{
    while (s.len && token_is_blank(s.data[0]))
        s = slice_of(s.data + 1, s.len - 1);
    while (s.len && token_is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* Up to the first c, which is stepped over; false: there is none, and *rest is empty. */
static bool cut(struct slice *rest, char c, struct slice *ret)
{
    const uint8_t *at = rest->len ? memchr(rest->data, c, rest->len) : NULL;

    *ret = at ? slice_of(rest->data, (size_t)(at - rest->data)) : *rest;
    *rest = at ? slice_of(at + 1, rest->len - ret->len - 1) : slice_of(NULL, 0);
    return at != NULL;
}

/* (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / "."), of both extensions. */
static bool name_valid(struct slice s)
{
    if (s.len == 0 || s.len > WORD_MAX || !is_alnum(s.data[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_alnum(s.data[i]) && s.data[i] != '_' && s.data[i] != '-' && s.data[i] != '.')
            return false;
    return true;
}

/* ---- the record (section 3.1) ---- */

static bool id_valid(struct slice s)
{
    if (s.len == 0 || s.len > MTA_STS_ID_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.data[i]))
            return false;
    return true;
}

/* %x21-3A / %x3C / %x3E-7E */
static bool extension_valid(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x21 || s.data[i] > 0x7e || s.data[i] == '=' || s.data[i] == ';')
            return false;
    return s.len > 0;
}

int mta_sts_record_read(struct slice txt, char id[MTA_STS_ID_MAX + 1])
{
    static const char version[] = "v=STSv1";
    struct slice field, name, found = {0};

    if (txt.len < sizeof(version) - 1 || memcmp(txt.data, version, sizeof(version) - 1) != 0)
        return ERR_NOT_FOUND;
    cut(&txt, ';', &field);
    if (!is(trim(field), version))
        return is_alnum(field.data[sizeof(version) - 1]) ? ERR_NOT_FOUND : ERR_FORMAT; /* another version */
    while (txt.len) {
        const bool ended = cut(&txt, ';', &field);
        field = trim(field);
        if (field.len == 0 && !ended)
            break; /* blanks behind a last delimiter */
        if (!cut(&field, '=', &name) || !name_valid(name))
            return ERR_FORMAT;
        if (!is(name, "id")) {
            if (!extension_valid(field))
                return ERR_FORMAT;
        } else if (found.len == 0 && id_valid(field)) {
            found = field;
        } else {
            return ERR_FORMAT;
        }
    }
    if (found.len == 0)
        return ERR_FORMAT;
    memcpy(id, found.data, found.len);
    id[found.len] = '\0';
    return OK;
}

/* ---- the policy (section 3.2) ---- */

struct reading {
    struct mta_sts_policy *p;
    unsigned seen; /* of rows, by bits */
};

static int take_version(struct reading *r, struct slice value)
{
    return is(value, "STSv1") ? OK : ERR_FORMAT;
}

static int take_mode(struct reading *r, struct slice value)
{
    static const char *const words[] = {
        [MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce"};

    for (int i = MTA_STS_NONE; i <= MTA_STS_ENFORCE; i++)
        if (is(value, words[i])) {
            r->p->mode = (enum mta_sts_mode)i;
            return OK;
        }
    return ERR_FORMAT;
}

static int take_max_age(struct reading *r, struct slice value)
{
    uint64_t n = 0;

    if (value.len == 0 || value.len > 10)
        return ERR_FORMAT;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return ERR_FORMAT;
        n = n * 10 + (value.data[i] - (uint8_t)'0');
    }
    r->p->max_age = n < MTA_STS_AGE_MAX ? (uint32_t)n : MTA_STS_AGE_MAX;
    return OK;
}

/* Domain (RFC 5321 section 4.1.2), with underscores as host names in the wild have them. */
static bool domain_valid(struct slice s)
{
    size_t label = 0;

    if (s.len == 0 || s.len > NAME_MAX_OCTETS)
        return false;
    for (size_t i = 0; i <= s.len; i++) {
        const uint8_t c = i < s.len ? s.data[i] : '.';
        if (c == '.') {
            if (label == 0 || label > LABEL_MAX || s.data[i - 1] == '-')
                return false;
            label = 0;
        } else if (is_alnum(c) || c == '_' || (c == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static int take_mx(struct reading *r, struct slice value)
{
    struct mta_sts_policy *p = r->p;
    const size_t star = value.len > 2 && value.data[0] == '*' && value.data[1] == '.' ? 2 : 0;

    if (!domain_valid(slice_of(value.data + star, value.len - star)))
        return ERR_FORMAT;
    if (value.len + 1 > sizeof(p->mx) - p->mx_len)
        return ERR_LIMIT;
    for (size_t i = 0; i < value.len; i++) {
        const uint8_t c = value.data[i];
        p->mx[p->mx_len++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    p->mx[p->mx_len++] = '\0';
    return OK;
}

enum { VERSION, MODE, MAX_AGE, MX, ROWS };
static const struct {
    const char *name;
    int (*take)(struct reading *r, struct slice value);
} rows[ROWS] = {
    [VERSION] = {"version", take_version},
    [MODE] = {"mode", take_mode},
    [MAX_AGE] = {"max_age", take_max_age},
    [MX] = {"mx", take_mx},
};

/* Of an extension: text that can be shown, which nobody here knows. */
static bool value_valid(struct slice s)
{
    return s.len > 0 && utf8_printable((const char *)s.data, s.len);
}

static int take_line(struct reading *r, struct slice line)
{
    struct slice name;
    int i = 0;

    if (!cut(&line, ':', &name) || !name_valid(name))
        return ERR_FORMAT;
    line = trim(line);
    while (i < ROWS && !is(name, rows[i].name))
        i++;
    if (i == ROWS)
        return value_valid(line) ? OK : ERR_FORMAT;
    if (i != MX && r->seen & 1u << i)
        return OK; /* section 3.2: of a field that is there twice the first one counts */
    r->seen |= 1u << i;
    return rows[i].take(r, line);
}

int mta_sts_policy_read(struct slice text, struct mta_sts_policy *ret)
{
    struct mta_sts_policy p = {0};
    struct reading r = {.p = &p};
    struct slice line;
    int err = text.len <= MTA_STS_TEXT_MAX ? OK : ERR_LIMIT;

    while (text.len && err == OK) {
        const bool ended = cut(&text, '\n', &line);
        if (ended && line.len && line.data[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 && text.len == 0)
            break; /* an empty line behind the last: real ones have it */
        err = take_line(&r, line);
    }
    if (err != OK)
        return err;
    if ((r.seen & (1u << VERSION | 1u << MODE | 1u << MAX_AGE)) != (1u << VERSION | 1u << MODE | 1u << MAX_AGE) ||
        (p.mode != MTA_STS_NONE && p.mx_len == 0))
        return ERR_FORMAT;
    *ret = p;
    return OK;
}

/* Section 4.1: a wildcard stands for one label, the leftmost. */
static bool fits(const char *pattern, const char *host)
{
    const char *dot = strchr(host, '.');

    if (pattern[0] == '*')
        return dot && dot != host && strcmp(pattern + 1, dot) == 0;
    return strcmp(pattern, host) == 0;
}

bool mta_sts_fits(const struct mta_sts_policy *p, const char *host)
{
    for (size_t at = 0; at < p->mx_len; at += strlen(p->mx + at) + 1)
        if (fits(p->mx + at, host))
            return true;
    return false;
}
