/* The vault's inside: its clients, what waits, and the one group of writes. Everything runs on one thread, but for the
 * copy of a backup.
 *
 * The way of a request: a client's message is decoded at once (what does not decode ends that client's channel), joins
 * what waits, and runs with it in one engine group at the end of the turn, or as soon as a group is full. After one
 * commit and one sync all replies go out, then the notices. A handler that refuses before its first write just
 * answers. One that fails after it spoils the group: it is aborted and its requests run again, one group each, so that
 * only the one at fault fails. */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "server/core/buf.h"
#include "server/base/counters.h"
#include "server/base/ipc.h"
#include "server/base/loop.h"
#include "server/base/roles.h"
#include "store/dmarc_day_impl.h"
#include "store/mailbox.h"
#include "store/queue.h"
#include "store/request.h"
#include "store/sending_impl.h"
#include "store/vault/gate.h"

enum {
    GROUP_REQUESTS = 256,
    GROUP_BYTES = 8 * 1024 * 1024, /* of parcels; one larger parcel makes a group by itself */
    CHANGES_MAX = 4 * GROUP_REQUESTS,
    CLIENTS_MAX = 64,
    COPIES_MAX = 1024,
    GROUP_ENTRIES = 2048, /* of sets in one group; the rest wait for the next */
    MANY_ENTRIES = 64,    /* from so many on a request is large: a group takes one of an account */
    REPLIES_MAX = GROUP_REQUESTS * IPC_MAX,
};

struct vault;
struct request;

/* One client's channel. It outlives its closing until its last waiting request is done. */
struct client {
    struct vault *vault;
    struct client *next;
    struct ipc *ipc; /* NULL: closed */
    unsigned who;    /* whose channel it is: one bit of VAULT_MAY_ */
    bool denied;     /* it has asked for what it may not */
    unsigned waiting;
};

/* Who may ask. The administrator is the command line, which has its channel from master. */
enum {
    VAULT_MAY_ADMIN = ROLE_BIT(ROLE_MASTER),
    VAULT_MAY_INGEST = ROLE_BIT(ROLE_INGEST),
    VAULT_MAY_ACCESS = ROLE_BIT(ROLE_ACCESS),
    VAULT_MAY_RELAY = ROLE_BIT(ROLE_RELAY),
    VAULT_MAY_WEB = ROLE_BIT(ROLE_WEB), /* faces strangers without a login: is told of nobody's changes */
};

enum {
    NEEDS_FD = 1,
    MAY_FD = 128,
    DIRECT = 2 /* runs outside the group and answers by itself */,
    STEPS = 8 /* runs outside the group, in commits of its own (vault_step), and is answered after the last */,
    CHANGES_ACCOUNT = 4 /* notice: account-wide */,
    RIDES = 16 /* waits for a group that runs anyway, and is the first in it */,
    GROWS = 32 /* refused while the disk is nearly full */,
    ANY_STEP = 64 /* also while the store is to be upgraded */
};

typedef int verb_run(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text);
struct verb {
    uint32_t type;
    const char *name;
    unsigned may; /* a set of VAULT_MAY_ */
    unsigned needs;
    /* Checks, then writes. r: the reply; its lists are the handler's own memory. *ret_text: a static sentence for a
     * refusal. */
    verb_run *run;
    void (*stored)(struct vault *v, const struct request *q); /* after the commit; NULL: nothing to do */
    uint32_t entries; /* what it costs beside its set's: as many entries take as long, if the account has all it may */
};
const struct verb *verb_find(uint32_t type);

struct request {
    struct request *next;
    const struct verb *verb;
    struct client *from;
    uint64_t id, fd_size;
    int fd;
    struct vault_request a; /* as asked; slices point into payload, ranges into room */
    int status, queued;     /* queued: messages that it adds to the queue */
    int suppressed;         /* addresses */
    int policies;           /* of MTA-STS */
    int tallies;            /* of TLS */
    int held;               /* accounts that it holds */
    uint64_t held_account;  /* the one, and why (enum hold_why); held -1: it is released */
    uint8_t held_why;
    uint32_t complaints; /* about an account's mail in a day, with it; 0: it is none */
    const char *text;
    size_t reply_at, reply_len;
    struct uid_range room[]; /* and behind it the payload */
};

struct vault_counters {
    uint64_t requests, groups, spoiled, commit_failed, commit_unknown, delivered, duplicates, seen, refused, denied,
        refused_full, broken_clients, notices, backups, complaints;
};

struct vault {
    struct loop *loop;
    struct engine *engine;
    const struct record_keys *keys;
    uint64_t message_max, entries_max /* of an account; 0: no limit */;
    uint32_t turn_ms;
    struct gate *gate;
    struct client *clients;
    unsigned nclients;

    struct request *waiting, **waiting_tail;
    unsigned nwaiting;
    uint64_t waiting_bytes;
    struct defer run, rest; /* rest: of a group that was too large */
    bool running, broken /* the engine must be opened again before the next group */;
    bool uploads_other;  /* certificates sent in may be of keys that their account has not */
    bool outdated;       /* the store is to be upgraded: nothing else is done */
    uint64_t upgrade_at; /* how far the step at work is */
    bool unknown;        /* whether the last group is there: its changes wait to be told, and the next group waits */

    struct {
        uint64_t wanted;        /* disk_reserve */
        uint64_t free, reserve; /* as seen last */
        uint64_t spent;         /* since, at most */
        uint64_t file;          /* octets that are kept */
        uint64_t failed_at;     /* what there was when it was too little all the same; 0: it was not */
        bool full;
    } room;

    struct store_write write;
    struct buf replies;
    uint8_t scratch[IPC_MAX];
    struct vault_change changes[CHANGES_MAX];
    unsigned nchanges;

    struct {
        uint64_t messages, most; /* that there may be */
        uint64_t held;           /* accounts */
        uint64_t suppressed;     /* addresses */
        uint64_t policies;       /* of MTA-STS */
        uint64_t tallies;        /* of TLS */
        struct sending_limits limits;
        unsigned nchanges; /* to be told to `relay`: ids */
        uint64_t changes[2 * GROUP_REQUESTS];
    } queue;

    /* Copies in pieces whose next piece may come. */
    struct {
        const struct client *from;
        uint64_t account, number;
    } copies[COPIES_MAX + GROUP_REQUESTS];
    unsigned ncopies;

    struct timer *tick, *chores;
    struct dmarc_sweep dmarc_at; /* the day's round over what others report */
    uint64_t dmarc_swept;        /* the day of the last one that was done */
    bool sweep; /* the round of all accounts goes without a pause, since copies have lost their client */
    uint64_t chore_cursor, hot_account; /* round of all accounts; one that has just left work behind */
    struct backup *backup;
    struct vault_counters count;
    uint64_t (*clock)(void); /* seconds since 1970; tests put their own */
};

/* Over an open engine (not owned). ERR_MEMORY. */
int vault_create(struct loop *l, struct engine *e, const struct record_keys *keys, uint64_t message_max,
                 uint32_t turn_ms, struct vault **ret);
void vault_destroy(struct vault *v);
int vault_client_add(struct vault *v, int fd, unsigned who); /* takes fd; who: of VAULT_MAY_ */
void vault_client_greet(struct vault *v); /* tells the last one added that it hears of all changes from now on */
/* One message as if it came from c; *fd is set to -1 when taken. ERR_FORMAT: the channel must end. */
int vault_take(struct vault *v, struct client *c, uint32_t type, uint64_t id, struct slice payload, int *fd);
void vault_run(struct vault *v); /* everything that waits */
/* A step of every kind of work that is done in bounded steps; true: there is more to do now. */
bool vault_chores(struct vault *v);
/* The counters. Gives how many. */
struct vault_row {
    enum counter counter;
    uint64_t value;
};
uint32_t vault_status(const struct vault *v, struct vault_row ret[VAULT_STATS_MAX]);

/* The disk (room.c). look: now; spend: a group has written so much. failed: a group
 * found no room. give_up: what was kept goes to the next group; true:
 * there was some. refuses: it grows, and there is no room for what grows. tell: a client that is new. */
void room_look(struct vault *v);
void room_spend(struct vault *v, uint64_t bytes);
void room_failed(struct vault *v);
bool room_give_up(struct vault *v);
bool room_refuses(const struct vault *v, const struct request *q);
void room_tell(struct vault *v, struct client *c);

/* Copies in pieces (copies.c). lives: the next piece may come; from NULL: of anybody. drop: no piece will come from it
 * any more. check: of a piece that comes: ERR_FORMAT, ERR_LIMIT, ERR_EXISTS, ERR_GONE. stored: after its commit. */
bool vault_copy_lives(const struct vault *v, const struct client *from, uint64_t account, uint64_t number);
void vault_copies_drop(struct vault *v, const struct client *from);
void vault_copy_ended(struct vault *v, const struct client *from, uint64_t account, uint64_t number);
int vault_copy_check(const struct vault *v, const struct request *q);
void vault_copy_stored(struct vault *v, const struct request *q);

/* The queue (req_queue.c). count: at the start, and once it is known what became of a commit. stored: after one. */
int queue_count(struct vault *v);
void queue_stored(struct vault *v, const struct request *q);

/* Who may send (req_sending.c). count: accounts that are held. stored: says what became of one. charge: of a message
 * for the queue; what is refused may have written that the account is held. */
int held_count(struct engine_txn *t, uint64_t *ret_held, uint64_t *ret_suppressed);
int count_of(struct engine_txn *t, char letter, uint64_t *ret); /* records of a kind */
void held_stored(struct vault *v, const struct request *q);
int queue_charge(struct vault *v, struct store_write *w, struct request *q, enum sending_verdict *ret);

/* Clients (clients.c). put: frees one that is closed and has nothing waiting. send: one that cannot take the message is
 * dropped. */
void vault_client_put(struct client *c);
void vault_client_close(void *client);
void vault_client_send(struct client *c, uint32_t type, uint64_t id, const void *data, size_t len);

/* For handlers. */
void vault_changed(struct vault *v, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);
/* By whoever has a session that lives, or the administrator (req_signin.c). ERR_DENIED. */
int vault_owner_asks(struct store_write *w, const struct request *q, const char **ret_text);
/* For requests that run outside the group; r counts when status is OK. Frees q. */
void vault_answer(struct vault *v, struct request *q, int status, const char *text, const struct vault_reply *r);
void request_free(struct request *q);
/* notes that the engine must be opened again before the next group; gives err back */
int engine_mend(struct vault *v, int err);
/* Runs step in a group of its own, which is committed if it wrote. For what must not be one commit, and for chores. */
typedef int vault_step_fn(struct vault *v, struct store_write *w, void *arg);
int vault_step(struct vault *v, vault_step_fn *step, void *arg);
/* What others have left to do, before anybody is served: a restore, or the store is to be upgraded. */
int vault_take_up(struct vault *v);
int vault_restored(struct vault *v); /* ERR_NOT_FOUND: there was nothing */

/* Verbs by family: req_mail.c, req_mailbox.c, req_admin.c, req_upgrade.c, req_queue.c, req_sending.c,
 * req_correspondent.c, req_signin.c, backup.c. */
/* A notice that comes with another request, to INBOX: deliver says what it is of. */
int deliver_notice(struct vault *v, struct store_write *w, const struct vault_key_told *told, const struct parcel *p,
                   const char **ret_text);
verb_run run_deliver, run_delivered_seen, run_store_flags, run_copy, run_copy_undo, run_expunge;
verb_run run_mailbox_create, run_mailbox_delete, run_mailbox_rename, run_mailbox_subscribe;
verb_run run_account_add, run_account_remove, run_account_set, run_address_add, run_address_remove, run_domain_add,
    run_domain_remove, run_key_add, run_key_retire, run_key_current, run_key_revoked, run_key_enc_revoked,
    run_key_notice, run_password_add, run_password_revoke, run_restored, run_stat, run_backup, run_upgrade;
verb_run run_queue_add, run_queue_update, run_dkim_put, run_dkim_del, run_account_hold, run_suppress_put,
    run_suppress_del, run_sts_put, run_sts_del, run_complaint, run_tally_put, run_tally_del, run_key_publish,
    run_upload_add, run_upload_confirm, run_correspondent_put, run_correspondent_del, run_dmarc_report;
verb_run run_signin_set, run_wrapped_put, run_session_add, run_session_used, run_session_del, run_factor_put,
    run_factor_del, run_factor_used, run_invite_put, run_invite_del;
void backup_destroy(struct backup *b); /* waits for its thread; NULL is allowed */

#endif
