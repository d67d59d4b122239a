/* The read side of messages' content. The chunk that was opened last is kept, since FETCH takes a message in smaller
 * pieces. */
#include "store/view_impl.h"

#include <string.h>

#include "server/core/error.h"
#include "store/content.h"
#include "store/sealed_blob.h"

static bool is_at_hand(const struct view_opened *o, uint64_t account, const struct schema_message *m, uint32_t n)
{
    return o->there && o->account == account && o->message == m->id && o->n == n &&
           memcmp(o->salt, m->salt, sizeof(o->salt)) == 0;
}

static void keep(struct view_opened *o, uint64_t account, const struct schema_message *m, uint32_t n, size_t len)
{
    o->there = true;
    o->account = account;
    o->message = m->id;
    memcpy(o->salt, m->salt, sizeof(o->salt));
    o->n = n;
    o->len = len;
}

/* From the head's chunk that offset is in; *ret_len says how many octets. */
static int take_head(struct view *v, uint64_t account, const struct schema_message *m, uint64_t offset, uint8_t *out,
                     size_t len, size_t *ret_len)
{
    struct view_opened *o = &v->head;
    struct sealed_blob b;
    uint32_t n = (uint32_t)(offset / SEALED_BLOB_CHUNK);
    size_t skip = (size_t)(offset % SEALED_BLOB_CHUNK), opened;
    if (!is_at_hand(o, account, m, n)) {
        content_head(account, m, &b);
        o->there = false;
        int err = sealed_blob_open(v->txn, v->keys, &b, n, o->octets, &opened);
        if (err)
            return err;
        keep(o, account, m, n, opened);
    }
    if (skip >= o->len)
        return ERR_NOT_FOUND;
    *ret_len = o->len - skip < len ? o->len - skip : len;
    memcpy(out, o->octets + skip, *ret_len);
    return OK;
}

static int head(struct view *v, uint64_t account, const struct schema_message *m, uint64_t offset, uint8_t *out,
                size_t len)
{
    while (len) {
        size_t part;
        int err = take_head(v, account, m, offset, out, len, &part);
        if (err)
            return err;
        out += part;
        offset += part;
        len -= part;
    }
    return OK;
}

/* A chunk's octets: opened, or as they stand in the store. Nothing is checked of what this server sealed: whoever
 * decrypts it will, and view_check_packets does. */
static int chunk_of(struct view *v, uint64_t account, const struct schema_message *m, const struct content_layout *l,
                    uint32_t n, const uint8_t **ret)
{
    struct view_opened *o = &v->body;
    struct slice stored;
    if (!content_hidden(m)) {
        int err = engine_blob_get(v->txn, account, BLOB_PACKETS, m->id, n, &stored);
        if (!err && stored.len != content_chunk_room(l, n) + OUTER_SEAL_TAG)
            err = ERR_FORMAT;
        if (!err)
            *ret = stored.data;
        return err;
    }
    if (!is_at_hand(o, account, m, n)) {
        o->there = false;
        int err = content_open(v->txn, v->keys, account, m, n, o->octets);
        if (err)
            return err;
        keep(o, account, m, n, content_chunk_room(l, n));
    }
    *ret = o->octets;
    return OK;
}

static int body(struct view *v, uint64_t account, const struct schema_message *m, uint64_t offset, uint8_t *out,
                size_t len)
{
    struct content_layout l;
    content_layout(m, &l);
    while (len) {
        uint32_t n = content_chunk_at(&l, offset);
        size_t skip = (size_t)(offset - content_chunk_start(&l, n)), left = content_chunk_room(&l, n) - skip;
        const uint8_t *octets;
        int err = chunk_of(v, account, m, &l, n, &octets);
        if (err)
            return err;
        size_t part = left < len ? left : len;
        memcpy(out, octets + skip, part);
        out += part;
        offset += part;
        len -= part;
    }
    return OK;
}

int view_packets(struct view *v, uint64_t account, const struct schema_message *m, uint64_t offset, uint8_t *out,
                 size_t len)
{
    if (!v->txn)
        return ERR_CONFLICT;
    if (offset > m->packets_len || len > m->packets_len - offset)
        return ERR_NOT_FOUND;
    size_t first = offset >= m->head_len ? 0 : m->head_len - offset < len ? (size_t)(m->head_len - offset) : len;
    int err = head(v, account, m, m->capsule_len + offset, out, first);
    return err || first == len ? err : body(v, account, m, offset + first - m->head_len, out + first, len - first);
}

int view_capsule(struct view *v, uint64_t account, const struct schema_message *m, uint32_t offset, uint8_t *out,
                 size_t len)
{
    if (!v->txn)
        return ERR_CONFLICT;
    if (offset > m->capsule_len || len > m->capsule_len - offset)
        return ERR_NOT_FOUND;
    return head(v, account, m, offset, out, len);
}

void view_want_packets(uint64_t account, const struct schema_message *m, uint64_t offset, uint64_t len,
                       struct blob_want *ret)
{
    struct content_layout l;
    content_layout(m, &l);
    uint64_t from = offset > m->head_len ? offset - m->head_len : 0;
    uint64_t to = offset + len > m->head_len ? offset + len - m->head_len : 0;
    uint32_t first = content_chunk_at(&l, from), last = content_chunk_at(&l, to > from ? to - 1 : from);
    *ret = (struct blob_want){
        .account = account, .kind = BLOB_PACKETS, .id = m->id, .first = first, .n = last - first + 1};
}

int view_check_packets(struct view *v, uint64_t account, const struct schema_message *m, uint32_t n,
                       uint32_t *ret_chunks)
{
    struct content_layout l;
    if (!v->txn)
        return ERR_CONFLICT;
    content_layout(m, &l);
    *ret_chunks = content_chunks(&l);
    v->body.there = false;
    return content_open(v->txn, v->keys, account, m, n, v->body.octets);
}
