/* The capsule: a small text sealed beside every message, for clients that list a mailbox without fetching it
 * (docs/design.md section 5). Format: UTF-8 JSON, one object (docs/store-format.md): v (1), from, to, cc (each a list
 * of {name, email}), subject, date (seconds since 1970, or null), preview (first 256 characters), attachments (list of
 * names), auth, warnings (list), sealed {by, at, tls}; for mail that came by SMTP return_path; for mail kept as it came
 * also received, header (the original outer header block) and, where not all of that had room, header_cut (how many of
 * its fields are left out: first unknown ones, X-, then Received and ARC-). Octets that are no UTF-8 stand as U+FFFD.
 * Every string and list has a share of CAPSULE_MAX and is cut there. */
#ifndef FORMAT_CAPSULE_H
#define FORMAT_CAPSULE_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/mail/header.h"

enum { CAPSULE_MAX = 64 * 1024 };

struct capsule_params {
    const char *sealed_by;    /* our domain */
    uint64_t sealed_at;       /* seconds since 1970 */
    const char *tls;          /* conn_tls_info or "" */
    const char *auth_results; /* authentication results or "" */
    const char *return_path;  /* the envelope's sender, "" for none; NULL: the mail did not come by SMTP */
    const char *received;     /* only for mail kept as it came, else NULL */
    int foreign;              /* mail kept as it came: put the original header in, up to 16 KB of it */
    const char *warnings;     /* comma-separated tokens or "" */
};
/* v: of the message's first octets (header and as much of the body as is at hand; 64 KB are plenty). Appends to out, a
 * wiping buf of at least CAPSULE_MAX. Decodes RFC 2047 words, base64 and quoted-printable of the first text part; never
 * fails on odd mail. ERR_MEMORY, ERR_LIMIT. */
int capsule_make(const struct capsule_params *p, const struct header_view *v, struct buf *out);

/* Thread identifiers: the ids (without <>) that place a message: own Message-ID and the thread's root (first of
 * References, else In-Reply-To, else own). Empty strings when there is none. */
void capsule_thread_ids(const struct header_view *v, char own[512], char root[512]);

#endif
