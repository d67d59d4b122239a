/* letterlock key approve: a way back for an account whose certificates, or whose own address, nobody approved. They are
 * shown, and signed as they were shown or not at all. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/forward.h"
#include "store/storekey.h"
#include "server/cli/key_facts.h"
#include "server/cli/publish.h"
#include "store/approve.h"
#include "store/client.h"

/* Whose address it is cannot be asked of a record that may lie: the list of accounts says it, and the account. */
struct search {
    char address[ADDRESS_MAX]; /* as it was typed, normalized */
    struct schema_account account;
    uint64_t listed;
    unsigned n;
    bool address_approved; /* the account's own */
};

static int see_listed(void *arg, uint64_t account, const char *address)
{
    struct search *s = arg;
    if (strcmp(address, s->address) == 0) {
        s->listed = account;
        s->n++;
    }
    return 0;
}

static int find_by_list(struct search *s, struct view *v)
{
    s->n = 0;
    int err = view_accounts_each(v, see_listed, s);
    if (err != OK)
        return err;
    if (s->n != 1)
        return s->n == 0 ? ERR_NOT_FOUND : ERR_CONFLICT;
    err = view_account(v, s->listed, &s->account);
    return err == OK && strcmp(s->account.address, s->address) != 0 ? ERR_CONFLICT : err;
}

static bool lost(int err)
{
    return err == ERR_UNAPPROVED || err == ERR_NOT_FOUND || err == ERR_CRYPTO || err == ERR_FORMAT;
}

static int find(void *arg, struct view *v)
{
    struct search *s = arg;
    struct schema_address a;
    int err = view_address(v, s->address, &a);
    if (err == OK)
        err = view_account(v, a.account, &s->account);
    else if (lost(err))
        err = find_by_list(s, v);
    if (err != OK)
        return err;
    err = view_address(v, s->account.address, &a);
    s->address_approved = err == OK;
    return lost(err) ? OK : err;
}

static int search(const struct cli *c, struct instance *i, struct search *s)
{
    size_t at, plus;
    if (address_normalize(c->arg[0], strlen(c->arg[0]), s->address, &at, &plus))
        return cli_fail(c, "%s is not a mail address", c->arg[0]);
    int err = view_run(i->view, find, s);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "no account has the address %s; letterlock account list shows them", s->address);
    if (err == ERR_CONFLICT)
        return cli_fail(c, "the store does not say with one voice whose address %s is: restore a backup", s->address);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

/* What stands in a certificate's place cannot be looked at. */
static int show(const struct cli *c, const struct search *s, const struct keys_list *l)
{
    if (!s->address_approved)
        printf("%s\n  address     nobody approved that its mail goes to this account; it will, if you approve\n",
               s->account.address);
    if (s->account.encrypt != ENCRYPT_NEVER) /* which is signed as well */
        printf("%s\n  encrypt     %s\n", s->account.address, account_encrypt_name(s->account.encrypt));
    forward_print_signed(&s->account);
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

static int sign_address(const struct cli *c, struct instance *i, const struct schema_account *a)
{
    const struct vault_request q = {.type = VAULT_ADDRESS_ADD,
                                    .account = a->id,
                                    .name = {slice_str(a->address), ADDRESS_PRIMARY}};
    return instance_call(c, i, &q, -1, NULL);
}

static int sign_keys(const struct cli *c, struct instance *i, const struct schema_account *a, const struct keys_list *l)
{
    struct schema_key keys[PGP_KEYS_MAX];
    struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                              .account = a->id,
                              .new = {.policy = VAULT_POLICY_KEEP,
                                      .quota = VAULT_QUOTA_KEEP,
                                      .seal_v2 = a->seal_v2,
                                      .encrypt = a->encrypt,
                                      .publish = VAULT_PUBLISH_KEEP,
                                      .autocrypt = VAULT_AUTOCRYPT_KEEP,
                                      .key_changes = VAULT_KEY_CHANGES_KEEP,
                                      .forwards = true,
                                      .forward_how = a->forward_how,
                                      .forward = slice_str(a->forward)}};
    struct vault_reply r;
    char text[256] = "";
    for (size_t k = 0; k < l->n; k++)
        keys[k] = l->v[k].key;
    int err = approve_as_shown(i->view, i->roots->store, &q, &(struct key_set){keys, l->n});
    if (err == OK)
        err = vault_call(i->vault, &q, -1, &r, text);
    if (err == ERR_CONFLICT || err == ERR_OVERRUN)
        return cli_fail(c, "nothing was signed: the store has other certificates now than were shown");
    return err ? cli_fail(c, "nothing was signed: %s", *text ? text : err_str(err)) : EXIT_DONE;
}

static int approve_one(const struct cli *c, struct instance *i, const struct search *s)
{
    static struct keys_list list;
    int rc = key_list_read(c, i, s->account.id, &list);
    if (rc)
        return rc;
    rc = show(c, s, &list);
    if (!rc)
        rc = ask(c);
    if (!rc)
        rc = instance_vault(c, i);
    if (!rc)
        rc = sign_keys(c, i, &s->account, &list);
    if (!rc && !s->address_approved)
        rc = sign_address(c, i, &s->account);
    if (!rc)
        printf("approved\n");
    keys_free(&list);
    return rc ? rc : publish_account(c, i, s->account.id, PUBLISH_KEY);
}

int command_key_approve(struct cli *c)
{
    struct instance i;
    struct search s = {{0}};
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = search(c, &i, &s);
    if (!rc)
        rc = approve_one(c, &i, &s);
    instance_close(&i);
    return rc;
}
