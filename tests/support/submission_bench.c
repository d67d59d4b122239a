#include "tests/support/submission_bench.h"

#include <stdio.h>

#include "server/proto/sasl.h"

const char submission_password[] = "correct horse";

static void add_password(uint64_t account, unsigned scope)
{
    struct vault_request q = {.type = VAULT_APP_PASSWORD_ADD,
                              .account = account,
                              .password = {.scope = scope, .label = slice_str("test")}};

    assert_int_equal(app_password_hash(b.keys, account, submission_password, strlen(submission_password),
                                       q.password.hash),
                     OK);
    assert_int_equal(request(&b, &q, -1), OK);
}

int submission_up(void **state)
{
    if (setup(state))
        return -1;
    in.config.submission_plain_auth_loopback = true;
    in.login = master_up(b.loop, view);
    in.enqueuer = enqueuer_create(b.loop, view, in.depositor.vault, record_keys_queue_public(b.keys));
    assert_non_null(in.enqueuer);
    add_password(alice, SCOPE_SMTP);
    add_password(bob, SCOPE_IMAP);
    add_password(odd, SCOPE_SMTP);
    assert_int_equal(domain_add_call(&b, "catch.example"), OK);
    add_alias("@catch.example", alice, ADDRESS_CATCH_ALL);
    add_alias("bob@catch.example", bob, ADDRESS_ALIAS);
    return 0;
}

int submission_down(void **state)
{
    while (in.sessions)
        smtp_session_destroy(in.sessions);
    enqueuer_destroy(in.enqueuer);
    master_down();
    int err = teardown(state);

    return err;
}

struct talker *submission_dial(void)
{
    struct talker *t = dial_to(&submission_receiver, "127.0.0.1");

    expect(t, "220 mx.example.org ESMTP");
    say(t, "EHLO laptop.home\r\n");
    expect(t, "250 ENHANCEDSTATUSCODES");
    return t;
}

void submission_plain(struct talker *t, const char *user, const char *with)
{
    char text[300] = {0}, base64[420], line[460];
    size_t n = (size_t)snprintf(text + 1, sizeof(text) - 1, "%s", user) + 2;

    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", with);
    sasl_base64_encode(slice_of(text, n), base64);
    snprintf(line, sizeof(line), "AUTH PLAIN %s\r\n", base64);
    say(t, line);
}

struct talker *submission_logged_in_as(const char *user)
{
    struct talker *t = submission_dial();

    submission_plain(t, user, submission_password);
    expect(t, "235 2.7.0 ");
    return t;
}

struct talker *submission_logged_in(void)
{
    return submission_logged_in_as("alice@example.org");
}

/* ---- the queue ---- */

static int see_id(void *arg, uint64_t id)
{
    struct submission_queued *q = arg;

    q->ids[q->n++] = id;
    return 0;
}

static int see_recipient(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct submission_queued *q = arg;

    assert_int_equal(err, OK);
    q->to[q->nto++] = *r;
    return 0;
}

static int take_text(void *arg, const uint8_t *data, size_t len)
{
    struct submission_queued *q = arg;

    assert_true(q->len + len < sizeof(q->text));
    memcpy(q->text + q->len, data, len);
    q->len += len;
    q->text[q->len] = '\0';
    return OK;
}

static int read_queue(void *arg, struct view *v)
{
    static uint8_t packets[1 << 16];
    uint8_t seen[QUEUE_SEEN_SIZE];
    struct submission_queued *q = arg;
    struct schema_message m;
    size_t at;

    assert_int_equal(view_queue_each(v, 0, see_id, q), OK);
    if (q->n == 0)
        return OK;
    at = q->asked < q->n ? q->asked : q->n - 1;
    assert_int_equal(view_queued(v, q->ids[at], &q->envelope, seen), OK);
    assert_int_equal(view_queue_recipients(v, q->ids[at], 0, see_recipient, q), OK);
    assert_int_equal(view_queue_message(v, q->ids[at], &m), OK);
    assert_true(m.packets_len <= sizeof(packets));
    assert_int_equal(view_queue_packets(v, &m, 0, packets, m.packets_len), OK);
    assert_int_equal(pgp_open_update(q->open, slice_of(packets, m.packets_len)), OK);
    return OK;
}

const struct submission_queued *submission_queued(size_t nth)
{
    static struct submission_queued q;
    uint8_t secret[QUEUE_SECRET_SIZE];
    struct pgp_opener *o;

    memset(&q, 0, sizeof(q));
    q.asked = nth;
    queue_key_secret(STORE_KEY, secret);
    o = pgp_opener_create(secret, record_keys_queue_public(b.keys));
    assert_int_equal(pgp_open_begin(o, take_text, &q, &q.open), OK);
    assert_int_equal(view_run(view, read_queue, &q), OK);
    if (q.n)
        assert_int_equal(pgp_open_end(q.open), OK);
    pgp_open_free(q.open);
    pgp_opener_destroy(o);
    return &q;
}
