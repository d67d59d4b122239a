#include "store/blob_size.h"

#include "server/core/bug.h"
#include "store/engine.h"

/* A leaf of LMDB has 4,080 octets for its nodes, which take 30 each beside the value (8, the key's 20, an index of 2);
 * that of a page run has 38. The largest size leaves room for seven of those beside two of its own. */
static const size_t sizes[] = {268,           430,           590,           720,           900,          BLOB_HALF_MAX,
                               BLOB_LEAF_MAX, ENGINE_RUN(1), ENGINE_RUN(2), ENGINE_RUN(3), ENGINE_RUN(4)};
_Static_assert(ENGINE_BLOB_CHUNK == ENGINE_RUN(4), "the largest");

size_t blob_size_fit(size_t len)
{
    size_t i = 0;
    bug_if(len > ENGINE_BLOB_CHUNK);
    while (sizes[i] < len)
        i++;
    return sizes[i];
}
