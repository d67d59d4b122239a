/* What accounts know of others' keys. */
#include <string.h>

#include "server/core/error.h"
#include "store/correspondent_impl.h"
#include "store/vault/vault.h"

int run_correspondent_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                          const char **ret_text)
{
    static struct correspondent c; /* large */
    const struct vault_correspondent *a = &q->a.correspondent;
    (void)v;
    (void)r;
    int err = correspondent_unpack(a->record.data, a->record.len, &c);
    if (err == OK)
        err = correspondent_put(w, a->kind, q->from->who == VAULT_MAY_ADMIN, &c, a->seen);
    if (err == ERR_FULL)
        *ret_text = "the account has too many correspondents: letterlock correspondent list, forget";
    else if (err == ERR_DENIED)
        *ret_text = "what is kept of this correspondent would be forgotten";
    return err;
}

int run_correspondent_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                          const char **ret_text)
{
    char address[ADDRESS_MAX] = "";
    const struct slice *from = &q->a.correspondent.record;
    (void)v;
    (void)r;
    (void)ret_text;
    memcpy(address, from->data, from->len);
    return correspondent_del(w, q->a.correspondent.kind, address);
}
