/* The way to the judge: is this certificate good for sealing to? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/gpg/gpg.h"
#include "server/master/control.h"
#include "server/master/offline.h"

/* The addresses of the account that the command's first operand names: all of an account that is there, else the
 * address itself. */
struct addresses {
    uint64_t account;
    size_t n;
    char text[GPG_ADDRESSES_MAX][ADDRESS_MAX];
    const char *at[GPG_ADDRESSES_MAX];
};

static void add_address(struct addresses *a, const char *address)
{
    if (a->n == GPG_ADDRESSES_MAX)
        return;
    snprintf(a->text[a->n], ADDRESS_MAX, "%s", address);
    a->at[a->n] = a->text[a->n];
    a->n++;
}

static int see_address(void *arg, const struct schema_address *s)
{
    struct addresses *a = arg;
    if (s->account == a->account && s->kind != ADDRESS_PRIMARY)
        add_address(a, s->address);
    return 0;
}

static int read_addresses(void *arg, struct view *v)
{
    struct addresses *a = arg;
    struct schema_address owner;
    a->n = 1; /* the operand, which stands first in words too */
    int err = view_address(v, a->text[0], &owner);
    if (err)
        return err == ERR_NOT_FOUND ? 0 : err;
    struct schema_account account;
    a->account = owner.account;
    err = view_account(v, owner.account, &account);
    if (!err)
        add_address(a, account.address);
    return err ? err : view_addresses_each(v, see_address, a);
}

static int find_addresses(const struct cli *c, struct instance *i, struct addresses *a)
{
    size_t at, plus;
    char address[ADDRESS_MAX];
    a->n = 0;
    if (!c->nargs || address_normalize(c->arg[0], strlen(c->arg[0]), address, &at, &plus))
        return OK;
    add_address(a, address);
    return view_run(i->view, read_addresses, a);
}

int cli_judge(const struct cli *c, struct instance *i, const char *name, const void *text, size_t len,
              struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked)
{
    char why[256] = "";
    int channel = -1;
    struct offline *judge = NULL;
    struct gpg_judgement j = {0};
    struct addresses *a = malloc(sizeof(*a));
    int err = a ? find_addresses(c, i, a) : ERR_MEMORY;
    if (err) {
        free(a);
        return cli_fail(c, "the account's addresses cannot be read: %s", err_str(err));
    }
    err = i->running
              ? instance_ask_master(c, CONTROL_JUDGE, &channel)
              : offline_judge(c->dir, &i->config, i->config_text, i->config_len, &judge, &channel, why, sizeof(why));
    int rc = err ? cli_fail(c, "gpg could not be started to judge the certificate: %s", *why ? why : err_str(err))
                 : EXIT_DONE;
    bool revoked = !rc && gpg_judge_call(channel, text, len, a->at, a->n, &j) == ERR_NO_KEY && ret_revoked;
    if (!rc && j.status && !revoked)
        rc = cli_fail(c, "%s: %s", name, *j.why ? j.why : err_str(j.status));
    free(a);
    if (!rc && ret_revoked)
        *ret_revoked = revoked;
    if (!rc) {
        if (*j.why && !revoked)
            cli_mind(c, "%s: %s", name, j.why);
        *ret = j.verdict;
        *ret_cert = j.cert;
        *ret_len = j.cert_len;
    }
    offline_stop(judge);
    if (channel >= 0)
        close(channel);
    return rc;
}

int cli_read_cert(const struct cli *c, const char *path, char **ret, size_t *ret_len)
{
    int err = cli_read_file(path, PGP_CERT_MAX, ret, ret_len);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not there: name the file with the reader's certificate", path);
    if (err == ERR_LIMIT)
        return cli_fail(c, "%s is larger than 1 MB: export it with gpg --export-options export-minimal", path);
    return err ? cli_fail(c, "cannot read %s: %s", path, err == ERR_IO ? strerror(errno) : err_str(err)) : EXIT_DONE;
}

int cli_judge_file(const struct cli *c, struct instance *i, const char *path, struct pgp_verdict *ret,
                   uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked)
{
    char *text;
    size_t len;
    int rc = cli_read_cert(c, path, &text, &len);
    if (rc)
        return rc;
    rc = cli_judge(c, i, path, text, len, ret, ret_cert, ret_len, ret_revoked);
    free(text);
    return rc;
}
