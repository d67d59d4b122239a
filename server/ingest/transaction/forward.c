/* Which recipients' mail goes on, and its way to the queue. See forward.h. */
#include "server/ingest/transaction/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/transaction/forward_impl.h"
#include "server/ingest/transaction/rcpt.h"
#include "server/ingest/transaction/report.h"
#include "server/ingest/transaction/wrap.h"
#include "server/mail/header.h"
#include "server/mail/token.h"

enum {
    HERE_MAX = 8, /* accounts here that hand a mail on, one to the next */
    KEPT = 1,     /* no error of a function: the mail stays; why says for what */
    KEPT_MEMORY,  /* since no memory is left to seal it again */
    DELIVERED_TO_MAX = ADDRESS_MAX + 32,
};

/* One mail that goes elsewhere. */
struct item {
    size_t rcpt; /* whose it was */
    bool bounce; /* else a forward */
    uint8_t how; /* enum forward_how */
    char to[ADDRESS_MAX];
};

struct forwarding {
    struct transaction *t;
    struct item *items;
    size_t n, next;
    /* the item at work */
    struct wrap *wrap;
    struct wrap_copy copy;
    struct known *known;
    struct iovec *pieces;
    char delivered_to[DELIVERED_TO_MAX];
    uint64_t charged; /* to the budget, before it */
    enum event_FORWARD form;
    struct enqueue *enqueue;
    bool begun;
    bool waits; /* for gpg, or the queue */
    bool failed;
};

static void item_end(struct forwarding *f)
{
    if (f->enqueue)
        enqueue_cancel(f->enqueue);
    f->enqueue = NULL;
    transaction_wrap_free(f->wrap);
    f->wrap = NULL;
    transaction_wrap_copy_finish(&f->copy);
    known_free(f->known);
    f->known = NULL;
    free(f->pieces);
    f->pieces = NULL;
    f->waits = false;
    if (f->begun)
        transaction_give(f->t, f->charged);
    f->begun = false;
}

static struct transaction_rcpt *rcpt_of(const struct forwarding *f)
{
    return &f->t->rcpts[f->items[f->next].rcpt];
}

static void fail(struct forwarding *f, int err)
{
    rcpt_of(f)->status = err;
    f->failed = true;
    item_end(f);
}

/* The mail stays: whose only copy would have gone has it deposited after all. */
static void keep(struct transaction *t, struct transaction_rcpt *r, enum event_REASON why)
{
    count(t->in, COUNT_FORWARDS_KEPT);
    log_event_raw(forward_kept, (slice_str(t->id_text)), r->account, why);
    if (!r->away)
        return;
    r->away = false;
    r->state = TRANSACTION_RCPT_WAITS;
    t->next = 0;
}

/* ---- what may go ---- */

static bool has_delivered_to(const struct header_view *h, const char *primary)
{
    for (size_t i = 0; i < h->count; i++) {
        struct slice v;
        if (!header_field_is(h->s, &h->fields[i], "Delivered-To"))
            continue;
        v = token_trim(header_field_value(h->s, &h->fields[i]));
        if (v.len == strlen(primary) && strncasecmp((const char *)v.data, primary, v.len) == 0)
            return true;
    }
    return false;
}

struct authors {
    struct view *view;
    const struct header_view *h;
    bool ours;
    int err;
};

static int see_author(void *arg, const struct address_item *item)
{
    struct authors *a = arg;
    char text[ADDRESS_CANONICAL_MAX], domain[DOMAIN_CAP];
    const char *at;

    if (address_canonical(item, text) == 0 || !(at = strrchr(text, '@')) ||
        address_domain_normalize(at + 1, strlen(at + 1), domain) != OK)
        return 0;
    a->err = view_domain_known(a->view, domain);
    a->ours |= a->err == OK;
    return a->err != OK && a->err != ERR_NOT_FOUND;
}

static int look_at_authors(void *arg, struct view *v)
{
    struct authors *a = arg;

    a->view = v;
    a->ours = false;
    a->err = OK;
    for (size_t i = 0; i < a->h->count; i++)
        if (header_field_is(a->h->s, &a->h->fields[i], "From") && (a->err == OK || a->err == ERR_NOT_FOUND)) {
            struct slice s = header_field_value(a->h->s, &a->h->fields[i]);
            address_each(s.data, s.len, see_author, a);
        }
    return a->err == ERR_NOT_FOUND ? OK : a->err;
}

/* Our return path speaks for our domains (SPF, and DMARC by it): who says from outside that he is one of us would be
 * believed, coming from here. */
static int check_authors(struct forwarding *f)
{
    struct authors a = {.h = transaction_wrap_header(f->wrap)};
    int err = smtp_envelope(f->t->smtp)->authenticated ? OK : view_run(f->t->in->view, look_at_authors, &a);

    return err == OK && a.ours ? KEPT : err;
}

struct whom {
    uint64_t account, now;
    char to[ADDRESS_MAX];
    bool spelt;
    enum event_REASON why;
};

static int look_may(void *arg, struct view *v)
{
    struct whom *w = arg;
    struct suppressed s;
    int err = view_held(v, w->account);

    w->why = EVENT_REASON_HELD;
    if (err != ERR_NOT_FOUND)
        return err == OK ? KEPT : err;
    w->why = EVENT_REASON_SUPPRESSED;
    err = w->spelt ? view_suppressed(v, w->to, &s) : ERR_NOT_FOUND;
    return err == OK ? (s.until > w->now ? KEPT : OK) : err == ERR_NOT_FOUND ? OK : err;
}

/* KEPT with *why. */
static int may_go(struct forwarding *f, enum event_REASON *why)
{
    const struct transaction_rcpt *r = rcpt_of(f);
    struct whom w = {.account = r->account, .now = f->t->now};
    int err;

    *why = EVENT_REASON_LOOP;
    if (has_delivered_to(transaction_wrap_header(f->wrap), r->primary))
        return KEPT;
    *why = EVENT_REASON_NOT_OWN;
    err = check_authors(f);
    if (err != OK)
        return err;
    w.spelt = suppression_spell(f->items[f->next].to, w.to) == OK;
    err = view_run(f->t->in->view, look_may, &w);
    *why = w.why;
    return err;
}

/* ---- to the queue ---- */

static const struct transaction_mail *mail_of(const struct forwarding *f)
{
    const struct transaction_rcpt *r = rcpt_of(f);

    return f->copy.mail.n ? &f->copy.mail : r->mail ? r->mail : &f->t->mail;
}

static void done(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    struct forwarding *f = arg;
    struct transaction *t = f->t;
    struct transaction_rcpt *r = rcpt_of(f);

    f->enqueue = NULL;
    if (status != OK) {
        fail(f, status);
    } else {
        if (verdict == SENDING_TAKEN) {
            count(t->in, f->items[f->next].bounce ? COUNT_BOUNCES : COUNT_FORWARDED);
            log_event_raw(forwarded, (slice_str(t->id_text)), r->account, f->form);
        } else {
            keep(t, r, EVENT_REASON_HELD);
        }
        item_end(f);
        f->next++;
    }
    idle_touch(t->in->loop, &t->stall);
    transaction_go_on(t);
}

/* Sealed, a mail takes its trace along outside, or its hops could not be counted and a loop not be seen. */
static size_t put_trace(const struct forwarding *f, struct iovec *out)
{
    const struct header_view *h = f->copy.mail.n ? transaction_wrap_header(f->wrap) : NULL;
    size_t n = 0;

    for (size_t i = 0; h && i < h->count; i++) {
        const struct header_field *field = &h->fields[i];
        if (!header_field_is_plain(h->s, field) ||
            (!header_field_is(h->s, field, "Received") && !header_field_is(h->s, field, "Delivered-To")))
            continue;
        if (out)
            out[n] = (struct iovec){(void *)(uintptr_t)(h->s + field->offset), field->len};
        n++;
    }
    return n;
}

static int hand_over(struct forwarding *f)
{
    static const struct enqueue_hooks hooks = {.done = done};
    const struct transaction *t = f->t;
    const struct item *i = &f->items[f->next];
    const struct transaction_mail *m = mail_of(f);
    const uint64_t id = transaction_forward_id(t, rcpt_of(f), i->to);
    struct iovec *v = calloc(m->n + 2 + put_trace(f, NULL), sizeof(*v));
    struct bounce b;
    size_t n = 0;
    int err;

    if (!v)
        return ERR_MEMORY;
    f->pieces = v;
    if (!i->bounce) {
        snprintf(f->delivered_to, sizeof(f->delivered_to), "Delivered-To: %s\r\n", rcpt_of(f)->primary);
        v[n++] = (struct iovec){f->delivered_to, strlen(f->delivered_to)};
    }
    v[n++] = (struct iovec){(void *)(uintptr_t)t->received, strlen(t->received)};
    n += put_trace(f, v + n);
    memcpy(v + n, m->pieces, m->n * sizeof(*v));
    n += m->n;
    if (i->bounce)
        transaction_bounce_describe(t->in, id, i->to, v, n, t->now, &b);
    else
        transaction_forward_describe(t, rcpt_of(f), id, i->to, v, n, &b);
    b.request.envelope.origin = QUEUE_FORWARDED;
    err = enqueue_start(t->in->enqueuer, &b.request, &hooks, f, &f->enqueue);
    explicit_bzero(&b, sizeof(b));
    f->waits = err == OK;
    return err;
}

/* ---- an item ---- */

static void item_kept(struct forwarding *f, enum event_REASON why)
{
    item_end(f);
    keep(f->t, rcpt_of(f), why);
    f->next++;
}

static void sealed(void *arg, int status)
{
    struct forwarding *f = arg;
    struct transaction *t = f->t;

    f->waits = false;
    if (status == ERR_FULL) {
        item_kept(f, EVENT_REASON_NO_MEMORY);
    } else {
        if (status == OK)
            status = hand_over(f);
        if (status != OK)
            fail(f, status);
    }
    idle_touch(t->in->loop, &t->stall);
    transaction_go_on(t);
}

static int seal(struct forwarding *f)
{
    const struct known_key *keys[PGP_SEAL_RECIPIENTS_MAX];
    int err;

    for (size_t i = 0; i < f->known->n; i++)
        keys[i] = &f->known->keys[i];
    f->form = EVENT_FORWARD_SEALED;
    err = transaction_wrap_seal(f->wrap, keys, f->known->n, rcpt_of(f)->account, &f->copy, sealed, f);
    f->waits = err == WRAP_LATER;
    return err == OK ? hand_over(f) : err == WRAP_LATER ? OK : err == ERR_FULL ? KEPT_MEMORY : err;
}

/* KEPT: no key is known, and in the clear it may not go; least of all what its sender had sealed, of which an account
 * that another one here hands it to has no sealed copy. */
static int choose(struct forwarding *f)
{
    const struct item *i = &f->items[f->next];
    const struct transaction_rcpt *r = rcpt_of(f);
    const bool own_keys = i->how & FORWARD_OWN_KEYS;
    const bool may_be_clear = f->t->in->config.forward_plaintext && !own_keys && !f->t->rcpts[0].mail;
    struct known *own = NULL;
    bool encrypted = false;
    int err = transaction_wrap_known(f->t->in->view, r->primary, &own);

    if (err == OK || err == ERR_NO_KEY)
        err = own_keys ? err : transaction_wrap_known(f->t->in->view, i->to, &f->known);
    if (err == OK || err == ERR_NO_KEY) {
        const struct known *const all[] = {own, f->known};
        err = transaction_wrap_is_encrypted(f->wrap, all, 2, &encrypted);
    }
    if (err == OK && own_keys) {
        f->known = own;
        own = NULL;
    }
    known_free(own);
    if (err != OK)
        return err == ERR_FULL ? KEPT_MEMORY : err;
    f->form = encrypted ? EVENT_FORWARD_ENCRYPTED : EVENT_FORWARD_CLEAR;
    if (f->known && !encrypted)
        return seal(f);
    return encrypted || may_be_clear ? hand_over(f) : KEPT;
}

static int begin(struct forwarding *f)
{
    enum event_REASON why = EVENT_REASON_NO_KEY;
    int err;

    f->begun = true;
    f->charged = f->t->charged;
    f->form = EVENT_FORWARD_BOUNCE;
    if (f->items[f->next].bounce)
        return hand_over(f);
    err = transaction_wrap_open(f->t, mail_of(f), &f->wrap);
    if (err == OK)
        err = may_go(f, &why);
    if (err == OK) {
        why = EVENT_REASON_NO_KEY;
        err = choose(f);
    }
    if (err != KEPT && err != KEPT_MEMORY)
        return err;
    item_kept(f, err == KEPT ? why : EVENT_REASON_NO_MEMORY);
    return OK;
}

/* ---- the transaction's hooks ---- */

/* One item after another, once all that is for accounts here is synced. */
static bool finish(struct transaction *t)
{
    struct forwarding *f = t->forwarding;

    while (!f->failed && !f->waits && f->next < f->n) {
        int err = begin(f);
        if (err != OK)
            fail(f, err);
    }
    if (f->failed)
        return true;
    if (f->waits)
        return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->rcpts[i].state == TRANSACTION_RCPT_WAITS) { /* is kept after all */
            transaction_go_on(t);
            return false;
        }
    return true;
}

static void cancel(struct transaction *t)
{
    struct forwarding *f = t->forwarding;

    if (f->next < f->n && !f->failed)
        fail(f, ERR_TIMEOUT);
}

static void reset(struct transaction *t)
{
    struct forwarding *f = t->forwarding;

    item_end(f);
    if (f->n)
        explicit_bzero(f->items, f->n * sizeof(*f->items));
    free(f->items);
    free(f);
    t->forwarding = NULL;
    t->also = NULL;
}

static bool keeps(const struct transaction *t)
{
    const struct forwarding *f = t->forwarding;

    return !f->failed && f->next < f->n;
}

static struct item *add_item(struct transaction *t)
{
    static const struct transaction_also hooks = {finish, cancel, reset, keeps};
    struct forwarding *f = t->forwarding ? t->forwarding : calloc(1, sizeof(*f));
    struct item *more;

    if (!f)
        return NULL;
    f->t = t;
    t->forwarding = f;
    t->also = &hooks;
    more = realloc(f->items, (f->n + 1) * sizeof(*more));
    if (!more)
        return NULL;
    f->items = more;
    memset(&more[f->n], 0, sizeof(*more));
    return &more[f->n];
}

/* ---- the plan ---- */

struct word {
    struct transaction_rcpt *r;
    uint8_t how;
    char to[ADDRESS_MAX];
    uint64_t here; /* the account that has the address; 0: elsewhere */
    bool nobody;   /* it would be here, and is nobody's */
};

static int read_word(void *arg, struct view *v)
{
    struct word *w = arg;
    struct schema_account a;
    struct schema_address to;
    int err = transaction_account_approved(v, w->r->account, &a);

    if (err == OK) {
        w->how = a.forward_how;
        memcpy(w->to, a.forward, sizeof(w->to));
    }
    explicit_bzero(&a, sizeof(a));
    w->here = 0;
    w->nobody = false;
    if (err != OK || !w->to[0])
        return err;
    err = view_route(v, w->to, strlen(w->to), &to);
    w->here = err == OK ? to.account : 0;
    w->nobody = err == ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_FORMAT ? OK : err;
}

static void goes_away(struct transaction_rcpt *r)
{
    r->away = true;
    r->state = TRANSACTION_RCPT_DONE;
}

static const struct transaction_rcpt *has_account(const struct transaction *t, uint64_t account)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->rcpts[i].account == account)
            return &t->rcpts[i];
    return NULL;
}

/* To an account here. Two that forward to one another end where the mail has been already. */
static int plan_here(struct transaction *t, size_t i, const struct word *w)
{
    const struct transaction_rcpt *there = has_account(t, w->here);
    struct transaction_route route;
    int err;

    if (there && there->away)
        return OK;
    if (!there && t->rcpts[i].hops == HERE_MAX) {
        keep(t, &t->rcpts[i], EVENT_REASON_LOOP);
        return OK;
    }
    if (!there) {
        err = transaction_route(t, w->to, &route);
        if (err == OK)
            err = transaction_add_local(t, w->to, &route);
        if (err != OK) {
            keep(t, &t->rcpts[i], err == ERR_QUOTA ? EVENT_REASON_MAILBOX_FULL : EVENT_REASON_DEFERRED);
            return OK;
        }
        t->rcpts[t->n - 1].hops = t->rcpts[i].hops + 1;
        count(t->in, COUNT_FORWARDED);
        log_event_raw(forwarded, (slice_str(t->id_text)), t->rcpts[i].account, EVENT_FORWARD_HERE);
    }
    if (w->how & FORWARD_ONLY)
        goes_away(&t->rcpts[i]);
    return OK;
}

static int plan(struct transaction *t, size_t i)
{
    struct word w = {.r = &t->rcpts[i]};
    struct item *item;
    int err = view_run(t->in->view, read_word, &w);

    if (err != OK || !w.to[0] || w.here == w.r->account)
        return err;
    if (w.nobody || (!w.here && !t->in->enqueuer)) {
        keep(t, w.r, w.nobody ? EVENT_REASON_NO_USER : EVENT_REASON_DEFERRED);
        return OK;
    }
    if (w.here)
        return plan_here(t, i, &w);
    if (t->junk) { /* under our name it goes to nobody */
        keep(t, w.r, EVENT_REASON_JUNK);
        return OK;
    }
    item = add_item(t);
    if (!item)
        return ERR_MEMORY;
    *item = (struct item){.rcpt = i, .how = w.how};
    memcpy(item->to, w.to, sizeof(item->to));
    t->forwarding->n++;
    if (w.how & FORWARD_ONLY)
        goes_away(w.r);
    return OK;
}

/* Recipients that are added have their turn as well. */
int transaction_forward(struct transaction *t)
{
    int err = OK;

    for (size_t i = 0; err == OK && i < t->n; i++)
        if (t->rcpts[i].forwards && !t->rcpts[i].away)
            err = plan(t, i);
    return err;
}

int transaction_bounce(struct transaction *t, const char *given, const char *to)
{
    struct transaction_rcpt *r;
    struct item *item;

    if (!t->in->enqueuer)
        return ERR_UNSUPPORTED;
    if (t->forwarding && t->forwarding->n)
        return ERR_LIMIT;
    item = add_item(t);
    r = item ? transaction_add_rcpt(t) : NULL;
    if (!r)
        return ERR_MEMORY;
    *item = (struct item){.rcpt = t->n, .bounce = true};
    strcpy(item->to, to);
    r->t = t;
    r->state = TRANSACTION_RCPT_DONE;
    r->away = true;
    strcpy(r->given, given);
    transaction_report_names(t, given, NULL, &r->names);
    t->n++;
    t->forwarding->n++;
    return OK;
}
