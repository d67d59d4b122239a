/* The ingest role: SMTP from the world and from our own people, sealed for its recipients, handed to the vault. It sees
 * plaintext, in wiped memory, and can write no file. */
#include "server/ingest/ingest.h"

#include <string.h>
#include <unistd.h>

#include "server/base/debts.h"
#include "server/core/error.h"
#include "server/dns/dns.h"
#include "server/fetch/fetch.h"
#include "server/ingest/internal/internal.h"
#include "server/ingest/judge/judge.h"
#include "server/ingest/mx/greylist.h"
#include "server/ingest/mx/mx.h"
#include "server/ingest/reserved/dmarc.h"
#include "server/ingest/submission/pace.h"
#include "server/ingest/submission/strangers.h"
#include "server/ingest/submission/submission.h"
#include "server/ingest/transaction/report.h"
#include "server/ingest/smtp/errors.h"
#include "server/ingest/smtp/session.h"
#include "server/ingest/submission/key_change.h"
#include "server/ingest/verify/verify.h"
#include "server/keys/upload.h"
#include "server/login/login.h"
#include "server/queue/enqueue.h"
#include "server/service/service.h"

enum { STALL_MS = 30000, CLOSING_MS = 60000 };

static struct ingest role; /* there is one a process */

/* Of an account as a whole: its keys may have changed. */
static void on_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    struct ingest *in = arg;

    if (account && !mailbox && in->notices)
        notices_account_changed(in->notices, account);
}

static void on_reload(void *arg, const struct service *s)
{
    struct ingest *in = arg;

    in->config = s->config;
    in->tls = s->tls;
    debts_limits(in->debts, in->config.smtp_errors_peer, in->config.smtp_errors_minute);
    greylist_limits(in->greylist, in->config.greylist_wait, in->config.greylist_keep);
    submission_pacing_limits(in->pacing, &in->config);
    submission_strangers_configure(in->strangers, &in->config);
    sealer_keep_wildcard(in->depositor.sealer, in->config.keep_wildcard_mail);
    judge_configure(in->judge, &in->config);
    if (in->notices)
        notices_set_days(in->notices, in->config.key_notice_days);
}

static void on_stop(void *arg)
{
    struct ingest *in = arg;

    in->stopping = true;
    notices_destroy(in->notices);
    in->notices = NULL;
    judge_stop(in->judge);
    smtp_session_stop_all(in);
}

static void on_status(const void *arg, struct pack *reply)
{
    const struct ingest *in = arg;
    const struct strangers_counts keys = submission_strangers_counts(in->strangers);

    const struct answers_counts names = answers_counts(judge_answers(in->judge));
    const struct {
        enum ingest_counter counter;
        uint64_t n;
    } others[] = {
        {COUNT_ANSWERS_FOUND, names.found}, {COUNT_ANSWERS_ASKED, names.asked},
        {COUNT_ANSWERS_NOW, names.kept},    {COUNT_ANSWERS_WAITING_NOW, names.waiting},
        {COUNT_KEYS_SOUGHT, keys.sought},   {COUNT_KEYS_FOUND, keys.found},
        {COUNT_KEYS_NOW, keys.now},
    };
    uint64_t n[INGEST_COUNTERS_N];

    memcpy(n, in->counters, sizeof(n));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        n[others[i].counter] = others[i].n;
    for (int i = 0; i < INGEST_COUNTERS_N; i++)
        role_status_put(reply, COUNTER_INGEST_SESSIONS + (enum counter)i, n[i]);
}

static void on_notice_sent(void *arg)
{
    count(arg, COUNT_NOTICES);
}

int ingest_start_notices(struct ingest *in)
{
    const struct notices_params p = {
        .loop = in->loop,
        .view = in->view,
        .depositor = &in->depositor,
        .sent = on_notice_sent,
        .arg = in,
    };

    in->notices = notices_create(&p, in->config.key_notice_days);
    return in->notices ? OK : ERR_MEMORY;
}

static int on_start(void *arg, const struct service *s)
{
    struct ingest *in = arg;

    in->loop = s->loop;
    in->view = s->view;
    in->places = s->places;
    in->config = s->config;
    in->tls = s->tls;
    in->stall_ms = STALL_MS;
    in->closing_ms = CLOSING_MS;
    in->vain_ms = DEBTS_WAIT_MS;
    nonces_init(&in->nonces);
    in->content = content_hash_create(view_keys(in->view));
    in->depositor.vault = s->vault;
    told_seen_init(&in->seen, s->loop, s->vault);
    in->gpg = s->gpg;
    in->depositor.sealer = sealer_create(in->loop, in->view, in->gpg, in->config.domain);
    in->debts = debts_create(s->tally, DEBTS_PEERS);
    in->submissions = debts_create(NULL, DEBTS_UPLOADS);
    in->reports = debts_create(NULL, DEBTS_UPLOADS);
    in->pacing = submission_pacing_create(s->tally);
    in->greylist = greylist_create(s->tally);
    in->login = login_create(in->loop, in->view, role_send);
    in->dns = dns_create(in->loop);
    in->fetch = fetch_create(in->loop);
    in->strangers = in->dns && in->fetch ? submission_strangers_create(in->loop, in->dns, in->fetch) : NULL;
    in->judge = in->dns ? judge_create(in->loop, in->dns) : NULL;
    if (!in->judge || !in->depositor.sealer || !in->content || !in->debts || !in->submissions || !in->reports ||
        !in->pacing || !in->login || !in->greylist || !in->strangers)
        return ERR_MEMORY;
    role_on_login(login_reply, in->login);
    in->enqueuer = enqueuer_create(in->loop, in->view, s->vault, record_keys_queue_public(view_keys(in->view)));
    debts_limits(in->debts, in->config.smtp_errors_peer, in->config.smtp_errors_minute);
    debts_limits(in->submissions, UPLOAD_PEER_BURST, UPLOAD_PEER_MINUTE);
    debts_limits(in->reports, DMARC_PEER_BURST, DMARC_PEER_MINUTE);
    greylist_limits(in->greylist, in->config.greylist_wait, in->config.greylist_keep);
    submission_pacing_limits(in->pacing, &in->config);
    submission_strangers_configure(in->strangers, &in->config);
    judge_configure(in->judge, &in->config);
    sealer_keep_wildcard(in->depositor.sealer, in->config.keep_wildcard_mail);
    return s->instance == 0 ? ingest_start_notices(in) : OK;
}

static void on_finish(void *arg)
{
    struct ingest *in = arg;

    while (in->sessions)
        smtp_session_destroy(in->sessions);
    internal_close_all(in);
    verify_close_all(in);
    submission_key_change_close_all(in);
    enqueuer_destroy(in->enqueuer);
    submission_strangers_destroy(in->strangers);
    fetch_destroy(in->fetch);
    judge_destroy(in->judge);
    dns_destroy(in->dns);
    login_destroy(in->login);
    told_seen_flush(&in->seen);
    told_seen_free(&in->seen);
    transaction_report_untold(in);
    smtp_errors_say(in);
    submission_pacing_say(in);
    submission_pacing_destroy(in->pacing);
    debts_destroy(in->reports);
    greylist_destroy(in->greylist);
    debts_destroy(in->submissions);
    debts_destroy(in->debts);
    notices_destroy(in->notices);
    sealer_destroy(in->depositor.sealer);
    content_hash_destroy(in->content);
}

/* Each of those who ask has what it may say on a channel of its own kind; two are asked. */
static void on_channel(void *arg, enum role of, int fd)
{
    struct ingest *in = arg;

    if (of == ROLE_RESOLVER && in->dns)
        dns_channel(in->dns, fd);
    else if (of == ROLE_FETCHER && in->fetch)
        fetch_channel(in->fetch, fd);
    else if (of == ROLE_RELAY)
        internal_open(arg, fd);
    else if (of == ROLE_WEB)
        verify_open(arg, fd);
    else
        close(fd);
}

static void on_connection(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind)
{
    smtp_session_open(arg, kind == LISTEN_SMTP ? &mx_receiver : &submission_receiver, fd, peer, on,
                      kind == LISTEN_SUBMISSIONS);
}

int ingest_main(void)
{
    static const struct service_role r = {
        .counters = COUNTER_SMTP_NO_TLS,
        .role = ROLE_INGEST,
        .tls_first = LISTEN_BIT(LISTEN_SUBMISSIONS),
        .refusal = "421 4.7.0 Too many sessions\r\n",
        .sessions = offsetof(struct config, smtp_sessions),
        .sessions_peer = offsetof(struct config, smtp_sessions_peer),
        .start = on_start,
        .finish = on_finish,
        .open = on_connection,
        .channel = on_channel,
        .may_end = smtp_session_may_end,
        .end = smtp_session_end,
        .stop = on_stop,
        .reloaded = on_reload,
        .notice = on_notice,
        .status = on_status,
    };

    return service_main(&r, &role);
}
