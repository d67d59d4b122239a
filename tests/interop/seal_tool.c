/* Seals standard input for certificates and writes the packets to standard output, for tests that let other
 * implementations open them. Usage: seal_tool SEIPD AES CERT[@FINGERPRINT]...: SEIPD is 1 or 2, AES 128 or 256,
 * whatever the certificates prefer; CERT a file with one binary certificate, FINGERPRINT its key that encrypts. Without
 * the fingerprint the native judge chooses; with 0 for SEIPD and AES its verdict's preferences count. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_judge.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"

static _Noreturn void die(const char *what, int err)
{
    fprintf(stderr, "seal_tool: %s: %s\n", what, err_str(err));
    exit(1);
}

static uint8_t *read_all(FILE *f, size_t *ret_len)
{
    size_t len = 0, cap = 1 << 16, n;
    uint8_t *p = malloc(cap);
    while (p && (n = fread(p + len, 1, cap - len, f)) > 0) {
        len += n;
        if (len == cap)
            p = realloc(p, cap *= 2);
    }
    if (!p || ferror(f))
        die("reading", ERR_IO);
    *ret_len = len;
    return p;
}

static uint8_t fingerprint(const char *hex, uint8_t out[PGP_FPR_MAX])
{
    size_t n = strlen(hex) / 2;
    if (n != 20 && n != 32)
        die(hex, ERR_FORMAT);
    for (size_t i = 0; i < n; i++) {
        if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
            die(hex, ERR_FORMAT);
    }
    return (uint8_t)n;
}

static void judge(const char *name, const uint8_t *cert, size_t len, struct pgp_verdict *ret)
{
    static struct pgp_judged judged;
    int err = pgp_judge(cert, len, (uint64_t)time(NULL), &judged);
    if (err) {
        fprintf(stderr, "seal_tool: %s is refused, fault %d\n", name, (int)judged.fault);
        exit(1);
    }
    *ret = judged.verdict;
}

/* prefs NULL: as the certificate says. */
static struct pgp_recipient *recipient(char *arg, const struct pgp_prefs *prefs)
{
    struct pgp_verdict v = {0};
    struct pgp_recipient *r;
    char *at = strrchr(arg, '@');
    size_t len;
    if (at)
        *at = 0;
    FILE *f = fopen(arg, "rb");
    if (!f)
        die(arg, ERR_IO);
    uint8_t *cert = read_all(f, &len);
    fclose(f);
    if (!at || !prefs)
        judge(arg, cert, len, &v);
    if (at)
        v.enc_fpr_len = fingerprint(at + 1, v.enc_fpr);
    if (prefs)
        v.prefs = *prefs;
    int err = pgp_recipient_create(cert, len, &v, &r);
    if (err)
        die(arg, err);
    free(cert);
    return r;
}

static int sink(void *arg, const uint8_t *data, size_t len)
{
    return fwrite(data, 1, len, arg) == len ? OK : ERR_IO;
}

int main(int argc, char **argv)
{
    struct pgp_recipient *r[PGP_SEAL_RECIPIENTS_MAX];
    size_t n = 0;
    uint64_t size;
    struct iovec in;
    if (argc < 4 || argc - 3 > PGP_SEAL_RECIPIENTS_MAX) {
        fprintf(stderr, "usage: seal_tool 0|1|2 0|128|256 CERT[@FINGERPRINT]...\n");
        return 2;
    }
    const struct pgp_prefs prefs = {.seipd_v2 = atoi(argv[1]) == 2, .aes256 = atoi(argv[2]) == 256};
    for (int i = 3; i < argc; i++)
        r[n++] = recipient(argv[i], atoi(argv[1]) ? &prefs : NULL);
    in.iov_base = read_all(stdin, &in.iov_len);
    int err = pgp_seal(r, n, &in, 1, sink, stdout, &size);
    if (err)
        die("sealing", err);
    if (size != pgp_seal_size(r, n, in.iov_len))
        die("not the size that was promised", ERR_CONFLICT);
    while (n)
        pgp_recipient_destroy(r[--n]);
    free(in.iov_base);
    return fflush(stdout) == 0 ? 0 : 1;
}
