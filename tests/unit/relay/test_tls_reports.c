/* TLS reports: who is asked, what is sent and how often, and what becomes of a death in between. Names, pages, the
 * queue, the store and the vault are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/queue/internal.h"
#include "server/relay/tally.h"
#include "server/relay/tls_reports.h"
#include "tests/support/tally_store.h"

enum { DAY = 86400, LATE = 20000 /* a report of a day waits so long at most */ };

static struct relay relay;
static bool is_ours_to_sign;
static uint64_t begun; /* seconds since 1970 */

/* ---- names ---- */

struct dns_question {
    struct defer later;
    dns_fn *fn;
    void *arg;
};
static const char *wish, *wish2; /* NULL: there is none */
static int wish_err;
static unsigned names;

static void name_answer(void *arg)
{
    struct dns_question q = *(struct dns_question *)arg;
    const struct dns_record v[] = {{.data = slice_str(wish ? wish : "")}, {.data = slice_str(wish2 ? wish2 : "")}};
    const struct dns_answer a = {.exists = true, .n = (wish != NULL) + (wish2 != NULL), .v = v};

    free(arg);
    q.fn(q.arg, wish_err, &a);
}

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    struct dns_question *q = calloc(1, sizeof(*q));

    assert_non_null(q);
    assert_int_equal(type, DNS_TXT);
    assert_memory_equal(name, "_smtp._tls.d", 12);
    *q = (struct dns_question){.fn = fn, .arg = arg};
    defer_set(loop, &q->later, name_answer, q);
    names++;
    *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    defer_cancel(loop, &q->later);
    free(q);
}

/* ---- pages, and the queue ---- */

struct fetch_request {
    struct defer later;
    fetch_fn *fn;
    void *arg;
};
static int page_err;
static uint32_t page_status;
static unsigned pages;
static char page_id[400];

static void page_answer(void *arg)
{
    struct fetch_request q = *(struct fetch_request *)arg;
    const struct fetch_answer a = {.status = page_status, .type = ""};

    free(arg);
    q.fn(q.arg, page_err, &a);
}

int fetch_ask(struct fetch *f, enum fetch_kind kind, const char *url, const char *type, struct slice body, fetch_fn *fn,
              void *arg, struct fetch_request **ret)
{
    struct fetch_request *q = calloc(1, sizeof(*q));
    struct tls_report_read *r;

    assert_non_null(q);
    assert_int_equal(kind, FETCH_TLS_REPORT);
    assert_string_equal(type, "application/tlsrpt+gzip");
    assert_int_equal(tls_report_read(body.data, body.len, &r), OK);
    snprintf(page_id, sizeof(page_id), "%s", tls_report_of(r)->id);
    tls_report_read_free(r);
    *q = (struct fetch_request){.fn = fn, .arg = arg};
    defer_set(loop, &q->later, page_answer, q);
    pages++;
    *ret = q;
    return OK;
}

void fetch_cancel(struct fetch_request *q)
{
    defer_cancel(loop, &q->later);
    free(q);
}

struct mail_answer {
    struct defer later;
    ask_fn *fn;
    void *arg;
};
static unsigned mails;
static int mail_status;
static uint8_t mail_id[RECORD_HASH_SIZE];
static bool asker_is_gone;

static void mail_reply(void *arg)
{
    struct mail_answer a = *(struct mail_answer *)arg;

    free(arg);
    if (!asker_is_gone)
        a.fn(a.arg, mail_status, NULL);
}

int ask_send(struct ask *a, uint32_t type, const struct pack *payload, const int *fds, unsigned nfds, unsigned flags,
             ask_fn *fn, void *arg, uint64_t *ret_id)
{
    struct mail_answer *m = calloc(1, sizeof(*m));
    struct internal_deliver d;
    struct unpack u;

    assert_non_null(m);
    assert_true(type == INTERNAL_QUEUE && nfds == 1 && lseek(fds[0], 0, SEEK_END) > 500);
    unpack_init(&u, payload->data, payload->len);
    assert_int_equal(internal_deliver_unpack(&u, &d), OK);
    memcpy(mail_id, d.delivery, sizeof(mail_id));
    *m = (struct mail_answer){.fn = fn, .arg = arg};
    defer_set(loop, &m->later, mail_reply, m);
    mails++;
    *ret_id = 1;
    return OK;
}

void ask_forget(struct ask *a, uint64_t id)
{
    asker_is_gone = true;
}

int dkim_keys_sign(struct dkim_keys *k, const struct iovec *mail, size_t n, uint64_t now, struct buf *fields)
{
    return is_ours_to_sign ? buf_puts(fields, "DKIM-Signature: x\r\n") : OK;
}

int dkim_keys_domain(struct dkim_keys *k, const char *name, uint64_t now, char ret_domain[DOMAIN_CAP])
{
    snprintf(ret_domain, DOMAIN_CAP, "%s", name);
    return OK;
}

/* ---- a record, and time ---- */

static struct tls_tally tally(int number, uint64_t age)
{
    struct tls_tally t = {.end = begun - age,
                          .npolicies = 1,
                          .policies = {{.kind = TLS_REPORT_NO_POLICY, .domain = "d.example", .good = 1}}};

    t.begin = t.end - DAY;
    snprintf(t.domain, sizeof(t.domain), "d%d.example", number);
    return t;
}

static void store(int number, uint64_t age)
{
    const struct tls_tally t = tally(number, age);
    uint8_t hash[RECORD_HASH_SIZE], record[TLS_TALLY_RECORD_MAX];
    size_t len;

    assert_int_equal(tls_tally_seal(keys, &t, hash, record, &len), OK);
    put_at(hash, slice_of(record, len));
}

/* The only one there is. */
static struct tls_tally left(void)
{
    struct tls_tally t;

    assert_int_equal(nrecords, 1);
    assert_int_equal(tls_tally_open(keys, records[0].hash, slice_of(records[0].sealed, records[0].len), &t), OK);
    return t;
}

static int up(void **state)
{
    tally_store_up();
    relay = (struct relay){.loop = loop,
                           .config = {.domain = "mail.ours.example", .tls_report = true, .tls_report_interval = DAY}};
    begun = relay_now();
    wish = "v=TLSRPTv1; rua=mailto:tls@d.example";
    wish2 = NULL;
    wish_err = page_err = mail_status = OK;
    page_status = 200;
    names = pages = mails = 0;
    is_ours_to_sign = true;
    asker_is_gone = false;
    return 0;
}

static int down(void **state)
{
    tally_store_down();
    return 0;
}

static void settle_long(void)
{
    for (int i = 0; i < 30; i++)
        settle();
}

/* A process from its beginning to its end. */
static void live(void)
{
    struct tls_reports *t = tls_reports_create(&relay);

    assert_non_null(t);
    settle_long();
    tls_reports_destroy(t);
    settle();
}

/* ---- tests ---- */

static void by_mail_once(void **state)
{
    store(1, LATE);
    live();
    live();
    assert_true(names == 1 && mails == 1 && pages == 0);
    assert_int_equal(nrecords, 0);
    assert_int_equal(relay.counters[COUNT_TLS_REPORTS], 1);
}

static void by_all_ways(void **state)
{
    wish = "v=TLSRPTv1; rua=https://d.example/x,mailto:a@d.example,mailto:b@d.example,mailto:c@d.example,"
           "mailto:d@d.example,mailto:e@d.example";
    store(1, LATE);
    live();
    assert_true(names == 1 && mails == 3 && pages == 1); /* four of them, whoever asks for more */
    assert_int_equal(nrecords, 0);
}

static void not_before_its_time(void **state)
{
    store(1, 0);
    live();
    assert_true(names == 0 && nrecords == 1);
}

static void nobody_asks(void **state)
{
    static const char *const none[][2] = {{NULL, NULL},
                                          {"v=spf1 -all", NULL},
                                          {"v=TLSRPTv1; rua=ftp://d.example/", NULL},
                                          {"v=TLSRPTv1; rua=mailto:", NULL},
                                          {"v=TLSRPTv1; rua=mailto:a@d.example", "v=TLSRPTv1; rua=mailto:a@d.example"}};

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        wish = none[i][0];
        wish2 = none[i][1];
        store(1, LATE);
        live();
        assert_int_equal(names, i + 1);
        assert_true(mails == 0 && pages == 0 && nrecords == 0);
    }
    relay.config.tls_report = false;
    wish = "v=TLSRPTv1; rua=mailto:a@d.example";
    wish2 = NULL;
    store(1, LATE);
    live();
    assert_true(mails == 0 && nrecords == 0 && names == 5); /* the operator does not either: no name is looked up */
    assert_int_equal(relay.counters[COUNT_TLS_REPORTS_LOST], 0);
}

static void without_a_signature_no_mail_goes(void **state)
{
    is_ours_to_sign = false;
    store(1, LATE);
    live();
    assert_true(mails == 0 && nrecords == 0);
    assert_int_equal(relay.counters[COUNT_TLS_REPORTS_LOST], 1);
}

static void what_fails_for_now_is_tried_later(void **state)
{
    wish = "v=TLSRPTv1; rua=https://d.example/x,mailto:a@d.example";
    page_status = 503;
    store(1, LATE);
    live();
    live();
    assert_true(names == 1 && pages == 1 && mails == 1); /* the other one was sent all the same */
    struct tls_tally t = left();
    assert_true(t.sent == 2 && t.tries == 1 && t.next_try > relay_now() + 600);
    assert_int_equal(t.policies[0].good, 1);
    wish_err = ERR_AGAIN;
    store(1, LATE);
    live();
    assert_true(pages == 1 && left().tries == 1 && left().sent == 0);
}

static void after_a_day_it_is_given_up(void **state)
{
    wish = "v=TLSRPTv1; rua=https://d.example/x,https://d.example/y";
    page_err = ERR_TIMEOUT;
    store(1, DAY + DAY / 6 + 3000); /* the next try would be too late */
    live();
    assert_true(pages == 2 && nrecords == 0);
    assert_int_equal(relay.counters[COUNT_TLS_REPORTS_LOST], 2);
}

/* As after a restore. */
static void nobody_is_told_of_what_is_long_past(void **state)
{
    store(1, 2 * DAY);
    live();
    assert_true(names == 0 && mails == 0 && nrecords == 0);
}

static void what_never_can_be_is_given_up_at_once(void **state)
{
    wish = "v=TLSRPTv1; rua=https://d.example/x,mailto:a@d.example";
    page_err = ERR_DENIED; /* it is not in the open Internet */
    mail_status = ERR_FORMAT;
    store(1, LATE);
    live();
    assert_int_equal(nrecords, 0);
    assert_int_equal(relay.counters[COUNT_TLS_REPORTS_LOST], 2);
}

/* The vault has died over the note, or this process before it: it is sent again, and can be known by its id. */
static void death_between_sending_and_noting(void **state)
{
    char id[sizeof(page_id)];
    uint8_t first[RECORD_HASH_SIZE];

    wish = "v=TLSRPTv1; rua=https://d.example/x,mailto:a@d.example";
    answer_with = ERR_GONE;
    store_nothing = true;
    store(1, LATE);
    live();
    assert_true(pages == 1 && mails == 0 && nrecords == 1);
    strcpy(id, page_id);
    answer_with = OK;
    store_nothing = false;
    live();
    assert_true(pages == 2 && mails == 1 && nrecords == 0);
    assert_string_equal(id, page_id);
    memcpy(first, mail_id, sizeof(first));
    store(1, LATE);
    live();
    assert_memory_equal(first, mail_id, sizeof(first));
}

/* Another process of `relay` writes what it counted before midnight. */
static void another_adds(void)
{
    struct tls_tally t = left();
    uint8_t hash[RECORD_HASH_SIZE], record[TLS_TALLY_RECORD_MAX];
    size_t len;

    meanwhile = NULL;
    t.policies[0].good = 7;
    assert_int_equal(tls_tally_seal(keys, &t, hash, record, &len), OK);
    put_at(hash, slice_of(record, len));
}

static void what_comes_late_is_kept(void **state)
{
    page_status = 503;
    wish = "v=TLSRPTv1; rua=https://d.example/x";
    store(1, LATE);
    meanwhile = another_adds;
    live();
    assert_true(left().policies[0].good == 7 && left().tries == 1 && conflicts == 1);
}

static void an_hour_has_so_many(void **state)
{
    struct tls_reports *t;

    for (int i = 0; i < TLS_REPORTS_HOUR + 50; i++)
        store(i, LATE);
    t = tls_reports_create(&relay);
    for (int i = 0; i < 20000 && mails < TLS_REPORTS_HOUR; i++)
        settle();
    settle_long();
    tls_reports_destroy(t);
    assert_in_range(mails, TLS_REPORTS_HOUR, TLS_REPORTS_HOUR + TLS_REPORTS_AT_ONCE);
    assert_int_equal(names, mails);
    assert_int_equal(nrecords, TLS_REPORTS_HOUR + 50 - mails);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_mail_once, up, down),
        cmocka_unit_test_setup_teardown(by_all_ways, up, down),
        cmocka_unit_test_setup_teardown(not_before_its_time, up, down),
        cmocka_unit_test_setup_teardown(nobody_asks, up, down),
        cmocka_unit_test_setup_teardown(without_a_signature_no_mail_goes, up, down),
        cmocka_unit_test_setup_teardown(what_fails_for_now_is_tried_later, up, down),
        cmocka_unit_test_setup_teardown(after_a_day_it_is_given_up, up, down),
        cmocka_unit_test_setup_teardown(nobody_is_told_of_what_is_long_past, up, down),
        cmocka_unit_test_setup_teardown(what_never_can_be_is_given_up_at_once, up, down),
        cmocka_unit_test_setup_teardown(death_between_sending_and_noting, up, down),
        cmocka_unit_test_setup_teardown(what_comes_late_is_kept, up, down),
        cmocka_unit_test_setup_teardown(an_hour_has_so_many, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
