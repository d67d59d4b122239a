#include "server/mailauth/records.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/arena.h"
#include "server/core/error.h"

struct entry {
    struct records_question question; /* first: whoever has it has the entry */
    bool answered;
    struct records_answer answer;
};

struct records {
    struct arena *arena;
    records_at_hand_fn *at_hand; /* NULL: nothing is */
    void *arg;
    bool over;
    size_t n, taken, answered;
    struct entry *v[RECORDS_QUESTIONS_MAX];
};

static const struct records_answer no_such_name, too_many = {.err = ERR_LIMIT};

struct records *records_create(void)
{
    struct records *r = calloc(1, sizeof(*r));

    if (r && !(r->arena = arena_create(RECORDS_MEMORY_MAX, true))) {
        free(r);
        r = NULL;
    }
    return r;
}

void records_destroy(struct records *r)
{
    if (r)
        arena_destroy(r->arena);
    free(r);
}

void records_look_in(struct records *r, records_at_hand_fn *fn, void *arg)
{
    r->at_hand = fn;
    r->arg = arg;
}

/* ---- names ---- */

static size_t label_len(const char *s)
{
    size_t n = 0;

    while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '.')
        n++;
    return n;
}

bool records_name_valid(const char *name)
{
    const size_t len = strnlen(name, RECORDS_NAME_CAP + 1);

    for (const char *s = name;;) {
        size_t n = label_len(s);
        if (n == 0 || n > 63)
            return false;
        s += n;
        if (*s == '.' && s[1])
            s++;
        else
            return (!*s || *s == '.') && len - (*s == '.') < RECORDS_NAME_CAP;
    }
}

/* Of a valid one. */
static void lower(const char *name, char out[RECORDS_NAME_CAP])
{
    size_t n = 0;

    for (; name[n] && !(name[n] == '.' && !name[n + 1]); n++)
        out[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] | 0x20 : name[n]);
    out[n] = '\0';
}

/* ---- questions ---- */

static struct entry *find(struct records *r, enum records_type type, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i]->question.type == type && strcmp(r->v[i]->question.name, name) == 0)
            return r->v[i];
    return NULL;
}

static struct entry *add(struct records *r, enum records_type type, const char *name)
{
    struct entry *e = r->n < RECORDS_QUESTIONS_MAX ? arena_alloc(r->arena, sizeof(*e)) : NULL;

    if (e && !(e->question.name = arena_strndup(r->arena, name, strlen(name))))
        e = NULL;
    if (e) {
        e->question.type = type;
        r->v[r->n++] = e;
    }
    return e;
}

static void settle(struct records *r, struct entry *e, int err)
{
    e->answer = (struct records_answer){.err = err};
    e->answered = true;
    r->answered++;
}

static void look(struct records *r, struct entry *e)
{
    const struct records_answer *a = r->at_hand && !r->over ? r->at_hand(r->arg, &e->question) : NULL;

    if (a)
        records_put(r, &e->question, a);
}

const struct records_answer *records_get(struct records *r, enum records_type type, const char *name)
{
    char lowered[RECORDS_NAME_CAP];
    struct entry *e;

    if (!records_name_valid(name))
        return &no_such_name;
    lower(name, lowered);
    e = find(r, type, lowered);
    if (!e) {
        e = add(r, type, lowered);
        if (!e)
            return &too_many;
        look(r, e);
    }
    if (!e->answered && r->over)
        settle(r, e, ERR_TIMEOUT);
    return e->answered ? &e->answer : NULL;
}

const struct records_question *records_take(struct records *r)
{
    while (r->taken < r->n && r->v[r->taken]->answered)
        r->taken++;
    return r->taken < r->n ? &r->v[r->taken++]->question : NULL;
}

size_t records_open(const struct records *r)
{
    return r->n - r->answered;
}

void records_end(struct records *r)
{
    r->over = true;
    for (size_t i = 0; i < r->n; i++)
        if (!r->v[i]->answered)
            settle(r, r->v[i], ERR_TIMEOUT);
}

/* ---- answers ---- */

static bool has_form(enum records_type type, const struct records_value *v)
{
    switch (type) {
    case RECORDS_A: return v->data.len == 4;
    case RECORDS_AAAA: return v->data.len == 16;
    case RECORDS_TXT: return v->data.data || v->data.len == 0;
    case RECORDS_MX: return v->name && (!*v->name || records_name_valid(v->name));
    default: return v->name && records_name_valid(v->name);
    }
}

/* ERR_FORMAT, ERR_LIMIT. */
static int copy(struct arena *arena, enum records_type type, const struct records_value *from, struct records_value *to)
{
    const bool named = type == RECORDS_MX || type == RECORDS_PTR;
    char lowered[RECORDS_NAME_CAP] = "", *octets;

    if (!has_form(type, from))
        return ERR_FORMAT;
    if (named && *from->name)
        lower(from->name, lowered);
    octets = named ? arena_strndup(arena, lowered, strlen(lowered))
                   : arena_strndup(arena, from->data.len ? (const char *)from->data.data : "", from->data.len);
    if (!octets)
        return ERR_LIMIT;
    *to = named ? (struct records_value){.name = octets, .preference = from->preference}
                : (struct records_value){.data = slice_of(octets, from->data.len)};
    return OK;
}

static int fill(struct records *r, struct entry *e, const struct records_answer *a)
{
    struct records_value *v = NULL;
    int err = a->n > RECORDS_VALUES_MAX ? ERR_LIMIT : OK;

    if (err == OK && a->n && !(v = arena_alloc(r->arena, a->n * sizeof(*v))))
        err = ERR_LIMIT;
    for (size_t i = 0; err == OK && i < a->n; i++)
        err = copy(r->arena, e->question.type, &a->v[i], &v[i]);
    if (err == OK)
        e->answer = (struct records_answer){.exists = a->exists || a->n, .n = a->n, .v = v};
    return err;
}

void records_put(struct records *r, const struct records_question *q, const struct records_answer *a)
{
    struct entry *e = (struct entry *)(void *)q;

    if (e->answered) /* it came too late */
        return;
    int err = a->err;
    if (err == OK)
        err = fill(r, e, a);
    if (err != OK)
        settle(r, e, err);
    else {
        e->answered = true;
        r->answered++;
    }
}
