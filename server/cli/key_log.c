/* letterlock key log: every change of what is published, and whether each follows from the one before. */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"

enum { CHANGES_A_TURN = 256 };

static const char *const whys[] = {[PUBLISH_KEY] = "key",
                                   [PUBLISH_WISH] = "wish",
                                   [PUBLISH_ADDRESS] = "address",
                                   [PUBLISH_MENDED] = "mended",
                                   [PUBLISH_VERIFIED] = "verified"};

struct changes {
    struct published_change v[CHANGES_A_TURN];
    size_t n;
    uint64_t after, total;
    uint8_t head[PUBLISHED_HASH_SIZE];
};

static int collect(void *arg, const struct published_change *change)
{
    struct changes *l = arg;
    l->v[l->n++] = *change;
    return l->n == CHANGES_A_TURN;
}

static int read_changes(void *arg, struct view *v)
{
    struct changes *l = arg;
    l->n = 0;
    int err = view_published_head(v, &l->total, l->head);
    if (err == OK)
        err = view_published_changes_after(v, l->after, collect, l);
    return err == 1 ? OK : err;
}

static bool is_withdrawn(const struct published_change *x)
{
    return sodium_is_zero(x->cert, sizeof(x->cert));
}

static void print_line(const struct published_change *x)
{
    char when[DATE_INTERNET_SIZE], cert[2 * PUBLISHED_HASH_SIZE + 1];
    date_write_internet((int64_t)x->at, when);
    sodium_bin2hex(cert, sizeof(cert), x->cert, sizeof(x->cert));
    printf("%" PRIu64 "  %s  %-8s  %s  %s\n", x->number, when, whys[x->why], x->address,
           is_withdrawn(x) ? "withdrawn" : cert);
}

static json_t *to_json(const struct published_change *x)
{
    char when[DATE_INTERNET_SIZE], cert[2 * PUBLISHED_HASH_SIZE + 1], hash[2 * PUBLISHED_HASH_SIZE + 1],
        salt[2 * PUBLISHED_SALT_SIZE + 1];
    date_write_internet((int64_t)x->at, when);
    sodium_bin2hex(cert, sizeof(cert), x->cert, sizeof(x->cert));
    sodium_bin2hex(hash, sizeof(hash), x->hash, sizeof(x->hash));
    sodium_bin2hex(salt, sizeof(salt), x->salt, sizeof(x->salt));
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s?, s:s}", "number", (json_int_t)x->number, "time", when, "why",
                     whys[x->why], "address", x->address, "salt", salt, "certificate", is_withdrawn(x) ? NULL : cert,
                     "hash", hash);
}

/* How far the chain is good. */
struct chain {
    uint64_t number;
    uint8_t hash[PUBLISHED_HASH_SIZE];
};

static bool follows(struct chain *at, const struct published_change *x)
{
    uint8_t hash[PUBLISHED_HASH_SIZE];
    published_change_hash(x, at->hash, hash);
    if (x->number != at->number + 1 || memcmp(hash, x->hash, sizeof(hash)) != 0)
        return false;
    at->number = x->number;
    memcpy(at->hash, hash, sizeof(hash));
    return true;
}

static int print_all(const struct cli *c, struct instance *i, json_t *all)
{
    static struct changes l;
    struct chain at = {.number = 0};
    l = (struct changes){.after = 0};
    do {
        int err = view_run(i->view, read_changes, &l);
        if (err)
            return cli_fail(c, "the store cannot be read: %s", err_str(err));
        for (size_t k = 0; k < l.n; k++) {
            if (!follows(&at, &l.v[k]))
                return cli_fail(c, "change %" PRIu64 " does not follow from the one before it; letterlock audit",
                                l.v[k].number);
            if (all)
                json_array_append_new(all, to_json(&l.v[k]));
            else
                print_line(&l.v[k]);
            l.after = l.v[k].number;
        }
    } while (l.n == CHANGES_A_TURN);
    if (at.number != l.total || memcmp(at.hash, l.head, sizeof(at.hash)) != 0)
        return cli_fail(c, "the log ends with change %" PRIu64 ", and should with %" PRIu64 "; letterlock audit",
                        at.number, l.total);
    return EXIT_DONE;
}

int command_key_log(struct cli *c)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    json_t *all = c->opt[OPT_JSON] ? json_array() : NULL;
    rc = print_all(c, &i, all);
    if (all && !rc) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
    }
    json_decref(all);
    instance_close(&i);
    return rc;
}
