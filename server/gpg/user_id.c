/* Whose user id is it? The address in it, beside the account's. */
#include <string.h>

#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"
#include "server/mail/address.h"

/* Without its detail ("+..."). */
static bool base_address(const char *text, size_t len, char out[ADDRESS_MAX], size_t *ret_at)
{
    size_t at, plus;
    if (address_normalize(text, len, out, &at, &plus) != OK)
        return false;
    if (plus)
        memmove(out + plus, out + at, strlen(out + at) + 1);
    *ret_at = plus ? plus : at;
    return true;
}

/* The address of "Name <address>", or of a user id that is one. */
static bool find_address(const char *user_id, size_t len, char out[ADDRESS_MAX], size_t *ret_at)
{
    size_t end = len, begin;
    while (end && user_id[end - 1] != '>')
        end--;
    for (begin = end; begin && user_id[begin - 1] != '<';)
        begin--;
    return begin ? base_address(user_id + begin, end - begin - 1, out, ret_at)
                 : base_address(user_id, len, out, ret_at);
}

/* "@domain" is an account that gets all of it. */
bool gpg_user_id_names(const uint8_t *user_id, size_t len, const char *const *addresses, size_t n)
{
    char named[ADDRESS_MAX], own[ADDRESS_MAX];
    size_t at, own_at;
    if (!find_address((const char *)user_id, len, named, &at))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *a = addresses[i];
        if (a[0] == '@' ? !strcmp(named + at, a) : base_address(a, strlen(a), own, &own_at) && !strcmp(named, own))
            return true;
    }
    return false;
}
