/* DIR [DOMAIN]: signs mails for tests that verify them with others' programs: with a fresh pair of keys of either kind,
 * for the domain (sender.test unless named) and selectors rsa and ed. Standard input: paths of mails with CRLF.
 * DIR gets rsa.txt and ed.txt, the records of the keys, and for each line N its mail with signatures as N.eml. A line
 * printed for each: "N ok", or "N ERROR". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/mailauth/dkim.h"

enum { MAIL_MAX = 64 * 1024 * 1024, FIELDS_MAX = 64 * 1024 };

static const struct {
    enum dkim_algorithm algorithm;
    const char *selector;
} kinds[] = {{DKIM_RSA_SHA256, "rsa"}, {DKIM_ED25519_SHA256, "ed"}};
enum { KINDS = 2 };

static FILE *open_in(const char *dir, const char *name)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static struct dkim_key *make_key(size_t i, const char *dir)
{
    uint8_t der[DKIM_KEY_MAX];
    char txt[DKIM_TXT_MAX], name[16];
    struct dkim_key *k;
    size_t len;
    FILE *f;

    if (dkim_key_make(kinds[i].algorithm, der, &len) != OK ||
        dkim_key_open(kinds[i].algorithm, slice_of(der, len), &k) != OK || dkim_key_txt(k, txt) != OK)
        exit(1);
    snprintf(name, sizeof(name), "%s.txt", kinds[i].selector);
    f = open_in(dir, name);
    fputs(txt, f);
    fclose(f);
    return k;
}

static size_t read_mail(const char *path, uint8_t *out)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        exit(1);
    }
    n = fread(out, 1, MAIL_MAX, f);
    fclose(f);
    return n;
}

/* In three pieces, cut where N says, as a message in memory is. */
static int sign(const struct dkim_signer *s, const uint8_t *mail, size_t len, unsigned n, const char *dir)
{
    size_t a = len ? (size_t)n * 7919 % len : 0, b = a + (len - a) / 2;
    const struct iovec pieces[] = {{(void *)mail, a}, {(void *)(mail + a), b - a}, {(void *)(mail + b), len - b}};
    struct buf fields;
    char name[32];
    FILE *f;
    int err;

    buf_init(&fields, FIELDS_MAX, false);
    err = dkim_sign(s, KINDS, pieces, 3, (uint64_t)time(NULL), &fields);
    snprintf(name, sizeof(name), "%u.eml", n);
    f = open_in(dir, name);
    fwrite(fields.data, 1, fields.len, f);
    fwrite(mail, 1, len, f);
    fclose(f);
    buf_free(&fields);
    return err;
}

int main(int argc, char **argv)
{
    static char line[4096];
    uint8_t *mail = malloc(MAIL_MAX);
    struct dkim_key *keys[KINDS];
    struct dkim_signer signers[KINDS];

    if ((argc != 2 && argc != 3) || !mail)
        return 2;
    for (size_t i = 0; i < KINDS; i++) {
        keys[i] = make_key(i, argv[1]);
        signers[i] = (struct dkim_signer){keys[i], argc > 2 ? argv[2] : "sender.test", kinds[i].selector};
    }
    for (unsigned n = 0; fgets(line, sizeof(line), stdin); n++) {
        line[strcspn(line, "\n")] = '\0';
        int err = sign(signers, mail, read_mail(line, mail), n, argv[1]);
        printf("%u %s\n", n, err == OK ? "ok" : err_str(err));
    }
    for (size_t i = 0; i < KINDS; i++)
        dkim_key_free(keys[i]);
    free(mail);
    return 0;
}
