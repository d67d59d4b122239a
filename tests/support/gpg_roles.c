#include "tests/support/gpg_roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

char roles_dir[64], roles_home[80];

struct config roles_config;

char roles_config_text[IPC_MAX / 2];

size_t roles_config_len;

static int run(int tries, const char *fmt, va_list ap)
{
    char cmd[2048];
    int status = -1;
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    while (status != 0 && tries-- > 0)
        status = system(cmd);
    return status;
}

int roles_sh(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = run(1, fmt, ap);
    va_end(ap);
    return status;
}

/* gpg gives an agent that it starts some seconds to answer, and fails without: then it is asked once more. */
static int make(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = run(2, fmt, ap);
    va_end(ap);
    return status;
}

void roles_make_key(const char *name, const char *algo, const char *sub, const char *sub_usage, const char *expire,
                    const char *when)
{
    char fake[64] = "";
    if (when)
        snprintf(fake, sizeof(fake), "--faked-system-time %s", when);
    assert_int_equal(make(GPG "%s --quick-gen-key %s@example.org %s sign %s 2>/dev/null", roles_home, fake, name, algo,
                          expire),
                     0);
    if (sub)
        assert_int_equal(make(GPG "%s --quick-add-key $(gpg --homedir %s --with-colons --list-keys %s@example.org "
                                  "2>/dev/null | awk -F: '/^fpr/{print $10; exit}') %s %s %s 2>/dev/null",
                              roles_home, fake, roles_home, name, sub, sub_usage, expire),
                         0);
    assert_int_equal(roles_sh(GPG "--export %s@example.org >%s/%s.pub 2>/dev/null", roles_home, name, roles_dir, name),
                     0);
}

uint8_t *roles_load(const char *file, size_t *len)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", roles_dir, file);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no %s", path);
    uint8_t *data = malloc(1 << 21);
    *len = fread(data, 1, 1 << 21, f);
    fclose(f);
    return data;
}

struct running roles_spawn(enum role role)
{
    struct running r;
    int pair[2];
    struct spawn_params p = {.role = role,
                             .dir = roles_dir,
                             .config = &roles_config,
                             .config_text = roles_config_text,
                             .config_len = roles_config_len};
    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    assert_int_equal(ipc_pair(pair), OK);
    p.peers[ROLE_MASTER] = pair[1];
    assert_int_equal(spawn_role(&p, &r.pid, &r.channel, &r.log), OK);
    close(pair[1]);
    assert_int_equal(spawn_wait_ready(r.channel, 20000), OK);
    r.peer = pair[0];
    return r;
}

void roles_end(struct running *r, bool peer_too)
{
    int status = -1;
    ipc_send_blocking(r->channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0);
    waitpid(r->pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(r->channel);
    close(r->log);
    if (peer_too)
        close(r->peer);
}

struct running roles_judge;

struct gpg_judgement roles_judge_file(const char *file)
{
    struct gpg_judgement j;
    size_t len;
    uint8_t *data = roles_load(file, &len);
    char address[64];
    const char *const addresses[] = {address};
    snprintf(address, sizeof(address), "%.*s@example.org", (int)strcspn(file, "."), file); /* as make_key names it */
    int err = gpg_judge_call(roles_judge.peer, data, len, addresses, 1, &j);
    free(data);
    assert_int_equal(err, j.status);
    return j;
}

struct gpg_judgement roles_ask_for(const void *cert, size_t len, const char *address)
{
    struct gpg_judgement j;
    int err = gpg_judge_call(roles_judge.peer, cert, len, &address, 1, &j);
    assert_int_equal(err, j.status);
    assert_true((j.status == OK) == (j.cert != NULL) && !strchr(j.why, '\n'));
    if (j.status != OK && !*j.why)
        fail_msg("refused without a word");
    return j;
}

struct gpg_judgement roles_ask_text(const char *text)
{
    return roles_ask_for(text, strlen(text), "ada@example.org");
}

void roles_expect_refused(struct gpg_judgement j, int status, const char *name, const char *word, const char *way_out)
{
    if (j.status != status || !strstr(j.why, word) || !strstr(j.why, way_out))
        fail_msg("%s: %d \"%s\"", name, j.status, j.why);
}

int roles_setup(void)
{
    strcpy(roles_dir, "/tmp/letterlock-test-gpg-XXXXXX");
    if (!mkdtemp(roles_dir))
        return -1;
    snprintf(roles_home, sizeof(roles_home), "%s/home", roles_dir);
    roles_sh("mkdir -m 700 %s", roles_home);
    signal(SIGPIPE, SIG_IGN);
    config_defaults(&roles_config);
    strcpy(roles_config.domain, "mail.example.org");
    roles_config_len = (size_t)config_write(&roles_config, roles_config_text, sizeof(roles_config_text));
    return 0;
}

int roles_teardown(void **state)
{
    roles_sh("gpgconf --homedir %s --kill all; rm -rf %s", roles_home,
             roles_dir); /* first: it must happen whatever fails */
    if (roles_judge.pid)
        roles_end(&roles_judge, true);
    return 0;
}

int roles_main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "role:gpg-judge"))
        return gpg_judge_main();
    if (argc == 2 && !strcmp(argv[1], "role:gpg-seal"))
        return gpg_seal_main();
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return -1;
}
