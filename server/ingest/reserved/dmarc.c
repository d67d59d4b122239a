/* See dmarc.h. */
#include "server/ingest/reserved/dmarc.h"

#include <string.h>

#include "server/base/debts.h"
#include "server/core/error.h"
#include "server/ingest/transaction/deliver.h"
#include "server/mailauth/auth_results.h"
#include "server/mailauth/dmarc_report.h"

enum { DAY = 86400 };

enum { OTHER_DOMAIN = 1 /* no error of a function */ };
static const struct transaction_refusal refusals[] = {
    {ERR_LIMIT, 552, "5.3.4", "This is larger than a DMARC report may be", COUNT_SIZE, EVENT_REASON_TOO_LARGE},
    {ERR_FORMAT, 554, "5.6.0", "This brings no DMARC report", COUNT_FAILED, EVENT_REASON_OTHER},
    {OTHER_DOMAIN, 554, "5.6.0", "The DMARC report is about another domain", COUNT_FAILED, EVENT_REASON_OTHER},
    {ERR_REFUSED, 554, "5.6.0", "The DMARC report is of a time too long ago, or to come", COUNT_FAILED,
     EVENT_REASON_OTHER},
    {ERR_NOT_FOUND, 550, "5.1.1", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER}, /* any more */
    {ERR_AGAIN, 450, "4.7.1", "Too many DMARC reports; try again later", COUNT_DEFERRED, EVENT_REASON_ERRORS},
    {ERR_FULL, 452, "4.3.1", "No room to count the report now", COUNT_DEFERRED, EVENT_REASON_NO_ROOM},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

/* ---- the answer ---- */

static void end(struct transaction *t, int err)
{
    t->delivering = false;
    t->also = NULL;
    if (err == OK)
        transaction_accept_all(t);
    else
        transaction_refuse_all(t, refusals, err);
}

/* 250 means that it is counted. */
static void counted(void *arg, int status, struct unpack *body)
{
    struct transaction *t = arg;
    struct vault_reply r;

    if (status == OK)
        status = vault_reply_unpack(VAULT_DMARC_REPORT, body, &r);
    if (status == OK && !r.duplicate)
        count(t->in, COUNT_DMARC_REPORTS);
    end(t, status);
    smtp_session_resume(t->session);
}

static bool finish(struct transaction *t)
{
    (void)t;
    return true;
}

/* It may be counted all the same; whoever tries again is not counted twice. */
static void cancel(struct transaction *t)
{
    vault_client_forget(t->in->depositor.vault, t->asked);
}

static void reset(struct transaction *t)
{
    t->also = NULL;
}

static bool keeps(const struct transaction *t)
{
    (void)t;
    return false;
}

static int ask(struct transaction *t, const struct vault_request *q)
{
    static const struct transaction_also hooks = {finish, cancel, reset, keeps};
    int err = vault_client_request(t->in->depositor.vault, q, -1, counted, t, &t->asked);

    if (err != OK)
        return err;
    t->also = &hooks;
    t->delivering = true;
    t->len = t->msg.len;
    transaction_wipe_content(t);
    return OK;
}

/* ---- the report ---- */

/* It is about the domain, or one below it: what has no policy of its own has this one's. */
static bool is_about(const struct dmarc_report *r, const char *domain)
{
    const size_t len = strlen(r->domain), own = strlen(domain);

    return len >= own && strcmp(r->domain + len - own, domain) == 0 && (len == own || r->domain[len - own - 1] == '.');
}

static uint32_t at_most(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Of its networks those with most messages. */
static void put_networks(const struct dmarc_report *r, struct dmarc_told *ret)
{
    for (uint32_t i = 0; i < r->nnetworks; i++) {
        struct dmarc_network n = {.len = r->networks[i].len, .messages = at_most(r->networks[i].messages)};
        memcpy(n.octets, r->networks[i].octets, sizeof(n.octets));
        dmarc_network_add(ret->networks, &ret->nnetworks, DMARC_TOLD_NETWORKS, &n);
    }
}

/* Time zones are many: the day is the one that most of the period is in. */
static void describe(const struct transaction *t, const struct dmarc_report *r, struct dmarc_told *ret)
{
    const struct mailauth_verdict *v = t->verdict;
    const int64_t begin = r->begin ? r->begin : r->end, end = r->end > begin ? r->end : begin;

    *ret = (struct dmarc_told){
        .domain = slice_str(t->reserved_domain),
        .day = at_most((uint64_t)(begin + (end - begin) / 2) / DAY),
        .proven = v && v->dmarc.result == AUTH_PASS,
        .id = slice_str(r->id),
        .sums = {at_most(r->messages), at_most(r->passed), at_most(r->by_dkim), at_most(r->by_spf),
                 at_most(r->quarantined), at_most(r->rejected)},
    };
    ret->reporter = slice_str(ret->proven ? v->dmarc.author : r->organization);
    put_networks(r, ret);
}

static int read_report(struct transaction *t, struct dmarc_report *ret)
{
    uint8_t *mail;
    int err;

    if (t->msg.len > DMARC_REPORT_MAIL_MAX)
        return ERR_LIMIT;
    mail = secmem_map(DMARC_REPORT_MAIL_MAX);
    if (!mail)
        return ERR_MEMORY;
    err = dmarc_report_read_mail(mail, transaction_mail_top(&t->mail, mail, DMARC_REPORT_MAIL_MAX), ret);
    secmem_unmap(mail, DMARC_REPORT_MAIL_MAX);
    if (err == OK && !is_about(ret, t->reserved_domain))
        err = OTHER_DOMAIN;
    return err;
}

static int take(struct transaction *t)
{
    struct vault_request q = {.type = VAULT_DMARC_REPORT};
    struct dmarc_report r;
    uint64_t wait;
    int err;

    debts_take(t->in->reports, smtp_session_peer(t->session), loop_now_ms(t->in->loop), &wait);
    if (wait)
        return ERR_AGAIN;
    err = read_report(t, &r);
    if (err != OK)
        return err;
    describe(t, &r, &q.dmarc);
    return ask(t, &q);
}

void reserved_take_report(struct transaction *t)
{
    int err = take(t);

    if (err != OK)
        end(t, err);
}
