/* Addresses of accounts: one spelling for each mailbox. */
#include <glib.h>
#include <idn2.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/address.h"

enum { LOCAL_MAX = 64 /* RFC 5321 section 4.5.3.1.1 */, DOMAIN_MAX = 253, PLAIN_MAX = 2 * LOCAL_MAX + 2 };
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

/* Simple case folding (Unicode, CaseFolding.txt: C and S), but never from a letter outside ASCII to one in it: nobody
 * shares an ASCII name with a Turkish dotless i. */
static uint32_t fold(uint32_t c)
{
    uint32_t low = g_unichar_tolower(g_unichar_toupper(c));
    return low < 0x80 && c >= 0x80 ? c : low;
}

static int compose(const char *in, size_t len, char out[PLAIN_MAX], size_t *ret_len)
{
    char *nfc = g_utf8_normalize(in, (gssize)len, G_NORMALIZE_NFC);
    size_t n = nfc ? strlen(nfc) : PLAIN_MAX;
    if (n < PLAIN_MAX) {
        memcpy(out, nfc, n);
        *ret_len = n;
    }
    g_free(nfc);
    return n < PLAIN_MAX ? OK : ERR_FORMAT;
}

static int fold_composed(const char *in, size_t len, char out[PLAIN_MAX], size_t *ret_len)
{
    char composed[PLAIN_MAX], folded[PLAIN_MAX];
    size_t n = 0, end = 0;
    int err = compose(in, len, composed, &n);
    for (size_t at = 0, octets; !err && at < n; at += octets) {
        uint32_t c;
        octets = utf8_decode(composed + at, n - at, &c);
        if (!octets || end + 4 > sizeof(folded))
            return ERR_FORMAT;
        end += utf8_encode(fold(c), folded + end);
    }
    return err ? err : compose(folded, end, out, ret_len);
}

/* RFC 6532 section 3.1: NFC, and no case. What has no one spelling, since folding it once more gives another, is
 * refused. plain is valid UTF-8 without NUL. */
static int text_normalize(uint8_t plain[PLAIN_MAX], size_t *n)
{
    char once[PLAIN_MAX], again[PLAIN_MAX];
    size_t once_len, again_len;
    int err = fold_composed((const char *)plain, *n, once, &once_len);
    if (!err)
        err = fold_composed(once, once_len, again, &again_len);
    if (!err && (once_len != again_len || memcmp(once, again, once_len) != 0))
        err = ERR_FORMAT;
    if (err)
        return err;
    memcpy(plain, once, once_len);
    *n = once_len;
    return OK;
}

/* The local part at the start of in, without case and composed. *ret_used: octets of the input. */
static int local_normalize(const char *in, size_t len, char out[2 * LOCAL_MAX + 2], size_t *ret_len, size_t *ret_used)
{
    uint8_t plain[PLAIN_MAX];
    size_t used = address_local_len((const uint8_t *)in, len, ADDRESS_SMTP), n;
    if (!used || used > sizeof(plain))
        return ERR_FORMAT;
    n = address_local_plain((const uint8_t *)in, used, plain);
    if (is_ascii((const char *)plain, n)) {
        for (size_t i = 0; i < n; i++)
            plain[i] = (uint8_t)lower((char)plain[i]);
    } else if (text_normalize(plain, &n) != OK) {
        return ERR_FORMAT;
    }
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
    if (!len || len > DOMAIN_MAX || !is_ascii(in, len) || in[len - 1] == '.' ||
        address_domain_len((const uint8_t *)in, len, ADDRESS_ENVELOPE) != len)
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

bool address_domain_is_host(const char *domain)
{
    return address_domain_len((const uint8_t *)domain, strlen(domain), ADDRESS_SMTP) == strlen(domain);
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

int address_of_user_id(const char *user_id, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus)
{
    size_t end = len, begin;
    while (end && user_id[end - 1] != '>')
        end--;
    for (begin = end; begin && user_id[begin - 1] != '<';)
        begin--;
    return begin ? address_normalize(user_id + begin, end - begin - 1, out, ret_at, ret_plus)
                 : address_normalize(user_id, len, out, ret_at, ret_plus);
}
