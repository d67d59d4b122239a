/* The command line (design section 7): one table of commands, one file a family. Exit status: 0 done, 1 refused or failed (one line on stderr says why and what to do),
 * 2 wrong usage. Account commands work with the server running (through the control socket) and without it (the vault is started for the command). */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/config.h"
#include "server/base/wire.h"
#include "store/request.h"
#include "store/view.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };
enum { CLI_ARGS_MAX = 8 };

/* Options a command may take; each long name stands once in the whole program. */
enum cli_option {
    OPT_DOMAIN, OPT_LOOPBACK, OPT_KEY, OPT_NEW_KEY, OPT_PASSPHRASE_FILE, OPT_LABEL, OPT_SCOPE, OPT_POLICY, OPT_QUOTA, OPT_JSON,
    OPT_CANARY, OPT_STORE_KEY_FILE, OPT_PASSPHRASE, OPTIONS
};

/* One invocation, options and operands taken apart. */
struct cli {
    const char *dir;              /* --dir or LETTERLOCK_DIR */
    const char *opt[OPTIONS];     /* NULL: not given; flags are "" */
    const char *arg[CLI_ARGS_MAX];
    size_t nargs;
    const char *command;          /* "account add", for messages */
};

/* One line on stderr: "letterlock COMMAND: ..."; returns EXIT_REFUSED. */
int cli_fail(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a command needs of an instance. */
struct instance {
    struct config config;
    char *config_text; size_t config_len;
    uint8_t *key;                 /* the store key, in secmem */
    struct view *view;            /* read side */
    int vault;                    /* admin channel */
    bool running;                 /* a server serves DIR */
    struct offline *offline;
};
/* INSTANCE_VAULT: a channel to the vault is wanted; INSTANCE_VIEW: the read side. Prints why on failure; returns an exit status. */
enum { INSTANCE_VIEW = 1, INSTANCE_VAULT = 2 };
int instance_open(const struct cli *c, unsigned what, struct instance *ret);
void instance_close(struct instance *i);
int instance_read_config(const struct cli *c, struct config *ret, char **ret_text, size_t *ret_len);
/* One admin request; prints the vault's sentence on refusal. Returns an exit status; body (may be NULL) points into a static buffer. */
int instance_call(const struct cli *c, struct instance *i, enum vault_request type, const struct pack *p, int fd, struct unpack *ret_body);
/* The account behind an exact address or alias. */
int instance_account(const struct cli *c, struct instance *i, const char *address, struct schema_account *ret);
/* Runs read under a snapshot until it was read in time; read returns 0 or an ERR_. */
int instance_snapshot(struct instance *i, int (*read)(void *arg, struct view *v), void *arg);

/* Reads a whole file, at most max bytes; malloc'd, with a NUL behind. ERR_LIMIT, ERR_NOT_FOUND, ERR_IO. */
int cli_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
int cli_write_file(const char *path, const void *data, size_t len, unsigned mode, bool exclusive);
/* Asks on the terminal without echo. ERR_UNSUPPORTED: no terminal. */
int cli_ask_secret(const char *prompt, char *out, size_t cap);
int cli_memfd(const void *data, size_t len);
void cli_print_fpr(const uint8_t *fpr, size_t len);

/* Lets gpg judge a certificate. Prints why on refusal; returns an exit status. cert is malloc'd and minimal. */
int cli_judge(const struct cli *c, const struct instance *i, const char *path, struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len);
/* A fresh pair for trials; the secret key goes to secret_path (0600), the certificate to *ret_cert. */
int cli_new_key(const struct cli *c, const char *address, const char *secret_path, uint8_t **ret_cert, size_t *ret_len);

int command_init(struct cli *c);
int command_serve(struct cli *c);
int command_account_add(struct cli *c);
int command_account_list(struct cli *c);
int command_account_show(struct cli *c);
int command_account_set(struct cli *c);
int command_account_remove(struct cli *c);
int command_alias_add(struct cli *c);
int command_alias_list(struct cli *c);
int command_alias_remove(struct cli *c);
int command_key_add(struct cli *c);
int command_key_list(struct cli *c);
int command_key_retire(struct cli *c);
int command_app_password_add(struct cli *c);
int command_app_password_list(struct cli *c);
int command_app_password_revoke(struct cli *c);
int command_domain_add(struct cli *c);
int command_domain_list(struct cli *c);
int command_domain_remove(struct cli *c);
int command_domain_dns(struct cli *c);
int command_status(struct cli *c);
int command_reload(struct cli *c);
int command_audit(struct cli *c);
int command_backup(struct cli *c);
int command_restore(struct cli *c);
int command_unseal(struct cli *c);
int command_store_key_add(struct cli *c);
int command_store_key_list(struct cli *c);
int command_store_key_remove(struct cli *c);

#endif
