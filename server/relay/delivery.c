/* What wakes a delivery: its way, its connection, others who wait for its place, the end. See delivery.h. */
#include <stdio.h>
#include <stdlib.h>

#include "server/core/error.h"
#include "server/relay/delivery_impl.h"

enum {
    ROOM_MS = 30000, /* so long a server may be silent while others wait for the place */
    LATER_S = 30,
};

static void on_data(void *arg)
{
    struct delivery *d = arg;

    if (!d->greeted && conn_in(d->conn)->len) {
        d->greeted = true;
        delivery_note_dead(d->relay, &d->route->hosts[d->host].addr, false);
        TAILQ_REMOVE(&d->relay->deliveries, d, in_relay);
        TAILQ_INSERT_TAIL(&d->relay->deliveries, d, in_relay);
    }
    delivery_talk(d);
}

static void on_drain(void *arg)
{
    struct delivery *d = arg;

    if (d->since_ms == 0) {
        d->since_ms = loop_now_ms(d->relay->loop);
        delivery_deadline(d, UINT64_C(1000) * d->relay->config.relay_timeout);
        delivery_talk(d);
    } else if (d->feeding) {
        delivery_feed(d);
    }
}

static void on_tls(void *arg)
{
    struct delivery *d = arg;

    d->tls = true;
    relay_count(d->relay, COUNT_TLS);
    delivery_tally(d, TLS_REPORT_OTHER, d->looked ? conn_tls_client_fault(d->conn) : TLS_CLIENT_FAULT_NONE);
    delivery_deadline(d, UINT64_C(1000) * d->relay->config.relay_timeout);
    smtp_client_tls_started(d->client);
    delivery_talk(d);
}

static void on_end(void *arg, enum conn_end why)
{
    struct delivery *d = arg;
    struct outcome o;

    if (why == CONN_TLS_FAILED && !d->tls && !d->answered && d->t) {
        relay_count(d->relay, COUNT_TLS_FAILED);
        delivery_tally(d, TLS_REPORT_OTHER, conn_tls_client_fault(d->conn));
        if (delivery_demand(d) == TRUST_ANY) { /* RFC 7435: no worse than without the offer */
            delivery_without_tls(d);
            return;
        }
        outcome_obstacle(OBSTACLE_TLS, &o);
        delivery_lost(d, &o, PLACE_FAILED);
        return;
    }
    outcome_obstacle(d->since_ms == 0                               ? OBSTACLE_CONNECT
                     : d->client && smtp_client_in_doubt(d->client) ? OBSTACLE_DOUBT
                     : why == CONN_TIMEOUT                          ? OBSTACLE_SILENT
                                                                    : OBSTACLE_LOST,
                     &o);
    delivery_lost(d, &o, PLACE_FAILED);
}

static void on_route(void *arg, const struct route *route, enum obstacle why)
{
    struct delivery *d = arg;
    struct attempt *t = d->t;
    struct outcome o;

    d->finding = NULL;
    if (route && (d->route = route_copy(route))) {
        delivery_sort_hosts(d->relay, d->route);
        outcome_obstacle(OBSTACLE_CONNECT, &d->why);
        delivery_try_hosts(d);
        return;
    }
    outcome_obstacle(route ? OBSTACLE_SHORTAGE : why, &o);
    attempt_say_all(t, &o, "", QUEUE_PROOF_NONE);
    d->t = NULL;
    attempt_settle(t);
    delivery_end(d, o.verdict == VERDICT_FAILED ? PLACE_DONE : PLACE_FAILED);
}

void delivery_begin(struct relay *r, struct job *j)
{
    static const struct conn_ops ops = {on_data, on_drain, on_tls, on_end};
    struct destination *to = j->to;
    const uint64_t now = relay_now();
    struct delivery *d = calloc(1, sizeof(*d));
    uint32_t done = 0;

    if (!d) {
        schedule_defer(r->schedule, j, now + LATER_S, now);
        schedule_leave(r->schedule, to, PLACE_DONE, now);
        return;
    }
    d->relay = r;
    d->to = to;
    d->ops = &ops;
    d->send_mail = delivery_send_mail;
    TAILQ_INSERT_TAIL(&r->deliveries, d, in_relay);
    r->ndeliveries++;
    snprintf(d->name, sizeof(d->name), "%s", destination_name(to));
    d->t = delivery_open_job(r, j, to, &done);
    if (!d->t) {
        delivery_end(d, PLACE_DONE);
        return;
    }
    if (route_find(r->loop, &r->router, d->name, on_route, d, &d->finding) != OK)
        on_route(d, NULL, OBSTACLE_SHORTAGE);
}

void delivery_make_room(struct relay *r)
{
    const uint64_t now = loop_now_ms(r->loop);
    struct delivery *d, *next;
    struct outcome o;

    if (!schedule_crowded(r->schedule))
        return;
    for (d = TAILQ_FIRST(&r->deliveries); d && !d->greeted; d = next) {
        next = TAILQ_NEXT(d, in_relay);
        if (d->since_ms && now - d->since_ms > ROOM_MS) {
            outcome_obstacle(OBSTACLE_SILENT, &o);
            delivery_lost(d, &o, PLACE_FAILED);
        }
    }
}

void delivery_stop_all(struct relay *r)
{
    struct delivery *d, *next;

    for (d = TAILQ_FIRST(&r->deliveries); d; d = next) {
        next = TAILQ_NEXT(d, in_relay);
        if (d->t && d->client && smtp_client_in_doubt(d->client))
            continue;
        if (d->t)
            attempt_free(d->t); /* nothing of it is written: it is tried again */
        d->t = NULL;
        delivery_end(d, PLACE_DONE);
    }
}

void delivery_destroy_all(struct relay *r)
{
    struct delivery *d;

    while ((d = TAILQ_FIRST(&r->deliveries))) {
        if (d->t)
            attempt_free(d->t);
        d->t = NULL;
        delivery_end(d, PLACE_DONE);
    }
}
