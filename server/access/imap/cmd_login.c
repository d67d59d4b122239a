/* STARTTLS, AUTHENTICATE, LOGIN (RFC 3501 sections 6.2.1 to 6.2.3; PLAIN: RFC 4616; SCRAM: RFC 7677). An unknown
 * account and a wrong password take the same way, the same work and the same time; failures slow down the peer and its
 * network, never the account. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/account.h"
#include "server/access/imap/args.h"
#include "server/access/imap/capability.h"
#include "server/access/imap/commands.h"
#include "server/login/login_scram.h"
#include "server/proto/sasl.h"

enum { LOGIN_FAILURES_MAX = 3 };

void imap_cmd_starttls(struct imap_job *j)
{
    struct imap_session *s = j->s;
    if (j->in->args || conn_is_tls(s->conn)) {
        imap_job_bad(j, j->in->args ? "No arguments expected" : "TLS is on already");
        return;
    }
    if (!s->a->tls) {
        imap_job_done(j, "NO [UNAVAILABLE] No certificate");
        return;
    }
    if (conn_in(s->conn)
            ->len) { /* RFC 9051 section 6.2.1; what came before TLS must not be taken for what comes under it */
        imap_session_bye(s, "Commands pipelined after STARTTLS");
        return;
    }
    imap_job_done(j, "OK Begin TLS now");
    if (!s->ending && conn_start_tls(s->conn, s->a->tls))
        imap_session_bye(s, "[UNAVAILABLE] TLS failed");
}

static void refused(struct imap_job *j)
{
    struct imap_session *s = j->s;
    s->a->login_failures++;
    imap_job_done(j, "NO [AUTHENTICATIONFAILED] Not accepted");
    if (++s->failures >= LOGIN_FAILURES_MAX)
        imap_session_bye(s, "Too many failed logins");
}

static void failed(struct imap_job *j, int err)
{
    if (err == ERR_DENIED)
        refused(j);
    else
        imap_job_error(j, err == ERR_NOT_FOUND ? ERR_GONE : err);
}

static void welcome(struct imap_job *j, const struct login_result *r)
{
    struct imap_session *s = j->s;
    if (!imap_account_room(s->a, r->user.account)) { /* RFC 5530 section 3 */
        s->a->logins_over_limit++;
        imap_job_done(j, "NO [LIMIT] This account has too many sessions");
        return;
    }
    struct buf *b = imap_staging(s->a);
    if (imap_session_authenticated(s, r) || imap_capability_write(s, b) || buf_append(b, "", 1)) {
        imap_job_error(j, ERR_MEMORY);
        return;
    }
    imap_job_done(j, "OK [%s] Welcome", (const char *)b->data);
}

static void tried(void *arg, int err, const struct login_result *r)
{
    struct imap_job *j = arg;
    imap_job_resume(j);
    if (err)
        failed(j, err);
    else
        welcome(j, r);
}

static void give_up(void *arg)
{
    login_cancel(arg);
}

/* user.data NULL: it will be refused, as late as any. */
static void login(struct imap_job *j, struct slice user, struct slice password)
{
    struct imap_session *s = j->s;
    const struct login_params p = {.peer = conn_peer(s->conn), .user = user, .password = password, .scope = SCOPE_IMAP};
    struct login_try *t;
    int err = login_start(s->a->login, &p, tried, j, &t);
    if (err)
        imap_job_error(j, err);
    else
        imap_job_wait(j, give_up, t);
}

static bool permitted(struct imap_job *j)
{
    if (imap_login_allowed(j->s))
        return true;
    imap_job_done(j, "NO [PRIVACYREQUIRED] Only under TLS"); /* RFC 5530 section 3 */
    return false;
}

void imap_cmd_login(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    if (imap_arg_count(n) != 2 || !imap_is_astring(n) || !imap_is_astring(n->next)) {
        imap_job_bad(j, "LOGIN takes a user name and a password");
        return;
    }
    if (permitted(j))
        login(j, n->text, n->next->text);
}

static void plain(struct imap_job *j, struct slice base64)
{
    struct sasl_plain *p = imap_job_alloc(j, sizeof(*p));
    if (!p)
        return;
    int err = sasl_plain_decode(base64, p);
    if (err == ERR_DENIED)
        login(j, (struct slice){0}, (struct slice){0});
    else if (err)
        imap_job_bad(j, "Not a PLAIN response");
    else
        login(j, slice_of(p->user, p->user_len), slice_of(p->password, p->password_len));
}

/* RFC 3501 section 6.2.2: the client gives up. */
static bool cancelled(struct imap_job *j, struct slice text)
{
    if (text.data && !(text.len == 1 && text.data[0] == '*'))
        return false;
    imap_job_done(j, "BAD Cancelled");
    return true;
}

static void plain_line(struct imap_job *j, struct slice text)
{
    if (!cancelled(j, text))
        plain(j, text);
}

static void challenge(struct imap_job *j, const char *message, void (*line)(struct imap_job *j, struct slice text))
{
    char text[SASL_BASE64_LEN(SCRAM_MESSAGE_MAX) + 1];
    sasl_base64_encode(slice_str(message), text);
    j->line = line;
    imap_expect_line(&j->s->parser);
    imap_session_printf(j->s, "+ %s\r\n", text);
}

/* ---- SCRAM: two messages of the client's, two of ours, and an empty one that takes note of ours ---- */

struct scram {
    struct scram_server server;
    struct login_result result;
    bool plus;
};

static void scram_release(struct imap_job *j)
{
    explicit_bzero(j->data, sizeof(struct scram));
    free(j->data);
}

static void scram_noted(struct imap_job *j, struct slice text)
{
    struct scram *x = j->data;
    if (cancelled(j, text))
        return;
    if (text.len)
        imap_job_bad(j, "Nothing is left to say");
    else
        welcome(j, &x->result);
}

static void scram_tried(void *arg, int err, const struct login_result *r)
{
    struct imap_job *j = arg;
    struct scram *x = j->data;
    char out[SCRAM_FINAL_MAX];
    imap_job_resume(j);
    if (err) {
        failed(j, err);
        return;
    }
    x->result = *r;
    scram_server_last(&x->server, out);
    challenge(j, out, scram_noted);
}

/* A message of the client's, out of base64. false: it has been answered. */
static bool decoded(struct imap_job *j, struct slice text, uint8_t out[SASL_LINE_MAX], struct slice *ret)
{
    long n = text.len <= SASL_LINE_MAX ? sasl_base64_decode(text, out, SASL_LINE_MAX) : -1;
    if (n < 0)
        imap_job_bad(j, "Not base64");
    else
        *ret = slice_of(out, (size_t)n);
    return n >= 0;
}

static void scram_final(struct imap_job *j, struct slice text)
{
    struct imap_session *s = j->s;
    struct scram *x = j->data;
    uint8_t octets[SASL_LINE_MAX];
    struct slice message;
    struct login_try *t;
    if (cancelled(j, text) || !decoded(j, text, octets, &message))
        return;
    int err = login_scram_final(s->a->login, &x->server, s->conn, SCOPE_IMAP, message, scram_tried, j, &t);
    if (err)
        imap_job_error(j, err);
    else
        imap_job_wait(j, give_up, t);
}

static void scram_first(struct imap_job *j, struct slice text)
{
    struct scram *x = j->data;
    char out[SCRAM_MESSAGE_MAX];
    uint8_t octets[SASL_LINE_MAX];
    struct slice message;
    if (cancelled(j, text) || !decoded(j, text, octets, &message))
        return;
    int err = login_scram_first(j->s->a->login, &x->server, x->plus, login_scram_plus(j->s->conn), message, out);
    if (err == ERR_FORMAT)
        imap_job_bad(j, "Not a SCRAM message");
    else if (err)
        failed(j, err);
    else
        challenge(j, out, scram_final);
}

static const struct mechanism {
    const char *name;
    bool scram, plus;
    void (*line)(struct imap_job *j, struct slice text);
} mechanisms[] = {
    {"PLAIN", false, false, plain_line},
    {"SCRAM-SHA-256", true, false, scram_first},
    {"SCRAM-SHA-256-PLUS", true, true, scram_first},
};

static const struct mechanism *find_mechanism(const struct imap_job *j, struct slice name)
{
    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
        if (imap_word_is(name, mechanisms[i].name) && (!mechanisms[i].plus || login_scram_plus(j->s->conn)))
            return &mechanisms[i];
    return NULL;
}

void imap_cmd_authenticate(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    const struct mechanism *m;
    size_t count = imap_arg_count(n);
    if (count < 1 || count > 2 || n->type != IMAP_ATOM || (count == 2 && n->next->type != IMAP_ATOM)) {
        imap_job_bad(j, "AUTHENTICATE takes a mechanism and perhaps an initial response");
        return;
    }
    if (!permitted(j))
        return;
    m = find_mechanism(j, n->text);
    if (!m) {
        imap_job_done(j, "NO [CANNOT] No such mechanism");
        return;
    }
    if (m->scram) {
        struct scram *x = calloc(1, sizeof(*x)); /* the arena goes between lines */
        if (!x) {
            imap_job_error(j, ERR_MEMORY);
            return;
        }
        x->plus = m->plus;
        j->data = x;
        j->release = scram_release;
    }
    if (count == 2) /* SASL-IR (RFC 4959 section 3) */
        m->line(j, n->next->text);
    else
        challenge(j, "", m->line);
}
