/* MTA-STS policies in the store (store/sts_policy.h), by the view and the vault: those of all relay processes. */
#ifndef RELAY_STS_KEPT_H
#define RELAY_STS_KEPT_H

#include "server/relay/sts.h"
#include "store/client.h"
#include "store/view.h"

struct sts_kept;
struct sts_kept *sts_kept_create(struct loop *l, struct view *v, struct vault_client *vault, uint64_t (*now)(void));
void sts_kept_destroy(struct sts_kept *k);                                 /* NULL is allowed */
int sts_kept_read(void *kept, const char *domain, struct sts_policy *ret); /* the errors of view_sts_policy */
void sts_kept_write(void *kept, const struct sts_policy *p);               /* unless a newer one is there */
void sts_kept_prune(void *kept); /* takes out some of what is over, and goes on by itself */

#endif
