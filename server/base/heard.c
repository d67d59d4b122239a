/* By the kernel's count of the connection's octets (struct tcp_info; RFC 4898 has the same counters). They go by
 * sequence numbers, of which a FIN takes one (RFC 9293 section 3.4) and a reset none. */
#include "server/base/heard.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

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
    h->arrived = info_get(fd, &i) ? i.tcpi_bytes_received : UINT64_MAX;
}

static uint64_t written(const struct tcp_info *i)
{
    return i->tcpi_bytes_sent - i->tcpi_bytes_retrans + i->tcpi_notsent_bytes;
}

void heard_after(struct heard *h, int fd)
{
    struct tcp_info i;

    if (!info_get(fd, &i))
        return;
    h->state = HEARD_OPEN;
    h->written = written(&i);
}

void heard_look(struct heard *h, int fd)
{
    struct tcp_info i;

    if (h->state == HEARD_OPEN && info_get(fd, &i) && i.tcpi_bytes_acked >= h->written &&
        i.tcpi_bytes_received > h->arrived)
        h->state = HEARD_YES;
}

bool heard_crossed(int fd)
{
    struct tcp_info i;

    return info_get(fd, &i) && i.tcpi_bytes_acked < written(&i);
}
