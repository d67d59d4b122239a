/* APPEND (RFC 3501 section 6.3.11) and REPLACE (RFC 8508). The message comes in spans into wiped memory under a budget.
 * It is sealed like any other mail, unless it passes the gate as it is. The answer comes when the vault has synced it;
 * the message that it replaces goes in the same commit. */
#include <string.h>
#include <time.h>

#include "server/core/secmem.h"
#include "server/access/imap/account.h"
#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/delivery.h"
#include "server/service/budget.h"

enum {
    APPEND_MS = 120 * 1000,  /* no octet of a message for so long */
    CHARGE_STEP = 64 * 1024, /* memory comes in such chunks */
    WAIT_AGAIN_MS = 200,
};

struct append {
    struct imap_job *j;
    char name[MAILBOX_NAME_MAX];
    uint32_t mailbox;
    uint32_t replaced; /* UID in the selected mailbox; 0: an APPEND */
    struct imap_flags flags;
    int64_t date;
    uint64_t taken;
    struct budget_wait waits;
    struct idle wait;
    struct secmem_msg msg;
    uint8_t delivery[RECORD_HASH_SIZE];
    bool dated, cr, bad_line, has_nul;
    int err; /* it will be refused: the rest is read and dropped */
};

static void give_back(struct append *p)
{
    secmem_msg_release(&p->msg);
    imap_account_give(p->j->s, p->taken);
    p->taken = 0;
}

static void release(struct imap_job *j)
{
    struct append *p = j->data;
    imap_delivery_end(j->s, false);
    place_content_end(&j->s->place);
    idle_cancel(&p->wait);
    give_back(p);
    conn_set_timeout(j->s->conn, (uint64_t)j->s->a->config.imap_idle_timeout * 1000);
}

static int find(void *arg, struct view *v)
{
    struct append *p = arg;
    struct imap_session *s = p->j->s;
    (void)imap_turn_spend(s->a, IMAP_WORK_FIND);
    return view_mailbox_find(v, s->account, p->name, &p->mailbox);
}

/* "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal (RFC 3501 section 9). Without a date-time the internal
 * date is now (section 6.3.11). */
static int parse(struct append *p, const struct imap_node *n)
{
    const struct imap_node *box = n;
    int err = OK;
    if (!n)
        return ERR_FORMAT;
    n = n->next;
    if (n && n->type == IMAP_LIST) {
        struct imap_node flags = *n;
        flags.next = NULL;
        err = imap_flags_parse(imap_session_arena(p->j->s), &flags, &p->flags);
        n = n->next;
    }
    p->date = (int64_t)time(NULL);
    p->dated = n != NULL;
    if (!err && n)
        err = n->type == IMAP_QUOTED && !n->next ? imap_date_time(n->text, &p->date) : ERR_FORMAT;
    return err ? err : imap_arg_mailbox(box, p->name);
}

/* What came, and some more in advance: of the literal alone, and no more than fits. */
static int charge(struct append *p, uint64_t more)
{
    struct imap_session *s = p->j->s;
    uint64_t need = p->msg.len + more, rest = p->j->in->literal - p->taken, step;
    int err;
    if (need <= p->taken)
        return OK;
    need -= p->taken;
    step = (need + CHARGE_STEP - 1) / CHARGE_STEP * CHARGE_STEP;
    step = step < rest ? step : rest;
    if ((err = imap_account_take(s, step)) != OK && need < step) /* a full step may not fit where this does */
        err = imap_account_take(s, step = need);
    if (err == OK)
        p->taken += step;
    return err;
}

/* Lines end in CRLF and nowhere else: a bare LF would be read in two ways, and be signed in a third. */
static void check_lines(struct append *p, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if ((c == '\n') != p->cr)
            p->bad_line = true;
        p->cr = c == '\r';
        p->has_nul = p->has_nul || c == 0;
    }
}

static void wait_fire(struct idle *i)
{
    imap_session_wake(((struct append *)((char *)i - offsetof(struct append, wait)))->j->s);
}

/* Memory that is short now is there in a moment, when those that stall have been ended for it (service/budget.h). What
 * comes stays where it is; after that moment it is taken, and refused. A client that is gone, with which the rest of
 * its message will not come, waits for nothing. */
static bool room(struct imap_job *j, size_t octets)
{
    struct append *p = j->data;
    struct loop *l = j->s->a->loop;
    uint64_t rest = j->in->literal - p->msg.len, more = octets < rest ? octets : rest, have = p->taken - p->msg.len;
    bool fits = p->err || p->bad_line || more <= have || budget_fits(&j->s->place, more - have) != ERR_AGAIN;
    if (!budget_wait(&p->waits, loop_now_ms(l), fits))
        return true;
    if (conn_lost(j->s->conn, rest)) {
        p->err = ERR_FULL;
        give_back(p);
        return true;
    }
    idle_set(l, &p->wait, WAIT_AGAIN_MS, wait_fire);
    return false;
}

static void content(struct imap_job *j, struct slice span)
{
    struct append *p = j->data;
    place_content(&j->s->place, span.len);
    check_lines(p, span);
    if (!p->err && !p->bad_line)
        p->err = charge(p, span.len);
    if (!p->err && !p->bad_line && secmem_msg_append(&p->msg, span.data, span.len))
        p->err = ERR_MEMORY;
    if (p->err || p->bad_line)
        give_back(p);
}

static void sealed(void *arg, const struct seal_result *r)
{
    struct append *p = arg;
    secmem_msg_release(&p->msg); /* its place in the budget goes to the parcel, until the vault has answered */
}

static void too_big(struct imap_job *j)
{
    imap_job_done(j, "NO [TOOBIG] Larger than this server takes"); /* RFC 4469 section 4.2 */
}

static void refuse(struct append *p, int status, enum deposit_stage stage)
{
    struct imap_job *j = p->j;
    if (status == ERR_NOT_FOUND && stage == DEPOSIT_SEALING) /* the account is gone */
        imap_job_error(j, ERR_GONE);
    else if (status == ERR_NOT_FOUND && p->replaced && view_run(j->s->a->view, find, p) == OK)
        imap_job_done(j, "NO [EXPUNGEISSUED] The message is gone; nothing was stored"); /* RFC 5530 section 3 */
    else if (status == ERR_NOT_FOUND)
        imap_job_done(j, "NO [TRYCREATE] No such mailbox");
    else if (status == ERR_LIMIT && j->in->literal > j->s->a->config.message_max)
        too_big(j);
    else if (status == ERR_CONFLICT) /* the account's policy or keys are others since it was sealed */
        imap_job_done(j, "NO [UNAVAILABLE] The account has just been changed: try again");
    else
        imap_job_error(j, status);
}

static void deposited(void *arg, int status, const struct deposit_result *r)
{
    struct append *p = arg;
    struct imap_job *j = p->j;
    imap_job_resume(j);
    imap_delivery_end(j->s, !status);
    if (status) {
        refuse(p, status, r->stage);
        return;
    }
    j->s->a->appended++;
    if (!p->replaced) {
        imap_job_done(j, "OK [APPENDUID %u %u] Done", r->uidvalidity, r->uid); /* RFC 4315 section 3 */
        return;
    }
    /* before the EXPUNGE (RFC 8508 section 4.3) */
    imap_session_printf(j->s, "* OK [APPENDUID %u %u] Stored\r\n", r->uidvalidity, r->uid);
    imap_job_done(j, "OK Done");
}

static const struct deposit_hooks deposit_hooks = {.sealed = sealed, .done = deposited};

static void give_up(void *deposit)
{
    deposit_cancel(deposit);
}

static void deposit(struct append *p, const struct iovec *mail, size_t n)
{
    struct imap_job *j = p->j;
    struct imap_session *s = j->s;
    struct deposit_request q = {
        .seal =
            {
                .account = s->account,
                .primary = s->primary,
                .mail = mail,
                .mail_n = n,
                .mail_len = p->msg.len,
                .peer = conn_peer(s->conn),
                .received = "",
                .auth_results = "",
                .tls = conn_tls_info(s->conn),
                .now = (uint64_t)time(NULL),
                .date = p->date,
                .client_append = true,
                .plain_max = s->a->config.message_max,
            },
        .store =
            {
                .type = VAULT_DELIVER,
                .mailbox = p->mailbox,
                .deliver = {.internaldate = p->date, .flags = p->flags.system, .keywords.n = p->flags.nkeywords},
            },
    };
    for (unsigned i = 0; i < p->flags.nkeywords; i++)
        q.store.deliver.keywords.v[i] = slice_str(p->flags.keywords[i]);
    if (p->replaced) {
        q.store.type = VAULT_REPLACE;
        q.store.deliver.replaced.mailbox = s->sel->mailbox;
        q.store.deliver.replaced.uid = p->replaced;
    }
    const struct imap_delivery id = {
        .mailbox = p->mailbox,
        .replaced = {q.store.deliver.replaced.mailbox, q.store.deliver.replaced.uid},
        .flags = &p->flags,
        .dated = p->dated,
        .date = p->date,
        .mail = mail,
        .mail_n = n,
    };
    struct deposit *d;
    int err = imap_delivery_begin(s, &id, p->delivery);
    memcpy(q.store.deliver.delivery, p->delivery, sizeof(p->delivery));
    if (!err)
        err = deposit_start(&s->a->depositor, &q, &deposit_hooks, p, &d);
    if (err)
        refuse(p, err, DEPOSIT_SEALING);
    else
        imap_job_wait(j, give_up, d);
}

static void content_end(struct imap_job *j)
{
    struct append *p = j->data;
    size_t n = 0;
    place_content_end(&j->s->place);
    if (p->err) {
        imap_job_error(j, p->err);
        return;
    }
    if (p->bad_line || p->cr || p->has_nul) {
        imap_job_done(j, "NO [CANNOT] The lines of a message end in CRLF; it holds no bare CR, LF or NUL");
        return;
    }
    for (const struct secmem_chunk *c = p->msg.first; c; c = c->next)
        n++;
    struct iovec *v = imap_job_alloc(j, n * sizeof(*v));
    if (!v)
        return;
    n = 0;
    for (const struct secmem_chunk *c = p->msg.first; c; c = c->next)
        v[n++] = (struct iovec){c->data, c->len};
    deposit(p, v, n);
}

/* Announced, it takes nothing yet; but what the budget cannot hold need not be sent. */
static bool never_fits(const struct imap_job *j)
{
    const struct config *c = &j->s->a->config;
    return j->in->literal > c->plaintext_budget || j->in->literal > c->plaintext_budget_peer;
}

/* Everything that can be refused before the literal is sent. */
static void begin(struct append *p)
{
    struct imap_job *j = p->j;
    if (j->in->literal > access_literal_max(&j->s->a->config)) {
        too_big(j);
        return;
    }
    if (j->in->literal == 0) { /* RFC 9051 section 6.3.12: an empty message cancels */
        imap_job_done(j, "NO [CANNOT] No message");
        return;
    }
    int err = view_run(j->s->a->view, find, p);
    if (err == ERR_NOT_FOUND) { /* it is not made by itself (RFC 3501 section 6.3.11) */
        imap_job_done(j, "NO [TRYCREATE] No such mailbox");
        return;
    }
    if (!err && (vault_client_full(j->s->a->vault) || never_fits(j))) /* before the message is sent */
        err = ERR_FULL;
    if (err) {
        imap_job_error(j, err);
        return;
    }
    j->data = p;
    j->content = content;
    j->content_end = content_end;
    j->room = room;
    j->release = release;
    place_anew(&j->s->place);
    place_content_begin(&j->s->place);
    conn_set_timeout(j->s->conn, APPEND_MS);
}

void imap_cmd_append(struct imap_job *j)
{
    struct append *p = imap_job_alloc(j, sizeof(*p));
    if (!p)
        return;
    p->j = j;
    int err = j->in->append ? parse(p, j->in->args) : ERR_FORMAT;
    if (err)
        imap_job_arg_error(j, err, "APPEND takes a mailbox, perhaps flags and a date, and a literal");
    else
        begin(p);
}

/* seq-number = nz-number / "*" (RFC 3501 section 9); "*" is the largest in use. ERR_NOT_FOUND: no such message. */
static int find_replaced(struct append *p, const struct imap_node *n)
{
    struct imap_session *s = p->j->s;
    uint64_t v = 0;
    if (!n || n->type != IMAP_ATOM || n->glued)
        return ERR_FORMAT;
    bool star = imap_word_is(n->text, "*");
    if (!star && (imap_number(n->text, UINT32_MAX, &v) || v == 0 || n->text.data[0] == '0'))
        return ERR_FORMAT;
    int err;
    while ((err = imap_session_map(s)) == ERR_AGAIN) /* its literal is on the way: IMAP_MAPS_ACCOUNT bounds it */
        imap_turn_begin(s->a);
    if (err)
        return err;
    const struct imap_map *m = s->sel->map;
    uint32_t uid = star                     ? imap_map_last(m)
                   : p->j->in->uid          ? (uint32_t)v
                   : v <= imap_map_count(m) ? imap_map_uid(m, (uint32_t)v)
                                            : 0;
    if (!uid || !imap_map_seq(m, uid))
        return ERR_NOT_FOUND;
    p->replaced = uid;
    return OK;
}

/* "REPLACE" SP seq-number SP mailbox append-message (RFC 8508 section 5) */
void imap_cmd_replace(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    struct append *p = imap_job_alloc(j, sizeof(*p));
    if (!p)
        return;
    p->j = j;
    int err = j->in->append && n ? parse(p, n->next) : ERR_FORMAT;
    if (!err)
        err = find_replaced(p, n);
    if (err == ERR_FORMAT)
        imap_job_bad(j, "REPLACE takes one message, a mailbox, perhaps flags and a date, and a literal");
    else if (err == ERR_NOT_FOUND && !j->in->uid)
        imap_job_no_message(j);
    else if (err == ERR_NOT_FOUND)
        imap_job_done(j, "NO [NONEXISTENT] No such message");
    else if (err)
        imap_job_error(j, err);
    else if (j->s->sel->readonly)
        imap_job_done(j, "NO [CANNOT] The mailbox is open read-only");
    else
        begin(p);
}
