/* The gate: nothing becomes a stored message without passing here.
 *
 * It proves, on bytes that can no longer change: every field of the outer header is on the allow-list and its value
 * fits that field's grammar; the message is session-key packets and then exactly one encrypted container to the last
 * byte, encrypted for a current key of this account and, where the server sealed it, for nobody else; and so is the
 * capsule, always. (Mail that came encrypted for hidden recipients alone passes if one of its session keys
 * fits a current key and it is served as PGP/MIME, unless the operator does not want it kept.) That catches
 * bugs and every bypass that would store readable mail.
 *
 * It does not prove that the container holds ciphertext: nobody can tell without the reader's key. A subverted ingest,
 * which has seen the plaintext anyway, can still lie inside a packet, and can hide bits in what is random. */
#ifndef VAULT_GATE_H
#define VAULT_GATE_H

#include "crypto/pgp_check.h"
#include "store/write.h"

struct gate;
/* queue_key: the public key to which what goes out is sealed; empty: nothing passes as such. ERR_MEMORY, ERR_FORMAT. */
int gate_create(struct slice queue_key, struct gate **ret);
void gate_destroy(struct gate *g);
/* keep_wildcard_mail of the config: mail that came encrypted for hidden recipients alone passes too. At first: no. */
void gate_keep_wildcard(struct gate *g, bool keep);
/* Keys are cached by (account, keys_version). A group that is aborted takes its keys_version back: then everything is
 * forgotten. */
void gate_forget(struct gate *g);

struct gate_finding {
    uint32_t head_len;
    uint8_t nfprs;
    uint8_t fprs[MESSAGE_FPRS_MAX][MESSAGE_FPR_SIZE];
    uint32_t keys_used;
};
/* kind: enum message_kind. ERR_REFUSED with a sentence; ERR_NO_KEY: the account has no current key; or the store's
 * error. */
int gate_check(struct gate *g, struct store_write *w, const struct schema_account *account, uint8_t kind,
               const struct parcel *p, struct gate_finding *ret, const char **ret_why);
/* What goes out: packets alone, sealed by this server to the queue's key and to no other. ERR_REFUSED with a sentence.
 * *ret_head_len: as in gate_finding. */
int gate_check_queued(const struct gate *g, const struct parcel *p, uint32_t *ret_head_len, const char **ret_why);

#endif
