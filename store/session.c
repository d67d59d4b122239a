/* Sessions and second factors of an account, on the write side. See signin.h. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/signin_impl.h"

enum { STEPS_AHEAD = 10 /* of TOTP, that a clock may be */ };

static int version_of(struct store_write *w, uint32_t *ret)
{
    struct signin s;
    int err = schema_get_signin(w->t, w->keys, w->account, &s);
    if (err == OK)
        *ret = s.version;
    secmem_wipe(&s, sizeof(s));
    return err;
}

/* The next number of a session or a factor. */
static int take_number(struct store_write *w, uint32_t *ret)
{
    struct signin s;
    int err = schema_get_signin(w->t, w->keys, w->account, &s);
    if (err == OK && s.number_next == UINT32_MAX)
        err = ERR_LIMIT;
    if (err == OK) {
        *ret = s.number_next++;
        w->wrote = true;
        err = schema_put_signin(w->t, w->keys, w->account, &s);
    }
    secmem_wipe(&s, sizeof(s));
    return err;
}

/* ---- sessions ---- */

enum { SEEN_MAX = SESSIONS_MAX + 16 /* there are never more, whatever stands there */ };
struct sessions {
    struct store_write *w;
    unsigned n;
    struct {
        uint8_t key[1 + RECORD_HASH_SIZE];
        bool damaged;
        uint32_t number, version;
        uint64_t used, until;
    } v[SEEN_MAX];
};

static int see_session(void *arg, struct slice key, struct slice value)
{
    struct sessions *s = arg;
    struct session one = {0};
    int err = schema_unpack_session(s->w->keys, s->w->account, key, value, &one);
    const bool damaged = err == ERR_FORMAT || err == ERR_CRYPTO;
    if (err != OK && !damaged)
        return err;
    if (key.len != sizeof(s->v[0].key))
        return ERR_FORMAT;
    memcpy(s->v[s->n].key, key.data, key.len);
    s->v[s->n].damaged = damaged;
    s->v[s->n].number = one.number;
    s->v[s->n].version = one.version;
    s->v[s->n].used = one.used;
    s->v[s->n].until = one.until;
    return ++s->n == SEEN_MAX;
}

static int sessions_see(struct store_write *w, struct sessions *ret)
{
    struct schema_keybuf from, to;
    ret->w = w;
    ret->n = 0;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'o'), key_simple(&to, 'o' + 1), 0, see_session, ret);
    return err < 0 ? err : OK;
}

static int session_goes(struct store_write *w, const struct sessions *s, unsigned i)
{
    return write_del(w, slice_of(s->v[i].key, sizeof(s->v[i].key)));
}

/* Those that are over go, and of too many the one unused for longest. */
static int make_room(struct store_write *w, uint32_t version)
{
    static struct sessions s;
    unsigned left = 0, oldest = SEEN_MAX;
    int err = sessions_see(w, &s);
    for (unsigned i = 0; err == OK && i < s.n; i++) {
        if (s.v[i].damaged || s.v[i].version != version || s.v[i].until <= w->now) {
            err = session_goes(w, &s, i);
            continue;
        }
        left++;
        if (oldest == SEEN_MAX || s.v[i].used < s.v[oldest].used)
            oldest = i;
    }
    return err == OK && left >= SESSIONS_MAX ? session_goes(w, &s, oldest) : err;
}

int session_add(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], const struct session *s,
                uint32_t *ret_number)
{
    struct session new = *s, there;
    uint32_t version;
    int err = version_of(w, &version);
    if (err == OK && version != s->version)
        err = ERR_CONFLICT;
    if (err == OK && (s->until <= w->now || s->until > w->now + SESSION_LIFE_MAX))
        err = ERR_LIMIT;
    if (err != OK)
        return err;
    err = schema_get_session(w->t, w->keys, w->account, hash, &there);
    if (err == OK)
        *ret_number = there.number;
    if (err != ERR_NOT_FOUND)
        return err;
    err = make_room(w, version);
    if (err == OK)
        err = take_number(w, &new.number);
    if (err != OK)
        return err;
    new.since = new.used = w->now;
    w->wrote = true;
    err = schema_put_session(w->t, w->keys, w->account, hash, &new);
    if (err == OK)
        *ret_number = new.number;
    return err;
}

static int get_living(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], struct session *ret)
{
    uint32_t version;
    int err = version_of(w, &version);
    if (err == OK)
        err = schema_get_session(w->t, w->keys, w->account, hash, ret);
    if (err == OK && (ret->version != version || ret->until <= w->now))
        err = ERR_NOT_FOUND;
    return err;
}

int session_lives(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE])
{
    struct session s;
    int err = get_living(w, hash, &s);
    return err == ERR_NOT_FOUND ? ERR_DENIED : err;
}

int session_used(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE])
{
    struct session s;
    int err = get_living(w, hash, &s);
    if (err != OK || w->now < s.used + SESSION_USED_EVERY)
        return err;
    s.used = w->now;
    w->wrote = true;
    return schema_put_session(w->t, w->keys, w->account, hash, &s);
}

int session_del(struct store_write *w, uint8_t which, uint32_t number)
{
    static struct sessions s;
    bool any = which == SESSION_ALL;
    int err = sessions_see(w, &s);
    for (unsigned i = 0; err == OK && i < s.n; i++)
        any |= s.v[i].number == number && !s.v[i].damaged;
    if (err == OK && !any)
        err = ERR_NOT_FOUND;
    for (unsigned i = 0; err == OK && i < s.n; i++)
        if (which == SESSION_ALL || (s.v[i].number == number) == (which == SESSION_ONE))
            err = session_goes(w, &s, i);
    return err;
}

/* ---- second factors ---- */

struct alike {
    const struct store_write *w;
    const struct factor *f;
    unsigned n;
    bool found; /* one with the same secret: its codes would be good twice */
};

static int look_at_one(void *arg, struct slice key, struct slice value)
{
    struct alike *a = arg;
    struct factor f;
    a->n++;
    if (schema_unpack_factor(a->w->keys, a->w->account, key, value, &f) == OK && f.kind == FACTOR_TOTP &&
        a->f->kind == FACTOR_TOTP && sodium_memcmp(f.totp.secret, a->f->totp.secret, TOTP_SECRET_SIZE) == 0)
        a->found = true;
    secmem_wipe(&f, sizeof(f));
    return OK;
}

static int factor_new(struct store_write *w, struct factor *f)
{
    struct schema_keybuf from, to;
    struct alike a = {.w = w, .f = f};
    int err = engine_scan(w->t, w->account, key_simple(&from, 'E'), key_simple(&to, 'E' + 1), 0, look_at_one, &a);
    if (err == OK && a.found)
        err = ERR_EXISTS;
    if (err == OK && a.n >= FACTORS_MAX)
        err = ERR_LIMIT;
    return err == OK ? take_number(w, &f->number) : err;
}

static int factor_replaces(struct store_write *w, const struct factor *f)
{
    struct factor was;
    int err = schema_get_factor(w->t, w->keys, w->account, f->number, &was);
    if (err == OK && was.kind != f->kind)
        err = ERR_NOT_FOUND;
    secmem_wipe(&was, sizeof(was));
    return err;
}

int factor_put(struct store_write *w, const struct factor *f, uint32_t *ret_number)
{
    struct factor new = *f;
    uint32_t version;
    int err = version_of(w, &version);
    if (err == OK)
        err = f->number ? factor_replaces(w, f) : factor_new(w, &new);
    if (err == OK) {
        new.since = w->now;
        w->wrote = true;
        err = schema_put_factor(w->t, w->keys, w->account, &new);
    }
    if (err == OK)
        *ret_number = new.number;
    secmem_wipe(&new, sizeof(new));
    return err;
}

int factor_del(struct store_write *w, uint32_t number)
{
    struct schema_keybuf kb;
    struct slice value;
    int err = engine_get(w->t, w->account, key_u32(&kb, 'E', number), &value); /* a damaged one goes too */
    return err == OK ? write_del(w, key_u32(&kb, 'E', number)) : err;
}

static int use_code(struct factor *f, const uint8_t code[RECORD_HASH_SIZE])
{
    unsigned found = FACTOR_CODES;
    for (unsigned i = 0; i < f->codes.n; i++)
        if (sodium_memcmp(f->codes.hash[i], code, RECORD_HASH_SIZE) == 0)
            found = i;
    if (found == FACTOR_CODES)
        return ERR_DENIED;
    f->codes.n--;
    memmove(f->codes.hash[found], f->codes.hash[found + 1], (f->codes.n - found) * sizeof(f->codes.hash[0]));
    return OK;
}

static int use(const struct store_write *w, struct factor *f, uint64_t value, const uint8_t code[RECORD_HASH_SIZE])
{
    if (f->kind == FACTOR_RECOVERY)
        return use_code(f, code);
    if (f->kind == FACTOR_TOTP) {
        if (value <= f->totp.last || value > w->now / TOTP_STEP + STEPS_AHEAD)
            return ERR_DENIED;
        f->totp.last = value;
        return OK;
    }
    /* One that does not count says zero each time (WebAuthn level 3 section 6.1.1). */
    if (value > UINT32_MAX || (value <= f->passkey.counter && (value || f->passkey.counter)))
        return ERR_DENIED;
    f->passkey.counter = (uint32_t)value;
    return OK;
}

int factor_used(struct store_write *w, uint32_t number, uint8_t kind, uint64_t value,
                const uint8_t code[RECORD_HASH_SIZE])
{
    struct factor f;
    int err = schema_get_factor(w->t, w->keys, w->account, number, &f);
    if (err == OK && f.kind != kind)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = use(w, &f, value, code);
    if (err == OK) {
        w->wrote = true;
        err = schema_put_factor(w->t, w->keys, w->account, &f);
    }
    secmem_wipe(&f, sizeof(f));
    return err;
}
