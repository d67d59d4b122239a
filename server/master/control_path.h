/* The control socket's address. Paths of Unix sockets end at 107 bytes and DIR may be longer, so it is reached
 * through a descriptor of DIR/run. */
#ifndef MASTER_CONTROL_PATH_H
#define MASTER_CONTROL_PATH_H

#include <sys/un.h>

/* The descriptor must stay open while the address is used. -1: no such directory. */
int control_address(const char *dir, struct sockaddr_un *ret);

#endif
