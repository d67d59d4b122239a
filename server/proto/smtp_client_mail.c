/* A transaction: its commands, and the content. See smtp_client.h. */
#include <stdio.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/proto/smtp.h"
#include "server/proto/smtp_client_impl.h"

/* ---- what may stand in a command ---- */

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((uint8_t)*s >= 0x80)
            return false;
    return true;
}

/* A Mailbox to its last octet (RFC 5321 section 4.1.2): so neither CR nor LF, no angle bracket or blank outside quotes,
 * and nothing behind it. */
static bool address_fits(const char *s, bool smtputf8)
{
    char canonical[ADDRESS_SPEC_MAX];
    size_t len = strlen(s), used = 0;

    return len < sizeof(canonical) && (smtputf8 || is_ascii(s)) &&
           address_envelope_read((const uint8_t *)s, len, canonical, sizeof(canonical), &used) == OK && used == len;
}

/* xtext (RFC 3461 section 4), or a type, ";" and xtext: octets that no parameter ends at. */
static bool xtext_fits(const char *s)
{
    size_t n = 0;

    for (; s && s[n]; n++)
        if (s[n] <= ' ' || s[n] > '~' || s[n] == '=')
            return false;
    return n <= 500;
}

static bool fits(const struct smtp_client_mail *m)
{
    if (m->n == 0 || (m->sender[0] && !address_fits(m->sender, m->smtputf8)) || !xtext_fits(m->envid))
        return false;
    for (size_t i = 0; i < m->n; i++)
        if (!address_fits(m->rcpts[i].address, m->smtputf8) || !xtext_fits(m->rcpts[i].orcpt))
            return false;
    return true;
}

/* ---- commands ---- */

/* " KEY=value", or nothing without a value. */
#define ARG(key, value) (value)[0] ? " " key "=" : "", (value)

void smtp_client_put_mail(struct smtp_client *c)
{
    static const char *const rets[] = {"", "FULL", "HDRS"};
    const struct smtp_client_mail *m = c->mail;
    const bool dsn = c->offers & SMTP_OFFERS_DSN;
    const char *ret = dsn && m->ret < 3 ? rets[m->ret] : "", *envid = dsn && m->envid ? m->envid : "";
    char size[40] = "";

    if (m->size && c->offers & SMTP_OFFERS_SIZE) /* RFC 1870 section 5 */
        snprintf(size, sizeof(size), " SIZE=%llu", (unsigned long long)m->size);
    c->phase = CLIENT_MAIL;
    c->transaction = true;
    smtp_client_put(c, "MAIL FROM:<%s>%s%s%s%s%s%s%s%s\r\n", m->sender, size, m->body_8bit ? " BODY=8BITMIME" : "",
                    m->smtputf8 ? " SMTPUTF8" : "", m->requiretls ? " REQUIRETLS" : "", ARG("RET", ret),
                    ARG("ENVID", envid));
}

static void put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
    static const struct {
        uint8_t bit;
        const char *word;
    } words[] = {{SMTP_NOTIFY_NEVER, "NEVER"},
                 {SMTP_NOTIFY_SUCCESS, "SUCCESS"},
                 {SMTP_NOTIFY_FAILURE, "FAILURE"},
                 {SMTP_NOTIFY_DELAY, "DELAY"}};
    const bool dsn = c->offers & SMTP_OFFERS_DSN;
    const char *orcpt = dsn && r->orcpt ? r->orcpt : "";
    char notify[40] = "";

    for (size_t i = 0; dsn && i < sizeof(words) / sizeof(words[0]); i++)
        if (r->notify & words[i].bit) {
            if (notify[0])
                strcat(notify, ",");
            strcat(notify, words[i].word);
        }
    smtp_client_put(c, "RCPT TO:<%s>%s%s%s%s\r\n", r->address, ARG("NOTIFY", notify), ARG("ORCPT", orcpt));
}

void smtp_client_put_rcpts(struct smtp_client *c)
{
    const bool pipelining = c->offers & SMTP_OFFERS_PIPELINING;

    while (c->rcpts_put < c->mail->n && !c->refused &&
           (pipelining ? c->out.len < SMTP_CLIENT_COMMANDS_MAX : c->answered == c->put) && c->phase != CLIENT_OVER)
        put_rcpt(c, &c->mail->rcpts[c->rcpts_put++]);
}

int smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m)
{
    const unsigned needs = (m->body_8bit ? SMTP_OFFERS_8BITMIME : 0u) | (m->smtputf8 ? SMTP_OFFERS_SMTPUTF8 : 0u) |
                           (m->requiretls ? SMTP_OFFERS_REQUIRETLS : 0u);

    if (c->phase == CLIENT_OVER)
        return OK; /* CLOSED says so */
    bug_if(c->phase != CLIENT_IDLE || (needs & ~c->offers));
    if (!fits(m))
        return ERR_FORMAT;
    c->mail = m;
    c->rcpts_put = c->rcpts_answered = c->accepted = 0;
    c->refused = c->done_due = false;
    c->at = CLIENT_AT_LINE_START;
    if (c->transaction) {
        c->phase = CLIENT_RSET;
        smtp_client_put(c, "RSET\r\n");
        return OK;
    }
    smtp_client_put_mail(c);
    if (c->offers & SMTP_OFFERS_PIPELINING)
        smtp_client_put_rcpts(c);
    return OK;
}

/* ---- content ---- */

/* Looks at octets as they would go on from *at. *ret_dots: lines that begin with one. */
static int check(const uint8_t *p, size_t len, enum client_at *at, size_t *ret_dots)
{
    size_t dots = 0, i = 0;

    if (memchr(p, '\0', len))
        return ERR_FORMAT;
    while (i < len) {
        if (*at == CLIENT_AT_CR) {
            if (p[i++] != '\n')
                return ERR_FORMAT;
            *at = CLIENT_AT_LINE_START;
            continue;
        }
        const uint8_t *cr = memchr(p + i, '\r', len - i);
        size_t end = cr ? (size_t)(cr - p) : len;

        dots += *at == CLIENT_AT_LINE_START && p[i] == '.';
        if (memchr(p + i, '\n', end - i))
            return ERR_FORMAT;
        *at = cr ? CLIENT_AT_CR : CLIENT_AT_INSIDE;
        i = end + (cr != NULL);
    }
    *ret_dots = dots;
    return OK;
}

/* RFC 5321 section 4.5.2: a dot that begins a line is said twice. */
static size_t stuff(const uint8_t *p, size_t len, bool line_start, uint8_t *out)
{
    size_t i = 0, n = 0;

    while (i < len) {
        const uint8_t *lf = memchr(p + i, '\n', len - i);
        size_t end = lf ? (size_t)(lf - p) + 1 : len;

        if (line_start && p[i] == '.')
            out[n++] = '.';
        memcpy(out + n, p + i, end - i);
        n += end - i;
        i = end;
        line_start = true;
    }
    return n;
}

int smtp_client_content(struct smtp_client *c, struct slice octets, bool last)
{
    enum client_at at = c->at;
    size_t dots = 0, n;
    uint8_t *tail;
    int err = OK;

    if (c->phase == CLIENT_OVER)
        return ERR_GONE;
    bug_if(c->phase != CLIENT_CONTENT);
    if (octets.len)
        err = check(octets.data, octets.len, &at, &dots);
    if (err != OK || (last && at != CLIENT_AT_LINE_START)) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_CONTENT);
        return ERR_FORMAT;
    }
    err = buf_reserve(&c->out, octets.len + dots + 3, &tail);
    if (err != OK)
        return err;
    n = octets.len ? stuff(octets.data, octets.len, c->at == CLIENT_AT_LINE_START, tail) : 0;
    c->at = at;
    if (last) {
        memcpy(tail + n, ".\r\n", 3);
        n += 3;
        c->phase = CLIENT_END;
        c->put++;
    }
    buf_commit(&c->out, n);
    return OK;
}
