/* The outgoing queue, partition 1: messages on their way out, each sealed to the queue's own OpenPGP key, which `relay`
 * alone can open. What names somebody (envelope and recipients) is sealed under RECORD_QUEUE, whose key comes from
 * DIR/queue.key and not from the store key: the vault stores these records without being able to read them, and knows a
 * record that is changed by its nonce. An id is a random number from 1 to 2^62-1, made by who adds the message
 * (queue_new_id); it is also what the sender is told and the log says.
 *
 *   'Q' id8       struct queue_envelope, sealed (QUEUE)
 *   'T' id8 n4    struct queue_recipient, sealed (QUEUE)
 *   'M' id8       struct schema_message, sealed (QUEUE_CONTENT): the vault's and relay's; its octets' lengths, salt
 *   'D' hash16    struct dkim_record (store/dkim.h), sealed (DKIM)
 * Blobs under id: as an account's, with keys from QUEUE_CONTENT. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/record.h"
#include "server/core/wire.h"
#include "server/mail/address.h"

enum {
    QUEUE_ENVID_MAX = 100, /* RFC 3461 section 4.4 */
    QUEUE_ORCPT_MAX = 500, /* section 4.2 */
    QUEUE_REPLY_MAX = 200,
    QUEUE_HOST_MAX = 128,
    QUEUE_ENVELOPE_MAX = 1024, /* octets of a sealed record */
    QUEUE_RECIPIENT_MAX = 2048,
    QUEUE_ADD_MAX = 60 * 1024 - 96, /* octets of all records of a new message, 16 more for each: they fit one request */
    QUEUE_DKIM_MAX = 4096,
    QUEUE_SEEN_SIZE = 24,   /* of a sealed record: its nonce */
    QUEUE_REPORT_MAX = 100, /* recipients of one DSN */
    QUEUE_ID_TEXT = 17,     /* 16 digits of base 16, and a NUL */
};

#define QUEUE_HOLD_FOREVER UINT64_C(253402300799) /* the end of 9999 */

enum queue_body { QUEUE_7BIT, QUEUE_8BIT };
enum queue_tls {
    QUEUE_TLS_USUAL,
    QUEUE_TLS_REQUIRED, /* REQUIRETLS (RFC 8689 section 4.2) */
    QUEUE_TLS_OPTIONAL, /* TLS-Required: No (section 5) */
};
struct queue_envelope {
    uint64_t id;
    uint64_t queued_at, expires, hold_until; /* seconds since 1970. Until hold_until nothing is done with it, nor
                                                * does it expire; 0: it is not held */
    uint64_t account;                        /* whose mail it is; 0: the server's own */
    uint64_t size;                           /* octets of the message in the clear */
    char from[ADDRESS_MAX];                  /* "": the null path */
    uint8_t body;                            /* enum queue_body */
    uint8_t smtputf8;
    uint8_t tls;                     /* enum queue_tls: its sender's wish */
    uint8_t ret;                     /* RFC 3461 section 4.3: 0 not said, 1 FULL, 2 HDRS */
    uint8_t origin;                  /* enum queue_origin */
    char envid[QUEUE_ENVID_MAX + 1]; /* in xtext, as MAIL had it */
};

enum queue_state {
    QUEUE_QUEUED = 1,
    QUEUE_DEFERRED,
    QUEUE_FAILED /* its DSN is still to be stored */,
    QUEUE_SENT /* likewise: a success DSN */
};
/* Whose words it is: what strangers wrote is never signed for one of our domains. */
enum queue_origin {
    QUEUE_OWN,      /* of somebody here, or of the server */
    QUEUE_FORWARDED /* came from elsewhere, and goes on */
};
/* How the server was known that took it, or refused it. */
enum queue_proof {
    QUEUE_PROOF_NONE, /* nobody was asked */
    QUEUE_PROOF_CLEAR,
    QUEUE_PROOF_TLS, /* encrypted, to whomever */
    QUEUE_PROOF_DANE,
    QUEUE_PROOF_STS,
    QUEUE_PROOF_VERIFY,
    QUEUE_PROOF_FINGERPRINT,
    QUEUE_PROOFS,
};
const char *queue_proof_word(unsigned proof); /* "clear", "dane"...; "": NONE, or no value of it */
struct queue_recipient {
    uint32_t n; /* its number in the message */
    uint8_t state, local /* held mail for an account here */, notify /* enum smtp_notify */, delay_told;
    uint8_t proof; /* enum queue_proof, of the last try */
    uint32_t tries;
    uint64_t next_try, last_try;
    uint32_t report; /* FAILED, SENT: the least number of those of whom one DSN tells, by which it is known */
    char to[ADDRESS_MAX];
    char orcpt[QUEUE_ORCPT_MAX + 1]; /* "type;xtext", as RCPT had it */
    char last_reply[QUEUE_REPLY_MAX + 1], host[QUEUE_HOST_MAX + 1];
    uint8_t seen[QUEUE_SEEN_SIZE]; /* of the record as it was read: what an update names */
};

/* Sealed for its place. out: QUEUE_ENVELOPE_MAX, QUEUE_RECIPIENT_MAX. k has RECORD_QUEUE. ERR_LIMIT. */
int queue_seal_envelope(const struct record_keys *k, const struct queue_envelope *e, uint8_t *out, size_t *ret_len);
int queue_seal_recipient(const struct record_keys *k, uint64_t id, const struct queue_recipient *r, uint8_t *out,
                         size_t *ret_len);
size_t queue_recipient_size(const struct queue_recipient *r); /* octets, sealed */
/* ERR_CRYPTO, ERR_FORMAT, ERR_VERSION; ERR_DENIED: k has not the key. */
int queue_open_envelope(const struct record_keys *k, uint64_t id, struct slice sealed, struct queue_envelope *ret,
                        uint8_t seen[QUEUE_SEEN_SIZE]);
int queue_open_recipient(const struct record_keys *k, uint64_t id, uint32_t n, struct slice sealed,
                         struct queue_recipient *ret);

/* Whether a record never opens, whoever reads it: it is damaged, or of a newer version. Whoever reads the queue passes
 * over it and goes on with the others; `letterlock audit` names it. */
bool queue_is_damage(int err);

/* Of a record 'D', whose fields are not known here (store/dkim.h). out: QUEUE_DKIM_MAX; p is wiped. k has RECORD_DKIM.
 */
int queue_seal_dkim(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct pack *p, uint8_t *out,
                    size_t *ret_len);
int queue_open_dkim(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                    uint8_t out[QUEUE_DKIM_MAX], size_t *ret_len);
uint64_t queue_new_id(void);
/* As people see it. */
void queue_id_write(uint64_t id, char out[QUEUE_ID_TEXT]);
int queue_id_read(const char *text, uint64_t *ret); /* ERR_FORMAT */

#endif
