#include "server/master/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/date.h"

enum {
    WAITING_MAX = 256 * 1024,
    RETRY_MS = 20,
    END_MS = 1000,
    HEAD_MAX = 96,
    CAREFUL = 4096, /* so much fits a pipe that can be written at all */
};

static struct {
    int fd; /* 0: log_open was not called */
    bool socket, careful;
    char waiting[WAITING_MAX];
    size_t len;
    uint64_t lost, lost_said; /* what waits says of those */
    struct loop *loop;
    struct timer *retry;
    struct defer defer;
} self;

/* A pipe or a terminal is opened anew, since O_NONBLOCK on the descriptor that was inherited would be everybody's. */
void log_open(void)
{
    struct stat st;

    self.fd = STDERR_FILENO;
    if (fstat(STDERR_FILENO, &st) != 0 || S_ISREG(st.st_mode))
        return;
    self.socket = S_ISSOCK(st.st_mode);
    if (!self.socket) {
        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        self.careful = fd < 0;
        self.fd = fd < 0 ? STDERR_FILENO : fd;
    }
}

static ssize_t write_some(const char *data, size_t len)
{
    struct pollfd p = {.fd = self.fd, .events = POLLOUT};

    if (self.socket) {
        struct iovec v = {(char *)data, len};
        return sendmsg(self.fd, &(struct msghdr){.msg_iov = &v, .msg_iovlen = 1}, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (self.careful) {
        if (poll(&p, 1, 0) != 1)
            return -1;
        len = len < CAREFUL ? len : CAREFUL;
    }
    return write(self.fd ? self.fd : STDERR_FILENO, data, len);
}

/* What can never be written, because nobody reads any more or the disk of the log is full, is let go and counted. */
static void lose(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        self.lost += text[i] == '\n';
    if (self.lost_said)
        self.lost += self.lost_said - 1; /* that line is no loss */
    self.lost_said = 0;
}

/* Whether nothing waits any longer. */
static bool write_waiting(void)
{
    size_t at = 0;
    ssize_t n;

    while (at < self.len) {
        errno = EAGAIN;
        n = write_some(self.waiting + at, self.len - at);
        if (n > 0)
            at += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR) {
            lose(self.waiting + at, self.len - at);
            at = self.len;
        }
    }
    memmove(self.waiting, self.waiting + at, self.len - at);
    self.len -= at;
    if (self.len == 0)
        self.lost_said = 0;
    return self.len == 0;
}

static void on_retry(void *arg)
{
    (void)arg;
    if (!write_waiting())
        timer_set(self.retry, RETRY_MS);
}

int log_start(struct loop *l)
{
    self.retry = timer_create_in(l, on_retry, NULL);
    self.loop = self.retry ? l : NULL;
    return self.retry ? OK : ERR_MEMORY;
}

void log_end(void)
{
    const struct timespec step = {0, RETRY_MS * 1000000L};

    if (self.loop)
        defer_cancel(self.loop, &self.defer);
    timer_destroy(self.retry);
    self.retry = NULL;
    self.loop = NULL;
    for (int waited = 0; !write_waiting() && waited < END_MS; waited += RETRY_MS)
        nanosleep(&step, NULL);
}

static void put(const char *text, size_t len)
{
    memcpy(self.waiting + self.len, text, len);
    self.len += len;
}

/* What a line begins with, up to and with the blank before the event. */
static size_t head(char out[HEAD_MAX], enum log_level level, const char *process, int instance)
{
    struct timespec now;
    struct date_civil d;
    unsigned s;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    d = date_from_days((int32_t)(now.tv_sec / 86400));
    s = (unsigned)(now.tv_sec % 86400);
    n = snprintf(out, HEAD_MAX, "%04d-%02d-%02dT%02u:%02u:%02u.%03ldZ %s %.32s", (int)d.year, (int)d.month, (int)d.day,
                 s / 3600, s / 60 % 60, s % 60, now.tv_nsec / 1000000, event_level_name(level), process);
    n += snprintf(out + n, (size_t)(HEAD_MAX - n), instance >= 0 ? ".%d " : " ", instance);
    return (size_t)n;
}

/* Room is kept for the word about what was lost. */
void log_text(const char *text, size_t len)
{
    char lost[HEAD_MAX + 64];
    size_t n;

    if (len > WAITING_MAX - sizeof(lost) - self.len) {
        self.lost++;
        return;
    }
    if (self.lost) {
        n = head(lost, LOG_LEVEL_WARN, "master", -1);
        n += (size_t)snprintf(lost + n, sizeof(lost) - n, "log-lost lines=%llu\n", (unsigned long long)self.lost);
        self.lost_said += self.lost;
        self.lost = 0;
        put(lost, n);
    }
    put(text, len);
    if (self.loop)
        defer_set(self.loop, &self.defer, on_retry, NULL);
    else
        (void)write_waiting();
}

void log_record(const char *process, int instance, const struct event_record *r)
{
    char line[HEAD_MAX + EVENT_LINE_MAX];
    size_t len = head(line, event_level(r->event), process, instance);

    len += event_text(r, line + len, EVENT_LINE_MAX - 1);
    line[len++] = '\n';
    log_text(line, len);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char line[HEAD_MAX + EVENT_LINE_MAX];
    int saved = errno, n;
    size_t len, start;
    va_list ap;

    if (!event_level_wanted(level))
        return;
    start = len = head(line, level, "master", -1);
    va_start(ap, fmt);
    n = vsnprintf(line + len, EVENT_LINE_MAX - 1, fmt, ap);
    va_end(ap);
    len += n < 0 ? 0 : n < EVENT_LINE_MAX - 1 ? (size_t)n : EVENT_LINE_MAX - 2;
    utf8_tame(line + start, len - start);
    line[len++] = '\n';
    log_text(line, len);
    if (self.loop) /* whoever asked for it has its answer afterwards */
        on_retry(NULL);
    errno = saved;
}
