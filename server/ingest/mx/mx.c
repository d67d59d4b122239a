/* The receiver's table, and what is decided when a message is whole. See mx.h. */
#include "server/ingest/mx/mx.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/judge/judge.h"
#include "server/ingest/mx/complaint.h"
#include "server/ingest/mx/greylist.h"
#include "server/ingest/mx/peer_key.h"
#include "server/ingest/reserved/reserved.h"
#include "server/ingest/transaction/received.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/transaction/forward.h"
#include "server/ingest/transaction/rcpt.h"
#include "server/ingest/transaction/sender.h"

enum { HOPS_MAX = 100 /* Received fields; RFC 5321 section 6.3 asks for 100 at least */ };

struct mx {
    struct transaction t;    /* first: the receiver's functions take either */
    struct judging *judging; /* NULL: nothing is judged */
};

static void forget_verdict(struct transaction *t)
{
    struct mx *m = (struct mx *)t;

    if (m->judging)
        judging_reset(m->judging);
}

static void *mx_open(struct ingest *in, struct smtp_session *s)
{
    static const struct transaction_kind kind = {.reset = forget_verdict};
    struct mx *m = calloc(1, sizeof(*m));

    if (m && in->judge)
        m->judging = judging_create(in->judge);
    if (m && in->judge && !m->judging) {
        free(m);
        return NULL;
    }
    if (m)
        transaction_begin(&m->t, &kind, in, s);
    return m;
}

static void mx_close(void *r)
{
    struct mx *m = r;

    transaction_end(&m->t);
    judging_destroy(m->judging);
    explicit_bzero(m, sizeof(*m));
    free(m);
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

/* With the first recipient who is here: who only guesses addresses has nobody asked. Without memory it begins when the
 * message is whole, or fails then. */
static int begin_judging(struct mx *m)
{
    const struct smtp_envelope *env = smtp_envelope(m->t.smtp);
    const struct judging_mail mail = {.peer = smtp_session_peer(m->t.session),
                                      .helo = env->helo,
                                      .sender = env->sender};

    return m->judging && !judging_begun(m->judging) ? judging_begin(m->judging, &mail) : OK;
}

static void on_rcpt(void *r, const struct smtp_event *e)
{
    struct transaction *t = r;
    int err;

    if (reserved_rcpt(t, e->address, true))
        return;
    err = take(t, e->address);
    if (err == OK)
        (void)begin_judging(r);
    if (err == OK)
        smtp_accept(t->smtp, NULL);
    else
        transaction_refuse_rcpt(t, e->address, err);
}

/* ---- the message ---- */

static const struct transaction_refusal auth_refusals[] = {
    {EVENT_REASON_DMARC, 550, "5.7.1", "It fails DMARC, and the domain of its From asks that it be refused",
     COUNT_AUTH_REFUSED, EVENT_REASON_DMARC},
    {EVENT_REASON_NO_AUTHOR, 550, "5.7.1", "Its From names no one author that all would read alike", COUNT_AUTH_REFUSED,
     EVENT_REASON_NO_AUTHOR},
    {EVENT_REASON_SPF, 550, "5.7.23", "The sender's domain does not let you send for it (SPF)", COUNT_AUTH_REFUSED,
     EVENT_REASON_SPF}, /* RFC 7372 section 3.2 */
    {EVENT_REASON_LISTED, 550, "5.7.1", "Your server's address is on a block list", COUNT_AUTH_REFUSED,
     EVENT_REASON_LISTED},
    {EVENT_REASON_HELO, 550, "5.7.1", "Your server calls itself by no name of its own", COUNT_AUTH_REFUSED,
     EVENT_REASON_HELO},
    {EVENT_REASON_GREYLISTED, 451, "4.7.1", "You are new here; please send it again later", COUNT_GREYLISTED,
     EVENT_REASON_GREYLISTED}, /* RFC 6647 */
    {OK, 451, "4.7.1", "It cannot be told now whether the domain of its From sent it; try again later",
     COUNT_AUTH_DEFERRED, EVENT_REASON_UNJUDGED},
};

static bool has_bounce(const struct transaction *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->rcpts[i].account == 0)
            return true;
    return false;
}

/* proven: its author wrote it. */
static void deliver(struct transaction *t, bool proven)
{
    int err;

    if (reserved_judged(t))
        return;
    mx_look_for_complaint(t);
    if (!t->junk)
        mx_take_peer_key(t, proven);
    err = transaction_forward(t);
    if (err == OK)
        transaction_deliver(t);
    else
        transaction_refuse_all(t, NULL, err);
}

/* Each recipient's try is noted. */
static bool has_tried_before(struct transaction *t, const struct greylist_origin *from, uint64_t now_ms)
{
    const char *sender = smtp_envelope(t->smtp)->sender;
    bool before = false;

    for (size_t i = 0; i < t->n; i++) {
        const char *to = t->rcpts[i].account ? t->rcpts[i].address : t->rcpts[i].given;

        if (greylist_try(t->in->greylist, from, sender, to, now_ms))
            before = true;
    }
    return before;
}

/* Its origin is new, and so is its author to all whom it is for. */
static bool is_put_off(struct transaction *t)
{
    const bool proven = t->verdict->dmarc.result == AUTH_PASS;
    const struct greylist_origin from = {smtp_session_peer(t->session), proven ? t->verdict->dmarc.organization : ""};
    const uint64_t now_ms = loop_now_ms(t->in->loop);

    if (!t->in->config.greylist || greylist_has_passed(t->in->greylist, &from, now_ms))
        return false;
    if (transaction_sender_is_known(t))
        return false;
    if (!has_tried_before(t, &from, now_ms))
        return true;
    greylist_pass(t->in->greylist, &from, now_ms);
    return false;
}

static void count_verdict(struct ingest *in, const struct judge_result *v)
{
    const enum auth_result dmarc = v->verdict.dmarc.result;

    count(in, COUNT_JUDGED);
    if (dmarc == AUTH_PASS)
        count(in, COUNT_JUDGED_PASS);
    if (dmarc == AUTH_TEMPERROR)
        count(in, COUNT_JUDGED_UNKNOWN);
    if (v->action == JUDGE_JUNK)
        count(in, COUNT_AUTH_JUNK);
}

/* Junk that would go on to the sender of what it says it bounces, or is for an address of the server's own, is refused:
 * nobody here has a mailbox for it. */
static void act(struct mx *m)
{
    struct transaction *t = &m->t;
    const struct judge_result *v = judging_result(m->judging);

    if (!v->judged) {
        deliver(t, false);
        return;
    }
    count_verdict(t->in, v);
    if (v->action >= JUDGE_DEFER || (v->action == JUDGE_JUNK && has_bounce(t))) {
        transaction_refuse_all(t, auth_refusals, (int)v->why);
        return;
    }
    t->auth_results = v->field;
    t->warnings = v->warnings;
    t->verdict = &v->verdict;
    t->junk = v->action == JUDGE_JUNK;
    if (is_put_off(t)) {
        transaction_refuse_all(t, auth_refusals, EVENT_REASON_GREYLISTED);
        return;
    }
    deliver(t, v->verdict.dmarc.result == AUTH_PASS);
}

static void on_verdict(void *arg)
{
    struct mx *m = arg;

    act(m);
    smtp_session_resume(m->t.session);
}

static void judge(struct mx *m)
{
    struct transaction *t = &m->t;
    int err = begin_judging(m);

    if (err == OK && m->judging)
        err = judging_whole(m->judging, t->mail.pieces, t->mail.n, on_verdict, m);
    if (err == ERR_AGAIN)
        return;
    if (err != OK)
        transaction_refuse_all(t, NULL, err);
    else if (m->judging)
        act(m);
    else
        deliver(t, false);
}

static void on_end(void *r)
{
    struct transaction *t = r;
    int err;

    if (reserved_end(t))
        return;
    err = transaction_received_count(&t->msg) > HOPS_MAX ? TRANSACTION_HOPS : transaction_take_content(t);
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
    judge(r);
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
