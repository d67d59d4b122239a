/* What is for elsewhere, or held: one entry of the outgoing queue for the whole transaction, sealed and stored once all
 * that is for accounts here is synced (server/queue/enqueue.h). */
#include "server/ingest/submission/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/transaction/report.h"
#include "server/mail/address.h"
#include "server/mail/downgrade.h"
#include "store/blob.h"

enum { ROWS_KEPT = 4 };

static struct queue_recipient *room(struct submission *s)
{
    if (s->nrows == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 2;
        struct queue_recipient *more = calloc(cap, sizeof(*more));
        if (!more)
            return NULL;
        if (s->nrows) {
            memcpy(more, s->rows, s->nrows * sizeof(*more));
            explicit_bzero(s->rows, s->nrows * sizeof(*more));
        }
        free(s->rows);
        s->rows = more;
        s->cap = cap;
    }
    memset(&s->rows[s->nrows], 0, sizeof(*s->rows));
    return &s->rows[s->nrows];
}

/* The domain must be one that DNS can be asked for; a literal (RFC 5321 section 4.1.3) is nobody's mail domain. */
static int check_address(const char *address)
{
    const char *at = strrchr(address, '@');
    char domain[DOMAIN_CAP];

    return at && strlen(address) < ADDRESS_MAX ? address_domain_normalize(at + 1, strlen(at + 1), domain) : ERR_FORMAT;
}

int submission_queue_add(struct submission *s, const struct smtp_event *e, bool local)
{
    struct queue_recipient *q;
    struct transaction_rcpt *r;
    int err = s->t.in->enqueuer ? check_address(e->address) : ERR_UNSUPPORTED;

    if (err != OK)
        return err;
    for (uint32_t i = 0; i < s->nrows; i++)
        if (strcmp(s->rows[i].to, e->address) == 0)
            return OK;
    q = room(s);
    if (!q || !(r = transaction_add_rcpt(&s->t)))
        return ERR_MEMORY;
    q->state = QUEUE_QUEUED;
    q->local = local;
    q->notify = e->notify;
    strcpy(q->to, e->address);
    strcpy(q->orcpt, e->orcpt);
    if (!enqueue_fits(s->rows, s->nrows + 1))
        return ERR_FULL;
    s->nrows++;
    r->t = &s->t;
    r->queued = true;
    r->state = TRANSACTION_RCPT_DONE;
    strcpy(r->given, e->address);
    transaction_report_names(&s->t, e->address, NULL, &r->names);
    s->t.n++;
    s->t.keeps = true;
    return OK;
}

static void chain(const struct submission *s, const char *to, uint8_t hash[RECORD_HASH_SIZE])
{
    uint8_t before[RECORD_HASH_SIZE];
    const struct record_part parts[] = {{before, sizeof(before)}, {to, strlen(to)}};

    memcpy(before, hash, sizeof(before));
    record_hash(view_keys(s->t.in->view), RECORD_DELIVERY, s->who.user.account, parts, 2, hash);
}

void submission_queue_name(struct submission *s)
{
    const struct record_keys *k = view_keys(s->t.in->view);
    const char *sender = smtp_envelope(s->t.smtp)->sender;
    const struct record_part parts[] = {{sender, strlen(sender)}, {s->t.content, sizeof(s->t.content)}};
    uint8_t hash[RECORD_HASH_SIZE];
    uint64_t id;

    record_hash(k, RECORD_DELIVERY, s->who.user.account, parts, 2, hash);
    for (uint32_t i = 0; i < s->nrows; i++)
        chain(s, s->rows[i].to, hash);
    memcpy(&id, hash, sizeof(id));
    transaction_name_as(&s->t, id);
}

/* ---- handing over ---- */

static void end(struct submission *s, int status)
{
    s->over = true;
    for (size_t i = 0; i < s->t.n; i++)
        if (s->t.rcpts[i].queued)
            s->t.rcpts[i].status = status;
    if (status == OK)
        count(s->t.in, COUNT_QUEUED);
}

static void sealed(void *arg)
{
    struct submission *s = arg;

    if (s->t.msg.len)
        s->t.len = s->t.msg.len;
    s->t.keeps = false;
    transaction_wipe_content(&s->t);
    idle_touch(s->t.in->loop, &s->t.stall);
}

static void done(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    static const int refused[] = {
        [SENDING_TAKEN] = OK, [SENDING_HELD] = TRANSACTION_HELD, [SENDING_DOMAIN] = TRANSACTION_DOMAIN_LIMIT};
    struct submission *s = arg;

    s->enqueue = NULL;
    if (status == OK)
        status = refused[verdict];
    if (status != OK)
        end(s, status);
    transaction_go_on(&s->t);
}

static void describe(const struct submission *s, uint64_t id, const struct iovec *mail, size_t n,
                     struct queue_envelope *ret)
{
    const struct smtp_envelope *env = smtp_envelope(s->t.smtp);
    struct mail_shape shape;
    const uint64_t from = env->hold_until > s->t.now ? env->hold_until : s->t.now;

    mail_shape(mail, n, &shape);
    *ret = (struct queue_envelope){
        .id = id,
        .queued_at = s->t.now,
        .expires = from + s->t.in->config.queue_lifetime,
        .hold_until = env->hold_until,
        .account = s->who.user.account,
        .body = shape.body_8bit ? QUEUE_8BIT : QUEUE_7BIT,
        .smtputf8 = env->smtputf8,
        .tls = env->requiretls   ? QUEUE_TLS_REQUIRED
               : s->tls_optional ? QUEUE_TLS_OPTIONAL
                                 : QUEUE_TLS_USUAL,
        .ret = env->ret,
    };
    strcpy(ret->from, env->sender);
    strcpy(ret->envid, env->envid);
}

/* What one submission becomes counts as one message. */
static bool counts_as_message(struct submission *s, const struct enqueue_request *q)
{
    bool elsewhere = false;

    for (uint32_t i = 0; i < q->n; i++)
        elsewhere |= !q->recipients[i].local;
    if (!elsewhere || s->counted)
        return false;
    s->counted = true;
    return true;
}

/* Those who get what recipient i gets; as many as there are in out. */
static uint32_t sharers(const struct submission *s, size_t i, struct queue_recipient *out)
{
    uint32_t n = 0, row = 0;

    for (size_t k = 0; k < s->t.n; k++) {
        if (!s->t.rcpts[k].queued)
            continue;
        if (s->t.rcpts[k].mail == s->t.rcpts[i].mail)
            out[n++] = s->rows[row];
        row++;
    }
    return n;
}

/* Of a message that is for some of the recipients: it too finds itself, if the same ones share it again. */
static uint64_t id_of(const struct submission *s, const struct queue_recipient *to, uint32_t n)
{
    uint8_t hash[RECORD_HASH_SIZE] = {0};
    uint64_t id;

    memcpy(hash, &s->t.id, sizeof(s->t.id));
    for (uint32_t i = 0; n < s->nrows && i < n; i++)
        chain(s, to[i].to, hash);
    memcpy(&id, hash, sizeof(id));
    id %= BLOB_ID_MAX;
    return id ? id : 1;
}

/* RFC 9477: what others complain about comes back to us with the token, which nobody else can read. */
static size_t make_feedback(struct submission *s)
{
    char token[COMPLAINT_TOKEN_CAP];

    complaint_token_make(view_keys(s->t.in->view), s->who.user.account, s->t.now, token);
    return (size_t)snprintf(s->feedback, sizeof(s->feedback),
                            "CFBL-Address: abuse@%s; report=arf\r\nCFBL-Feedback-ID:\r\n %s\r\n", s->author, token);
}

static int ask(struct submission *s, size_t i, struct queue_recipient *to)
{
    static const struct enqueue_hooks hooks = {.sealed = sealed, .done = done};
    const struct transaction_mail *m = s->t.rcpts[i].mail ? s->t.rcpts[i].mail : &s->t.mail;
    struct enqueue_request q = {.recipients = to, .n = sharers(s, i, to), .mail_n = m->n + 2};
    struct iovec *mail = calloc(q.mail_n, sizeof(*mail));
    int err;

    if (!mail)
        return ERR_MEMORY;
    mail[0] = (struct iovec){s->t.received, strlen(s->t.received)};
    mail[1] = (struct iovec){s->feedback, make_feedback(s)};
    memcpy(mail + 2, m->pieces, m->n * sizeof(*mail));
    describe(s, id_of(s, to, q.n), mail, q.mail_n, &q.envelope);
    q.mail = mail;
    q.charged = s->who.user.account;
    q.counts = counts_as_message(s, &q);
    free(s->mail);
    s->mail = mail; /* until it is sealed, or given up */
    err = enqueue_start(s->t.in->enqueuer, &q, &hooks, s, &s->enqueue);
    explicit_bzero(&q, sizeof(q));
    return err;
}

static int begin(struct submission *s, size_t i)
{
    struct queue_recipient *to = calloc(s->nrows, sizeof(*to));
    int err = to ? ask(s, i, to) : ERR_MEMORY;

    if (to)
        explicit_bzero(to, s->nrows * sizeof(*to));
    free(to);
    return err;
}

/* Whether nobody before it in the queue gets the same message. */
static bool leads(const struct submission *s, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (s->t.rcpts[k].queued && s->t.rcpts[k].mail == s->t.rcpts[i].mail)
            return false;
    return s->t.rcpts[i].queued;
}

/* One message after another. */
bool submission_queue_finish(struct transaction *t)
{
    struct submission *s = (struct submission *)t;

    if (s->nrows == 0)
        return true;
    s->begun = true;
    while (!s->enqueue && !s->over) {
        int err = OK;
        while (s->next < t->n && !leads(s, s->next))
            s->next++;
        if (s->next < t->n)
            err = begin(s, s->next++);
        else
            end(s, OK);
        if (err != OK)
            end(s, err);
    }
    return s->over;
}

void submission_queue_cancel(struct transaction *t)
{
    struct submission *s = (struct submission *)t;

    if (s->enqueue)
        enqueue_cancel(s->enqueue);
    s->enqueue = NULL;
    if (s->begun && !s->over)
        end(s, ERR_TIMEOUT);
}

void submission_queue_reset(struct submission *s)
{
    if (s->nrows)
        explicit_bzero(s->rows, s->nrows * sizeof(*s->rows));
    if (s->cap > ROWS_KEPT) {
        free(s->rows);
        s->rows = NULL;
        s->cap = 0;
    }
    free(s->mail);
    s->mail = NULL;
    s->nrows = 0;
    s->next = 0;
    s->begun = s->over = s->counted = false;
}
