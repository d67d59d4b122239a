/* What the vault says to its clients, and their end. */
#include <stdlib.h>

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
