#include "tests/support/gpg_home.h"

char gpg_home[64];

int gpg_sh(const char *fmt, ...)
{
    char cmd[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    return system(cmd);
}

int gpg_home_open(void)
{
    strcpy(gpg_home, "/dev/shm/letterlock-test-XXXXXX");
    if (!mkdtemp(gpg_home))
        return -1;
    setenv("GNUPGHOME", gpg_home, 1);
    /* LeakSanitizer and friends are for us, not for gpg. */
    unsetenv("ASAN_OPTIONS");
    return gpg_sh("echo no-auto-check-trustdb > %s/gpg.conf; gpg --version > /dev/null 2>&1", gpg_home);
}

static int gpg_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void gpg_home_close(void)
{
    gpg_sh("gpgconf --homedir %s --kill all > /dev/null 2>&1", gpg_home);
    nftw(gpg_home, gpg_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

uint8_t *read_whole(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(n + 1);
    *ret_len = fread(p, 1, n, f);
    fclose(f);
    return p;
}

int write_whole(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    size_t n = fwrite(data, 1, len, f);
    return fclose(f) == 0 && n == len ? 0 : -1;
}

uint8_t *gpg_make_key(const char *name, const char *primary, const char *subkey, size_t *ret_len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s.cert", gpg_home, name);
    if (gpg_sh("gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key '%s@example.org' %s "
               "cert,sign 0 "
               "2> %s/log && gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "
               "$(gpg --batch --with-colons -k %s@example.org | sed -n 's/^fpr:*\\([0-9A-F]*\\):/\\1/p' | head -1) %s "
               "encr 0 "
               "2>> %s/log && gpg --batch --export %s@example.org > %s",
               name, primary, gpg_home, name, subkey, gpg_home, name, path) != 0) {
        gpg_sh("cat %s/log", gpg_home);
        return NULL;
    }
    return read_whole(path, ret_len);
}

uint8_t *gpg_decrypt(const uint8_t *msg, size_t len, size_t *ret_len)
{
    char in[96], out[96];
    snprintf(in, sizeof(in), "%s/in", gpg_home);
    snprintf(out, sizeof(out), "%s/out", gpg_home);
    if (write_whole(in, msg, len) != 0 ||
        gpg_sh("gpg --batch --quiet --yes --status-file %s/status -o %s -d %s 2> %s/log", gpg_home, out, in,
               gpg_home) != 0 ||
        gpg_sh("grep -q GOODMDC %s/status && ! grep -qi warning %s/log", gpg_home, gpg_home) != 0) {
        gpg_sh("cat %s/log %s/status", gpg_home, gpg_home);
        return NULL;
    }
    return read_whole(out, ret_len);
}

int verdict_for(const uint8_t *cert, size_t len, struct pgp_verdict *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    struct pgp_verdict v = {0};
    int err = pgp_cert_keys(cert, len, keys, &n);
    if (!err)
        err = pgp_cert_prefs(cert, len, &v.prefs);
    if (err)
        return err;
    v.primary_fpr_len = keys[0].fpr_len;
    memcpy(v.primary_fpr, keys[0].fpr, sizeof(v.primary_fpr));
    v.primary_algo = keys[0].algo;
    const struct pgp_key *k = &keys[n - 1];
    v.enc_fpr_len = k->fpr_len;
    memcpy(v.enc_fpr, k->fpr, sizeof(v.enc_fpr));
    v.enc_algo = k->algo;
    v.enc_octets = pgp_key_octets(k);
    v.native = pgp_algo_is_native(k->algo, k->material, k->material_len);
    *ret = v;
    return 0;
}
