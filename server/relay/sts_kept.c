#include "server/relay/sts_kept.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/error.h"

enum { WRITE_TRIES = 4, PRUNE_MS = 60 * 1000, PRUNE_LOOK = 256 /* records in one turn */ };

struct writing {
    TAILQ_ENTRY(writing) in_kept;
    struct sts_kept *kept;
    unsigned tries;
    struct sts_policy p;
};
struct over {
    uint8_t hash[RECORD_HASH_SIZE], seen[QUEUE_SEEN_SIZE];
};
struct sts_kept {
    struct view *view;
    struct vault_client *vault;
    uint64_t (*now)(void);
    struct timer *prune;
    TAILQ_HEAD(, writing) writings;
    uint8_t after[RECORD_HASH_SIZE]; /* the last one that was looked at */
    size_t looked, nover;            /* in this turn */
    struct over over[PRUNE_LOOK];
};

/* ---- one ---- */

struct reading {
    const char *domain;
    struct sts_policy *ret;
    uint8_t seen[QUEUE_SEEN_SIZE];
};

static int read_one(void *arg, struct view *v)
{
    struct reading *r = arg;

    return view_sts_policy(v, r->domain, r->ret, r->seen);
}

int sts_kept_read(void *kept, const char *domain, struct sts_policy *ret)
{
    struct sts_kept *k = kept;
    struct reading r = {.domain = domain, .ret = ret};

    return view_run(k->view, read_one, &r);
}

static void on_written(void *arg, int status, struct unpack *body);

/* Whether an answer will come. */
static bool put(struct writing *w)
{
    struct sts_kept *k = w->kept;
    struct sts_policy there;
    struct reading r = {.domain = w->p.domain, .ret = &there};
    struct vault_request q = {.type = VAULT_STS_PUT};
    uint8_t record[STS_POLICY_RECORD_MAX];
    size_t len;
    int err = view_run(k->view, read_one, &r);

    /* One that is of the future is of a clock that was wrong. */
    if (err == OK && there.fetched > w->p.fetched && there.fetched <= k->now())
        return false;
    if (err != OK && err != ERR_NOT_FOUND && !queue_is_damage(err))
        return false;
    if (sts_policy_seal(view_keys(k->view), &w->p, q.sts.hash, record, &len) != OK)
        return false;
    q.sts.seen = r.seen;
    q.sts.record = slice_of(record, len);
    return vault_client_request(k->vault, &q, -1, on_written, w, NULL) == OK;
}

static void put_or_end(struct writing *w)
{
    if (w->tries++ < WRITE_TRIES && put(w))
        return;
    TAILQ_REMOVE(&w->kept->writings, w, in_kept);
    free(w);
}

static void on_written(void *arg, int status, struct unpack *body)
{
    struct writing *w = arg;

    if (status != ERR_CONFLICT) /* another process was faster: theirs is read */
        w->tries = WRITE_TRIES;
    put_or_end(w);
}

void sts_kept_write(void *kept, const struct sts_policy *p)
{
    struct sts_kept *k = kept;
    struct writing *w = malloc(sizeof(*w));

    if (!w)
        return;
    *w = (struct writing){.kept = k, .p = *p};
    TAILQ_INSERT_TAIL(&k->writings, w, in_kept);
    put_or_end(w);
}

/* ---- what is over ---- */

static int see(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct sts_policy *p,
               const uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct sts_kept *k = arg;

    if (err != OK && !queue_is_damage(err))
        return err;
    memcpy(k->after, hash, RECORD_HASH_SIZE);
    if (err == OK && p->expires <= k->now()) {
        struct over *o = &k->over[k->nover++];
        memcpy(o->hash, hash, RECORD_HASH_SIZE);
        memcpy(o->seen, seen, QUEUE_SEEN_SIZE);
    }
    return ++k->looked == PRUNE_LOOK;
}

static int look(void *arg, struct view *v)
{
    struct sts_kept *k = arg;
    int err;

    k->looked = k->nover = 0;
    err = view_sts_policies_each(v, k->after, see, k);
    return err < 0 ? err : OK;
}

static void ignore(void *arg, int status, struct unpack *body)
{
}

void sts_kept_prune(void *kept)
{
    struct sts_kept *k = kept;

    if (view_run(k->view, look, k) != OK)
        k->nover = 0;
    if (k->looked < PRUNE_LOOK)
        memset(k->after, 0, sizeof(k->after));
    for (size_t i = 0; i < k->nover; i++) {
        struct vault_request q = {.type = VAULT_STS_DEL, .sts.seen = k->over[i].seen};
        memcpy(q.sts.hash, k->over[i].hash, RECORD_HASH_SIZE);
        if (vault_client_request(k->vault, &q, -1, ignore, NULL, NULL) != OK)
            break;
    }
    timer_set(k->prune, PRUNE_MS);
}

/* ---- the whole ---- */

struct sts_kept *sts_kept_create(struct loop *l, struct view *v, struct vault_client *vault, uint64_t (*now)(void))
{
    struct sts_kept *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    *k = (struct sts_kept){.view = v, .vault = vault, .now = now, .prune = timer_create_in(l, sts_kept_prune, k)};
    TAILQ_INIT(&k->writings);
    if (!k->prune) {
        free(k);
        return NULL;
    }
    return k;
}

void sts_kept_destroy(struct sts_kept *k)
{
    struct writing *w;

    if (!k)
        return;
    while ((w = TAILQ_FIRST(&k->writings))) {
        TAILQ_REMOVE(&k->writings, w, in_kept);
        free(w);
    }
    timer_destroy(k->prune);
    free(k);
}
