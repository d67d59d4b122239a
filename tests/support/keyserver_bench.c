#include "tests/support/keyserver_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/http/router.h"
#include "store/engine_impl.h"
#include "store/published_impl.h"
#include "store/write.h"
#include "tests/support/published_cert.h"

enum { MADE = 1700000000, LONG_ID = 5500 /* octets of each user id */ };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "keyserver_bench: %s\n", what);
    abort();
}

/* ---- an engine that fails ---- */

static struct keyserver_bench *current;
static const struct engine_ops *real;
static struct engine_ops failing;

static int read_begin(struct engine *e, struct engine_txn **ret)
{
    return current->fail_begin ? current->fail_begin : real->read_begin(e, ret);
}

static int get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    current->gets++;
    return current->fail_get ? current->fail_get : real->get(t, part, key, ret);
}

static int scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    return current->fail_scan ? current->fail_scan : real->scan(t, part, from, to, flags, fn, arg);
}

static void open_engine(struct keyserver_bench *b)
{
    struct engine *inner;
    must(engine_mem_create(&inner) == OK && engine_fail_wrap(inner, &b->engine) == OK, "no engine");
    current = b;
    real = b->engine->ops;
    failing = *real;
    failing.read_begin = read_begin;
    failing.get = get;
    failing.scan = scan;
    b->engine->ops = &failing;
}

void keyserver_bench_overrun(struct keyserver_bench *b, unsigned n)
{
    engine_fail_overrun(b->engine, n);
}

/* ---- the directory ---- */

static void publish(struct store_write *w, const char *address, const struct forge_key *primary,
                    const struct forge_key *subkey, const char *const *user_ids)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    const size_t len = published_cert_of(primary, subkey, user_ids, cert, sizeof(cert));
    must(len && published_set(w, address, slice_of(cert, len), PUBLISH_KEY) == OK, address);
}

static struct forge_key key(int version, uint8_t algo, uint8_t seed)
{
    struct forge_key k;
    forge_key_make(&k, version, algo, MADE, seed);
    return k;
}

static void publish_long(struct store_write *w)
{
    static char ids[PGP_PUBLISHED_USER_IDS_MAX][LONG_ID + sizeof(LONG) + 3];
    const char *list[PGP_PUBLISHED_USER_IDS_MAX + 1] = {NULL};
    const struct forge_key primary = key(4, PGP_ED25519, 90), enc = key(4, PGP_X25519, 91);
    for (size_t i = 0; i < PGP_PUBLISHED_USER_IDS_MAX; i++) {
        memset(ids[i], ':', LONG_ID);
        ids[i][0] = (char)('0' + i);
        memcpy(ids[i] + LONG_ID, "<" LONG ">", sizeof("<" LONG ">"));
        list[i] = ids[i];
    }
    publish(w, LONG, &primary, &enc, list);
}

static void publish_adopters(struct keyserver_bench *b, struct store_write *w)
{
    char address[] = ADOPTS;
    for (char c = '0'; c <= '9'; c++) {
        address[6] = c;
        publish(w, address, &b->adopts, &b->ann, (const char *const[]){address, NULL});
    }
}

static void fill(struct keyserver_bench *b, struct store_write *w)
{
    const struct forge_key other = key(4, PGP_ED25519, 60), other_enc = key(4, PGP_X25519, 61);
    b->ann = key(4, PGP_ED25519, 1);
    b->ann_enc = key(4, PGP_X25519, 2);
    b->six = key(6, PGP_ED25519, 40);
    b->six_enc = key(6, PGP_X25519, 41);
    b->adopts = key(4, PGP_ED25519, 70);
    b->gone = key(4, PGP_ED25519, 80);
    must(schema_put_domain(w->t, w->keys, HOSTED, MADE) == OK, "no domain");
    publish(w, ANN, &b->ann, &b->ann_enc, (const char *const[]){"Ann-Lee: 100%\r\n\x01 <Ann@Example.org>", NULL});
    publish(w, POST, &b->ann, &b->ann_enc, (const char *const[]){"<" POST ">", NULL});
    publish(w, SIX, &b->six, &b->six_enc, (const char *const[]){"Six <" SIX ">", NULL});
    publish(w, JOERG, &other, &other_enc, (const char *const[]){"J\xc3\xb6rg <" JOERG ">", NULL});
    publish(w, HEX, &other, &other_enc, (const char *const[]){"<" HEX ">", NULL});
    publish(w, GONE, &b->gone, &other_enc, (const char *const[]){"<" GONE ">", NULL});
    must(published_set(w, GONE, slice_of("", 0), PUBLISH_WISH) == OK, GONE);
    publish_long(w);
    publish_adopters(b, w);
}

/* ---- what comes in ---- */

static bool wanted(void *arg)
{
    return !((struct keyserver_bench *)arg)->no_uploads;
}

static bool may(void *arg, const struct sockaddr_storage *peer)
{
    return !((struct keyserver_bench *)arg)->too_many;
}

static void verify(void *arg, const char *address, struct slice cert)
{
    struct handed *h = &((struct keyserver_bench *)arg)->handed;
    must(h->n < sizeof(h->address) / sizeof(h->address[0]) && cert.len <= sizeof(h->cert), "much is verified");
    memcpy(h->cert, cert.data, cert.len);
    h->len = cert.len;
    must(pgp_published_read(h->cert, h->len, &h->last) == OK && h->last.nuser_ids, "what is verified is not fit");
    for (size_t i = 0; i < h->last.nuser_ids; i++)
        must(published_names((void *)address, h->last.user_id[i].text, h->last.user_id[i].len), "and not of it alone");
    snprintf(h->address[h->n++], ADDRESS_MAX, "%s", address);
}

static int confirm(void *arg, const uint8_t token[UPLOAD_TOKEN_SIZE], void (*done)(void *asker, int status),
                   void *asker, uint64_t *ret_id)
{
    struct keyserver_bench *b = arg;
    if (b->fail_confirm)
        return b->fail_confirm;
    memcpy(b->handed.token, token, UPLOAD_TOKEN_SIZE);
    b->handed.done = done;
    b->handed.asker = asker;
    *ret_id = ++b->handed.confirmed;
    return OK;
}

static void forget(void *arg, uint64_t id)
{
    struct keyserver_bench *b = arg;
    must(id == b->handed.confirmed && b->handed.done, "another is forgotten");
    b->handed.done = NULL;
}

static int submission_key(void *arg, const char *domain, void (*done)(void *asker, int status, struct slice cert),
                          void *asker, uint64_t *ret_id)
{
    struct keyserver_bench *b = arg;
    b->key.times++;
    snprintf(b->key.domain, sizeof(b->key.domain), "%s", domain);
    if (b->key.fail)
        return b->key.fail;
    if (!b->key.later) {
        done(asker, OK, slice_str(SUBMISSION_KEY));
        return OK;
    }
    b->key.done = done;
    b->key.asker = asker;
    *ret_id = b->key.times;
    return OK;
}

static void forget_key(void *arg, uint64_t id)
{
    struct keyserver_bench *b = arg;
    must(id == b->key.times && b->key.done, "another key is forgotten");
    b->key.done = NULL;
}

void keyserver_bench_open(struct keyserver_bench *b)
{
    static const uint8_t root[RECORD_KEY_SIZE] = {1};
    static struct store_write w;
    memset(b, 0, sizeof(*b));
    must(sodium_init() >= 0 && (b->keys = record_keys_of_root(root)) != NULL, "no keys");
    open_engine(b);
    w = (struct store_write){.keys = b->keys, .account = PART_KEYSERVER, .now = MADE};
    must(engine_group_begin(b->engine, &w.t) == OK, "no group");
    fill(b, &w);
    must(engine_group_commit(w.t) == OK, "no commit");
    b->uploads = (struct keyserver_uploads){wanted, may, verify, confirm, forget, submission_key, forget_key, b};
    must(view_over(b->engine, b->keys, &b->view) == OK && keyserver_create(b->view, &b->uploads, &b->keyserver) == OK,
         "no memory");
}

void keyserver_bench_close(struct keyserver_bench *b)
{
    keyserver_destroy(b->keyserver);
    view_close(b->view);
    b->engine->ops = real;
    engine_close(b->engine);
    record_keys_destroy(b->keys);
}

/* ---- asking ---- */

struct asked {
    struct http_exchange x;
    struct answered *a;
};

static void answer(struct http_exchange *x, const struct http_reply *r)
{
    struct answered *a = ((struct asked *)x)->a; /* x comes first */
    a->times++;
    a->status = r->status;
    a->len = r->body.len;
    must(r->body.len <= sizeof(a->body) && strlen(r->type ? r->type : "") < sizeof(a->type), "a long answer");
    memcpy(a->body, r->body.data, r->body.len);
    snprintf(a->type, sizeof(a->type), "%s", r->type ? r->type : "");
}

static unsigned ask(struct keyserver_bench *b, enum http_method method, const char *host, struct slice target,
                    const char *type, struct slice body)
{
    const struct http_routes rows = keyserver_routes(b->keyserver);
    const uint8_t *mark = target.len ? memchr(target.data, '?', target.len) : NULL;
    const size_t path_len = mark ? (size_t)(mark - target.data) : target.len;
    struct http_request r = {.method = method, .tls = true, .host = host, .target = target, .type = type, .body = body};
    static struct asked asked;
    struct http_path path;
    struct http_match m;
    r.query = mark ? slice_of(mark + 1, target.len - path_len - 1) : slice_of("", 0);
    asked = (struct asked){{answer, NULL, NULL}, &b->a};
    b->waits = &asked.x;
    b->a.times = b->a.status = 0;
    unsigned status = http_path_read(slice_of(target.data, path_len), &path);
    if (!status)
        status = http_query_check(r.query);
    if (!status)
        status = http_route_find(&rows, 1, method, true, &path, &m);
    if (!status && body.len > m.row->body_max)
        status = 413;
    if (status)
        return status;
    r.path = path.text;
    memcpy(r.params, m.params, sizeof(r.params));
    m.row->handle(m.service, &asked.x, &r);
    return b->a.status;
}

unsigned keyserver_bench_ask(struct keyserver_bench *b, enum http_method method, const char *host, struct slice target)
{
    return ask(b, method, host, target, NULL, slice_of("", 0));
}

unsigned keyserver_bench_post(struct keyserver_bench *b, const char *path, const char *type, struct slice body)
{
    return ask(b, HTTP_POST, "example.org", slice_str(path), type, body);
}

unsigned keyserver_bench_get(struct keyserver_bench *b, const char *path, struct slice escaped)
{
    char target[HTTP_PATH_MAX + HTTP_QUERY_MAX];
    int n = snprintf(target, sizeof(target), "%s", path);
    for (size_t i = 0; i < escaped.len && (size_t)n + 4 < sizeof(target); i++)
        n += snprintf(target + n, sizeof(target) - (size_t)n, "%%%02X", escaped.data[i]);
    return keyserver_bench_ask(b, HTTP_GET, "example.org", slice_of(target, (size_t)n));
}
