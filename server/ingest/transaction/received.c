/* The trace field that says how a message came to us (RFC 5321 section 4.4), and the count of those it has already. */
#include "server/ingest/transaction/received.h"

#include <stdio.h>
#include <string.h>

#include "server/mail/date.h"
#include "server/mail/header.h"

/* RFC 3848, RFC 6531 section 4.3: "ESMTPSA" and its kin. */
static void protocol(const struct smtp_envelope *env, char out[16])
{
    snprintf(out, 16, "%s%s%s%s",
             env->esmtp && env->smtputf8 ? "UTF8"
             : env->esmtp                ? "E"
                                         : "",
             "SMTP", env->esmtp && env->tls ? "S" : "", env->esmtp && env->authenticated ? "A" : "");
}

/* The from clause, and what TLS it came by. It takes only a Domain or an address-literal. */
static void put_from(const struct received *r, const struct smtp_envelope *env, char *out, size_t cap)
{
    char addr[INET6_ADDRSTRLEN], literal[INET6_ADDRSTRLEN + 10];
    const uint8_t *helo = (const uint8_t *)env->helo;
    const size_t len = strlen(env->helo);
    const bool named = smtp_domain_valid(helo, len, false) || smtp_literal_valid(helo, len);

    addr_to_text(r->peer, addr);
    snprintf(literal, sizeof(literal), strchr(addr, ':') ? "[IPv6:%s]" : "[%s]", addr);
    snprintf(out, cap, "from %s (%s)\r\n\t", named ? env->helo : literal, literal);
}

void transaction_received_make(const struct received *r, const struct smtp_envelope *env,
                               char out[TRANSACTION_RECEIVED_MAX])
{
    char from[TRANSACTION_RECEIVED_MAX / 2] = "", with[16], date[DATE_SIZE];
    const char *tls = r->tls ? r->tls : "", *rcpt = r->rcpt;

    if (r->peer)
        put_from(r, env, from, sizeof(from));
    protocol(env, with);
    date_write((int64_t)r->now, date);
    snprintf(out, TRANSACTION_RECEIVED_MAX,
             "Received: %sby %s (Letterlock) with %s%s%s%s\r\n\tid %s%s%s%s;\r\n\t%s\r\n", from, r->domain, with,
             tls[0] ? "\r\n\t(" : "", tls, tls[0] ? ")" : "", r->id, rcpt ? "\r\n\tfor <" : "", rcpt ? rcpt : "",
             rcpt ? ">" : "", date);
}

/* *ret_ends: the header ends in what is at hand. */
static size_t count_fields(const uint8_t *head, size_t len, bool *ret_ends)
{
    struct header_field f;
    enum header_line line;
    size_t n = 0;

    for (size_t pos = 0; (line = header_next(head, len, &pos, &f)) == HEADER_FIELD || line == HEADER_OTHER;)
        n += line == HEADER_FIELD && header_field_is(head, &f, "Received");
    *ret_ends = line == HEADER_EMPTY;
    return n;
}

size_t transaction_received_count(const struct secmem_msg *m)
{
    bool ends = true;
    size_t n = m->first ? count_fields(m->first->data, m->first->len, &ends) : 0, len = 0;
    size_t want = m->len < HEADER_MAX ? m->len : HEADER_MAX;
    uint8_t *head = ends ? NULL : secmem_map(want);

    if (!head) /* no memory: sealing will not have it either */
        return n;
    for (const struct secmem_chunk *c = m->first; c && len < want; c = c->next) {
        size_t take = c->len < want - len ? c->len : want - len;
        memcpy(head + len, c->data, take);
        len += take;
    }
    n = count_fields(head, len, &ends);
    secmem_unmap(head, want);
    return n;
}
