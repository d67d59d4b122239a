/* Envelopes of private keys that their owners' programs have wrapped. See signin.h. An envelope stands in pieces that
 * are all as long, so that of its length no more is to be seen than how many there are: nearly always one. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"
#include "store/signin_impl.h"

enum { VERSION = 1, KEY_LEN = 1 + 1 + RECORD_HASH_SIZE + 4 };

struct slice key_wrapped(struct schema_keybuf *kb, const struct record_keys *k, uint64_t account, uint8_t kind,
                         const uint8_t id[WRAPPED_ID_SIZE], uint32_t n)
{
    const struct record_part parts[] = {{"wrapped", 7}, {id, WRAPPED_ID_SIZE}};
    uint8_t hash[RECORD_HASH_SIZE];
    struct pack p;
    record_hash(k, RECORD_SIGNIN, account, parts, 2, hash);
    kb->b[0] = 'W';
    pack_init(&p, kb->b + 1, sizeof(kb->b) - 1);
    pack_u8(&p, kind);
    pack_raw(&p, hash, sizeof(hash));
    pack_u32(&p, n);
    return slice_of(kb->b, 1 + p.len);
}

bool wrapped_kind_of_piece(struct slice key, uint8_t *ret_kind, uint32_t *ret_n)
{
    struct unpack u = key_fields(key);
    *ret_kind = unpack_u8(&u);
    (void)unpack_raw(&u, RECORD_HASH_SIZE);
    *ret_n = unpack_u32(&u);
    return unpack_done(&u) && key.len == KEY_LEN;
}

static int head_fields(const uint8_t *plain, size_t len, void *ret)
{
    struct wrapped *v = ret;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, VERSION);
    if (err != OK)
        return err;
    v->kind = unpack_u8(&u);
    const struct slice id = unpack_raw(&u, WRAPPED_ID_SIZE);
    v->since = unpack_u64(&u);
    v->len = unpack_u32(&u);
    const struct slice digest = unpack_raw(&u, SIGNIN_DIGEST_SIZE);
    if (u.failed || v->len == 0 || v->len > WRAPPED_MAX || v->kind < WRAPPED_PASSWORD || v->kind > WRAPPED_PASSKEY)
        return ERR_FORMAT;
    const size_t here = v->len < WRAPPED_PIECE - WRAPPED_HEAD ? v->len : WRAPPED_PIECE - WRAPPED_HEAD;
    (void)unpack_raw(&u, here);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    memcpy(v->id, id.data, id.len);
    memcpy(v->digest, digest.data, digest.len);
    return OK;
}

int schema_unpack_wrapped(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct wrapped *ret)
{
    struct schema_keybuf kb;
    struct wrapped v;
    uint8_t plain[WRAPPED_PIECE];
    int err = sealed_unpack(k, account, key, value, plain, sizeof(plain), head_fields, &v);
    if (err != OK)
        return err;
    const struct slice own = key_wrapped(&kb, k, account, v.kind, v.id, 0);
    if (own.len != key.len || memcmp(own.data, key.data, key.len) != 0)
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

int schema_get_wrapped_head(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                            const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret)
{
    struct schema_keybuf kb;
    struct slice value;
    const struct slice key = key_wrapped(&kb, k, account, kind, id, 0);
    int err = engine_get(t, account, key, &value);
    return err == OK ? schema_unpack_wrapped(k, account, key, value, ret) : err;
}

/* How many octets of head and envelope piece n has. */
static size_t piece_len(size_t len, uint32_t n)
{
    const size_t all = WRAPPED_HEAD + len, at = (size_t)n * WRAPPED_PIECE;
    return at >= all ? 0 : all - at < WRAPPED_PIECE ? all - at : WRAPPED_PIECE;
}

int schema_get_wrapped(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                       const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret, uint8_t *envelope)
{
    struct schema_keybuf kb;
    struct wrapped v;
    uint8_t piece[WRAPPED_PIECE], digest[SIGNIN_DIGEST_SIZE];
    size_t at = 0;
    int err = schema_get_wrapped_head(t, k, account, kind, id, &v);
    for (uint32_t n = 0; err == OK && piece_len(v.len, n) > 0; n++) {
        const size_t skip = n == 0 ? WRAPPED_HEAD : 0;
        size_t len;
        err = sealed_get(t, k, account, key_wrapped(&kb, k, account, kind, id, n), piece, sizeof(piece), &len);
        if (err == ERR_NOT_FOUND || (err == OK && len != piece_len(v.len, n)))
            err = ERR_FORMAT;
        if (err != OK)
            break;
        memcpy(envelope + at, piece + skip, len - skip);
        at += len - skip;
    }
    if (err != OK)
        return err;
    crypto_hash_sha256(digest, envelope, v.len);
    if (memcmp(digest, v.digest, sizeof(digest)) != 0)
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

/* ---- writing ---- */

static int count_passkey(void *arg, struct slice key, struct slice value)
{
    unsigned *passkeys = arg;
    uint8_t kind;
    uint32_t n;
    (void)value;
    if (!wrapped_kind_of_piece(key, &kind, &n))
        return ERR_FORMAT;
    *passkeys += kind == WRAPPED_PASSKEY && n == 0;
    return OK;
}

static int passkey_fits(struct store_write *w)
{
    struct schema_keybuf from, to;
    unsigned n = 0;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'W'), key_simple(&to, 'W' + 1), 0, count_passkey, &n);
    return err == OK && n >= WRAPPED_PASSKEYS_MAX ? ERR_LIMIT : err;
}

static int put_pieces(struct store_write *w, uint8_t kind, const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope)
{
    struct schema_keybuf kb;
    uint8_t piece[WRAPPED_PIECE], digest[SIGNIN_DIGEST_SIZE];
    struct pack p;
    size_t at = 0;
    int err = OK;
    crypto_hash_sha256(digest, envelope.data, envelope.len);
    for (uint32_t n = 0; err == OK && piece_len(envelope.len, n) > 0; n++) {
        pack_init(&p, piece, sizeof(piece));
        if (n == 0) {
            pack_u8(&p, VERSION);
            pack_u8(&p, kind);
            pack_raw(&p, id, WRAPPED_ID_SIZE);
            pack_u64(&p, w->now);
            pack_u32(&p, (uint32_t)envelope.len);
            pack_raw(&p, digest, sizeof(digest));
        }
        const size_t here = piece_len(envelope.len, n) - p.len;
        pack_raw(&p, envelope.data + at, here);
        at += here;
        w->wrote = true;
        err = sealed_put(w->t, w->keys, w->account, key_wrapped(&kb, w->keys, w->account, kind, id, n), &p);
    }
    return err;
}

int wrapped_put(struct store_write *w, uint8_t kind, const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope)
{
    struct schema_keybuf kb;
    struct slice there;
    int err = engine_get(w->t, w->account, key_wrapped(&kb, w->keys, w->account, kind, id, 0), &there);
    if (err == ERR_NOT_FOUND && envelope.len > 0 && kind == WRAPPED_PASSKEY)
        err = passkey_fits(w);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (envelope.len > WRAPPED_MAX)
        return ERR_LIMIT;
    err = OK;
    for (uint32_t n = 0; err == OK && n < WRAPPED_PIECES; n++)
        if (piece_len(envelope.len, n) == 0 || envelope.len == 0)
            err = write_del(w, key_wrapped(&kb, w->keys, w->account, kind, id, n));
    return err == OK && envelope.len > 0 ? put_pieces(w, kind, id, envelope) : err;
}
