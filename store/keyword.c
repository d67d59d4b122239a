/* The ledger of keywords. */
#include "store/keyword.h"

#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "store/write.h"

void keyword_begin(struct store_write *w)
{
    struct keyword_ledger *l = &w->keywords;
    l->loaded = false;
    if (l->changed)
        memset(l->delta, 0, sizeof(l->delta));
    l->changed = false;
}

static int load(struct store_write *w)
{
    struct keyword_ledger *l = &w->keywords;
    int err = l->loaded ? OK : schema_get_keywords(w->t, w->keys, w->account, &l->table);
    l->loaded = l->loaded || err == OK;
    return err;
}

static bool keyword_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > KEYWORD_LEN_MAX)
        return false;
    for (; *s != '\0'; s++)
        if (*s <= ' ' || *s >= 0x7f || strchr("(){%*\"\\]", *s) != NULL) /* RFC 9051 section 9: atom */
            return false;
    return true;
}

int keyword_find(struct store_write *w, const char *keyword, bool add, unsigned *ret)
{
    struct schema_keywords *t = &w->keywords.table;
    if (!keyword_ok(keyword))
        return ERR_FORMAT;
    int err = load(w);
    if (err != OK)
        return err;
    unsigned spare = t->n;
    for (unsigned i = t->n; i-- > 0;) {
        if (strcasecmp(t->v[i].text, keyword) == 0) {
            *ret = i;
            return OK;
        }
        if (t->v[i].text[0] == '\0')
            spare = i;
    }
    if (!add)
        return ERR_NOT_FOUND;
    if (spare == KEYWORDS_MAX)
        return ERR_LIMIT;
    t->n += spare == t->n;
    t->v[spare].entries = 0;
    strcpy(t->v[spare].text, keyword);
    *ret = spare;
    return OK;
}

void keyword_count(struct store_write *w, const struct schema_keyset *set, int by)
{
    for (unsigned i = 0; i < KEYWORD_WORDS; i++)
        for (uint64_t bits = set->w[i]; bits != 0; bits &= bits - 1) {
            w->keywords.delta[64 * i + (unsigned)__builtin_ctzll(bits)] += by;
            w->keywords.changed = true;
        }
}

int keyword_end(struct store_write *w)
{
    struct keyword_ledger *l = &w->keywords;
    int err = l->changed ? load(w) : OK;
    for (unsigned i = 0; err == OK && l->changed && i < KEYWORDS_MAX; i++) {
        if (l->delta[i] == 0)
            continue;
        /* An entry with a keyword that has no name, or more of them than are counted: a damaged store. */
        if (i >= l->table.n || l->table.v[i].text[0] == '\0' || (int64_t)l->table.v[i].entries + l->delta[i] < 0)
            return ERR_FORMAT;
        bool was = l->table.v[i].entries > 0;
        l->table.v[i].entries += (uint32_t)l->delta[i];
        usage_charge(w, ((l->table.v[i].entries > 0) - was) * CHARGE_KEYWORD);
        w->wrote = true;
        err = schema_put_keyword(w->t, w->keys, w->account, i, &l->table.v[i]);
    }
    return err;
}
