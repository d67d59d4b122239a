/* GPGME as a library's user has it: a context and the recipient's key at hand, one key in the ring, one call a message.
 */
#include <ftw.h>
#include <gpgme.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/seal_peers.h"

static char home[] = "/dev/shm/letterlock-bench-XXXXXX";
static gpgme_ctx_t ctx;
static gpgme_key_t key;

static int check(const char *what, gpgme_error_t err)
{
    if (!err)
        return 0;
    fprintf(stderr, "GPGME: %s: %s\n", what, gpgme_strerror(err));
    return -1;
}

int seal_gpgme_open(uint8_t *cert, size_t cap, size_t *ret_len)
{
    gpgme_data_t out = NULL;
    if (!gpgme_check_version(NULL) || !mkdtemp(home))
        return check("home", GPG_ERR_GENERAL);
    gpgme_set_locale(NULL, LC_CTYPE, setlocale(LC_CTYPE, NULL));
    if (check("context", gpgme_new(&ctx)) ||
        check("engine", gpgme_ctx_set_engine_info(ctx, GPGME_PROTOCOL_OpenPGP, NULL, home)) ||
        check("key", gpgme_op_createkey(ctx, "bench@example.org", "future-default", 0, 0, NULL,
                                        GPGME_CREATE_NOPASSWD | GPGME_CREATE_NOEXPIRE)) ||
        check("look-up", gpgme_get_key(ctx, "bench@example.org", &key, 0)) || check("data", gpgme_data_new(&out)) ||
        check("export", gpgme_op_export(ctx, "bench@example.org", GPGME_EXPORT_MODE_MINIMAL, out)))
        return -1;
    gpgme_data_seek(out, 0, SEEK_SET);
    ssize_t n = gpgme_data_read(out, cert, cap);
    gpgme_data_release(out);
    *ret_len = n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : check("certificate", GPG_ERR_GENERAL);
}

int seal_gpgme_once(const uint8_t *in, size_t len)
{
    gpgme_key_t keys[] = {key, NULL};
    gpgme_data_t plain = NULL, sealed = NULL;
    int err = check("data", gpgme_data_new_from_mem(&plain, (const char *)in, len, 0)) ||
              check("data", gpgme_data_new(&sealed)) ||
              check("encrypt",
                    gpgme_op_encrypt(ctx, keys, GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_COMPRESS, plain, sealed));
    if (!err && gpgme_data_seek(sealed, 0, SEEK_END) < (off_t)len)
        err = check("less came out than went in", GPG_ERR_GENERAL);
    gpgme_data_release(plain);
    gpgme_data_release(sealed);
    return err ? -1 : 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void seal_gpgme_close(void)
{
    char command[128];
    gpgme_key_unref(key);
    gpgme_release(ctx);
    snprintf(command, sizeof(command), "gpgconf --homedir %s --kill all", home);
    if (system(command) != 0)
        fprintf(stderr, "GPGME: the agent of %s could not be ended\n", home);
    nftw(home, drop, 16, FTW_DEPTH | FTW_PHYS);
}
