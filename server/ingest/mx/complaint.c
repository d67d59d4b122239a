#include "server/ingest/mx/complaint.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/arf.h"
#include "store/complaint.h"

/* In the one spelling of addresses: as it is, or with a detail. */
static bool is_for(const char *address, const char *local)
{
    const size_t n = strlen(local);

    return strncmp(address, local, n) == 0 && address[n] && strchr("@+", address[n]);
}

static bool takes_complaints(const struct transaction *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (is_for(t->rcpts[i].address, "abuse") || is_for(t->rcpts[i].address, "postmaster"))
            return true;
    return false;
}

static int read_report(const struct transaction *t, struct arf_report *ret)
{
    uint8_t *top = secmem_map(ARF_LOOK_MAX);
    int err = top ? arf_read(slice_of(top, transaction_mail_top(&t->mail, top, ARF_LOOK_MAX)), ret) : ERR_MEMORY;

    secmem_unmap(top, ARF_LOOK_MAX);
    return err;
}

static void ignore(void *arg, int status, struct unpack *body)
{
}

void mx_look_for_complaint(struct transaction *t)
{
    struct vault_request q = {.type = VAULT_COMPLAINT};
    struct arf_report r;

    if (!takes_complaints(t) || read_report(t, &r) != OK)
        return;
    count(t->in, COUNT_REPORTS);
    if (r.complaint && complaint_token_read(view_keys(t->in->view), r.id, t->now, &q.account, q.complaint) == OK)
        (void)vault_client_request(t->in->depositor.vault, &q, -1, ignore, NULL, NULL);
}
