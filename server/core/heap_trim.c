/* When a trim is worth its while. */
#include "server/core/heap_trim.h"

#include <malloc.h>
#include <stddef.h>
#include <sys/resource.h>

enum { WORTH_IT = 4 * 1024 * 1024 };

/* malloc counts octets as free whether their pages are the kernel's or ours. Pages that have become ours since the last
 * trim show as page faults. */
bool heap_trim(void)
{
    static long faults;
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0 || (u.ru_minflt - faults) * 4096 < WORTH_IT || mallinfo2().fordblks < WORTH_IT)
        return false;
    malloc_trim(0);
    faults = u.ru_minflt;
    return true;
}
