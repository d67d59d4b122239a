/* The shapes of what the store keeps, as view.h answers and request.h asks: sizes, flags, one struct a record; and how
 * names become the form in which they are kept. How records are laid out is schema.h's, inside the store. */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/approver.h"
#include "crypto/outer_seal.h"
#include "crypto/pgp_cert.h"
#include "crypto/record.h"
#include "server/core/wire.h"
#include "server/format/outer.h"
#include "server/mail/address.h"
#include "store/blob.h"

enum {
    MAILBOX_NAME_MAX = 512,
    MAILBOXES_MAX = 2000,
    SUBSCRIPTIONS_MAX = 2 * MAILBOXES_MAX, /* some are of mailboxes that are gone */
    KEYWORDS_MAX = 512,                    /* of an account */
    KEYWORD_WORDS = KEYWORDS_MAX / 64,
    KEYWORD_LEN_MAX = 64,
    LABEL_MAX = 128
};

enum address_kind { ADDRESS_PRIMARY = 1, ADDRESS_ALIAS = 2, ADDRESS_CATCH_ALL = 3 };
struct schema_address {
    uint64_t account;
    uint8_t kind;
    char address[ADDRESS_MAX];
    uint8_t approval[APPROVAL_SIZE]; /* store/approval.h */
};

/* Whether mail is sealed as SEIPD v2 (RFC 9580 section 5.13.2). */
enum seal_v2 { SEAL_V2_AUTO, /* where every current key asks for it */ SEAL_V2_NEVER };
/* Whether what the account sends is sealed to those whom it is for. */
enum encrypt {
    ENCRYPT_NEVER,
    ENCRYPT_OPPORTUNISTIC, /* where everybody's key is known */
    ENCRYPT_ALWAYS         /* or it is not sent */
};
/* How what comes for the account goes to another address as well. A set. */
enum forward_how {
    FORWARD_ONLY = 1,    /* and no copy of it is kept */
    FORWARD_OWN_KEYS = 2 /* sealed to the account's own keys, whoever it goes to */
};
struct schema_account {
    uint64_t id, created, quota_bytes /* 0: none */;
    uint8_t policy;            /* enum header_policy, and POLICY_DISPLAY */
    uint8_t trial_key;         /* made by --new-key */
    uint8_t seal_v2;           /* enum seal_v2 */
    uint8_t encrypt;           /* enum encrypt */
    bool unpublished;          /* it does not want to be found (store/published.h) */
    bool no_autocrypt;         /* what it sends does not bring its certificate along */
    bool key_changes;          /* it is told by mail of another key of a correspondent */
    uint32_t keys_version;     /* grows whenever keys change: readers cache by it */
    uint32_t uidvalidity_last; /* only grows, across delete and re-create */
    uint32_t mailbox_next;
    uint8_t auth_salt[16];
    uint32_t auth_iterations; /* SCRAM, one an account */
    uint8_t pseudonym_key[32];
    uint32_t password_next;    /* the next app password's number: none is used again */
    char address[ADDRESS_MAX]; /* primary */
    uint8_t forward_how;       /* enum forward_how; 0 if it goes nowhere */
    char forward[ADDRESS_MAX]; /* where to; "": nowhere */
};
/* What changes with each message: the sums at the prices of store/usage.h, and the next number of a message or a
 * certificate. */
struct schema_usage {
    uint64_t bytes, messages, entries, number_next;
};
/* Counting what an account holds, in pieces. */
struct usage_walk {
    struct schema_usage sum;
    uint32_t left;
    size_t len;
    uint8_t last[200 /* ENGINE_KEY_MAX */]; /* the last key that was counted */
};

enum key_state {
    KEY_CURRENT = 1,
    KEY_RETIRED = 2,
    KEY_REVOKED = 3,    /* the certificate: never current again */
    KEY_ENC_REVOKED = 4 /* its encryption key: current again only with another one */
};
/* Which notices its reader has had. */
enum key_event { KEY_EVENT_EXPIRING = 1, KEY_EVENT_EXPIRED = 2, KEY_EVENT_REVOKED = 4 };
enum { KEY_FORMER_MAX = 16, CERT_HASH_SIZE = 32 };
struct schema_key {
    uint8_t state;
    uint64_t added, ended /* retired or revoked; 0: current */, blob /* the certificate's number */;
    uint32_t cert_len;
    uint8_t cert_hash[CERT_HASH_SIZE]; /* BLAKE2b of the certificate */
    struct pgp_verdict verdict;
    uint8_t noticed, nformer;
    struct {
        uint8_t fpr[PGP_FPR_MAX], fpr_len;
    } former[KEY_FORMER_MAX]; /* encryption keys that sealed before a
                                                                            renewal, oldest first: of old mail */
};

enum {
    ACCOUNT_PASSWORDS_MAX = 200,
    AUTH_ITERATIONS = 4096, /* RFC 7677 section 4; the passwords are random */
};
enum { SCOPE_IMAP = 1, SCOPE_POP3 = 2, SCOPE_SMTP = 4, SCOPE_HTTP = 8, SCOPE_ALL = 15 };
struct schema_app_password {
    uint8_t scope;
    uint64_t created;
    uint32_t number;                        /* what `list` shows and `revoke` takes */
    uint8_t stored_key[32], server_key[32]; /* SCRAM-SHA-256 */
    char label[LABEL_MAX];
};

/* SPECIAL-USE (RFC 6154), as bits. */
enum { USE_DRAFTS = 1, USE_SENT = 2, USE_JUNK = 4, USE_TRASH = 8, USE_ARCHIVE = 16 };
enum {
    MAILBOX_JUNK = 0, /* of VAULT_DELIVER: the one with that use, or INBOX if the account has none */
    MAILBOX_INBOX = 1
};
struct schema_mailbox_name {
    char name[MAILBOX_NAME_MAX]; /* UTF-8, "/" between levels */
    uint8_t use;
};
struct schema_mailbox {
    uint32_t id, uidvalidity, uidnext, exists, unseen, deleted, first_unseen_hint /* no unseen UID below it */;
    uint64_t highestmodseq, bytes, created, tombstones_from /* QRESYNC knows expunges after this modseq */;
};

/* The keywords of an account by number, and those that an entry carries. */
struct schema_keyword {
    uint32_t entries;               /* that carry it */
    char text[KEYWORD_LEN_MAX + 1]; /* "": the number is free */
};
struct schema_keywords {
    unsigned n; /* numbers below it may be in use */
    struct schema_keyword v[KEYWORDS_MAX];
};
struct schema_keyset {
    uint64_t w[KEYWORD_WORDS]; /* number i: bit i % 64 of word i / 64 */
};
static inline bool schema_keyset_has(const struct schema_keyset *s, unsigned i)
{
    return s->w[i / 64] >> i % 64 & 1;
}

/* UIDs that were expunged under one MODSEQ. */
enum { TOMBSTONES_MAX = 1024 };
struct schema_tombstones {
    uint64_t modseq;
    uint32_t n;
    struct {
        uint32_t first, last;
    } v[TOMBSTONES_MAX];
};

/* A mailbox that is being erased, or emptied into another: work in steps. */
enum mailbox_job { JOB_ERASE = 1, JOB_MOVE = 2 };
struct schema_job {
    uint8_t job;
    uint32_t mailbox, to, uid_end; /* what is below uid_end moves */
};

/* What a copy in pieces has put into a mailbox so far. */
struct schema_copy {
    uint64_t number; /* the copy's, random */
    uint32_t to, first, last;
};

/* System flags of a message. */
enum {
    FLAG_SEEN = 1,
    FLAG_ANSWERED = 2,
    FLAG_FLAGGED = 4,
    FLAG_DELETED = 8,
    FLAG_DRAFT = 16,
    FLAGS_SYSTEM = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT
};

enum { BLOCK_UIDS = 1024, BLOCK_BITMAP = BLOCK_UIDS / 8 };
struct schema_block {
    uint16_t count, unseen, deleted;
    uint8_t here[BLOCK_BITMAP], seen[BLOCK_BITMAP], answered[BLOCK_BITMAP], flagged[BLOCK_BITMAP],
        deleted_bits[BLOCK_BITMAP], draft[BLOCK_BITMAP];
};
/* What lists of messages show beside flags, so that no message's record is opened for it. */
struct schema_facts {
    uint64_t size;        /* rendered octets */
    int64_t internaldate; /* of struct schema_message */
};
struct schema_entry {
    uint64_t message, flags, modseq;
    struct schema_keyset keywords;
    uint8_t facts[RECORD_BLOCK_SIZE]; /* hidden: schema_entry_facts */
};

enum { SCHEMA_OUTER_MAX = 15 * 1024 /* an outer header */ };
/* A message's packets. No file is as long; below it nothing that is reckoned with lengths of chunks, of base64 or of
 * heads overflows. */
#define SCHEMA_PACKETS_MAX ((uint64_t)1 << 40)
#define SCHEMA_RENDERED_MAX (2 * SCHEMA_PACKETS_MAX) /* of any message as it is served: base64 and its headers */
enum { MESSAGE_FPRS_MAX = 16, MESSAGE_FPR_SIZE = 20, MESSAGE_FEATURES_MAX = 16 };
struct schema_message {
    uint64_t id;
    uint32_t references /* mailbox entries */;
    uint8_t kind, render_version;
    uint64_t packets_len;
    uint32_t head_len; /* of the packets: what stands before octets that are random */
    uint32_t capsule_len, outer_len;
    int64_t internaldate; /* seconds since 1970; negative before */
    uint64_t received;    /* seconds since 1970 */
    uint8_t thread[RECORD_HASH_SIZE], own_id[RECORD_HASH_SIZE];
    uint8_t expiry_scheme; /* 0: none; 1 reserved: sealed once more under the hourly expiry key */
    uint32_t expiry_hour;  /* hours since 1970; 0: never */
    uint32_t keys_used;    /* of pgp_check_result, by the order of fprs below */
    uint8_t nfprs;
    uint8_t fprs[MESSAGE_FPRS_MAX][MESSAGE_FPR_SIZE]; /* of the account's encryption keys that it is
                                                                       sealed to: the fingerprints' first octets */
    uint8_t salt[OUTER_SEAL_SALT];                    /* of the key of its body */
    uint32_t padding;                                 /* octets by which its body seems longer */
    uint8_t nfeatures;
    uint64_t features[MESSAGE_FEATURES_MAX]; /* keyed hashes of what it shows of its sender (RECORD_FEATURE) */
    struct slice outer; /* plaintext outer header, outer_len bytes; unpack puts it into the caller's buffer */
};

/* What a delivery that is tried again finds of the first one. */
struct schema_delivery {
    uint64_t time, message, modseq;
    uint32_t mailbox, uidvalidity, uid;
};

uint64_t schema_message_size(const struct schema_message *m); /* rendered octets */
struct schema_facts schema_message_facts(const struct schema_message *m);

/* An app password as typed (any case, blanks and dashes ignored) to the hash that finds it. */
int app_password_hash(const struct record_keys *k, uint64_t account, const char *password, size_t len,
                      uint8_t out[RECORD_HASH_SIZE]);

#endif
