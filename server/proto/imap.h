/* The IMAP4rev1 engine without I/O (RFC 3501, with RFC 9051's grammar where it is clearer): bytes in, whole commands
 * out. A command is a line with literals inside; its arguments become a small tree. Everything a client may make grow
 * has a limit. Large literals exist for APPEND and REPLACE only and are handed on in spans. A refused line is dropped
 * with the literals it announced, so that no part of it is ever taken for a command. */
#ifndef PROTO_IMAP_H
#define PROTO_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/arena.h"
#include "server/core/buf.h"
#include "server/core/wire.h"

enum {
    IMAP_COMMAND_MAX = 64 * 1024,   /* a command with its ordinary literals */
    IMAP_LITERAL_MAX = 16 * 1024,   /* one ordinary literal */
    IMAP_DISCARD_MAX = 1024 * 1024, /* a refused LITERAL+ up to this is dropped; past it the session ends */
    IMAP_ARENA_MAX = 2 * 1024 * 1024,
    IMAP_NEST_MAX = 16,
    IMAP_TAG_MAX = 64,
    IMAP_NAME_MAX = 20,
};

enum imap_node_type { IMAP_ATOM, IMAP_QUOTED, IMAP_LITERAL, IMAP_LIST };

/* An argument. Atoms hold every printable ASCII octet but ( ) { " and so are wider than the RFC's: each argument's own
 * parser is stricter. */
struct imap_node {
    enum imap_node_type type;
    bool glued;        /* follows a list without a space: the "]<0.10>" of BODY[HEADER.FIELDS (...)]<0.10> */
    struct slice text; /* not for lists; quoted strings are unescaped */
    struct imap_node *child, *next;
};

struct imap_command {
    char tag[IMAP_TAG_MAX + 1];   /* "" in IMAP_BAD: not known, answer with "*" */
    char name[IMAP_NAME_MAX + 1]; /* upper case; with uid the command after UID */
    bool uid;
    struct imap_node *args;    /* in the arena, until the next call of imap_next */
    uint64_t literal;          /* IMAP_APPEND: octets to come */
    bool append, literal_sync; /* IMAP_APPEND; its client waits for "+" */
    const char *why;           /* IMAP_BAD, IMAP_FATAL: a static sentence */
};

enum imap_event {
    IMAP_MORE,        /* every octet was used; nothing is complete yet */
    IMAP_COMMAND,     /* a command is complete */
    IMAP_LINE,        /* the line asked for with imap_expect_line */
    IMAP_CONTINUE,    /* a synchronising literal is acceptable: send "+" and go on */
    IMAP_APPEND,      /* APPEND or REPLACE with args before the message; answer: imap_append_accept or _refuse */
    IMAP_APPEND_DATA, /* a span of the message */
    IMAP_APPEND_END,  /* message and command are complete */
    IMAP_BAD,         /* a refused command: tell the client why and go on */
    IMAP_FATAL,       /* say BYE and close */
};

struct imap_parser {
    struct buf raw;      /* the command so far */
    struct arena *arena; /* exists while a command is in work */
    struct imap_command cmd;
    const char *why;
    uint64_t literal_left, number;
    uint8_t state, lit, digits, before;
    bool quoted, escaped, cr, nonsync, lit_placed, want_line;
};

void imap_parser_init(struct imap_parser *p);
/* Gives back all memory, at the end of a session. */
void imap_parser_free(struct imap_parser *p);
/* Gives back what the last command took, unless one is under way; imap_next does so by itself before it reads on. */
void imap_parser_trim(struct imap_parser *p);

/* Reads from data; *ret_used octets were used up. *ret_cmd (COMMAND, APPEND*, BAD, FATAL) and *ret_span (LINE,
 * APPEND_DATA) are valid until the next call. The same events come however the input is cut, but for the cuts between
 * APPEND_DATA spans. */
enum imap_event imap_next(struct imap_parser *p, const uint8_t *data, size_t len, size_t *ret_used,
                          const struct imap_command **ret_cmd, struct slice *ret_span);
/* After AUTHENTICATE or IDLE: the next line is not a command. */
void imap_expect_line(struct imap_parser *p);
void imap_append_accept(struct imap_parser *p);
/* The caller has answered the tag. A synchronising literal will not come; another is dropped with the rest of its line
 * (*ret_fatal: it is not worth that). */
void imap_append_refuse(struct imap_parser *p, uint64_t discard_max, bool *ret_fatal);

/* The tree of raw (a command's arguments, literals inline): OK, ERR_FORMAT, ERR_LIMIT. Used by imap_next; open for
 * tests. */
int imap_tree(struct arena *a, const uint8_t *raw, size_t len, struct imap_node **ret);

/* Compares text with an upper-case word, ASCII case-insensitively. */
bool imap_word_is(struct slice s, const char *word);
/* astring without list or ]-glue; atoms are checked for the RFC's astring characters. */
bool imap_is_astring(const struct imap_node *n);

#endif
