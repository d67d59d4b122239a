/* Makes every free() and realloc() of the process wipe, those of libraries as well, so that what GMime or OpenSSL put
 * on the heap for a moment does not stay there. A program that calls this is linked with a free and a realloc of its
 * own in front of the C library's allocator; until the call they only pass on. Under sanitizers it does nothing. */
#ifndef CORE_WIPE_HEAP_H
#define CORE_WIPE_HEAP_H

#include <stdbool.h>

void wipe_heap_on_free(void);
bool wipe_heap_active(void);

#endif
