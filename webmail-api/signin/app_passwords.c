/* The owner's app passwords, for mail programs: which there are, another one, and their end. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/login/app_password.h"
#include "webmail-api/signin/impl.h"

static void put_scope(struct json_out *o, unsigned scope)
{
    json_out_list(o, "scope");
    for (size_t i = 0; app_password_scopes[i]; i++)
        if (scope & 1u << i)
            json_out_text(o, NULL, slice_str(app_password_scopes[i]));
    json_out_end(o);
}

static void put(struct json_out *o, const struct schema_app_password *p)
{
    json_out_object(o, NULL);
    json_out_number(o, "id", p->number);
    json_out_text(o, "label", slice_str(p->label));
    put_scope(o, p->scope);
    json_out_number(o, "since", (int64_t)p->created);
    json_out_end(o);
}

struct list {
    uint64_t account;
    size_t n;
    struct schema_app_password v[ACCOUNT_PASSWORDS_MAX];
};

static int keep(void *arg, const struct schema_app_password *p)
{
    struct list *l = arg;

    if (l->n < ACCOUNT_PASSWORDS_MAX)
        l->v[l->n++] = *p;
    return OK;
}

static int look(void *arg, struct view *v)
{
    struct list *l = arg;

    l->n = 0;
    return view_app_passwords_each(v, l->account, keep, l);
}

static int compare(const void *a, const void *b)
{
    const struct schema_app_password *p = a, *q = b;

    return (p->number > q->number) - (p->number < q->number);
}

static void answer_list(struct http_exchange *x, struct list *l)
{
    struct json_out o;

    qsort(l->v, l->n, sizeof(l->v[0]), compare); /* the store has them by their hashes */
    json_out_init(&o);
    json_out_list(&o, "appPasswords");
    for (size_t i = 0; i < l->n; i++)
        put(&o, &l->v[i]);
    json_out_end(&o);
    api_answer(x, 200, &o, NULL);
}

void api_app_passwords(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api *a = service;
    struct api_caller c = {0};
    struct list *l;

    if (api_caller_read(a, x, r, &c)) {
        l = calloc(1, sizeof(*l));
        if (l)
            l->account = c.account;
        if (l && view_run(a->p.view, look, l) == OK)
            answer_list(x, l);
        else
            api_answer_problem(x, API_BUSY);
        if (l)
            secmem_wipe(l, sizeof(*l));
        free(l);
    }
    secmem_wipe(&c, sizeof(c));
}

/* ---- another one ---- */

struct asked {
    char label[LABEL_MAX];
    uint32_t scope;
};

static const struct json_in_member add_members[] = {
    {.name = "label", .kind = JSON_IN_TEXT, JSON_IN_AT(struct asked, label)},
    {.name = "scope", .kind = JSON_IN_WORDS, JSON_IN_AT(struct asked, scope), .words = app_password_scopes},
};
static const struct json_in_table add_table = JSON_IN_TABLE(struct asked, add_members);

static enum api_problem problem_of(int err)
{
    return err == ERR_DENIED ? API_SESSION : err == ERR_LIMIT ? API_FULL : api_problem_of(err);
}

static void added(struct api_wait *w, int status, const struct vault_reply *reply)
{
    struct json_out o;

    if (status != OK) {
        api_wait_problem(w, problem_of(status));
        return;
    }
    json_out_init(&o);
    json_out_number(&o, "id", reply->number);
    json_out_text(&o, "password", slice_str(w->state));
    api_answer(api_wait_end(w), 200, &o, NULL);
}

struct salting {
    uint64_t account;
    struct schema_account *a;
};

static int look_account(void *arg, struct view *v)
{
    const struct salting *s = arg;

    return view_account(v, s->account, s->a);
}

static void add(struct api_wait *w, const struct api_caller *c)
{
    const struct asked *b = (const struct asked *)w->body;
    struct schema_account account;
    struct vault_request q = {
        .type = VAULT_APP_PASSWORD_ADD,
        .account = c->account,
        .password = {.scope = (uint8_t)b->scope, .label = slice_str(b->label)},
    };
    char *text;

    memcpy(q.session.hash, c->hash, sizeof(q.session.hash));
    if (!b->scope || !*b->label)
        api_wait_problem(w, API_UNFIT);
    else if (view_run(w->api->p.view, look_account, &(struct salting){c->account, &account}) != OK)
        api_wait_problem(w, API_BUSY);
    else if ((text = api_wait_state(w, APP_PASSWORD_SIZE))) {
        if (app_password_make(view_keys(w->api->p.view), &account, text, &q.password) == OK)
            api_wait_vault(w, &q, -1, added);
        else
            api_wait_problem(w, API_BUSY);
    }
    secmem_wipe(&q, sizeof(q));
}

void api_app_password_add(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct asked), &add_table);
    struct api_caller c = {0};

    if (w && api_wait_caller(w, &c))
        add(w, &c);
    secmem_wipe(&c, sizeof(c));
}

/* ---- their end ---- */

static void ended(struct api_wait *w, int status, const struct vault_reply *reply)
{
    if (status == OK)
        api_answer_empty(api_wait_end(w), NULL);
    else
        api_wait_problem(w, problem_of(status));
}

void api_app_password_end(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};
    struct vault_request q = {.type = VAULT_APP_PASSWORD_REVOKE};
    struct api_wait *w;

    if (api_caller_read(service, x, r, &c)) {
        q.account = c.account;
        memcpy(q.session.hash, c.hash, sizeof(q.session.hash));
        if (!api_read_number(r->params[0], &q.password.number))
            api_answer_problem(x, API_MISSING);
        else if ((w = api_wait_begin(service, x, r, 0)))
            api_wait_vault(w, &q, -1, ended);
    }
    secmem_wipe(&c, sizeof(c));
}
