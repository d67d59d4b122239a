/* Gives the heap's free pages back to the kernel. Many TLS handshakes at once leave a heap three times as large as what
 * stays in use, with the free memory in holes between. glibc gives back only what lies at the end. */
#ifndef CORE_HEAP_TRIM_H
#define CORE_HEAP_TRIM_H

#include <stdbool.h>

/* Does nothing, false, while little is free or little memory was touched since the last time: called every few seconds
 * it costs next to nothing. */
bool heap_trim(void);

#endif
