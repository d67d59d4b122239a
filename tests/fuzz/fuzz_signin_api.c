/* What strangers send to sign in: any body, number and token, for each row, over the vault's own code and a store that
 * has an account. Each is answered once, or not at all if its client has gone, by one of the words of docs/api.md;
 * nobody is let in without what only the owner could have made. Commits are aborts, so every input meets the same
 * store. Input: octet: which row; octet: bit 0 another type of body, bits 1 and 2 the token, bit 3 no field against
 * CSRF, bit 4 the client goes, bits 5 to 7 what stands for a number; the body, in which the octets of enum filled stand
 * for what a client would have. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/core/base64url.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/http/router.h"
#include "store/account.h"
#include "store/approve.h"
#include "store/engine_impl.h"
#include "store/vault/vault.h"
#include "webmail-api/signin/impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 300, BODY_MAX = 2 * JSON_IN_MAX };

static struct loop *loop;
static struct engine *engine;
static struct engine_ops forgetful;
static struct record_keys *keys;
static struct vault *vault;
static int end;
static struct api *api;
static struct config config = {.web_signin = true, .session_idle = 86400, .session_life = 86400};
static uint64_t counts[API_COUNTS];
static uint8_t phrase_secret[crypto_sign_SECRETKEYBYTES];
static uint8_t token[SESSION_TOKEN_SIZE], invite[INVITE_TOKEN_SIZE], record[OPAQUE_RECORD_SIZE];
static uint64_t now;

static void must(bool holds)
{
    bug_if(!holds);
}

static uint64_t clock_of_start(void)
{
    return now;
}

static int commit_nothing(struct engine_txn *t)
{
    engine_group_abort(t);
    return OK;
}

/* ---- the vault, at once ---- */

static int ask(const struct vault_request *q, int fd, struct unpack *ret)
{
    static uint8_t sent[IPC_MAX], reply[IPC_MAX];
    char text[256];
    struct ipc_msg m;
    struct pack p;
    int own = fd < 0 ? -1 : dup(fd);

    pack_init(&p, sent, sizeof(sent));
    vault_request_pack(&p, q);
    must(!p.failed);
    must(vault_take(vault, vault->clients, q->type, 1, slice_of(p.data, p.len), &own) == OK);
    if (own >= 0)
        close(own);
    vault_run(vault);
    do
        must(ipc_recv_blocking(end, reply, &m, 0) == OK);
    while (m.type != VAULT_REPLY);
    unpack_init(ret, m.payload.data, m.payload.len);
    const int status = -(int)unpack_u32(ret);
    unpack_str(ret, text, sizeof(text));
    return status;
}

/* ---- who it speaks to: what it asked for is kept, and comes once its handler is done ---- */

static struct {
    login_done_fn *done;
    void *arg;
} price;
static struct {
    vault_reply_fn *fn;
    void *arg;
    struct vault_request q;
    int status;
    struct unpack body;
} told;
static unsigned forgiven;

int __wrap_login_price(struct login *g, const struct sockaddr_storage *peer, login_done_fn *done, void *arg,
                       struct login_try **ret);
void __wrap_login_forgive(struct login *g, const struct sockaddr_storage *peer, const uint8_t exchange[]);
void __wrap_login_cancel(struct login_try *t);
int __wrap_vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn,
                                void *arg, uint64_t *ret_id);
void __wrap_vault_client_forget(struct vault_client *c, uint64_t id);

int __wrap_login_price(struct login *g, const struct sockaddr_storage *peer, login_done_fn *done, void *arg,
                       struct login_try **ret)
{
    must(!price.done && peer);
    price.done = done;
    price.arg = arg;
    *ret = (struct login_try *)&price;
    return OK;
}

void __wrap_login_forgive(struct login *g, const struct sockaddr_storage *peer, const uint8_t exchange[])
{
    forgiven++;
}

void __wrap_login_cancel(struct login_try *t)
{
    must((void *)t == &price && price.done);
    price.done = NULL;
}

int __wrap_vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn,
                                void *arg, uint64_t *ret_id)
{
    must(!told.fn);
    told.fn = fn;
    told.arg = arg;
    told.status = ask(q, fd, &told.body);
    if (ret_id)
        *ret_id = 1;
    return OK;
}

void __wrap_vault_client_forget(struct vault_client *c, uint64_t id)
{
    must(told.fn && id == 1);
    told.fn = NULL;
}

/* ---- the store ---- */

static void add_account(void)
{
    static const uint8_t store_key[32] = {1};
    struct pgp_verdict v = {.primary_fpr_len = 20, .enc_fpr_len = 20, .native = true};
    struct vault_request add = {.type = VAULT_ACCOUNT_ADD,
                                .new = {.address = slice_str("alice@example.org"), .quota = 1 << 20, .cert_len = 4}};
    struct view *view = NULL;
    struct unpack none;
    int fd;

    memset(v.primary_fpr, 3, 20);
    memset(v.enc_fpr, 4, 20);
    add.new.verdict = v;
    must(ask(&(struct vault_request){.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")}, -1, &none) ==
         OK);
    must(parcel_make_plain("cert", 4, &fd) == OK && view_over(engine, keys, &view) == OK);
    must(approve(view, store_key, &add, slice_of("cert", 4)) == OK);
    view_close(view);
    must(ask(&add, fd, &none) == OK);
    close(fd);
}

static void sign_up(void)
{
    const uint8_t scalar[crypto_core_ristretto255_SCALARBYTES] = {1}, seed[crypto_sign_SEEDBYTES] = {7};
    struct vault_request q = {.type = VAULT_INVITE_PUT,
                              .account = PART_ACCOUNT_FIRST,
                              .invite = {.until = now + 86400, .uses = 2, .reset = true}};
    struct unpack none;
    uint64_t account;

    invitation_hash(keys, invite, q.invite.hash);
    must(ask(&q, -1, &none) == OK);
    q = (struct vault_request){.type = VAULT_SIGNIN_SET, .account = PART_ACCOUNT_FIRST};
    q.signin = (struct vault_signin){.proof = SIGNIN_BY_INVITATION, .profile = 1, .password_key = {1}};
    must(crypto_scalarmult_ristretto255_base(record, scalar) == 0);
    memcpy(q.signin.record, record, sizeof(record));
    crypto_sign_seed_keypair(q.signin.phrase_key, phrase_secret, seed);
    must(ask(&q, -1, &none) == OK);
    session_token(PART_ACCOUNT_FIRST, token);
    q = (struct vault_request){.type = VAULT_SESSION_ADD, .account = PART_ACCOUNT_FIRST};
    q.session = (struct vault_session){.version = 1, .how = SESSION_PASSWORD, .until = now + 86400};
    session_hash(keys, token, &account, q.session.hash);
    must(ask(&q, -1, &none) == OK);
}

static void up(void)
{
    static const uint8_t store_key[32] = {1};
    struct api_params p = {.config = &config, .counts = counts};
    int pair[2];

    event_init("fuzz", LOG_LEVEL_ERROR, false);
    now = (uint64_t)time(NULL);
    loop = loop_create();
    keys = record_keys_of_root(store_key);
    must(engine_mem_create(&engine) == OK && store_init(engine, keys, now) == OK);
    must(vault_create(loop, engine, keys, 1 << 20, 1000, &vault) == OK);
    vault->clock = clock_of_start;
    must(ipc_pair(pair) == OK && vault_client_add(vault, pair[0], ~0u) == OK);
    end = pair[1];
    add_account();
    sign_up();
    forgetful = *engine->ops;
    forgetful.group_commit = commit_nothing;
    engine->ops = &forgetful;
    must(view_over(engine, keys, &p.view) == OK && api_create(&p, &api) == OK);
    vault->clients->who = VAULT_MAY_WEB;
}

/* ---- what a client would have ---- */

enum filled { ID = 1, KE3, PHRASE_ID, SIGNATURE, INVITE, RECORD, KE1, FILLED };

static void fill(enum filled what, char ret[TEXT_MAX * 2])
{
    static const uint8_t label[] = "Letterlock phrase v1";
    struct api_exchange e = {.kind = what == ID ? API_BY_OPAQUE : API_BY_PHRASE,
                             .account = PART_ACCOUNT_FIRST,
                             .version = 1,
                             .since = (uint64_t)time(NULL)};
    uint8_t id[API_ID_SIZE], text[sizeof(label) - 1 + 32] = {0}, made[OPAQUE_KE1_SIZE] = {0};
    struct slice s = slice_of(id, sizeof(id));

    memset(e.secret, what == ID ? 9 : 0, sizeof(e.secret));
    switch (what) {
    case KE3:
        memset(made, 9, OPAQUE_KE3_SIZE);
        s = slice_of(made, OPAQUE_KE3_SIZE);
        break;
    case SIGNATURE:
        memcpy(text, label, sizeof(label) - 1);
        crypto_sign_detached(made, NULL, text, sizeof(text), phrase_secret);
        s = slice_of(made, SIGNIN_SIGNATURE_SIZE);
        break;
    case INVITE: s = slice_of(invite, sizeof(invite)); break;
    case RECORD: s = slice_of(record, sizeof(record)); break;
    case KE1:
        memcpy(made, record, 32);
        memcpy(made + 64, record, 32);
        s = slice_of(made, sizeof(made));
        break;
    default: api_exchange_seal(api, &e, id);
    }
    base64url_write(s, ret);
}

/* ret_used: a bit for each of enum filled. */
static size_t write_body(const uint8_t *in, size_t len, char *out, unsigned *ret_used)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n < BODY_MAX - 2 * TEXT_MAX; i++) {
        if (in[i] == 0 || in[i] >= FILLED) {
            out[n++] = (char)in[i];
            continue;
        }
        *ret_used |= 1u << in[i];
        fill(in[i], out + n);
        n += strlen(out + n);
    }
    return n;
}

/* ---- asking ---- */

struct asked {
    struct http_exchange x;
    unsigned times, status;
    bool token; /* it is given one */
};

static bool is_in(struct slice text, const char *word)
{
    return text.len && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

static void answer(struct http_exchange *x, const struct http_reply *r)
{
    struct asked *a = (struct asked *)x;

    a->times++;
    a->status = r->status;
    must(r->nfields >= 1 && strcmp(r->fields[0].value, "no-store") == 0);
    must((r->status == 204) == (r->body.len == 0) && (!r->body.len || r->body.data[0] == '{'));
    must(r->status < 300 || is_in(r->body, "urn:letterlock:error:"));
    must(r->status < 300 || r->nfields == 1);
    a->token = is_in(r->body, "\"token\"") || (r->nfields > 1 && is_in(slice_str(r->fields[1].value), "Max-Age=86400"));
}

/* Everything that it waits for comes, or its client goes. */
static void see_through(struct asked *a, bool goes)
{
    while (a->times == 0 && (price.done || told.fn)) {
        if (goes) {
            a->x.gone(a->x.gone_arg);
            must(!price.done && !told.fn);
            return;
        }
        if (price.done) {
            login_done_fn *done = price.done;
            price.done = NULL;
            done(price.arg, OK, NULL);
        } else {
            vault_reply_fn *fn = told.fn;
            told.fn = NULL;
            fn(told.arg, told.status, &told.body);
        }
    }
    told.fn = NULL; /* a note that nobody waits for */
    must(a->times == 1 && !price.done);
}

static bool is_one_of(unsigned status)
{
    static const unsigned all[] = {200, 204, 400, 401, 403, 404, 409, 410, 415, 422, 503};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (status == all[i])
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const numbers[] = {"current", "1", "2", "0", "-1", "4294967296", "99999999999999999999", "x"};
    static char body[BODY_MAX + 2 * TEXT_MAX], bearer[64] = "Bearer ", cookie[96] = COOKIE_NAME "=";
    static struct sockaddr_storage peer;
    struct http_field fields[2] = {{CSRF_FIELD, "1"}};
    struct asked a = {.x = {.answer = answer}};
    struct http_request r = {.tls = true, .peer = &peer, .host = "example.org", .fields = fields, .nfields = 1};
    unsigned used = 0;

    if (!api)
        up();
    if (size < 2)
        return 0;
    const struct http_routes rows = api_routes(api);
    const struct http_route *row = &rows.rows[data[0] % rows.n];
    const unsigned bits = data[1], by = bits >> 1 & 3;
    r.method = row->methods;
    r.path = row->pattern;
    r.params[0] = slice_str(numbers[bits >> 5]);
    if (row->body_max) {
        const size_t len = write_body(data + 2, size - 2, body, &used);
        if (len > row->body_max)
            return 0; /* whoever serves sees to that */
        r.body = slice_of(body, len);
        r.type = bits & 1 ? "text/plain" : "application/json";
    }
    if (bits & 8)
        r.nfields = 0;
    base64url_write(slice_of(token, sizeof(token)), by == 1 ? bearer + 7 : cookie + sizeof(COOKIE_NAME "=") - 1);
    if (by == 3)
        cookie[sizeof(COOKIE_NAME "=") - 1] ^= 1; /* another account's number */
    if (by)
        fields[r.nfields++] =
            by == 1 ? (struct http_field){"Authorization", bearer} : (struct http_field){"Cookie", cookie};
    gate_forget(vault->gate);
    vault->hot_account = 0;
    forgiven = 0;
    row->handle(api, &a.x, &r);
    see_through(&a, bits & 16);
    must(a.times == 0 || is_one_of(a.status));
    must(!a.token || (used & (1u << KE3) && used & (1u << ID)) ||
         (used & (1u << PHRASE_ID) && used & (1u << SIGNATURE)));
    must(forgiven <= 1 && (!forgiven || a.token));
    must(a.status / 100 != 2 || row->body_max || by == 1 || by == 2);
    return 0;
}
