/* The owner's sessions: which there are, and their end. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

static const char *const hows[] = {"password", "phrase", "passkey", "totp", "code"};

struct list {
    struct api *api;
    const struct api_caller *caller;
    size_t n;
    struct session sessions[SESSIONS_MAX];
};

static int keep(void *arg, const struct session *s)
{
    struct list *l = arg;

    if (l->n < SESSIONS_MAX)
        l->sessions[l->n++] = *s;
    return OK;
}

static int look(void *arg, struct view *v)
{
    struct list *l = arg;

    l->n = 0;
    return view_sessions_each(v, l->caller->account, keep, l);
}

static void put(struct json_out *o, const struct session *s, bool current)
{
    json_out_object(o, NULL);
    json_out_number(o, "id", s->number);
    json_out_text(o, "label", slice_str(s->label));
    json_out_list(o, "how");
    for (size_t i = 0; i < sizeof(hows) / sizeof(*hows); i++)
        if (s->how & 1u << i)
            json_out_text(o, NULL, slice_str(hows[i]));
    json_out_end(o);
    json_out_number(o, "since", (int64_t)s->since);
    json_out_number(o, "used", (int64_t)s->used);
    json_out_number(o, "expires", (int64_t)s->until);
    json_out_bool(o, "current", current);
    json_out_end(o);
}

static void answer_list(struct http_exchange *x, const struct list *l)
{
    struct json_out o;

    json_out_init(&o);
    json_out_list(&o, "sessions");
    for (size_t i = 0; i < l->n; i++)
        put(&o, &l->sessions[i], l->sessions[i].number == l->caller->session.number);
    json_out_end(&o);
    api_answer(x, 200, &o, NULL);
}

void api_sessions(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};
    struct list l = {service, &c, 0, {{0}}};

    if (api_caller_read(service, x, r, &c)) {
        if (view_run(l.api->p.view, look, &l) == OK)
            answer_list(x, &l);
        else
            api_answer_problem(x, API_BUSY);
    }
    secmem_wipe(&c, sizeof(c));
}

/* ---- their end ---- */

static void ended(struct api_wait *w, int status, const struct vault_reply *reply)
{
    const char *cookie = *(const bool *)w->state ? cookie_clear : NULL; /* w ends before its answer */

    if (status == OK)
        api_answer_empty(api_wait_end(w), cookie);
    else
        api_wait_problem(w, api_problem_of(status));
}

static void end(struct api *a, struct http_exchange *x, const struct http_request *r, const struct api_caller *c,
                const struct vault_session *s, bool own)
{
    struct vault_request q = {.type = VAULT_SESSION_DEL, .account = c->account, .session = *s};
    struct api_wait *w = api_wait_begin(a, x, r, 0);
    bool *clears = w ? api_wait_state(w, sizeof(*clears)) : NULL; /* NULL: that was answered */

    memcpy(q.session.hash, c->hash, sizeof(q.session.hash));
    if (clears) {
        *clears = own && c->by == CREDENTIALS_COOKIE;
        api_wait_vault(w, &q, -1, ended);
    }
}

void api_sessions_end(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};

    if (api_caller_read(service, x, r, &c))
        end(service, x, r, &c, &(struct vault_session){.which = SESSION_ALL}, true);
    secmem_wipe(&c, sizeof(c));
}

static bool read_which(struct slice text, const struct api_caller *c, uint32_t *ret)
{
    static const char current[] = "current";

    if (text.len == sizeof(current) - 1 && memcmp(text.data, current, text.len) == 0) {
        *ret = c->session.number;
        return true;
    }
    return api_read_number(text, ret);
}

void api_session_end(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};
    struct vault_session s = {.which = SESSION_ONE};

    if (api_caller_read(service, x, r, &c)) {
        if (read_which(r->params[0], &c, &s.number))
            end(service, x, r, &c, &s, s.number == c.session.number);
        else
            api_answer_problem(x, API_MISSING);
    }
    secmem_wipe(&c, sizeof(c));
}
