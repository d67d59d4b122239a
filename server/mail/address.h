/* Addresses: of SMTP (RFC 5321 section 4.1.2, RFC 6531 section 3.3), of header fields (RFC 5322 section 3.4, RFC 6532),
 * and as accounts have them. One grammar, with rules where the RFCs differ. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    ADDRESS_MAX = 320,      /* of an account, with its NUL */
    DOMAIN_CAP = 256,       /* the same of its domain */
    ADDRESS_SPEC_MAX = 512, /* octets of an addr-spec */
    ADDRESS_CANONICAL_MAX = ADDRESS_SPEC_MAX + 1,
    ADDRESS_UNREADABLE_MAX = 256
};
/* Stands where a header field has something that is no address; nobody can have it (RFC 6761 section 6.4). */
#define ADDRESS_UNREADABLE "unreadable@unreadable.invalid"
/* The local part to which others send DMARC reports about a domain here: the server's own, and nobody's. */
#define ADDRESS_DMARC_REPORTS "dmarc-reports"

/* ---- pieces ---- */

enum address_rules {
    ADDRESS_HEADER, /* RFC 5322: domains may have more than letters, digits and hyphens */
    ADDRESS_SMTP,   /* RFC 5321: labels of a host name, 63 octets each; quoted pairs of ASCII alone */
    /* What SMTP clients really say, as Postfix takes it: dots anywhere in a local part, and in a domain underscores and
     * a dot at its end, which belongs to the piece. */
    ADDRESS_ENVELOPE
};
/* Each gives the octets of the piece at s, 0: there is none. They are valid UTF-8 but under ADDRESS_HEADER: in a header
 * field that is checked on the whole value. */
size_t address_local_len(const uint8_t *s, size_t len, enum address_rules rules);
size_t address_domain_len(const uint8_t *s, size_t len, enum address_rules rules);
size_t address_literal_len(const uint8_t *s, size_t len); /* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
/* The same, and what it says: 16 octets if six, else 4. The outputs are of use only if there is one. */
size_t address_literal_read(const uint8_t *s, size_t len, uint8_t octets[16], bool *ret_six);

/* What a local part means, without its quotes; returns octets written to out, which has len. s is one that
 * address_local_len gave. */
size_t address_local_plain(const uint8_t *s, size_t len, uint8_t *out);
/* A local part of that meaning in its plainest spelling: quoted only where it must be, so "a.b"@x and a.b@x are one.
 * out has 2 * len + 2. */
size_t address_local_write(const uint8_t *plain, size_t len, char *out);

/* ---- of envelopes ---- */

/* The Mailbox at s as SMTP clients say it (ADDRESS_ENVELOPE), in its plainest form and ended by a NUL: "john"@... is
 * john@... (RFC 5321 section 4.1.2: the forms are equivalent, the one with least quoting is preferred), and
 * b.example. with the root's dot is b.example. *ret_used: octets of s. ERR_FORMAT; ERR_LIMIT: out, which has cap, is
 * too short; *ret_used is told all the same. */
int address_envelope_read(const uint8_t *s, size_t len, char *out, size_t cap, size_t *ret_used);

/* ---- of accounts ---- */

/* Lower-cases, checks and splits an address; the local part is composed too (RFC 6532 section 3.1: NFC, so JÖRG@ and
 * jörg@ are one however they are typed), the domain goes to ASCII (IDNA 2008). What does not fit is refused, never
 * repaired. ERR_FORMAT, ERR_MEMORY. plus: where the detail ("+...") begins in the local part, or 0. */
int address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus);
/* The same of an OpenPGP user id: "Name <address>", or one that is an address. */
int address_of_user_id(const char *user_id, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus);
/* A domain to lower-case ASCII. ERR_FORMAT: also address literals, empty labels and a trailing dot. Underscores may be
 * in others' (DNS has them), but no name of a host has one (RFC 1123 section 2.1). */
int address_domain_normalize(const char *in, size_t len, char out[DOMAIN_CAP]);
bool address_domain_is_host(const char *domain); /* one that was normalized */

/* ---- in header fields, strictly: values whose folds were checked by header_value_valid ---- */

bool address_domain_valid(const uint8_t *s, size_t len);
bool address_spec_valid(const uint8_t *s, size_t len); /* one addr-spec without white space or comments */
/* addr-spec, "," and a blank or fold, addr-spec...; each may be what address_unreadable writes instead. */
bool address_bare_list_valid(const uint8_t *s, size_t len);
bool address_list_valid(const uint8_t *s, size_t len); /* display names, groups, comments */

/* ---- in header fields, as real mail has them, obsolete forms (RFC 5322 section 4.4) included ---- */

/* Reads a list item by item. Zeroed but for the list at the start. */
struct address_reader {
    const uint8_t *s;
    size_t len, i;
    bool in_group, no_literals;
};
/* The pieces as they stand in the list, with quotes, comments and folds. data NULL: there is no such piece. */
struct address_item {
    enum { ADDRESS_MAILBOX, ADDRESS_GROUP /* begins */, ADDRESS_GROUP_END } kind;
    struct slice name;          /* in front of "<", or of the group's ":" */
    struct slice route;         /* "@a,@b" */
    struct slice spec;          /* the address with its route */
    struct slice local, domain; /* of it; what has no "@" is all local */
};
bool address_read(struct address_reader *r, struct address_item *ret);
/* What a piece says: without quotes and comments, white space as one blank. Returns octets written to out, at most
 * cap. */
size_t address_text(struct slice piece, uint8_t *out, size_t cap);

/* Each mailbox of a list that says anything, members of groups too. fn returns 0 to go on. */
void address_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const struct address_item *item), void *arg);
/* A mailbox's address in canonical form, ended by a NUL; octets, 0: what stands there is no address. Nothing is mended:
 * white space and comments go only where the grammar has them. */
size_t address_canonical(const struct address_item *item, char out[ADDRESS_CANONICAL_MAX]);
/* The same of an addr-spec that stands alone, without a route. */
size_t address_spec_read(struct slice spec, char out[ADDRESS_CANONICAL_MAX]);
/* For one that is none: what stands in its place, as a name of ADDRESS_UNREADABLE. Returns octets, without a NUL. */
size_t address_unreadable(const struct address_item *item, char out[ADDRESS_UNREADABLE_MAX]);

#endif
