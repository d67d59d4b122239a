/* What owners sign to change how they sign in, and the hashes under which sessions, codes and invitations stand. */
#include <sodium.h>
#include <string.h>

#include "server/core/bug.h"
#include "store/signin_impl.h"

static const char PREFIX[] = "Letterlock sign-in v1";
enum { CHANGES_RECORD = 1, CHANGES_WRAPPED = 2 };
_Static_assert(SIGNIN_KEY_SIZE == crypto_sign_PUBLICKEYBYTES && SIGNIN_SIGNATURE_SIZE == crypto_sign_BYTES, "Ed25519");
_Static_assert(SIGNIN_DIGEST_SIZE == crypto_hash_sha256_BYTES, "SHA-256");

static void begin(struct pack *p, const uint8_t uuid[SIGNIN_UUID_SIZE], uint64_t account, uint32_t serial, uint8_t what,
                  struct signin_text *ret)
{
    pack_init(p, ret->octets, sizeof(ret->octets));
    pack_raw(p, PREFIX, sizeof(PREFIX) - 1);
    pack_raw(p, uuid, SIGNIN_UUID_SIZE);
    pack_u64(p, account);
    pack_u32(p, serial);
    pack_u8(p, what);
}

static void pack_digest(struct pack *p, struct slice envelope)
{
    uint8_t digest[SIGNIN_DIGEST_SIZE];
    crypto_hash_sha256(digest, envelope.data, envelope.len);
    pack_raw(p, digest, sizeof(digest));
}

void signin_text_record(const uint8_t uuid[SIGNIN_UUID_SIZE], uint64_t account, uint32_t serial, const struct signin *s,
                        struct slice password, struct slice phrase, struct signin_text *ret)
{
    struct pack p;
    begin(&p, uuid, account, serial, CHANGES_RECORD, ret);
    pack_raw(&p, s->record, sizeof(s->record));
    pack_u8(&p, s->profile);
    pack_raw(&p, s->password_key, sizeof(s->password_key));
    pack_raw(&p, s->phrase_key, sizeof(s->phrase_key));
    pack_digest(&p, password);
    pack_digest(&p, phrase);
    bug_if(p.failed);
    ret->len = p.len;
}

void signin_text_wrapped(const uint8_t uuid[SIGNIN_UUID_SIZE], uint64_t account, uint32_t serial, uint8_t kind,
                         const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope, struct signin_text *ret)
{
    struct pack p;
    begin(&p, uuid, account, serial, CHANGES_WRAPPED, ret);
    pack_u8(&p, kind);
    pack_raw(&p, id, WRAPPED_ID_SIZE);
    pack_digest(&p, envelope);
    bug_if(p.failed);
    ret->len = p.len;
}

/* libsodium refuses keys of small order and values that are not canonical. */
bool signin_signed(const uint8_t key[SIGNIN_KEY_SIZE], struct slice text,
                   const uint8_t signature[SIGNIN_SIGNATURE_SIZE])
{
    return !sodium_is_zero(key, SIGNIN_KEY_SIZE) &&
           crypto_sign_verify_detached(signature, text.data, text.len, key) == 0;
}

/* ---- hashes ---- */

static void hash_of(const struct record_keys *k, uint64_t account, const char *what, struct slice of,
                    uint8_t ret[RECORD_HASH_SIZE])
{
    const struct record_part parts[] = {{what, strlen(what)}, {of.data, of.len}};
    record_hash(k, RECORD_SIGNIN, account, parts, 2, ret);
}

void session_token(uint64_t account, uint8_t ret[SESSION_TOKEN_SIZE])
{
    struct pack p;
    pack_init(&p, ret, SESSION_TOKEN_SIZE);
    pack_u64(&p, account);
    randombytes_buf(ret + p.len, SESSION_TOKEN_SIZE - p.len);
}

void session_hash(const struct record_keys *k, const uint8_t token[SESSION_TOKEN_SIZE], uint64_t *ret_account,
                  uint8_t ret[RECORD_HASH_SIZE])
{
    struct unpack u;
    unpack_init(&u, token, SESSION_TOKEN_SIZE);
    *ret_account = unpack_u64(&u);
    hash_of(k, *ret_account, "session", slice_of(token + 8, SESSION_TOKEN_SIZE - 8), ret);
}

void factor_code_hash(const struct record_keys *k, uint64_t account, struct slice code, uint8_t ret[RECORD_HASH_SIZE])
{
    hash_of(k, account, "code", code, ret);
}

void invitation_hash(const struct record_keys *k, const uint8_t token[INVITE_TOKEN_SIZE], uint8_t ret[RECORD_HASH_SIZE])
{
    hash_of(k, 0, "invitation", slice_of(token, INVITE_TOKEN_SIZE), ret);
}

void signin_opaque_root(const struct record_keys *k, uint8_t ret[RECORD_KEY_SIZE])
{
    static const struct record_part root = {"root", 4};
    record_subkey(k, RECORD_OPAQUE, 0, &root, 1, ret);
}
