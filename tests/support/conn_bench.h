/* A connection under test, plain or TLS, and a blocking client in a thread at its other end. */
#ifndef TESTS_SUPPORT_CONN_BENCH_H
#define TESTS_SUPPORT_CONN_BENCH_H

#include <openssl/err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/base/loop.h"
#include "server/base/tls.h"
#include "tests/support/tls_fixture.h"

extern struct fixture_pem pem;
extern struct tls_ctx *tls;

/* ---- the client ---- */

struct client {
    int fd;
    SSL *ssl;
    int (*run)(struct client *c); /* 0: as wanted */
    int result;
    size_t want;
    pthread_t thread;
};

long get(struct client *c, void *p, size_t n);
int put_all(struct client *c, const void *p, size_t n);
int get_all(struct client *c, void *p, size_t n);
int client_tls(struct client *c, int max_version);
void pause_ms(long ms);

/* The same bytes on both sides, different at every offset of a page. */
uint8_t byte_at(size_t i);

/* ---- the server ---- */

struct server {
    struct loop *loop;
    struct conn *conn;
    struct client client;
    size_t got, sent, total;
    bool wrong, destroyed;
    int ended; /* how often on_end came */
    enum conn_end why;
    int tls_done, drains, datas;
    bool destroy_in_data, destroy_in_drain, destroy_in_tls;
    struct timer *timer;
    char seen[256];
    size_t nseen;
};

void on_end(void *arg, enum conn_end why);
void on_tls(void *arg);
void on_drain(void *arg);
void echo(void *arg);
void count_data(void *arg);
extern const struct conn_ops echo_ops;
extern const struct conn_ops count_ops;
extern const struct conn_params small;
void start(struct server *s, const struct conn_ops *ops, const struct conn_params *p, int (*client)(struct client *));
void run(struct server *s);

enum { SPLIT = 600, LARGE = 3 * 1024 * 1024 };

void stream_more(void *arg);

#endif
