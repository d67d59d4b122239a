/* The walk over accounts, what is due, and sending it. See notices.h. */
#include "server/sealer/notices.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/core/secmem.h"
#include "server/sealer/notice_mail.h"

enum {
    FIRST_MS = 2000,
    ROUND_MS = 3600 * 1000,
    RETRY_MS = 60 * 1000,
    LEAST_MS = 1000,
    SLICE = 64,       /* accounts of one snapshot */
    CHANGED_MAX = 64, /* accounts remembered between turns; with more of them all are walked */
    DAY = 86400,
};

struct notices {
    struct notices_params p;
    uint32_t days;
    struct timer *timer;
    struct defer step;
    uint64_t next_ms; /* when the timer ends; 0: it is not set */
    bool walking;
    uint64_t cursor; /* the walk has seen accounts up to this one */
    uint64_t changed[CHANGED_MAX];
    size_t nchanged;

    /* One account's notices, sent one after the other. */
    uint64_t account, walked;
    uint32_t keys_version;
    char address[ADDRESS_MAX];
    struct notice due[PGP_KEYS_MAX];
    size_t ndue, at;
    unsigned current, seen;
    uint64_t next_event; /* seconds since 1970: the soonest event that is not due yet; 0: none */
    bool busy;
    struct deposit *deposit;
    struct iovec piece;
    char mail[NOTICE_MAIL_MAX];
};

static void step(void *arg);

static void go_on(struct notices *n)
{
    defer_set(n->p.loop, &n->step, step, n);
}

/* The walk goes on in so many milliseconds, or sooner. */
static void wake_in(struct notices *n, uint64_t ms)
{
    uint64_t now = loop_now_ms(n->p.loop), at;
    if (ms < LEAST_MS)
        ms = LEAST_MS;
    at = now + ms;
    if (n->next_ms && n->next_ms <= at)
        return;
    n->next_ms = at;
    timer_set(n->timer, ms);
}

/* ---- what is due ---- */

/* The events that one mail tells of a key; 0: none is due. The notice of an expiry takes the place of the warning. */
static uint8_t events_due(struct notices *n, const struct schema_key *k, uint64_t now)
{
    uint64_t end = k->verdict.enc_expires, ahead = (uint64_t)n->days * DAY, next;
    uint8_t told = k->noticed;
    bool soon = end <= now + ahead;

    if (k->state == KEY_REVOKED || k->state == KEY_ENC_REVOKED)
        return told & KEY_EVENT_REVOKED ? 0 : KEY_EVENT_REVOKED;
    if (k->state != KEY_CURRENT || !end || told & KEY_EVENT_EXPIRED)
        return 0;
    if (end <= now)
        return KEY_EVENT_EXPIRED | (told & KEY_EVENT_EXPIRING ? 0 : KEY_EVENT_EXPIRING);
    next = soon ? end : end - ahead;
    if (!n->next_event || next < n->next_event)
        n->next_event = next;
    return soon && !(told & KEY_EVENT_EXPIRING) ? KEY_EVENT_EXPIRING : 0;
}

static int see_key(void *arg, const struct schema_key *k)
{
    struct notices *n = arg;
    uint8_t events = events_due(n, k, (uint64_t)time(NULL));

    n->current += k->state == KEY_CURRENT;
    if (events && n->ndue < PGP_KEYS_MAX) {
        struct notice *d = &n->due[n->ndue++];
        *d = (struct notice){.fpr_len = k->verdict.primary_fpr_len,
                             .events = events,
                             .state = k->state,
                             .expires = k->verdict.enc_expires};
        memcpy(d->fpr, k->verdict.primary_fpr, sizeof(d->fpr));
    }
    return 0;
}

static int see_account(void *arg, uint64_t account, const char *address)
{
    struct notices *n = arg;
    struct schema_account a;
    int err = view_account(n->p.view, account, &a);

    n->ndue = n->at = n->current = 0;
    if (err == OK) {
        n->account = account;
        n->keys_version = a.keys_version;
        memcpy(n->address, a.address, sizeof(n->address));
        err = view_keys_each(n->p.view, account, see_key, n);
    }
    secmem_wipe(&a, sizeof(a));
    if (err == ERR_MEMORY || err == ERR_IO)
        return err;
    if (err != OK) /* an account that is gone or damaged does not hold up the others */
        n->current = 0;
    if (err != OK && err != ERR_NOT_FOUND)
        log_event(key_notice_failed, EVENT_NOTICE_ACCOUNT, err);
    if (!n->current)
        n->ndue = 0; /* nothing can be sealed: the notices wait */
    n->walked = account;
    return n->ndue || ++n->seen == SLICE;
}

struct look {
    struct notices *n;
    bool one;
    uint64_t from, next_event;
};

static int see(void *arg, struct view *v)
{
    const struct look *l = arg;
    struct notices *n = l->n;

    n->next_event = l->next_event;
    n->seen = 0;
    n->ndue = n->at = 0;
    return l->one ? see_account(n, l->from, NULL) : view_accounts_after(v, l->from, see_account, n);
}

/* One account that has changed, or the walk's next slice up to the first account with something due. *ret_more: there
 * is more to be looked at. */
static int look(struct notices *n, bool *ret_more)
{
    bool one = n->nchanged > 0;
    struct look l = {n, one, one ? n->changed[n->nchanged - 1] : n->cursor, n->next_event};
    int err = view_run(n->p.view, see, &l);

    if (err < 0) {
        n->ndue = 0;
        n->next_event = l.next_event;
        return err;
    }
    if (one) {
        n->nchanged--;
    } else if (err > 0) {
        n->cursor = n->walked;
    } else if (err == OK) {
        n->walking = false;
    }
    *ret_more = n->nchanged || n->walking;
    return OK;
}

/* ---- sending ---- */

/* The notice at hand has been sent, or cannot be sent now. */
static void next(struct notices *n, int status)
{
    n->busy = false;
    n->deposit = NULL;
    secmem_wipe(n->mail, sizeof(n->mail));
    if (status == OK)
        n->p.sent(n->p.arg);
    else if (status == ERR_CONFLICT) /* keys or policy have changed meanwhile: the account is looked at again */
        wake_in(n, LEAST_MS);
    else if (status != ERR_NO_KEY && status != ERR_NOT_FOUND && status != ERR_QUOTA && status != ERR_EXISTS)
        wake_in(n, RETRY_MS);
    if (status != OK && status != ERR_EXISTS)
        log_event(key_notice_failed, EVENT_NOTICE_DELIVERY, status);
    n->at++;
    go_on(n);
}

static void sealed(void *arg, const struct seal_result *r)
{
    struct notices *n = arg;

    secmem_wipe(n->mail, sizeof(n->mail));
}

static void deposited(void *arg, int status, const struct deposit_result *r)
{
    next(arg, status == OK && r->duplicate ? ERR_EXISTS : status);
}

static const struct deposit_hooks deposit_hooks = {.sealed = sealed, .done = deposited};

static void send_one(struct notices *n)
{
    const struct notice *due = &n->due[n->at];
    uint64_t now = (uint64_t)time(NULL);
    int err = notice_mail(due, n->address, now, n->mail, &n->piece.iov_len);
    struct deposit_request q = {
        .seal =
            {
                .account = n->account,
                .mail = &n->piece,
                .mail_n = 1,
                .mail_len = n->piece.iov_len,
                .received = "",
                .auth_results = "",
                .tls = "",
                .now = now,
                .date = (int64_t)now,
            },
        .store =
            {
                .type = VAULT_KEY_NOTICE,
                .mailbox = MAILBOX_INBOX,
                .deliver = {.internaldate = now,
                            .notice = {slice_of(due->fpr, due->fpr_len), due->events, n->keys_version}},
            },
    };

    n->busy = true;
    if (err == OK)
        err = deposit_start(n->p.depositor, &q, &deposit_hooks, n, &n->deposit);
    if (err != OK)
        next(n, err);
}

static void step(void *arg)
{
    struct notices *n = arg;
    bool more = false;
    int err;

    if (n->busy)
        return;
    if (n->at < n->ndue) {
        send_one(n);
        return;
    }
    if (n->nchanged || n->walking) {
        err = look(n, &more);
        if (err != OK) {
            log_event(key_notice_failed, EVENT_NOTICE_WALK, err);
            n->nchanged = 0;
            n->walking = false;
            wake_in(n, RETRY_MS);
            return;
        }
        if (n->ndue || more) {
            go_on(n);
            return;
        }
    }
    uint64_t now = (uint64_t)time(NULL), ahead = n->next_event > now ? n->next_event - now : 0;
    if (n->next_event && ahead < ROUND_MS / 1000)
        wake_in(n, ahead * 1000 + LEAST_MS); /* expiries are whole seconds: not before that second is over */
    wake_in(n, ROUND_MS);
}

static void on_timer(void *arg)
{
    struct notices *n = arg;

    n->next_ms = 0;
    n->next_event = 0;
    n->walking = true;
    n->cursor = 0;
    go_on(n);
}

void notices_set_days(struct notices *n, uint32_t days)
{
    n->days = days;
    wake_in(n, LEAST_MS);
}

void notices_account_changed(struct notices *n, uint64_t account)
{
    for (size_t i = 0; i < n->nchanged; i++)
        if (n->changed[i] == account)
            return;
    if (n->nchanged < CHANGED_MAX)
        n->changed[n->nchanged++] = account;
    else
        wake_in(n, LEAST_MS);
    go_on(n);
}

struct notices *notices_create(const struct notices_params *p, uint32_t days)
{
    struct notices *n = calloc(1, sizeof(*n));

    if (!n || !(n->timer = timer_create_in(p->loop, on_timer, n))) {
        free(n);
        return NULL;
    }
    n->p = *p;
    n->days = days;
    n->piece.iov_base = n->mail;
    wake_in(n, FIRST_MS);
    return n;
}

void notices_destroy(struct notices *n)
{
    if (!n)
        return;
    defer_cancel(n->p.loop, &n->step);
    timer_destroy(n->timer);
    if (n->deposit)
        deposit_cancel(n->deposit);
    secmem_wipe(n, sizeof(*n));
    free(n);
}
