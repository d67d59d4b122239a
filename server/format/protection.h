/* From the mail a sender sent to what is sealed, and the outer header that stays readable (docs/design.md section 5;
 * RFC 9788; the older protected-headers draft). Sealing only inserts: the payload is the original with pieces put in
 * between, listed in the first inner field: "Letterlock-Seal: v=1; len=<original length>;
 * ins=<offset>+<length>,...". Offsets are those of the original, ascending; the first is 0 and covers the field
 * itself. header_unprotect undoes exactly that. Insertions stand in the header, and of PGP-signed mail also in the
 * preamble; no part's octets change. */
#ifndef FORMAT_PROTECTION_H
#define FORMAT_PROTECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/buf.h"
#include "server/format/outer.h"
#include "server/mail/header.h"

enum { HEADER_INSERTIONS_MAX = 256 };

struct protect_params {
    enum header_policy policy;
    const char *domain;           /* our authserv-id; also right-hand side of pseudonyms */
    const char *return_path;      /* the envelope's sender, "" for none; NULL: the mail did not come by SMTP */
    const char *received;         /* our Received field and others, complete with CRLF, put on top */
    const char *auth_results;     /* complete field with CRLF or "" */
    const uint8_t *pseudonym_key; /* 32 bytes, per account: reversible pseudonyms of hidden (XChaCha20-Poly1305-like,
                                     deterministic) */
    bool outgoing;                /* for others than our own readers: without Sealed-By, with the author's Autocrypt */
    bool display;                 /* what is hidden outside stands as text inside: for clients that show no
                                         protected fields */
    int64_t date;                 /* seconds since 1970: of a mail whose Date is missing or unreadable */
};

struct protected_mail {
    struct buf inserted; /* the inserted bytes, wiped on free */
    struct buf outer;    /* the outer header block up to, not including, MIME-Version and Content-Type; CRLF lines */
    struct {
        size_t offset, at, len;
    } ins[HEADER_INSERTIONS_MAX]; /* offset in the original; piece inserted.data[at..at+len) */
    size_t nins;
};
/* v: of the message's first octets, at least its header block (or all of it); total: the whole message's length.
 * ERR_LIMIT, ERR_MEMORY. Never ERR_FORMAT: any octets can be protected. */
int header_protect(const struct protect_params *p, const struct header_view *v, size_t total, bool body_is_8bit,
                   struct protected_mail *ret);
void protected_mail_free(struct protected_mail *m);
/* The sealed payload as pieces: original chunks interleaved with insertions. out has cap entries; ERR_LIMIT. */
int protected_mail_iov(const struct protected_mail *m, const struct iovec *original, size_t n, struct iovec *out,
                       size_t cap, size_t *ret_n);

/* The exact inverse, on the whole decrypted payload; in place: moves pieces down and returns the original's length.
 * ERR_FORMAT: no or a broken Letterlock-Seal field (data is then untouched). */
int header_unprotect(uint8_t *payload, size_t len, size_t *ret_len);

/* Outer header for mail that stays as it came (already encrypted): same fields by policy, but shy and baseline leave
 * Subject as sent. */
int header_outer_foreign(const struct protect_params *p, const struct header_view *v, struct buf *ret_outer);

/* hidden's pseudonyms of message ids: text inside <> to text, and back (ERR_NOT_FOUND: not one of ours). */
int pseudonym_make(const uint8_t key[32], const char *domain, const char *id, char *out, size_t cap);
int pseudonym_open(const uint8_t key[32], const char *domain, const char *pseudonym, char *out, size_t cap);

#endif
