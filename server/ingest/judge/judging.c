/* One message's way from its sender's name to its verdict. See judge.h. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/ingest/judge/judge_impl.h"
#include "server/mailauth/author.h"
#include "server/mailauth/block_list.h"
#include "server/mailauth/dmarc.h"
#include "server/mailauth/iprev.h"
#include "server/mailauth/spf.h"
#include "server/mailauth/whole_header.h"

enum { HELO_CAP = 256, SENDER_CAP = 512 };

/* In the order of their needs. */
enum part { PART_IPREV, PART_HELO, PART_LISTED, PART_SPF_HELO, PART_SPF, PART_DKIM, PART_DMARC, PARTS };
enum {
    /* Alike for all mails of a connection. */
    OF_PEER = 1 << PART_IPREV | 1 << PART_HELO | 1 << PART_LISTED | 1 << PART_SPF_HELO,
    SOFT = 1 << PART_IPREV | 1 << PART_HELO | 1 << PART_LISTED, /* nothing has to follow */
    ALL = (1 << PARTS) - 1,
};

/* A question that is out. */
struct asking {
    LIST_ENTRY(asking) in_message;
    struct judging *of;
    const struct records_question *q;
    struct answers_question *out;
};

/* What goes with a message. */
struct message {
    struct records *records;
    LIST_HEAD(, asking) askings;
    struct dkim_check *dkim;
    unsigned done; /* a bit for each part */
    bool whole, judged;
    size_t octets; /* of answers */
    uint64_t now, late_ms;
    char sender[SENDER_CAP];
    struct judge_result result;
};

struct judging {
    struct judge *j;
    LIST_ENTRY(judging) in_waiting; /* while done is set */
    struct sockaddr_storage peer;
    char helo[HELO_CAP];
    bool known; /* what follows is of this peer and name */
    struct iprev_verdict iprev;
    struct helo_verdict helo_verdict;
    uint32_t listed;
    struct spf_verdict spf_helo;
    struct message *m; /* NULL: there is none */
    struct defer go_on;
    struct idle late;
    void (*done)(void *arg);
    void *arg;
};

struct judging *judging_create(struct judge *j)
{
    struct judging *g = calloc(1, sizeof(*g));

    if (g)
        g->j = j;
    return g;
}

/* ---- the engines ---- */

static struct iprev_address address_of(const struct judging *g)
{
    const struct mailauth_verdict *v = &g->m->result.verdict;

    return iprev_address_of(v->address, v->six);
}

static struct spf_question spf_question(const struct judging *g, const char *sender)
{
    const struct mailauth_verdict *v = &g->m->result.verdict;

    return (struct spf_question){
        .address = v->address,
        .six = v->six,
        .helo = g->helo,
        .sender = sender,
        .receiver = g->j->domain,
        .now = g->m->now,
    };
}

static int run_iprev(struct judging *g)
{
    return iprev_check(address_of(g), g->m->records, &g->m->result.verdict.iprev);
}

static int run_helo(struct judging *g)
{
    return helo_check(address_of(g), g->helo, g->j->domain, g->m->records, &g->m->result.verdict.helo);
}

static int run_spf(struct judging *g)
{
    const struct spf_question q = spf_question(g, g->m->sender);

    return spf_check(&q, g->m->records, &g->m->result.verdict.spf);
}

/* What nobody can tell refuses nothing. */
static int run_listed(struct judging *g)
{
    const struct judge_rules *rules = &g->j->rules;
    const struct iprev_address a = address_of(g);
    unsigned useless = 0;
    int ret = OK;

    g->m->result.listed = 0;
    for (size_t i = 0; i < rules->lists; i++) {
        enum block_list_says says;
        int err = block_list_check(a.octets, a.six, rules->list[i].zone, g->m->records, &says);

        if (err == ERR_AGAIN)
            ret = err;
        else if (err == OK && says == BLOCK_LIST_YES)
            g->m->result.listed += rules->list[i].weight;
        else if (err == OK && says == BLOCK_LIST_NOTHING)
            useless |= 1U << i;
    }
    for (size_t i = 0; ret == OK && i < rules->lists; i++)
        if (useless & 1U << i)
            log_event(dnsbl_useless, (uint64_t)i + 1);
    return ret;
}

/* RFC 7208 section 2.3, where MAIL FROM does not make it section 2.4's. */
static int run_spf_helo(struct judging *g)
{
    const struct spf_question q = spf_question(g, "");

    return *g->m->sender && strchr(g->helo, '.') ? spf_check(&q, g->m->records, &g->m->result.verdict.spf_helo) : OK;
}

static int run_dkim(struct judging *g)
{
    return dkim_check_judge(g->m->dkim, g->m->records, &g->m->result.verdict.dkim);
}

/* Before the others are done it asks for what it needs in any case. */
static int run_dmarc(struct judging *g)
{
    struct mailauth_verdict *v = &g->m->result.verdict;
    const bool ready = (g->m->done & 1 << PART_SPF) && (g->m->done & 1 << PART_DKIM);
    struct dmarc_identifier dkim[DKIM_SIGNATURES_MAX];
    struct dmarc_question q = {.author = &v->author, .spf = {.domain = ""}, .dkim = dkim};
    struct dmarc_verdict ret;
    int err;

    if (ready) {
        q.spf = (struct dmarc_identifier){v->spf.domain, v->spf.result};
        for (; q.dkim_n < v->dkim.n; q.dkim_n++)
            dkim[q.dkim_n] = (struct dmarc_identifier){v->dkim.v[q.dkim_n].domain, v->dkim.v[q.dkim_n].result};
    }
    err = dmarc_check(&q, g->m->records, &ret);
    if (err == OK && !ready)
        return ERR_AGAIN;
    if (err == OK)
        v->dmarc = ret;
    return err;
}

static const struct {
    bool of_content;
    int (*run)(struct judging *g);
} parts[PARTS] = {
    [PART_IPREV] = {false, run_iprev},       [PART_HELO] = {false, run_helo}, [PART_LISTED] = {false, run_listed},
    [PART_SPF_HELO] = {false, run_spf_helo}, [PART_SPF] = {false, run_spf},   [PART_DKIM] = {true, run_dkim},
    [PART_DMARC] = {true, run_dmarc},
};

/* OK: all that may be done now is. ERR_AGAIN: answers are missing. */
static int run_parts(struct judging *g)
{
    int ret = OK;

    for (int i = 0; i < PARTS; i++) {
        int err;

        if ((g->m->done & 1U << i) || (parts[i].of_content && !g->m->whole))
            continue;
        err = parts[i].run(g);
        if (err == OK)
            g->m->done |= 1U << i;
        else if (err != ERR_AGAIN)
            return err;
        else
            ret = ERR_AGAIN;
    }
    return ret;
}

/* ---- their questions ---- */

static size_t octets_of(const struct records_answer *a)
{
    size_t n = sizeof(*a) + a->n * sizeof(*a->v);

    for (size_t i = 0; i < a->n; i++)
        n += a->v[i].name ? strlen(a->v[i].name) : a->v[i].data.len;
    return n;
}

/* An answer that the message gets, or that there is no room for it. */
static const struct records_answer *charge(struct judging *g, const struct records_answer *a)
{
    static const struct records_answer no_room = {.err = ERR_LIMIT};
    const size_t n = octets_of(a);

    if (g->j->octets + n > JUDGE_OCTETS_MAX)
        return &no_room;
    g->j->octets += n;
    g->m->octets += n;
    return a;
}

static const struct records_answer *at_hand(void *arg, const struct records_question *q)
{
    struct judging *g = arg;
    const struct records_answer *a = answers_find(g->j->answers, q->type, q->name);

    return a ? charge(g, a) : NULL;
}

static void go_on(void *arg);

static void on_answer(void *arg, const struct records_answer *a)
{
    struct asking *k = arg;
    struct judging *g = k->of;

    records_put(g->m->records, k->q, charge(g, a));
    LIST_REMOVE(k, in_message);
    free(k);
    defer_set(g->j->loop, &g->go_on, go_on, g);
}

/* False: it cannot be asked for, and that is the answer. */
static bool ask(struct judging *g, const struct records_question *q)
{
    struct asking *k = calloc(1, sizeof(*k));
    int err = ERR_MEMORY;

    if (k) {
        *k = (struct asking){.of = g, .q = q};
        err = answers_ask(g->j->answers, &g->peer, q->type, q->name, on_answer, k, &k->out);
    }
    if (err == OK) {
        LIST_INSERT_HEAD(&g->m->askings, k, in_message);
    } else {
        const struct records_answer none = {.err = err};

        free(k);
        records_put(g->m->records, q, &none);
    }
    return err == OK;
}

/* Whether all that is wanted was asked for. */
static bool ask_wanted(struct judging *g)
{
    const struct records_question *q;
    bool all = true;

    while ((q = records_take(g->m->records)))
        all &= ask(g, q);
    return all;
}

static void forget_questions(struct judging *g)
{
    struct asking *k;

    while ((k = LIST_FIRST(&g->m->askings))) {
        LIST_REMOVE(k, in_message);
        answers_cancel(k->out);
        free(k);
    }
}

/* ---- the way ---- */

static void on_late(struct idle *i);

/* While the peer's names alone are missing, they have a little more time and no longer. */
static void look_soft(struct judging *g)
{
    const unsigned left = ALL & ~g->m->done;
    const uint64_t now = loop_now_ms(g->j->loop);

    if (!g->m->whole || (left & ~(unsigned)SOFT) || g->m->late_ms <= now + JUDGE_SOFT_MS)
        return;
    g->m->late_ms = now + JUDGE_SOFT_MS;
    if (g->done)
        idle_set(g->j->loop, &g->late, JUDGE_SOFT_MS, on_late);
}

/* ERR_AGAIN: it waits for answers; OK: what may be done now is; ERR_MEMORY. */
static int advance(struct judging *g)
{
    int err;

    do {
        err = run_parts(g);
    } while (err == ERR_AGAIN && !ask_wanted(g));
    if (err == ERR_AGAIN)
        look_soft(g);
    return err;
}

static void keep_peer(struct judging *g)
{
    const struct mailauth_verdict *v = &g->m->result.verdict;

    if ((g->m->done & OF_PEER) != OF_PEER || v->iprev.result == AUTH_TEMPERROR || v->helo.result == AUTH_TEMPERROR ||
        v->spf_helo.result == AUTH_TEMPERROR || !*g->m->sender)
        return;
    g->iprev = v->iprev;
    g->helo_verdict = v->helo;
    g->listed = g->m->result.listed;
    g->spf_helo = v->spf_helo;
    g->known = true;
}

static void settle(struct judging *g)
{
    struct message *m = g->m;
    struct buf field;

    forget_questions(g);
    dkim_check_destroy(m->dkim);
    m->dkim = NULL;
    keep_peer(g);
    records_destroy(m->records);
    m->records = NULL;
    g->j->octets -= m->octets;
    m->octets = 0;
    judge_decide(&g->j->rules, &m->result);
    buf_init(&field, AUTH_RESULTS_MAX, true);
    if (auth_results_write(&m->result.verdict, g->j->domain, &field) == OK)
        memcpy(m->result.field, field.data, field.len);
    buf_free(&field);
    m->judged = true;
}

static void wait_ends(struct judging *g)
{
    void (*done)(void *arg) = g->done;

    idle_cancel(&g->late);
    if (!done)
        return;
    LIST_REMOVE(g, in_waiting);
    g->done = NULL;
    done(g->arg);
}

static void defer(struct judging *g)
{
    g->m->result.action = JUDGE_DEFER;
    g->m->result.why = EVENT_REASON_UNJUDGED;
}

/* Time is up: the verdict says so wherever something is missing. */
static void give_up(struct judging *g)
{
    int err;

    forget_questions(g);
    records_end(g->m->records);
    do {
        err = run_parts(g);
    } while (err == ERR_AGAIN); /* DMARC's comes behind the others' */
    settle(g);
    if (err != OK || g->j->stopping)
        defer(g);
}

static void on_late(struct idle *i)
{
    struct judging *g = (struct judging *)((char *)i - offsetof(struct judging, late));

    defer_cancel(g->j->loop, &g->go_on);
    give_up(g);
    wait_ends(g);
}

static void go_on(void *arg)
{
    struct judging *g = arg;
    int err = advance(g);

    if (err == ERR_AGAIN || !g->m->whole)
        return;
    settle(g);
    if (err != OK)
        defer(g);
    wait_ends(g);
}

/* ---- for receivers ---- */

static void look_at_peer(const struct sockaddr_storage *peer, struct mailauth_verdict *v)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;

    v->six = peer->ss_family == AF_INET6;
    if (v->six)
        memcpy(v->address, &v6->sin6_addr, 16);
    else
        memcpy(v->address, &v4->sin_addr, 4);
}

static bool is_known(const struct judging *g, const struct judging_mail *mail)
{
    return g->known && strcmp(g->helo, mail->helo) == 0 && memcmp(&g->peer, mail->peer, sizeof(g->peer)) == 0;
}

int judging_begin(struct judging *g, const struct judging_mail *mail)
{
    struct message *m = calloc(1, sizeof(*m));

    judging_reset(g);
    if (m)
        m->records = records_create();
    if (!m || !m->records) {
        free(m);
        return ERR_MEMORY;
    }
    records_look_in(m->records, at_hand, g);
    LIST_INIT(&m->askings);
    m->now = (uint64_t)time(NULL);
    strncpy(m->sender, mail->sender, sizeof(m->sender) - 1);
    g->m = m;
    m->result.judged = !judge_exempts(g->j, mail->peer);
    look_at_peer(mail->peer, &m->result.verdict);
    if (is_known(g, mail)) {
        m->result.verdict.iprev = g->iprev;
        m->result.verdict.helo = g->helo_verdict;
        m->result.listed = g->listed;
        if (*m->sender)
            m->result.verdict.spf_helo = g->spf_helo;
        m->done = OF_PEER;
    }
    g->known = g->known && m->done;
    g->peer = *mail->peer;
    memset(g->helo, 0, sizeof(g->helo));
    strncpy(g->helo, mail->helo, sizeof(g->helo) - 1);
    if (m->result.judged)
        defer_set(g->j->loop, &g->go_on, go_on, g);
    return OK;
}

bool judging_begun(const struct judging *g)
{
    return g->m != NULL;
}

/* Who says that they wrote it, and what its signatures cover. */
static int read_mail(struct message *m, const struct iovec *mail, size_t n)
{
    struct author_verdict *author = &m->result.verdict.author;
    struct whole_header h;
    int err = whole_header_read(&h, mail, n);

    if (err == OK)
        author_read(&h.view, author);
    else /* nothing here takes it apart */
        *author = (struct author_verdict){.fault = AUTHOR_UNREADABLE};
    if (err != ERR_MEMORY)
        err = dkim_check_create(err == OK ? &h.view : NULL, mail, n, m->now, &m->dkim);
    whole_header_free(&h);
    return err;
}

int judging_whole(struct judging *g, const struct iovec *mail, size_t n, void (*done)(void *arg), void *arg)
{
    struct message *m = g->m;
    int err;

    if (!m->result.judged) {
        m->judged = true;
        return OK;
    }
    err = read_mail(m, mail, n);
    if (err != OK)
        return err;
    dkim_check_spare(m->dkim);
    m->whole = true;
    m->late_ms = loop_now_ms(g->j->loop) + JUDGE_MS;
    defer_cancel(g->j->loop, &g->go_on);
    err = advance(g);
    if (err == ERR_AGAIN && !g->j->stopping) {
        g->done = done;
        g->arg = arg;
        LIST_INSERT_HEAD(&g->j->waiting, g, in_waiting);
        idle_set(g->j->loop, &g->late, m->late_ms - loop_now_ms(g->j->loop), on_late);
        return ERR_AGAIN;
    }
    if (err == ERR_AGAIN) {
        give_up(g);
        return OK;
    }
    if (err == OK)
        settle(g);
    return err;
}

const struct judge_result *judging_result(const struct judging *g)
{
    return &g->m->result;
}

void judging_reset(struct judging *g)
{
    struct message *m = g->m;

    defer_cancel(g->j->loop, &g->go_on);
    idle_cancel(&g->late);
    if (g->done)
        LIST_REMOVE(g, in_waiting);
    g->done = NULL;
    if (!m)
        return;
    forget_questions(g);
    dkim_check_destroy(m->dkim);
    if (m->records && !m->judged)
        keep_peer(g);
    records_destroy(m->records);
    g->j->octets -= m->octets;
    explicit_bzero(m, sizeof(*m));
    free(m);
    g->m = NULL;
}

void judging_destroy(struct judging *g)
{
    if (!g)
        return;
    judging_reset(g);
    explicit_bzero(g, sizeof(*g));
    free(g);
}

void judge_stop(struct judge *j)
{
    struct judging *g;

    j->stopping = true;
    LIST_FOREACH(g, &j->waiting, in_waiting)
    idle_set(j->loop, &g->late, 1, on_late);
}
