/* One judgement: GnuPG imports the certificate into an empty home, checks its self-signatures and says which key
 * encrypts; what it exports again, minimal, is what gets stored. Every refusal is a sentence for the person who brought
 * the certificate. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_packet.h"
#include "server/base/error.h"
#include "server/gpg/gpg_internal.h"

#define GOOD_KEY "make a good one with: gpg --quick-gen-key ADDRESS future-default default 2y"

enum { BITS_MIN = 2048, TREE_DEPTH = 3 };

static int refuse(struct gpg_judgement *j, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct gpg_judgement *j, int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(j->why, sizeof j->why, fmt, ap);
    va_end(ap);
    return err;
}

static void remove_below(int fd, int depth)
{
    DIR *d = fdopendir(fd);
    struct dirent *e;
    if (!d) {
        close(fd);
        return;
    }
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0 || !depth)
            continue;
        int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0)
            remove_below(sub, depth - 1);
        unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

void gpg_remove_tree(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        remove_below(fd, TREE_DEPTH);
    rmdir(path);
}

static int write_conf(const char *home, const char *text, int flags)
{
    char path[600];
    snprintf(path, sizeof path, "%s/gpg.conf", home);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return ERR_IO;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? OK : ERR_IO;
}

static int make_home(const char *dir, char *home, size_t cap)
{
    static const char conf[] =
        "no-auto-check-trustdb\ntrust-model "
        "always\nno-auto-key-locate\nno-autostart\ndisable-dirmngr\nlock-never\nno-random-seed-file\n"
        "import-options import-minimal,no-keep-ownertrust\nno-greeting\nbatch\nquiet\n";
    snprintf(home, cap, "%s/home", dir);
    gpg_remove_tree(home);
    return mkdir(home, 0700) == 0 ? write_conf(home, conf, O_EXCL) : ERR_IO;
}

/* What can be said before GnuPG sees it. */
static int first_look(const uint8_t *data, size_t len, struct gpg_judgement *j)
{
    static const char armoured_secret[] = "BEGIN PGP PRIVATE KEY BLOCK";
    struct pgp_packet p;
    size_t pos = 0;
    bool secret = memmem(data, len, armoured_secret, sizeof armoured_secret - 1) != NULL;
    if (len && data[0] & 0x80)
        while (!secret && pgp_packet_next(data, len, &pos, &p) == OK)
            secret = p.tag == PGP_TAG_SECRET_KEY || p.tag == PGP_TAG_SECRET_SUBKEY;
    if (secret)
        return refuse(j, ERR_REFUSED,
                      "this holds a SECRET key, which must never leave its owner: give the public one (gpg --export "
                      "--armor ADDRESS)");
    return len ? OK : refuse(j, ERR_FORMAT, "the file is empty");
}

static bool of_rfc4880(unsigned algo)
{
    return (algo >= 1 && algo <= 3) || (algo >= 16 && algo <= 19) || algo == PGP_EDDSA_LEGACY;
}

static bool hex_to_fpr(const char *hex, uint8_t *out, uint8_t *ret_len)
{
    size_t n = hex ? strlen(hex) : 0;
    if (n != 40 && n != 64)
        return false;
    for (size_t i = 0; i < n / 2; i++) {
        char octet[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(octet, NULL, 16);
    }
    *ret_len = (uint8_t)(n / 2);
    return true;
}

/* The newest valid encryption key, as gpg chooses; among expired ones the newest too. A subkey goes before the primary.
 */
static gpgme_subkey_t choose(gpgme_key_t key, bool expired)
{
    gpgme_subkey_t best = NULL;
    for (gpgme_subkey_t s = key->subkeys; s; s = s->next) {
        if (!s->can_encrypt || s->revoked || s->disabled || s->invalid || (s->expired && !expired))
            continue;
        if (!best || best == key->subkeys || s->timestamp > best->timestamp)
            best = s;
    }
    return best;
}

static int check_strength(gpgme_subkey_t s, const char *what, struct gpg_judgement *j)
{
    unsigned algo = (unsigned)s->pubkey_algo;
    bool rsa = algo >= 1 && algo <= 3;
    if ((rsa || algo == PGP_ELGAMAL || algo == 20) && s->length < BITS_MIN)
        return refuse(j, ERR_REFUSED, "its %s has only %u bits of %s, and today that can be broken: " GOOD_KEY, what,
                      s->length, rsa ? "RSA" : "ElGamal");
    return OK;
}


/* The packets of what was exported: version 4, known algorithms, and the chosen key among them. */
static int read_packets(struct gpg_judgement *j)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    struct pgp_verdict *v = &j->verdict;
    size_t n = PGP_KEYS_MAX;
    int r = pgp_cert_keys(j->cert, j->cert_len, keys, &n);
    if (r == ERR_LIMIT)
        return refuse(j, ERR_LIMIT, "it has more than %d keys", PGP_KEYS_MAX);
    if (r != OK || !n)
        return refuse(j, ERR_UNSUPPORTED, "it is not a version 4 certificate as RFC 4880 has them: " GOOD_KEY);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        bool chosen = keys[i].fpr_len == v->enc_fpr_len && !memcmp(keys[i].fpr, v->enc_fpr, v->enc_fpr_len);
        if ((!i || chosen) && (keys[i].version != 4 || !of_rfc4880(keys[i].algo)))
            return refuse(j, ERR_UNSUPPORTED,
                          "it has a key of version %u, algorithm %u, which GnuPG 2.2 cannot judge: " GOOD_KEY,
                          keys[i].version, keys[i].algo);
        if (chosen) {
            v->enc_algo = keys[i].algo;
            v->native = pgp_algo_is_native(keys[i].algo, keys[i].material, keys[i].material_len);
            found = true;
        }
    }
    v->primary_algo = keys[0].algo;
    if (!found)
        return refuse(j, ERR_FORMAT, "the key that GnuPG chose is not in what it exported");
    r = pgp_cert_prefs(j->cert, j->cert_len, &v->prefs);
    return r == OK ? OK : refuse(j, ERR_FORMAT, "its preferences cannot be read");
}

static void warn_expired(struct gpg_judgement *j, uint32_t when)
{
    char day[32];
    time_t t = when;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(day, sizeof day, "%Y-%m-%d", &tm);
    snprintf(j->why, sizeof j->why,
             "the key expired on %s; mail is sealed to it all the same, but give a newer one soon (gpg "
             "--quick-set-expire FPR 2y, then key add)",
             day);
}

static int read_key(gpgme_key_t key, struct gpg_judgement *j)
{
    struct pgp_verdict *v = &j->verdict;
    gpgme_subkey_t primary = key->subkeys;
    if (!primary)
        return refuse(j, ERR_REFUSED, "it has no primary key");
    if (!hex_to_fpr(primary->fpr, v->primary_fpr, &v->primary_fpr_len))
        return refuse(j, ERR_FORMAT, "it has a fingerprint of unknown length");
    if (key->revoked || primary->revoked)
        return refuse(j, ERR_NO_KEY, "it has been revoked: " GOOD_KEY);
    if (key->protocol != GPGME_PROTOCOL_OpenPGP || key->invalid || !key->uids)
        return refuse(j, ERR_REFUSED, "it has no valid user id signed by its own key");
    gpgme_subkey_t enc = choose(key, false);
    if (!enc)
        enc = choose(key, true);
    if (!enc) {
        bool revoked = false;
        for (gpgme_subkey_t s = primary->next; s; s = s->next)
            revoked = revoked || (s->can_encrypt && s->revoked);
        return refuse(
            j, revoked ? ERR_NO_KEY : ERR_REFUSED,
            revoked ? "its encryption key has been revoked: add a new one with gpg --quick-add-key FPR cv25519 encr 2y"
                    : "it can sign only: add an encryption key with gpg --quick-add-key FPR cv25519 encr 2y");
    }
    int r = check_strength(primary, "primary key", j);
    if (r == OK)
        r = check_strength(enc, "encryption key", j);
    if (r != OK)
        return r;
    if (!hex_to_fpr(enc->fpr, v->enc_fpr, &v->enc_fpr_len))
        return refuse(j, ERR_FORMAT, "it has a fingerprint of unknown length");
    v->created = (uint32_t)primary->timestamp;
    v->expires = (uint32_t)primary->expires;
    v->enc_expires = (uint32_t)enc->expires;
    if (v->expires && (!v->enc_expires || v->expires < v->enc_expires)) /* no subkey outlives its primary */
        v->enc_expires = v->expires;
    if (v->enc_expires && v->enc_expires <= (uint64_t)time(NULL))
        warn_expired(j, v->enc_expires);
    return OK;
}

static int gpgme_failed(struct gpg_judgement *j, gpgme_error_t e)
{
    return refuse(j, ERR_IO, "gpg failed: %s", gpgme_strerror(e));
}

static int import(gpgme_ctx_t ctx, const uint8_t *cert, size_t len, struct gpg_judgement *j)
{
    gpgme_data_t data;
    gpgme_error_t e = gpgme_data_new_from_mem(&data, (const char *)cert, len, 0);
    if (e)
        return gpgme_failed(j, e);
    e = gpgme_op_import(ctx, data);
    gpgme_data_release(data);
    gpgme_import_result_t res = gpgme_op_import_result(ctx);
    if (res && res->secret_read)
        return refuse(j, ERR_REFUSED,
                      "this holds a SECRET key, which must never leave its owner: give the public one (gpg --export "
                      "--armor ADDRESS)");
    if (res && res->considered > 1)
        return refuse(j, ERR_REFUSED, "it holds %d certificates: give one", res->considered);
    if (res && res->considered == 1 && !res->imported && res->no_user_id)
        return refuse(j, ERR_REFUSED, "it has no valid user id signed by its own key");
    if (!e && res && res->imported == 1)
        return OK;
    if (e && gpgme_err_code(e) != GPG_ERR_NO_DATA &&
        !(res && res->considered)) /* shortage, not the certificate's fault */
        return gpgme_failed(j, e);
    return refuse(j, ERR_UNSUPPORTED,
                  "gpg finds no OpenPGP certificate in it that it knows (the newer kinds of RFC 9580 are not known to "
                  "it yet): " GOOD_KEY);
}

/* gpg leaves expired subkeys out of a minimal export: it is told a time at which the chosen one was valid. */
static int export_minimal(gpgme_ctx_t ctx, gpgme_key_t key, const char *home, struct gpg_judgement *j)
{
    char then[64];
    snprintf(then, sizeof then, "faked-system-time %u!\n", j->verdict.enc_expires - 1);
    if (*j->why && write_conf(home, then, O_APPEND) != OK)
        return refuse(j, ERR_IO, "gpg's home cannot be written");
    gpgme_key_t keys[2] = {key, NULL};
    gpgme_data_t data;
    gpgme_error_t e = gpgme_data_new(&data);
    if (e)
        return gpgme_failed(j, e);
    e = gpgme_op_export_keys(ctx, keys, GPGME_EXPORT_MODE_MINIMAL, data);
    size_t len;
    char *mem = gpgme_data_release_and_get_mem(data, &len);
    int r = e || !mem || !len || len > PGP_CERT_MAX ? gpgme_failed(j, e ? e : gpgme_error(GPG_ERR_NO_DATA)) : OK;
    if (r == OK && !(j->cert = malloc(len)))
        r = ERR_MEMORY;
    if (r == OK) {
        memcpy(j->cert, mem, len);
        j->cert_len = len;
    }
    gpgme_free(mem);
    return r;
}

static int judge_in(gpgme_ctx_t ctx, const char *home, const uint8_t *cert, size_t len, struct gpg_judgement *j,
                    char *uids[GPG_UIDS_MAX], size_t *nuids)
{
    gpgme_key_t key = NULL;
    int r = import(ctx, cert, len, j);
    if (r != OK)
        return r;
    gpgme_set_keylist_mode(ctx, GPGME_KEYLIST_MODE_LOCAL);
    gpgme_error_t e = gpgme_op_keylist_start(ctx, NULL, 0);
    if (!e)
        e = gpgme_op_keylist_next(ctx, &key);
    if (e)
        return gpgme_failed(j, e);
    gpgme_op_keylist_end(ctx);
    r = read_key(key, j);
    if (r == OK)
        r = export_minimal(ctx, key, home, j);
    if (r == OK)
        r = read_packets(j);
    for (gpgme_user_id_t u = key->uids; r == OK && u && *nuids < GPG_UIDS_MAX; u = u->next)
        if (!u->revoked && !u->invalid && u->uid && strlen(u->uid) < 1024 && (uids[*nuids] = strdup(u->uid)))
            ++*nuids;
    gpgme_key_unref(key);
    return r;
}

int gpg_judge(const char *dir, const uint8_t *cert, size_t len, struct gpg_judgement *j, char *uids[GPG_UIDS_MAX],
              size_t *nuids)
{
    char home[512];
    gpgme_ctx_t ctx = NULL;
    *j = (struct gpg_judgement){0};
    *nuids = 0;
    int r = first_look(cert, len, j);
    if (r == OK && make_home(dir, home, sizeof home) != OK)
        r = refuse(j, ERR_IO, "no home for gpg could be made");
    else if (r == OK) {
        gpgme_error_t e = gpgme_new(&ctx);
        if (!e)
            e = gpgme_ctx_set_engine_info(ctx, GPGME_PROTOCOL_OpenPGP, "/usr/bin/gpg", home);
        r = e ? gpgme_failed(j, e) : judge_in(ctx, home, cert, len, j, uids, nuids);
        gpgme_release(ctx);
        gpg_remove_tree(home);
    }
    if (r != OK) {
        free(j->cert);
        j->cert = NULL;
        j->cert_len = 0;
    }
    j->status = r;
    return r;
}
