/* Every allocation that receiving a message needs, in ingest, sealer and vault, fails in turn, alone and with all
 * that follow: no crash, no leak, no plaintext held, 250 only for what is stored, and the sender's next try makes it
 * whole without doubles. Linked with --wrap, so that the program's own calls come by here and those of the libraries
 * do not. */
#include "tests/support/patience.h"
#include "tests/unit/armor.h"
#include "tests/support/ingest_bench.h"

#include <errno.h>
#include <sys/mman.h>

static bool armed, lasting;
static uint64_t calls, fail_at, failed;

static bool short_now(void)
{
    if (!armed || ++calls < fail_at || (calls > fail_at && !lasting))
        return false;
    failed++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __real_memfd_create(const char *name, unsigned flags);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_memfd_create(const char *name, unsigned flags);

void *__wrap_malloc(size_t n)
{
    return short_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return short_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return short_now() ? NULL : __real_realloc(p, n);
}

void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
    return short_now() ? MAP_FAILED : __real_mmap64(at, len, prot, flags, fd, off);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    return short_now() ? -1 : __real_memfd_create(name, flags);
}

/* Says all of it and reads until the server has closed, with memory failing as told. */
static struct talker *converse(const char *text, size_t len, bool short_of_memory)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};
    struct talker *t = calloc(1, sizeof(*t));
    bool late = false;
    struct timer *timer = timer_create_in(b.loop, on_tick, &late);
    int pair[2], big = 1 << 20;
    uint32_t on;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    t->fd = pair[1];
    t->watch = watch_create(b.loop, t->fd, LOOP_READ, on_readable, t);
    assert_int_equal(places_enter(in.places, &ss, &on), OK);
    timer_set(timer, PATIENCE_MS);
    calls = 0;
    armed = short_of_memory;
    smtp_session_open(&in, &mx_receiver, pair[0], &ss, on, false);
    if (send(t->fd, text, len, MSG_NOSIGNAL) < 0)
        assert_int_equal(errno, EPIPE); /* there was no memory for a session */
    while (!t->over && !late)
        loop_run(b.loop);
    armed = false;
    if (late)
        fail_msg("allocation %d: no end after %s", (int)fail_at, t->text);
    timer_destroy(timer);
    return t;
}

/* A whole header in the first octets; or one so long that it must be put together from pieces. */
static size_t make_script(char *out, size_t cap, unsigned n, size_t header)
{
    static char message[200000];
    size_t len = (size_t)snprintf(message, sizeof(message), "Subject: %06u\r\n", n);

    while (len < header)
        len += (size_t)snprintf(message + len, sizeof(message) - len, "X-Long: %070d\r\n", 0);
    len += (size_t)snprintf(message + len, sizeof(message) - len, "\r\nHello\r\n");
    return (size_t)snprintf(out, cap, "EHLO c\r\n" FROM TO("alice") "BDAT %zu LAST\r\n%sQUIT\r\n", len, message);
}

static struct {
    uint8_t data[4096];
    size_t len;
} packets;

static int keep_packets(void *arg, const uint8_t *data, size_t len)
{
    assert_true(packets.len + len <= sizeof(packets.data));
    memcpy(packets.data + packets.len, data, len);
    packets.len += len;
    return OK;
}

/* Mail that its sender has encrypted to the recipient. */
static size_t make_foreign(char *out, size_t cap, unsigned n)
{
    static char message[20000], armor[12000];
    struct iovec in_ = {(char *)(uintptr_t) "end to end", 10};
    struct pgp_recipient *r;
    size_t len;

    if (!packets.len) {
        assert_int_equal(pgp_recipient_create(key.cert, key.cert_len, &key.verdict, &r), OK);
        assert_int_equal(pgp_seal(&r, 1, &in_, 1, keep_packets, NULL, NULL), OK);
        pgp_recipient_destroy(r);
    }
    len = armor_encode(packets.data, packets.len, "MESSAGE", armor);
    len = (size_t)snprintf(message, sizeof(message),
                           "Subject: %06u\r\nMIME-Version: 1.0\r\nContent-Type: "
                           "multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n"
                           "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
                           "--b\r\nContent-Type: application/octet-stream\r\n\r\n%.*s\r\n--b--\r\n",
                           n, (int)len, armor);
    return (size_t)snprintf(out, cap, "EHLO c\r\n" FROM TO("alice") "BDAT %zu LAST\r\n%sQUIT\r\n", len, message);
}

enum { FOREIGN = 1 }; /* in place of a header's length */

static unsigned rounds(size_t header, bool to_the_end)
{
    static char script[300000];
    unsigned before = stored(alice), n = 0, refused = 0;

    lasting = to_the_end;
    for (;;) {
        size_t len = header == FOREIGN ? make_foreign(script, sizeof(script), ++n)
                                       : make_script(script, sizeof(script), ++n, header);
        struct talker *t;
        bool accepted, any;
        unsigned have;

        /* Nothing is known yet, so that everything must be had. */
        sealer_destroy(in.depositor.sealer);
        in.depositor.sealer = sealer_create(b.loop, view, &fake_gpg, in.config.domain);
        secmem_pool_trim();
        fail_at = n;
        failed = 0;
        t = converse(script, len, true);
        accepted = strstr(t->text, "250 2.0.0 Accepted") != NULL;
        any = failed > 0;
        hang_up(t);
        run_ms(1);
        assert_int_equal(budget_taken(in.places), 0);
        assert_int_equal(places_sessions(in.places), 0);
        assert_int_equal(transaction_quota_reserved(alice), 0);
        have = stored(alice);
        assert_true(have - before == n || (!accepted && have - before == n - 1));
        refused += !accepted;
        t = converse(script, len, false);
        if (!strstr(t->text, "250 2.0.0 Accepted"))
            fail_msg("allocation %u: the next try was answered %s", n, t->text);
        hang_up(t);
        assert_int_equal(stored(alice) - before, n);
        /* What came encrypted is never sealed again for want of memory to see it. */
        assert_int_equal(in.counters[COUNT_FOREIGN], header == FOREIGN ? in.counters[COUNT_SEALED] : 0);
        if (!any)
            break;
    }
    assert_true(refused > 20);
    return n;
}

static void test_one(void **state)
{
    in.stall_ms = 300;
    print_message("%u allocations failed alone\n", rounds(0, false) - 1);
}

static void test_all_from_there(void **state)
{
    in.stall_ms = 300;
    print_message("from %u allocations on none succeeded\n", rounds(0, true) - 1);
}

static void test_long_header(void **state)
{
    in.stall_ms = 300;
    print_message("%u allocations failed alone\n", rounds(65500 - 90, false) - 1);
}

static void test_foreign(void **state)
{
    in.stall_ms = 300;
    print_message("%u allocations failed alone\n", rounds(FOREIGN, false) - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_one), TEST(test_all_from_there), TEST(test_long_header),
                                       TEST(test_foreign)};
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
