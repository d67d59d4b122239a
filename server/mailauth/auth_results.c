#include "server/mailauth/auth_results.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/mime.h"

enum { LINE = 78 /* RFC 5322 section 2.1.1 */ };

/* A field that is being made: what goes wrong once stays wrong. */
struct field {
    struct buf text;
    size_t line; /* where the line at work begins */
    int err;
};

static void put(struct field *f, const char *s)
{
    if (f->err == OK)
        f->err = buf_puts(&f->text, s);
}

/* A blank, or a fold where so many octets more would make the line long. */
static void gap(struct field *f, size_t len)
{
    bool folds = f->text.len - f->line + 1 + len > LINE;

    put(f, folds ? "\r\n\t" : " ");
    if (folds)
        f->line = f->text.len - 1;
}

static bool is_token(const char *s)
{
    struct mime_reader r = mime_read(slice_str(s), true);
    struct slice token;

    return mime_read_token(&r, &token) && token.len == strlen(s);
}

/* A value as it is, or in quotes; octets that no field may have become "?". */
static void write_value(const char *s, char out[2 * RECORDS_NAME_CAP + 3])
{
    size_t n = 0;
    const bool token = is_token(s);

    if (!token)
        out[n++] = '"';
    for (size_t i = 0; s[i] && i < RECORDS_NAME_CAP; i++) {
        if (s[i] == '"' || s[i] == '\\')
            out[n++] = '\\';
        out[n++] = (char)(s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?');
    }
    if (!token)
        out[n++] = '"';
    out[n] = '\0';
}

/* "name=value", or nothing where there is no value. */
static void put_property(struct field *f, const char *name, const char *value)
{
    char text[2 * RECORDS_NAME_CAP + 3];

    if (!value || !*value)
        return;
    write_value(value, text);
    gap(f, strlen(name) + 1 + strlen(text));
    put(f, name);
    put(f, "=");
    put(f, text);
}

static void put_result(struct field *f, const char *method, enum auth_result r, const char *problem)
{
    put(f, ";\r\n\t");
    f->line = f->text.len - 1;
    put(f, method);
    put(f, "=");
    put(f, auth_result_name(r));
    put_property(f, "reason", problem);
}

/* ---- methods ---- */

static void put_spf(struct field *f, const struct spf_verdict *s)
{
    put_result(f, "spf", s->result, s->problem);
    put_property(f, s->of_helo ? "smtp.helo" : "smtp.mailfrom", s->domain);
}

static void put_dmarc(struct field *f, const struct mailauth_verdict *v)
{
    put_result(f, "dmarc", v->dmarc.result, v->dmarc.problem);
    if (*v->dmarc.published)
        put_property(f, "policy.dmarc", dmarc_policy_name(v->dmarc.policy));
    put_property(f, "header.from", v->author.domain);
}

static void put_arc(struct field *f, const struct arc_verdict *a)
{
    char set[16];

    put_result(f, "arc", a->result, a->result == AUTH_FAIL ? dkim_reason_text(a->reason) : NULL);
    snprintf(set, sizeof(set), "%u", a->oldest_pass == 1 ? 0 : a->oldest_pass); /* RFC 8617 section 5.2 step 5 */
    if (a->result == AUTH_PASS)
        put_property(f, "header.oldest-pass", set);
}

static void put_iprev(struct field *f, const struct mailauth_verdict *v)
{
    struct iprev_address a = iprev_address_of(v->address, v->six);
    char text[INET6_ADDRSTRLEN];

    put_result(f, "iprev", v->iprev.result, NULL);
    put_property(f, "policy.iprev", inet_ntop(a.six ? AF_INET6 : AF_INET, a.octets, text, sizeof(text)));
}

static void put_dkim(struct field *f, const struct dkim_verdict *d)
{
    static const char *const algorithms[] = {
        [DKIM_RSA_SHA256] = "rsa-sha256", [DKIM_ED25519_SHA256] = "ed25519-sha256"};

    put_result(f, "dkim", d->result, d->result == AUTH_PASS ? NULL : dkim_reason_text(d->reason));
    put_property(f, "header.d", d->domain);
    put_property(f, "header.s", d->selector);
    put_property(f, "header.a", d->algorithm ? algorithms[d->algorithm] : NULL);
}

/* Those that count first. One that does not fit is taken out again. */
static void put_signatures(struct field *f, const struct mailauth_verdict *v)
{
    for (int aligned = 1; aligned >= 0; aligned--)
        for (size_t i = 0; i < v->dkim.n && f->err == OK; i++) {
            const struct field before = *f;
            if ((int)(v->dmarc.dkim_aligned >> i & 1) != aligned)
                continue;
            put_dkim(f, &v->dkim.v[i]);
            if (f->err == ERR_LIMIT || f->text.len + 2 > AUTH_RESULTS_MAX) {
                f->text.len = before.text.len;
                f->line = before.line;
                f->err = OK;
            }
        }
}

int auth_results_write(const struct mailauth_verdict *v, const char *id, struct buf *out)
{
    struct field f = {.err = OK};

    buf_init(&f.text, AUTH_RESULTS_MAX, true);
    put(&f, "Authentication-Results: ");
    put(&f, id);
    put_dmarc(&f, v);
    put_spf(&f, &v->spf);
    if (*v->spf_helo.domain)
        put_spf(&f, &v->spf_helo);
    if (v->dkim.arc.result != AUTH_NONE)
        put_arc(&f, &v->dkim.arc);
    put_iprev(&f, v);
    if (v->dkim.n == 0)
        put_result(&f, "dkim", AUTH_NONE, NULL);
    put_signatures(&f, v);
    put(&f, "\r\n");
    int err = f.err != OK ? f.err : buf_append(out, f.text.data, f.text.len);
    buf_free(&f.text);
    return err;
}
