/* A key that becomes current is told to the account's other current keys, before it counts: the notice is sealed here,
 * to the keys that are current until then, and goes along with the change. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/cli/key_facts.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/format/parcel.h"
#include "server/sealer/notice_mail.h"
#include "server/sealer/sealer.h"

struct sealed_notice {
    int status, parcel;
    struct seal_result r;
};

static void on_sealed(void *arg, int status, const struct seal_result *r)
{
    struct sealed_notice *s = arg;
    s->status = status;
    if (status == OK) {
        s->r = *r;
        s->parcel = r->parcel_fd;
    }
}

/* ERR_GONE: GnuPG has to seal to one of the keys. */
static int seal(struct instance *i, const struct schema_account *a, const char *mail, size_t len, uint64_t now,
                struct sealed_notice *ret)
{
    struct loop *loop = loop_create();
    struct sealer *s = loop ? sealer_create(loop, i->view, NULL, i->config.domain) : NULL;
    struct iovec piece = {(void *)(uintptr_t)mail, len};
    const struct seal_request q = {.account = a->id,
                                   .mail = &piece,
                                   .mail_n = 1,
                                   .mail_len = len,
                                   .received = "",
                                   .auth_results = "",
                                   .tls = "",
                                   .now = now,
                                   .date = (int64_t)now};
    struct seal_op *op = NULL;
    int err = s ? sealer_start(s, &q, on_sealed, ret, &op) : ERR_MEMORY;
    if (err == OK && op) { /* nothing but the gpg role makes it wait */
        sealer_cancel(op);
        err = ERR_GONE;
    }
    sealer_destroy(s);
    loop_destroy(loop);
    return err == OK ? ret->status : err;
}

/* The certificate, then the parcel, in one descriptor. */
static int enclose(const void *cert, size_t cert_len, int parcel, int *ret_fd)
{
    struct stat st;
    if (fstat(parcel, &st) != 0)
        return ERR_IO;
    size_t len = cert_len + (size_t)st.st_size;
    uint8_t *all = malloc(len);
    if (!all)
        return ERR_MEMORY;
    if (cert_len > 0)
        memcpy(all, cert, cert_len);
    int err = pread(parcel, all + cert_len, (size_t)st.st_size, 0) == st.st_size ? OK : ERR_IO;
    if (err == OK)
        err = parcel_make_plain(all, len, ret_fd);
    free(all);
    return err;
}

static int make(struct instance *i, const struct schema_account *a, const struct key_bytes *key, struct slice cert,
                struct vault_key_told *told, int *ret_fd)
{
    struct notice d = {.fpr_len = (uint8_t)key->len, .events = NOTICE_ADDED, .state = KEY_CURRENT};
    struct sealed_notice s = {.parcel = -1, .status = ERR_GONE};
    char mail[NOTICE_MAIL_MAX];
    size_t len;
    uint64_t now = (uint64_t)time(NULL);
    memcpy(d.fpr, key->fpr, key->len);
    int err = notice_mail(&d, a->address, now, mail, &len);
    if (err == OK)
        err = seal(i, a, mail, len, now, &s);
    secmem_wipe(mail, sizeof(mail));
    if (err == OK)
        err = enclose(cert.data, cert.len, s.parcel, ret_fd);
    if (s.parcel >= 0)
        close(s.parcel);
    if (err != OK)
        return err;
    *told = (struct vault_key_told){.how = VAULT_TOLD, .policy = s.r.policy, .date = (int64_t)now};
    memcpy(told->thread, s.r.thread, sizeof(told->thread));
    memcpy(told->own_id, s.r.own_id, sizeof(told->own_id));
    return OK;
}

int key_tell_others(const struct cli *c, struct instance *i, const struct schema_account *a, const struct keys_list *l,
                    const struct key_bytes *key, struct slice cert, struct vault_key_told *ret, int *ret_fd)
{
    struct schema_key keys[PGP_KEYS_MAX];
    for (size_t k = 0; k < l->n; k++)
        keys[k] = l->v[k].key;
    *ret = (struct vault_key_told){.how = VAULT_TOLD_NOBODY};
    *ret_fd = -1;
    int err = OK;
    if (key_must_be_told(&(struct key_set){keys, l->n}, key->fpr, key->len)) {
        err = make(i, a, key, cert, ret, ret_fd);
        if (err == ERR_GONE || err == ERR_NO_KEY) {
            ret->how = VAULT_TOLD_UNSEALABLE;
            cli_mind(c, "the other current keys are not told of it: %s",
                     err == ERR_GONE ? "GnuPG has to seal to one of them" : "no mail can be sealed to them");
            err = OK;
        }
        if (err == ERR_UNAPPROVED)
            err = OK; /* then nothing is changed either: approve says so */
    }
    if (err == OK && *ret_fd < 0 && cert.len > 0)
        err = parcel_make_plain(cert.data, cert.len, ret_fd);
    return err ? cli_fail(c, "the account's other keys cannot be told of it, and so nothing is changed: %s",
                          err_str(err))
               : EXIT_DONE;
}
