/* When the message is whole its recipients' keys are collected, the recipients are parted into copies, and these are
 * sealed one after another. See encrypt.h. */
#include "server/ingest/submission/encrypt.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_check.h"
#include "server/base/event.h"
#include "server/core/error.h"
#include "server/format/find.h"
#include "server/format/protection.h"
#include "server/format/render.h"
#include "server/keys/known.h"
#include "server/mail/downgrade.h"

enum {
    HEAD_MAX = HEADER_MAX + 64 * 1024, /* header block and a piece of the body */
    LONG_SEAL = 512 * 1024,            /* after so many octets the other sessions get their turn */
    PACKETS_SLACK = 256 * 1024,        /* what a seal adds at most, beside lengths of its pieces */
    ASKED_MAX = 16,                    /* recipients, likewise */
};

/* One message, for those who share it. */
struct copy {
    struct transaction_mail mail;
    struct iovec piece;
    const struct known_key *keys[PGP_SEAL_RECIPIENTS_MAX];
    size_t nkeys;
};

struct encrypting {
    struct submission *s;
    submission_encrypted_fn *done;
    struct known **known; /* by recipient */
    size_t nknown;
    bool prepared;
    struct copy *copies;
    size_t ncopies, next;
    size_t *copy_of; /* by recipient */
    bool *named;     /* by recipient: To or Cc does */
    uint8_t *head;
    struct header_field *fields;
    struct header_view header;
    struct protected_mail mail;
    bool have_mail;
    struct iovec *payload;
    size_t payload_n;
    uint64_t payload_len;
    struct buf packets;
    struct gpg_seal_op *gpg;
    struct defer later;
    struct idle stall; /* ends what gpg never answers */
};

static int go_on(struct encrypting *e);

static void forget_text(struct encrypting *e)
{
    if (e->have_mail)
        protected_mail_free(&e->mail);
    e->have_mail = false;
    secmem_unmap(e->head, HEAD_MAX);
    e->head = NULL;
    buf_free(&e->packets);
    free(e->payload);
    e->payload = NULL;
    free(e->fields);
    e->fields = NULL;
}

static void sealing_free(struct encrypting *e)
{
    struct loop *loop = e->s->t.in->loop;

    defer_cancel(loop, &e->later);
    idle_cancel(&e->stall);
    if (e->gpg)
        gpg_seal_cancel(e->gpg);
    for (size_t i = 0; i < e->ncopies; i++)
        secmem_unmap(e->copies[i].piece.iov_base, e->copies[i].piece.iov_len);
    forget_text(e);
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
    if (s->encrypting)
        sealing_free(s->encrypting);
    s->encrypting = NULL;
}

/* ---- MAIL and RCPT ---- */

int submission_encrypt_wanted(struct view *v, uint64_t account, uint8_t *ret)
{
    struct schema_key *keys = calloc(PGP_KEYS_MAX, sizeof(*keys));
    struct schema_account a;
    size_t n = 0;
    int err = keys ? view_account(v, account, &a) : ERR_MEMORY;

    if (err == OK)
        err = view_keys_read(v, account, keys, &n);
    if (err == OK)
        err = view_keys_approved(v, &a, keys, n);
    if (err == OK)
        *ret = a.encrypt;
    explicit_bzero(&a, sizeof(a));
    free(keys);
    return err;
}

struct answer {
    int status;
    struct known *known;
};

static void on_known(void *arg, int status, struct known *k)
{
    *(struct answer *)arg = (struct answer){status, k};
}

/* ERR_NO_KEY: none are known. */
static int look(const struct submission *s, const char *address, struct known **ret)
{
    struct answer a = {.status = ERR_AGAIN};

    known_ask(s->t.in->view, address, on_known, &a);
    *ret = a.known;
    return a.status == OK ? OK : a.status == ERR_NOT_FOUND ? ERR_NO_KEY : ERR_AGAIN;
}

int submission_encrypt_may(const struct submission *s, const char *address)
{
    struct known *known = NULL;
    int err = s->encrypt == ENCRYPT_ALWAYS ? look(s, address, &known) : OK;

    known_free(known);
    return err;
}

/* ---- what there is to seal ---- */

/* What copies take is the budget's; there is no waiting for it. */
static int charge(struct encrypting *e, uint64_t octets)
{
    return transaction_charge(&e->s->t, octets) == OK ? OK : ERR_FULL;
}

/* The message's first octets, in one piece. */
static int read_header(struct encrypting *e)
{
    const struct transaction_mail *m = &e->s->t.mail;
    size_t len = 0;

    e->head = secmem_map(HEAD_MAX);
    e->fields = malloc(HEADER_FIELDS_MAX * sizeof(*e->fields));
    if (!e->head || !e->fields)
        return ERR_MEMORY;
    for (size_t i = 0; i < m->n && len < HEAD_MAX; i++) {
        size_t take = m->pieces[i].iov_len < HEAD_MAX - len ? m->pieces[i].iov_len : HEAD_MAX - len;
        memcpy(e->head + len, m->pieces[i].iov_base, take);
        len += take;
    }
    return header_parse(e->head, len, e->fields, HEADER_FIELDS_MAX, &e->header);
}

static size_t all_keys(const struct encrypting *e, struct pgp_key_ref *out)
{
    size_t n = 0;

    for (size_t i = 0; i < e->nknown; i++)
        for (size_t k = 0; k < e->known[i]->n; k++) {
            if (out)
                out[n] = pgp_verdict_key(&e->known[i]->keys[k].verdict, true);
            n++;
        }
    return n;
}

/* Is it one OpenPGP message for one of the recipients and nothing else? Packets say so, not labels. */
static int look_at(struct encrypting *e, uint8_t *whole, uint8_t *packets, size_t len, bool *ret_is)
{
    const struct transaction_mail *m = &e->s->t.mail;
    struct pgp_key_ref *refs = calloc(all_keys(e, NULL), sizeof(*refs));
    struct pgp_check_result check;
    struct pgp_found found;
    const char *why;
    size_t at = 0;

    if (!refs)
        return ERR_MEMORY;
    for (size_t i = 0; i < m->n; i++) {
        memcpy(whole + at, m->pieces[i].iov_base, m->pieces[i].iov_len);
        at += m->pieces[i].iov_len;
    }
    *ret_is =
        pgp_find_message(whole, len, packets, len, &found) == OK &&
        pgp_check_message(packets, found.len, refs, all_keys(e, refs), PGP_CHECK_FOREIGN_WILDCARD, &check, &why) == OK;
    free(refs);
    return OK;
}

static int is_encrypted(struct encrypting *e, bool *ret_is)
{
    const size_t len = (size_t)e->s->t.mail.len;
    uint8_t *whole, *packets;
    int err = ERR_MEMORY;

    *ret_is = false;
    if (len == 0 || !pgp_find_likely(&e->header, len))
        return OK;
    err = charge(e, 2 * (uint64_t)len);
    if (err != OK)
        return err;
    whole = secmem_map(len);
    packets = secmem_map(len);
    err = whole && packets ? look_at(e, whole, packets, len, ret_is) : ERR_MEMORY;
    secmem_unmap(whole, len);
    secmem_unmap(packets, len);
    return err;
}

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
    const struct header_view *h = &e->header;

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

/* What is sealed: the message with its header protected. Outside stands what the sender wrote, but for the Subject. */
static int make_payload(struct encrypting *e)
{
    struct transaction *t = &e->s->t;
    const struct protect_params p = {.policy = POLICY_BASELINE,
                                     .domain = t->in->config.domain,
                                     .outgoing = true,
                                     .date = (int64_t)t->now};
    const size_t cap = t->mail.n + 2 * HEADER_INSERTIONS_MAX + 1;
    struct mail_shape shape;
    int err;

    mail_shape(t->mail.pieces, t->mail.n, &shape);
    err = header_protect(&p, &e->header, t->mail.len, shape.body_8bit, &e->mail);
    if (err != OK)
        return err;
    e->have_mail = true;
    e->payload = calloc(cap, sizeof(*e->payload));
    if (!e->payload)
        return ERR_MEMORY;
    err = protected_mail_iov(&e->mail, t->mail.pieces, t->mail.n, e->payload, cap, &e->payload_n);
    for (size_t i = 0; i < e->payload_n; i++)
        e->payload_len += e->payload[i].iov_len;
    buf_init(&e->packets, e->payload_len + e->payload_len / 64 + PACKETS_SLACK, false);
    return err == OK ? charge(e, e->packets.max) : err;
}

/* ---- sealing ---- */

static int sink(void *arg, const uint8_t *data, size_t len)
{
    return buf_append(arg, data, len);
}

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    memcpy(out, ((const struct buf *)arg)->data + offset, len);
    return OK;
}

/* The packets become the mail that is sent. */
static int finish_copy(struct encrypting *e)
{
    struct transaction *t = &e->s->t;
    struct copy *c = &e->copies[e->next];
    const struct render_source r = {.version = RENDER_VERSION,
                                    .message = t->id,
                                    .outer = e->mail.outer.data,
                                    .outer_len = e->mail.outer.len,
                                    .packets_len = e->packets.len,
                                    .read = read_packets,
                                    .arg = &e->packets};
    const uint64_t len = render_size(RENDER_VERSION, e->mail.outer.len, e->packets.len);
    size_t made = 0, done = 0;
    int err = charge(e, len);

    if (err != OK)
        return err;
    c->piece = (struct iovec){secmem_map(len), len};
    if (!c->piece.iov_base)
        return ERR_MEMORY;
    for (; err == OK && made < len; made += done) {
        err = render_range(&r, made, len - made, (uint8_t *)c->piece.iov_base + made, &done);
        if (err == OK && done == 0)
            err = ERR_CRYPTO;
    }
    c->mail = (struct transaction_mail){&c->piece, 1, len};
    buf_clear(&e->packets);
    e->next++;
    return err;
}

static void stalled(struct idle *i)
{
    struct encrypting *e = (struct encrypting *)((char *)i - offsetof(struct encrypting, stall));

    e->done(e->s, ERR_TIMEOUT);
}

static void gpg_done(void *arg, int status)
{
    struct encrypting *e = arg;
    struct submission *s = e->s;

    e->gpg = NULL;
    idle_cancel(&e->stall);
    if (status == OK)
        status = finish_copy(e);
    if (status == OK)
        status = go_on(e);
    if (status != SUBMISSION_LATER)
        e->done(s, status);
}

static int seal_by_gpg(struct encrypting *e, const struct copy *c)
{
    struct gpg_seal_cert certs[PGP_SEAL_RECIPIENTS_MAX];
    const struct gpg_seal_job job = {.certs = certs,
                                     .ncerts = c->nkeys,
                                     .in = e->payload,
                                     .iovcnt = e->payload_n,
                                     .sink = sink,
                                     .sink_arg = &e->packets,
                                     .account = e->s->who.user.account,
                                     .peer = smtp_session_peer(e->s->t.session)};

    for (size_t i = 0; i < c->nkeys; i++) {
        const struct pgp_verdict *v = &c->keys[i]->verdict;
        certs[i] =
            (struct gpg_seal_cert){c->keys[i]->cert, c->keys[i]->len, v->enc_fpr, v->enc_fpr_len, v->enc_expires};
    }
    return e->s->t.in->gpg ? gpg_seal_start(e->s->t.in->gpg, &job, gpg_done, e, &e->gpg) : ERR_GONE;
}

/* SUBMISSION_LATER: gpg has it. */
static int seal_copy(struct encrypting *e)
{
    const struct copy *c = &e->copies[e->next];
    struct pgp_recipient *to[PGP_SEAL_RECIPIENTS_MAX];
    int err;

    for (size_t i = 0; i < c->nkeys; i++) {
        to[i] = c->keys[i]->native;
        if (!to[i]) {
            err = seal_by_gpg(e, c);
            if (err != OK)
                return err;
            idle_set(e->s->t.in->loop, &e->stall, e->s->t.in->stall_ms, stalled);
            return SUBMISSION_LATER;
        }
    }
    err = pgp_seal(to, c->nkeys, e->payload, e->payload_n, sink, &e->packets, NULL);
    return err == OK ? finish_copy(e) : err;
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
        t->rcpts[i].mail = &e->copies[e->copy_of[i]].mail;
    t->keeps = false; /* nobody needs the text any more */
    forget_text(e);
    count(t->in, COUNT_ENCRYPTED);
    log_event_raw(encrypted, (slice_str(t->id_text)), t->n, e->ncopies);
}

static int seal_copies(struct encrypting *e)
{
    uint64_t octets = 0;

    while (e->next < e->ncopies) {
        int err = seal_copy(e);
        if (err != OK)
            return err;
        octets += e->payload_len;
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
    err = read_header(e);
    if (err == OK)
        err = is_encrypted(e, ret_goes_as_it_is);
    if (err != OK || *ret_goes_as_it_is)
        return err;
    mark_named(e);
    part(e);
    return make_payload(e);
}

/* As they are known now, whatever was known when the recipients were named. */
static int collect(struct encrypting *e)
{
    const struct transaction *t = &e->s->t;

    for (size_t n = 0; e->nknown < t->n; n++) {
        int err = n < ASKED_MAX ? look(e->s, t->rcpts[e->nknown].given, &e->known[e->nknown]) : later(e);
        if (err != OK)
            return err;
        e->nknown++;
    }
    return OK;
}

static int go_on(struct encrypting *e)
{
    bool goes_as_it_is = false;
    int err = collect(e);

    if (err == ERR_NO_KEY && e->s->encrypt != ENCRYPT_ALWAYS)
        return OK;
    if (err == OK && !e->prepared)
        err = prepare(e, &goes_as_it_is);
    if (err != OK || goes_as_it_is)
        return err;
    e->prepared = true;
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
