/* Blobs, each of which something must name: a message, or a certificate's record. What a message names is looked at
 * when its octets are read. */
#include <inttypes.h>
#include <stdio.h>

#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/content.h"
#include "store/fence.h"

struct blob_walk {
    struct check c;
    struct blob_at *at;
    uint32_t left;
    uint64_t part, id; /* the message at hand */
    uint32_t chunks;   /* of its body; 0: there is no such message */
    bool known, any;
};

static void fault(struct blob_walk *w, const struct blob_at *at, const char *what)
{
    static const char *const names[] = {
        [BLOB_PACKETS] = "body", [BLOB_HEAD] = "head", [BLOB_CERTIFICATE] = "certificate", [BLOB_KINDS] = "blob"};
    w->c.part = at->part;
    check_fault(&w->c, "%s %" PRIu64 " chunk %" PRIu32 ": %s", names[at->kind], at->id, at->n, what);
}

/* What is left of an account that is being erased, step by step. */
static bool is_doomed(struct blob_walk *w, const struct blob_at *at)
{
    struct schema_keybuf kb;
    return check_has(&w->c, PART_INSTANCE, key_u64(&kb, 'Z', at->part));
}

static void see_message(struct blob_walk *w, const struct blob_at *at)
{
    struct schema_message m;
    struct content_layout layout;
    if (!w->any || w->part != at->part || w->id != at->id) {
        int err = schema_get_message(w->c.t, w->c.k, at->part, at->id, &m, NULL);
        w->any = true;
        w->part = at->part;
        w->id = at->id;
        w->known = err == OK;
        w->chunks = err == ERR_NOT_FOUND ? 0 : UINT32_MAX; /* what does not open is said of the record */
        if (err == ERR_OVERRUN || err == ERR_IO || err == ERR_MEMORY)
            w->c.err = err;
        if (w->known) {
            content_layout(&m, &layout);
            w->chunks = content_chunks(&layout);
        }
    }
    if (w->chunks == 0 && !w->known && !is_doomed(w, at))
        fault(w, at, "no message has it");
    else if (at->kind == BLOB_PACKETS && w->known && at->n >= w->chunks)
        fault(w, at, "its message is shorter");
}

static void see_certificate(struct blob_walk *w, const struct blob_at *at)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    size_t n = 0, i;
    int err = schema_get_keys(w->c.t, w->c.k, at->part, keys, &n);
    for (i = 0; i < n && keys[i].blob != at->id; i++)
        ;
    if (err == ERR_OVERRUN || err == ERR_IO || err == ERR_MEMORY)
        w->c.err = err;
    else if (!err && i == n && !is_doomed(w, at))
        fault(w, at, "no certificate's record has it");
}

/* Looked at with its record. */
static void see_fence(struct blob_walk *w, const struct blob_at *at)
{
    struct schema_keybuf kb;
    if (at->n || (!check_has(&w->c, at->part, key_simple(&kb, 'n')) && !is_doomed(w, at)))
        fault(w, at, "no fence is there");
}

static int see_one(void *arg, const struct blob_at *at)
{
    struct blob_walk *w = arg;
    if (at->kind >= (int)BLOB_KINDS || (at->part < PART_ACCOUNT_FIRST && at->part != PART_QUEUE) ||
        (at->part == PART_QUEUE && at->kind == BLOB_CERTIFICATE) || at->n >= BLOB_CHUNK_NONE)
        fault(w, at, "nothing writes such blobs");
    else if (fence_has(at->kind, at->id))
        see_fence(w, at);
    else if (at->kind == BLOB_CERTIFICATE)
        see_certificate(w, at);
    else
        see_message(w, at);
    if (w->c.err)
        return w->c.err;
    *w->at = *at;
    return --w->left == 0;
}

int view_check_blobs(struct view *v, uint32_t max, struct blob_at *at, bool *begun, struct check_found *found)
{
    struct blob_walk w = {.c = {.t = v->txn, .k = v->keys, .found = found}, .at = at, .left = max};
    struct blob_at after = *at;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = engine_blobs(v->txn, *begun ? &after : NULL, see_one, &w);
    *begun = true;
    return err;
}
