#include "store/complaint.h"

#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"

enum { PLAIN = 8 + 2, SEALED = RECORD_OVERHEAD + PLAIN, HOUR = 3600, DAY = 86400 };
_Static_assert(SEALED % 3 == 0 && SEALED / 3 * 4 + 1 == COMPLAINT_TOKEN_CAP, "a token has no padding: one spelling");

static const char place[] = "CFBL-Feedback-ID";

void complaint_token_make(const struct record_keys *k, uint64_t account, uint64_t now, char out[COMPLAINT_TOKEN_CAP])
{
    uint8_t plain[PLAIN], sealed[SEALED];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u64(&p, account);
    pack_u8(&p, (uint8_t)(now / DAY >> 8));
    pack_u8(&p, (uint8_t)(now / DAY));
    record_seal(k, RECORD_COMPLAINT, place, sizeof(place), plain, sizeof(plain), sealed);
    for (size_t i = 0; i < SEALED / 3; i++)
        digit_base64_write(sealed + 3 * i, 3, (uint8_t *)out + 4 * i);
    out[COMPLAINT_TOKEN_CAP - 1] = '\0';
}

static int read_text(const char *text, uint8_t sealed[SEALED])
{
    if (strlen(text) != COMPLAINT_TOKEN_CAP - 1)
        return ERR_FORMAT;
    for (size_t i = 0; i < SEALED / 3; i++) {
        uint32_t three = 0;
        for (size_t n = 0; n < 4; n++) {
            int digit = digit_base64((uint8_t)text[4 * i + n]);
            if (digit < 0)
                return ERR_FORMAT;
            three = three << 6 | (uint32_t)digit;
        }
        sealed[3 * i] = (uint8_t)(three >> 16);
        sealed[3 * i + 1] = (uint8_t)(three >> 8);
        sealed[3 * i + 2] = (uint8_t)three;
    }
    return OK;
}

int complaint_token_read(const struct record_keys *k, const char *text, uint64_t now, uint64_t *ret_account,
                         uint8_t ret_message[COMPLAINT_MESSAGE])
{
    uint8_t plain[PLAIN], sealed[SEALED], hash[RECORD_HASH_SIZE];
    const struct record_part part = {sealed, sizeof(sealed)};
    struct unpack u;
    size_t len;
    int err = read_text(text, sealed);
    if (err == OK)
        err = record_open(k, RECORD_COMPLAINT, place, sizeof(place), sealed, sizeof(sealed), plain, &len);
    if (err != OK)
        return err;
    unpack_init(&u, plain, len);
    const uint64_t account = unpack_u64(&u);
    uint64_t day = (uint64_t)unpack_u8(&u) << 8;
    day |= unpack_u8(&u);
    if (day > now / DAY + 1 || day + COMPLAINT_DAYS < now / DAY) /* the clock may have been set back */
        return ERR_TIMEOUT;
    record_hash(k, RECORD_COMPLAINT, account, &part, 1, hash);
    *ret_account = account;
    memcpy(ret_message, hash, COMPLAINT_MESSAGE);
    return OK;
}

uint32_t complaints_of_day(const struct schema_complaints *c, uint64_t now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        n += (uint64_t)c->v[i].hour + 25 > now / HOUR;
    return n;
}
