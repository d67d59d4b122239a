/* Who a name is. Whoever has nothing registered, or is nobody, gets what looks the same: made of the name by a key that
 * strangers do not have, so that it is the same each time, and made for everybody, so that it takes as long. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

/* The account's number is its credential, and so is a number that no account will ever have. */
static uint64_t credential_of(const uint8_t seed[32])
{
    uint64_t n;

    memcpy(&n, seed, sizeof(n));
    return n | UINT64_C(1) << 63;
}

static void make_up(const struct record_keys *k, const char *name, struct api_person *ret)
{
    static const char label[] = "nobody's record";
    const struct record_part parts[] = {{label, sizeof(label)}, {name, strlen(name)}};
    uint8_t seed[32], random[96];

    record_subkey(k, RECORD_SIGNIN, VIEW_NOBODY, parts, 2, seed);
    randombytes_buf_deterministic(random, sizeof(random), seed);
    opaque_record_fake(random, ret->signin.record);
    ret->signin.profile = API_PROFILE; /* there is no other so far, so everybody has it */
    crypto_generichash(ret->signin.phrase_key, sizeof(ret->signin.phrase_key), seed, sizeof(seed), NULL, 0);
    ret->account = VIEW_NOBODY;
    ret->credential = credential_of(seed);
    secmem_wipe(seed, sizeof(seed));
    secmem_wipe(random, sizeof(random));
}

/* As long as it takes to open a record. */
static void open_nothing(const struct record_keys *k)
{
    static const uint8_t sealed[RECORD_OVERHEAD + 300];
    uint8_t plain[300];
    size_t len;

    (void)record_open(k, RECORD_SIGNIN, "", 0, sealed, sizeof(sealed), plain, &len);
}

int api_person_look(struct view *v, const char *address, struct api_person *ret)
{
    struct signin s;
    char name[ADDRESS_MAX];
    uint64_t account;
    int err = view_login_name(v, address, strlen(address), &account, name);

    if (err != OK)
        return err;
    *ret = (struct api_person){0};
    make_up(view_keys(v), name, ret);
    if (account != VIEW_NOBODY)
        ret->credential = account;
    err = view_signin(v, account, &s);
    if (err == ERR_NOT_FOUND) {
        open_nothing(view_keys(v));
        return OK;
    }
    if (err != OK)
        return err;
    ret->account = account;
    ret->signin = s;
    secmem_wipe(&s, sizeof(s));
    return OK;
}

void api_credential(uint64_t credential, uint8_t ret[API_CREDENTIAL_SIZE])
{
    struct pack p;

    pack_init(&p, ret, API_CREDENTIAL_SIZE);
    pack_u64(&p, credential);
}
