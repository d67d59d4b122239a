/* What the tests of the gpg roles share: a folder with keys that gpg makes, roles as they run, judgements. */
#ifndef TESTS_SUPPORT_GPG_ROLES_H
#define TESTS_SUPPORT_GPG_ROLES_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/role.h"
#include "server/gpg/gpg.h"
#include "server/master/spawn.h"

extern char roles_dir[64], roles_home[80];
extern struct config roles_config;
extern char roles_config_text[IPC_MAX / 2];
extern size_t roles_config_len;

#define GPG "gpg --homedir %s --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --trust-model always "

int roles_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int roles_sh(const char *fmt, ...);
void roles_make_key(const char *name, const char *algo, const char *sub, const char *sub_usage, const char *expire,
                    const char *when);
uint8_t *roles_load(const char *file, size_t *len);

struct running {
    pid_t pid;
    int log, channel, peer;
};

struct running roles_spawn(enum role role);
void roles_end(struct running *r, bool peer_too);
extern struct running roles_judge;
struct gpg_judgement roles_judge_file(const char *file);
struct gpg_judgement roles_ask_for(const void *cert, size_t len, const char *address);
struct gpg_judgement roles_ask_text(const char *text);
void roles_expect_refused(struct gpg_judgement j, int status, const char *name, const char *word, const char *way_out);
int roles_setup(void);
int roles_teardown(void **state);

/* The executable is a role too, when it is started as one; any other argument chooses tests ("seal_*": for a run under
 * strace), and -1 says to run them. */
int roles_main(int argc, char **argv);

#endif
