/* The network and this machine: the listeners as clients see them, the way out, the clock, the disk. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "server/base/roles.h"
#include "server/core/error.h"
#include "server/doctor/impl.h"
#include "server/doctor/visit.h"
#include "server/mail/date.h"

enum { DAY = 86400, SMTP_PORT = 25 };

/* ---- certificates ---- */

static socklen_t put_address(struct sockaddr_storage *s, const struct doctor_address *a, uint16_t port)
{
    memset(s, 0, sizeof(*s));
    if (a->six) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)s;
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&six->sin6_addr, a->octets, 16);
        return sizeof(*six);
    }
    struct sockaddr_in *four = (struct sockaddr_in *)s;
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&four->sin_addr, a->octets, 4);
    return sizeof(*four);
}

/* Where one of our listeners is reached from here. */
static int connect_own(const struct doctor *d, uint16_t port, int *ret_fd)
{
    struct doctor_address a = {.six = strchr(d->f->config->bind, ':') != NULL};
    static const uint8_t any[16] = {0}, loopback6[16] = {[15] = 1}, loopback4[4] = {127, 0, 0, 1};
    struct sockaddr_storage to;

    (void)inet_pton(a.six ? AF_INET6 : AF_INET, d->f->config->bind, a.octets);
    if (memcmp(a.octets, any, a.six ? 16 : 4) == 0)
        memcpy(a.octets, a.six ? loopback6 : loopback4, a.six ? 16 : 4);
    socklen_t len = put_address(&to, &a, (uint16_t)(d->f->config->port_base + port));
    return visit_connect((const struct sockaddr *)&to, len, NULL, 0, ret_fd);
}

struct look {
    struct doctor *d;
    const char *where;
    const struct chain *chain;
    bool useless; /* it has ended, or is another's */
};

static void on_mind(void *arg, bool hint, const char *sentence)
{
    struct look *l = arg;
    struct doctor *d = l->d;

    if (!hint) /* what it hints at is seen in what verifies */
        doctor_say(d, l->useless ? DOCTOR_FAIL : DOCTOR_WARN, d->f->config->domain,
                   "get another one, and letterlock reload", "%s: %s", l->where, sentence);
}

static void see_trust(struct look *l, bool for_clients)
{
    struct doctor *d = l->d;
    const char *roots = d->f->config->relay_tls_roots, *why = "";
    char day[DATE_DAY_SIZE];
    int err = chain_verify(l->chain, roots, d->f->config->domain, d->f->now, &why);

    date_write_day(chain_ends(l->chain), day);
    if (err == OK)
        doctor_say(d, DOCTOR_OK, "", "", "%s: the certificate is for %s, an authority vouches for it, until %s",
                   l->where, d->f->config->domain, day);
    else if (err == ERR_IO)
        doctor_say(d, DOCTOR_UNKNOWN, "", "install ca-certificates, or correct relay_tls_roots",
                   "%s: the certificate is for %s until %s; no authorities are known here (%s)", l->where,
                   d->f->config->domain, day, roots);
    else
        doctor_say(d, for_clients ? DOCTOR_FAIL : DOCTOR_WARN, "a certificate that an authority vouches for",
                   "get one with an ACME client: the whole chain into tls_chain, then letterlock reload",
                   "%s: %s take the certificate for untrusted: %s", l->where,
                   for_clients ? "clients" : "servers that check authorities", why);
}

static void see_chain(struct doctor *d, const char *where, const struct chain *c, bool for_clients)
{
    struct look l = {d, where, c, !chain_valid_at(c, d->f->now) || !chain_named(c, d->f->config->domain)};
    char *pem;
    size_t len;

    if (chain_write(c, &pem, &len) != OK)
        return;
    d->f->mind_chain(pem, len, d->f->config->domain, (time_t)d->f->now, on_mind, &l);
    free(pem);
    if (!l.useless)
        see_trust(&l, for_clients);
}

/* Takes over what port 25 shows: TLSA is about that. */
static void see_listener(struct doctor *d, enum listener which, enum visit_way way)
{
    const struct listener_row *row = &listeners_table[which];
    char where[64];
    struct chain *c = NULL;
    int fd = -1, err = connect_own(d, row->port, &fd), why = errno;

    snprintf(where, sizeof(where), "%s, port %u", row->name, d->f->config->port_base + row->port);
    if (err != OK) {
        doctor_say(d, d->f->running ? DOCTOR_FAIL : DOCTOR_UNKNOWN, "",
                   d->f->running ? "look at the log" : "start the server (systemctl start letterlock)",
                   "%s: nobody answers (%s)", where, err == ERR_IO ? strerror(why) : err_str(err));
        return;
    }
    err = visit_certificates(fd, way, d->f->config->domain, &c);
    close(fd);
    if (err != OK) {
        doctor_say(d, DOCTOR_FAIL, "", "look at the log", "%s: TLS cannot be begun (%s)", where, err_str(err));
        return;
    }
    see_chain(d, where, c, which != LISTEN_SMTP);
    if (which == LISTEN_SMTP) {
        chain_free(d->chain);
        d->chain = c;
        d->chain_shown = true;
    } else {
        chain_free(c);
    }
}

static void read_own_chain(struct doctor *d)
{
    char path[1024];
    int err;

    chain_path(d->f->dir, d->f->config, path, sizeof(path));
    err = chain_read(path, &d->chain);
    if (err != OK)
        doctor_say(d, DOCTOR_FAIL, "", "put a certificate there", "%s: no certificate can be read (%s)", path,
                   err == ERR_IO ? strerror(errno) : err_str(err));
    else if (!d->f->running)
        see_chain(d, "tls_chain", d->chain, true);
}

void doctor_check_certificates(struct doctor *d)
{
    static const enum visit_way ways[LISTENERS] = {
        [LISTEN_SMTP] = VISIT_SMTP, [LISTEN_SUBMISSIONS] = VISIT_TLS, [LISTEN_SUBMISSION] = VISIT_SMTP,
        [LISTEN_IMAP] = VISIT_IMAP, [LISTEN_IMAPS] = VISIT_TLS,       [LISTEN_HTTPS] = VISIT_TLS};

    read_own_chain(d);
    for (int i = 0; i < LISTENERS && d->f->running; i++)
        if (i != LISTEN_HTTP && listener_wanted((enum listener)i, d->f->config))
            see_listener(d, (enum listener)i, ways[i]);
    if (d->chain)
        zone_take_chain(&d->zone, d->chain);
}

/* ---- port 25 ---- */

/* What the operator names may be an address, too. */
static size_t addresses_of_peer(struct doctor *d, const char *host, struct doctor_address out[DOCTOR_ADDRESSES_MAX])
{
    out[0] = (struct doctor_address){.six = strchr(host, ':') != NULL};
    if (inet_pton(out[0].six ? AF_INET6 : AF_INET, host, out[0].octets) != 1)
        return doctor_addresses(d, host, out, DOCTOR_ADDRESSES_MAX);
    snprintf(out[0].text, sizeof(out[0].text), "%.45s", host);
    return 1;
}

/* One of the peer's addresses, from one of ours. The words of why not. */
static int try_out(struct doctor *d, const struct doctor_address *to, uint16_t port, char out[VISIT_GREETING_CAP])
{
    struct relay_source source = {0};
    struct doctor_address from = {.six = to->six};
    struct sockaddr_storage a, b;
    socklen_t alen = put_address(&a, to, port), blen = 0;
    int fd, err;

    if (d->f->config->relay_source[0] && relay_source_parse(d->f->config->relay_source, &source) == OK) {
        if (to->six ? !source.has6 : !source.has4)
            return ERR_UNSUPPORTED; /* mail would not go there either */
        memcpy(from.octets, to->six ? (const void *)&source.v6 : &source.v4, to->six ? 16 : 4);
        blen = put_address(&b, &from, 0);
    }
    err = visit_connect((const struct sockaddr *)&a, alen, blen ? (const struct sockaddr *)&b : NULL, blen, &fd);
    if (err != OK) {
        snprintf(out, VISIT_GREETING_CAP, "%s", err == ERR_IO ? strerror(errno) : err_str(err));
        return err;
    }
    err = visit_greeting(fd, out);
    close(fd);
    if (err != OK)
        snprintf(out, VISIT_GREETING_CAP, "no greeting: %s", err_str(err));
    else if (strncmp(out, "220", 3) != 0)
        err = ERR_REFUSED;
    return err;
}

static void see_way_out(struct doctor *d, const char *host, uint16_t port, const struct doctor_address *all, size_t n)
{
    static const char remedy[] =
        "many providers shut port 25 outwards until they are asked: ask yours, or set smarthost";
    char said[VISIT_GREETING_CAP] = "";

    for (int six = 0; six < 2; six++) {
        const struct doctor_address *last = NULL;
        int err = ERR_UNSUPPORTED;
        for (size_t i = 0; i < n && err != OK; i++)
            if (all[i].six == six && (err = try_out(d, &all[i], port, said)) != ERR_UNSUPPORTED)
                last = &all[i];
        if (!last)
            continue;
        if (err == OK)
            doctor_say(d, DOCTOR_OK, "", "", "%s (%s) port %u can be reached from here", host, last->text, port);
        else if (err == ERR_REFUSED)
            doctor_say(d, DOCTOR_FAIL, "220", "what it says tells why", "%s (%s) port %u says: %s", host, last->text,
                       port, said);
        else if (six && (errno == ENETUNREACH || errno == EADDRNOTAVAIL))
            doctor_say(d, DOCTOR_OK, "", "", "this machine has no IPv6: mail goes out by IPv4");
        else
            doctor_say(d, DOCTOR_FAIL, "", remedy, "%s (%s) port %u cannot be reached from here: %s", host, last->text,
                       port, said);
    }
}

void doctor_check_port_out(struct doctor *d)
{
    const struct config *c = d->f->config;
    const char *text = c->smarthost[0] ? c->smarthost : c->doctor_peer;
    struct doctor_address all[DOCTOR_ADDRESSES_MAX];
    struct relay_route peer = {.port = 0};
    size_t n;

    if (!text[0] || relay_host_parse(text, &peer) != OK) {
        doctor_say(d, DOCTOR_UNKNOWN, "", "name another mail server in doctor_peer",
                   "nobody is known whose port 25 could be tried");
        return;
    }
    if (!peer.port)
        peer.port = (uint16_t)c->relay_port;
    n = addresses_of_peer(d, peer.host, all);
    if (n == 0)
        doctor_say(d, DOCTOR_UNKNOWN, "", "look at what is said of names above, or set doctor_peer",
                   "%s, whose port is tried, has no address that can be found", peer.host);
    else
        see_way_out(d, peer.host, peer.port, all, n);
}

void doctor_check_port_in(struct doctor *d)
{
    char remedy[DOCTOR_TEXT_MAX];

    if (!d->f->config->smtp) {
        doctor_say(d, DOCTOR_WARN, "smtp = yes", "set it in letterlock.conf, and start the server anew",
                   "the server does not listen for mail from others");
        return;
    }
    snprintf(remedy, sizeof(remedy),
             "from a machine elsewhere: openssl s_client -starttls smtp -connect %s:%d </dev/null, or write from an "
             "account elsewhere and look with letterlock trace",
             d->f->config->domain, SMTP_PORT);
    doctor_say(d, DOCTOR_UNKNOWN, "", remedy, "whether others reach port 25 here cannot be known from inside");
}

/* ---- the machine ---- */

void doctor_check_clock(struct doctor *d)
{
    struct timex t = {0};
    int state = adjtimex(&t);

    if (state < 0)
        doctor_say(d, DOCTOR_UNKNOWN, "", "", "the kernel does not say whether the clock is right (%s)",
                   strerror(errno));
    else if (state == TIME_ERROR || t.status & STA_UNSYNC)
        doctor_say(d, DOCTOR_WARN, "a clock that is kept right", "install chrony or systemd-timesyncd (timedatectl)",
                   "nobody keeps this machine's clock right: signatures (DNSSEC, DKIM, TLS) depend on it");
    else
        doctor_say(d, DOCTOR_OK, "", "", "the clock is kept right");
}

void doctor_check_disk(struct doctor *d)
{
    char path[1024], want[64];
    struct statvfs v;
    uint64_t free_bytes, reserve = d->f->config->disk_reserve;

    snprintf(path, sizeof(path), "%s/store", d->f->dir);
    if (statvfs(path, &v) != 0) {
        doctor_say(d, DOCTOR_FAIL, "", "is the disk there?", "%s: %s", path, strerror(errno));
        return;
    }
    free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    if (reserve > (uint64_t)v.f_blocks * v.f_frsize / 20) /* as the vault does */
        reserve = (uint64_t)v.f_blocks * v.f_frsize / 20;
    snprintf(want, sizeof(want), "more than %llu MB free", (unsigned long long)(reserve >> 20));
    if (free_bytes < reserve)
        doctor_say(d, DOCTOR_FAIL, want, "make room: until then mail waits at its senders",
                   "the store's disk has %llu MB free, less than disk_reserve", (unsigned long long)(free_bytes >> 20));
    else if (free_bytes < 4 * reserve || v.f_favail == 0)
        doctor_say(d, DOCTOR_WARN, want, "make room soon", "the store's disk has %llu MB free",
                   (unsigned long long)(free_bytes >> 20));
    else
        doctor_say(d, DOCTOR_OK, want, "", "the store's disk has %llu MB free", (unsigned long long)(free_bytes >> 20));
}
