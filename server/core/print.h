/* Text that is put together piece by piece in room of a fixed size. */
#ifndef CORE_PRINT_H
#define CORE_PRINT_H

#include <stddef.h>

struct print {
    char *at;
    size_t left; /* 0: it did not fit, and what stands there is of no use */
};
void print_put(struct print *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
