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

struct talker *submission_logged_in(void)
{
    struct talker *t = submission_dial();

    submission_plain(t, "alice@example.org", submission_password);
    expect(t, "235 2.7.0 ");
    return t;
}
