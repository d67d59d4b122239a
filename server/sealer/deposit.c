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
    struct vault_request q;
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
        status = vault_reply_unpack(((struct deposit *)arg)->q.type, body, &reply);
    if (status == OK) {
        r.duplicate = reply.delivered.duplicate;
        r.uidvalidity = reply.delivered.uidvalidity;
        r.uid = reply.delivered.uid;
    }
    end(arg, status, &r);
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
    d->q.deliver.kind = r->kind;
    d->q.deliver.policy = r->policy;
    memcpy(d->q.deliver.thread, r->thread, sizeof(r->thread));
    memcpy(d->q.deliver.own_id, r->own_id, sizeof(r->own_id));
    status = vault_client_request(d->with->vault, &d->q, r->parcel_fd, stored, d, &d->vault_id);
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
    *d = (struct deposit){.with = with, .hooks = hooks, .arg = arg, .q = q->store, .starting = true};
    d->q.account = q->seal.account;
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
        sealer_cancel(d->seal);
    else
        vault_client_forget(d->with->vault, d->vault_id);
    free(d);
}
