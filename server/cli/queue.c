/* letterlock queue: mail that waits to be sent, looked at and told what to do. What it changes it names by the nonces
 * that it has seen, as relay does, so that neither undoes the other's work. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/cli/queue.h"
#include "server/core/error.h"
#include "store/client.h"

enum { SLICE = 256, TRIES = 5 };

/* ---- reading ---- */

static int collect(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct queue_entry *e = arg;
    if (e->n == VAULT_QUEUE_ROWS_MAX)
        return ERR_LIMIT;
    e->to[e->n] = *r;
    e->to_err[e->n] = err;
    e->n++;
    (void)n;
    return 0;
}

static int read_entry(void *arg, struct view *v)
{
    struct queue_entry *e = arg;
    e->n = 0;
    e->err = view_queued(v, e->id, &e->envelope, e->seen);
    if (e->err != OK && !queue_is_damage(e->err))
        return e->err;
    int err = e->err == OK ? view_held(v, e->envelope.account) : ERR_NOT_FOUND;
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    e->account_held = err == OK;
    return view_queue_recipients(v, e->id, 0, collect, e);
}

struct ids {
    uint64_t after, id[SLICE];
    unsigned n;
};

static int collect_id(void *arg, uint64_t id)
{
    struct ids *s = arg;
    s->id[s->n++] = id;
    return s->n == SLICE;
}

static int read_ids(void *arg, struct view *v)
{
    struct ids *s = arg;
    s->n = 0;
    int err = view_queue_each(v, s->after, collect_id, s);
    return err < 0 ? err : OK;
}

int queue_each(struct view *v, queue_entry_fn *fn, void *arg)
{
    static struct queue_entry e;
    struct ids s = {.after = 0};
    int err = OK;
    do {
        err = view_run(v, read_ids, &s);
        for (unsigned k = 0; k < s.n && err == OK; k++) {
            s.after = e.id = s.id[k];
            err = view_run(v, read_entry, &e);
            err = err == ERR_NOT_FOUND ? OK : err != OK ? err : fn(arg, &e); /* it is gone meanwhile */
        }
    } while (err == OK && s.n == SLICE);
    return err;
}

/* ---- changing ---- */

enum { ROOM = 56 * 1024 };

static int send(int vault, struct vault_request *q, const char **ret_text)
{
    static char text[256];
    *text = '\0';
    int err = vault_call(vault, q, -1, NULL, text);
    *ret_text = text;
    return err;
}

/* Recipients anew, as many in a request as it takes. */
static int send_recipients(const struct queue_tools *t, const struct queue_entry *e, queue_change *change,
                           const void *arg, const char **ret_text)
{
    static uint8_t room[ROOM + QUEUE_RECIPIENT_MAX];
    static struct vault_queue_row rows[VAULT_QUEUE_ROWS_MAX];
    struct vault_request q = {.type = VAULT_QUEUE_UPDATE, .queue_update = {.id = e->id, .v = rows}};
    struct vault_queue_update *u = &q.queue_update;
    size_t at = 0, len;
    int err = OK;
    for (uint32_t i = 0; i < e->n && err == OK; i++) {
        struct queue_recipient r = e->to[i];
        enum queue_verdict what = change(arg, e, &r, e->to_err[i]);
        if (what == QUEUE_KEEP)
            continue;
        len = 0;
        if (what == QUEUE_WRITE)
            err = queue_seal_recipient(t->keys, e->id, &r, room + at, &len);
        rows[u->n++] =
            (struct vault_queue_row){.n = r.n, .len = (uint32_t)len, .record = room + at, .seen = e->to[i].seen};
        at += len + 32;
        if (err == OK && at >= ROOM) {
            err = send(t->vault, &q, ret_text);
            u->n = 0;
            at = 0;
        }
    }
    return err == OK && u->n > 0 ? send(t->vault, &q, ret_text) : err;
}

static int send_envelope(const struct queue_tools *t, const struct queue_entry *e, const struct queue_envelope *new,
                         const char **ret_text)
{
    uint8_t sealed[QUEUE_ENVELOPE_MAX];
    struct vault_request q = {.type = VAULT_QUEUE_UPDATE, .queue_update = {.id = e->id, .seen = e->seen}};
    size_t len;
    int err = queue_seal_envelope(t->keys, new, sealed, &len);
    q.queue_update.envelope = slice_of(sealed, len);
    return err == OK ? send(t->vault, &q, ret_text) : err;
}

static int change_once(const struct queue_tools *t, const struct queue_entry *e, const struct queue_order *o,
                       const char **ret_text)
{
    struct queue_envelope new = e->envelope;
    if (o->recipient != NULL)
        return send_recipients(t, e, o->recipient, o->arg, ret_text);
    if (e->err != OK)
        return e->err;
    return o->envelope(o->arg, &new) ? send_envelope(t, e, &new, ret_text) : OK;
}

int queue_change_entry(const struct queue_tools *t, struct queue_entry *e, const struct queue_order *o,
                       const char **ret_text)
{
    int err = change_once(t, e, o, ret_text);
    for (unsigned n = 0; n < TRIES && (err == ERR_CONFLICT || err == ERR_NOT_FOUND); n++) {
        err = view_run(t->view, read_entry, e); /* relay was at it meanwhile */
        if (err == ERR_NOT_FOUND)
            return OK;
        err = err == OK ? change_once(t, e, o, ret_text) : err;
    }
    return err;
}

/* ---- orders ---- */

static bool waits(const struct queue_recipient *r, int err)
{
    return err == OK && (r->state == QUEUE_QUEUED || r->state == QUEUE_DEFERRED);
}

static enum queue_verdict order_retry(const void *arg, const struct queue_entry *e, struct queue_recipient *r, int err)
{
    const char *domain = arg, *at = strrchr(r->to, '@');
    (void)e;
    if (!waits(r, err) || (domain != NULL && (at == NULL || strcasecmp(at + 1, domain) != 0)))
        return QUEUE_KEEP;
    r->next_try = 0;
    return QUEUE_WRITE;
}

static enum queue_verdict order_remove(const void *arg, const struct queue_entry *e, struct queue_recipient *r, int err)
{
    (void)arg;
    (void)e;
    (void)r;
    (void)err;
    return QUEUE_GOES;
}

/* Those that wait are told of by so many; the first of them names the report. */
static uint32_t report_of(const struct queue_entry *e, uint32_t number)
{
    uint32_t n = 0, first = number;
    for (uint32_t i = 0; i < e->n && e->to[i].n <= number; i++) {
        if (!waits(&e->to[i], e->to_err[i]))
            continue;
        if (n++ % QUEUE_REPORT_MAX == 0)
            first = e->to[i].n;
    }
    return first;
}

/* As if it had failed: relay tells its sender, if that is asked for, and removes it. What a server there said last says
 * more than our words. */
static enum queue_verdict order_bounce(const void *arg, const struct queue_entry *e, struct queue_recipient *r, int err)
{
    (void)arg;
    if (err != OK || e->err != OK)
        return QUEUE_GOES;
    if (!waits(r, err))
        return QUEUE_KEEP;
    r->report = report_of(e, r->n);
    r->state = QUEUE_FAILED;
    if (r->last_reply[0] == '\0')
        strcpy(r->last_reply, "554 5.3.0 The operator of this mail server has taken it out of the queue");
    return QUEUE_WRITE;
}

static bool order_hold(const void *arg, struct queue_envelope *e)
{
    (void)arg;
    if (e->hold_until == QUEUE_HOLD_FOREVER)
        return false;
    e->hold_until = QUEUE_HOLD_FOREVER;
    return true;
}

/* It has as long as it had from the first. */
static bool order_release(const void *arg, struct queue_envelope *e)
{
    uint64_t now = (uint64_t)time(NULL), life = e->expires - e->queued_at;
    (void)arg;
    if (e->hold_until == 0)
        return false;
    e->hold_until = 0;
    if (e->expires > e->queued_at && e->expires < now + life)
        e->expires = now + life;
    return true;
}

struct carrying {
    const struct queue_tools *tools;
    const struct queue_order *order;
    const char *text;
};

static int carry_out_one(void *arg, struct queue_entry *e)
{
    struct carrying *x = arg;
    int err = queue_change_entry(x->tools, e, x->order, &x->text);
    return x->order->recipient == NULL && e->err != OK ? OK : err; /* what does not open is held already */
}

int queue_hold_all(const struct queue_tools *t)
{
    static const struct queue_order hold = {.envelope = order_hold};
    struct carrying x = {t, &hold, ""};
    return queue_each(t->view, carry_out_one, &x);
}

static int carry_out(const struct cli *c, struct instance *i, const struct queue_order *o, bool all)
{
    static struct queue_entry e;
    struct record_keys *keys = record_keys_create(i->keys);
    const struct queue_tools tools = {i->view, i->vault, keys};
    struct carrying x = {&tools, o, ""};
    int err = keys != NULL ? OK : ERR_MEMORY, rc = EXIT_DONE;
    if (err == OK && all)
        err = queue_each(i->view, carry_out_one, &x);
    for (size_t k = 0; !all && k < c->nargs && err == OK && rc == EXIT_DONE; k++) {
        if (queue_id_read(c->arg[k], &e.id) != OK)
            rc = cli_fail(c, "%s is no id: 16 digits and letters from a to f, as letterlock queue list prints",
                          c->arg[k]);
        else if ((err = view_run(i->view, read_entry, &e)) == ERR_NOT_FOUND)
            rc = cli_fail(c, "there is no %s in the queue", c->arg[k]);
        else if (err == OK)
            err = queue_change_entry(&tools, &e, o, &x.text);
    }
    record_keys_destroy(keys);
    if (rc != EXIT_DONE)
        return rc;
    return err ? cli_fail(c, "%s", *x.text ? x.text : err_str(err)) : EXIT_DONE;
}

static int order(const struct cli *c, const struct queue_order *o, bool all)
{
    struct instance i;
    if (!all && c->nargs == 0)
        return cli_usage(c, "give an ID, or --all");
    if (c->opt[OPT_ALL] && c->nargs > 0)
        return cli_usage(c, "give IDs or --all, not both");
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = carry_out(c, &i, o, all);
    instance_close(&i);
    return rc;
}

int command_queue_retry(struct cli *c)
{
    static const struct queue_order o = {.recipient = order_retry};
    return order(c, &o, c->opt[OPT_ALL] != NULL);
}

int command_queue_flush(struct cli *c)
{
    const struct queue_order o = {.recipient = order_retry, .arg = c->nargs > 0 ? c->arg[0] : NULL};
    return order(c, &o, true);
}

int command_queue_hold(struct cli *c)
{
    static const struct queue_order o = {.envelope = order_hold};
    return order(c, &o, c->opt[OPT_ALL] != NULL);
}

int command_queue_release(struct cli *c)
{
    static const struct queue_order o = {.envelope = order_release};
    return order(c, &o, c->opt[OPT_ALL] != NULL);
}

int command_queue_remove(struct cli *c)
{
    const struct queue_order o = {.recipient = c->opt[OPT_BOUNCE] ? order_bounce : order_remove};
    return order(c, &o, false);
}

int queue_read_entry(struct view *v, struct queue_entry *e)
{
    return view_run(v, read_entry, e);
}
