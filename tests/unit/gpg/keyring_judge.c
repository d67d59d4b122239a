/* keyring_judge KEYRING TIME PART PARTS [FPR...]: what the judge says, at that time, of each certificate of a binary
 * keyring (or of those named) whose number modulo PARTS is PART: a line of fingerprint, error, key that seals, whether
 * it has expired, octets kept, what the native judge says (fault and key), and the sentence, with tabs between. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpgme.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"
#include "tests/support/keyring_file.h"

struct one {
    const uint8_t *data;
    size_t len, primary_len;
};

/* The certificate at *pos: from one primary key to the next. */
static bool next_certificate(const uint8_t *data, size_t len, size_t *pos, struct one *ret)
{
    struct pgp_packet p;
    size_t at = *pos;
    struct one o = {.data = data + at};
    while (at < len) {
        size_t start = at;
        if (pgp_packet_next(data, len, &at, &p) != OK) {
            fprintf(stderr, "damaged at %zu\n", start);
            exit(2);
        }
        if (p.tag == PGP_TAG_PUBLIC_KEY && start != *pos) {
            at = start;
            break;
        }
        if (start == *pos)
            o.primary_len = at - start;
    }
    o.len = at - *pos;
    *pos = at;
    *ret = o;
    return o.len > 0;
}

static void print_fpr(const uint8_t *fpr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02X", fpr[i]);
    printf("%s\t", len ? "" : "-");
}

static void judge_one(const struct one *o, const struct pgp_key *primary, const char *dir, uint64_t now)
{
    static struct pgp_judged native;
    const struct gpg_policy policy = {.rsa_bits_min = 2048, .accept_dsa = true, .accept_elgamal = true, .now = now};
    const struct gpg_request q = {.cert = o->data, .len = o->len};
    struct gpg_judgement j;
    int status = gpg_judge(dir, &q, &policy, &j);
    if (status == OK && !gpg_certificate_matches(o->data, o->len, &j.verdict, j.cert, j.cert_len))
        status = ERR_CRYPTO; /* never */
    print_fpr(primary->fpr, primary->fpr_len);
    printf("%d\t", -status);
    print_fpr(j.verdict.enc_fpr, status == OK ? j.verdict.enc_fpr_len : 0);
    printf("%d\t%zu\t", status == OK && *j.why, j.cert_len);
    memset(&native, 0, sizeof(native));
    int err = pgp_judge(o->data, o->len, now, &native);
    printf("%d\t", native.fault ? (int)native.fault : err);
    print_fpr(native.verdict.enc_fpr, err == OK ? native.verdict.enc_fpr_len : 0);
    printf("%s\n", j.why);
    fflush(stdout);
    free(j.cert);
}

int main(int argc, char **argv)
{
    char dir[] = "/dev/shm/letterlock-keyring-XXXXXX";
    size_t len, pos = 0, number = 0;
    struct one o;
    if (argc < 5 || !mkdtemp(dir))
        return 2;
    uint8_t *data = keyring_read(argv[1], &len);
    uint64_t now = strtoull(argv[2], NULL, 10);
    size_t part = strtoul(argv[3], NULL, 10), parts = strtoul(argv[4], NULL, 10);
    signal(SIGPIPE, SIG_IGN);
    gpgme_check_version(NULL);
    while (next_certificate(data, len, &pos, &o)) {
        struct pgp_key primary = {0};
        char hex[2 * PGP_FPR_MAX + 1] = "";
        size_t n = 1;
        bool wanted = argc == 5;
        pgp_cert_keys(o.data, o.primary_len, &primary, &n);
        for (size_t i = 0; i < primary.fpr_len; i++)
            snprintf(hex + 2 * i, 3, "%02X", primary.fpr[i]);
        for (int i = 5; i < argc; i++)
            wanted |= !strcmp(argv[i], hex);
        if (wanted && number++ % parts == part)
            judge_one(&o, &primary, dir, now);
    }
    gpg_remove_tree(dir);
    free(data);
    return 0;
}
