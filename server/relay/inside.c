#include "server/relay/inside.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/queue/internal.h"
#include "server/relay/attempt.h"
#include "server/relay/dsn.h"
#include "server/relay/mail_fd.h"

enum { HAND_MAX = 1024, LATER_S = 30 };
_Static_assert((int)JOB_RECIPIENTS_MAX == (int)QUEUE_REPORT_MAX, "what fails together is told together");

struct inside {
    struct relay *relay;
    struct attempt *t;
    struct opened *content;
    struct opened_wait wait;
    size_t row;  /* LOCAL: whose turn it is */
    size_t told; /* DSNs: the first rows, of which it tells */
    enum dsn_kind kind;
};

static void finish(struct inside *i)
{
    opened_put(i->content);
    free(i);
}

/* Not now: later. */
static void put_off(struct inside *i)
{
    struct attempt *t = i->t;
    struct job *j = t->job;
    struct relay *r = i->relay;
    const uint64_t wait = schedule_interval(r->schedule, j->tries);

    if (j->tries < UINT16_MAX)
        j->tries++;
    finish(i);
    attempt_abandon(t, relay_now() + wait);
}

/* ---- handing over ---- */

/* Of the same numbers for the same reason it is always the same: what is handed over again is a duplicate. */
static void delivery_id(const struct attempt *t, uint8_t why, const uint32_t *numbers, size_t n,
                        uint8_t out[RECORD_HASH_SIZE])
{
    crypto_generichash_state state;
    uint8_t word[9];
    struct pack p;

    crypto_generichash_init(&state, NULL, 0, RECORD_HASH_SIZE);
    pack_init(&p, word, sizeof(word));
    pack_u64(&p, t->envelope.id);
    pack_u8(&p, why);
    crypto_generichash_update(&state, word, p.len);
    for (size_t i = 0; i < n; i++) {
        pack_init(&p, word, sizeof(word));
        pack_u32(&p, numbers[i]);
        crypto_generichash_update(&state, word, p.len);
    }
    crypto_generichash_final(&state, out, RECORD_HASH_SIZE);
}

static int hand_over(struct inside *i, const struct internal_deliver *d, const struct secmem_msg *m, ask_fn *fn)
{
    uint8_t payload[HAND_MAX];
    struct pack p;
    int fd = -1, err = mail_fd_make(m, &fd);

    if (err != OK)
        return err;
    pack_init(&p, payload, sizeof(payload));
    err = internal_deliver_pack(&p, d);
    if (err == OK)
        err = ask_send(i->relay->ingest, INTERNAL_DELIVER, &p, &fd, 1, ASK_AGAIN, fn, i, NULL);
    close(fd);
    return err;
}

/* What trying again does not mend. */
static bool is_final(int status)
{
    return status == OK || status == ERR_NOT_FOUND || status == ERR_DENIED || status == ERR_LIMIT;
}

/* ---- held mail ---- */

static void deliver_next(struct inside *i);

static void delivered(void *arg, int status, struct unpack *body)
{
    struct inside *i = arg;
    struct outcome o = {.verdict = VERDICT_SENT, .reply = "250 2.1.5 Delivered here"};

    if (status == ERR_NOT_FOUND || status == ERR_DENIED)
        outcome_obstacle(OBSTACLE_NO_USER, &o);
    else if (status == ERR_LIMIT)
        outcome_obstacle(OBSTACLE_UNKEEPABLE, &o);
    else if (status != OK)
        outcome_obstacle(OBSTACLE_SHORTAGE, &o);
    attempt_say(&i->t->rows[i->row++], &o, "", QUEUE_PROOF_NONE);
    deliver_next(i);
}

static void deliver_next(struct inside *i)
{
    struct attempt *t = i->t;
    struct internal_deliver d = {.from = slice_str(t->envelope.from)};

    while (i->row < t->n && t->rows[i->row].outcome.verdict)
        i->row++;
    if (i->row == t->n) {
        finish(i);
        attempt_settle(t);
        return;
    }
    d.to = slice_str(t->rows[i->row].r.to);
    delivery_id(t, 'l', &t->rows[i->row].r.n, 1, d.delivery);
    if (hand_over(i, &d, &i->content->mail, delivered) != OK)
        delivered(i, ERR_MEMORY, NULL);
}

/* ---- DSNs ---- */

static void removed(struct attempt *t)
{
    struct relay *r = t->relay;

    schedule_done(r->schedule, t->job);
    attempt_free(t);
    relay_wake(r);
}

static void noted(struct attempt *t)
{
    bool all = true;

    for (size_t k = 0; k < t->n; k++)
        all &= t->rows[k].r.delay_told || !dsn_wanted(&t->envelope, &t->rows[k].r, DSN_DELAYED);
    t->job->delay_told = all;
    attempt_abandon(t, t->job->next_try);
}

/* Whose outcome stands goes, also those of whom nobody wants to be told. */
static void note(struct inside *i)
{
    struct attempt *t = i->t;
    const bool delay = i->kind == DSN_DELAYED;

    for (size_t k = 0; k < t->n; k++) {
        t->rows[k].write = !delay ? ROW_REMOVE : k < i->told ? ROW_PUT : ROW_KEEP;
        if (k < i->told)
            t->rows[k].r.delay_told = 1;
    }
    finish(i);
    attempt_write(t, delay ? noted : removed);
}

static void told(void *arg, int status, struct unpack *body)
{
    struct inside *i = arg;

    if (!is_final(status)) {
        put_off(i);
        return;
    }
    relay_count(i->relay, status == OK ? COUNT_REPORTS : COUNT_REPORTS_LOST);
    note(i);
}

/* What failed together is known by the number in its records, whatever of it is left; a delay by those of whom it
 * tells, who are noted in one commit. */
static void name_dsn(const struct inside *i, uint8_t out[RECORD_HASH_SIZE])
{
    const struct attempt *t = i->t;
    uint32_t numbers[JOB_RECIPIENTS_MAX];

    for (size_t k = 0; k < i->told; k++)
        numbers[k] = t->rows[k].r.n;
    if (i->kind == DSN_DELAYED)
        delivery_id(t, (uint8_t)('0' + i->kind), numbers, i->told, out);
    else
        delivery_id(t, (uint8_t)('0' + i->kind), &t->rows[0].r.report, 1, out);
}

static int tell(struct inside *i)
{
    struct attempt *t = i->t;
    const struct queue_recipient *about[JOB_RECIPIENTS_MAX];
    struct internal_deliver d = {.to = slice_str(t->envelope.from)};
    struct secmem_msg mail = {0};
    struct iovec *v = NULL;
    size_t n = 0;
    int err = i->content ? secmem_msg_pieces(&i->content->mail, (struct slice){0}, 0, &v, &n) : OK;

    for (size_t k = 0; k < i->told; k++)
        about[k] = &t->rows[k].r;
    if (err == OK)
        err = dsn_make(&(struct dsn){.domain = i->relay->config.domain,
                                     .envelope = &t->envelope,
                                     .kind = i->kind,
                                     .recipients = about,
                                     .n = i->told,
                                     .mail = v,
                                     .mail_n = n,
                                     .now = t->now},
                       &mail);
    free(v);
    name_dsn(i, d.delivery);
    if (err == OK)
        err = hand_over(i, &d, &mail, told);
    secmem_msg_release(&mail);
    return err;
}

/* Those of whom the sender is told come first, in their order. */
static void choose(struct inside *i)
{
    struct attempt *t = i->t;
    size_t octets = 0;

    for (size_t k = 0; k < t->n; k++) {
        const struct attempt_row row = t->rows[k];
        if (!dsn_wanted(&t->envelope, &row.r, i->kind))
            continue;
        if (i->kind == DSN_DELAYED) {
            octets += queue_recipient_size(&row.r);
            if (row.r.delay_told || octets > ATTEMPT_WRITE_MAX)
                continue;
        }
        memmove(&t->rows[i->told + 1], &t->rows[i->told], (k - i->told) * sizeof(row));
        t->rows[i->told++] = row;
    }
}

static enum dsn_kind kind_of(const struct attempt *t)
{
    const struct queue_recipient *r = &t->rows[0].r;

    if (t->job->task == TASK_DELAY)
        return DSN_DELAYED;
    return r->state == QUEUE_FAILED ? DSN_FAILED : r->local ? DSN_DELIVERED : DSN_RELAYED;
}

/* ---- the beginning ---- */

static void with_content(void *arg)
{
    struct inside *i = arg;
    int err = opened_get(i->relay, &i->t->envelope, &i->wait, &i->content);
    const bool damaged = err == ERR_NOT_FOUND || queue_is_damage(err);
    struct outcome o;

    if (err == ERR_AGAIN)
        return;
    if (err != OK && !damaged) {
        put_off(i);
        return;
    }
    if (i->t->job->task != TASK_LOCAL) {
        if (tell(i) != OK)
            put_off(i);
        return;
    }
    if (damaged) {
        outcome_obstacle(OBSTACLE_DAMAGED, &o);
        attempt_say_all(i->t, &o, "", QUEUE_PROOF_NONE);
    }
    deliver_next(i);
}

/* The last word of a server there says more than that the time is over. */
static void expire(struct inside *i)
{
    struct attempt *t = i->t;
    struct outcome o;

    outcome_obstacle(OBSTACLE_EXPIRED, &o);
    for (size_t k = 0; k < t->n; k++) {
        if (t->rows[k].r.last_reply[0])
            t->rows[k].outcome.verdict = VERDICT_FAILED;
        else
            attempt_say(&t->rows[k], &o, "", QUEUE_PROOF_NONE);
    }
    finish(i);
    attempt_settle(t);
}

static void begin(struct inside *i)
{
    struct attempt *t = i->t;

    if (t->job->task == TASK_EXPIRE) {
        expire(i);
        return;
    }
    if (t->job->task != TASK_LOCAL) {
        i->kind = kind_of(t);
        choose(i);
        if (!i->told) {
            note(i);
            return;
        }
    }
    with_content(i);
}

void inside_begin(struct relay *r, struct job *j)
{
    struct inside *i = calloc(1, sizeof(*i));
    const uint64_t now = relay_now();
    int err = i ? attempt_open(r, j, now, &i->t) : ERR_MEMORY;

    schedule_leave_inside(r->schedule, j, now);
    if (err == OK) {
        i->relay = r;
        i->wait = (struct opened_wait){.fn = with_content, .arg = i};
        begin(i);
        return;
    }
    free(i);
    if (err == ERR_NOT_FOUND)
        schedule_done(r->schedule, j);
    else
        schedule_defer(r->schedule, j, now + LATER_S, now);
}
