/* See reserved.h. */
#include "server/ingest/reserved/reserved.h"

#include <string.h>

#include "crypto/wkd.h"
#include "server/core/error.h"
#include "server/ingest/reserved/dmarc.h"
#include "server/ingest/reserved/wks.h"
#include "server/ingest/transaction/rcpt.h"
#include "server/ingest/transaction/report.h"
#include "server/mail/address.h"

/* store/account.c has the same local parts: nobody gets them. */
struct reserved {
    const char *local;
    size_t unless;                       /* where the configuration says that it is wanted; 0: always */
    void (*take)(struct transaction *t); /* the message is whole */
    bool judged;                         /* and before, it is to be known who wrote it */
};
static const struct reserved rows[] = {
    {WKS_LOCAL_PART, offsetof(struct config, certificate_uploads), wks_take, false},
    {ADDRESS_DMARC_REPORTS, 0, reserved_take_report, true},
};

enum { ALONE = 1 /* no error of a function */ };
static const struct transaction_refusal refusals[] = {
    /* RFC 5321 section 4.5.3.1.10: the sender sends again to those that are left */
    {ALONE, 452, "4.5.3", "This server's own addresses take messages that are for nobody else", COUNT_DEFERRED,
     EVENT_REASON_TOO_MANY},
    {ERR_NOT_FOUND, 550, "5.1.1", "No such user here", COUNT_NO_USER, EVENT_REASON_NO_USER},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

static int is_hosted(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

static const struct reserved *row_of(const char *local, size_t len)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strlen(rows[i].local) == len && memcmp(rows[i].local, local, len) == 0)
            return &rows[i];
    return NULL;
}

/* ERR_DENIED: it is none of these. */
static int find(struct transaction *t, const char *address, const struct reserved **ret, char domain[DOMAIN_CAP])
{
    char own[ADDRESS_MAX];
    size_t at, plus;
    int err = address_normalize(address, strlen(address), own, &at, &plus);

    if (err == ERR_MEMORY)
        return err;
    *ret = err == OK ? row_of(own, at) : NULL;
    if (!*ret)
        return ERR_DENIED;
    err = view_run(t->in->view, is_hosted, own + at + 1);
    if (err == OK)
        memcpy(domain, own + at + 1, strlen(own + at + 1) + 1);
    return err == ERR_NOT_FOUND || err == ERR_FORMAT ? ERR_DENIED : err;
}

static bool is_wanted(const struct transaction *t, const struct reserved *r, bool judges)
{
    return (!r->unless || *(const bool *)((const char *)&t->in->config + r->unless)) && (judges || !r->judged);
}

static int add(struct transaction *t, const char *address, const struct reserved *row, const char *domain)
{
    struct transaction_rcpt *r;

    if (t->n)
        return t->reserved == row && strcmp(t->reserved_domain, domain) == 0 ? OK : ALONE;
    r = transaction_add_rcpt(t);
    if (!r)
        return ERR_MEMORY;
    r->t = t;
    r->away = true;
    memcpy(r->given, address, strlen(address) + 1);
    transaction_report_names(t, address, NULL, &r->names);
    t->n++;
    t->reserved = row;
    memcpy(t->reserved_domain, domain, strlen(domain) + 1);
    return OK;
}

bool reserved_rcpt(struct transaction *t, const char *address, bool judges)
{
    const struct reserved *row;
    char domain[DOMAIN_CAP];
    int err = find(t, address, &row, domain);

    if (err == ERR_DENIED && !t->reserved)
        return false;
    if (err == ERR_DENIED)
        err = ALONE;
    else if (err == OK)
        err = is_wanted(t, row, judges) ? add(t, address, row, domain) : ERR_NOT_FOUND;
    if (err == OK)
        smtp_accept(t->smtp, NULL);
    else
        transaction_report_rcpt(t, address, transaction_refuse(t, refusals, err)->why);
    return true;
}

bool reserved_end(struct transaction *t)
{
    if (!t->reserved || t->reserved->judged)
        return false;
    t->reserved->take(t);
    return true;
}

bool reserved_judged(struct transaction *t)
{
    if (!t->reserved)
        return false;
    t->reserved->take(t);
    return true;
}
