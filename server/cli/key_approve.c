/* letterlock key approve: a way back for an account whose certificates nobody approved. They are shown, and signed as
 * they were shown or not at all. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"
#include "store/approve.h"
#include "store/client.h"

/* What stands in a certificate's place cannot be looked at. */
static int show(const struct cli *c, const struct keys_list *l)
{
    for (size_t k = 0; k < l->n; k++) {
        const struct keys_entry *f = &l->v[k];
        key_print_block(f);
        if (f->lost)
            return cli_fail(c, "what is shown last cannot be looked at: restore a backup");
    }
    fflush(stdout);
    return EXIT_DONE;
}

static int ask(const struct cli *c)
{
    char answer[8] = "";
    if (c->opt[OPT_YES])
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO))
        return cli_fail(c, "nothing was signed: compare every fingerprint with its reader, then give --yes");
    fputs("Mail is sealed to all current ones from then on. Did their reader confirm every fingerprint? (yes/no) ",
          stderr);
    if (!fgets(answer, sizeof(answer), stdin) || strcmp(answer, "yes\n") != 0)
        return cli_fail(c, "nothing was signed");
    return EXIT_DONE;
}

static int sign(const struct cli *c, struct instance *i, const struct schema_account *a, const struct keys_list *l)
{
    struct schema_key keys[PGP_KEYS_MAX];
    struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                              .account = a->id,
                              .new = {.policy = VAULT_POLICY_KEEP, .quota = VAULT_QUOTA_KEEP, .seal_v2 = a->seal_v2}};
    struct vault_reply r;
    char text[256] = "";
    for (size_t k = 0; k < l->n; k++)
        keys[k] = l->v[k].key;
    int err = approve_as_shown(i->view, i->key, &q, &(struct key_set){keys, l->n});
    if (err == OK)
        err = vault_call(i->vault, &q, -1, &r, text);
    if (err == ERR_CONFLICT || err == ERR_OVERRUN)
        return cli_fail(c, "nothing was signed: the store has other certificates now than were shown");
    return err ? cli_fail(c, "nothing was signed: %s", *text ? text : err_str(err)) : EXIT_DONE;
}

static int approve_one(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct keys_list list;
    int rc = key_list_read(c, i, a->id, &list);
    if (rc)
        return rc;
    rc = show(c, &list);
    if (!rc)
        rc = ask(c);
    if (!rc)
        rc = instance_vault(c, i);
    if (!rc)
        rc = sign(c, i, a, &list);
    if (!rc)
        printf("approved\n");
    keys_free(&list);
    return rc;
}

int command_key_approve(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW, approve_one, NULL);
}
