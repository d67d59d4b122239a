/* What roles ask and tell about logins: who may, in which order, and what one that dies leaves behind. */
#include "tests/support/master_bench.h"
#include "tests/support/patience.h"

static uint64_t restarts(const char *name)
{
    status();
    return master_find(name, 0)->restarts;
}

/* A fresh process of the role, which does that and has got so many answers. */
static struct seen *again(const char *name, const char *how, uint64_t answers)
{
    struct seen *s;
    uint64_t old;

    behave(name, how);
    status();
    old = master_find(name, 0)->pid;
    kill((pid_t)old, SIGKILL);
    s = reborn(name, 0, old);
    for (int i = 0; i < PATIENCE_MS / 10 && s->answers < answers; i++) {
        usleep(10000);
        status();
        s = master_find(name, 0);
    }
    assert_int_equal(s->answers, answers);
    return s;
}

/* Its channel is ended, and so is it. */
static void bad_messages_end_their_sender(void **state)
{
    static const struct {
        const char *name, *how;
    } all[] = {
        {"access", "login:s"},                              /* cut short */
        {"access", "login:aa"},                             /* two in hand */
        {"access", "login:f"},                              /* none in hand */
        {"access", "login:aff"},                            /* told twice */
        {"web", "login:h"},                                 /* cut short */
        {"access", "login:g"},                              /* what it is told is sure */
        {"gpg-judge", "login:g"}, {"gpg-judge", "login:a"}, /* no business of it */
        {"vault", "login:a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        serve_ready();
        behave(all[i].name, all[i].how);
        assert_int_equal(restarts(all[i].name), 0);
        kill((pid_t)master_find(all[i].name, 0)->pid, SIGKILL);
        for (int k = 0; k < PATIENCE_MS / 10 && restarts(all[i].name) < 3; k++) /* of these, one is the test's */
            usleep(10000);
        if (restarts(all[i].name) < 3)
            fail_msg("%s lives on with %s", all[i].name, all[i].how);
        behave(all[i].name, "");
        reborn(all[i].name, 0, 0);
        stop();
    }
}

/* Restarts do not make master forget, and a process that dies with a try in hand has failed it. */
static void counts_outlive_processes(void **state)
{
    struct seen *s;

    (void)state;
    serve_ready();
    s = again("access", "login:aoao", 2);
    assert_int_equal(s->wait_ms, 0);
    s = again("access", "login:afa", 2);
    assert_int_equal(s->wait_ms, 0);
    s = again("access", "login:a", 1); /* the second one in hand has failed by now */
    assert_int_equal(s->wait_ms, 0);
    s = again("access", "login:a", 1);
    assert_true(s->wait_ms > 0 && s->wait_ms <= 500);
    s = again("web", "login:ga", 1);
    assert_int_equal(s->wait_ms, 0);
    assert_int_equal(master_find("ingest", 0)->restarts, 0);
    stop();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVED(bad_messages_end_their_sender),
        SERVED(counts_outlive_processes),
    };

    if (argc == 2 && strncmp(argv[1], "role:", 5) == 0)
        return stand_in(argv[1] + 5);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("master_logins", tests, setup, teardown);
}
