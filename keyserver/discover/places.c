/* URLs and names that certificates are looked for under. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "crypto/wkd.h"
#include "keyserver/discover/impl.h"
#include "server/core/error.h"

enum {
    DANE_OCTETS = 28, /* of the hash (RFC 7929 section 3) */
    LOCAL_CAP = 3 * ADDRESS_MAX,
};

/* What is not unreserved (RFC 3986 section 2.3) is escaped. */
static void escape(const char *s, size_t len, char *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < len; i++)
        out += snprintf(out, 4, s[i] && strchr(plain, s[i]) ? "%c" : "%%%02X", (unsigned char)s[i]);
    *out = '\0';
}

static int wkd(const struct discover_place *p, bool advanced, char *out)
{
    char hash[WKD_HASH_LEN + 1], local[LOCAL_CAP];
    int err = wkd_hash(p->local, p->local_len, hash);
    if (err)
        return err;
    escape(p->local, p->local_len, local);
    int n =
        snprintf(out, FETCH_URL_MAX + 1, "https://%s%s/.well-known/openpgpkey/%s%shu/%s?l=%s",
                 advanced ? "openpgpkey." : "", p->domain, advanced ? p->domain : "", advanced ? "/" : "", hash, local);
    return n > FETCH_URL_MAX ? ERR_LIMIT : OK;
}

static int server(const struct discover_place *p, const char *path, char *out)
{
    char local[LOCAL_CAP];
    escape(p->local, p->local_len, local);
    int n = snprintf(out, FETCH_URL_MAX + 1, "https://%s%s%s%%40%s", p->host, path, local, p->domain);
    return n > FETCH_URL_MAX ? ERR_LIMIT : OK;
}

int discover_place_url(enum discover_source s, const struct discover_place *p, char *out)
{
    switch (s) {
    case DISCOVER_WKD_ADVANCED:
    case DISCOVER_WKD_DIRECT: return wkd(p, s == DISCOVER_WKD_ADVANCED, out);
    case DISCOVER_VKS: return server(p, "/vks/v1/by-email/", out);
    case DISCOVER_HKP: return server(p, "/pks/lookup?op=get&options=mr&exact=on&search=", out);
    default: return ERR_UNSUPPORTED;
    }
}

int discover_place_name(const struct discover_place *p, char out[DISCOVER_NAME_CAP])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(p->local, p->local_len, digest, NULL, EVP_sha256(), NULL))
        return ERR_MEMORY;
    for (size_t i = 0; i < DANE_OCTETS; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    int n = snprintf(out + 2 * DANE_OCTETS, DISCOVER_NAME_CAP - 2 * DANE_OCTETS, "._openpgpkey.%s", p->domain);
    return 2 * DANE_OCTETS + n > DNS_NAME_MAX - 2 ? ERR_LIMIT : OK;
}
