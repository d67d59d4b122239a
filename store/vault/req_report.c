/* What others report of mail in the names of domains here. */
#include "server/core/error.h"
#include "store/vault/vault.h"

int run_dmarc_report(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    (void)v;
    int err = dmarc_day_note(w, &q->a.dmarc, &r->duplicate);
    if (err == ERR_NOT_FOUND)
        *ret_text = "not one of this server's domains";
    else if (err == ERR_REFUSED)
        *ret_text = "it is of a day too long ago, or to come";
    return err;
}
