/* The channels on which clients come and ask. */
#include <stdlib.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "store/vault/vault.h"

static int client_message(void *arg, struct ipc_msg *msg)
{
    struct client *c = arg;
    int none = -1;
    int err = vault_take(c->vault, c, msg->type, msg->id, msg->payload, msg->nfds > 0 ? &msg->fds[0] : &none);
    if (err == ERR_FORMAT) {
        c->vault->count.broken_clients++;
        log_event(vault_client_broken, msg->type);
    }
    return err;
}

static const struct ipc_ops client_ops = {client_message, vault_client_close};

int vault_client_add(struct vault *v, int fd, unsigned who)
{
    struct client *c = v->nclients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        close(fd);
        return v->nclients < CLIENTS_MAX ? ERR_MEMORY : ERR_LIMIT;
    }
    c->vault = v;
    c->who = who;
    c->ipc = ipc_create(v->loop, fd, &client_ops, c);
    if (c->ipc == NULL) {
        free(c);
        return ERR_MEMORY;
    }
    c->next = v->clients;
    v->clients = c;
    v->nclients++;
    room_tell(v, c);
    return OK;
}
