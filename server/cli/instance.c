/* Opening an instance for one command: configuration, store key, read side, and an admin channel to the vault, whether
 * a server runs or not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/secmem.h"
#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/base/event.h"
#include "server/cli/cli.h"
#include "server/format/parcel.h"
#include "server/master/control.h"
#include "server/master/offline.h"
#include "store/approve.h"
#include "store/client.h"
#include "store/look.h"
#include "store/storekey.h"

enum { CONFIG_FILE_MAX = 256 * 1024, APPROVE_TRIES = 5 };

static const char NOT_APPROVED[] =
    "the certificates that the store has of this account were changed by nobody who holds the store key: restore a "
    "backup, or look at them with letterlock key approve";

int instance_read_config(const struct cli *c, struct config *ret, char **ret_text, size_t *ret_len)
{
    char path[CLI_PATH_MAX], why[256] = "", *text;
    size_t len;
    cli_path(c, "letterlock.conf", path);
    int err = cli_read_file(path, CONFIG_FILE_MAX, &text, &len);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not there: make an instance with letterlock init", path);
    if (err)
        return cli_fail(c, "cannot read %s: %s", path, cli_err_str(err));
    if (config_parse(text, len, ret, why, sizeof(why))) {
        free(text);
        return cli_fail(c, "%s: %s", path, why);
    }
    if (ret_text) {
        *ret_text = text;
        *ret_len = len;
    } else {
        free(text);
    }
    return EXIT_DONE;
}

int instance_ask_passphrase(char *out, size_t cap)
{
    const char *file = getenv("LETTERLOCK_PASSPHRASE_FILE");
    return file ? cli_read_secret(file, out, cap) : cli_ask_secret("Passphrase of the store key", out, cap);
}

/* A channel from the running master, or an error. */
int instance_ask_master(const struct cli *c, enum control_msg msg, int *ret_fd)
{
    unsigned char reply[256];
    unsigned long len = sizeof(reply);
    int control, fd = -1;
    int err = control_connect(c->dir, &control);
    if (err)
        return err;
    err = control_call(control, msg, reply, &len, &fd);
    close(control);
    if (!err && fd < 0)
        err = ERR_GONE;
    if (!err)
        *ret_fd = fd;
    return err;
}

const char *instance_fault(int err)
{
    return err == ERR_VERSION ? "a newer letterlock made it; use that version"
           : err == ERR_OLD
               ? "a letterlock from before the first release made it, and none but that one reads it; make "
                 "a new instance with letterlock init, and bring the mail over with an IMAP client"
           : err == ERR_UPGRADE   ? "an older letterlock made it; run letterlock upgrade"
           : err == ERR_CRYPTO    ? "the store key is another store's; put back the store.key that belongs to it"
           : err == ERR_NOT_FOUND ? "there is no store of letterlock's in it"
           : err == ERR_CONFLICT  ? "it was copied here and not opened since; letterlock serve opens it"
           : err == ERR_FORMAT ? "it is damaged; letterlock restore makes it from a backup, once the file is moved away"
                               : err_str(err);
}

int instance_view(const struct cli *c, struct instance *i, char why[CLI_WHY_MAX])
{
    int err = i->running ? OK : store_look(c->dir, why, CLI_WHY_MAX);
    if (err)
        return err;
    err = view_open(c->dir, i->keys, i->config.reader_turn_ms, &i->view);
    if (err)
        snprintf(why, CLI_WHY_MAX, "the store %s/store cannot be opened: %s", c->dir, instance_fault(err));
    return err;
}

/* later: the vault is started next, and makes what was only copied here fit to be read. */
static int open_view(const struct cli *c, struct instance *i, bool later)
{
    char why[CLI_WHY_MAX];
    int err = instance_view(c, i, why);
    return !err || (later && err == ERR_CONFLICT) ? EXIT_DONE : cli_fail(c, "%s", why);
}

struct offline_params instance_offline(const struct cli *c, const struct instance *i)
{
    return (struct offline_params){.dir = c->dir,
                                   .config = &i->config,
                                   .config_text = i->config_text,
                                   .config_len = i->config_len,
                                   .keys = i->keys};
}

int instance_vault(const struct cli *c, struct instance *i)
{
    char why[CLI_WHY_MAX] = "";
    const struct offline_params p = instance_offline(c, i);
    int err = i->running ? instance_ask_master(c, CONTROL_VAULT, &i->vault)
                         : offline_vault(&p, &i->offline, &i->vault, why, sizeof(why));
    int control;
    if (err == ERR_CONFLICT && !i->running && !control_connect(c->dir, &control)) {
        /* The lock was a server's that has just started. */
        close(control);
        i->running = true;
        *why = 0;
        err = instance_ask_master(c, CONTROL_VAULT, &i->vault);
    }
    if (err)
        return cli_fail(c, "no way to the store: %s%s", *why ? why : err_str(err),
                        err == ERR_CONFLICT ? "; try again when it has ended" : "");
    return EXIT_DONE;
}

int instance_judge(const struct cli *c, struct instance *i, int *ret_channel)
{
    char why[256] = "";
    const struct offline_params p = instance_offline(c, i);
    int err = OK;
    if (i->judge < 0)
        err = i->running ? instance_ask_master(c, CONTROL_JUDGE, &i->judge)
                         : offline_role(ROLE_GPG_JUDGE, &p, &i->offline_judge, &i->judge, why, sizeof(why));
    if (err)
        return cli_fail(c, "gpg could not be started to judge the certificate: %s", *why ? why : err_str(err));
    *ret_channel = i->judge;
    return EXIT_DONE;
}

int instance_seal(const struct cli *c, struct instance *i, int *ret_channel)
{
    char why[256] = "";
    const struct offline_params p = instance_offline(c, i);
    if (i->running)
        return instance_ask_master(c, CONTROL_SEAL, ret_channel);
    offline_stop(i->offline_seal);
    i->offline_seal = NULL;
    return offline_role(ROLE_GPG_SEAL, &p, &i->offline_seal, ret_channel, why, sizeof(why));
}

int instance_open(const struct cli *c, unsigned what, struct instance *ret)
{
    char why[CLI_WHY_MAX] = "";
    struct instance i = {.vault = -1, .judge = -1};
    event_init("cli", LOG_LEVEL_ERROR, false);
    int rc = instance_read_config(c, &i.config, &i.config_text, &i.config_len);
    if (rc)
        return rc;
    i.roots = secmem_key_alloc(sizeof(*i.roots));
    i.keys = secmem_key_alloc(sizeof(*i.keys));
    if (!i.roots || !i.keys)
        rc = cli_fail(c, "out of memory");
    if (!rc && storekey_unlock(c->dir, i.config.store_key_file, instance_ask_passphrase, i.roots, why, sizeof(why)))
        rc = cli_fail(c, "the store key does not open: %s", why);
    if (!rc)
        record_bundle_make(i.roots->store, i.roots->queue, i.keys);
    int control, err = rc ? OK : control_connect(c->dir, &control);
    if (!rc && !err) {
        i.running = true;
        close(control);
    } else if (err == ERR_DENIED) {
        rc = cli_fail(c, "the instance is another user's: run the command as root or as the owner of %s", c->dir);
    }
    /* Before the vault as well: what makes a store unusable is said here, in one line. A running one has judged it. */
    if (!rc && what && (what & INSTANCE_VIEW || !i.running))
        rc = open_view(c, &i, what & INSTANCE_VAULT);
    if (!rc && what & INSTANCE_VAULT)
        rc = instance_vault(c, &i);
    if (!rc && what & INSTANCE_VIEW && !i.view)
        rc = open_view(c, &i, false);
    if (rc) {
        instance_close(&i);
        return rc;
    }
    *ret = i;
    return EXIT_DONE;
}

void instance_close(struct instance *i)
{
    if (i->view)
        view_close(i->view);
    offline_stop(i->offline_judge);
    offline_stop(i->offline_seal);
    if (i->judge >= 0)
        close(i->judge);
    offline_stop(i->offline); /* before its client goes: the vault need not wonder */
    if (i->vault >= 0)
        close(i->vault);
    secmem_key_free(i->roots, sizeof(*i->roots));
    secmem_key_free(i->keys, sizeof(*i->keys));
    free(i->config_text);
}

/* Another command may have changed the keys, or taken the account's number, since the view was asked. */
static int call_approved(struct instance *i, const struct vault_request *asked, struct slice cert, int fd,
                         struct vault_reply *ret, char text[256])
{
    int err = ERR_OVERRUN;
    for (unsigned n = 0; n < APPROVE_TRIES && err == ERR_OVERRUN; n++) {
        struct vault_request q = *asked;
        *text = '\0';
        err = approve_wanted(q.type) ? approve(i->view, i->roots->store, &q, cert) : OK;
        if (err == OK)
            err = vault_call(i->vault, &q, fd, ret, text);
        else if (err == ERR_UNAPPROVED)
            snprintf(text, 256, "%s", NOT_APPROVED);
    }
    return err;
}

static int call(const struct cli *c, struct instance *i, const struct vault_request *q, struct slice cert, int fd,
                struct vault_reply *ret)
{
    char text[256] = "";
    int err = call_approved(i, q, cert, fd, ret, text);
    if (err == ERR_LIMIT && !*text)
        return cli_fail(c, "an operand is too long");
    return err ? cli_fail(c, "%s", *text ? text : err_str(err)) : EXIT_DONE;
}

int instance_call(const struct cli *c, struct instance *i, const struct vault_request *q, int fd,
                  struct vault_reply *ret)
{
    return call(c, i, q, slice_of("", 0), fd, ret);
}

int instance_call_with(const struct cli *c, struct instance *i, const struct vault_request *q, struct slice cert,
                       int fd)
{
    return call(c, i, q, cert, fd, NULL);
}

int instance_call_cert(const struct cli *c, struct instance *i, const struct vault_request *q, const void *cert,
                       size_t len)
{
    int fd;
    if (parcel_make_plain(cert, len, &fd))
        return cli_fail(c, "out of memory");
    int rc = call(c, i, q, slice_of(cert, len), fd, NULL);
    close(fd);
    return rc;
}

struct printing {
    int (*write)(void *arg, struct view *v, FILE *out);
    void *arg;
    char *text;
    size_t len;
};

static int print_into_memory(void *arg, struct view *v)
{
    struct printing *p = arg;
    free(p->text);
    p->text = NULL;
    FILE *out = open_memstream(&p->text, &p->len);
    if (!out)
        return ERR_MEMORY;
    int err = p->write(p->arg, v, out);
    return fclose(out) && !err ? ERR_MEMORY : err;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every line of text ends in a line feed. */
static int print_sorted(char *text)
{
    size_t n = 0, k = 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n';
    char **lines = calloc(n + 1, sizeof(*lines)), *save;
    if (!lines)
        return ERR_MEMORY;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        lines[k++] = line;
    qsort(lines, k, sizeof(*lines), by_text);
    for (size_t i = 0; i < k; i++)
        puts(lines[i]);
    free(lines);
    return OK;
}

int instance_print(const struct cli *c, struct instance *i, bool sorted,
                   int (*write)(void *arg, struct view *v, FILE *out), void *arg)
{
    struct printing p = {.write = write, .arg = arg};
    int err = view_run(i->view, print_into_memory, &p);
    if (!err && sorted)
        err = print_sorted(p.text);
    else if (!err)
        fwrite(p.text, 1, p.len, stdout);
    free(p.text);
    return err ? cli_fail(c, "the store cannot be read: %s",
                          err == ERR_OVERRUN ? "reading takes longer than reader_turn_ms; raise it" : err_str(err))
               : EXIT_DONE;
}

struct account_search {
    const char *address;
    struct schema_account *account;
};

static int find_account(void *arg, struct view *v)
{
    struct account_search *s = arg;
    struct schema_address a;
    int err = view_address(v, s->address, &a);
    return err ? err : view_account(v, a.account, s->account);
}

int instance_account(const struct cli *c, struct instance *i, const char *address, struct schema_account *ret)
{
    char normal[ADDRESS_MAX];
    size_t at, plus;
    if (address_normalize(address, strlen(address), normal, &at, &plus))
        return cli_fail(c, "%s is not a mail address", address);
    struct account_search s = {normal, ret};
    int err = view_run(i->view, find_account, &s);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "no account has the address %s; letterlock account list shows them", normal);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int instance_with_account(const struct cli *c, unsigned what, account_fn *fn, void *arg)
{
    struct instance i;
    struct schema_account a;
    int rc = instance_open(c, what, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc)
        rc = fn(c, &i, &a, arg);
    instance_close(&i);
    return rc;
}

static int call_about(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    struct vault_request *q = arg;
    q->account = a->id;
    return instance_call(c, i, q, -1, NULL);
}

int instance_account_call(const struct cli *c, struct vault_request *q)
{
    return instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, call_about, q);
}

struct account_printing {
    bool sorted;
    int (*write)(void *arg, struct view *v, FILE *out);
};

static int print_about(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    const struct account_printing *p = arg;
    return instance_print(c, i, p->sorted, p->write, (void *)a);
}

int instance_print_account(const struct cli *c, bool sorted, int (*write)(void *arg, struct view *v, FILE *out))
{
    struct account_printing p = {sorted, write};
    return instance_with_account(c, INSTANCE_VIEW, print_about, &p);
}
