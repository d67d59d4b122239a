/* STARTTLS, AUTHENTICATE PLAIN, LOGIN (RFC 3501 sections 6.2.1 to 6.2.3; PLAIN: RFC 4616). An unknown account and a
 * wrong password take the same way, the same work and the same time; failures slow down the peer and its network,
 * never the account. */
#include <string.h>

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

struct login {
    struct imap_job *j;
    struct timer *delay;
    struct slice user, password;
    uint64_t account, waited;
    uint8_t hash[RECORD_HASH_SIZE];
};

static int check(void *arg, struct view *v)
{
    struct login *l = arg;
    const char *password = (const char *)l->password.data;
    int err =
        view_login(v, (const char *)l->user.data, l->user.len, password, l->password.len, SCOPE_IMAP, &l->account);
    return err ? err : app_password_hash(view_keys(v), l->account, password, l->password.len, l->hash);
}

static void release(struct imap_job *j)
{
    struct login *l = j->data;
    timer_destroy(l->delay);
    l->delay = NULL;
}

static void refused(struct imap_job *j)
{
    struct imap_session *s = j->s;
    peers_login_failed(s->a->peers, conn_peer(s->conn), loop_now_ms(s->a->loop));
    s->a->login_failures++;
    imap_job_done(j, "NO [AUTHENTICATIONFAILED] Not accepted");
    if (++s->failures >= LOGIN_FAILURES_MAX)
        imap_session_bye(s, "Too many failed logins");
}

static void try_login(void *arg)
{
    struct login *l = arg;
    struct imap_job *j = l->j;
    struct imap_session *s = j->s;
    int err = view_run(s->a->view, check, l);
    if (err == ERR_DENIED) {
        refused(j);
        return;
    }
    if (err) {
        imap_job_error(j, err == ERR_NOT_FOUND ? ERR_GONE : err);
        return;
    }
    imap_session_authenticated(s, l->account, l->hash);
    struct buf *b = imap_staging(s->a);
    if (imap_capability_write(s, b) || buf_append(b, "", 1)) {
        imap_job_error(j, ERR_MEMORY);
        return;
    }
    imap_job_done(j, "OK [%s] Welcome", (const char *)b->data);
}

/* What failed in other sessions of the peer while this one waited makes it wait longer: many at once gain nothing. */
static void waited(void *arg)
{
    struct login *l = arg;
    struct imap_session *s = l->j->s;
    uint64_t ms = peers_login_delay(s->a->peers, conn_peer(s->conn), loop_now_ms(s->a->loop));
    if (ms <= l->waited) {
        try_login(l);
        return;
    }
    timer_set(l->delay, ms - l->waited);
    l->waited = ms;
}

static void login(struct imap_job *j, struct slice user, struct slice password)
{
    struct imap_session *s = j->s;
    struct login *l = imap_job_alloc(j, sizeof(*l));
    if (!l)
        return;
    *l = (struct login){.j = j, .user = user, .password = password};
    uint64_t ms = peers_login_delay(s->a->peers, conn_peer(s->conn), loop_now_ms(s->a->loop));
    if (ms == 0) {
        try_login(l);
        return;
    }
    j->data = l;
    if (!(l->delay = timer_create_in(s->a->loop, waited, l))) {
        imap_job_error(j, ERR_MEMORY);
        return;
    }
    j->release = release;
    l->waited = ms;
    timer_set(l->delay, ms);
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
        refused(j);
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
