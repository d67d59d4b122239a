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

    if (status == OK) {
        r.duplicate = unpack_u8(body);
        r.uidvalidity = unpack_u32(body);
        r.uid = unpack_u32(body);
    }
    end(arg, status, &r);
}

static int ask_notice(struct deposit *d, const struct seal_result *r)
{
    static const uint8_t no_id[RECORD_HASH_SIZE];
    uint8_t payload[256];
    struct pack p;

    pack_init(&p, payload, sizeof(payload));
    pack_u64(&p, d->q.seal.account);
    pack_u32(&p, d->q.mailbox);
    pack_u8(&p, r->kind);
    pack_u8(&p, r->policy);
    pack_u64(&p, d->q.internaldate);
    pack_raw(&p, no_id, sizeof(no_id));
    pack_raw(&p, r->thread, sizeof(r->thread));
    pack_raw(&p, r->own_id, sizeof(r->own_id));
    pack_u32(&p, 0);
    pack_u64(&p, d->q.flags);
    pack_u32(&p, 0);
    pack_bytes(&p, d->q.notice.fpr, d->q.notice.fpr_len);
    pack_u8(&p, d->q.notice.events);
    pack_u32(&p, d->q.notice.keys_version);
    /* Asked twice, the vault does it once. */
    return vault_client_request(d->with->vault, VAULT_KEY_NOTICE, &p, r->parcel_fd, ASK_AGAIN, stored, d, &d->vault_id);
}

static int ask_delivery(struct deposit *d, const struct seal_result *r)
{
    struct vault_deliver v = {
        .account = d->q.seal.account,
        .mailbox = d->q.mailbox,
        .kind = r->kind,
        .policy = r->policy,
        .internaldate = d->q.internaldate,
        .flags = d->q.flags,
        .keywords = d->q.keywords,
        .nkeywords = d->q.nkeywords,
    };

    memcpy(v.delivery, d->q.delivery, sizeof(v.delivery));
    memcpy(v.thread, r->thread, sizeof(v.thread));
    memcpy(v.own_id, r->own_id, sizeof(v.own_id));
    if (d->q.kind == DEPOSIT_REPLACE) {
        v.replaced_in = d->q.replaced.mailbox;
        v.replaced = d->q.replaced.uid;
    }
    return vault_client_deliver(d->with->vault, &v, r->parcel_fd, stored, d, &d->vault_id);
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
    status = d->q.kind == DEPOSIT_KEY_NOTICE ? ask_notice(d, r) : ask_delivery(d, r);
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
