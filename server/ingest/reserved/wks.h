/* Mail to a domain's submission address, key-submission@DOMAIN (draft-koch-openpgp-webkey-service section 4): a
 * certificate that somebody sends in, or the word that publishes one. It goes to no account. What it says is encrypted
 * to the address's key (crypto/wks_key.h), and looked at while its sender waits; the answer says whether it is a
 * submission, and nothing of what is known here about any address. Nothing is ever answered by mail, but for the mail
 * to whoever has the certificate's address here and wants to be found (verify/verify.h). */
#ifndef INGEST_WKS_H
#define INGEST_WKS_H

#include "server/ingest/transaction/transaction.h"

void wks_take(struct transaction *t); /* answers SMTP_END */

#endif
