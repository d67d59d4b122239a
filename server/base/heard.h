/* Whether a TCP peer has heard what was said to it: whether it has shown that it read what was written. That its kernel
 * acknowledged the octets does not say so. It says so by octets, or by its orderly end (FIN), that came after ours were
 * written, and behind their acknowledgement. What was on its way before proves nothing (SMTP clients send "." and QUIT
 * together), and a reset proves nothing: that is how a kernel ends a connection whose process has left something
 * unread. */
#ifndef BASE_HEARD_H
#define BASE_HEARD_H

#include <stdbool.h>
#include <stdint.h>

struct heard {
    enum heard_state {
        HEARD_UNASKED, /* or it cannot be known: no TCP, or a kernel that does not count */
        HEARD_OPEN,
        HEARD_YES,
    } state;
    uint64_t arrived; /* before: the peer's octets, its end being one */
    uint64_t written; /* after: ours */
};

/* Just before and just after the last of what it is about is given to the socket: a quick peer's answer may be there
 * when the call returns. */
void heard_before(struct heard *h, int fd);
void heard_after(struct heard *h, int fd);
void heard_look(struct heard *h, int fd); /* something has been read, or the end */
/* Something has been read, and the peer cannot have seen all that was written before it sent that: its kernel has not
 * acknowledged it. false: it can, or it cannot be known. */
bool heard_crossed(int fd);

#endif
