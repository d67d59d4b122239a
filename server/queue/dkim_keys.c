#include "server/queue/dkim_keys.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mailauth/dkim.h"

_Static_assert((int)DKIM_RECORD_RSA == (int)DKIM_RSA_SHA256 && (int)DKIM_RECORD_ED25519 == (int)DKIM_ED25519_SHA256 &&
                   (int)DKIM_RECORD_DER_MAX == (int)DKIM_KEY_MAX &&
                   (int)DKIM_RECORD_SELECTOR_CAP == (int)DKIM_SELECTOR_MAX + 1,
               "two headers, one key");

enum { SIGNERS_MAX = 2 /* of a domain: one of each algorithm */, ROWS_FIRST = 8 };

/* record: in memory that is wiped. key: NULL until it is needed. */
struct row {
    struct dkim_record record;
    struct dkim_key *key;
};
struct dkim_keys {
    struct view *view;
    struct row **rows; /* in dkim_record_order */
    size_t n, cap, unreadable;
    bool read;
};

struct dkim_keys *dkim_keys_create(struct view *v)
{
    struct dkim_keys *k = calloc(1, sizeof(*k));
    if (k)
        k->view = v;
    return k;
}

void dkim_keys_changed(struct dkim_keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        dkim_key_free(k->rows[i]->key);
        secmem_wipe(k->rows[i], sizeof(*k->rows[i]));
        free(k->rows[i]);
    }
    free(k->rows);
    *k = (struct dkim_keys){.view = k->view};
}

void dkim_keys_destroy(struct dkim_keys *k)
{
    if (!k)
        return;
    dkim_keys_changed(k);
    free(k);
}

size_t dkim_keys_unreadable(const struct dkim_keys *k)
{
    return k->unreadable;
}

/* ---- reading ---- */

static int see_key(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *r)
{
    struct dkim_keys *k = arg;
    struct row *row;
    if (err != OK) {
        k->unreadable++;
        return OK;
    }
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : ROWS_FIRST;
        struct row **rows = realloc(k->rows, cap * sizeof(*rows));
        if (!rows)
            return ERR_MEMORY;
        k->rows = rows;
        k->cap = cap;
    }
    row = calloc(1, sizeof(*row));
    if (!row)
        return ERR_MEMORY;
    row->record = *r;
    k->rows[k->n++] = row;
    return OK;
}

static int read_all(void *arg, struct view *v)
{
    dkim_keys_changed(arg); /* of a snapshot that lived too long */
    return view_dkim_each(v, see_key, arg);
}

static int row_order(const void *a, const void *b)
{
    return dkim_record_order(&(*(struct row *const *)a)->record, &(*(struct row *const *)b)->record);
}

static int read_keys(struct dkim_keys *k)
{
    int err = view_run(k->view, read_all, k);
    if (err != OK) {
        dkim_keys_changed(k);
        return err;
    }
    if (k->n)
        qsort(k->rows, k->n, sizeof(struct row *), row_order);
    k->read = true;
    return OK;
}

/* ---- signing ---- */

static size_t first_of(const struct dkim_keys *k, const char *domain)
{
    size_t from = 0, to = k->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(k->rows[middle]->record.domain, domain) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_in_use(const struct dkim_keys *k, size_t i, uint64_t now)
{
    const struct dkim_record *next = i + 1 < k->n ? &k->rows[i + 1]->record : NULL;

    return dkim_due(&k->rows[i]->record, next, now).state == DKIM_IN_USE;
}

static int put_signer(struct row *r, struct dkim_signer *out)
{
    struct slice der = slice_of(r->record.der, r->record.der_len);
    int err = r->key ? OK : dkim_key_open((enum dkim_algorithm)r->record.algorithm, der, &r->key);
    if (err == OK)
        *out = (struct dkim_signer){r->key, r->record.domain, r->record.selector};
    return err;
}

static int signers_of(const struct dkim_keys *k, const char *domain, uint64_t now, struct dkim_signer *out,
                      size_t *ret_n)
{
    size_t n = 0;
    int err = OK;
    for (size_t i = first_of(k, domain);
         err == OK && n < SIGNERS_MAX && i < k->n && strcmp(k->rows[i]->record.domain, domain) == 0; i++) {
        if (!is_in_use(k, i, now))
            continue;
        err = put_signer(k->rows[i], &out[n]);
        n += err == OK;
        err = err == ERR_FORMAT ? OK : err; /* no key: the other one signs */
    }
    *ret_n = n;
    return err;
}

int dkim_keys_sign(struct dkim_keys *k, const struct iovec *mail, size_t n, uint64_t now, struct buf *fields)
{
    struct dkim_signer signers[SIGNERS_MAX];
    char domain[DOMAIN_CAP];
    size_t nsigners = 0;
    int err = dkim_author_domain(mail, n, domain);
    if (err == ERR_NOT_FOUND)
        return ERR_FORMAT;
    if (err == OK && !k->read)
        err = read_keys(k);
    if (err == OK)
        err = signers_of(k, domain, now, signers, &nsigners);
    return err == OK && nsigners > 0 ? dkim_sign(signers, nsigners, mail, n, now, fields) : err;
}

int dkim_keys_domain(struct dkim_keys *k, const char *wish, uint64_t now, char ret_domain[DOMAIN_CAP])
{
    const struct dkim_record *found = NULL;
    int err = k->read ? OK : read_keys(k);
    for (size_t i = 0; err == OK && i < k->n; i++) {
        const struct dkim_record *r = &k->rows[i]->record;
        const bool is_wish = strcmp(r->domain, wish) == 0;
        if (!is_in_use(k, i, now))
            continue;
        if (!found || is_wish)
            found = r;
        if (is_wish)
            break;
    }
    if (err == OK && !found)
        err = ERR_NOT_FOUND;
    if (err == OK)
        memcpy(ret_domain, found->domain, sizeof(found->domain));
    return err;
}
