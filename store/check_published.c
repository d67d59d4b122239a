/* The records of the directory of published certificates. */
#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/published_impl.h"
#include "store/schema_impl.h"

static struct published entry;

static int has_index(void *arg, struct slice key)
{
    struct check *c = arg;
    if (!c->err && !check_has(c, PART_KEYSERVER, key))
        check_fault(c, "an index lacks it");
    return OK;
}

/* That whose certificate it is still is an address here, and that its holder wants to be found. */
static void check_hosted(struct check *c)
{
    struct schema_address a;
    struct schema_account account;
    bool there;
    check_found_there(c, schema_get_address(c->t, c->k, entry.address, &a), &there);
    if (!c->err && !there)
        check_fault(c, "its address is nobody's here; letterlock key publish");
    if (!there || c->err)
        return;
    check_found_there(c, schema_get_account(c->t, c->k, a.account, &account), &there);
    if (there && account.unpublished)
        check_fault(c, "account %llu is not to be found; letterlock key publish", (unsigned long long)account.id);
}

/* 'p' */
void check_published(struct check *c, struct slice key, struct slice value)
{
    (void)value;
    if (!check_opened(c, schema_get_published(c->t, c->k, key.data + 1, &entry)))
        return;
    int err = published_indexes(c->k, &entry, has_index, c);
    if (err)
        check_fault(c, "what it has is not fit to be published");
    check_hosted(c);
}

/* 'c' */
void check_published_chunk(struct check *c, struct slice key, struct slice value)
{
    struct unpack u = key_fields(key);
    bool there;
    (void)value;
    (void)unpack_raw(&u, RECORD_HASH_SIZE);
    uint32_t n = unpack_u32(&u);
    check_found_there(c, schema_get_published(c->t, c->k, key.data + 1, &entry), &there);
    if (!c->err && (!there || PUBLISHED_FRONT + (uint64_t)n * PUBLISHED_CHUNK >= entry.len))
        check_fault(c, "it is of no certificate");
}

struct search {
    struct slice key;
    bool found;
};

static int is_that(void *arg, struct slice key)
{
    struct search *s = arg;
    s->found = s->found || slice_equal(s->key, key);
    return OK;
}

/* 'w', 'f' */
void check_published_index(struct check *c, struct slice key, struct slice value)
{
    struct search s = {key, false};
    bool there;
    (void)value;
    check_found_there(c, schema_get_published(c->t, c->k, key.data + key.len - RECORD_HASH_SIZE, &entry), &there);
    if (there)
        (void)published_indexes(c->k, &entry, is_that, &s);
    if (!c->err && !s.found)
        check_fault(c, "it leads to nothing that has this name");
}

/* 'l': each with the one before */
void check_published_change(struct check *c, struct slice key, struct slice value)
{
    static const uint8_t zeros[PUBLISHED_HASH_SIZE];
    struct schema_keybuf kb;
    struct published_change change, before = {.number = 0};
    struct published_head head;
    uint8_t hash[PUBLISHED_HASH_SIZE];
    struct slice last;
    if (!check_opened(c, schema_unpack_published_change(c->k, key, value, &change)))
        return;
    if (change.number > 1) {
        struct slice at = key_u64(&kb, 'l', change.number - 1);
        int err = engine_get(c->t, PART_KEYSERVER, at, &last);
        if (!check_opened(c, err ? err : schema_unpack_published_change(c->k, at, last, &before)))
            return;
    }
    published_change_hash(&change, change.number > 1 ? before.hash : zeros, hash);
    if (memcmp(hash, change.hash, sizeof(hash)) != 0)
        check_fault(c, "it does not follow from the change before it");
    if (check_opened(c, schema_get_published_head(c->t, c->k, &head)) && change.number > head.changes)
        check_fault(c, "it is beyond the end of the log");
}

/* 'h' */
void check_published_head(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct published_change change;
    struct published_head head;
    struct slice last;
    (void)key;
    (void)value;
    if (!check_opened(c, schema_get_published_head(c->t, c->k, &head)))
        return;
    struct slice at = key_u64(&kb, 'l', head.changes);
    int err = engine_get(c->t, PART_KEYSERVER, at, &last);
    if (check_opened(c, err ? err : schema_unpack_published_change(c->k, at, last, &change)) &&
        memcmp(change.hash, head.hash, sizeof(head.hash)) != 0)
        check_fault(c, "the last change has another hash");
}
