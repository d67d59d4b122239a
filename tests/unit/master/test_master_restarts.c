/* Roles that die, hang or do not start, and how all of them stop. */
#include "tests/support/master_bench.h"
#include "tests/support/patience.h"

static void each_role_is_restarted(void **state)
{
    static const struct {
        const char *name;
        uint32_t instance;
    } all[] = {{"vault", 0},   {"gpg-judge", 0}, {"gpg-seal", 0}, {"resolver", 0}, {"relay", 0},
               {"fetcher", 0}, {"web", 0},       {"ingest", 1},   {"access", 0}};

    (void)state;
    serve_ready();
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t old, others[10];
        struct seen *s;

        status();
        for (uint32_t k = 0; k < 10; k++)
            others[k] = seen[k].pid;
        old = master_find(all[i].name, all[i].instance)->pid;
        kill((pid_t)old, SIGKILL);
        s = reborn(all[i].name, all[i].instance, old);
        assert_int_equal(s->restarts, 1);
        for (uint32_t k = 0; k < 10; k++)
            assert_true(seen[k].pid == others[k] || others[k] == old); /* nobody else noticed */
    }
    status();
    /* the vault's clients came back to the new one, and the reborn clients to it as well */
    assert_int_equal(master_find("ingest", 0)->peers, 12);
    assert_int_equal(master_find("ingest", 0)->pings, 2);
    assert_int_equal(master_find("ingest", 1)->pings, 1);
    assert_int_equal(master_find("vault", 0)->peers, 9);
    stop();
}

static void backs_off(void **state)
{
    struct timespec a, b;
    uint64_t restarts;

    (void)state;
    behave("gpg-seal", "die");
    serve_ready(); /* what can be done without does not hold up the start */
    clock_gettime(CLOCK_MONOTONIC, &a);
    usleep(1800000);
    status();
    clock_gettime(CLOCK_MONOTONIC, &b);
    restarts = master_find("gpg-seal", 0)->restarts;
    /* at once, then after 100, 200, 400, 800 ms: not in a spin */
    assert_true(restarts >= 4 && restarts <= 7);
    behave("gpg-seal", "");
    assert_true(reborn("gpg-seal", 0, 0)->counters > 0);
    status();
    assert_int_equal(master_find("ingest", 0)->peers, 6); /* and its clients have it now */
    behave("gpg-seal", "trap");
    kill((pid_t)master_find("gpg-seal", 0)->pid, SIGKILL);
    assert_true(says("its sandbox ended it", PATIENCE_MS));
    behave("gpg-seal", "");
    stop();
}

static void gives_up_a_start(void **state)
{
    (void)state;
    behave("vault", "die");
    serve();
    assert_int_equal(ended(PATIENCE_MS), 1);
    assert_non_null(strstr(said, "vault does not start"));
    behave("vault", "");
}

static void stops_in_order(void **state)
{
    char *vault, *p;

    (void)state;
    serve_ready();
    stop();
    vault = strstr(said, "vault role-ends status=ok");
    assert_non_null(vault);
    for (int i = 0; i < 2; i++) {
        p = strstr(said, i ? "access.0 role-ends" : "ingest.0 role-ends");
        assert_non_null(p);
        assert_true(p < vault);
    }
    assert_true(strstr(said, "gpg-seal role-ends") < vault);
}

static void stops_the_deaf(void **state)
{
    struct timespec a, b;

    (void)state;
    behave("access", "deaf");
    behave("vault", "deaf");
    serve_ready();
    clock_gettime(CLOCK_MONOTONIC, &a);
    stop();
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true(b.tv_sec - a.tv_sec <= 11);
    behave("access", "");
    behave("vault", "");
}

/* 800 ms without an answer are too many here, 60 s in life. */
static void hangs_are_ended(void **state)
{
    static const struct {
        const char *name;
        uint32_t instance;
    } all[] = {{"vault", 0},   {"gpg-judge", 0}, {"gpg-seal", 0}, {"resolver", 0}, {"relay", 0},
               {"fetcher", 0}, {"web", 0},       {"ingest", 1},   {"access", 0}};

    (void)state;
    watchdog = &quick;
    serve_ready();
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t old, others[10];
        struct seen *s;

        status();
        for (uint32_t k = 0; k < 10; k++)
            others[k] = seen[k].pid;
        old = master_find(all[i].name, all[i].instance)->pid;
        assert_int_equal(master_find(all[i].name, all[i].instance)->hangs, 0);
        said_len = 0;
        assert_int_equal(kill((pid_t)old, SIGSTOP), 0);
        assert_true(says("role-hangs", PATIENCE_MS)); /* no status() meanwhile: it would wait for the stopped one */
        assert_non_null(strstr(said, all[i].name));
        s = reborn(all[i].name, all[i].instance, old);
        assert_int_equal(s->hangs, 1);
        assert_int_equal(s->restarts, 1);
        for (uint32_t k = 0; k < 10; k++)
            assert_true(seen[k].pid == others[k] || others[k] == old);
    }
    stop();
    watchdog = &patient;
}

static void slow_is_not_hanging(void **state)
{
    uint64_t pids[10];

    (void)state;
    watchdog = &quick;
    serve_ready();
    status();
    for (int k = 0; k < 10; k++)
        pids[k] = seen[k].pid;
    for (int i = 0; i < 6; i++) { /* busy for some rounds, again and again, but not for all of them */
        kill((pid_t)master_find("vault", 0)->pid, SIGSTOP);
        usleep(400000);
        kill((pid_t)master_find("vault", 0)->pid, SIGCONT);
        usleep(250000);
    }
    /* all of it frozen for longer than anyone may be silent: the machine slept */
    kill(server, SIGSTOP);
    for (int k = 0; k < 10; k++)
        kill((pid_t)pids[k], SIGSTOP);
    usleep(1500000);
    kill(server, SIGCONT);
    usleep(50000);
    for (int k = 0; k < 10; k++)
        kill((pid_t)pids[k], SIGCONT);
    usleep(1000000);
    status();
    for (int k = 0; k < 10; k++) {
        assert_int_equal(seen[k].pid, pids[k]);
        assert_int_equal(seen[k].hangs, 0);
    }
    stop();
    watchdog = &patient;
}

static void master_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        uint64_t pids[10];
        serve_ready();
        status();
        for (int k = 0; k < 10; k++)
            pids[k] = seen[k].pid;
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        serve_ready(); /* at once, over the remains */
        for (int k = 0; k < 10; k++) {
            int waited = 0;
            while (kill((pid_t)pids[k], 0) == 0 && waited++ < PATIENCE_MS / 10) /* the system's init has to reap them */
                usleep(10000);
            assert_true(waited < PATIENCE_MS / 10);
        }
        stop();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVED(each_role_is_restarted), SERVED(backs_off),       SERVED(gives_up_a_start),    SERVED(stops_in_order),
        SERVED(stops_the_deaf),         SERVED(hangs_are_ended), SERVED(slow_is_not_hanging), SERVED(master_killed),
    };

    if (argc == 2 && strncmp(argv[1], "role:", 5) == 0)
        return stand_in(argv[1] + 5);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("master_restarts", tests, setup, teardown);
}
