/* What is published for an address: the one request by which the directory changes. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/published_impl.h"
#include "store/vault/vault.h"

/* That the certificate is one of the account's, by its primary key, retired or not. */
static int is_its_own(struct store_write *w, uint64_t account, const struct pgp_published_key *primary)
{
    struct schema_keybuf kb;
    struct slice there;
    int err = engine_get(w->t, account, key_certificate(&kb, w->keys, account, primary->fpr, primary->fpr_len), &there);
    return err == ERR_NOT_FOUND ? ERR_DENIED : err;
}

/* Who may be found by this address, and with what, the store says and not who asks. */
static int may_publish(struct store_write *w, const char *address, struct slice cert, const char **ret_text)
{
    struct schema_address a;
    struct schema_account account;
    struct pgp_published p;
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
    if (!wanted) {
        *ret_text = "its account does not want to be found";
        return ERR_DENIED;
    }
    err = pgp_published_read(cert.data, cert.len, &p);
    if (err != OK) {
        *ret_text = "the certificate is not fit to be published";
        return err == ERR_FORMAT ? ERR_REFUSED : err;
    }
    err = is_its_own(w, a.account, &p.key[0]);
    if (err == ERR_DENIED)
        *ret_text = "the certificate is none of the account's";
    return err;
}

int run_key_publish(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_publish *a = &q->a.publish;
    char own[ADDRESS_MAX];
    size_t at, plus;
    (void)v;
    (void)r;
    if (address_normalize((const char *)a->address.data, a->address.len, own, &at, &plus) != OK) {
        *ret_text = "not a mail address";
        return ERR_FORMAT;
    }
    int err = a->cert.len ? may_publish(w, own, a->cert, ret_text) : OK;
    if (err == OK)
        err = published_set(w, own, a->cert, a->why);
    if (err == ERR_REFUSED && *ret_text == NULL)
        *ret_text = "the certificate is not of this address alone";
    return err;
}
