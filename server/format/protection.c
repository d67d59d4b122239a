/* Header protection by insertion and its exact inverse (RFC 9788; docs/design.md section 5). */
#include "server/format/protection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/format/protection_impl.h"
#include "server/mail/mime_repair.h"
#include "server/core/error.h"

#define FORGED "Letterlock-Forged-"
#define ORIGINAL "Letterlock-Original-"
#define STRAY "Line: "
#define SEAL "Letterlock-Seal: v=1; len="
#define PREAMBLE "Content-Type: text/rfc822-headers; protected-headers=\"v1\"\r\n"
#define HP "hp=\"cipher\"; protected-headers=\"v1\""

enum {
    INSERTED_MAX = 1024 * 1024,
    SEAL_MAX = 64 + HEADER_INSERTIONS_MAX * 48,
    PREAMBLE_MAX = 3 * HEADER_PLAIN_MAX,
    EDITS_MAX = HEADER_INSERTIONS_MAX + 2 * HEADER_STRAYS_MAX,
};

/* What is to be inserted where, before the list of it is written. */
struct plan {
    struct {
        size_t offset;
        struct slice text;
    } edit[EDITS_MAX];
    size_t n, offsets; /* edits of one offset are one insertion */
    struct buf top;    /* the block on top, without Letterlock-Seal */
    struct buf preamble;
    bool display;
    struct header_display parts; /* if display */
    int err;
};

static void plan_slice(struct plan *p, size_t offset, struct slice text)
{
    if (!p->n || p->edit[p->n - 1].offset != offset)
        p->offsets++;
    if (p->n == EDITS_MAX || p->offsets == HEADER_INSERTIONS_MAX) {
        p->err = ERR_LIMIT;
        return;
    }
    p->edit[p->n].offset = offset;
    p->edit[p->n++].text = text;
}

static void plan_edit(struct plan *p, size_t offset, const char *text)
{
    plan_slice(p, offset, slice_of(text, strlen(text)));
}

static void plan_top(struct plan *p, const void *s, size_t len)
{
    if (p->err == OK)
        p->err = buf_append(&p->top, s, len);
}

static void plan_puts(struct plan *p, const char *s)
{
    if (s)
        plan_top(p, s, strlen(s));
}

/* Fields that only we write (RFC 8601 section 5 for Authentication-Results, RFC 9788 section 2.2 for HP-Outer, RFC 5321
 * section 4.4 for Return-Path). */
static bool forged(const uint8_t *s, const struct header_field *f, const struct protect_params *q)
{
    static const char own[] = "Letterlock-";
    if (header_field_is(s, f, "HP-Outer") || header_field_is(s, f, "Sealed-By"))
        return true;
    if (f->name_len >= sizeof(own) - 1 && !strncasecmp((const char *)s + f->offset, own, sizeof(own) - 1))
        return true;
    if (header_field_is(s, f, "Return-Path"))
        return q->return_path != NULL;
    return header_field_is(s, f, "Authentication-Results") &&
           mime_auth_results_is_ours(header_field_value(s, f), q->domain);
}

/* The charset where the mail names none: what 8-bit octets of the body look like. */
static const char *guess_charset(const struct header_view *v, bool is_8bit)
{
    const uint8_t *body = v->s + v->header_len;
    size_t len = v->len - v->header_len;
    if (!is_8bit)
        return "us-ascii";
    for (size_t cut = 0; cut < 4 && cut <= len; cut++) /* the last character may be cut off */
        if (utf8_valid(body, len - cut))
            return "utf-8";
    return "iso-8859-1";
}

/* The field as every parser reads it: not ok where some see no field, or another. */
static struct mime_type type_of(const struct header_view *v, const struct header_field *f)
{
    struct mime_type ct = {0};
    if (f && !f->blank)
        mime_type_scan(header_field_value(v->s, f), &ct);
    return ct;
}

/* RFC 9788 section 2.1: hp="cipher" in the Content-Type, appended to the sender's where every parser reads it, else in
 * a new one. */
static void plan_content_type(struct plan *p, const struct header_view *v, bool is_8bit)
{
    const struct header_field *f = header_find(v, "Content-Type");
    struct mime_type ct = type_of(v, f);
    if (!header_find(v, "MIME-Version"))
        plan_puts(p, "MIME-Version: 1.0\r\n");
    if (p->display) {
        plan_puts(p, p->parts.type);
        plan_puts(p, ";\r\n\t" HP "\r\n");
        return;
    }
    if (ct.ok && !ct.has_hp)
        return;
    plan_puts(p, "Content-Type: ");
    if (p->err == OK)
        p->err = f ? mime_repair_type(header_field_value(v->s, f), &p->top) : ERR_NOT_FOUND;
    if (p->err == ERR_NOT_FOUND) { /* no type, or none that anybody reads: RFC 2045 section 5.2 */
        p->err = OK;
        plan_puts(p, "text/plain; charset=");
        plan_puts(p, guess_charset(v, is_8bit));
    }
    plan_puts(p, ";\r\n\t" HP "\r\n");
}

/* A stray line, or a field with a blank before its colon (RFC 5322 section 4.5): readers disagree about both, so it
 * becomes the value of a field that all skip. Of the field one that all read stands in front of it, if it is wanted. */
static void plan_odd(struct plan *p, const struct header_view *v, const struct header_field *f, bool wanted,
                     bool is_forged)
{
    if (f->name_len && wanted && header_field_is_plain(v->s, f)) {
        size_t colon = f->value_offset - 1;
        plan_slice(p, f->offset, slice_of(v->s + f->offset, f->name_len));
        plan_slice(p, f->offset, slice_of(v->s + colon, f->offset + f->len - colon));
    }
    plan_edit(p, f->offset, is_forged ? FORGED STRAY : ORIGINAL STRAY);
    if (v->s[f->offset + f->len - 1] != '\n') /* a byte order mark, which is no line by itself */
        plan_edit(p, f->offset + f->len, "\r\n");
}

/* In the order of the original's octets. */
static void plan_fields(struct plan *p, const struct header_view *v, const struct protect_params *q)
{
    size_t types = 0, odd = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct header_field *f = &v->fields[i];
        bool is_forged = forged(v->s, f, q), is_type = header_field_is(v->s, f, "Content-Type");
        bool is_replaced = p->display && header_field_is_content(v->s, f);
        if ((!f->name_len || f->blank) && odd++ < HEADER_STRAYS_MAX) {
            plan_odd(p, v, f, !is_forged && !is_type && !is_replaced, is_forged);
            types += is_type;
        } else if (is_forged) {
            plan_edit(p, f->offset, FORGED);
        } else if (is_replaced) {
            plan_edit(p, f->offset, ORIGINAL);
        } else if (is_type) {
            struct mime_type ct = type_of(v, f);
            if (types++ || !ct.ok || ct.has_hp)
                plan_edit(p, f->offset, ORIGINAL);
            else
                plan_edit(p, f->value_offset + ct.end, ct.ends_in_semicolon ? "\r\n\t" HP : ";\r\n\t" HP);
        }
    }
    if (v->malformed)
        plan_edit(p, v->header_len, "\r\n");
}

/* Of mail signed by RFC 3156 Thunderbird reads neither the header nor the signed part's, but what comes first in the
 * body, up to an empty line. That is the preamble, which RFC 2046 section 5.1.1 has everybody else skip; the signed
 * part, whose octets are not ours to touch, seldom names a Subject. */
static void plan_preamble(struct plan *p, const struct header_view *v, size_t total)
{
    static const char *const names[] = {"Subject", "Date"};
    struct mime_type ct = type_of(v, header_find(v, "Content-Type"));
    size_t copied = 0;
    if (!ct.ok || !ct.is_pgp_signed || v->malformed || v->header_len >= total || p->err != OK)
        return;
    p->err = buf_puts(&p->preamble, PREAMBLE);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && p->err == OK; i++) {
        const struct header_field *f = header_find(v, names[i]);
        if (!f || !header_field_is_plain(v->s, f))
            continue;
        p->err = buf_append(&p->preamble, v->s + f->offset, f->len);
        copied++;
    }
    if (p->err == OK)
        p->err = buf_append(&p->preamble, "\r\n", sizeof "\r\n"); /* with its NUL */
    if (copied)
        plan_edit(p, v->header_len, (const char *)p->preamble.data);
}

/* Where it cannot be had (nothing is hidden, no body to put it before, too long), the mail goes without. */
static void plan_display(struct plan *p, const struct protect_params *q, const struct header_view *v, bool is_8bit)
{
    bool line_ends = v->header_len > 0 && v->s[v->header_len - 1] == '\n';
    if (q->display && !v->malformed && line_ends)
        p->display = header_display_make(q, v, guess_charset(v, is_8bit), &p->parts) == OK;
}

/* Before and behind the body; of an empty body both are one insertion. */
static void plan_parts(struct plan *p, const struct header_view *v, size_t total)
{
    if (v->header_len < total) {
        plan_edit(p, v->header_len, (const char *)p->parts.head.data);
        plan_edit(p, total, p->parts.tail);
        return;
    }
    p->parts.head.len--; /* its NUL */
    if (p->err == OK)
        p->err = buf_append(&p->parts.head, p->parts.tail, strlen(p->parts.tail) + 1);
    plan_edit(p, v->header_len, (const char *)p->parts.head.data);
}

/* RFC 9788 section 2.2: one for each field outside, as it stands there. */
static void plan_hp_outer(struct plan *p, const struct buf *outer)
{
    struct header_field f;
    for (size_t pos = 0; header_next(outer->data, outer->len, &pos, &f) == HEADER_FIELD;) {
        plan_puts(p, "HP-Outer: ");
        plan_top(p, outer->data + f.offset, f.len);
    }
}

/* Octets of the edits at one offset, from k on, which moves behind them. */
static size_t joined_len(const struct plan *p, size_t *k)
{
    size_t len = 0;
    for (size_t offset = p->edit[*k].offset; *k < p->n && p->edit[*k].offset == offset; ++*k)
        len += p->edit[*k].text.len;
    return len;
}

/* Letterlock-Seal, with one insertion for all edits of one offset. Returns its octets. */
static size_t write_seal(const struct plan *p, size_t total, char seal[SEAL_MAX])
{
    size_t k = 0, zero = p->top.len;
    if (p->n && p->edit[0].offset == 0)
        zero += joined_len(p, &k);
    size_t n = (size_t)snprintf(seal, SEAL_MAX, SEAL "%zu; ins=0+00000000", total), patch = n - 8, line = n;
    while (k < p->n) {
        size_t offset = p->edit[k].offset;
        bool fold = line > 70;
        size_t put =
            (size_t)snprintf(seal + n, SEAL_MAX - n, ",%s%zu+%zu", fold ? "\r\n " : "", offset, joined_len(p, &k));
        line = fold ? put - 3 : line + put;
        n += put;
    }
    memcpy(seal + n, "\r\n", 2);
    n += 2;
    char digits[24];
    snprintf(digits, sizeof(digits), "%08zu", n + zero);
    memcpy(seal + patch, digits, 8);
    return n;
}

/* Puts everything into m, Letterlock-Seal first. */
static int plan_finish(struct plan *p, size_t total, struct protected_mail *m)
{
    char seal[SEAL_MAX];
    int err = buf_append(&m->inserted, seal, write_seal(p, total, seal));
    if (err == OK)
        err = buf_append(&m->inserted, p->top.data, p->top.len);
    m->nins = 1;
    m->ins[0].len = m->inserted.len;
    for (size_t k = 0; err == OK && k < p->n; k++) {
        struct slice text = p->edit[k].text;
        if (p->edit[k].offset != m->ins[m->nins - 1].offset) {
            m->ins[m->nins].offset = p->edit[k].offset;
            m->ins[m->nins].at = m->inserted.len;
            m->ins[m->nins++].len = 0;
        }
        m->ins[m->nins - 1].len += text.len;
        err = buf_append(&m->inserted, text.data, text.len);
    }
    return err;
}

static int make_plan(struct plan *plan, const struct protect_params *p, const struct header_view *v, size_t total,
                     bool body_is_8bit, const struct buf *outer)
{
    if (p->return_path) {
        plan_puts(plan, "Return-Path: <");
        plan_puts(plan, p->return_path);
        plan_puts(plan, ">\r\n");
    }
    plan_puts(plan, p->received);
    plan_puts(plan, p->auth_results);
    plan_hp_outer(plan, outer);
    if (!header_find(v, "Subject")) /* else clients show the outer one, "[...]", as the mail's */
        plan_puts(plan, "Subject: \r\n");
    plan_display(plan, p, v, body_is_8bit);
    plan_content_type(plan, v, body_is_8bit);
    plan_fields(plan, v, p);
    if (plan->display)
        plan_parts(plan, v, total);
    else
        plan_preamble(plan, v, total);
    return plan->err;
}

int header_protect(const struct protect_params *p, const struct header_view *v, size_t total, bool body_is_8bit,
                   struct protected_mail *ret)
{
    if (v->len < total && !v->ends)
        return ERR_LIMIT;
    struct plan *plan = calloc(1, sizeof(*plan));
    struct protected_mail *m = calloc(1, sizeof(*m));
    int err = plan && m ? OK : ERR_MEMORY;
    if (err == OK) {
        buf_init(&plan->top, INSERTED_MAX, true);
        buf_init(&plan->preamble, PREAMBLE_MAX, true);
        buf_init(&m->inserted, INSERTED_MAX, true);
        buf_init(&m->outer, OUTER_MAX + (p->outgoing ? OUTER_AUTOCRYPT_MAX : 0), true);
        err = header_outer(p, v, false, &m->outer);
        if (err == OK)
            err = make_plan(plan, p, v, total, body_is_8bit, &m->outer);
        if (err == OK)
            err = plan_finish(plan, total, m);
        buf_free(&plan->top);
        buf_free(&plan->preamble);
        if (plan->display)
            buf_free(&plan->parts.head);
        if (err == OK)
            *ret = *m;
        else
            protected_mail_free(m);
    }
    free(plan);
    free(m);
    return err;
}

void protected_mail_free(struct protected_mail *m)
{
    buf_free(&m->inserted);
    buf_free(&m->outer);
    m->nins = 0;
}

int protected_mail_iov(const struct protected_mail *m, const struct iovec *original, size_t n, struct iovec *out,
                       size_t cap, size_t *ret_n)
{
    size_t pos = 0, k = 0, count = 0; /* pos: where original[i] begins */
    for (size_t i = 0; i < n; pos += original[i++].iov_len) {
        size_t used = 0, len = original[i].iov_len;
        uint8_t *base = original[i].iov_base;
        for (; k < m->nins && m->ins[k].offset < pos + len; k++) {
            size_t before = m->ins[k].offset - pos - used;
            if (count + 2 > cap)
                return ERR_LIMIT;
            if (before)
                out[count++] = (struct iovec){base + used, before};
            out[count++] = (struct iovec){m->inserted.data + m->ins[k].at, m->ins[k].len};
            used += before;
        }
        if (count == cap && used < len)
            return ERR_LIMIT;
        if (used < len)
            out[count++] = (struct iovec){base + used, len - used};
    }
    for (; k < m->nins; k++) { /* at the very end */
        if (count == cap)
            return ERR_LIMIT;
        out[count++] = (struct iovec){m->inserted.data + m->ins[k].at, m->ins[k].len};
    }
    *ret_n = count;
    return OK;
}

/* Digits without sign or surplus; max guards against overflow. */
static bool take_number(const uint8_t **s, const uint8_t *end, size_t max, size_t *ret)
{
    size_t v = 0, digits = 0;
    for (; *s < end && **s >= '0' && **s <= '9'; (*s)++, digits++) {
        size_t d = (size_t)(**s - '0');
        if (v > (max - d) / 10 || digits == 20)
            return false;
        v = v * 10 + d;
    }
    *ret = v;
    return digits > 0;
}

static bool take(const uint8_t **s, const uint8_t *end, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(end - *s) < n || memcmp(*s, text, n))
        return false;
    *s += n;
    return true;
}

int header_unprotect(uint8_t *payload, size_t len, size_t *ret_len)
{
    struct {
        size_t offset, len;
    } ins[HEADER_INSERTIONS_MAX];
    const uint8_t *s = payload, *end = payload + len;
    size_t original, n = 0, sum = 0;
    if (!take(&s, end, SEAL) || !take_number(&s, end, len, &original) || !take(&s, end, "; ins="))
        return ERR_FORMAT;
    do {
        take(&s, end, "\r\n ");
        if (n == HEADER_INSERTIONS_MAX || !take_number(&s, end, len, &ins[n].offset) || !take(&s, end, "+") ||
            !take_number(&s, end, len, &ins[n].len))
            return ERR_FORMAT;
        if (n ? ins[n].offset <= ins[n - 1].offset : ins[n].offset != 0)
            return ERR_FORMAT;
        if (ins[n].offset > original || ins[n].len > len - sum)
            return ERR_FORMAT;
        sum += ins[n++].len;
    } while (take(&s, end, ","));
    if (!take(&s, end, "\r\n") || (size_t)(s - payload) > ins[0].len || len - sum != original)
        return ERR_FORMAT;
    size_t from = 0, to = 0;
    for (size_t i = 0; i < n; i++) {
        from += ins[i].len;
        size_t chunk = (i + 1 < n ? ins[i + 1].offset : original) - ins[i].offset;
        memmove(payload + to, payload + from, chunk);
        from += chunk;
        to += chunk;
    }
    *ret_len = original;
    return OK;
}
