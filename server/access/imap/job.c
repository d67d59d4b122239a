/* Commands at work: how they end, how they ask the vault, how they wait. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/job.h"
#include "server/core/bug.h"
#include "server/access/imap/sync.h"

/* What changed is told, as far as a turn goes. */
int imap_job_settle(struct imap_job *j)
{
    bool quiet = j->cmd && (j->cmd->flags & IMAP_CMD_NO_SYNC);
    j->done = true;
    j->s->bad = 0;
    if (quiet || !j->s->sel)
        return j->s->ending ? ERR_GONE : OK;
    int err = imap_sync(j->s, j->in->uid || !(j->cmd && (j->cmd->flags & IMAP_CMD_NO_EXPUNGE)));
    return !err && j->s->sel->dirty ? ERR_AGAIN : err;
}

void imap_job_close(struct imap_job *j)
{
    j->done = true;
    j->content = NULL;
    j->changed = NULL;
    if (j->release)
        j->release(j);
    j->release = NULL;
    imap_session_wake(j->s);
}

static void answer(struct imap_job *j, const char *text)
{
    struct imap_session *s = j->s;
    imap_session_printf(s, "%s %s\r\n", j->in->tag, text);
    if (s->ask_heard) {
        s->ask_heard = false;
        s->hearing = true;
        conn_ask_heard(s->conn);
    }
    imap_job_close(j);
}

static void tell_rest(struct imap_job *j)
{
    int err = imap_job_settle(j);
    if (!err)
        answer(j, j->data);
    if (err != ERR_AGAIN)
        return;
    j->done = false;
    imap_job_again(j);
}

/* More has changed than one turn tells: the answer waits for the rest. false: no memory, it is told another time. */
static bool answer_later(struct imap_job *j, const char *text)
{
    struct arena *arena = imap_session_arena(j->s);
    char *copy = arena ? arena_strndup(arena, text, strlen(text)) : NULL;
    if (!copy)
        return false;
    if (j->release)
        j->release(j);
    *j = (struct imap_job){.s = j->s, .cmd = j->cmd, .in = j->in, .step = tell_rest, .data = copy};
    imap_job_again(j);
    return true;
}

void imap_job_done(struct imap_job *j, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    if (j->done)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    j->done = true;
    int err = strncmp(text, "BAD", 3) == 0 ? OK : imap_job_settle(j);
    if (err && err != ERR_AGAIN)
        return;
    if (!err || !answer_later(j, text))
        answer(j, text);
}

void imap_job_again(struct imap_job *j)
{
    imap_session_wake(j->s);
}

void imap_job_bad(struct imap_job *j, const char *why)
{
    j->s->bad++;
    imap_job_done(j, "BAD %s", why);
}

void imap_job_expunged(struct imap_job *j)
{
    imap_job_done(j, "NO [EXPUNGEISSUED] Some of the messages are gone");
}

/* RFC 9051 section 2.3.1.2: BAD. Not counted: the client's picture of the mailbox may only be old. */
void imap_job_no_message(struct imap_job *j)
{
    imap_job_done(j, "BAD No message has that number");
}

/* RFC 5530 section 3's codes, so that a client can tell what to do. */
static const struct {
    int err;
    const char *text;
} answers[] = {
    {ERR_NOT_FOUND, "[NONEXISTENT] No such mailbox"},
    {ERR_EXISTS, "[ALREADYEXISTS] It exists already"},
    {ERR_QUOTA, "[OVERQUOTA] Over the account's quota"},
    {ERR_LIMIT, "[LIMIT] Beyond a limit of this server"},
    {ERR_DENIED, "[NOPERM] Not permitted"},
    {ERR_CONFLICT, "[CANNOT] Not possible as things stand"},
    {ERR_FORMAT, "[CANNOT] Not acceptable"},
    {ERR_UNSUPPORTED, "[CANNOT] No mailbox can have that name"},
    {ERR_REFUSED, "[CANNOT] The message was refused"},
    {ERR_NO_KEY, "[UNAVAILABLE] This account has no key to encrypt to"},
    {ERR_UNAPPROVED, "[UNAVAILABLE] This account's keys are not approved"},
    {ERR_FULL, "[UNAVAILABLE] No room just now"},
    {ERR_VERSION, "[SERVERBUG] The store is of another version"},
    {ERR_CRYPTO, "[SERVERBUG] A record cannot be opened"},
};

void imap_job_error(struct imap_job *j, int err)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        if (answers[i].err == err) {
            imap_job_done(j, "NO %s", answers[i].text);
            return;
        }
    }
    imap_job_done(j, "NO [UNAVAILABLE] Not possible just now");
}

void imap_job_arg_error(struct imap_job *j, int err, const char *why)
{
    if (err == ERR_FORMAT)
        imap_job_bad(j, why);
    else
        imap_job_error(j, err);
}

void imap_job_set_error(struct imap_job *j, int err, const char *why)
{
    if (err == ERR_NOT_FOUND)
        imap_job_no_message(j);
    else
        imap_job_arg_error(j, err, why);
}

void *imap_job_alloc(struct imap_job *j, size_t size)
{
    struct arena *arena = imap_session_arena(j->s);
    void *p = arena ? arena_alloc(arena, size) : NULL;
    if (!p)
        imap_job_error(j, ERR_LIMIT);
    return p;
}

static void answered(void *arg, int status, struct unpack *body)
{
    struct imap_job *j = arg;
    struct vault_reply r = {0};
    j->request = 0;
    imap_turn_begin(j->s->a);
    if (!status)
        status = vault_reply_unpack(j->asked, body, &r);
    j->reply(j, status, &r);
}

void imap_job_request(struct imap_job *j, struct vault_request *q, imap_job_reply_fn *reply)
{
    static const struct vault_reply none;
    j->reply = reply;
    j->asked = q->type;
    q->account = j->s->account;
    int err = vault_client_request(j->s->a->vault, q, -1, answered, j, &j->request);
    if (err)
        reply(j, err, &none);
}

void imap_job_wait(struct imap_job *j, void (*give_up)(void *arg), void *arg)
{
    bug_if(j->give_up || !give_up);
    j->give_up = give_up;
    j->awaited = arg;
}

void imap_job_resume(struct imap_job *j)
{
    j->give_up = NULL;
    imap_session_wake(j->s);
}
