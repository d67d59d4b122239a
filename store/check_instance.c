/* The records of the instance's partition. */
#include <inttypes.h>
#include <string.h>

#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/dmarc_day_impl.h"
#include "store/schema_impl.h"

static uint64_t number_in(struct slice key)
{
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    (void)unpack_u8(&u);
    return unpack_u64(&u);
}

static int largest(void *arg, uint64_t part)
{
    *(uint64_t *)arg = part;
    return 0;
}

/* 'I' */
void check_number(struct check *c, struct slice key, struct slice value)
{
    struct unpack u;
    uint64_t last = 0;
    if (!check_opened(c, tagged_open(c->k, c->part, key, value, &u)))
        return;
    uint64_t next = unpack_u64(&u);
    if (!unpack_done(&u) || next < PART_ACCOUNT_FIRST)
        check_fault(c, "it is not what would have been written");
    int err = engine_partitions(c->t, largest, &last);
    if (err)
        c->err = err;
    else if (next <= last)
        check_fault(c, "account %" PRIu64 " has a number that was not given out yet", last);
}

/* 'R' */
void check_restored(struct check *c, struct slice key, struct slice value)
{
    uint64_t next;
    (void)key;
    (void)value;
    check_opened(c, schema_get_restored(c->t, c->k, &next));
}

/* 'Z' */
void check_doomed(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    (void)value;
    if (check_has(c, PART_INSTANCE, key_u64(&kb, 'N', number_in(key))))
        check_fault(c, "the list of accounts has it too");
}

/* 'a' */
void check_address(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_address a;
    if (!check_opened(c, schema_unpack_address(c->k, key, value, &a)))
        return;
    if (!slice_equal(key_address(&kb, c->k, a.address), key))
        check_fault(c, "it is another address's");
    if (!check_has(c, PART_INSTANCE, key_u64(&kb, 'N', a.account)))
        check_fault(c, "it leads to account %" PRIu64 ", which there is not", a.account);
}

/* 'd' */
void check_domain(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    char domain[DOMAIN_CAP];
    uint64_t added;
    if (check_opened(c, schema_unpack_domain(c->k, key, value, domain, &added)) &&
        !slice_equal(key_domain(&kb, c->k, domain), key))
        check_fault(c, "it is another domain's");
}

/* 'D' */
void check_dmarc_day(struct check *c, struct slice key, struct slice value)
{
    static struct dmarc_day d;
    (void)check_opened(c, schema_unpack_dmarc_day(c->k, key, value, &d));
}

/* 'N' */
void check_listed(struct check *c, struct slice key, struct slice value)
{
    char address[ADDRESS_MAX];
    uint64_t account;
    struct schema_account named;
    struct schema_address a;
    if (!check_opened(c, schema_unpack_listed(c->k, key, value, &account, address)))
        return;
    if (check_opened(c, schema_get_account(c->t, c->k, account, &named)) && strcmp(named.address, address) != 0)
        check_fault(c, "the account has another address");
    if (check_opened(c, schema_get_address(c->t, c->k, address, &a)) &&
        (a.account != account || a.kind != ADDRESS_PRIMARY))
        check_fault(c, "its address leads elsewhere");
}
