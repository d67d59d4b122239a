/* See dkim_hash.h. */
#include "server/mailauth/dkim_hash.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"

/* ---- a hash ---- */

/* Fetched once: OpenSSL would look it up for each hash. NULL: no memory. */
static const EVP_MD *sha256(void)
{
    static EVP_MD *md;

    if (!md)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    return md;
}

int dkim_hash_begin(struct dkim_hash *h)
{
    h->failed = false;
    h->held_len = 0;
    h->ctx = EVP_MD_CTX_new();
    return h->ctx && sha256() && EVP_DigestInit_ex(h->ctx, sha256(), NULL) == 1 ? OK : ERR_MEMORY;
}

static void flush(struct dkim_hash *h)
{
    h->failed |= EVP_DigestUpdate(h->ctx, h->held, h->held_len) != 1;
    h->held_len = 0;
}

void dkim_hash_put(void *hash, const uint8_t *data, size_t len)
{
    struct dkim_hash *h = hash;

    if (len > sizeof(h->held) - h->held_len)
        flush(h);
    if (len > sizeof(h->held)) {
        h->failed |= EVP_DigestUpdate(h->ctx, data, len) != 1;
    } else if (len) {
        memcpy(h->held + h->held_len, data, len);
        h->held_len += len;
    }
}

int dkim_hash_end(struct dkim_hash *h, uint8_t ret[DKIM_HASH])
{
    flush(h);
    return !h->failed && EVP_DigestFinal_ex(h->ctx, ret, NULL) == 1 ? OK : ERR_CRYPTO;
}

int dkim_hash_so_far(struct dkim_hash *h, uint8_t ret[DKIM_HASH])
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int err = ERR_MEMORY;

    flush(h);
    if (copy && EVP_MD_CTX_copy_ex(copy, h->ctx) == 1)
        err = !h->failed && EVP_DigestFinal_ex(copy, ret, NULL) == 1 ? OK : ERR_CRYPTO;
    EVP_MD_CTX_free(copy);
    return err;
}

void dkim_hash_free(struct dkim_hash *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

/* ---- fields by name ---- */

/* Sorted by name, then by place: whoever chooses names and h= cannot make looking them up slow. */
struct entry {
    struct slice name;
    size_t field, first, last; /* its number in the header; the entries of its name */
};

struct dkim_names {
    const struct header_view *v;
    size_t n;
    size_t *used; /* of each name, at its first entry: how many a signature has taken, from the last one up */
    struct entry e[];
};

/* By length first, which tells most of them apart. */
static int compare_names(struct slice a, struct slice b)
{
    return a.len != b.len ? (a.len > b.len) - (a.len < b.len)
                          : strncasecmp((const char *)a.data, (const char *)b.data, a.len);
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = compare_names(x->name, y->name);

    return c ? c : (x->field > y->field) - (x->field < y->field);
}

static int compare_key(const void *key, const void *e)
{
    return compare_names(*(const struct slice *)key, ((const struct entry *)e)->name);
}

static void mark_groups(struct dkim_names *n)
{
    for (size_t i = 0, end; i < n->n; i = end) {
        for (end = i + 1; end < n->n && compare_names(n->e[i].name, n->e[end].name) == 0;)
            end++;
        for (size_t k = i; k < end; k++) {
            n->e[k].first = i;
            n->e[k].last = end - 1;
        }
    }
}

int dkim_names_create(const struct header_view *v, struct dkim_names **ret)
{
    struct dkim_names *n = calloc(1, sizeof(*n) + v->count * sizeof(n->e[0]));

    if (!n || !(n->used = calloc(v->count + 1, sizeof(*n->used)))) {
        free(n);
        return ERR_MEMORY;
    }
    n->v = v;
    for (size_t i = 0; i < v->count; i++)
        if (v->fields[i].name_len)
            n->e[n->n++] =
                (struct entry){.name = slice_of(v->s + v->fields[i].offset, v->fields[i].name_len), .field = i};
    qsort(n->e, n->n, sizeof(n->e[0]), compare);
    mark_groups(n);
    *ret = n;
    return OK;
}

void dkim_names_destroy(struct dkim_names *n)
{
    if (n)
        free(n->used);
    free(n);
}

static const struct entry *find(const struct dkim_names *n, struct slice name)
{
    return bsearch(&name, n->e, n->n, sizeof(n->e[0]), compare_key);
}

size_t dkim_names_count(const struct dkim_names *n, const char *name)
{
    const struct entry *e = find(n, slice_str(name));

    return e ? e->last - e->first + 1 : 0;
}

/* ---- the header ---- */

/* Without its signature: a copy, so that both forms are made in one place. */
static int hash_own(struct dkim_hash *h, const uint8_t *s, const struct header_field *f, enum canon form,
                    const struct slice *cut)
{
    const size_t head = (size_t)(cut->data - s) - f->offset, value = f->value_offset - f->offset;
    size_t len = f->len - cut->len;
    uint8_t *own = malloc(len + 1);

    if (!own)
        return ERR_MEMORY;
    memcpy(own, s + f->offset, head);
    memcpy(own + head, cut->data + cut->len, len - head);
    if (form == CANON_RELAXED) {
        canon_field(own, f->name_len, own + value, len - value, false, dkim_hash_put, h);
    } else {
        if (len >= 2 && own[len - 2] == '\r' && own[len - 1] == '\n')
            len -= 2;
        dkim_hash_put(h, own, len);
    }
    free(own);
    return OK;
}

int dkim_hash_field(struct dkim_hash *h, const struct header_view *v, size_t at, enum canon form,
                    const struct slice *cut)
{
    const struct header_field *f = &v->fields[at];

    if (cut)
        return hash_own(h, v->s, f, form, cut);
    if (form == CANON_RELAXED)
        canon_field(v->s + f->offset, f->name_len, v->s + f->value_offset, f->offset + f->len - f->value_offset, true,
                    dkim_hash_put, h);
    else
        dkim_hash_put(h, v->s + f->offset, f->len);
    return OK;
}

/* Section 5.4.2: from the last one up; one that is not there is nothing. The own field is not among them. */
static void hash_next(struct dkim_names *n, struct slice name, size_t own, enum canon form, struct dkim_hash *h)
{
    const struct entry *e = find(n, name);
    size_t *used = e ? &n->used[e->first] : NULL;

    if (e && e->last - e->first >= *used && n->e[e->last - *used].field == own)
        ++*used;
    if (!e || e->last - e->first < *used)
        return;
    (void)dkim_hash_field(h, n->v, n->e[e->last - *used].field, form, NULL);
    ++*used;
}

/* What RFC 5322 section 3.6 and RFC 2045 have once, of what readers show or go by. */
static bool is_added(const struct dkim_names *n)
{
    static const char *const once[] = {"From",        "Sender",       "Reply-To",
                                       "To",          "Cc",           "Subject",
                                       "Date",        "Content-Type", "Content-Transfer-Encoding",
                                       "MIME-Version"};

    for (size_t i = 0; i < sizeof(once) / sizeof(*once); i++) {
        const struct entry *e = find(n, slice_str(once[i]));
        if (e && n->used[e->first] > 0 && n->used[e->first] <= e->last - e->first)
            return true;
    }
    return false;
}

int dkim_hash_header(struct dkim_names *n, const struct dkim_field *f, size_t at, uint8_t ret[DKIM_HASH],
                     bool *ret_added)
{
    struct slice names = f->names, name;
    struct dkim_hash h;
    int err = dkim_hash_begin(&h);

    memset(n->used, 0, n->n * sizeof(*n->used));
    while (err == OK && dkim_field_name(&names, &name) == OK)
        hash_next(n, name, at, f->header, &h);
    if (err == OK)
        err = dkim_hash_field(&h, n->v, at, f->header, &f->cut);
    if (err == OK)
        err = dkim_hash_end(&h, ret);
    if (err == OK)
        *ret_added = is_added(n);
    dkim_hash_free(&h);
    return err;
}

/* ---- the body ---- */

size_t dkim_bodies_add(struct dkim_bodies *b, enum canon form, uint64_t length)
{
    size_t i = 0;

    while (i < b->n && !(b->v[i].form == form && b->v[i].length == length))
        i++;
    if (i == b->n)
        b->v[b->n++] = (struct dkim_body){.form = form, .length = length};
    return i;
}

/* One reading. */
struct reading {
    struct dkim_hash hash;
    struct dkim_bodies *bodies;
    enum canon form;
    uint64_t count, next; /* octets so far; at how many somebody's end is */
    int err;
};

/* Takes the hashes that end here, and finds the next end. */
static void settle(struct reading *r)
{
    r->next = UINT64_MAX;
    for (size_t i = 0; i < r->bodies->n; i++) {
        struct dkim_body *b = &r->bodies->v[i];
        if (b->form != r->form || b->met || b->length < r->count)
            continue;
        if (b->length == r->count) {
            int err = dkim_hash_so_far(&r->hash, b->digest);
            b->met = err == OK;
            r->err = r->err == OK ? err : r->err;
        } else if (b->length < r->next) {
            r->next = b->length;
        }
    }
}

static void take(void *arg, const uint8_t *data, size_t len)
{
    struct reading *r = arg;

    while (len > 0) {
        size_t n = r->next - r->count < len ? (size_t)(r->next - r->count) : len;
        dkim_hash_put(&r->hash, data, n);
        r->count += n;
        data += n;
        len -= n;
        if (r->count == r->next)
            settle(r);
    }
}

static int read_body(struct dkim_bodies *b, enum canon form, const struct iovec *mail, size_t n, size_t skip)
{
    struct reading r = {.bodies = b, .form = form, .err = OK};
    struct canon_body body = {.form = form};
    int err = dkim_hash_begin(&r.hash);

    if (err == OK)
        settle(&r);
    for (size_t i = 0; i < n && err == OK; i++) {
        size_t from = skip < mail[i].iov_len ? skip : mail[i].iov_len;
        skip -= from;
        canon_body_feed(&body, (const uint8_t *)mail[i].iov_base + from, mail[i].iov_len - from, take, &r);
    }
    if (err == OK) {
        canon_body_end(&body, take, &r);
        r.count = UINT64_MAX; /* all of it */
        settle(&r);
        err = r.err;
    }
    dkim_hash_free(&r.hash);
    return err;
}

int dkim_bodies_hash(struct dkim_bodies *b, const struct iovec *mail, size_t n, size_t skip)
{
    bool wanted[2] = {false, false};
    int err = OK;

    for (size_t i = 0; i < b->n; i++)
        wanted[b->v[i].form == CANON_RELAXED] = true;
    for (int i = 0; i < 2 && err == OK; i++)
        if (wanted[i])
            err = read_body(b, i ? CANON_RELAXED : CANON_SIMPLE, mail, n, skip);
    return err;
}
