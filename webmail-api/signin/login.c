/* Signing in by a password that is not told: OPAQUE (RFC 9807). */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

/* ---- start ---- */

struct start {
    char address[ADDRESS_MAX];
    uint8_t ke1[OPAQUE_KE1_SIZE];
    struct api_person person;
};

static const struct json_in_member start_members[] = {
    {.name = "address", .kind = JSON_IN_TEXT, JSON_IN_AT(struct start, address)},
    {.name = "ke1", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct start, ke1)},
};
static const struct json_in_table start_table = JSON_IN_TABLE(struct start, start_members);

static int look(void *arg, struct view *v)
{
    struct start *s = arg;

    return api_person_look(v, s->address, &s->person);
}

static void answer_start(struct api_wait *w, const struct api_exchange *e, const uint8_t ke2[OPAQUE_KE2_SIZE])
{
    const struct start *s = (const struct start *)w->body;
    const uint8_t profile = s->person.signin.profile;
    uint8_t id[API_ID_SIZE];
    struct json_out o;

    api_exchange_seal(w->api, e, id);
    json_out_init(&o);
    json_out_octets(&o, "id", slice_of(id, sizeof(id)));
    json_out_octets(&o, "ke2", slice_of(ke2, OPAQUE_KE2_SIZE));
    json_out_number(&o, "profile", profile);
    api_answer(api_wait_end(w), 200, &o, NULL);
}

static void start_paid(struct api_wait *w)
{
    struct start *s = (struct start *)w->body;
    struct api_exchange e = {.kind = API_BY_OPAQUE, .since = (uint64_t)time(NULL)};
    uint8_t random[OPAQUE_RANDOM_SIZE], ke2[OPAQUE_KE2_SIZE], credential[API_CREDENTIAL_SIZE];
    struct opaque_login l;
    int err = view_run(w->api->p.view, look, s);

    if (err != OK) {
        api_wait_problem(w, API_BUSY);
        return;
    }
    api_credential(s->person.credential, credential);
    randombytes_buf(random, sizeof(random));
    err = opaque_login_start(w->api->opaque, NULL, slice_of(credential, sizeof(credential)), s->person.signin.record,
                             s->ke1, random, ke2, &l);
    secmem_wipe(random, sizeof(random));
    if (err != OK) {
        api_wait_problem(w, API_UNFIT);
        return;
    }
    e.account = s->person.account;
    e.version = s->person.signin.version;
    randombytes_buf(e.seed, sizeof(e.seed));
    memcpy(e.secret, l.client_mac, sizeof(l.client_mac));
    secmem_wipe(&l, sizeof(l));
    answer_start(w, &e, ke2);
    secmem_wipe(&e, sizeof(e));
}

void api_login_start(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct start), &start_table);

    if (w)
        api_wait_price(w, start_paid);
}

/* ---- finish ---- */

struct finish {
    uint8_t id[API_ID_SIZE], ke3[OPAQUE_KE3_SIZE];
    struct api_second second;
};

static const struct json_in_member finish_members[] = {
    {.name = "id", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct finish, id)},
    {.name = "ke3", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct finish, ke3)},
    API_SECOND_MEMBERS(struct finish),
};
static const struct json_in_table finish_table = JSON_IN_TABLE(struct finish, finish_members);

void api_login_finish(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct finish), &finish_table);
    struct api_exchange e;
    struct opaque_login l = {0};

    if (!w)
        return;
    const struct finish *f = (const struct finish *)w->body;
    if (!api_second_fits(w, &f->second))
        return;
    if (api_exchange_open(service, API_BY_OPAQUE, f->id, &e) != OK) {
        api_wait_problem(w, API_OVER);
        return;
    }
    memcpy(l.client_mac, e.secret, sizeof(l.client_mac));
    if (opaque_login_finish(&l, f->ke3) == OK)
        api_enter(w, &e, SESSION_PASSWORD, &f->second);
    else
        api_wait_refused(w);
    secmem_wipe(&l, sizeof(l));
    secmem_wipe(&e, sizeof(e));
}
