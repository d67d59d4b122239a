#include "store/approve.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/account.h"
#include "store/approval.h"

struct approving {
    const uint8_t *root;
    struct vault_request *q;
    struct slice cert;
    enum key_state state; /* that the request asks for */
    struct schema_account account;
    uint8_t uuid[STORE_UUID_SIZE];
    struct schema_key keys[PGP_KEYS_MAX], changed;
    struct key_set set;
    const struct key_set *shown;
    uint8_t present[PGP_CERT_MAX];
};

static void sign_keys(struct approving *a, const struct schema_key *changed)
{
    struct approval_text text;
    a->q->approval.keys_version = a->account.keys_version++;
    approval_of_keys(a->uuid, &a->account, &a->set, changed, &text);
    approver_sign(a->root, text.data, text.len, a->q->approval.keys);
}

static int sign_address(struct approving *a, uint8_t kind)
{
    struct schema_address address = {.account = a->account.id, .kind = kind};
    struct approval_text text;
    struct slice name = a->q->type == VAULT_ACCOUNT_ADD ? a->q->new.address : a->q->name.text;
    char typed[ADDRESS_MAX];
    if (name.len >= sizeof(typed))
        return ERR_LIMIT;
    memcpy(typed, name.data, name.len);
    typed[name.len] = '\0';
    int err = address_fold(typed, kind == ADDRESS_CATCH_ALL, address.address);
    if (err != OK)
        return err;
    if (a->q->type == VAULT_ACCOUNT_ADD)
        memcpy(a->account.address, address.address, sizeof(address.address));
    approval_of_address(a->uuid, &address, a->account.address, &text);
    approver_sign(a->root, text.data, text.len, a->q->approval.address);
    return OK;
}

/* ---- the requests ---- */

static int approve_account_add(struct approving *a, struct view *v)
{
    int err = view_next_account(v, &a->account.id);
    if (err != OK)
        return err;
    a->q->account = a->account.id;
    if (!key_verdict_valid(&a->q->new.verdict) || sign_address(a, ADDRESS_PRIMARY) != OK)
        return OK;
    a->changed = key_added(NULL, &a->q->new.verdict, a->cert, 0);
    sign_keys(a, &a->changed);
    return OK;
}

static int read_as_they_stand(struct approving *a, struct view *v)
{
    int err = view_account(v, a->q->account, &a->account);
    if (err == OK)
        err = view_keys_read(v, a->q->account, a->keys, &a->set.n);
    a->set.v = a->keys;
    return err;
}

static int read_keys(struct approving *a, struct view *v)
{
    int err = read_as_they_stand(a, v);
    return err == OK ? view_keys_approved(v, &a->account, a->keys, a->set.n) : err;
}

static int approve_account_set(struct approving *a, struct view *v)
{
    const struct vault_account *new = &a->q->new;
    if (!account_set_is_approved(new))
        return OK;
    int err = read_keys(a, v);
    if (err != OK)
        return err;
    if (new->seal_v2 != VAULT_SEAL_V2_KEEP)
        a->account.seal_v2 = new->seal_v2;
    if (new->encrypt != VAULT_ENCRYPT_KEEP)
        a->account.encrypt = new->encrypt;
    if (new->forward.len >= sizeof(a->account.forward))
        return ERR_LIMIT;
    account_set_forward(&a->account, new);
    sign_keys(a, NULL);
    return OK;
}

static int approve_address_add(struct approving *a, struct view *v)
{
    int err = view_account(v, a->q->account, &a->account);
    if (err == OK)
        (void)sign_address(a, a->q->name.kind); /* what is no address the vault refuses */
    return err;
}

static int approve_key_add(struct approving *a, struct view *v)
{
    const struct pgp_verdict *verdict = &a->q->key.verdict;
    size_t len = 0;
    int err = read_keys(a, v);
    if (err != OK)
        return err;
    a->q->approval.keys_version = a->account.keys_version;
    const struct schema_key *old = key_find(&a->set, verdict->primary_fpr, verdict->primary_fpr_len);
    if (old != NULL && view_key_cert(v, a->account.id, old, a->present, &len) != OK)
        len = 0; /* one that is damaged is renewed */
    if (key_may_add(&a->set, verdict, a->cert, slice_of(a->present, len)) != OK)
        return OK;
    a->changed = key_added(old, verdict, a->cert, 0);
    sign_keys(a, &a->changed);
    return OK;
}

static int approve_key_state(struct approving *a, struct view *v)
{
    int err = read_keys(a, v);
    if (err != OK)
        return err;
    a->q->approval.keys_version = a->account.keys_version;
    const struct schema_key *k = key_find(&a->set, a->q->key.fpr.data, a->q->key.fpr.len);
    if (k == NULL || key_stays(k, a->state) || key_may_become(&a->set, k, a->state) != OK)
        return OK;
    a->changed = key_with_state(k, a->state, a->cert, 0);
    sign_keys(a, &a->changed);
    return OK;
}

static const struct {
    enum vault_msg type;
    int (*approve)(struct approving *a, struct view *v);
    enum key_state state;
} table[] = {
    {VAULT_ACCOUNT_ADD, approve_account_add, KEY_CURRENT}, {VAULT_ACCOUNT_SET, approve_account_set, 0},
    {VAULT_ADDRESS_ADD, approve_address_add, 0},           {VAULT_KEY_ADD, approve_key_add, KEY_CURRENT},
    {VAULT_KEY_RETIRE, approve_key_state, KEY_RETIRED},    {VAULT_KEY_CURRENT, approve_key_state, KEY_CURRENT},
    {VAULT_KEY_REVOKED, approve_key_state, KEY_REVOKED},   {VAULT_KEY_ENC_REVOKED, approve_key_state, KEY_ENC_REVOKED},
};

static int run(void *arg, struct view *v)
{
    struct approving *a = arg;
    size_t i = 0;
    memset(&a->account, 0, sizeof(a->account));
    memset(&a->q->approval, 0, sizeof(a->q->approval));
    a->set = (struct key_set){.v = a->keys};
    int err = view_uuid(v, a->uuid);
    while (table[i].type != a->q->type)
        i++;
    a->state = table[i].state;
    return err == OK ? table[i].approve(a, v) : err;
}

bool approve_wanted(enum vault_msg type)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].type == type)
            return true;
    return false;
}

/* What was shown beside the certificates. */
static bool is_as_shown(const struct schema_account *a, const struct vault_account *shown)
{
    return a->seal_v2 == shown->seal_v2 && a->encrypt == shown->encrypt && a->forward_how == shown->forward_how &&
           strlen(a->forward) == shown->forward.len &&
           strncmp(a->forward, shown->forward.len ? (const char *)shown->forward.data : "", shown->forward.len) == 0;
}

static int run_as_shown(void *arg, struct view *v)
{
    struct approving *a = arg;
    struct approval_text now, then;
    int err = view_uuid(v, a->uuid);
    if (err == OK)
        err = read_as_they_stand(a, v);
    if (err != OK)
        return err;
    approval_of_keys(a->uuid, &a->account, &a->set, NULL, &now);
    approval_of_keys(a->uuid, &a->account, a->shown, NULL, &then);
    if (now.len != then.len || memcmp(now.data, then.data, now.len) != 0 || !is_as_shown(&a->account, &a->q->new))
        return ERR_CONFLICT;
    sign_keys(a, NULL);
    return OK;
}

int approve_as_shown(struct view *v, const uint8_t root[RECORD_KEY_SIZE], struct vault_request *q,
                     const struct key_set *shown)
{
    struct approving *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return ERR_MEMORY;
    a->root = root;
    a->q = q;
    a->shown = shown;
    int err = view_run(v, run_as_shown, a);
    free(a);
    return err;
}

int approve(struct view *v, const uint8_t root[RECORD_KEY_SIZE], struct vault_request *q, struct slice cert)
{
    if (!approve_wanted(q->type))
        return OK;
    struct approving *a = malloc(sizeof(*a));
    if (a == NULL)
        return ERR_MEMORY;
    a->root = root;
    a->q = q;
    a->cert = cert;
    int err = view_run(v, run, a);
    free(a);
    return err;
}
