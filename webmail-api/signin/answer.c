#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "webmail-api/signin/impl.h"

static const struct {
    unsigned status;
    const char *type, *detail;
} problems[] = {
    [API_LOGIN] = {401, "login", "This did not sign anybody in."},
    [API_SESSION] = {401, "session", "There is no such session, or it is over."},
    [API_FACTOR] = {401, "factor", "A second factor is wanted: the same once more, with it."},
    [API_OVER] = {410, "over", "This exchange is over. Begin again."},
    [API_INVITATION] = {403, "invitation", "This needs an invitation that is good, for this address."},
    [API_SIGNATURE] = {403, "signature", "This is not signed by a key that signs this account's owner in."},
    [API_ORIGIN] = {403, "origin", "This was not asked by a page of this server."},
    [API_MISSING] = {404, "missing", "There is no such thing here."},
    [API_CHANGED] = {409, "changed", "Something else came in between. Look again."},
    [API_FULL] = {409, "full", "There are as many as there may be."},
    [API_UNFIT] = {422, "unfit", "What was sent is not what it should be."},
    [API_BUSY] = {503, "busy", "Not now. Try again later."},
};

static void say(struct http_exchange *x, unsigned status, const char *type, struct slice body, const char *cookie)
{
    struct http_field fields[2] = {{"Cache-Control", "no-store"}, {"Set-Cookie", cookie}};

    http_answer(x, &(struct http_reply){.status = status,
                                        .type = body.len ? type : NULL,
                                        .body = body,
                                        .fields = fields,
                                        .nfields = cookie ? 2 : 1});
}

void api_answer(struct http_exchange *x, unsigned status, struct json_out *o, const char *cookie)
{
    struct buf text;

    buf_init(&text, API_ANSWER_MAX, true);
    if (json_out_finish(o, &text) == OK)
        say(x, status, "application/json", slice_of(text.data, text.len), cookie);
    else
        api_answer_problem(x, API_BUSY);
    buf_free(&text);
}

void api_answer_empty(struct http_exchange *x, const char *cookie)
{
    say(x, 204, NULL, slice_of("", 0), cookie);
}

static void answer_problem(struct http_exchange *x, unsigned status, const char *type, const char *detail)
{
    struct buf text;

    buf_init(&text, API_ANSWER_MAX, false);
    if (json_out_problem(type, detail, &text) == OK)
        say(x, status, "application/problem+json", slice_of(text.data, text.len), NULL);
    else
        http_answer_status(x, 503);
    buf_free(&text);
}

void api_answer_problem(struct http_exchange *x, enum api_problem p)
{
    answer_problem(x, problems[p].status, problems[p].type, problems[p].detail);
}

enum api_problem api_problem_of(int err)
{
    switch (err) {
    case ERR_NOT_FOUND: return API_MISSING;
    case ERR_CONFLICT: return API_CHANGED;
    case ERR_FORMAT:
    case ERR_LIMIT: return API_UNFIT;
    default: return API_BUSY;
    }
}

bool api_open(const struct api *a, struct http_exchange *x)
{
    if (!a->p.config->web_signin)
        api_answer_problem(x, API_MISSING);
    return a->p.config->web_signin;
}

static void answer_malformed(struct http_exchange *x, const struct json_in_why *why)
{
    struct buf text;

    buf_init(&text, API_ANSWER_MAX, false);
    if (json_out_malformed(why, &text) == OK)
        say(x, 400, "application/problem+json", slice_of(text.data, text.len), NULL);
    else
        http_answer_status(x, 503);
    buf_free(&text);
}

bool api_read_number(struct slice text, uint32_t *ret)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        n = 10 * n + text.data[i] - '0';
    }
    *ret = (uint32_t)n;
    return n <= UINT32_MAX;
}

/* A form of another page's can send neither this type nor, if there is a cookie to be had, our own field. */
bool api_read(struct http_exchange *x, const struct http_request *r, const struct json_in_table *t, void *ret)
{
    struct json_in_why why = {0};
    int err;

    if (!r->type || strcmp(r->type, "application/json") != 0) {
        answer_problem(x, 415, "type", "The body has to be application/json.");
        return false;
    }
    err = json_in_read(r->body, t, ret, &why);
    if (err == ERR_FORMAT || err == ERR_LIMIT)
        answer_malformed(x, &why);
    else if (err != OK)
        api_answer_problem(x, API_BUSY);
    return err == OK;
}
