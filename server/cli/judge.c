/* The way to the judge: is this certificate good for sealing to? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/cli/cli.h"
#include "server/gpg/gpg.h"
#include "server/master/control.h"
#include "server/master/offline.h"

int cli_judge(const struct cli *c, const struct instance *i, const char *name, const void *text, size_t len,
              struct pgp_verdict *ret, uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked)
{
    char why[256] = "";
    int channel = -1;
    struct offline *judge = NULL;
    struct gpg_judgement j = {0};
    int err = i->running ? instance_ask_master(c, CONTROL_JUDGE, &channel)
                         : offline_judge(c->dir, &i->config, i->config_text, i->config_len, &judge, &channel, why,
                                         sizeof why);
    int rc = err ? cli_fail(c, "gpg could not be started to judge the certificate: %s", *why ? why : err_str(err))
                 : EXIT_DONE;
    bool revoked = !rc && gpg_judge_call(channel, text, len, &j) == ERR_NO_KEY && ret_revoked;
    if (!rc && j.status && !revoked)
        rc = cli_fail(c, "%s: %s", name, *j.why ? j.why : err_str(j.status));
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

int cli_judge_file(const struct cli *c, const struct instance *i, const char *path, struct pgp_verdict *ret,
                   uint8_t **ret_cert, size_t *ret_len, bool *ret_revoked)
{
    char *text;
    size_t len;
    int err = cli_read_file(path, PGP_CERT_MAX, &text, &len);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not there: name the file with the reader's certificate", path);
    if (err == ERR_LIMIT)
        return cli_fail(c, "%s is larger than 1 MB: export it with gpg --export-options export-minimal", path);
    if (err)
        return cli_fail(c, "cannot read %s: %s", path, err == ERR_IO ? strerror(errno) : err_str(err));
    int rc = cli_judge(c, i, path, text, len, ret, ret_cert, ret_len, ret_revoked);
    free(text);
    return rc;
}
