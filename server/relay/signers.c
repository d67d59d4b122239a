#include "server/relay/signers.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/mailauth/dkim.h"
#include "server/relay/relay.h"
#include "store/dkim.h"

enum { KEYS_MAX = 4096, SIGNATURES_MAX = 4 };

struct signers {
    struct dkim_record *v;  /* in dkim_record_order; secret */
    struct dkim_key **keys; /* as they are first used */
    size_t n, cap;
};

static void clear(struct signers *s)
{
    for (size_t i = 0; i < s->n; i++)
        dkim_key_free(s->keys[i]);
    if (s->v)
        secmem_wipe(s->v, s->n * sizeof(*s->v));
    free(s->v);
    free(s->keys);
    *s = (struct signers){0};
}

void signers_forget(struct relay *r)
{
    if (r->signers)
        clear(r->signers);
    free(r->signers);
    r->signers = NULL;
}

static int take(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *d)
{
    struct signers *s = arg;
    struct dkim_record *v;
    size_t cap = s->cap ? s->cap * 2 : 16;

    if (err != OK) /* damaged: audit says so */
        return err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_VERSION ? 0 : err;
    if (s->n == s->cap) {
        v = cap > KEYS_MAX ? NULL : calloc(cap, sizeof(*v));
        if (!v)
            return ERR_MEMORY;
        if (s->v) {
            memcpy(v, s->v, s->n * sizeof(*v));
            secmem_wipe(s->v, s->n * sizeof(*v));
        }
        free(s->v);
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = *d;
    return 0;
}

static int read_all(void *arg, struct view *v)
{
    struct signers *s = arg;

    if (s->v)
        secmem_wipe(s->v, s->n * sizeof(*s->v));
    s->n = 0;
    return view_dkim_each(v, take, s);
}

static int load(struct relay *r)
{
    struct signers *s = calloc(1, sizeof(*s));
    int err = s ? view_run(r->view, read_all, s) : ERR_MEMORY;

    if (err == OK && !(s->keys = calloc(s->n + 1, sizeof(struct dkim_key *))))
        err = ERR_MEMORY;
    if (err != OK) {
        if (s && s->v)
            secmem_wipe(s->v, s->n * sizeof(*s->v));
        if (s)
            s->n = 0;
        if (s)
            clear(s);
        free(s);
        return err;
    }
    qsort(s->v, s->n, sizeof(*s->v), dkim_record_order);
    r->signers = s;
    return OK;
}

int signers_sign(struct relay *r, const struct queue_envelope *e, const struct iovec *mail, size_t n,
                 struct buf *fields)
{
    struct dkim_signer use[SIGNATURES_MAX];
    const char *at = strrchr(e->from, '@');
    const uint64_t now = relay_now();
    char domain[DOMAIN_CAP];
    size_t count = 0;
    int err = r->signers ? OK : load(r);

    if (err != OK || !at || address_domain_normalize(at + 1, strlen(at + 1), domain) != OK)
        return err;
    for (size_t i = 0; i < r->signers->n && count < SIGNATURES_MAX; i++) {
        const struct dkim_record *d = &r->signers->v[i];
        struct dkim_key **key = &r->signers->keys[i];
        if (strcmp(d->domain, domain) != 0 ||
            dkim_due(d, i + 1 < r->signers->n ? d + 1 : NULL, now).state != DKIM_IN_USE)
            continue;
        if (!*key &&
            (err = dkim_key_open((enum dkim_algorithm)d->algorithm, slice_of(d->der, d->der_len), key)) != OK) {
            if (err == ERR_MEMORY)
                return err;
            continue;
        }
        use[count++] = (struct dkim_signer){*key, d->domain, d->selector};
    }
    err = count ? dkim_sign(use, count, mail, n, now, fields) : OK;
    return err == ERR_FORMAT || err == ERR_LIMIT ? OK : err;
}
