#include "server/web/shown.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

struct pair {
    gnutls_pcert_st *chain; /* NULL: not read yet, or it cannot be */
    gnutls_privkey_t key;
    unsigned n;
};

struct shown {
    unsigned refs;
    struct certs *certs;
    struct pair *pairs;
};

const char shown_priorities[] = "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA"
                                ":+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:+AEAD:+COMP-NULL:+CTYPE-SRV-X509"
                                ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
                                ":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA256"
                                ":+SIGN-ECDSA-SHA384:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256"
                                ":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-SHA256"
                                ":+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:%SERVER_PRECEDENCE:%NO_TICKETS";

int shown_want_http(gnutls_session_t session)
{
    char name[] = "http/1.1";
    const gnutls_datum_t one = {(unsigned char *)name, sizeof(name) - 1};

    return gnutls_alpn_set_protocols(session, &one, 1, GNUTLS_ALPN_MANDATORY) == 0 ? OK : ERR_CRYPTO;
}

static void pair_free(struct pair *p)
{
    for (unsigned i = 0; i < p->n; i++)
        gnutls_pcert_deinit(&p->chain[i]);
    if (p->key)
        gnutls_privkey_deinit(p->key);
    free(p->chain);
    *p = (struct pair){.chain = NULL};
}

static gnutls_datum_t datum_of(struct slice s)
{
    return (gnutls_datum_t){(unsigned char *)s.data, (unsigned)s.len};
}

/* At most so many certificates. */
static unsigned blocks_in(struct slice pem)
{
    static const char begin[] = "-----BEGIN ";
    const uint8_t *p = pem.data, *end = p + pem.len;
    unsigned n = 0;

    for (; (p = memmem(p, (size_t)(end - p), begin, sizeof(begin) - 1)); p += sizeof(begin) - 1)
        n++;
    return n;
}

static int pair_read(struct cert_pair pem, struct pair *ret)
{
    const gnutls_datum_t chain = datum_of(pem.chain), key = datum_of(pem.key);
    unsigned n = blocks_in(pem.chain);
    struct pair p = {.chain = calloc(n + 1, sizeof(*p.chain))};
    int rc;

    if (!p.chain || gnutls_privkey_init(&p.key) != 0) {
        pair_free(&p);
        return ERR_MEMORY;
    }
    rc = gnutls_pcert_list_import_x509_raw(p.chain, &n, &chain, GNUTLS_X509_FMT_PEM, 0);
    if (rc >= 0) {
        p.n = n;
        rc = gnutls_privkey_import_x509_raw(p.key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    if (rc < 0) {
        pair_free(&p);
        return rc == GNUTLS_E_MEMORY_ERROR ? ERR_MEMORY : ERR_FORMAT;
    }
    *ret = p;
    return OK;
}

int shown_create(struct certs *certs, struct shown **ret)
{
    struct shown *s = calloc(1, sizeof(*s));
    int err = ERR_MEMORY;

    if (s)
        s->pairs = calloc(certs_pairs(certs), sizeof(*s->pairs));
    if (s && s->pairs)
        err = pair_read(certs_pair(certs, 0), &s->pairs[0]);
    if (err != OK) {
        if (s)
            free(s->pairs);
        free(s);
        return err;
    }
    s->refs = 1;
    s->certs = certs;
    certs_ref(certs);
    *ret = s;
    return OK;
}

bool shown_is_of(const struct shown *s, const struct certs *certs)
{
    return s && s->certs == certs;
}

struct shown *shown_ref(struct shown *s)
{
    s->refs++;
    return s;
}

void shown_unref(struct shown *s)
{
    if (!s || --s->refs > 0)
        return;
    for (size_t i = 0; i < certs_pairs(s->certs); i++)
        pair_free(&s->pairs[i]);
    free(s->pairs);
    certs_unref(s->certs);
    free(s);
}

/* 0, the default, for who asks for none or for another's. */
static size_t asked_for(const struct shown *s, gnutls_session_t session)
{
    char name[CERTS_NAME_MAX + 1];
    size_t len = sizeof(name), pair;
    unsigned type = GNUTLS_NAME_DNS;

    if (gnutls_server_name_get(session, name, &len, &type, 0) != 0 || type != GNUTLS_NAME_DNS || len >= sizeof(name))
        return 0;
    name[len] = '\0';
    return certs_find(s->certs, name, &pair) ? pair : 0;
}

void shown_choose(struct shown *s, gnutls_session_t session, gnutls_pcert_st **chain, unsigned *n,
                  gnutls_privkey_t *key)
{
    size_t i = asked_for(s, session);
    struct pair *p = &s->pairs[i];

    if (!p->chain && pair_read(certs_pair(s->certs, i), p) != OK)
        p = &s->pairs[0]; /* master has seen to it that it can be read */
    *chain = p->chain;
    *n = p->n;
    *key = p->key;
}
