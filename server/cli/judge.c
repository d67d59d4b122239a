/* The way to the judge: is this certificate good for sealing to? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/keys/keys.h"

int cli_judge(const struct cli *c, struct instance *i, const char *name, const void *text, size_t len,
              struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked)
{
    char address[ADDRESS_MAX];
    size_t at, plus;
    struct gpg_judgement found = {0};
    struct keys_judge judge = {.view = i->view};
    if (c->nargs && address_normalize(c->arg[0], strlen(c->arg[0]), address, &at, &plus) == OK)
        judge.address = address;
    int rc = instance_judge(c, i, &judge.channel);
    if (rc)
        return rc;
    int status = keys_judge(&judge, text, len, &found);
    bool revoked = status == ERR_NO_KEY && ret_revoked;
    if (status && !revoked)
        return cli_fail(c, "%s: %s", name, *found.why ? found.why : err_str(status));
    if (*found.why && !revoked)
        cli_mind(c, "%s: %s", name, found.why);
    if (ret_revoked)
        *ret_revoked = revoked;
    *ret = found.verdict;
    *ret_cert = found.cert;
    *ret_len = found.cert_len;
    return EXIT_DONE;
}

int cli_read_cert(const struct cli *c, const char *path, char **ret, size_t *ret_len)
{
    int err = cli_read_file(path, PGP_CERT_MAX, ret, ret_len);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not there: name the file with the reader's certificate", path);
    if (err == ERR_LIMIT)
        return cli_fail(c, "%s is larger than 1 MB: export it with gpg --export-options export-minimal", path);
    return err ? cli_fail(c, "cannot read %s: %s", path, cli_err_str(err)) : EXIT_DONE;
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
