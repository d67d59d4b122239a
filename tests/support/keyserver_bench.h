/* The keyserver's rows over a directory in memory, asked by the router as who serves them asks. */
#ifndef TESTS_SUPPORT_KEYSERVER_BENCH_H
#define TESTS_SUPPORT_KEYSERVER_BENCH_H

#include "keyserver/keyserver.h"
#include "tests/support/pgp_forge.h"

#define ANN "ann@example.org"
#define POST "post@example.org" /* Ann's as well */
#define JOERG "j\xc3\xb6rg@xn--mller-kva.example"
#define SIX "six@example.org"        /* a certificate of version 6 */
#define HEX "abcdef@example.org"     /* whose local part is hexadecimal digits */
#define LONG "long@example.org"      /* as much as a certificate holds, most of it to be escaped */
#define GONE "gone@example.org"      /* was there once */
#define ADOPTS "adopts0@example.org" /* and 1 to 9: one certificate, with Ann's primary key for a subkey */

#define HOSTED "hosted.example" /* the domain that is */
#define SUBMISSION_KEY "a submission address's certificate"

struct answered {
    unsigned times, status;
    char type[64];
    size_t len;
    uint8_t body[256 * 1024];
};

/* What was handed on to be verified, and to the vault. */
struct handed {
    size_t n, confirmed;
    char address[64][ADDRESS_MAX];
    struct pgp_published last; /* whose octets are in cert */
    uint8_t cert[PGP_PUBLISHED_MAX], token[UPLOAD_TOKEN_SIZE];
    size_t len;
    void (*done)(void *asker, int status); /* NULL: nothing is asked */
    void *asker;
};

struct keyserver_bench {
    struct engine *engine;
    struct record_keys *keys;
    struct view *view;
    struct keyserver *keyserver;
    struct forge_key ann, ann_enc, six, six_enc, adopts, gone;
    struct keyserver_uploads uploads;
    struct handed handed;
    bool no_uploads, too_many;
    int fail_confirm;
    struct { /* asked for the key of a submission address */
        size_t times;
        char domain[DOMAIN_CAP];
        bool later;
        int fail;
        void (*done)(void *asker, int status, struct slice cert);
        void *asker;
    } key;
    struct http_exchange *waits;         /* was not answered */
    uint64_t gets;                       /* of the engine */
    int fail_begin, fail_get, fail_scan; /* what the engine answers instead; 0: its own */
    struct answered a;
};

/* It stands where it was made. Whatever fails ends the process. */
void keyserver_bench_open(struct keyserver_bench *b);
void keyserver_bench_close(struct keyserver_bench *b);
/* The snapshots of the next n questions are too old. */
void keyserver_bench_overrun(struct keyserver_bench *b, unsigned n);
/* target: path and query as they come. The status; what no handler answers is the router's. */
unsigned keyserver_bench_ask(struct keyserver_bench *b, enum http_method method, const char *host, struct slice target);
/* The same with a body: POST. */
unsigned keyserver_bench_post(struct keyserver_bench *b, const char *path, const char *type, struct slice body);
/* GET of the path for its host's name and with a text escaped behind it. */
unsigned keyserver_bench_get(struct keyserver_bench *b, const char *path, struct slice escaped);

#endif
