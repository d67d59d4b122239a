/* What GnuPG says of a certificate: it imports it into an empty home, which verifies the self-signatures, lists what it
 * holds valid, and exports it again, minimal. */
#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"

enum { HOME_NEEDS = 256 * 1024 };
#define NO_ROOM "gpg's home cannot be written: is /dev/shm full?"

struct gnupg {
    gpgme_ctx_t ctx;
    gpgme_key_t key;
    char home[512];
};

static int write_conf(const char *home, const char *text, int flags)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/gpg.conf", home);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return ERR_IO;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? OK : ERR_IO;
}

static int fake_time(const char *home, uint64_t now)
{
    char line[64];
    snprintf(line, sizeof(line), "faked-system-time %llu!\n", (unsigned long long)now);
    return write_conf(home, line, O_APPEND);
}

static int make_home(const char *dir, uint64_t now, char *home, size_t cap)
{
    static const char conf[] =
        "no-auto-check-trustdb\ntrust-model "
        "always\nno-auto-key-locate\nno-autostart\ndisable-dirmngr\nlock-never\nno-random-seed-file\n"
        "import-options import-minimal,no-keep-ownertrust\nno-greeting\nbatch\nquiet\n";
    snprintf(home, cap, "%s/home", dir);
    gpg_remove_tree(home);
    int err = mkdir(home, 0700) == 0 ? write_conf(home, conf, O_EXCL) : ERR_IO;
    return err == OK && now ? fake_time(home, now) : err;
}

static int failed(struct gpg_judgement *j, gpgme_error_t e)
{
    return gpg_refuse(j, gpgme_err_code(e) == GPG_ERR_ENOMEM ? ERR_MEMORY : ERR_IO,
                      "gpg failed (%s): try again, and if it stays so, export the certificate again",
                      gpgme_strerror(e));
}

static int fault(struct pgp_judged *found, enum pgp_fault f, unsigned detail)
{
    found->fault = f;
    found->detail = detail;
    return f == PGP_FAULT_REVOKED ? ERR_NO_KEY : ERR_REFUSED;
}

static bool of_rfc4880(unsigned algo)
{
    return (algo >= 1 && algo <= 3) || (algo >= 16 && algo <= 19) || algo == PGP_EDDSA_LEGACY;
}

bool gnupg_knows(const struct pgp_key *k)
{
    return k->version == 4 && of_rfc4880(k->algo);
}

static int import(gpgme_ctx_t ctx, const uint8_t *cert, size_t len, struct pgp_judged *found, struct gpg_judgement *j)
{
    gpgme_data_t data;
    gpgme_error_t e = gpgme_data_new_from_mem(&data, (const char *)cert, len, 0);
    if (e)
        return failed(j, e);
    e = gpgme_op_import(ctx, data);
    gpgme_data_release(data);
    gpgme_import_result_t res = gpgme_op_import_result(ctx);
    if (res && res->secret_read)
        return fault(found, PGP_FAULT_SECRET, 0);
    if (res && res->considered > 1)
        return fault(found, PGP_FAULT_SEVERAL, 0);
    if (res && res->considered == 1 && !res->imported && res->no_user_id)
        return fault(found, PGP_FAULT_SELF_SIGNED, 0);
    if (!e && res && res->imported == 1)
        return OK;
    if (e && gpgme_err_code(e) != GPG_ERR_NO_DATA && !(res && res->considered)) /* shortage, not its own fault */
        return failed(j, e);
    if (!e && !(res && res->considered)) /* a gpg that comes to an end says what it has seen */
        return gpg_refuse(j, ERR_TIMEOUT, GPG_TOO_LONG);
    struct pgp_packet p;
    size_t pos = 0;
    if (pgp_packet_next(cert, len, &pos, &p) == OK && !of_rfc4880(p.body[5])) /* the primary key */
        return fault(found, PGP_FAULT_ALGORITHM, p.body[5]);
    return fault(found, PGP_FAULT_FORMAT, 0);
}

/* A gpg that finds no room tells it to nobody. */
static bool is_full(const char *home)
{
    struct statvfs s;
    return statvfs(home, &s) == 0 && s.f_bavail * s.f_frsize < HOME_NEEDS;
}

static uint8_t algo_of(gpgme_pubkey_algo_t a)
{
    return a == GPGME_PK_ECDSA   ? PGP_ECDSA
           : a == GPGME_PK_ECDH  ? PGP_ECDH
           : a == GPGME_PK_EDDSA ? PGP_EDDSA_LEGACY
                                 : (uint8_t)a; /* the other numbers are OpenPGP's */
}

static bool hex_to_fpr(const char *hex, uint8_t *out, uint8_t *ret_len)
{
    size_t n = hex ? strlen(hex) : 0;
    if (n != 40)
        return false;
    for (size_t i = 0; i < n / 2; i++) {
        char octet[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(octet, NULL, 16);
    }
    *ret_len = (uint8_t)(n / 2);
    return true;
}

static bool read_subkey(gpgme_subkey_t s, uint32_t primary_expires, uint64_t now, struct pgp_judged *found)
{
    size_t i = found->nkeys;
    struct pgp_key *k = &found->keys[i];
    *k = (struct pgp_key){.version = 4,
                          .algo = algo_of(s->pubkey_algo),
                          .created = (uint32_t)s->timestamp,
                          .subkey = i > 0,
                          .bits = s->length};
    if (!hex_to_fpr(s->fpr, k->fpr, &k->fpr_len))
        return false;
    uint32_t expires = (uint32_t)s->expires;
    if (primary_expires && (!expires || primary_expires < expires)) /* no subkey outlives its primary */
        expires = primary_expires;
    found->expires[i] = expires;
    found->encrypts[i] = s->can_encrypt && of_rfc4880(k->algo);
    found->validity[i] = s->revoked                                  ? PGP_REVOKED
                         : s->invalid || s->disabled                 ? PGP_UNBOUND
                         : s->expired || (expires && expires <= now) ? PGP_EXPIRED
                                                                     : PGP_VALID;
    found->nkeys++;
    return true;
}

static int read_key(gpgme_key_t key, uint64_t now, struct pgp_judged *found)
{
    gpgme_subkey_t primary = key->subkeys;
    if (!primary || key->protocol != GPGME_PROTOCOL_OpenPGP)
        return fault(found, PGP_FAULT_FORMAT, 0);
    for (gpgme_subkey_t s = primary; s; s = s->next) {
        if (found->nkeys == PGP_KEYS_MAX)
            return fault(found, PGP_FAULT_LIMIT, 0);
        if (!read_subkey(s, (uint32_t)primary->expires, now, found) && s == primary)
            return fault(found, PGP_FAULT_FORMAT, 0);
    }
    struct pgp_verdict *v = &found->verdict;
    memcpy(v->primary_fpr, found->keys[0].fpr, sizeof(v->primary_fpr));
    v->primary_fpr_len = found->keys[0].fpr_len;
    if (key->revoked || primary->revoked)
        return fault(found, PGP_FAULT_REVOKED, 0);
    if (key->invalid || !key->uids)
        return fault(found, PGP_FAULT_SELF_SIGNED, 0);
    bool any = false;
    for (gpgme_user_id_t u = key->uids; u; u = u->next) {
        if (found->nuser_ids == PGP_USER_IDS_MAX)
            return fault(found, PGP_FAULT_LIMIT, 0);
        any |= !u->revoked;
        size_t i = found->nuser_ids++;
        found->user_ids[i].text = (const uint8_t *)u->uid;
        found->user_ids[i].len = strlen(u->uid);
        found->user_ids[i].primary = u == key->uids; /* GnuPG lists it first */
        found->user_ids[i].validity = u->revoked ? PGP_REVOKED : u->invalid ? PGP_EXPIRED : PGP_VALID;
    }
    return any ? OK : fault(found, PGP_FAULT_USER_IDS, 0);
}

static int judge_in(struct gnupg *g, const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *found,
                    struct gpg_judgement *j)
{
    gpgme_error_t e = gpgme_new(&g->ctx);
    if (!e)
        e = gpgme_ctx_set_engine_info(g->ctx, GPGME_PROTOCOL_OpenPGP, "/usr/bin/gpg", g->home);
    if (e)
        return failed(j, e);
    int err = import(g->ctx, cert, len, found, j);
    if (err != OK)
        return !found->fault && is_full(g->home) ? gpg_refuse(j, ERR_IO, NO_ROOM) : err;
    gpgme_set_keylist_mode(g->ctx, GPGME_KEYLIST_MODE_LOCAL);
    e = gpgme_op_keylist_start(g->ctx, NULL, 0);
    if (!e)
        e = gpgme_op_keylist_next(g->ctx, &g->key);
    if (e)
        return failed(j, e);
    gpgme_op_keylist_end(g->ctx);
    return read_key(g->key, now ? now : (uint64_t)time(NULL), found);
}

int gnupg_judge(const char *dir, const uint8_t *cert, size_t len, uint64_t now, struct gnupg **ret,
                struct pgp_judged *found, struct gpg_judgement *j)
{
    struct gnupg *g = calloc(1, sizeof(*g));
    *found = (struct pgp_judged){0};
    if (!g)
        return gpg_refuse(j, ERR_MEMORY, "out of memory: try again");
    int err = make_home(dir, now, g->home, sizeof(g->home)) == OK
                  ? judge_in(g, cert, len, now, found, j)
                  : gpg_refuse(j, ERR_IO, "no home for gpg could be made: is /dev/shm full?");
    if (err != OK)
        gnupg_close(g);
    else
        *ret = g;
    return err;
}

/* gpg leaves expired subkeys out of a minimal export: it is told a time at which the chosen one was valid. */
int gnupg_export(struct gnupg *g, uint32_t expired, uint8_t **ret, size_t *ret_len, struct gpg_judgement *j)
{
    gpgme_key_t keys[2] = {g->key, NULL};
    gpgme_data_t data;
    if (expired && fake_time(g->home, expired - 1) != OK)
        return gpg_refuse(j, ERR_IO, NO_ROOM);
    gpgme_error_t e = gpgme_data_new(&data);
    if (e)
        return failed(j, e);
    e = gpgme_op_export_keys(g->ctx, keys, GPGME_EXPORT_MODE_MINIMAL, data);
    size_t len;
    char *mem = gpgme_data_release_and_get_mem(data, &len);
    int err = e || !mem || !len || len > PGP_CERT_MAX ? failed(j, e ? e : gpgme_error(GPG_ERR_NO_DATA)) : OK;
    uint8_t *copy = err == OK ? malloc(len) : NULL;
    if (err == OK && !copy)
        err = gpg_refuse(j, ERR_MEMORY, "out of memory: try again");
    if (err == OK) {
        memcpy(copy, mem, len);
        *ret = copy;
        *ret_len = len;
    }
    gpgme_free(mem);
    return err;
}

int gnupg_try(struct gnupg *g, const uint8_t *fpr, size_t fpr_len, struct gpg_judgement *j)
{
    char name[2 * PGP_FPR_MAX + 2] = "";
    gpgme_data_t in = NULL, out = NULL;
    for (size_t i = 0; i < fpr_len; i++)
        snprintf(name + 2 * i, 3, "%02X", fpr[i]);
    strcat(name, "!"); /* this key of it, not the newest */
    gpgme_error_t e = gpgme_data_new_from_mem(&in, "trial", 5, 0);
    if (!e)
        e = gpgme_data_new(&out);
    if (!e)
        e = gpgme_op_encrypt_ext(g->ctx, NULL, name, GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_COMPRESS, in, out);
    gpgme_data_release(in);
    gpgme_data_release(out);
    if (!e)
        return OK;
    return gpgme_err_code(e) == GPG_ERR_ENOMEM
               ? failed(j, e)
               : gpg_refuse(j, ERR_FORMAT, "gpg cannot seal to its encryption key (%s): " GPG_GOOD_KEY,
                            gpgme_strerror(e));
}

void gnupg_close(struct gnupg *g)
{
    if (!g)
        return;
    gpgme_key_unref(g->key);
    gpgme_release(g->ctx);
    gpg_remove_tree(g->home);
    free(g);
}
