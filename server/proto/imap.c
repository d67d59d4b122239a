/* Gathers commands from octets (RFC 3501 sections 2.2.1, 4.3 and 9): line rules, literals, and where to go on after a
 * refused line. */
#include "server/proto/imap.h"

#include <string.h>

#include "server/core/error.h"
#include "server/proto/http.h"

enum state {
    ST_LINE,
    ST_LITERAL,         /* octets of an ordinary literal */
    ST_DISCARD,         /* the rest of a refused line */
    ST_DISCARD_LITERAL, /* octets of a literal that a refused line announced */
    ST_ASKED,           /* IMAP_APPEND was given; the caller accepts or refuses */
    ST_APPEND,          /* octets of the message */
    ST_APPEND_TAIL,     /* what follows the message: CRLF */
    ST_DONE,            /* a result was handed out; the next call begins anew */
    ST_DEAD,            /* after IMAP_FATAL */
};
/* How far "{123+}" at a line's end has been seen. */
enum { LIT_NONE, LIT_NUMBER, LIT_PLUS, LIT_CLOSED };

static const char WHY_BARE[] = "Bare CR, bare LF or NUL in a command";
static const char WHY_LONG[] = "Command too long";
static const char WHY_LITERAL[] = "[TOOBIG] Literal too long";
static const char WHY_HTTP[] = "This is not HTTP";
static const char WHY_MEMORY[] = "Out of memory";

void imap_parser_init(struct imap_parser *p)
{
    *p = (struct imap_parser){0};
    buf_init(&p->raw, IMAP_COMMAND_MAX, true);
}

void imap_parser_free(struct imap_parser *p)
{
    buf_free(&p->raw);
    arena_destroy(p->arena);
    p->arena = NULL;
}

static void restart(struct imap_parser *p)
{
    bool want_line = p->want_line;
    imap_parser_free(p);
    p->state = ST_LINE;
    p->lit = LIT_NONE;
    p->before = 0;
    p->quoted = p->escaped = p->cr = false;
    p->want_line = want_line;
    p->cmd.append = false;
    p->why = NULL;
}

void imap_parser_trim(struct imap_parser *p)
{
    if (p->state == ST_DONE)
        restart(p);
    else if (p->state == ST_LINE && p->raw.len == 0)
        imap_parser_free(p);
}

void imap_expect_line(struct imap_parser *p)
{
    p->want_line = true;
}

static bool tag_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\+", c); /* RFC 9051 section 9: tag */
}

/* The tag at the beginning of raw. Returns where the name begins; 0: there is no tag. */
static size_t read_tag(const struct imap_parser *p, struct imap_command *c)
{
    size_t n = 0;
    while (n < p->raw.len && n <= IMAP_TAG_MAX && tag_char(p->raw.data[n]))
        n++;
    c->tag[0] = 0;
    if (n == 0 || n > IMAP_TAG_MAX || n == p->raw.len || p->raw.data[n] != ' ')
        return 0;
    memcpy(c->tag, p->raw.data, n);
    c->tag[n] = 0;
    return n + 1;
}

/* A command's name at at, in upper case. Returns its length; 0: there is none. */
static size_t read_word(const struct imap_parser *p, size_t at, char *out)
{
    size_t n = 0;
    while (at + n < p->raw.len && n < IMAP_NAME_MAX) {
        uint8_t c = p->raw.data[at + n];
        if (c >= 'a' && c <= 'z')
            c -= 32;
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            break;
        out[n++] = (char)c;
    }
    out[n] = 0;
    bool ended = at + n == p->raw.len || p->raw.data[at + n] == ' ';
    return n && ended ? n : 0;
}

/* tag SP name [SP arguments]; "UID" takes the following word as the name (RFC 3501 section 6.4.8). */
static int read_command(struct imap_parser *p, size_t end, struct imap_command *c)
{
    memset(c, 0, sizeof(*c));
    size_t at = read_tag(p, c);
    if (!at)
        return ERR_FORMAT;
    size_t n = read_word(p, at, c->name);
    if (!n)
        return ERR_FORMAT;
    at += n;
    if (strcmp(c->name, "UID") == 0) {
        if (at >= end || p->raw.data[at] != ' ' || !(n = read_word(p, at + 1, c->name)))
            return ERR_FORMAT;
        c->uid = true;
        at += 1 + n;
    }
    if (at == end)
        return OK;
    if (!p->arena)
        p->arena = arena_create(IMAP_ARENA_MAX, true);
    if (!p->arena)
        return ERR_MEMORY;
    return imap_tree(p->arena, p->raw.data + at + 1, end - at - 1, &c->args);
}

/* The first line alone: of a literal that is refused, raw has what came in time. */
static bool begins_http(const struct imap_parser *p)
{
    const uint8_t *cr = p->raw.len ? memchr(p->raw.data, '\r', p->raw.len) : NULL;
    size_t len = cr ? (size_t)(cr - p->raw.data) : p->raw.len;
    return len && http_is_request(p->raw.data, len);
}

/* The command's memory stays until the next call: its caller may still be at work on it (the line after a continuation,
 * APPEND's tail). */
static enum imap_event refuse(struct imap_parser *p, const char *why, enum imap_event ev,
                              const struct imap_command **ret)
{
    if (!p->want_line && !p->cmd.append) {
        read_tag(p, &p->cmd);
        if (begins_http(p)) {
            why = WHY_HTTP;
            ev = IMAP_FATAL;
        }
    }
    p->cmd.why = why;
    p->want_line = false;
    p->state = ev == IMAP_FATAL ? ST_DEAD : ST_DONE;
    *ret = &p->cmd;
    return ev;
}

static void discard(struct imap_parser *p, const char *why)
{
    p->why = why;
    p->state = ST_DISCARD;
}

/* Follows quotes and the literal announced at the line's end: "{" number ["+"] "}" (RFC 3501 section 4.3, RFC 7888
 * section 3). */
static void track(struct imap_parser *p, uint8_t c)
{
    if (p->escaped)
        p->escaped = false;
    else if (p->quoted && c == '\\')
        p->escaped = true;
    else if (c == '"')
        p->quoted = !p->quoted;
    if (c == '{') {
        p->lit = LIT_NUMBER;
        p->number = 0;
        p->digits = 0;
        p->lit_placed = !p->quoted && (p->before == ' ' || p->before == '(');
    } else if (p->lit == LIT_NUMBER && c >= '0' && c <= '9' && p->digits < 18) {
        p->number = p->number * 10 + (c - '0');
        p->digits++;
    } else if (p->lit == LIT_NUMBER && c == '+' && p->digits) {
        p->lit = LIT_PLUS;
    } else if ((p->lit == LIT_NUMBER || p->lit == LIT_PLUS) && c == '}' && p->digits) {
        p->nonsync = p->lit == LIT_PLUS;
        p->lit = LIT_CLOSED;
    } else {
        p->lit = LIT_NONE;
    }
    p->before = c;
}

/* Where a line that announces a literal begins anew. */
static void after_literal(struct imap_parser *p)
{
    p->lit = LIT_NONE;
    p->before = 0;
    p->quoted = p->escaped = p->cr = false;
}

/* Where the literal announcement that ends raw begins. */
static size_t announced_at(const struct imap_parser *p)
{
    size_t at = p->raw.len;
    while (p->raw.data[at - 1] != '{')
        at--;
    return at - 1;
}

/* Where the argument behind the one that begins at at begins, if that one is a single word; else the end. */
static size_t after_word(const struct imap_parser *p, size_t at)
{
    size_t end = p->raw.len;
    while (at < end && p->raw.data[at] > ' ' && p->raw.data[at] < 0x7f && !strchr("(){\"", p->raw.data[at]))
        at++;
    return at < end && p->raw.data[at] == ' ' ? at + 1 : end;
}

/* The message is the literal that follows at least one whole argument of APPEND (RFC 3501 section 6.3.11), the mailbox,
 * and two of REPLACE and UID REPLACE (RFC 8508 section 3.3), the first of which is a number. */
static bool is_append_message(const struct imap_parser *p)
{
    struct imap_command c;
    size_t at = read_tag(p, &c), n = at ? read_word(p, at, c.name) : 0;
    bool uid = n && strcmp(c.name, "UID") == 0;
    if (uid) {
        at += n + 1;
        n = at < p->raw.len ? read_word(p, at, c.name) : 0;
    }
    if (!n)
        return false;
    at += n + 1;
    if (strcmp(c.name, "REPLACE") == 0)
        at = after_word(p, at);
    else if (uid || strcmp(c.name, "APPEND") != 0)
        return false;
    return announced_at(p) > at;
}

static enum imap_event begin_append(struct imap_parser *p, const struct imap_command **ret)
{
    int err = read_command(p, announced_at(p) - 1 /* its space */, &p->cmd);
    if (err) {
        const char *why = err == ERR_MEMORY ? WHY_MEMORY : "Syntax error before the message";
        if (!p->nonsync)
            return refuse(p, why, IMAP_BAD, ret);
        if (p->number > IMAP_DISCARD_MAX)
            return refuse(p, why, IMAP_FATAL, ret);
        p->literal_left = p->number;
        p->why = why;
        p->state = ST_DISCARD_LITERAL;
        return IMAP_MORE;
    }
    p->cmd.literal = p->number;
    p->cmd.literal_sync = !p->nonsync;
    p->cmd.append = true;
    p->state = ST_ASKED;
    *ret = &p->cmd;
    return IMAP_APPEND;
}

/* A line that ended in a literal announcement. IMAP_MORE: go on reading. */
static enum imap_event literal_announced(struct imap_parser *p, const struct imap_command **ret)
{
    if (p->lit_placed && is_append_message(p))
        return begin_append(p, ret);
    /* Refused before a synchronising literal is sent, that is instead of the continuation (RFC 3501 section 7.5). */
    bool fits = p->number <= IMAP_LITERAL_MAX && p->raw.len + 2 + p->number <= IMAP_COMMAND_MAX;
    if (!p->nonsync && (!fits || !p->lit_placed))
        return refuse(p, fits ? "Syntax error" : WHY_LITERAL, IMAP_BAD, ret);
    if (!fits) {
        if (p->number > IMAP_DISCARD_MAX) /* RFC 7888 section 4: dropping it would be work for nothing */
            return refuse(p, WHY_LITERAL, IMAP_FATAL, ret);
        p->literal_left = p->number;
        p->why = WHY_LITERAL;
        p->state = ST_DISCARD_LITERAL;
        return IMAP_MORE;
    }
    if (buf_append(&p->raw, "\r\n", 2)) {
        p->literal_left = p->number;
        p->why = WHY_MEMORY;
        p->state = ST_DISCARD_LITERAL;
        return IMAP_MORE;
    }
    p->literal_left = p->number;
    p->state = ST_LITERAL;
    after_literal(p);
    return p->nonsync ? IMAP_MORE : IMAP_CONTINUE;
}

/* A command's line, or the one that a continuation asked for (section 7.5). */
static enum imap_event line_ended(struct imap_parser *p, const struct imap_command **ret, struct slice *ret_span)
{
    if (p->want_line) {
        p->want_line = false;
        *ret_span = slice_of(p->raw.data, p->raw.len);
        p->state = ST_DONE;
        return IMAP_LINE;
    }
    if (p->lit == LIT_CLOSED)
        return literal_announced(p, ret);
    int err = read_command(p, p->raw.len, &p->cmd);
    if (err)
        return refuse(p,
                      err == ERR_MEMORY  ? WHY_MEMORY
                      : err == ERR_LIMIT ? "Too many or too deep arguments"
                                         : "Syntax error",
                      IMAP_BAD, ret);
    p->state = ST_DONE;
    *ret = &p->cmd;
    return IMAP_COMMAND;
}

/* One octet of a command's line. */
static enum imap_event take_line(struct imap_parser *p, uint8_t c, const struct imap_command **ret,
                                 struct slice *ret_span)
{
    if (p->cr) {
        p->cr = false;
        if (c == '\n')
            return line_ended(p, ret, ret_span);
        p->cr = c == '\r';
        discard(p, WHY_BARE);
        return IMAP_MORE;
    }
    if (c == '\r') {
        p->cr = true;
        return IMAP_MORE;
    }
    if (c == '\n' || c == 0) {
        discard(p, WHY_BARE);
        p->lit = LIT_NONE;
        return IMAP_MORE;
    }
    track(p, c);
    int err = buf_append(&p->raw, &c, 1);
    if (err)
        discard(p, err == ERR_LIMIT ? WHY_LONG : WHY_MEMORY);
    return IMAP_MORE;
}

/* One octet of a refused line: only its end, and a literal it announces, matter. */
static enum imap_event take_discard(struct imap_parser *p, uint8_t c, const struct imap_command **ret)
{
    if (!(p->cr && c == '\n')) {
        p->cr = c == '\r';
        if (!p->cr)
            track(p, c);
        return IMAP_MORE;
    }
    if (p->lit == LIT_CLOSED && p->nonsync) {
        if (p->number > IMAP_DISCARD_MAX)
            return refuse(p, p->why, IMAP_FATAL, ret);
        p->literal_left = p->number;
        p->state = ST_DISCARD_LITERAL;
        return IMAP_MORE;
    }
    return refuse(p, p->why, IMAP_BAD, ret);
}

static size_t take_literal(struct imap_parser *p, const uint8_t *data, size_t len)
{
    size_t n = len < p->literal_left ? len : (size_t)p->literal_left;
    if (p->state == ST_LITERAL && memchr(data, 0, n)) { /* CHAR8 excludes NUL (RFC 3501 section 9) */
        p->why = WHY_BARE;
        p->state = ST_DISCARD_LITERAL;
    }
    if (p->state == ST_LITERAL && buf_append(&p->raw, data, n)) {
        p->why = WHY_MEMORY;
        p->state = ST_DISCARD_LITERAL;
    }
    p->literal_left -= n;
    return n;
}

/* The rest of APPEND's line after its message: nothing but CRLF (MULTIAPPEND, RFC 3502, is not offered). */
static enum imap_event take_append_tail(struct imap_parser *p, uint8_t c, const struct imap_command **ret)
{
    if (!p->cr && c == '\r') {
        p->cr = true;
        return IMAP_MORE;
    }
    if (p->cr && c == '\n') {
        p->state = ST_DONE;
        p->cmd.args = NULL;
        *ret = &p->cmd;
        return IMAP_APPEND_END;
    }
    p->lit = LIT_NONE;
    p->cr = c == '\r';
    if (!p->cr)
        track(p, c);
    discard(p, "Unexpected text after the message");
    return IMAP_MORE;
}

void imap_append_accept(struct imap_parser *p)
{
    p->literal_left = p->cmd.literal;
    p->state = p->literal_left ? ST_APPEND : ST_APPEND_TAIL;
    after_literal(p);
}

void imap_append_refuse(struct imap_parser *p, uint64_t discard_max, bool *ret_fatal)
{
    *ret_fatal = false;
    if (p->cmd.literal_sync) {
        p->state = ST_DONE;
        return;
    }
    *ret_fatal = p->cmd.literal > discard_max;
    p->literal_left = p->cmd.literal;
    p->why = NULL; /* answered already */
    p->state = ST_DISCARD_LITERAL;
}

static enum imap_event step(struct imap_parser *p, const uint8_t *data, size_t len, size_t *used,
                            const struct imap_command **ret, struct slice *ret_span)
{
    switch (p->state) {
    case ST_LINE: ++*used; return take_line(p, data[0], ret, ret_span);
    case ST_DISCARD: {
        bool answered = !p->why;
        ++*used;
        enum imap_event ev = take_discard(p, data[0], ret);
        if (ev != IMAP_BAD || !answered)
            return ev;
        restart(p);
        return IMAP_MORE;
    }
    case ST_LITERAL:
    case ST_DISCARD_LITERAL:
        *used += take_literal(p, data, len);
        if (p->literal_left == 0) {
            p->state = p->state == ST_LITERAL ? ST_LINE : ST_DISCARD;
            after_literal(p);
        }
        return IMAP_MORE;
    case ST_APPEND:
        *ret_span = slice_of(data, len < p->literal_left ? len : (size_t)p->literal_left);
        *ret = &p->cmd;
        *used += ret_span->len;
        p->literal_left -= ret_span->len;
        if (p->literal_left == 0)
            p->state = ST_APPEND_TAIL;
        return IMAP_APPEND_DATA;
    case ST_APPEND_TAIL: ++*used; return take_append_tail(p, data[0], ret);
    default: /* ST_ASKED without an answer: a bug of the caller; nothing is used up */ return IMAP_APPEND;
    }
}

enum imap_event imap_next(struct imap_parser *p, const uint8_t *data, size_t len, size_t *ret_used,
                          const struct imap_command **ret_cmd, struct slice *ret_span)
{
    size_t used = 0;
    enum imap_event ev = IMAP_MORE;
    if (p->state == ST_DONE)
        restart(p);
    if (p->state == ST_DEAD) {
        *ret_used = len;
        *ret_cmd = &p->cmd;
        return IMAP_FATAL;
    }
    while (used < len && ev == IMAP_MORE)
        ev = step(p, data + used, len - used, &used, ret_cmd, ret_span);
    *ret_used = used;
    return ev;
}
