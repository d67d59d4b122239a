/* What other commands want to know of names, by a resolver of their own. Blocking. */
#ifndef DOCTOR_NAMES_H
#define DOCTOR_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct doctor_names;
int doctor_names_create(int resolver, struct doctor_names **ret); /* takes the channel. ERR_MEMORY */
void doctor_names_destroy(struct doctor_names *n);                /* NULL is allowed */

/* Whether both have an address in common. What does not answer has none. */
bool doctor_names_meet(struct doctor_names *n, const char *a, const char *b);
/* Whether there are TLSA records for mail to host that name a server's key or certificate (usage 3); whether one of
 * them names this key (its SHA-256, as chain.h has it), and how long others may know an answer without it. Errors of
 * dns.h. */
struct doctor_tlsa {
    bool any, fits;
    uint32_t ttl;
};
int doctor_names_tlsa(struct doctor_names *n, const char *host, const uint8_t key_sha256[32], struct doctor_tlsa *ret);

#endif
