#include "store/content.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/blob_size.h"
#include "store/sealed_blob.h"

/* What two of the largest size but one hold: more costs as much as a page. */
enum { REST_MAX = 2 * (BLOB_HALF_MAX - OUTER_SEAL_TAG) };

_Static_assert((int)SEALED_BLOB_SALT == (int)OUTER_SEAL_SALT, "a head and a body have one salt");

void content_layout(const struct schema_message *m, struct content_layout *ret)
{
    struct content_layout l = {.len = m->packets_len - m->head_len};
    uint64_t padded = l.len + m->padding;
    size_t rest = (size_t)(padded % CONTENT_CHUNK);
    l.full = (uint32_t)(padded / CONTENT_CHUNK);
    for (unsigned pages = 0; rest > l.run; pages++) { /* as few pages as leave a rest that needs none of its own */
        l.run = pages ? ENGINE_RUN(pages) - OUTER_SEAL_TAG : 0;
        if (rest > l.run && rest - l.run <= REST_MAX) {
            size_t left = rest - l.run;
            l.tails = 1 + (left + OUTER_SEAL_TAG > BLOB_LEAF_MAX);
            l.tail = blob_size_fit((left + l.tails - 1) / l.tails + OUTER_SEAL_TAG) - OUTER_SEAL_TAG;
            break;
        }
    }
    *ret = l;
}

uint32_t content_chunks(const struct content_layout *l)
{
    return l->full + (l->run > 0) + l->tails;
}

uint64_t content_chunk_start(const struct content_layout *l, uint32_t n)
{
    if (n <= l->full)
        return (uint64_t)n * CONTENT_CHUNK;
    return (uint64_t)l->full * CONTENT_CHUNK + l->run + (n - l->full - (l->run > 0)) * l->tail;
}

size_t content_chunk_room(const struct content_layout *l, uint32_t n)
{
    return n < l->full ? CONTENT_CHUNK : n == l->full && l->run ? l->run : l->tail;
}

uint32_t content_chunk_at(const struct content_layout *l, uint64_t offset)
{
    uint64_t n = offset / CONTENT_CHUNK;
    if (n < l->full)
        return (uint32_t)n;
    offset -= (uint64_t)l->full * CONTENT_CHUNK;
    if (offset < l->run)
        return l->full;
    return l->full + (l->run > 0) + (l->tails > 1 && offset - l->run >= l->tail);
}

bool content_hidden(const struct schema_message *m)
{
    return m->kind != MESSAGE_SERVER_SEALED;
}

static uint32_t most_padding(const struct schema_message *m)
{
    uint64_t most = (m->packets_len - m->head_len) / CONTENT_PADDING_SHARE;
    return (uint32_t)(most < CONTENT_PADDING_MAX ? most : CONTENT_PADDING_MAX);
}

uint64_t content_most(const struct schema_message *m, uint32_t *ret_chunks)
{
    const struct schema_message padded = {.packets_len = m->packets_len,
                                          .head_len = m->head_len,
                                          .padding = most_padding(m)};
    struct content_layout l;
    uint64_t head = (uint64_t)m->capsule_len + m->head_len, sum = sealed_blob_stored(head);
    content_layout(&padded, &l);
    *ret_chunks = sealed_blob_chunks(head) + content_chunks(&l);
    sum += (uint64_t)l.full * ENGINE_BLOB_CHUNK;
    return sum + (l.run ? l.run + OUTER_SEAL_TAG : 0) + l.tails * (l.tail + OUTER_SEAL_TAG);
}

void content_draw(struct schema_message *m)
{
    struct {
        uint8_t salt[OUTER_SEAL_SALT];
        uint64_t padding;
    } drawn; /* at once: a call to the kernel costs as much as a record's seal */
    randombytes_buf(&drawn, sizeof(drawn));
    memcpy(m->salt, drawn.salt, sizeof(m->salt));
    m->padding = (uint32_t)(drawn.padding % (most_padding(m) + 1));
}

static enum record_use head_use(uint64_t account)
{
    return account == PART_QUEUE ? RECORD_QUEUE_CONTENT : RECORD_MESSAGE;
}

static enum record_use body_use(uint64_t account)
{
    return account == PART_QUEUE ? RECORD_QUEUE_CONTENT : RECORD_CONTENT;
}

void content_head(uint64_t account, const struct schema_message *m, struct sealed_blob *ret)
{
    *ret = (struct sealed_blob){.use = head_use(account),
                                .account = account,
                                .kind = BLOB_HEAD,
                                .id = m->id,
                                .salt = m->salt,
                                .len = (uint64_t)m->capsule_len + m->head_len};
}

static int write_body(struct engine_txn *t, const struct outer_key *k, uint64_t account, const struct schema_message *m,
                      struct slice body)
{
    struct content_layout l;
    content_layout(m, &l);
    uint32_t chunks = content_chunks(&l);
    for (uint32_t n = 0; n < chunks; n++) {
        uint64_t at = content_chunk_start(&l, n);
        size_t room = content_chunk_room(&l, n), left = at < body.len ? body.len - at : 0;
        uint8_t *out;
        int err = engine_blob_room(t, account, BLOB_PACKETS, m->id, n, room + OUTER_SEAL_TAG, &out);
        if (!err)
            err = (content_hidden(m) ? outer_seal_hide : outer_seal_mark)(k, n, n + 1 == chunks,
                                                                          left ? body.data + at : body.data,
                                                                          left < room ? left : room, room, out);
        if (err)
            return err;
    }
    return OK;
}

int content_write(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_message *m,
                  struct slice packets, struct slice capsule)
{
    struct sealed_blob head;
    struct outer_key key;
    if (packets.len != m->packets_len || capsule.len != m->capsule_len || m->head_len > packets.len)
        return ERR_LIMIT;
    const struct slice parts[] = {capsule, slice_of(packets.data, m->head_len)};
    content_head(account, m, &head);
    int err = sealed_blob_put(t, k, &head, parts, 2);
    if (err)
        return err;
    outer_key_make(k, body_use(account), account, m->id, m->salt, &key);
    err = write_body(t, &key, account, m, slice_of(packets.data + m->head_len, packets.len - m->head_len));
    secmem_wipe(&key, sizeof(key));
    return err;
}

int content_open(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_message *m,
                 uint32_t n, uint8_t *out)
{
    struct content_layout l;
    struct outer_key key;
    struct slice sealed;
    content_layout(m, &l);
    if (n >= content_chunks(&l))
        return ERR_NOT_FOUND;
    if (!record_keys_have(k, body_use(account)))
        return ERR_DENIED;
    bool last = n + 1 == content_chunks(&l);
    int err = engine_blob_get(t, account, BLOB_PACKETS, m->id, n, &sealed);
    if (!err && sealed.len != content_chunk_room(&l, n) + OUTER_SEAL_TAG)
        err = ERR_FORMAT;
    if (err)
        return err;
    outer_key_make(k, body_use(account), account, m->id, m->salt, &key);
    err = content_hidden(m) ? outer_seal_open(&key, n, last, sealed.data, sealed.len, out)
                            : outer_seal_check(&key, n, last, sealed.data, sealed.len);
    secmem_wipe(&key, sizeof(key));
    return err;
}
