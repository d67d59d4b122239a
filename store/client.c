/* Asking the vault, and what it says of its own accord. */
#include "store/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"

enum { TEXT_MAX = 255 };

struct vault_client {
    struct ask *ask;
    vault_notice_fn *notice;
    void *arg;
};

static int on_notice(void *arg, struct ipc_msg *msg)
{
    struct vault_client *c = arg;
    if (msg->type != VAULT_NOTICE)
        return ERR_FORMAT;
    struct unpack u;
    unpack_init(&u, msg->payload.data, msg->payload.len);
    uint32_t n = unpack_u32(&u);
    for (uint32_t i = 0; i < n && !u.failed; i++) {
        uint64_t account = unpack_u64(&u);
        uint32_t mailbox = unpack_u32(&u);
        uint64_t modseq = unpack_u64(&u);
        uint32_t exists = unpack_u32(&u);
        if (!u.failed && c->notice != NULL)
            c->notice(c->arg, account, mailbox, modseq, exists);
    }
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

struct vault_client *vault_client_create(struct loop *l, vault_notice_fn *notice, void *arg)
{
    struct vault_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->notice = notice;
    c->arg = arg;
    c->ask = ask_create(l, &(struct ask_params){.peer = "vault",
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

void vault_client_channel(struct vault_client *c, int fd)
{
    ask_channel(c->ask, fd);
}

int vault_client_request(struct vault_client *c, enum vault_request type, const struct pack *payload, int fd,
                         unsigned flags, vault_reply_fn *fn, void *arg, uint64_t *ret_id)
{
    return ask_send(c->ask, type, payload, &fd, fd >= 0, flags, fn, arg, ret_id);
}

void vault_client_forget(struct vault_client *c, uint64_t id)
{
    ask_forget(c->ask, id);
}

int vault_client_deliver(struct vault_client *c, const struct vault_deliver *d, int parcel_fd, vault_reply_fn *fn,
                         void *arg, uint64_t *ret_id)
{
    static const uint8_t none[sizeof(d->delivery)];
    uint8_t payload[128 + KEYWORDS_MAX * (4 + KEYWORD_LEN_MAX)];
    struct pack p;
    pack_init(&p, payload, sizeof(payload));
    if (d->replaced != 0) {
        pack_u32(&p, d->replaced_in);
        pack_u32(&p, d->replaced);
    }
    pack_u64(&p, d->account);
    pack_u32(&p, d->mailbox);
    pack_u8(&p, d->kind);
    pack_u8(&p, d->policy);
    pack_u64(&p, d->internaldate);
    pack_raw(&p, d->delivery, sizeof(d->delivery));
    pack_raw(&p, d->thread, sizeof(d->thread));
    pack_raw(&p, d->own_id, sizeof(d->own_id));
    pack_u32(&p, d->expiry_hour);
    pack_u64(&p, d->flags);
    pack_u32(&p, d->nkeywords);
    for (uint8_t i = 0; i < d->nkeywords; i++)
        pack_str(&p, d->keywords[i]);
    /* Without a delivery id a second run would store a second message. */
    unsigned flags = memcmp(d->delivery, none, sizeof(none)) != 0 ? ASK_AGAIN : 0;
    return vault_client_request(c, d->replaced != 0 ? VAULT_REPLACE : VAULT_DELIVER, &p, parcel_fd, flags, fn, arg,
                                ret_id);
}

int vault_call(int channel, enum vault_request type, const struct pack *payload, int fd, uint8_t *reply,
               struct unpack *ret_body, char text[256])
{
    static uint64_t id;
    if (payload->failed)
        return ERR_LIMIT;
    id++;
    int err = ipc_send_blocking(channel, type, id, payload->data, payload->len, &fd, fd >= 0);
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
        if (status != 0)
            return -(int)status;
        *ret_body = u;
        return OK;
    }
    return err;
}
