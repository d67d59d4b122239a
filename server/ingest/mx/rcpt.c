/* Recipients (RFC 5321 section 3.3): routing, key and room, in one snapshot. See rcpt.h. */
#include "server/ingest/mx/rcpt.h"

#include <string.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/ingest/mx/postmaster.h"
#include "server/ingest/mx/report.h"

enum { ADDRESSES_MAX = 8 /* of one account, in one transaction */ };
enum { CROWDED = 1 /* no error of a function: there are so many already */ };
static const struct mx_refusal refusals[] = {
    /* RFC 5321 section 4.5.3.1.10: the sender sends again to those that are left */
    {CROWDED, 452, "4.5.3", "Too many addresses of one mailbox at once", COUNT_DEFERRED, EVENT_REASON_TOO_MANY},
    {ERR_NOT_FOUND, 550, "5.1.1", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER},
    {ERR_FORMAT, 550, "5.1.3", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER},
    {ERR_DENIED, 550, "5.7.1", "Relaying is not permitted", COUNT_RELAY,
     EVENT_REASON_RELAY}, /* RFC 5321 section 3.6.2 */
    {ERR_NO_KEY, 450, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {ERR_UNAPPROVED, 450, "4.7.5", "The recipient's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA, EVENT_REASON_MAILBOX_FULL},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

static void refuse(struct mx *m, const char *address, int err)
{
    mx_report_rcpt(m, address, mx_refuse(m, refusals, err)->why);
}

/* What the client announced by SIZE, or one octet. */
static uint64_t least_size(const struct mx *m)
{
    return m->len ? m->len : 1;
}

struct look_up {
    struct mx *m;
    const char *address;
    struct schema_address *ret;
    uint64_t account;          /* 0: not found yet */
    char primary[ADDRESS_MAX]; /* of the account */
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
    struct mx *m = l->m;
    struct schema_address *ret = l->ret;
    struct schema_account a;
    struct schema_usage u;
    uint64_t quota;
    int err = view_route(v, l->address, strlen(l->address), ret);

    l->account = err == OK ? ret->account : 0;
    if (err != OK)
        err = mx_postmaster_route(v, m->in->config.domain, l->address, err, ret);
    if (err == OK)
        err = sealer_can_seal(m->in->depositor.sealer, ret->account);
    if (err == OK)
        err = view_account(v, ret->account, &a);
    if (err != OK)
        return err;
    quota = a.quota_bytes;
    memcpy(l->primary, a.address, sizeof(l->primary));
    explicit_bzero(&a, sizeof(a));
    if (!quota)
        return OK;
    err = view_usage(v, ret->account, &u);
    if (err != OK)
        return err;
    u.bytes += mx_quota_reserved(ret->account) + least_size(m);
    return u.bytes > quota ? ERR_QUOTA : OK;
}

void mx_rcpt(struct mx *m, const char *address)
{
    char name[ADDRESS_MAX];
    struct schema_address to;
    struct mx_rcpt *r;
    size_t of_account = 0;
    struct look_up l = {.m = m, .address = address, .ret = &to};
    int err = view_run(m->in->view, look_up, &l);

    if (err == ERR_UNAPPROVED && l.account)
        log_event(keys_not_approved, l.account);
    else if (err == ERR_UNAPPROVED)
        log_event(address_not_approved);
    if (err != OK) {
        refuse(m, address, err);
        return;
    }
    address_of(address, to.address, name);
    sealer_keep_seen(m->in->depositor.sealer);
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->rcpts[i].address, name) == 0) {
            smtp_accept(m->smtp, NULL);
            return;
        }
        of_account += m->rcpts[i].account == to.account;
    }
    if (of_account >= ADDRESSES_MAX) {
        refuse(m, address, CROWDED);
        return;
    }
    r = mx_add_rcpt(m);
    if (r)
        r->reservation = mx_quota_reserve(to.account, least_size(m));
    if (!r || !r->reservation) {
        refuse(m, address, ERR_MEMORY);
        return;
    }
    r->mx = m;
    r->reserved = least_size(m);
    r->account = to.account;
    memcpy(r->primary, l.primary, sizeof(r->primary));
    memcpy(r->address, name, sizeof(r->address));
    memcpy(r->given, address, strlen(address) + 1);
    mx_report_names(m, address, l.primary, &r->names);
    m->n++;
    smtp_accept(m->smtp, NULL);
}
