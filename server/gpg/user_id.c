/* Whose user id is it? The address in it, beside the account's. */
#include <string.h>

#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"
#include "server/mail/address.h"

/* Without its detail ("+..."). */
static bool base_address(int (*read)(const char *text, size_t len, char out[ADDRESS_MAX], size_t *at, size_t *plus),
                         const char *text, size_t len, char out[ADDRESS_MAX], size_t *ret_at)
{
    size_t at, plus;
    if (read(text, len, out, &at, &plus) != OK)
        return false;
    if (plus)
        memmove(out + plus, out + at, strlen(out + at) + 1);
    *ret_at = plus ? plus : at;
    return true;
}

/* "@domain" is an account that gets all of it. */
bool gpg_user_id_names(const uint8_t *user_id, size_t len, const char *const *addresses, size_t n)
{
    char named[ADDRESS_MAX], own[ADDRESS_MAX];
    size_t at, own_at;
    if (!base_address(address_of_user_id, (const char *)user_id, len, named, &at))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *a = addresses[i];
        if (a[0] == '@' ? !strcmp(named + at, a)
                        : base_address(address_normalize, a, strlen(a), own, &own_at) && !strcmp(named, own))
            return true;
    }
    return false;
}
