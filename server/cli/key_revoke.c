/* letterlock key revoke, and key add of what is revoked: in words what server/keys makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"

static int say_fault(const struct cli *c, const struct keys_ending *e)
{
    const char *file = c->arg[1], *address = c->arg[0];
    switch (e->fault) {
    case KEYS_FAULT_UNREADABLE: return cli_fail(c, "%s: it cannot be read: %s", file, err_str(e->err));
    case KEYS_FAULT_REVOCATIONS: return cli_fail(c, "%s: its revocations cannot be read: %s", file, err_str(e->err));
    case KEYS_FAULT_NO_KEY_OF_IT:
        return cli_fail(c, "%s: %s has no key that this revokes; letterlock key list shows them", file, address);
    case KEYS_FAULT_NO_SUCH_KEY:
        return cli_fail(c, "%s: it has been revoked, and %s has no such key: give a good one", file, address);
    case KEYS_FAULT_DOES_NOT_FIT: return cli_fail(c, "%s: it does not fit the certificate: %s", file, err_str(e->err));
    case KEYS_FAULT_JUDGED: return cli_fail(c, "%s: %s", file, *e->why ? e->why : err_str(e->err));
    case KEYS_FAULT_NOT_BY_THE_KEY:
        return cli_fail(c, "%s: it was not made by the key that it names: nothing has changed", file);
    case KEYS_FAULT_OLDER_COPY:
        return cli_fail(c,
                        "%s: it is an older copy, without the encryption key that mail is sealed to: export it again "
                        "where the key is kept; if that encryption key is lost, make a new one first",
                        file);
    default: return EXIT_DONE;
    }
}

/* What remains when this key has gone. */
static void say_ended(const struct cli *c, const struct keys_list *l, const struct keys_ending *e)
{
    unsigned others = 0;
    for (size_t k = 0; k < l->n; k++)
        others += l->v[k].key.state == KEY_CURRENT && &l->v[k] != e->key;
    cli_mind(c, "%s: %s: mail is no longer sealed to it%s", c->arg[1],
             e->request.type == VAULT_KEY_REVOKED ? "it has been revoked" : "its encryption key has been revoked",
             others ? "" : ", and it was the last key: senders have to wait until key add gives a good one");
}

static int tell_vault(const struct cli *c, struct instance *i, const struct keys_ending *e)
{
    int rc = i->vault < 0 ? instance_vault(c, i) : EXIT_DONE;
    if (rc)
        return rc;
    return e->cert ? instance_call_cert(c, i, &e->request, e->cert, e->cert_len)
                   : instance_call(c, i, &e->request, -1, NULL);
}

int key_revoke(const struct cli *c, struct instance *i, const struct schema_account *a, const char *text, size_t len)
{
    static struct keys_list list;
    static struct keys_ending e;
    struct keys_judge judge = {.view = i->view, .address = a->address};
    int rc = key_list_read(c, i, a->id, &list);
    if (rc)
        return rc;
    rc = instance_judge(c, i, &judge.channel);
    if (!rc) {
        (void)keys_revocation(&judge, &list, text, len, &e);
        rc = e.fault ? say_fault(c, &e) : tell_vault(c, i, &e);
        if (!rc)
            say_ended(c, &list, &e);
        free(e.cert);
    }
    keys_free(&list);
    return rc;
}
