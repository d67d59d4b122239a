/* Socket addresses as text and as the keys under which peers and networks are counted. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/base/conn.h"

size_t addr_bytes(const struct sockaddr_storage *ss, unsigned char out[16])
{
    if (ss->ss_family == AF_INET) {
        memcpy(out, &((const struct sockaddr_in *)ss)->sin_addr, 4);
        return 4;
    }
    if (ss->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)ss)->sin6_addr;

        if (IN6_IS_ADDR_V4MAPPED(a)) {
            memcpy(out, a->s6_addr + 12, 4);
            return 4;
        }
        memcpy(out, a->s6_addr, 16);
        return 16;
    }
    return 0;
}

void addr_to_text(const struct sockaddr_storage *ss, char out[INET6_ADDRSTRLEN])
{
    unsigned char a[16];
    size_t n = addr_bytes(ss, a);

    if (n == 0 || !inet_ntop(n == 4 ? AF_INET : AF_INET6, a, out, INET6_ADDRSTRLEN))
        snprintf(out, INET6_ADDRSTRLEN, "unknown");
}

bool addr_is_loopback(const struct sockaddr_storage *ss)
{
    unsigned char a[16];
    size_t n = addr_bytes(ss, a);

    return n == 4 ? a[0] == 127 : n == 16 && memcmp(a, &in6addr_loopback, 16) == 0;
}

/* The rest of out is zeroed, so that it can be compared whole. */
static size_t prefix(const struct sockaddr_storage *ss, unsigned char out[16], size_t of_v4, size_t of_v6)
{
    unsigned char a[16];
    size_t n = addr_bytes(ss, a);

    n = n == 16 ? of_v6 : n == 4 ? of_v4 : 0;
    memset(out, 0, 16);
    memcpy(out, a, n);
    return n;
}

size_t addr_peer_key(const struct sockaddr_storage *ss, unsigned char out[16])
{
    return prefix(ss, out, 4, 8);
}

size_t addr_network_key(const struct sockaddr_storage *ss, unsigned char out[16])
{
    return prefix(ss, out, 3, 6);
}
