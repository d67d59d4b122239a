/* Reading a descriptor to its end. */
#ifndef CORE_READ_TO_END_H
#define CORE_READ_TO_END_H

#include <stddef.h>

enum { READ_ALL = -1 };
/* Until the end, until cap octets are there, or until the octet `stop` is among them: a terminal has no end. What came
 * behind it is there as well. ERR_IO: errno says why. */
int read_to_end(int fd, int stop, void *out, size_t cap, size_t *ret_len);

#endif
