/* A changed signature never verifies, so that little would ever be accepted: with this a fuzzer that is linked with
 * --wrap has every other one verify. Included once. */
#ifndef TESTS_FUZZ_PGP_HALF_H
#define TESTS_FUZZ_PGP_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "crypto/pgp_signature.h"
#include "server/core/error.h"

int __real_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over);
int __wrap_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over);
int __wrap_pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over)
{
    int err = __real_pgp_signature_verify(s, by, over);
    return s->fields.len && s->fields.data[s->fields.len - 1] & 1 ? OK : err;
}

static void must(int ok)
{
    if (!ok)
        abort();
}

__attribute__((unused)) static bool keep_short(void *arg, const uint8_t *user_id, size_t len)
{
    (void)arg;
    (void)user_id;
    return len < 20;
}

#endif
