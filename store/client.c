/* Asking the vault: what was asked is kept until it is answered, so that a new vault can be asked again. */
#include "store/client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/core/log.h"

enum { SWEEP_MS = 250, TEXT_MAX = 255 };

struct call {
    struct call *next, **at; /* in the order of asking */
    uint64_t id, deadline;   /* for the next vault, or for this one's answer */
    uint32_t type;
    unsigned flags;
    bool sent;
    int fd;
    vault_reply_fn *fn; /* NULL: forgotten */
    void *arg;
    size_t len;
    uint8_t payload[];
};

struct vault_client {
    struct loop *loop;
    struct ipc *ipc;
    vault_notice_fn *notice;
    void *arg;
    struct timer *sweep;
    bool sweeping;
    struct call *calls, **calls_tail;
    uint64_t generation;
    struct call *slots[VAULT_CLIENT_PENDING_MAX]; /* slot = id % VAULT_CLIENT_PENDING_MAX */
    uint16_t free[VAULT_CLIENT_PENDING_MAX];
    unsigned nfree;
};

static void call_end(struct vault_client *c, struct call *k, int status, struct unpack *body)
{
    vault_reply_fn *fn = k->fn;
    void *arg = k->arg;
    *k->at = k->next;
    if (k->next != NULL)
        k->next->at = k->at;
    else
        c->calls_tail = k->at;
    unsigned slot = (unsigned)(k->id % VAULT_CLIENT_PENDING_MAX);
    c->slots[slot] = NULL;
    c->free[c->nfree++] = (uint16_t)slot;
    if (k->fd >= 0)
        close(k->fd);
    free(k);
    struct unpack none;
    unpack_init(&none, "", 0);
    if (fn != NULL)
        fn(arg, status, body != NULL ? body : &none);
}

static void call_until(struct vault_client *c, struct call *k, uint64_t ms)
{
    k->deadline = loop_now_ms(c->loop) + ms;
    if (!c->sweeping)
        timer_set(c->sweep, SWEEP_MS);
    c->sweeping = true;
}

static void call_wait(struct vault_client *c, struct call *k)
{
    k->sent = false;
    call_until(c, k, VAULT_WAIT_MS);
}

/* OK: sent, or waiting for the next vault. */
static int call_send(struct vault_client *c, struct call *k)
{
    int err = c->ipc == NULL ? ERR_GONE : ipc_send(c->ipc, k->type, k->id, k->payload, k->len, &k->fd, k->fd >= 0);
    if (err == ERR_GONE) {
        call_wait(c, k);
        return OK;
    }
    k->sent = err == OK;
    if (err == OK)
        call_until(c, k, VAULT_ANSWER_MS);
    return err;
}

/* Callbacks may ask again or forget others, so each search begins anew. */
static void fail_where(struct vault_client *c, bool (*which)(const struct vault_client *c, const struct call *k),
                       int err)
{
    struct call *k = c->calls;
    while (k != NULL) {
        if (!which(c, k)) {
            k = k->next;
            continue;
        }
        call_end(c, k, err, NULL);
        k = c->calls;
    }
}

static bool is_lost(const struct vault_client *c, const struct call *k)
{
    return k->sent && (!(k->flags & VAULT_RETRY) || k->fn == NULL);
}

static bool is_late(const struct vault_client *c, const struct call *k)
{
    return !k->sent && k->deadline <= loop_now_ms(c->loop);
}

/* A call that was sent keeps its slot, forgotten, until the vault answers or dies: a late answer then finds it. */
static void fail_unanswered(struct vault_client *c)
{
    struct unpack none;
    unpack_init(&none, "", 0);
    for (struct call *k = c->calls; k != NULL;) {
        vault_reply_fn *fn = k->fn;
        if (!k->sent || fn == NULL || k->deadline > loop_now_ms(c->loop)) {
            k = k->next;
            continue;
        }
        k->fn = NULL;
        log_warn("vault-does-not-answer");
        fn(k->arg, ERR_TIMEOUT, &none);
        k = c->calls; /* fn may have asked or forgotten */
    }
}

static void sweep(void *arg)
{
    struct vault_client *c = arg;
    c->sweeping = false;
    fail_where(c, is_late, ERR_TIMEOUT);
    fail_unanswered(c);
    if (c->calls != NULL && !c->sweeping) {
        timer_set(c->sweep, SWEEP_MS);
        c->sweeping = true;
    }
}

static void channel_lost(void *arg)
{
    struct vault_client *c = arg;
    ipc_destroy(c->ipc);
    c->ipc = NULL;
    /* What may run twice waits for the next vault. Of the rest nobody knows whether it was done. */
    for (struct call *k = c->calls; k != NULL; k = k->next)
        if (k->sent && !is_lost(c, k))
            call_wait(c, k);
    fail_where(c, is_lost, ERR_GONE);
}

static int on_reply(struct vault_client *c, struct ipc_msg *msg)
{
    struct unpack u;
    unpack_init(&u, msg->payload.data, msg->payload.len);
    uint32_t status = unpack_u32(&u);
    struct slice text = unpack_bytes(&u, TEXT_MAX);
    if (u.failed || status > 1000)
        return ERR_FORMAT;
    struct call *k = c->slots[msg->id % VAULT_CLIENT_PENDING_MAX];
    if (k == NULL || k->id != msg->id || !k->sent)
        return ERR_FORMAT;
    if (status != 0)
        log_debug("vault-says status=%u text=\"%.*s\"", status, (int)text.len, (const char *)text.data);
    call_end(c, k, -(int)status, &u);
    return OK;
}

static int on_message(void *arg, struct ipc_msg *msg)
{
    struct vault_client *c = arg;
    if (msg->type == VAULT_REPLY)
        return on_reply(c, msg);
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

static const struct ipc_ops ops = {on_message, channel_lost};

struct vault_client *vault_client_create(struct loop *l, vault_notice_fn *notice, void *arg)
{
    struct vault_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->loop = l;
    c->notice = notice;
    c->arg = arg;
    c->calls_tail = &c->calls;
    for (unsigned i = VAULT_CLIENT_PENDING_MAX; i-- > 0;)
        c->free[c->nfree++] = (uint16_t)i;
    c->sweep = timer_create_in(l, sweep, c);
    if (c->sweep == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void vault_client_destroy(struct vault_client *c)
{
    if (c == NULL)
        return;
    for (struct call *k = c->calls, *next; k != NULL; k = next) {
        next = k->next;
        if (k->fd >= 0)
            close(k->fd);
        free(k);
    }
    ipc_destroy(c->ipc);
    timer_destroy(c->sweep);
    free(c);
}

void vault_client_channel(struct vault_client *c, int fd)
{
    if (c->ipc != NULL)
        channel_lost(c);
    c->ipc = ipc_create(c->loop, fd, &ops, c);
    if (c->ipc == NULL)
        return; /* what waits times out */
    for (struct call *k = c->calls; k != NULL;) {
        int err = k->sent ? OK : call_send(c, k);
        if (err == OK) {
            k = k->next;
            continue;
        }
        call_end(c, k, err, NULL);
        k = c->calls;
    }
}

int vault_client_request(struct vault_client *c, enum vault_request type, const struct pack *payload, int fd,
                         unsigned flags, vault_reply_fn *fn, void *arg, uint64_t *ret_id)
{
    if (payload->failed || payload->len > IPC_MAX)
        return ERR_LIMIT;
    if (c->nfree == 0)
        return ERR_FULL;
    struct call *k = calloc(1, sizeof(*k) + payload->len);
    if (k == NULL)
        return ERR_MEMORY;
    k->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0 && k->fd < 0) {
        free(k);
        return ERR_MEMORY;
    }
    /* A slot's next use has another id, so a late reply meets nobody else's question. */
    uint16_t slot = c->free[c->nfree - 1];
    k->id = ++c->generation * VAULT_CLIENT_PENDING_MAX + slot;
    k->type = type;
    k->flags = flags;
    k->fn = fn;
    k->arg = arg;
    k->len = payload->len;
    if (payload->len > 0)
        memcpy(k->payload, payload->data, payload->len);
    int err = call_send(c, k);
    if (err != OK) {
        if (k->fd >= 0)
            close(k->fd);
        free(k);
        return err;
    }
    c->nfree--;
    c->slots[slot] = k;
    k->at = c->calls_tail;
    *c->calls_tail = k;
    c->calls_tail = &k->next;
    if (ret_id != NULL)
        *ret_id = k->id;
    return OK;
}

void vault_client_forget(struct vault_client *c, uint64_t id)
{
    struct call *k = c->slots[id % VAULT_CLIENT_PENDING_MAX];
    if (k == NULL || k->id != id)
        return;
    k->fn = NULL;
    if (!k->sent)
        call_end(c, k, OK, NULL);
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
    unsigned flags = memcmp(d->delivery, none, sizeof(none)) != 0 ? VAULT_RETRY : 0;
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
