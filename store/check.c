/* The walk, and the table of what is looked at in each kind of record. */
#include "store/check.h"

#include <string.h>

#include "server/core/error.h"
#include "store/check_impl.h"

/* Of keys: the octets behind the letter. */
static const struct rule {
    char letter;
    uint8_t home, key_len;
    check_record *fn; /* NULL: whoever opens the store looks at it */
} rules[] = {
    {'V', HOME_INSTANCE, 0, NULL},
    {'C', HOME_INSTANCE, 0, NULL},
    {'S', HOME_INSTANCE, 0, NULL},
    {'I', HOME_INSTANCE, 0, check_number},
    {'R', HOME_INSTANCE, 0, check_restored},
    {'Z', HOME_INSTANCE, 8, check_doomed},
    {'a', HOME_INSTANCE, RECORD_HASH_SIZE, check_address},
    {'d', HOME_INSTANCE, RECORD_HASH_SIZE, check_domain},
    {'N', HOME_INSTANCE, 8, check_listed},
    {'L', HOME_INSTANCE, RECORD_HASH_SIZE, check_sent},
    {'J', HOME_INSTANCE, RECORD_HASH_SIZE, check_invitation},
    {'D', HOME_INSTANCE, RECORD_HASH_SIZE + 4, check_dmarc_day},
    {'A', HOME_ACCOUNT, 0, check_account},
    {'q', HOME_ACCOUNT, 0, check_usage},
    {'K', HOME_ACCOUNT, RECORD_HASH_SIZE, check_key},
    {'G', HOME_ACCOUNT, 0, check_approval},
    {'L', HOME_ACCOUNT, 0, check_sent},
    {'l', HOME_ACCOUNT, 4, check_known},
    {'f', HOME_ACCOUNT, 4, check_known},
    {'y', HOME_ACCOUNT, 0, check_complaints},
    {'r', HOME_ACCOUNT, RECORD_HASH_SIZE, check_correspondent},
    {'i', HOME_ACCOUNT, RECORD_HASH_SIZE, check_correspondent},
    {'U', HOME_ACCOUNT, 0, check_correspondents},
    {'P', HOME_ACCOUNT, RECORD_HASH_SIZE, check_password},
    {'O', HOME_ACCOUNT, 0, check_signin},
    {'W', HOME_ACCOUNT, 1 + RECORD_HASH_SIZE + 4, check_wrapped},
    {'o', HOME_ACCOUNT, RECORD_HASH_SIZE, check_session},
    {'E', HOME_ACCOUNT, 4, check_factor},
    {'B', HOME_ACCOUNT, 4, check_box_name},
    {'b', HOME_ACCOUNT, 4, check_box},
    {'F', HOME_ACCOUNT, 4, check_keyword},
    {'s', HOME_ACCOUNT, RECORD_HASH_SIZE, check_subscription},
    {'k', HOME_ACCOUNT, 8, check_block},
    {'u', HOME_ACCOUNT, 8, check_entry},
    {'w', HOME_ACCOUNT, 16, check_change},
    {'x', HOME_ACCOUNT, 12, check_tombstones},
    {'m', HOME_ACCOUNT, 8, check_message},
    {'n', HOME_ACCOUNT, 0, check_fence},
    {'D', HOME_ACCOUNT, RECORD_HASH_SIZE, check_delivery},
    {'e', HOME_ACCOUNT, 4 + RECORD_HASH_SIZE, check_delivery_day},
    {'X', HOME_ACCOUNT, 12, check_expiry},
    {'Y', HOME_ACCOUNT, 12, check_copy},
    {'Z', HOME_ACCOUNT, 4, check_job},
    {'Q', HOME_QUEUE, 8, check_queued},
    {'T', HOME_QUEUE, 12, check_queue_recipient},
    {'M', HOME_QUEUE, 8, check_queue_message},
    {'D', HOME_QUEUE, RECORD_HASH_SIZE, check_dkim},
    {'H', HOME_QUEUE, 8, check_hold},
    {'S', HOME_QUEUE, RECORD_HASH_SIZE, check_suppressed},
    {'p', HOME_QUEUE, RECORD_HASH_SIZE, check_sts_policy},
    {'t', HOME_QUEUE, RECORD_HASH_SIZE, check_tls_tally},
    {'p', HOME_KEYSERVER, RECORD_HASH_SIZE, check_published},
    {'c', HOME_KEYSERVER, RECORD_HASH_SIZE + 4, check_published_chunk},
    {'w', HOME_KEYSERVER, 2 * RECORD_HASH_SIZE, check_published_index},
    {'f', HOME_KEYSERVER, 2 * RECORD_HASH_SIZE, check_published_index},
    {'l', HOME_KEYSERVER, 8, check_published_change},
    {'h', HOME_KEYSERVER, 0, check_published_head},
    {'u', HOME_KEYSERVER, RECORD_HASH_SIZE + 4, check_upload},
    {'v', HOME_KEYSERVER, RECORD_HASH_SIZE + 4, check_upload_chunk},
    {'x', HOME_KEYSERVER, 8 + RECORD_HASH_SIZE + 4, check_upload_until},
    {'n', HOME_KEYSERVER, 0, check_upload_head},
};

static const struct rule *rule_of(const struct check *c, char letter)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (rules[i].letter == letter && rules[i].home & c->kind->home)
            return &rules[i];
    return NULL;
}

static void see(struct check *c, struct slice key, struct slice value)
{
    c->key = key;
    c->kind = schema_kind_find(c->part, (char)key.data[0]);
    if (c->orphan) {
        check_fault(c, "there is no such account");
        c->orphan = false;
    }
    if (!c->kind) {
        check_fault(c, "no record has this letter here");
        return;
    }
    const struct rule *rule = rule_of(c, (char)key.data[0]);
    if (!rule || c->kind->form == FORM_RESERVED)
        check_fault(c, "nothing writes such records yet");
    else if (key.len != 1u + rule->key_len)
        check_fault(c, "its key has another length");
    else if (c->kind->form == FORM_EMPTY && value.len > 0)
        check_fault(c, "it has a value, and should have none");
    else if (rule->fn)
        rule->fn(c, key, value);
}

static int see_one(void *arg, struct slice key, struct slice value)
{
    struct check *c = arg;
    uint64_t left = c->walk->records;
    see(c, key, value);
    if (c->err)
        return c->err;
    memcpy(c->walk->last, key.data, key.len);
    c->walk->len = key.len;
    c->walk->records = left - 1;
    return c->walk->records == 0;
}

/* An account's own record, and its keywords. One that is made or erased just now has none. */
static void load_account(struct check *c)
{
    struct schema_keybuf kb;
    if (c->part == PART_INSTANCE && c->walk->len == 0 && !check_has(c, PART_INSTANCE, key_simple(&kb, 'I')))
        check_fault(c, "nothing says which account comes next");
    if (c->part < PART_ACCOUNT_FIRST)
        return;
    check_found_there(c, schema_get_account(c->t, c->k, c->part, &c->account), &c->whole);
    if (!c->whole) {
        c->orphan = !c->err && c->walk->len == 0 && !check_has(c, PART_INSTANCE, key_u64(&kb, 'Z', c->part));
        return;
    }
    struct schema_usage usage = {.number_next = UINT64_MAX};
    int err = schema_get_usage(c->t, c->k, c->part, &usage);
    c->number_next = usage.number_next;
    if (!err || err == ERR_NOT_FOUND || err == ERR_CRYPTO || err == ERR_FORMAT) /* said of the record itself */
        err = schema_get_keywords(c->t, c->k, c->part, &c->keywords);
    if (err == ERR_CRYPTO || err == ERR_FORMAT)
        check_fault(c, "its keywords cannot be read");
    else
        c->err = err;
}

int view_check(struct view *v, uint64_t part, uint32_t max, struct check_walk *walk, struct check_refs *refs,
               struct check_found *found)
{
    static struct check c;
    struct schema_keybuf from = {{0}};
    uint64_t records = walk->records;
    if (!v->txn)
        return ERR_CONFLICT;
    c = (struct check){
        .t = v->txn, .k = v->keys, .part = part, .walk = walk, .refs = refs, .found = found, .block_no = UINT32_MAX};
    load_account(&c);
    if (c.err)
        return c.err;
    memcpy(from.b, walk->last, walk->len); /* and the NUL behind it: the next key */
    walk->records = max;
    int err = engine_scan(c.t, part, slice_of(from.b, walk->len + 1), slice_of("", 0), 0, see_one, &c);
    walk->records = records + (max - walk->records);
    return err;
}
