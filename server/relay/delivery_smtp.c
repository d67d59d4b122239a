/* What is said over a connection. See delivery.h. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/relay/delivery_impl.h"
#include "server/relay/dsn.h"
#include "server/relay/suppress.h"

enum {
    PIECE_MAX = 32 * 1024,
    OUT_ENOUGH = 256 * 1024,
    CONTENT_MS = 600000, /* for a message's content, and a second more for each */
    CONTENT_RATE = 1000, /* octets of it */
};

static void await(struct delivery *d)
{
    const uint64_t most = UINT64_C(1000) * d->relay->config.relay_timeout;
    uint64_t ms = smtp_client_patience_ms(d->client);

    delivery_flush(d);
    delivery_deadline(d, ms && ms < most ? ms : most);
}

/* ---- one event ---- */

/* What becomes of the loop: more events, none for now, or the delivery may be gone. */
enum next { NEXT_GO_ON, NEXT_WAIT, NEXT_LEAVE };

static enum next next_host(struct delivery *d, enum obstacle why)
{
    struct outcome o;

    outcome_obstacle(why, &o);
    delivery_next_host(d, &o);
    return NEXT_LEAVE;
}

static enum next log_in(struct delivery *d)
{
    uint8_t nonce[SMTP_CLIENT_NONCE_SIZE];

    nonces_take(&d->relay->nonces, nonce, sizeof(nonce));
    if (!d->relay->password ||
        smtp_client_login(d->client, d->relay->config.smarthost_user, d->relay->password, nonce) != OK)
        return next_host(d, OBSTACLE_LOGIN);
    return NEXT_GO_ON;
}

static enum next on_ready(struct delivery *d, const struct smtp_client_event *e)
{
    const bool offered = smtp_client_offers(d->client) & SMTP_OFFERS_STARTTLS;

    if (!d->tls && offered && !d->no_tls) {
        smtp_client_start_tls(d->client);
        return NEXT_GO_ON;
    }
    if (!d->tls && !offered)
        delivery_tally(d, TLS_REPORT_STARTTLS_NOT_SUPPORTED, TLS_CLIENT_FAULT_NONE);
    if (!d->tls && delivery_demand(d) != TRUST_ANY)
        return next_host(d, OBSTACLE_TLS);
    if (d->route->login && !d->logged_in)
        return log_in(d);
    delivery_send_mail(d);
    return NEXT_LEAVE;
}

/* Whom the certificate must be of. tlsa has room for ROUTE_TLSA_MAX. */
static void fill_verify(const struct delivery *d, struct tls_tlsa *tlsa, struct tls_verify *v)
{
    static const enum tls_policy policies[] = {
        [TRUST_ANY] = TLS_MAY,    [TRUST_ENCRYPT] = TLS_MAY,   [TRUST_DANE] = TLS_DANE,
        [TRUST_STS] = TLS_VERIFY, [TRUST_VERIFY] = TLS_VERIFY, [TRUST_FINGERPRINT] = TLS_FINGERPRINT,
    };
    const struct route *r = d->route;
    const struct route_name *n = &r->names[r->hosts[d->host].name];
    const bool dane = n->demand == TRUST_DANE;
    /* RFC 8461 section 5: in mode `testing` what would fail is told, and nothing does. */
    const bool look =
        (n->demand == TRUST_ANY || n->demand == TRUST_ENCRYPT) && r->sts == TRUST_STS_TESTING && d->relay->roots;
    const bool by_policy = n->demand == TRUST_STS || look;
    size_t names = 0;

    *v = (struct tls_verify){.policy = look ? TLS_VERIFY : policies[n->demand],
                             .look = look,
                             .sni = dane ? n->base : n->name, /* RFC 7672 section 8.1 */
                             .fingerprint = r->fingerprint,
                             .roots = d->relay->roots,
                             .tlsa = tlsa,
                             .ntlsa = n->ntlsa};
    for (uint32_t i = 0; i < n->ntlsa; i++)
        tlsa[i] = (struct tls_tlsa){n->tlsa[i].usage, n->tlsa[i].selector, n->tlsa[i].matching,
                                    r->octets + n->tlsa[i].at, n->tlsa[i].len};
    if (dane)
        v->names[names++] = n->base;
    /* The domain was asked for, so its own name is right; a host's is if nobody could have slipped it in (RFC 7672
     * section 3.2.2). With MTA-STS it is the host's, which the policy names (RFC 8461 section 4.1). */
    if (!by_policy && r->domain[0])
        v->names[names++] = r->domain;
    if (n->secure || by_policy)
        v->names[names++] = n->name;
}

static enum next on_start_tls(struct delivery *d, const struct smtp_client_event *e)
{
    struct tls_tlsa tlsa[ROUTE_TLSA_MAX];
    struct tls_verify v;

    fill_verify(d, tlsa, &v);
    d->looked = v.look;
    idle_cancel(&d->deadline);
    if (conn_start_tls_client(d->conn, &v) != OK) {
        if (conn_tls_client_fault(d->conn) == TLS_CLIENT_FAULT_TLSA)
            delivery_tally(d, TLS_REPORT_TLSA_INVALID, TLS_CLIENT_FAULT_NONE);
        return next_host(d, OBSTACLE_TLS);
    }
    return NEXT_LEAVE; /* on_tls or on_end */
}

static enum next on_no_tls(struct delivery *d, const struct smtp_client_event *e)
{
    d->no_tls = true;
    delivery_tally(d, TLS_REPORT_STARTTLS_NOT_SUPPORTED, TLS_CLIENT_FAULT_NONE);
    return on_ready(d, e);
}

static enum next on_logged_in(struct delivery *d, const struct smtp_client_event *e)
{
    if (e->reply->code != 235)
        return next_host(d, OBSTACLE_LOGIN);
    d->logged_in = true;
    delivery_send_mail(d);
    return NEXT_LEAVE;
}

static enum next on_sender(struct delivery *d, const struct smtp_client_event *e)
{
    struct outcome o;

    d->answered = true;
    if (e->reply->code >= 400) {
        outcome_reply(e->reply, false, &o);
        delivery_say_all(d, &o);
    }
    return NEXT_GO_ON;
}

static enum next on_rcpt(struct delivery *d, const struct smtp_client_event *e)
{
    struct attempt_row *row = &d->t->rows[d->rows[e->index]];
    bool taken = false;
    struct outcome o;

    d->answered = true;
    if (e->reply->code < 400 || row->outcome.verdict)
        return NEXT_GO_ON;
    for (size_t i = 0; i < e->index; i++)
        taken |= !d->t->rows[d->rows[i]].outcome.verdict;
    outcome_reply(e->reply, taken, &o);
    attempt_say(row, &o, delivery_host(d), delivery_proof(d));
    suppress_reply(d->relay, d->to, row->r.to, e->reply);
    return NEXT_GO_ON;
}

static enum next on_wants_content(struct delivery *d, const struct smtp_client_event *e)
{
    if (conn_in(d->conn)->len)
        return NEXT_GO_ON; /* what has come already answers what was not sent: the engine sees to it */
    d->feeding = true;
    d->piece = d->offset = 0;
    d->feeding_since_ms = loop_now_ms(d->relay->loop);
    delivery_flush(d);
    delivery_feed(d);
    return NEXT_LEAVE;
}

static enum next on_done(struct delivery *d, const struct smtp_client_event *e)
{
    struct outcome o;

    if (e->reply->code)
        outcome_reply(e->reply, false, &o);
    else
        outcome_obstacle(OBSTACLE_NO_SMTP, &o); /* every recipient has an outcome already */
    delivery_say_all(d, &o);
    d->t->dsn_there = smtp_client_offers(d->client) & SMTP_OFFERS_DSN;
    delivery_settled(d);
    return NEXT_LEAVE;
}

static enum next on_closed(struct delivery *d, const struct smtp_client_event *e)
{
    static const enum obstacle why[] = {
        [SMTP_CLIENT_FAULT_NONE] = OBSTACLE_LOST,       [SMTP_CLIENT_FAULT_REPLY] = OBSTACLE_NO_SMTP,
        [SMTP_CLIENT_FAULT_EARLY] = OBSTACLE_TLS,       [SMTP_CLIENT_FAULT_REFUSED] = OBSTACLE_LOST,
        [SMTP_CLIENT_FAULT_LOGIN] = OBSTACLE_LOGIN,     [SMTP_CLIENT_FAULT_CONTENT] = OBSTACLE_CONVERSION,
        [SMTP_CLIENT_FAULT_MEMORY] = OBSTACLE_SHORTAGE, [SMTP_CLIENT_FAULT_UNWANTED] = OBSTACLE_LOST,
    };
    const bool unwanted = e->fault == SMTP_CLIENT_FAULT_UNWANTED;
    struct outcome o;

    outcome_obstacle(why[e->fault], &o);
    if (unwanted || (e->fault == SMTP_CLIENT_FAULT_REFUSED && e->reply->code))
        outcome_reply(e->reply, false, &o);
    if (e->fault == SMTP_CLIENT_FAULT_REFUSED) {
        o.verdict = VERDICT_DEFERRED; /* of the server, not of this mail */
        o.again_at_once = false;
    }
    delivery_lost(d, &o, unwanted || (d->to && d->done) ? PLACE_DONE : PLACE_FAILED);
    return NEXT_LEAVE;
}

static enum next on_need_input(struct delivery *d, const struct smtp_client_event *e)
{
    return NEXT_WAIT;
}

static void talk(struct delivery *d, bool moved)
{
    static enum next (*const handlers[])(struct delivery *, const struct smtp_client_event *) = {
        [SMTP_CLIENT_NEED_INPUT] = on_need_input,
        [SMTP_CLIENT_READY] = on_ready,
        [SMTP_CLIENT_START_TLS] = on_start_tls,
        [SMTP_CLIENT_NO_TLS] = on_no_tls,
        [SMTP_CLIENT_SENDER] = on_sender,
        [SMTP_CLIENT_RCPT] = on_rcpt,
        [SMTP_CLIENT_WANTS_CONTENT] = on_wants_content,
        [SMTP_CLIENT_DONE] = on_done,
        [SMTP_CLIENT_LOGGED_IN] = on_logged_in,
        [SMTP_CLIENT_CLOSED] = on_closed,
    };
    enum next next = NEXT_GO_ON;

    while (next == NEXT_GO_ON) {
        struct smtp_client_event e;
        smtp_client_next(d->client, conn_in(d->conn), &e);
        moved |= e.type != SMTP_CLIENT_NEED_INPUT;
        next = handlers[e.type](d, &e);
    }
    if (next != NEXT_WAIT)
        return;
    if (moved)
        await(d);
    else
        delivery_flush(d);
}

void delivery_talk(struct delivery *d)
{
    talk(d, false);
}

/* ---- a mail ---- */

static void more_talk(void *arg)
{
    talk(arg, true);
}

/* Outcomes without a question: the job is over. */
static void refuse(struct delivery *d, enum obstacle why)
{
    struct outcome o;

    outcome_obstacle(why, &o);
    attempt_say_all(d->t, &o, "", QUEUE_PROOF_NONE);
    delivery_settled(d);
}

/* A header in 8 bits whose sender did not ask for SMTPUTF8 goes as it came, as other servers send it: in whatever
 * charset it is, and wherever it goes from there, nobody bounces it for lack of the extension. */
static bool needs_utf8(const struct delivery *d)
{
    const struct attempt *t = d->t;
    bool needs = t->envelope.smtputf8 && d->content->shape.header_8bit;

    for (const char *c = t->envelope.from; *c; c++)
        needs |= (uint8_t)*c >= 0x80;
    for (size_t i = 0; i < t->n; i++)
        for (const char *c = t->rows[i].r.to; *c; c++)
            needs |= (uint8_t)*c >= 0x80;
    return needs;
}

/* What the server there must offer. OBSTACLES: it does. */
static enum obstacle misfit(struct delivery *d)
{
    const unsigned offers = smtp_client_offers(d->client);
    const uint64_t most = smtp_client_size_max(d->client);
    int err;

    if (d->t->envelope.tls == QUEUE_TLS_REQUIRED && !(offers & SMTP_OFFERS_REQUIRETLS))
        return OBSTACLE_REQUIRETLS;
    if (needs_utf8(d) && !(offers & SMTP_OFFERS_SMTPUTF8))
        return OBSTACLE_NO_SMTPUTF8;
    err = opened_fit(d->content, offers & SMTP_OFFERS_8BITMIME, &d->form);
    if (err == ERR_MEMORY)
        return OBSTACLE_SHORTAGE;
    if (err != OK)
        return OBSTACLE_CONVERSION;
    return most && d->form->len > most ? OBSTACLE_TOO_LARGE : OBSTACLES;
}

static int fill_mail(struct delivery *d)
{
    struct attempt *t = d->t;
    size_t n = 0;

    d->rcpts = calloc(t->n, sizeof(*d->rcpts));
    d->rows = calloc(t->n, sizeof(*d->rows));
    if (!d->rcpts || !d->rows)
        return ERR_MEMORY;
    for (size_t i = 0; i < t->n; i++) {
        const struct queue_recipient *r = &t->rows[i].r;
        if (t->rows[i].outcome.verdict)
            continue;
        d->rows[n] = i;
        d->rcpts[n++] = (struct smtp_client_rcpt){r->to, r->orcpt, r->notify};
    }
    d->mail = (struct smtp_client_mail){
        .sender = t->envelope.from,
        .size = d->form->len,
        .body_8bit = d->content->shape.body_8bit && smtp_client_offers(d->client) & SMTP_OFFERS_8BITMIME,
        .smtputf8 = needs_utf8(d),
        .requiretls = t->envelope.tls == QUEUE_TLS_REQUIRED,
        .envid = t->envelope.envid,
        .ret = t->envelope.ret,
        .rcpts = d->rcpts,
        .n = n,
    };
    return n ? smtp_client_mail(d->client, &d->mail) : ERR_NOT_FOUND;
}

static void with_content(void *arg)
{
    struct delivery *d = arg;
    int err = opened_get(d->relay, &d->t->envelope, &d->wait, &d->content);
    enum obstacle why;

    if (err == ERR_AGAIN) {
        idle_cancel(&d->deadline); /* it is we who keep the server waiting */
        return;
    }
    if (err != OK) {
        refuse(d, err == ERR_NOT_FOUND || queue_is_damage(err) ? OBSTACLE_DAMAGED : OBSTACLE_SHORTAGE);
        return;
    }
    why = misfit(d);
    if (why == OBSTACLES) {
        err = fill_mail(d);
        why = err == OK ? OBSTACLES : err == ERR_MEMORY ? OBSTACLE_SHORTAGE : OBSTACLE_DAMAGED;
    }
    if (why != OBSTACLES)
        refuse(d, why);
    else
        defer_set(d->relay->loop, &d->more, more_talk, d);
}

/* Not at once: one that comes to nothing is followed by the next. */
void delivery_send_mail(struct delivery *d)
{
    d->wait = (struct opened_wait){.fn = with_content, .arg = d};
    defer_set(d->relay->loop, &d->more, with_content, d);
}

void delivery_feed(struct delivery *d)
{
    const struct opened_form *f = d->form;
    const uint64_t most = CONTENT_MS + f->len / CONTENT_RATE * 1000;
    struct outcome o;

    if (loop_now_ms(d->relay->loop) - d->feeding_since_ms > most) {
        outcome_obstacle(OBSTACLE_SILENT, &o);
        delivery_lost(d, &o, PLACE_FAILED);
        return;
    }
    while (d->feeding && conn_out_len(d->conn) < OUT_ENOUGH) {
        const size_t left = f->v[d->piece].iov_len - d->offset, len = left < PIECE_MAX ? left : PIECE_MAX;
        const bool last = d->piece + 1 == f->n && len == left;
        int err = smtp_client_content(d->client, slice_of((uint8_t *)f->v[d->piece].iov_base + d->offset, len), last);
        if (err != OK) {
            d->feeding = false;
            defer_set(d->relay->loop, &d->more, more_talk, d); /* CLOSED says the rest */
            return;
        }
        delivery_flush(d);
        d->offset += len;
        if (len == left)
            d->piece++, d->offset = 0;
        if (last) {
            d->feeding = false;
            defer_set(d->relay->loop, &d->more, more_talk, d);
        }
    }
    await(d);
}
