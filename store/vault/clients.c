/* The vault's clients: their channels, from the first message to the last. */
#include <stdlib.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "store/vault/vault.h"

void vault_client_put(struct client *c)
{
    if (c->ipc != NULL || c->waiting > 0)
        return;
    struct vault *v = c->vault;
    for (struct client **p = &v->clients; *p != NULL; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    v->nclients--;
    free(c);
}

void vault_client_close(void *arg)
{
    struct client *c = arg;
    ipc_destroy(c->ipc);
    c->ipc = NULL;
    vault_copies_drop(c->vault, c);
    vault_client_put(c);
}

/* A client that lets megabytes lie must not miss a reply or a notice without knowing: its channel ends. */
static void client_drop(struct client *c, int err)
{
    if (err != ERR_GONE) /* else it went by itself */
        log_event(vault_client_dropped);
    vault_client_close(c);
}

void vault_client_send(struct client *c, uint32_t type, uint64_t id, const void *data, size_t len)
{
    int err = c->ipc != NULL ? ipc_send(c->ipc, type, id, data, len, NULL, 0) : OK;
    if (err != OK)
        client_drop(c, err);
}

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
