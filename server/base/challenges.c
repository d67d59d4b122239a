#include "server/base/challenges.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"

/* How much of s is base64url (RFC 4648 section 5), without padding. */
static size_t base64url(const char *s)
{
    size_t n = 0;

    while ((s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') ||
           s[n] == '-' || s[n] == '_')
        n++;
    return n;
}

static bool valid(const char *name, const char *token, const char *text)
{
    size_t len = strlen(token);

    return certs_name_valid(name) && name[0] != '*' && len >= CHALLENGE_TOKEN_MIN && len <= CHALLENGE_TOKEN_MAX &&
           base64url(token) == len && strncmp(text, token, len) == 0 && text[len] == '.' &&
           strlen(text + len + 1) == CHALLENGE_HASH && base64url(text + len + 1) == CHALLENGE_HASH;
}

static size_t place_of(const struct challenges *t, const char *name, const char *token)
{
    size_t i = 0;

    while (i < t->n && (strcmp(t->v[i].name, name) != 0 || strcmp(t->v[i].token, token) != 0))
        i++;
    return i;
}

int challenges_put(struct challenges *t, const char *name, const char *token, const char *text, uint64_t until)
{
    struct challenge *c;
    size_t at;

    if (!valid(name, token, text))
        return ERR_FORMAT;
    at = place_of(t, name, token);
    if (at == CHALLENGES_MAX)
        return ERR_LIMIT;
    c = &t->v[at];
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(c->token, sizeof(c->token), "%s", token);
    snprintf(c->text, sizeof(c->text), "%s", text);
    c->until = until;
    t->n += at == t->n;
    return OK;
}

static void remove_at(struct challenges *t, size_t at)
{
    t->n--;
    memmove(&t->v[at], &t->v[at + 1], (t->n - at) * sizeof(t->v[0]));
}

int challenges_drop(struct challenges *t, const char *name, const char *token)
{
    size_t at = place_of(t, name, token);

    if (at == t->n)
        return ERR_NOT_FOUND;
    remove_at(t, at);
    return OK;
}

uint64_t challenges_expire(struct challenges *t, uint64_t now)
{
    uint64_t next = 0;

    for (size_t i = t->n; i-- > 0;) {
        if (t->v[i].until <= now)
            remove_at(t, i);
        else if (!next || t->v[i].until < next)
            next = t->v[i].until;
    }
    return next;
}

const char *challenges_find(const struct challenges *t, const char *name, const char *token)
{
    size_t at = place_of(t, name, token);

    return at < t->n ? t->v[at].text : NULL;
}

void challenges_pack(const struct challenges *t, struct pack *out)
{
    pack_u32(out, (uint32_t)t->n);
    for (size_t i = 0; i < t->n; i++) {
        pack_str(out, t->v[i].name);
        pack_str(out, t->v[i].token);
        pack_str(out, t->v[i].text);
    }
}

int challenges_unpack(struct slice payload, struct challenges *ret)
{
    struct unpack u;
    uint32_t n;

    unpack_init(&u, payload.data, payload.len);
    n = unpack_u32(&u);
    ret->n = 0;
    if (n > CHALLENGES_MAX)
        return ERR_FORMAT;
    for (uint32_t i = 0; i < n; i++) {
        struct challenge c;
        unpack_str(&u, c.name, sizeof(c.name));
        unpack_str(&u, c.token, sizeof(c.token));
        unpack_str(&u, c.text, sizeof(c.text));
        if (u.failed || challenges_put(ret, c.name, c.token, c.text, 0) != OK)
            return ERR_FORMAT;
    }
    return unpack_done(&u) && ret->n == n ? OK : ERR_FORMAT;
}
