#include "server/ingest/transaction/wrap.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_check.h"
#include "server/core/error.h"
#include "server/format/find.h"
#include "server/format/protection.h"
#include "server/format/render.h"
#include "server/mail/downgrade.h"

enum {
    HEAD_MAX = HEADER_MAX + 64 * 1024, /* header block and a piece of the body */
    PACKETS_SLACK = 256 * 1024,        /* what a seal adds at most, beside lengths of its pieces */
};

struct wrap {
    struct transaction *t;
    const struct transaction_mail *m;
    uint8_t *head;
    struct header_field *fields;
    struct header_view header;
    struct protected_mail mail;
    bool have_mail;
    struct iovec *payload;
    size_t payload_n;
    uint64_t payload_len;
    struct buf packets;
    /* the seal under way */
    struct wrap_copy *copy;
    wrap_done_fn *done;
    void *arg;
    struct gpg_seal_op *gpg;
    struct idle stall; /* ends what gpg never answers */
};

void transaction_wrap_forget_text(struct wrap *w)
{
    if (w->have_mail)
        protected_mail_free(&w->mail);
    w->have_mail = false;
    secmem_unmap(w->head, HEAD_MAX);
    w->head = NULL;
    buf_free(&w->packets);
    free(w->payload);
    w->payload = NULL;
    free(w->fields);
    w->fields = NULL;
}

void transaction_wrap_free(struct wrap *w)
{
    if (!w)
        return;
    idle_cancel(&w->stall);
    if (w->gpg)
        gpg_seal_cancel(w->gpg);
    transaction_wrap_forget_text(w);
    free(w);
}

void transaction_wrap_copy_finish(struct wrap_copy *c)
{
    secmem_unmap(c->piece.iov_base, c->piece.iov_len);
    *c = (struct wrap_copy){0};
}

/* ---- keys ---- */

struct answer {
    int status;
    struct known *known;
};

static void on_known(void *arg, int status, struct known *k)
{
    *(struct answer *)arg = (struct answer){status, k};
}

int transaction_wrap_known(struct view *v, const char *address, struct known **ret)
{
    struct answer a = {.status = ERR_AGAIN};

    known_ask(v, address, on_known, &a);
    *ret = a.known;
    return a.status == OK ? OK : a.status == ERR_NOT_FOUND ? ERR_NO_KEY : ERR_AGAIN;
}

/* ---- reading ---- */

/* There is no waiting for the budget. */
static int charge(struct wrap *w, uint64_t octets)
{
    return transaction_charge(w->t, octets) == OK ? OK : ERR_FULL;
}

/* The message's first octets, in one piece. */
static int read_header(struct wrap *w)
{
    size_t len;

    w->head = secmem_map(HEAD_MAX);
    w->fields = malloc(HEADER_FIELDS_MAX * sizeof(*w->fields));
    if (!w->head || !w->fields)
        return ERR_MEMORY;
    len = transaction_mail_top(w->m, w->head, HEAD_MAX);
    return header_parse(w->head, len, w->fields, HEADER_FIELDS_MAX, &w->header);
}

int transaction_wrap_open(struct transaction *t, const struct transaction_mail *m, struct wrap **ret)
{
    struct wrap *w = calloc(1, sizeof(*w));
    int err;

    if (!w)
        return ERR_MEMORY;
    w->t = t;
    w->m = m;
    err = read_header(w);
    if (err != OK) {
        transaction_wrap_free(w);
        return err;
    }
    *ret = w;
    return OK;
}

const struct header_view *transaction_wrap_header(const struct wrap *w)
{
    return &w->header;
}

uint64_t transaction_wrap_octets(const struct wrap *w)
{
    return w->payload_len;
}

static size_t all_keys(const struct known *const *known, size_t nknown, struct pgp_key_ref *out)
{
    size_t n = 0;

    for (size_t i = 0; i < nknown; i++)
        for (size_t k = 0; known[i] && k < known[i]->n; k++) {
            if (out)
                out[n] = pgp_verdict_key(&known[i]->keys[k].verdict, true);
            n++;
        }
    return n;
}

static int look_at(const struct wrap *w, const struct known *const *known, size_t n, uint8_t *whole, uint8_t *packets,
                   bool *ret_is)
{
    const size_t nkeys = all_keys(known, n, NULL), len = (size_t)w->m->len;
    struct pgp_key_ref *refs = calloc(nkeys + 1, sizeof(*refs));
    struct pgp_check_result check;
    struct pgp_found found;
    const char *why;

    if (!refs)
        return ERR_MEMORY;
    transaction_mail_top(w->m, whole, len);
    all_keys(known, n, refs);
    *ret_is = pgp_find_message(whole, len, packets, len, &found) == OK &&
              pgp_check_message(packets, found.len, refs, nkeys, PGP_CHECK_FOREIGN_WILDCARD, &check, &why) == OK;
    free(refs);
    return OK;
}

int transaction_wrap_is_encrypted(struct wrap *w, const struct known *const *known, size_t n, bool *ret)
{
    const size_t len = (size_t)w->m->len;
    uint8_t *whole, *packets;
    int err = ERR_MEMORY;

    *ret = false;
    if (len == 0 || all_keys(known, n, NULL) == 0 || !pgp_find_likely(&w->header, len))
        return OK;
    err = charge(w, 2 * (uint64_t)len);
    if (err != OK)
        return err;
    whole = secmem_map(len);
    packets = secmem_map(len);
    err = whole && packets ? look_at(w, known, n, whole, packets, ret) : ERR_MEMORY;
    secmem_unmap(whole, len);
    secmem_unmap(packets, len);
    return err;
}

/* ---- sealing ---- */

/* What is sealed: the message with its header protected. */
static int make_payload(struct wrap *w)
{
    const struct transaction_mail *m = w->m;
    const struct protect_params p = {.policy = POLICY_BASELINE,
                                     .domain = w->t->in->config.domain,
                                     .outgoing = true,
                                     .date = (int64_t)w->t->now};
    const size_t cap = m->n + 2 * HEADER_INSERTIONS_MAX + 1;
    struct mail_shape shape;
    int err;

    mail_shape(m->pieces, m->n, &shape);
    err = header_protect(&p, &w->header, m->len, shape.body_8bit, &w->mail);
    if (err != OK)
        return err;
    w->have_mail = true;
    w->payload = calloc(cap, sizeof(*w->payload));
    if (!w->payload)
        return ERR_MEMORY;
    err = protected_mail_iov(&w->mail, m->pieces, m->n, w->payload, cap, &w->payload_n);
    for (size_t i = 0; i < w->payload_n; i++)
        w->payload_len += w->payload[i].iov_len;
    buf_init(&w->packets, w->payload_len + w->payload_len / 64 + PACKETS_SLACK, false);
    return err == OK ? charge(w, w->packets.max) : err;
}

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
static int finish_copy(struct wrap *w)
{
    const struct render_source r = {.version = RENDER_VERSION,
                                    .message = w->t->id,
                                    .outer = w->mail.outer.data,
                                    .outer_len = w->mail.outer.len,
                                    .packets_len = w->packets.len,
                                    .read = read_packets,
                                    .arg = &w->packets};
    const uint64_t len = render_size(RENDER_VERSION, w->mail.outer.len, w->packets.len);
    struct wrap_copy *c = w->copy;
    size_t made = 0, done = 0;
    int err = charge(w, len);

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
    buf_clear(&w->packets);
    return err;
}

static void stalled(struct idle *i)
{
    struct wrap *w = (struct wrap *)((char *)i - offsetof(struct wrap, stall));

    w->done(w->arg, ERR_TIMEOUT);
}

static void gpg_done(void *arg, int status)
{
    struct wrap *w = arg;

    w->gpg = NULL;
    idle_cancel(&w->stall);
    w->done(w->arg, status == OK ? finish_copy(w) : status);
}

static int seal_by_gpg(struct wrap *w, const struct known_key *const *keys, size_t n, uint64_t account)
{
    struct gpg_seal_cert certs[PGP_SEAL_RECIPIENTS_MAX];
    const struct gpg_seal_job job = {.certs = certs,
                                     .ncerts = n,
                                     .in = w->payload,
                                     .iovcnt = w->payload_n,
                                     .sink = sink,
                                     .sink_arg = &w->packets,
                                     .account = account,
                                     .peer = smtp_session_peer(w->t->session)};
    int err;

    for (size_t i = 0; i < n; i++) {
        const struct pgp_verdict *v = &keys[i]->verdict;
        certs[i] = (struct gpg_seal_cert){keys[i]->cert, keys[i]->len, v->enc_fpr, v->enc_fpr_len, v->enc_expires};
    }
    err = w->t->in->gpg ? gpg_seal_start(w->t->in->gpg, &job, gpg_done, w, &w->gpg) : ERR_GONE;
    if (err != OK)
        return err;
    idle_set(w->t->in->loop, &w->stall, w->t->in->stall_ms, stalled);
    return WRAP_LATER;
}

int transaction_wrap_seal(struct wrap *w, const struct known_key *const *keys, size_t n, uint64_t account,
                          struct wrap_copy *ret, wrap_done_fn *done, void *arg)
{
    struct pgp_recipient *to[PGP_SEAL_RECIPIENTS_MAX];
    int err = w->have_mail ? OK : make_payload(w);

    if (err != OK)
        return err;
    w->copy = ret;
    w->done = done;
    w->arg = arg;
    for (size_t i = 0; i < n; i++) {
        to[i] = keys[i]->native;
        if (!to[i])
            return seal_by_gpg(w, keys, n, account);
    }
    err = pgp_seal(to, n, w->payload, w->payload_n, sink, &w->packets, NULL);
    return err == OK ? finish_copy(w) : err;
}
