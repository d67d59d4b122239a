/* Addresses in the log. See log_name.h. */
#include "server/format/log_name.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"

_Static_assert((int)ADDRESS_MAX <= (int)LOG_NAME_MAX, "a normal form fits");

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* What an SMTP client may write for it in its plainest form; what is no address as it is. */
static size_t plainest(const char *given, size_t len, char out[LOG_NAME_MAX])
{
    size_t used;
    int err = address_envelope_read((const uint8_t *)given, len, out, LOG_NAME_MAX, &used);

    if (err == OK && used == len)
        return strlen(out);
    len = len < LOG_NAME_MAX ? len : LOG_NAME_MAX;
    memcpy(out, given, len);
    return len;
}

static void spell_address(const char *given, size_t len, struct log_name *ret)
{
    char plain[LOG_NAME_MAX], normal[ADDRESS_MAX];
    size_t n = plainest(given, len, plain), at = n, plus = 0;

    if (address_normalize(plain, n, normal, &at, &plus) == OK) {
        ret->len = strlen(normal);
        memcpy(ret->text, normal, ret->len);
    } else {
        const char *last = memrchr(plain, '@', n);

        at = last ? (size_t)(last - plain) : n;
        for (size_t i = 0; i < n; i++)
            ret->text[i] = lower(plain[i]);
        ret->len = n;
    }
    ret->domain = at;
    if (!plus)
        return;
    memcpy(ret->base, ret->text, plus);
    memcpy(ret->base + plus, ret->text + at, ret->len - at);
    ret->base_len = plus + ret->len - at;
}

void log_name_spell(const char *given, size_t len, struct log_name *ret)
{
    char domain[DOMAIN_CAP];

    ret->len = ret->base_len = ret->domain = 0;
    if (len > 0 && given[0] == '<') { /* by itself too: what is refused often lacks the other one */
        given++;
        len--;
    }
    len -= len > 0 && given[len - 1] == '>';
    if (len > 1 && given[0] == '@' && address_domain_normalize(given + 1, len - 1, domain) == OK) {
        ret->text[0] = '@';
        ret->len = 1 + strlen(domain);
        memcpy(ret->text + 1, domain, ret->len - 1);
        return;
    }
    spell_address(given, len, ret);
}

void log_name_hash(const struct record_keys *k, const uint8_t salt[LOG_NAME_SALT_SIZE], enum log_name_side side,
                   const char *text, size_t len, uint8_t out[RECORD_HASH_SIZE])
{
    const struct record_part parts[] = {{salt, LOG_NAME_SALT_SIZE}, {text, len}};

    record_hash(k, RECORD_LOG, (uint64_t)side, parts, 2, out);
}
