/* See wks.h. */
#include "server/ingest/reserved/wks.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/wks_key.h"
#include "server/base/debts.h"
#include "server/core/error.h"
#include "server/format/find.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/verify/verify.h"
#include "server/keys/coming.h"
#include "server/ingest/verify/wks_words.h"

enum {
    MAIL_MAX = 512 * 1024, /* octets of a submission, */
    PLAIN_MAX = 256 * 1024 /* and of what is encrypted in it */
};

static int is_hosted(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

static const struct transaction_refusal refusals[] = {
    {ERR_LIMIT, 552, "5.3.4", "This is larger than a key submission may be", COUNT_SIZE, EVENT_REASON_TOO_LARGE},
    {ERR_FORMAT, 550, "5.6.0", "This is no key submission that is encrypted to this address's key", COUNT_FAILED,
     EVENT_REASON_OTHER},
    {ERR_AGAIN, 450, "4.7.1", "Too many key submissions; try again later", COUNT_DEFERRED, EVENT_REASON_ERRORS},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

/* ERR_FULL, ERR_MEMORY: not now, whoever has the address. */
static int send_in(struct transaction *t, const struct coming *c, const char *address)
{
    uint8_t *cert = malloc(PGP_PUBLISHED_MAX);
    size_t len;
    int err = cert ? OK : ERR_MEMORY;

    if (err == OK && keys_coming_for(c, address, cert, &len) == OK)
        err = verify_mailed(t->in, address, slice_of(cert, len));
    free(cert);
    return err;
}

/* For those of its addresses that are of domains here; whose domain it is, is no secret. */
static int send_in_all(struct transaction *t, const struct coming *c)
{
    int err = OK;

    for (size_t i = 0, n = 0; err == OK && !c->revoked && i < c->n && n < UPLOAD_VERIFY_MAX; i++)
        if (view_run(t->in->view, is_hosted, (void *)(uintptr_t)(strrchr(c->address[i], '@') + 1)) == OK) {
            err = send_in(t, c, c->address[i]);
            n++;
        }
    return err;
}

static int take_certificate(struct transaction *t, struct slice armoured)
{
    struct coming *c = calloc(1, sizeof(*c));
    const char *why;
    int err = c ? keys_coming_read(c, armoured, &why) : ERR_MEMORY;

    if (err != OK && err != ERR_MEMORY)
        err = ERR_FORMAT;
    if (err == OK)
        err = send_in_all(t, c);
    free(c);
    return err;
}

static void confirmed(void *arg, int status, struct unpack *body)
{
    struct ingest *in = arg;

    if (status == OK)
        count(in, COUNT_WKS_PUBLISHED);
}

/* By whom it comes does not matter: the token was in a mail to whose address it is. */
static int take_word(struct transaction *t, struct slice text)
{
    struct vault_request q = {.type = VAULT_UPLOAD_CONFIRM};
    int err = wks_response_read(text, q.token);

    if (err == OK)
        err = vault_client_request(t->in->depositor.vault, &q, -1, confirmed, t->in, NULL);
    explicit_bzero(&q, sizeof(q));
    return err;
}

/* What was encrypted is a part of a message (section 4.2). body: of so many octets as plain. */
static int take_plain(struct transaction *t, struct slice plain, uint8_t *body)
{
    static const struct {
        const char *type;
        int (*take)(struct transaction *t, struct slice body);
    } rows[] = {
        {"application/pgp-keys", take_certificate},
        {WKS_TYPE, take_word},
    };
    size_t len;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (pgp_find_part(plain, rows[i].type, body, plain.len, &len) == OK)
            return rows[i].take(t, slice_of(body, len));
    return ERR_FORMAT;
}

struct room {
    uint8_t mail[MAIL_MAX], packets[MAIL_MAX], plain[PLAIN_MAX], body[PLAIN_MAX];
};

static int open_mail(struct transaction *t, struct room *m)
{
    struct pgp_decrypt_key key;
    struct pgp_found found;
    uint8_t cert[WKS_CERT_MAX];
    size_t n = transaction_mail_top(&t->mail, m->mail, sizeof(m->mail)), len;

    if (pgp_find_message(m->mail, n, m->packets, sizeof(m->packets), &found) != OK)
        return ERR_FORMAT;
    int err = wks_key_make(view_keys(t->in->view), t->reserved_domain, cert, &len, &key);
    if (err == OK)
        err = pgp_decrypt(&key, slice_of(m->packets, found.len), m->plain, sizeof(m->plain), &len);
    explicit_bzero(&key, sizeof(key));
    if (err != OK)
        return err == ERR_MEMORY || err == ERR_LIMIT ? err : ERR_FORMAT;
    return take_plain(t, slice_of(m->plain, len), m->body);
}

static int take(struct transaction *t)
{
    struct room *m;
    uint64_t wait;
    int err;

    debts_take(t->in->submissions, smtp_session_peer(t->session), loop_now_ms(t->in->loop), &wait);
    if (wait)
        return ERR_AGAIN;
    if (t->msg.len > MAIL_MAX)
        return ERR_LIMIT;
    err = transaction_take_content(t);
    if (err != OK)
        return err;
    m = secmem_map(sizeof(*m));
    if (!m)
        return ERR_MEMORY;
    err = open_mail(t, m);
    secmem_unmap(m, sizeof(*m));
    return err;
}

void wks_take(struct transaction *t)
{
    int err = take(t);

    if (err == OK) {
        count(t->in, COUNT_WKS);
        transaction_accept_all(t);
    } else {
        transaction_refuse_all(t, refusals, err);
    }
}
