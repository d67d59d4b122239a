/* A report written: JSON (RFC 8460 section 4.4), gzip, and the mail around it (section 5.3). See tls_report.h. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/tls_report_impl.h"

const char *const tls_report_kinds[TLS_REPORT_KINDS] = {
    [TLS_REPORT_NO_POLICY] = "no-policy-found",
    [TLS_REPORT_TLSA] = "tlsa",
    [TLS_REPORT_STS] = "sts",
};
const char *const tls_report_results[TLS_REPORT_RESULTS] = {
    [TLS_REPORT_OTHER] = "other",
    [TLS_REPORT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
    [TLS_REPORT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
    [TLS_REPORT_CERTIFICATE_EXPIRED] = "certificate-expired",
    [TLS_REPORT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
    [TLS_REPORT_VALIDATION_FAILURE] = "validation-failure",
    [TLS_REPORT_TLSA_INVALID] = "tlsa-invalid",
    [TLS_REPORT_DNSSEC_INVALID] = "dnssec-invalid",
    [TLS_REPORT_DANE_REQUIRED] = "dane-required",
    [TLS_REPORT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
    [TLS_REPORT_STS_POLICY_INVALID] = "sts-policy-invalid",
    [TLS_REPORT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

const char *tls_report_result_word(enum tls_report_result r)
{
    return (unsigned)r < TLS_REPORT_RESULTS ? tls_report_results[r] : tls_report_results[TLS_REPORT_OTHER];
}

/* ---- JSON ---- */

/* A value that cannot be made leaves its place empty and is noted: callers look once, at the end. */
static void put(json_t *object, const char *key, json_t *value, int *err)
{
    if (json_object_set_new(object, key, value) != 0 && *err == OK)
        *err = ERR_MEMORY;
}

static void put_text(json_t *object, const char *key, const char *text, int *err)
{
    json_t *value = text ? json_string(text) : NULL;

    if (text && !value && *err == OK)
        *err = ERR_FORMAT;
    if (value)
        put(object, key, value, err);
}

static void put_count(json_t *object, const char *key, uint64_t n, int *err)
{
    put(object, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n), err);
}

static void put_texts(json_t *object, const char *key, const char *const *v, size_t n, int *err)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_string(v[i])) != 0 && *err == OK)
            *err = ERR_FORMAT;
    put(object, key, list, err);
}

static json_t *detail_of(const struct tls_report_detail *d, int *err)
{
    json_t *o = json_object();

    put_text(o, "result-type", d->result == TLS_REPORT_OTHER && d->word ? d->word : tls_report_result_word(d->result),
             err);
    put_text(o, "sending-mta-ip", d->sending_ip, err);
    put_text(o, "receiving-mx-hostname", d->mx, err);
    put_text(o, "receiving-mx-helo", d->helo, err);
    put_text(o, "receiving-ip", d->receiving_ip, err);
    put_count(o, "failed-session-count", d->sessions, err);
    put_text(o, "failure-reason-code", d->reason, err);
    return o;
}

static json_t *policy_of(const struct tls_report_policy *p, int *err)
{
    json_t *o = json_object(), *policy = json_object(), *summary = json_object(), *details;

    put_text(policy, "policy-type", (unsigned)p->kind < TLS_REPORT_KINDS ? tls_report_kinds[p->kind] : NULL, err);
    if (p->kind != TLS_REPORT_NO_POLICY)
        put_texts(policy, "policy-string", p->lines, p->nlines, err);
    put_text(policy, "policy-domain", p->domain, err);
    if (p->nmx)
        put_texts(policy, "mx-host", p->mx, p->nmx, err);
    put_count(summary, "total-successful-session-count", p->successes, err);
    put_count(summary, "total-failure-session-count", p->failures, err);
    put(o, "policy", policy, err);
    put(o, "summary", summary, err);
    if (p->ndetails) {
        details = json_array();
        for (size_t i = 0; i < p->ndetails; i++)
            if (json_array_append_new(details, detail_of(&p->details[i], err)) != 0 && *err == OK)
                *err = ERR_MEMORY;
        put(o, "failure-details", details, err);
    }
    return o;
}

static void put_time(json_t *object, const char *key, int64_t t, int *err)
{
    char text[DATE_INTERNET_SIZE];

    date_write_internet(t, text);
    put_text(object, key, text, err);
}

static json_t *report_of(const struct tls_report *r, int *err)
{
    json_t *o = json_object(), *range = json_object(), *policies = json_array();

    put_text(o, "organization-name", r->organization, err);
    put_time(range, "start-datetime", r->begin, err);
    put_time(range, "end-datetime", r->end, err);
    put(o, "date-range", range, err);
    put_text(o, "contact-info", r->contact, err);
    put_text(o, "report-id", r->id, err);
    for (size_t i = 0; i < r->npolicies; i++)
        if (json_array_append_new(policies, policy_of(&r->policies[i], err)) != 0 && *err == OK)
            *err = ERR_MEMORY;
    put(o, "policies", policies, err);
    return o;
}

struct output {
    struct buf *out;
    int err;
};

static int put_octets(const char *data, size_t len, void *arg)
{
    struct output *o = arg;

    o->err = buf_append(o->out, data, len);
    return o->err == OK ? 0 : -1;
}

int tls_report_write(const struct tls_report *r, struct buf *out)
{
    struct output o = {.out = out};
    const size_t before = out->len;
    int err = OK;
    json_t *root = report_of(r, &err);

    if (err == OK && !root)
        err = ERR_MEMORY;
    if (err == OK && json_dump_callback(root, put_octets, &o, JSON_COMPACT) != 0)
        err = o.err != OK ? o.err : ERR_MEMORY;
    json_decref(root);
    if (err != OK)
        out->len = before;
    return err;
}

/* ---- gzip (RFC 1952) ---- */

static int pack_octets(const struct buf *text, struct buf *out)
{
    z_stream z = {.next_in = text->data, .avail_in = (uInt)text->len};
    const size_t before = out->len;
    int err = OK, state = Z_OK;

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_MEMORY;
    while (err == OK && state != Z_STREAM_END) {
        uint8_t piece[4096];
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        state = deflate(&z, Z_FINISH);
        err = buf_append(out, piece, sizeof(piece) - z.avail_out);
    }
    deflateEnd(&z);
    if (err != OK)
        out->len = before;
    return err;
}

int tls_report_pack(const struct tls_report *r, struct buf *out)
{
    struct buf text;
    int err;

    buf_init(&text, TLS_REPORT_TEXT_MAX, false);
    err = tls_report_write(r, &text);
    if (err == OK)
        err = pack_octets(&text, out);
    buf_free(&text);
    return err;
}

/* ---- the mail ---- */

enum { LINE_OCTETS = 54 /* 72 digits of base64 */ };

static int put_base64(const struct buf *octets, struct buf *out)
{
    char line[LINE_OCTETS / 3 * 4 + 1];
    int err = OK;

    for (size_t i = 0; err == OK && i < octets->len; i += LINE_OCTETS) {
        const size_t n = octets->len - i < LINE_OCTETS ? octets->len - i : LINE_OCTETS;
        sodium_bin2base64(line, sizeof(line), octets->data + i, n, sodium_base64_VARIANT_ORIGINAL);
        err = buf_printf(out, "%s\r\n", line);
    }
    return err;
}

static int put_parts(const struct tls_report_mail *m, const struct tls_report *r, const struct buf *packed,
                     const char *date, const char *boundary, struct buf *out)
{
    const char *domain = m->domain;
    /* TLS may be what does not work there: RFC 8460 section 3, by RFC 8689 section 5. */
    int err =
        buf_printf(out,
                   "From: %s\r\nTo: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n"
                   "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n"
                   "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\n"
                   "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"%s\"\r\n\r\n",
                   m->from, m->to, date, m->message_id, domain, m->submitter, r->id, domain, m->submitter, boundary);
    if (err == OK)
        err = buf_printf(out,
                         "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
                         "This is how TLS went when %s sent mail to %s (RFC 8460).\r\n\r\n"
                         "--%s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
                         "Content-Disposition: attachment;\r\n filename=\"%s!%s!%lld!%lld.json.gz\"\r\n\r\n",
                         boundary, m->submitter, domain, boundary, m->submitter, domain, (long long)r->begin,
                         (long long)r->end);
    if (err == OK)
        err = put_base64(packed, out);
    return err == OK ? buf_printf(out, "\r\n--%s--\r\n", boundary) : err;
}

int tls_report_mail_write(const struct tls_report_mail *m, const struct tls_report *r, struct buf *out)
{
    const size_t before = out->len;
    char date[DATE_SIZE], boundary[33];
    uint8_t chance[16];
    struct buf packed;
    int err;

    randombytes_buf(chance, sizeof(chance));
    sodium_bin2hex(boundary, sizeof(boundary), chance, sizeof(chance));
    date_write(m->date, date);
    buf_init(&packed, TLS_REPORT_PACKED_MAX, false);
    err = tls_report_pack(r, &packed);
    if (err == OK)
        err = put_parts(m, r, &packed, date, boundary, out);
    buf_free(&packed);
    if (err != OK)
        out->len = before;
    return err;
}
