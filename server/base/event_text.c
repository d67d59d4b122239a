/* Events as lines for people. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/base/event_impl.h"
#include "server/base/roles.h"

struct text {
    char *out;
    size_t len, cap;
};

static __attribute__((format(printf, 2, 3))) void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->out + t->len, t->cap - t->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->len = t->len + (size_t)n < t->cap ? t->len + (size_t)n : t->cap - 1;
}

/* Quoted where it is more than one word. */
static void put_words(struct text *t, const char *words)
{
    put(t, strpbrk(words, " =") ? "\"%s\"" : "%s", words);
}

static void put_errno(struct text *t, int rc)
{
    const char *name = rc > 0 ? strerrorname_np(rc) : NULL;

    if (rc == 0)
        put(t, "none");
    else if (name)
        put(t, "\"%s (%s)\"", strerrordesc_np(rc), name);
    else
        put(t, "%s%d", rc < 0 ? "LMDB" : "", rc);
}

static uint64_t rounded_up(uint64_t octets)
{
    uint64_t n = 1;

    while (n < octets && n < UINT64_MAX / 2)
        n *= 2;
    return octets ? n : 0;
}

static void put_bug(struct text *t, uint64_t number)
{
    const struct bug_place *b = bug_place(number);

    put(t, "%s:%d condition=\"%s\"", b->file, b->line, b->condition);
}

static void put_number(struct text *t, enum event_type type, uint64_t v)
{
    switch (type) {
    case EVENT_TYPE_COUNT: put(t, "%llu", (unsigned long long)v); break;
    case EVENT_TYPE_SIGNED: put(t, "%lld", (long long)v); break;
    case EVENT_TYPE_STATUS: put_words(t, err_str((int)(int64_t)v)); break;
    case EVENT_TYPE_ERRNO: put_errno(t, (int)(int64_t)v); break;
    case EVENT_TYPE_ROLE: put(t, "%s", role_name((enum role)v)); break;
    case EVENT_TYPE_SIGNAL: put(t, "%s%s", v ? "SIG" : "", v ? sigabbrev_np((int)v) : "none"); break;
    case EVENT_TYPE_OCTETS: put(t, "%llu", (unsigned long long)rounded_up(v)); break;
    case EVENT_TYPE_TLS: put(t, v ? "%04x/%04x" : "none", (unsigned)(v >> 16), (unsigned)(v & 0xffff)); break;
    case EVENT_TYPE_CODE:
        put(t, v ? "%u.%u.%u" : "none", (unsigned)v / 10000, (unsigned)v / 100 % 100, (unsigned)v % 100);
        break;
    case EVENT_TYPE_BUG: put_bug(t, v); break;
    default: put_words(t, event_word(type, v));
    }
}

static void put_hash(struct text *t, const uint8_t hash[EVENT_HASH_SIZE])
{
    static const uint8_t zeros[EVENT_HASH_SIZE];
    char digits[2 * EVENT_HASH_SIZE + 1] = "none";

    for (size_t i = 0; i < 2 * EVENT_HASH_SIZE && memcmp(hash, zeros, EVENT_HASH_SIZE) != 0; i++) {
        const int digit = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;
        digits[i] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
    }
    put(t, "%s", digits);
}

static void put_raw(struct text *t, enum event_type type, struct slice s)
{
    if (type == EVENT_TYPE_HASH) {
        put_hash(t, s.data);
    } else if (type == EVENT_TYPE_ID) {
        put(t, "%.*s", (int)s.len, (const char *)s.data);
    } else {
        char clean[EVENT_TEXT_MAX];
        size_t n = 0;
        for (; n < s.len; n++)
            clean[n] = strchr("<>", s.data[n]) ? '?' : (char)s.data[n]; /* NUL too */
        utf8_tame(clean, n);
        put(t, "<%.*s>", (int)n, clean);
    }
}

const char *event_name(enum event_kind event)
{
    static char names[EVENTS][40];
    char *name = names[event];

    if (!*name) {
        snprintf(name, sizeof(names[event]), "%s", event_rows[event].name);
        for (char *c = name; *c; c++)
            if (*c == '_')
                *c = '-';
    }
    return name;
}

size_t event_text(const struct event_record *r, char *out, size_t cap)
{
    const struct event_row *row = &event_rows[r->event];
    struct text t = {.out = out, .cap = cap};

    put(&t, "%s", event_name(r->event));
    if (r->more)
        put(&t, " more=%u seconds=%u", r->more, r->seconds);
    for (unsigned i = 0; !r->more && i < row->numbers + row->raws; i++) {
        put(&t, " %s=", row->fields[i].key);
        if (i < row->numbers)
            put_number(&t, row->fields[i].type, r->numbers[i]);
        else
            put_raw(&t, row->fields[i].type, r->raws[i - row->numbers]);
    }
    return t.len;
}

const char *event_level_name(enum log_level level)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug"};

    return names[level];
}
