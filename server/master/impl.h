/* Between master's files. One struct master; one struct proc for each process that should run. */
#ifndef MASTER_IMPL_H
#define MASTER_IMPL_H

#include <sys/types.h>

#include "server/base/config.h"
#include "server/base/ipc.h"
#include "server/base/loop.h"
#include "server/base/role.h"
#include "server/master/control.h"
#include "server/master/log.h"
#include "server/master/log_pipe.h"
#include "server/master/master.h"
#include "server/master/mind.h"
#include "server/master/spawn.h"
#include "server/master/throttle.h"

/* What master read for its roles. */
struct files {
    struct config config;
    char *text; /* the configuration, as it stands in the file */
    size_t text_len;
    struct certs *certs; /* the first pair is that of tls_chain and tls_key */
    char *cert_faults;   /* pairs of DIR/tls that cannot be used, a line each; "" if there are none */
    char *policy;        /* relay.policy; "" if there is none */
    size_t policy_len;
    char *password; /* the smarthost's, in locked memory; "" if there is none */
};
enum { CONFIG_TEXT_MAX = 48 * 1024 };

/* Reads and checks everything; on failure ret is untouched and why says which file and what. former, or NULL: what is
 * served, of which those stay whose files cannot be used now. */
int files_load(const char *dir, const struct certs *former, struct files *ret, char *why, size_t why_cap);
/* Puts the configuration that counts in the place of the one that was read: a role that is started later must not learn
 * of what takes effect at the next start alone. Not OK: f is freed. ERR_MEMORY, ERR_LIMIT. */
int files_use(struct files *f, const struct config *c, char *why, size_t why_cap);
void files_free(struct files *f);

/* file_read.c: into locked memory, which sodium_free wipes. A file's kind says what it is to people, and what helps
 * where it is not there. */
struct file_kind {
    const char *name, *missing;
};
int file_read(const char *dir, const struct file_kind *kind, const char *name, size_t max, char **ret, size_t *ret_len,
              char *why, size_t why_cap);
/* tls_files.c: the set of certificates of DIR. ERR_FORMAT, ERR_LIMIT, ERR_IO: of the default, and why says it; what is
 * wrong with another pair is a line of *ret_faults (malloc'd). */
int tls_files_read(const char *dir, const struct config *c, const struct certs *former, struct certs **ret,
                   char **ret_faults, char *why, size_t why_cap);

/* The pages in which the processes of a role count together (server/base/tally.h); n 0: it is one process. */
struct tallies {
    uint32_t n;
    int own[TALLY_PAGES_MAX], read[TALLY_PAGES_MAX];
    uint8_t key[TALLY_KEY_SIZE];
};
int tallies_open(const struct config *c, struct tallies ret[ROLES]); /* for roles that listen. ERR_MEMORY */
void tallies_close(struct tallies t[ROLES]);

/* One socket a kind, shared by all instances of its role. */
int listeners_open(const struct config *c, int ret[LISTENERS], char *why, size_t why_cap);
/* From the terminal, or the file that $LETTERLOCK_PASSPHRASE_FILE names. */
int passphrase_ask(char *out, size_t cap);

enum proc_state { PROC_DOWN, PROC_STARTING, PROC_READY };
struct proc {
    struct master *master;
    enum role role;
    const struct role_row *row; /* of roles_table */
    uint32_t instance;
    enum proc_state state;
    bool due; /* down, and to be started as soon as its servers are there */
    pid_t pid;
    struct ipc *channel;
    struct log_pipe *log;
    struct timer *timer; /* down: the pause before the next start; starting: the time it has */
    unsigned failures;   /* deaths in a row */
    unsigned unanswered; /* the watchdog's questions since its last word */
    unsigned missing;    /* how often it has missed a server since it was given its channel */
    uint64_t restarts, hangs, ready_at;
    uint64_t memory;  /* the limit it was started with; 0: none */
    uint64_t said_ms; /* when its end was logged last */
    int said_status;  /* as waitpid gave it */
    unsigned unsaid;  /* ends since */
    uint8_t *status;  /* its last counters, as it sent them (checked); NULL: none */
    size_t status_len;
    bool status_due;
    bool trying; /* a login that master let through, and has not heard of since */
    uint64_t try_id;
    struct throttle_key try_key;
};

enum { PROCS_MAX = 160, CONTROL_CLIENTS_MAX = 16 };
enum { WATCHDOG_ID = 0 /* no command asked for this count */ };

struct control_client {
    struct master *master;
    struct ipc *ipc;          /* NULL: free */
    enum control_msg waiting; /* 0: nothing */
    uint64_t id, until;
};

/* The store's file as it was when the server took it. */
struct store_seen {
    dev_t dev;
    ino_t ino;
    off_t size;
    uint64_t said_ms; /* when a fault of it was logged last */
    unsigned unsaid;
};

/* Who wants to hear of the roles. */
struct roles_watcher {
    void (*on_ready)(struct master *m);
    void (*on_status)(struct proc *p, uint64_t id, struct slice counters);
};

struct master {
    struct loop *loop;
    struct challenges challenges;
    struct timer *challenge_timer;
    char dir[512];
    struct files files;
    struct record_bundle *keys; /* of every use, in secmem, for roles that are started; the root is gone */
    struct store_seen store;
    struct dir_lock lock;
    int listeners[LISTENERS];
    struct tallies tallies[ROLES];
    struct proc procs[PROCS_MAX];
    size_t nprocs;
    bool said_ready, stopping, failed;
    unsigned stop_stage;
    struct timer *stop_timer;
    struct watchdog_params watchdog;
    struct timer *watchdog_timer, *mind_timer;
    unsigned mind_hours;

    int control_fd;
    uid_t owner; /* of DIR: may use the control socket */
    struct watch *control_watch;
    struct control_client clients[CONTROL_CLIENTS_MAX];
    struct timer *control_timer;
    uint64_t status_id;
    struct roles_watcher watcher;
    struct throttle *throttle;
};

/* roles.c */
int roles_create(struct master *m); /* makes m->procs from roles_table and config */
void roles_start(struct master *m);
void roles_reap(struct master *m);     /* SIGCHLD */
void roles_stop(struct master *m);     /* ends the loop when all are gone */
void roles_reloaded(struct master *m); /* passes m->files on */
void roles_destroy(struct master *m);
struct proc *roles_server(struct master *m, enum role r);                          /* NULL: not ready */
int roles_connect(struct proc *server, enum role client, bool admin, int *ret_fd); /* a fresh channel to it */

/* logins.c: ROLE_MSG_LOGIN_. Not OK: a bad message. */
int logins_ask(struct proc *p, const struct ipc_msg *msg);
int logins_done(struct proc *p, const struct ipc_msg *msg);
int logins_forgive(struct proc *p, const struct ipc_msg *msg);
void logins_role_gone(struct proc *p); /* what it had in hand counts as failed */

/* store.c: the store's file. store_take: the one to be served; not OK: why says what is wrong and what to do */
int store_take(struct master *m, char *why, size_t why_cap);
int store_again(struct master *m);  /* before a vault is started. ERR_GONE: never again; other errors: not now */
void store_watch(struct master *m); /* says in the log what has become of it */
void store_mind(struct master *m, mind_fn *fn, void *arg);

/* limits.c */
void limits_raise(const struct config *c); /* tells in the log what they do not suffice for */

/* watchdog.c */
int watchdog_start(struct master *m);
void watchdog_end(struct master *m);

/* mind.c */
int mind_start(struct master *m); /* says it in the log, now and once a day; debug_names every hour */
void mind_end(struct master *m);
void mind_files(const char *dir, const struct files *f, mind_fn *fn, void *arg);
void mind_all(struct master *m, mind_fn *fn, void *arg); /* also what stands in the files and is not served */

/* reload.c: why gets what is to be minded, a line each */
int reload(struct master *m, char *why, size_t why_cap);

/* control_server.c */
int control_listen(struct master *m, char *why, size_t why_cap);
int control_start(struct master *m); /* once there is a loop */
void control_end(struct master *m);

#endif
