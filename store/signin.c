/* How accounts are signed in to, on the write side. See signin.h. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/signin_impl.h"

static const uint8_t NO_ID[WRAPPED_ID_SIZE];

static int account_here(struct store_write *w, char address[ADDRESS_MAX])
{
    struct schema_account a;
    int err = schema_get_account(w->t, w->keys, w->account, &a);
    if (err == OK && address)
        memcpy(address, a.address, sizeof(a.address));
    secmem_wipe(&a, sizeof(a));
    return err;
}

/* ---- invitations ---- */

struct invited {
    struct store_write *w;
    uint64_t account; /* whose go, beside what is over */
    unsigned n, there, own;
    uint8_t keys[INVITATIONS_MAX][1 + RECORD_HASH_SIZE]; /* that go */
};

static int see_invitation(void *arg, struct slice key, struct slice value)
{
    struct invited *s = arg;
    struct invitation i;
    int err = schema_unpack_invitation(s->w->keys, key, value, &i);
    const bool damaged = err == ERR_FORMAT || err == ERR_CRYPTO; /* it lets nobody in */
    if (err != OK && !damaged)
        return err;
    if (key.len != sizeof(s->keys[0]) || s->there >= INVITATIONS_MAX)
        return ERR_FORMAT;
    s->there++;
    s->own += !damaged && i.account == s->account;
    if (damaged || i.account == s->account || i.until <= s->w->now)
        memcpy(s->keys[s->n++], key.data, key.len);
    return OK;
}

static int invitations_see(struct store_write *w, uint64_t account, struct invited *ret)
{
    struct schema_keybuf from, to;
    ret->w = w;
    ret->account = account;
    ret->n = ret->there = ret->own = 0;
    return engine_scan(w->t, PART_INSTANCE, key_simple(&from, 'J'), key_simple(&to, 'J' + 1), 0, see_invitation, ret);
}

static int invitations_go(struct store_write *w, const struct invited *s)
{
    int err = OK;
    for (unsigned i = 0; err == OK && i < s->n; i++)
        err = write_del_instance(w, slice_of(s->keys[i], sizeof(s->keys[i])));
    return err;
}

int invitation_put(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], const struct invitation *i)
{
    static struct invited s; /* large */
    struct invitation new = *i;
    int err = account_here(w, new.address);
    new.account = w->account;
    if (err == OK)
        err = invitations_see(w, w->account, &s);
    if (err != OK)
        return err;
    if (new.until <= w->now)
        return ERR_LIMIT;
    if (s.there - s.n >= INVITATIONS_MAX)
        return ERR_FULL;
    err = invitations_go(w, &s);
    w->wrote = true;
    return err == OK ? schema_put_invitation(w->t, w->keys, hash, &new) : err;
}

int invitation_del(struct store_write *w, uint64_t account)
{
    static struct invited s; /* large */
    int err = invitations_see(w, account, &s);
    if (err != OK)
        return err;
    return s.own > 0 ? invitations_go(w, &s) : ERR_NOT_FOUND;
}

/* Whether the token lets somebody register; what is left of it is for invitation_use. */
static int invitation_fits(struct store_write *w, const uint8_t *token, bool registered, struct invitation *ret)
{
    uint8_t hash[RECORD_HASH_SIZE];
    invitation_hash(w->keys, token, hash);
    int err = schema_get_invitation(w->t, w->keys, hash, ret);
    if (err == ERR_NOT_FOUND || err == ERR_FORMAT || err == ERR_CRYPTO)
        return ERR_DENIED;
    if (err != OK)
        return err;
    return ret->account == w->account && ret->until > w->now && (ret->reset || !registered) ? OK : ERR_DENIED;
}

/* Another partition, and so a step of its own: where a commit is not of all of them, it is used up first. */
static int invitation_use(struct store_write *w, const uint8_t *token, struct invitation *i)
{
    struct schema_keybuf kb;
    uint8_t hash[RECORD_HASH_SIZE];
    int err;
    invitation_hash(w->keys, token, hash);
    w->wrote = true;
    if (--i->uses == 0)
        err = write_del_instance(w, key_hash(&kb, 'J', hash));
    else
        err = schema_put_invitation(w->t, w->keys, hash, i);
    engine_step(w->t);
    return err;
}

/* ---- the record ---- */

static bool all_zeros_behind(const uint8_t *secret, size_t len)
{
    return sodium_is_zero(secret + len, SIGNIN_SIGNATURE_SIZE - len);
}

static int signed_by(const struct signin *was, const struct signin_change *c, const struct signin_text *text)
{
    const uint8_t *key = c->proof == SIGNIN_BY_PHRASE ? was->phrase_key : was->password_key;
    return signin_signed(key, slice_of(text->octets, text->len), c->secret) ? OK : ERR_DENIED;
}

static int proven(struct store_write *w, const struct signin_change *c, const struct signin *was, bool damaged,
                  const struct signin *s, struct slice password, struct slice phrase, struct invitation *ret)
{
    struct signin_text text;
    uint8_t uuid[SIGNIN_UUID_SIZE];
    if (c->proof == SIGNIN_BY_INVITATION)
        return all_zeros_behind(c->secret, INVITE_TOKEN_SIZE)
                   ? invitation_fits(w, c->secret, was != NULL || damaged, ret)
                   : ERR_DENIED;
    if (!was)
        return ERR_DENIED;
    int err = schema_get_uuid(w->t, uuid);
    if (err != OK)
        return err;
    signin_text_record(uuid, w->account, was->serial, s, password, phrase, &text);
    return signed_by(was, c, &text);
}

/* Whether the envelope of this kind is this one; none is no matter if the phrase stays. */
static int envelope_stands(struct store_write *w, uint8_t kind, struct slice envelope, bool *ret)
{
    struct wrapped v;
    uint8_t digest[SIGNIN_DIGEST_SIZE];
    int err = schema_get_wrapped_head(w->t, w->keys, w->account, kind, NO_ID, &v);
    if (err == ERR_NOT_FOUND) {
        *ret = envelope.len == 0;
        return OK;
    }
    if (err == ERR_FORMAT || err == ERR_CRYPTO) {
        *ret = false;
        return OK;
    }
    crypto_hash_sha256(digest, envelope.data, envelope.len);
    *ret = (envelope.len == 0 && kind == WRAPPED_PHRASE) || memcmp(digest, v.digest, sizeof(digest)) == 0;
    return err;
}

/* Asked again, after an answer that did not come. */
static int stands(struct store_write *w, const struct signin *was, const struct signin *s, struct slice password,
                  struct slice phrase, bool *ret)
{
    bool first = false, second = false;
    *ret = was->profile == s->profile && !memcmp(was->record, s->record, sizeof(s->record)) &&
           !memcmp(was->password_key, s->password_key, sizeof(s->password_key)) &&
           !memcmp(was->phrase_key, s->phrase_key, sizeof(s->phrase_key));
    if (!*ret)
        return OK;
    int err = envelope_stands(w, WRAPPED_PASSWORD, password, &first);
    if (err == OK)
        err = envelope_stands(w, WRAPPED_PHRASE, phrase, &second);
    *ret = first && second;
    return err;
}

static int put_envelopes(struct store_write *w, const struct signin *was, const struct signin *s, struct slice password,
                         struct slice phrase)
{
    const bool phrase_stays = was && !memcmp(was->phrase_key, s->phrase_key, sizeof(s->phrase_key));
    int err = wrapped_put(w, WRAPPED_PASSWORD, NO_ID, password);
    if (err == OK && (phrase.len > 0 || !phrase_stays))
        err = wrapped_put(w, WRAPPED_PHRASE, NO_ID, phrase);
    return err;
}

static bool record_valid(const struct signin *s, struct slice phrase)
{
    return s->profile && crypto_core_ristretto255_is_valid_point(s->record) &&
           !sodium_is_zero(s->record, crypto_core_ristretto255_BYTES) &&
           !sodium_is_zero(s->password_key, SIGNIN_KEY_SIZE) &&
           !(phrase.len > 0 && sodium_is_zero(s->phrase_key, SIGNIN_KEY_SIZE));
}

/* What was there before nobody may know: a damaged record, a copy that was restored. So these numbers begin, and go on,
 * beyond all that there may have been. */
static uint32_t beyond(const struct store_write *w, uint32_t last)
{
    return last >= (uint32_t)w->now ? last + 1 : (uint32_t)w->now;
}

static int put_record(struct store_write *w, const struct signin *was, bool damaged, const struct signin *s,
                      uint32_t *ret_version)
{
    struct signin new = *s;
    new.since = was ? was->since : w->now;
    new.changed = w->now;
    new.version = was ? was->version + 1 : damaged ? beyond(w, 0) : 1;
    new.serial = was ? was->serial + 1 : damaged ? beyond(w, 0) : 1;
    new.number_next = was ? was->number_next : damaged ? beyond(w, 0) : 1;
    w->wrote = true;
    int err = schema_put_signin(w->t, w->keys, w->account, &new);
    if (err == OK)
        *ret_version = new.version;
    secmem_wipe(&new, sizeof(new));
    return err;
}

/* was: NULL, if nothing is registered, or it is damaged. */
static int set(struct store_write *w, const struct signin_change *c, const struct signin *was, bool damaged,
               const struct signin *s, struct slice password, struct slice phrase, uint32_t *ret_version)
{
    struct invitation i;
    bool there = false;
    int err = was ? stands(w, was, s, password, phrase, &there) : OK;
    if (err == OK && there) {
        *ret_version = was->version;
        return OK;
    }
    if (err == OK && c->serial != (was ? was->serial : 0))
        err = ERR_CONFLICT;
    if (err == OK && (!record_valid(s, phrase) || (was && (was->version == UINT32_MAX || was->serial == UINT32_MAX))))
        err = ERR_FORMAT;
    if (err == OK)
        err = proven(w, c, was, damaged, s, password, phrase, &i);
    if (err == OK && c->proof == SIGNIN_BY_INVITATION)
        err = invitation_use(w, c->secret, &i);
    if (err == OK)
        err = put_envelopes(w, was, s, password, phrase);
    if (err == OK)
        err = session_del(w, SESSION_ALL, 0);
    return err == OK ? put_record(w, was, damaged, s, ret_version) : err;
}

int signin_set(struct store_write *w, const struct signin_change *c, const struct signin *s, struct slice password,
               struct slice phrase, uint32_t *ret_version)
{
    struct signin was;
    int err = account_here(w, NULL);
    if (err != OK)
        return err;
    err = schema_get_signin(w->t, w->keys, w->account, &was);
    const bool damaged = err == ERR_FORMAT || err == ERR_CRYPTO;
    if (err == OK || err == ERR_NOT_FOUND || damaged)
        err = set(w, c, err == OK ? &was : NULL, damaged, s, password, phrase, ret_version);
    secmem_wipe(&was, sizeof(was));
    return err;
}

static int wrapped_change(struct store_write *w, const struct signin_change *c, struct signin *was, uint8_t kind,
                          const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope)
{
    struct signin_text text;
    uint8_t uuid[SIGNIN_UUID_SIZE];
    if (c->serial != was->serial || was->serial == UINT32_MAX)
        return ERR_CONFLICT;
    if (c->proof == SIGNIN_BY_INVITATION)
        return ERR_DENIED;
    int err = schema_get_uuid(w->t, uuid);
    if (err != OK)
        return err;
    signin_text_wrapped(uuid, w->account, was->serial, kind, id, envelope, &text);
    err = signed_by(was, c, &text);
    if (err == OK)
        err = wrapped_put(w, kind, id, envelope);
    if (err != OK)
        return err;
    was->serial++;
    was->changed = w->now;
    w->wrote = true;
    return schema_put_signin(w->t, w->keys, w->account, was);
}

int signin_wrapped(struct store_write *w, const struct signin_change *c, uint8_t kind,
                   const uint8_t id[WRAPPED_ID_SIZE], struct slice envelope)
{
    struct signin was;
    int err = schema_get_signin(w->t, w->keys, w->account, &was);
    if (err == OK)
        err = wrapped_change(w, c, &was, kind, id, envelope);
    secmem_wipe(&was, sizeof(was));
    return err;
}

int signin_restored(struct store_write *w)
{
    struct signin s;
    int err = schema_get_signin(w->t, w->keys, w->account, &s);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = session_del(w, SESSION_ALL, 0);
    if (err == OK) {
        s.version = beyond(w, s.version);
        s.serial = beyond(w, s.serial);
        s.number_next = beyond(w, s.number_next);
        w->wrote = true;
        err = schema_put_signin(w->t, w->keys, w->account, &s);
    }
    secmem_wipe(&s, sizeof(s));
    return err == ERR_FORMAT || err == ERR_CRYPTO ? OK : err; /* nobody signs in by it */
}
