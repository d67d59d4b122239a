/* An account's certificates with their octets, and which stored mail needs which of them. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/keys/keys.h"

/* ---- reading ---- */

void keys_free(struct keys_list *l)
{
    for (size_t k = 0; k < l->n; k++)
        free(l->v[k].cert);
    l->n = 0;
}

static int collect_key(void *arg, const struct schema_key *key)
{
    struct keys_list *l = arg;
    if (l->n == PGP_KEYS_MAX)
        return ERR_LIMIT;
    l->v[l->n++] = (struct keys_entry){.key = *key};
    return 0;
}

static int collect_keys(void *arg, struct view *v)
{
    struct keys_list *l = arg;
    keys_free(l);
    int err = view_keys_each(v, l->account, collect_key, l);
    for (size_t k = 0; k < l->n && !err; k++) {
        struct keys_entry *f = &l->v[k];
        f->cert = malloc(f->key.cert_len);
        err = f->cert ? view_key_cert(v, l->account, &f->key, f->cert, &f->cert_len) : ERR_MEMORY;
        f->lost = err == ERR_UNAPPROVED || err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_NOT_FOUND;
        if (f->lost) {
            f->cert_len = 0;
            err = OK;
        }
    }
    return err;
}

static bool is_key(const struct pgp_key *k, const uint8_t *fpr, size_t len)
{
    return k->fpr_len == len && !memcmp(k->fpr, fpr, len);
}

/* A certificate that cannot be read any more is shown by what its record says. */
static void look_inside(struct keys_entry *f)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    const struct pgp_verdict *v = &f->key.verdict;
    size_t n = PGP_KEYS_MAX;
    if (pgp_cert_keys(f->cert, f->cert_len, keys, &n))
        n = 0;
    f->primary = (struct pgp_key){.algo = v->primary_algo, .created = v->created};
    f->enc = (struct pgp_key){.algo = v->enc_algo};
    for (size_t k = 0; k < n; k++) {
        if (is_key(&keys[k], v->primary_fpr, v->primary_fpr_len))
            f->primary = keys[k];
        if (is_key(&keys[k], v->enc_fpr, v->enc_fpr_len))
            f->enc = keys[k];
    }
    if (f->enc.material)
        (void)pgp_key_flaw(&f->enc, &f->flaw);
}

static int by_state(const void *a, const void *b)
{
    const struct schema_key *x = &((const struct keys_entry *)a)->key, *y = &((const struct keys_entry *)b)->key;
    return x->state != y->state ? x->state - y->state
                                : memcmp(x->verdict.primary_fpr, y->verdict.primary_fpr, PGP_FPR_MAX);
}

int keys_read(struct view *v, uint64_t account, struct keys_list *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->account = account;
    int err = view_run(v, collect_keys, ret);
    if (err != OK) {
        keys_free(ret);
        return err;
    }
    qsort(ret->v, ret->n, sizeof(ret->v[0]), by_state);
    for (size_t k = 0; k < ret->n; k++)
        look_inside(&ret->v[k]);
    return OK;
}

struct keys_entry *keys_find(struct keys_list *l, const uint8_t *fpr, size_t len)
{
    for (size_t k = 0; k < l->n; k++)
        if (key_is(&l->v[k].key, fpr, len))
            return &l->v[k];
    return NULL;
}

/* ---- which mail needs which key ---- */

_Static_assert((int)PGP_KEYS_MAX <= 64, "a bit for each certificate");

uint64_t keys_opening(const struct keys_list *l, const struct schema_message *m)
{
    uint64_t opening = 0;
    for (size_t k = 0; k < l->n; k++)
        for (unsigned f = 0; f < m->nfprs && !(opening >> k & 1); f++)
            opening |= (uint64_t)key_opens(&l->v[k].key, m->fprs[f]) << k;
    return opening;
}

enum { SLICE_MAX = 8192, SLICE_MIN = 64 };

struct count_slice {
    struct keys_list *list;
    uint64_t after, last;
    unsigned max, n;
    bool full;
    uint64_t messages[PGP_KEYS_MAX], only[PGP_KEYS_MAX], hidden;
};

static int count_message(void *arg, const struct schema_message *m)
{
    struct count_slice *s = arg;
    uint64_t opening = keys_opening(s->list, m);
    for (size_t k = 0; k < s->list->n; k++) {
        s->messages[k] += opening >> k & 1;
        s->only[k] += opening == UINT64_C(1) << k;
    }
    s->hidden += !opening;
    s->last = m->id;
    s->full = ++s->n == s->max;
    return s->full;
}

/* A slice that took longer than a reader's turn is read again, half as long. */
static int count_some(void *arg, struct view *v)
{
    struct count_slice *s = arg;
    if (s->n && s->max > SLICE_MIN)
        s->max /= 2;
    s->n = 0;
    s->hidden = 0;
    s->full = false;
    memset(s->messages, 0, sizeof(s->messages));
    memset(s->only, 0, sizeof(s->only));
    int err = view_messages_after(v, s->list->account, s->after, count_message, s);
    return err < 0 ? err : OK;
}

int keys_count(struct view *v, struct keys_list *l)
{
    struct count_slice s = {.list = l, .max = SLICE_MAX};
    do {
        s.n = 0;
        int err = view_run(v, count_some, &s);
        if (err != OK)
            return err;
        for (size_t k = 0; k < l->n; k++) {
            l->v[k].messages += s.messages[k];
            l->v[k].only += s.only[k];
        }
        l->hidden += s.hidden;
        s.after = s.last;
    } while (s.full);
    return OK;
}
