#include "server/login/login.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/event.h"

struct login_try {
    struct login *g;
    struct login_try *next; /* in the queue */
    struct timer *pause;    /* what master told it to wait; NULL: nothing so far */
    uint8_t peer[LOGIN_KEY_SIZE], network[LOGIN_KEY_SIZE];
    uint64_t waited; /* ms so far */
    bool price;      /* nothing is tried: it counts */
    struct slice user, password;
    unsigned scope;
    view_proof_fn *fits;
    void *fits_arg;
    login_done_fn *done;
    void *arg;
};

struct login {
    struct loop *loop;
    struct view *view;
    login_send_fn *send;
    struct login_try *first, **end; /* the queue */
    bool asking;                    /* master owes an answer */
    uint64_t id;                    /* of the last question */
    struct login_try *asked;        /* whose it is; NULL: cancelled */
    struct timer *limit;            /* for the answer */
};

static void dequeue(struct login *g, struct login_try *t)
{
    for (struct login_try **at = &g->first; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            if (!t->next)
                g->end = at;
            return;
        }
}

static void finish(struct login_try *t, int err, const struct login_result *r)
{
    login_done_fn *done = t->done;
    void *arg = t->arg;

    timer_destroy(t->pause);
    free(t);
    done(arg, err, r);
}

/* The next question, when the last one is answered. One that cannot be sent is not answered either. */
static void ask_next(struct login *g)
{
    uint8_t out[2 * LOGIN_KEY_SIZE + 8];
    struct login_try *t = g->first;
    struct pack p;

    if (g->asking || !t)
        return;
    dequeue(g, t);
    g->asked = t;
    g->asking = true;
    pack_init(&p, out, sizeof(out));
    pack_raw(&p, t->peer, sizeof(t->peer));
    pack_raw(&p, t->network, sizeof(t->network));
    pack_u64(&p, t->waited);
    (void)g->send(ROLE_MSG_LOGIN_ASK, ++g->id, &p);
    timer_set(g->limit, LOGIN_ANSWER_MS);
}

/* Nothing is let through unslowed: without master's answer nobody logs in. The answer is still owed, and no other
 * question is asked before it. */
static void unanswered(void *arg)
{
    struct login *g = arg;
    struct login_try *t = g->asked;
    size_t n = 0;

    log_event(login_unanswered);
    for (const struct login_try *q = g->first; q; q = q->next)
        n++;
    g->asked = NULL;
    if (t)
        finish(t, ERR_TIMEOUT, NULL);
    while (n-- > 0 && (t = g->first) != NULL) {
        dequeue(g, t);
        finish(t, ERR_TIMEOUT, NULL);
    }
}

/* Into the queue, and on. */
static void enqueue(struct login *g, struct login_try *t)
{
    const bool alone = !g->first && !g->asked;

    t->next = NULL;
    *g->end = t;
    g->end = &t->next;
    if (g->asking && alone) /* an answer is overdue, or was for one that is gone */
        timer_set(g->limit, LOGIN_ANSWER_MS);
    ask_next(g);
}

static void pause_over(void *arg)
{
    struct login_try *t = arg;

    enqueue(t->g, t);
}

static void pause_for(struct login_try *t, uint64_t ms)
{
    if (!t->pause && !(t->pause = timer_create_in(t->g->loop, pause_over, t))) {
        finish(t, ERR_MEMORY, NULL);
        return;
    }
    t->waited += ms;
    timer_set(t->pause, ms);
}

struct check {
    const struct login_try *t;
    struct login_result result;
};

static int check(void *arg, struct view *v)
{
    struct check *c = arg;
    const struct login_try *t = c->t;
    const char *user = (const char *)t->user.data, *password = (const char *)t->password.data;
    struct login_result *r = &c->result;

    if (user && t->fits)
        return view_login_scram(v, user, t->user.len, t->fits, t->fits_arg, t->scope, &r->user, r->hash);
    int err = user ? view_login(v, user, t->user.len, password, t->password.len, t->scope, &r->user) : ERR_DENIED;

    return err == OK ? app_password_hash(view_keys(v), r->user.account, password, t->password.len, r->hash) : err;
}

/* What came of the question that is in hand. */
static void tell(struct login *g, bool failed)
{
    uint8_t out[1] = {failed};
    struct pack p = {.data = out, .len = sizeof(out), .cap = sizeof(out)};

    (void)g->send(ROLE_MSG_LOGIN_DONE, g->id, &p);
}

static void try_now(struct login *g, struct login_try *t)
{
    struct check c = {.t = t};
    int err = t->price ? OK : view_run(g->view, check, &c);

    if (err == ERR_DENIED)
        log_event(login_failed);
    tell(g, t->price || err == ERR_DENIED);
    ask_next(g);
    finish(t, err, err == OK && !t->price ? &c.result : NULL);
}

int login_reply(void *arg, uint64_t id, uint64_t wait_ms)
{
    struct login *g = arg;
    struct login_try *t = g->asked;

    if (!g->asking || id != g->id)
        return ERR_FORMAT;
    g->asking = false;
    g->asked = NULL;
    timer_set(g->limit, 0);
    if (wait_ms == 0 && t) {
        try_now(g, t);
        return OK;
    }
    if (wait_ms == 0)
        tell(g, false); /* nothing was tried */
    ask_next(g);
    if (t)
        pause_for(t, wait_ms);
    return OK;
}

struct login *login_create(struct loop *l, struct view *v, login_send_fn *send)
{
    struct login *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    *g = (struct login){.loop = l, .view = v, .send = send};
    g->end = &g->first;
    g->limit = timer_create_in(l, unanswered, g);
    if (!g->limit) {
        free(g);
        return NULL;
    }
    return g;
}

void login_destroy(struct login *g)
{
    if (!g)
        return;
    bug_if(g->first || g->asked);
    timer_destroy(g->limit);
    free(g);
}

static void put_keys(const struct sockaddr_storage *peer, uint8_t ret_peer[LOGIN_KEY_SIZE],
                     uint8_t ret_network[LOGIN_KEY_SIZE])
{
    ret_peer[0] = (uint8_t)addr_peer_key(peer, ret_peer + 1);
    ret_network[0] = (uint8_t)addr_network_key(peer, ret_network + 1);
}

static struct login_try *try_create(struct login *g, const struct sockaddr_storage *peer, login_done_fn *done,
                                    void *arg)
{
    struct login_try *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->g = g;
    put_keys(peer, t->peer, t->network);
    t->done = done;
    t->arg = arg;
    return t;
}

int login_start(struct login *g, const struct login_params *p, login_done_fn *done, void *arg, struct login_try **ret)
{
    struct login_try *t = try_create(g, p->peer, done, arg);

    if (!t)
        return ERR_MEMORY;
    t->user = p->user;
    t->password = p->password;
    t->scope = p->scope;
    t->fits = p->fits;
    t->fits_arg = p->fits_arg;
    enqueue(g, t);
    *ret = t;
    return OK;
}

int login_price(struct login *g, const struct sockaddr_storage *peer, login_done_fn *done, void *arg,
                struct login_try **ret)
{
    struct login_try *t = try_create(g, peer, done, arg);

    if (!t)
        return ERR_MEMORY;
    t->price = true;
    enqueue(g, t);
    *ret = t;
    return OK;
}

void login_forgive(struct login *g, const struct sockaddr_storage *peer, const uint8_t exchange[LOGIN_EXCHANGE_SIZE])
{
    uint8_t out[2 * LOGIN_KEY_SIZE + LOGIN_EXCHANGE_SIZE];
    struct pack p = {.data = out, .len = sizeof(out), .cap = sizeof(out)};

    put_keys(peer, out, out + LOGIN_KEY_SIZE);
    memcpy(out + 2 * LOGIN_KEY_SIZE, exchange, LOGIN_EXCHANGE_SIZE);
    (void)g->send(ROLE_MSG_LOGIN_FORGIVE, 0, &p); /* if it cannot be sent, its peer waits the longer */
}

void login_cancel(struct login_try *t)
{
    struct login *g = t->g;

    if (g->asked == t)
        g->asked = NULL;
    else
        dequeue(g, t);
    timer_destroy(t->pause);
    free(t);
}

struct salt {
    struct slice user;
    uint8_t *salt;
    uint32_t *iterations;
};

static int get_salt(void *arg, struct view *v)
{
    struct salt *s = arg;

    return view_scram_salt(v, (const char *)s->user.data, s->user.len, s->salt, s->iterations);
}

int login_salt(struct login *g, struct slice user, uint8_t salt[SCRAM_SALT_LEN], uint32_t *ret_iterations)
{
    struct salt s = {user, salt, ret_iterations};

    return view_run(g->view, get_salt, &s);
}
