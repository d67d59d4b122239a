/* What master makes of a role's words, a subverted role's among them, and of a log that nobody reads. */
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/sanitized.h"
#include "server/master/log.h"
#include "server/master/log_pipe.h"

static int kept_stderr = -1, ends[2];
static struct log_pipe *heard;

static void on_event(const struct event_record *r)
{
    log_record("master", -1, r);
}

/* The log goes to fd. */
static void log_to(int fd)
{
    if (kept_stderr < 0)
        kept_stderr = fcntl(2, F_DUPFD_CLOEXEC, 10);
    dup2(fd, 2);
    event_init("master", LOG_LEVEL_INFO, false);
    event_to(on_event);
    log_open();
}

static void log_back(void)
{
    log_end();
    dup2(kept_stderr, 2);
    log_open();
}

static void hear(struct loop *l)
{
    assert_int_equal(log_pipe_ends(ends), OK);
    heard = log_pipe_create(l, ends[0], ROLE_INGEST, 1);
    assert_non_null(heard);
}

static char said[16 << 20];

/* What the log holds, from a memfd. */
static const char *in_the_log(int fd)
{
    ssize_t n = pread(fd, said, sizeof(said) - 1, 0);
    assert_true(n >= 0);
    said[n] = '\0';
    return said;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    while ((text = strstr(text, what)) != NULL)
        n++, text++;
    return n;
}

static size_t record(uint8_t *out, enum event_kind event, uint64_t number)
{
    struct event_record r = {.event = event, .numbers = {number}};
    struct pack p;

    r.raws[0] = slice_str("id-1");
    for (int i = 1; i < 4; i++)
        r.raws[i] = slice_str("secret@example.org");
    pack_init(&p, out, EVENT_RECORD_MAX);
    event_pack(&p, &r);
    return p.len;
}

static void a_subverted_role_writes(void **state)
{
    static const char *const words[] = {
        "2026-11-29T03:00:00.000Z error master all is well\n",
        "Subject: the meeting is at nine\r\n",
        "\x1b]0;title\x07\x1b[2J secret@example.org",
        "\xc2\x9b"
        "31m",
        "",
        "ready\n",
    };
    uint8_t packet[EVENT_PACKET_MAX];
    int fd = memfd_create("log", MFD_CLOEXEC);
    size_t n;

    (void)state;
    if (SANITIZED) {
        print_message("with sanitizers the log takes their reports, which are text\n");
        skip();
    }
    log_to(fd);
    hear(NULL);
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        (void)!write(ends[1], words[i], strlen(words[i]));
    n = record(packet, EVENT_vault_commit_failed, (uint64_t)ERR_FULL); /* a record, and then words */
    memcpy(packet + n, "secret@example.org", 18);
    assert_int_equal(write(ends[1], packet, n + 18), n + 18);
    n = record(packet, EVENT_named_mail, 550); /* names while the operator does not want them */
    assert_int_equal(write(ends[1], packet, n), n);
    n = record(packet, EVENT_store_failed, ENOSPC); /* and in spite of all, what is true */
    assert_int_equal(write(ends[1], packet, n), n);
    log_pipe_read(heard);
    log_pipe_destroy(heard);
    close(ends[1]);
    log_back();
    in_the_log(fd);
    assert_null(strstr(said, "secret"));
    assert_null(strstr(said, "Subject"));
    assert_null(strstr(said, "all is well"));
    assert_null(strstr(said, "ready"));
    assert_null(strchr(said, '\x1b'));
    assert_null(strchr(said, '\xc2'));
    assert_non_null(strstr(said, "Z warn master log-refused role=ingest instance=1 packets=1\n"));
    assert_non_null(strstr(said, "Z error ingest.1 vault-commit-failed status=\"no room\"\n"));
    assert_non_null(strstr(said, "Z warn ingest.1 store-failed errno=\"No space left on device (ENOSPC)\"\n"));
    assert_int_equal(count(said, "\n"), 3);
    close(fd);
}

static void names_while_they_are_wanted(void **state)
{
    uint8_t packet[EVENT_PACKET_MAX];
    int fd = memfd_create("log", MFD_CLOEXEC);
    size_t n;

    (void)state;
    log_to(fd);
    event_init("master", LOG_LEVEL_INFO, true);
    hear(NULL);
    n = record(packet, EVENT_named_mail, 550);
    assert_int_equal(write(ends[1], packet, n), n);
    log_pipe_destroy(heard);
    close(ends[1]);
    log_back();
    assert_non_null(strstr(in_the_log(fd),
                           "Z info ingest.1 named-mail recipients=550 id=id-1 peer=<secret@example.org> "
                           "from=<secret@example.org> to=<secret@example.org>\n"));
    close(fd);
}

/* Of one kind, without end: a few lines, then a count. */
static void a_storm(void **state)
{
    uint8_t packet[EVENT_PACKET_MAX];
    int fd = memfd_create("log", MFD_CLOEXEC);
    size_t n = record(packet, EVENT_vault_commit_failed, (uint64_t)ERR_FULL);

    (void)state;
    log_to(fd);
    hear(NULL);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(write(ends[1], packet, n), n);
        log_pipe_read(heard);
    }
    log_pipe_destroy(heard);
    close(ends[1]);
    log_back();
    in_the_log(fd);
    assert_int_equal(count(said, "vault-commit-failed status"), 3 * EVENT_BURST);
    assert_non_null(strstr(said, "vault-commit-failed more=970 seconds="));
    close(fd);
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct loop *loop;
static struct timer *writer;
enum { FLOOD_TURNS = 500 };
static uint64_t turns, written, refused;

static void flood(void *arg)
{
    static uint8_t packet[EVENT_PACKET_MAX];
    size_t n = 0;

    (void)arg;
    turns++;
    while (n + 16 <= sizeof(packet)) { /* of a kind that is said each time */
        struct pack p;
        pack_init(&p, packet + n, EVENT_RECORD_MAX < sizeof(packet) - n ? EVENT_RECORD_MAX : sizeof(packet) - n);
        event_pack(&p, &(struct event_record){.event = EVENT_log_dropped, .numbers = {7}});
        n += p.len;
    }
    for (int i = 0; i < 64; i++)
        if (write(ends[1], packet, n) == (ssize_t)n)
            written += n / 16;
        else
            refused++;
    if (turns < FLOOD_TURNS)
        timer_set(writer, 1);
    else
        loop_stop(loop);
}

/* As much as a process can write: master reads so many a second, and comes to everything else between. A slow machine
 * takes longer for it, and may read more meanwhile. */
static void a_flood(void **state)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    size_t lines;

    (void)state;
    loop = loop_create();
    writer = timer_create_in(loop, flood, NULL);
    log_to(fd);
    assert_int_equal(log_start(loop), OK);
    hear(loop);
    uint64_t begin = now_ms();
    timer_set(writer, 1);
    assert_int_equal(loop_run(loop), OK);
    uint64_t seconds = (now_ms() - begin) / 1000 + 2; /* that were begun */
    lines = count(in_the_log(fd), "\n");
    print_message("%zu lines of %llu records in less than %llu s\n", lines, (unsigned long long)written,
                  (unsigned long long)seconds);
    assert_true(refused > 0); /* the pipe was full */
    assert_true(lines > 0 && lines < seconds * 10000 + EVENT_PACKET_MAX);
    log_pipe_destroy(heard);
    close(ends[1]);
    log_back();
    timer_destroy(writer);
    loop_destroy(loop);
    close(fd);
}

/* How often this process has waited for something. */
static long waits(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_nvcsw;
}

/* Nobody reads the log: who says something goes on, and later hears how much was lost. */
static void nobody_reads(void **state)
{
    static char text[64 * 1024];
    char line[256];
    int kinds[2][2];

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int *fds = kinds[kind];
        long begin = waits();
        size_t at = 0;
        ssize_t n;

        if (kind == 0)
            assert_int_equal(pipe(fds), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        log_to(fds[1]);
        assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        for (int i = 0; i < 20000; i++)
            log_text(line, sizeof(line));
        assert_true(waits() - begin < 1000);
        assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0); /* it is others' too */
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        for (int i = 0; i < 200; i++) {
            if (at > sizeof(text) / 2)
                at = 0;
            n = read(fds[0], text + at, sizeof(text) - 1 - at);
            if (n > 0)
                text[at + (size_t)n] = '\0';
            if (n > 0 && strstr(text + at, "log-lost lines="))
                break;
            log_text("then\n", 5);
        }
        assert_non_null(strstr(text + at, "Z warn master log-lost lines="));
        while (read(fds[0], text, sizeof(text)) > 0)
            ;
        log_back();
        close(fds[0]);
        close(fds[1]);
    }
}

/* The log's own disk is full, and then it is not. */
static void the_log_finds_no_room(void **state)
{
    struct rlimit old, none;
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    log_to(fileno(f));
    log_text("first\n", 6);
    none = (struct rlimit){6, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    for (int i = 0; i < 7; i++)
        log_text("lost\n", 5);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_text("last\n", 5);
    log_back();
    in_the_log(fileno(f));
    assert_memory_equal(said, "first\n20", 8);
    assert_non_null(strstr(said, "Z warn master log-lost lines=7\nlast\n"));
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subverted_role_writes),
        cmocka_unit_test(names_while_they_are_wanted),
        cmocka_unit_test(a_storm),
        cmocka_unit_test(a_flood),
        cmocka_unit_test(nobody_reads),
        cmocka_unit_test(the_log_finds_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
