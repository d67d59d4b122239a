/* minimise_tool KEYRING TIME FOLDER: each certificate of a binary keyring as it would be published at that time, with
 * all its user ids, in FOLDER/FINGERPRINT; and a line for each: fingerprint, error, octets before and after, octets of
 * the copy's copy if it differs, user ids, octets with the first of them alone, whether the directory would take that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_minimise.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "tests/support/keyring_file.h"

enum { OUT = PGP_CERT_MAX };
static uint8_t copy[OUT], again[OUT];

/* Where the next certificate begins. */
static size_t next_at(const uint8_t *data, size_t len, size_t at)
{
    struct pgp_packet p;
    for (size_t pos = at; pgp_packet_next(data, len, &pos, &p) == OK; at = pos)
        if (p.tag == PGP_TAG_PUBLIC_KEY)
            return at;
    return len;
}

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t len)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f))
        exit(2);
}

/* With one user id alone, as the directory has it. */
struct only {
    const uint8_t *text;
    size_t len;
};

static bool is_only(void *arg, const uint8_t *user_id, size_t len)
{
    const struct only *o = arg;
    return o->len == len && !memcmp(user_id, o->text, len);
}

static void print_only(const uint8_t *cert, size_t len, uint64_t now)
{
    struct pgp_minimised m;
    struct pgp_published p;
    struct pgp_packet first;
    size_t pos = 0, n = 0;
    while (pgp_packet_next(cert, len, &pos, &first) == OK && first.tag != PGP_TAG_USER_ID)
        ;
    struct only o = {first.body, first.body_len};
    int err = pgp_minimise(cert, len, now, is_only, &o, again, sizeof(again), &n, &m);
    if (!err)
        err = pgp_published_read(again, n, &p);
    printf("\t%zu\t%d\n", n, -err);
}

static void one(const uint8_t *cert, size_t len, uint64_t now, const char *folder)
{
    struct pgp_minimised m, more;
    uint8_t fpr[PGP_FPR_MAX], fpr_len = 0, key_id[8];
    struct pgp_packet first;
    char hex[2 * PGP_FPR_MAX + 1] = "";
    size_t pos = 0, n = 0, k = 0;
    if (pgp_packet_next(cert, len, &pos, &first) || pgp_fingerprint(first.body, first.body_len, fpr, &fpr_len, key_id))
        exit(2);
    for (size_t i = 0; i < fpr_len; i++)
        snprintf(hex + 2 * i, 3, "%02X", fpr[i]);
    int err = pgp_minimise(cert, len, now, NULL, NULL, copy, sizeof(copy), &n, &m);
    if (!err) {
        write_file(folder, hex, copy, n);
        int other = pgp_minimise(copy, n, now, NULL, NULL, again, sizeof(again), &k, &more);
        if (!other && k == n && !memcmp(copy, again, n))
            k = 0;
    }
    printf("%s\t%d\t%zu\t%zu\t%zu\t%zu", hex, -err, len, n, k, err ? 0 : m.user_ids);
    if (err)
        printf("\t0\t0\n");
    else
        print_only(copy, n, now);
}

int main(int argc, char **argv)
{
    size_t len, at = 0;
    if (argc != 4)
        return 2;
    uint8_t *data = keyring_read(argv[1], &len);
    while (at < len) {
        struct pgp_packet p;
        size_t end = at;
        if (pgp_packet_next(data, len, &end, &p) != OK || p.tag != PGP_TAG_PUBLIC_KEY)
            return 2;
        end = next_at(data, len, end);
        one(data + at, end - at, strtoull(argv[2], NULL, 10), argv[3]);
        at = end;
    }
    free(data);
    return 0;
}
