/* Opening what is in the queue. Input: octet. 0: the rest is a message for our key, in pieces of as many octets as the
 * next one says. Else the rest is sealed first, then changed at as many u32 places as the octet says, each with an
 * octet: it is refused then, and gives what was sealed only up to the chunk that was changed. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_open.h"
#include "server/core/bug.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEALED_MAX = 512 * 1024, CHANGES_MAX = 8 };

static struct pgp_opener *opener;
static struct pgp_recipient *to;
static uint8_t sealed[SEALED_MAX], was[SEALED_MAX], opened[SEALED_MAX];
static size_t sealed_len, opened_len;

static int keep_sealed(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    bug_if(sealed_len + len > SEALED_MAX);
    memcpy(sealed + sealed_len, data, len);
    sealed_len += len;
    return OK;
}

static int keep_opened(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    bug_if(opened_len + len > SEALED_MAX);
    memcpy(opened + opened_len, data, len);
    opened_len += len;
    return OK;
}

static void setup(void)
{
    static const uint8_t root[32] = {1, 2, 3};
    uint8_t public[QUEUE_PUBLIC_MAX], secret[QUEUE_SECRET_SIZE];
    size_t len;
    queue_key_public(root, public, &len);
    queue_key_secret(root, secret);
    opener = pgp_opener_create(secret, slice_of(public, len));
    bug_if(!opener || queue_key_recipient(slice_of(public, len), &to) != OK);
}

static int open_pieces(const uint8_t *data, size_t len, size_t piece)
{
    struct pgp_open *p;
    opened_len = 0;
    bug_if(pgp_open_begin(opener, keep_opened, NULL, &p) != OK);
    for (size_t at = 0; at < len && pgp_open_update(p, slice_of(data + at, len - at < piece ? len - at : piece)) == OK;
         at += piece)
        ;
    int err = pgp_open_end(p);
    pgp_open_free(p);
    bug_if(err != OK && err != ERR_CRYPTO && err != ERR_FORMAT && err != ERR_UNSUPPORTED);
    return err;
}

static void change(const uint8_t *data, size_t size, unsigned changes)
{
    struct unpack u;
    uint32_t at[CHANGES_MAX];
    uint8_t to_octet[CHANGES_MAX];
    unpack_init(&u, data, size);
    for (unsigned i = 0; i < changes; i++) {
        at[i] = unpack_u32(&u);
        to_octet[i] = unpack_u8(&u);
    }
    if (u.failed || size - u.pos > SEALED_MAX / 2)
        return;
    const struct iovec in = {(void *)(data + u.pos), size - u.pos};
    sealed_len = 0;
    bug_if(pgp_seal(&to, 1, &in, 1, keep_sealed, NULL, NULL) != OK);
    memcpy(was, sealed, sealed_len);
    for (unsigned i = 0; i < changes; i++)
        sealed[at[i] % sealed_len] = to_octet[i];
    int err = open_pieces(sealed, sealed_len, 4096);
    bug_if((err == OK) != (memcmp(was, sealed, sealed_len) == 0));
    bug_if(opened_len > in.iov_len || memcmp(opened, in.iov_base, opened_len) != 0);
    bug_if(err == OK && opened_len != in.iov_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!opener)
        setup();
    if (size < 2)
        return 0;
    if (data[0] == 0)
        (void)open_pieces(data + 2, size - 2, data[1] + (size_t)1);
    else
        change(data + 1, size - 1, data[0] % (CHANGES_MAX + 1));
    return 0;
}
