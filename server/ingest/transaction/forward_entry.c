/* Return paths of ours, and what the queue has of mail that goes on. See forward.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/ingest/transaction/forward.h"
#include "server/ingest/transaction/forward_impl.h"
#include "server/mail/address.h"
#include "server/mail/downgrade.h"
#include "server/mailauth/srs.h"
#include "store/blob.h"

/* `relay` has this key too, but may send whatever it likes. */
static void srs_key(const struct ingest *in, uint8_t key[SRS_KEY_SIZE])
{
    const struct record_part part = {"srs", 3};

    _Static_assert((int)SRS_KEY_SIZE == (int)RECORD_KEY_SIZE, "a key of its own");
    record_subkey(view_keys(in->view), RECORD_QUEUE, 0, &part, 1, key);
}

/* As srs_make. */
static int bounce_path(const struct ingest *in, const char *domain, const char *sender, uint64_t now,
                       char out[ADDRESS_MAX])
{
    uint8_t key[SRS_KEY_SIZE];
    int err;

    srs_key(in, key);
    err = srs_make(key, domain, sender, now, out);
    explicit_bzero(key, sizeof(key));
    return err;
}

static int is_ours(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

int transaction_bounce_open(struct ingest *in, const char *address, char out[ADDRESS_MAX])
{
    const char *at = strrchr(address, '@');
    uint8_t key[SRS_KEY_SIZE];
    char domain[DOMAIN_CAP];
    int err;

    if (!in->enqueuer || !at || !srs_looks_so(address) ||
        address_domain_normalize(at + 1, strlen(at + 1), domain) != OK)
        return ERR_NOT_FOUND;
    err = view_run(in->view, is_ours, domain);
    if (err != OK)
        return err;
    srs_key(in, key);
    err = srs_open(key, domain, address, (uint64_t)time(NULL), out);
    explicit_bzero(key, sizeof(key));
    return err;
}

/* What is not ASCII in an envelope needs SMTPUTF8 as well (RFC 6531 section 3.4). */
static bool has_utf8(const char *s)
{
    while (*s && (unsigned char)*s < 0x80)
        s++;
    return *s != '\0';
}

/* What an envelope says of the mail itself; its from is there. */
static void queue_describe(const struct ingest *in, const struct iovec *mail, size_t n, uint64_t now,
                           const struct queue_recipient *to, struct queue_envelope *e)
{
    struct mail_shape shape;

    mail_shape(mail, n, &shape);
    e->queued_at = now;
    e->expires = now + in->config.queue_lifetime;
    e->body = shape.body_8bit ? QUEUE_8BIT : QUEUE_7BIT;
    e->smtputf8 |= has_utf8(to->to) || has_utf8(e->from);
}

void transaction_bounce_describe(const struct ingest *in, uint64_t id, const char *to, const struct iovec *mail,
                                 size_t n, uint64_t now, struct bounce *ret)
{
    *ret = (struct bounce){.to = {.state = QUEUE_QUEUED, .notify = SMTP_NOTIFY_NEVER}};
    strcpy(ret->to.to, to);
    ret->request = (struct enqueue_request){.recipients = &ret->to, .n = 1, .mail = mail, .mail_n = n};
    ret->request.envelope.id = id;
    queue_describe(in, mail, n, now, &ret->to, &ret->request.envelope);
}

/* ---- forwards ---- */

uint64_t transaction_forward_id(const struct transaction *t, const struct transaction_rcpt *r, const char *to)
{
    const char *sender = smtp_envelope(t->smtp)->sender;
    const struct record_part parts[] = {{"forward", 7},
                                        {sender, strlen(sender)},
                                        {r->given, strlen(r->given)},
                                        {to, strlen(to)},
                                        {t->content, sizeof(t->content)}};
    uint8_t hash[RECORD_HASH_SIZE];
    uint64_t id;

    record_hash(view_keys(t->in->view), RECORD_DELIVERY, r->account, parts, 5, hash);
    memcpy(&id, hash, sizeof(id));
    id %= BLOB_ID_MAX;
    return id ? id : 1;
}

/* ORCPT (RFC 3461 section 4.2): a DSN names the address that the sender knows. */
static void put_orcpt(const char *address, char out[QUEUE_ORCPT_MAX + 1])
{
    static const char type[] = "rfc822;";
    size_t n = sizeof(type) - 1;

    if (has_utf8(address)) /* another type (RFC 6533): none is said */
        return;
    memcpy(out, type, n);
    for (const char *s = address; *s && n + 3 <= QUEUE_ORCPT_MAX; s++)
        n += (size_t)snprintf(out + n, 4, *s > ' ' && *s < 0x7f && *s != '+' && *s != '=' ? "%c" : "+%02X", *s);
    out[n] = '\0';
}

/* RFC 3461 section 5.2.7.3 (a): what the sender asked to be told ended with the account; of a failure he is told. */
void transaction_forward_describe(const struct transaction *t, const struct transaction_rcpt *r, uint64_t id,
                                  const char *to, const struct iovec *mail, size_t n, struct bounce *ret)
{
    const struct smtp_envelope *env = smtp_envelope(t->smtp);
    struct queue_envelope *e = &ret->request.envelope;

    *ret = (struct bounce){.to = {.state = QUEUE_QUEUED, .notify = SMTP_NOTIFY_FAILURE}};
    strcpy(ret->to.to, to);
    put_orcpt(r->given, ret->to.orcpt);
    ret->request = (struct enqueue_request){.charged = r->account,
                                            .counts = true,
                                            .forwarded = true,
                                            .recipients = &ret->to,
                                            .n = 1,
                                            .mail = mail,
                                            .mail_n = n};
    *e = (struct queue_envelope){.id = id,
                                 .account = r->account,
                                 .smtputf8 = env->smtputf8,
                                 .tls = env->requiretls ? QUEUE_TLS_REQUIRED : QUEUE_TLS_USUAL};
    if (env->authenticated)
        strcpy(e->from, env->sender);
    else if (env->sender[0] && bounce_path(t->in, strrchr(r->primary, '@') + 1, env->sender, t->now, e->from) != OK)
        strcpy(e->from, r->primary); /* what cannot be written so comes back to whose mail it is */
    queue_describe(t->in, mail, n, t->now, &ret->to, e);
}
