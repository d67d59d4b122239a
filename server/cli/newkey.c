/* A key pair for trials, made by GnuPG in a home of its own on memory. */
#include <errno.h>
#include <gpgme.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

enum { PASSPHRASE_CAP = CLI_PASSPHRASE_MAX + 1 };

struct pair_maker {
    const char *passphrase;
    gpgme_ctx_t ctx;
    char home[64];
};

struct pair {
    char *secret, *cert;
    size_t secret_len, cert_len;
};

static gpgme_error_t give_passphrase(void *arg, const char *hint, const char *info, int prev_bad, int fd)
{
    const struct pair_maker *m = arg;
    gpgme_io_writen(fd, m->passphrase, strlen(m->passphrase));
    gpgme_io_writen(fd, "\n", 1);
    return 0;
}

static int read_passphrase(const struct cli *c, char *out, size_t cap)
{
    const char *file = c->opt[OPT_PASSPHRASE_FILE];
    if (file) {
        int err = cli_read_secret(file, out, cap);
        if (err == ERR_FORMAT)
            *out = 0; /* an empty file means none */
        else if (err)
            return cli_fail(c, "cannot read a passphrase from %s: %s", file, cli_secret_fault(err));
        return EXIT_DONE;
    }
    char again[PASSPHRASE_CAP];
    if (cli_ask_secret("Passphrase for the new secret key", out, cap))
        return cli_fail(c, "no terminal to ask for a passphrase: give --passphrase-file FILE (an empty file means "
                           "none)");
    bool same = !cli_ask_secret("Once more", again, sizeof(again)) && !strcmp(again, out);
    explicit_bzero(again, sizeof(again));
    return same ? EXIT_DONE : cli_fail(c, "the two passphrases differ");
}

static void remove_home(const char *home)
{
    char command[192]; /* whatever fits in pair_maker.home, twice */
    snprintf(command, sizeof(command), "gpgconf --homedir %s --kill all >/dev/null 2>&1; rm -rf %s", home, home);
    if (system(command) != 0)
        fprintf(stderr, "letterlock: %s could not be removed\n", home);
}

static gpgme_error_t export_to(struct pair_maker *m, const char *fpr, gpgme_export_mode_t mode, char **ret,
                               size_t *ret_len)
{
    gpgme_data_t data;
    gpgme_error_t e = gpgme_data_new(&data);
    if (e)
        return e;
    gpgme_set_armor(m->ctx, mode & GPGME_EXPORT_MODE_SECRET ? 1 : 0);
    e = gpgme_op_export(m->ctx, fpr, mode, data);
    size_t len = 0;
    char *mem = gpgme_data_release_and_get_mem(data, &len);
    *ret = e || !len ? NULL : malloc(len);
    if (*ret)
        memcpy(*ret, mem, len);
    *ret_len = len;
    gpgme_free(mem);
    return !e && !*ret ? gpgme_error(GPG_ERR_NO_DATA) : e;
}

static gpgme_error_t make_pair(struct pair_maker *m, const char *address, struct pair *ret)
{
    gpgme_check_version(NULL);
    gpgme_error_t e = gpgme_new(&m->ctx);
    if (!e)
        e = gpgme_ctx_set_engine_info(m->ctx, GPGME_PROTOCOL_OpenPGP, NULL, m->home);
    if (!e)
        e = gpgme_set_pinentry_mode(m->ctx, GPGME_PINENTRY_MODE_LOOPBACK);
    if (e)
        return e;
    gpgme_set_passphrase_cb(m->ctx, give_passphrase, m);
    /* "future-default" gives an Ed25519 primary key and a Curve25519 subkey for encryption. */
    e = gpgme_op_createkey(m->ctx, address, "future-default", 0, 0, NULL,
                           GPGME_CREATE_NOEXPIRE | (*m->passphrase ? 0 : GPGME_CREATE_NOPASSWD));
    gpgme_genkey_result_t made = e ? NULL : gpgme_op_genkey_result(m->ctx);
    if (!e && (!made || !made->fpr))
        e = gpgme_error(GPG_ERR_GENERAL);
    if (e)
        return e;
    char fpr[80]; /* the result is gone with the next operation */
    snprintf(fpr, sizeof(fpr), "%s", made->fpr);
    e = export_to(m, fpr, GPGME_EXPORT_MODE_SECRET, &ret->secret, &ret->secret_len);
    return e ? e : export_to(m, fpr, 0, &ret->cert, &ret->cert_len);
}

int cli_new_key(const struct cli *c, const char *address, const char *secret_path, uint8_t **ret_cert, size_t *ret_len)
{
    char passphrase[PASSPHRASE_CAP];
    struct pair_maker m = {.passphrase = passphrase, .home = "/dev/shm/letterlock-new-XXXXXX"};
    struct pair pair = {.secret = NULL};
    if (access(secret_path, F_OK) == 0)
        return cli_fail(c, "%s exists: name a new file for the secret key", secret_path);
    int rc = read_passphrase(c, passphrase, sizeof(passphrase));
    if (rc)
        return rc;
    /* Whoever loses patience meanwhile must not leave a secret key behind. */
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (!mkdtemp(m.home)) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return cli_fail(c, "cannot make a folder in /dev/shm");
    }
    gpgme_error_t e = make_pair(&m, address, &pair);
    if (m.ctx)
        gpgme_release(m.ctx);
    remove_home(m.home);
    sigprocmask(SIG_SETMASK, &before, NULL);
    explicit_bzero(passphrase, sizeof(passphrase));
    if (e)
        rc = cli_fail(c, "gpg could not make the pair: %s", gpgme_strerror(e));
    else if (cli_write_file(secret_path, pair.secret, pair.secret_len, 0600))
        rc = cli_fail(c, "cannot write %s: %s", secret_path, strerror(errno));
    if (pair.secret)
        explicit_bzero(pair.secret, pair.secret_len);
    free(pair.secret);
    if (rc) {
        free(pair.cert);
        return rc;
    }
    *ret_cert = (uint8_t *)pair.cert;
    *ret_len = pair.cert_len;
    return EXIT_DONE;
}
