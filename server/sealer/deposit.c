/* Sealing, then storing; the parcel's descriptor lives in between and nowhere else. See deposit.h. */
#include "server/sealer/deposit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"

struct deposit {
    const struct depositor *with;
    const struct deposit_hooks *hooks;
    void *arg;
    struct deposit_request q;
    enum deposit_stage stage;
    struct seal_op *seal;
    uint64_t vault_id;
    bool starting; /* deposit_start is on the stack: an error is its return value */
    int err;
};

static void end(struct deposit *d, int status, const struct deposit_result *r)
{
    const struct deposit_hooks *hooks = d->hooks;
    void *arg = d->arg;

    if (d->starting) {
        d->err = status;
        return;
    }
    free(d);
    hooks->done(arg, status, r);
}

static void stored(void *arg, int status, struct unpack *body)
{
    struct deposit_result r = {.stage = DEPOSIT_STORING};
    struct vault_reply reply = {0};

    if (status == OK)
        status = vault_reply_unpack(VAULT_DELIVER, body, &reply);
    if (status == OK) {
        r.duplicate = reply.delivered.duplicate;
        r.uidvalidity = reply.delivered.uidvalidity;
        r.uid = reply.delivered.uid;
    }
    end(arg, status, &r);
}

static int ask(struct deposit *d, const struct seal_result *r)
{
    static const enum vault_msg types[] = {
        [DEPOSIT_DELIVER] = VAULT_DELIVER, [DEPOSIT_REPLACE] = VAULT_REPLACE, [DEPOSIT_KEY_NOTICE] = VAULT_KEY_NOTICE};
    struct vault_request q = {.type = types[d->q.kind],
                              .account = d->q.seal.account,
                              .mailbox = d->q.mailbox,
                              .deliver = {.kind = r->kind,
                                          .policy = r->policy,
                                          .internaldate = d->q.internaldate,
                                          .flags = d->q.flags,
                                          .keywords.n = d->q.nkeywords,
                                          .replaced = {d->q.replaced.mailbox, d->q.replaced.uid},
                                          .notice = {slice_of(d->q.notice.fpr, d->q.notice.fpr_len), d->q.notice.events,
                                                     d->q.notice.keys_version}}};

    for (unsigned i = 0; i < d->q.nkeywords && i < KEYWORDS_MAX; i++)
        q.deliver.keywords.v[i] = slice_str(d->q.keywords[i]);
    memcpy(q.deliver.delivery, d->q.delivery, sizeof(q.deliver.delivery));
    memcpy(q.deliver.thread, r->thread, sizeof(q.deliver.thread));
    memcpy(q.deliver.own_id, r->own_id, sizeof(q.deliver.own_id));
    return vault_client_request(d->with->vault, &q, r->parcel_fd, stored, d, &d->vault_id);
}

static void sealed(void *arg, int status, const struct seal_result *r)
{
    struct deposit *d = arg;
    struct deposit_result result = {.stage = DEPOSIT_SEALING};

    d->seal = NULL;
    if (status != OK) {
        end(d, status, &result);
        return;
    }
    d->stage = result.stage = DEPOSIT_STORING;
    status = ask(d, r);
    close(r->parcel_fd); /* the vault's client has its own */
    d->hooks->sealed(d->arg, r);
    if (status != OK)
        end(d, status, &result);
}

int deposit_start(const struct depositor *with, const struct deposit_request *q, const struct deposit_hooks *hooks,
                  void *arg, struct deposit **ret)
{
    struct deposit *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return ERR_MEMORY;
    *d = (struct deposit){.with = with, .hooks = hooks, .arg = arg, .q = *q, .starting = true};
    err = sealer_start(with->sealer, &q->seal, sealed, d, &d->seal);
    if (err == OK)
        err = d->err;
    if (err != OK) {
        free(d);
        return err;
    }
    d->starting = false;
    *ret = d;
    return OK;
}

void deposit_cancel(struct deposit *d)
{
    if (d->stage == DEPOSIT_SEALING)
        seal_cancel(d->seal);
    else
        vault_client_forget(d->with->vault, d->vault_id);
    free(d);
}
