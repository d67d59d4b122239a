/* Certificates: the list of keys, preferences, and a recipient of every key that lets itself be prepared. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sink(void *arg, const uint8_t *data, size_t len)
{
    uint64_t *total = arg;
    *total += len;
    return OK;
}

static void seal_to(struct pgp_recipient *r)
{
    struct iovec iov = {(char[]){"plain"}, 5};
    uint64_t total = 0, size = 0;
    if (pgp_seal(&r, 1, &iov, 1, sink, &total, &size) == OK && (total != size || total != pgp_seal_size(&r, 1, 5)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgp_key keys[8];
    size_t n = 8;
    struct pgp_prefs prefs;
    int got = pgp_cert_prefs(data, size, &prefs);
    if (pgp_cert_keys(data, size, keys, &n) != OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].material < data || keys[i].material + keys[i].material_len > data + size)
            abort();
        struct pgp_verdict v = {.enc_fpr_len = keys[i].fpr_len};
        struct pgp_recipient *r;
        memcpy(v.enc_fpr, keys[i].fpr, sizeof(v.enc_fpr));
        if (got == OK)
            v.prefs = prefs;
        if (pgp_recipient_create(data, size, &v, &r) == OK) {
            seal_to(r);
            pgp_recipient_destroy(r);
        }
    }
    return 0;
}
