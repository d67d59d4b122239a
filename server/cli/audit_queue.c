/* letterlock audit: the mail that waits to be sent. Each message is opened, by a key that is no reader's, to its last
 * octet; nothing of it is shown or kept. */
#include <inttypes.h>
#include <stdio.h>

#include "crypto/pgp_open.h"
#include "server/cli/audit.h"
#include "server/cli/queue.h"
#include "server/core/error.h"

enum { PIECE = 64 * 1024 };

struct queued {
    uint64_t id, at;
    struct schema_message m;
    struct pgp_open *open;
};

static int read_message(void *arg, struct view *v)
{
    struct queued *q = arg;
    return view_queue_message(v, q->id, &q->m);
}

static uint8_t piece[PIECE];

static size_t piece_len(const struct queued *q)
{
    return q->m.packets_len - q->at < PIECE ? (size_t)(q->m.packets_len - q->at) : PIECE;
}

static int read_piece(void *arg, struct view *v)
{
    const struct queued *q = arg;
    return view_queue_packets(v, &q->m, q->at, piece, piece_len(q));
}

static int drop(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
    return OK;
}

static int open_whole(struct audit *a, struct queued *q)
{
    int err = OK;
    for (q->at = 0; q->at < q->m.packets_len && err == OK; q->at += PIECE) {
        err = view_run(a->i->view, read_piece, q);
        if (err == OK)
            err = pgp_open_update(q->open, slice_of(piece, piece_len(q)));
    }
    return err == OK ? pgp_open_end(q->open) : err;
}

struct queue_audit {
    struct audit *a;
    struct pgp_opener *opener;
};

static int check_one(void *arg, struct queue_entry *e)
{
    const struct queue_audit *x = arg;
    struct queued q = {.id = e->id};
    char text[QUEUE_ID_TEXT];
    int err = view_run(x->a->i->view, read_message, &q);
    if (err == OK)
        err = pgp_open_begin(x->opener, drop, NULL, &q.open);
    if (err == OK)
        err = open_whole(x->a, &q);
    pgp_open_free(q.open);
    if (err == ERR_NOT_FOUND && queue_read_entry(x->a->i->view, e) == ERR_NOT_FOUND)
        return OK; /* it has just been sent */
    if (err == OK || err == ERR_OVERRUN || err == ERR_IO || err == ERR_MEMORY)
        return err;
    x->a->bad++;
    queue_id_write(e->id, text);
    printf("message %s in the queue: %s\n", text, err_str(err));
    return OK;
}

int audit_queue(struct audit *a)
{
    const struct record_bundle *k = a->i->keys;
    struct queue_audit x = {a, pgp_opener_create(k->queue_secret, slice_of(k->queue_public, k->queue_public_len))};
    if (x.opener == NULL)
        return ERR_MEMORY;
    int err = queue_each(a->i->view, check_one, &x);
    pgp_opener_destroy(x.opener);
    return err;
}
