/* What the keyserver has done by other roles: `ingest` writes to whoever is named in a certificate that came in, and
 * the vault publishes by the word out of that mail. What is asked of `ingest` is answered to nobody. */
#include <stdlib.h>
#include <string.h>

#include "keyserver/keyserver.h"
#include "server/base/debts.h"
#include "server/core/error.h"
#include "server/keys/upload.h"
#include "server/web/web.h"

enum {
    ASKED_MAX = 64, /* questions to `ingest` at a time */
    ASK_WAIT_MS = 15000,
    ASK_ANSWER_MS = 120000,
};

/* Certificates of submission addresses, which never change while the process lives. */
enum { KEYS_KEPT = 64 };
struct kept_key {
    char domain[DOMAIN_CAP]; /* "": none */
    size_t len;
    uint8_t cert[UPLOAD_KEY_MAX];
};

struct uploads {
    struct web *web;
    struct vault_client *vault;
    struct debts *debts;
    struct ask *ingest;
    struct keyserver_uploads seam;
    struct confirming *first;
    struct kept_key kept[KEYS_KEPT];
    size_t nkept; /* that were ever kept: the next one's place */
    struct asking *asking;
};

static bool wanted(void *arg)
{
    const struct uploads *u = arg;

    return u->web->config.certificate_uploads;
}

static bool may(void *arg, const struct sockaddr_storage *peer)
{
    struct uploads *u = arg;
    uint64_t wait;

    debts_take(u->debts, peer, loop_now_ms(u->web->loop), &wait);
    if (wait == 0) {
        u->web->counts[COUNT_WEB_UPLOADS]++;
        return true;
    }
    u->web->counts[COUNT_WEB_UPLOADS_REFUSED]++;
    return false;
}

/* ---- the mail ---- */

static void verified(void *arg, int status, struct unpack *body)
{
    struct uploads *u = arg;

    if (status == ERR_FULL || status == ERR_MEMORY || status == ERR_GONE || status == ERR_TIMEOUT || status == ERR_IO)
        u->web->counts[COUNT_WEB_VERIFY_FAILED]++;
}

static void verify(void *arg, const char *address, struct slice cert)
{
    static uint8_t payload[IPC_MAX];
    struct uploads *u = arg;
    struct pack p;
    int err;

    pack_init(&p, payload, sizeof(payload));
    err = keys_verify_pack(&p, &(struct upload_verify){slice_str(address), cert});
    if (err == OK)
        err = ask_send(u->ingest, UPLOAD_VERIFY, &p, NULL, 0, 0, verified, u, NULL);
    u->web->counts[COUNT_WEB_VERIFY_ASKED]++;
    if (err != OK)
        u->web->counts[COUNT_WEB_VERIFY_FAILED]++;
}

/* ---- the word ---- */

struct confirming {
    struct uploads *u;
    void (*done)(void *asker, int status);
    void *asker;
    uint64_t id;
    struct confirming *next, **at;
};

static void confirming_free(struct confirming *c)
{
    if (c->next)
        c->next->at = c->at;
    *c->at = c->next;
    free(c);
}

static void confirmed(void *arg, int status, struct unpack *body)
{
    struct confirming *c = arg;
    void (*done)(void *asker, int status) = c->done;
    void *asker = c->asker;

    if (status == OK)
        c->u->web->counts[COUNT_WEB_PUBLISHED]++;
    confirming_free(c);
    done(asker, status);
}

static int confirm(void *arg, const uint8_t token[UPLOAD_TOKEN_SIZE], void (*done)(void *asker, int status),
                   void *asker, uint64_t *ret_id)
{
    struct uploads *u = arg;
    struct vault_request q = {.type = VAULT_UPLOAD_CONFIRM};
    struct confirming *c = calloc(1, sizeof(*c));
    int err;

    if (!c)
        return ERR_MEMORY;
    memcpy(q.token, token, sizeof(q.token));
    *c = (struct confirming){.u = u, .done = done, .asker = asker, .next = u->first, .at = &u->first};
    err = vault_client_request(u->vault, &q, -1, confirmed, c, &c->id);
    if (err != OK) {
        free(c);
        return err;
    }
    if (c->next)
        c->next->at = &c->next;
    u->first = c;
    *ret_id = c->id;
    return OK;
}

static void forget(void *arg, uint64_t id)
{
    struct uploads *u = arg;
    struct confirming *c = u->first;

    while (c && c->id != id)
        c = c->next;
    if (!c)
        return;
    vault_client_forget(u->vault, id);
    confirming_free(c);
}

/* ---- keys of submission addresses ---- */

struct asking {
    struct uploads *u;
    char domain[DOMAIN_CAP];
    void (*done)(void *asker, int status, struct slice cert);
    void *asker;
    uint64_t id;
    struct asking *next, **at;
};

static void asking_free(struct asking *a)
{
    if (a->next)
        a->next->at = a->at;
    *a->at = a->next;
    free(a);
}

static void keep(struct uploads *u, const char *domain, struct slice cert)
{
    struct kept_key *k = &u->kept[u->nkept++ % KEYS_KEPT];

    memcpy(k->domain, domain, strlen(domain) + 1);
    memcpy(k->cert, cert.data, cert.len);
    k->len = cert.len;
}

static void told(void *arg, int status, struct unpack *body)
{
    struct asking *a = arg;
    struct uploads *u = a->u;
    void (*done)(void *asker, int status, struct slice cert) = a->done;
    void *asker = a->asker;
    struct slice cert = {0};

    if (status == OK) {
        cert = unpack_bytes(body, UPLOAD_KEY_MAX);
        if (!unpack_done(body) || !cert.len)
            status = ERR_FORMAT;
    }
    if (status == OK)
        keep(u, a->domain, cert);
    asking_free(a);
    done(asker, status, cert);
}

static int ask_key(struct uploads *u, struct asking *a)
{
    uint8_t payload[4 + DOMAIN_CAP];
    struct pack p;

    pack_init(&p, payload, sizeof(payload));
    pack_str(&p, a->domain);
    return ask_send(u->ingest, UPLOAD_KEY, &p, NULL, 0, ASK_AGAIN, told, a, &a->id);
}

static int submission_key(void *arg, const char *domain, void (*done)(void *asker, int status, struct slice cert),
                          void *asker, uint64_t *ret_id)
{
    struct uploads *u = arg;
    struct asking *a;
    int err;

    for (size_t i = 0; i < KEYS_KEPT; i++)
        if (strcmp(u->kept[i].domain, domain) == 0) {
            done(asker, OK, slice_of(u->kept[i].cert, u->kept[i].len));
            return OK;
        }
    a = calloc(1, sizeof(*a));
    if (!a)
        return ERR_MEMORY;
    *a = (struct asking){.u = u, .done = done, .asker = asker, .next = u->asking, .at = &u->asking};
    memcpy(a->domain, domain, strlen(domain) + 1);
    err = ask_key(u, a);
    if (err != OK) {
        free(a);
        return err;
    }
    if (a->next)
        a->next->at = &a->next;
    u->asking = a;
    *ret_id = a->id;
    return OK;
}

static void forget_key(void *arg, uint64_t id)
{
    struct uploads *u = arg;
    struct asking *a = u->asking;

    while (a && a->id != id)
        a = a->next;
    if (!a)
        return;
    ask_forget(u->ingest, id);
    asking_free(a);
}

/* ---- the whole ---- */

int uploads_create(struct web *web, struct vault_client *vault, struct tally *tally, struct uploads **ret)
{
    const struct ask_params p = {.peer = ROLE_INGEST,
                                 .reply = UPLOAD_REPLY,
                                 .max = ASKED_MAX,
                                 .wait_ms = ASK_WAIT_MS,
                                 .answer_ms = ASK_ANSWER_MS};
    struct uploads *u = calloc(1, sizeof(*u));

    if (!u)
        return ERR_MEMORY;
    u->web = web;
    u->vault = vault;
    u->debts = debts_create(tally, DEBTS_UPLOADS);
    u->ingest = ask_create(web->loop, &p);
    u->seam = (struct keyserver_uploads){wanted, may, verify, confirm, forget, submission_key, forget_key, u};
    if (!u->debts || !u->ingest) {
        uploads_destroy(u);
        return ERR_MEMORY;
    }
    debts_limits(u->debts, UPLOAD_PEER_BURST, UPLOAD_PEER_MINUTE);
    *ret = u;
    return OK;
}

void uploads_destroy(struct uploads *u)
{
    if (!u)
        return;
    while (u->first) {
        vault_client_forget(u->vault, u->first->id);
        confirming_free(u->first);
    }
    while (u->asking)
        asking_free(u->asking);
    ask_destroy(u->ingest);
    debts_destroy(u->debts);
    free(u);
}

void uploads_channel(struct uploads *u, int fd)
{
    ask_channel(u->ingest, fd);
}

const struct keyserver_uploads *uploads_of(const struct uploads *u)
{
    return &u->seam;
}
