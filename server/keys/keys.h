/* Certificates of accounts: read with their octets and with the mail that needs them, judged, ended by a revocation.
 * What may follow what is a rule of store/key_rules.h, and the vault's word counts. Nothing here prints, and nothing is
 * asked of the vault: the caller is handed the request. */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "server/gpg/gpg.h"
#include "store/key_rules.h"
#include "store/request.h"
#include "store/view.h"

/* ---- list.c ---- */

struct keys_entry {
    struct schema_key key;
    uint8_t *cert;
    size_t cert_len;
    enum pgp_flaw flaw;          /* of enc: no mail is sealed to it */
    bool lost;                   /* nor if what stands in its place is damaged, or another one: then cert_len is 0 */
    struct pgp_key primary, enc; /* material points into cert; what its record says, if it cannot be read */
    uint64_t messages, only;     /* stored messages sealed to it; of these, to no other key of the account */
};
struct keys_list {
    uint64_t account;
    struct keys_entry v[PGP_KEYS_MAX]; /* current, retired, revoked ones */
    size_t n;
    uint64_t hidden; /* messages that name no key of the account: came encrypted to hidden recipients */
};

/* keys_free after OK. ERR_MEMORY, or the view's errors. */
int keys_read(struct view *v, uint64_t account, struct keys_list *ret);
void keys_free(struct keys_list *l);
/* Fills in the counts, in slices of snapshots: what changes meanwhile may be counted or not. */
int keys_count(struct view *v, struct keys_list *l);
struct keys_entry *keys_find(struct keys_list *l, const uint8_t *fpr, size_t len);
/* Which of the list's certificates open the message: bit k is v[k]. */
uint64_t keys_opening(const struct keys_list *l, const struct schema_message *m);

/* ---- judge.c ---- */

struct keys_judge {
    struct view *view;
    int channel;         /* a raw end to gpg judge */
    const char *address; /* of the account, or of one that is to be made; normalized, or NULL */
};
/* Blocking: gpg_judge_call for all addresses of the account that has this one. */
int keys_judge(const struct keys_judge *j, const void *cert, size_t len, struct gpg_judgement *ret);

/* ---- revoke.c ---- */

/* Whether these octets, armoured or not, are revocations and nothing else. */
bool keys_is_revocation(const void *text, size_t len);

enum keys_fault {
    KEYS_FAULT_NONE,
    KEYS_FAULT_UNREADABLE,     /* err says why */
    KEYS_FAULT_REVOCATIONS,    /* those in it cannot be read: err */
    KEYS_FAULT_NO_KEY_OF_IT,   /* the account has no key that it revokes */
    KEYS_FAULT_NO_SUCH_KEY,    /* it is a revoked certificate that the account does not have */
    KEYS_FAULT_DOES_NOT_FIT,   /* into the certificate that the account has: err */
    KEYS_FAULT_JUDGED,         /* the judge refuses it: why, err */
    KEYS_FAULT_NOT_BY_THE_KEY, /* the revocation was not made by the key that it names */
    KEYS_FAULT_OLDER_COPY,     /* the encryption key that is revoked in it is a former one */
};
/* What a revocation ends. */
struct keys_ending {
    enum keys_fault fault;
    int err;
    char why[512];
    const struct keys_entry *key;
    struct vault_request request; /* VAULT_KEY_REVOKED, with the certificate, or VAULT_KEY_ENC_REVOKED */
    uint8_t *cert;                /* malloc'd, or NULL */
    size_t cert_len;
};
/* text: a revocation certificate, or a certificate of which the judge has said that it is revoked. It is put together
 * with the certificate that the account has, and judged: a forged one ends nothing. Blocking. ret->request points into
 * l; its cert is the caller's to free. */
enum keys_fault keys_revocation(const struct keys_judge *j, struct keys_list *l, const void *text, size_t len,
                                struct keys_ending *ret);

#endif
