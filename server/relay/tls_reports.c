#include "server/relay/tls_reports.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/address.h"
#include "server/queue/internal.h"
#include "server/relay/mail_fd.h"
#include "server/relay/tally.h"

enum {
    ID_MAX = 384,
    CONTACT_MAX = 320,
    HOUR = 3600,
    ROUND_MS = 1000, /* between two turns of one walk over all records */
    SOON_MS = 10,
    TRIES_MAX = 8,  /* at one record, if others write it too */
    SPREAD = 6,     /* parts of a period: up to one of them a report waits (section 4.1: four hours of a day) */
    FIRST = 96,     /* likewise, until a second try; each further one waits twice as long */
    GRACE_S = 3600, /* beyond all that */
};

/* What is written of a record. */
enum change {
    CHANGE_MARK,   /* a report more is sent, or given up */
    CHANGE_LATER,  /* the others are tried again */
    CHANGE_REMOVE, /* nothing is left to do */
};
/* One domain's report, or reports, under way. */
struct work {
    struct tls_reports *all;
    bool busy;
    uint8_t hash[RECORD_HASH_SIZE];
    struct tls_tally tally;
    struct tls_report_target targets[TLS_REPORT_TARGETS_MAX];
    uint32_t ntargets, at;
    bool again; /* one failed for now */
    enum change change;
    unsigned writes;
    struct dns_question *question;
    struct fetch_request *page;
    uint64_t asked; /* of `ingest` */
    bool asks;
    struct timer *later;
};
struct tls_reports {
    struct relay *relay;
    struct timer *look;
    uint64_t hour; /* since 1970 */
    uint32_t in_hour;
    uint8_t after[RECORD_HASH_SIZE]; /* the last record that was looked at */
    size_t looked, ndue, room;
    struct {
        uint8_t hash[RECORD_HASH_SIZE];
        struct tls_tally tally;
    } due[TLS_REPORTS_AT_ONCE];
    struct work works[TLS_REPORTS_AT_ONCE];
};

static uint32_t period_of(const struct tls_tally *t)
{
    return (uint32_t)(t->end - t->begin);
}

/* ---- the record, when something has become of it ---- */

struct reading {
    struct tls_tally tally;
    uint8_t seen[QUEUE_SEEN_SIZE];
};

static int read_record(void *arg, struct view *v)
{
    struct reading *r = arg;

    return view_tls_tally(v, &r->tally, r->seen);
}

static void next_target(struct work *w);
static void end(struct work *w);

static void written(struct work *w)
{
    if (w->change == CHANGE_MARK)
        next_target(w);
    else
        end(w);
}

static void write_record(struct work *w);

/* What is not noted would be sent again: it is tried until the vault has it. */
static void on_written(void *arg, int status, struct unpack *body)
{
    struct work *w = arg;

    if (status == OK)
        written(w);
    else if (status == ERR_CONFLICT && w->writes < TRIES_MAX)
        write_record(w);
    else
        timer_set(w->later, tallies_pause_ms(period_of(&w->tally)));
}

/* Sessions that another process added late stay; what has become of the reports is ours alone to say. */
static int ask(struct work *w)
{
    struct relay *r = w->all->relay;
    struct vault_request q = {.type = w->change == CHANGE_REMOVE ? VAULT_TALLY_DEL : VAULT_TALLY_PUT};
    struct reading there = {.tally = w->tally};
    uint8_t record[TLS_TALLY_RECORD_MAX];
    size_t len = 0;
    int err = view_run(r->view, read_record, &there);

    if (err != OK && !queue_is_damage(err))
        return err;
    there.tally.sent = w->tally.sent;
    there.tally.tries = w->tally.tries;
    there.tally.next_try = w->tally.next_try;
    memcpy(q.tally.hash, w->hash, sizeof(w->hash));
    if (q.type == VAULT_TALLY_PUT)
        err = tls_tally_seal(view_keys(r->view), &there.tally, q.tally.hash, record, &len);
    if (q.type == VAULT_TALLY_PUT && err != OK)
        return err;
    q.tally.seen = there.seen;
    q.tally.record = slice_of(record, len);
    return vault_client_request(r->vault, &q, -1, on_written, w, NULL);
}

static void write_record(struct work *w)
{
    int err = ask(w);

    w->writes++;
    if (err == ERR_NOT_FOUND)
        end(w);
    else if (err != OK)
        timer_set(w->later, tallies_pause_ms(period_of(&w->tally)));
}

static void on_later(void *arg)
{
    struct work *w = arg;

    w->writes = 0;
    write_record(w);
}

static void change(struct work *w, enum change how)
{
    w->change = how;
    w->writes = 0;
    write_record(w);
}

/* ---- one report ---- */

static void lost(struct work *w, int err)
{
    relay_count(w->all->relay, COUNT_TLS_REPORTS_LOST);
    log_event(tls_report_lost, (uint64_t)w->tally.tries, err);
}

/* It is not to be tried again. */
static void settle(struct work *w, int err)
{
    if (err == OK)
        relay_count(w->all->relay, COUNT_TLS_REPORTS);
    else
        lost(w, err);
    w->tally.sent |= (uint8_t)(1u << w->at++);
    if (w->at == w->ntargets && !w->again)
        change(w, CHANGE_REMOVE);
    else
        change(w, CHANGE_MARK);
}

static bool is_final(int err)
{
    return err == OK || err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_MOVED || err == ERR_FORMAT ||
           err == ERR_LIMIT || err == ERR_NO_KEY || err == ERR_UNSUPPORTED;
}

static void outcome(struct work *w, int err)
{
    if (is_final(err)) {
        settle(w, err);
        return;
    }
    w->again = true;
    w->at++;
    next_target(w);
}

static void on_posted(void *arg, int err, const struct fetch_answer *a)
{
    struct work *w = arg;

    w->page = NULL;
    /* Section 5.4: 200 and 201 are well; whatever else is may pass. */
    if (err == OK && (a->status < 200 || a->status >= 300))
        err = ERR_AGAIN;
    outcome(w, err == ERR_NOT_FOUND || err == ERR_LIMIT || err == ERR_FORMAT ? ERR_AGAIN : err);
}

static void on_queued(void *arg, int status, struct unpack *body)
{
    struct work *w = arg;

    w->asks = false;
    outcome(w, status);
}

/* Whom the report is from; gives the address's domain, whose keys sign it. */
static const char *contact_of(const struct relay *r, char out[CONTACT_MAX])
{
    const char *said = r->config.tls_report_contact;
    char address[ADDRESS_MAX], domain[DOMAIN_CAP];
    size_t at, plus;

    if (address_normalize(said, strlen(said), address, &at, &plus) == OK)
        snprintf(out, CONTACT_MAX, "%s", address);
    else if (dkim_keys_domain(r->dkim, r->config.domain, relay_now(), domain) == OK)
        snprintf(out, CONTACT_MAX, "postmaster@%s", domain);
    else
        snprintf(out, CONTACT_MAX, "postmaster@%s", r->config.domain);
    return strrchr(out, '@') + 1;
}

/* Section 4.4: one that is tried again is the same. */
static void name_report(const struct work *w, const char *submitter, char out[ID_MAX])
{
    char hash[2 * RECORD_HASH_SIZE + 1];

    sodium_bin2hex(hash, sizeof(hash), w->hash, RECORD_HASH_SIZE);
    snprintf(out, ID_MAX, "%s.%u@%s", hash, (unsigned)w->at, submitter);
}

static int post(struct work *w, const struct tls_report *report)
{
    struct relay *r = w->all->relay;
    struct buf packed;
    int err;

    buf_init(&packed, FETCH_BODY_MAX, false);
    err = tls_report_pack(report, &packed);
    if (err == OK)
        err = fetch_ask(r->fetch, FETCH_TLS_REPORT, w->targets[w->at].url, "application/tlsrpt+gzip",
                        slice_of(packed.data, packed.len), on_posted, w, &w->page);
    buf_free(&packed);
    return err;
}

/* Section 3: without a signature of ours nobody may believe it. `relay` signs it when it is sent. */
static int is_signed(struct relay *r, const struct buf *mail)
{
    const struct iovec piece = {mail->data, mail->len};
    struct buf fields;
    int err;

    buf_init(&fields, TLS_REPORT_PACKED_MAX, false);
    err = dkim_keys_sign(r->dkim, &piece, 1, relay_now(), &fields);
    if (err == OK && fields.len == 0)
        err = ERR_NO_KEY;
    buf_free(&fields);
    return err;
}

static int hand_over(struct work *w, const struct tls_report *report, const struct buf *text)
{
    struct internal_deliver d = {.from = slice_str(report->contact), .to = slice_str(w->targets[w->at].mail)};
    struct secmem_msg mail = {0};
    uint8_t payload[1024];
    struct pack p;
    int fd = -1, err = secmem_msg_append(&mail, text->data, text->len);

    crypto_generichash(d.delivery, sizeof(d.delivery), (const uint8_t *)report->id, strlen(report->id), NULL, 0);
    pack_init(&p, payload, sizeof(payload));
    if (err == OK)
        err = internal_deliver_pack(&p, &d);
    if (err == OK)
        err = mail_fd_make(&mail, &fd);
    if (err == OK)
        err = ask_send(w->all->relay->ingest, INTERNAL_QUEUE, &p, &fd, 1, ASK_AGAIN, on_queued, w, &w->asked);
    w->asks = err == OK;
    if (fd >= 0)
        close(fd);
    secmem_msg_release(&mail);
    return err;
}

static int send_mail(struct work *w, const struct tls_report *report)
{
    struct relay *r = w->all->relay;
    char message_id[ID_MAX + 8];
    const struct tls_report_mail m = {.from = report->contact,
                                      .to = w->targets[w->at].mail,
                                      .domain = w->tally.domain,
                                      .submitter = report->organization,
                                      .message_id = message_id,
                                      .date = (int64_t)relay_now()};
    struct buf text;
    int err;

    snprintf(message_id, sizeof(message_id), "tls.%s", report->id);
    buf_init(&text, 2 * TLS_REPORT_PACKED_MAX, false);
    err = tls_report_mail_write(&m, report, &text);
    if (err == OK)
        err = is_signed(r, &text);
    if (err == OK)
        err = hand_over(w, report, &text);
    buf_free(&text);
    return err;
}

static int begin_target(struct work *w)
{
    static struct tally_report made; /* large; there is one loop */
    char id[ID_MAX], contact[CONTACT_MAX];
    const char *submitter = contact_of(w->all->relay, contact);

    name_report(w, submitter, id);
    tally_report_make(&w->tally, &made);
    made.report.organization = submitter;
    made.report.contact = contact;
    made.report.id = id;
    w->all->in_hour++;
    return w->targets[w->at].url[0] ? post(w, &made.report) : send_mail(w, &made.report);
}

/* ---- a domain ---- */

static void look_soon(struct tls_reports *t);

static void end(struct work *w)
{
    w->busy = false;
    look_soon(w->all);
}

/* Section 5.5: for a day from the first one on. */
static uint64_t last_try(const struct tls_tally *t)
{
    return t->end + period_of(t) + period_of(t) / SPREAD + GRACE_S;
}

/* All have had their turn, and those that failed for now have another one. */
static void finish(struct work *w)
{
    struct tls_tally *t = &w->tally;
    const uint64_t period = period_of(t);
    uint64_t wait = period / FIRST ? period / FIRST : 1;

    for (uint32_t i = 0; i < t->tries && wait < period; i++)
        wait *= 2;
    t->tries++;
    t->next_try = relay_now() + wait;
    if (!w->again || t->next_try > last_try(t)) {
        for (uint32_t i = 0; i < w->ntargets; i++)
            if (!(t->sent & 1u << i))
                lost(w, ERR_TIMEOUT);
        change(w, CHANGE_REMOVE);
    } else {
        change(w, CHANGE_LATER);
    }
}

static void next_target(struct work *w)
{
    int err;

    while (w->at < w->ntargets && w->tally.sent & 1u << w->at)
        w->at++;
    if (w->at == w->ntargets) {
        finish(w);
        return;
    }
    err = begin_target(w);
    if (err != OK)
        outcome(w, err);
}

/* Section 3: more than one record, or one that is wrong, asks for nothing. */
static uint32_t read_targets(const struct dns_answer *a, struct tls_report_target out[TLS_REPORT_TARGETS_MAX])
{
    uint32_t n = 0, found = 0;

    for (uint32_t i = 0; i < a->n; i++) {
        int err = tls_report_record_read(a->v[i].data, out, &n);
        if (err == ERR_NOT_FOUND)
            continue;
        if (err != OK || found++)
            return 0;
    }
    return found ? n : 0;
}

static void on_wish(void *arg, int err, const struct dns_answer *a)
{
    struct work *w = arg;

    w->question = NULL;
    if (err == OK)
        w->ntargets = read_targets(a, w->targets);
    w->again = err != OK;
    next_target(w);
}

static void begin(struct work *w)
{
    static const char label[] = "_smtp._tls.";
    struct relay *r = w->all->relay;
    char name[sizeof(label) + DOMAIN_CAP];
    int err;

    /* One that is old has waited for this server, or was in a backup. */
    if (!r->config.tls_report || relay_now() > last_try(&w->tally)) {
        change(w, CHANGE_REMOVE);
        return;
    }
    snprintf(name, sizeof(name), "%s%s", label, w->tally.domain);
    err = dns_ask(r->dns, DNS_TXT, name, on_wish, w, &w->question);
    if (err == OK)
        return;
    w->question = NULL;
    w->again = err != ERR_FORMAT; /* there can be none */
    next_target(w);
}

/* ---- which of them ---- */

static bool is_due(const uint8_t hash[RECORD_HASH_SIZE], const struct tls_tally *t)
{
    const uint64_t period = period_of(t), now = relay_now();
    uint64_t chance;

    memcpy(&chance, hash, sizeof(chance)); /* keyed, so that nobody else knows when */
    return now >= t->next_try &&
           now >= t->end + (2 * tallies_pause_ms((uint32_t)period) + 999) / 1000 + chance % (period / SPREAD + 1);
}

static bool is_under_way(const struct tls_reports *t, const uint8_t hash[RECORD_HASH_SIZE])
{
    for (size_t i = 0; i < TLS_REPORTS_AT_ONCE; i++)
        if (t->works[i].busy && memcmp(t->works[i].hash, hash, RECORD_HASH_SIZE) == 0)
            return true;
    return false;
}

static int see(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *tally,
               const uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct tls_reports *t = arg;

    if (err != OK && !queue_is_damage(err))
        return err;
    memcpy(t->after, hash, RECORD_HASH_SIZE);
    if (err == OK && is_due(hash, tally) && !is_under_way(t, hash)) {
        memcpy(t->due[t->ndue].hash, hash, RECORD_HASH_SIZE);
        t->due[t->ndue++].tally = *tally;
    }
    return ++t->looked == TLS_REPORTS_LOOK || t->ndue == t->room;
}

static int look(void *arg, struct view *v)
{
    struct tls_reports *t = arg;
    uint8_t from[RECORD_HASH_SIZE];
    int err;

    t->looked = t->ndue = 0;
    memcpy(from, t->after, sizeof(from));
    err = view_tls_tallies_each(v, from, see, t);
    if (err == OK) /* that was the last one */
        memset(t->after, 0, sizeof(t->after));
    return err < 0 ? err : OK;
}

static size_t room_of(struct tls_reports *t)
{
    const uint64_t hour = relay_now() / HOUR;
    size_t n = 0;

    if (hour != t->hour)
        t->in_hour = 0;
    t->hour = hour;
    for (size_t i = 0; i < TLS_REPORTS_AT_ONCE; i++)
        n += !t->works[i].busy;
    return t->in_hour >= TLS_REPORTS_HOUR || t->relay->stopping ? 0 : n;
}

static void start(struct tls_reports *t, size_t due)
{
    struct work *w = t->works;

    while (w->busy)
        w++;
    *w = (struct work){.all = t, .busy = true, .tally = t->due[due].tally, .later = w->later};
    memcpy(w->hash, t->due[due].hash, RECORD_HASH_SIZE);
    begin(w);
}

static void on_look(void *arg)
{
    struct tls_reports *t = arg;
    const uint8_t zeros[RECORD_HASH_SIZE] = {0};
    uint64_t ms = tallies_pause_ms(t->relay->config.tls_report_interval);

    t->room = room_of(t);
    if (t->room && view_run(t->relay->view, look, t) != OK)
        t->ndue = 0;
    if (t->room && memcmp(t->after, zeros, sizeof(zeros)) != 0 && ms > ROUND_MS)
        ms = ROUND_MS;
    timer_set(t->look, ms);
    for (size_t i = 0; t->room && i < t->ndue; i++)
        start(t, i);
}

static void look_soon(struct tls_reports *t)
{
    if (t->ndue && t->ndue == t->room)
        timer_set(t->look, SOON_MS);
}

/* ---- the whole ---- */

struct tls_reports *tls_reports_create(struct relay *r)
{
    struct tls_reports *t = calloc(1, sizeof(*t));
    bool whole;

    if (!t)
        return NULL;
    t->relay = r;
    t->look = timer_create_in(r->loop, on_look, t);
    whole = t->look;
    for (size_t i = 0; i < TLS_REPORTS_AT_ONCE; i++) {
        t->works[i].later = timer_create_in(r->loop, on_later, &t->works[i]);
        whole &= t->works[i].later != NULL;
    }
    if (!whole) {
        tls_reports_destroy(t);
        return NULL;
    }
    on_look(t);
    return t;
}

void tls_reports_destroy(struct tls_reports *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < TLS_REPORTS_AT_ONCE; i++) {
        struct work *w = &t->works[i];
        if (w->question)
            dns_cancel(w->question);
        if (w->page)
            fetch_cancel(w->page);
        if (w->asks)
            ask_forget(t->relay->ingest, w->asked);
        timer_destroy(w->later);
    }
    timer_destroy(t->look);
    free(t);
}
