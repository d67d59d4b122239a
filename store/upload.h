/* Certificates that wait for the word of whoever has the mailbox of their address: somebody sent one in (over HTTP), a
 * mail went to the address, and what comes back with the token out of that mail publishes it. They stand in partition 2
 * beside the directory, in which nobody finds them, for a day at most.
 *
 * Each address has a few places. One is taken from the upload until a day later, published or not, so it also counts
 * mails: no address gets more than it has places. Certificates of keys that the account has stand in places of their
 * own, so whoever sends in others, which anybody can make, takes none from them. What waits is never pushed out. */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

#include "store/published_impl.h"
#include "store/write.h"

enum {
    UPLOAD_LIFE = 86400,   /* seconds */
    UPLOAD_PLACES_OWN = 2, /* of an address, for keys that its account has */
    UPLOAD_PLACES_OTHER = 2,
    UPLOAD_PLACES = UPLOAD_PLACES_OWN + UPLOAD_PLACES_OTHER,
    UPLOADS_MAX = 4096,                   /* places that are taken, of all */
    UPLOAD_OCTETS_MAX = 64 * 1024 * 1024, /* of certificates that wait, of all */
    UPLOAD_SWEEP = 16,                    /* that are over and go at a time */
};

struct upload {
    uint64_t account, until /* seconds since 1970 */;
    char address[ADDRESS_MAX];
    uint8_t secret[PUBLISHED_HASH_SIZE]; /* SHA-256 of the token's */
    uint8_t digest[PUBLISHED_HASH_SIZE]; /* SHA-256 of the certificate */
    uint32_t len;                        /* of the certificate; 0: it does not wait any more */
};
struct upload_head {
    uint32_t n;
    uint64_t octets;
};

int schema_get_upload(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                      uint32_t place, struct upload *ret);
int schema_put_upload(struct engine_txn *t, const struct record_keys *k, uint32_t place, const struct upload *u);
int schema_get_upload_head(struct engine_txn *t, const struct record_keys *k, struct upload_head *ret); /* or zeros */
int schema_put_upload_head(struct engine_txn *t, const struct record_keys *k, const struct upload_head *h);
enum { UPLOAD_CHUNKS = (PGP_PUBLISHED_MAX + PUBLISHED_CHUNK - 1) / PUBLISHED_CHUNK /* of a place, at most */ };
/* The certificate of one that waits, as its record says. ERR_FORMAT: another. */
int schema_get_upload_cert(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                           uint32_t place, const struct upload *u, uint8_t *cert);
struct slice key_upload_until(struct schema_keybuf *kb, uint64_t until, const uint8_t hash[RECORD_HASH_SIZE],
                              uint32_t place);

/* cert: fit to be published for this address of this account; own: its key is one of the account's. ERR_QUOTA: the
 * address has no place left today; ERR_FULL: there are as many as there may be. */
int upload_add(struct store_write *w, const char *address, uint64_t account, bool own, struct slice cert,
               uint8_t ret_token[UPLOAD_TOKEN_SIZE]);
/* What waits under this token; it stays. cert: PGP_PUBLISHED_MAX octets. ERR_NOT_FOUND: nothing does. */
int upload_find(struct store_write *w, const uint8_t token[UPLOAD_TOKEN_SIZE], struct upload *ret, uint8_t *cert);
/* It waits no more; its place stays taken until its day is over. */
int upload_done(struct store_write *w, const uint8_t token[UPLOAD_TOKEN_SIZE]);
/* At most UPLOAD_SWEEP whose day is over. *ret_n: how many went. */
int upload_sweep(struct store_write *w, uint32_t *ret_n);

#endif
