/* The parsers of single IMAP arguments: numbers, sequence sets, dates, flags, mailbox names. None repairs; all leave
 * their outputs untouched on failure. */
#ifndef PROTO_IMAP_ARGS_H
#define PROTO_IMAP_ARGS_H

#include "server/proto/imap.h"

/* nz-number and number64 as digits only. ERR_FORMAT, ERR_LIMIT past max. */
int imap_number(struct slice s, uint64_t max, uint64_t *ret);

/* sequence-set. "*" is kept as IMAP_STAR until imap_set_resolve, which needs the largest number in use. */
enum { IMAP_STAR = 0 };
struct imap_range {
    uint32_t first, last;
};
struct imap_set {
    struct imap_range *r;
    size_t n;
};
int imap_set_parse(struct arena *a, struct slice s, struct imap_set *ret); /* ERR_FORMAT, ERR_LIMIT */
/* Replaces "*", orders, merges: ascending disjoint ranges. max 0: the mailbox is empty, ranges with "*" vanish. */
void imap_set_resolve(struct imap_set *s, uint32_t max);
bool imap_set_has(const struct imap_set *s, uint32_t v); /* of a resolved set */

/* date-time: seconds since 1970 UTC, from DATE_FIRST to DATE_LAST. date: the day's number since 1970, quotes taken off
 * already. */
int imap_date_time(struct slice s, int64_t *ret);
int imap_date(struct slice s, int32_t *ret_day);
enum { IMAP_DATE_TIME_LEN = 26 };
void imap_date_time_write(int64_t t,
                          char out[IMAP_DATE_TIME_LEN + 1]); /* "17-Jul-1996 02:44:25 +0000", day padded with a space */
/* Bits as the store keeps them. */
enum { IMAP_SEEN = 1, IMAP_ANSWERED = 2, IMAP_FLAGGED = 4, IMAP_DELETED = 8, IMAP_DRAFT = 16 };
enum { IMAP_KEYWORDS_MAX = 128 /* in one command */, IMAP_KEYWORD_LEN_MAX = 64 };
struct imap_flags {
    uint64_t system;
    unsigned nkeywords;
    char *keywords[IMAP_KEYWORDS_MAX]; /* in the arena, NUL-ended */
};
/* A flag-list, or (list NULL) the flags themselves one after another as STORE allows. Keywords past one of the limits
 * are left out. ERR_FORMAT: \Recent, an unknown \Flag, not a flag; ERR_LIMIT: no memory. */
int imap_flags_parse(struct arena *a, const struct imap_node *n, struct imap_flags *ret);
/* "\Seen"... of one system bit; NULL past the last. */
const char *imap_flag_name(unsigned bit_index);
bool imap_keyword_ok(struct slice s); /* of whatever length */

/* Mailbox names: on the wire modified UTF-7 (RFC 3501 section 5.1.3), inside UTF-8. decode refuses what encode would
 * not have written (one name, one spelling), control characters and surrogates that do not pair. cap counts the NUL.
 * ERR_FORMAT, ERR_LIMIT. */
int imap_utf7_decode(struct slice s, char *out, size_t cap);
int imap_utf7_encode(const char *utf8, char *out, size_t cap);

/* list-mailbox pattern against a name, both UTF-8; "%" stops at "/", "*" does not; INBOX in any case. Linear in
 * len(pattern) x len(name). */
bool imap_list_match(const char *pattern, const char *name);

#endif
