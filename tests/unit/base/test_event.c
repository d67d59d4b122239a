/* Events: what goes through a pipe, what a hostile role may not bring in, and how each is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/event_text.h"
#include "server/base/roles.h"

static struct event_record got[64];
static unsigned ngot;

static void collect(const struct event_record *r)
{
    assert_true(ngot < 64);
    got[ngot++] = *r;
}

static int setup(void **state)
{
    (void)state;
    event_init("test", LOG_LEVEL_DEBUG, true);
    event_to(collect);
    ngot = 0;
    return 0;
}

static void say_named(const char *name, unsigned n)
{
    log_event_raw(named_mail, (slice_str("id-0"), slice_str("peer"), slice_str("from"), slice_str(name)), n);
}

#define NAMED(n, name) "named-mail recipients=" n " id=id-0 peer=<peer> from=<from> to=<" name ">"

static const char *text_of(const struct event_record *r)
{
    static char out[EVENT_LINE_MAX];

    event_text(r, out, sizeof(out));
    return out;
}

static void shows(const char *line)
{
    assert_int_equal(ngot, 1);
    assert_string_equal(text_of(&got[0]), line);
    ngot = 0;
}

static void as_people_read_it(void **state)
{
    (void)state;
    log_event(vault_commit_failed, ERR_FULL);
    shows("vault-commit-failed status=\"no room\"");
    log_event(store_failed, ENOSPC);
    shows("store-failed errno=\"No space left on device (ENOSPC)\"");
    log_event(store_failed, -30793);
    shows("store-failed errno=LMDB-30793");
    log_event(vault_client_refused, ROLE_GPG_SEAL, ERR_MEMORY);
    shows("vault-client-refused peer=gpg-seal status=\"out of memory\"");
    log_event(judgement_broken, SIGSEGV);
    shows("judgement-broken signal=SIGSEGV");
    log_event(vault_no_store, EVENT_STORE_WRONG_KEY, ERR_CRYPTO, 0);
    shows("vault-no-store why=\"the store key is not this store's\" "
          "status=\"cryptographic operation failed\" errno=none");
    log_event(out_of_memory);
    shows("out-of-memory");
    say_named("a@b>\n\xc2\x9b\xff \xc3\xa4<", 0);
    shows(NAMED("0", "a@b????? \xc3\xa4?"));
}

static void levels_and_names(void **state)
{
    (void)state;
    event_init("test", LOG_LEVEL_WARN, false);
    log_event(tls_failed, EVENT_TLS_FAULT_CIPHER);
    say_named("ann@example.org", 550);
    assert_int_equal(ngot, 0);
    event_init("test", LOG_LEVEL_DEBUG, false);
    say_named("ann@example.org", 550);
    assert_int_equal(ngot, 0);
    event_init("test", LOG_LEVEL_INFO, true);
    say_named("ann@example.org", 550);
    assert_int_equal(ngot, 1);
}

/* A value of each type that fits, for every event of the table. */
static struct event_record filled(enum event_kind event)
{
    struct event_record r = {.event = event};

    for (int i = 0; i < EVENT_FIELDS_MAX; i++)
        r.raws[i] = slice_of("0123456789abcdef", EVENT_HASH_SIZE); /* a hash, an id and a text */
    return r;
}

static void every_event_there_and_back(void **state)
{
    uint8_t packet[EVENT_RECORD_MAX];
    unsigned fields = 0;

    (void)state;
    bug_if(ngot); /* so that this program has a place */
    for (int e = 0; e < EVENTS; e++) {
        struct event_record r = filled((enum event_kind)e), back;
        unsigned numbers, raws;
        struct unpack u;
        struct pack p;

        event_fields(r.event, &numbers, &raws);
        fields += numbers + raws;
        pack_init(&p, packet, sizeof(packet));
        event_pack(&p, &r);
        for (size_t len = 0; len < p.len; len++) { /* cut anywhere it is refused */
            unpack_init(&u, packet, len);
            assert_int_equal(event_unpack(&u, &back), ERR_FORMAT);
        }
        unpack_init(&u, packet, p.len);
        assert_int_equal(event_unpack(&u, &back), OK);
        assert_true(unpack_done(&u));
        assert_string_equal(text_of(&back), text_of(&r));
        r.more = 7;
        r.seconds = 60;
        pack_init(&p, packet, sizeof(packet));
        event_pack(&p, &r);
        unpack_init(&u, packet, p.len);
        assert_int_equal(event_unpack(&u, &back), OK);
        assert_non_null(strstr(text_of(&back), " more=7 seconds=60"));
    }
    assert_true(fields > 30);
}

static int offer(const void *data, size_t len)
{
    struct event_record r = {.event = EVENTS};
    struct unpack u;
    int err;

    unpack_init(&u, data, len);
    err = event_unpack(&u, &r);
    assert_true(err == OK ? (unsigned)r.event < EVENTS : r.event == EVENTS);
    return err;
}

static int offer_number(enum event_kind event, uint64_t first, uint64_t second)
{
    uint8_t packet[64];
    struct pack p;
    unsigned numbers, raws;

    event_fields(event, &numbers, &raws);
    pack_init(&p, packet, sizeof(packet));
    pack_u32(&p, event);
    pack_u32(&p, 0);
    for (unsigned i = 0; i < numbers; i++)
        pack_u64(&p, i == 0 ? first : i == 1 ? second : 0);
    return offer(packet, p.len);
}

static void what_a_role_may_not_say(void **state)
{
    static const char text[] = "From ann@example.org: the secret meeting is at nine";
    uint8_t packet[1024] = {0};
    struct pack p;

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++)
        assert_int_equal(offer(text, n), ERR_FORMAT);
    assert_int_equal(offer("\0\0\0\xff\0\0\0\0", 8), ERR_FORMAT);       /* no such event */
    assert_int_equal(offer("\xff\xff\xff\xff\0\0\0\0", 8), ERR_FORMAT); /* nor below 0 */
    assert_int_equal(offer_number(EVENT_vault_commit_failed, (uint64_t)-1024, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_vault_commit_failed, 1, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_vault_commit_failed, (uint64_t)ERR_FULL, 0), OK);
    assert_int_equal(offer_number(EVENT_store_failed, 1 << 20, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_store_failed, UINT64_MAX / 2 + 1, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_peer_does_not_answer, ROLES + 1, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_judgement_broken, 65, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_bug, 1 << 20, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_start_failed, EVENT_START_NO_RECORD_KEYS + 1, 0), ERR_FORMAT);
    assert_int_equal(offer_number(EVENT_start_failed, EVENT_START_NO_RECORD_KEYS, 0), OK);
    pack_init(&p, packet, sizeof(packet));
    pack_u32(&p, EVENT_named_mail);
    pack_u32(&p, 0);
    pack_u64(&p, 0);
    pack_str(&p, "id=1 forged=yes");
    for (int i = 0; i < 3; i++)
        pack_str(&p, "");
    assert_int_equal(offer(packet, p.len), ERR_FORMAT);
}

static void more_than_a_few_are_counted(void **state)
{
    struct event_burst b = {0};
    uint32_t held = 0, seconds = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        log_event(accept_failed, EMFILE);
    assert_int_equal(ngot, EVENT_BURST);
    ngot = 0;
    for (int i = 0; i < 50; i++) /* but not where each matters */
        say_named("ann@example.org", 550);
    assert_int_equal(ngot, 50);

    for (int i = 0; i < 15; i++)
        assert_true(event_burst_let(&b, 100, 10) == (i < 10));
    assert_false(event_burst_over(&b, 159, &held, &seconds));
    assert_true(event_burst_over(&b, 161, &held, &seconds));
    assert_int_equal(held, 5);
    assert_int_equal(seconds, 61);
    assert_false(event_burst_over(&b, 300, &held, &seconds));
    assert_true(event_burst_let(&b, 300, 10));
}

/* The pipe of a role; in a child, since a process has one. */
static void role_writes(int fd, int what)
{
    event_to_pipe(fd);
    if (what == 0) {
        say_named("one", 1);
        say_named("two", 2);
        event_flush();
        log_event(vault_engine_reopened); /* a warning does not wait */
    } else if (what == 1) {
        bug_if(fd > 0);
    } else { /* until the pipe is full and beyond, then a reader makes room */
        char c;
        for (int i = 0; i < 100; i++) {
            say_named("many", i);
            event_flush();
        }
        (void)!read(0, &c, 1);
        say_named("after", 100);
        event_flush();
    }
    _exit(0);
}

static size_t read_all(int fd, char *out, size_t cap)
{
    size_t lines = 0;
    uint8_t packet[EVENT_PACKET_MAX];
    ssize_t n;

    *out = '\0';
    while ((n = read(fd, packet, sizeof(packet))) > 0) {
        struct unpack u;
        unpack_init(&u, packet, (size_t)n);
        while (u.pos < (size_t)n) {
            struct event_record r;
            assert_int_equal(event_unpack(&u, &r), OK);
            if (strlen(out) + EVENT_LINE_MAX < cap) {
                event_text(&r, out + strlen(out), EVENT_LINE_MAX);
                strcat(out, "\n");
            }
            lines++;
        }
    }
    return lines;
}

static void through_a_pipe(void **state)
{
    static char out[64 * 1024];
    int fds[2], go[2], status;

    (void)state;
    for (int what = 0; what < 3; what++) {
        assert_int_equal(pipe2(fds, O_DIRECT | O_NONBLOCK), 0);
        assert_int_equal(pipe(go), 0);
        assert_true(fcntl(fds[1], F_SETPIPE_SZ, 16 * 4096) > 0);
        pid_t pid = fork();
        if (pid == 0) {
            dup2(go[0], 0);
            close(fds[0]);
            role_writes(fds[1], what);
        }
        close(fds[1]);
        if (what == 2) {
            usleep(200000);
            size_t n = read_all(fds[0], out, sizeof(out));
            assert_true(n >= 10 && n < 100);
            assert_null(strstr(out, "log-dropped"));
            assert_int_equal(write(go[1], "x", 1), 1);
            waitpid(pid, &status, 0);
            size_t waited = read_all(fds[0], out, sizeof(out)) - 2;
            assert_true(waited > 1 && n + waited < 100); /* in the role, for room in the pipe */
            char want[200];
            snprintf(want, sizeof(want), "log-dropped records=%zu\n" NAMED("100", "after") "\n", 100 - n - waited);
            assert_string_equal(strstr(out, "log-dropped"), want);
        } else {
            waitpid(pid, &status, 0);
            read_all(fds[0], out, sizeof(out));
        }
        if (what == 0)
            assert_string_equal(out, NAMED("1", "one") "\n" NAMED("2", "two") "\n"
                                                                              "vault-engine-reopened\n");
        if (what == 1) {
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
            assert_non_null(strstr(out, "bug place="));
            assert_non_null(strstr(out, "test_event.c:"));
            assert_non_null(strstr(out, "condition=\"fd > 0\""));
        }
        close(fds[0]);
        close(go[0]);
        close(go[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(as_people_read_it, setup),
        cmocka_unit_test_setup(levels_and_names, setup),
        cmocka_unit_test_setup(every_event_there_and_back, setup),
        cmocka_unit_test_setup(what_a_role_may_not_say, setup),
        cmocka_unit_test_setup(more_than_a_few_are_counted, setup),
        cmocka_unit_test_setup(through_a_pipe, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
