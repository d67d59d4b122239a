/* App passwords of an account. */
#include "store/account.h"

#include <string.h>

#include "server/core/error.h"

struct password_scan {
    const struct store_write *w;
    uint32_t n, wanted;
    bool found;
    uint8_t key[1 + RECORD_HASH_SIZE];
};

static int password_one(void *arg, struct slice key, struct slice value)
{
    struct password_scan *s = arg;
    struct schema_app_password p;
    int err = schema_unpack_app_password(s->w->keys, s->w->account, key, value, &p);
    if (err != OK)
        return err;
    s->n++;
    if (p.number == s->wanted && key.len == sizeof(s->key)) {
        s->found = true;
        memcpy(s->key, key.data, key.len);
    }
    return 0;
}

static int passwords_scan(struct store_write *w, struct password_scan *s)
{
    struct schema_keybuf from, to;
    return engine_scan(w->t, w->account, key_simple(&from, 'P'), key_simple(&to, 'P' + 1), 0, password_one, s);
}

int account_password_add(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], struct schema_app_password *p)
{
    struct schema_account account;
    struct schema_keybuf k;
    struct slice taken;
    struct password_scan s = {.w = w};
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err == OK)
        err = passwords_scan(w, &s);
    if (err != OK)
        return err;
    if (s.n >= ACCOUNT_PASSWORDS_MAX || account.password_next == UINT32_MAX)
        return ERR_LIMIT;
    err = engine_get(w->t, w->account, key_hash(&k, 'P', hash), &taken);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_EXISTS : err;
    p->number = account.password_next++;
    w->wrote = true;
    err = schema_put_app_password(w->t, w->keys, w->account, hash, p);
    return err == OK ? schema_put_account(w->t, w->keys, w->account, &account) : err;
}

int account_password_revoke(struct store_write *w, uint32_t number)
{
    struct password_scan s = {.w = w, .wanted = number};
    int err = passwords_scan(w, &s);
    if (err != OK)
        return err;
    return s.found ? write_del(w, slice_of(s.key, sizeof(s.key))) : ERR_NOT_FOUND;
}
