#include "server/doctor/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"

enum { CONNECT_MS = 10 * 1000, REPLY_SECONDS = 20, LINES_MAX = 100, LINE_CAP = 1024 };

static int wait_connected(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int err = 0;
    socklen_t len = sizeof(err);

    if (poll(&p, 1, CONNECT_MS) == 0)
        return ERR_TIMEOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        return ERR_IO;
    errno = err;
    return err ? ERR_IO : OK;
}

int visit_connect(const struct sockaddr *to, socklen_t len, const struct sockaddr *source, socklen_t source_len,
                  int *ret_fd)
{
    const struct timeval limit = {.tv_sec = REPLY_SECONDS};
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = OK, why;

    if (fd < 0)
        return ERR_IO;
    if ((source && bind(fd, source, source_len) != 0) || (connect(fd, to, len) != 0 && errno != EINPROGRESS))
        err = ERR_IO;
    else
        err = wait_connected(fd);
    if (err == OK && (fcntl(fd, F_SETFL, 0) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
                      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit))))
        err = ERR_IO;
    if (err == OK) {
        *ret_fd = fd;
        return OK;
    }
    why = errno;
    close(fd);
    errno = why;
    return err;
}

/* An octet at a time: what follows the line belongs to TLS. */
static int read_line(int fd, char out[LINE_CAP], time_t until)
{
    size_t n = 0;

    for (;;) {
        ssize_t got = time(NULL) > until ? 0 : read(fd, out + n, 1);
        if (got < 0)
            return errno == EAGAIN ? ERR_TIMEOUT : ERR_GONE;
        if (got == 0)
            return time(NULL) > until ? ERR_TIMEOUT : ERR_GONE;
        if (out[n] == '\n')
            break;
        if (n < LINE_CAP - 1)
            n++; /* the rest of a longer one is not of interest */
    }
    while (n && out[n - 1] == '\r')
        n--;
    out[n] = '\0';
    return OK;
}

int visit_greeting(int fd, char out[VISIT_GREETING_CAP])
{
    char line[LINE_CAP];
    int err = read_line(fd, line, time(NULL) + REPLY_SECONDS);

    if (err == OK)
        snprintf(out, VISIT_GREETING_CAP, "%.*s", VISIT_GREETING_CAP - 1, line);
    return err;
}

/* ---- to where TLS begins ---- */

struct step {
    const char *command; /* NULL: the server speaks first */
    const char *good;    /* how the last line of its reply begins */
    const char *more;    /* a line that begins so is not the last */
};

static bool begins(const char *line, const char *with)
{
    return strncasecmp(line, with, strlen(with)) == 0;
}

static int take_step(int fd, const struct step *s, time_t until)
{
    char line[LINE_CAP];
    int err = OK;

    if (s->command && write(fd, s->command, strlen(s->command)) != (ssize_t)strlen(s->command))
        return ERR_GONE;
    for (int n = 0; n < LINES_MAX; n++) {
        err = read_line(fd, line, until);
        if (err != OK)
            return err;
        if (!begins(line, s->more))
            return begins(line, s->good) ? OK : ERR_DENIED;
    }
    return ERR_DENIED;
}

static int go_to_tls(int fd, enum visit_way way)
{
    static const struct step smtp[] = {{NULL, "220", "220-"},
                                       {"EHLO localhost\r\n", "250", "250-"},
                                       {"STARTTLS\r\n", "220", "220-"},
                                       {NULL, NULL, NULL}};
    static const struct step imap[] = {{NULL, "* OK", "+"}, {"a STARTTLS\r\n", "a OK", "*"}, {NULL, NULL, NULL}};
    const time_t until = time(NULL) + REPLY_SECONDS;
    int err = OK;

    if (way == VISIT_TLS)
        return OK;
    for (const struct step *s = way == VISIT_SMTP ? smtp : imap; s->good && err == OK; s++)
        err = take_step(fd, s, until);
    return err;
}

int visit_certificates(int fd, enum visit_way way, const char *name, struct chain **ret)
{
    int err = go_to_tls(fd, way);
    SSL_CTX *ctx;
    SSL *ssl;

    if (err != OK)
        return err;
    ctx = SSL_CTX_new(TLS_client_method());
    ssl = ctx ? SSL_new(ctx) : NULL;
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
        err = ERR_MEMORY;
    else if (SSL_connect(ssl) != 1)
        err = ERR_CRYPTO;
    else
        err = chain_of_peer(ssl, ret);
    if (err == OK)
        (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return err;
}
