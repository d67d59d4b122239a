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
    struct loop *loop;
    bool waits;
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
    if (s->waits)
        loop_stop(s->loop);
}

/* What GnuPG has to seal takes its turn in the role, which ends it after a minute. */
static int seal_with(struct sealer *s, const struct seal_request *q, struct sealed_notice *ret)
{
    struct seal_op *op = NULL;
    int err = sealer_start(s, q, on_sealed, ret, &op);
    if (err == OK && op) {
        ret->waits = true;
        err = loop_run(ret->loop);
        if (err != OK)
            sealer_cancel(op);
    }
    return err == OK ? ret->status : err;
}

static int seal(struct instance *i, const struct schema_account *a, const char *mail, size_t len, uint64_t now,
                int gpg_channel, struct sealed_notice *ret)
{
    struct loop *loop = loop_create();
    struct gpg_seal_client *gpg = loop && gpg_channel >= 0 ? gpg_seal_client_create(loop) : NULL;
    struct sealer *s = loop && (gpg || gpg_channel < 0) ? sealer_create(loop, i->view, gpg, i->config.domain) : NULL;
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
    ret->loop = loop;
    if (gpg)
        gpg_seal_client_channel(gpg, gpg_channel);
    else if (gpg_channel >= 0)
        close(gpg_channel);
    int err = s ? seal_with(s, &q, ret) : ERR_MEMORY;
    sealer_destroy(s);
    gpg_seal_client_destroy(gpg);
    loop_destroy(loop);
    return err;
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

/* The channel that seal takes, when GnuPG has to seal to one of the keys; else -1. */
static int gpg_channel(const struct cli *c, struct instance *i, const struct keys_list *l, int *ret)
{
    *ret = -1;
    for (size_t k = 0; k < l->n; k++)
        if (l->v[k].key.state == KEY_CURRENT && !l->v[k].key.verdict.native)
            return instance_seal(c, i, ret);
    return OK;
}

static int make(const struct cli *c, struct instance *i, const struct schema_account *a, const struct keys_list *l,
                const struct key_bytes *key, struct slice cert, struct vault_key_told *told, int *ret_fd)
{
    struct notice d = {.fpr_len = (uint8_t)key->len, .events = NOTICE_ADDED, .state = KEY_CURRENT};
    struct sealed_notice s = {.parcel = -1, .status = ERR_GONE};
    char mail[NOTICE_MAIL_MAX];
    size_t len;
    int channel;
    uint64_t now = (uint64_t)time(NULL);
    memcpy(d.fpr, key->fpr, key->len);
    int err = notice_mail(&d, a->address, now, mail, &len);
    if (err == OK)
        err = gpg_channel(c, i, l, &channel);
    if (err == OK)
        err = seal(i, a, mail, len, now, channel, &s);
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

static const char *why_not(int err)
{
    return err == ERR_GONE     ? "GnuPG has to seal to one of them, and could not be started"
           : err == ERR_NO_KEY ? "no mail can be sealed to them; letterlock key list says why, key revoke ends one"
                               : err_str(err);
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
    if (key_must_be_told(&(struct key_set){keys, l->n}, key->fpr, key->len))
        err = make(c, i, a, l, key, cert, ret, ret_fd);
    if (err == ERR_UNAPPROVED)
        err = OK; /* then nothing is changed either: approve says so */
    if (err == OK && *ret_fd < 0 && cert.len > 0)
        err = parcel_make_plain(cert.data, cert.len, ret_fd);
    return err ? cli_fail(c, "the account's other keys cannot be told of it, and so nothing is changed: %s",
                          why_not(err))
               : EXIT_DONE;
}
