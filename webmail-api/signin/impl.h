/* Between the files of signing in. Layers, each of which needs only those before it:
 *   answer    what is answered, and what was asked, read
 *   wait      a request that is answered later: what it waits for
 *   exchange  what an id remembers
 *   person    what a name has registered
 *   caller    whose session a request is of
 *   factor    whether a second factor is right
 *   enter     somebody has proven who it is: second factors, and the session
 *   login, phrase, register, sessions, factor_add, app_passwords  the rows */
#ifndef SIGNIN_IMPL_H
#define SIGNIN_IMPL_H

#include "crypto/opaque.h"
#include "store/signin.h"
#include "webmail-api/json/json_in.h"
#include "webmail-api/json/json_out.h"
#include "webmail-api/session/cookie.h"
#include "webmail-api/signin/api.h"

struct api_wait;

struct api {
    struct api_params p;
    struct opaque_server *opaque; /* in secret memory */
    struct api_wait *first;
};

/* ---- answer.c ---- */

enum { API_ANSWER_MAX = 1024 * 1024, API_TEXT_MAX = 64 };

/* What is wrong, and the words for it: docs/api.md has them all. */
enum api_problem {
    API_LOGIN,      /* 401: this did not sign anybody in, whatever is wrong */
    API_SESSION,    /* 401: there is none */
    API_FACTOR,     /* 401: all is right so far, and a second factor is wanted */
    API_OVER,       /* 410: an exchange that is over, or none of ours */
    API_INVITATION, /* 403 */
    API_SIGNATURE,  /* 403: it is not the owner's */
    API_ORIGIN,     /* 403: a page of somebody else's asks */
    API_MISSING,    /* 404 */
    API_CHANGED,    /* 409: something else came in between */
    API_FULL,       /* 409: there are as many as there may be */
    API_UNFIT,      /* 422: a record, key or envelope that is none */
    API_BUSY,       /* 503 */
};
/* The session's cookie comes with it, or goes: NULL leaves it alone. */
void api_answer(struct http_exchange *x, unsigned status, struct json_out *o, const char *cookie);
void api_answer_empty(struct http_exchange *x, const char *cookie); /* 204 */
void api_answer_problem(struct http_exchange *x, enum api_problem p);
enum api_problem api_problem_of(int err); /* of what a view or the vault answered */

/* Whether any of this is to be had; if not, that was said. */
bool api_open(const struct api *a, struct http_exchange *x);
/* Which one a path names; false: none that could be. */
bool api_read_number(struct slice text, uint32_t *ret);
/* The body, by a table; false: what is wrong was answered. The caller wipes ret in any case. */
bool api_read(struct http_exchange *x, const struct http_request *r, const struct json_in_table *t, void *ret);

/* ---- wait.c ---- */

/* A request that waits. Its memory is wiped at its end, which comes with its answer or with the client's going. */
struct api_wait {
    struct api *api;
    struct http_exchange *x;
    const struct http_request *r; /* until the answer */
    struct login_try *try;        /* what it waits for */
    bool asked;
    uint64_t id;
    enum vault_msg type;
    void (*paid)(struct api_wait *w);
    void (*told)(struct api_wait *w, int status, const struct vault_reply *reply); /* reply: with OK alone */
    struct api_wait *next, **at;
    void *state; /* what comes after the body was read: zeros at first */
    size_t state_size, size;
    _Alignas(16) uint8_t body[]; /* the row's own, zeros at first */
};
/* NULL: no memory, which was answered. */
struct api_wait *api_wait_begin(struct api *a, struct http_exchange *x, const struct http_request *r, size_t size);
/* The same once the body was read; NULL: something was wrong, and answered. */
struct api_wait *api_wait_open(struct api *a, struct http_exchange *x, const struct http_request *r, size_t size,
                               const struct json_in_table *t);
/* Instead of the one before. NULL: no memory, which was answered, and w has ended. */
void *api_wait_state(struct api_wait *w, size_t size);
struct http_exchange *api_wait_end(struct api_wait *w); /* for the one answer */
void api_wait_problem(struct api_wait *w, enum api_problem p);
void api_wait_refused(struct api_wait *w); /* the one answer to whoever is not signed in */
/* Goes on with paid, in one of the loop's next turns, or answers that it cannot. */
void api_wait_price(struct api_wait *w, void (*paid)(struct api_wait *w));
/* Goes on with told. fd: or -1. */
void api_wait_vault(struct api_wait *w, const struct vault_request *q, int fd,
                    void (*told)(struct api_wait *w, int status, const struct vault_reply *reply));

/* ---- exchange.c ---- */

enum api_exchange_kind { API_BY_OPAQUE = 1, API_BY_PHRASE, API_ADDS_TOTP };
enum {
    API_SEED_SIZE = 24, /* the random part of the session's token: whoever ends an exchange twice has one session */
    API_EXCHANGE_SECONDS = 60,
    API_ADDING_SECONDS = 600, /* to scan a picture and type a code */
    API_EXCHANGE_PACKED = 1 + 8 + 4 + 8 + API_SEED_SIZE + 64,
    API_ID_SIZE = API_EXCHANGE_PACKED + RECORD_OVERHEAD
};
struct api_exchange {
    uint8_t kind;
    uint64_t account; /* VIEW_NOBODY: of nobody */
    uint32_t version; /* of the record that it began with */
    uint64_t since;
    uint8_t seed[API_SEED_SIZE];
    uint8_t secret[64]; /* the MAC that KE3 has to be; or in front of zeros the challenge, or an app's secret */
};
void api_exchange_seal(const struct api *a, const struct api_exchange *e, uint8_t ret[API_ID_SIZE]);
/* ERR_DENIED: it is none of ours, of another kind, or over. */
int api_exchange_open(const struct api *a, enum api_exchange_kind kind, const uint8_t id[API_ID_SIZE],
                      struct api_exchange *ret);

/* ---- person.c ---- */

enum { API_PROFILE = 1 /* of stretching: the newest, which new records have */, API_CREDENTIAL_SIZE = 8 };
struct api_person {
    uint64_t account;    /* VIEW_NOBODY: nobody is registered by that name */
    uint64_t credential; /* of OPAQUE */
    struct signin signin;
};
/* In a snapshot. Not OK: a shortage. The caller wipes ret. */
int api_person_look(struct view *v, const char *address, struct api_person *ret);
void api_credential(uint64_t credential, uint8_t ret[API_CREDENTIAL_SIZE]);

/* ---- caller.c ---- */

struct api_caller {
    enum credentials_kind by;
    uint64_t account;
    uint8_t token[SESSION_TOKEN_SIZE], hash[RECORD_HASH_SIZE];
    struct session session;
    struct signin signin;
};
/* false: that there is no session was answered, and w has ended. The caller wipes ret. */
bool api_caller_read(struct api *a, struct http_exchange *x, const struct http_request *r, struct api_caller *ret);
bool api_wait_caller(struct api_wait *w, struct api_caller *ret);

/* ---- what comes besides (factor.c, enter.c) ---- */

enum { API_TOTP_MAX = 16, API_CODE_MAX = 40 };
struct api_second { /* what came besides */
    bool has_totp, has_code, has_label, has_cookie;
    bool cookie; /* the token is wanted as one */
    char totp[API_TOTP_MAX], code[API_CODE_MAX], label[LABEL_MAX];
};
#define API_SECOND_ONE(type, member, field, how)                                                                     \
    {                                                                                                                \
        .name = member, .kind = how, JSON_IN_AT(type, second.field), .there = JSON_IN_FLAG(type, second.has_##field) \
    }
/* Of a struct whose member `second` it is. */
#define API_SECOND_MEMBERS(type)                                                                        \
    API_SECOND_ONE(type, "totp", totp, JSON_IN_TEXT), API_SECOND_ONE(type, "code", code, JSON_IN_TEXT), \
        API_SECOND_ONE(type, "label", label, JSON_IN_TEXT), API_SECOND_ONE(type, "cookie", cookie, JSON_IN_BOOL)
/* ---- factor.c ---- */

/* Whether what came is right by this one, and then what the vault has to take, so that it is good once. */
bool api_factor_fits(const struct api *a, uint64_t account, const struct factor *f, const struct api_second *s,
                     struct vault_factor *ret);
uint8_t api_factor_how(uint8_t kind); /* enum session_how */
struct api_factor_set {
    uint64_t account;
    size_t n;
    int err[FACTORS_MAX]; /* of each: not OK, it is damaged */
    struct factor v[FACTORS_MAX];
};
/* In a snapshot, of ret's account. The caller wipes ret. */
int api_factors_look(struct view *v, struct api_factor_set *ret);

/* ---- enter.c ---- */

/* A page of somebody else's may not sign its visitor in. false: w has ended. */
bool api_second_fits(struct api_wait *w, const struct api_second *s);
/* e was answered rightly: the session begins, or more is wanted. Ends w. */
void api_enter(struct api_wait *w, const struct api_exchange *e, uint8_t how, const struct api_second *s);
/* A new session in place of the one that the change of a password has ended, of the caller that is w's state. */
void api_enter_again(struct api_wait *w, uint32_t version);

/* ---- rows ---- */

http_handler api_login_start, api_login_finish;
http_handler api_register_start, api_register_finish, api_password;
http_handler api_phrase_start, api_phrase_finish;
http_handler api_wrapped;
http_handler api_sessions, api_sessions_end, api_session_end;
http_handler api_factors, api_factor_end, api_totp_start, api_totp_finish, api_codes;
http_handler api_app_passwords, api_app_password_add, api_app_password_end;

#endif
