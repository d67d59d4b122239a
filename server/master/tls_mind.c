#include "server/master/tls_mind.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/mail/date.h"

enum { RSA_BITS_MIN = 2048, SENTENCE_MAX = 700, CHAIN_MAX = 16, DAY = 86400 };

struct minding {
    tls_mind_fn *fn;
    void *arg;
    const char *name;
    time_t now;
    const char *of; /* " for NAME"; "" of the server's own */
};

__attribute__((format(printf, 3, 4))) static void say(const struct minding *m, bool hint, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    m->fn(m->arg, hint, text);
}

static bool time_of(const ASN1_TIME *a, time_t *ret)
{
    int days, seconds;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    bool is_one = epoch && ASN1_TIME_diff(&days, &seconds, epoch, a) == 1;

    ASN1_TIME_free(epoch);
    if (is_one)
        *ret = days < 0 ? 0 : (time_t)days * DAY + seconds; /* none that matters is before 1970 */
    return is_one;
}

static void mind_dates(const struct minding *m, X509 *x, const char *which)
{
    char day[DATE_DAY_SIZE], today[DATE_DAY_SIZE];
    time_t from, to;

    if (!time_of(X509_get0_notBefore(x), &from) || !time_of(X509_get0_notAfter(x), &to))
        return;
    date_write_day((uint64_t)m->now, today);
    date_write_day((uint64_t)from, day);
    if (m->now < from)
        say(m, false, "the TLS %s%s is not valid before %s, and this machine's clock says %s: is it right?", which,
            m->of, day, today);
    date_write_day((uint64_t)to, day);
    if (m->now > to)
        say(m, false, "the TLS %s%s expired on %s: clients refuse it; renew it and run letterlock reload", which, m->of,
            day);
    else if (to - m->now < TLS_MIND_DAYS * DAY)
        say(m, false, "the TLS %s%s expires on %s: renew it and run letterlock reload", which, m->of, day);
}

static void mind_strength(const struct minding *m, X509 *x, const char *which)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    int digest;

    if (key && EVP_PKEY_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) < RSA_BITS_MIN)
        say(m, false, "the TLS %s%s has an RSA key of %d bits: clients refuse less than %d", which, m->of,
            EVP_PKEY_bits(key), RSA_BITS_MIN);
    if (X509_self_signed(x, 0) != 1 && X509_get_signature_info(x, &digest, NULL, NULL, NULL) == 1 &&
        (digest == NID_sha1 || digest == NID_md5))
        say(m, false, "the TLS %s%s is signed with %s: clients refuse it", which, m->of, OBJ_nid2sn(digest));
}

/* The subject's CN names nothing (RFC 9525 section 2). */
static void mind_name(const struct minding *m, X509 *x)
{
    const char *name = m->name;
    char any[300];

    if (name[0] == '*') { /* such a file is for any label */
        snprintf(any, sizeof(any), "any%s", name + 1);
        name = any;
    }
    if (X509_check_host(x, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
        return;
    if (m->of[0])
        say(m, false, "the TLS certificate%s has another name: clients that look for that name refuse it", m->of);
    else
        say(m, false,
            "the TLS certificate is not for %s, the server's own name (domain): clients that look for that name refuse "
            "it",
            name);
}

static void mind_chain(const struct minding *m, const void *chain_pem, size_t len)
{
    BIO *pem = len && len <= INT_MAX ? BIO_new_mem_buf(chain_pem, (int)len) : NULL;
    bool self_signed = false;
    unsigned n = 0;

    for (X509 *x; pem && n < CHAIN_MAX && (x = PEM_read_bio_X509(pem, NULL, NULL, NULL)); n++) {
        const char *which = n ? "chain's issuer certificate" : "certificate";
        if (!n) {
            mind_name(m, x);
            self_signed = X509_self_signed(x, 0) == 1;
        }
        mind_dates(m, x, which);
        mind_strength(m, x, which);
        X509_free(x);
    }
    if (self_signed)
        say(m, true, "the TLS certificate%s is self-signed: each client must be told to trust it", m->of);
    else if (n == 1)
        say(m, true,
            "%s holds the server's certificate alone: without its issuer's behind it (ACME clients call that "
            "fullchain) most clients cannot check it",
            m->of[0] ? m->of + strlen(" for ") : "tls_chain");
    BIO_free(pem);
    ERR_clear_error();
}

void tls_mind(const void *chain_pem, size_t len, const char *name, time_t now, tls_mind_fn *fn, void *arg)
{
    mind_chain(&(struct minding){fn, arg, name, now, ""}, chain_pem, len);
}

void tls_mind_by_name(const void *chain_pem, size_t len, const char *name, time_t now, tls_mind_fn *fn, void *arg)
{
    char of[300];

    snprintf(of, sizeof(of), " for %s", name);
    mind_chain(&(struct minding){fn, arg, name, now, of}, chain_pem, len);
}

time_t tls_mind_end(const void *chain_pem, size_t len)
{
    BIO *pem = len && len <= INT_MAX ? BIO_new_mem_buf(chain_pem, (int)len) : NULL;
    X509 *x = pem ? PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL) : NULL;
    time_t end = 0;

    if (x && !time_of(X509_get0_notAfter(x), &end))
        end = 0;
    X509_free(x);
    BIO_free(pem);
    ERR_clear_error();
    return end;
}
