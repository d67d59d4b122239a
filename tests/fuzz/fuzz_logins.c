/* What roles say to master about logins, in any order: nothing outside a message is read, what is bad changes nothing,
 * and a process never has more than one try in hand. Each message is u8 who and what, u8 id, u8 length, payload. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/impl.h"

enum { PROCS = 3, ASK_SIZE = 2 * LOGIN_KEY_SIZE + 8 };

static struct master master;
static struct proc procs[PROCS];
static int drain;

#define CHECK(cond) ((cond) ? (void)0 : abort())

static int none(void *arg, struct ipc_msg *m)
{
    return OK;
}

static void gone(void *arg)
{
    abort();
}

static void up(void)
{
    static const struct ipc_ops ops = {none, gone};
    int pair[2];

    master.loop = loop_create();
    CHECK(master.loop && ipc_pair(pair) == OK);
    drain = pair[0];
    for (int i = 0; i < PROCS; i++) {
        enum role r = i == PROCS - 1 ? ROLE_RELAY : ROLE_ACCESS;
        procs[i] = (struct proc){.master = &master, .role = r, .row = &roles_table[r]};
        procs[i].channel = i ? procs[0].channel : ipc_create(master.loop, pair[1], &ops, NULL);
        CHECK(procs[i].channel);
    }
}

static void take(struct proc *p, const struct ipc_msg *m)
{
    const bool trying = p->trying, ask = m->type == ROLE_MSG_LOGIN_ASK;
    const int err = ask ? logins_ask(p, m) : logins_done(p, m);

    if (err != OK) {
        CHECK(err == ERR_FORMAT && p->trying == trying);
        logins_role_gone(p);
        CHECK(!p->trying);
    } else if (ask) {
        CHECK(!trying && p->role == ROLE_ACCESS && m->payload.len == ASK_SIZE && (!p->trying || p->try_id == m->id));
    } else {
        CHECK(trying && !p->trying && p->try_id == m->id && m->payload.len == 1 && m->payload.data[0] <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t away[4096];

    if (!master.loop)
        up();
    if (size > 4096)
        return 0;
    master.throttle = throttle_create(8);
    CHECK(master.throttle);
    while (size >= 3 && size - 3 >= data[2]) {
        const size_t len = data[2];
        uint8_t *exact = malloc(len ? len : 1); /* so that reading past it is seen */
        CHECK(exact);
        memcpy(exact, data + 3, len);
        const struct ipc_msg m = {.type = data[0] & 4 ? ROLE_MSG_LOGIN_ASK : ROLE_MSG_LOGIN_DONE,
                                  .id = data[1],
                                  .payload = {exact, len}};
        take(&procs[(data[0] & 3) % PROCS], &m);
        free(exact);
        data += 3 + len;
        size -= 3 + len;
    }
    for (int i = 0; i < PROCS; i++)
        logins_role_gone(&procs[i]);
    throttle_destroy(master.throttle);
    while (read(drain, away, sizeof(away)) > 0)
        ;
    return 0;
}
