/* The configuration file: one table says each item's type, default, bounds and help text; reading, writing and the
 * defaults all walk it. */
#include "server/base/config.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/core/wire.h"

#define KB (UINT64_C(1) << 10)
#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)
#define TB (UINT64_C(1) << 40)

enum type { T_TEXT, T_BOOL, T_U32, T_SIZE };

struct item {
    const char *name;
    enum type type;
    size_t offset, size;
    uint64_t min, max, number; /* bounds and default of numbers; 1 is yes */
    const char *text;          /* default of texts */
    bool (*valid)(const char *value);
    const char *wanted; /* texts: what would be right */
    const char *help;
};

static bool valid_domain(const char *s);
static bool valid_address(const char *s);
static bool valid_address_list(const char *s);
static bool valid_path(const char *s);
static bool valid_path_or_none(const char *s);
static bool valid_level(const char *s);
static bool valid_policy(const char *s);

#define WHERE(field) .offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)
#define TEXT(field, text_, valid_, wanted_, help_)                                                             \
    {                                                                                                          \
        .name = #field, .type = T_TEXT, WHERE(field), .text = (text_), .valid = (valid_), .wanted = (wanted_), \
        .help = (help_)                                                                                        \
    }
#define BOOL(field, number_, help_)                                                                  \
    {                                                                                                \
        .name = #field, .type = T_BOOL, WHERE(field), .max = 1, .number = (number_), .help = (help_) \
    }
#define U32(field, number_, min_, max_, help_)                                                          \
    {                                                                                                   \
        .name = #field, .type = T_U32, WHERE(field), .min = (min_), .max = (max_), .number = (number_), \
        .help = (help_)                                                                                 \
    }
#define SIZE(field, number_, min_, max_, help_)                                                          \
    {                                                                                                    \
        .name = #field, .type = T_SIZE, WHERE(field), .min = (min_), .max = (max_), .number = (number_), \
        .help = (help_)                                                                                  \
    }

static const struct item items[] = {
    TEXT(domain, "localhost", valid_domain, "a host name such as mail.example.org",
         "The server's own name: in the greeting, in Received and in Authentication-Results."),
    TEXT(bind, "127.0.0.1", valid_address, "an IPv4 or IPv6 address",
         "The address to listen on; 0.0.0.0 or :: for all."),
    U32(port_base, 0, 0, 64000, "Added to every usual port: 20000 puts SMTP on 20025 and IMAPS on 20993."),
    BOOL(smtp, 1, "Listen for mail from other servers (port 25)."),
    BOOL(submission, 0,
         "Listen for mail from our own people (port 587). Not served yet: leave it off, or clients wait in vain."),
    BOOL(imap, 1, "Listen for IMAP with STARTTLS (port 143)."),
    BOOL(imaps, 1, "Listen for IMAP over TLS (port 993)."),
    TEXT(tls_chain, "tls/chain.pem", valid_path, "a path",
         "The certificate chain, PEM, the server's own first. Relative paths are below the instance's directory."),
    TEXT(tls_key, "tls/key.pem", valid_path, "a path", "The certificate's private key, PEM."),
    TEXT(store_key_file, "", valid_path_or_none, "a path, or nothing",
         "The key file that opens the store's names, if that slot is used; best on another file system."),
    TEXT(log_level, "info", valid_level, "error, warn, info or debug", "What is logged: error, warn, info or debug."),
    BOOL(debug_names, 0, "Log recipients' addresses too. Only for a debugging window: with no, logs name no person."),
    BOOL(allow_no_landlock, 0,
         "Serve although the kernel lacks Landlock: the roles are then confined by seccomp and uid alone."),
    U32(role_uid_base, 61800, 1000, 4000000000U,
        "Started as root, each role runs under a user and group id of its own, counted from this one."),
    U32(ingest_instances, 0, 0, 64, "Processes that receive and seal mail; 0 is one a core."),
    U32(access_instances, 0, 0, 64, "Processes that serve readers; 0 is one a core."),

    SIZE(message_max, 50 * MB, 64 * KB, 1 * GB, "The largest message (RFC 1870 SIZE)."),
    U32(recipients_max, 100, 1, 10000, "Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for 100)."),
    U32(text_line_max, 65536, 998, 1048576,
        "Octets of one line of a message. RFC 5321 says 998, real mail has longer ones."),
    U32(smtp_sessions, 1000, 1, 1000000,
        "SMTP sessions at a time, shared out evenly to the processes that receive mail."),
    U32(smtp_sessions_peer, 50, 1, 1000000,
        "SMTP sessions of one peer (an IPv4 address or an IPv6 /64); of n processes each takes up to twice an n-th."),
    U32(smtp_errors, 20, 1, 10000, "Bad commands in a session before it is ended with 421."),
    U32(smtp_command_timeout, 300, 1, 86400, "Seconds to wait for a command (RFC 5321 4.5.3.2.7)."),
    U32(smtp_data_timeout, 600, 1, 86400, "Seconds to wait for the next bytes of a message."),
    U32(smtp_session_timeout, 3600, 1, 604800, "Seconds that a session may last in all."),
    SIZE(plaintext_budget, 512 * MB, 1 * MB, 1 * TB,
         "Bytes of mail in flight, in all processes that receive it together (and again in all that serve readers); "
         "past it: 4xx. A process always takes one message of message_max."),
    SIZE(plaintext_budget_peer, 128 * MB, 1 * MB, 1 * TB,
         "The share of it that one peer may hold; of n processes each takes up to twice an n-th."),
    TEXT(xclient_hosts, "", valid_address_list, "addresses with commas between them, or nothing",
         "Addresses that may use XCLIENT: a proxy in front, or a test."),

    U32(imap_sessions, 20000, 1, 1000000,
        "IMAP sessions at a time, shared out evenly to the processes that serve readers."),
    U32(imap_sessions_peer, 200, 1, 1000000,
        "IMAP sessions of one peer; of n processes each takes up to twice an n-th."),
    U32(imap_login_timeout, 180, 1, 86400, "Seconds until a client must have logged in."),
    U32(imap_idle_timeout, 1860, 1, 604800, "Seconds without a command (RFC 9051 5.4 asks for 1800 at least)."),
    BOOL(imap_plain_auth_loopback, 0, "Let clients on loopback log in without TLS: for test tools."),

    SIZE(quota_default, 0, 0, 1024 * TB, "Bytes an account may hold; 0 is no limit."),
    TEXT(policy_default, "shy", valid_policy, "shy, baseline or hidden",
         "How much of a sealed message's header stays outside, for new accounts: shy, baseline or hidden."),
    U32(rsa_bits_min, 2048, 2048, 8192, "Bits that a reader's RSA key must have at least, to sign and to encrypt."),
    BOOL(accept_dsa, 1, "Take certificates whose primary key is DSA; under 2048 bits they are refused in any case."),
    BOOL(accept_elgamal, 1,
         "Seal to ElGamal keys (GnuPG does, many times slower); under 2048 bits they are refused in any case."),
    BOOL(keep_wildcard_mail, 0,
         "Keep mail that came encrypted to hidden recipients (key id of zeros) as it came, though nobody can tell here "
         "whether it is for the account's key; no: it is sealed like any other."),
    U32(key_notice_days, 30, 1, 365,
        "Days before a key expires that its reader gets a notice in INBOX, and that status lists it."),
    SIZE(map_size, sizeof(void *) > 4 ? 1 * TB : 1 * GB, 16 * MB, sizeof(void *) > 4 ? 64 * TB : 2 * GB - MB,
         "Address space set aside for the store: it can grow to this size and takes no disk before."),
    U32(reader_turn_ms, 1000, 50, 60000,
        "Milliseconds that a reader's view of the store stays good; the writer keeps old pages for so long."),
};
enum { ITEMS = sizeof(items) / sizeof(items[0]) };

static bool valid_domain(const char *s)
{
    size_t len = strlen(s), label = 0;

    /* RFC 1123 2.1: letters, digits and inner hyphens, labels of at most 63, 253 in all. */
    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = s[i];

        if (c == '.' || c == '\0') {
            if (label == 0 || label > 63 || s[i - 1] == '-')
                return false;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static bool valid_address(const char *s)
{
    struct in6_addr a;

    return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

static bool valid_address_list(const char *s)
{
    char one[INET6_ADDRSTRLEN];

    if (!*s)
        return true;
    for (;;) {
        size_t n = strcspn(s, ","), from = strspn(s, " "), to = n;

        while (to > from && s[to - 1] == ' ')
            to--;
        if (from >= to || to - from >= sizeof(one))
            return false;
        memcpy(one, s + from, to - from);
        one[to - from] = '\0';
        if (!valid_address(one))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

static bool valid_path_or_none(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static bool valid_path(const char *s)
{
    return *s && valid_path_or_none(s);
}

static bool one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool valid_level(const char *s)
{
    enum log_level level;

    return log_level_parse(s, &level) == OK;
}

static bool valid_policy(const char *s)
{
    static const char *const words[] = {"shy", "baseline", "hidden", NULL};

    return one_of(s, words);
}

static void number_set(struct config *c, const struct item *it, uint64_t v)
{
    char *at = (char *)c + it->offset;

    if (it->type == T_BOOL)
        *(bool *)at = v != 0;
    else if (it->type == T_U32)
        *(uint32_t *)at = (uint32_t)v;
    else
        *(uint64_t *)at = v;
}

static uint64_t number_get(const struct config *c, const struct item *it)
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
    for (size_t i = 0; i < ITEMS; i++) {
        if (items[i].type == T_TEXT)
            memcpy((char *)c + items[i].offset, items[i].text, strlen(items[i].text) + 1);
        else
            number_set(c, &items[i], items[i].number);
    }
}

void config_set_log(const struct config *c, const char *process)
{
    enum log_level level = LOG_LEVEL_INFO;

    (void)log_level_parse(c->log_level, &level); /* it was checked when it was read */
    log_init(process, level, c->debug_names);
}

const char *config_item_name(size_t i)
{
    return i < ITEMS ? items[i].name : NULL;
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

static void number_text(const struct item *it, uint64_t v, char out[32])
{
    if (it->type == T_BOOL)
        snprintf(out, 32, "%s", v ? "yes" : "no");
    else if (it->type == T_SIZE)
        size_text(v, out);
    else
        snprintf(out, 32, "%llu", (unsigned long long)v);
}

/* Decimal digits, and for sizes a unit after an optional space. */
static bool number_parse(const struct item *it, struct slice s, uint64_t *ret)
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
    bool seen[ITEMS];
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

static int text_value(struct parser *p, const struct item *it, struct slice value)
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

static int number_value(struct parser *p, const struct item *it, struct slice value)
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
    for (i = 0; i < ITEMS; i++)
        if (name.len == strlen(items[i].name) && memcmp(name.data, items[i].name, name.len) == 0)
            break;
    if (i == ITEMS)
        return refuse(p, "there is no item named \"%.*s\"", (int)(name.len < 64 ? name.len : 64), name.data);
    if (p->seen[i])
        return refuse(p, "%s is set a second time", items[i].name);
    p->seen[i] = true;
    for (size_t j = 0; j < value.len; j++)
        if (value.data[j] == '#' && (j == 0 || value.data[j - 1] == ' ' || value.data[j - 1] == '\t'))
            return refuse(p, "a comment stands on a line of its own");
    return items[i].type == T_TEXT ? text_value(p, &items[i], value) : number_value(p, &items[i], value);
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

static uint64_t peer_nth(uint64_t v, uint32_t n)
{
    return n == 1 || nth(v, n) > v / 2 ? v : 2 * nth(v, n);
}

static uint64_t at_least(uint64_t v, uint64_t least)
{
    return v > least ? v : least;
}

void config_share(struct config *c, uint32_t n)
{
    uint64_t message = c->message_max + 64 * KB; /* memory is counted in such steps */

    if (n < 2)
        return;
    c->smtp_sessions = (uint32_t)nth(c->smtp_sessions, n);
    c->imap_sessions = (uint32_t)nth(c->imap_sessions, n);
    c->smtp_sessions_peer = (uint32_t)peer_nth(c->smtp_sessions_peer, n);
    c->imap_sessions_peer = (uint32_t)peer_nth(c->imap_sessions_peer, n);
    c->plaintext_budget = at_least(nth(c->plaintext_budget, n), message);
    c->plaintext_budget_peer = at_least(peer_nth(c->plaintext_budget_peer, n), message);
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

long config_write(const struct config *c, char *out, size_t cap)
{
    struct writer w = {.out = out, .cap = cap};

    put(&w, "# Letterlock's configuration: \"name = value\", one a line.\n"
            "# Sizes may have KB, MB, GB or TB (1 KB = 1024).\n"
            "# What is left out has its default. The roles take over a changed file on SIGHUP to the server.\n");
    for (size_t i = 0; i < ITEMS && !w.full; i++) {
        const struct item *it = &items[i];
        char value[32], low[32], high[32], usual[32];

        put(&w, "\n# %s\n", it->help);
        if (it->type == T_TEXT) {
            put(&w, "# Default: %s\n%s = %s\n", *it->text ? it->text : "(nothing)", it->name,
                (const char *)c + it->offset);
            continue;
        }
        number_text(it, number_get(c, it), value);
        number_text(it, it->number, usual);
        number_text(it, it->min, low);
        number_text(it, it->max, high);
        if (it->type == T_BOOL)
            put(&w, "# Default: %s\n%s = %s\n", usual, it->name, value);
        else
            put(&w, "# Default: %s; from %s to %s\n%s = %s\n", usual, low, high, it->name, value);
    }
    return w.full ? ERR_LIMIT : (long)w.len;
}
