#include "server/ingest/mx/peer_key.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "keyserver/discover/discover.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/autocrypt.h"
#include "server/mail/header.h"
#include "store/client.h"

enum { DAY = 86400, HEAD_MAX = 64 * 1024, KEYDATA_MAX = 32 * 1024 /* in base64: more is never kept */ };

/* ---- the rule ---- */

static bool same_cert(const struct correspondent *c, const struct peer_key *k)
{
    return c->len == k->len && memcmp(c->cert, k->cert, k->len) == 0;
}

static void take(struct correspondent *c, const struct peer_key *k)
{
    c->key =
        (struct correspondent_key){.from = KNOWN_AUTOCRYPT, .fpr_len = k->verdict->primary_fpr_len, .since = k->date};
    memcpy(c->key.fpr, k->verdict->primary_fpr, c->key.fpr_len);
    c->seen = k->date;
    c->len = (uint32_t)k->len;
    c->verdict = *k->verdict;
    memcpy(c->cert, k->cert, k->len);
}

bool mx_peer_key_rule(struct correspondent *c, bool any, const struct peer_key *k, uint64_t now)
{
    const bool over = any && c->verdict.enc_expires && c->verdict.enc_expires <= now;
    const bool same = any && c->key.fpr_len == k->verdict->primary_fpr_len &&
                      memcmp(c->key.fpr, k->verdict->primary_fpr, c->key.fpr_len) == 0;
    bool mutual = k->mutual;

    if (any && k->date < c->key.since) /* an older mail changes nothing */
        return false;
    if (any && !same && !over && !k->proven)
        return false;
    if (same && !k->proven) /* and one that is not proven makes no wish for encrypted mail undone */
        mutual |= c->mutual;
    if (same && same_cert(c, k) && mutual == c->mutual && k->date < c->seen + DAY)
        return false;
    if (same && k->verdict->signed_at < c->verdict.signed_at)
        return false;
    take(c, k);
    c->mutual = mutual;
    return true;
}

/* ---- in a transaction ---- */

struct work {
    struct transaction *t;
    struct header_field fields[HEADER_FIELDS_MAX];
    uint8_t head[HEAD_MAX], key[KEYDATA_MAX];
    char author[ADDRESS_MAX];
    struct peer_key found;
    struct pgp_verdict verdict;
    uint64_t account;
    struct correspondent c;
    uint8_t seen[CORRESPONDENT_SEEN], packed[CORRESPONDENT_PACKED_MAX];
};

static bool seals(struct view *v, uint64_t account)
{
    struct schema_account a;
    const bool yes = account && view_account(v, account, &a) == OK && a.encrypt != ENCRYPT_NEVER;

    explicit_bzero(&a, sizeof(a));
    return yes;
}

/* 1: one of them does. */
static int any_seals(void *arg, struct view *v)
{
    const struct transaction *t = arg;

    for (size_t i = 0; i < t->n; i++)
        if (seals(v, t->rcpts[i].account))
            return 1;
    return 0;
}

static int read_record(void *arg, struct view *v)
{
    struct work *w = arg;

    if (!seals(v, w->account))
        return ERR_DENIED;
    return view_correspondent(v, w->account, CORRESPONDENT_INCOMING, w->author, &w->c, w->seen);
}

static void ignore(void *arg, int status, struct unpack *body)
{
    (void)arg;
    (void)status;
    (void)body;
}

static void keep_for(struct work *w, uint64_t account)
{
    struct vault_request q = {.type = VAULT_CORRESPONDENT_PUT, .account = account};
    size_t len;
    int err;

    w->account = account;
    err = view_run(w->t->in->view, read_record, w);
    if (err != OK && err != ERR_NOT_FOUND && err != ERR_FORMAT && err != ERR_CRYPTO)
        return;
    if (err != OK) {
        memset(&w->c, 0, offsetof(struct correspondent, cert));
        memcpy(w->c.address, w->author, sizeof(w->c.address));
    }
    if (!mx_peer_key_rule(&w->c, err == OK, &w->found, w->t->now) || correspondent_pack(&w->c, w->packed, &len) != OK)
        return;
    q.correspondent = (struct vault_correspondent){CORRESPONDENT_INCOMING, w->seen, slice_of(w->packed, len)};
    (void)vault_client_request(w->t->in->depositor.vault, &q, -1, ignore, NULL, NULL);
}

static int is_ours(void *arg, struct view *v)
{
    return view_domain_known(v, strrchr(arg, '@') + 1);
}

/* Of people here the accounts' keys are all there are. */
static int find(struct work *w, uint8_t **ret_cert)
{
    struct header_view head;
    struct autocrypt field;
    size_t len;
    int err = header_parse(w->head, transaction_mail_top(&w->t->mail, w->head, HEAD_MAX), w->fields, HEADER_FIELDS_MAX,
                           &head);

    if (err == OK)
        err = autocrypt_find(&head, (int64_t)w->t->now, &field);
    if (err != OK || field.keydata.len > KEYDATA_MAX || field.date < 0)
        return err != OK ? err : ERR_LIMIT;
    memcpy(w->author, field.address, sizeof(w->author));
    err = view_run(w->t->in->view, is_ours, w->author);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_EXISTS : err;
    err = autocrypt_decode(&field, w->key, &len);
    if (err == OK)
        err = discover_judge(w->author, w->t->now, PEER_KEY_SIGNATURES_MAX, slice_of(w->key, len), ret_cert, &len,
                             &w->verdict);
    if (err != OK)
        return err;
    w->found = (struct peer_key){
        .date = (uint64_t)field.date, .mutual = field.mutual, .cert = *ret_cert, .len = len, .verdict = &w->verdict};
    return len <= CORRESPONDENT_CERT_MAX ? OK : ERR_LIMIT;
}

void mx_take_peer_key(struct transaction *t, bool proven)
{
    uint8_t *cert = NULL;
    struct work *w;

    if (view_run(t->in->view, any_seals, t) != 1)
        return;
    w = secmem_map(sizeof(*w));
    if (!w)
        return;
    w->t = t;
    if (find(w, &cert) == OK) {
        w->found.proven = proven;
        for (size_t i = 0; i < t->n; i++)
            if (t->rcpts[i].account)
                keep_for(w, t->rcpts[i].account);
    }
    free(cert);
    secmem_unmap(w, sizeof(*w));
}
