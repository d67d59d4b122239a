/* Between the delivery's files: hosts, jobs and the end (delivery_host.c), what is said over a connection
 * (delivery_smtp.c), and what wakes them (delivery.c). */
#ifndef RELAY_DELIVERY_IMPL_H
#define RELAY_DELIVERY_IMPL_H

#include "server/base/conn.h"
#include "server/proto/smtp_client.h"
#include "server/relay/attempt.h"
#include "server/relay/delivery.h"
#include "server/relay/tally.h"

struct delivery {
    TAILQ_ENTRY(delivery) in_relay;
    struct relay *relay;
    const struct conn_ops *ops;            /* of delivery.c */
    void (*send_mail)(struct delivery *d); /* delivery_send_mail */
    struct destination *to;                /* NULL: its place is given back, it says goodbye */
    struct attempt *t;                     /* NULL: between jobs */
    char name[DESTINATION_MAX];
    struct route_op *finding;
    struct route *route;
    uint32_t host;
    struct outcome why; /* the last host did not work */
    char why_host[DNS_NAME_MAX + 1];
    enum queue_proof why_proof;

    struct conn *conn;
    struct smtp_client *client;
    struct idle deadline;
    uint64_t since_ms; /* the connection was begun */
    bool tls, no_tls;  /* it stands; it was tried with this host and failed */
    bool looked;       /* at the certificate, whatever it is */
    bool tallied;      /* how its TLS went */
    bool greeted, logged_in, answered /* MAIL was */;
    uint32_t done;

    struct opened *content;
    struct opened_wait wait;
    const struct opened_form *form;
    struct smtp_client_mail mail;
    struct smtp_client_rcpt *rcpts;
    size_t *rows; /* of the attempt, by a recipient's index in mail */
    bool feeding;
    size_t piece, offset;
    uint64_t feeding_since_ms;
    struct defer more;
};

/* The SMTP half. Each may end the delivery. */
void delivery_talk(struct delivery *d);      /* something has come, or may be sent */
void delivery_send_mail(struct delivery *d); /* the engine is ready for it */
void delivery_feed(struct delivery *d);

/* Below it. */
void delivery_try_hosts(struct delivery *d); /* from d->host on */
void delivery_sort_hosts(const struct relay *r, struct route *route);
void delivery_note_dead(struct relay *r, const struct sockaddr_storage *ss, bool dead);
/* Opens j, or another one for the same destination, until there is something to do. NULL: no more. */
struct attempt *delivery_open_job(struct relay *r, struct job *j, struct destination *to, uint32_t *done);
void delivery_deadline(struct delivery *d, uint64_t ms);
/* This host does not work: the next one, or the job is put off and the delivery ends. */
void delivery_next_host(struct delivery *d, const struct outcome *o);
/* The same host again, in the clear. */
void delivery_without_tls(struct delivery *d);
/* Its job has an outcome for each row: it is settled, and the next one begins, or the delivery says goodbye. */
void delivery_settled(struct delivery *d);
/* The connection is of no more use: what has no outcome gets o, and the delivery ends. */
void delivery_lost(struct delivery *d, const struct outcome *o, enum place_end how);
void delivery_leave_content(struct delivery *d);
void delivery_flush(struct delivery *d);
/* How TLS went over this connection: once for each (server/relay/tally.h). */
void delivery_tally(struct delivery *d, enum tls_report_result result, enum tls_client_fault fault);
const char *delivery_host(const struct delivery *d);
enum trust_demand delivery_demand(const struct delivery *d);        /* of its host */
enum queue_proof delivery_proof(const struct delivery *d);          /* of its connection */
void delivery_say_all(struct delivery *d, const struct outcome *o); /* the host said so, or its connection ended so */
void delivery_end(struct delivery *d, enum place_end how);          /* its job is settled, or there is none */

#endif
