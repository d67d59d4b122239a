/* Whose user id is it? The address in it, beside the account's. */
#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "server/gpg/gpg_internal.h"

enum { ADDRESS_LEN_MAX = 320 }; /* RFC 5321 section 4.5.3.1: 64 + 1 + 255 */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The address of "Name <address>", or of a user id that is one: lower case, domain in ASCII, without a detail. */
static bool find_address(const uint8_t *user_id, size_t len, char out[ADDRESS_LEN_MAX])
{
    char text[ADDRESS_LEN_MAX], *domain, *ascii = NULL, *plus;
    size_t end = len, begin;
    while (end && user_id[end - 1] != '>')
        end--;
    for (begin = end; begin && user_id[begin - 1] != '<';)
        begin--;
    if (begin) {
        user_id += begin;
        len = end - begin - 1;
    }
    if (!len || len >= sizeof(text) || memchr(user_id, 0, len))
        return false;
    memcpy(text, user_id, len);
    text[len] = 0;
    domain = strrchr(text, '@');
    if (!domain || domain == text || !domain[1] || strpbrk(text, " \t<>"))
        return false;
    *domain++ = 0;
    for (char *c = text; *c; c++)
        *c = lower(*c);
    if (text[0] != '"' && (plus = strchr(text, '+')) && plus != text)
        *plus = 0;
    for (char *c = domain; *c; c++)
        *c = lower(*c);
    if (idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return false;
    bool fits = strlen(text) + 1 + strlen(ascii) < ADDRESS_LEN_MAX;
    if (fits)
        stpcpy(stpcpy(stpcpy(out, text), "@"), ascii);
    idn2_free(ascii);
    return fits;
}

/* "@domain" is an account that gets all of it. */
bool gpg_user_id_names(const uint8_t *user_id, size_t len, const char *const *addresses, size_t n)
{
    char named[ADDRESS_LEN_MAX], own[ADDRESS_LEN_MAX];
    if (!find_address(user_id, len, named))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *a = addresses[i];
        if (a[0] == '@' ? !strcmp(strrchr(named, '@'), a)
                        : find_address((const uint8_t *)a, strlen(a), own) && !strcmp(named, own))
            return true;
    }
    return false;
}
