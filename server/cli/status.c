/* letterlock status. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/base/certs.h"
#include "server/base/ipc.h"
#include "server/cli/forward.h"
#include "server/cli/sending.h"
#include "server/cli/status.h"
#include "server/gpg/gpg.h"
#include "server/master/certificates.h"
#include "server/master/control.h"
#include "server/master/master.h"
#include "server/master/mind.h"
#include "store/storekey.h"

enum { SLOTS_MAX = 64 };

/* The control reply into one JSON object: {"running": true, "roles": [...]}. */
static json_t *roles_to_json(struct unpack *u)
{
    json_t *roles = json_array();
    uint32_t n = unpack_u32(u);
    for (uint32_t k = 0; k < n && !u->failed; k++) {
        char name[64];
        unpack_str(u, name, sizeof(name));
        uint32_t instance = unpack_u32(u);
        uint64_t pid = unpack_u64(u), restarts = unpack_u64(u);
        json_t *counters = json_object();
        uint32_t m = unpack_u32(u);
        for (uint32_t j = 0; j < m && !u->failed; j++) {
            char counter[64];
            unpack_str(u, counter, sizeof(counter));
            json_object_set_new(counters, counter, json_integer((json_int_t)unpack_u64(u)));
        }
        json_array_append_new(roles,
                              json_pack("{s:s, s:i, s:I, s:I, s:o}", "role", name, "instance", (int)instance, "pid",
                                        (json_int_t)pid, "restarts", (json_int_t)restarts, "counters", counters));
    }
    return roles;
}

static void add_slot_facts(const struct cli *c, const struct config *config, json_t *out)
{
    struct storekey_info slots[SLOTS_MAX];
    size_t n = 0;
    json_t *list = json_array(), *mind = json_object_get(out, "mind");
    if (!storekey_list(c->dir, slots, SLOTS_MAX, &n))
        for (size_t k = 0; k < n; k++)
            json_array_append_new(list, json_string(storekey_slot_name(slots[k].slot)));
    char store[CLI_PATH_MAX], key[CLI_PATH_MAX];
    cli_path(c, "store", store);
    cli_path(c, config->store_key_file, key);
    if (config->store_key_file[0] && cli_same_file_system(store, key))
        json_array_append_new(mind, json_string("the store key's file is on the store's file system: a stolen disk "
                                                "reads all names, and mail that waits to be sent"));
    if (config->allow_no_landlock)
        json_array_append_new(mind, json_string("allow_no_landlock is set: on a kernel without Landlock the roles are "
                                                "less confined"));
    json_object_set_new(out, "store_key_slots", list);
}

/* ---- accounts: how much they hold, and which keys end ---- */

enum { SLICE_MAX = 512, SLICE_MIN = 8 };

/* One slice of the walk over all accounts; what it found counts once its snapshot is known to be whole. */
struct walk {
    struct view *view;
    uint64_t account; /* being looked at */
    uint64_t after, last, now, ahead;
    unsigned max, n;
    bool full;
    uint64_t accounts, messages, bytes;
    json_t *keys, *sending, *forwarding;
    bool plaintext; /* forward_plaintext */
    const char *address;
    unsigned current;
};

static void add_ending(struct walk *w, const char *state, const struct pgp_verdict *v)
{
    char hex[2 * PGP_FPR_MAX + 1] = "";
    for (size_t k = 0; v && k < v->primary_fpr_len; k++)
        snprintf(hex + 2 * k, 3, "%02X", v->primary_fpr[k]);
    json_t *o = json_pack("{s:s, s:s}", "account", w->address, "state", state);
    if (v) {
        json_object_set_new(o, "fingerprint", json_string(hex));
        json_object_set_new(o, "expires", json_integer(v->enc_expires));
    }
    json_array_append_new(w->keys, o);
}

/* Taken before numbers were looked at. */
static int see_flaw(struct walk *w, const struct schema_key *key, enum pgp_flaw *ret)
{
    static uint8_t cert[PGP_CERT_MAX];
    size_t len;
    int err = view_key_cert(w->view, w->account, key, cert, &len);
    if (err == ERR_UNAPPROVED || err == ERR_CRYPTO) { /* another stands in its place */
        *ret = PGP_FLAW_FIELDS;
        add_ending(w, "not-approved", NULL);
        return OK;
    }
    if (!err && pgp_cert_flaw(cert, len, &key->verdict, ret) != OK)
        *ret = PGP_FLAW_FIELDS;
    if (!err && *ret) {
        add_ending(w, "flawed", &key->verdict);
        json_object_set_new(json_array_get(w->keys, json_array_size(w->keys) - 1), "flaw",
                            json_string(gpg_flaw_text(*ret)));
    }
    return err;
}

static int see_key(void *arg, const struct schema_key *key)
{
    struct walk *w = arg;
    uint32_t end = key->verdict.enc_expires;
    enum pgp_flaw flaw = PGP_FLAW_NONE;
    if (key->state != KEY_CURRENT)
        return 0;
    int err = see_flaw(w, key, &flaw);
    if (err || flaw)
        return err;
    w->current++;
    if (end && end <= w->now + w->ahead)
        add_ending(w, end <= w->now ? "expired" : "expires", &key->verdict);
    return 0;
}

/* Nothing is sealed to what nobody approved. */
static int see_approval(struct walk *w)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    struct schema_account a;
    size_t n;
    int err = view_account(w->view, w->account, &a);
    if (!err)
        err = view_keys_read(w->view, w->account, keys, &n);
    if (!err)
        err = view_keys_approved(w->view, &a, keys, n);
    if (err == ERR_UNAPPROVED)
        add_ending(w, "not-approved", NULL);
    else if (!err)
        err = forward_collect(w->view, &a, w->plaintext, w->forwarding);
    return err == ERR_UNAPPROVED ? OK : err;
}

static int see_account(void *arg, uint64_t account, const char *address)
{
    struct walk *w = arg;
    struct schema_usage u;
    int err = view_usage(w->view, account, &u);
    w->address = address;
    w->account = account;
    w->current = 0;
    if (!err)
        err = see_approval(w);
    if (!err)
        err = view_keys_each(w->view, account, see_key, w);
    if (!err)
        err = sending_collect(w->view, account, address, w->now, w->sending);
    if (err)
        return err;
    if (!w->current)
        add_ending(w, "none", NULL);
    w->accounts++, w->messages += u.messages, w->bytes += u.bytes;
    w->last = account;
    w->full = ++w->n == w->max;
    return w->full;
}

static int see_accounts(void *arg, struct view *v)
{
    struct walk *w = arg;
    if (w->n && w->max > SLICE_MIN) /* the last try was too slow */
        w->max /= 2;
    w->view = v;
    w->n = 0;
    w->full = false;
    w->accounts = w->messages = w->bytes = 0;
    json_array_clear(w->keys);
    json_array_clear(w->sending);
    json_array_clear(w->forwarding);
    int err = view_accounts_after(v, w->after, see_account, w);
    return err < 0 ? err : OK;
}

static int add_accounts(const struct cli *c, struct instance *i, json_t *out)
{
    struct walk w = {.max = SLICE_MAX,
                     .now = (uint64_t)time(NULL),
                     .keys = json_array(),
                     .sending = json_array(),
                     .forwarding = json_array(),
                     .plaintext = i->config.forward_plaintext,
                     .ahead = (uint64_t)i->config.key_notice_days * 86400};
    uint64_t accounts = 0, messages = 0, bytes = 0;
    json_t *keys = json_array(), *sending = json_array(), *forwarding = json_array();
    int err;
    do {
        w.n = 0;
        err = view_run(i->view, see_accounts, &w);
        if (!err) {
            accounts += w.accounts, messages += w.messages, bytes += w.bytes;
            json_array_extend(keys, w.keys);
            json_array_extend(sending, w.sending);
            json_array_extend(forwarding, w.forwarding);
        }
        w.after = w.last;
    } while (!err && w.full);
    json_decref(w.keys);
    json_decref(w.sending);
    json_decref(w.forwarding);
    json_object_set_new(out, "keys", keys);
    json_object_set_new(out, "sending", sending);
    json_object_set_new(out, "forwarding", forwarding);
    json_object_set_new(out, "accounts", json_integer((json_int_t)accounts));
    json_object_set_new(out, "messages", json_integer((json_int_t)messages));
    json_object_set_new(out, "bytes", json_integer((json_int_t)bytes));
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

static void print_keys(const json_t *keys)
{
    size_t k;
    json_t *v;
    json_array_foreach(keys, k, v)
    {
        const char *state = json_string_value(json_object_get(v, "state")), *fpr;
        const char *account = json_string_value(json_object_get(v, "account"));
        char day[DATE_DAY_SIZE];
        date_write_day((uint64_t)json_integer_value(json_object_get(v, "expires")), day);
        fpr = json_string_value(json_object_get(v, "fingerprint"));
        if (!strcmp(state, "not-approved"))
            printf("  key: %s  nobody approved what the store has of its certificates: no mail is sealed; letterlock "
                   "audit, key approve\n",
                   account);
        else if (!strcmp(state, "none"))
            printf("  key: %s has no current key: its mail waits at the senders\n", account);
        else if (!strcmp(state, "flawed"))
            printf("  key: %s  %s  no mail is sealed to it: %s; give a good one with key add\n", account, fpr,
                   json_string_value(json_object_get(v, "flaw")));
        else
            printf("  key: %s  %s  %s %s\n", account, fpr, strcmp(state, "expired") ? "expires" : "expired since", day);
    }
}

static void print_certificates(const json_t *list)
{
    size_t k;
    json_t *v;
    json_array_foreach(list, k, v)
    {
        const char *others = json_string_value(json_object_get(v, "others"));
        char day[DATE_DAY_SIZE];
        date_write_day((uint64_t)json_integer_value(json_object_get(v, "expires")), day);
        printf("  certificate: %s%s%s%s  until %s\n", json_string_value(json_object_get(v, "name")),
               *others ? " (" : "", others, *others ? ")" : "", day);
    }
}

static void print_status(const json_t *s)
{
    size_t k;
    json_t *v;
    printf("letterlock " LETTERLOCK_VERSION ", %s: %s\n", json_string_value(json_object_get(s, "domain")),
           json_is_true(json_object_get(s, "running")) ? "running" : "not running");
    json_array_foreach(json_object_get(s, "roles"), k, v)
    {
        printf("  %-9s %" JSON_INTEGER_FORMAT "  pid %-8" JSON_INTEGER_FORMAT " restarts %" JSON_INTEGER_FORMAT,
               json_string_value(json_object_get(v, "role")), json_integer_value(json_object_get(v, "instance")),
               json_integer_value(json_object_get(v, "pid")), json_integer_value(json_object_get(v, "restarts")));
        const char *name;
        json_t *count;
        json_object_foreach(json_object_get(v, "counters"), name, count) if (json_integer_value(count))
            printf("  %s %" JSON_INTEGER_FORMAT, name, json_integer_value(count));
        printf("\n");
    }
    printf("  accounts %" JSON_INTEGER_FORMAT ", messages %" JSON_INTEGER_FORMAT ", bytes %" JSON_INTEGER_FORMAT "\n",
           json_integer_value(json_object_get(s, "accounts")), json_integer_value(json_object_get(s, "messages")),
           json_integer_value(json_object_get(s, "bytes")));
    printf("  store key opens by:");
    json_array_foreach(json_object_get(s, "store_key_slots"), k, v) printf("%s %s", k ? "," : "", json_string_value(v));
    printf("\n");
    print_certificates(json_object_get(s, "certificates"));
    print_keys(json_object_get(s, "keys"));
    json_array_foreach(json_object_get(s, "block_lists"), k, v)
        printf("  block list: %s has an address of this server: letterlock doctor %s says which, and why\n",
               json_string_value(v), json_string_value(json_object_get(s, "domain")));
    sending_print_list(json_object_get(s, "sending"));
    forward_print_list(json_object_get(s, "forwarding"));
    json_array_foreach(json_object_get(s, "mind"), k, v) printf("  mind: %s\n", json_string_value(v));
}

static void mind_disk(const json_t *roles, json_t *mind)
{
    size_t k;
    json_t *v;
    char text[256];
    json_array_foreach(roles, k, v)
    {
        const json_t *counters = json_object_get(v, "counters");
        if (!json_integer_value(json_object_get(counters, "disk-full")))
            continue;
        snprintf(text, sizeof(text),
                 "the disk is nearly full (%" JSON_INTEGER_FORMAT
                 " bytes free, disk_reserve keeps %" JSON_INTEGER_FORMAT
                 "), or map_size is used up: mail waits at its senders until there is room",
                 json_integer_value(json_object_get(counters, "disk-free-bytes")),
                 json_integer_value(json_object_get(counters, "disk-reserve-bytes")));
        json_array_append_new(mind, json_string(text));
    }
}

/* The names of those whose bit is set. */
static void add_block_lists(const json_t *roles, const struct config *config, json_t *out)
{
    char one[sizeof(config->blocklists)];
    const char *at = config->blocklists;
    json_t *list = json_array(), *v;
    json_int_t bits = 0;
    size_t k;
    json_array_foreach(roles, k, v) bits |=
        json_integer_value(json_object_get(json_object_get(v, "counters"), "block_lists_now"));
    for (; bits && config_list_next(&at, one, sizeof(one)); bits >>= 1)
        if (bits & 1)
            json_array_append_new(list, json_string(one));
    json_object_set_new(out, "block_lists", list);
}

static void add_roles(const struct cli *c, json_t *out)
{
    static uint8_t reply[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct unpack u;
    int fd, none = -1, err = control_connect(c->dir, &fd);
    if (!err) {
        err = control_call(fd, CONTROL_STATUS, reply, &len, &none);
        close(fd);
    }
    if (none >= 0)
        close(none);
    if (err) {
        char text[128];
        snprintf(text, sizeof(text), "the server does not answer (%s)", err_str(err));
        json_array_append_new(json_object_get(out, "mind"), json_string(text));
        return;
    }
    unpack_init(&u, reply, len);
    unpack_u32(&u); /* 0 */
    json_object_set_new(out, "roles", roles_to_json(&u));
    mind_disk(json_object_get(out, "roles"), json_object_get(out, "mind"));
}

static void add_mind(void *arg, bool hint, const char *sentence)
{
    (void)hint;
    json_array_append_new(arg, json_string(sentence));
}

/* What the server says of itself; without one, what it would be told of the files. */
static void add_minds(const struct cli *c, bool running, json_t *mind)
{
    static uint8_t reply[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct unpack u;
    int fd, none = -1, err = running ? control_connect(c->dir, &fd) : ERR_GONE;
    if (!running)
        mind_dir(c->dir, add_mind, mind);
    if (!running && dir_locked(c->dir))
        add_mind(mind, false,
                 "a server or another command is at work here, and run/control does not lead to it: if it "
                 "is a server, end it (SIGTERM) and start it anew");
    if (err)
        return;
    err = control_call(fd, CONTROL_MIND, reply, &len, &none);
    close(fd);
    if (none >= 0)
        close(none);
    unpack_init(&u, reply, err ? 0 : len);
    unpack_u32(&u); /* 0 */
    for (uint32_t n = unpack_u32(&u); n && !u.failed; n--) {
        char text[CONTROL_MIND_MAX];
        unpack_str(&u, text, sizeof(text));
        if (!u.failed)
            add_mind(mind, false, text);
    }
}

/* ---- certificates ---- */

static void add_certificate(void *arg, const char *name, const char *others, uint64_t ends)
{
    json_array_append_new(arg,
                          json_pack("{s:s, s:s, s:I}", "name", name, "others", others, "expires", (json_int_t)ends));
}

/* Those that the server has; without one, those that it would. */
static void add_certificates(const struct cli *c, bool running, json_t *list)
{
    static uint8_t reply[IPC_MAX], from[4];
    static char name[CERTS_NAME_MAX + 4], others[CERTS_NAMES_BYTES_MAX + 1];
    uint32_t n = 1, all = 0;
    int fd, err = running ? control_connect(c->dir, &fd) : ERR_GONE;
    if (!running)
        certificates_of_dir(c->dir, add_certificate, list);
    if (err)
        return;
    while (!err && n) {
        unsigned long len = sizeof(reply);
        struct pack p;
        struct unpack u;
        pack_init(&p, from, sizeof(from));
        pack_u32(&p, all);
        err = control_ask(fd, CONTROL_CERTIFICATES, from, p.len, reply, &len);
        unpack_init(&u, reply, err ? 0 : len);
        unpack_u32(&u); /* 0 */
        n = unpack_u32(&u);
        all += n;
        for (uint32_t k = 0; k < n && !u.failed; k++) {
            unpack_str(&u, name, sizeof(name));
            unpack_str(&u, others, sizeof(others));
            uint64_t ends = unpack_u64(&u);
            if (!u.failed)
                add_certificate(list, name, others, ends);
        }
        if (u.failed)
            break;
    }
    close(fd);
}

int status_read(const struct cli *c, struct instance *i, json_t **ret)
{
    char why[CLI_WHY_MAX];
    int rc = EXIT_DONE, err = i->view ? OK : instance_view(c, i, why);
    if (err && !i->running)
        return cli_fail(c, "%s", why);
    json_t *s = json_pack("{s:s, s:s, s:b, s:[], s:[], s:[]}", "version", LETTERLOCK_VERSION, "domain",
                          i->config.domain, "running", (int)i->running, "roles", "mind", "certificates");
    if (!s)
        return cli_fail(c, "out of memory");
    if (i->running)
        add_roles(c, s);
    add_block_lists(json_object_get(s, "roles"), &i->config, s);
    if (err) /* what the server says of itself is wanted most when the store is gone */
        json_array_append_new(json_object_get(s, "mind"), json_string(why));
    else
        rc = add_accounts(c, i, s);
    if (!rc)
        add_slot_facts(c, &i->config, s);
    if (!rc)
        add_minds(c, i->running, json_object_get(s, "mind"));
    if (!rc)
        add_certificates(c, i->running, json_object_get(s, "certificates"));
    if (!rc)
        *ret = s;
    else
        json_decref(s);
    return rc;
}

int command_status(struct cli *c)
{
    struct instance i;
    json_t *s;
    int rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    rc = status_read(c, &i, &s);
    if (!rc && c->opt[OPT_JSON]) {
        json_dumpf(s, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
    } else if (!rc) {
        print_status(s);
    }
    if (!rc)
        json_decref(s);
    instance_close(&i);
    return rc;
}
