/* Keys of accounts, parsed once for many seals. The cache is direct-mapped: an account's set has one slot and
 * evicts the set that was there. */
#include "server/sealer/seal_keys.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { CACHE_SLOTS = 4096 };

struct seal_key_cache {
    struct seal_keys *slots[CACHE_SLOTS];
    uint8_t cert[PGP_CERT_MAX]; /* where a certificate is opened */
};

struct seal_key_cache *seal_key_cache_create(void)
{
    return calloc(1, sizeof(struct seal_key_cache));
}

void seal_keys_unref(struct seal_keys *k)
{
    if (!k || --k->refs > 0)
        return;
    for (size_t i = 0; i < PGP_SEAL_RECIPIENTS_MAX; i++) {
        pgp_recipient_destroy(k->recipients[i]);
        free((void *)k->certs[i].cert);
    }
    free(k);
}

void seal_key_cache_destroy(struct seal_key_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        seal_keys_unref(c->slots[i]);
    free(c);
}

struct seal_keys *seal_key_cache_find(struct seal_key_cache *c, const struct schema_account *a)
{
    struct seal_keys *k = c->slots[a->id % CACHE_SLOTS];
    bool same = k && k->account == a->id && k->version == a->keys_version && strcmp(k->address, a->address) == 0;

    return same ? k : NULL;
}

void seal_key_cache_put(struct seal_key_cache *c, struct seal_keys *k)
{
    struct seal_keys **slot = &c->slots[k->account % CACHE_SLOTS];

    k->refs++;
    seal_keys_unref(*slot);
    *slot = k;
}

struct listing {
    struct schema_key keys[PGP_KEYS_MAX];
    size_t n;
};

/* One current key into the set, unless its numbers protect nothing: it was taken before they were looked at. */
static int load_key(struct seal_key_cache *c, struct view *v, struct seal_keys *k, const struct schema_key *key,
                    bool *ret_sound)
{
    struct pgp_verdict verdict = key->verdict;
    const struct pgp_verdict *d = &verdict;
    enum pgp_flaw flaw = PGP_FLAW_NONE;
    size_t len, i = k->ncurrent;
    uint8_t *copy;
    int err;

    if (i == PGP_SEAL_RECIPIENTS_MAX)
        return ERR_LIMIT;
    err = view_key_cert(v, k->account, key, c->cert, &len);
    if (err != OK) /* what does not open is not what was approved either */
        return err == ERR_CRYPTO || err == ERR_FORMAT ? ERR_UNAPPROVED : err;
    verdict.prefs.seipd_v2 = d->prefs.seipd_v2 && k->seal_v2 == SEAL_V2_AUTO;
    if (d->native) {
        err = pgp_recipient_create(c->cert, len, d, &k->recipients[i]);
        if (err != OK && err != ERR_FORMAT)
            return err;
    }
    if (err != OK || !d->native) {
        int looked = pgp_cert_flaw(c->cert, len, d, &flaw);
        err = looked != OK ? looked : flaw ? OK : err;
    }
    *ret_sound = !flaw;
    if (err != OK || flaw)
        return err;
    copy = malloc(len);
    if (!copy)
        return ERR_MEMORY;
    memcpy(copy, c->cert, len);
    memcpy(k->fprs[i], d->enc_fpr, sizeof(d->enc_fpr));
    k->certs[i] = (struct gpg_seal_cert){copy, len, k->fprs[i], d->enc_fpr_len, d->enc_expires};
    k->ncurrent++;
    k->native = k->native && d->native;
    if (d->enc_expires && (!k->first_expiry || d->enc_expires < k->first_expiry))
        k->first_expiry = d->enc_expires;
    return OK;
}

static int load_all(struct seal_key_cache *c, struct view *v, struct seal_keys *k, const struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct schema_key *key = &l->keys[i];

        k->known[k->nknown++] = pgp_verdict_key(&key->verdict, key->state == KEY_CURRENT);
        if (key->state == KEY_CURRENT) {
            int err = load_key(c, v, k, key, &k->known[k->nknown - 1].current);
            if (err != OK)
                return err;
        }
    }
    return k->ncurrent ? OK : ERR_NO_KEY;
}

int seal_keys_load(struct seal_key_cache *c, struct view *v, const struct schema_account *a, struct seal_keys **ret)
{
    struct listing *l = calloc(1, sizeof(*l));
    struct seal_keys *k = calloc(1, sizeof(*k));
    int err = ERR_MEMORY;

    if (l && k) {
        *k = (struct seal_keys){
            .refs = 1, .account = a->id, .version = a->keys_version, .seal_v2 = a->seal_v2, .native = true};
        memcpy(k->address, a->address, sizeof(k->address));
        err = view_keys_read(v, a->id, l->keys, &l->n);
        if (err == OK)
            err = view_keys_approved(v, a, l->keys, l->n);
        if (err == OK)
            err = load_all(c, v, k, l);
        /* The native engine needs no certificates any more. */
        for (size_t i = 0; err == OK && k->native && i < k->ncurrent; i++) {
            free((void *)k->certs[i].cert);
            k->certs[i].cert = NULL;
        }
    }
    free(l);
    if (err != OK) {
        if (k) {
            k->refs = 1;
            seal_keys_unref(k);
        }
        return err;
    }
    *ret = k;
    return OK;
}
