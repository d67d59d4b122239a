/* What a receiver's table has whatever becomes of the mail: memory for the content, and what the log says. See
 * transaction.h. */
#include "server/ingest/transaction/report.h"
#include "server/ingest/transaction/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { CHARGE_STEP = 64 * 1024 /* memory comes in such chunks */ };

void transaction_begin(struct transaction *t, const struct transaction_kind *kind, struct ingest *in,
                       struct smtp_session *s)
{
    t->kind = kind;
    t->in = in;
    t->session = s;
    t->smtp = smtp_session_engine(s);
    transaction_name(t);
    smtp_set_tag(t->smtp, t->id_text);
}

void transaction_end(struct transaction *t)
{
    transaction_report_lost(t);
    transaction_report_closed(t);
    transaction_reset(t);
    told_free(&t->told);
    free(t->rcpts);
}

static void refuse_mail(struct transaction *t, const struct smtp_event *e, enum ingest_counter c, const char *text,
                        enum event_REASON why)
{
    count(t->in, c);
    smtp_refuse(t->smtp, 452, "4.3.1", text); /* RFC 3463 section 3.4 */
    transaction_report_mail(t, e->address, why);
    transaction_name(t);
}

/* SIZE lets us refuse before the content has come (RFC 1870 section 6.1; 452 is its code for "not now"). */
void transaction_on_mail(void *r, const struct smtp_event *e)
{
    struct transaction *t = r;
    struct place *place = smtp_session_place(t->session);
    int err;

    if (vault_client_full(t->in->depositor.vault)) {
        refuse_mail(t, e, COUNT_DISK_FULL, "No room to store mail now", EVENT_REASON_NO_ROOM);
        return;
    }
    err = budget_fits(place, e->size);
    if (err == ERR_LIMIT || (err == ERR_AGAIN && !budget_little(place, e->size))) {
        refuse_mail(t, e, COUNT_BUDGET, "No memory for this message now", EVENT_REASON_NO_MEMORY);
        return;
    }
    t->len = e->size;
    smtp_accept(t->smtp, NULL);
}

bool transaction_on_room(void *r, size_t octets)
{
    struct transaction *t = r;
    uint64_t have = t->charged - t->msg.len;

    return t->broken != EVENT_REASON_ACCEPTED || t->n == 0 || octets <= have ||
           budget_fits(smtp_session_place(t->session), octets - have) != ERR_AGAIN;
}

void transaction_on_content(void *r, struct slice content)
{
    struct transaction *t = r;
    int err = OK;

    if (t->msg.len + content.len > t->charged) {
        uint64_t need = t->msg.len + content.len - t->charged;
        err = transaction_charge(t, (need + CHARGE_STEP - 1) / CHARGE_STEP * CHARGE_STEP);
        if (err != OK)
            err = transaction_charge(t, need); /* a full step may not fit where this does */
    }
    if (err == OK)
        err = secmem_msg_append(&t->msg, content.data, content.len);
    if (err == OK)
        return;
    count(t->in, COUNT_BUDGET);
    transaction_forget_content(t);
    t->broken = EVENT_REASON_NO_MEMORY;
    smtp_fail(t->smtp, 452, "4.3.1", "No memory for this message now"); /* RFC 5321 section 4.2.3 */
}

void transaction_on_failed(void *r, enum smtp_fault fault)
{
    static const struct {
        enum ingest_counter counter;
        enum event_REASON why;
    } rows[SMTP_FAULTS] = {
        [SMTP_FAULT_BARE] = {COUNT_BARE, EVENT_REASON_BARE},
        [SMTP_FAULT_LINE] = {COUNT_LINE, EVENT_REASON_LONG_LINE},
        [SMTP_FAULT_SIZE] = {COUNT_SIZE, EVENT_REASON_TOO_LARGE},
    };
    struct transaction *t = r;

    count(t->in, rows[fault].counter);
    t->broken = rows[fault].why;
    transaction_forget_content(t);
}

void transaction_on_reset(void *r)
{
    struct transaction *t = r;

    transaction_report_lost(t);
    transaction_reset(t);
    transaction_name(t);
}

void transaction_on_refused(void *r, const struct smtp_event *e)
{
    struct transaction *t = r;

    transaction_report_refused(t, e);
    if (e->verb == SMTP_MAIL && t->n == 0)
        transaction_name(t);
}

void transaction_on_heard(void *r)
{
    struct transaction *t = r;

    told_heard(&t->told, &t->in->seen);
}
