/* The read side of what accounts send. */
#include "server/core/error.h"
#include "store/schema_impl.h"
#include "store/sending_impl.h"
#include "store/view_impl.h"

int view_held(struct view *v, uint64_t account)
{
    struct schema_keybuf kb;
    struct slice value;
    return v->txn ? engine_get(v->txn, PART_QUEUE, key_u64(&kb, 'H', account), &value) : ERR_CONFLICT;
}

int view_hold(struct view *v, uint64_t account, struct schema_hold *ret)
{
    return v->txn ? schema_get_hold(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_sent(struct view *v, uint64_t account, struct schema_sent *ret)
{
    return v->txn ? schema_get_sent(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}
