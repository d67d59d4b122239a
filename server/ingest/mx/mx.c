/* The receiver's table, and what is decided while a message comes. See mx.h. */
#include "server/ingest/mx/mx.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/mx/deliver.h"
#include "server/ingest/mx/rcpt.h"
#include "server/ingest/mx/report.h"

enum { CHARGE_STEP = 64 * 1024 /* memory comes in such chunks */ };

static void *mx_open(struct ingest *in, struct smtp_session *s)
{
    struct mx *m = calloc(1, sizeof(*m));

    if (m) {
        m->in = in;
        m->session = s;
        m->smtp = smtp_session_engine(s);
        mx_name(m);
        smtp_set_tag(m->smtp, m->id_text);
    }
    return m;
}

static void mx_close(void *r)
{
    struct mx *m = r;

    mx_report_lost(m);
    mx_report_closed(m);
    mx_reset(m);
    told_free(&m->told);
    free(m->rcpts);
    explicit_bzero(m, sizeof(*m));
    free(m);
}

static void refuse_mail(struct mx *m, const struct smtp_event *e, enum ingest_counter c, const char *text,
                        enum event_REASON why)
{
    count(m->in, c);
    smtp_refuse(m->smtp, 452, "4.3.1", text); /* RFC 3463 section 3.4 */
    mx_report_mail(m, e->address, why);
    mx_name(m);
}

/* SIZE lets us refuse before the content has come (RFC 1870 section 6.1; 452 is its code for "not now"). */
static void on_mail(void *r, const struct smtp_event *e)
{
    struct mx *m = r;
    struct place *place = smtp_session_place(m->session);
    int err;

    if (vault_client_full(m->in->depositor.vault)) {
        refuse_mail(m, e, COUNT_DISK_FULL, "No room to store mail now", EVENT_REASON_NO_ROOM);
        return;
    }
    err = budget_fits(place, e->size);
    if (err == ERR_LIMIT || (err == ERR_AGAIN && !budget_little(place, e->size))) {
        refuse_mail(m, e, COUNT_BUDGET, "No memory for this message now", EVENT_REASON_NO_MEMORY);
        return;
    }
    m->len = e->size;
    smtp_accept(m->smtp, NULL);
}

static void on_rcpt(void *r, const struct smtp_event *e)
{
    mx_rcpt(r, e->address);
}

static bool on_room(void *r, size_t octets)
{
    struct mx *m = r;
    uint64_t have = m->charged - m->msg.len;

    return m->broken != EVENT_REASON_ACCEPTED || m->n == 0 || octets <= have ||
           budget_fits(smtp_session_place(m->session), octets - have) != ERR_AGAIN;
}

static void on_content(void *r, struct slice content)
{
    struct mx *m = r;
    int err = OK;

    if (m->msg.len + content.len > m->charged) {
        uint64_t need = m->msg.len + content.len - m->charged;
        err = mx_charge(m, (need + CHARGE_STEP - 1) / CHARGE_STEP * CHARGE_STEP);
        if (err != OK)
            err = mx_charge(m, need); /* a full step may not fit where this does */
    }
    if (err == OK)
        err = secmem_msg_append(&m->msg, content.data, content.len);
    if (err == OK)
        return;
    count(m->in, COUNT_BUDGET);
    mx_forget_content(m);
    m->broken = EVENT_REASON_NO_MEMORY;
    smtp_fail(m->smtp, 452, "4.3.1", "No memory for this message now"); /* RFC 5321 section 4.2.3 */
}

static void on_failed(void *r, enum smtp_fault fault)
{
    static const struct {
        enum ingest_counter counter;
        enum event_REASON why;
    } rows[SMTP_FAULTS] = {
        [SMTP_FAULT_BARE] = {COUNT_BARE, EVENT_REASON_BARE},
        [SMTP_FAULT_LINE] = {COUNT_LINE, EVENT_REASON_LONG_LINE},
        [SMTP_FAULT_SIZE] = {COUNT_SIZE, EVENT_REASON_TOO_LARGE},
    };
    struct mx *m = r;

    count(m->in, rows[fault].counter);
    m->broken = rows[fault].why;
    mx_forget_content(m);
}

static void on_end(void *r)
{
    mx_deliver(r);
}

static void on_reset(void *r)
{
    struct mx *m = r;

    mx_report_lost(m);
    mx_reset(m);
    mx_name(m);
}

static void on_refused(void *r, const struct smtp_event *e)
{
    struct mx *m = r;

    mx_report_refused(m, e);
    if (e->verb == SMTP_MAIL && m->n == 0)
        mx_name(m);
}

static void on_heard(void *r)
{
    struct mx *m = r;

    told_heard(&m->told, &m->in->seen);
}

const struct smtp_receiver mx_receiver = {
    .open = mx_open,
    .close = mx_close,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .room = on_room,
    .content = on_content,
    .failed = on_failed,
    .end = on_end,
    .reset = on_reset,
    .refused = on_refused,
    .heard = on_heard,
};
