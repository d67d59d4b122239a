/* Addresses as the store knows them: one spelling for each mailbox. RFC 5321 section 4.1.2 for the grammar, RFC 6531
 * section 3.3 for UTF-8 in it, IDNA 2008 for domains. What does not fit is refused, never repaired. */
#include "store/schema.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/secmem.h"
#include "server/core/error.h"
#include "server/core/utf8.h"

enum { LOCAL_MAX = 64, DOMAIN_MAX = 253, LABEL_OCTETS = 63, PASSWORD_MAX = 128 };
_Static_assert((int)(LOCAL_MAX + 1 + DOMAIN_MAX) < (int)ADDRESS_MAX && (int)DOMAIN_MAX < (int)DOMAIN_CAP,
               "a normal form fits");

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* atext (RFC 5322 section 3.2.3), with everything above ASCII (RFC 6531 section 3.3). */
static bool is_atext(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (uint8_t)c >= 0x80 ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_string(const char *s, size_t len)
{
    if (!len || s[0] == '.' || s[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '.' ? s[i + 1] == '.' : !is_atext(s[i]))
            return false;
    return true;
}

/* Takes a quoted string apart (RFC 5321: qtextSMTP and quoted-pairSMTP, printable ASCII and UTF-8). *ret_used: octets
 * with both quotes. */
static int unquote(const char *in, size_t len, char out[LOCAL_MAX], size_t *ret_len, size_t *ret_used)
{
    size_t n = 0;
    for (size_t i = 1; i < len; i++) {
        char c = in[i];
        if (c == '"') {
            *ret_len = n;
            *ret_used = i + 1;
            return OK;
        }
        bool pair = c == '\\';
        if (pair && ++i < len)
            c = in[i];
        if (i == len || (uint8_t)c < 32 || c == 127 || (pair && (uint8_t)c >= 0x80) || n == LOCAL_MAX)
            return ERR_FORMAT;
        out[n++] = lower(c);
    }
    return ERR_FORMAT;
}

static size_t quote(const char *in, size_t len, char out[2 * LOCAL_MAX + 2])
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (in[i] == '"' || in[i] == '\\')
            out[n++] = '\\';
        out[n++] = in[i];
    }
    out[n++] = '"';
    return n;
}

/* The local part in its plainest spelling: quotes stay only where they are needed, so "a.b"@x and a.b@x are one.
 * *ret_used: octets of the input. */
static int local_normalize(const char *in, size_t len, char out[2 * LOCAL_MAX + 2], size_t *ret_len, size_t *ret_used)
{
    char raw[LOCAL_MAX];
    size_t n = 0, used = 0;
    if (len && in[0] == '"') {
        int err = unquote(in, len, raw, &n, &used);
        if (err)
            return err;
    } else {
        while (used < len && in[used] != '@') {
            if (n == LOCAL_MAX)
                return ERR_FORMAT;
            raw[n++] = lower(in[used++]);
        }
        if (!n || !is_dot_string(raw, n))
            return ERR_FORMAT;
    }
    if (!utf8_valid(raw, n))
        return ERR_FORMAT;
    if (is_dot_string(raw, n)) {
        memcpy(out, raw, n);
    } else {
        n = quote(raw, n, out);
    }
    if (n > LOCAL_MAX) /* RFC 5321 section 4.5.3.1.1 */
        return ERR_FORMAT;
    *ret_len = n;
    *ret_used = used;
    return OK;
}

/* sub-domain *("." sub-domain), letters, digits and inner hyphens (RFC 5321 section 4.1.2), 63 octets a label.
 * Lower-cases. */
static int ascii_domain(const char *in, size_t len, char out[DOMAIN_CAP])
{
    size_t label = 0;
    if (!len || len > DOMAIN_MAX)
        return ERR_FORMAT;
    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? lower(in[i]) : '.';
        if (c == '.') {
            if (!label || label > LABEL_OCTETS || in[i - 1] == '-')
                return ERR_FORMAT;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label)) {
            label++;
        } else {
            return ERR_FORMAT;
        }
        out[i] = c;
    }
    out[len] = 0;
    return OK;
}

int domain_normalize(const char *in, size_t len, char out[DOMAIN_CAP])
{
    char text[4 * DOMAIN_CAP], result[DOMAIN_CAP];
    bool ascii = true;
    for (size_t i = 0; i < len && ascii; i++)
        ascii = (uint8_t)in[i] < 0x80;
    if (ascii) {
        int err = ascii_domain(in, len, result);
        if (!err)
            memcpy(out, result, len + 1);
        return err;
    }
    /* IDNA maps some characters to "." or to nothing: only what it leaves unchanged in structure may pass, so control
     * characters and empty labels are looked for first. */
    if (len >= sizeof(text) || !utf8_valid(in, len))
        return ERR_FORMAT;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)in[i] <= ' ' || in[i] == 127 || in[i] == '@')
            return ERR_FORMAT;
    memcpy(text, in, len);
    text[len] = 0;
    char *looked = NULL;
    int rc = idn2_to_ascii_8z(text, &looked, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    int err = rc == IDN2_MALLOC ? ERR_MEMORY
              : rc != IDN2_OK   ? ERR_FORMAT
                                : ascii_domain(looked, strlen(looked), result);
    idn2_free(looked);
    if (!err)
        memcpy(out, result, strlen(result) + 1);
    return err;
}

int address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus)
{
    char local[2 * LOCAL_MAX + 2], domain[DOMAIN_CAP];
    size_t n, used;
    int err = local_normalize(in, len, local, &n, &used);
    if (!err && (used >= len || in[used] != '@'))
        err = ERR_FORMAT;
    if (!err)
        err = domain_normalize(in + used + 1, len - used - 1, domain);
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

int app_password_hash(const struct record_keys *k, uint64_t account, const char *password, size_t len,
                      uint8_t out[RECORD_HASH_SIZE])
{
    char plain[PASSWORD_MAX];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (password[i] == ' ' || password[i] == '-')
            continue;
        if (n == sizeof(plain)) {
            secmem_wipe(plain, sizeof(plain));
            return ERR_FORMAT;
        }
        plain[n++] = lower(password[i]);
    }
    struct record_part part = {plain, n};
    record_hash(k, RECORD_APP_PASSWORD, account, &part, 1, out);
    secmem_wipe(plain, n);
    return OK;
}
