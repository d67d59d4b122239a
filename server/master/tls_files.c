/* The certificates of an instance: the pair that tls_chain and tls_key name, and DIR/tls/NAME.chain.pem with
 * NAME.key.pem for each further name. A pair that cannot be used stops nobody else's. */
#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/tls.h"
#include "server/core/error.h"
#include "server/master/impl.h"

enum { FAULTS_CAP = 8 * 1024, FAULT_MAX = 700, STEM_CAP = CERTS_NAME_MAX + 1 };

#define CHAIN_END ".chain.pem"

struct reading {
    const char *dir;
    const struct certs *former;
    struct certs *certs;
    char (*stems)[STEM_CAP]; /* what the files are called, in their order */
    size_t nstems;
    char *faults;
    unsigned unsaid;
};

__attribute__((format(printf, 2, 3))) static void say(struct reading *r, const char *fmt, ...)
{
    size_t len = strlen(r->faults);
    char text[FAULT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len + strlen(text) + 2 > FAULTS_CAP - FAULT_MAX) /* the last line is for how many more */
        r->unsaid++;
    else
        snprintf(r->faults + len, FAULTS_CAP - len, "%s%s", len ? "\n" : "", text);
}

/* ---- which there are ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_stem(const struct reading *r, const char *name)
{
    return r->nstems && bsearch(name, r->stems, r->nstems, STEM_CAP, compare);
}

static void add_stem(struct reading *r, const char *file, size_t len)
{
    char name[STEM_CAP];

    snprintf(name, sizeof(name), "%.*s", (int)len, file);
    if (len > CERTS_NAME_MAX || !certs_name_valid(name))
        say(r, "tls/%s is left out: before %s stands a host name in lower case", file, CHAIN_END);
    else if (r->nstems == CERTS_PAIRS_MAX - 1)
        say(r, "tls/%s is left out: there are more than %d certificates", file, CERTS_PAIRS_MAX - 1);
    else
        memcpy(r->stems[r->nstems++], name, len + 1);
}

/* A folder that is not there has none. */
static void list(struct reading *r)
{
    const size_t end = strlen(CHAIN_END);
    char path[600];
    DIR *d;

    snprintf(path, sizeof(path), "%s/tls", r->dir);
    d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len > end && strcmp(e->d_name + len - end, CHAIN_END) == 0)
            add_stem(r, e->d_name, len - end);
    }
    if (d)
        closedir(d);
    qsort(r->stems, r->nstems, STEM_CAP, compare);
}

/* ---- what each is for ---- */

struct names {
    char text[CERTS_NAMES_MAX][STEM_CAP];
    const char *v[CERTS_NAMES_MAX];
    size_t n, bytes;
    unsigned left; /* for want of room */
};

static void add_name(struct names *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], name) == 0)
            return;
    if (l->n == CERTS_NAMES_MAX || l->bytes + strlen(name) + 4 > CERTS_NAMES_BYTES_MAX) {
        l->left++;
        return;
    }
    snprintf(l->text[l->n], STEM_CAP, "%s", name);
    l->v[l->n] = l->text[l->n];
    l->n++;
    l->bytes += strlen(name) + 4;
}

/* Those of the certificate beside its own: a file that is called so comes before it, and of two the first. */
static void add_alternatives(const struct reading *r, struct slice chain, struct names *l)
{
    BIO *pem = BIO_new_mem_buf(chain.data, (int)chain.len);
    X509 *x = pem ? PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL) : NULL;
    GENERAL_NAMES *all = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        const ASN1_STRING *s = g->type == GEN_DNS ? g->d.dNSName : NULL;
        char name[STEM_CAP];
        int len = s ? ASN1_STRING_length(s) : 0;
        if (len <= 0 || len > CERTS_NAME_MAX)
            continue;
        for (int k = 0; k < len; k++) {
            char c = (char)ASN1_STRING_get0_data(s)[k];
            name[k] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        name[len] = '\0';
        if (strlen(name) == (size_t)len && certs_name_valid(name) && !is_stem(r, name) && !certs_has(r->certs, name))
            add_name(l, name);
    }
    GENERAL_NAMES_free(all);
    X509_free(x);
    BIO_free(pem);
    ERR_clear_error();
}

/* ---- one pair ---- */

/* The pair of the former set that has this name. */
static bool former_pair(const struct reading *r, const char *stem, size_t *ret)
{
    for (size_t i = 1; r->former && i < certs_pairs(r->former); i++)
        if (strcmp(certs_pair(r->former, i).name, stem) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* What is served already was tried before. */
static int try_pair(const struct reading *r, const char *own, struct slice chain, struct slice key,
                    const char **ret_why)
{
    size_t i;

    if (certs_pairs(r->certs) && former_pair(r, own, &i) && same(certs_pair(r->former, i).chain, chain) &&
        same(certs_pair(r->former, i).key, key))
        return OK;
    return tls_pair_check((struct cert_pair){own, chain, key}, ret_why);
}

/* While a key is exchanged its file has both, so that it fits the chain before and after: the roles get the one that
 * does. key: with a NUL behind. */
static int find_key(const struct reading *r, const char *own, struct slice chain, char *text, struct slice *ret,
                    const char **ret_why)
{
    static const char begin[] = "-----BEGIN ", end[] = "\n-----END ";
    int err = ERR_FORMAT;

    *ret_why = "the key is not an unencrypted private key in PEM";
    for (char *s = text; err != OK && (s = strstr(s, begin));) {
        char *last = strstr(s, end);
        *ret = slice_of(s, last ? (size_t)(last - s) + 1 + strcspn(last + 1, "\n") : strlen(s));
        err = try_pair(r, own, chain, *ret, ret_why);
        s += ret->len;
    }
    return err;
}

/* The two kinds are for what is said of a file that is not there. */
static int add_pair(struct reading *r, const char *chain_name, const char *key_name, const char *own, char *why,
                    size_t why_cap)
{
    static const struct file_kind chain_file = {"the TLS certificate chain", "put it there, or set tls_chain"};
    static const struct file_kind key_file = {"the TLS key", "put it there, or set tls_key"};
    static const struct file_kind by_name = {"the file", "put it there, or remove the other one"};
    const bool first = certs_pairs(r->certs) == 0;
    static struct names names;
    char *chain = NULL, *key = NULL;
    size_t chain_len, key_len;
    struct slice one, found;
    const char *sentence;
    int err = file_read(r->dir, first ? &chain_file : &by_name, chain_name, CERTS_CHAIN_MAX, &chain, &chain_len, why,
                        why_cap);

    if (err == OK)
        err = file_read(r->dir, first ? &key_file : &by_name, key_name, CERTS_KEY_MAX, &key, &key_len, why, why_cap);
    if (err == OK) {
        key[key_len] = '\0'; /* file_read has room for one octet more */
        one = slice_of(chain, chain_len);
        err = find_key(r, own, one, key, &found, &sentence);
        if (err != OK)
            snprintf(why, why_cap, "%s and %s: %s", chain_name, key_name, sentence);
    }
    if (err == OK) {
        names = (struct names){.n = 0};
        if (certs_name_valid(own) && !(first && is_stem(r, own)))
            add_name(&names, own);
        add_alternatives(r, one, &names);
        err = certs_add(r->certs, names.v, names.n, one, found);
        if (err != OK)
            snprintf(why, why_cap, "%s and %s: %s", chain_name, key_name,
                     err == ERR_LIMIT ? "all certificates together are too many octets" : err_str(err));
        else if (names.left)
            say(r, "%s: %u of its names are too many, and are not served", chain_name, names.left);
    }
    sodium_free(chain);
    sodium_free(key);
    return err;
}

/* What it was before, under its own name; its other names may be another's by now. */
static bool keep_former(struct reading *r, const char *stem)
{
    const char *names[CERTS_NAMES_MAX], *name;
    struct cert_pair p;
    size_t i, n = 0;

    if (!former_pair(r, stem, &i))
        return false;
    for (size_t k = 0; (name = certs_name(r->former, i, k)); k++)
        if (!certs_has(r->certs, name) && (k == 0 || !is_stem(r, name)))
            names[n++] = name;
    p = certs_pair(r->former, i);
    return certs_add(r->certs, names, n, p.chain, p.key) == OK;
}

static void add_by_name(struct reading *r, const char *stem)
{
    char chain[STEM_CAP + 32], key[STEM_CAP + 32], why[FAULT_MAX - 100] = "";

    snprintf(chain, sizeof(chain), "tls/%s%s", stem, CHAIN_END);
    snprintf(key, sizeof(key), "tls/%s.key.pem", stem);
    if (add_pair(r, chain, key, stem, why, sizeof(why)) != OK)
        say(r, "%s; %s", why,
            keep_former(r, stem) ? "the one from before is served" : "the default certificate is served in its place");
}

int tls_files_read(const char *dir, const struct config *c, const struct certs *former, struct certs **ret,
                   char **ret_faults, char *why, size_t why_cap)
{
    struct reading r = {.dir = dir, .former = former};
    int err = certs_create(&r.certs);

    r.stems = calloc(CERTS_PAIRS_MAX, STEM_CAP);
    r.faults = calloc(1, FAULTS_CAP);
    if (err == OK && (!r.stems || !r.faults))
        err = ERR_MEMORY;
    if (err == OK) {
        list(&r);
        err = add_pair(&r, c->tls_chain, c->tls_key, c->domain, why, why_cap);
    }
    for (size_t i = 0; err == OK && i < r.nstems; i++)
        add_by_name(&r, r.stems[i]);
    if (err == OK && r.unsaid)
        snprintf(r.faults + strlen(r.faults), FAULTS_CAP - strlen(r.faults), "\n%u more certificates cannot be used",
                 r.unsaid);
    free(r.stems);
    if (err == OK) {
        *ret = r.certs;
        *ret_faults = r.faults;
        return OK;
    }
    free(r.faults);
    certs_unref(r.certs);
    return err;
}
