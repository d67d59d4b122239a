/* vault_writer DIR WHAT ADDRESS OTHER: what somebody could write who had taken over the vault. It opens the store as
 * the vault does, with the record keys that the vault is given and without the root, and changes what the account of
 * ADDRESS has, under the version that is approved: for the gain of the account of OTHER. Run by
 * test_subverted_vault.py. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/roles.h"
#include "server/core/error.h"
#include "store/engine.h"
#include "store/schema.h"
#include "store/storekey.h"

enum { BLOB = 1000000 /* a number that nothing has */ };

struct side {
    uint64_t account;
    struct schema_address address;
    struct schema_account record;
    struct schema_key keys[PGP_KEYS_MAX];
    size_t n;
};

static struct record_keys *keys;
static struct engine_txn *t;
static struct side alice, mallory;
static uint8_t cert[PGP_CERT_MAX];

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "vault_writer: %s: %s\n", what, err_str(err));
    exit(1);
}

static void load(struct side *s, const char *address)
{
    must(schema_get_address(t, keys, address, &s->address), "address");
    s->account = s->address.account;
    must(schema_get_account(t, keys, s->account, &s->record), "account");
    must(schema_get_keys(t, keys, s->account, s->keys, &s->n), "keys");
}

static void give(struct schema_key *k, const struct schema_key *from)
{
    size_t len;
    must(schema_get_cert(t, keys, mallory.account, from, cert, &len), "certificate");
    k->blob = BLOB;
    k->cert_len = (uint32_t)len;
    key_cert_hash(slice_of(cert, len), k->cert_hash);
    must(schema_put_cert(t, keys, alice.account, k->blob, slice_of(cert, len)), "certificate");
    must(schema_put_key(t, keys, alice.account, k), "key");
}

/* ---- what it does ---- */

static void add_key(void)
{
    struct schema_key k = mallory.keys[0];
    give(&k, &mallory.keys[0]);
}

static void change_state(void)
{
    for (size_t i = 0; i < alice.n; i++)
        if (alice.keys[i].state == KEY_RETIRED) {
            alice.keys[i].state = KEY_CURRENT;
            must(schema_put_key(t, keys, alice.account, &alice.keys[i]), "key");
        }
}

static void change_verdict(void)
{
    for (size_t i = 0; i < alice.n; i++)
        if (alice.keys[i].state == KEY_CURRENT) {
            alice.keys[i].verdict.enc_expires ^= 1;
            must(schema_put_key(t, keys, alice.account, &alice.keys[i]), "key");
        }
}

static void swap_certificate(void)
{
    for (size_t i = 0; i < alice.n; i++)
        if (alice.keys[i].state == KEY_CURRENT) {
            struct schema_key k = alice.keys[i];
            memcpy(k.verdict.enc_fpr, mallory.keys[0].verdict.enc_fpr, sizeof(k.verdict.enc_fpr));
            give(&k, &mallory.keys[0]);
        }
}

/* The records stay as they were approved. */
static void swap_under_the_record(void)
{
    size_t len;
    must(schema_get_cert(t, keys, mallory.account, &mallory.keys[0], cert, &len), "certificate");
    for (size_t i = 0; i < alice.n; i++)
        if (alice.keys[i].state == KEY_CURRENT)
            must(schema_put_cert(t, keys, alice.account, alice.keys[i].blob, slice_of(cert, alice.keys[i].cert_len)),
                 "certificate");
}

/* ---- nothing but one word of the record is another ---- */

static void seal_v2(void)
{
    alice.record.seal_v2 = alice.record.seal_v2 == SEAL_V2_NEVER ? SEAL_V2_AUTO : SEAL_V2_NEVER;
    must(schema_put_account(t, keys, alice.account, &alice.record), "account");
}

static void encrypt(void)
{
    alice.record.encrypt = alice.record.encrypt == ENCRYPT_ALWAYS ? ENCRYPT_NEVER : ENCRYPT_ALWAYS;
    must(schema_put_account(t, keys, alice.account, &alice.record), "account");
}

static void forward(void)
{
    snprintf(alice.record.forward, sizeof(alice.record.forward), "%s", "spy@elsewhere.example");
    must(schema_put_account(t, keys, alice.account, &alice.record), "account");
}

/* That much may be sent on, but not in the clear, nor without a copy. */
static void forward_how(void)
{
    alice.record.forward_how = FORWARD_ONLY;
    must(schema_put_account(t, keys, alice.account, &alice.record), "account");
}

/* ---- where addresses lead ---- */

static void move_address(void)
{
    alice.address.account = mallory.account;
    must(schema_put_address(t, keys, &alice.address), "address");
}

/* And the list of accounts says the same. */
static void move_listed(void)
{
    struct schema_keybuf kb;
    move_address();
    must(engine_del(t, PART_INSTANCE, key_u64(&kb, 'N', alice.account)), "list");
    must(schema_put_listed(t, keys, mallory.account, alice.record.address), "list");
}

static void add_alias(void)
{
    struct schema_address a = {.account = mallory.account, .kind = ADDRESS_ALIAS, .address = "al@letterlock.test"};
    must(schema_put_address(t, keys, &a), "address");
}

/* The other account's keys, with the approval that they have there. */
static void take_set(void)
{
    struct schema_keybuf kb;
    uint8_t approval[APPROVAL_SIZE];
    uint32_t version;
    for (size_t i = 0; i < alice.n; i++) {
        const struct pgp_verdict *v = &alice.keys[i].verdict;
        must(engine_del(t, alice.account,
                        key_certificate(&kb, keys, alice.account, v->primary_fpr, v->primary_fpr_len)),
             "key");
    }
    struct schema_key k = mallory.keys[0];
    give(&k, &mallory.keys[0]);
    must(schema_get_approval(t, keys, mallory.account, &version, approval), "approval");
    alice.record.keys_version = version;
    alice.record.seal_v2 = mallory.record.seal_v2;
    alice.record.encrypt = mallory.record.encrypt;
    alice.record.forward_how = mallory.record.forward_how;
    memcpy(alice.record.forward, mallory.record.forward, sizeof(alice.record.forward));
    must(schema_put_account(t, keys, alice.account, &alice.record), "account");
    must(schema_put_approval(t, keys, alice.account, version, approval), "approval");
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"add-key", add_key},
    {"state", change_state},
    {"verdict", change_verdict},
    {"certificate", swap_certificate},
    {"address", move_address},
    {"listed", move_listed},
    {"set", take_set},
    {"swap", swap_under_the_record},
    {"alias", add_alias},
    {"seal-v2", seal_v2},
    {"encrypt", encrypt},
    {"forward", forward},
    {"forward-how", forward_how},
};

/* The vault's keys alone; the root is gone before anything is done. */
static void take_keys(const char *dir)
{
    struct storekey_roots roots;
    static struct record_bundle bundle;
    char why[256];
    if (storekey_unlock(dir, getenv("STORE_KEY_FILE"), NULL, &roots, why, sizeof(why)) != OK) {
        fprintf(stderr, "vault_writer: %s\n", why);
        exit(1);
    }
    record_bundle_make(roots.store, roots.queue, &bundle);
    sodium_memzero(&roots, sizeof(roots));
    record_bundle_keep(&bundle, roles_table[ROLE_VAULT].uses);
    keys = record_keys_create(&bundle);
}

int main(int argc, char **argv)
{
    char path[1024];
    struct engine *e;
    if (argc != 5 || sodium_init() < 0)
        return 2;
    take_keys(argv[1]);
    snprintf(path, sizeof(path), "%s/store", argv[1]);
    must(engine_lmdb_create(path, UINT64_C(1) << 30, 1000, &e), "store");
    must(engine_group_begin(e, &t), "group");
    load(&alice, argv[3]);
    load(&mallory, argv[4]);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(acts[i].name, argv[2]) == 0) {
            acts[i].run();
            must(engine_group_commit(t), "commit");
            engine_close(e);
            return 0;
        }
    return 2;
}
