/* Recipients (RFC 5321 section 3.3): routing, key and room, in one snapshot. See rcpt.h. */
#include "server/ingest/transaction/rcpt.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/ingest/transaction/postmaster.h"
#include "server/ingest/transaction/report.h"

enum { ADDRESSES_MAX = 8 /* of one account, in one transaction */ };
static const struct transaction_refusal refusals[] = {
    /* RFC 5321 section 4.5.3.1.10: the sender sends again to those that are left */
    {TRANSACTION_CROWDED, 452, "4.5.3", "Too many addresses of one mailbox at once", COUNT_DEFERRED,
     EVENT_REASON_TOO_MANY},
    {ERR_NOT_FOUND, 550, "5.1.1", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER},
    {ERR_FORMAT, 550, "5.1.3", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER},
    {ERR_DENIED, 550, "5.7.1", "Relaying is not permitted", COUNT_RELAY,
     EVENT_REASON_RELAY}, /* RFC 5321 section 3.6.2 */
    {ERR_NO_KEY, 450, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {ERR_UNAPPROVED, 450, "4.7.5", "The recipient's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA, EVENT_REASON_MAILBOX_FULL},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

void transaction_refuse_rcpt(struct transaction *t, const char *address, int err)
{
    transaction_report_rcpt(t, address, transaction_refuse(t, refusals, err)->why);
}

/* What the client announced by SIZE, or one octet. */
static uint64_t least_size(const struct transaction *t)
{
    return t->len ? t->len : 1;
}

struct look_up {
    struct transaction *t;
    const char *address;
    struct transaction_route *ret;
    uint64_t account; /* 0: not found yet */
};

/* Each address that the client names is a delivery (RFC 5321 section 3.3), also where several are one account's:
 * alice@, alice+list@ and an alias of hers are three. The same one named again is not, however it is spelt. Details are
 * anybody's to make up, and each delivery is sealed and stored by itself, so one mail brings ADDRESSES_MAX at most.
 * fallback: what a name without a domain was routed as. */
static void address_of(const char *given, const char *fallback, char out[ADDRESS_MAX])
{
    size_t at, plus;

    if (address_normalize(given, strlen(given), out, &at, &plus) != OK)
        strcpy(out, fallback);
}

/* Routing, then whether the account has a key and room. */
static int look_up(void *arg, struct view *v)
{
    struct look_up *l = arg;
    struct transaction *t = l->t;
    struct schema_address *ret = &l->ret->to;
    struct schema_account a;
    struct schema_usage u;
    uint64_t quota;
    bool kept;
    int err = view_route(v, l->address, strlen(l->address), ret);

    l->account = err == OK ? ret->account : 0;
    if (err != OK)
        err = transaction_postmaster_route(v, t->in->config.domain, l->address, err, ret);
    if (err == OK)
        err = sealer_can_seal(t->in->depositor.sealer, ret->account);
    if (err == OK)
        err = view_account(v, ret->account, &a);
    if (err != OK)
        return err;
    quota = a.quota_bytes;
    kept = !a.forward[0] || !(a.forward_how & FORWARD_ONLY);
    l->ret->forwards = a.forward[0] != '\0';
    memcpy(l->ret->primary, a.address, sizeof(l->ret->primary));
    explicit_bzero(&a, sizeof(a));
    if (!quota || !kept)
        return OK;
    err = view_usage(v, ret->account, &u);
    if (err != OK)
        return err;
    u.bytes += transaction_quota_reserved(ret->account) + least_size(t);
    return u.bytes > quota ? ERR_QUOTA : OK;
}

int transaction_route(struct transaction *t, const char *address, struct transaction_route *ret)
{
    struct look_up l = {.t = t, .address = address, .ret = ret};
    int err = view_run(t->in->view, look_up, &l);

    if (err == ERR_UNAPPROVED && l.account)
        log_event(keys_not_approved, l.account);
    else if (err == ERR_UNAPPROVED)
        log_event(address_not_approved);
    if (err == OK)
        sealer_keep_seen(t->in->depositor.sealer);
    return err;
}

int transaction_account_approved(struct view *v, uint64_t account, struct schema_account *ret)
{
    struct schema_key *keys = calloc(PGP_KEYS_MAX, sizeof(*keys));
    size_t n = 0;
    int err = keys ? view_account(v, account, ret) : ERR_MEMORY;

    if (err == OK)
        err = view_keys_read(v, account, keys, &n);
    if (err == OK)
        err = view_keys_approved(v, ret, keys, n);
    free(keys);
    return err;
}

int transaction_add_local(struct transaction *t, const char *address, const struct transaction_route *to)
{
    char name[ADDRESS_MAX];
    struct transaction_rcpt *r;
    size_t of_account = 0;

    address_of(address, to->to.address, name);
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->rcpts[i].address, name) == 0)
            return OK;
        of_account += t->rcpts[i].account == to->to.account;
    }
    if (of_account >= ADDRESSES_MAX)
        return TRANSACTION_CROWDED;
    r = transaction_add_rcpt(t);
    if (r)
        r->reservation = transaction_quota_reserve(to->to.account, least_size(t));
    if (!r || !r->reservation)
        return ERR_MEMORY;
    r->t = t;
    r->reserved = least_size(t);
    r->forwards = to->forwards;
    r->account = to->to.account;
    memcpy(r->primary, to->primary, sizeof(r->primary));
    memcpy(r->address, name, sizeof(r->address));
    memcpy(r->given, address, strlen(address) + 1);
    transaction_report_names(t, address, to->primary, &r->names);
    t->n++;
    return OK;
}
