/* The records of what is sent, and the counting of it: the inside of the store, and the vault. */
#ifndef STORE_SENDING_IMPL_H
#define STORE_SENDING_IMPL_H

#include "store/complaint.h"
#include "store/schema.h"
#include "store/sending.h"

/* 'l': those whom the account has written to; 'f': those who have written to it (store/contact.h). */
struct known_bucket {
    uint32_t n;
    struct {
        uint8_t whom[SENDING_WHOM];
        uint16_t day; /* 'l': since 1970, of the week in which it was last written to. 'f': the week, CONTACT_AGAIN */
    } v[SENDING_BUCKET_MAX];
};
int schema_get_known(struct engine_txn *t, const struct record_keys *k, uint64_t account, char letter, uint32_t bucket,
                     struct known_bucket *ret); /* absent: empty */
int schema_put_known(struct engine_txn *t, const struct record_keys *k, uint64_t account, char letter, uint32_t bucket,
                     const struct known_bucket *v);
struct slice key_domain_sent(struct schema_keybuf *kb, const struct record_keys *k, const char *domain);
int schema_put_domain_sent(struct engine_txn *t, const struct record_keys *k, const char *domain,
                           const struct schema_sent *v);

/* Absent: zeros. */
int schema_get_sent(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_sent *ret);
int schema_put_sent(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_sent *v);
int schema_get_domain_sent(struct engine_txn *t, const struct record_keys *k, const char *domain,
                           struct schema_sent *ret);
/* Of an account or, at the instance's partition, of a domain. */
int schema_unpack_sent(const struct record_keys *k, uint64_t part, struct slice key, struct slice value,
                       struct schema_sent *ret);
/* A bucket; *ret_n: how many there are in it. */
int schema_unpack_known(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        uint32_t *ret_n);
int schema_put_hold(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_hold *v);
int schema_get_hold(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_hold *ret);
int schema_unpack_hold(const struct record_keys *k, struct slice key, struct slice value, struct schema_hold *ret);

/* Absent: zeros. */
int schema_get_complaints(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                          struct schema_complaints *ret);
int schema_put_complaints(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                          const struct schema_complaints *v);
int schema_unpack_complaints(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                             struct schema_complaints *ret);

struct sending_limits {
    uint32_t messages, recipients, first, domain_messages, complaints; /* a day; 0: no limit */
};
struct sending_charge {
    uint64_t account;
    bool message; /* it counts as one: what one submission becomes counts once */
    bool forwarded;
    uint32_t n;
    const uint8_t *const *whom; /* n times SENDING_WHOM octets; zeros: is not counted */
};
/* Counts, in the account's partition and its domain's record, or writes that it is held. Each of these may stand
 * without the others. ERR_NOT_FOUND: no such account. */
struct store_write;
int sending_charge(struct store_write *w, const struct sending_limits *l, const struct sending_charge *c,
                   enum sending_verdict *ret, enum hold_why *ret_now /* 0: nothing new */);
/* Has it written to this address? OK, ERR_NOT_FOUND. */
int sending_find(struct engine_txn *t, const struct record_keys *k, uint64_t account, const char *address);
/* By hand. release: what it had sent is forgotten, so that it may send again. *ret_changed: it was not so before. */
int sending_hold(struct store_write *w, bool *ret_changed);
int sending_release(struct store_write *w, bool *ret_changed);
/* About a message of w->account, which counts once. *ret_day: complaints of a day with it; 0: it had counted already.
 * *ret_held: the account is held from now on. ERR_NOT_FOUND: no such account. */
int sending_complaint(struct store_write *w, const struct sending_limits *l, const uint8_t message[COMPLAINT_MESSAGE],
                      uint32_t *ret_day, bool *ret_held);

#endif
