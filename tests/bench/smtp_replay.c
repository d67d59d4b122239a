/* bench_smtp_replay FROM PORT SESSIONS MESSAGES SENDER RECIPIENT DIR COUNT: sends DIR/0.eml to DIR/COUNT-1.eml,
 * one after another and from the start again, by so many sessions at once, a connection each, from an address
 * of this machine. Prints seconds until the last has its 250, and seconds of its own processor time. Ends with 1 at
 * the first reply that is no success. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS_MAX = 200, LINE_MAX_HERE = 4096, STACK = 256 * 1024, ARGUMENTS = 9 };

static struct {
    struct sockaddr_in from, to;
    const char *sender, *recipient;
    size_t messages, count;
    struct mail {
        char *s;
        size_t len;
    } * mail;
} work;
static atomic_size_t taken;

static void fail(const char *what, const char *said)
{
    fprintf(stderr, "bench_smtp_replay: %s: %s\n", what, said);
    exit(1);
}

/* With dots doubled (RFC 5321 section 4.5.2) and its end. */
static struct mail read_mail(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct mail m = {.len = 0};
    size_t cap = 0;
    bool start = true;
    int c;

    if (!f)
        fail(path, "cannot be read");
    while ((c = getc(f)) != EOF) {
        if (m.len + 8 > cap && !(m.s = realloc(m.s, cap = 2 * cap + 65536)))
            fail(path, "no memory");
        if (start && c == '.')
            m.s[m.len++] = '.';
        m.s[m.len++] = (char)c;
        start = c == '\n';
    }
    fclose(f);
    if (!start || !m.len)
        fail(path, "does not end with a line");
    memcpy(m.s + m.len, ".\r\n", 3);
    m.len += 3;
    return m;
}

static void put(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL);

        if (n <= 0)
            fail("sending", "the connection ended");
        s += n;
        len -= (size_t)n;
    }
}

/* Waits for `replies` replies to their ends, all of which begin with `code`. */
static void expect(int fd, int replies, char code, const char *what)
{
    char said[LINE_MAX_HERE + 1];
    size_t len = 0, at = 0;

    while (replies > 0) {
        char *end = memchr(said + at, '\n', len - at);

        if (end) {
            if (said[at] != code)
                fail(what, said + at);
            replies -= said[at + 3] == ' ';
            at = (size_t)(end + 1 - said);
            continue;
        }
        ssize_t n = len < LINE_MAX_HERE ? recv(fd, said + len, LINE_MAX_HERE - len, 0) : 0;
        if (n <= 0)
            fail(what, "the connection ended");
        len += (size_t)n;
        said[len] = '\0';
    }
}

static void say(int fd, const char *format, ...)
{
    char line[LINE_MAX_HERE];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    put(fd, line, (size_t)n);
}

/* A command at a time, as smtp-source does. */
static void deliver(const struct mail *m)
{
    static const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) ||
        bind(fd, (const struct sockaddr *)&work.from, sizeof(work.from)) ||
        connect(fd, (const struct sockaddr *)&work.to, sizeof(work.to)))
        fail("connecting", "not possible");
    expect(fd, 1, '2', "greeting");
    say(fd, "EHLO mx.sender.example\r\n");
    expect(fd, 1, '2', "EHLO");
    say(fd, "MAIL FROM:<%s>\r\n", work.sender);
    expect(fd, 1, '2', "MAIL");
    say(fd, "RCPT TO:<%s>\r\n", work.recipient);
    expect(fd, 1, '2', "RCPT");
    say(fd, "DATA\r\n");
    expect(fd, 1, '3', "DATA");
    put(fd, m->s, m->len);
    expect(fd, 1, '2', "the message");
    say(fd, "QUIT\r\n");
    expect(fd, 1, '2', "QUIT");
    close(fd);
}

static void *session(void *arg)
{
    size_t n;

    while ((n = atomic_fetch_add(&taken, 1)) < work.messages)
        deliver(&work.mail[n % work.count]);
    return arg;
}

static void read_work(char **argv)
{
    char path[LINE_MAX_HERE];

    work.from.sin_family = work.to.sin_family = AF_INET;
    work.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    work.to.sin_port = htons((uint16_t)atoi(argv[2]));
    work.messages = (size_t)atol(argv[4]);
    work.sender = argv[5];
    work.recipient = argv[6];
    work.count = (size_t)atol(argv[8]);
    work.mail = calloc(work.count + 1, sizeof(*work.mail));
    if (!inet_aton(argv[1], &work.from.sin_addr) || !work.count || !work.mail)
        fail("arguments", argv[1]);
    for (size_t i = 0; i < work.count; i++) {
        snprintf(path, sizeof(path), "%s/%zu.eml", argv[7], i);
        work.mail[i] = read_mail(path);
    }
}

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    const int sessions = argc == ARGUMENTS ? atoi(argv[3]) : 0;
    pthread_t threads[SESSIONS_MAX];
    pthread_attr_t attr;
    double begin, own;

    if (sessions < 1 || sessions > SESSIONS_MAX) {
        fprintf(stderr, "usage: bench_smtp_replay FROM PORT SESSIONS MESSAGES SENDER RECIPIENT DIR COUNT\n");
        return 2;
    }
    read_work(argv);
    begin = now(CLOCK_MONOTONIC);
    own = now(CLOCK_PROCESS_CPUTIME_ID);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    for (int i = 0; i < sessions; i++)
        if (pthread_create(&threads[i], &attr, session, NULL))
            fail("sessions", "no more threads");
    for (int i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    printf("%.6f %.6f\n", now(CLOCK_MONOTONIC) - begin, now(CLOCK_PROCESS_CPUTIME_ID) - own);
    pthread_attr_destroy(&attr);
    for (size_t i = 0; i < work.count; i++)
        free(work.mail[i].s);
    free(work.mail);
    return 0;
}
