/* The gate's look at an outer header block: every field on the allow-list, at most once, its value within its grammar.
 * Nothing is repaired. */
#include "server/format/outer.h"

#include <stdbool.h>
#include <string.h>

#include "server/mail/address.h"
#include "server/mail/date.h"
#include "server/mail/header.h"
#include "server/mail/message_id.h"
#include "server/mail/token.h"
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

struct context {
    bool sealed;
    enum header_policy policy;
};

static bool is(struct slice v, const char *text)
{
    return v.len == strlen(text) && !memcmp(v.data, text, v.len);
}

static bool date_ok(const struct context *c, struct slice v)
{
    if (c->policy == POLICY_BASELINE)
        return date_valid(v.data, v.len);
    if (!date_is_utc(v.data, v.len))
        return false;
    return c->policy != POLICY_HIDDEN || !memcmp(v.data + v.len - 11, "00:00", 5); /* whole hours */
}

static bool addresses_ok(const struct context *c, struct slice v)
{
    switch (c->policy) {
    case POLICY_HIDDEN: return is(v, HIDDEN_ADDRESS);
    case POLICY_SHY: return address_bare_list_valid(v.data, v.len);
    case POLICY_BASELINE: return address_list_valid(v.data, v.len);
    }
    return false;
}

/* Fields that would name a correspondent once more. */
static bool more_addresses_ok(const struct context *c, struct slice v)
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

static bool ids_ok(const struct context *c, struct slice v)
{
    bool ok = message_id_list_valid(v.data, v.len);
    if (ok && c->policy == POLICY_HIDDEN)
        message_id_each(v.data, v.len, check_pseudonym, &ok);
    return ok;
}

static bool id_ok(const struct context *c, struct slice v)
{
    return message_id_valid(v.data, v.len) && ids_ok(c, v);
}

/* Who got a blind copy is as the sender wrote it, or not there. */
static bool bcc_ok(const struct context *c, struct slice v)
{
    return c->policy == POLICY_BASELINE && addresses_ok(c, v);
}

static bool subject_ok(const struct context *c, struct slice v)
{
    return c->sealed || c->policy == POLICY_HIDDEN ? is(v, "[...]") : true;
}

static bool sealed_by_ok(const struct context *c, struct slice v)
{
    static const char tail[] = "; v=1";
    size_t n = sizeof(tail) - 1;
    return c->sealed && v.len > n && !memcmp(v.data + v.len - n, tail, n) && address_domain_valid(v.data, v.len - n);
}

static const struct field {
    const char *name;
    bool (*ok)(const struct context *c, struct slice v);
    const char *why;
} fields[] = {
    {"Date", date_ok, "Date is not as the policy has it"},
    {"From", addresses_ok, "From is not as the policy has it"},
    {"Sender", more_addresses_ok, "Sender is not as the policy has it"},
    {"Reply-To", more_addresses_ok, "Reply-To is not as the policy has it"},
    {"To", addresses_ok, "To is not as the policy has it"},
    {"Cc", more_addresses_ok, "Cc is not as the policy has it"},
    {"Bcc", bcc_ok, "Bcc is not as the policy has it"},
    {"Subject", subject_ok, "Subject is not as the policy has it"},
    {"Message-ID", id_ok, "Message-ID is not an id"},
    {"In-Reply-To", ids_ok, "In-Reply-To is not a list of ids"},
    {"References", ids_ok, "References is not a list of ids"},
    {"Sealed-By", sealed_by_ok, "Sealed-By does not belong here or is malformed"},
};
enum { FIELDS = sizeof(fields) / sizeof(*fields), DATE = 0, SUBJECT = 7, SEALED_BY = 11 };

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_REFUSED;
}

bool outer_policy_valid(uint8_t policy)
{
    return (policy & ~POLICY_DISPLAY) <= POLICY_HIDDEN;
}

/* Index in fields of one that stands as it must: "Name: value" and CRLF. FIELDS: it is not on the list. */
static size_t find_field(const uint8_t *s, const struct header_field *f, struct slice *ret_value)
{
    size_t k = 0;
    for (; k < FIELDS; k++)
        if (f->name_len == strlen(fields[k].name) && !memcmp(s + f->offset, fields[k].name, f->name_len))
            break;
    struct slice v = header_field_value(s, f);
    if (f->blank || v.len < 4 || v.data[0] != ' ')
        return FIELDS;
    *ret_value = slice_of(v.data + 1, v.len - 3);
    return k;
}

/* One field; marks it in *seen. OK or ERR_REFUSED. */
static int check_field(const struct context *c, const uint8_t *s, const struct header_field *f, unsigned *seen,
                       const char **ret_why)
{
    struct slice v;
    if (f->len < 2 || memcmp(s + f->offset + f->len - 2, "\r\n", 2))
        return refuse(ret_why, "a field that does not end in CRLF");
    size_t k = find_field(s, f, &v);
    if (k == FIELDS)
        return refuse(ret_why, "a field that is not on the list");
    if (*seen & 1u << k)
        return refuse(ret_why, "a field twice");
    *seen |= 1u << k;
    if (!header_value_valid(v.data, v.len, f->name_len + 2, HEADER_LINE_MAX) || token_is_space(v.data[0]))
        return refuse(ret_why, "a line with octets or folds that no header has");
    return fields[k].ok(c, v) ? OK : refuse(ret_why, fields[k].why);
}

int outer_check(const uint8_t *outer, size_t len, uint8_t kind, uint8_t policy, const char **ret_why)
{
    struct context c = {.sealed = kind == MESSAGE_SERVER_SEALED,
                        .policy = (enum header_policy)(policy & ~POLICY_DISPLAY)};
    struct header_field f;
    unsigned seen = 0;
    if (kind < MESSAGE_SERVER_SEALED || kind > MESSAGE_CLIENT || !outer_policy_valid(policy))
        return refuse(ret_why, "unknown kind or policy");
    if (len > OUTER_MAX)
        return refuse(ret_why, "outer header too long");
    for (size_t pos = 0; pos < len;) {
        enum header_line line = header_next(outer, len, &pos, &f);
        if (line == HEADER_EMPTY)
            return refuse(ret_why, "an empty line");
        if (line != HEADER_FIELD)
            return refuse(ret_why, "a line that is no field");
        int err = check_field(&c, outer, &f, &seen, ret_why);
        if (err != OK)
            return err;
    }
    if (!(seen & 1u << DATE))
        return refuse(ret_why, "no Date");
    if (c.sealed && (!(seen & 1u << SUBJECT) || !(seen & 1u << SEALED_BY)))
        return refuse(ret_why, "a server's seal without Subject and Sealed-By");
    return OK;
}
