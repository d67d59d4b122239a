/* DIR/relay.policy: where mail for some domains goes, and what TLS it must have there; from which address a domain
 * of ours sends. Master checks it at the start and at each reload, and hands the text to relay. A line is one of
 *
 *     DOMAIN [route=HOST[:PORT]] [tls=may|dane|verify|FINGERPRINT]
 *     @DOMAIN source=ADDRESS[,ADDRESS]
 *
 * # begins a comment. Domains in A-labels; HOST a name or an address (IPv6 in brackets); FINGERPRINT: the SHA-256 of
 * the server's public key info, 64 hex digits; ADDRESS: one IPv4 and one IPv6 address at most. */
#ifndef BASE_RELAY_POLICY_H
#define BASE_RELAY_POLICY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/tls_client.h"

enum { RELAY_POLICY_TEXT_MAX = 48 * 1024, RELAY_POLICY_LINES_MAX = 4096, RELAY_NAME_MAX = 256 };

struct relay_route {
    char host[RELAY_NAME_MAX]; /* lower case; or an address; "": none, the domain's MX */
    uint16_t port;             /* 0: the usual one */
    bool tls_said;
    enum tls_policy tls;
    uint8_t fingerprint[32]; /* TLS_FINGERPRINT */
};
struct relay_source {
    bool has4, has6;
    struct in_addr v4;
    struct in6_addr v6;
};

struct relay_policy;
/* ERR_FORMAT: why says line and what would be right; ERR_MEMORY. */
int relay_policy_parse(const char *text, size_t len, struct relay_policy **ret, char *why, size_t why_cap);
void relay_policy_free(struct relay_policy *p);
/* NULL: nothing is said of it. domain: in any case. p NULL is allowed. */
const struct relay_route *relay_policy_route(const struct relay_policy *p, const char *domain);
const struct relay_source *relay_policy_source(const struct relay_policy *p, const char *domain);

/* The ports that routes name, each once. Returns how many were written to out, at most max. */
size_t relay_policy_ports(const struct relay_policy *p, uint16_t *out, size_t max);

/* "HOST[:PORT]" as above: of the policy, and of `smarthost`. ERR_FORMAT. */
int relay_host_parse(const char *text, struct relay_route *ret);
/* "ADDRESS[,ADDRESS]". ERR_FORMAT. */
int relay_source_parse(const char *text, struct relay_source *ret);
/* An address of a private network is not the one that others see. */
bool relay_source_is_private(const struct relay_source *s);
/* A host name, or an address in brackets or not. */
bool relay_host_valid(const char *text);

#endif
