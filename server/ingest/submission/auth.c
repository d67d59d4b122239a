/* AUTH by app passwords of scope smtp: SCRAM-SHA-256 with and without -PLUS (RFC 7677), PLAIN (RFC 4616), and LOGIN,
 * which has no RFC. An unknown account and a wrong password take the same way; failures slow down the peer and its
 * network, never the account (server/login/login.h). */
#include "server/ingest/submission/state.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/login/login_scram.h"
#include "server/proto/sasl.h"

enum { FAILURES_MAX = 3 };

/* One AUTH. */
struct exchange {
    struct sasl_plain plain;
    struct scram_server scram;
    enum { FIRST, FINAL, NOTED } due; /* of SCRAM: the client's message */
    struct login_result result;       /* of SCRAM, until the client has taken note of our proof */
};

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
    submission_pace_cancel(s);
    forget(s);
}

static void refused(struct submission *s)
{
    count(s->t.in, COUNT_LOGIN_FAILURES);
    smtp_refuse(s->t.smtp, 535, "5.7.8", "Not accepted"); /* RFC 4954 section 6 */
    if (++s->failures >= FAILURES_MAX)
        smtp_close(s->t.smtp, 421, "4.7.0", "Too many failed logins");
}

static void let_in(struct submission *s, int err)
{
    if (err == OK)
        err = submission_enter(s);
    if (err == OK) {
        smtp_accept(s->t.smtp, NULL);
        return;
    }
    explicit_bzero(&s->who, sizeof(s->who));
    smtp_refuse(s->t.smtp, 454, "4.7.0", "Too many sessions of this account"); /* RFC 4954 section 6 */
}

static void welcome(struct submission *s, const struct login_result *r)
{
    s->who = *r;
    forget(s);
    count(s->t.in, COUNT_LOGINS);
    submission_pace(s, PACE_LOGIN, let_in);
}

static void failed(struct submission *s, int err)
{
    forget(s);
    if (err == ERR_DENIED)
        refused(s);
    else if (err == ERR_FORMAT)
        smtp_refuse(s->t.smtp, 501, "5.5.2", "Not what this mechanism says");
    else
        smtp_refuse(s->t.smtp, 454, "4.7.0", "Logging in is not possible now"); /* RFC 4954 section 6 */
}

static void tried(void *arg, int err, const struct login_result *r)
{
    struct submission *s = arg;

    s->try = NULL;
    if (err == OK)
        welcome(s, r);
    else
        failed(s, err);
    smtp_session_resume(s->t.session);
}

/* Our proof goes out as a challenge, which the client answers with nothing (RFC 4954 section 4). */
static void scram_tried(void *arg, int err, const struct login_result *r)
{
    struct submission *s = arg;
    char out[SCRAM_FINAL_MAX];

    s->try = NULL;
    if (err == OK) {
        s->said->result = *r;
        s->said->due = NOTED;
        scram_server_last(&s->said->scram, out);
        smtp_challenge(s->t.smtp, slice_str(out));
    } else {
        failed(s, err);
    }
    smtp_session_resume(s->t.session);
}

/* ---- mechanisms: ERR_AGAIN: the client has been asked for more, or a login is tried ---- */

/* refused_for_sure: as late as any. */
static int login(struct submission *s, bool refused_for_sure)
{
    struct login_params p = {.peer = smtp_session_peer(s->t.session), .scope = SCOPE_SMTP};
    int err;

    if (!refused_for_sure) {
        p.user = slice_of(s->said->plain.user, s->said->plain.user_len);
        p.password = slice_of(s->said->plain.password, s->said->plain.password_len);
    }
    err = login_start(s->t.in->login, &p, tried, s, &s->try);
    return err == OK ? ERR_AGAIN : err;
}

static int ask(struct submission *s, const char *text)
{
    if (strlen(text) > SMTP_CHALLENGE_MAX) /* a client's nonce without end */
        return ERR_FORMAT;
    smtp_challenge(s->t.smtp, slice_str(text));
    return ERR_AGAIN;
}

static int plain(struct submission *s, struct slice response)
{
    int err;

    if (!response.data)
        return ask(s, "");
    err = sasl_plain_read(response, &s->said->plain);
    return err == OK || err == ERR_DENIED ? login(s, err == ERR_DENIED) : err;
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
    struct sasl_plain *p = &s->said->plain;
    int err;

    if (p->user_len) {
        err = take(response, p->password, sizeof(p->password), &p->password_len);
        return err == OK ? login(s, false) : err;
    }
    err = response.data ? take(response, p->user, sizeof(p->user), &p->user_len) : OK;
    if (err != OK)
        return err;
    return ask(s, response.data ? "Password:" : "Username:");
}

/* To this session, whatever is configured by now. */
static bool bound_offered(const struct submission *s)
{
    const char *offered = smtp_mechanisms(s->t.smtp);

    return offered && strstr(offered, "-PLUS");
}

static int scram(struct submission *s, struct slice response, bool plus)
{
    const struct conn *c = smtp_session_conn(s->t.session);
    struct exchange *x = s->said;
    char out[SCRAM_MESSAGE_MAX];
    int err;

    if (!response.data)
        return ask(s, "");
    if (x->due == FIRST) {
        x->due = FINAL;
        err = login_scram_first(s->t.in->login, &x->scram, plus, bound_offered(s), response, out);
        return err == OK ? ask(s, out) : err;
    }
    if (x->due == FINAL) {
        err = login_scram_final(s->t.in->login, &x->scram, c, SCOPE_SMTP, response, scram_tried, s, &s->try);
        return err == OK ? ERR_AGAIN : err;
    }
    if (response.len)
        return ERR_FORMAT;
    const struct login_result r = x->result;
    welcome(s, &r);
    return OK;
}

static int scram_alone(struct submission *s, struct slice response)
{
    return scram(s, response, false);
}

static int scram_bound(struct submission *s, struct slice response)
{
    return scram(s, response, true);
}

static const struct mechanism {
    const char *name;
    int (*step)(struct submission *s, struct slice response);
} mechanisms[] = {
    {"SCRAM-SHA-256-PLUS", scram_bound},
    {"SCRAM-SHA-256", scram_alone},
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

void submission_auth(struct submission *s, const struct smtp_event *e)
{
    int err = OK;

    if (e->begins)
        forget(s);
    if (!s->said && !(s->said = calloc(1, sizeof(*s->said))))
        err = ERR_MEMORY;
    if (err == OK)
        err = find(e->mechanism)->step(s, e->response);
    if (err != OK && err != ERR_AGAIN)
        failed(s, err);
}
