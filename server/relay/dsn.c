#include "server/relay/dsn.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/date.h"
#include "server/proto/smtp.h"
#include "server/relay/outcome.h"

bool dsn_wanted(const struct queue_envelope *e, const struct queue_recipient *r, enum dsn_kind kind)
{
    static const struct {
        uint8_t notify;
        bool unsaid; /* told too when NOTIFY says nothing (RFC 3461 section 4.1) */
    } rows[] = {
        [DSN_FAILED] = {SMTP_NOTIFY_FAILURE, true},
        [DSN_DELAYED] = {SMTP_NOTIFY_DELAY, true},
        [DSN_RELAYED] = {SMTP_NOTIFY_SUCCESS, false},
        [DSN_DELIVERED] = {SMTP_NOTIFY_SUCCESS, false},
    };

    if (!e->from[0])
        return false;
    return r->notify ? r->notify & rows[kind].notify : rows[kind].unsaid;
}

struct out {
    struct secmem_msg *msg;
    int err;
};

static void raw(struct out *o, const void *data, size_t len)
{
    if (o->err == OK && len)
        o->err = secmem_msg_append(o->msg, data, len);
}

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof(line))
        len = (int)sizeof(line) - 1;
    raw(o, line, (size_t)len);
    secmem_wipe(line, (size_t)len);
}

/* xtext (RFC 3461 section 4): "+" and two hex digits are an octet. false: it is none, or says what cannot stand in a
 * field. */
static bool xtext(const char *in, char *out, size_t cap)
{
    size_t n = 0;

    for (; *in; in++) {
        int c = (uint8_t)*in;
        if (c == '+') {
            const int high = digit_hex((uint8_t)in[1]), low = high < 0 ? -1 : digit_hex((uint8_t)in[2]);
            if (low < 0)
                return false;
            c = high << 4 | low;
            in += 2;
        }
        if (n + 1 >= cap)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0 && utf8_printable(out, n);
}

static bool ascii(const char *s)
{
    for (; *s; s++)
        if ((uint8_t)*s >= 0x80)
            return false;
    return true;
}

/* ---- the words for people ---- */

static const struct {
    const char *subject, *words, *action;
    enum verdict verdict;
} kinds[] = {
    [DSN_FAILED] = {"Your mail could not be delivered",
                    "Your mail could not be delivered to those whom this is about:\r\n", "failed", VERDICT_FAILED},
    [DSN_DELAYED] = {"Your mail is delayed",
                     "Your mail has not been delivered yet. It is tried again; there is nothing to do.\r\n"
                     "Those whom this is about:\r\n",
                     "delayed", VERDICT_DEFERRED},
    [DSN_RELAYED] = {"Your mail has been handed on",
                     "Your mail has been handed to a server that cannot say when it is delivered:\r\n", "relayed",
                     VERDICT_SENT},
    [DSN_DELIVERED] = {"Your mail has been delivered", "Your mail has been delivered:\r\n", "delivered", VERDICT_SENT},
};

static void put_words(struct out *o, const struct dsn *d)
{
    static const char *const how[QUEUE_PROOFS] = {
        [QUEUE_PROOF_NONE] = "",
        [QUEUE_PROOF_CLEAR] = ", in the clear",
        [QUEUE_PROOF_TLS] = ", encrypted on the way there (TLS)",
        [QUEUE_PROOF_DANE] = ", encrypted, and known by DANE",
        [QUEUE_PROOF_STS] = ", encrypted, and known by MTA-STS",
        [QUEUE_PROOF_VERIFY] = ", encrypted, and known by its certificate",
        [QUEUE_PROOF_FINGERPRINT] = ", encrypted, and known by its key",
    };
    char until[DATE_SIZE];

    put(o, "This is a word from the mail server of %s.\r\n\r\n%s\r\n", d->domain, kinds[d->kind].words);
    for (size_t i = 0; i < d->n; i++) {
        const struct queue_recipient *r = d->recipients[i];
        put(o, "  %s\r\n", r->to);
        if (d->kind <= DSN_DELAYED)
            put(o, "    %s%s%s\r\n", r->host, r->host[0] ? ": " : "", r->last_reply);
        else if (r->host[0])
            put(o, "    %s%s\r\n", r->host, how[r->proof]);
    }
    if (d->kind == DSN_DELAYED) {
        date_write((int64_t)d->envelope->expires, until);
        put(o, "\r\nIt is given up on %s.\r\n", until);
    }
}

/* ---- the fields for programs (RFC 3464 section 2) ---- */

static void put_address(struct out *o, const char *field, const char *address)
{
    /* RFC 6533 section 3: an address that is not ASCII has a type of its own. */
    put(o, "%s: %s; %s\r\n", field, ascii(address) ? "rfc822" : "utf-8", address);
}

static void put_recipient(struct out *o, const struct dsn *d, const struct queue_recipient *r)
{
    char original[QUEUE_ORCPT_MAX + 1], status[OUTCOME_STATUS_MAX], date[DATE_SIZE];
    const char *type_end = strchr(r->orcpt, ';');

    put(o, "\r\n");
    if (type_end && xtext(type_end + 1, original, sizeof(original)))
        put(o, "Original-Recipient: %.*s; %s\r\n", (int)(type_end - r->orcpt), r->orcpt, original);
    put_address(o, "Final-Recipient", r->to);
    outcome_status(r->last_reply, kinds[d->kind].verdict, status);
    put(o, "Action: %s\r\nStatus: %s\r\n", kinds[d->kind].action, status);
    if (r->host[0] && !outcome_is_own(r->last_reply))
        put(o, "Remote-MTA: dns; %s\r\nDiagnostic-Code: smtp; %s\r\n", r->host, r->last_reply);
    if (r->last_try) {
        date_write((int64_t)r->last_try, date);
        put(o, "Last-Attempt-Date: %s\r\n", date);
    }
    if (d->kind == DSN_DELAYED) {
        date_write((int64_t)d->envelope->expires, date);
        put(o, "Will-Retry-Until: %s\r\n", date);
    }
}

static void put_fields(struct out *o, const struct dsn *d)
{
    char envid[QUEUE_ENVID_MAX + 1], date[DATE_SIZE];

    if (d->envelope->envid[0] && xtext(d->envelope->envid, envid, sizeof(envid)))
        put(o, "Original-Envelope-Id: %s\r\n", envid);
    date_write((int64_t)d->envelope->queued_at, date);
    put(o, "Reporting-MTA: dns; %s\r\nArrival-Date: %s\r\n", d->domain, date);
    for (size_t i = 0; i < d->n; i++)
        put_recipient(o, d, d->recipients[i]);
}

/* ---- the message itself ---- */

/* The header, to its last whole line within the limit: fields after that are lost. */
static size_t header_len(const struct iovec *mail, size_t n)
{
    size_t at = 0, line = 0, whole = 0;

    for (size_t i = 0; i < n; i++)
        for (const uint8_t *c = mail[i].iov_base, *end = c + mail[i].iov_len; c < end; c++) {
            if (at == DSN_HEADER_MAX)
                return whole;
            at++;
            if (*c == '\n') {
                if (line <= 1)
                    return whole;
                line = 0;
                whole = at;
            } else {
                line++;
            }
        }
    return whole;
}

static void put_mail(struct out *o, const struct dsn *d, size_t len)
{
    for (size_t i = 0; i < d->mail_n && len > 0; i++) {
        const size_t part = d->mail[i].iov_len < len ? d->mail[i].iov_len : len;
        raw(o, d->mail[i].iov_base, part);
        len -= part;
    }
}

static void put_original(struct out *o, const struct dsn *d, const char *boundary, bool utf8)
{
    const bool full = d->envelope->ret == 1 && d->kind == DSN_FAILED;

    if (!d->mail_n)
        return;
    put(o, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary,
        full   ? utf8 ? "message/global" : "message/rfc822"
        : utf8 ? "message/global-headers"
               : "text/rfc822-headers; charset=utf-8");
    put_mail(o, d, full ? SIZE_MAX : header_len(d->mail, d->mail_n));
    put(o, "\r\n");
}

int dsn_make(const struct dsn *d, struct secmem_msg *out)
{
    struct out o = {.msg = out};
    const bool utf8 = d->envelope->smtputf8;
    char boundary[33], date[DATE_SIZE];
    uint8_t random[16];

    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(boundary, sizeof(boundary), random, sizeof(random));
    date_write((int64_t)d->now, date);
    /* RFC 3834 section 5: auto-replied, so that nobody's program answers it. */
    put(&o,
        "From: Mail Delivery System <mailer-daemon@%s>\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n"
        "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=\"%s\"\r\n\r\n",
        d->domain, d->envelope->from, kinds[d->kind].subject, date, boundary, d->domain, boundary);
    put(&o, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary);
    put_words(&o, d);
    put(&o, "\r\n--%s\r\nContent-Type: message/%s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary,
        utf8 ? "global-delivery-status" : "delivery-status");
    put_fields(&o, d);
    put(&o, "\r\n");
    put_original(&o, d, boundary, utf8);
    put(&o, "--%s--\r\n", boundary);
    secmem_wipe_stack();
    if (o.err != OK)
        secmem_msg_release(out);
    return o.err;
}
