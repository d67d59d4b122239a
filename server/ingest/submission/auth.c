/* AUTH by app passwords of scope smtp: PLAIN (RFC 4616), and LOGIN, which has no RFC. An unknown account and a wrong
 * password take the same way; failures slow down the peer and its network, never the account (server/login/login.h). */
#include "server/ingest/submission/state.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { FAILURES_MAX = 3 };

static void forget(struct submission *s)
{
    if (s->said)
        explicit_bzero(s->said, sizeof(*s->said));
    free(s->said);
    s->said = NULL;
}

void submission_auth_cancel(struct submission *s)
{
    if (s->try)
        login_cancel(s->try);
    s->try = NULL;
    forget(s);
}

static void refused(struct submission *s)
{
    count(s->t.in, COUNT_LOGIN_FAILURES);
    smtp_refuse(s->t.smtp, 535, "5.7.8", "Not accepted"); /* RFC 4954 section 6 */
    if (++s->failures >= FAILURES_MAX)
        smtp_close(s->t.smtp, 421, "4.7.0", "Too many failed logins");
}

static void tried(void *arg, int err, const struct login_result *r)
{
    struct submission *s = arg;

    s->try = NULL;
    forget(s);
    if (err == OK) {
        s->who = *r;
        count(s->t.in, COUNT_LOGINS);
        smtp_accept(s->t.smtp, NULL);
    } else if (err == ERR_DENIED) {
        refused(s);
    } else {
        smtp_refuse(s->t.smtp, 454, "4.7.0", "Logging in is not possible now"); /* RFC 4954 section 6 */
    }
    smtp_session_resume(s->t.session);
}

/* ---- mechanisms: OK: user and password are there; ERR_AGAIN: the client has been asked for more ---- */

static int plain(struct submission *s, struct slice response)
{
    if (response.data)
        return sasl_plain_read(response, s->said);
    smtp_challenge(s->t.smtp, (struct slice){0});
    return ERR_AGAIN;
}

static int take(struct slice response, char *out, size_t cap, size_t *ret_len)
{
    if (response.len == 0 || response.len >= cap || memchr(response.data, '\0', response.len))
        return ERR_FORMAT;
    memcpy(out, response.data, response.len);
    *ret_len = response.len;
    return OK;
}

/* draft-murchison-sasl-login-00: a name, then a password. Clients may give the name with the command. */
static int name_then_password(struct submission *s, struct slice response)
{
    struct sasl_plain *p = s->said;
    int err;

    if (p->user_len)
        return take(response, p->password, sizeof(p->password), &p->password_len);
    err = response.data ? take(response, p->user, sizeof(p->user), &p->user_len) : OK;
    if (err != OK)
        return err;
    smtp_challenge(s->t.smtp, slice_str(response.data ? "Password:" : "Username:"));
    return ERR_AGAIN;
}

static const struct mechanism {
    const char *name;
    int (*step)(struct submission *s, struct slice response);
} mechanisms[] = {
    {"PLAIN", plain},
    {"LOGIN", name_then_password},
};

static const struct mechanism *find(const char *name)
{
    const struct mechanism *m = mechanisms;

    while (strcmp(m->name, name) != 0) /* the engine hands out what submission_receiver names */
        m++;
    return m;
}

/* refused_for_sure: as late as any. */
static int login(struct submission *s, bool refused_for_sure)
{
    struct login_params p = {.peer = smtp_session_peer(s->t.session), .scope = SCOPE_SMTP};

    if (!refused_for_sure) {
        p.user = slice_of(s->said->user, s->said->user_len);
        p.password = slice_of(s->said->password, s->said->password_len);
    }
    return login_start(s->t.in->login, &p, tried, s, &s->try);
}

void submission_auth(struct submission *s, const struct smtp_event *e)
{
    int err = OK;

    if (e->begins)
        forget(s);
    if (!s->said && !(s->said = calloc(1, sizeof(*s->said))))
        err = ERR_MEMORY;
    if (err == OK)
        err = find(e->mechanism)->step(s, e->response);
    if (err == ERR_AGAIN)
        return;
    if (err == OK || err == ERR_DENIED)
        err = login(s, err == ERR_DENIED);
    if (err == OK)
        return;
    forget(s);
    if (err == ERR_FORMAT)
        smtp_refuse(s->t.smtp, 501, "5.5.2", "Not what this mechanism says");
    else
        smtp_refuse(s->t.smtp, 454, "4.7.0", "Logging in is not possible now");
}
