#include "server/mailauth/iprev.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mail/address.h"

enum { REVERSED_CAP = 80 };

struct iprev_address iprev_address_of(const uint8_t *octets, bool six)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const bool is_mapped = six && memcmp(octets, mapped, sizeof(mapped)) == 0;

    return is_mapped ? (struct iprev_address){octets + sizeof(mapped), false} : (struct iprev_address){octets, six};
}

static size_t size_of(struct iprev_address a)
{
    return a.six ? 16 : 4;
}

enum records_type iprev_host_type(struct iprev_address a)
{
    return a.six ? RECORDS_AAAA : RECORDS_A;
}

/* ---- the names behind it ---- */

/* RFC 1035 section 3.5, RFC 3596 section 2.5. */
static void reverse(struct iprev_address a, char out[REVERSED_CAP])
{
    size_t at = 0;

    for (size_t i = size_of(a); i--;)
        at += (size_t)snprintf(out + at, REVERSED_CAP - at, a.six ? "%x.%x." : "%u.",
                               a.six ? a.octets[i] & 0xfU : a.octets[i], (unsigned)a.octets[i] >> 4);
    snprintf(out + at, REVERSED_CAP - at, a.six ? "ip6.arpa" : "in-addr.arpa");
}

const struct records_answer *iprev_names(struct records *r, struct iprev_address a)
{
    char name[REVERSED_CAP];

    reverse(a, name);
    return records_get(r, RECORDS_PTR, name);
}

static bool leads_back(const struct records_answer *hosts, struct iprev_address a)
{
    for (size_t i = 0; i < hosts->n; i++)
        if (memcmp(hosts->v[i].data.data, a.octets, size_of(a)) == 0)
            return true;
    return false;
}

static size_t looked_at(const struct records_answer *names)
{
    return names->n < IPREV_NAMES_MAX ? names->n : IPREV_NAMES_MAX;
}

/* All at once. */
static bool hosts_are_there(struct records *r, struct iprev_address a, const struct records_answer *names)
{
    bool there = names != NULL;

    for (size_t i = 0; names && i < looked_at(names); i++)
        there &= records_get(r, iprev_host_type(a), names->v[i].name) != NULL;
    return there;
}

bool iprev_each(struct records *r, struct iprev_address a, bool (*fn)(void *arg, const char *name), void *arg,
                bool *ret_waits)
{
    const struct records_answer *names = iprev_names(r, a);

    *ret_waits = !hosts_are_there(r, a, names);
    for (size_t i = 0; !*ret_waits && i < looked_at(names); i++)
        if (leads_back(records_get(r, iprev_host_type(a), names->v[i].name), a) && fn(arg, names->v[i].name))
            return true;
    return false;
}

/* ---- what the name looks like ---- */

/* The number at *s, which moves behind it, in decimal; false: there is none. */
static bool next_number(const char **s, unsigned *ret)
{
    unsigned n = 0;

    while (**s && (**s < '0' || **s > '9'))
        (*s)++;
    if (!**s)
        return false;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        n = n < 1000 ? n * 10 + (unsigned)(**s - '0') : n;
    *ret = n;
    return true;
}

/* Its four octets follow each other, forwards or backwards: pool-192-0-2-1, 1.2.0.192.dsl. */
static bool has_octets(const char *name, const uint8_t octets[4])
{
    unsigned last[4] = {1000, 1000, 1000, 1000}, n;

    while (next_number(&name, &n)) {
        memmove(last, last + 1, 3 * sizeof(*last));
        last[3] = n;
        bool forwards = true, backwards = true;
        for (size_t i = 0; i < 4; i++) {
            forwards &= last[i] == octets[i];
            backwards &= last[i] == octets[3 - i];
        }
        if (forwards || backwards)
            return true;
    }
    return false;
}

/* Of IPv4 all of it in hexadecimal, of IPv6 the lower half, however it is parted. */
static bool has_digits(const char *name, struct iprev_address a)
{
    const uint8_t *octets = a.six ? a.octets + 8 : a.octets;
    char digits[17], plain[RECORDS_NAME_CAP];
    size_t n = 0, at = 0;

    for (size_t i = 0; i < (a.six ? 8U : 4U); i++)
        at += (size_t)snprintf(digits + at, sizeof(digits) - at, "%02x", octets[i]);
    for (; *name && n < sizeof(plain) - 1; name++)
        if (*name != '-' && *name != '.')
            plain[n++] = *name;
    plain[n] = '\0';
    return strstr(plain, digits) != NULL;
}

/* ---- verdicts ---- */

int iprev_check(struct iprev_address a, struct records *r, struct iprev_verdict *ret)
{
    const struct records_answer *names = iprev_names(r, a), *hosts;
    struct iprev_verdict v = {.result = AUTH_FAIL};

    if (!hosts_are_there(r, a, names))
        return ERR_AGAIN;
    if (names->err != OK || names->n == 0)
        v.result = names->err != OK ? AUTH_TEMPERROR : AUTH_PERMERROR; /* RFC 8601 section 2.7.3 */
    for (size_t i = 0; i < looked_at(names) && v.result != AUTH_PASS; i++) {
        hosts = records_get(r, iprev_host_type(a), names->v[i].name);
        if (hosts->err != OK)
            v.result = AUTH_TEMPERROR;
        else if (leads_back(hosts, a))
            v.result = AUTH_PASS;
        if (i == 0 || v.result == AUTH_PASS)
            snprintf(v.name, sizeof(v.name), "%s", names->v[i].name);
    }
    v.generic = (!a.six && has_octets(v.name, a.octets)) || has_digits(v.name, a);
    *ret = v;
    return OK;
}

static enum helo_form form_of(const char *helo, uint8_t octets[16], bool *ret_six)
{
    const uint8_t *s = (const uint8_t *)helo;
    size_t len = strlen(helo);

    if (len && address_literal_read(s, len, octets, ret_six) == len)
        return HELO_LITERAL;
    len -= len && s[len - 1] == '.';
    if (!len || address_domain_len(s, len, ADDRESS_ENVELOPE) != len || !records_name_valid(helo))
        return HELO_WRONG;
    return memchr(s, '.', len) ? HELO_NAME : HELO_SHORT;
}

int helo_check(struct iprev_address a, const char *helo, const char *own, struct records *r, struct helo_verdict *ret)
{
    uint8_t octets[16];
    bool six;
    struct helo_verdict v = {.form = form_of(helo, octets, &six)};
    const struct records_answer *hosts;
    size_t n = strlen(own);

    if (v.form == HELO_LITERAL) {
        struct iprev_address said = iprev_address_of(octets, six);
        v.result = said.six == a.six && memcmp(said.octets, a.octets, size_of(a)) == 0 ? AUTH_PASS : AUTH_FAIL;
    } else if (v.form == HELO_NAME) {
        hosts = records_get(r, iprev_host_type(a), helo);
        if (!hosts)
            return ERR_AGAIN;
        v.result = hosts->err != OK ? AUTH_TEMPERROR : leads_back(hosts, a) ? AUTH_PASS : AUTH_FAIL;
    }
    v.ours = n && strncasecmp(helo, own, n) == 0 && (!helo[n] || strcmp(helo + n, ".") == 0);
    *ret = v;
    return OK;
}
