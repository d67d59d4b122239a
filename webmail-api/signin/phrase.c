/* Signing in by a recovery phrase: its key signs a challenge. The phrase has 128 random bits, so nobody guesses it. */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

enum { CHALLENGE_SIZE = 32 };

struct start {
    char address[ADDRESS_MAX];
    struct api_person person;
};

static const struct json_in_member start_members[] = {
    {.name = "address", .kind = JSON_IN_TEXT, JSON_IN_AT(struct start, address)},
};
static const struct json_in_table start_table = JSON_IN_TABLE(struct start, start_members);

static int look(void *arg, struct view *v)
{
    struct start *s = arg;

    return api_person_look(v, s->address, &s->person);
}

static void start_paid(struct api_wait *w)
{
    struct start *s = (struct start *)w->body;
    struct api_exchange e = {.kind = API_BY_PHRASE, .since = (uint64_t)time(NULL)};
    uint8_t id[API_ID_SIZE];
    struct json_out o;

    if (view_run(w->api->p.view, look, s) != OK) {
        api_wait_problem(w, API_BUSY);
        return;
    }
    e.account = s->person.account;
    e.version = s->person.signin.version;
    randombytes_buf(e.seed, sizeof(e.seed));
    randombytes_buf(e.secret, CHALLENGE_SIZE);
    api_exchange_seal(w->api, &e, id);
    json_out_init(&o);
    json_out_octets(&o, "id", slice_of(id, sizeof(id)));
    json_out_octets(&o, "challenge", slice_of(e.secret, CHALLENGE_SIZE));
    api_answer(api_wait_end(w), 200, &o, NULL);
    secmem_wipe(&e, sizeof(e));
}

void api_phrase_start(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct start), &start_table);

    if (w)
        api_wait_price(w, start_paid);
}

/* ---- finish ---- */

struct finish {
    uint8_t id[API_ID_SIZE], signature[SIGNIN_SIGNATURE_SIZE];
    struct api_second second;
};

static const struct json_in_member finish_members[] = {
    {.name = "id", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct finish, id)},
    {.name = "signature", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct finish, signature)},
    API_SECOND_MEMBERS(struct finish),
};
static const struct json_in_table finish_table = JSON_IN_TABLE(struct finish, finish_members);

struct key {
    uint64_t account;
    struct signin signin;
};

static int look_key(void *arg, struct view *v)
{
    struct key *k = arg;
    int err = view_signin(v, k->account, &k->signin);

    return err == ERR_NOT_FOUND ? OK : err; /* zeros, which sign nothing */
}

static bool is_signed(const uint8_t key[SIGNIN_KEY_SIZE], const struct api_exchange *e,
                      const uint8_t signature[SIGNIN_SIGNATURE_SIZE])
{
    static const char label[] = "Letterlock phrase v1";
    uint8_t text[sizeof(label) - 1 + CHALLENGE_SIZE];

    memcpy(text, label, sizeof(label) - 1);
    memcpy(text + sizeof(label) - 1, e->secret, CHALLENGE_SIZE);
    return signin_signed(key, slice_of(text, sizeof(text)), signature);
}

static void finish(struct api_wait *w, const struct finish *f, const struct api_exchange *e)
{
    struct key k = {.account = e->account};
    int err = view_run(w->api->p.view, look_key, &k);

    if (err != OK)
        api_wait_problem(w, API_BUSY);
    else if (is_signed(k.signin.phrase_key, e, f->signature))
        api_enter(w, e, SESSION_PHRASE, &f->second);
    else
        api_wait_refused(w);
    secmem_wipe(&k, sizeof(k));
}

void api_phrase_finish(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct finish), &finish_table);
    struct api_exchange e;

    if (!w)
        return;
    const struct finish *f = (const struct finish *)w->body;
    if (!api_second_fits(w, &f->second))
        return;
    if (api_exchange_open(service, API_BY_PHRASE, f->id, &e) != OK) {
        api_wait_problem(w, API_OVER);
        return;
    }
    finish(w, f, &e);
    secmem_wipe(&e, sizeof(e));
}
