/* A session's life: from accept to the last octet, and the way of input from the connection through the parser to a
 * command. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/secmem.h"
#include "server/access/imap/access.h"

static void on_data(void *arg);
static void on_drain(void *arg);
static void on_tls(void *arg);
static void on_end(void *arg, enum conn_end why);

static const struct conn_ops ops = {on_data, on_drain, on_tls, on_end};

static bool is_loopback(const struct sockaddr_storage *ss)
{
    if (ss->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)ss)->sin_addr.s_addr) >> 24 == 127;
    return ss->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)ss)->sin6_addr);
}

static void account_unlink(struct imap_session *s)
{
    if (!s->account)
        return;
    if (s->acc_prev)
        s->acc_prev->acc_next = s->acc_next;
    else
        s->a->by_account[s->account % IMAP_ACCOUNT_BUCKETS] = s->acc_next;
    if (s->acc_next)
        s->acc_next->acc_prev = s->acc_prev;
    s->account = 0;
}

static void login_timeout(void *arg)
{
    imap_session_bye(arg, "[UNAVAILABLE] No login in time");
}

static void greet(struct imap_session *s)
{
    struct buf *b = imap_staging(s->a);
    s->greeted = true;
    if (!buf_puts(b, "* OK [") && !imap_capability_write(s, b) && !buf_printf(b, "] %s ready\r\n", s->a->config.domain))
        imap_staging_send(s);
}

struct imap_session *imap_session_create(struct access *a, int fd, bool tls_at_once)
{
    static const struct conn_params params = {IMAP_IN_MAX, IMAP_OUT_MAX, IMAP_OUT_LOW, true};
    struct imap_session *s = calloc(1, sizeof(*s));
    if (!s) {
        close(fd);
        return NULL;
    }
    s->a = a;
    s->state = IMAP_STATE_NOT_AUTH;
    imap_parser_init(&s->parser);
    if (!(s->conn = conn_create(a->loop, fd, &params, &ops, s))) {
        free(s);
        return NULL;
    }
    s->loopback = is_loopback(conn_peer(s->conn));
    s->next = a->sessions;
    if (a->sessions)
        a->sessions->prev = s;
    a->sessions = s;
    a->nsessions++;
    if (a->nsessions > a->config.imap_sessions || a->stopping ||
        peers_enter(a->peers, conn_peer(s->conn), a->config.imap_sessions_peer)) {
        if (tls_at_once)
            imap_session_destroy(s);
        else
            imap_session_bye(s, "[UNAVAILABLE] Too many connections");
        return NULL;
    }
    s->counted = true;
    conn_set_timeout(s->conn, (uint64_t)a->config.imap_idle_timeout * 1000);
    if ((s->timer = timer_create_in(a->loop, login_timeout, s)))
        timer_set(s->timer, (uint64_t)a->config.imap_login_timeout * 1000);
    if (!s->timer || (tls_at_once && conn_start_tls(s->conn, a->tls))) {
        imap_session_destroy(s);
        return NULL;
    }
    if (!tls_at_once)
        greet(s);
    return s;
}

static void job_drop(struct imap_session *s)
{
    struct imap_job *j = s->job;
    if (!j)
        return;
    if (j->request)
        vault_client_forget(s->a->vault, j->request);
    if (j->release)
        j->release(j);
    s->job = NULL;
}

void imap_session_destroy(struct imap_session *s)
{
    struct access *a = s->a;
    job_drop(s);
    imap_session_unselect(s);
    account_unlink(s);
    defer_cancel(a->loop, &s->wake);
    if (s->prev)
        s->prev->next = s->next;
    else
        a->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    a->nsessions--;
    if (s->counted)
        peers_leave(a->peers, conn_peer(s->conn));
    timer_destroy(s->timer);
    conn_destroy(s->conn);
    imap_parser_free(&s->parser);
    free(s);
    secmem_wipe_stack(); /* names and passwords that were looked up */
    if (a->stopping && !a->sessions)
        loop_stop(a->loop);
}

void imap_session_bye(struct imap_session *s, const char *text)
{
    if (s->ending)
        return;
    imap_session_printf(s, "* BYE %s\r\n", text);
    s->ending = true;
    job_drop(s);
    conn_finish(s->conn);
}

int imap_session_write(struct imap_session *s, const void *data, size_t len)
{
    if (s->ending)
        return ERR_GONE;
    int err = conn_write(s->conn, data, len);
    if (err) { /* a client that takes nothing, or no memory: nothing more can be said to it */
        s->ending = true;
        conn_finish(s->conn);
    }
    return err;
}

void imap_session_printf(struct imap_session *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    bug_if(n < 0 || (size_t)n >= sizeof(text));
    imap_session_write(s, text, (size_t)n);
}

struct arena *imap_session_arena(struct imap_session *s)
{
    if (!s->parser.arena)
        s->parser.arena = arena_create(IMAP_ARENA_MAX, true);
    return s->parser.arena;
}

void imap_session_unselect(struct imap_session *s)
{
    if (!s->sel)
        return;
    imap_map_unref(s->a, s->sel->map);
    free(s->sel);
    s->sel = NULL;
    if (s->state == IMAP_STATE_SELECTED)
        s->state = IMAP_STATE_AUTH;
}

void imap_session_authenticated(struct imap_session *s, uint64_t account, const uint8_t password[RECORD_HASH_SIZE])
{
    struct imap_session **bucket = &s->a->by_account[account % IMAP_ACCOUNT_BUCKETS];
    s->account = account;
    memcpy(s->password, password, sizeof(s->password));
    s->state = IMAP_STATE_AUTH;
    s->acc_prev = NULL;
    s->acc_next = *bucket;
    if (*bucket)
        (*bucket)->acc_prev = s;
    *bucket = s;
    timer_destroy(s->timer);
    s->timer = NULL;
    s->a->logins++;
}

/* ---- input ---- */

static void run_command(struct imap_session *s, const struct imap_command *in)
{
    const struct imap_command_def *cmd = imap_command_find(in->name);
    struct imap_job *j = s->job = &s->at_work;
    s->a->commands++;
    *j = (struct imap_job){.s = s, .cmd = cmd, .in = in};
    if (!cmd || (in->uid && !(cmd->flags & IMAP_CMD_UID)))
        imap_job_bad(j, "Unknown command");
    else if (!(cmd->states & s->state))
        imap_job_bad(j, s->state == IMAP_STATE_NOT_AUTH      ? "Log in first"
                        : cmd->states == IMAP_STATE_SELECTED ? "Select a mailbox first"
                                                             : "Not now");
    else
        cmd->run(j);
}

static void begin_append(struct imap_session *s, const struct imap_command *in)
{
    bool fatal = false;
    run_command(s, in); /* which sees that a literal is to come */
    if (s->ending)
        return;
    if (s->job && !s->job->done) {
        imap_append_accept(&s->parser);
        if (in->literal_sync)
            imap_session_printf(s, "+ OK\r\n");
        return;
    }
    s->job = NULL;
    imap_append_refuse(&s->parser, s->state == IMAP_STATE_NOT_AUTH ? IMAP_DISCARD_MAX : s->a->config.message_max * 2,
                       &fatal);
    if (fatal)
        imap_session_bye(s, "Too much to skip");
}

static void handle(struct imap_session *s, enum imap_event ev, const struct imap_command *in, struct slice span)
{
    switch (ev) {
    case IMAP_COMMAND: run_command(s, in); break;
    case IMAP_LINE:
        if (s->job && s->job->line)
            s->job->line(s->job, span);
        break;
    case IMAP_CONTINUE: imap_session_printf(s, "+ OK\r\n"); break;
    case IMAP_APPEND: begin_append(s, in); break;
    case IMAP_APPEND_DATA: imap_append_data(s->job, span); break;
    case IMAP_APPEND_END: imap_append_end(s->job); break;
    case IMAP_BAD:
        s->bad++;
        if (s->job && s->job->line) {
            s->job->line(s->job, (struct slice){0});
            break;
        }
        if (s->job) /* an APPEND whose line went on after the message */
            job_drop(s);
        imap_session_printf(s, "%s BAD %s\r\n", in->tag[0] ? in->tag : "*", in->why);
        break;
    case IMAP_FATAL: imap_session_bye(s, in->why ? in->why : "Protocol error"); break;
    default: break;
    }
    if (s->bad >= IMAP_BAD_COMMANDS_MAX)
        imap_session_bye(s, "Too many bad commands");
}

/* A job that waits for input itself (IDLE, AUTHENTICATE, APPEND) lets the parser go on; any other holds the input back.
 */
static bool may_read(const struct imap_session *s)
{
    const struct imap_job *j = s->job;
    if (s->ending || conn_out_len(s->conn) > IMAP_TURN_BYTES)
        return false;
    return !j || j->line || (j->cmd && (j->cmd->flags & IMAP_CMD_MESSAGE) && !j->done && !j->step);
}

/* Commands that end at once would otherwise run as many in a turn as the input holds, while every other session waits.
 */
static void session_input(struct imap_session *s)
{
    struct buf *in = conn_in(s->conn);
    unsigned commands = 0;
    while (may_read(s) && in->len) {
        const struct imap_command *cmd = NULL;
        struct slice span = {0};
        size_t used = 0;
        enum imap_event ev = imap_next(&s->parser, in->data, in->len, &used, &cmd, &span);
        if (ev != IMAP_APPEND_DATA) /* its span lies in the buffer; what a command holds does not */
            buf_consume(in, used);
        handle(s, ev, cmd, span);
        if (s->ending)
            return;
        if (ev == IMAP_APPEND_DATA)
            buf_consume(in, used);
        if (s->job && s->job->done)
            s->job = NULL;
        if (ev == IMAP_COMMAND && ++commands == IMAP_COMMANDS_A_TURN && in->len) {
            imap_session_wake(s);
            return;
        }
    }
    if (in->len == 0 && (!s->job || s->job->line))
        imap_parser_trim(&s->parser);
}

static void wake(void *arg)
{
    struct imap_session *s = arg;
    if (s->job && s->job->done)
        s->job = NULL;
    if (s->ending)
        return;
    if (s->job && s->job->step && conn_out_len(s->conn) <= IMAP_OUT_LOW)
        s->job->step(s->job);
    else
        session_input(s);
}

void imap_session_wake(struct imap_session *s)
{
    if (!s->ending)
        defer_set(s->a->loop, &s->wake, wake, s);
}

static void on_data(void *arg)
{
    session_input(arg);
}

static void on_drain(void *arg)
{
    struct imap_session *s = arg;
    if (s->ending)
        return;
    if (s->job && s->job->step && !s->job->done)
        s->job->step(s->job);
    else
        imap_session_wake(s);
}

/* STARTTLS answers before the handshake; only implicit TLS is greeted after it. */
static void on_tls(void *arg)
{
    struct imap_session *s = arg;
    if (!s->greeted)
        greet(s);
}

static void on_end(void *arg, enum conn_end why)
{
    imap_session_destroy(arg);
}
