/* judge_tool [--now SECONDS] [--minimal] FILE: judges every certificate in a binary keyring natively and prints one
 * line for each: fingerprint, ok or the fault, its detail, the encryption key's fingerprint, when it and the primary
 * key expire (0: never), user ids that are valid. With --minimal the minimal copies go to stdout instead. For comparing
 * with gpg and sq. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_judge.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"

static const char *const faults[] = {
    "ok",   "format",  "secret",      "several",      "limit",    "version", "algorithm", "self-signed",
    "weak", "revoked", "enc-revoked", "signing-only", "user-ids", "numbers", "clock",
};
_Static_assert(sizeof(faults) / sizeof(*faults) == PGP_FAULT_CLOCK + 1, "each fault has its word");

static void print_fpr(const uint8_t *fpr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02X", fpr[i]);
    if (!len)
        printf("-");
}

static void print(const struct pgp_judged *j)
{
    size_t valid = 0;
    for (size_t i = 0; i < j->nuser_ids; i++)
        valid += j->user_ids[i].validity == PGP_VALID;
    if (j->nkeys)
        print_fpr(j->keys[0].fpr, j->keys[0].fpr_len);
    else
        printf("-");
    printf(" %s %u ", faults[j->fault], j->detail);
    print_fpr(j->verdict.enc_fpr, j->verdict.enc_fpr_len);
    printf(" %" PRIu32 " %" PRIu32 " %zu\n", j->verdict.enc_expires, j->verdict.expires, valid);
}

static int judge(const uint8_t *cert, size_t len, uint64_t now, int minimal)
{
    static struct pgp_judged j;
    int err = pgp_judge(cert, len, now, &j);
    if (err == ERR_MEMORY)
        return 1;
    if (!minimal) {
        print(&j);
    } else if (!err) {
        uint8_t *out = malloc(len);
        size_t n;
        if (!out || pgp_cert_minimal(cert, len, &j, NULL, NULL, out, len, &n) != OK)
            return 1;
        fwrite(out, 1, n, stdout);
        free(out);
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t now = (uint64_t)time(NULL);
    int minimal = 0, i = 1, err = 0;
    for (; i < argc - 1; i++) {
        if (strcmp(argv[i], "--minimal") == 0)
            minimal = 1;
        else if (strcmp(argv[i], "--now") == 0 && i + 1 < argc - 1)
            now = strtoull(argv[++i], NULL, 10);
    }
    FILE *f = i < argc ? fopen(argv[i], "rb") : NULL;
    if (!f || fseek(f, 0, SEEK_END) != 0)
        return fprintf(stderr, "usage: judge_tool [--now SECONDS] [--minimal] FILE\n"), 2;
    size_t len = (size_t)ftell(f), pos = 0, at = 0, start = 0;
    rewind(f);
    uint8_t *all = malloc(len + 1);
    if (!all || fread(all, 1, len, f) != len)
        return 1;
    fclose(f);
    struct pgp_packet p;
    for (; pgp_packet_next(all, len, &pos, &p) == OK; at = pos) {
        if (p.tag == PGP_TAG_PUBLIC_KEY && at > start) {
            err |= judge(all + start, at - start, now, minimal);
            start = at;
        }
    }
    err |= judge(all + start, len - start, now, minimal);
    free(all);
    return err;
}
