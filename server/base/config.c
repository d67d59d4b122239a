/* The configuration file: reading, writing, defaults, reload and shares all walk the table of items. */
#include "server/base/config_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/core/wire.h"

static void number_set(struct config *c, const struct config_item *it, uint64_t v)
{
    char *at = (char *)c + it->offset;

    if (it->type == T_BOOL)
        *(bool *)at = v != 0;
    else if (it->type == T_U32)
        *(uint32_t *)at = (uint32_t)v;
    else
        *(uint64_t *)at = v;
}

static uint64_t number_get(const struct config *c, const struct config_item *it)
{
    const char *at = (const char *)c + it->offset;

    if (it->type == T_BOOL)
        return *(const bool *)at;
    if (it->type == T_U32)
        return *(const uint32_t *)at;
    return *(const uint64_t *)at;
}

void config_defaults(struct config *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < config_items_n; i++) {
        if (config_items[i].type == T_TEXT)
            memcpy((char *)c + config_items[i].offset, config_items[i].text, strlen(config_items[i].text) + 1);
        else
            number_set(c, &config_items[i], config_items[i].number);
    }
}

void config_set_log(const struct config *c, const char *process)
{
    enum log_level level = LOG_LEVEL_INFO;

    (void)log_level_parse(c->log_level, &level); /* it was checked when it was read */
    event_init(process, level, c->debug_names);
}

const char *config_item_name(size_t i)
{
    return i < config_items_n ? config_items[i].name : NULL;
}

static const struct {
    const char *name;
    uint64_t factor;
} units[] = {{"TB", TB}, {"GB", GB}, {"MB", MB}, {"KB", KB}};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

static void size_text(uint64_t v, char out[32])
{
    for (size_t i = 0; i < UNITS; i++)
        if (v && v % units[i].factor == 0) {
            snprintf(out, 32, "%llu %s", (unsigned long long)(v / units[i].factor), units[i].name);
            return;
        }
    snprintf(out, 32, "%llu", (unsigned long long)v);
}

static void number_text(const struct config_item *it, uint64_t v, char out[32])
{
    if (it->type == T_BOOL)
        snprintf(out, 32, "%s", v ? "yes" : "no");
    else if (it->type == T_SIZE)
        size_text(v, out);
    else
        snprintf(out, 32, "%llu", (unsigned long long)v);
}

/* Decimal digits, and for sizes a unit after an optional space. */
static bool number_parse(const struct config_item *it, struct slice s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;

    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        if (v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    if (i == 0)
        return false;
    if (i < s.len) {
        size_t u;

        if (it->type != T_SIZE)
            return false;
        i += s.data[i] == ' ';
        for (u = 0; u < UNITS; u++)
            if (s.len - i == 2 && memcmp(s.data + i, units[u].name, 2) == 0)
                break;
        if (u == UNITS || v > UINT64_MAX / units[u].factor)
            return false;
        v *= units[u].factor;
    }
    *ret = v;
    return true;
}

struct parser {
    struct config config;
    unsigned line;
    bool seen[CONFIG_ITEMS_MAX];
    char *why;
    size_t why_cap;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct parser *p, const char *fmt, ...)
{
    int head = 0;
    va_list ap;

    if (p->why_cap == 0)
        return ERR_FORMAT;
    if (p->line)
        head = snprintf(p->why, p->why_cap, "line %u: ", p->line);
    if ((size_t)head < p->why_cap) {
        va_start(ap, fmt);
        vsnprintf(p->why + head, p->why_cap - (size_t)head, fmt, ap);
        va_end(ap);
    }
    return ERR_FORMAT;
}

static int text_value(struct parser *p, const struct config_item *it, struct slice value)
{
    char text[512];

    if (value.len >= it->size)
        return refuse(p, "%s is longer than %zu characters", it->name, it->size - 1);
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    if (!it->valid(text))
        return refuse(p, "%s must be %s", it->name, it->wanted);
    memcpy((char *)&p->config + it->offset, text, value.len + 1);
    return OK;
}

static int number_value(struct parser *p, const struct config_item *it, struct slice value)
{
    char low[32], high[32];
    uint64_t v;

    if (it->type == T_BOOL) {
        bool yes = value.len == 3 && memcmp(value.data, "yes", 3) == 0;

        if (!yes && !(value.len == 2 && memcmp(value.data, "no", 2) == 0))
            return refuse(p, "%s must be yes or no", it->name);
        number_set(&p->config, it, yes);
        return OK;
    }
    number_text(it, it->min, low);
    number_text(it, it->max, high);
    if (!number_parse(it, value, &v) || v < it->min || v > it->max)
        return refuse(p, "%s must be a %s from %s to %s", it->name,
                      it->type == T_SIZE ? "size (such as 4096, 64 KB or 50 MB)" : "number", low, high);
    number_set(&p->config, it, v);
    return OK;
}

static struct slice trim(struct slice s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_of(s.data + 1, s.len - 1);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int parse_line(struct parser *p, struct slice line)
{
    struct slice name, value;
    const uint8_t *eq;
    size_t i;

    if (line.len >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
        return refuse(p, "a byte order mark, which editors do not show; save the file without it");
    for (i = 0; i < line.len; i++)
        if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f)
            return refuse(p, "a control character (0x%02x); lines end in a line feed alone", line.data[i]);
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return OK;
    eq = memchr(line.data, '=', line.len);
    if (!eq)
        return refuse(p, "\"name = value\" is expected");
    name = trim(slice_of(line.data, (size_t)(eq - line.data)));
    value = trim(slice_of(eq + 1, line.len - (size_t)(eq - line.data) - 1));
    for (i = 0; i < config_items_n; i++)
        if (name.len == strlen(config_items[i].name) && memcmp(name.data, config_items[i].name, name.len) == 0)
            break;
    if (i == config_items_n)
        return refuse(p, "there is no item named \"%.*s\"", (int)(name.len < 64 ? name.len : 64), name.data);
    if (p->seen[i])
        return refuse(p, "%s is set a second time", config_items[i].name);
    p->seen[i] = true;
    for (size_t j = 0; j < value.len; j++)
        if (value.data[j] == '#' && (j == 0 || value.data[j - 1] == ' ' || value.data[j - 1] == '\t'))
            return refuse(p, "a comment stands on a line of its own");
    return config_items[i].type == T_TEXT ? text_value(p, &config_items[i], value)
                                          : number_value(p, &config_items[i], value);
}

/* Items that only make sense together. */
static int parse_whole(struct parser *p)
{
    const struct config *c = &p->config;

    p->line = 0;
    if (c->message_max > c->plaintext_budget)
        return refuse(p, "message_max is larger than plaintext_budget: such a message could never be received");
    if (c->message_max > c->plaintext_budget_peer)
        return refuse(p, "message_max is larger than plaintext_budget_peer: such a message could never be received");
    return OK;
}

int config_parse(const char *text, size_t len, struct config *ret, char *why, size_t why_cap)
{
    struct parser p = {.why = why, .why_cap = why_cap};
    size_t pos = 0;
    int err;

    config_defaults(&p.config);
    while (pos < len) {
        const char *end = memchr(text + pos, '\n', len - pos);
        size_t n = end ? (size_t)(end - text) - pos : len - pos;

        p.line++;
        err = parse_line(&p, slice_of(text + pos, n));
        if (err != OK)
            return err;
        pos += n + (end != NULL);
    }
    err = parse_whole(&p);
    if (err == OK)
        *ret = p.config;
    return err;
}

static uint64_t nth(uint64_t v, uint32_t n)
{
    return v / n + (v % n != 0);
}

void config_share(struct config *c, uint32_t n)
{
    uint64_t message = c->message_max + 64 * KB; /* memory is counted in such steps */

    if (n < 2)
        return;
    for (size_t i = 0; i < config_items_n; i++)
        if (config_items[i].kind == CONFIG_SHARED)
            number_set(c, &config_items[i], nth(number_get(c, &config_items[i]), n));
    if (c->plaintext_budget < message)
        c->plaintext_budget = message;
}

static bool differs(const struct config *a, const struct config *b, const struct config_item *it)
{
    const char *x = (const char *)a + it->offset, *y = (const char *)b + it->offset;

    return it->type == T_TEXT ? strcmp(x, y) != 0 : number_get(a, it) != number_get(b, it);
}

static void list_add(char *list, size_t cap, const char *name)
{
    size_t len = strlen(list);

    snprintf(list + len, cap - len, "%s%s", len ? ", " : "", name);
}

void config_reload(struct config *c, const struct config *read, char *late, size_t late_cap)
{
    struct config next = *read;

    late[0] = '\0';
    for (size_t i = 0; i < config_items_n; i++) {
        const struct config_item *it = &config_items[i];
        if (it->kind != CONFIG_START || !differs(c, read, it))
            continue;
        memcpy((char *)&next + it->offset, (const char *)c + it->offset, it->size);
        list_add(late, late_cap, it->name);
    }
    *c = next;
}

void config_differences(const struct config *a, const struct config *b, char *list, size_t cap)
{
    list[0] = '\0';
    for (size_t i = 0; i < config_items_n; i++)
        if (differs(a, b, &config_items[i]))
            list_add(list, cap, config_items[i].name);
}

struct writer {
    char *out;
    size_t len, cap;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(line) || (size_t)n > w->cap - w->len) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->len, line, (size_t)n);
    w->len += (size_t)n;
}

static void item_write(struct writer *w, const struct config *c, const struct config_item *it)
{
    static const char *const effect[] = {
        [CONFIG_START] = "at the next start",
        [CONFIG_LIVE] = "at once",
        [CONFIG_SHARED] = "at once; each process of a role takes an even share",
        [CONFIG_PEER] = "at once; counted over the processes of a role together",
    };
    char value[32], low[32], high[32], usual[32];

    put(w, "\n# %s\n", it->help);
    number_text(it, it->number, usual);
    number_text(it, it->min, low);
    number_text(it, it->max, high);
    if (it->type == T_TEXT)
        put(w, "# Default: %s\n", *it->text ? it->text : "(nothing)");
    else if (it->type == T_BOOL)
        put(w, "# Default: %s\n", usual);
    else
        put(w, "# Default: %s; from %s to %s\n", usual, low, high);
    put(w, "# Takes effect: %s\n", effect[it->kind]);
    if (it->type != T_TEXT)
        number_text(it, number_get(c, it), value);
    put(w, "%s = %s\n", it->name, it->type == T_TEXT ? (const char *)c + it->offset : value);
}

long config_write(const struct config *c, char *out, size_t cap)
{
    struct writer w = {.out = out, .cap = cap};

    put(&w,
        "# Letterlock's configuration: \"name = value\", one a line.\n"
        "# Sizes may have KB, MB, GB or TB (1 KB = 1024).\n"
        "# What is left out has its default. letterlock reload, or SIGHUP to the server, takes a changed file over.\n");
    for (size_t i = 0; i < config_items_n && !w.full; i++)
        item_write(&w, c, &config_items[i]);
    return w.full ? ERR_LIMIT : (long)w.len;
}
