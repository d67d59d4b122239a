/* Addresses that are no more, by the word of their own servers: noted for submission (store/suppression.h), and taken
 * out when they are over. */
#ifndef RELAY_SUPPRESS_H
#define RELAY_SUPPRESS_H

#include "server/proto/smtp_client.h"
#include "server/relay/relay.h"

/* Whether a reply to RCPT says that there is no such address, and will not be. */
bool suppress_says_gone(const struct smtp_client_reply *reply);
void suppress_reply(struct relay *r, const struct destination *to, const char *address,
                    const struct smtp_client_reply *reply);
void suppress_prune(void *relay); /* of relay->prune */

#endif
