/* A message that is sealed for others than the accounts here: PGP/MIME with protected headers (RFC 3156, RFC 9788),
 * once for each set of keys. Outside stands what its sender wrote, but for the Subject. What copies take is the
 * transaction's, in its budget. */
#ifndef INGEST_WRAP_H
#define INGEST_WRAP_H

#include "server/ingest/transaction/transaction.h"
#include "server/keys/known.h"

struct wrap;
/* Reads the message's header. m must live until transaction_wrap_forget_text. ERR_LIMIT, ERR_MEMORY. */
int transaction_wrap_open(struct transaction *t, const struct transaction_mail *m, struct wrap **ret);
void transaction_wrap_free(struct wrap *w); /* and what is under way is given up. NULL is allowed */
const struct header_view *transaction_wrap_header(const struct wrap *w);
/* Is it one OpenPGP message for one of these keys and nothing else? Packets say so, not labels. ERR_FULL: no memory. */
int transaction_wrap_is_encrypted(struct wrap *w, const struct known *const *known, size_t n, bool *ret);

/* One that is sealed, and its octets. */
struct wrap_copy {
    struct transaction_mail mail;
    struct iovec piece;
};
void transaction_wrap_copy_finish(struct wrap_copy *c);
/* To at most PGP_SEAL_RECIPIENTS_MAX keys. account: whose affair it is. WRAP_LATER: done is called; one at a time. */
enum { WRAP_LATER = 1 };
typedef void wrap_done_fn(void *arg, int status);
int transaction_wrap_seal(struct wrap *w, const struct known_key *const *keys, size_t n, uint64_t account,
                          struct wrap_copy *ret, wrap_done_fn *done, void *arg);
uint64_t transaction_wrap_octets(const struct wrap *w); /* that one seal takes */
void transaction_wrap_forget_text(struct wrap *w);      /* nobody needs it any more */

/* Keys of an address, as far as they are known without asking anybody. ERR_NO_KEY: none are; ERR_AGAIN: nobody can say.
 */
int transaction_wrap_known(struct view *v, const char *address, struct known **ret);

#endif
