/* SEARCH's keys as a tree (RFC 3501 section 6.4.4), and what of it can be answered from header text. */
#ifndef PROTO_IMAP_SEARCH_H
#define PROTO_IMAP_SEARCH_H

#include "server/proto/imap_args.h"

enum { SEARCH_DEPTH_MAX = 24, SEARCH_KEYS_MAX = 2000, SEARCH_TEXTS_MAX = 1000 /* of these, keys with a text */ };

enum imap_search_op {
    SEARCH_AND,
    SEARCH_OR,
    SEARCH_NOT,
    SEARCH_ALL,
    SEARCH_NONE /* matches nothing: OLD's opposite, body text */,
    SEARCH_SEQ,
    SEARCH_UID,
    SEARCH_FLAGS /* flags has every bit of value */,
    SEARCH_KEYWORD,
    SEARCH_BEFORE,
    SEARCH_ON,
    SEARCH_SINCE,
    SEARCH_SENTBEFORE,
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_LARGER,
    SEARCH_SMALLER,
    SEARCH_HEADER /* name "": any outer field (TEXT) */,
    SEARCH_ENCRYPTED_TO /* X-LETTERLOCK-KEY, an extension of ours: an OpenPGP key opens the message */
};

struct imap_search {
    enum imap_search_op op;
    struct imap_search *next;  /* sibling under AND, OR */
    struct imap_search *child; /* AND: all; OR: two; NOT: one */
    struct imap_set set;
    uint64_t value; /* SEARCH_KEYWORD: the caller's to set, and to ask for in keyword() below */
    int32_t day;
    const char *name; /* keyword or header field, NUL-ended */
    struct slice
        text; /* what to look for, in lower case; SEARCH_ENCRYPTED_TO: key id (8 octets) or fingerprint (20, 32) */
    const uint8_t (*fprs)[20]; /* SEARCH_ENCRYPTED_TO: further fingerprints that count, the caller's to set */
    size_t nfprs;
};

/* [CHARSET ...] keys. ERR_FORMAT; ERR_LIMIT; ERR_UNSUPPORTED: a charset other than US-ASCII and UTF-8 (BADCHARSET). */
int imap_search_parse(struct arena *a, const struct imap_node *n, struct imap_search **ret);

/* What the tree needs to know of a message, so that the caller reads no more than that. */
enum {
    SEARCH_NEEDS_ENTRY = 1,
    SEARCH_NEEDS_OUTER = 2,
    SEARCH_NEEDS_FPRS = 4,
    SEARCH_NEEDS_KEYWORDS = 8,
    SEARCH_NEEDS_FACTS = 16 /* date, size */
};
unsigned imap_search_needs(const struct imap_search *s);
/* How many keys the tree has: what a message costs. */
unsigned imap_search_keys(const struct imap_search *s);
/* Calls fn for each key of that kind, until it does not return OK. */
int imap_search_each(struct imap_search *s, enum imap_search_op op, int (*fn)(void *arg, struct imap_search *s),
                     void *arg);
/* Whether it asks for nothing but messages that have (*ret_on) or lack one system flag. */
bool imap_search_is_flag(const struct imap_search *s, uint64_t *ret_flag, bool *ret_on);
/* Makes "*" definite: max_seq and max_uid of the session's mailbox. ERR_NOT_FOUND: a sequence number beyond it. */
int imap_search_resolve(struct imap_search *s, uint32_t max_seq, uint32_t max_uid);

/* A header block as it is searched: read when the first key asks for it, and once for all keys. Folds are taken out,
 * encoded words (RFC 2047; UTF-8, US-ASCII, ISO-8859-1) decoded, ASCII letters in lower case. */
enum { IMAP_WORDS_HEADER_MAX = 16 * 1024, IMAP_WORDS_FIELDS_MAX = IMAP_WORDS_HEADER_MAX / 4 };
struct imap_words {
    struct slice header; /* what is beyond IMAP_WORDS_HEADER_MAX is not looked at */
    bool made, dated;
    int32_t day;   /* of the Date field, if dated */
    uint64_t work; /* octets looked at so far */
    size_t n, len;
    struct {
        uint16_t name, name_len;       /* in header */
        uint16_t whole, value, behind; /* in text: the field with its name; where its value begins and ends */
    } fields[IMAP_WORDS_FIELDS_MAX];
    uint8_t text[2 * IMAP_WORDS_HEADER_MAX]; /* ISO-8859-1 as UTF-8 has twice as many octets at most */
};
void imap_words_begin(struct imap_words *w, struct slice header); /* the header stays while w is used */
/* The field or, with the name "", any field with its name, has this text, which is in lower case. */
bool imap_words_have(struct imap_words *w, const char *name, struct slice text);
/* The day of the Date field, as the sender wrote it; false: there is none that one can read. */
bool imap_words_day(struct imap_words *w, int32_t *ret);

struct imap_search_message {
    uint32_t seq, uid;
    uint64_t flags, size;
    int64_t internaldate;
    struct imap_words *words;  /* of the header block, if needed */
    const uint8_t (*fprs)[20]; /* the first octets of the fingerprints it is under */
    size_t nfprs;
    bool (*keyword)(void *arg, const struct imap_search *s); /* does the message carry it? */
    void *arg;
};
bool imap_search_match(const struct imap_search *s, const struct imap_search_message *m);

#endif
