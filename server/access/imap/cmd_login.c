/* STARTTLS, AUTHENTICATE PLAIN, LOGIN (RFC 3501 sections 6.2.1 to 6.2.3; PLAIN: RFC 4616). An unknown account and a
 * wrong password take the same way, the same work and the same time; failures slow down the peer and its network,
 * never the account. */
#include <string.h>

#include "server/access/imap/account.h"
#include "server/access/imap/args.h"
#include "server/access/imap/capability.h"
#include "server/access/imap/commands.h"
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

static void tried(void *arg, int err, const struct login_result *r)
{
    struct imap_job *j = arg;
    struct imap_session *s = j->s;
    imap_job_resume(j);
    if (err == ERR_DENIED) {
        refused(j);
        return;
    }
    if (err) {
        imap_job_error(j, err == ERR_NOT_FOUND ? ERR_GONE : err);
        return;
    }
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

static void line(struct imap_job *j, struct slice text)
{
    if (!text.data || (text.len == 1 && text.data[0] == '*')) { /* RFC 3501 section 6.2.2: the client gives up */
        imap_job_done(j, "BAD Cancelled");
        return;
    }
    plain(j, text);
}

void imap_cmd_authenticate(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    size_t count = imap_arg_count(n);
    if (count < 1 || count > 2 || n->type != IMAP_ATOM || (count == 2 && n->next->type != IMAP_ATOM)) {
        imap_job_bad(j, "AUTHENTICATE takes a mechanism and perhaps an initial response");
        return;
    }
    if (!permitted(j))
        return;
    if (!imap_word_is(n->text, "PLAIN")) {
        imap_job_done(j, "NO [CANNOT] No such mechanism");
        return;
    }
    if (count == 2) { /* SASL-IR (RFC 4959 section 3) */
        plain(j, n->next->text);
        return;
    }
    j->line = line;
    imap_expect_line(&j->s->parser);
    imap_session_printf(j->s, "+ \r\n");
}
