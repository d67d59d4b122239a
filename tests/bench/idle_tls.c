/* What an idle TLS connection costs: bytes of heap and of resident memory each, kernel sockets not counted. A child
 * process makes the handshakes; the parent holds the server sides, each having echoed one line.
 * usage: idle_tls [connections [most bytes of heap each]] */
#include <openssl/err.h>

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "tests/support/tls_fixture.h"

static unsigned long done, total = 2000;
static struct loop *loop;
static struct conn **conns;

static void on_data(void *arg)
{
    struct conn **c = arg;
    struct buf *in = conn_in(*c);

    if (conn_write(*c, in->data, in->len) != OK)
        abort();
    buf_consume(in, in->len);
    if (++done == total)
        loop_stop(loop);
}

static void on_drain(void *arg)
{
}

static void on_end(void *arg, enum conn_end why)
{
    fprintf(stderr, "a connection ended: %d\n", (int)why);
    exit(1);
}

static long resident(void)
{
    long pages = 0, size;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
        exit(1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void client(const int *fds)
{
    SSL_CTX *ctx = fixture_client_ctx(getenv("TLS12") ? TLS1_2_VERSION : 0);

    for (unsigned long i = 0; i < total; i++) {
        SSL *ssl = SSL_new(ctx);
        char b[4];

        SSL_set_fd(ssl, fds[i]);
        if (SSL_connect(ssl) != 1 || SSL_write(ssl, "hi\r\n", 4) != 4 || SSL_read(ssl, b, 4) != 4)
            _exit(1);
        SSL_free(ssl);
    }
    pause();
}

int main(int argc, char **argv)
{
    static const struct conn_ops ops = {on_data, on_drain, NULL, on_end};
    static const struct conn_params params = {.in_max = 65536, .out_max = 262144, .out_low = 65536};
    struct rlimit files;
    struct fixture_pem pem;
    struct tls_ctx *tls;
    size_t heap, each, most = 0;
    long rss;
    int *fds;
    pid_t pid;

    if (argc > 1)
        total = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        most = strtoul(argv[2], NULL, 10);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    fixture_make(&pem);
    loop = loop_create();
    conns = calloc(total, sizeof(*conns));
    fds = calloc(total, sizeof(*fds));
    if (!loop || !conns || !fds ||
        tls_ctx_create(TLS_SMTP, pem.chain, pem.chain_len, pem.key, pem.key_len, &tls, NULL) != OK)
        return 1;
    heap = mallinfo2().uordblks;
    rss = resident();
    for (unsigned long i = 0; i < total; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
            perror("socketpair");
            return 1;
        }
        fds[i] = pair[1];
        conns[i] = conn_create(loop, pair[0], &params, &ops, &conns[i]);
        conn_set_timeout(conns[i], 1860000);
    }
    printf("%lu connections: before TLS %zu bytes of heap each\n", total, (mallinfo2().uordblks - heap) / total);
    for (unsigned long i = 0; i < total; i++)
        if (conn_start_tls(conns[i], tls) != OK)
            return 1;
    pid = fork();
    if (pid == 0)
        client(fds);
    loop_run(loop);
    each = (mallinfo2().uordblks - heap) / total;
    printf("with TLS, idle: %zu bytes of heap each, %ld bytes resident each (%s)\n", each,
           (resident() - rss) / (long)total, conn_tls_info(conns[0]));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (unsigned long i = 0; i < total; i++)
        conn_destroy(conns[i]);
    tls_ctx_unref(tls);
    loop_destroy(loop);
    return most && each > most;
}
