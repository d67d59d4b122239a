/* By the kernel's count of the connection's octets (struct tcp_info; RFC 4898 has the same counters). */
#include "server/base/heard.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* States of a connection (RFC 9293 section 3.3.2) by the kernel's numbers, which <linux/tcp.h> does not name. */
enum { CLOSED = 7, CLOSE_WAIT = 8 };

static bool info_get(int fd, struct tcp_info *ret)
{
    socklen_t len = sizeof(*ret);

    memset(ret, 0, sizeof(*ret));
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len) == 0 &&
           len >= offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(ret->tcpi_bytes_retrans);
}

void heard_before(struct heard *h, int fd)
{
    struct tcp_info i;

    h->state = HEARD_UNASKED;
    h->ended = !info_get(fd, &i) || i.tcpi_state == CLOSE_WAIT || i.tcpi_state == CLOSED;
    h->arrived = i.tcpi_bytes_received;
}

void heard_after(struct heard *h, int fd)
{
    struct tcp_info i;

    if (!info_get(fd, &i))
        return;
    h->state = HEARD_OPEN;
    h->written = i.tcpi_bytes_sent - i.tcpi_bytes_retrans + i.tcpi_notsent_bytes;
}

void heard_look(struct heard *h, int fd, bool fin)
{
    struct tcp_info i;

    if (h->state != HEARD_OPEN || !info_get(fd, &i) || i.tcpi_bytes_acked < h->written)
        return;
    if (i.tcpi_bytes_received > h->arrived || (fin && !h->ended))
        h->state = HEARD_YES;
}
