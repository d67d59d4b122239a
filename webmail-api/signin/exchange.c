#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

static const char place[] = "exchange of signing in"; /* no record's: none begins so */

void api_exchange_seal(const struct api *a, const struct api_exchange *e, uint8_t ret[API_ID_SIZE])
{
    uint8_t plain[API_EXCHANGE_PACKED];
    struct pack p;

    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, e->kind);
    pack_u64(&p, e->account);
    pack_u32(&p, e->version);
    pack_u64(&p, e->since);
    pack_raw(&p, e->seed, sizeof(e->seed));
    pack_raw(&p, e->secret, sizeof(e->secret));
    record_seal(view_keys(a->p.view), RECORD_SIGNIN, place, sizeof(place), plain, sizeof(plain), ret);
    secmem_wipe(plain, sizeof(plain));
}

int api_exchange_open(const struct api *a, enum api_exchange_kind kind, const uint8_t id[API_ID_SIZE],
                      struct api_exchange *ret)
{
    const uint64_t now = (uint64_t)time(NULL),
                   lasts = kind == API_ADDS_TOTP ? API_ADDING_SECONDS : API_EXCHANGE_SECONDS;
    uint8_t plain[API_EXCHANGE_PACKED];
    struct api_exchange e;
    struct unpack u;
    size_t len;

    if (record_open(view_keys(a->p.view), RECORD_SIGNIN, place, sizeof(place), id, API_ID_SIZE, plain, &len) != OK)
        return ERR_DENIED;
    unpack_init(&u, plain, len);
    e.kind = unpack_u8(&u);
    e.account = unpack_u64(&u);
    e.version = unpack_u32(&u);
    e.since = unpack_u64(&u);
    memcpy(e.seed, plain + 21, sizeof(e.seed));
    memcpy(e.secret, plain + 21 + sizeof(e.seed), sizeof(e.secret));
    secmem_wipe(plain, sizeof(plain));
    const bool lives = e.kind == kind && now >= e.since && now - e.since <= lasts;
    if (lives)
        *ret = e;
    secmem_wipe(&e, sizeof(e));
    return lives ? OK : ERR_DENIED;
}
