/* See contact.h. Anybody may write from as many addresses as they like, and the records have an end. So of a full
 * bucket those go first who have written in one week only: a flood of new names takes the place of others of its kind.
 */
#include "store/contact.h"

#include <string.h>

#include "server/core/error.h"
#include "store/contact_impl.h"
#include "store/sending_impl.h"

enum { WEEK_SECONDS = 7 * 86400 };
_Static_assert((int)CONTACT_WHO == (int)SENDING_WHOM, "buckets are alike");

void contact_who(const struct record_keys *k, uint64_t account, const char *address, bool proven,
                 uint8_t out[CONTACT_WHO])
{
    static const char what[] = "contact";
    const struct record_part parts[] = {{what, sizeof(what) - 1},
                                        {address, strlen(address)},
                                        {proven ? "proven" : "", proven ? 6 : 0}};
    uint8_t hash[RECORD_HASH_SIZE];
    record_hash(k, RECORD_FEATURE, account, parts, 3, hash);
    hash[0] |= 0x80;
    memcpy(out, hash, CONTACT_WHO);
}

static uint32_t bucket_of(const uint8_t *who)
{
    return who[0] % SENDING_BUCKETS;
}

static uint32_t find(const struct known_bucket *b, const uint8_t *who)
{
    uint32_t i = 0;
    while (i < b->n && memcmp(b->v[i].whom, who, CONTACT_WHO) != 0)
        i++;
    return i;
}

int contact_find(struct engine_txn *t, const struct record_keys *k, uint64_t account, const uint8_t who[CONTACT_WHO])
{
    struct known_bucket b;
    int err = schema_get_known(t, k, account, 'f', bucket_of(who), &b);
    return err == OK && find(&b, who) == b.n ? ERR_NOT_FOUND : err;
}

static uint32_t place_in(struct known_bucket *b)
{
    uint32_t first = 0;
    if (b->n < SENDING_BUCKET_MAX)
        return b->n++;
    for (uint32_t i = 1; i < b->n; i++)
        if (b->v[i].day < b->v[first].day)
            first = i;
    return first;
}

/* A record is written when somebody is new, and then once a week. */
int contact_note(struct store_write *w, const uint8_t who[CONTACT_WHO])
{
    static const uint8_t nobody[CONTACT_WHO];
    const uint16_t week = (uint16_t)(w->now / WEEK_SECONDS % CONTACT_AGAIN);
    struct known_bucket b;
    if (memcmp(who, nobody, CONTACT_WHO) == 0)
        return OK;
    int err = schema_get_known(w->t, w->keys, w->account, 'f', bucket_of(who), &b);
    if (err != OK)
        return err;
    uint32_t i = find(&b, who);
    const bool again = i < b.n;
    if (again && (b.v[i].day & ~CONTACT_AGAIN) == week)
        return OK;
    if (!again)
        i = place_in(&b);
    memcpy(b.v[i].whom, who, CONTACT_WHO);
    b.v[i].day = (uint16_t)(again ? CONTACT_AGAIN | week : week);
    w->wrote = true;
    return schema_put_known(w->t, w->keys, w->account, 'f', bucket_of(who), &b);
}
