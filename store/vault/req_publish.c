/* What is published for an address: the one request by which the directory changes, and what comes in from outside and
 * waits for a word that publishes it. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/published_impl.h"
#include "store/upload.h"
#include "store/vault/vault.h"

/* Whether the certificate is one of the account's, by its primary key, retired or not; and whether that was revoked. */
static int find_own(struct store_write *w, uint64_t account, const struct pgp_published_key *primary, bool *ret_own,
                    bool *ret_revoked)
{
    struct schema_keybuf kb;
    struct schema_key key = {.state = KEY_CURRENT};
    struct slice at = key_certificate(&kb, w->keys, account, primary->fpr, primary->fpr_len), there;
    int err = engine_get(w->t, account, at, &there);
    const bool own = err == OK;
    if (own)
        err = schema_unpack_key(w->keys, account, at, there, &key);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *ret_own = own;
    *ret_revoked = key.state == KEY_REVOKED;
    return OK;
}

/* Who may be found by an address, and with what, the store says and not who asks. */
struct facts {
    uint64_t account;
    struct pgp_published cert;
    bool own, revoked; /* the certificate's primary key is one of the account's; which was revoked */
};

static int whose(struct store_write *w, const char *address, struct facts *f, const char **ret_text)
{
    struct schema_address a;
    struct schema_account account;
    int err = schema_get_address(w->t, w->keys, address, &a);
    if (err == OK && a.kind == ADDRESS_CATCH_ALL)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = schema_get_account(w->t, w->keys, a.account, &account);
    if (err == ERR_NOT_FOUND)
        *ret_text = "the address is nobody's here";
    if (err != OK)
        return err;
    const bool wanted = !account.unpublished;
    sodium_memzero(&account, sizeof(account));
    f->account = a.account;
    if (!wanted)
        *ret_text = "its account does not want to be found";
    return wanted ? OK : ERR_DENIED;
}

static int learn(struct store_write *w, const char *address, struct slice cert, struct facts *f, const char **ret_text)
{
    int err = whose(w, address, f, ret_text);
    if (err != OK)
        return err;
    err = pgp_published_read(cert.data, cert.len, &f->cert);
    if (err != OK) {
        *ret_text = "the certificate is not fit to be published";
        return err == ERR_FORMAT ? ERR_REFUSED : err;
    }
    return find_own(w, f->account, &f->cert.key[0], &f->own, &f->revoked);
}

static int read_address(struct slice from, char own[ADDRESS_MAX], const char **ret_text)
{
    size_t at, plus;
    int err = address_normalize((const char *)from.data, from.len, own, &at, &plus);
    if (err != OK)
        *ret_text = "not a mail address";
    return err == OK ? OK : ERR_FORMAT;
}

int run_key_publish(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_publish *a = &q->a.publish;
    struct facts f;
    char own[ADDRESS_MAX];
    (void)v;
    (void)r;
    int err = read_address(a->address, own, ret_text);
    if (err == OK && a->cert.len) {
        err = learn(w, own, a->cert, &f, ret_text);
        if (err == OK && !f.own) {
            *ret_text = "the certificate is none of the account's";
            err = ERR_DENIED;
        }
    }
    if (err == OK)
        err = published_set(w, own, a->cert, a->why);
    if (err == ERR_REFUSED && *ret_text == NULL)
        *ret_text = "the certificate is not of this address alone";
    return err;
}

/* ---- what comes in from outside ---- */

/* A revocation is never taken back: not the account's own word, nor what others have been told. */
static int takes_revocation_back(struct store_write *w, const char *address, struct slice cert, const struct facts *f)
{
    static struct published there;
    struct pgp_published p;
    uint8_t hash[RECORD_HASH_SIZE];
    if (f->cert.revoked)
        return OK;
    if (f->revoked)
        return ERR_CONFLICT;
    published_hash(w->keys, address, hash);
    int err = schema_get_published(w->t, w->keys, hash, &there);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    if (there.len == cert.len && !memcmp(there.cert, cert.data, cert.len))
        return ERR_CONFLICT;
    err = pgp_published_read(there.cert, there.len, &p);
    return err == OK && p.revoked && !memcmp(p.key[0].fpr, f->cert.key[0].fpr, sizeof(p.key[0].fpr)) ? ERR_CONFLICT
                                                                                                     : err;
}

static int may_come_in(struct vault *v, struct store_write *w, const char *address, struct slice cert, struct facts *f,
                       const char **ret_text)
{
    int err = learn(w, address, cert, f, ret_text);
    if (err != OK)
        return err;
    for (size_t i = 0; i < f->cert.nuser_ids; i++)
        if (!published_names((void *)address, f->cert.user_id[i].text, f->cert.user_id[i].len))
            err = ERR_REFUSED;
    if (err != OK || !f->cert.nuser_ids) {
        *ret_text = "the certificate is not of this address alone";
        return ERR_REFUSED;
    }
    if (!f->own && !v->uploads_other) {
        *ret_text = "the certificate is none of the account's";
        return ERR_DENIED;
    }
    err = takes_revocation_back(w, address, cert, f);
    if (err == ERR_CONFLICT)
        *ret_text = "it is so published already, or was revoked";
    return err;
}

int run_upload_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    const struct vault_publish *a = &q->a.publish;
    struct facts f;
    char own[ADDRESS_MAX];
    int err = read_address(a->address, own, ret_text);
    if (err == OK)
        err = may_come_in(v, w, own, a->cert, &f, ret_text);
    return err == OK ? upload_add(w, own, f.account, f.own, a->cert, r->token) : err;
}

/* What was right when it came in need not be so now. */
int run_upload_confirm(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    struct upload up;
    struct facts f;
    (void)r;
    int err = upload_find(w, q->a.token, &up, cert);
    if (err != OK)
        return err;
    err = may_come_in(v, w, up.address, slice_of(cert, up.len), &f, ret_text);
    if (err == OK && f.account != up.account)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = upload_done(w, q->a.token);
    return err == OK ? published_set(w, up.address, slice_of(cert, up.len), PUBLISH_VERIFIED) : err;
}
