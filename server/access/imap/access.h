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
    IMAP_TURN_BYTES = 256 * 1024,   /* output made in one turn of the loop */
    IMAP_OUT_MAX = 2 * 1024 * 1024, /* waiting for one client */
    IMAP_OUT_LOW = 64 * 1024,
    IMAP_IN_MAX = 64 * 1024,
    IMAP_STAGING_MAX = IMAP_OUT_MAX - IMAP_TURN_BYTES,
    IMAP_ACCOUNT_BUCKETS = 1024,
    IMAP_MAP_BUCKETS = 256,
    IMAP_LOGIN_FAILURES_MAX = 3,
    IMAP_BAD_COMMANDS_MAX = 20,
    IMAP_COMMANDS_A_TURN = 8, /* of one session */
    ACCESS_STOP_GRACE_MS = 2000,
    IMAP_APPEND_MS = 120 * 1000, /* no octet of a message for so long: it holds memory that others could use */
};

struct imap_session;
struct imap_map;

struct access {
    struct loop *loop;
    struct view *view;
    struct vault_client *vault;
    struct gpg_seal_client *gpg;
    struct sealer *sealer;
    struct peers *peers;
    struct tls_ctx *tls;
    struct config config;
    struct imap_session *sessions;
    struct imap_session *by_account[IMAP_ACCOUNT_BUCKETS];
    struct imap_map *maps[IMAP_MAP_BUCKETS];
    struct buf staging; /* what a turn makes, before its snapshot is known to be good */
    uint64_t plaintext; /* octets of APPENDs in flight */
    uint64_t nsessions, logins, login_failures, commands, appended, fetched_bytes; /* counters for status */
    bool stopping;
};

enum imap_state { IMAP_STATE_NOT_AUTH = 1, IMAP_STATE_AUTH = 2, IMAP_STATE_SELECTED = 4 };

/* A selected mailbox as the client has been told of it. */
struct imap_selected {
    uint32_t mailbox, uidvalidity, exists, uidnext;
    uint64_t modseq;
    struct imap_map *map; /* NULL until a sequence number matters */
    uint64_t own[4];      /* changes of our own making, which the client knows already */
    uint8_t nown, nkeywords;
    bool readonly, dirty;
};

struct imap_command_def;
/* A command in work. Its arguments and its data live in the parser's arena until the next input is read: not before it
 * is done, unless it asked for a line. */
struct imap_job {
    struct imap_session *s;
    const struct imap_command_def *cmd;
    const struct imap_command *in;
    void (*step)(struct imap_job *j);                    /* output drained: go on (NULL: nothing to do) */
    void (*line)(struct imap_job *j, struct slice line); /* the line asked for; data NULL: it was malformed */
    void (*release)(struct imap_job *j);                 /* gives back what the arena does not hold */
    void *data;
    uint64_t request; /* at the vault; 0: none */
    bool done;
};

struct imap_session {
    struct access *a;
    struct conn *conn;
    struct imap_session *prev, *next, *acc_prev, *acc_next;
    struct imap_selected *sel;
    struct imap_job *job; /* &at_work, or NULL */
    struct imap_job at_work;
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
    IMAP_CMD_UID = 1 /* has a UID variant */,
    IMAP_CMD_NO_EXPUNGE = 4 /* RFC 3501 section 7.4.1: no EXPUNGE while it is in progress */,
    IMAP_CMD_NO_SYNC = 8,
    IMAP_CMD_MESSAGE = 16 /* takes a message as literal */
};
struct imap_command_def {
    const char *name;
    uint8_t states, flags;
    void (*run)(struct imap_job *j);
};
const struct imap_command_def *imap_command_find(const char *name);
/* The one place where capabilities are named. */
int imap_capability_write(const struct imap_session *s, struct buf *out);
bool imap_login_allowed(const struct imap_session *s);

/* ---- sessions (session.c) ---- */

struct imap_session *imap_session_create(struct access *a, int fd, bool tls_at_once);
void imap_session_destroy(struct imap_session *s);
void imap_session_bye(struct imap_session *s, const char *text); /* "* BYE text", then the end */
void imap_session_wake(struct imap_session *s);                  /* look at the input again at the end of this turn */
void imap_session_authenticated(struct imap_session *s, uint64_t account, const uint8_t password[RECORD_HASH_SIZE]);
void imap_session_unselect(struct imap_session *s);
int imap_session_write(struct imap_session *s, const void *data, size_t len); /* a failure ends the session */
void imap_session_printf(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct arena *imap_session_arena(struct imap_session *s); /* the parser's; NULL: no memory */

/* ---- jobs (job.c) ---- */

/* Ends the command with "tag text"; text begins with OK, NO or BAD. */
void imap_job_done(struct imap_job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same in two steps, for a last line of one's own: settle (what changed is told; not OK: the session is ending),
 * the line, close. */
int imap_job_settle(struct imap_job *j);
void imap_job_close(struct imap_job *j);
void imap_job_again(struct imap_job *j);                               /* step is called again in the next turn */
void imap_job_bad(struct imap_job *j, const char *why);                /* BAD, counted */
void imap_job_error(struct imap_job *j, int err);                      /* NO with RFC 5530's code for err */
void imap_job_no_message(struct imap_job *j);                          /* BAD: a sequence number beyond the mailbox */
void imap_job_set_error(struct imap_job *j, int err, const char *why); /* of imap_arg_uids; ERR_FORMAT: BAD why */
void *imap_job_alloc(struct imap_job *j, size_t size); /* zeroed, in the arena; NULL: the job has been answered */
int imap_job_request(struct imap_job *j, enum vault_request type, const struct pack *p, int fd,
                     vault_reply_fn *fn);   /* not OK: answered */
struct buf *imap_staging(struct access *a); /* cleared; for one turn */
int imap_staging_send(struct imap_session *s);

/* ---- arguments ---- */
int imap_arg_mailbox(const struct imap_node *n, char out[MAILBOX_NAME_MAX]); /* wire to UTF-8; INBOX in upper case */
int imap_put_mailbox(struct buf *out, const char *utf8);                     /* UTF-8 to wire, as astring */
size_t imap_arg_count(const struct imap_node *n);

/* ---- the mailbox map (map.c): which UIDs, in order; shared by the sessions of the process, never changed ---- */
/* Needs a snapshot. ERR_CONFLICT: what it was can no longer be told. */
int imap_map_get(struct access *a, uint64_t account, const struct imap_selected *sel, struct imap_map **ret);
void imap_map_unref(struct access *a, struct imap_map *m); /* NULL is allowed */
uint32_t imap_map_count(const struct imap_map *m);
uint32_t imap_map_last(const struct imap_map *m);                /* 0: empty */
uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq);   /* 1 <= seq <= count */
uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid);   /* 0: not in it */
uint32_t imap_map_from(const struct imap_map *m, uint32_t uid);  /* first member >= uid; 0: none */
uint32_t imap_map_below(const struct imap_map *m, uint32_t uid); /* how many are smaller */
/* Loads sel->map if it is not there; a whole snapshot of its own. */
int imap_session_map(struct imap_session *s);
/* The session's map still holds although the mailbox went on to modseq (only flags changed). */
void imap_map_extend(struct imap_map *m, uint64_t modseq);

/* ---- sets ---- */
/* sequence-set argument to ascending UID ranges that the session's map knows; loads the map. ERR_FORMAT: syntax;
 * ERR_NOT_FOUND: a sequence number beyond the mailbox. */
int imap_arg_uids(struct imap_job *j, const struct imap_node *n, bool uid, struct imap_set *ret);
/* The next batch of tight ranges for the vault: at most most (<= IMAP_BATCH_MAX) messages from *pos on (a UID; start
 * with 1). Returns ranges written; 0: the end. */
enum { IMAP_BATCH_MAX = 1024 };
void imap_pack_uid_ranges(struct pack *p, const struct imap_range *r, size_t n);
size_t imap_set_batch(const struct imap_map *m, const struct imap_set *set, uint32_t *pos, size_t most,
                      struct imap_range out[IMAP_BATCH_MAX]);
/* Those of set that the map knows and whose flag (IMAP_SEEN or IMAP_DELETED) is on or off, from the block bitmaps.
 * ret->r is malloc'd. A snapshot of its own. */
int imap_set_flagged(struct imap_session *s, const struct imap_set *set, unsigned flag, bool on, struct imap_set *ret);
int imap_put_set(struct buf *out, const uint32_t *uids, size_t n); /* compressed, in the order given */

/* ---- announcing (sync.c) ---- */
/* Tells the client what changed since it was last told. Called at a command's end and while idling. Not OK: the session
 * is ending. */
int imap_session_sync(struct imap_session *s, bool expunge);
void imap_sync_own(struct imap_session *s, uint64_t modseq); /* the client knows of this change */
int imap_put_flags(struct buf *out, uint64_t flags, const struct schema_mailbox_name *name); /* "(\Seen kw)" */
int imap_put_flag_lines(struct buf *out, const struct schema_mailbox_name *name,
                        bool readonly); /* FLAGS and PERMANENTFLAGS */

/* ---- commands ---- */
void imap_cmd_capability(struct imap_job *j), imap_cmd_noop(struct imap_job *j), imap_cmd_logout(struct imap_job *j),
    imap_cmd_id(struct imap_job *j), imap_cmd_enable(struct imap_job *j);
void imap_cmd_starttls(struct imap_job *j), imap_cmd_login(struct imap_job *j),
    imap_cmd_authenticate(struct imap_job *j), imap_cmd_namespace(struct imap_job *j);
void imap_cmd_list(struct imap_job *j), imap_cmd_lsub(struct imap_job *j), imap_cmd_status(struct imap_job *j),
    imap_cmd_select(struct imap_job *j), imap_cmd_examine(struct imap_job *j);
void imap_cmd_create(struct imap_job *j), imap_cmd_delete(struct imap_job *j), imap_cmd_rename(struct imap_job *j),
    imap_cmd_subscribe(struct imap_job *j), imap_cmd_unsubscribe(struct imap_job *j);
void imap_cmd_append(struct imap_job *j), imap_cmd_check(struct imap_job *j), imap_cmd_close(struct imap_job *j),
    imap_cmd_unselect(struct imap_job *j), imap_cmd_expunge(struct imap_job *j), imap_cmd_replace(struct imap_job *j);
void imap_cmd_search(struct imap_job *j), imap_cmd_fetch(struct imap_job *j), imap_cmd_store(struct imap_job *j),
    imap_cmd_copy(struct imap_job *j), imap_cmd_move(struct imap_job *j), imap_cmd_idle(struct imap_job *j);

/* APPEND and REPLACE stream: session.c hands on what the parser gives. */
void imap_append_data(struct imap_job *j, struct slice span);
void imap_append_end(struct imap_job *j);

/* STATUS items, shared with LIST RETURN (STATUS ...). */
enum {
    IMAP_STATUS_MESSAGES = 1,
    IMAP_STATUS_RECENT = 2,
    IMAP_STATUS_UIDNEXT = 4,
    IMAP_STATUS_UIDVALIDITY = 8,
    IMAP_STATUS_UNSEEN = 16,
    IMAP_STATUS_DELETED = 32,
    IMAP_STATUS_SIZE = 64
};
int imap_status_items(const struct imap_node *list, unsigned *ret);
int imap_put_status(struct buf *out, const char *name, const struct schema_mailbox *box, unsigned items);
extern const struct imap_use_name {
    const char *name;
    uint8_t use;
} imap_use_names[]; /* ends with NULL */

/* The last vault's last notices may be lost: everyone looks for themselves. */
void access_new_vault(struct access *a);
void access_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);

#endif
