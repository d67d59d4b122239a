/* What is kept for signing in, inside the store. */
#ifndef STORE_SIGNIN_IMPL_H
#define STORE_SIGNIN_IMPL_H

#include "store/schema.h"
#include "store/signin.h"
#include "store/write.h"

/* Records. Whoever reads secrets wipes them. unpack: for scans, key and value as the scan gives them. */
int schema_get_signin(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct signin *ret);
int schema_put_signin(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct signin *s);
int schema_unpack_session(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct session *ret);
int schema_get_session(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const uint8_t hash[RECORD_HASH_SIZE], struct session *ret);
int schema_put_session(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const uint8_t hash[RECORD_HASH_SIZE], const struct session *s);
int schema_unpack_factor(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                         struct factor *ret);
int schema_get_factor(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t number,
                      struct factor *ret);
int schema_put_factor(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct factor *f);
int schema_unpack_invitation(const struct record_keys *k, struct slice key, struct slice value, struct invitation *ret);
int schema_get_invitation(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                          struct invitation *ret);
int schema_put_invitation(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                          const struct invitation *i);

/* Envelopes (wrapped.c): the first piece begins with the numbers of the envelope. All pieces are as long. */
enum { WRAPPED_PIECE = 8127 /* sealed, what two pages hold */, WRAPPED_HEAD = 1 + 1 + WRAPPED_ID_SIZE + 8 + 4 + 32 };
enum { WRAPPED_PIECES = (WRAPPED_HEAD + WRAPPED_MAX + WRAPPED_PIECE - 1) / WRAPPED_PIECE };
struct slice key_wrapped(struct schema_keybuf *kb, const struct record_keys *k, uint64_t account, uint8_t kind,
                         const uint8_t id[WRAPPED_ID_SIZE], uint32_t n);
/* The head of one, as its first piece has it. ERR_FORMAT also: it is of another place. */
int schema_unpack_wrapped(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct wrapped *ret);
int schema_get_wrapped_head(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                            const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret);
/* envelope: WRAPPED_MAX octets. ERR_FORMAT: it is not the one whose digest stands in its head. */
int schema_get_wrapped(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                       const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret, uint8_t *envelope);
bool wrapped_kind_of_piece(struct slice key, uint8_t *ret_kind, uint32_t *ret_n); /* false: no such key */
/* What stands there goes, and the envelope comes in its place; empty: none does. ERR_LIMIT: too many passkeys. */
int wrapped_put(struct store_write *w, uint8_t kind, const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope);

/* After a restore: sessions that were ended since live again, and signatures would count twice. */
int signin_restored(struct store_write *w);

struct signin_change {
    uint8_t proof;   /* enum signin_proof */
    uint32_t serial; /* of the record that was seen; 0: none was */
    const uint8_t
        *secret; /* SIGNIN_SIGNATURE_SIZE octets: the signature, or the invitation's token in front of zeros */
};
/* Of w->account. What is so already is no error and no change. ERR_NOT_FOUND: no such account; ERR_CONFLICT: another
 * record is there than was seen; ERR_DENIED: the proof is none, or an invitation is over, another account's, or of no
 * reset where one is needed; ERR_FORMAT: the record is none. */
int signin_set(struct store_write *w, const struct signin_change *c, const struct signin *s, struct slice password,
               struct slice phrase, uint32_t *ret_version);
int signin_wrapped(struct store_write *w, const struct signin_change *c, uint8_t kind,
                   const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope);

/* ERR_CONFLICT: the record is of another version. The same once more gives the same number. */
int session_add(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], const struct session *s,
                uint32_t *ret_number);
/* OK: it lives. ERR_DENIED: it does not. */
int session_lives(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE]);
int session_used(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE]); /* ERR_NOT_FOUND: it is over */
int session_del(struct store_write *w, uint8_t which, uint32_t number);        /* ERR_NOT_FOUND: there is no such one */

/* f->number 0: a new one, else it takes the place of one of its kind. ERR_NOT_FOUND: no such factor, or nothing is
 * registered; ERR_LIMIT: there are too many. */
int factor_put(struct store_write *w, const struct factor *f, uint32_t *ret_number);
int factor_del(struct store_write *w, uint32_t number);
/* value: the step (TOTP) or the counter (passkey) that came; code: the hash of a code, of the last kind. ERR_DENIED: it
 * was used before. */
int factor_used(struct store_write *w, uint32_t number, uint8_t kind, uint64_t value,
                const uint8_t code[RECORD_HASH_SIZE]);

/* An account has one at a time. ERR_FULL: there are too many. */
int invitation_put(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], const struct invitation *i);
int invitation_del(struct store_write *w, uint64_t account); /* ERR_NOT_FOUND: it has none */

#endif
