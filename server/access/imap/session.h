/* A client's session: its connection, what it has selected, the command at work, and what is written to it. It knows
 * nothing of commands: what to do with input is told at its creation (dispatch.c). */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include "server/access/imap/map.h"
#include "server/base/conn.h"
#include "server/core/arena.h"
#include "server/login/login.h"
#include "server/proto/imap.h"
#include "server/sealer/told.h"

enum {
    IMAP_TURN_BYTES = 256 * 1024,   /* output made in one turn of the loop */
    IMAP_OUT_MAX = 2 * 1024 * 1024, /* waiting for one client */
    IMAP_OUT_LOW = 64 * 1024,
    IMAP_IN_MAX = 64 * 1024,
    IMAP_STAGING_MAX = IMAP_OUT_MAX - IMAP_TURN_BYTES,
};

enum imap_state { IMAP_STATE_NOT_AUTH = 1, IMAP_STATE_AUTH = 2, IMAP_STATE_SELECTED = 4 };

struct imap_command_def;
struct imap_job;
/* r: what the request's type says, when status is OK. */
typedef void imap_job_reply_fn(struct imap_job *j, int status, const struct vault_reply *r);

/* The command at work (job.h has what it can do). Its arguments and its data live in the parser's arena until the next
 * input is read: not before it is done, unless it asked for a line. */
struct imap_job {
    struct imap_session *s;
    const struct imap_command_def *cmd; /* NULL: there is no such command */
    const struct imap_command *in;
    /* Hooks; NULL: nothing to do. */
    void (*step)(struct imap_job *j);                       /* goes on: output drained, or what it waited for came */
    void (*line)(struct imap_job *j, struct slice line);    /* the line asked for; data NULL: it was malformed */
    void (*content)(struct imap_job *j, struct slice span); /* a span of the message that the command takes */
    bool (*room)(struct imap_job *j, size_t octets); /* whether content takes so many; if not, it wakes the session */
    void (*content_end)(struct imap_job *j);
    void (*changed)(struct imap_job *j); /* the selected mailbox has changed */
    void (*release)(struct imap_job *j); /* gives back what the arena does not hold */
    void *data;
    /* What it waits for, if anything; neither step nor input comes before. */
    uint64_t request;     /* at the vault; 0: none */
    enum vault_msg asked; /* what request is */
    imap_job_reply_fn *reply;
    void (*give_up)(void *arg); /* of anything else */
    void *awaited;
    bool done;
};

struct imap_session {
    struct access *a;
    struct place place;
    struct conn *conn;
    struct imap_session *prev, *next, *acc_prev, *acc_next;
    struct imap_selected *sel;
    struct imap_job *job; /* &at_work, or NULL */
    struct imap_job at_work;
    void (*woken)(void *arg);
    struct defer wake;   /* in the line of those who have work; one session an account at a time */
    uint64_t ticket;     /* waits until the account's turn is its own, in this order; 0: it does not */
    struct timer *timer; /* the login time limit, until the login */
    uint64_t account;
    char *primary;                      /* the account's when it logged in; what it appends is sealed for that one */
    uint32_t account_slot;              /* of the tally */
    uint8_t password[RECORD_HASH_SIZE]; /* the app password that was used, as the store finds it */
    struct imap_parser parser;
    struct told told;        /* what it was told is stored, and has not shown that it read (delivery.h) */
    const uint8_t *delivery; /* the id of what is being stored; NULL: nothing */
    uint8_t state, failures, bad;
    bool ending, loopback, greeted;
    bool shed;               /* its place is needed: it has a moment for its last words */
    bool ask_heard, hearing; /* of the answer that goes out next; of what went out */
};

/* ops and woken get the session. Takes fd, and the place counted on `on`. NULL: no memory; all is given back. */
struct imap_session *imap_session_create(struct access *a, int fd, const struct sockaddr_storage *peer, uint32_t on,
                                         bool tls_at_once, const struct conn_ops *ops, void (*woken)(void *arg));
void imap_session_destroy(struct imap_session *s);
void imap_session_bye(struct imap_session *s, const char *text); /* "* BYE text", then the end */
/* As service/place.h asks: who has not logged in, and who lets a message come too slowly. */
bool imap_session_may_end(const struct place *p, enum place_why why);
void imap_session_end(struct place *p, enum place_why why);
void imap_session_heard(struct imap_session *s); /* looks whether the client has shown that it read */
/* woken is called when its turn comes. Accounts have turns alike, and of an account its sessions one after another. */
void imap_session_wake(struct imap_session *s);
bool imap_session_waits(const struct imap_session *s); /* for its turn */
void imap_session_drop_job(struct imap_session *s);    /* unanswered; nothing if there is none */

/* ERR_MEMORY: it is not. */
int imap_session_authenticated(struct imap_session *s, const struct login_result *r);
void imap_session_unselect(struct imap_session *s);
/* Loads the selected mailbox's map if it is not there, a turn's piece of it (imap_map_load). A command with
 * IMAP_CMD_MAP finds it loaded. */
int imap_session_map(struct imap_session *s);

int imap_session_write(struct imap_session *s, const void *data, size_t len); /* a failure ends the session */
void imap_session_printf(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct arena *imap_session_arena(struct imap_session *s); /* the parser's; NULL: no memory */

/* Output of one turn, sent once its snapshot is known to have been good. */
struct buf *imap_staging(struct access *a); /* cleared; for one turn */
int imap_staging_send(struct imap_session *s);

#endif
