/* Logging to stderr: one write(2) a line, so that lines of several processes do not mix. Control characters, and what
 * is no UTF-8, become '?', so that nothing foreign can forge a line or move the terminal's cursor. */
#include "server/core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/utf8.h"

#include "server/core/error.h"

static char log_role[24] = "letterlock";
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_names;

int log_level_parse(const char *word, enum log_level *ret)
{
    static const char *const words[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum log_level)i;
            return OK;
        }
    return ERR_FORMAT;
}

void log_init(const char *role, enum log_level level, int names_allowed)
{
    snprintf(log_role, sizeof(log_role), "%s", role);
    log_max = level;
    log_names = names_allowed;
}

static void emit(const char *level, const char *fmt, va_list ap)
{
    char line[2048];
    int saved = errno, head, n;
    size_t len;

    head = snprintf(line, sizeof(line), "%s %s ", level, log_role);
    n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
    if (n < 0)
        n = 0;
    len = (size_t)head + (size_t)n;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    utf8_tame(line, len);
    line[len++] = '\n';
    /* There is nowhere to report that the log cannot be written. */
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
    errno = saved;
}

#define EMIT(level_, name_)     \
    do {                        \
        va_list ap;             \
        if (log_max < (level_)) \
            return;             \
        va_start(ap, fmt);      \
        emit(name_, fmt, ap);   \
        va_end(ap);             \
    } while (0)

void log_error(const char *fmt, ...)
{
    EMIT(LOG_LEVEL_ERROR, "error");
}

void log_warn(const char *fmt, ...)
{
    EMIT(LOG_LEVEL_WARN, "warn");
}

void log_info(const char *fmt, ...)
{
    EMIT(LOG_LEVEL_INFO, "info");
}

void log_debug(const char *fmt, ...)
{
    EMIT(LOG_LEVEL_DEBUG, "debug");
}

void log_person(const char *fmt, ...)
{
    va_list ap;

    if (!log_names)
        return;
    va_start(ap, fmt);
    emit("person", fmt, ap);
    va_end(ap);
}

void log_bug(const char *file, int line, const char *what)
{
    log_error("bug file=%s line=%d condition=\"%s\"", file, line, what);
    abort();
}
