/* What the commands do with keys that sign: dkim.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/dkim.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/date.h"
#include "server/mailauth/dkim.h"
#include "store/client.h"

enum { TXT_STRING_MAX = 255 /* RFC 1035 section 3.3 */ };

/* ---- reading ---- */

struct reading {
    const char *domain;
    struct signing_keys *keys;
};

void signing_keys_free(struct signing_keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        secmem_wipe(&k->v[i].record, sizeof(k->v[i].record));
        free(k->v[i].txt);
    }
    free(k->v);
    free(k->lost);
    *k = (struct signing_keys){.now = k->now};
}

/* Room for one more row. A copy rather than realloc, which leaves what it moves. */
static void *grown(void *rows, size_t n, size_t size)
{
    if (n & (n - 1))
        return rows; /* there is room up to the next power of two */
    void *more = calloc(n ? 2 * n : 1, size);
    if (more && n) {
        memcpy(more, rows, n * size);
        secmem_wipe(rows, n * size);
        free(rows);
    }
    return more;
}

static char *txt_of(const struct dkim_record *r)
{
    char text[DKIM_TXT_MAX];
    struct dkim_key *k;
    int err = dkim_key_open((enum dkim_algorithm)r->algorithm, slice_of(r->der, r->der_len), &k);
    if (err != OK)
        return NULL;
    err = dkim_key_txt(k, text);
    dkim_key_free(k);
    return err == OK ? strdup(text) : NULL;
}

static int add_lost(struct signing_keys *k, const uint8_t hash[RECORD_HASH_SIZE])
{
    void *more = grown(k->lost, k->nlost, RECORD_HASH_SIZE);
    if (!more)
        return ERR_MEMORY;
    k->lost = more;
    memcpy(k->lost[k->nlost++], hash, RECORD_HASH_SIZE);
    return OK;
}

static int see_key(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *r)
{
    struct reading *x = arg;
    struct signing_keys *k = x->keys;
    if (err == ERR_CRYPTO || err == ERR_FORMAT)
        return add_lost(k, hash);
    if (err != OK || (x->domain && strcmp(x->domain, r->domain) != 0))
        return err;
    struct signing_key *more = grown(k->v, k->n, sizeof(*more));
    if (!more)
        return ERR_MEMORY;
    k->v = more;
    k->v[k->n].record = *r;
    memcpy(k->v[k->n++].hash, hash, RECORD_HASH_SIZE);
    return OK;
}

static int read_all(void *arg, struct view *v)
{
    struct reading *x = arg;
    signing_keys_free(x->keys);
    return view_dkim_each(v, see_key, x);
}

static int key_order(const void *a, const void *b)
{
    return dkim_record_order(&((const struct signing_key *)a)->record, &((const struct signing_key *)b)->record);
}

int signing_keys_read(const struct cli *c, struct instance *i, const char *domain, struct signing_keys *ret)
{
    struct signing_keys k = {.now = (uint64_t)time(NULL)};
    struct reading x = {domain, &k};
    int err = view_run(i->view, read_all, &x);
    if (err != OK) {
        signing_keys_free(&k);
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    }
    if (k.n)
        qsort(k.v, k.n, sizeof(*k.v), key_order);
    for (size_t n = 0; n < k.n; n++) {
        k.v[n].due = dkim_due(&k.v[n].record, n + 1 < k.n ? &k.v[n + 1].record : NULL, k.now);
        k.v[n].txt = txt_of(&k.v[n].record);
    }
    *ret = k;
    return EXIT_DONE;
}

/* ---- making and erasing ---- */

int signing_key_put(const struct record_bundle *keys, int vault, const struct dkim_record *r, char why[CLI_WHY_MAX])
{
    struct vault_request q = {.type = VAULT_DKIM_PUT};
    struct record_keys *k = record_keys_create(keys);
    uint8_t sealed[QUEUE_DKIM_MAX];
    char text[256] = "";
    size_t len;
    int err = k ? dkim_record_seal(k, r, q.dkim.hash, sealed, &len) : ERR_MEMORY;
    record_keys_destroy(k);
    if (err == OK) {
        q.dkim.record = slice_of(sealed, len);
        err = vault_call(vault, &q, -1, NULL, text);
    }
    if (err != OK)
        snprintf(why, CLI_WHY_MAX, "a key that signs cannot be stored: %s", *text ? text : err_str(err));
    return err;
}

/* "ll-202611-rsa", then "ll-202611-2-rsa": one that the domain has is never given again while it may be looked up. */
static void name_selector(const struct signing_keys *k, uint8_t algorithm, uint64_t now, char *out)
{
    const struct date_civil d = date_from_days(date_day_of((int64_t)now));
    const char *word = algorithm == DKIM_RSA_SHA256 ? "rsa" : "ed";
    unsigned last = 0;
    char end[8];
    for (size_t i = 0; k && i < k->n; i++) {
        const struct dkim_record *r = &k->v[i].record;
        int year, month, used = 0;
        unsigned n = 1;
        if (r->algorithm != algorithm || sscanf(r->selector, "ll-%4d%2d-%n", &year, &month, &used) != 2 || !used)
            continue;
        bool numbered = sscanf(r->selector + used, "%9u-%3s", &n, end) == 2;
        if (year == d.year && month == d.month && (numbered || strcmp(r->selector + used, word) == 0) && n > last)
            last = n;
    }
    if (last)
        snprintf(out, DKIM_RECORD_SELECTOR_CAP, "ll-%04d%02d-%u-%s", d.year, d.month, last + 1, word);
    else
        snprintf(out, DKIM_RECORD_SELECTOR_CAP, "ll-%04d%02d-%s", d.year, d.month, word);
}

int signing_key_make(const struct record_bundle *keys, int vault, const char *domain, uint8_t algorithm,
                     const struct signing_keys *k, uint64_t use_from, char why[CLI_WHY_MAX])
{
    struct dkim_record r = {.algorithm = algorithm, .made = (uint64_t)time(NULL), .use_from = use_from};
    snprintf(r.domain, sizeof(r.domain), "%s", domain);
    name_selector(k, algorithm, r.made, r.selector);
    int err = dkim_key_make((enum dkim_algorithm)algorithm, r.der, &r.der_len);
    if (err != OK)
        snprintf(why, CLI_WHY_MAX, "a key that signs cannot be made: %s", err_str(err));
    else
        err = signing_key_put(keys, vault, &r, why);
    secmem_wipe(&r, sizeof(r));
    return err;
}

int signing_keys_make_first(const struct record_bundle *keys, int vault, const char *domain,
                            const struct signing_keys *k, char why[CLI_WHY_MAX])
{
    static const uint8_t algorithms[] = {DKIM_RSA_SHA256, DKIM_ED25519_SHA256};
    int err = OK;
    for (size_t a = 0; a < sizeof(algorithms) && err == OK; a++) {
        bool there = false;
        for (size_t i = 0; k && i < k->n; i++)
            there |= k->v[i].record.algorithm == algorithms[a];
        if (!there)
            err = signing_key_make(keys, vault, domain, algorithms[a], k, (uint64_t)time(NULL), why);
    }
    return err;
}

int signing_key_erase(const struct cli *c, struct instance *i, const uint8_t hash[RECORD_HASH_SIZE])
{
    struct vault_request q = {.type = VAULT_DKIM_DEL};
    memcpy(q.dkim.hash, hash, RECORD_HASH_SIZE);
    return instance_call(c, i, &q, -1, NULL);
}

/* ---- in words ---- */

void signing_key_say(FILE *out, const struct signing_key *k)
{
    char from[DATE_INTERNET_SIZE] = "", until[DATE_INTERNET_SIZE] = "";
    date_write_internet((int64_t)k->record.use_from, from);
    if (k->due.until <= DATE_LAST)
        date_write_internet((int64_t)k->due.until, until);
    if (!k->txt)
        fputs("is no key", out);
    else if (k->due.state == DKIM_PUBLISHED)
        fprintf(out, "signs from %s on", from);
    else if (k->due.state == DKIM_IN_USE)
        fprintf(out, "signs since %s%s%s", from, *until ? ", until " : "", until);
    else if (k->due.state == DKIM_RETIRED)
        fprintf(out, "retired; its record stays until %s", until);
    else
        fputs("over; its record may go, and dkim rotate erases it", out);
}

void signing_key_print(FILE *out, const struct signing_key *k)
{
    fprintf(out, "%s._domainkey.%s.  IN TXT (", k->record.selector, k->record.domain);
    for (size_t at = 0, len = strlen(k->txt); at < len; at += TXT_STRING_MAX)
        fprintf(out, "\n    \"%.*s\"", TXT_STRING_MAX, k->txt + at);
    fputs(" )\n", out);
}
