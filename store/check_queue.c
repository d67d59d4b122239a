/* The records of the outgoing queue. */
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/check_impl.h"
#include "store/dkim.h"
#include "store/schema_impl.h"
#include "store/sending_impl.h"
#include "store/sts_policy.h"
#include "store/suppression.h"
#include "store/tls_tally.h"

static int stop(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    (void)key;
    (void)value;
    return 1;
}

/* 'Q' */
void check_queued(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb, end;
    struct queue_envelope e;
    uint8_t seen[QUEUE_SEEN_SIZE];
    struct unpack u = key_fields(key);
    uint64_t id = unpack_u64(&u);
    (void)check_opened(c, queue_open_envelope(c->k, id, value, &e, seen));
    if (!check_has(c, PART_QUEUE, key_u64(&kb, 'M', id)))
        check_fault(c, "its message is not there");
    int err = engine_scan(c->t, PART_QUEUE, key_u64(&kb, 'T', id), key_u64(&end, 'T', id + 1), 0, stop, NULL);
    if (err == 0)
        check_fault(c, "it has no recipient");
    else if (err < 0)
        c->err = err;
}

/* 'T' */
void check_queue_recipient(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct queue_recipient r;
    struct unpack u = key_fields(key);
    uint64_t id = unpack_u64(&u);
    (void)check_opened(c, queue_open_recipient(c->k, id, unpack_u32(&u), value, &r));
    if (!check_has(c, PART_QUEUE, key_u64(&kb, 'Q', id)))
        check_fault(c, "its envelope is not there");
}

/* 'M'; what it names is looked at when its octets are read */
void check_queue_message(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_message m;
    struct unpack u = key_fields(key);
    uint64_t id = unpack_u64(&u);
    (void)value;
    (void)check_opened(c, schema_get_message(c->t, c->k, PART_QUEUE, id, &m, NULL));
    if (!check_has(c, PART_QUEUE, key_u64(&kb, 'Q', id)))
        check_fault(c, "its envelope is not there");
}

/* 'D' */
void check_dkim(struct check *c, struct slice key, struct slice value)
{
    struct dkim_record r;
    (void)check_opened(c, dkim_record_open(c->k, key.data + 1, value, &r));
    secmem_wipe(&r, sizeof(r));
}

/* ---- what accounts send ---- */

/* 'L' */
void check_sent(struct check *c, struct slice key, struct slice value)
{
    struct schema_sent s;
    (void)check_opened(c, schema_unpack_sent(c->k, c->part, key, value, &s));
}

/* 'l', 'f' */
void check_known(struct check *c, struct slice key, struct slice value)
{
    struct unpack u = key_fields(key);
    uint32_t n;
    if (unpack_u32(&u) >= SENDING_BUCKETS)
        check_fault(c, "there is no such bucket");
    else
        (void)check_opened(c, schema_unpack_known(c->k, c->part, key, value, &n));
}

/* 'y' */
void check_complaints(struct check *c, struct slice key, struct slice value)
{
    struct schema_complaints got;
    (void)check_opened(c, schema_unpack_complaints(c->k, c->part, key, value, &got));
}

/* 'H' */
void check_hold(struct check *c, struct slice key, struct slice value)
{
    struct schema_hold h;
    (void)check_opened(c, schema_unpack_hold(c->k, key, value, &h));
}

/* 'S' */
void check_suppressed(struct check *c, struct slice key, struct slice value)
{
    struct suppressed s;
    (void)check_opened(c, suppression_open(c->k, key.data + 1, value, &s));
}

/* 'p' */
void check_sts_policy(struct check *c, struct slice key, struct slice value)
{
    struct sts_policy p;
    (void)check_opened(c, sts_policy_open(c->k, key.data + 1, value, &p));
}

/* 't' */
void check_tls_tally(struct check *c, struct slice key, struct slice value)
{
    struct tls_tally t;
    (void)check_opened(c, tls_tally_open(c->k, key.data + 1, value, &t));
}
