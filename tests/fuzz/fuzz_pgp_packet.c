/* The packet walk, session-key heads, and the gate's check in every mode. The input's first octet says how many keys
 * there are and of which algorithms. What passes must be what it is said to be, by a second look of this file's own. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_check.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYS = 4, MODES = 3 };

static void walk(const uint8_t *data, size_t size)
{
    size_t pos = 0, last = 0;
    struct pgp_packet p;
    struct pgp_pkesk k;
    while (pgp_packet_next(data, size, &pos, &p) == OK) {
        if (pos <= last || pos > size || p.body < data || p.body + p.body_len > data + pos ||
            p.total_len != pos - last || p.content_len < p.body_len || p.content_len > p.total_len)
            abort();
        last = pos;
        (void)pgp_pkesk_read(p.body, p.body_len, &k);
        const uint8_t *mpi;
        size_t at = 0, n;
        while (pgp_mpi_next(p.body, p.body_len, &at, &mpi, &n) == OK) {
            if (mpi + n > p.body + p.body_len)
                abort();
        }
    }
}

/* Session keys of one version and then one container to the last octet, and nothing else. */
static void look_again(const uint8_t *data, size_t size, const struct pgp_check_result *r)
{
    size_t pos = 0, n = 0;
    struct pgp_packet p;
    while (pos < r->seipd_offset) {
        if (pgp_packet_next(data, size, &pos, &p) != OK || p.tag != PGP_TAG_PKESK || p.partial ||
            p.body[0] != r->pkesk_version)
            abort();
        n++;
    }
    if (pos != r->seipd_offset || n != r->pkesks || n == 0 || n > 64 || r->ours > n)
        abort();
    if (pgp_packet_next(data, size, &pos, &p) != OK || p.tag != PGP_TAG_SEIPD || pos != size ||
        p.body[0] != r->seipd_version || r->pkesk_version != 3 * r->seipd_version)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        uint8_t algo;
        uint16_t octets;
    } kinds[4] = {{0, 0}, {PGP_X25519, 32}, {PGP_RSA, 256}, {PGP_ECDH, 33}};
    struct pgp_key_ref keys[KEYS];
    struct pgp_check_result r[MODES];
    int got[MODES];
    const char *why;
    if (size < 1)
        return 0;
    size_t nkeys = data[0] % (KEYS + 1);
    for (size_t i = 0; i < KEYS; i++) {
        size_t kind = (data[0] / (KEYS + 1) + i) % 4;
        keys[i] = (struct pgp_key_ref){.fpr_len = i & 1 ? 32 : 20,
                                       .current = i < 3,
                                       .algo = kinds[kind].algo,
                                       .octets = kinds[kind].octets};
        memset(keys[i].fpr, (int)('A' + i), 32);
    }
    data++;
    size--;
    walk(data, size);
    for (int mode = 0; mode < MODES; mode++) {
        why = NULL;
        got[mode] = pgp_check_message(data, size, keys, nkeys, (enum pgp_check_mode)mode, &r[mode], &why);
        if (got[mode] == OK ? r[mode].keys_used >> nkeys != 0 : why == NULL)
            abort();
        if (got[mode] == OK)
            look_again(data, size, &r[mode]);
    }
    /* Each mode lets pass what the stricter one does. */
    const int seal = PGP_CHECK_SERVER_SEAL, foreign = PGP_CHECK_FOREIGN, wildcard = PGP_CHECK_FOREIGN_WILDCARD;
    if (got[seal] == OK && (got[foreign] != OK || r[seal].ours != r[seal].pkesks || r[seal].wildcard))
        abort();
    if (got[foreign] == OK &&
        (got[wildcard] != OK || r[foreign].ours == 0 || r[foreign].wildcard || r[wildcard].wildcard))
        abort();
    if (got[wildcard] == OK && r[wildcard].wildcard != (got[foreign] != OK))
        abort();
    if (got[wildcard] == OK && r[wildcard].wildcard &&
        (r[wildcard].pkesks > 16 || r[wildcard].ours || r[wildcard].keys_used))
        abort();
    return 0;
}
