/* What the files of the access role share: the process, a session, the command at work, and the helpers that every
 * command uses. */
#ifndef IMAP_ACCESS_H
#define IMAP_ACCESS_H

#include "server/core/arena.h"
#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/core/log.h"
#include "server/base/peers.h"
#include "server/base/role.h"
#include "server/gpg/gpg.h"
#include "server/proto/imap.h"
#include "server/proto/imap_args.h"
#include "server/proto/imap_out.h"
#include "server/sealer/sealer.h"
#include "store/client.h"
#include "store/view.h"

enum {
    TURN_BYTES = 256 * 1024,   /* output made in one turn of the loop */
    OUT_MAX = 2 * 1024 * 1024, /* waiting for one client */
    OUT_LOW = 64 * 1024,
    IN_MAX = 64 * 1024,
    STAGING_MAX = OUT_MAX - TURN_BYTES,
    ACCOUNT_BUCKETS = 1024,
    MAP_BUCKETS = 256,
    LOGIN_FAILURES_MAX = 3,
    BAD_COMMANDS_MAX = 20,
    COMMANDS_A_TURN = 8, /* of one session */
    STOP_GRACE_MS = 2000,
    APPEND_MS = 120 * 1000, /* no octet of a message for so long: it holds memory that others could use */
};

struct session;
struct map;

struct access {
    struct loop *loop;
    struct view *view;
    struct vault_client *vault;
    struct gpg_seal_client *gpg;
    struct sealer *sealer;
    struct peers *peers;
    struct tls_ctx *tls;
    struct config config;
    struct session *sessions;
    struct session *by_account[ACCOUNT_BUCKETS];
    struct map *maps[MAP_BUCKETS];
    struct buf staging; /* what a turn makes, before its snapshot is known to be good */
    uint64_t plaintext; /* octets of APPENDs in flight */
    uint64_t nsessions, logins, login_failures, commands, appended, fetched_bytes; /* counters for status */
    bool stopping;
};

enum state { STATE_NOT_AUTH = 1, STATE_AUTH = 2, STATE_SELECTED = 4 };

/* A selected mailbox as the client has been told of it. */
struct selected {
    uint32_t mailbox, uidvalidity, exists, uidnext;
    uint64_t modseq;
    struct map *map; /* NULL until a sequence number matters */
    uint64_t own[4]; /* changes of our own making, which the client knows already */
    uint8_t nown, nkeywords;
    bool readonly, dirty;
};

struct command;
/* A command in work. Its arguments and its data live in the parser's arena until the next input is read: not before it
 * is done, unless it asked for a line. */
struct job {
    struct session *s;
    const struct command *cmd;
    const struct imap_command *in;
    void (*step)(struct job *j);                    /* output drained: go on (NULL: nothing to do) */
    void (*line)(struct job *j, struct slice line); /* the line asked for; data NULL: it was malformed */
    void (*release)(struct job *j);                 /* gives back what the arena does not hold */
    void *data;
    uint64_t request; /* at the vault; 0: none */
    bool done;
};

struct session {
    struct access *a;
    struct conn *conn;
    struct session *prev, *next, *acc_prev, *acc_next;
    struct selected *sel;
    struct job *job; /* &at_work, or NULL */
    struct job at_work;
    struct defer wake;
    struct timer *timer; /* the login time limit, until the login */
    uint64_t account;
    uint8_t password[RECORD_HASH_SIZE]; /* the app password that was used, as the store finds it */
    struct imap_parser parser;
    uint8_t state, failures, bad;
    bool ending, loopback, counted, greeted;
};

/* ---- the command table (table.c) ---- */

enum {
    CMD_UID = 1 /* has a UID variant */,
    CMD_NO_EXPUNGE = 4 /* RFC 3501 section 7.4.1: no EXPUNGE while it is in progress */,
    CMD_NO_SYNC = 8,
    CMD_MESSAGE = 16 /* takes a message as literal */
};
struct command {
    const char *name;
    uint8_t states, flags;
    void (*run)(struct job *j);
};
const struct command *command_find(const char *name);
/* The one place where capabilities are named. */
int capability_write(const struct session *s, struct buf *out);
bool login_allowed(const struct session *s);

/* ---- sessions (session.c) ---- */

struct session *session_create(struct access *a, int fd, bool tls_at_once);
void session_destroy(struct session *s);
void session_bye(struct session *s, const char *text); /* "* BYE text", then the end */
void session_wake(struct session *s);                  /* look at the input again at the end of this turn */
void session_authenticated(struct session *s, uint64_t account, const uint8_t password[RECORD_HASH_SIZE]);
void session_unselect(struct session *s);
int session_write(struct session *s, const void *data, size_t len); /* a failure ends the session */
void session_printf(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct arena *session_arena(struct session *s); /* the parser's; NULL: no memory */

/* ---- jobs (job.c) ---- */

/* Ends the command with "tag text"; text begins with OK, NO or BAD. */
void job_done(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same in two steps, for a last line of one's own: settle (what changed is told; not OK: the session is ending),
 * the line, close. */
int job_settle(struct job *j);
void job_close(struct job *j);
void job_again(struct job *j);                               /* step is called again in the next turn */
void job_bad(struct job *j, const char *why);                /* BAD, counted */
void job_error(struct job *j, int err);                      /* NO with RFC 5530's code for err */
void job_no_message(struct job *j);                          /* BAD: a sequence number beyond the mailbox */
void job_set_error(struct job *j, int err, const char *why); /* of arg_uids; ERR_FORMAT: BAD why */
void *job_alloc(struct job *j, size_t size);                 /* zeroed, in the arena; NULL: the job has been answered */
int job_request(struct job *j, enum vault_request type, const struct pack *p, int fd,
                vault_reply_fn *fn); /* not OK: answered */
/* Runs fn in a snapshot, again if the snapshot was too old. fn must begin anew each time. */
int snapshot(struct access *a, int (*fn)(void *arg), void *arg);
struct buf *staging(struct access *a); /* cleared; for one turn */
int staging_send(struct session *s);

/* ---- arguments ---- */
int arg_mailbox(const struct imap_node *n, char out[MAILBOX_NAME_MAX]); /* wire to UTF-8; INBOX in upper case */
int put_mailbox(struct buf *out, const char *utf8);                     /* UTF-8 to wire, as astring */
size_t arg_count(const struct imap_node *n);

/* ---- the mailbox map (map.c): which UIDs, in order; shared by the sessions of the process, never changed ---- */
/* Needs a snapshot. ERR_CONFLICT: what it was can no longer be told. */
int map_get(struct access *a, uint64_t account, const struct selected *sel, struct map **ret);
void map_unref(struct access *a, struct map *m); /* NULL is allowed */
uint32_t map_count(const struct map *m);
uint32_t map_last(const struct map *m);                /* 0: empty */
uint32_t map_uid(const struct map *m, uint32_t seq);   /* 1 <= seq <= count */
uint32_t map_seq(const struct map *m, uint32_t uid);   /* 0: not in it */
uint32_t map_from(const struct map *m, uint32_t uid);  /* first member >= uid; 0: none */
uint32_t map_below(const struct map *m, uint32_t uid); /* how many are smaller */
/* Loads sel->map if it is not there; a whole snapshot of its own. */
int session_map(struct session *s);
/* The session's map still holds although the mailbox went on to modseq (only flags changed). */
void map_extend(struct map *m, uint64_t modseq);

/* ---- sets ---- */
/* sequence-set argument to ascending UID ranges that the session's map knows; loads the map. ERR_FORMAT: syntax;
 * ERR_NOT_FOUND: a sequence number beyond the mailbox. */
int arg_uids(struct job *j, const struct imap_node *n, bool uid, struct imap_set *ret);
/* The next batch of tight ranges for the vault: at most most (<= BATCH_MAX) messages from *pos on (a UID; start with 1).
 * Returns ranges written; 0: the end. */
enum { BATCH_MAX = 1024 };
void pack_uid_ranges(struct pack *p, const struct imap_range *r, size_t n);
size_t set_batch(const struct map *m, const struct imap_set *set, uint32_t *pos, size_t most,
                 struct imap_range out[BATCH_MAX]);
/* Those of set that the map knows and whose flag (IMAP_SEEN or IMAP_DELETED) is on or off, from the block bitmaps.
 * ret->r is malloc'd. A snapshot of its own. */
int set_flagged(struct session *s, const struct imap_set *set, unsigned flag, bool on, struct imap_set *ret);
int put_set(struct buf *out, const uint32_t *uids, size_t n); /* compressed, in the order given */

/* ---- announcing (sync.c) ---- */
/* Tells the client what changed since it was last told. Called at a command's end and while idling. Not OK: the session
 * is ending. */
int session_sync(struct session *s, bool expunge);
void sync_own(struct session *s, uint64_t modseq); /* the client knows of this change */
int put_flags(struct buf *out, uint64_t flags, const struct schema_mailbox_name *name); /* "(\Seen kw)" */
int put_flag_lines(struct buf *out, const struct schema_mailbox_name *name,
                   bool readonly); /* FLAGS and PERMANENTFLAGS */

/* ---- commands ---- */
void cmd_capability(struct job *j), cmd_noop(struct job *j), cmd_logout(struct job *j), cmd_id(struct job *j),
    cmd_enable(struct job *j);
void cmd_starttls(struct job *j), cmd_login(struct job *j), cmd_authenticate(struct job *j),
    cmd_namespace(struct job *j);
void cmd_list(struct job *j), cmd_lsub(struct job *j), cmd_status(struct job *j), cmd_select(struct job *j),
    cmd_examine(struct job *j);
void cmd_create(struct job *j), cmd_delete(struct job *j), cmd_rename(struct job *j), cmd_subscribe(struct job *j),
    cmd_unsubscribe(struct job *j);
void cmd_append(struct job *j), cmd_check(struct job *j), cmd_close(struct job *j), cmd_unselect(struct job *j),
    cmd_expunge(struct job *j), cmd_replace(struct job *j);
void cmd_search(struct job *j), cmd_fetch(struct job *j), cmd_store(struct job *j), cmd_copy(struct job *j),
    cmd_move(struct job *j), cmd_idle(struct job *j);

/* APPEND and REPLACE stream: session.c hands on what the parser gives. */
void append_data(struct job *j, struct slice span);
void append_end(struct job *j);

/* STATUS items, shared with LIST RETURN (STATUS ...). */
enum {
    STATUS_MESSAGES = 1,
    STATUS_RECENT = 2,
    STATUS_UIDNEXT = 4,
    STATUS_UIDVALIDITY = 8,
    STATUS_UNSEEN = 16,
    STATUS_DELETED = 32,
    STATUS_SIZE = 64
};
int status_items(const struct imap_node *list, unsigned *ret);
int put_status(struct buf *out, const char *name, const struct schema_mailbox *box, unsigned items);
extern const struct use_name {
    const char *name;
    uint8_t use;
} use_names[]; /* ends with NULL */

/* The last vault's last notices may be lost: everyone looks for themselves. */
void access_new_vault(struct access *a);
void access_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);

#endif
