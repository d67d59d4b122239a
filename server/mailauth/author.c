#include "server/mailauth/author.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/mail/token.h"

enum { LINE_MAX_OCTETS = HEADER_MAX }; /* long lines are no reason to see somebody else */

static bool has_any(struct slice s, const char *octets)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] && strchr(octets, s.data[i]))
            return true;
    return false;
}

/* The begin of an encoded word (RFC 2047 section 2): some decode it wherever it stands. */
static bool has_encoded_word(struct slice s)
{
    return s.len && memmem(s.data, s.len, "=?", 2) != NULL;
}

/* A local part up to its "@", and a domain from there on: white space and comments may stand around the address, not in
 * it. */
static bool take_local(struct slice piece, struct slice *ret)
{
    struct token_cursor c = {piece.data, piece.len, 0};
    size_t n;

    if (!token_skip_cfws(&c) || c.i == c.len)
        return false;
    n = token_dot_atom(c.s + c.i, c.len - c.i);
    if (!n)
        n = token_quoted(c.s + c.i, c.len - c.i, false);
    *ret = slice_of(c.s + c.i, n);
    return n && c.i + n == c.len;
}

static bool take_domain(struct slice piece, struct slice *ret)
{
    struct token_cursor c = {piece.data, piece.len, 0};

    c.i = address_literal_len(piece.data, piece.len);
    c.i = c.i ? c.i : address_domain_len(piece.data, piece.len, ADDRESS_HEADER);
    *ret = slice_of(piece.data, c.i);
    return c.i && token_skip_cfws(&c) && c.i == c.len;
}

/* "Doe, John" without its quotes is a mailbox with no "@" anywhere, and nobody else's. */
static bool is_bare_word(const struct address_item *item)
{
    return !item->domain.data && !item->name.data && !item->route.data && !has_any(item->spec, "@<>=\"\\(:;");
}

/* In front of "<": words, quoted strings and comments. An address there that has no quotes around it is one that some
 * read, and so is one that has, once "[" or a backslash stands beside it: Python's email takes what is left of it for
 * the author then. Without any, such octets do no harm: John [Jack] <...>. */
static bool is_phrase(struct slice name)
{
    const bool names_nobody = !has_any(name, "@<>") && !has_encoded_word(name);

    for (size_t i = 0, u; i < name.len; i += u) {
        const uint8_t c = name.data[i];
        u = token_unit(name.data + i, name.len - i);
        if (c == '"' ? u < 2 || name.data[i + u - 1] != '"'
                     : c != '(' && c != '.' && !token_is_space(c) && !token_is_atext(c) && !names_nobody)
            return false;
    }
    return true;
}

/* The same address in front of it says nothing else. */
static bool name_is_address(const struct address_item *item)
{
    char name[ADDRESS_CANONICAL_MAX], own[ADDRESS_CANONICAL_MAX];

    return address_spec_read(item->name, name) && address_canonical(item, own) && strcasecmp(name, own) == 0;
}

static enum author_fault read_mailbox(const struct address_item *item, char domain[DOMAIN_CAP])
{
    struct slice local, text;

    if (!item->domain.data || item->route.data || !take_local(item->local, &local) ||
        !take_domain(item->domain, &text) || has_encoded_word(local) || has_encoded_word(text) ||
        (local.data[0] == '"' && has_any(local, "@<>,;:")) || !(is_phrase(item->name) || name_is_address(item)))
        return AUTHOR_UNREADABLE;
    if (text.data[0] == '[')
        return AUTHOR_NO_DOMAIN;
    return address_domain_normalize((const char *)text.data, text.len, domain) == OK ? AUTHOR_OK : AUTHOR_UNREADABLE;
}

/* The "<" of an item that was just read has its ">", and behind that nothing but comments. */
static bool angle_is_whole(const struct address_reader *r, const struct address_item *item)
{
    size_t close = (size_t)(item->spec.data - r->s) + item->spec.len;
    struct token_cursor c = {r->s, r->i, close + 1};

    return !item->name.data || (close < r->i && r->s[close] == '>' && token_skip_cfws(&c) && c.i == r->i);
}

/* One mailbox more. */
static void add(struct author_verdict *v, const struct address_item *item)
{
    char domain[DOMAIN_CAP];
    enum author_fault fault = read_mailbox(item, domain);

    if (fault == AUTHOR_OK && !records_name_valid(domain))
        fault = AUTHOR_NO_DOMAIN;
    if (fault == AUTHOR_OK && v->mailboxes && strcmp(domain, v->domain) != 0)
        fault = AUTHOR_SEVERAL;
    if (fault != AUTHOR_OK) {
        v->fault = fault;
        return;
    }
    v->mailboxes++;
    memcpy(v->domain, domain, strlen(domain) + 1);
}

static bool ends_well(struct slice value)
{
    struct token_cursor c = {value.data, value.len, 0};

    /* Each unit is whole: no comment or quoted string that reaches to the end. */
    for (size_t u; c.i < c.len; c.i += u) {
        u = token_unit(c.s + c.i, c.len - c.i);
        if ((c.s[c.i] == '(' && !token_skip_cfws(&(struct token_cursor){c.s, c.i + u, c.i})) ||
            (c.s[c.i] == '"' && (u < 2 || c.s[c.i + u - 1] != '"')))
            return false;
    }
    return true;
}

void author_read_value(struct slice value, struct author_verdict *ret)
{
    struct author_verdict v = {.fault = AUTHOR_OK};
    struct address_item item;

    while (value.len && (value.data[value.len - 1] == '\n' || value.data[value.len - 1] == '\r'))
        value.len--;
    struct address_reader r = {.s = value.data, .len = value.len};
    if (!header_value_valid(value.data, value.len, 0, LINE_MAX_OCTETS) || !ends_well(value))
        v.fault = AUTHOR_UNREADABLE;
    while (v.fault == AUTHOR_OK && address_read(&r, &item)) {
        if (item.kind != ADDRESS_MAILBOX || !angle_is_whole(&r, &item))
            v.fault = AUTHOR_UNREADABLE;
        else if (!is_bare_word(&item))
            add(&v, &item);
    }
    if (v.fault == AUTHOR_OK && !v.mailboxes)
        v.fault = AUTHOR_MISSING;
    if (v.fault != AUTHOR_OK) {
        v.domain[0] = '\0';
        v.mailboxes = 0;
    }
    *ret = v;
}

void author_read(const struct header_view *v, struct author_verdict *ret)
{
    struct author_verdict a = {.fault = AUTHOR_MISSING}, sender;
    unsigned fields = 0;
    bool differs = false;

    for (size_t i = 0; i < v->count; i++)
        if (header_field_is(v->s, &v->fields[i], "From")) {
            fields++;
            author_read_value(header_field_value(v->s, &v->fields[i]), &a);
            if (v->fields[i].blank)
                a = (struct author_verdict){.fault = AUTHOR_UNREADABLE};
        }
    if (fields > 1)
        a = (struct author_verdict){.fault = AUTHOR_SEVERAL};
    else if (v->malformed || v->strays)
        a = (struct author_verdict){.fault = AUTHOR_UNREADABLE};
    for (size_t i = 0; i < v->count; i++)
        if (header_field_is(v->s, &v->fields[i], "Sender")) {
            author_read_value(header_field_value(v->s, &v->fields[i]), &sender);
            differs |= strcmp(sender.domain, a.domain) != 0;
        }
    a.sender_differs = differs;
    *ret = a;
}

void author_address(const struct header_view *v, char out[ADDRESS_MAX])
{
    char spec[ADDRESS_CANONICAL_MAX];
    struct author_verdict a;
    struct address_item item;
    size_t at, plus;

    out[0] = '\0';
    author_read(v, &a);
    if (a.fault != AUTHOR_OK)
        return;
    const struct slice value = header_field_value(v->s, header_find(v, "From"));
    struct address_reader r = {.s = value.data, .len = value.len};
    while (address_read(&r, &item))
        if (item.domain.data && address_canonical(&item, spec)) {
            if (address_normalize(spec, strlen(spec), out, &at, &plus) != OK)
                out[0] = '\0';
            return;
        }
}
