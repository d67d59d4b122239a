/* Keys of those to whom people here write: of the accounts here, by what is approved for them (store/approval.h), and
 * of people elsewhere, as whoever has looked for them found them. */
#ifndef KEYS_KNOWN_H
#define KEYS_KNOWN_H

#include "crypto/pgp_cert.h"
#include "crypto/pgp_seal.h"
#include "store/view.h"

struct known_key {
    struct pgp_verdict verdict;
    uint8_t *cert;
    size_t len;
    struct pgp_recipient *native; /* NULL: the gpg role seals to it */
};
struct known {
    enum known_from from;
    size_t n; /* at least one */
    struct known_key keys[PGP_SEAL_RECIPIENTS_MAX];
};
/* Called once, before known_ask returns as long as nobody else has to be asked. OK: the set is the callee's, until
 * known_free. ERR_NOT_FOUND: no key is known; others: now nobody can say. */
typedef void known_fn(void *arg, int status, struct known *k);
/* No snapshot of the view may be open. */
void known_ask(struct view *v, const char *address, known_fn *done, void *arg);
/* In a snapshot: whether a key is known without asking anybody. ERR_NOT_FOUND: none is. */
int known_here(struct view *v, const char *address);
/* One certificate, of which the octets are copied. ERR_MEMORY; ERR_NO_KEY: its numbers protect nothing. */
int known_of(const uint8_t *cert, size_t len, const struct pgp_verdict *v, enum known_from from, struct known **ret);
void known_free(struct known *k); /* NULL is allowed */

#endif
