#include "server/relay/attempt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/relay/dsn.h"
#include "server/relay/report.h"

enum {
    WRITE_AGAIN_MS = 500, /* until what the vault did not take is written again, at first */
    WRITE_AGAIN_MAX_MS = 30000,
};

/* ---- reading ---- */

struct reading {
    uint64_t id;
    struct attempt *t;
};

/* What was stored by another process may be anything. */
static bool fit(const char *text)
{
    return utf8_printable(text, strlen(text));
}

static bool is_to_be_done(const struct job *j, const struct queue_recipient *r)
{
    const bool over = r->state == QUEUE_FAILED || r->state == QUEUE_SENT;

    if (j->task == TASK_REPORT)
        return over;
    return !over && !!r->local == !j->to;
}

/* Held since the job was made, or released, which gives it more time. */
static bool is_due(const struct job *j, const struct queue_envelope *e, uint64_t now)
{
    return j->task == TASK_REPORT || (e->hold_until <= now && (j->task != TASK_EXPIRE || e->expires <= now));
}

static int take_row(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct reading *q = arg;
    struct attempt *t = q->t;
    const struct job *j = t->job;

    for (size_t i = 0; i < j->n; i++)
        if (j->recipients[i] == n && err == OK && is_to_be_done(j, r) && t->n < j->n) {
            struct attempt_row *row = &t->rows[t->n++];
            *row = (struct attempt_row){.r = *r};
            utf8_tame(row->r.last_reply, strlen(row->r.last_reply));
            utf8_tame(row->r.host, strlen(row->r.host));
            if (!fit(row->r.to) || !fit(row->r.orcpt))
                outcome_obstacle(OBSTACLE_DAMAGED, &row->outcome);
        }
    return err == OK || queue_is_damage(err) ? 0 : err;
}

/* ERR_NOT_FOUND: there is nothing to be done, since its account is held; the vault says when it is no more. */
static int is_let(struct view *v, uint64_t account)
{
    const int err = view_held(v, account);

    return err == OK ? ERR_NOT_FOUND : err == ERR_NOT_FOUND ? OK : err;
}

static int read_all(void *arg, struct view *v)
{
    struct reading *q = arg;
    uint8_t seen[QUEUE_SEEN_SIZE];
    uint32_t first = q->t->job->recipients[0];
    int err;

    for (size_t i = 1; i < q->t->job->n; i++)
        if (q->t->job->recipients[i] < first)
            first = q->t->job->recipients[i];
    q->t->n = 0;
    err = view_queued(v, q->id, &q->t->envelope, seen);
    if (err == OK && q->t->job->task != TASK_REPORT)
        err = is_let(v, q->t->envelope.account);
    if (err == OK)
        err = view_queue_recipients(v, q->id, first, take_row, q);
    return err;
}

static void write_again(void *arg);

int attempt_open(struct relay *r, struct job *j, uint64_t now, struct attempt **ret)
{
    struct attempt *t = calloc(1, sizeof(*t) + j->n * sizeof(t->rows[0]));
    struct reading q = {.id = j->message->id, .t = t};
    int err;

    if (!t)
        return ERR_MEMORY;
    t->relay = r;
    t->job = j;
    t->now = now;
    /* Before anything is sent: an outcome must not meet a lack of memory. */
    t->again = timer_create_in(r->loop, write_again, t);
    err = t->again ? view_run(r->view, read_all, &q) : ERR_MEMORY;
    if (err == OK && !is_due(j, &t->envelope, now)) {
        changes_note(r, j->message->id);
        err = ERR_NOT_FOUND;
    }
    if (err == OK && t->n == 0)
        err = ERR_NOT_FOUND;
    if (err == OK && !fit(t->envelope.from))
        err = ERR_FORMAT;
    if (err != OK) {
        attempt_free(t);
        return err;
    }
    *ret = t;
    return OK;
}

void attempt_free(struct attempt *t)
{
    timer_destroy(t->again);
    free(t);
}

/* ---- verdicts ---- */

void attempt_say(struct attempt_row *row, const struct outcome *o, const char *host, enum queue_proof how)
{
    row->r.proof = (uint8_t)how;
    row->outcome = *o;
    snprintf(row->r.host, sizeof(row->r.host), "%s", host);
    snprintf(row->r.last_reply, sizeof(row->r.last_reply), "%s", o->reply);
}

void attempt_say_all(struct attempt *t, const struct outcome *o, const char *host, enum queue_proof how)
{
    for (size_t i = 0; i < t->n; i++)
        if (!t->rows[i].outcome.verdict)
            attempt_say(&t->rows[i], o, host, how);
}

/* ---- writing ---- */

static void write_some(struct attempt *t);

static void write_again(void *arg)
{
    write_some(arg);
}

static void later(struct attempt *t)
{
    uint64_t ms = WRITE_AGAIN_MS;

    for (uint32_t i = 0; i < t->failures && ms < WRITE_AGAIN_MAX_MS; i++)
        ms *= 2;
    t->failures++;
    timer_set(t->again, ms < WRITE_AGAIN_MAX_MS ? ms : WRITE_AGAIN_MAX_MS);
}

struct refreshing {
    struct attempt *t;
    bool *here;
};

static int refresh_row(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct refreshing *q = arg;

    for (size_t i = q->t->at; err == OK && i < q->t->n; i++) {
        struct attempt_row *row = &q->t->rows[i];
        if (row->r.n != n)
            continue;
        q->here[i] = true;
        memcpy(row->r.seen, r->seen, sizeof(r->seen));
    }
    return err == OK || queue_is_damage(err) ? 0 : err;
}

static int refresh_all(void *arg, struct view *v)
{
    struct refreshing *q = arg;

    memset(q->here, 0, q->t->n * sizeof(bool));
    return view_queue_recipients(v, q->t->envelope.id, 0, refresh_row, q);
}

/* Somebody else has written meanwhile: what happened is written over it. */
static int refresh(struct attempt *t)
{
    struct refreshing q = {t, calloc(t->n, sizeof(bool))};
    int err = q.here ? view_run(t->relay->view, refresh_all, &q) : ERR_MEMORY;

    t->conflict = true;
    if (err == ERR_NOT_FOUND)
        err = OK;
    for (size_t i = t->at; err == OK && i < t->n; i++)
        if (!q.here[i])
            t->rows[i].write = ROW_KEEP; /* it is gone */
    free(q.here);
    return err;
}

static void on_written(void *arg, int status, struct unpack *body)
{
    struct attempt *t = arg;

    if (status == ERR_CONFLICT)
        status = refresh(t) == OK ? ERR_AGAIN : ERR_MEMORY;
    if (status == OK || status == ERR_NOT_FOUND) {
        t->at = t->end;
        t->failures = 0;
        write_some(t);
    } else if (status == ERR_AGAIN && t->failures < 3) {
        t->failures++;
        write_some(t);
    } else {
        relay_count(t->relay, COUNT_WRITES_AGAIN);
        later(t);
    }
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = ((const struct attempt_row *)a)->r.n, y = ((const struct attempt_row *)b)->r.n;

    return x < y ? -1 : x > y;
}

/* As many rows as one request takes. */
static int ask(struct attempt *t)
{
    static uint8_t records[ATTEMPT_WRITE_MAX + QUEUE_RECIPIENT_MAX];
    static struct vault_queue_row rows[JOB_RECIPIENTS_MAX];
    struct vault_request q = {.type = VAULT_QUEUE_UPDATE, .queue_update = {.id = t->envelope.id, .v = rows}};
    size_t len = 0, one;
    uint32_t n = 0;
    int err = OK;

    for (t->end = t->at; err == OK && t->end < t->n && len <= ATTEMPT_WRITE_MAX; t->end++) {
        struct attempt_row *row = &t->rows[t->end];
        if (row->write == ROW_KEEP)
            continue;
        one = 0;
        if (row->write == ROW_PUT)
            err = queue_seal_recipient(view_keys(t->relay->view), t->envelope.id, &row->r, records + len, &one);
        rows[n++] =
            (struct vault_queue_row){.n = row->r.n, .len = (uint32_t)one, .record = records + len, .seen = row->r.seen};
        len += one;
    }
    q.queue_update.n = n;
    if (err != OK)
        return err;
    return n ? vault_client_request(t->relay->vault, &q, -1, on_written, t, NULL) : ERR_NOT_FOUND;
}

static void write_some(struct attempt *t)
{
    int err = ask(t);

    if (err == OK)
        return;
    if (err != ERR_NOT_FOUND) { /* no room at the moment */
        later(t);
        return;
    }
    t->relay->unwritten--;
    relay_wake(t->relay);
    t->written(t);
}

void attempt_write(struct attempt *t, void (*written)(struct attempt *t))
{
    t->written = written;
    t->at = 0;
    t->relay->unwritten++;
    qsort(t->rows, t->n, sizeof(t->rows[0]), by_number);
    write_some(t);
}

/* ---- what comes of it ---- */

/* Of those that have come to this: their sender is told of them together. */
static void add_report(struct attempt *t, enum queue_state state, uint64_t now)
{
    uint32_t about[JOB_RECIPIENTS_MAX];
    struct job_new report = {.m = *t->job->message, .task = TASK_REPORT, .recipients = about, .next_try = now};

    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].write == ROW_PUT && t->rows[i].r.state == state)
            about[report.n++] = t->rows[i].r.n;
    if (report.n && schedule_add(t->relay->schedule, &report, now) != OK)
        t->conflict = true;
}

/* The recipients that are left; their tries are one more. */
static void go_on(struct attempt *t)
{
    struct relay *r = t->relay;
    struct job *j = t->job;
    const uint64_t now = relay_now();
    uint32_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].write == ROW_PUT && t->rows[i].outcome.verdict == VERDICT_DEFERRED)
            j->recipients[n++] = t->rows[i].r.n;
    add_report(t, QUEUE_FAILED, now);
    add_report(t, QUEUE_SENT, now);
    if (t->conflict)
        changes_note(r, t->envelope.id);
    if (n) {
        j->n = (uint8_t)n;
        if (t->next_try > t->now && j->tries < UINT16_MAX)
            j->tries++;
        schedule_defer(r->schedule, j, t->next_try, now);
    } else {
        schedule_done(r->schedule, j);
    }
    attempt_free(t);
    relay_wake(r);
}

static void settle_row(struct attempt *t, struct attempt_row *row)
{
    const enum dsn_kind kinds[] = {
        [VERDICT_SENT] = row->r.local ? DSN_DELIVERED : DSN_RELAYED, [VERDICT_FAILED] = DSN_FAILED};
    const enum verdict v = row->outcome.verdict;

    row->r.last_try = t->now;
    if (row->r.tries < UINT32_MAX)
        row->r.tries++;
    row->write = ROW_PUT;
    if (v == VERDICT_DEFERRED) {
        row->r.state = QUEUE_DEFERRED;
        row->r.next_try = t->next_try;
    } else if ((v == VERDICT_SENT && t->dsn_there && !row->r.local) || !dsn_wanted(&t->envelope, &row->r, kinds[v])) {
        row->write = ROW_REMOVE;
    } else {
        row->r.state = v == VERDICT_SENT ? QUEUE_SENT : QUEUE_FAILED;
    }
    relay_count(t->relay, v == VERDICT_SENT ? COUNT_SENT : v == VERDICT_FAILED ? COUNT_FAILED : COUNT_DEFERRED);
    report_outcome(t, row);
}

static void name_report(struct attempt *t, enum queue_state state)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].r.state == state && t->rows[i].r.n < least)
            least = t->rows[i].r.n;
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].r.state == state)
            t->rows[i].r.report = least;
}

void attempt_settle(struct attempt *t)
{
    bool again = false, sent = false;

    for (size_t i = 0; i < t->n; i++) {
        again |= t->rows[i].outcome.again_at_once;
        sent |= t->rows[i].outcome.verdict == VERDICT_SENT;
    }
    if (!t->next_try) /* at once only after progress: it comes to an end */
        t->next_try = again && sent ? t->now : t->now + schedule_interval(t->relay->schedule, t->job->tries);
    for (size_t i = 0; i < t->n; i++)
        settle_row(t, &t->rows[i]);
    name_report(t, QUEUE_FAILED);
    name_report(t, QUEUE_SENT);
    attempt_write(t, go_on);
}

void attempt_abandon(struct attempt *t, uint64_t next_try)
{
    struct job *j = t->job;
    struct relay *r = t->relay;

    attempt_free(t);
    schedule_defer(r->schedule, j, next_try, relay_now());
    relay_wake(r);
}
