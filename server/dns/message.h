/* Between server/dns/dns.c and `resolver`: their two messages, and what a name and an answer look like in them. */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include "server/dns/dns.h"

/* DNS_ASK: u16 type, str name. DNS_REPLY: status, str for people (server/base/ask.h); when 0: u16 type, u8 trust, u8
 * exists, u32 ttl, str canonical, u16 n, then n times u16 preference, u8 usage, u8 selector, u8 matching, str name,
 * bytes data. */
enum dns_msg { DNS_ASK = 1, DNS_REPLY = 100 };

/* One answer and the memory that it points into. */
struct dns_space {
    struct dns_answer answer;
    size_t used;
    struct dns_record v[DNS_RECORDS_MAX];
    uint8_t octets[DNS_ANSWER_MAX];
};
void dns_space_clear(struct dns_space *s);
/* What is put in, or NULL: it is full. A text is ended with NUL. */
const uint8_t *dns_space_put(struct dns_space *s, const void *data, size_t len);
const char *dns_space_text(struct dns_space *s, const char *text);

bool dns_type_known(unsigned type);
/* What may be asked for: labels of 1 to 63 octets, 253 in all, no final dot; printable ASCII and blanks, in lower case.
 * SPF's macros put in what senders say (RFC 7208 section 7). */
bool dns_name_valid(const char *name);
/* What records may name: of that lower-case letters, digits, hyphens, underscores (RFC 8552) and slashes (RFC 2317). */
bool dns_host_valid(const char *name);

void dns_answer_pack(struct pack *p, enum dns_type type, const struct dns_answer *a);
/* Into s. ERR_FORMAT: it is none to a question of this type; ERR_LIMIT: it is longer than an answer may be. */
int dns_answer_unpack(struct unpack *u, enum dns_type type, struct dns_space *s);

#endif
