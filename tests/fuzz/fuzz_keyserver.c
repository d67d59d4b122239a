/* Any bytes as a path and a query, for a directory of a few certificates: whatever is asked is answered once, as one of
 * few things, with nothing but certificates that are published, whole; and twice the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "keyserver/impl.h"
#include "server/core/error.h"
#include "tests/support/keyserver_bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keyserver_bench b;

static void must(int ok)
{
    if (!ok)
        abort();
}

static void check_index(const struct answered *a)
{
    static const char head[] = "info:1:1\npub:";
    size_t lines = 0;
    must(a->len > sizeof(head) && !memcmp(a->body, head, sizeof(head) - 1) && a->body[a->len - 1] == '\n');
    for (size_t i = 0; i < a->len; i++) {
        must(a->body[i] == '\n' || (a->body[i] > 0x20 && a->body[i] < 0x7f));
        lines += a->body[i] == '\n';
    }
    must(lines > 2 && lines <= 2 + PGP_PUBLISHED_USER_IDS_MAX);
}

static void check_found(const struct answered *a)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    struct pgp_published p;
    size_t len = a->len, begin, end;
    if (!a->len) /* a policy */
        return;
    if (!strcmp(a->type, "text/plain; charset=utf-8")) {
        check_index(a);
        return;
    }
    if (!strcmp(a->type, "application/pgp-keys")) {
        must(pgp_armor_decode(a->body, a->len, "PUBLIC KEY BLOCK", cert, sizeof(cert), &len, &begin, &end) == OK);
        must(begin == 0 && end == a->len);
    } else {
        must(!strcmp(a->type, "application/octet-stream") && len <= sizeof(cert));
        memcpy(cert, a->body, len);
    }
    must(pgp_published_read(cert, len, &p) == OK && p.nuser_ids);
    must(memcmp(p.key[0].fpr, b.gone.fpr, sizeof(b.gone.fpr)) != 0);
}

static void check(const struct answered *a, unsigned status)
{
    static const unsigned by_handlers[] = {200, 400, 403, 404, 501};
    size_t i = 0;
    if (!a->times) {
        must(status == 400 || status == 404 || status == 405 || status == 414);
        return;
    }
    must(a->times == 1 && a->status == status && a->len <= KEYSERVER_ANSWER_MAX);
    while (i < sizeof(by_handlers) / sizeof(by_handlers[0]) && by_handlers[i] != status)
        i++;
    must(i < sizeof(by_handlers) / sizeof(by_handlers[0]));
    if (status == 200)
        check_found(a);
}

static void ask(enum http_method method, struct slice target)
{
    static struct answered first;
    const unsigned status = keyserver_bench_ask(&b, method, "example.org", target);
    check(&b.a, status);
    first = b.a;
    must(keyserver_bench_ask(&b, method, "example.org", target) == status);
    must(b.a.times == first.times);
    must(!first.times || (b.a.len == first.len && !memcmp(b.a.body, first.body, first.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!b.keyserver)
        keyserver_bench_open(&b);
    ask(HTTP_GET, slice_of(data, size));
    ask(HTTP_POST, slice_of(data, size));
    return 0;
}
