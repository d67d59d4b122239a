/* The keys of accounts here, and one that was found. See known.h. */
#include "server/keys/known.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

struct looking {
    const char *address;
    struct schema_key keys[PGP_KEYS_MAX];
    struct known *known;
};

void known_free(struct known *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++) {
        pgp_recipient_destroy(k->keys[i].native);
        free(k->keys[i].cert);
    }
    free(k);
}

/* One more key, unless its numbers protect nothing. */
static int add(struct known *k, const struct known_key *key)
{
    struct known_key *to = &k->keys[k->n];
    enum pgp_flaw flaw;
    int err = pgp_cert_flaw(key->cert, key->len, &key->verdict, &flaw);

    if (err != OK || flaw != PGP_FLAW_NONE) {
        free(key->cert);
        return err;
    }
    *to = *key;
    k->n++; /* known_free frees it from here on */
    return to->verdict.native ? pgp_recipient_create(to->cert, to->len, &to->verdict, &to->native) : OK;
}

int known_of(const uint8_t *cert, size_t len, const struct pgp_verdict *v, enum known_from from, struct known **ret)
{
    struct known *k = calloc(1, sizeof(*k));
    struct known_key key = {.verdict = *v, .cert = malloc(len + 1), .len = len};
    int err = ERR_MEMORY;

    if (k && key.cert) {
        memcpy(key.cert, cert, len);
        k->from = from;
        err = add(k, &key);
        key.cert = NULL; /* k's, or given back */
    }
    if (err == OK && k->n == 0)
        err = ERR_NO_KEY;
    free(key.cert);
    if (err == OK)
        *ret = k;
    else
        known_free(k);
    return err;
}

static int load(struct known *k, struct view *v, const struct schema_account *a, const struct schema_key *from)
{
    struct known_key key = {.verdict = from->verdict};
    int err;

    if (k->n == PGP_SEAL_RECIPIENTS_MAX)
        return ERR_LIMIT;
    key.cert = malloc(from->cert_len ? from->cert_len : 1);
    if (!key.cert)
        return ERR_MEMORY;
    key.verdict.prefs.seipd_v2 = key.verdict.prefs.seipd_v2 && a->seal_v2 == SEAL_V2_AUTO;
    err = view_key_cert(v, a->id, from, key.cert, &key.len);
    if (err != OK) {
        free(key.cert);
        return err;
    }
    return add(k, &key);
}

static int look(void *arg, struct view *v)
{
    struct looking *l = arg;
    struct schema_address to;
    struct schema_account a;
    size_t n = 0;
    int err = view_route(v, l->address, strlen(l->address), &to);

    known_free(l->known);
    l->known = calloc(1, sizeof(*l->known));
    if (!l->known)
        return ERR_MEMORY;
    l->known->from = KNOWN_ACCOUNT;
    if (err == ERR_DENIED || err == ERR_FORMAT) /* not a domain of ours, nor an address that anybody here can have */
        return ERR_NOT_FOUND;
    if (err == OK)
        err = view_account(v, to.account, &a);
    if (err == OK)
        err = view_keys_read(v, a.id, l->keys, &n);
    if (err == OK)
        err = view_keys_approved(v, &a, l->keys, n);
    for (size_t i = 0; err == OK && i < n; i++)
        if (l->keys[i].state == KEY_CURRENT)
            err = load(l->known, v, &a, &l->keys[i]);
    explicit_bzero(&a, sizeof(a));
    return err == OK && l->known->n == 0 ? ERR_NOT_FOUND : err;
}

int known_here(struct view *v, const char *address)
{
    struct looking *l = calloc(1, sizeof(*l));
    int err = ERR_MEMORY;

    if (l) {
        l->address = address;
        err = look(l, v);
        known_free(l->known);
    }
    free(l);
    return err;
}

void known_ask(struct view *v, const char *address, known_fn *done, void *arg)
{
    struct looking *l = calloc(1, sizeof(*l));
    struct known *k = NULL;
    int err = ERR_MEMORY;

    if (l) {
        l->address = address;
        err = view_run(v, look, l);
        k = l->known;
    }
    free(l);
    if (err != OK) {
        known_free(k);
        k = NULL;
    }
    done(arg, err, k);
}
