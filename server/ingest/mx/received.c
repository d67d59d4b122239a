/* The trace field that says how a message came to us (RFC 5321 section 4.4), and the count of those it has already. */
#include "server/ingest/mx/received.h"

#include <stdio.h>
#include <string.h>

#include "server/mail/date.h"
#include "server/mail/header.h"

/* RFC 3848, RFC 6531 section 4.3. */
static const char *protocol(const struct smtp_envelope *env)
{
    if (!env->esmtp)
        return "SMTP";
    if (env->smtputf8)
        return env->tls ? "UTF8SMTPS" : "UTF8SMTP";
    return env->tls ? "ESMTPS" : "ESMTP";
}

void mx_received_make(const struct smtp_envelope *env, const struct sockaddr_storage *peer, const char *domain,
                      const char *tls, const char *id, const char *rcpt, uint64_t now, char out[MX_RECEIVED_MAX])
{
    char addr[INET6_ADDRSTRLEN], literal[INET6_ADDRSTRLEN + 10], date[DATE_SIZE];
    const uint8_t *helo = (const uint8_t *)env->helo;
    size_t len = strlen(env->helo);
    /* The from clause takes only a Domain or an address-literal. */
    bool named = smtp_domain_valid(helo, len, false) || smtp_literal_valid(helo, len);

    addr_to_text(peer, addr);
    snprintf(literal, sizeof(literal), strchr(addr, ':') ? "[IPv6:%s]" : "[%s]", addr);
    date_write((int64_t)now, date);
    snprintf(out, MX_RECEIVED_MAX,
             "Received: from %s (%s)\r\n\tby %s (Letterlock) with %s%s%s%s\r\n\tid %s%s%s%s;\r\n\t%s\r\n",
             named ? env->helo : literal, literal, domain, protocol(env), tls[0] ? "\r\n\t(" : "", tls,
             tls[0] ? ")" : "", id, rcpt ? "\r\n\tfor <" : "", rcpt ? rcpt : "", rcpt ? ">" : "", date);
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

size_t mx_received_count(const struct secmem_msg *m)
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
