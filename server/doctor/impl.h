/* What the checks share. */
#ifndef DOCTOR_IMPL_H
#define DOCTOR_IMPL_H

#include "server/dns/dns.h"
#include "server/doctor/chain.h"
#include "server/doctor/doctor.h"
#include "server/doctor/zone.h"
#include "server/fetch/fetch.h"

enum { DOCTOR_TEXT_MAX = 1024, DOCTOR_ADDRESSES_MAX = 8, DOCTOR_ADDRESS_CAP = 46 /* INET6_ADDRSTRLEN */ };

struct doctor_address {
    bool six;
    uint8_t octets[16];
    char text[DOCTOR_ADDRESS_CAP];
};

struct doctor_answer;
struct doctor {
    const struct doctor_facts *f;
    const char *id; /* of the check that runs */
    doctor_fn *fn;
    void *arg;

    struct loop *loop;
    struct dns *dns;
    struct fetch *fetch;
    struct timer *late;            /* when a question has waited long enough */
    struct doctor_answer *answers; /* what was asked already */
    unsigned open;                 /* questions on their way */
    unsigned silent;               /* questions that nobody answered */
    bool answered;                 /* a name server has said something */

    struct zone zone;    /* what should be there */
    struct chain *chain; /* in use: what is shown on port 25, else what the file has; NULL: none */
    bool chain_shown;
    /* From which mail comes to others: relay_source, else the server's name's. */
    struct doctor_address own[DOCTOR_ADDRESSES_MAX];
    size_t nown;
};

/* ---- findings (say.c) ---- */

void doctor_say(struct doctor *d, enum doctor_state s, const char *want, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The same; want is the record that zone.h has. */
void doctor_say_record(struct doctor *d, enum doctor_state s, enum zone_record want, const char *remedy,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ---- names (ask.c) ---- */

struct doctor_question {
    enum dns_type type;
    const char *name;
};
/* All at once, in ten seconds at most; the answers are kept. Those that are asked first tell whether DNS is there. */
enum { DOCTOR_QUESTIONS_MAX = 8 };
void doctor_ask_all(struct doctor *d, const struct doctor_question *asked, size_t n);
/* The answer, kept until the end; NULL: there is none, and *ret_err says why (dns.h). */
const struct dns_answer *doctor_ask(struct doctor *d, enum dns_type type, const char *name, int *ret_err);
/* The same; that there is none is said. */
const struct dns_answer *doctor_ask_or_say(struct doctor *d, enum dns_type type, const char *name);
void doctor_say_silence(struct doctor *d, enum dns_type type, const char *name, int err);
void doctor_forget(struct doctor *d); /* all answers */
void doctor_late(void *arg);          /* of the timer */
/* TXT records that begin so: how many, and the first in *ret. */
size_t doctor_texts(const struct dns_answer *a, bool (*is_one)(struct slice txt), struct slice *ret);
/* Up to max addresses of a name, IPv4 first; appends. What was not answered adds none. */
size_t doctor_addresses(struct doctor *d, const char *name, struct doctor_address *out, size_t max);
bool doctor_address_is(const struct doctor_address *a, const struct doctor_address *b);

/* ---- pages (page.c) ---- */

struct doctor_page {
    uint32_t status;
    size_t len;
    char text[FETCH_BODY_MAX];
};
/* ERR_* as fetch.h has them. */
int doctor_fetch(struct doctor *d, enum fetch_kind kind, const char *url, struct doctor_page *ret);

/* ---- the checks ---- */

void doctor_check_addresses(struct doctor *d);
void doctor_check_ptr(struct doctor *d);
void doctor_check_mx(struct doctor *d);
void doctor_check_dnssec(struct doctor *d);
void doctor_check_tlsa(struct doctor *d);
void doctor_check_caa(struct doctor *d);
void doctor_check_srv(struct doctor *d);
void doctor_check_block_lists(struct doctor *d);

void doctor_check_spf(struct doctor *d);
void doctor_check_spf_host(struct doctor *d);
void doctor_check_dkim(struct doctor *d);
void doctor_check_dmarc(struct doctor *d);
void doctor_check_mta_sts(struct doctor *d);
void doctor_check_tls_reports(struct doctor *d);

void doctor_check_certificates(struct doctor *d);
void doctor_check_port_out(struct doctor *d);
void doctor_check_port_in(struct doctor *d);
void doctor_check_disk(struct doctor *d);
void doctor_check_clock(struct doctor *d);

#endif
