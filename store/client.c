/* Asking the vault, and what it says of its own accord. */
#include "store/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

enum { TEXT_MAX = 255 };

struct vault_client {
    struct ask *ask;
    vault_notice_fn *notice;
    void *arg;
    bool full;
};

static int on_notice(void *arg, struct ipc_msg *msg)
{
    struct vault_client *c = arg;
    if (msg->type != VAULT_NOTICE && msg->type != VAULT_FULL)
        return ERR_FORMAT;
    struct unpack u;
    struct vault_reply r;
    unpack_init(&u, msg->payload.data, msg->payload.len);
    int err = vault_reply_unpack(msg->type, &u, &r);
    if (msg->type == VAULT_FULL) {
        c->full = err == OK ? r.full : c->full;
        return err;
    }
    if (err == OK && r.changes.n == 0 && c->notice != NULL)
        c->notice(c->arg, 0, 0, 0, 0);
    for (uint32_t i = 0; err == OK && i < r.changes.n && c->notice != NULL; i++)
        c->notice(c->arg, r.changes.v[i].account, r.changes.v[i].mailbox, r.changes.v[i].modseq, r.changes.v[i].exists);
    return err;
}

struct vault_client *vault_client_create(struct loop *l, vault_notice_fn *notice, void *arg)
{
    struct vault_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->notice = notice;
    c->arg = arg;
    c->ask = ask_create(l, &(struct ask_params){.peer = ROLE_VAULT,
                                                .reply = VAULT_REPLY,
                                                .max = VAULT_CLIENT_PENDING_MAX,
                                                .wait_ms = VAULT_WAIT_MS,
                                                .answer_ms = VAULT_ANSWER_MS,
                                                .on_other = on_notice,
                                                .arg = c});
    if (c->ask == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void vault_client_destroy(struct vault_client *c)
{
    if (c == NULL)
        return;
    ask_destroy(c->ask);
    free(c);
}

bool vault_client_full(const struct vault_client *c)
{
    return c->full;
}

void vault_client_channel(struct vault_client *c, int fd)
{
    c->full = false; /* or the new vault says so */
    ask_channel(c->ask, fd);
}

static uint8_t payload[IPC_MAX];

/* What may run twice: the second time it finds what the first one did. */
static bool is_repeatable(const struct vault_request *q)
{
    static const uint32_t types[] = {
        VAULT_KEY_NOTICE, VAULT_DELIVERED_SEEN, VAULT_QUEUE_ADD,         VAULT_QUEUE_UPDATE,
        VAULT_STS_PUT,    VAULT_STS_DEL,        VAULT_TALLY_PUT,         VAULT_TALLY_DEL,
        VAULT_COMPLAINT,  VAULT_KEY_PUBLISH,    VAULT_CORRESPONDENT_PUT, VAULT_DMARC_REPORT,
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (q->type == types[i])
            return true;
    return (q->type == VAULT_DELIVER || q->type == VAULT_REPLACE) && vault_deliver_has_id(&q->deliver);
}

int vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn, void *arg,
                         uint64_t *ret_id)
{
    struct pack p;
    pack_init(&p, payload, sizeof(payload));
    vault_request_pack(&p, q);
    return ask_send(c->ask, q->type, &p, &fd, fd >= 0, is_repeatable(q) ? ASK_AGAIN : 0, fn, arg, ret_id);
}

void vault_client_forget(struct vault_client *c, uint64_t id)
{
    ask_forget(c->ask, id);
}

int vault_call(int channel, const struct vault_request *q, int fd, struct vault_reply *ret, char text[256])
{
    static uint8_t reply[IPC_MAX];
    static uint64_t id;
    struct vault_reply none;
    struct pack p;
    pack_init(&p, payload, sizeof(payload));
    vault_request_pack(&p, q);
    if (p.failed)
        return ERR_LIMIT;
    id++;
    int err = ipc_send_blocking(channel, q->type, id, payload, p.len, &fd, fd >= 0);
    secmem_wipe(payload, p.len);
    while (err == OK) {
        struct ipc_msg msg;
        err = ipc_recv_blocking(channel, reply, &msg, -1);
        if (err != OK)
            break;
        for (unsigned i = 0; i < msg.nfds; i++)
            close(msg.fds[i]);
        if (msg.type != VAULT_REPLY || msg.id != id)
            continue;
        struct unpack u;
        unpack_init(&u, msg.payload.data, msg.payload.len);
        uint32_t status = unpack_u32(&u);
        struct slice said = unpack_bytes(&u, TEXT_MAX);
        if (u.failed || status > 1000)
            return ERR_FORMAT;
        if (said.len > 0)
            memcpy(text, said.data, said.len);
        text[said.len] = '\0';
        return status != 0 ? -(int)status : vault_reply_unpack(q->type, &u, ret != NULL ? ret : &none);
    }
    return err;
}
