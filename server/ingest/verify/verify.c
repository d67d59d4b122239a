/* See verify.h. */
#include "server/ingest/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_judge.h"
#include "crypto/wks_key.h"
#include "server/base/ipc.h"
#include "server/core/error.h"
#include "server/ingest/verify/verify_mail.h"
#include "server/keys/upload.h"
#include "store/client.h"

_Static_assert((int)WKS_CERT_MAX <= (int)UPLOAD_KEY_MAX, "UPLOAD_KEY");
enum { WAITING_MAX = 64 /* of one channel */, DAY = 86400 };

struct job {
    struct job *next;
    uint64_t id; /* of the question */
    char address[ADDRESS_MAX], primary[ADDRESS_MAX];
    uint64_t account;
    struct pgp_published read;
    struct pgp_recipient *seals; /* NULL: the account's own key will do */
    char mail[VERIFY_MAIL_MAX];
    bool by_mail, own; /* how it came; whether the account has its key */
    size_t mail_len, cert_len;
    struct iovec piece;
    uint8_t cert[];
};

/* One channel; or what came by mail, which has none. */
struct verify {
    struct verify *next, **at;
    struct ingest *in;
    struct ipc *channel;
    struct job *first, **end; /* that wait; the first is under way while `busy` */
    size_t waiting;
    bool busy, asked;
    uint64_t question; /* to the vault, while `asked` */
    struct deposit *deposit;
    struct defer turn;
    struct idle stall;
};

static void job_free(struct job *j)
{
    pgp_recipient_destroy(j->seals);
    explicit_bzero(j, sizeof(*j)); /* the link */
    free(j);
}

static void reply(struct verify *v, uint64_t id, int status)
{
    uint8_t out[64];
    struct pack p;

    if (!v->channel)
        return;
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    (void)ipc_send(v->channel, UPLOAD_REPLY, id, p.data, p.len, NULL, 0);
}

static void take_turn(void *arg);

/* The first has its answer; the others have their turn. */
static void finish(struct verify *v, int status)
{
    struct job *j = v->first;

    idle_cancel(&v->stall);
    v->deposit = NULL;
    v->asked = v->busy = false;
    v->first = j->next;
    if (!v->first)
        v->end = &v->first;
    v->waiting--;
    reply(v, j->id, status);
    job_free(j);
    if (v->first)
        defer_set(v->in->loop, &v->turn, take_turn, v);
}

/* What is under way may still be done: the upload then waits for nobody, until its day is over. */
static void give_up(struct verify *v)
{
    if (v->deposit)
        deposit_cancel(v->deposit);
    if (v->asked)
        vault_client_forget(v->in->depositor.vault, v->question);
}

static void stalled(struct idle *idle)
{
    struct verify *v = (struct verify *)((char *)idle - offsetof(struct verify, stall));

    give_up(v);
    finish(v, ERR_TIMEOUT);
}

/* ---- the mail ---- */

static void sealed(void *arg, const struct seal_result *r)
{
    struct verify *v = arg;

    count(v->in, COUNT_SEALED);
    idle_touch(v->in->loop, &v->stall);
}

static void deposited(void *arg, int status, const struct deposit_result *r)
{
    struct verify *v = arg;

    if (status == OK)
        count(v->in, COUNT_VERIFY_MAILS);
    finish(v, status);
}

static int write_mail(struct verify *v, struct job *j, const uint8_t token[UPLOAD_TOKEN_SIZE], uint64_t now)
{
    const struct config *c = &v->in->config;
    const uint32_t port = listeners_table[LISTEN_HTTPS].port + c->port_base;
    char link[VERIFY_LINK_MAX], text[UPLOAD_TOKEN_TEXT], at[16] = "";
    struct verify_mail m = {.address = j->address,
                            .link = link,
                            .fpr_len = j->read.key[0].fpr_len,
                            .seals = j->seals,
                            .own = j->own,
                            .token = j->by_mail ? token : NULL,
                            .checksum = j->read.key[0].version < 6,
                            .now = now,
                            .until = now + DAY};
    int err;

    keys_token_write(token, text);
    if (c->port_base)
        snprintf(at, sizeof(at), ":%u", (unsigned)port);
    snprintf(link, sizeof(link), "https://%s%s/verify/%s", c->domain, at, text);
    memcpy(m.fpr, j->read.key[0].fpr, sizeof(m.fpr));
    err = verify_mail(&m, j->mail, &j->mail_len);
    explicit_bzero(link, sizeof(link));
    explicit_bzero(text, sizeof(text));
    return err;
}

static int send_mail(struct verify *v, struct job *j, const uint8_t token[UPLOAD_TOKEN_SIZE])
{
    static const struct deposit_hooks hooks = {.sealed = sealed, .done = deposited};
    const uint64_t now = (uint64_t)time(NULL);
    int err = write_mail(v, j, token, now);

    if (err != OK)
        return err;
    j->piece = (struct iovec){j->mail, j->mail_len};
    struct deposit_request q = {
        .seal = {.account = j->account,
                 .primary = j->primary,
                 .mail = &j->piece,
                 .mail_n = 1,
                 .mail_len = j->mail_len,
                 .return_path = "",
                 .received = "",
                 .auth_results = "",
                 .tls = "",
                 .now = now,
                 .date = (int64_t)now},
        .store = {.type = VAULT_DELIVER, .mailbox = MAILBOX_INBOX, .deliver.internaldate = (int64_t)now},
    };
    return deposit_start(&v->in->depositor, &q, &hooks, v, &v->deposit);
}

/* ---- it waits in the vault ---- */

static void added(void *arg, int status, struct unpack *body)
{
    struct verify *v = arg;
    struct vault_reply r;

    v->asked = false;
    if (status == OK)
        status = vault_reply_unpack(VAULT_UPLOAD_ADD, body, &r);
    if (status == OK)
        status = send_mail(v, v->first, r.token);
    explicit_bzero(&r, sizeof(r));
    if (status != OK)
        finish(v, status);
}

/* ---- whose it could be ---- */

struct looking {
    struct job *j;
    struct schema_key keys[PGP_KEYS_MAX];
    bool own;
};

static int look_up(void *arg, struct view *v)
{
    struct looking *l = arg;
    struct job *j = l->j;
    struct schema_address to;
    struct schema_account a;
    size_t n = 0;
    int err = view_address(v, j->address, &to);

    if (err == OK && to.kind == ADDRESS_CATCH_ALL)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = view_account(v, to.account, &a);
    if (err == OK && a.unpublished)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = view_keys_read(v, to.account, l->keys, &n);
    if (err != OK)
        return err;
    j->account = to.account;
    memcpy(j->primary, a.address, sizeof(j->primary));
    explicit_bzero(&a, sizeof(a));
    l->own = false;
    for (size_t i = 0; i < n; i++)
        l->own |= l->keys[i].state == KEY_CURRENT && l->keys[i].verdict.primary_fpr_len == j->read.key[0].fpr_len &&
                  !memcmp(l->keys[i].verdict.primary_fpr, j->read.key[0].fpr, j->read.key[0].fpr_len);
    return OK;
}

/* Another key has to be one that we can seal to, by our own judgement. */
static int prepare(struct job *j)
{
    struct pgp_judged *judged = calloc(1, sizeof(*judged));
    int err = judged ? pgp_judge(j->cert, j->cert_len, (uint64_t)time(NULL), judged) : ERR_MEMORY;

    if (err == OK)
        err = pgp_recipient_create(j->cert, j->cert_len, &judged->verdict, &j->seals);
    free(judged);
    return err == OK || err == ERR_MEMORY ? err : ERR_NO_KEY;
}

static int ask_vault(struct verify *v, struct job *j)
{
    const struct vault_request q = {.type = VAULT_UPLOAD_ADD,
                                    .publish = {.address = slice_str(j->address),
                                                .cert = slice_of(j->cert, j->cert_len)}};
    int err = vault_client_request(v->in->depositor.vault, &q, -1, added, v, &v->question);

    v->asked = err == OK;
    return err;
}

static int start(struct verify *v, struct job *j)
{
    struct looking *l = calloc(1, sizeof(*l));
    int err = l ? pgp_published_read(j->cert, j->cert_len, &j->read) : ERR_MEMORY;

    if (err == OK) {
        l->j = j;
        err = view_run(v->in->view, look_up, l);
    }
    j->own = err == OK && l->own;
    if (err == OK && !j->own && !v->in->config.certificate_uploads_other)
        err = ERR_DENIED;
    if (err == OK && (!j->own || j->by_mail))
        err = prepare(j);
    free(l);
    if (err != OK)
        return err;
    idle_set(v->in->loop, &v->stall, v->in->stall_ms, stalled);
    return ask_vault(v, j);
}

static void take_turn(void *arg)
{
    struct verify *v = arg;
    int err;

    if (v->busy || !v->first)
        return;
    v->busy = true;
    err = start(v, v->first);
    if (err != OK)
        finish(v, err);
}

/* ---- the channel ---- */

/* ERR_FULL, ERR_MEMORY. */
static int add(struct verify *v, const char *address, struct slice cert, uint64_t id)
{
    struct job *j = v->waiting == WAITING_MAX ? NULL : calloc(1, sizeof(*j) + cert.len);

    if (!j)
        return v->waiting == WAITING_MAX ? ERR_FULL : ERR_MEMORY;
    j->id = id;
    j->by_mail = !v->channel;
    memcpy(j->address, address, strlen(address) + 1);
    memcpy(j->cert, cert.data, cert.len);
    j->cert_len = cert.len;
    *v->end = j;
    v->end = &j->next;
    v->waiting++;
    if (!v->busy)
        defer_set(v->in->loop, &v->turn, take_turn, v);
    return OK;
}

static int take_verify(struct verify *v, struct unpack *in, uint64_t id)
{
    struct upload_verify u;
    char address[ADDRESS_MAX];
    size_t at, plus;
    int err;

    if (keys_verify_unpack(in, &u) != OK ||
        address_normalize((const char *)u.address.data, u.address.len, address, &at, &plus) != OK)
        return ERR_FORMAT;
    err = add(v, address, u.cert, id);
    if (err != OK)
        reply(v, id, err);
    return OK;
}

/* The certificate of a domain's submission address, for whoever asks `web`. */
static int take_key(struct verify *v, struct unpack *in, uint64_t id)
{
    uint8_t out[64 + WKS_CERT_MAX], cert[WKS_CERT_MAX];
    char domain[DOMAIN_CAP];
    struct pack p;
    size_t len = 0;
    const struct slice name = unpack_bytes(in, sizeof(domain) - 1);
    int err;

    if (!unpack_done(in) || address_domain_normalize((const char *)name.data, name.len, domain) != OK)
        return ERR_FORMAT;
    err = wks_key_make(view_keys(v->in->view), domain, cert, &len, NULL);
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-err);
    pack_str(&p, "");
    if (err == OK)
        pack_bytes(&p, cert, len);
    (void)ipc_send(v->channel, UPLOAD_REPLY, id, p.data, p.len, NULL, 0);
    return OK;
}

static int on_message(void *arg, struct ipc_msg *m)
{
    struct verify *v = arg;
    struct unpack in;

    unpack_init(&in, m->payload.data, m->payload.len);
    if (m->nfds)
        return ERR_FORMAT;
    return m->type == UPLOAD_VERIFY ? take_verify(v, &in, m->id)
           : m->type == UPLOAD_KEY  ? take_key(v, &in, m->id)
                                    : ERR_FORMAT;
}

static void destroy(struct verify *v)
{
    defer_cancel(v->in->loop, &v->turn);
    idle_cancel(&v->stall);
    give_up(v);
    while (v->first) {
        struct job *j = v->first;
        v->first = j->next;
        job_free(j);
    }
    ipc_destroy(v->channel);
    *v->at = v->next;
    if (v->next)
        v->next->at = v->at;
    free(v);
}

static void on_close(void *arg)
{
    destroy(arg);
}

static struct verify *create(struct ingest *in)
{
    struct verify *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    *v = (struct verify){.in = in, .next = in->verifies, .at = &in->verifies};
    v->end = &v->first;
    if (v->next)
        v->next->at = &v->next;
    in->verifies = v;
    return v;
}

void verify_open(struct ingest *in, int fd)
{
    static const struct ipc_ops ops = {.on_message = on_message, .on_close = on_close};
    struct verify *v = create(in);

    if (!v) {
        close(fd);
        return;
    }
    v->channel = ipc_create(in->loop, fd, &ops, v);
    if (!v->channel)
        destroy(v);
}

int verify_mailed(struct ingest *in, const char *address, struct slice cert)
{
    struct verify *v = in->verifies;

    while (v && v->channel)
        v = v->next;
    if (!v)
        v = create(in);
    return v ? add(v, address, cert, 0) : ERR_MEMORY;
}

void verify_close_all(struct ingest *in)
{
    while (in->verifies)
        destroy(in->verifies);
}
