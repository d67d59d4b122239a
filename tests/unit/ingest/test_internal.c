/* Mail from relay for accounts here: stored once, whatever is asked twice; what may not be said ends the channel. */
#include "tests/support/ingest_bench.h"

#include <sys/mman.h>

#include "server/base/ask.h"
#include "server/ingest/internal/internal.h"
#include "server/mailauth/srs.h"
#include "server/proto/smtp.h"
#include "server/queue/enqueue.h"
#include "server/queue/internal.h"

static struct ask *asking;
static int answer;
static unsigned answers, good;
static uint32_t asks = INTERNAL_DELIVER; /* and from whom */
static const char *from = "";

static void connect_relay(void)
{
    static const struct ask_params p = {
        .peer = ROLE_INGEST, .reply = INTERNAL_REPLY, .max = 1000, .wait_ms = 5000, .answer_ms = 60000};
    int pair[2];

    if (!asking)
        asking = ask_create(b.loop, &p);
    assert_int_equal(ipc_pair(pair), OK);
    ask_channel(asking, pair[0]);
    internal_open(&in, pair[1]);
}

static int up(void **state)
{
    if (setup(state))
        return -1;
    asking = NULL;
    connect_relay();
    return 0;
}

static int down(void **state)
{
    ask_destroy(asking);
    internal_close_all(&in);
    assert_null(in.internals);
    return teardown(state);
}

static void on_answer(void *arg, int status, struct unpack *body)
{
    assert_true(unpack_done(body));
    answer = status;
    answers++;
    good += status == OK;
    loop_stop(b.loop);
}

static int memfd(const char *text, size_t len, int seals)
{
    int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

static void send_fd(uint8_t id, const char *to, int fd)
{
    struct internal_deliver d = {.from = slice_str(from), .to = slice_str(to)};
    uint8_t out[1024];
    struct pack p;

    memset(d.delivery, id, sizeof(d.delivery));
    pack_init(&p, out, sizeof(out));
    assert_int_equal(internal_deliver_pack(&p, &d), OK);
    assert_int_equal(ask_send(asking, asks, &p, &fd, 1, ASK_AGAIN, on_answer, NULL, NULL), OK);
    close(fd);
}

static int ask_fd(uint8_t id, const char *to, int fd)
{
    const unsigned before = answers;

    answer = 1;
    send_fd(id, to, fd);
    for (int i = 0; i < 1000 && answers == before; i++)
        run_ms(1);
    return answer;
}

static const char mail[] = "From: postmaster@example.org\r\nSubject: Failed\r\n\r\nIt was not delivered.\r\n";

static int deliver(uint8_t id, const char *to)
{
    return ask_fd(id, to, memfd(mail, sizeof(mail) - 1, SEALS));
}

static void test_delivered_once(void **state)
{
    static char text[65536];

    assert_int_equal(deliver(1, "alice@example.org"), OK);
    assert_int_equal(deliver(1, "alice@example.org"), OK);
    assert_int_equal(stored(alice), 1);
    assert_int_equal(deliver(2, "al+x@example.org"), OK);
    assert_int_equal(stored(alice), 2);
    open_last(alice, text);
    assert_non_null(strstr(text, "It was not delivered."));
    assert_null(strstr(text, "Received:"));
}

static void test_refused(void **state)
{
    char *big = calloc(1, in.config.message_max + (2 << 20));

    assert_int_equal(deliver(1, "nobody@example.org"), ERR_NOT_FOUND);
    assert_int_equal(deliver(1, "alice@example.net"), ERR_DENIED);
    assert_int_equal(deliver(1, "alice"), ERR_NOT_FOUND);
    assert_int_equal(deliver(1, "full@example.org"), ERR_QUOTA);
    assert_int_equal(ask_fd(1, "alice@example.org", memfd(mail, sizeof(mail), 0)), ERR_REFUSED);
    assert_int_equal(ask_fd(1, "alice@example.org", memfd(mail, sizeof(mail), SEALS & ~F_SEAL_WRITE)), ERR_REFUSED);
    assert_int_equal(ask_fd(1, "alice@example.org", memfd(mail, 0, SEALS)), ERR_REFUSED);
    assert_int_equal(ask_fd(1, "alice@example.org", memfd(big, in.config.message_max + (2 << 20), SEALS)), ERR_LIMIT);
    free(big);
    assert_int_equal(stored(alice), 0);
    assert_int_equal(deliver(1, "alice@example.org"), OK);
}

/* One after another, however many are asked at once; what is beyond is told to come later. */
static void test_many_at_once(void **state)
{
    const unsigned before = answers;

    for (int i = 0; i < 60; i++)
        send_fd((uint8_t)(i + 1), "alice@example.org", memfd(mail, sizeof(mail) - 1, SEALS));
    for (int i = 0; i < 2000 && answers < before + 60; i++)
        run_ms(1);
    assert_int_equal(answers, before + 60);
    assert_int_equal(stored(alice), 60);
    for (int i = 0; i < 200; i++)
        send_fd((uint8_t)(i + 1), "bob@example.org", memfd(mail, sizeof(mail) - 1, SEALS));
    for (int i = 0; i < 4000 && answers < before + 260; i++)
        run_ms(1);
    assert_int_equal(answers, before + 260);
    assert_true(stored(bob) >= 64 && stored(bob) < 200);
}

/* The asker dies while its mail is under way: it asks again by its next channel. */
static void test_asked_again(void **state)
{
    const unsigned before = answers, well = good;

    for (int i = 0; i < 10; i++)
        send_fd((uint8_t)(i + 1), "alice@example.org", memfd(mail, sizeof(mail) - 1, SEALS));
    run_ms(1);
    internal_close_all(&in);
    connect_relay();
    for (int i = 0; i < 10; i++)
        send_fd((uint8_t)(i + 1), "alice@example.org", memfd(mail, sizeof(mail) - 1, SEALS));
    for (int i = 0; i < 2000 && answers < before + 20; i++)
        run_ms(1);
    assert_int_equal(answers, before + 20);
    assert_int_equal(good, well + 20);
    assert_int_equal(stored(alice), 10);
}

static void test_stall(void **state)
{
    in.stall_ms = 20;
    assert_int_equal(deliver(1, "odd@example.org"), ERR_TIMEOUT); /* gpg never answers */
    assert_int_equal(deliver(2, "alice@example.org"), OK);
}

/* ---- into the queue ---- */

struct queue_seen {
    unsigned messages, recipients;
    struct queue_envelope e;
    struct queue_recipient r;
};

static int see_recipient(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct queue_seen *q = arg;

    q->recipients++;
    q->r = *r;
    return err;
}

static uint64_t last_id;

static int see_message(void *arg, uint64_t id)
{
    ++((struct queue_seen *)arg)->messages;
    last_id = id;
    return 0;
}

static int look_at_queue(void *arg, struct view *v)
{
    struct queue_seen *q = arg;
    uint8_t seen[QUEUE_SEEN_SIZE];
    int err;

    *q = (struct queue_seen){0};
    err = view_queue_each(v, 0, see_message, q);
    if (err == OK && q->messages)
        err = view_queued(v, last_id, &q->e, seen);
    return err == OK && q->messages ? view_queue_recipients(v, last_id, 0, see_recipient, q) : err;
}

static struct queue_seen queue_now(void)
{
    struct queue_seen q;

    assert_int_equal(view_run(view, look_at_queue, &q), OK);
    return q;
}

static void suppress(const char *address)
{
    struct suppressed s = {.until = (uint64_t)time(NULL) + 1000, .reply = "550 5.1.1 no"};
    struct vault_request q = {.type = VAULT_SUPPRESS_PUT};
    uint8_t record[SUPPRESSED_RECORD_MAX];
    size_t len;

    assert_int_equal(suppression_spell(address, s.address), OK);
    assert_int_equal(suppression_seal(b.keys, &s, q.suppress.hash, record, &len), OK);
    q.suppress.record = slice_of(record, len);
    assert_int_equal(request(&b, &q, -1), OK);
}

static void test_queued_once(void **state)
{
    struct queue_seen q;

    asks = INTERNAL_QUEUE;
    from = "postmaster@example.org";
    assert_int_equal(deliver(1, "reports@there.example"), ERR_UNSUPPORTED); /* there is no queue */
    in.enqueuer = enqueuer_create(b.loop, view, in.depositor.vault, record_keys_queue_public(b.keys));
    assert_non_null(in.enqueuer);
    assert_int_equal(deliver(1, "reports@there.example"), OK);
    assert_int_equal(deliver(1, "reports@there.example"), OK);
    q = queue_now();
    assert_true(q.messages == 1 && q.recipients == 1);
    assert_string_equal(q.e.from, "postmaster@example.org");
    assert_string_equal(q.r.to, "reports@there.example");
    /* Whatever TLS there is will do, its failure is told to nobody, and nobody's count grows. */
    assert_true(q.e.tls == QUEUE_TLS_OPTIONAL && q.r.notify == SMTP_NOTIFY_NEVER && q.e.account == 0 && !q.r.local);
    assert_int_equal(deliver(2, "alice@example.org"), OK); /* a domain of ours takes it too */
    assert_int_equal(queue_now().messages, 2);
    assert_int_equal(deliver(3, "nobody@example.org"), ERR_NOT_FOUND);
    assert_int_equal(deliver(3, "reports"), ERR_FORMAT);
    suppress("gone@there.example");
    assert_int_equal(deliver(3, "Gone@there.example"), ERR_NOT_FOUND);
    assert_int_equal(deliver(3, "x@[192.0.2.1]"), ERR_FORMAT);
    assert_int_equal(ask_fd(3, "reports@there.example", memfd(mail, sizeof(mail), 0)), ERR_REFUSED);
    assert_int_equal(queue_now().messages, 2);
    assert_int_equal(stored(alice), 0);
    asks = INTERNAL_DELIVER;
    from = "";
    assert_int_equal(deliver(4, "alice@example.org"), OK);
    assert_int_equal(stored(alice), 1);
    enqueuer_destroy(in.enqueuer);
    in.enqueuer = NULL;
}

/* A bounce of mail that was forwarded goes on to whoever sent it, also to an address that nobody here could have: its
 * local part is longer in its one spelling than it may be. */
static void test_bounce_goes_on(void **state)
{
    static const char *const senders[] = {"sender@there.example", "\u0958\u0958\u0958\u0958\u0958\u0958\u0958"
                                                                  "\u0958\u0958\u0958\u0958\u0958\u0958@a.b"};
    const struct record_part part = {"srs", 3};
    uint8_t srs_key[SRS_KEY_SIZE];
    char path[ADDRESS_MAX];

    in.enqueuer = enqueuer_create(b.loop, view, in.depositor.vault, record_keys_queue_public(b.keys));
    assert_non_null(in.enqueuer);
    record_subkey(b.keys, RECORD_QUEUE, 0, &part, 1, srs_key);
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(srs_make(srs_key, "example.org", senders[i], (uint64_t)time(NULL), path), OK);
        assert_int_equal(deliver((uint8_t)(10 + i), path), OK);
        assert_int_equal(queue_now().messages, i + 1);
    }
    assert_string_equal(queue_now().r.to, senders[1]);
    path[6] = path[6] == 'A' ? 'B' : 'A';
    assert_int_equal(deliver(12, path), ERR_NOT_FOUND);
    assert_int_equal(queue_now().messages, 2);
    enqueuer_destroy(in.enqueuer);
    in.enqueuer = NULL;
}

static void raw(uint32_t type, const void *payload, size_t len, int fd, unsigned nfds)
{
    int pair[2];

    assert_int_equal(ipc_pair(pair), OK);
    internal_open(&in, pair[1]);
    assert_int_equal(ipc_send_blocking(pair[0], type, 1, payload, len, &fd, nfds), OK);
    run_ms(5);
    assert_int_equal(read(pair[0], (char[1]){0}, 1), 0); /* it has ended */
    close(pair[0]);
    if (fd >= 0)
        close(fd);
}

static void test_hostile(void **state)
{
    uint8_t out[1024] = {0};
    struct pack p;
    int fd = memfd(mail, sizeof(mail), SEALS);

    raw(INTERNAL_DELIVER, out, 10, fd, 1);
    raw(INTERNAL_DELIVER, out, 0, fd = memfd(mail, sizeof(mail), SEALS), 1);
    pack_init(&p, out, sizeof(out));
    pack_raw(&p, (uint8_t[RECORD_HASH_SIZE]){0}, RECORD_HASH_SIZE);
    pack_str(&p, "");
    pack_str(&p, "alice@example.org");
    raw(INTERNAL_DELIVER, out, p.len, -1, 0);
    raw(INTERNAL_QUEUE + 1, out, p.len, fd = memfd(mail, sizeof(mail), SEALS), 1);
    raw(INTERNAL_DELIVER, out, p.len + 1, fd = memfd(mail, sizeof(mail), SEALS), 1);
    memcpy(out + RECORD_HASH_SIZE + 4, "\0\0\0\3a\0b", 7); /* a NUL inside */
    raw(INTERNAL_DELIVER, out, p.len, fd = memfd(mail, sizeof(mail), SEALS), 1);
    assert_int_equal(stored(alice), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivered_once), TEST(test_refused),     TEST(test_many_at_once), TEST(test_queued_once),
        TEST(test_bounce_goes_on), TEST(test_asked_again), TEST(test_stall),        TEST(test_hostile),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
