/* Where the fetcher may go: pages that strangers name, so nowhere but into the open Internet (SSRF). */
#ifndef FETCHER_GUARD_H
#define FETCHER_GUARD_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GUARD_HOST_MAX = 253,
    GUARD_PORT = 443,
    GUARD_PORTS_MAX = 65, /* 443, and those of fetch_allow */
};

struct guard;
/* allow: as fetch_allow has it, with commas. ERR_FORMAT; ERR_LIMIT: more than 64; ERR_MEMORY. */
int guard_create(const char *allow, struct guard **ret);
void guard_destroy(struct guard *g); /* NULL is allowed */

/* Whether there may be a connection to the address (4 octets or 16), and to which port: it is global unicast, or
 * allowed. */
bool guard_address(const struct guard *g, const uint8_t *octets, size_t len, uint16_t *ret_port);
/* The ports that any address may have. */
size_t guard_ports(const struct guard *g, uint16_t out[GUARD_PORTS_MAX]);

/* A URL as libcurl's own parser takes it apart, so that it cannot mean another host to libcurl than to us; the caller
 * frees it with curl_url_cleanup. host: its name in lower case. ERR_DENIED: not https alone, no name of at least two
 * labels (an address in any spelling is none), a user, another port, a fragment; ERR_MEMORY. */
int guard_url(const char *url, CURLU **ret, char host[GUARD_HOST_MAX + 1]);

#endif
