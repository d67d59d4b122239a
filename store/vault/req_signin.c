/* How accounts are signed in to. */
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/signin_impl.h"
#include "store/vault/vault.h"

int vault_owner_asks(struct store_write *w, const struct request *q, const char **ret_text)
{
    if (q->from->who & VAULT_MAY_ADMIN)
        return OK;
    int err = session_lives(w, q->a.session.hash);
    if (err == ERR_DENIED)
        *ret_text = "the session is over";
    return err;
}

static struct signin_change change_of(const struct vault_signin *a)
{
    return (struct signin_change){.proof = a->proof, .serial = a->serial, .secret = a->secret};
}

/* So many octets, as a sealed memfd has them; none: there is no memfd. */
static int envelopes_open(const struct request *q, size_t len, struct parcel *ret, const char **ret_text)
{
    struct parcel p = {0};
    int err = OK;
    if ((q->fd >= 0) != (len > 0))
        err = ERR_REFUSED;
    else if (len > 0)
        err = parcel_open_plain(q->fd, 2 * WRAPPED_MAX, &p);
    if (err == OK && p.map_len != len) {
        parcel_close(&p);
        err = ERR_REFUSED;
    }
    if (err == ERR_REFUSED)
        *ret_text = "what is wrapped did not come as a sealed memfd of the stated length";
    if (err == OK)
        *ret = p;
    return err;
}

int run_signin_set(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    const struct vault_signin *a = &q->a.signin;
    const struct signin_change c = change_of(a);
    struct signin s = {.profile = a->profile};
    struct parcel p;
    (void)v;
    int err = envelopes_open(q, (size_t)a->password_len + a->phrase_len, &p, ret_text);
    if (err != OK)
        return err;
    memcpy(s.record, a->record, sizeof(s.record));
    memcpy(s.password_key, a->password_key, sizeof(s.password_key));
    memcpy(s.phrase_key, a->phrase_key, sizeof(s.phrase_key));
    err = signin_set(w, &c, &s, slice_of(p.map, a->password_len),
                     slice_of(p.map ? p.map + a->password_len : NULL, a->phrase_len), &r->version);
    parcel_close(&p);
    secmem_wipe(&s, sizeof(s));
    if (err == ERR_DENIED)
        *ret_text = "neither the signature nor the invitation allows it";
    return err;
}

int run_wrapped_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_signin *a = &q->a.signin;
    const struct signin_change c = change_of(a);
    struct parcel p;
    (void)v;
    (void)r;
    int err = envelopes_open(q, a->password_len, &p, ret_text);
    if (err != OK)
        return err;
    err = signin_wrapped(w, &c, a->kind, a->id, slice_of(p.map, a->password_len));
    parcel_close(&p);
    return err;
}

int run_session_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_session *a = &q->a.session;
    struct session s = {.version = a->version, .how = a->how, .until = a->until};
    (void)v;
    (void)ret_text;
    memcpy(s.label, a->label.data, a->label.len);
    return session_add(w, a->hash, &s, &r->number);
}

int run_session_used(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    (void)v;
    (void)r;
    (void)ret_text;
    return session_used(w, q->a.session.hash);
}

int run_session_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    (void)v;
    (void)r;
    int err = session_del(w, q->a.session.which, q->a.session.number);
    if (err == ERR_NOT_FOUND)
        *ret_text = "no such session: session list shows their numbers";
    return err;
}

int run_factor_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    struct factor f;
    (void)v;
    int err = factor_unpack(q->a.factor.record.data, q->a.factor.record.len, &f);
    if (err == OK)
        err = vault_owner_asks(w, q, ret_text);
    if (err == OK)
        err = factor_put(w, &f, &r->number);
    if (err == ERR_LIMIT)
        *ret_text = "the account has as many second factors as it may have";
    secmem_wipe(&f, sizeof(f));
    return err;
}

int run_factor_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    (void)v;
    (void)r;
    int err = vault_owner_asks(w, q, ret_text);
    if (err == OK)
        err = factor_del(w, q->a.factor.number);
    if (err == ERR_NOT_FOUND)
        *ret_text = "no such second factor: factor list shows their numbers";
    return err;
}

int run_factor_used(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_factor *a = &q->a.factor;
    (void)v;
    (void)r;
    (void)ret_text;
    return factor_used(w, a->number, a->kind, a->value, a->code);
}

int run_invite_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    const struct vault_invite *a = &q->a.invite;
    const struct invitation i = {.until = a->until, .uses = a->uses, .reset = a->reset};
    (void)v;
    (void)r;
    int err = invitation_put(w, a->hash, &i);
    if (err == ERR_NOT_FOUND)
        *ret_text = "no such account";
    else if (err == ERR_FULL)
        *ret_text = "there are too many invitations: letterlock invite list, revoke";
    return err;
}

int run_invite_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    (void)v;
    (void)r;
    int err = invitation_del(w, w->account);
    if (err == ERR_NOT_FOUND)
        *ret_text = "the account has no invitation";
    return err;
}
