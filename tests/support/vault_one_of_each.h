/* A store with one of each, every request that changes it, and a digest of all that it holds. */
#ifndef TESTS_SUPPORT_VAULT_ONE_OF_EACH_H
#define TESTS_SUPPORT_VAULT_ONE_OF_EACH_H

#include <sodium.h>

#include "tests/support/published_cert.h"
#include "tests/support/vault_recount.h"

extern bool numbers_differ; /* the number of an account that was not made is not given out again */

struct state {
    uint8_t hash[32];
};

struct state state_of(struct bench *b);

/* ---- one of each ---- */

struct setting {
    struct bench b;
    int parcel, cert;
    uint32_t deep;
    uint8_t published[PUBLISHED_CERT_MAX]; /* a certificate of alice's */
    size_t published_len;
    uint8_t token[UPLOAD_TOKEN_SIZE]; /* of a certificate that waits, for another address */
};

int cert_add(struct setting *s, struct pgp_verdict v);
void setting_make(struct setting *s);
void setting_end(struct setting *s);
int key_add(struct setting *s);
int key_retire(struct setting *s);
int key_current(struct setting *s);
int key_enc_revoked(struct setting *s);
int key_revoked(struct setting *s);
int key_notice(struct setting *s);
int account_only(struct setting *s, enum vault_msg type);
int deliver_plain(struct setting *s);
int delivered_seen(struct setting *s);
int replace_here(struct setting *s);
int replace_shared(struct setting *s);
int flags_add(struct setting *s);
int copy(struct setting *s);
int copy_first(struct setting *s);
int copy_more(struct setting *s);
int copy_last(struct setting *s);
int copy_begun(struct setting *s);
int copy_undone(struct setting *s);
int move(struct setting *s);
int move_self(struct setting *s);
int expunge(struct setting *s);
int expunge_deleted(struct setting *s);
int box_create(struct setting *s);
int box_delete(struct setting *s);
int box_rename(struct setting *s);
int inbox_rename(struct setting *s);
int subscribe(struct setting *s);
int account_new(struct setting *s);
int account_gone(struct setting *s);
int account_change(struct setting *s);
int alias_add(struct setting *s);
int alias_remove(struct setting *s);
int domain_new(struct setting *s);
int domain_gone(struct setting *s);
int password_new(struct setting *s);
int password_gone(struct setting *s);
int account_held(struct setting *s);
int account_released(struct setting *s);
int complaint(struct setting *s);
int dmarc_report(struct setting *s);
int suppress_put(struct setting *s);
int suppress_del(struct setting *s);
int key_seen(struct setting *s);
int key_forgotten(struct setting *s);
int sts_put(struct setting *s);
int sts_del(struct setting *s);
int tally_put(struct setting *s);
int tally_del(struct setting *s);
int key_publish(struct setting *s);
int key_withdraw(struct setting *s);
int upload_new(struct setting *s);
int upload_word(struct setting *s);
int invite_new(struct setting *s);
int invite_gone(struct setting *s);
int signin_first(struct setting *s);
int signin_other(struct setting *s);
int wrapped_new(struct setting *s);
int wrapped_gone(struct setting *s);
int session_new(struct setting *s);
int session_seen(struct setting *s);
int session_gone(struct setting *s);
int factor_new(struct setting *s);
int factor_spent(struct setting *s);
int factor_gone(struct setting *s);
int restored(struct setting *s);

#endif
