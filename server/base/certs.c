#include "server/base/certs.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

enum { KEY_CHUNK = 64 * 1024, LABEL_MAX = 63 };

struct named {
    const char *name;
    size_t pair;
};

struct pair {
    char *text; /* its names, each with a NUL, and its chain */
    size_t nnames;
    struct slice chain, key;
};

/* Keys one behind the other. */
struct chunk {
    struct chunk *next;
    size_t used;
    uint8_t *data;
};

struct certs {
    unsigned refs;
    size_t npairs, nnames, bytes;
    struct pair *pairs;
    struct named *names; /* in their order */
    struct chunk *keys;
};

int certs_create(struct certs **ret)
{
    struct certs *c = calloc(1, sizeof(*c));

    if (!c)
        return ERR_MEMORY;
    c->refs = 1;
    *ret = c;
    return OK;
}

void certs_ref(struct certs *c)
{
    c->refs++;
}

void certs_unref(struct certs *c)
{
    struct chunk *k, *next;

    if (!c || --c->refs > 0)
        return;
    for (k = c->keys; k; k = next) {
        next = k->next;
        secmem_unmap(k->data, KEY_CHUNK);
        free(k);
    }
    for (size_t i = 0; i < c->npairs; i++)
        free(c->pairs[i].text);
    free(c->pairs);
    free(c->names);
    free(c);
}

bool certs_name_valid(const char *name)
{
    const char *s = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

    if (!*s || strlen(name) > CERTS_NAME_MAX)
        return false;
    for (;;) {
        size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_");
        if (len == 0 || len > LABEL_MAX)
            return false;
        if (!s[len])
            return true;
        if (s[len] != '.')
            return false;
        s += len + 1;
    }
}

/* The place of a name, or where it would stand. */
static size_t place_of(const struct certs *c, const char *name, bool *ret_there)
{
    size_t from = 0, to = c->nnames;

    *ret_there = false;
    while (from < to && !*ret_there) {
        size_t mid = from + (to - from) / 2;
        int order = strcmp(name, c->names[mid].name);
        if (order == 0) {
            *ret_there = true;
            from = mid;
        } else if (order < 0) {
            to = mid;
        } else {
            from = mid + 1;
        }
    }
    return from;
}

/* ---- making a set ---- */

static int check(const struct certs *c, const char *const *names, size_t n, struct slice chain, struct slice key,
                 size_t *ret_text)
{
    size_t text = 0;
    bool there;

    if (!chain.len || !key.len)
        return ERR_FORMAT;
    if (chain.len > CERTS_CHAIN_MAX || key.len > CERTS_KEY_MAX || n > CERTS_NAMES_MAX || c->npairs == CERTS_PAIRS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (!certs_name_valid(names[i]))
            return ERR_FORMAT;
        (void)place_of(c, names[i], &there);
        for (size_t k = 0; k < i && !there; k++)
            there = strcmp(names[i], names[k]) == 0;
        if (there)
            return ERR_EXISTS;
        text += strlen(names[i]) + 1;
    }
    if (text + 3 * n > CERTS_NAMES_BYTES_MAX || text + chain.len + key.len > CERTS_BYTES_MAX - c->bytes)
        return ERR_LIMIT;
    *ret_text = text;
    return OK;
}

static uint8_t *key_room(struct certs *c, size_t len)
{
    struct chunk *k = c->keys;

    if (!k || KEY_CHUNK - k->used < len) {
        k = calloc(1, sizeof(*k));
        if (!k || !(k->data = secmem_map(KEY_CHUNK))) {
            free(k);
            return NULL;
        }
        k->next = c->keys;
        c->keys = k;
    }
    k->used += len;
    return k->data + k->used - len;
}

static int make_room(struct certs *c, size_t nnames)
{
    struct pair *pairs = realloc(c->pairs, (c->npairs + 1) * sizeof(*pairs));
    struct named *named;

    if (!pairs)
        return ERR_MEMORY;
    c->pairs = pairs;
    named = realloc(c->names, (c->nnames + nnames + 1) * sizeof(*named));
    if (!named)
        return ERR_MEMORY;
    c->names = named;
    return OK;
}

static void add_name(struct certs *c, const char *name)
{
    bool there;
    size_t at = place_of(c, name, &there);

    memmove(c->names + at + 1, c->names + at, (c->nnames - at) * sizeof(*c->names));
    c->names[at] = (struct named){name, c->npairs};
    c->nnames++;
}

int certs_add(struct certs *c, const char *const *names, size_t nnames, struct slice chain, struct slice key)
{
    size_t text, at = 0;
    int err = check(c, names, nnames, chain, key, &text);
    struct pair p = {.nnames = nnames};
    uint8_t *own;

    if (err == OK)
        err = make_room(c, nnames);
    if (err != OK)
        return err;
    p.text = malloc(text + chain.len);
    own = p.text ? key_room(c, key.len) : NULL;
    if (!own) {
        free(p.text);
        return ERR_MEMORY;
    }
    memcpy(own, key.data, key.len);
    memcpy(p.text + text, chain.data, chain.len);
    p.key = slice_of(own, key.len);
    p.chain = slice_of(p.text + text, chain.len);
    for (size_t i = 0; i < nnames; i++) {
        memcpy(p.text + at, names[i], strlen(names[i]) + 1);
        add_name(c, p.text + at);
        at += strlen(names[i]) + 1;
    }
    c->pairs[c->npairs++] = p;
    c->bytes += text + chain.len + key.len;
    return OK;
}

/* ---- asking it ---- */

size_t certs_pairs(const struct certs *c)
{
    return c->npairs;
}

struct cert_pair certs_pair(const struct certs *c, size_t i)
{
    const struct pair *p = &c->pairs[i];

    return (struct cert_pair){p->nnames ? p->text : "", p->chain, p->key};
}

const char *certs_name(const struct certs *c, size_t pair, size_t k)
{
    const char *name = c->pairs[pair].text;

    if (k >= c->pairs[pair].nnames)
        return NULL;
    while (k--)
        name += strlen(name) + 1;
    return name;
}

bool certs_has(const struct certs *c, const char *name)
{
    bool there;

    (void)place_of(c, name, &there);
    return there;
}

bool certs_find(const struct certs *c, const char *name, size_t *ret_pair)
{
    char text[CERTS_NAME_MAX + 1], *dot;
    size_t len = strlen(name), at;
    bool there;

    if (len > 0 && name[len - 1] == '.') /* RFC 6066 section 3 knows none, some clients send one */
        len--;
    if (len == 0 || len > CERTS_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    text[len] = '\0';
    at = place_of(c, text, &there);
    dot = strchr(text, '.');
    if (!there && dot && dot > text) {
        *--dot = '*';
        at = place_of(c, dot, &there);
    }
    if (there)
        *ret_pair = c->names[at].pair;
    return there;
}

/* ---- on its way to a role ---- */

int certs_pack(const struct certs *c, size_t pair, struct pack *out)
{
    const struct pair *p = &c->pairs[pair];
    const char *name = p->text;

    pack_u32(out, (uint32_t)pair);
    pack_u8(out, pair + 1 == c->npairs);
    pack_u32(out, (uint32_t)p->nnames);
    for (size_t i = 0; i < p->nnames; i++, name += strlen(name) + 1)
        pack_str(out, name);
    pack_bytes(out, p->chain.data, p->chain.len);
    pack_bytes(out, p->key.data, p->key.len);
    return out->failed ? ERR_LIMIT : OK;
}

static int take(struct certs **coming, struct unpack *u, uint8_t *ret_last)
{
    static char text[CERTS_NAMES_MAX][CERTS_NAME_MAX + 1];
    const char *names[CERTS_NAMES_MAX];
    uint32_t which = unpack_u32(u), n;
    struct slice chain, key;
    int err = OK;

    *ret_last = unpack_u8(u);
    n = unpack_u32(u);
    if (u->failed || *ret_last > 1 || n > CERTS_NAMES_MAX)
        return ERR_FORMAT;
    if (which == 0) {
        certs_unref(*coming);
        *coming = NULL;
        err = certs_create(coming);
    } else if (!*coming || which != (*coming)->npairs) {
        err = ERR_FORMAT;
    }
    for (uint32_t i = 0; i < n && !u->failed; i++) {
        unpack_str(u, text[i], sizeof(text[i]));
        names[i] = text[i];
    }
    chain = unpack_bytes(u, CERTS_CHAIN_MAX);
    key = unpack_bytes(u, CERTS_KEY_MAX);
    if (err == OK && !unpack_done(u))
        err = ERR_FORMAT;
    return err == OK ? certs_add(*coming, names, n, chain, key) : err;
}

int certs_take(struct certs **coming, struct slice payload, struct certs **ret)
{
    struct unpack u;
    uint8_t last;
    int err;

    unpack_init(&u, payload.data, payload.len);
    err = take(coming, &u, &last);
    *ret = NULL;
    if (err != OK)
        certs_unref(*coming);
    else if (last)
        *ret = *coming;
    if (err != OK || last)
        *coming = NULL;
    return err;
}
