/* From the mail a sender sent to what is sealed, and the outer header that stays readable (design section 5; RFC 9788;
 * the older protected-headers draft). Sealing only inserts: the payload is the original with pieces put in between,
 * listed in the first inner field: "Letterlock-Seal: v=1; len=<original length>; ins=<offset>+<length>,...". Offsets
 * are those of the original, ascending; the first is 0 and covers the field itself. header_unprotect undoes exactly
 * that. Insertions stand in the header, and of PGP-signed mail also in the preamble; no part's octets change. */
#ifndef CRYPTO_HEADER_PROTECTION_H
#define CRYPTO_HEADER_PROTECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/buf.h"

enum header_policy { POLICY_SHY, POLICY_BASELINE, POLICY_HIDDEN };
/* An account's policy octet: header_policy, and whether what it hides is displayed inside (protect_params.display). */
enum { POLICY_DISPLAY = 0x40 };
/* Correspondents under POLICY_HIDDEN: an address that nobody can have (RFC 6761 section 6.4), so that no account, alias
 * or catch-all answers to it. */
#define HIDDEN_ADDRESS "hidden@hidden.invalid"
int header_policy_parse(const char *name, enum header_policy *ret); /* ERR_NOT_FOUND */
const char *header_policy_name(enum header_policy p);

enum {
    HEADER_MAX = 256 * 1024 /* longest header block taken apart; longer mail is refused with ERR_LIMIT */,
    HEADER_FIELDS_MAX = 1000,
    HEADER_INSERTIONS_MAX = 256,
    OUTER_MAX = 16 * 1024 /* the outer header block */
};

/* One field of a header block, unfolded boundaries in the original. */
struct header_field {
    size_t offset, len;  /* whole field with folding and final CRLF */
    size_t name_len;     /* name is at offset */
    size_t value_offset; /* after ":" */
};
struct header_view { /* allocated by nobody: fields is the caller's */
    struct header_field *fields;
    size_t count;
    size_t header_len; /* up to and including the empty line if there is one */
    size_t body_offset;
    int malformed; /* the block holds a line that is no field: from there on it counts as body */
};
/* msg: at least the header block, contiguous. total_len: of the whole message. */
int header_parse(const uint8_t *msg, size_t len, struct header_field *fields, size_t cap, struct header_view *ret);
const struct header_field *header_find(const struct header_view *v, const uint8_t *msg, const char *name, size_t nth);

struct protect_params {
    enum header_policy policy;
    const char *domain;           /* our authserv-id; also right-hand side of pseudonyms */
    const char *received;         /* our Received field and others, complete with CRLF, put on top */
    const char *auth_results;     /* complete field with CRLF or "" */
    const uint8_t *pseudonym_key; /* 32 bytes, per account: reversible pseudonyms of hidden (XChaCha20-Poly1305-like,
                                     deterministic) */
    bool display;                 /* what is hidden outside stands as text inside: for clients that show no
                                         protected fields */
    uint64_t now;                 /* seconds since 1970, for a Date that is missing or unreadable */
};

struct protected_mail {
    struct buf inserted; /* the inserted bytes, wiped on free */
    struct buf outer;    /* the outer header block up to, not including, MIME-Version and Content-Type; CRLF lines */
    struct {
        size_t offset, at, len;
    } ins[HEADER_INSERTIONS_MAX]; /* offset in the original; piece inserted.data[at..at+len) */
    size_t nins;
};
/* header: the message's first bytes up to at least the end of its header block (or all of it); total: the whole
 * message's length. ERR_LIMIT, ERR_MEMORY. Never ERR_FORMAT: any bytes can be protected. */
int header_protect(const struct protect_params *p, const uint8_t *header, size_t header_len, size_t total,
                   int body_is_8bit, struct protected_mail *ret);
void protected_mail_free(struct protected_mail *m);
/* The sealed payload as pieces: original chunks interleaved with insertions. out has cap entries; ERR_LIMIT. */
int protected_mail_iov(const struct protected_mail *m, const struct iovec *original, size_t n, struct iovec *out,
                       size_t cap, size_t *ret_n);

/* The exact inverse, on the whole decrypted payload; in place: moves pieces down and returns the original's length.
 * ERR_FORMAT: no or a broken Letterlock-Seal field (data is then untouched). */
int header_unprotect(uint8_t *payload, size_t len, size_t *ret_len);

/* Outer header for mail that stays as it came (already encrypted): same fields by policy, but shy and baseline leave
 * Subject as sent. */
int header_outer_foreign(const struct protect_params *p, const uint8_t *header, size_t header_len,
                         struct buf *ret_outer);

/* hidden's pseudonyms of message ids: text inside <> to text, and back (ERR_NOT_FOUND: not one of ours). */
int pseudonym_make(const uint8_t key[32], const char *domain, const char *id, char *out, size_t cap);
int pseudonym_open(const uint8_t key[32], const char *domain, const char *pseudonym, char *out, size_t cap);

#endif
