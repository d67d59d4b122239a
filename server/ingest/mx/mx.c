/* The receiver's table, and what is decided when a message is whole. See mx.h. */
#include "server/ingest/mx/mx.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/mx/complaint.h"
#include "server/ingest/transaction/received.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/transaction/forward.h"
#include "server/ingest/transaction/rcpt.h"

enum { HOPS_MAX = 100 /* Received fields; RFC 5321 section 6.3 asks for 100 at least */ };

static void *mx_open(struct ingest *in, struct smtp_session *s)
{
    static const struct transaction_kind kind = {0};
    struct transaction *t = calloc(1, sizeof(*t));

    if (t)
        transaction_begin(t, &kind, in, s);
    return t;
}

static void mx_close(void *r)
{
    struct transaction *t = r;

    transaction_end(t);
    explicit_bzero(t, sizeof(*t));
    free(t);
}

/* Mail that was forwarded has a return path of ours, to which bounces come: from the null path, to whom we named. All
 * others are told what any guess of an address is told. */
enum { NO_BOUNCE = 100 /* no error of a function */ };
static int take_bounce(struct transaction *t, const char *address)
{
    struct transaction_route to;
    char sender[ADDRESS_MAX];
    int err = transaction_bounce_open(t->in, address, sender);

    if (err == ERR_NOT_FOUND)
        return NO_BOUNCE;
    if (err == OK && smtp_envelope(t->smtp)->sender[0])
        err = ERR_FORMAT;
    if (err != OK)
        return err == ERR_FORMAT ? ERR_NOT_FOUND : err;
    err = transaction_route(t, sender, &to);
    if (err == OK)
        return transaction_add_local(t, address, &to);
    if (err != ERR_DENIED && err != ERR_FORMAT)
        return err;
    err = transaction_bounce(t, address, sender);
    return err == ERR_LIMIT ? TRANSACTION_CROWDED : err;
}

static int take(struct transaction *t, const char *address)
{
    struct transaction_route to;
    int err = take_bounce(t, address);

    if (err != NO_BOUNCE)
        return err;
    err = transaction_route(t, address, &to);
    return err == OK ? transaction_add_local(t, address, &to) : err;
}

static void on_rcpt(void *r, const struct smtp_event *e)
{
    struct transaction *t = r;
    int err = take(t, e->address);

    if (err == OK)
        smtp_accept(t->smtp, NULL);
    else
        transaction_refuse_rcpt(t, e->address, err);
}

static void on_end(void *r)
{
    struct transaction *t = r;
    int err = transaction_received_count(&t->msg) > HOPS_MAX ? TRANSACTION_HOPS : transaction_take_content(t);

    if (err != OK) {
        transaction_refuse_all(t, NULL, err);
        return;
    }
    const struct received received = {
        .peer = smtp_session_peer(t->session),
        .domain = t->in->config.domain,
        .id = t->id_text,
        .tls = smtp_session_tls(t->session),
        .rcpt = t->n == 1 ? t->rcpts[0].given : NULL,
        .now = t->now,
    };
    transaction_received_make(&received, smtp_envelope(t->smtp), t->received);
    mx_look_for_complaint(t);
    err = transaction_forward(t);
    if (err == OK)
        transaction_deliver(t);
    else
        transaction_refuse_all(t, NULL, err);
}

const struct smtp_receiver mx_receiver = {
    .open = mx_open,
    .close = mx_close,
    .mail = transaction_on_mail,
    .rcpt = on_rcpt,
    .room = transaction_on_room,
    .content = transaction_on_content,
    .failed = transaction_on_failed,
    .end = on_end,
    .reset = transaction_on_reset,
    .refused = transaction_on_refused,
    .heard = transaction_on_heard,
};
