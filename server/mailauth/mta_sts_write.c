#include "server/mailauth/mta_sts.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

size_t mta_sts_policy_write(const char *mode, const char *mx, uint32_t max_age, char out[MTA_STS_OWN_MAX])
{
    const size_t cap = MTA_STS_OWN_MAX;
    size_t len = (size_t)snprintf(out, cap, "version: STSv1\r\nmode: %s\r\n", mode);

    while (*mx && len < cap) {
        size_t n = strcspn(mx += strspn(mx, ", "), ", ");

        if (n)
            len += (size_t)snprintf(out + len, cap - len, "mx: %.*s\r\n", (int)n, mx);
        mx += n;
    }
    if (len < cap)
        len += (size_t)snprintf(out + len, cap - len, "max_age: %u\r\n", max_age);
    return len < cap ? len : 0;
}

void mta_sts_policy_id(struct slice text, char id[MTA_STS_ID_MAX + 1])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    SHA256(text.data, text.len, hash);
    for (size_t i = 0; i < MTA_STS_ID_MAX / 2; i++)
        snprintf(id + 2 * i, 3, "%02x", hash[i]);
}
