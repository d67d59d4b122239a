/* The way of input: from the connection through the parser to a command, and what wakes a command that waits. */
#include "server/access/imap/capability.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/dispatch.h"

/* First the map, if the command needs it, however many turns that takes. */
static void start(struct imap_job *j)
{
    int err = j->cmd->flags & IMAP_CMD_MAP ? imap_session_map(j->s) : OK;
    if (err == ERR_AGAIN) {
        j->step = start;
        imap_job_again(j);
        return;
    }
    j->step = NULL;
    if (err)
        imap_job_error(j, err);
    else
        j->cmd->run(j);
}

/* A command out of place is refused by its state (RFC 3501 section 3). */
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
        start(j);
}

/* Runs the command in front of its message. If that refuses, no continuation is sent for a synchronising literal (RFC
 * 3501 section 7.5), and a non-synchronising one is skipped (RFC 7888 section 4). */
static void begin_content(struct imap_session *s, const struct imap_command *in)
{
    bool fatal = false;
    run_command(s, in);
    if (s->ending)
        return;
    if (s->job && s->job->content) {
        imap_append_accept(&s->parser);
        if (in->literal_sync)
            imap_session_printf(s, "+ OK\r\n");
        return;
    }
    if (s->job && s->job->done)
        s->job = NULL;
    imap_append_refuse(&s->parser, s->state == IMAP_STATE_NOT_AUTH ? IMAP_DISCARD_MAX : s->a->config.message_max * 2,
                       &fatal);
    if (fatal)
        imap_session_bye(s, "Too much to skip");
}

/* A command gets the one line that it asked for. */
static void give_line(struct imap_job *j, struct slice line)
{
    void (*take)(struct imap_job * j, struct slice line) = j->line;
    j->line = NULL;
    take(j, line);
}

/* Nothing more is read until the command is answered. */
static void end_content(struct imap_job *j)
{
    j->content = NULL;
    j->content_end(j);
}

static void handle(struct imap_session *s, enum imap_event ev, const struct imap_command *in, struct slice span)
{
    switch (ev) {
    case IMAP_COMMAND: run_command(s, in); break;
    case IMAP_LINE:
        if (s->job && s->job->line)
            give_line(s->job, span.data ? span : slice_str("")); /* an empty one */
        break;
    case IMAP_CONTINUE: imap_session_printf(s, "+ OK\r\n"); break;
    case IMAP_APPEND: begin_content(s, in); break;
    case IMAP_APPEND_DATA: s->job->content(s->job, span); break;
    case IMAP_APPEND_END: end_content(s->job); break;
    case IMAP_BAD:
        s->bad++;
        if (s->job && s->job->line) {
            give_line(s->job, (struct slice){0});
            break;
        }
        if (s->job) /* there was more on the line behind its message */
            imap_session_drop_job(s);
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
    if (j && j->content && j->room)
        return j->room(s->job, conn_in(s->conn)->len);
    return !j || j->line || j->content;
}

/* Commands are worked on one after another, so pipelined ones need no care (RFC 3501 section 5.5). As many as the input
 * holds would make every other session wait, so a turn has a few, and no more once its work is done. */
static void read_input(struct imap_session *s)
{
    struct buf *in = conn_in(s->conn);
    unsigned commands = 0;
    while (may_read(s) && in->len) {
        const struct imap_command *cmd = NULL;
        struct slice span = {0};
        size_t used = 0;
        enum imap_event ev = imap_next(&s->parser, in->data, in->len, &used, &cmd, &span);
        if (ev != IMAP_APPEND_DATA) /* its span lies in the buffer until it is handled */
            buf_consume(in, used);
        handle(s, ev, cmd, span);
        if (s->ending)
            return;
        if (ev == IMAP_APPEND_DATA)
            buf_consume(in, used);
        if (s->job && s->job->done)
            s->job = NULL;
        if (ev == IMAP_COMMAND && (++commands == IMAP_COMMANDS_A_TURN || !imap_turn_left(s->a)) && in->len) {
            imap_session_wake(s);
            return;
        }
    }
    if (in->len == 0 && (!s->job || s->job->line))
        imap_parser_trim(&s->parser);
}

static bool may_step(const struct imap_session *s)
{
    const struct imap_job *j = s->job;
    return j && j->step && !j->done && !j->request && !j->give_up && conn_out_len(s->conn) <= IMAP_OUT_LOW;
}

/* A job that does both, as IDLE does, goes on and lets input be read. */
static void go_on(void *arg)
{
    struct imap_session *s = arg;
    if (s->job && s->job->done)
        s->job = NULL;
    if (s->ending)
        return;
    imap_turn_begin(s->a);
    if (may_step(s))
        s->job->step(s->job);
    if (!s->ending)
        read_input(s);
}

static void greet(struct imap_session *s)
{
    struct buf *b = imap_staging(s->a);
    s->greeted = true;
    if (!buf_puts(b, "* OK [") && !imap_capability_write(s, b) && !buf_printf(b, "] %s ready\r\n", s->a->config.domain))
        imap_staging_send(s);
}

static void on_data(void *arg)
{
    struct imap_session *s = arg;
    imap_session_heard(s);
    if (imap_session_waits(s)) /* its turn comes */
        return;
    struct access *a = s->a;
    if (imap_turn_begin_now(a)) {
        read_input(s);
        imap_turn_end_now(a);
    } else {
        imap_session_wake(s);
    }
}

/* Who reads fast has no more turns than others. */
static void on_drain(void *arg)
{
    imap_session_wake(arg);
}

/* Only implicit TLS is greeted after the handshake; STARTTLS brings no new greeting. */
static void on_tls(void *arg)
{
    struct imap_session *s = arg;
    if (!s->greeted)
        greet(s);
}

static void on_end(void *arg, enum conn_end why)
{
    imap_session_heard(arg);
    imap_session_destroy(arg);
}

void imap_serve(struct access *a, int fd, const struct sockaddr_storage *peer, uint32_t on, bool tls_at_once)
{
    static const struct conn_ops ops = {.on_data = on_data, .on_drain = on_drain, .on_tls = on_tls, .on_end = on_end};
    struct imap_session *s = imap_session_create(a, fd, peer, on, tls_at_once, &ops, go_on);
    if (s && !tls_at_once)
        greet(s);
}
