#include "store/approval.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"

static const char KEYS[] = "letterlock approval 1: certificates", ADDRESS[] = "letterlock approval 1: address";

static struct pack text_begin(struct approval_text *t, const char *context, size_t context_size, const uint8_t *uuid,
                              uint64_t account, const char *primary)
{
    struct pack p;
    pack_init(&p, t->data, sizeof(t->data));
    pack_raw(&p, context, context_size);
    pack_raw(&p, uuid, STORE_UUID_SIZE);
    pack_u64(&p, account);
    pack_str(&p, primary);
    return p;
}

static void digest(const struct schema_key *k, uint8_t ret[KEY_DIGEST_SIZE])
{
    uint8_t buf[1 + PGP_VERDICT_SIZE + CERT_HASH_SIZE + 1 + KEY_FORMER_MAX * (1 + PGP_FPR_MAX)];
    uint8_t verdict[PGP_VERDICT_SIZE];
    struct pack p;
    pgp_verdict_pack(&k->verdict, verdict);
    pack_init(&p, buf, sizeof(buf));
    pack_u8(&p, k->state);
    pack_raw(&p, verdict, sizeof(verdict));
    pack_raw(&p, k->cert_hash, CERT_HASH_SIZE);
    pack_u8(&p, k->nformer);
    for (unsigned i = 0; i < k->nformer; i++) {
        pack_u8(&p, k->former[i].fpr_len);
        pack_raw(&p, k->former[i].fpr, PGP_FPR_MAX);
    }
    crypto_generichash(ret, KEY_DIGEST_SIZE, buf, p.len, NULL, 0);
}

static bool goes_before(const struct schema_key *a, const struct schema_key *b)
{
    return memcmp(a->verdict.primary_fpr, b->verdict.primary_fpr, PGP_FPR_MAX) < 0;
}

static void put_in_order(const struct schema_key **sorted, size_t n, const struct schema_key *k)
{
    for (; n > 0 && goes_before(k, sorted[n - 1]); n--)
        sorted[n] = sorted[n - 1];
    sorted[n] = k;
}

void approval_of_keys(const uint8_t uuid[STORE_UUID_SIZE], const struct schema_account *account,
                      const struct key_set *keys, const struct schema_key *changed, struct approval_text *ret)
{
    const struct schema_key *sorted[PGP_KEYS_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < keys->n && n < PGP_KEYS_MAX; i++)
        if (changed == NULL || !key_is(changed, keys->v[i].verdict.primary_fpr, keys->v[i].verdict.primary_fpr_len))
            put_in_order(sorted, n++, &keys->v[i]);
    if (changed != NULL)
        put_in_order(sorted, n++, changed);
    struct pack p = text_begin(ret, KEYS, sizeof(KEYS), uuid, account->id, account->address);
    pack_u32(&p, account->keys_version);
    pack_u8(&p, account->seal_v2);
    pack_u8(&p, account->encrypt);
    pack_u8(&p, account->forward_how);
    pack_str(&p, account->forward);
    pack_u32(&p, (uint32_t)n);
    for (size_t i = 0; i < n && i < PGP_KEYS_MAX; i++) {
        uint8_t d[KEY_DIGEST_SIZE];
        digest(sorted[i], d);
        pack_raw(&p, d, sizeof(d));
    }
    ret->len = p.len;
}

void approval_of_address(const uint8_t uuid[STORE_UUID_SIZE], const struct schema_address *a, const char *primary,
                         struct approval_text *ret)
{
    struct pack p = text_begin(ret, ADDRESS, sizeof(ADDRESS), uuid, a->account, primary);
    pack_u8(&p, a->kind);
    pack_str(&p, a->address);
    ret->len = p.len;
}

int approval_check(const struct record_keys *k, const struct approval_text *text, const uint8_t approval[APPROVAL_SIZE])
{
    return approver_check(record_keys_approver(k), text->data, text->len, approval) == OK ? OK : ERR_UNAPPROVED;
}
