/* What roles that check passwords ask and tell. Each has one try in hand; what it asks beyond that ends its channel. */
#include <string.h>

#include "server/core/error.h"
#include "server/master/impl.h"

int logins_ask(struct proc *p, const struct ipc_msg *msg)
{
    struct master *m = p->master;
    struct throttle_key k;
    struct unpack u;
    struct pack reply;
    uint8_t out[8];
    uint64_t waited, ms;

    unpack_init(&u, msg->payload.data, msg->payload.len);
    struct slice keys = unpack_raw(&u, sizeof(k));
    waited = unpack_u64(&u);
    if (!(p->row->traits & ROLE_LETS_IN) || p->trying || !unpack_done(&u))
        return ERR_FORMAT;
    memcpy(&k, keys.data, sizeof(k));
    ms = throttle_ask(m->throttle, &k, waited, loop_now_ms(m->loop));
    if (ms == 0) {
        p->trying = true;
        p->try_id = msg->id;
        p->try_key = k;
    }
    pack_init(&reply, out, sizeof(out));
    pack_u64(&reply, ms);
    (void)ipc_send(p->channel, ROLE_MSG_LOGIN_REPLY, msg->id, reply.data, reply.len, NULL, 0);
    return OK;
}

int logins_done(struct proc *p, const struct ipc_msg *msg)
{
    const uint8_t *failed = msg->payload.data;

    if (!p->trying || msg->id != p->try_id || msg->payload.len != 1 || *failed > 1)
        return ERR_FORMAT;
    p->trying = false;
    throttle_done(p->master->throttle, &p->try_key, *failed, loop_now_ms(p->master->loop));
    return OK;
}

int logins_forgive(struct proc *p, const struct ipc_msg *msg)
{
    struct throttle_key k;

    if (!(p->row->traits & ROLE_FORGIVES) || msg->payload.len != sizeof(k) + LOGIN_EXCHANGE_SIZE)
        return ERR_FORMAT;
    memcpy(&k, msg->payload.data, sizeof(k));
    throttle_forgive(p->master->throttle, &k, msg->payload.data + sizeof(k), loop_now_ms(p->master->loop));
    return OK;
}

void logins_role_gone(struct proc *p)
{
    if (p->trying)
        throttle_done(p->master->throttle, &p->try_key, true, loop_now_ms(p->master->loop));
    p->trying = false;
}
