/* A delivery's hosts, its connections one after another, its jobs and its end. See delivery.h. */
#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/relay/delivery_impl.h"

enum {
    IN_MAX = 64 * 1024,
    OUT_MAX = 1024 * 1024,
    OUT_LOW = 128 * 1024,
    BYE_MS = 5000,
    DEAD_S = 300, /* a host that did not answer is tried after others */
    LATER_S = 30,
};

enum trust_demand delivery_demand(const struct delivery *d)
{
    return d->route->names[d->route->hosts[d->host].name].demand;
}

const char *delivery_host(const struct delivery *d)
{
    return d->route && d->host < d->route->nhosts ? d->route->names[d->route->hosts[d->host].name].name : "";
}

enum queue_proof delivery_proof(const struct delivery *d)
{
    return d->answered || d->tls ? trust_proof(delivery_demand(d), d->tls) : QUEUE_PROOF_NONE;
}

void delivery_say_all(struct delivery *d, const struct outcome *o)
{
    attempt_say_all(d->t, o, delivery_host(d), delivery_proof(d));
}

void delivery_tally(struct delivery *d, enum tls_report_result result, enum tls_client_fault fault)
{
    if (!d->tallied)
        tally_connection(d->relay, d->route, d->host, d->conn, result, fault);
    d->tallied = true;
}

static void on_deadline(struct idle *i)
{
    struct delivery *d = (struct delivery *)((char *)i - offsetof(struct delivery, deadline));
    struct outcome o;

    outcome_obstacle(!d->conn || d->since_ms == 0                   ? OBSTACLE_CONNECT
                     : d->client && smtp_client_in_doubt(d->client) ? OBSTACLE_DOUBT
                                                                    : OBSTACLE_SILENT,
                     &o);
    delivery_lost(d, &o, PLACE_FAILED);
}

void delivery_deadline(struct delivery *d, uint64_t ms)
{
    idle_set(d->relay->loop, &d->deadline, ms, on_deadline);
}

/* ---- the end ---- */

void delivery_leave_content(struct delivery *d)
{
    struct opened *c = d->content;

    opened_wait_cancel(d->relay, &d->wait);
    defer_cancel(d->relay->loop, &d->more);
    d->content = NULL;
    d->form = NULL;
    d->feeding = false;
    free(d->rcpts);
    free(d->rows);
    d->rcpts = NULL;
    d->rows = NULL;
    opened_put(c);
}

static void disconnect(struct delivery *d)
{
    idle_cancel(&d->deadline);
    conn_destroy(d->conn);
    smtp_client_destroy(d->client);
    d->conn = NULL;
    d->client = NULL;
    d->tls = d->tallied = d->greeted = d->logged_in = d->answered = false;
    d->since_ms = 0;
}

static void leave(struct delivery *d, enum place_end how)
{
    struct destination *to = d->to;

    d->to = NULL;
    if (to)
        schedule_leave(d->relay->schedule, to, how, relay_now());
}

void delivery_end(struct delivery *d, enum place_end how)
{
    struct relay *r = d->relay;

    delivery_leave_content(d);
    disconnect(d);
    leave(d, how);
    if (d->finding)
        route_cancel(d->finding);
    TAILQ_REMOVE(&r->deliveries, d, in_relay);
    r->ndeliveries--;
    free(d->route);
    free(d);
    relay_wake(r);
    relay_stopped(r);
}

void delivery_lost(struct delivery *d, const struct outcome *o, enum place_end how)
{
    struct attempt *t = d->t;

    if (!t) {
        delivery_end(d, d->to && d->done == 0 ? how : PLACE_DONE);
        return;
    }
    if (!d->answered) { /* nothing was said of this mail */
        delivery_next_host(d, o);
        return;
    }
    delivery_say_all(d, o);
    d->t = NULL;
    attempt_settle(t);
    delivery_end(d, how);
}

/* ---- hosts that do not answer ---- */

static size_t dead_place(const struct sockaddr_storage *ss, uint8_t address[16])
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    size_t place;

    memset(address, 0, 16);
    addr_bytes(ss, address);
    crypto_generichash(hash, sizeof(hash), address, 16, NULL, 0);
    memcpy(&place, hash, sizeof(place));
    return place % RELAY_DEAD_HOSTS;
}

static bool is_dead(const struct relay *r, const struct sockaddr_storage *ss)
{
    uint8_t address[16];
    const size_t i = dead_place(ss, address);

    return r->dead[i].until > relay_now() && memcmp(r->dead[i].address, address, 16) == 0;
}

void delivery_note_dead(struct relay *r, const struct sockaddr_storage *ss, bool dead)
{
    uint8_t address[16];
    const size_t i = dead_place(ss, address);

    if (!dead && memcmp(r->dead[i].address, address, 16) != 0)
        return;
    memcpy(r->dead[i].address, address, 16);
    r->dead[i].until = dead ? relay_now() + DEAD_S : 0;
}

/* Those that answer come first; the order is the same otherwise. */
void delivery_sort_hosts(const struct relay *r, struct route *route)
{
    struct route_host sorted[ROUTE_HOSTS_MAX];
    uint32_t n = 0;

    for (int dead = 0; dead <= 1; dead++)
        for (uint32_t i = 0; i < route->nhosts; i++)
            if (is_dead(r, &route->hosts[i].addr) == (dead == 1))
                sorted[n++] = route->hosts[i];
    memcpy(route->hosts, sorted, n * sizeof(sorted[0]));
}

/* ---- connections ---- */

/* ERR_UNSUPPORTED: we have no address of this kind to send from. */
static int source_of(const struct delivery *d, int family, struct sockaddr_storage *ret, bool *ret_any)
{
    char domain[DNS_NAME_MAX + 1], sender[DNS_NAME_MAX + 1];
    const struct relay_source *s;
    enum queue_tls wish;

    route_destination_parts(d->name, domain, sender, &wish);
    s = relay_policy_source(d->relay->policy, sender);
    if (!s)
        s = &d->relay->source;
    *ret = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    *ret_any = !s->has4 && !s->has6;
    if (*ret_any)
        return OK;
    if (!(family == AF_INET ? s->has4 : s->has6))
        return ERR_UNSUPPORTED;
    if (family == AF_INET)
        ((struct sockaddr_in *)ret)->sin_addr = s->v4;
    else
        ((struct sockaddr_in6 *)ret)->sin6_addr = s->v6;
    return OK;
}

static int connect_to(struct delivery *d, const struct sockaddr_storage *to)
{
    static const struct conn_params params = {.in_max = IN_MAX, .out_max = OUT_MAX, .out_low = OUT_LOW, .wipe = true};
    struct relay *r = d->relay;
    struct sockaddr_storage from;
    bool any;
    int err = source_of(d, to->ss_family, &from, &any);

    if (err != OK)
        return err;
    d->client = smtp_client_create(r->config.domain);
    d->conn = d->client ? conn_connect(r->loop, to, any ? NULL : &from, &params, d->ops, d) : NULL;
    if (!d->conn) {
        disconnect(d);
        return ERR_MEMORY;
    }
    relay_count(r, COUNT_CONNECTIONS);
    delivery_deadline(d, UINT64_C(1000) * r->config.relay_connect_timeout);
    return OK;
}

void delivery_try_hosts(struct delivery *d)
{
    struct attempt *t = d->t;

    for (; d->host < d->route->nhosts; d->host++) {
        int err = connect_to(d, &d->route->hosts[d->host].addr);
        if (err == OK)
            return;
        if (err == ERR_MEMORY)
            outcome_obstacle(OBSTACLE_SHORTAGE, &d->why);
    }
    attempt_say_all(t, &d->why, d->why_host, d->why_proof);
    d->t = NULL;
    attempt_settle(t);
    delivery_end(d, PLACE_FAILED);
}

void delivery_next_host(struct delivery *d, const struct outcome *o)
{
    const bool again = d->done > 0; /* it worked once: the server there has had enough of this connection */

    if (!d->greeted && d->conn)
        delivery_note_dead(d->relay, &d->route->hosts[d->host].addr, true);
    d->why = *o;
    snprintf(d->why_host, sizeof(d->why_host), "%s", delivery_host(d));
    d->why_proof = delivery_proof(d);
    delivery_leave_content(d);
    disconnect(d);
    d->no_tls = false;
    d->done = 0;
    d->host = again ? 0 : d->host + 1;
    delivery_try_hosts(d);
}

void delivery_without_tls(struct delivery *d)
{
    delivery_leave_content(d);
    disconnect(d);
    d->no_tls = true;
    delivery_try_hosts(d);
}

/* ---- jobs ---- */

/* Opens one job after another until there is something to do. NULL: no more. */
struct attempt *delivery_open_job(struct relay *r, struct job *j, struct destination *to, uint32_t *done)
{
    const uint64_t now = relay_now();
    struct attempt *t;

    for (; j; j = schedule_more(r->schedule, to, *done, now)) {
        int err = attempt_open(r, j, now, &t);
        if (err == OK)
            return t;
        if (err == ERR_NOT_FOUND)
            schedule_done(r->schedule, j);
        else
            schedule_defer(r->schedule, j, now + LATER_S, now);
        ++*done;
    }
    return NULL;
}

void delivery_flush(struct delivery *d)
{
    struct buf *out = smtp_client_output(d->client);

    if (out->len && conn_write(d->conn, out->data, out->len) == OK)
        buf_consume(out, out->len);
}

static void goodbye(struct delivery *d)
{
    leave(d, PLACE_DONE);
    delivery_deadline(d, BYE_MS);
    smtp_client_quit(d->client);
    delivery_flush(d);
    relay_wake(d->relay);
}

void delivery_settled(struct delivery *d)
{
    struct relay *r = d->relay;
    struct attempt *t = d->t;
    struct job *j = NULL;

    delivery_leave_content(d);
    d->t = NULL;
    d->answered = false;
    d->done++;
    attempt_settle(t);
    if (relay_may_begin(r))
        j = schedule_more(r->schedule, d->to, d->done, relay_now());
    d->t = delivery_open_job(r, j, d->to, &d->done);
    if (d->t)
        d->send_mail(d);
    else
        goodbye(d);
}
