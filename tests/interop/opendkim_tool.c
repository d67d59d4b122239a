/* libopendkim over many mails in one process, beside verify_tool. Standard input: a path a line, of mails with CRLF.
 * "verify KEYS [TIMES]": KEYS as verify_tool has them; a line for each mail, the selectors of the signatures that pass,
 * or with TIMES the first mail alone, and what one time took of the processor in microseconds.
 * "sign KEY ALGORITHM HEADER BODY DIR": PEM file, rsa or ed25519, simple or relaxed twice; DIR gets N.eml for line N,
 * with a signature by sender.test, peer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include <dkim.h>

enum { MAIL_MAX = 64 * 1024 * 1024, KEYS_MAX = 64 * 1024 };

static unsigned char mail[MAIL_MAX];
static char keys[KEYS_MAX];
static DKIM_LIB *lib;

static size_t read_whole(const char *path, void *out, size_t cap)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        exit(1);
    }
    n = fread(out, 1, cap, f);
    fclose(f);
    return n;
}

static DKIM_CBSTAT find_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t buflen)
{
    char name[1024];
    const size_t len = (size_t)snprintf(name, sizeof(name), "%s._domainkey.%s\t", (char *)dkim_sig_getselector(sig),
                                        (char *)dkim_sig_getdomain(sig));

    (void)dkim;
    for (const char *line = keys; *line; line += strcspn(line, "\n") + 1)
        if (strncasecmp(line, name, len) == 0) {
            const char *txt = line + len;
            snprintf((char *)buf, buflen, "%.*s", (int)strcspn(txt, "\n"), txt);
            return DKIM_CBSTAT_CONTINUE;
        }
    return DKIM_CBSTAT_NOTFOUND;
}

static void verify(size_t len, bool print)
{
    DKIM_STAT st;
    DKIM *d = dkim_verify(lib, (unsigned char *)"test", NULL, &st);
    DKIM_SIGINFO **sigs;
    bool testing;
    int n;

    if (!d || dkim_chunk(d, mail, len) != DKIM_STAT_OK || dkim_chunk(d, NULL, 0) != DKIM_STAT_OK) {
        printf("%s", print ? "refused\n" : "");
        dkim_free(d);
        return;
    }
    (void)dkim_eom(d, &testing);
    if (dkim_getsiglist(d, &sigs, &n) != DKIM_STAT_OK)
        n = 0;
    for (int i = 0; i < n; i++) {
        (void)dkim_sig_process(d, sigs[i]); /* dkim_eom stops at the first one that passes */
        if (print && (dkim_sig_getflags(sigs[i]) & DKIM_SIGFLAG_PASSED) && dkim_sig_getbh(sigs[i]) == DKIM_SIGBH_MATCH)
            printf("%s ", (char *)dkim_sig_getselector(sigs[i]));
    }
    if (print)
        printf("\n");
    dkim_free(d);
}

static int sign(size_t len, size_t n, char **argv)
{
    static unsigned char key[16384];
    unsigned char *field;
    char path[4096];
    DKIM_STAT st;
    DKIM *d;
    FILE *f;
    bool ok;

    key[read_whole(argv[2], key, sizeof(key) - 1)] = '\0';
    d = dkim_sign(lib, (unsigned char *)"test", NULL, key, (unsigned char *)"peer", (unsigned char *)"sender.test",
                  strcmp(argv[4], "simple") ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
                  strcmp(argv[5], "simple") ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
                  strcmp(argv[3], "rsa") ? DKIM_SIGN_ED25519SHA256 : DKIM_SIGN_RSASHA256, -1, &st);
    ok = d && dkim_chunk(d, mail, len) == DKIM_STAT_OK && dkim_chunk(d, NULL, 0) == DKIM_STAT_OK &&
         dkim_eom(d, NULL) == DKIM_STAT_OK;
    size_t field_len;
    ok = ok && dkim_getsighdr_d(d, strlen("DKIM-Signature: "), &field, &field_len) == DKIM_STAT_OK;
    snprintf(path, sizeof(path), "%s/%zu.eml", argv[6], n);
    f = fopen(path, "wb");
    if (!f)
        return 1;
    if (ok) /* it folds with LF */
        fprintf(f, "DKIM-Signature: ");
    for (size_t i = 0; ok && i < field_len; i++)
        if (field[i] != '\r')
            fprintf(f, field[i] == '\n' ? "\r\n" : "%c", field[i]);
    if (ok)
        fprintf(f, "\r\n");
    fwrite(mail, 1, len, f);
    fclose(f);
    printf("%s\n", ok ? "ok" : "not signed");
    dkim_free(d);
    return 0;
}

static void measure(size_t len, long times)
{
    struct timespec from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (long i = 0; i < times; i++)
        verify(len, false);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%.2f us\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 1e3 / (double)times);
}

int main(int argc, char **argv)
{
    static char line[4096];

    lib = dkim_init(NULL, NULL);
    if (argc < 3 || !lib || dkim_set_key_lookup(lib, find_key) != DKIM_STAT_OK)
        return 2;
    if (strcmp(argv[1], "verify") == 0)
        read_whole(argv[2], keys, sizeof(keys) - 1);
    for (size_t n = 0; fgets(line, sizeof(line), stdin); n++) {
        line[strcspn(line, "\n")] = '\0';
        size_t len = read_whole(line, mail, sizeof(mail));
        if (strcmp(argv[1], "sign") == 0) {
            if (argc != 7 || sign(len, n, argv) != 0)
                return 2;
        } else if (argc > 3) {
            verify(len, true);
            measure(len, atol(argv[3]));
            break;
        } else {
            verify(len, true);
        }
    }
    dkim_close(lib);
    return 0;
}
