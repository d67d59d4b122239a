/* The gate's look at an outer header block: every field on the allow-list, at most once, its value within its grammar.
 * Nothing is repaired. */
#include "server/format/outer.h"

#include <stdbool.h>
#include <string.h>

#include "server/mail/address.h"
#include "server/mail/date.h"
#include "server/mail/header.h"
#include "server/mail/message_id.h"
#include "server/core/error.h"

static const char *const policies[] = {"shy", "baseline", "hidden"};

int header_policy_parse(const char *name, enum header_policy *ret)
{
    for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++)
        if (!strcmp(name, policies[i])) {
            *ret = (enum header_policy)i;
            return OK;
        }
    return ERR_NOT_FOUND;
}

const char *header_policy_name(enum header_policy p)
{
    return (size_t)p < sizeof(policies) / sizeof(*policies) ? policies[p] : "?";
}

struct value {
    const uint8_t *s;
    size_t len;
};
struct context {
    bool sealed;
    enum header_policy policy;
};

static bool is(struct value v, const char *text)
{
    return v.len == strlen(text) && !memcmp(v.s, text, v.len);
}

static bool date_ok(const struct context *c, struct value v)
{
    if (c->policy == POLICY_BASELINE)
        return date_valid(v.s, v.len);
    if (!date_is_utc(v.s, v.len))
        return false;
    return c->policy != POLICY_HIDDEN || !memcmp(v.s + v.len - 11, "00:00", 5); /* whole hours */
}

static bool addresses_ok(const struct context *c, struct value v)
{
    switch (c->policy) {
    case POLICY_HIDDEN: return is(v, HIDDEN_ADDRESS);
    case POLICY_SHY: return address_bare_list_valid(v.s, v.len);
    case POLICY_BASELINE: return address_list_valid(v.s, v.len);
    }
    return false;
}

/* Fields that would name a correspondent once more. */
static bool more_addresses_ok(const struct context *c, struct value v)
{
    return c->policy != POLICY_HIDDEN && addresses_ok(c, v);
}

/* "p1." and the URL-safe alphabet of base64, then a domain: server/format/pseudonym.c */
static bool pseudonym(const uint8_t *s, size_t len)
{
    const uint8_t *at = memchr(s, '@', len);
    if (len < 10 || memcmp(s, "<p1.", 4) || !at || at < s + 4 + 64)
        return false;
    for (const uint8_t *p = s + 4; p < at; p++)
        if (!(*p >= '0' && *p <= '9') && !((*p | 32) >= 'a' && (*p | 32) <= 'z') && *p != '-' && *p != '_')
            return false;
    return address_domain_valid(at + 1, (size_t)(s + len - 1 - (at + 1)));
}

static int check_pseudonym(void *arg, const uint8_t *id, size_t len)
{
    bool *ok = arg;
    *ok = pseudonym(id, len);
    return !*ok;
}

static bool ids_ok(const struct context *c, struct value v)
{
    bool ok = message_id_list_valid(v.s, v.len);
    if (ok && c->policy == POLICY_HIDDEN)
        message_id_each(v.s, v.len, check_pseudonym, &ok);
    return ok;
}

static bool id_ok(const struct context *c, struct value v)
{
    return message_id_valid(v.s, v.len) && ids_ok(c, v);
}

static bool subject_ok(const struct context *c, struct value v)
{
    return c->sealed || c->policy == POLICY_HIDDEN ? is(v, "[...]") : true;
}

static bool sealed_by_ok(const struct context *c, struct value v)
{
    static const char tail[] = "; v=1";
    size_t n = sizeof(tail) - 1;
    return c->sealed && v.len > n && !memcmp(v.s + v.len - n, tail, n) && address_domain_valid(v.s, v.len - n);
}

static const struct field {
    const char *name;
    bool (*ok)(const struct context *c, struct value v);
    const char *why;
} fields[] = {
    {"Date", date_ok, "Date is not as the policy has it"},
    {"From", addresses_ok, "From is not as the policy has it"},
    {"Sender", more_addresses_ok, "Sender is not as the policy has it"},
    {"Reply-To", more_addresses_ok, "Reply-To is not as the policy has it"},
    {"To", addresses_ok, "To is not as the policy has it"},
    {"Cc", more_addresses_ok, "Cc is not as the policy has it"},
    {"Subject", subject_ok, "Subject is not as the policy has it"},
    {"Message-ID", id_ok, "Message-ID is not an id"},
    {"In-Reply-To", ids_ok, "In-Reply-To is not a list of ids"},
    {"References", ids_ok, "References is not a list of ids"},
    {"Sealed-By", sealed_by_ok, "Sealed-By does not belong here or is malformed"},
};
enum { FIELDS = sizeof(fields) / sizeof(*fields), DATE = 0, SUBJECT = 6, SEALED_BY = 10 };

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_REFUSED;
}

/* The field at s with its folds, without the last CRLF; 0: it does not end in CRLF. */
static size_t field_len(const uint8_t *s, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (s[i] == '\r' && s[i + 1] == '\n' && (i + 2 == len || (s[i + 2] != ' ' && s[i + 2] != '\t')))
            return i;
    return 0;
}

bool outer_policy_valid(uint8_t policy)
{
    return (policy & ~POLICY_DISPLAY) <= POLICY_HIDDEN;
}

int outer_check(const uint8_t *outer, size_t len, uint8_t kind, uint8_t policy, const char **ret_why)
{
    struct context c = {.sealed = kind == MESSAGE_SERVER_SEALED,
                        .policy = (enum header_policy)(policy & ~POLICY_DISPLAY)};
    unsigned seen = 0;
    if (kind < MESSAGE_SERVER_SEALED || kind > MESSAGE_CLIENT || !outer_policy_valid(policy))
        return refuse(ret_why, "unknown kind or policy");
    if (len > OUTER_MAX)
        return refuse(ret_why, "outer header too long");
    for (size_t i = 0; i < len;) {
        size_t n = field_len(outer + i, len - i), k = 0;
        const uint8_t *s = outer + i;
        if (!n)
            return refuse(ret_why, "a field that does not end in CRLF, or an empty line");
        for (; k < FIELDS; k++) {
            size_t name = strlen(fields[k].name);
            if (n > name + 2 && !memcmp(s, fields[k].name, name) && s[name] == ':' && s[name + 1] == ' ')
                break;
        }
        if (k == FIELDS)
            return refuse(ret_why, "a field that is not on the list");
        if (seen & 1u << k)
            return refuse(ret_why, "a field twice");
        seen |= 1u << k;
        size_t name = strlen(fields[k].name) + 2;
        struct value v = {s + name, n - name};
        if (!header_value_valid(v.s, v.len, name, HEADER_LINE_MAX) || v.s[0] == ' ' || v.s[0] == '\t' || v.s[0] == '\r')
            return refuse(ret_why, "a line with octets or folds that no header has");
        if (!fields[k].ok(&c, v))
            return refuse(ret_why, fields[k].why);
        i += n + 2;
    }
    if (!(seen & 1u << DATE))
        return refuse(ret_why, "no Date");
    if (c.sealed && (!(seen & 1u << SUBJECT) || !(seen & 1u << SEALED_BY)))
        return refuse(ret_why, "a server's seal without Subject and Sealed-By");
    return OK;
}
