/* How the owner of an account signs in over HTTP, and what is kept for it: OPAQUE's record, private keys that the
 * owner's program has wrapped, sessions, second factors; and invitations, by which a first registration is allowed. All
 * of it stands in the account's partition but the invitations, under RECORD_SIGNIN. The vault takes a change of the
 * record, and of what is wrapped, only with a signature by a sign-in key that the record has, or with an invitation:
 * `web` alone cannot change who signs in. */
#ifndef STORE_SIGNIN_H
#define STORE_SIGNIN_H

#include "crypto/opaque.h"
#include "store/records.h"

enum {
    SIGNIN_KEY_SIZE = 32,
    SIGNIN_SIGNATURE_SIZE = 64, /* Ed25519 */
    SIGNIN_DIGEST_SIZE = 32,    /* SHA-256 */
    SIGNIN_UUID_SIZE = 16,      /* view_uuid */
    WRAPPED_MAX = 48 * 1024,    /* octets of one envelope (docs/wrapped-keys.md) */
    WRAPPED_ID_SIZE = 16,       /* the first octets of SHA-256 of a passkey's credential id; else zeros */
    WRAPPED_PASSKEYS_MAX = 8,
    SESSIONS_MAX = 64,              /* of an account; one more takes the place of the one unused for longest */
    SESSION_LIFE_MAX = 400 * 86400, /* seconds */
    SESSION_USED_EVERY = 3600,      /* so often it is noted that it is used */
    SESSION_TOKEN_SIZE = 32,        /* u64 account, 24 random octets */
    FACTORS_MAX = 16,
    FACTOR_CODES = 10,
    TOTP_SECRET_SIZE = 20,
    TOTP_STEP = 30, /* seconds */
    PASSKEY_ID_MAX = 255,
    PASSKEY_KEY_MAX = 320, /* COSE: RSA with 2,048 bits takes 272 */
    INVITE_TOKEN_SIZE = 16,
    INVITATIONS_MAX = 1000, /* of all; what is over goes when another is made */
};

struct signin { /* 'O' */
    uint64_t since, changed;
    uint32_t version;     /* 1, and grows with each change of the record: sessions of an older one are over */
    uint32_t serial;      /* grows with each change of the record or of what is wrapped: no signature counts twice */
    uint32_t number_next; /* of a session or a factor: none is given out twice */
    uint8_t profile;      /* of stretching by its number; 1 or more */
    uint8_t record[OPAQUE_RECORD_SIZE];
    uint8_t password_key[SIGNIN_KEY_SIZE], phrase_key[SIGNIN_KEY_SIZE]; /* zeros: there is no phrase */
};

enum wrapped_kind { WRAPPED_PASSWORD = 1, WRAPPED_PHRASE, WRAPPED_PASSKEY };
struct wrapped { /* 'W', with its envelope */
    uint8_t kind;
    uint8_t id[WRAPPED_ID_SIZE];
    uint64_t since;
    uint32_t len; /* of the envelope */
    uint8_t digest[SIGNIN_DIGEST_SIZE];
};

/* What allows a change. */
enum signin_proof { SIGNIN_BY_INVITATION = 1, SIGNIN_BY_PASSWORD, SIGNIN_BY_PHRASE };
/* What the holder of a sign-in key signs: ASCII "Letterlock sign-in v1", the store's uuid, u64 account, u32 serial of
 * the record as it is, u8 1, then the new record: raw192, u8 profile, raw32 password's key, raw32 phrase's key, and
 * SHA-256 of each envelope that comes with it (password, phrase; of nothing, if none does). Or u8 2, u8 kind, raw16 id,
 * SHA-256 of the envelope (of nothing: it goes). Integers are big-endian. */
enum { SIGNIN_TEXT_MAX = 21 + SIGNIN_UUID_SIZE + 8 + 4 + 1 + OPAQUE_RECORD_SIZE + 1 + 4 * 32 };
struct signin_text {
    size_t len;
    uint8_t octets[SIGNIN_TEXT_MAX];
};
/* Of the record: record, profile and both keys of s alone. */
void signin_text_record(const uint8_t uuid[SIGNIN_UUID_SIZE], uint64_t account, uint32_t serial, const struct signin *s,
                        struct slice password, struct slice phrase, struct signin_text *ret);
void signin_text_wrapped(const uint8_t uuid[SIGNIN_UUID_SIZE], uint64_t account, uint32_t serial, uint8_t kind,
                         const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope, struct signin_text *ret);
/* Whether key has signed these octets. Never by no key (zeros). */
bool signin_signed(const uint8_t key[SIGNIN_KEY_SIZE], struct slice text,
                   const uint8_t signature[SIGNIN_SIGNATURE_SIZE]);

enum session_how { /* a set */
                   SESSION_PASSWORD = 1,
                   SESSION_PHRASE = 2,
                   SESSION_PASSKEY = 4,
                   SESSION_TOTP = 8,
                   SESSION_CODE = 16,
                   SESSION_HOW_ALL = 31
};
struct session {      /* 'o' */
    uint32_t number;  /* what lists show */
    uint32_t version; /* of struct signin */
    uint8_t how;
    uint64_t since, used;  /* to within an hour; the limit of idleness is the asker's to keep */
    uint64_t until;        /* then it is over, used or not */
    char label[LABEL_MAX]; /* as the client names itself */
};

enum session_which { SESSION_ONE = 1, SESSION_ALL, SESSION_OTHERS /* than this one */ }; /* that are ended */

enum factor_kind { FACTOR_TOTP = 1, FACTOR_PASSKEY, FACTOR_RECOVERY };
struct factor { /* 'E' */
    uint32_t number;
    uint8_t kind;
    uint64_t since;
    char label[LABEL_MAX];
    union {
        struct {
            uint8_t secret[TOTP_SECRET_SIZE];
            uint64_t last; /* step that was used last: a code is good once */
        } totp;
        struct {
            uint8_t id_len, flags;
            uint8_t id[PASSKEY_ID_MAX];
            uint16_t key_len;
            uint8_t key[PASSKEY_KEY_MAX]; /* COSE */
            uint32_t counter;
        } passkey;
        struct {
            uint8_t n;
            uint8_t hash[FACTOR_CODES][RECORD_HASH_SIZE]; /* those not used yet */
        } codes;
    };
};
enum { FACTOR_PACKED_MAX = 1000 };
/* As requests carry it and records hold it. ERR_LIMIT: it could not have been read. */
int factor_pack(const struct factor *f, uint8_t out[FACTOR_PACKED_MAX], size_t *ret_len);
int factor_unpack(const uint8_t *in, size_t len, struct factor *ret); /* ERR_FORMAT, ERR_VERSION */

struct invitation { /* 'J' of the instance's partition */
    uint64_t account, until;
    uint32_t uses;
    bool reset;                /* also where a password is registered */
    char address[ADDRESS_MAX]; /* the account's own, when it was made */
};

/* By whoever has RECORD_SIGNIN. Where a session, a code and an invitation are kept. session_token: a new one. */
void session_token(uint64_t account, uint8_t ret[SESSION_TOKEN_SIZE]);
void session_hash(const struct record_keys *k, const uint8_t token[SESSION_TOKEN_SIZE], uint64_t *ret_account,
                  uint8_t ret[RECORD_HASH_SIZE]);
void factor_code_hash(const struct record_keys *k, uint64_t account, struct slice code, uint8_t ret[RECORD_HASH_SIZE]);
void invitation_hash(const struct record_keys *k, const uint8_t token[INVITE_TOKEN_SIZE],
                     uint8_t ret[RECORD_HASH_SIZE]);
/* The root of opaque_server_derive, by whoever has RECORD_OPAQUE; wiped by who has it. */
void signin_opaque_root(const struct record_keys *k, uint8_t ret[RECORD_KEY_SIZE]);

#endif
