/* Both ends of the channel between askers and `resolver`; neither believes the other. */
#include "server/dns/message.h"

#include <string.h>

#include "server/core/error.h"

enum { NAME_TEXT_MAX = 253, LABEL_MAX = 63 };

/* What a record of each type has. */
static const struct shape {
    uint16_t type;
    bool has_name;
    size_t data_min, data_max;
} shapes[] = {
    {DNS_A, false, 4, 4},
    {DNS_NS, true, 0, 0},
    {DNS_PTR, true, 0, 0},
    {DNS_MX, true, 0, 0},
    {DNS_AAAA, false, 16, 16},
    {DNS_SRV, true, 2, 2},
    {DNS_TXT, false, 0, DNS_ANSWER_MAX},
    {DNS_TLSA, false, 1, DNS_ANSWER_MAX},
    {DNS_OPENPGPKEY, false, 1, DNS_ANSWER_MAX},
    {DNS_CAA, true, 0, DNS_ANSWER_MAX},
};

static const struct shape *shape_of(unsigned type)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

bool dns_type_known(unsigned type)
{
    return shape_of(type) != NULL;
}

static bool is_of_name(char c)
{
    return c >= ' ' && c <= '~' && !(c >= 'A' && c <= 'Z');
}

static bool is_of_host(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '/';
}

static bool labels_valid(const char *name, bool (*is_of)(char c))
{
    size_t label = 0, i = 0;

    for (;; i++) {
        char c = name[i];

        if (c == '.' || c == '\0') {
            if (label == 0 || label > LABEL_MAX)
                return false;
            if (c == '\0')
                return i <= NAME_TEXT_MAX;
            label = 0;
        } else if (is_of(c))
            label++;
        else
            return false;
    }
}

bool dns_name_valid(const char *name)
{
    return labels_valid(name, is_of_name);
}

bool dns_host_valid(const char *name)
{
    return labels_valid(name, is_of_host);
}

void dns_space_clear(struct dns_space *s)
{
    s->answer = (struct dns_answer){.v = s->v};
    s->used = 0;
}

const uint8_t *dns_space_put(struct dns_space *s, const void *data, size_t len)
{
    uint8_t *at = s->octets + s->used;

    if (len > sizeof(s->octets) - s->used)
        return NULL;
    if (len)
        memcpy(at, data, len);
    s->used += len;
    return at;
}

const char *dns_space_text(struct dns_space *s, const char *text)
{
    return (const char *)dns_space_put(s, text, strlen(text) + 1);
}

void dns_answer_pack(struct pack *p, enum dns_type type, const struct dns_answer *a)
{
    pack_u16(p, (uint16_t)type);
    pack_u8(p, a->trust == DNS_SECURE);
    pack_u8(p, a->exists);
    pack_u32(p, a->ttl);
    pack_str(p, a->canonical);
    pack_u16(p, (uint16_t)a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->v[i];

        pack_u16(p, r->preference);
        pack_u8(p, r->usage);
        pack_u8(p, r->selector);
        pack_u8(p, r->matching);
        pack_str(p, r->name ? r->name : "");
        pack_bytes(p, r->data.data, r->data.len);
    }
}

/* A record's: the root too. */
static int unpack_host(struct unpack *u, struct dns_space *s, const char **ret)
{
    char name[NAME_TEXT_MAX + 1];

    unpack_str(u, name, sizeof(name));
    if (u->failed || !(dns_host_valid(name) || !*name))
        return ERR_FORMAT;
    *ret = dns_space_text(s, name);
    return *ret ? OK : ERR_LIMIT;
}

static int unpack_canonical(struct unpack *u, struct dns_space *s, const char **ret)
{
    char name[NAME_TEXT_MAX + 1];

    unpack_str(u, name, sizeof(name));
    if (u->failed || !dns_name_valid(name))
        return ERR_FORMAT;
    *ret = dns_space_text(s, name);
    return *ret ? OK : ERR_LIMIT;
}

static int unpack_record(struct unpack *u, const struct shape *shape, struct dns_space *s, struct dns_record *r)
{
    int err = OK;
    uint32_t none = 0;

    *r = (struct dns_record){.preference = unpack_u16(u)};
    r->usage = unpack_u8(u);
    r->selector = unpack_u8(u);
    r->matching = unpack_u8(u);
    if (shape->has_name)
        err = unpack_host(u, s, &r->name);
    else
        none = unpack_u32(u);
    if (err != OK)
        return err;
    r->data = unpack_bytes(u, DNS_ANSWER_MAX);
    if (u->failed || none || r->data.len < shape->data_min || r->data.len > shape->data_max)
        return ERR_FORMAT;
    if ((r->preference && shape->type != DNS_MX && shape->type != DNS_SRV) ||
        (r->usage && shape->type != DNS_TLSA && shape->type != DNS_CAA) ||
        ((r->selector || r->matching) && shape->type != DNS_TLSA) || (shape->type == DNS_CAA && !*r->name))
        return ERR_FORMAT;
    r->data.data = dns_space_put(s, r->data.data, r->data.len);
    return r->data.data ? OK : ERR_LIMIT;
}

int dns_answer_unpack(struct unpack *u, enum dns_type type, struct dns_space *s)
{
    const struct shape *shape = shape_of(unpack_u16(u));
    uint8_t trust = unpack_u8(u), exists = unpack_u8(u);
    int err;

    dns_space_clear(s);
    s->answer.ttl = unpack_u32(u);
    if (u->failed || !shape || shape->type != type || trust > 1 || exists > 1)
        return ERR_FORMAT;
    s->answer.trust = trust ? DNS_SECURE : DNS_INSECURE;
    s->answer.exists = exists;
    err = unpack_canonical(u, s, &s->answer.canonical);
    s->answer.n = unpack_u16(u);
    if (err == OK && (u->failed || s->answer.n > DNS_RECORDS_MAX || (s->answer.n && !exists)))
        err = ERR_FORMAT;
    for (uint32_t i = 0; err == OK && i < s->answer.n; i++) {
        err = unpack_record(u, shape, s, &s->v[i]);
        if (err == OK && i && s->v[i].preference < s->v[i - 1].preference)
            err = ERR_FORMAT; /* they come sorted */
    }
    return err != OK || unpack_done(u) ? err : ERR_FORMAT;
}
