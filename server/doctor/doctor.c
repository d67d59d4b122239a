#include "server/doctor/doctor.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"

/* What a check needs, or there is nothing to look at. */
enum {
    OF_DOMAIN = 1, /* the domain is one of the server's */
    OF_HOST = 2,   /* it is not the server's own name */
    DIRECT = 4,    /* mail goes to others' servers, not to a smarthost */
};

static const struct check {
    const char *id;
    unsigned needs;
    void (*run)(struct doctor *d);
} checks[] = {
    {"addresses", 0, doctor_check_addresses},
    {"ptr", DIRECT, doctor_check_ptr},
    {"mx", OF_DOMAIN, doctor_check_mx},
    {"dnssec", 0, doctor_check_dnssec},
    {"certificate", 0, doctor_check_certificates},
    {"tlsa", 0, doctor_check_tlsa},
    {"caa", 0, doctor_check_caa},
    {"srv", OF_DOMAIN, doctor_check_srv},
    {"spf", OF_DOMAIN, doctor_check_spf},
    {"spf-host", OF_HOST | DIRECT, doctor_check_spf_host},
    {"dkim", OF_DOMAIN, doctor_check_dkim},
    {"dmarc", OF_DOMAIN, doctor_check_dmarc},
    {"mta-sts", OF_DOMAIN, doctor_check_mta_sts},
    {"tls-reports", OF_DOMAIN, doctor_check_tls_reports},
    {"port-25-out", 0, doctor_check_port_out},
    {"port-25-in", 0, doctor_check_port_in},
    {"block-lists", DIRECT, doctor_check_block_lists},
    {"clock", 0, doctor_check_clock},
    {"disk", 0, doctor_check_disk},
};

/* ---- what is known before ---- */

static void add_own(struct doctor *d, bool six, const void *octets)
{
    struct doctor_address *a = &d->own[d->nown++];

    *a = (struct doctor_address){.six = six};
    memcpy(a->octets, octets, six ? 16 : 4);
    inet_ntop(six ? AF_INET6 : AF_INET, a->octets, a->text, sizeof(a->text));
}

static void find_own(struct doctor *d)
{
    const struct relay_source *source = relay_policy_source(d->f->policy, d->f->domain);
    struct relay_source usual;

    if (!source && d->f->config->relay_source[0] && relay_source_parse(d->f->config->relay_source, &usual) == OK)
        source = &usual;
    if (source && !relay_source_is_private(source)) {
        if (source->has4)
            add_own(d, false, &source->v4);
        if (source->has6)
            add_own(d, true, &source->v6);
    } else {
        d->nown = doctor_addresses(d, d->f->config->domain, d->own, DOCTOR_ADDRESSES_MAX);
    }
}

static bool applies(const struct doctor *d, const struct check *c)
{
    return !((c->needs & OF_DOMAIN && !d->f->known) ||
             (c->needs & OF_HOST && strcmp(d->f->domain, d->f->config->domain) == 0 && d->f->known) ||
             (c->needs & DIRECT && d->f->config->smarthost[0]));
}

/* Names of two zones, as a rule: when nobody answers any, there is no DNS here. */
static void ask_first(struct doctor *d)
{
    struct relay_route peer = {.port = 0};
    struct doctor_question first[] = {{DNS_A, d->f->config->domain},
                                      {DNS_AAAA, d->f->config->domain},
                                      {DNS_MX, d->f->domain},
                                      {DNS_A, peer.host}};
    bool have = relay_host_parse(d->f->config->doctor_peer, &peer) == OK;

    doctor_ask_all(d, first, sizeof(first) / sizeof(*first) - !have);
}

static void run_all(struct doctor *d)
{
    ask_first(d);
    find_own(d);
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        d->id = checks[i].id;
        if (applies(d, &checks[i]))
            checks[i].run(d);
    }
}

int doctor_run(const struct doctor_facts *f, doctor_fn *fn, void *arg)
{
    struct doctor d = {.f = f, .fn = fn, .arg = arg};

    zone_init(&d.zone, f->domain, f->config);
    d.loop = loop_create();
    d.dns = d.loop ? dns_create(d.loop) : NULL;
    d.fetch = d.dns ? fetch_create(d.loop) : NULL;
    d.late = d.fetch ? timer_create_in(d.loop, doctor_late, &d) : NULL;
    if (!d.late) {
        fetch_destroy(d.fetch);
        dns_destroy(d.dns);
        loop_destroy(d.loop);
        close(f->resolver);
        close(f->fetcher);
        return ERR_MEMORY;
    }
    dns_channel(d.dns, f->resolver);
    fetch_channel(d.fetch, f->fetcher);
    run_all(&d);
    timer_destroy(d.late);
    fetch_destroy(d.fetch);
    dns_destroy(d.dns);
    loop_destroy(d.loop);
    doctor_forget(&d);
    chain_free(d.chain);
    return OK;
}
