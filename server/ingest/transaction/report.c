/* The log's lines about messages. See report.h. */
#include "server/ingest/transaction/report.h"

#include <string.h>

#include "server/base/event.h"
#include "server/format/log_name.h"

enum { MINUTE_S = 60 };

_Static_assert((int)LOG_NAME_SALT_SIZE == (int)EVENT_HASH_SIZE && (int)RECORD_HASH_SIZE == (int)EVENT_HASH_SIZE,
               "salts and hashes are shown as hashes");

/* ---- lines that anybody can cause ---- */

void transaction_report_untold(struct ingest *in)
{
    struct untold *u = &in->untold;

    idle_cancel(&u->over);
    if (u->held > 0)
        log_event(mail_untold, u->held, MINUTE_S);
    u->held = u->said = 0;
}

static void on_over(struct idle *i)
{
    struct untold *u = (struct untold *)((char *)i - offsetof(struct untold, over));

    transaction_report_untold((struct ingest *)((char *)u - offsetof(struct ingest, untold)));
}

static bool may_say(struct ingest *in)
{
    struct untold *u = &in->untold;

    if (!event_wanted(EVENT_mail))
        return false;
    if (u->said == 0)
        idle_set(in->loop, &u->over, MINUTE_S * UINT64_C(1000), on_over);
    if (u->said < REPORTS_CHEAP_MAX) {
        u->said++;
        return true;
    }
    u->held++;
    return false;
}

/* ---- names ---- */

static void put_sender(struct transaction *t, const char *address, struct transaction_names *n)
{
    const struct record_keys *k = view_keys(t->in->view);
    struct log_name name;

    log_name_spell(address, strlen(address), &name);
    log_name_hash(k, n->salt, LOG_NAME_SENDER, name.text, name.len, n->from);
    if (name.base_len)
        log_name_hash(k, n->salt, LOG_NAME_SENDER, name.base, name.base_len, n->from_base);
    if (name.domain < name.len)
        log_name_hash(k, n->salt, LOG_NAME_SENDER, name.text + name.domain, name.len - name.domain, n->from_domain);
}

/* What the account is called already by the address: not said twice. */
static bool is_called(const struct log_name *n, const struct log_name *other)
{
    return (n->len == other->len && !memcmp(n->text, other->text, n->len)) ||
           (n->base_len == other->len && !memcmp(n->base, other->text, other->len));
}

static void put_recipient(struct transaction *t, const char *address, const char *account, struct transaction_names *n)
{
    const struct record_keys *k = view_keys(t->in->view);
    struct log_name name, primary;

    log_name_spell(address, strlen(address), &name);
    log_name_hash(k, n->salt, LOG_NAME_RECIPIENT, name.text, name.len, n->to);
    if (name.base_len)
        log_name_hash(k, n->salt, LOG_NAME_RECIPIENT, name.base, name.base_len, n->to_base);
    if (!account)
        return;
    log_name_spell(account, strlen(account), &primary);
    if (!is_called(&name, &primary))
        log_name_hash(k, n->salt, LOG_NAME_RECIPIENT, primary.text, primary.len, n->to_account);
}

static void begin(struct transaction *t, const char *sender, struct transaction_names *n)
{
    *n = (struct transaction_names){0};
    nonces_take(&t->in->nonces, n->salt, sizeof(n->salt));
    put_sender(t, sender, n);
}

/* In clear, while the operator has debug_names on. */
static void say_named(const struct transaction *t, const char *sender, const char *recipient)
{
    char peer[INET6_ADDRSTRLEN];

    if (!event_wanted(EVENT_named_mail))
        return;
    addr_to_text(smtp_session_peer(t->session), peer);
    log_event_raw(named_mail, (slice_str(t->id_text), slice_str(peer), slice_str(sender), slice_str(recipient)), t->n);
}

void transaction_report_names(struct transaction *t, const char *address, const char *account,
                              struct transaction_names *ret)
{
    const char *sender = smtp_envelope(t->smtp)->sender;

    if (!event_wanted(EVENT_mail))
        return;
    begin(t, sender, ret);
    put_recipient(t, address, account, ret);
    say_named(t, sender, address);
}

/* ---- the line ---- */

struct line {
    enum event_STAGE at;
    enum event_REASON why;
    struct smtp_refusal reply; /* code 0: nothing was said */
};

/* "5.1.1" as 50101. */
static uint64_t enhanced(const struct smtp_refusal *r)
{
    uint64_t n[3] = {0};
    size_t at = 0;

    for (const char *c = r->enhanced; *c; c++) {
        if (*c == '.')
            at++;
        else
            n[at] = n[at] * 10 + (uint64_t)(*c - '0');
    }
    return n[0] * 10000 + n[1] * 100 + n[2];
}

static void say(const struct transaction *t, const struct line *l, const struct transaction_names *n)
{
    log_event_raw(mail,
                  (slice_str(t->id_text), slice_of(n->salt, sizeof(n->salt)), slice_of(n->from, sizeof(n->from)),
                   slice_of(n->from_base, sizeof(n->from_base)), slice_of(n->from_domain, sizeof(n->from_domain)),
                   slice_of(n->to, sizeof(n->to)), slice_of(n->to_base, sizeof(n->to_base)),
                   slice_of(n->to_account, sizeof(n->to_account))),
                  l->at, l->why, (uint64_t)l->reply.code, enhanced(&l->reply),
                  t->msg.len > t->len ? t->msg.len : t->len, t->n, smtp_session_tls_suite(t->session));
}

/* ---- what was refused ---- */

void transaction_report_mail(struct transaction *t, const char *sender, enum event_REASON why)
{
    const struct line l = {EVENT_STAGE_SENDER, why, *smtp_refused(t->smtp)};
    struct transaction_names names;

    if (!may_say(t->in))
        return;
    begin(t, sender, &names);
    say(t, &l, &names);
    say_named(t, sender, "");
}

void transaction_report_rcpt(struct transaction *t, const char *address, enum event_REASON why)
{
    const struct line l = {EVENT_STAGE_RECIPIENT, why, *smtp_refused(t->smtp)};
    struct transaction_names names;

    if (!may_say(t->in))
        return;
    transaction_report_names(t, address, NULL, &names);
    say(t, &l, &names);
}

/* The engine's replies, and those that end a session, by what tells them apart. */
static enum event_REASON reason_of(const struct transaction *t, const struct smtp_refusal *r)
{
    static const struct {
        int code;
        const char *enhanced;
        enum event_REASON why;
    } rows[] = {
        {421, "4.4.2", EVENT_REASON_TIMEOUT},   {421, "4.3.2", EVENT_REASON_SHED},
        {421, "4.3.1", EVENT_REASON_NO_MEMORY}, {421, "4.5.0", EVENT_REASON_SYNTAX},
        {421, "4.7.0", EVENT_REASON_ERRORS},    {501, "5.1.7", EVENT_REASON_MALFORMED},
        {501, "5.1.3", EVENT_REASON_MALFORMED}, {553, "5.6.7", EVENT_REASON_NON_ASCII},
        {501, "5.5.4", EVENT_REASON_SYNTAX},    {555, "5.5.4", EVENT_REASON_SYNTAX},
        {503, "5.5.1", EVENT_REASON_ORDER},     {554, "5.5.1", EVENT_REASON_ORDER},
        {452, "4.5.3", EVENT_REASON_TOO_MANY},  {552, "5.3.4", EVENT_REASON_TOO_LARGE},
        {450, "4.7.1", EVENT_REASON_ERRORS},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == r->code && strcmp(rows[i].enhanced, r->enhanced) == 0)
            return rows[i].why == EVENT_REASON_SHED && t->in->stopping ? EVENT_REASON_STOPPING : rows[i].why;
    return EVENT_REASON_OTHER;
}

void transaction_report_refused(struct transaction *t, const struct smtp_event *e)
{
    const enum event_REASON why = reason_of(t, smtp_refused(t->smtp));

    if (e->verb == SMTP_MAIL)
        transaction_report_mail(t, e->address, why);
    else
        transaction_report_rcpt(t, e->address, why);
}

/* ---- what became of a transaction ---- */

void transaction_report_end(struct transaction *t, bool accepted)
{
    struct line l = {.at = EVENT_STAGE_END, .reply = {250, "2.0.0"}};

    if (!accepted)
        l.reply = *smtp_refused(t->smtp);
    for (size_t i = 0; i < t->n; i++) {
        l.why = t->rcpts[i].why;
        say(t, &l, &t->rcpts[i].names);
    }
}

void transaction_report_lost(struct transaction *t)
{
    struct line l = {EVENT_STAGE_RECIPIENT, EVENT_REASON_ABANDONED, *smtp_closed_with(t->smtp)};

    if (t->delivering)
        l.at = EVENT_STAGE_END;
    else if (t->msg.len > 0 || t->broken != EVENT_REASON_ACCEPTED)
        l.at = EVENT_STAGE_CONTENT;
    if (t->broken != EVENT_REASON_ACCEPTED) {
        l.why = t->broken;
        l.reply = *smtp_refused(t->smtp);
    } else if (l.reply.code) {
        l.why = reason_of(t, &l.reply);
    }
    for (size_t i = 0; i < t->n && (t->broken != EVENT_REASON_ACCEPTED || may_say(t->in)); i++)
        say(t, &l, &t->rcpts[i].names);
}

void transaction_report_closed(const struct transaction *t)
{
    const struct smtp_refusal *r = smtp_closed_with(t->smtp);

    if (r->code)
        log_event(session_ended, (uint64_t)reason_of(t, r), (uint64_t)r->code, enhanced(r));
}
