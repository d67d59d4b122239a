/* An account's forward: shown as what it is, and taken only where it may be. */
#include "server/cli/forward.h"

#include <string.h>

#include "server/core/error.h"
#include "server/keys/known.h"
#include "server/mail/address.h"

/* How mail goes on. */
enum way { WAY_NONE, WAY_HERE, WAY_UNAPPROVED, WAY_NOBODY, WAY_OWN_KEYS, WAY_KNOWN, WAY_CLEAR, WAY_KEPT };
static const struct {
    const char *word, *text; /* for status --json; for people */
} ways[] = {
    [WAY_NONE] = {"none", ""},
    [WAY_HERE] = {"here", "which is here, and sealed to that account's keys"},
    [WAY_UNAPPROVED] = {"not-approved", "which is here, and not approved: senders are told to come later"},
    [WAY_NOBODY] = {"nobody", "but nobody here has that address any more: all is kept"},
    [WAY_OWN_KEYS] = {"own-keys", "sealed to the account's own keys"},
    [WAY_KNOWN] = {"sealed", "sealed to the keys that are known of it"},
    [WAY_CLEAR] = {"clear", "IN THE CLEAR"},
    [WAY_KEPT] = {"kept", "but no key of it is known and forward_plaintext is no: all is kept"},
};

/* By what routing says of the address. */
static const struct {
    int err;
    enum way way;
} routes[] = {{OK, WAY_HERE},
              {ERR_UNAPPROVED, WAY_UNAPPROVED},
              {ERR_NOT_FOUND, WAY_NOBODY},
              {ERR_DENIED, WAY_OWN_KEYS},
              {ERR_FORMAT, WAY_OWN_KEYS}};

static int way_of(struct view *v, const char *to, uint8_t how, bool plaintext, enum way *ret)
{
    struct schema_address there;
    size_t k = 0;
    *ret = WAY_NONE;
    if (!to[0])
        return OK;
    int err = view_route(v, to, strlen(to), &there);
    while (k < sizeof(routes) / sizeof(routes[0]) && routes[k].err != err)
        k++;
    if (k == sizeof(routes) / sizeof(routes[0]))
        return err;
    *ret = routes[k].way;
    if (*ret != WAY_OWN_KEYS || how & FORWARD_OWN_KEYS)
        return OK;
    err = known_here(v, to);
    *ret = err == OK ? WAY_KNOWN : plaintext ? WAY_CLEAR : WAY_KEPT;
    return err == ERR_NOT_FOUND ? OK : err;
}

static const char *copy_of(const struct schema_account *a)
{
    return a->forward_how & FORWARD_ONLY ? "no copy is kept" : "a copy is kept";
}

int forward_print(struct view *v, const struct schema_account *a, bool plaintext, FILE *out)
{
    enum way way;
    int err = way_of(v, a->forward, a->forward_how, plaintext, &way);
    if (err == OK && way != WAY_NONE)
        fprintf(out, "  forward  to %s, %s; %s\n", a->forward, ways[way].text, copy_of(a));
    return err;
}

int forward_print_short(struct view *v, const struct schema_account *a, bool plaintext, FILE *out)
{
    enum way way;
    int err = way_of(v, a->forward, a->forward_how, plaintext, &way);
    if (err == OK && way != WAY_NONE)
        fprintf(out, "  forwarded to %s, %s", a->forward, ways[way].text);
    return err;
}

int forward_collect(struct view *v, const struct schema_account *a, bool plaintext, json_t *list)
{
    enum way way;
    int err = way_of(v, a->forward, a->forward_how, plaintext, &way);
    if (err == OK && way != WAY_NONE)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "account", a->address, "to", a->forward, "how",
                                              ways[way].word, "copy", !(a->forward_how & FORWARD_ONLY)));
    return err;
}

void forward_print_list(const json_t *list)
{
    size_t k;
    json_t *v;
    json_array_foreach(list, k, v)
    {
        const char *word = json_string_value(json_object_get(v, "how"));
        enum way way = WAY_HERE;
        while (way < WAY_KEPT && strcmp(ways[way].word, word) != 0)
            way++;
        printf("  forwarded: %s to %s, %s%s\n", json_string_value(json_object_get(v, "account")),
               json_string_value(json_object_get(v, "to")), ways[way].text,
               json_is_true(json_object_get(v, "copy")) ? "" : "; no copy is kept");
    }
}

void forward_print_signed(const struct schema_account *a)
{
    if (a->forward[0])
        printf("%s\n  forward     to %s%s; %s\n", a->address, a->forward,
               a->forward_how & FORWARD_OWN_KEYS ? ", sealed to the account's own keys" : "", copy_of(a));
}

/* ---- account set ---- */

static bool may_be_sent_to(const char *s, char address[ADDRESS_MAX])
{
    char domain[DOMAIN_CAP];
    size_t used;
    const char *at;
    if (address_envelope_read((const uint8_t *)s, strlen(s), address, ADDRESS_MAX, &used) != OK || used != strlen(s))
        return false;
    at = strrchr(address, '@');
    return at && address_domain_normalize(at + 1, strlen(at + 1), domain) == OK;
}

int forward_read(const struct cli *c, struct vault_request *q, char address[ADDRESS_MAX])
{
    const char *to = c->opt[OPT_FORWARD];
    const bool nowhere = to && !strcmp(to, "none");
    const bool how = c->opt[OPT_FORWARD_ONLY] || c->opt[OPT_FORWARD_OWN_KEYS];
    address[0] = '\0';
    if (how && (!to || nowhere))
        return cli_usage(c, "--forward-only and --forward-own-keys go with --forward ADDRESS");
    if (!to)
        return EXIT_DONE;
    if (!nowhere && !may_be_sent_to(to, address))
        return cli_usage(c, "--forward takes a mail address, or none");
    q->new.forwards = true;
    q->new.forward = slice_str(address);
    q->new.forward_how = (uint8_t)((c->opt[OPT_FORWARD_ONLY] ? FORWARD_ONLY : 0) |
                                   (c->opt[OPT_FORWARD_OWN_KEYS] ? FORWARD_OWN_KEYS : 0));
    return EXIT_DONE;
}

struct checking {
    const struct schema_account *a;
    const struct vault_account *new;
    char to[ADDRESS_MAX];
    bool plaintext;
    enum way way;
};

enum { OWN_ADDRESS = 1 /* no error of a function */ };

static int check(void *arg, struct view *v)
{
    struct checking *x = arg;
    struct schema_address there;
    int err = view_route(v, x->to, strlen(x->to), &there);
    if (err == OK && there.account == x->a->id)
        return OWN_ADDRESS;
    if (err == ERR_NOT_FOUND || err == ERR_UNAPPROVED)
        return err;
    return way_of(v, x->to, x->new->forward_how, x->plaintext, &x->way);
}

int forward_check(const struct cli *c, struct instance *i, const struct schema_account *a,
                  const struct vault_request *q)
{
    struct checking x = {.a = a, .new = &q->new, .plaintext = i->config.forward_plaintext};
    if (!q->new.forward.len)
        return EXIT_DONE;
    memcpy(x.to, q->new.forward.data, q->new.forward.len);
    int err = view_run(i->view, check, &x);
    if (err == OWN_ADDRESS)
        return cli_fail(c, "%s is this account's own address", x.to);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "nobody here has the address %s", x.to);
    if (err)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (x.way == WAY_KEPT)
        return cli_fail(c,
                        "no key of %s is known, so mail would go there in the clear, which forward_plaintext = no "
                        "forbids; --forward-own-keys seals it to the account's own keys",
                        x.to);
    if (x.way == WAY_CLEAR)
        cli_mind(c, "what comes for %s goes to %s in the clear", a->address, x.to);
    return EXIT_DONE;
}
