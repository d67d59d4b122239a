#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

static void forget_state(struct api_wait *w)
{
    if (w->state)
        secmem_wipe(w->state, w->state_size);
    free(w->state);
    w->state = NULL;
}

static void finish(struct api_wait *w)
{
    if (w->next)
        w->next->at = w->at;
    *w->at = w->next;
    forget_state(w);
    secmem_wipe(w->body, w->size);
    free(w);
}

static void gone(void *arg)
{
    struct api_wait *w = arg;

    if (w->try)
        login_cancel(w->try);
    if (w->asked)
        vault_client_forget(w->api->p.vault, w->id);
    finish(w);
}

struct api_wait *api_wait_begin(struct api *a, struct http_exchange *x, const struct http_request *r, size_t size)
{
    struct api_wait *w = calloc(1, sizeof(*w) + size);

    if (!w) {
        api_answer_problem(x, API_BUSY);
        return NULL;
    }
    *w = (struct api_wait){.api = a, .x = x, .r = r, .next = a->first, .at = &a->first, .size = size};
    if (w->next)
        w->next->at = &w->next;
    a->first = w;
    http_on_gone(x, gone, w);
    return w;
}

void *api_wait_state(struct api_wait *w, size_t size)
{
    forget_state(w);
    w->state = calloc(1, size);
    w->state_size = size;
    if (!w->state)
        api_wait_problem(w, API_BUSY);
    return w->state;
}

struct http_exchange *api_wait_end(struct api_wait *w)
{
    struct http_exchange *x = w->x;

    finish(w);
    return x;
}

void api_wait_problem(struct api_wait *w, enum api_problem p)
{
    api_answer_problem(api_wait_end(w), p);
}

void api_wait_refused(struct api_wait *w)
{
    w->api->p.counts[API_FAILED]++;
    log_event(login_failed);
    api_wait_problem(w, API_LOGIN);
}

struct api_wait *api_wait_open(struct api *a, struct http_exchange *x, const struct http_request *r, size_t size,
                               const struct json_in_table *t)
{
    struct api_wait *w = api_open(a, x) ? api_wait_begin(a, x, r, size) : NULL;

    if (!w || api_read(x, r, t, w->body))
        return w;
    (void)api_wait_end(w); /* what is wrong was answered */
    return NULL;
}

static void paid(void *arg, int err, const struct login_result *r)
{
    struct api_wait *w = arg;

    w->try = NULL;
    if (err == OK)
        w->paid(w);
    else
        api_wait_problem(w, API_BUSY);
}

void api_wait_price(struct api_wait *w, void (*fn)(struct api_wait *w))
{
    w->paid = fn;
    if (login_price(w->api->p.login, w->r->peer, paid, w, &w->try) != OK)
        api_wait_problem(w, API_BUSY);
}

static void told(void *arg, int status, struct unpack *body)
{
    struct api_wait *w = arg;
    struct vault_reply reply;

    w->asked = false;
    if (status == OK)
        status = vault_reply_unpack(w->type, body, &reply);
    w->told(w, status, status == OK ? &reply : NULL);
}

void api_wait_vault(struct api_wait *w, const struct vault_request *q, int fd,
                    void (*fn)(struct api_wait *w, int status, const struct vault_reply *reply))
{
    w->told = fn;
    w->type = q->type;
    w->asked = vault_client_request(w->api->p.vault, q, fd, told, w, &w->id) == OK;
    if (!w->asked)
        api_wait_problem(w, API_BUSY);
}
