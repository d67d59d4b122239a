/* What is published of accounts (store/published.h), brought to what should be: the second step of every command that
 * changes certificates, addresses or their holder's wish. A step that was missed is made up by any later one, or by
 * `key publish`. */
#ifndef CLI_PUBLISH_H
#define CLI_PUBLISH_H

#include "server/cli/cli.h"

struct published_state {
    bool there, wanted; /* in the directory; should be */
    bool same;          /* as it should be, to the octet */
    bool same_key;      /* the same primary key, if both */
    bool verified;      /* its holder has said so by mail (store/upload.h), and wants to be found: then it is right */
    bool newer;         /* and is no older than what should be, of the same key */
};
/* In a snapshot. An error of the store's, or ERR_MEMORY; ERR_UNAPPROVED: what stands there was approved by nobody. */
int publish_look(struct view *v, uint64_t account, const char *address, struct published_state *ret);

/* Each of an account's addresses. Exit statuses; says that the command itself was done, if this fails. */
int publish_account(const struct cli *c, struct instance *i, uint64_t account, enum publish_why why);
/* Nothing is published for any of them, or for one address, before they go. */
int publish_withdraw(const struct cli *c, struct instance *i, uint64_t account, enum publish_why why);
int publish_withdraw_one(const struct cli *c, struct instance *i, const char *address, enum publish_why why);

/* Addresses with their accounts, of one account or (0) of all. malloc'd. */
struct publish_address {
    uint64_t account;
    char address[ADDRESS_MAX];
};
struct publish_addresses {
    struct publish_address *v;
    size_t n, cap;
    uint64_t account;
};
int publish_addresses_read(struct instance *i, struct publish_addresses *a); /* an error of the store's, ERR_MEMORY */
/* `account show`'s lines about it. In a snapshot. */
int publish_print(struct view *v, const struct schema_account *account, FILE *out);

#endif
