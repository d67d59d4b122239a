/* Between the files of the ingest role: one process, its sessions, their transactions. */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "crypto/content.h"
#include "server/core/secmem.h"
#include "server/base/config.h"
#include "server/base/conn.h"
#include "server/base/loop.h"
#include "server/base/peers.h"
#include "server/base/role.h"
#include "server/proto/smtp.h"
#include "server/sealer/deposit.h"
#include "server/sealer/notices.h"
#include "server/service/acceptor.h"

/* Counters, in the order that `status` shows them. */
#define INGEST_COUNTERS(X)                                                \
    X(SESSIONS, "sessions")         /* since the start */                 \
    X(ACCEPTED, "accepted")         /* messages with 250 */               \
    X(SEALED, "sealed")             /* one a recipient */                 \
    X(FOREIGN, "arrived_encrypted") /* of these, kept as they came */     \
    X(WILDCARD, "arrived_wildcard") /* of these, for hidden recipients */ \
    X(BYTES, "bytes")               /* of accepted messages */            \
    X(NO_USER, "refused_no_user")                                         \
    X(RELAY, "refused_relay")                                             \
    X(NO_KEY, "refused_no_key")                                           \
    X(QUOTA, "refused_quota")                                             \
    X(SHED, "sessions_shed") /* silent ones that made room */             \
    X(SIZE, "refused_size")                                               \
    X(BARE, "refused_bare_cr_or_lf")                                      \
    X(LINE, "refused_long_line")                                          \
    X(LOOP, "refused_loop")                                               \
    X(BUDGET, "deferred_budget")  /* no memory for plaintext */           \
    X(DEFERRED, "deferred_other") /* sealing or storing failed for now */ \
    X(FAILED, "refused_other")                                            \
    X(NOTICES, "key_notices") /* of keys that end, to their readers */    \
    X(TIMEOUTS, "timeouts")

#define INGEST_COUNTER_ENUM(id, name) COUNT_##id,
enum ingest_counter { INGEST_COUNTERS(INGEST_COUNTER_ENUM) INGEST_COUNTERS_N };

struct ingest;
struct session;

struct reservation; /* quota.c */

enum rcpt_state { RCPT_WAITS, RCPT_SEALING, RCPT_STORING, RCPT_DONE };

struct rcpt {
    struct session *s;
    uint64_t account;
    char address[ADDRESS_MAX]; /* as routed: part of the delivery id */
    char given[SMTP_PATH_MAX]; /* as the client named it: for Received */
    struct reservation *reservation;
    uint64_t reserved;
    enum rcpt_state state;
    struct deposit *deposit;
    int status;
};

enum { RECEIVED_MAX = 2048 };

struct transaction {
    struct secmem_msg msg;
    uint64_t charged; /* taken from the plaintext budget; parcels that wait for the vault count on */
    struct rcpt *rcpts;
    size_t n, cap;
    bool delivering, stepping;
    size_t next;    /* the recipient to be sealed next */
    size_t storing; /* deliveries under way */
    uint64_t len;   /* of the message, when msg has gone */
    struct iovec *pieces;
    size_t npieces;
    uint64_t now;
    char id[20], tls[96], received[RECEIVED_MAX];
    uint8_t content[CONTENT_HASH_SIZE];
    struct defer step;
    struct idle stall; /* a seal or the vault that answers no more */
};

struct session {
    struct ingest *in;
    struct session *next, **at;
    struct conn *conn;
    struct smtp *smtp;
    struct sockaddr_storage peer;
    struct idle phase_idle, whole_idle;
    enum smtp_phase phase;
    bool pumping, gone;
    struct transaction t;
};

struct ingest {
    struct loop *loop;
    struct config config;
    struct tls_ctx *tls;
    struct view *view;
    struct vault_client *vault;
    struct sealer *sealer;
    struct depositor depositor;
    struct content_hash *content;
    struct notices *notices; /* in one instance of the role; else NULL */
    struct peers *peers;
    struct acceptor *acceptor;
    struct session *sessions;
    uint64_t plaintext;  /* bytes in flight */
    uint64_t stall_ms;   /* a delivery that makes no progress for so long is answered with 451 */
    uint64_t closing_ms; /* so long may a session's last words take, however slowly they are taken */
    bool stopping;
    uint64_t counters[INGEST_COUNTERS_N];
};

static inline void count(struct ingest *in, enum ingest_counter c)
{
    in->counters[c]++;
}

/* ingest.c */
int ingest_start_notices(struct ingest *in); /* ERR_MEMORY */

/* session.c */
/* Takes fd, and the place that the acceptor gave to the peer. */
void smtp_session_open(struct ingest *in, int fd, const struct sockaddr_storage *peer);
/* Ends the session that has been silent longest between transactions, if it was so for some seconds: when all places
 * are taken, who only sits there makes room. false: there is none. */
bool smtp_session_shed(struct ingest *in);
void smtp_session_stop(struct session *s); /* 421 as soon as nothing is being delivered */
void smtp_session_destroy(struct session *s);
void smtp_session_pump(struct session *s); /* runs the engine, sends what it says */

/* transaction.c */
void transaction_reset(struct session *s);                            /* whatever it holds or waits for is given back */
void transaction_mail(struct session *s, const struct smtp_event *e); /* answers SMTP_MAIL */
void transaction_rcpt(struct session *s, const struct smtp_event *e); /* answers SMTP_RCPT */
void transaction_content(struct session *s, struct slice content);    /* keeps it, or fails the message */
void transaction_wipe_content(struct session *s);   /* nothing readable stays; its share of the budget does */
void transaction_forget_content(struct session *s); /* wiped, and its share given back */

/* postmaster.c */
/* For an address that nobody has, as view_route said in err: the postmaster's mail finds a reader all the same. Gives
 * err back for every other. Needs a snapshot. */
int postmaster_route(struct view *v, const char *server, const char *address, int err, struct schema_address *ret);

/* deliver.c */
void deliver_begin(struct session *s); /* answers SMTP_END, now or later, and pumps if later */
void deliver_cancel(struct session *s);

/* received.c */
/* Our trace field (RFC 5321 section 4.4), with CRLF. rcpt: the only recipient, or NULL. */
void received_make(const struct smtp_envelope *env, const struct sockaddr_storage *peer, const char *domain,
                   const char *tls, const char *id, const char *rcpt, uint64_t now, char out[RECEIVED_MAX]);
/* Received fields in a header block; loops show there (section 6.3). */
size_t received_count(const uint8_t *head, size_t len);

/* quota.c: bytes promised to accounts by transactions under way in this process. */
struct reservation *quota_reserve(uint64_t account, uint64_t bytes); /* NULL: no memory */
void quota_give(struct reservation *r, uint64_t bytes);
uint64_t quota_reserved(uint64_t account);

#endif
