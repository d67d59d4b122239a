/* The records of signing in. */
#include <inttypes.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/check_impl.h"
#include "store/signin_impl.h"

/* 'O' */
void check_signin(struct check *c, struct slice key, struct slice value)
{
    struct signin s;
    (void)key;
    (void)value;
    (void)check_opened(c, schema_get_signin(c->t, c->k, c->part, &s));
    secmem_wipe(&s, sizeof(s));
}

/* What belongs to a registration that there is not. false: it was said, or cannot be. */
static bool registered(struct check *c, struct signin *ret)
{
    bool there;
    check_found_there(c, schema_get_signin(c->t, c->k, c->part, ret), &there);
    if (!there && c->whole && !c->err)
        check_fault(c, "nothing says how the account is signed in to");
    return there;
}

/* 'o' */
void check_session(struct check *c, struct slice key, struct slice value)
{
    struct session one;
    struct signin s;
    if (check_opened(c, schema_unpack_session(c->k, c->part, key, value, &one)) && registered(c, &s) &&
        (one.version > s.version || one.number >= s.number_next))
        check_fault(c, "it has a number, or is of a version, that was not given out yet");
    secmem_wipe(&s, sizeof(s));
}

/* 'E' */
void check_factor(struct check *c, struct slice key, struct slice value)
{
    struct factor f;
    struct signin s;
    if (check_opened(c, schema_unpack_factor(c->k, c->part, key, value, &f)) && registered(c, &s) &&
        f.number >= s.number_next)
        check_fault(c, "it has number %" PRIu32 ", which was not given out yet", f.number);
    secmem_wipe(&f, sizeof(f));
    secmem_wipe(&s, sizeof(s));
}

/* 'W': with the first piece, all of them */
void check_wrapped(struct check *c, struct slice key, struct slice value)
{
    static uint8_t envelope[WRAPPED_MAX];
    struct schema_keybuf kb;
    struct wrapped w;
    uint8_t kind;
    uint32_t n;
    if (!wrapped_kind_of_piece(key, &kind, &n))
        return;  /* said of its length */
    if (n > 0) { /* whether it opens, its first piece says */
        memcpy(kb.b, key.data, key.len);
        memset(kb.b + key.len - 4, 0, 4);
        if (!check_has(c, c->part, slice_of(kb.b, key.len)))
            check_fault(c, "it is a piece of nothing");
        return;
    }
    if (!check_opened(c, schema_unpack_wrapped(c->k, c->part, key, value, &w)))
        return;
    int err = schema_get_wrapped(c->t, c->k, c->part, w.kind, w.id, &w, envelope);
    if (err == ERR_FORMAT || err == ERR_CRYPTO)
        check_fault(c, "its octets are others, or not all there");
    else
        (void)check_opened(c, err);
}

/* 'J' */
void check_invitation(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct invitation i;
    if (check_opened(c, schema_unpack_invitation(c->k, key, value, &i)) &&
        !check_has(c, PART_INSTANCE, key_u64(&kb, 'N', i.account)))
        check_fault(c, "it is for account %" PRIu64 ", which there is not", i.account);
}
