/* When the message is whole its recipients' keys are collected, the recipients are parted into copies, and these are
 * sealed one after another. See encrypt.h. */
#include "server/ingest/submission/encrypt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/ingest/transaction/rcpt.h"
#include "server/ingest/transaction/wrap.h"
#include "server/mail/header.h"

enum {
    LONG_SEAL = 512 * 1024, /* after so many octets the other sessions get their turn */
    ASKED_MAX = 16,         /* recipients, likewise */
};

/* One message, for those who share it. */
struct copy {
    struct wrap_copy sealed;
    const struct known_key *keys[PGP_SEAL_RECIPIENTS_MAX];
    size_t nkeys;
};

struct encrypting {
    struct submission *s;
    submission_encrypted_fn *done;
    struct known **known; /* by recipient */
    size_t nknown;
    struct wrap *wrap; /* NULL: nothing is prepared yet */
    struct copy *copies;
    size_t ncopies, next;
    size_t *copy_of; /* by recipient */
    bool *named;     /* by recipient: To or Cc does */
    struct defer later;
    struct strangers_wait *wait; /* for the key of the recipient after those that are known */
    struct idle late;            /* all of them together have so much time */
    bool is_late;
};

static int go_on(struct encrypting *e);

static void sealing_free(struct encrypting *e)
{
    submission_strangers_cancel(e->wait);
    idle_cancel(&e->late);
    defer_cancel(e->s->t.in->loop, &e->later);
    transaction_wrap_free(e->wrap);
    for (size_t i = 0; i < e->ncopies; i++)
        transaction_wrap_copy_finish(&e->copies[i].sealed);
    for (size_t i = 0; i < e->nknown; i++)
        known_free(e->known[i]);
    free(e->known);
    free(e->named);
    free(e->copy_of);
    free(e->copies);
    free(e);
}

void submission_encrypt_reset(struct submission *s)
{
    submission_strangers_cancel(s->looking);
    submission_correspondent_reset(s);
    s->looking = NULL;
    if (s->encrypting)
        sealing_free(s->encrypting);
    s->encrypting = NULL;
}

/* ---- MAIL and RCPT ---- */

int submission_encrypt_wanted(struct view *v, uint64_t account, uint8_t *ret)
{
    struct schema_account a;
    int err = transaction_account_approved(v, account, &a);

    if (err == OK)
        *ret = a.encrypt;
    explicit_bzero(&a, sizeof(a));
    return err;
}

static int is_ours(void *arg, struct view *v)
{
    const char *at = strrchr(arg, '@');

    return view_domain_known(v, at ? at + 1 : "");
}

/* Of a domain here the accounts' keys are all there are: OK. ERR_NOT_FOUND: it is elsewhere. */
static int check_ours(struct submission *s, const char *address)
{
    int err = view_run(s->t.in->view, is_ours, (void *)(uintptr_t)address);

    return err == ERR_FORMAT ? ERR_NOT_FOUND : err;
}

/* ERR_UNKNOWN: nobody can say. */
static int look_elsewhere(struct submission *s, const char *address, const struct strangers_asker *who,
                          struct known **ret, struct strangers_wait **ret_wait)
{
    int err =
        s->t.in->strangers ? submission_strangers_ask(s->t.in->strangers, address, who, ret, ret_wait) : ERR_NO_KEY;

    return err == ERR_AGAIN ? ERR_UNKNOWN : err;
}

/* At RCPT. */
static int ask_early(struct submission *s, const char *address, const struct strangers_asker *who, struct known **known)
{
    const bool always = s->encrypt == ENCRYPT_ALWAYS;
    int err = check_ours(s, address);

    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_NO_KEY : err;
    err = look_elsewhere(s, address, who, known, always ? &s->looking : NULL);
    if (!always || err == STRANGERS_LATER)
        return err;
    return submission_correspondent(s, address, err, known, who->ready, who->arg);
}

static void rcpt_ready(void *arg)
{
    struct submission *s = arg;

    s->looking = NULL;
    s->ready(s);
}

int submission_encrypt_may(struct submission *s, const char *address, submission_ready_fn *ready)
{
    const struct strangers_asker who = {s->who.user.account, rcpt_ready, s};
    const bool always = s->encrypt == ENCRYPT_ALWAYS;
    struct known *known = NULL;
    int err = s->encrypt == ENCRYPT_NEVER ? OK : transaction_wrap_known(s->t.in->view, address, &known);

    if (err == ERR_NO_KEY)
        err = ask_early(s, address, &who, &known);
    known_free(known);
    s->ready = ready;
    return always ? err : OK;
}

/* ---- what there is to seal ---- */

/* Whom To and Cc name. Who is spelt otherwise there counts as blind, which costs a copy and tells nobody. */
static int mark(void *arg, const struct address_item *item)
{
    struct encrypting *e = arg;
    char text[ADDRESS_CANONICAL_MAX];

    if (address_canonical(item, text) > 0)
        for (size_t i = 0; i < e->s->t.n; i++)
            if (strcasecmp(text, e->s->t.rcpts[i].given) == 0)
                e->named[i] = true;
    return 0;
}

static void mark_named(struct encrypting *e)
{
    const struct header_view *h = transaction_wrap_header(e->wrap);

    for (size_t i = 0; i < h->count; i++)
        if (header_field_is(h->s, &h->fields[i], "To") || header_field_is(h->s, &h->fields[i], "Cc")) {
            struct slice v = header_field_value(h->s, &h->fields[i]);
            address_each(v.data, v.len, mark, e);
        }
}

static bool has_key(const struct copy *c, const struct known_key *k)
{
    for (size_t i = 0; i < c->nkeys; i++)
        if (c->keys[i]->verdict.enc_fpr_len == k->verdict.enc_fpr_len &&
            memcmp(c->keys[i]->verdict.enc_fpr, k->verdict.enc_fpr, k->verdict.enc_fpr_len) == 0)
            return true;
    return false;
}

static bool fits(const struct copy *c, const struct known *k)
{
    size_t n = c->nkeys;

    for (size_t i = 0; i < k->n; i++)
        n += !has_key(c, &k->keys[i]);
    return n <= PGP_SEAL_RECIPIENTS_MAX;
}

/* Who gets which copy. A message is for so many keys at most: the rest of To and Cc get another. */
static void part(struct encrypting *e)
{
    struct copy *shared = NULL;

    for (size_t i = 0; i < e->s->t.n; i++) {
        const struct known *k = e->known[i];
        struct copy *c = e->named[i] && shared && fits(shared, k) ? shared : &e->copies[e->ncopies++];
        for (size_t j = 0; j < k->n; j++)
            if (!has_key(c, &k->keys[j]))
                c->keys[c->nkeys++] = &k->keys[j];
        if (e->named[i])
            shared = c;
        e->copy_of[i] = (size_t)(c - e->copies);
    }
}

/* ---- sealing ---- */

static void sealed(void *arg, int status)
{
    struct encrypting *e = arg;
    struct submission *s = e->s;

    e->next++;
    if (status == OK)
        status = go_on(e);
    if (status != SUBMISSION_LATER)
        e->done(s, status);
}

static void on_later(void *arg)
{
    struct encrypting *e = arg;
    struct submission *s = e->s;
    int status = go_on(e);

    if (status != SUBMISSION_LATER)
        e->done(s, status);
}

static int later(struct encrypting *e)
{
    defer_set(e->s->t.in->loop, &e->later, on_later, e);
    return SUBMISSION_LATER;
}

static void hand_out(struct encrypting *e)
{
    struct transaction *t = &e->s->t;

    for (size_t i = 0; i < t->n; i++)
        t->rcpts[i].mail = &e->copies[e->copy_of[i]].sealed.mail;
    t->keeps = false; /* nobody needs the text any more */
    transaction_wrap_forget_text(e->wrap);
    count(t->in, COUNT_ENCRYPTED);
    log_event_raw(encrypted, (slice_str(t->id_text)), t->n, e->ncopies);
}

static int seal_copies(struct encrypting *e)
{
    uint64_t octets = 0;

    while (e->next < e->ncopies) {
        struct copy *c = &e->copies[e->next];
        int err = transaction_wrap_seal(e->wrap, c->keys, c->nkeys, e->s->who.user.account, &c->sealed, sealed, e);
        if (err != OK)
            return err == WRAP_LATER ? SUBMISSION_LATER : err;
        e->next++;
        octets += transaction_wrap_octets(e->wrap);
        if (octets > LONG_SEAL && e->next < e->ncopies)
            return later(e);
    }
    hand_out(e);
    return OK;
}

static int prepare(struct encrypting *e, bool *ret_goes_as_it_is)
{
    const size_t n = e->s->t.n;
    int err;

    e->copies = calloc(n, sizeof(*e->copies));
    e->copy_of = calloc(n, sizeof(*e->copy_of));
    e->named = calloc(n, sizeof(*e->named));
    if (!e->copies || !e->copy_of || !e->named)
        return ERR_MEMORY;
    err = transaction_wrap_open(&e->s->t, &e->s->t.mail, &e->wrap);
    if (err == OK)
        err =
            transaction_wrap_is_encrypted(e->wrap, (const struct known *const *)e->known, e->nknown, ret_goes_as_it_is);
    if (err != OK || *ret_goes_as_it_is)
        return err;
    mark_named(e);
    part(e);
    return OK;
}

static void on_ready(void *arg)
{
    struct encrypting *e = arg;

    e->wait = NULL;
    on_later(e);
}

static void on_late(struct idle *i)
{
    struct encrypting *e = (struct encrypting *)((char *)i - offsetof(struct encrypting, late));

    e->is_late = true;
    if (!e->wait)
        return;
    submission_strangers_cancel(e->wait);
    on_ready(e);
}

/* What takes too long nobody can say. */
static int wait_for(struct encrypting *e, const char *address, struct known **ret)
{
    const struct strangers_asker who = {e->s->who.user.account, on_ready, e};
    struct ingest *in = e->s->t.in;
    int err = check_ours(e->s, address);

    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_NO_KEY : err;
    err = look_elsewhere(e->s, address, &who, ret, e->is_late ? NULL : &e->wait);
    if (err != STRANGERS_LATER || e->is_late)
        return submission_correspondent(e->s, address, err == STRANGERS_LATER ? ERR_UNKNOWN : err, ret, on_ready, e);
    if (!e->late.limit_ms)
        idle_set(in->loop, &e->late, (uint64_t)in->config.discover_wait * 1000, on_late);
    return SUBMISSION_LATER;
}

/* As they are known now, whatever was known when the recipients were named. */
static int collect(struct encrypting *e)
{
    struct transaction *t = &e->s->t;

    for (size_t n = 0; e->nknown < t->n; n++) {
        const char *address = t->rcpts[e->nknown].given;
        struct known **known = &e->known[e->nknown];
        int err = n < ASKED_MAX ? transaction_wrap_known(t->in->view, address, known) : later(e);
        if (err == ERR_NO_KEY)
            err = wait_for(e, address, known);
        if (err != OK)
            return err;
        e->nknown++;
    }
    idle_cancel(&e->late);
    return OK;
}

/* An account that seals where it can sends in the clear where it cannot. */
static bool goes_clear(const struct encrypting *e, int err)
{
    if (e->s->encrypt == ENCRYPT_ALWAYS)
        return false;
    if (err == ERR_UNKNOWN)
        return strcmp(e->s->t.in->config.discover_unanswered, "defer") != 0;
    return err == ERR_NO_KEY;
}

static int go_on(struct encrypting *e)
{
    bool goes_as_it_is = false;
    int err = collect(e);

    if (goes_clear(e, err))
        return OK;
    if (err == OK && !e->wrap)
        err = prepare(e, &goes_as_it_is);
    if (err != OK || goes_as_it_is)
        return err;
    return seal_copies(e);
}

struct word {
    uint64_t account;
    uint8_t word;
};

static int read_word(void *arg, struct view *v)
{
    struct word *w = arg;

    return submission_encrypt_wanted(v, w->account, &w->word);
}

int submission_encrypt(struct submission *s, submission_encrypted_fn *done)
{
    struct word w = {.account = s->who.user.account};
    struct encrypting *e;
    int err = view_run(s->t.in->view, read_word, &w);

    if (err != OK)
        return err;
    if (w.word > s->encrypt) /* less than it was at MAIL it is not */
        s->encrypt = w.word;
    if (s->encrypt == ENCRYPT_NEVER)
        return OK;
    if (!(e = calloc(1, sizeof(*e))))
        return ERR_MEMORY;
    e->s = s;
    e->done = done;
    s->encrypting = e;
    e->known = calloc(s->t.n, sizeof(struct known *));
    return e->known ? go_on(e) : ERR_MEMORY;
}
