#include "server/mailauth/srs.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"

enum {
    DAY = 86400,
    DAYS_TURN = 1024, /* what two digits of base 32 count */
    HASH_LEN = 8,
    DAY_LEN = 2,
    PREFIX_LEN = 5, /* SRS0= */
    TEXT_MAX = 1024
};

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 section 6 */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* An address in two: a local part without quotes, and a domain in ASCII. */
struct parts {
    const char *local;
    size_t len;
    char domain[DOMAIN_CAP];
};

static bool is_atoms(const char *s, size_t len)
{
    return len > 0 && s[0] != '"' && address_local_len((const uint8_t *)s, len, ADDRESS_SMTP) == len;
}

static int part(const char *address, struct parts *ret)
{
    const char *at = strrchr(address, '@');

    if (!at || !is_atoms(address, (size_t)(at - address)))
        return ERR_FORMAT;
    ret->local = address;
    ret->len = (size_t)(at - address);
    return address_domain_normalize(at + 1, strlen(at + 1), ret->domain);
}

/* "SRS0" or "SRS1", and what separates it; who reads what others wrote takes three characters for that. */
static bool has_prefix(const char *local, size_t len, char which, bool own)
{
    return len >= PREFIX_LEN && strncasecmp(local, "SRS", 3) == 0 && local[3] == which &&
           (local[4] == '=' || (!own && (local[4] == '+' || local[4] == '-')));
}

bool srs_looks_so(const char *address)
{
    const size_t len = strlen(address);

    return has_prefix(address, len, '0', true) || has_prefix(address, len, '1', true);
}

/* Over which, the day or the three weeks, what stands behind it, and our domain; without regard to case. */
static int hash(const uint8_t *key, char which, uint64_t when, const char *rest, size_t len, const char *domain,
                char out[HASH_LEN + 1])
{
    char text[TEXT_MAX];
    uint8_t h[crypto_generichash_BYTES];
    uint64_t bits = 0;
    int n = snprintf(text, sizeof(text), "letterlock SRS%c %llu %.*s@%s", which, (unsigned long long)when, (int)len,
                     rest, domain);

    if (n < 0 || (size_t)n >= sizeof(text))
        return ERR_LIMIT;
    for (int i = 0; i < n; i++)
        text[i] = lower(text[i]);
    crypto_generichash(h, sizeof(h), (const uint8_t *)text, (size_t)n, key, SRS_KEY_SIZE);
    for (size_t i = 0; i < HASH_LEN * 5 / 8; i++)
        bits = bits << 8 | h[i];
    for (size_t i = HASH_LEN; i-- > 0; bits >>= 5)
        out[i] = digits[bits & 31];
    out[HASH_LEN] = '\0';
    return OK;
}

static bool is_hash(const char *said, const char *right)
{
    char folded[HASH_LEN];

    for (size_t i = 0; i < HASH_LEN; i++)
        folded[i] = said[i] >= 'a' && said[i] <= 'z' ? (char)(said[i] - 'a' + 'A') : said[i];
    return sodium_memcmp(folded, right, HASH_LEN) == 0;
}

/* ---- making ---- */

static int write(char which, const char *h, const char *rest, const char *domain, char out[ADDRESS_MAX])
{
    int n = snprintf(out, ADDRESS_MAX, "SRS%c=%s=%s@%s", which, h, rest, domain);

    if (n < 0 || n >= ADDRESS_MAX || strlen(rest) + PREFIX_LEN + HASH_LEN + 1 > SRS_LOCAL_MAX)
        return ERR_UNSUPPORTED;
    return OK;
}

static int make_first(const uint8_t *key, const char *domain, const struct parts *p, uint64_t day,
                      char out[ADDRESS_MAX])
{
    char rest[ADDRESS_MAX + DOMAIN_CAP], h[HASH_LEN + 1];
    int err;

    day %= DAYS_TURN;
    snprintf(rest, sizeof(rest), "%c%c=%s=%.*s", digits[day / 32], digits[day % 32], p->domain, (int)p->len, p->local);
    err = hash(key, '0', day, rest, strlen(rest), domain, h);
    return err == OK ? write('0', h, rest, domain, out) : ERR_UNSUPPORTED;
}

/* first: who will judge it; behind: what he wrote behind "SRS0", its separator included. */
static int make_again(const uint8_t *key, const char *domain, const char *first, size_t first_len, const char *behind,
                      size_t len, uint64_t day, char out[ADDRESS_MAX])
{
    char rest[ADDRESS_MAX + DOMAIN_CAP], h[HASH_LEN + 1];
    int err;

    snprintf(rest, sizeof(rest), "%.*s=%.*s", (int)first_len, first, (int)len, behind);
    err = hash(key, '1', day / SRS_DAYS, rest, strlen(rest), domain, h);
    return err == OK ? write('1', h, rest, domain, out) : ERR_UNSUPPORTED;
}

/* Of somebody's "SRS1=hash=first=behind": first and behind. */
static bool take_again(const char *local, size_t len, const char **ret_first, size_t *ret_first_len,
                       const char **ret_behind, size_t *ret_len)
{
    const char *end = local + len, *a = memchr(local + PREFIX_LEN, '=', len - PREFIX_LEN);
    const char *b = a ? memchr(a + 1, '=', (size_t)(end - a - 1)) : NULL;

    if (!b || b == a + 1 || b + 1 >= end || !strchr("=+-", b[1]))
        return false;
    *ret_first = a + 1;
    *ret_first_len = (size_t)(b - a - 1);
    *ret_behind = b + 1;
    *ret_len = (size_t)(end - b - 1);
    return true;
}

int srs_make(const uint8_t key[SRS_KEY_SIZE], const char *domain, const char *sender, uint64_t now,
             char out[ADDRESS_MAX])
{
    const uint64_t day = now / DAY;
    const char *first, *behind;
    size_t first_len, len;
    struct parts p;

    if (part(sender, &p) != OK)
        return ERR_UNSUPPORTED;
    if (strcmp(p.domain, domain) != 0 && has_prefix(p.local, p.len, '0', false))
        return make_again(key, domain, p.domain, strlen(p.domain), p.local + 4, p.len - 4, day, out);
    if (strcmp(p.domain, domain) != 0 && has_prefix(p.local, p.len, '1', false) &&
        take_again(p.local, p.len, &first, &first_len, &behind, &len))
        return make_again(key, domain, first, first_len, behind, len, day, out);
    return make_first(key, domain, &p, day, out);
}

/* ---- reading ---- */

static int digit(char c)
{
    const char *at = c ? strchr(digits, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Local part and domain to an address. */
static int join(const char *before, const char *local, size_t len, const char *domain, size_t domain_len,
                char out[ADDRESS_MAX])
{
    char normal[DOMAIN_CAP];
    int n;

    if (domain_len >= sizeof(normal) || address_domain_normalize(domain, domain_len, normal) != OK)
        return ERR_FORMAT;
    n = snprintf(out, ADDRESS_MAX, "%s%.*s@%s", before, (int)len, local, normal);
    return n > 0 && n < ADDRESS_MAX && is_atoms(out, (size_t)n - strlen(normal) - 1) ? OK : ERR_FORMAT;
}

/* rest: behind "SRS0=HASH=". */
static int open_first(const uint8_t *key, const char *domain, const char *said, const char *rest, size_t len,
                      uint64_t today, char out[ADDRESS_MAX])
{
    const int a = len > DAY_LEN ? digit(rest[0]) : -1, b = len > DAY_LEN ? digit(rest[1]) : -1;
    const char *equals = len > DAY_LEN + 1 ? memchr(rest + DAY_LEN + 1, '=', len - DAY_LEN - 1) : NULL;
    char h[HASH_LEN + 1];
    uint64_t day;

    if (a < 0 || b < 0 || rest[DAY_LEN] != '=' || !equals)
        return ERR_FORMAT;
    day = (uint64_t)(a * 32 + b);
    if (hash(key, '0', day, rest, len, domain, h) != OK || !is_hash(said, h))
        return ERR_FORMAT;
    if ((today + DAYS_TURN - day) % DAYS_TURN > SRS_DAYS) /* one of tomorrow's too */
        return ERR_FORMAT;
    return join("", equals + 1, (size_t)(rest + len - equals - 1), rest + DAY_LEN + 1,
                (size_t)(equals - rest - DAY_LEN - 1), out);
}

static int open_again(const uint8_t *key, const char *domain, const char *said, const char *rest, size_t len,
                      uint64_t today, char out[ADDRESS_MAX])
{
    const char *equals = memchr(rest, '=', len);
    const uint64_t now = today / SRS_DAYS;
    char h[2][HASH_LEN + 1];

    if (!equals || equals == rest || equals + 1 == rest + len)
        return ERR_FORMAT;
    if (hash(key, '1', now, rest, len, domain, h[0]) != OK || hash(key, '1', now - 1, rest, len, domain, h[1]) != OK ||
        (!is_hash(said, h[0]) && !is_hash(said, h[1])))
        return ERR_FORMAT;
    return join("SRS0", equals + 1, (size_t)(rest + len - equals - 1), rest, (size_t)(equals - rest), out);
}

int srs_open(const uint8_t key[SRS_KEY_SIZE], const char *domain, const char *address, uint64_t now,
             char out[ADDRESS_MAX])
{
    const size_t head = PREFIX_LEN + HASH_LEN + 1;
    const uint64_t today = now / DAY % DAYS_TURN;
    struct parts p;

    if (part(address, &p) != OK || strcmp(p.domain, domain) != 0 || p.len <= head || p.local[head - 1] != '=')
        return ERR_FORMAT;
    if (has_prefix(p.local, p.len, '0', true))
        return open_first(key, domain, p.local + PREFIX_LEN, p.local + head, p.len - head, today, out);
    if (has_prefix(p.local, p.len, '1', true))
        return open_again(key, domain, p.local + PREFIX_LEN, p.local + head, p.len - head, now / DAY, out);
    return ERR_FORMAT;
}
