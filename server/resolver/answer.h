/* Reads an answer as it came over the wire (RFC 1035 section 4). libunbound has followed aliases and checked
 * signatures; what stands in the records is still a stranger's. */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include "server/dns/message.h"

/* Into ret, all but trust. name is as dns_name_valid has it. A record that cannot be used (a name that is no host's, a
 * length that is not its type's) is left out, as if it were not there; if none is left, the answer is ERR_FORMAT, since
 * "no records" would be another answer. ERR_FORMAT too: not a whole message, or aliases that do not end. ERR_LIMIT:
 * more than DNS_RECORDS_MAX records or DNS_ANSWER_MAX octets. ERR_AGAIN: a code other than success and NXDOMAIN. */
int answer_read(const uint8_t *wire, size_t len, enum dns_type type, const char *name, struct dns_space *ret);

#endif
