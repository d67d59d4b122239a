#include "server/resolver/answer.h"

#include <string.h>

#include "server/core/error.h"

enum {
    HEADER_SIZE = 12,
    NXDOMAIN = 3,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    CLASS_IN = 1,
    POINTER = 0xc0, /* RFC 1035 section 4.1.4 */
    WIRE_NAME_MAX = 255,
    ALIASES_MAX = 16,
    TTL_MAX = 86400,
    TTL_NONE = 60, /* of "no such records" without an SOA to say it */
};

/* A name as text. What nobody can ask for is odd, and equals no name that was asked for. */
struct name {
    char text[WIRE_NAME_MAX + 1];
    bool odd;
};

struct rr {
    struct name owner;
    uint16_t type, class;
    uint32_t ttl;
    size_t data, len; /* place and length of its data */
};

struct reader {
    const uint8_t *wire;
    size_t len;
    size_t answers, first; /* how many records answer, and where they begin */
    size_t authorities;
};

static uint16_t u16_at(const struct reader *r, size_t at)
{
    return (uint16_t)(r->wire[at] << 8 | r->wire[at + 1]);
}

static uint32_t u32_at(const struct reader *r, size_t at)
{
    return (uint32_t)u16_at(r, at) << 16 | u16_at(r, at + 2);
}

/* Puts a label and its dot behind the name. */
static bool put_label(struct name *n, size_t *used, const uint8_t *label, size_t len)
{
    if (*used + len + 1 > WIRE_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = label[i];
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        n->odd |= c == '.'; /* would read as another name */
        n->text[(*used)++] = (char)(c ? c : '?');
        n->odd |= c == 0;
    }
    n->text[(*used)++] = '.';
    return true;
}

/* The name at *at, which ends where its own octets end. A pointer leads back, before the octets that it ends, so there
 * are no loops. */
static int read_name(const struct reader *r, size_t *at, struct name *ret)
{
    size_t pos = *at, begin = *at, used = 0;
    bool jumped = false;

    ret->odd = false;
    for (;;) {
        size_t n;

        if (pos >= r->len)
            return ERR_FORMAT;
        n = r->wire[pos];
        if ((n & POINTER) == POINTER) {
            if (pos + 2 > r->len)
                return ERR_FORMAT;
            n = u16_at(r, pos) & 0x3fff;
            if (!jumped)
                *at = pos + 2;
            jumped = true;
            if (n >= begin || n < HEADER_SIZE)
                return ERR_FORMAT;
            pos = begin = n;
            continue;
        }
        if (n & POINTER || pos + 1 + n > r->len)
            return ERR_FORMAT;
        if (n == 0)
            break;
        if (!put_label(ret, &used, r->wire + pos + 1, n))
            return ERR_FORMAT;
        pos += 1 + n;
    }
    if (!jumped)
        *at = pos + 1;
    ret->text[used ? used - 1 : 0] = '\0';
    ret->odd |= used && !dns_name_valid(ret->text);
    return OK;
}

static int read_rr(const struct reader *r, size_t *at, struct rr *ret)
{
    int err = read_name(r, at, &ret->owner);

    if (err != OK || r->len - *at < 10)
        return ERR_FORMAT;
    ret->type = u16_at(r, *at);
    ret->class = u16_at(r, *at + 2);
    ret->ttl = u32_at(r, *at + 4);
    if (ret->ttl > TTL_MAX)
        ret->ttl = ret->ttl & 0x80000000U ? 0 : TTL_MAX; /* RFC 2181 section 8 */
    ret->len = u16_at(r, *at + 8);
    ret->data = *at + 10;
    if (ret->len > r->len - ret->data)
        return ERR_FORMAT;
    *at = ret->data + ret->len;
    return OK;
}

static bool owned(const struct rr *rr, const char *name, unsigned type)
{
    return rr->type == type && rr->class == CLASS_IN && !rr->owner.odd && strcmp(rr->owner.text, name) == 0;
}

/* A name that is all of a record's data from at on. */
static int data_name(const struct reader *r, const struct rr *rr, size_t skip, struct name *ret)
{
    const struct reader part = {.wire = r->wire, .len = rr->data + rr->len};
    size_t at = rr->data + skip;
    int err = rr->len < skip ? ERR_FORMAT : read_name(&part, &at, ret);

    return err != OK || at == part.len ? err : ERR_FORMAT;
}

/* Follows aliases: name becomes the last one's. */
static int follow(const struct reader *r, char name[WIRE_NAME_MAX + 1], uint32_t *ttl)
{
    for (int hops = 0; hops < ALIASES_MAX; hops++) {
        size_t at = r->first, i;
        struct name target;
        struct rr rr;

        for (i = 0; i < r->answers; i++) {
            if (read_rr(r, &at, &rr) != OK)
                return ERR_FORMAT;
            if (owned(&rr, name, TYPE_CNAME))
                break;
        }
        if (i == r->answers)
            return OK;
        if (data_name(r, &rr, 0, &target) != OK || target.odd || !*target.text)
            return ERR_FORMAT;
        *ttl = rr.ttl < *ttl ? rr.ttl : *ttl;
        strcpy(name, target.text);
    }
    return ERR_FORMAT;
}

/* Each reads a record's data. ERR_FORMAT: it cannot be used. ERR_LIMIT: no room. */

static int put_data(struct dns_space *s, struct dns_record *ret, const uint8_t *data, size_t len)
{
    const uint8_t *at = dns_space_put(s, data, len);

    if (!at)
        return ERR_LIMIT;
    ret->data = slice_of(at, len);
    return OK;
}

static int read_address(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    if (rr->len != (rr->type == DNS_A ? 4U : 16U))
        return ERR_FORMAT;
    return put_data(s, ret, r->wire + rr->data, rr->len);
}

static bool host_name(const struct reader *r, const struct rr *rr, size_t skip, struct name *ret)
{
    return data_name(r, rr, skip, ret) == OK && !ret->odd && (!*ret->text || dns_host_valid(ret->text));
}

static int read_host(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    size_t skip = rr->type == DNS_MX ? 2 : 0;
    struct name name;

    if (!host_name(r, rr, skip, &name))
        return ERR_FORMAT;
    ret->preference = skip ? u16_at(r, rr->data) : 0;
    ret->name = dns_space_text(s, name.text);
    return ret->name ? OK : ERR_LIMIT;
}

/* Strings of a length and so many octets (RFC 1035 section 3.3.14), joined (RFC 7208 section 3.3). */
static int read_text(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    size_t end = rr->data + rr->len, before = s->used;

    for (size_t at = rr->data; at < end; at += 1U + r->wire[at]) {
        if (1U + r->wire[at] > end - at) {
            s->used = before;
            return ERR_FORMAT;
        }
        if (!dns_space_put(s, r->wire + at + 1, r->wire[at]))
            return ERR_LIMIT;
    }
    ret->data = slice_of(s->octets + before, s->used - before);
    return OK;
}

static int read_tlsa(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    const uint8_t *p = r->wire + rr->data;

    if (rr->len < 4)
        return ERR_FORMAT;
    ret->usage = p[0];
    ret->selector = p[1];
    ret->matching = p[2];
    return put_data(s, ret, p + 3, rr->len - 3);
}

/* All of it is the certificate (RFC 7929 section 2.1). */
static int read_openpgpkey(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    return rr->len ? put_data(s, ret, r->wire + rr->data, rr->len) : ERR_FORMAT;
}

/* Flags, the tag's length, the tag, the value (RFC 8659 section 4.1). */
static int read_caa(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    const uint8_t *p = r->wire + rr->data;
    char tag[UINT8_MAX + 1];
    size_t n = rr->len < 2 ? 0 : p[1];

    if (n == 0 || n > rr->len - 2U)
        return ERR_FORMAT;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[2 + i];

        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return ERR_FORMAT;
        tag[i] = (char)c;
    }
    tag[n] = '\0';
    if (!dns_host_valid(tag)) /* the channel takes it for a name: no tag is so long */
        return ERR_FORMAT;
    ret->usage = p[0];
    ret->name = dns_space_text(s, tag);
    return ret->name ? put_data(s, ret, p + 2 + n, rr->len - 2 - n) : ERR_LIMIT;
}

/* Priority, weight, port, target (RFC 2782). Of those with one priority any will do here. */
static int read_service(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret)
{
    struct name name;

    if (rr->len < 7 || !host_name(r, rr, 6, &name))
        return ERR_FORMAT;
    ret->preference = u16_at(r, rr->data);
    ret->name = dns_space_text(s, name.text);
    return ret->name ? put_data(s, ret, r->wire + rr->data + 4, 2) : ERR_LIMIT;
}

static const struct form {
    uint16_t type;
    int (*read)(const struct reader *r, const struct rr *rr, struct dns_space *s, struct dns_record *ret);
} forms[] = {
    {DNS_A, read_address},   {DNS_AAAA, read_address},
    {DNS_MX, read_host},     {DNS_NS, read_host},
    {DNS_PTR, read_host},    {DNS_TXT, read_text},
    {DNS_TLSA, read_tlsa},   {DNS_CAA, read_caa},
    {DNS_SRV, read_service}, {DNS_OPENPGPKEY, read_openpgpkey},
};

static int read_records(const struct reader *r, enum dns_type type, const char *name, struct dns_space *s,
                        uint32_t *ttl, size_t *ret_end)
{
    const struct form *f = forms;
    size_t at = r->first;
    bool unusable = false;

    while (f->type != type)
        f++;
    for (size_t i = 0; i < r->answers; i++) {
        struct dns_record record = {0};
        struct rr rr;
        int err;

        if (read_rr(r, &at, &rr) != OK)
            return ERR_FORMAT;
        if (!owned(&rr, name, type))
            continue;
        err = f->read(r, &rr, s, &record);
        if (err == OK && s->answer.n == DNS_RECORDS_MAX)
            err = ERR_LIMIT;
        if (err == ERR_LIMIT)
            return err;
        unusable |= err != OK;
        if (err != OK)
            continue;
        *ttl = rr.ttl < *ttl ? rr.ttl : *ttl;
        s->v[s->answer.n++] = record;
    }
    *ret_end = at;
    return unusable && s->answer.n == 0 ? ERR_FORMAT : OK;
}

/* How long the want of records may be kept (RFC 2308 section 5). */
static uint32_t negative_ttl(const struct reader *r, size_t at)
{
    for (size_t i = 0; i < r->authorities; i++) {
        struct rr rr;
        uint32_t minimum;

        if (read_rr(r, &at, &rr) != OK)
            break;
        if (rr.type != TYPE_SOA || rr.len < 22)
            continue;
        minimum = u32_at(r, rr.data + rr.len - 4);
        return minimum < rr.ttl ? minimum : rr.ttl;
    }
    return TTL_NONE;
}

static int read_head(struct reader *r, bool *ret_exists)
{
    size_t at = HEADER_SIZE, questions;
    struct name name;
    unsigned code;

    if (r->len < HEADER_SIZE || !(r->wire[2] & 0x80))
        return ERR_FORMAT;
    code = r->wire[3] & 0xf;
    if (code != 0 && code != NXDOMAIN)
        return ERR_AGAIN;
    *ret_exists = code == 0;
    questions = u16_at(r, 4);
    r->answers = u16_at(r, 6);
    r->authorities = u16_at(r, 8);
    for (size_t i = 0; i < questions; i++) {
        if (read_name(r, &at, &name) != OK || r->len - at < 4)
            return ERR_FORMAT;
        at += 4;
    }
    r->first = at;
    return OK;
}

/* By preference, those alike as they came. */
static void sort(struct dns_space *s)
{
    for (uint32_t i = 1; i < s->answer.n; i++) {
        struct dns_record one = s->v[i];
        uint32_t to = i;

        for (; to > 0 && s->v[to - 1].preference > one.preference; to--)
            s->v[to] = s->v[to - 1];
        s->v[to] = one;
    }
}

int answer_read(const uint8_t *wire, size_t len, enum dns_type type, const char *name, struct dns_space *ret)
{
    struct reader r = {.wire = wire, .len = len};
    char last[WIRE_NAME_MAX + 1];
    uint32_t ttl = TTL_MAX;
    size_t end;
    bool exists;
    int err = read_head(&r, &exists);

    dns_space_clear(ret);
    strcpy(last, name);
    if (err == OK)
        err = follow(&r, last, &ttl);
    if (err == OK)
        err = read_records(&r, type, last, ret, &ttl, &end);
    if (err != OK)
        return err;
    if (ret->answer.n == 0 && ttl > negative_ttl(&r, end))
        ttl = negative_ttl(&r, end);
    sort(ret);
    ret->answer.exists = exists || ret->answer.n;
    ret->answer.ttl = ttl;
    ret->answer.canonical = dns_space_text(ret, last);
    return ret->answer.canonical ? OK : ERR_LIMIT;
}
