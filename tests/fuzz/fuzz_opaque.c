/* Any octets as a registration, a record, KE1 and KE3: nothing is given where one of them is no element, what is given
 * is what was asked for, and no KE3 but the one signs anybody in. */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/opaque.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t request[OPAQUE_REQUEST_SIZE], record[OPAQUE_RECORD_SIZE], ke1[OPAQUE_KE1_SIZE], ke3[OPAQUE_KE3_SIZE];
};

static const uint8_t marks[OPAQUE_KE2_SIZE] = {0};
static struct opaque_server server;

static void must(int condition)
{
    if (!condition)
        abort();
}

static void try_register(const struct input *in, struct slice credential)
{
    uint8_t got[OPAQUE_RESPONSE_SIZE] = {0}, again[OPAQUE_RESPONSE_SIZE];

    if (opaque_register(&server, credential, in->request, got) != OK) {
        must(memcmp(got, marks, sizeof(got)) == 0);
        return;
    }
    must(opaque_register(&server, credential, in->request, again) == OK && memcmp(got, again, sizeof(got)) == 0);
    must(memcmp(got + 32, server.public_key, 32) == 0 && crypto_core_ristretto255_is_valid_point(got) == 1);
}

static void try_login(const struct input *in, struct slice credential)
{
    static const uint8_t random[OPAQUE_RANDOM_SIZE] = {3};
    uint8_t ke2[OPAQUE_KE2_SIZE] = {0};
    struct opaque_login l = {.client_mac = {0}};

    if (opaque_login_start(&server, NULL, credential, in->record, in->ke1, random, ke2, &l) != OK) {
        must(memcmp(ke2, marks, sizeof(ke2)) == 0 && memcmp(l.client_mac, marks, sizeof(l.client_mac)) == 0);
        return;
    }
    must(opaque_record_check(in->record) == OK && memcmp(ke2 + 32, random, 32) == 0);
    must(opaque_login_finish(&l, in->ke3) == ERR_DENIED && opaque_login_finish(&l, l.client_mac) == OK);
}

/* Octets are hardly ever an element: those at the start may be made one. */
static void mend(uint8_t element[32], uint8_t how)
{
    uint8_t wide[64] = {0};

    if (!(how & 1))
        return;
    memcpy(wide, element, 32);
    crypto_core_ristretto255_from_hash(element, wide);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t root[32] = {1};
    struct input in = {.request = {0}};

    if (size < 1)
        return 0;
    if (sodium_is_zero(server.public_key, 32)) {
        must(sodium_init() >= 0);
        opaque_server_derive(root, &server);
    }
    const uint8_t how = data[0];
    const struct slice credential = slice_of(data + 1, size - 1 < 8 ? size - 1 : 8);

    memcpy(&in, data + 1, size - 1 < sizeof(in) ? size - 1 : sizeof(in));
    mend(in.request, how);
    mend(in.record, how >> 1);
    mend(in.ke1, how >> 2);
    mend(in.ke1 + 64, how >> 3);
    try_register(&in, credential);
    try_login(&in, credential);
    return 0;
}
