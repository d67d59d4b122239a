#include "server/relay/opened.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/relay/relay.h"

enum {
    PIECE = 64 * 1024,
    WAKE_MAX = 64,
    BUDGET = 256 * 1024 * 1024, /* octets of messages that are open in all processes; each may have one in any case */
    FIELDS_MAX = 16 * 1024,
};

static int pieces(const struct secmem_msg *m, struct iovec **ret, size_t *ret_n)
{
    return secmem_msg_pieces(m, (struct slice){0}, 0, ret, ret_n);
}

/* ---- opening ---- */

static int take(void *arg, const uint8_t *data, size_t len)
{
    return secmem_msg_append(arg, data, len);
}

struct reading {
    struct relay *relay;
    struct opened *content;
};

static int open_packets(struct reading *q, struct view *v, struct pgp_open *open)
{
    uint8_t piece[PIECE];
    struct schema_message m;
    int err = view_queue_message(v, q->content->id, &m);

    for (uint64_t at = 0; err == OK && at < m.packets_len; at += sizeof(piece)) {
        const uint64_t left = m.packets_len - at;
        const size_t len = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        err = view_queue_packets(v, &m, at, piece, len);
        if (err == OK)
            err = pgp_open_update(open, slice_of(piece, len));
    }
    return err == OK ? pgp_open_end(open) : err;
}

static int read_all(void *arg, struct view *v)
{
    struct reading *q = arg;
    struct pgp_open *open;
    int err;

    secmem_msg_release(&q->content->mail); /* of a snapshot that lived too long */
    err = pgp_open_begin(q->relay->opener, take, &q->content->mail, &open);
    if (err != OK)
        return err;
    err = open_packets(q, v, open);
    pgp_open_free(open);
    return err;
}

static int load(struct relay *r, struct opened *c)
{
    struct reading q = {r, c};
    struct iovec *v;
    size_t n;
    int err = view_run(r->view, read_all, &q);

    if (err == OK && !c->mail.len)
        err = ERR_FORMAT; /* there is no such mail */
    if (err == OK)
        err = pieces(&c->mail, &v, &n);
    if (err != OK)
        return err;
    mail_shape(v, n, &c->shape);
    free(v);
    return OK;
}

static struct opened *find(const struct relay *r, uint64_t id)
{
    for (struct table_node *n = table_first(&r->contents.table, id); n; n = table_next(n))
        if (((struct opened *)n)->id == id)
            return (struct opened *)n;
    return NULL;
}

static bool has_room(const struct relay *r, uint64_t octets)
{
    return !r->contents.octets || r->contents.octets + octets <= BUDGET / r->instances;
}

int opened_get(struct relay *r, const struct queue_envelope *e, struct opened_wait *w, struct opened **ret)
{
    struct opened *c = find(r, e->id);
    int err;

    if (c) {
        c->users++;
        *ret = c;
        return OK;
    }
    if (!has_room(r, e->size)) {
        w->waits = true;
        TAILQ_INSERT_TAIL(&r->contents.waits, w, in_line);
        return ERR_AGAIN;
    }
    if (!(c = calloc(1, sizeof(*c))))
        return ERR_MEMORY;
    c->relay = r;
    c->id = e->id;
    c->is_ours = e->origin == QUEUE_OWN;
    c->users = 1;
    err = load(r, c);
    if (err == OK)
        err = table_put(&r->contents.table, &c->node, c->id);
    if (err != OK) {
        secmem_msg_release(&c->mail);
        free(c);
        return err;
    }
    r->contents.octets += c->mail.len;
    *ret = c;
    return OK;
}

void opened_wake(struct relay *r)
{
    struct opened_wait *w;

    /* Whoever still finds no room stands in line again, at its end. */
    for (size_t n = 0; n < WAKE_MAX && has_room(r, 0) && (w = TAILQ_FIRST(&r->contents.waits)); n++) {
        opened_wait_cancel(r, w);
        w->fn(w->arg);
    }
}

void opened_put(struct opened *c)
{
    struct relay *r;

    if (!c || --c->users)
        return;
    r = c->relay;
    table_remove(&r->contents.table, &c->node);
    r->contents.octets -= c->mail.len;
    for (unsigned i = 0; i < 2; i++) {
        struct opened_form *f = &c->forms[i];
        buf_free(&f->fields);
        secmem_msg_release(&f->changed);
        free(f->v);
    }
    secmem_msg_release(&c->mail);
    free(c);
    relay_wake(r);
}

void opened_wait_cancel(struct relay *r, struct opened_wait *w)
{
    if (!w->waits)
        return;
    w->waits = false;
    TAILQ_REMOVE(&r->contents.waits, w, in_line);
}

/* ---- forms ---- */

/* What has no author to sign for goes out as it is; so does mail from domains that have no keys. */
static int sign(struct relay *r, const struct iovec *mail, size_t n, struct buf *fields)
{
    int err = dkim_keys_sign(r->dkim, mail, n, relay_now(), fields);
    const size_t unreadable = dkim_keys_unreadable(r->dkim);

    if (unreadable && unreadable != r->dkim_unreadable)
        log_event(dkim_unreadable, (uint64_t)unreadable);
    r->dkim_unreadable = unreadable;
    return err == OK || err == ERR_FORMAT || err == ERR_LIMIT ? OK : ERR_MEMORY;
}

static int make(struct opened *c, bool eight_bit, struct opened_form *f)
{
    const bool to_7bit = c->shape.body_8bit && !eight_bit;
    const struct secmem_msg *mail = &c->mail;
    struct iovec *v = NULL;
    size_t n = 0;
    int err = pieces(mail, &v, &n);

    buf_init(&f->fields, FIELDS_MAX, false);
    if (err == OK && (to_7bit || c->shape.longest > DOWNGRADE_LINE_MAX)) {
        err = mail_downgrade(v, n, to_7bit, &f->changed);
        free(v);
        v = NULL;
        mail = &f->changed;
        if (err == OK)
            err = pieces(mail, &v, &n);
    }
    if (err == OK && c->is_ours)
        err = sign(c->relay, v, n, &f->fields);
    free(v);
    if (err == OK)
        err = secmem_msg_pieces(mail, slice_of(f->fields.data, f->fields.len), 0, &f->v, &f->n);
    if (err == OK)
        f->len = f->fields.len + mail->len;
    return err;
}

int opened_fit(struct opened *c, bool eight_bit, const struct opened_form **ret)
{
    struct opened_form *f = &c->forms[eight_bit || !c->shape.body_8bit];

    if (c->shape.bare)
        return ERR_UNSUPPORTED;
    if (!f->made) {
        f->err = make(c, eight_bit, f);
        f->made = f->err == OK || f->err == ERR_UNSUPPORTED || f->err == ERR_LIMIT;
        if (!f->made) {
            buf_free(&f->fields);
            secmem_msg_release(&f->changed);
        }
    }
    *ret = f;
    return f->err;
}
