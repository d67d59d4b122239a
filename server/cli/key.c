/* letterlock key: the lifecycle of an account's certificates. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"
#include "server/cli/publish.h"

/* ---- what the commands share ---- */

bool cli_read_fpr(const char *text, uint8_t fpr[PGP_FPR_MAX], size_t *ret_len)
{
    return sodium_hex2bin(fpr, PGP_FPR_MAX, text, strlen(text), ": ", ret_len, NULL) == 0 &&
           (*ret_len == 20 || *ret_len == 32);
}

static int read_fpr(const struct cli *c, struct key_bytes *ret)
{
    if (!cli_read_fpr(c->arg[1], ret->fpr, &ret->len))
        return cli_fail(c, "FPR is the certificate's whole fingerprint, as `letterlock key list` prints it");
    return EXIT_DONE;
}

static int no_such_key(const struct cli *c)
{
    return cli_fail(c, "%s has no such key; letterlock key list shows them", c->arg[0]);
}

/* How much of the stored mail needs a key that seals no more. */
static void say_what_needs(const struct cli *c, const struct keys_list *l, const struct keys_entry *f)
{
    if (!f->messages) {
        printf("No stored message is sealed to it.\n");
    } else {
        printf("%" PRIu64 " stored messages are sealed to it, %" PRIu64 " of them to no other key: to read them its "
               "secret key is needed. letterlock key messages %s ",
               f->messages, f->only, c->arg[0]);
        cli_print_fpr(stdout, f->key.verdict.primary_fpr, f->key.verdict.primary_fpr_len);
        printf(" lists them.\n");
    }
    if (l->hidden)
        printf("%" PRIu64 " messages came encrypted to hidden recipients: they may need it.\n", l->hidden);
}

static void say_current(const struct cli *c, const struct keys_list *l, const struct key_bytes *key)
{
    unsigned others = 0;
    for (size_t k = 0; k < l->n; k++) {
        const struct pgp_verdict *v = &l->v[k].key.verdict;
        bool itself = v->primary_fpr_len == key->len && !memcmp(v->primary_fpr, key->fpr, key->len);
        if (itself || l->v[k].key.state != KEY_CURRENT)
            continue;
        if (!others++)
            printf("These stay current too, and new mail is sealed to all of them; letterlock key retire %s FPR ends "
                   "one:\n",
                   c->arg[0]);
        printf("  ");
        cli_print_fpr(stdout, v->primary_fpr, v->primary_fpr_len);
        putchar('\n');
    }
}

/* The vault refuses it too, but which of the others stands in the way is said here. */
static int goes_with_current(const struct cli *c, const struct keys_list *l, const struct pgp_verdict *v)
{
    struct schema_key keys[PGP_KEYS_MAX];
    for (size_t k = 0; k < l->n; k++)
        keys[k] = l->v[k].key;
    const struct schema_key *other = key_at_odds(&(struct key_set){keys, l->n}, v);
    if (!other)
        return EXIT_DONE;
    char hex[2 * PGP_FPR_MAX + 1];
    sodium_bin2hex(hex, sizeof(hex), other->verdict.primary_fpr, other->verdict.primary_fpr_len);
    return cli_fail(c,
                    "it cannot be current together with %s: GnuPG has to seal to one of them and does not know the "
                    "other's kind. Add a Curve25519 or RSA key first, retire that one, then add this",
                    hex);
}

static void print_head(const struct key_bytes *key, const char *state)
{
    cli_print_fpr(stdout, key->fpr, key->len);
    printf("  %s\n", state);
}

/* One request that is an account and a fingerprint, then say on what the keys have become. */
struct change {
    enum vault_msg type;
    const char *state;
    bool count;
    void (*say)(const struct cli *c, const struct keys_list *l, const struct key_bytes *key);
    struct key_bytes key;
};

static int check_current(const struct cli *c, struct keys_list *l, const struct key_bytes *key)
{
    const struct keys_entry *f = keys_find(l, key->fpr, key->len);
    return f ? goes_with_current(c, l, &f->key.verdict) : EXIT_DONE;
}

static int change_one(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct keys_list list;
    const struct change *x = arg;
    struct vault_request q = {.type = x->type, .account = a->id, .key.fpr = slice_of(x->key.fpr, x->key.len)};
    int fd = -1;
    int rc = key_list_read(c, i, a->id, &list);
    if (!rc && x->type == VAULT_KEY_CURRENT)
        rc = check_current(c, &list, &x->key);
    if (!rc && x->type == VAULT_KEY_CURRENT && keys_find(&list, x->key.fpr, x->key.len))
        rc = key_tell_others(c, i, a, &list, &x->key, slice_of("", 0), &q.key.told, &fd);
    keys_free(&list);
    if (!rc)
        rc = instance_call(c, i, &q, fd, NULL);
    if (fd >= 0)
        close(fd);
    if (!rc)
        rc = key_list_read(c, i, a->id, &list);
    if (!rc && x->count)
        rc = key_list_count(c, i, &list);
    if (!rc) {
        print_head(&x->key, x->state);
        x->say(c, &list, &x->key);
        rc = publish_account(c, i, a->id, PUBLISH_KEY);
    }
    keys_free(&list);
    return rc;
}

static int change(const struct cli *c, struct change *x)
{
    int rc = read_fpr(c, &x->key);
    return rc ? rc : instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, change_one, x);
}

/* ---- add, current, retire, revoke ---- */

static int add_judged(const struct cli *c, struct instance *i, const struct schema_account *a,
                      const struct pgp_verdict *v, struct slice cert)
{
    static struct keys_list list;
    struct vault_request q = {.type = VAULT_KEY_ADD,
                              .account = a->id,
                              .key = {.verdict = *v, .cert_len = (uint32_t)cert.len}};
    int fd = -1;
    struct key_bytes key = {.len = v->primary_fpr_len};
    memcpy(key.fpr, v->primary_fpr, sizeof(key.fpr));
    int rc = key_list_read(c, i, a->id, &list);
    if (!rc) {
        rc = goes_with_current(c, &list, v);
        if (!rc)
            rc = key_tell_others(c, i, a, &list, &key, cert, &q.key.told, &fd);
        keys_free(&list);
    }
    if (!rc)
        rc = instance_vault(c, i);
    if (!rc)
        rc = instance_call_with(c, i, &q, cert, fd);
    if (fd >= 0)
        close(fd);
    if (!rc)
        rc = key_list_read(c, i, a->id, &list);
    if (!rc) {
        print_head(&key, "current: new mail is sealed to it");
        say_current(c, &list, &key);
        keys_free(&list);
        rc = publish_account(c, i, a->id, PUBLISH_KEY);
    }
    return rc;
}

/* What the file holds: a certificate that is judged good, or something that ends a key. */
struct given {
    char *text;
    size_t text_len;
    bool revokes;
    struct pgp_verdict verdict;
    uint8_t *cert;
    size_t len;
};

static int read_given(const struct cli *c, struct instance *i, struct given *g)
{
    static const char guarded[] = "\n:-----BEGIN PGP PUBLIC KEY BLOCK-----"; /* GnuPG's openpgp-revocs.d */
    int rc = cli_read_cert(c, c->arg[1], &g->text, &g->text_len);
    if (rc)
        return rc;
    if (memmem(g->text, g->text_len, guarded, sizeof(guarded) - 1))
        return cli_fail(c,
                        "%s: a colon before \"-----BEGIN\" keeps it from being used by accident: take it away, if "
                        "the key is to be revoked",
                        c->arg[1]);
    g->revokes = keys_is_revocation(g->text, g->text_len);
    return g->revokes ? EXIT_DONE
                      : cli_judge(c, i, c->arg[1], g->text, g->text_len, &g->verdict, &g->cert, &g->len, &g->revokes);
}

static int revoke_one(const struct cli *c, struct instance *i, const struct schema_account *a, const struct given *g)
{
    int rc = key_revoke(c, i, a, g->text, g->text_len);
    return rc ? rc : publish_account(c, i, a->id, PUBLISH_KEY);
}

/* arg: whether only a revocation will do. */
static int add_one(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    const bool *must_revoke = arg;
    struct given g = {0};
    int rc = read_given(c, i, &g);
    if (!rc && g.revokes)
        rc = revoke_one(c, i, a, &g);
    else if (!rc && *must_revoke)
        rc = cli_fail(c, "%s: it is a certificate that nobody has revoked; give the revocation (gpg --gen-revoke)",
                      c->arg[1]);
    else if (!rc)
        rc = add_judged(c, i, a, &g.verdict, slice_of(g.cert, g.len));
    free(g.cert);
    free(g.text);
    return rc;
}

int command_key_add(struct cli *c)
{
    bool must_revoke = false;
    return instance_with_account(c, INSTANCE_VIEW, add_one, &must_revoke);
}

int command_key_revoke(struct cli *c)
{
    bool must_revoke = true;
    return instance_with_account(c, INSTANCE_VIEW, add_one, &must_revoke);
}

int command_key_current(struct cli *c)
{
    struct change x = {.type = VAULT_KEY_CURRENT, .state = "current: new mail is sealed to it", .say = say_current};
    return change(c, &x);
}

static void say_retired(const struct cli *c, const struct keys_list *l, const struct key_bytes *key)
{
    const struct keys_entry *f = keys_find((struct keys_list *)l, key->fpr, key->len);
    if (f)
        say_what_needs(c, l, f);
}

int command_key_retire(struct cli *c)
{
    struct change x = {.type = VAULT_KEY_RETIRE,
                       .state = "retired: no more mail is sealed to it",
                       .count = true,
                       .say = say_retired};
    return change(c, &x);
}

/* ---- list, show, messages ---- */

static void print_json(json_t *v)
{
    json_dumpf(v, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(v);
}

/* The account's keys with their counts, and what the command makes of them. */
struct use {
    int (*use)(const struct cli *c, struct instance *i, struct keys_list *l);
    bool count;
};

static int use_keys(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    static struct keys_list list;
    const struct use *u = arg;
    int rc = key_list_read(c, i, a->id, &list);
    if (!rc && u->count)
        rc = key_list_count(c, i, &list);
    if (!rc)
        rc = u->use(c, i, &list);
    keys_free(&list);
    return rc;
}

static int with_keys(const struct cli *c, int (*use)(const struct cli *c, struct instance *i, struct keys_list *l),
                     bool count)
{
    struct use u = {use, count};
    return instance_with_account(c, INSTANCE_VIEW, use_keys, &u);
}

static int print_list(const struct cli *c, struct instance *i, struct keys_list *l)
{
    json_t *all = c->opt[OPT_JSON] ? json_array() : NULL;
    for (size_t k = 0; k < l->n; k++)
        if (all)
            json_array_append_new(all, key_to_json(&l->v[k]));
        else
            key_print_line(&l->v[k]);
    if (all)
        print_json(json_pack("{s:o, s:I}", "keys", all, "messages_hidden", (json_int_t)l->hidden));
    else if (l->hidden)
        cli_mind(c, "%" PRIu64 " messages came encrypted to hidden recipients and are counted under no key", l->hidden);
    return EXIT_DONE;
}

int command_key_list(struct cli *c)
{
    return with_keys(c, print_list, true);
}

static int print_one(const struct cli *c, struct instance *i, struct keys_list *l)
{
    struct key_bytes key;
    int rc = read_fpr(c, &key);
    const struct keys_entry *f = rc ? NULL : keys_find(l, key.fpr, key.len);
    if (rc || !f)
        return rc ? rc : no_such_key(c);
    if (c->opt[OPT_JSON])
        print_json(key_to_json(f));
    else
        key_print_block(f);
    return EXIT_DONE;
}

int command_key_show(struct cli *c)
{
    return with_keys(c, print_one, true);
}

static int list_messages(const struct cli *c, struct instance *i, struct keys_list *l)
{
    struct key_bytes key;
    int rc = read_fpr(c, &key);
    const struct keys_entry *f = rc ? NULL : keys_find(l, key.fpr, key.len);
    if (rc || !f)
        return rc ? rc : no_such_key(c);
    return key_messages(c, i, l, f);
}

int command_key_messages(struct cli *c)
{
    return with_keys(c, list_messages, false);
}
