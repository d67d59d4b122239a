/* The command line (docs/design.md section 7): one table of commands, one file a family. Exit status: 0 done, 1 refused
 * or failed (one line on stderr says why and what to do), 2 wrong usage. Account commands work with the server running
 * (through the control socket) and without it (the vault is started for the command). */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "server/base/config.h"
#include "server/core/wire.h"
#include "server/master/control.h"
#include "store/request.h"
#include "store/view.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };
enum {
    CLI_ARGS_MAX = 8,
    CLI_DIR_MAX = 400, /* of DIR's path, so that what is built from it fits */
    CLI_PATH_MAX = 1024,
    CLI_WHY_MAX = 1400,       /* a sentence that names a path */
    CLI_PASSPHRASE_MAX = 1023 /* what the terminal is asked for, and so what a file may hold */
};

/* Options a command may take; each long name stands once in the whole program. */
enum cli_option {
    OPT_DOMAIN,
    OPT_LOOPBACK,
    OPT_KEY,
    OPT_NEW_KEY,
    OPT_PASSPHRASE_FILE,
    OPT_LABEL,
    OPT_SCOPE,
    OPT_POLICY,
    OPT_QUOTA,
    OPT_SEAL_V2,
    OPT_ENCRYPT,
    OPT_FORWARD,
    OPT_FORWARD_ONLY,
    OPT_FORWARD_OWN_KEYS,
    OPT_PUBLISH,
    OPT_AUTOCRYPT,
    OPT_KEY_CHANGES,
    OPT_JSON,
    OPT_CANARY,
    OPT_STORE_KEY_FILE,
    OPT_CREDENTIAL_FILE,
    OPT_SINCE,
    OPT_UNTIL,
    OPT_WITH,
    OPT_BACKUP,
    OPT_NO_BACKUP,
    OPT_YES,
    OPT_ALL,
    OPT_BOUNCE,
    OPT_NOW,
    OPT_SERVER,
    OPT_EXCHANGE_KEY,
    OPT_FORM,
    OPT_ACCOUNT,
    OPT_DAYS,
    OPT_RESET,
    OPT_MONTH,
    OPTIONS
};

/* One invocation, options and operands taken apart. */
struct cli {
    const char *dir;          /* --dir or LETTERLOCK_DIR */
    const char *opt[OPTIONS]; /* NULL: not given; flags are "" */
    const char *arg[CLI_ARGS_MAX];
    size_t nargs;
    const char *command; /* "account add", for messages */
};

/* One line on stderr: "letterlock COMMAND: ...", control characters taken out. EXIT_REFUSED; EXIT_USAGE. */
int cli_fail(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what does not stop the command. */
void cli_mind(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err for people; of ERR_IO errno's words, so it comes right after what failed. */
const char *cli_err_str(int err);

/* What a command needs of an instance. */
struct instance {
    struct config config;
    char *config_text;
    size_t config_len;
    struct storekey_roots *roots; /* in secmem: approvals are signed with the store's */
    struct record_bundle *keys;   /* of every use, in secmem */
    struct view *view;            /* read side */
    int vault, judge;             /* channels, -1: not opened */
    bool running;                 /* a server serves DIR */
    struct offline *offline, *offline_judge, *offline_seal;
};
/* INSTANCE_VAULT: a channel to the vault is wanted; INSTANCE_VIEW: the read side; 0: the store key alone. Prints why on
 * failure; returns an exit status. */
enum { INSTANCE_VIEW = 1, INSTANCE_VAULT = 2 };
int instance_open(const struct cli *c, unsigned what, struct instance *ret);
/* backup.c: a copy of the store and the configuration in the new folder target. */
int cli_backup(const struct cli *c, struct instance *i, const char *target);
/* upgrade.c: all steps that are to be done, by a vault that may do them. */
int cli_upgrade(const struct cli *c, int vault);
/* What is wrong with a store that does not open; err of view_open or offline_vault. */
const char *instance_fault(int err);
/* What offline_vault needs to know of it. */
struct offline_params instance_offline(const struct cli *c, const struct instance *i);
/* The read side, later. Not OK: why says it in a sentence. */
int instance_view(const struct cli *c, struct instance *i, char why[CLI_WHY_MAX]);
/* The channel to the vault, later: what takes long before (a judgement) need not hold the instance's lock. */
int instance_vault(const struct cli *c, struct instance *i);
/* A channel to the judge, which stays until the instance is closed. */
int instance_judge(const struct cli *c, struct instance *i, int *ret_channel);
/* A channel to gpg seal, the caller's to close; a role that had to be started ends when the instance is closed. An
 * error, of which nothing is printed. */
int instance_seal(const struct cli *c, struct instance *i, int *ret_channel);
void instance_close(struct instance *i);
/* A channel that the running master hands out. */
int instance_ask_master(const struct cli *c, enum control_msg msg, int *ret_fd);
int instance_ask_passphrase(char *out, size_t cap);
int instance_read_config(const struct cli *c, struct config *ret, char **ret_text, size_t *ret_len);
/* One admin request; prints the vault's sentence on refusal. Returns an exit status; ret (may be NULL) is good until
 * the next call. */
int instance_call(const struct cli *c, struct instance *i, const struct vault_request *q, int fd,
                  struct vault_reply *ret);
/* The same with a descriptor that holds a certificate, which is approved with it. */
int instance_call_with(const struct cli *c, struct instance *i, const struct vault_request *q, struct slice cert,
                       int fd);
/* The same with a certificate as the descriptor, whose length q says already. */
int instance_call_cert(const struct cli *c, struct instance *i, const struct vault_request *q, const void *cert,
                       size_t len);
/* The account behind an exact address or alias. */
int instance_account(const struct cli *c, struct instance *i, const char *address, struct schema_account *ret);
/* Opens an instance, finds the account that the first operand names, has fn use both, closes. Exit statuses. */
typedef int account_fn(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg);
int instance_with_account(const struct cli *c, unsigned what, account_fn *fn, void *arg);
/* One admin request about that account, whose number is put into q. */
int instance_account_call(const struct cli *c, struct vault_request *q);
/* Runs write as view_run does, and prints what it wrote once that is known to be whole;
 * sorted: line by line. Returns an exit status. */
int instance_print(const struct cli *c, struct instance *i, bool sorted,
                   int (*write)(void *arg, struct view *v, FILE *out), void *arg);

const char *account_encrypt_name(uint8_t encrypt); /* as `account set --encrypt` takes it */
/* The same for the account that the first operand names, with an instance of its own; arg is its struct
 * schema_account. */
int instance_print_account(const struct cli *c, bool sorted, int (*write)(void *arg, struct view *v, FILE *out));

/* DIR/name, or name if it is absolute. */
void cli_path(const struct cli *c, const char *name, char out[CLI_PATH_MAX]);
/* dir/name. ERR_LIMIT. */
int cli_join(const char *dir, const char *name, char out[CLI_PATH_MAX]);
/* The whole path of what is there, in fewer than cap bytes. ERR_NOT_FOUND, ERR_LIMIT. */
int cli_resolve(const char *path, char *out, size_t cap);
/* Read all there is, at most max bytes; malloc'd, with a NUL behind. ERR_LIMIT, ERR_NOT_FOUND, ERR_IO. */
int cli_read_fd(int fd, size_t max, char **ret, size_t *ret_len);
int cli_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
int cli_read_given(const char *path, size_t max, char **ret, size_t *ret_len); /* "-" is the standard input */
/* Each argument in turn, whatever becomes of the others: the last status that is not EXIT_DONE. */
int cli_each(struct cli *c, int (*one)(struct cli *c, const char *arg));
/* Whole or not at all, and synced: written beside and renamed. There must be none yet: ERR_EXISTS, ERR_IO (errno). */
int cli_write_file(const char *path, const void *data, size_t len, unsigned mode);
/* The first line of a file or of an answer on the terminal. ERR_FORMAT: empty. ERR_UNSUPPORTED: no terminal. */
int cli_read_secret(const char *path, char *out, size_t cap);
const char *cli_secret_fault(int err); /* for people; right after cli_read_secret */
int cli_ask_secret(const char *prompt, char *out, size_t cap);
bool cli_read_fpr(const char *text, uint8_t fpr[PGP_FPR_MAX],
                  size_t *ret_len); /* a whole one; what it wrote counts if so */
void cli_print_fpr(FILE *out, const uint8_t *fpr, size_t len);
const char *cli_key_source(uint8_t from); /* of a correspondent's key (enum known_from) */
/* Foreign text on one line, and nothing that a terminal obeys: C0, DEL and C1 control characters become "?". */
void cli_tame(char *text);
bool cli_same_file_system(const char *a, const char *b);
const char *storekey_slot_name(unsigned slot);

/* Has a certificate judged for the account that the first operand names; name says in errors whose it is. Prints why on
 * refusal; returns an exit status. cert is malloc'd and minimal. With ret_revoked (may be NULL) a revoked one is no
 * refusal: ret then names its primary key, and there is no cert. */
int cli_judge(const struct cli *c, struct instance *i, const char *name, const void *text, size_t len,
              struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked);
/* A file with a certificate, as it is: malloc'd. Prints why; returns an exit status. */
int cli_read_cert(const struct cli *c, const char *path, char **ret, size_t *ret_len);
int cli_judge_file(const struct cli *c, struct instance *i, const char *path, struct pgp_verdict *ret,
                   uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked);
/* key_revoke.c: ends the account's key that a revocation, or a revoked certificate, is about; a forged one changes
 * nothing. Prints what came of it; returns an exit status. */
int key_revoke(const struct cli *c, struct instance *i, const struct schema_account *a, const char *text, size_t len);
/* A fresh pair for trials; the secret key goes to secret_path (0600), the certificate to *ret_cert (malloc'd). */
int cli_new_key(const struct cli *c, const char *address, const char *secret_path, uint8_t **ret_cert, size_t *ret_len);
/* A self-signed certificate and its key, where none are. ERR_CRYPTO, ERR_IO (errno). */
int cli_make_tls(const char *domain, const char *chain_path, const char *key_path);
/* What a systemd credential holds: malloc'd, to be wiped. Prints why; returns an exit status. */
int cli_read_credential(const struct cli *c, const char *path, char **ret, size_t *ret_len);
/* The strings audit looks for in files, and the search; see canary.c. */
struct canaries;
int canaries_read(const struct cli *c, const char *path, struct canaries **ret);
void canaries_destroy(struct canaries *k);
/* Every byte of every file below dir. Prints each hit and each file that cannot be read. An errno or 0. */
struct canary_counts {
    uint64_t files, bytes, found, unread;
};
int canaries_search(struct canaries *k, const char *dir, struct canary_counts *counts);

int command_init(struct cli *c);
int command_serve(struct cli *c);
int command_account_add(struct cli *c);
int command_account_list(struct cli *c);
int command_account_show(struct cli *c);
int command_account_set(struct cli *c);
int command_account_remove(struct cli *c);
int command_account_hold(struct cli *c);
int command_account_release(struct cli *c);
int command_suppression_list(struct cli *c);
int command_suppression_add(struct cli *c);
int command_suppression_remove(struct cli *c);
int command_correspondent_list(struct cli *c);
int command_correspondent_show(struct cli *c);
int command_correspondent_accept(struct cli *c);
int command_correspondent_forget(struct cli *c);
int command_alias_add(struct cli *c);
int command_alias_list(struct cli *c);
int command_alias_remove(struct cli *c);
int command_key_add(struct cli *c);
int command_key_list(struct cli *c);
int command_key_show(struct cli *c);
int command_key_messages(struct cli *c);
int command_key_current(struct cli *c);
int command_key_retire(struct cli *c);
int command_key_approve(struct cli *c);
int command_key_revoke(struct cli *c);
int command_key_publish(struct cli *c);
int command_key_log(struct cli *c);
int command_app_password_add(struct cli *c);
int command_app_password_list(struct cli *c);
int command_app_password_revoke(struct cli *c);
int command_invite(struct cli *c);
int command_invite_list(struct cli *c);
int command_invite_revoke(struct cli *c);
int command_session_list(struct cli *c);
int command_session_end(struct cli *c);
int command_factor_list(struct cli *c);
int command_factor_remove(struct cli *c);
int command_domain_add(struct cli *c);
int command_domain_list(struct cli *c);
int command_domain_remove(struct cli *c);
int command_domain_dns(struct cli *c);
int command_domain_report(struct cli *c);
int command_client_config(struct cli *c);
int command_dkim_list(struct cli *c);
int command_dkim_show(struct cli *c);
int command_dkim_rotate(struct cli *c);
int command_acme_run(struct cli *c);
int command_acme_hook(struct cli *c);
int command_status(struct cli *c);
int command_doctor(struct cli *c);
int command_discover(struct cli *c);
int command_reload(struct cli *c);
int command_audit(struct cli *c);
int command_backup(struct cli *c);
int command_restore(struct cli *c);
int command_trace(struct cli *c);
int command_dmarc_report(struct cli *c);
int command_tls_report(struct cli *c);
int command_unseal(struct cli *c);
int command_upgrade(struct cli *c);
int command_store_key_add(struct cli *c);
int command_store_key_list(struct cli *c);
int command_store_key_remove(struct cli *c);
int command_store_key_new_queue(struct cli *c);
int command_queue_list(struct cli *c);
int command_queue_show(struct cli *c);
int command_queue_retry(struct cli *c);
int command_queue_flush(struct cli *c);
int command_queue_hold(struct cli *c);
int command_queue_release(struct cli *c);
int command_queue_remove(struct cli *c);

#endif
