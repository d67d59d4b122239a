/* Commands in work: how they end, how they ask the vault, how they read the store. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/access.h"

enum { SNAPSHOT_TRIES = 5 };

int job_settle(struct job *j)
{
    bool quiet = j->cmd && (j->cmd->flags & CMD_NO_SYNC);
    j->done = true;
    if (quiet || !j->s->sel)
        return j->s->ending ? ERR_GONE : OK;
    return session_sync(j->s, j->in->uid || !(j->cmd && (j->cmd->flags & CMD_NO_EXPUNGE)));
}

void job_close(struct job *j)
{
    j->done = true;
    if (j->release)
        j->release(j);
    j->release = NULL;
    session_wake(j->s);
}

void job_done(struct job *j, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    if (j->done)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    j->done = true;
    if (strncmp(text, "BAD", 3) != 0 && job_settle(j))
        return;
    session_printf(j->s, "%s %s\r\n", j->in->tag, text);
    job_close(j);
}

void job_again(struct job *j)
{
    session_wake(j->s);
}

void job_bad(struct job *j, const char *why)
{
    j->s->bad++;
    job_done(j, "BAD %s", why);
}

/* RFC 9051 section 2.3.1.2: BAD. Not counted: the client's picture of the mailbox may only be old. */
void job_no_message(struct job *j)
{
    job_done(j, "BAD No message has that number");
}

/* RFC 5530's codes, so that a client can tell what to do. */
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
    {ERR_REFUSED, "[CANNOT] The message was refused"},
    {ERR_NO_KEY, "[UNAVAILABLE] This account has no key to encrypt to"},
    {ERR_FULL, "[UNAVAILABLE] No room just now"},
    {ERR_VERSION, "[SERVERBUG] The store is of another version"},
    {ERR_CRYPTO, "[SERVERBUG] A record cannot be opened"},
};

void job_error(struct job *j, int err)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        if (answers[i].err == err) {
            job_done(j, "NO %s", answers[i].text);
            return;
        }
    }
    job_done(j, "NO [UNAVAILABLE] Not possible just now");
}

void job_set_error(struct job *j, int err, const char *why)
{
    if (err == ERR_FORMAT)
        job_bad(j, why);
    else if (err == ERR_NOT_FOUND)
        job_no_message(j);
    else
        job_error(j, err);
}

void *job_alloc(struct job *j, size_t size)
{
    struct arena *arena = session_arena(j->s);
    void *p = arena ? arena_alloc(arena, size) : NULL;
    if (!p)
        job_error(j, ERR_LIMIT);
    return p;
}

int job_request(struct job *j, enum vault_request type, const struct pack *p, int fd, vault_reply_fn *fn)
{
    int err = p->failed ? ERR_LIMIT : vault_client_request(j->s->a->vault, type, p, fd, 0, fn, j, &j->request);
    if (err)
        job_error(j, err);
    return err;
}

int snapshot(struct access *a, int (*fn)(void *arg), void *arg)
{
    int err = ERR_CONFLICT;
    for (unsigned i = 0; i < SNAPSHOT_TRIES; i++) {
        err = view_begin(a->view);
        if (err)
            return err;
        int r = fn(arg);
        err = view_end(a->view);
        if (err != ERR_CONFLICT)
            return err ? err : r;
    }
    return ERR_TIMEOUT;
}

struct buf *staging(struct access *a)
{
    buf_clear(&a->staging);
    return &a->staging;
}

int staging_send(struct session *s)
{
    struct buf *b = &s->a->staging;
    int err = b->len ? session_write(s, b->data, b->len) : OK;
    buf_clear(b);
    return err;
}

int arg_mailbox(const struct imap_node *n, char out[MAILBOX_NAME_MAX])
{
    if (!imap_is_astring(n))
        return ERR_FORMAT;
    int err = imap_utf7_decode(n->text, out, MAILBOX_NAME_MAX);
    if (err)
        return err;
    if (strncasecmp(out, "INBOX", 5) == 0 && (out[5] == 0 || out[5] == '/')) /* RFC 3501 section 5.1 */
        memcpy(out, "INBOX", 5);
    return OK;
}

int put_mailbox(struct buf *out, const char *utf8)
{
    char wire[MAILBOX_NAME_MAX * 4];
    int err = imap_utf7_encode(utf8, wire, sizeof(wire));
    return err ? err : imap_out_astring(out, slice_str(wire));
}

size_t arg_count(const struct imap_node *n)
{
    size_t count = 0;
    for (; n; n = n->next)
        count++;
    return count;
}
