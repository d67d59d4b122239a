/* Requests of the administrator: accounts, addresses, domains, keys, app passwords, and what follows a restore. */
#include <string.h>

#include "server/core/error.h"
#include "store/account.h"
#include "store/vault/vault.h"

enum { ENCLOSED_MAX = PGP_CERT_MAX + PARCEL_SLACK };

struct name {
    char text[ADDRESS_MAX];
};

static struct name name_take(struct slice text)
{
    struct name n = {{0}};
    memcpy(n.text, text.data, text.len); /* the unpacking saw that it fits */
    return n;
}

static int say(int err, int when, const char *sentence, const char **ret_text)
{
    if (err == when)
        *ret_text = sentence;
    return err;
}

/* A certificate of exactly the length that was announced. */
static int cert_open(int fd, uint32_t len, struct parcel *ret, const char **ret_text)
{
    int err = parcel_open_plain(fd, PGP_CERT_MAX, ret);
    if (err == OK && ret->map_len != len) {
        parcel_close(ret);
        err = ERR_REFUSED;
    }
    return say(err, ERR_REFUSED, "the certificate did not come as a sealed memfd of the stated length", ret_text);
}

/* ---- accounts are made and removed in steps (store/account.h) ---- */

struct making {
    struct account_new new;
    uint64_t account;
};

static int step_begin(struct vault *v, struct store_write *w, void *arg)
{
    struct making *m = arg;
    return account_begin(w, &m->new, &m->account);
}

static int step_fill(struct vault *v, struct store_write *w, void *arg)
{
    struct making *m = arg;
    w->account = m->account;
    return account_fill(w, &m->new);
}

static int step_list(struct vault *v, struct store_write *w, void *arg)
{
    struct making *m = arg;
    w->account = m->account;
    int err = account_list(w, &m->new);
    if (err == OK)
        vault_changed(v, m->account, 0, 0, 0);
    return err;
}

static const char RESERVED[] = "the server takes mail to that address itself: what others send in, or report";

int run_account_add(struct vault *v, struct store_write *none, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    static vault_step_fn *const steps[] = {step_begin, step_fill, step_list};
    const struct vault_account *a = &q->a.new;
    struct name name = name_take(a->address);
    struct parcel cert;
    int err = cert_open(q->fd, a->cert_len, &cert, ret_text);
    if (err != OK)
        return err;
    struct making m = {.new = {.address = name.text,
                               .policy = a->policy,
                               .quota = a->quota,
                               .trial = a->trial,
                               .unpublished = !a->publish,
                               .no_autocrypt = !a->autocrypt,
                               .verdict = a->verdict,
                               .cert = slice_of(cert.map, cert.map_len),
                               .expected = q->a.account,
                               .approval = q->a.approval}};
    for (size_t i = 0; err == OK && i < sizeof(steps) / sizeof(steps[0]); i++)
        err = vault_step(v, steps[i], &m);
    parcel_close(&cert);
    r->account = m.account;
    say(err, ERR_EXISTS, "the address is taken: account list and alias list show whose it is", ret_text);
    say(err, ERR_NOT_FOUND, "not one of this server's domains", ret_text);
    say(err, ERR_CONFLICT,
        "the number that comes next is an account's already: the store was changed; letterlock audit", ret_text);
    say(err, ERR_REFUSED, RESERVED, ret_text);
    return say(err, ERR_FORMAT, "not a mail address", ret_text);
}

static int step_unlist(struct vault *v, struct store_write *w, void *arg)
{
    w->account = *(const uint64_t *)arg;
    return account_unlist(w);
}

static int step_close(struct vault *v, struct store_write *w, void *arg)
{
    w->account = *(const uint64_t *)arg;
    int err = account_close(w);
    if (err == OK)
        vault_changed(v, w->account, 0, 0, 0);
    return err;
}

/* No number is given out twice, so a mark that stays does no harm. */
static int step_let_go(struct vault *v, struct store_write *w, void *arg)
{
    struct schema_keybuf kb;
    (void)v;
    w->wrote = true;
    int err = engine_del(w->t, PART_QUEUE, key_u64(&kb, 'H', *(const uint64_t *)arg));
    return err == ERR_NOT_FOUND ? OK : err;
}

int run_account_remove(struct vault *v, struct store_write *none, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    int err = vault_step(v, step_unlist, &q->a.account);
    if (err == OK)
        (void)vault_step(v, step_close, &q->a.account); /* else the erasure does it, a moment later */
    if (err == OK && vault_step(v, step_let_go, &q->a.account) == OK)
        (void)queue_count(v);
    return say(err, ERR_NOT_FOUND, "no such account", ret_text);
}

int run_account_set(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    return say(account_set(w, &q->a.new, &q->a.approval), ERR_NOT_FOUND, "no such account", ret_text);
}

int run_address_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    struct name name = name_take(q->a.name.text);
    int err = address_add(w, name.text, q->a.name.kind, q->a.approval.address);
    say(err, ERR_EXISTS, "the address is taken: account list and alias list show whose it is", ret_text);
    say(err, ERR_NOT_FOUND, "no such account, or not one of this server's domains", ret_text);
    say(err, ERR_DENIED, "it is not the account's own address", ret_text);
    say(err, ERR_REFUSED, RESERVED, ret_text);
    return say(err, ERR_FORMAT, "not a mail address", ret_text);
}

int run_address_remove(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    struct name name = name_take(q->a.name.text);
    int err = address_remove(w, name.text);
    say(err, ERR_NOT_FOUND, "no such address: alias list shows them", ret_text);
    say(err, ERR_FORMAT, "not a mail address", ret_text);
    return say(err, ERR_DENIED, "it is the account's own address: remove the account instead", ret_text);
}

int run_domain_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    struct name name = name_take(q->a.name.text);
    int err = domain_add(w, name.text);
    say(err, ERR_EXISTS, "the domain is there already", ret_text);
    return say(err, ERR_FORMAT, "not a domain", ret_text);
}

int run_domain_remove(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                      const char **ret_text)
{
    struct name name = name_take(q->a.name.text);
    int err = domain_remove(w, name.text);
    say(err, ERR_NOT_FOUND, "no such domain", ret_text);
    say(err, ERR_FORMAT, "not a domain", ret_text);
    return say(err, ERR_CONFLICT, "there are addresses in it: remove its accounts and aliases first", ret_text);
}

static const char OLDER[] = "it is an older copy than the one that is kept: export it again where the key is kept; if "
                            "its encryption key is lost there, make a new one first";
static const char TOGETHER[] = "no engine seals to it and another current key together: retire that one first";

/* What comes with a key that becomes current: its certificate, and behind it the notice to the others. */
struct enclosed {
    struct parcel whole, notice;
    struct slice cert;
    bool has_notice;
};

static int enclosed_open(const struct request *q, struct enclosed *ret, const char **ret_text)
{
    const struct vault_key *k = &q->a.key;
    struct enclosed e = {.has_notice = k->told.how == VAULT_TOLD};
    if (k->cert_len == 0 && !e.has_notice) {
        *ret = e;
        return OK;
    }
    int err = q->fd < 0 ? ERR_REFUSED : parcel_open_plain(q->fd, ENCLOSED_MAX, &e.whole);
    if (err == OK && (e.whole.map_len < k->cert_len || (!e.has_notice && e.whole.map_len != k->cert_len)))
        err = ERR_REFUSED;
    if (err == OK) {
        e.cert = slice_of(e.whole.map, k->cert_len);
        if (e.has_notice)
            err = parcel_read(slice_of(e.whole.map + k->cert_len, e.whole.map_len - k->cert_len), &e.notice);
    }
    if (err != OK) {
        parcel_close(&e.whole);
        return say(err, ERR_REFUSED, "certificate or notice did not come as a sealed memfd of the stated length",
                   ret_text);
    }
    *ret = e;
    return OK;
}

/* Before it counts: the gate holds the notice against the keys that are current until then. */
static int tell_others(struct vault *v, struct store_write *w, const struct request *q, const struct enclosed *e,
                       bool must, const char **ret_text)
{
    if (e->has_notice)
        return deliver_notice(v, w, &q->a.key.told, &e->notice, ret_text);
    if (!must)
        return OK;
    *ret_text = "the account's other keys have not been told of it";
    return ERR_REFUSED;
}

static int key_add(struct vault *v, struct store_write *w, const struct request *q, const struct enclosed *e,
                   const char **ret_text)
{
    const struct vault_key *k = &q->a.key;
    struct schema_account account;
    bool must;
    int err = say(schema_get_account(w->t, w->keys, w->account, &account), ERR_NOT_FOUND, "no such account", ret_text);
    if (err == OK)
        err = account_key_may_add(w, &account, &k->verdict, e->cert, &q->a.approval, &must);
    if (err == OK)
        err = tell_others(v, w, q, e, must, ret_text);
    if (err == OK)
        err = account_key_add(w, &account, &k->verdict, e->cert, &q->a.approval);
    return err;
}

int run_key_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    struct enclosed e;
    int err = enclosed_open(q, &e, ret_text);
    if (err != OK)
        return err;
    err = key_add(v, w, q, &e, ret_text);
    parcel_close(&e.whole);
    say(err, ERR_DENIED, "it has been revoked, which cannot be taken back: make a new key", ret_text);
    say(err, ERR_CONFLICT, OLDER, ret_text);
    say(err, ERR_UNSUPPORTED, TOGETHER, ret_text);
    return say(err, ERR_LIMIT, "the account has as many keys as it may have", ret_text);
}

static int key_state(struct store_write *w, const struct request *q, enum key_state to, struct slice cert,
                     const char **ret_text)
{
    int err = account_key_state(w, q->a.key.fpr.data, q->a.key.fpr.len, to, cert, &q->a.approval);
    return say(err, ERR_NOT_FOUND, "no such key", ret_text);
}

int run_key_retire(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    int err = key_state(w, q, KEY_RETIRED, slice_of("", 0), ret_text);
    return say(err, ERR_CONFLICT, "it is the last current key: add another one first", ret_text);
}

int run_key_current(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    struct enclosed e;
    bool must;
    int err = enclosed_open(q, &e, ret_text);
    if (err != OK)
        return err;
    err = account_key_may_be_current(w, q->a.key.fpr.data, q->a.key.fpr.len, &q->a.approval, &must);
    if (err == OK)
        err = tell_others(v, w, q, &e, must, ret_text);
    if (err == OK)
        err = key_state(w, q, KEY_CURRENT, slice_of("", 0), ret_text);
    parcel_close(&e.whole);
    say(err, ERR_NOT_FOUND, "no such key", ret_text);
    say(err, ERR_DENIED, "it has been revoked, which cannot be taken back: make a new key", ret_text);
    say(err, ERR_UNSUPPORTED, TOGETHER, ret_text);
    return say(err, ERR_LIMIT, "the account has as many current keys as it may have", ret_text);
}

int run_key_revoked(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    struct parcel cert;
    int err = cert_open(q->fd, q->a.key.cert_len, &cert, ret_text);
    if (err != OK)
        return err;
    err = key_state(w, q, KEY_REVOKED, slice_of(cert.map, cert.map_len), ret_text);
    parcel_close(&cert);
    return err;
}

int run_key_enc_revoked(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                        const char **ret_text)
{
    return key_state(w, q, KEY_ENC_REVOKED, slice_of("", 0), ret_text);
}

/* Message and mark in one commit: a notice comes once, whoever dies when. */
int run_key_notice(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                   const char **ret_text)
{
    struct schema_key key;
    struct slice fpr = q->a.deliver.notice.fpr;
    int err = account_key_notice_due(w, fpr.data, fpr.len, q->a.deliver.notice.events, q->a.deliver.notice.keys_version,
                                     &key);
    if (err == ERR_EXISTS) {
        r->delivered.duplicate = true;
        return OK;
    }
    if (err == OK)
        err = run_deliver(v, w, q, r, ret_text);
    if (err != OK)
        return err;
    w->wrote = true;
    return schema_put_key(w->t, w->keys, w->account, &key);
}

int run_password_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    const struct vault_app_password *a = &q->a.password;
    struct schema_app_password p = {.scope = a->scope, .created = w->now};
    memcpy(p.stored_key, a->stored_key, sizeof(p.stored_key));
    memcpy(p.server_key, a->server_key, sizeof(p.server_key));
    memcpy(p.label, a->label.data, a->label.len);
    int err = vault_owner_asks(w, q, ret_text);
    if (err != OK)
        return err;
    err = account_password_add(w, a->hash, &p);
    r->number = p.number;
    say(err, ERR_NOT_FOUND, "no such account", ret_text);
    return say(err, ERR_LIMIT, "the account has as many app passwords as it may have", ret_text);
}

int run_password_revoke(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                        const char **ret_text)
{
    int err = vault_owner_asks(w, q, ret_text);
    if (err != OK)
        return err;
    return say(account_password_revoke(w, q->a.password.number), ERR_NOT_FOUND,
               "no such app password: app-password list shows their numbers", ret_text);
}

/* ---- after a restore ---- */

struct restoring {
    uint64_t next;
    bool again; /* from the first account on */
};

static int step_mark(struct vault *v, struct store_write *w, void *arg)
{
    struct restoring *s = arg;
    if (s->again)
        s->next = PART_ACCOUNT_FIRST;
    s->again = false;
    return restored_mark(w, s->next);
}

static int step_look(struct vault *v, struct store_write *w, void *arg)
{
    return restored_next(w, &((struct restoring *)arg)->next);
}

static int step_accounts(struct vault *v, struct store_write *w, void *arg)
{
    struct restoring *s = arg;
    return restored_accounts(w, s->next, &s->next);
}

static int restore_all(struct vault *v, struct restoring *s)
{
    int err = OK;
    while (err == OK && s->next != 0) {
        err = vault_step(v, step_accounts, s);
        if (err == OK)
            err = vault_step(v, step_mark, s);
    }
    return err;
}

int vault_restored(struct vault *v)
{
    struct restoring s = {0};
    int err = vault_step(v, step_look, &s);
    return err == OK ? restore_all(v, &s) : err;
}

int run_restored(struct vault *v, struct store_write *none, struct request *q, struct vault_reply *r,
                 const char **ret_text)
{
    struct restoring s = {.again = true};
    int err = vault_step(v, step_mark, &s);
    return err == OK ? restore_all(v, &s) : err;
}
