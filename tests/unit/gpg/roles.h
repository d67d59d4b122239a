/* What the tests of the gpg roles share: a folder with keys that gpg makes, roles as they run, judgements. */
#ifndef TESTS_GPG_ROLES_H
#define TESTS_GPG_ROLES_H

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

static char dir[64], home[80];
static struct config config;
static char config_text[IPC_MAX / 2];
static size_t config_len;

#define GPG "gpg --homedir %s --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --trust-model always "

static inline int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline int sh(const char *fmt, ...)
{
    char cmd[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    return system(cmd);
}

static inline void make_key(const char *name, const char *algo, const char *sub, const char *sub_usage,
                            const char *expire, const char *when)
{
    char fake[64] = "";
    if (when)
        snprintf(fake, sizeof(fake), "--faked-system-time %s", when);
    assert_int_equal(sh(GPG "%s --quick-gen-key %s@example.org %s sign %s 2>/dev/null", home, fake, name, algo, expire),
                     0);
    if (sub)
        assert_int_equal(sh(GPG "%s --quick-add-key $(gpg --homedir %s --with-colons --list-keys %s@example.org "
                                "2>/dev/null | awk -F: '/^fpr/{print $10; exit}') %s %s %s 2>/dev/null",
                            home, fake, home, name, sub, sub_usage, expire),
                         0);
    assert_int_equal(sh(GPG "--export %s@example.org >%s/%s.pub 2>/dev/null", home, name, dir, name), 0);
}

static inline uint8_t *load(const char *file, size_t *len)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no %s", path);
    uint8_t *data = malloc(1 << 21);
    *len = fread(data, 1, 1 << 21, f);
    fclose(f);
    return data;
}

struct running {
    pid_t pid;
    int channel, peer;
};

static inline struct running start(enum role role)
{
    struct running r;
    int pair[2];
    struct spawn_params p = {
        .role = role, .dir = dir, .config = &config, .config_text = config_text, .config_len = config_len};
    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    assert_int_equal(ipc_pair(pair), OK);
    p.peers[ROLE_MASTER] = pair[1];
    assert_int_equal(spawn_role(&p, &r.pid, &r.channel), OK);
    close(pair[1]);
    assert_int_equal(spawn_wait_ready(r.channel, 20000), OK);
    r.peer = pair[0];
    return r;
}

static inline void stop(struct running *r, bool peer_too)
{
    int status = -1;
    ipc_send_blocking(r->channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0);
    waitpid(r->pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(r->channel);
    if (peer_too)
        close(r->peer);
}

static struct running judge;

static inline struct gpg_judgement judge_file(const char *file)
{
    struct gpg_judgement j;
    size_t len;
    uint8_t *data = load(file, &len);
    char address[64];
    const char *const addresses[] = {address};
    snprintf(address, sizeof(address), "%.*s@example.org", (int)strcspn(file, "."), file); /* as make_key names it */
    int err = gpg_judge_call(judge.peer, data, len, addresses, 1, &j);
    free(data);
    assert_int_equal(err, j.status);
    return j;
}

static inline struct gpg_judgement ask_for(const void *cert, size_t len, const char *address)
{
    struct gpg_judgement j;
    int err = gpg_judge_call(judge.peer, cert, len, &address, 1, &j);
    assert_int_equal(err, j.status);
    assert_true((j.status == OK) == (j.cert != NULL) && !strchr(j.why, '\n'));
    if (j.status != OK && !*j.why)
        fail_msg("refused without a word");
    return j;
}

static inline struct gpg_judgement ask_text(const char *text)
{
    return ask_for(text, strlen(text), "ada@example.org");
}

static inline void expect_refused(struct gpg_judgement j, int status, const char *name, const char *word,
                                  const char *way_out)
{
    if (j.status != status || !strstr(j.why, word) || !strstr(j.why, way_out))
        fail_msg("%s: %d \"%s\"", name, j.status, j.why);
}

static inline int roles_setup(void)
{
    strcpy(dir, "/tmp/letterlock-test-gpg-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(home, sizeof(home), "%s/home", dir);
    sh("mkdir -m 700 %s", home);
    signal(SIGPIPE, SIG_IGN);
    config_defaults(&config);
    strcpy(config.domain, "mail.example.org");
    config_len = (size_t)config_write(&config, config_text, sizeof(config_text));
    return 0;
}

static inline int roles_teardown(void **state)
{
    sh("gpgconf --homedir %s --kill all; rm -rf %s", home, dir); /* first: it must happen whatever fails */
    if (judge.pid)
        stop(&judge, true);
    return 0;
}

/* The executable is a role too, when it is started as one; any other argument chooses tests ("seal_*": for a run under
 * strace), and -1 says to run them. */
static inline int roles_main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "role:gpg-judge"))
        return gpg_judge_main();
    if (argc == 2 && !strcmp(argv[1], "role:gpg-seal"))
        return gpg_seal_main();
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return -1;
}

#endif
