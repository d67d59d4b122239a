/* A password is registered, or another takes its place: OPAQUE's registration, the keys that sign for the owner, and
 * what is wrapped. Its first message is answered to whoever has an invitation or a session alone, and has its price as
 * signing in has: with it and a record passwords could be tried. Nothing of it is given back, since the second message
 * comes without the first: who changes a password of their own again and again would pay for guesses by that. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/format/parcel.h"
#include "webmail-api/signin/impl.h"

/* ---- whose it is to be ---- */

struct invited {
    const char *address;
    const uint8_t *token;
    uint64_t account;
    uint32_t serial; /* of what is registered; 0: nothing is */
};

static int look(void *arg, struct view *v)
{
    struct invited *i = arg;
    struct invitation there;
    struct signin s;
    uint64_t account;
    char name[ADDRESS_MAX];
    int err = view_login_name(v, i->address, strlen(i->address), &account, name);

    if (err == OK)
        err = view_invitation(v, i->token, (uint64_t)time(NULL), &there);
    if (err == OK && (account == VIEW_NOBODY || there.account != account))
        err = ERR_NOT_FOUND;
    if (err != OK)
        return err;
    err = view_signin(v, account, &s);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    i->account = account;
    i->serial = err == OK ? s.serial : 0;
    secmem_wipe(&s, sizeof(s));
    return i->serial && !there.reset ? ERR_NOT_FOUND : view_account_name(v, account, name);
}

static bool is_invited(struct api_wait *w, struct invited *i)
{
    int err = view_run(w->api->p.view, look, i);

    if (err == OK)
        return true;
    api_wait_problem(w, err == ERR_NOT_FOUND || err == ERR_UNAPPROVED ? API_INVITATION : API_BUSY);
    return false;
}

/* ---- start ---- */

struct start {
    char address[ADDRESS_MAX];
    uint8_t request[OPAQUE_REQUEST_SIZE], invite[INVITE_TOKEN_SIZE];
    bool has_address, has_invite;
    uint64_t account;
};

static const struct json_in_member start_members[] = {
    {.name = "address",
     .kind = JSON_IN_TEXT,
     JSON_IN_AT(struct start, address),
     .there = JSON_IN_FLAG(struct start, has_address)},
    {.name = "request", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct start, request)},
    {.name = "invite",
     .kind = JSON_IN_OCTETS,
     JSON_IN_AT(struct start, invite),
     .there = JSON_IN_FLAG(struct start, has_invite)},
};
static const struct json_in_table start_table = JSON_IN_TABLE(struct start, start_members);

static void start_paid(struct api_wait *w)
{
    struct start *s = (struct start *)w->body;
    uint8_t credential[API_CREDENTIAL_SIZE], response[OPAQUE_RESPONSE_SIZE];
    struct json_out o;

    if (s->has_invite) {
        struct invited i = {.address = s->address, .token = s->invite};
        if (!is_invited(w, &i))
            return;
        s->account = i.account;
    }
    api_credential(s->account, credential);
    if (opaque_register(w->api->opaque, slice_of(credential, sizeof(credential)), s->request, response) != OK) {
        api_wait_problem(w, API_UNFIT);
        return;
    }
    json_out_init(&o);
    json_out_octets(&o, "response", slice_of(response, sizeof(response)));
    json_out_number(&o, "profile", API_PROFILE);
    api_answer(api_wait_end(w), 200, &o, NULL);
}

/* With an invitation and an address, or with a session. */
void api_register_start(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct start), &start_table);
    struct api_caller c = {0};

    if (!w)
        return;
    struct start *s = (struct start *)w->body;
    if (s->has_invite != s->has_address) {
        api_wait_problem(w, API_INVITATION);
    } else if (s->has_invite) {
        api_wait_price(w, start_paid);
    } else if (api_wait_caller(w, &c)) {
        s->account = c.account;
        api_wait_price(w, start_paid);
    }
    secmem_wipe(&c, sizeof(c));
}

/* ---- what is to be kept ---- */

struct fresh {
    uint8_t record[OPAQUE_RECORD_SIZE];
    uint64_t profile;
    struct {
        uint8_t password[SIGNIN_KEY_SIZE], phrase[SIGNIN_KEY_SIZE];
        bool has_phrase;
    } keys;
    struct {
        JSON_SPAN(WRAPPED_MAX) password;
        JSON_SPAN(WRAPPED_MAX) phrase;
        bool has_password, has_phrase;
    } wrapped;
    /* register/finish */
    char address[ADDRESS_MAX];
    uint8_t invite[INVITE_TOKEN_SIZE];
    /* password */
    uint64_t serial;
    char by[16]; /* "password", "phrase" */
    uint8_t signature[SIGNIN_SIGNATURE_SIZE];
};
typedef __typeof__(((struct fresh *)0)->keys) fresh_keys;
typedef __typeof__(((struct fresh *)0)->wrapped) fresh_wrapped;

static const struct json_in_member keys_members[] = {
    {.name = "password", .kind = JSON_IN_OCTETS, JSON_IN_AT(fresh_keys, password)},
    {.name = "phrase",
     .kind = JSON_IN_OCTETS,
     JSON_IN_AT(fresh_keys, phrase),
     .there = JSON_IN_FLAG(fresh_keys, has_phrase)},
};
static const struct json_in_table keys_table = JSON_IN_TABLE(fresh_keys, keys_members);

static const struct json_in_member wrapped_members[] = {
    {.name = "password",
     .kind = JSON_IN_SPAN,
     JSON_IN_SPAN_AT(fresh_wrapped, password),
     .there = JSON_IN_FLAG(fresh_wrapped, has_password)},
    {.name = "phrase",
     .kind = JSON_IN_SPAN,
     JSON_IN_SPAN_AT(fresh_wrapped, phrase),
     .there = JSON_IN_FLAG(fresh_wrapped, has_phrase)},
};
static const struct json_in_table wrapped_table = JSON_IN_TABLE(fresh_wrapped, wrapped_members);

#define RECORD_MEMBERS                                                                                        \
    {.name = "record", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct fresh, record)},                             \
        {.name = "profile", .kind = JSON_IN_UNSIGNED, JSON_IN_AT(struct fresh, profile), .max = API_PROFILE}, \
        {.name = "keys", .kind = JSON_IN_OBJECT, JSON_IN_AT(struct fresh, keys), .table = &keys_table},       \
    {                                                                                                         \
        .name = "wrapped", .kind = JSON_IN_OBJECT, JSON_IN_AT(struct fresh, wrapped), .table = &wrapped_table \
    }

static const struct json_in_member register_members[] = {
    RECORD_MEMBERS,
    {.name = "address", .kind = JSON_IN_TEXT, JSON_IN_AT(struct fresh, address)},
    {.name = "invite", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct fresh, invite)},
};
static const struct json_in_table register_table = JSON_IN_TABLE(struct fresh, register_members);

static const struct json_in_member password_members[] = {
    RECORD_MEMBERS,
    {.name = "serial", .kind = JSON_IN_UNSIGNED, JSON_IN_AT(struct fresh, serial), .max = UINT32_MAX},
    {.name = "by", .kind = JSON_IN_TEXT, JSON_IN_AT(struct fresh, by)},
    {.name = "signature", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct fresh, signature)},
};
static const struct json_in_table password_table = JSON_IN_TABLE(struct fresh, password_members);

static bool is_fit(const struct fresh *f)
{
    return f->profile >= 1 && opaque_record_check(f->record) == OK && (!f->wrapped.has_phrase || f->keys.has_phrase);
}

/* The envelopes, one behind the other, as the vault takes them. -1: there are none. */
static int make_envelopes(const struct fresh *f, int *ret_fd)
{
    static uint8_t both[2 * WRAPPED_MAX];
    const size_t n = f->wrapped.password.len, m = f->wrapped.phrase.len;

    *ret_fd = -1;
    if (n + m == 0)
        return OK;
    memcpy(both, f->wrapped.password.data, n);
    memcpy(both + n, f->wrapped.phrase.data, m);
    return parcel_make_plain(both, n + m, ret_fd);
}

static void ask(struct api_wait *w, uint64_t account, const struct vault_signin *proof,
                void (*told)(struct api_wait *w, int status, const struct vault_reply *reply))
{
    const struct fresh *f = (const struct fresh *)w->body;
    struct vault_request q = {.type = VAULT_SIGNIN_SET, .account = account, .signin = *proof};
    int fd;

    q.signin.profile = (uint8_t)f->profile;
    memcpy(q.signin.record, f->record, sizeof(f->record));
    memcpy(q.signin.password_key, f->keys.password, sizeof(f->keys.password));
    memcpy(q.signin.phrase_key, f->keys.phrase, sizeof(f->keys.phrase));
    q.signin.password_len = (uint32_t)f->wrapped.password.len;
    q.signin.phrase_len = (uint32_t)f->wrapped.phrase.len;
    if (make_envelopes(f, &fd) != OK) {
        api_wait_problem(w, API_BUSY);
        return;
    }
    api_wait_vault(w, &q, fd, told);
    if (fd >= 0)
        close(fd);
}

/* ---- finish ---- */

static void registered(struct api_wait *w, int status, const struct vault_reply *reply)
{
    if (status != OK) {
        api_wait_problem(w, status == ERR_DENIED ? API_INVITATION : api_problem_of(status));
        return;
    }
    w->api->p.counts[API_REGISTERED]++;
    api_answer_empty(api_wait_end(w), NULL);
}

void api_register_finish(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct fresh), &register_table);
    struct vault_signin proof = {.proof = SIGNIN_BY_INVITATION};

    if (!w)
        return;
    const struct fresh *f = (const struct fresh *)w->body;
    struct invited i = {.address = f->address, .token = f->invite};
    if (!is_invited(w, &i))
        return;
    if (!is_fit(f)) {
        api_wait_problem(w, API_UNFIT);
        return;
    }
    proof.serial = i.serial;
    memcpy(proof.secret, f->invite, sizeof(f->invite));
    ask(w, i.account, &proof, registered);
    secmem_wipe(&proof, sizeof(proof));
}

/* ---- another password ---- */

static void changed(struct api_wait *w, int status, const struct vault_reply *reply)
{
    if (status != OK) {
        api_wait_problem(w, status == ERR_DENIED ? API_SIGNATURE : api_problem_of(status));
        return;
    }
    api_enter_again(w, reply->version);
}

void api_password(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct fresh), &password_table);
    struct api_caller *c;
    struct vault_signin proof = {0};

    if (!w || !(c = api_wait_state(w, sizeof(*c))) || !api_wait_caller(w, c))
        return;
    const struct fresh *f = (const struct fresh *)w->body;
    const bool by_phrase = strcmp(f->by, "phrase") == 0;
    if (!is_fit(f) || (!by_phrase && strcmp(f->by, "password") != 0)) {
        api_wait_problem(w, API_UNFIT);
        return;
    }
    proof.proof = by_phrase ? SIGNIN_BY_PHRASE : SIGNIN_BY_PASSWORD;
    proof.serial = (uint32_t)f->serial;
    memcpy(proof.secret, f->signature, sizeof(f->signature));
    ask(w, c->account, &proof, changed);
}
