/* Notices of a key's end. Some days before a key expires, when it has expired, and when it is revoked, its reader gets
 * a mail, sealed like any other. One process walks the accounts, a slice of them a turn: soon after its start, then
 * every hour and whenever an expiry is due. An account whose keys change is looked at by itself. The vault delivers a
 * notice and notes it with the key in one commit, so each notice comes once, even if a process dies in between. While
 * nothing can be sealed to an account, its notices wait. */
#ifndef SEALER_NOTICES_H
#define SEALER_NOTICES_H

#include "server/base/loop.h"
#include "server/sealer/deposit.h"

struct notices;

struct notices_params {
    struct loop *loop;
    struct view *view;
    const struct depositor *depositor;
    void (*sent)(void *arg); /* one more has come to its reader */
    void *arg;
};

/* days: so long before its expiry a key is warned of. NULL: no memory. */
struct notices *notices_create(const struct notices_params *p, uint32_t days);
void notices_destroy(struct notices *n); /* NULL is allowed */
void notices_account_changed(struct notices *n, uint64_t account);
void notices_set_days(struct notices *n, uint32_t days); /* a walk begins soon */

#endif
