/* Asking a peer role: requests over a channel, their replies by callback, on the asker's loop. Every reply has the same
 * form: u32 status (a negated error code), str text for people (at most 255 octets), then what the request's type says.
 * When the peer dies, a question marked ASK_AGAIN (one that may run twice) waits for the next channel; others that were
 * sent fail with ERR_GONE, since nobody knows whether they were done. A reply that does not decode, or that nobody
 * asked for, ends the channel. */
#ifndef BASE_ASK_H
#define BASE_ASK_H

#include "server/base/ipc.h"
#include "server/base/roles.h"

struct ask;

struct ask_params {
    enum role peer;     /* for the log */
    uint32_t reply;     /* the type of its replies */
    unsigned max;       /* questions at a time, at most 65,535; one more is ERR_FULL */
    uint64_t wait_ms;   /* so long may a question wait for a channel, then ERR_TIMEOUT; 0: ERR_GONE at once */
    uint64_t answer_ms; /* so long for its answer, then ERR_TIMEOUT: it may still be done */
    /* The type of what tells it, by the question's id, that nobody waits for the answer any more, which may then come
     * at once and be any; 0: it is not told. */
    uint32_t forget;
    /* Takes every other message; an error ends the channel. NULL: none is taken. */
    int (*on_other)(void *arg, struct ipc_msg *msg);
    void *arg;
};

struct ask *ask_create(struct loop *l, const struct ask_params *p); /* NULL: no memory */
void ask_destroy(struct ask *a);                                    /* nobody is called; NULL is allowed */
/* The first channel to the peer, or a new one, the last being dead. Takes fd. */
void ask_channel(struct ask *a, int fd);

/* Called once, from the loop. body: what follows status and text; valid during the call. */
typedef void ask_fn(void *arg, int status, struct unpack *body);

enum { ASK_AGAIN = 1 };
/* payload and descriptors stay the caller's. Not OK (ERR_FULL, ERR_GONE, ERR_LIMIT, ERR_MEMORY): fn is not called.
 * ret_id may be NULL. */
int ask_send(struct ask *a, uint32_t type, const struct pack *payload, const int *fds, unsigned nfds, unsigned flags,
             ask_fn *fn, void *arg, uint64_t *ret_id);
/* The asker is gone: fn will not be called. A question that was sent keeps its place until the peer answers. */
void ask_forget(struct ask *a, uint64_t id);

#endif
