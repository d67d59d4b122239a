/* One certificate from the ACME server, by uacme: a program of its own, given a request and where it may ask us. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/certs.h"
#include "server/cli/acme.h"
#include "server/core/error.h"

enum { NOT_THERE = 127, SAID_MAX = 1000 };

/* What it said last, for people. */
static void read_said(int fd, char said[SAID_MAX])
{
    char part[512];
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++) {
            if (len == SAID_MAX - 1)
                memmove(said, said + 1, --len);
            said[len++] = part[i];
        }
    while (len && (said[len - 1] == '\n' || said[len - 1] == ' '))
        len--;
    said[len] = '\0';
    for (char *s = said; (s = strchr(s, '\n'));)
        *s = ' ';
    cli_tame(said);
}

static void become(char *const argv[], int out)
{
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(1);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? NOT_THERE : 1);
}

static int run(const struct acme *a, char *const argv[], char said[SAID_MAX])
{
    int out[2], status = 0;
    said[0] = '\0';
    if (pipe2(out, O_CLOEXEC))
        return cli_fail(a->cli, "%s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become(argv, out[1]);
    close(out[1]);
    if (pid > 0)
        read_said(out[0], said);
    close(out[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return cli_fail(a->cli, "%s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_THERE)
        return cli_fail(a->cli, "uacme is not installed: apt-get install uacme");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_DONE : EXIT_REFUSED;
}

/* uacme with what each call has, and what this one adds. */
static int uacme(const struct acme *a, const char *const more[], char said[SAID_MAX])
{
    const char *argv[16] = {"uacme", "-y", "-c", a->dir, "-h", a->hook};
    size_t n = 6;
    if (a->cli->opt[OPT_SERVER])
        argv[n++] = "-a", argv[n++] = a->cli->opt[OPT_SERVER];
    while (*more)
        argv[n++] = *more++;
    return run(a, (char *const *)argv, said);
}

/* An account that is there already is found by its key (RFC 8555 section 7.3.1). */
static int make_account(struct acme *a)
{
    static const char *const words[] = {"new", NULL};
    char said[SAID_MAX];
    if (a->has_account)
        return EXIT_DONE;
    int rc = uacme(a, words, said);
    if (rc && !strstr(said, "already exists"))
        return cli_fail(a->cli, "the ACME server gives no account: %s", said);
    a->has_account = true;
    return EXIT_DONE;
}

/* NULL: it is for that name and key, and valid now. */
static const char *wrong_with(const char *chain, size_t len, const char *name, EVP_PKEY *key)
{
    BIO *pem = BIO_new_mem_buf(chain, (int)len);
    X509 *x = pem ? PEM_read_bio_X509(pem, NULL, NULL, (void *)"") : NULL;
    const char *why = !x                                    ? "it is no certificate"
                      : X509_check_private_key(x, key) != 1 ? "it is for another key"
                      : X509_check_host(x, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1
                          ? "it is for another name"
                      : X509_cmp_current_time(X509_get0_notAfter(x)) < 0 ? "it has ended"
                                                                         : NULL;
    X509_free(x);
    BIO_free(pem);
    return why;
}

int acme_order(struct acme *a, const struct acme_pair *p, EVP_PKEY *key, char **ret_chain, size_t *ret_len)
{
    char request[CLI_PATH_MAX], answer[CLI_PATH_MAX], name[300], said[SAID_MAX];
    const char *const words[] = {"-f", "issue", request, NULL}, *why;
    int rc = make_account(a), err;
    if (rc)
        return rc;
    snprintf(name, sizeof(name), "%s.csr", p->name);
    if (cli_join(a->dir, name, request) ||
        (snprintf(name, sizeof(name), "%s-cert.pem", p->name), cli_join(a->dir, name, answer)))
        return cli_fail(a->cli, "the path of %s is too long", a->dir);
    err = acme_request_write(p->name, key, request);
    if (err)
        return cli_fail(a->cli, "%s: %s", request, cli_err_str(err));
    if (unlink(answer) && errno != ENOENT)
        return cli_fail(a->cli, "%s: %s", answer, strerror(errno));
    rc = uacme(a, words, said);
    unlink(request);
    if (rc)
        return *said ? cli_fail(a->cli, "%s: no certificate: %s", p->name, said) : rc;
    err = cli_read_file(answer, CERTS_CHAIN_MAX, ret_chain, ret_len);
    unlink(answer);
    if (err)
        return cli_fail(a->cli, "%s: uacme left no certificate: %s", p->name, cli_err_str(err));
    why = wrong_with(*ret_chain, *ret_len, p->name, key);
    if (!why)
        return EXIT_DONE;
    free(*ret_chain);
    return cli_fail(a->cli, "%s: the certificate that came is of no use: %s", p->name, why);
}
