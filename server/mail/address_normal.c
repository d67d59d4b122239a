/* Addresses of accounts: one spelling for each mailbox. */
#include <idn2.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/address.h"

enum { LOCAL_MAX = 64 /* RFC 5321 section 4.5.3.1.1 */, DOMAIN_MAX = 253 };
_Static_assert((int)(LOCAL_MAX + 1 + DOMAIN_MAX) < (int)ADDRESS_MAX && (int)DOMAIN_MAX < (int)DOMAIN_CAP,
               "a normal form fits");

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_ascii(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)s[i] >= 0x80)
            return false;
    return true;
}

/* The local part at the start of in, in lower case. *ret_used: octets of the input. */
static int local_normalize(const char *in, size_t len, char out[2 * LOCAL_MAX + 2], size_t *ret_len, size_t *ret_used)
{
    uint8_t plain[2 * LOCAL_MAX + 2];
    size_t used = address_local_len((const uint8_t *)in, len, ADDRESS_SMTP), n;
    if (!used || used > sizeof(plain))
        return ERR_FORMAT;
    n = address_local_plain((const uint8_t *)in, used, plain);
    for (size_t i = 0; i < n; i++)
        plain[i] = (uint8_t)lower((char)plain[i]);
    if (n > LOCAL_MAX)
        return ERR_FORMAT;
    n = address_local_write(plain, n, out);
    if (n > LOCAL_MAX)
        return ERR_FORMAT;
    *ret_len = n;
    *ret_used = used;
    return OK;
}

static int ascii_domain(const char *in, size_t len, char out[DOMAIN_CAP])
{
    if (!len || len > DOMAIN_MAX || !is_ascii(in, len) ||
        address_domain_len((const uint8_t *)in, len, ADDRESS_SMTP) != len)
        return ERR_FORMAT;
    for (size_t i = 0; i < len; i++)
        out[i] = lower(in[i]);
    out[len] = '\0';
    return OK;
}

/* IDNA maps some characters to "." or to nothing: only what it leaves unchanged in structure may pass, so control
 * characters and empty labels are looked for first. */
static int idna_domain(const char *in, size_t len, char out[DOMAIN_CAP])
{
    char text[4 * DOMAIN_CAP], *ascii = NULL;
    if (len >= sizeof(text) || !utf8_printable(in, len) || memchr(in, ' ', len) || memchr(in, '@', len))
        return ERR_FORMAT;
    memcpy(text, in, len);
    text[len] = '\0';
    int rc = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    int err = rc == IDN2_MALLOC ? ERR_MEMORY : rc != IDN2_OK ? ERR_FORMAT : ascii_domain(ascii, strlen(ascii), out);
    idn2_free(ascii);
    return err;
}

int address_domain_normalize(const char *in, size_t len, char out[DOMAIN_CAP])
{
    return is_ascii(in, len) ? ascii_domain(in, len, out) : idna_domain(in, len, out);
}

int address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus)
{
    char local[2 * LOCAL_MAX + 2], domain[DOMAIN_CAP];
    size_t n, used;
    int err = local_normalize(in, len, local, &n, &used);
    if (!err && (used >= len || in[used] != '@'))
        err = ERR_FORMAT;
    if (!err)
        err = address_domain_normalize(in + used + 1, len - used - 1, domain);
    if (err)
        return err;
    memcpy(out, local, n);
    out[n] = '@';
    memcpy(out + n + 1, domain, strlen(domain) + 1);
    const char *plus = local[0] == '"' ? NULL : memchr(local, '+', n);
    *ret_at = n;
    *ret_plus = plus ? (size_t)(plus - local) : 0;
    return OK;
}
