/* Typed messages between processes over a SOCK_SEQPACKET socket pair, with descriptors. A message is a header (type,
 * request id) and at most IPC_MAX payload bytes encoded with server/core/wire.h. Anything larger travels as a sealed
 * memfd. What a peer sends is not trusted: a message that does not decode ends this channel, never the process. The
 * catalogue of messages is docs/ipc.md. */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/loop.h"
#include "server/core/wire.h"

enum { IPC_MAX = 60 * 1024, IPC_MAX_FDS = 4, IPC_QUEUE_MAX = 8 * 1024 * 1024 };

struct ipc;

struct ipc_msg {
    uint32_t type;
    uint64_t id;          /* chosen by the requester, echoed in the reply; 0 in notices */
    struct slice payload; /* valid during the callback only */
    int fds[IPC_MAX_FDS]; /* the callback takes a descriptor by setting its entry to -1; the rest are closed */
    unsigned nfds;
};

struct ipc_ops {
    /* Not OK: the message was not acceptable; the channel is closed and on_close follows. */
    int (*on_message)(void *arg, struct ipc_msg *msg);
    void (*on_close)(void *arg); /* called once, from the loop; the owner then calls ipc_destroy */
};

int ipc_pair(int ret_fds[2]); /* SOCK_SEQPACKET, close-on-exec, non-blocking, large buffers */
/* Takes ownership of fd, which is closed when memory is lacking (NULL). */
struct ipc *ipc_create(struct loop *l, int fd, const struct ipc_ops *ops, void *arg);
void ipc_destroy(struct ipc *c); /* NULL is allowed; allowed inside callbacks */

/* Queues and sends. Descriptors are duplicated by the kernel: the caller still owns its own and may close them at
 * once (a queued message keeps duplicates). ERR_LIMIT: too large; ERR_FULL: IPC_QUEUE_MAX bytes wait; ERR_MEMORY;
 * ERR_GONE: closed. */
int ipc_send(struct ipc *c, uint32_t type, uint64_t id, const void *payload, size_t len, const int *fds, unsigned nfds);
int ipc_peer_gone(const struct ipc *c);

/* Blocking use, for the command line and for a role's start: fd is a raw channel end.
 * ipc_recv_blocking copies the payload to buf (IPC_MAX bytes) and waits at most timeout_ms (-1: for ever). */
int ipc_send_blocking(int fd, uint32_t type, uint64_t id, const void *payload, size_t len, const int *fds,
                      unsigned nfds);
/* ERR_TIMEOUT, ERR_GONE, ERR_FORMAT (not a message, or cut short). The caller closes what it finds in fds. */
int ipc_recv_blocking(int fd, uint8_t *buf, struct ipc_msg *ret_msg, int timeout_ms);

#endif
