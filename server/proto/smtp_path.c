/* The grammar of paths (RFC 5321 section 4.1.2; RFC 6531 section 3.3): what stands around a mailbox, whose own grammar
 * is in mail/address. What real clients write beyond it and Postfix takes, is taken (docs/operating.md, "What SMTP
 * clients may say"); the rest is refused. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/proto/smtp_engine.h"

static bool has_8bit(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)s[i] >= 0x80)
            return true;
    return false;
}

bool smtp_domain_valid(const uint8_t *text, size_t len, bool utf8_ok)
{
    return len > 0 && address_domain_len(text, len, ADDRESS_SMTP) == len && (utf8_ok || !has_8bit((char *)text, len));
}

bool smtp_literal_valid(const uint8_t *text, size_t len)
{
    return len > 0 && address_literal_len(text, len) == len;
}

/* A-d-l ":" - source routes must be accepted and are ignored (section 4.1.1.3 and appendix C). Octets, or 0 if
 * malformed. */
static size_t route_octets(const uint8_t *p, size_t len)
{
    size_t i = 0, n;

    for (;;) {
        if (i >= len || p[i] != '@')
            return 0;
        i++;
        n = address_domain_len(p + i, len - i, ADDRESS_ENVELOPE);
        if (n == 0 || i + n >= len)
            return 0;
        i += n;
        if (p[i] == ':')
            return i + 1;
        if (p[i] != ',')
            return 0;
        i++;
    }
}

int smtp_path_parse(const uint8_t *text, size_t len, bool null_ok, const char *postmaster_domain,
                    char out[SMTP_PATH_MAX], size_t *ret_used, bool *ret_utf8)
{
    char address[SMTP_PATH_MAX];
    const char *bare = "<postmaster>";
    size_t i = 1, n;
    int err = OK;

    if (len < 2 || text[0] != '<')
        return ERR_FORMAT;
    if (null_ok && text[1] == '>') {
        out[0] = '\0';
        *ret_used = 2;
        *ret_utf8 = false;
        return OK;
    }
    if (postmaster_domain && len >= strlen(bare) && strncasecmp((const char *)text, bare, strlen(bare)) == 0) {
        n = (size_t)snprintf(address, sizeof(address), "postmaster@%s", postmaster_domain); /* section 4.1.1.3 */
        err = n < sizeof(address) ? OK : ERR_LIMIT;
        i = strlen(bare) - 1;
    } else {
        if (text[i] == '@') {
            n = route_octets(text + i, len - i);
            if (n == 0)
                return ERR_FORMAT;
            i += n;
        }
        err = address_envelope_read(text + i, len - i, address, sizeof(address), &n);
        if (err == ERR_FORMAT)
            return err;
        i += n;
    }
    if (i >= len || text[i] != '>')
        return ERR_FORMAT;
    if (err != OK)
        return err;
    *ret_utf8 = has_8bit(address, strlen(address));
    *ret_used = i + 1;
    strcpy(out, address);
    return OK;
}
