/* Logins with app passwords, for every protocol that has them. Each try waits as long as failed ones of its peer and
 * network demand. Who counts is master, for all processes and protocols: it is asked before a try and told what came
 * of it (docs/ipc.md). A process has one try in hand at a time, so that many at once gain nothing; the others queue. */
#ifndef LOGIN_LOGIN_H
#define LOGIN_LOGIN_H

#include <sys/socket.h>

#include "server/base/loop.h"
#include "server/base/role.h"
#include "store/view.h"

struct login;
struct login_try;

enum {
    LOGIN_ANSWER_MS = 5000 /* master has so long to answer; then the tries that wait fail with ERR_TIMEOUT */
};

/* To master: role_send, or a test's. */
typedef int login_send_fn(enum role_msg type, uint64_t id, const struct pack *payload);

struct login *login_create(struct loop *l, struct view *v, login_send_fn *send); /* NULL: no memory */
void login_destroy(struct login *g); /* after every try of it; NULL is allowed */
/* A ROLE_MSG_LOGIN_REPLY; arg is the struct login. ERR_FORMAT: nothing was asked under this id. */
int login_reply(void *arg, uint64_t id, uint64_t wait_ms);

struct login_params {
    const struct sockaddr_storage *peer; /* read by login_start alone */
    struct slice user, password;         /* stay the caller's until the try ends. user.data NULL: bound to be refused */
    unsigned scope;                      /* SCOPE_ */
    view_proof_fn *fits;                 /* by a proof (server/login/login_scram.h), not a password; NULL: by that */
    void *fits_arg;
};
struct login_result {
    struct view_user user;
    uint8_t hash[RECORD_HASH_SIZE]; /* of the app password: its record's key */
};
/* OK with a result; ERR_DENIED: refused, whatever is wrong, after the same work; else a shortage: nothing is known.
 * Called once, from the loop, never from login_start. */
typedef void login_done_fn(void *arg, int err, const struct login_result *r);

int login_start(struct login *g, const struct login_params *p, login_done_fn *done, void *arg,
                struct login_try **ret); /* ERR_MEMORY */
/* For an exchange whose outcome comes later, or never: it is slowed as a try is, and counts as a failed one until
 * login_forgive says that it was right. done: OK without a result, or a shortage. */
int login_price(struct login *g, const struct sockaddr_storage *peer, login_done_fn *done, void *arg,
                struct login_try **ret); /* ERR_MEMORY */
/* exchange: random, of its own for each login_price that is taken back; a second time it takes nothing back. */
void login_forgive(struct login *g, const struct sockaddr_storage *peer, const uint8_t exchange[LOGIN_EXCHANGE_SIZE]);
void login_cancel(struct login_try *t); /* done is not called */
/* view_scram_salt in a snapshot of its own: what a proof is made with. Nothing is tried yet. */
int login_salt(struct login *g, struct slice user, uint8_t salt[SCRAM_SALT_LEN], uint32_t *ret_iterations);

#endif
