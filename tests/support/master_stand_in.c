#include "tests/support/master_stand_in.h"

#include "server/core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct master_state master;

static void master_answer(void *arg)
{
    assert_int_equal(login_reply(master.login, master.id, master.wait_ms), OK);
}

static int master_send(enum role_msg type, uint64_t id, const struct pack *payload)
{
    if (type == ROLE_MSG_LOGIN_DONE) {
        assert_true(master.in_hand && id == master.id && payload->len == 1);
        master.in_hand = false;
        master.failed += payload->data[0];
        throttle_done(master.throttle, &master.key, payload->data[0], loop_now_ms(master.loop));
        return OK;
    }
    if (type == ROLE_MSG_LOGIN_FORGIVE) {
        struct throttle_key key;
        assert_int_equal(payload->len, sizeof(key) + LOGIN_EXCHANGE_SIZE);
        memcpy(&key, payload->data, sizeof(key));
        master.forgiven++;
        throttle_forgive(master.throttle, &key, payload->data + sizeof(key), loop_now_ms(master.loop));
        return OK;
    }
    assert_int_equal(type, ROLE_MSG_LOGIN_ASK);
    assert_int_equal(payload->len, sizeof(master.key) + 8);
    assert_false(master.in_hand); /* one at a time */
    uint64_t waited = 0;
    for (int i = 0; i < 8; i++)
        waited = waited << 8 | payload->data[sizeof(master.key) + (size_t)i];
    memcpy(&master.key, payload->data, sizeof(master.key));
    master.asked++;
    master.id = id;
    master.wait_ms = throttle_ask(master.throttle, &master.key, waited, loop_now_ms(master.loop));
    master.in_hand = master.wait_ms == 0;
    if (!master.silent)
        defer_set(master.loop, &master.answer, master_answer, NULL);
    return OK;
}

struct login *master_up(struct loop *l, struct view *v)
{
    memset(&master, 0, sizeof(master));
    master.loop = l;
    master.throttle = throttle_create(64);
    master.login = login_create(l, v, master_send);
    assert_non_null(master.throttle);
    assert_non_null(master.login);
    return master.login;
}

void master_down(void)
{
    defer_cancel(master.loop, &master.answer);
    login_destroy(master.login);
    throttle_destroy(master.throttle);
}
