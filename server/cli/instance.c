/* Opening an instance for one command: configuration, store key, read side, and an admin channel to the vault, whether a server runs or not. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secmem.h"
#include "server/base/error.h"
#include "server/base/ipc.h"
#include "server/base/log.h"
#include "server/cli/cli.h"
#include "server/gpg/gpg.h"
#include "server/master/control.h"
#include "server/master/offline.h"
#include "store/client.h"
#include "store/storekey.h"

enum { CONFIG_FILE_MAX = 256 * 1024 };

int instance_read_config(const struct cli *c, struct config *ret, char **ret_text, size_t *ret_len)
{
    char path[600], why[256] = "", *text;
    size_t len;
    snprintf(path, sizeof path, "%s/letterlock.conf", c->dir);
    int err = cli_read_file(path, CONFIG_FILE_MAX, &text, &len);
    if (err)
        return cli_fail(c, err == ERR_NOT_FOUND ? "%s is not there: make an instance with letterlock init" : "cannot read %s", path);
    if (config_parse(text, len, ret, why, sizeof why)) {
        free(text);
        return cli_fail(c, "%s: %s", path, why);
    }
    if (ret_text) {
        *ret_text = text;
        *ret_len = len;
    } else {
        free(text);
    }
    return EXIT_DONE;
}

static int ask_passphrase(char *out, size_t cap)
{
    const char *file = getenv("LETTERLOCK_PASSPHRASE_FILE");
    if (!file)
        return cli_ask_secret("Passphrase of the store key", out, cap);
    char *text;
    size_t len;
    if (cli_read_file(file, cap - 1, &text, &len))
        return ERR_IO;
    snprintf(out, cap, "%s", text);
    out[strcspn(out, "\r\n")] = 0;
    explicit_bzero(text, len);
    free(text);
    return OK;
}

/* A channel from the running master, or an error. */
static int ask_master(const struct cli *c, enum control_msg msg, int *ret_fd)
{
    unsigned char reply[256];
    unsigned long len = sizeof reply;
    int control, fd = -1;
    int err = control_connect(c->dir, &control);
    if (err)
        return err;
    err = control_call(control, msg, reply, &len, &fd);
    close(control);
    if (!err && fd < 0)
        err = ERR_GONE;
    if (!err)
        *ret_fd = fd;
    return err;
}

int instance_open(const struct cli *c, unsigned what, struct instance *ret)
{
    char why[256] = "";
    struct instance i = {.vault = -1};
    log_init("cli", LOG_LEVEL_ERROR, 0);
    int rc = instance_read_config(c, &i.config, &i.config_text, &i.config_len);
    if (rc)
        return rc;
    i.key = secmem_key_alloc(32);
    if (!i.key)
        rc = cli_fail(c, "out of memory");
    if (!rc && storekey_unlock(c->dir, i.config.store_key_file, ask_passphrase, i.key, why, sizeof why))
        rc = cli_fail(c, "the store key does not open: %s", why);
    int control;
    if (!rc && !control_connect(c->dir, &control)) {
        i.running = true;
        close(control);
    }
    if (!rc && (what & INSTANCE_VAULT)) {
        int err = i.running ? ask_master(c, CONTROL_VAULT, &i.vault)
                            : offline_vault(c->dir, &i.config, i.config_text, i.config_len, i.key, &i.offline, &i.vault, why, sizeof why);
        if (err)
            rc = cli_fail(c, "no way to the store: %s", *why ? why : err_str(err));
    }
    if (!rc && (what & INSTANCE_VIEW)) {
        int err = view_open(c->dir, i.key, i.config.reader_turn_ms, &i.view);
        if (err)
            rc = cli_fail(c, "the store cannot be opened: %s",
                          err == ERR_VERSION ? "a newer letterlock made it; use that version" : err_str(err));
    }
    if (rc) {
        instance_close(&i);
        return rc;
    }
    *ret = i;
    return EXIT_DONE;
}

void instance_close(struct instance *i)
{
    if (i->view)
        view_close(i->view);
    if (i->vault >= 0)
        close(i->vault);
    if (i->offline)
        offline_stop(i->offline);
    secmem_key_free(i->key, 32);
    free(i->config_text);
}

int instance_call(const struct cli *c, struct instance *i, enum vault_request type, const struct pack *p, int fd, struct unpack *ret_body)
{
    static uint8_t reply[IPC_MAX];
    struct unpack body;
    char text[256] = "";
    if (p->failed)
        return cli_fail(c, "an operand is too long");
    int err = vault_call(i->vault, type, p, fd, reply, &body, text);
    if (err)
        return cli_fail(c, "%s", *text ? text : err_str(err));
    if (ret_body)
        *ret_body = body;
    return EXIT_DONE;
}

int instance_snapshot(struct instance *i, int (*read)(void *arg, struct view *v), void *arg)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        int err = view_begin(i->view);
        if (err)
            return err;
        err = read(arg, i->view);
        int late = view_end(i->view);
        if (err || !late)
            return err;
    }
    return ERR_TIMEOUT;
}

struct account_search { const char *address; struct schema_account *account; };

static int find_account(void *arg, struct view *v)
{
    struct account_search *s = arg;
    struct schema_address a;
    int err = schema_get_address(view_txn(v), view_keys(v), s->address, &a);
    return err ? err : view_account(v, a.account, s->account);
}

int instance_account(const struct cli *c, struct instance *i, const char *address, struct schema_account *ret)
{
    char normal[ADDRESS_MAX];
    size_t at, plus;
    if (address_normalize(address, strlen(address), normal, &at, &plus))
        return cli_fail(c, "%s is not a mail address", address);
    struct account_search s = {normal, ret};
    int err = instance_snapshot(i, find_account, &s);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "no account has the address %s; letterlock account list shows them", normal);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int cli_judge(const struct cli *c, const struct instance *i, const char *path, struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len)
{
    char *text, why[256] = "";
    size_t len;
    int channel = -1;
    struct offline *judge = NULL;
    struct gpg_judgement j = {0};
    int err = cli_read_file(path, PGP_CERT_MAX, &text, &len);
    if (err)
        return cli_fail(c, err == ERR_NOT_FOUND ? "%s is not there" : err == ERR_LIMIT ? "%s is larger than 1 MB: export it with gpg --export-options export-minimal" : "cannot read %s", path);
    err = i->running ? ask_master(c, CONTROL_JUDGE, &channel)
                     : offline_judge(c->dir, &i->config, i->config_text, i->config_len, &judge, &channel, why, sizeof why);
    int rc = err ? cli_fail(c, "gpg could not be started to judge the certificate: %s", *why ? why : err_str(err)) : EXIT_DONE;
    if (!rc && gpg_judge_call(channel, (const uint8_t *)text, len, &j))
        rc = cli_fail(c, "%s: %s", path, *j.why ? j.why : err_str(j.status));
    if (!rc) {
        if (*j.why)
            fprintf(stderr, "letterlock %s: mind: %s\n", c->command, j.why);
        *ret = j.verdict;
        *ret_cert = j.cert;
        *ret_len = j.cert_len;
    }
    if (channel >= 0)
        close(channel);
    if (judge)
        offline_stop(judge);
    free(text);
    return rc;
}
