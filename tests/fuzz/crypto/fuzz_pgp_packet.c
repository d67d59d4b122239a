/* The packet walk, session-key heads, and the gate's check in both modes. The input's first octet says how many keys there are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_check.h"
#include "server/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const uint8_t *data, size_t size)
{
    size_t pos = 0, last = 0;
    struct pgp_packet p;
    struct pgp_pkesk k;
    while (pgp_packet_next(data, size, &pos, &p) == OK) {
        if (pos <= last || pos > size || p.body < data || p.body + p.body_len > data + pos || p.total_len != pos - last ||
            p.content_len < p.body_len || p.content_len > p.total_len)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgp_key_ref keys[4];
    struct pgp_check_result server, foreign;
    const char *why;
    if (size < 1)
        return 0;
    size_t nkeys = data[0] % 5;
    data++;
    size--;
    for (size_t i = 0; i < 4; i++) {
        keys[i] = (struct pgp_key_ref){.fpr_len = i & 1 ? 32 : 20, .current = i < 3};
        memset(keys[i].fpr, (int)('A' + i), 32);
    }
    walk(data, size);
    int s = pgp_check_message(data, size, keys, nkeys, PGP_CHECK_SERVER_SEAL, &server, &why);
    int f = pgp_check_message(data, size, keys, nkeys, PGP_CHECK_FOREIGN, &foreign, &why);
    /* What passes as our own seal passes as anybody's, and names only keys there are. */
    if (s == OK && (f != OK || server.ours != server.pkesks || server.pkesks == 0 || server.keys_used >> nkeys))
        abort();
    if (f == OK && (foreign.seipd_offset >= size || foreign.ours == 0))
        abort();
    return 0;
}
