#include "server/login/login_scram.h"

#include <sodium.h>

#include "server/core/error.h"

int login_scram_first(struct login *g, struct scram_server *s, bool plus, bool plus_offered, struct slice message,
                      char out[SCRAM_MESSAGE_MAX])
{
    uint8_t nonce[SCRAM_NONCE_SIZE], salt[SCRAM_SALT_LEN];
    uint32_t iterations = 0;
    int err = scram_server_first(s, plus, plus_offered, message);

    if (err == OK)
        err = login_salt(g, slice_of(s->user, s->user_len), salt, &iterations);
    if (err != OK)
        return err;
    randombytes_buf(nonce, sizeof(nonce));
    scram_server_challenge(s, nonce, salt, iterations, out);
    return OK;
}

static bool fits(void *arg, const uint8_t stored_key[32], const uint8_t server_key[32])
{
    return scram_server_fits(arg, stored_key, server_key);
}

int login_scram_final(struct login *g, struct scram_server *s, const struct conn *c, unsigned scope,
                      struct slice message, login_done_fn *done, void *arg, struct login_try **ret)
{
    struct login_params p = {.peer = conn_peer(c), .scope = scope, .fits = fits, .fits_arg = s};
    uint8_t bound_to[64];
    size_t n =
        s->binding == SCRAM_NOT_BOUND ? 0 : conn_tls_binding(c, s->binding == SCRAM_TLS_SERVER_END_POINT, bound_to);

    if (scram_server_final(s, message, slice_of(bound_to, n)) == OK)
        p.user = slice_of(s->user, s->user_len);
    return login_start(g, &p, done, arg, ret);
}
