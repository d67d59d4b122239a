/* letterlock init: a new instance. Every file comes whole or not at all, the configuration last: without it there is no
 * instance yet, and an init that was cut short is taken up where it ended by the next. Nothing is ever overwritten. */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/base/event.h"
#include "server/cli/cli.h"
#include "server/cli/dkim.h"
#include "server/core/secmem.h"
#include "server/master/master.h"
#include "server/master/offline.h"
#include "store/client.h"
#include "store/storekey.h"

enum { SECRET_FILE_MAX = 4096, KEY_FILE_SIZE = 32, CONFIG_CAP = 64 * 1024 };

static const char *const folders[] = {"store", "tls", "run"};
enum { FOLDERS = sizeof(folders) / sizeof(folders[0]) };

/* What the options say, before anything is made. */
static int read_options(const struct cli *c, struct config *config)
{
    char domain[DOMAIN_CAP];
    config_defaults(config);
    if (!c->opt[OPT_DOMAIN])
        return cli_usage(c, "give --domain DOMAIN: the name behind the @ of its addresses");
    if (c->opt[OPT_STORE_KEY_FILE] && c->opt[OPT_PASSPHRASE_FILE])
        return cli_usage(c, "give --store-key-file or --passphrase-file, not both; store-key add adds the other");
    if (address_domain_normalize(c->opt[OPT_DOMAIN], strlen(c->opt[OPT_DOMAIN]), domain) ||
        !address_domain_is_host(domain) || strlen(domain) >= sizeof(config->domain))
        return cli_fail(c, "%s is not a domain name", c->opt[OPT_DOMAIN]);
    strcpy(config->domain, domain);
    snprintf(config->bind, sizeof(config->bind), access("/proc/net/if_inet6", F_OK) ? "0.0.0.0" : "::");
    if (c->opt[OPT_LOOPBACK]) {
        char *end;
        unsigned long base = strtoul(c->opt[OPT_LOOPBACK], &end, 10);
        if (*end || base < 1000 || base > 64000)
            return cli_fail(c, "--loopback takes a base from 1000 to 64000: 20000 gives SMTP on 20025, IMAPS on 20993");
        config->port_base = (uint32_t)base;
        snprintf(config->bind, sizeof(config->bind), "127.0.0.1");
    }
    return EXIT_DONE;
}

static bool is_ours(const char *name)
{
    static const char *const others[] = {
        ".", "..", "store.key", "store.key.new", "queue.key", "queue.key.new", "letterlock.conf.new", "restore"};
    for (size_t k = 0; k < FOLDERS; k++)
        if (!strcmp(name, folders[k]))
            return true;
    for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
        if (!strcmp(name, others[k]))
            return true;
    return false;
}

/* A folder that holds other things must not become an instance (and get its mode). */
static int check_folder(const struct cli *c)
{
    char path[CLI_PATH_MAX], other[256] = "";
    cli_path(c, "letterlock.conf", path);
    if (!access(path, F_OK))
        return cli_fail(c, "%s holds an instance already: serve it, or name another folder", c->dir);
    DIR *d = opendir(c->dir);
    if (!d)
        return errno == ENOENT ? EXIT_DONE : cli_fail(c, "%s: %s", c->dir, strerror(errno));
    for (struct dirent *e; !*other && (e = readdir(d));)
        if (!is_ours(e->d_name))
            snprintf(other, sizeof(other), "%s", e->d_name);
    closedir(d);
    return *other ? cli_fail(c, "%s holds other things (%s): name a new or an empty folder", c->dir, other) : EXIT_DONE;
}

static int make_folders(const struct cli *c)
{
    char path[CLI_PATH_MAX];
    for (size_t k = 0; k < FOLDERS; k++) {
        cli_path(c, folders[k], path);
        if (mkdir(path, 0700) && errno != EEXIST)
            return cli_fail(c, "cannot make %s: %s", path, strerror(errno));
    }
    return EXIT_DONE;
}

static int make_tls(const struct cli *c, const struct config *config)
{
    char chain[CLI_PATH_MAX], key[CLI_PATH_MAX];
    cli_path(c, config->tls_chain, chain);
    cli_path(c, config->tls_key, key);
    if (!access(chain, F_OK) && !access(key, F_OK))
        return EXIT_DONE;
    if (!access(chain, F_OK))
        return cli_fail(c, "%s is there without its key %s: put the key back, or move the chain away", chain, key);
    int err = cli_make_tls(config->domain, chain, key);
    if (err)
        return cli_fail(c, "cannot make a certificate in %s: %s", chain, cli_err_str(err));
    return EXIT_DONE;
}

/* The secret of the first slot. */
struct secret {
    enum storekey_slot slot;
    const char *from;
    char *data;
    size_t len;
};

static int read_words(const struct cli *c, struct secret *s)
{
    char words[CLI_PASSPHRASE_MAX + 1];
    int err = cli_read_secret(s->from, words, sizeof(words));
    if (err)
        return cli_fail(c, "no passphrase in %s: %s", s->from, cli_secret_fault(err));
    s->data = strdup(words);
    s->len = strlen(words);
    sodium_memzero(words, sizeof(words));
    return s->data ? EXIT_DONE : cli_fail(c, "out of memory");
}

/* A key file that is there (of an init that was cut short, say) is used as it is: to replace it might cost a store. */
static int read_or_make_key_file(const struct cli *c, struct secret *s)
{
    struct stat st;
    uint8_t fresh[KEY_FILE_SIZE];
    randombytes_buf(fresh, sizeof(fresh));
    int err = cli_write_file(s->from, fresh, sizeof(fresh), 0600);
    sodium_memzero(fresh, sizeof(fresh));
    if (err && err != ERR_EXISTS)
        return cli_fail(c, "cannot make the key file %s: %s", s->from, strerror(errno));
    bool fits = !stat(s->from, &st) && S_ISREG(st.st_mode) && !(st.st_mode & S_IROTH) && st.st_size >= KEY_FILE_SIZE;
    if (!fits || cli_read_file(s->from, SECRET_FILE_MAX, &s->data, &s->len))
        return cli_fail(c,
                        "%s is there and is no key file (%d to %d bytes that others cannot read): name another with "
                        "--store-key-file",
                        s->from, KEY_FILE_SIZE, SECRET_FILE_MAX);
    if (err == ERR_EXISTS)
        cli_mind(c, "the store key opens by the file %s, which was there already", s->from);
    return EXIT_DONE;
}

/* The passphrase or key file asked for, else a systemd credential, else a key file beside DIR. */
static int choose_secret(const struct cli *c, struct config *config, struct secret *s, char path[CLI_PATH_MAX])
{
    char absolute[512];
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    s->from = c->opt[OPT_PASSPHRASE_FILE];
    s->slot = SLOT_PASSPHRASE;
    if (s->from)
        return read_words(c, s);
    s->from = path;
    s->slot = SLOT_CREDENTIAL;
    if (!c->opt[OPT_STORE_KEY_FILE] && credentials && !cli_join(credentials, "letterlock-store-key", path) &&
        !access(path, F_OK))
        return cli_read_credential(c, path, &s->data, &s->len);
    s->slot = SLOT_KEY_FILE;
    if (cli_resolve(c->dir, absolute, sizeof(absolute)))
        return cli_fail(c, "cannot resolve %s", c->dir);
    if (c->opt[OPT_STORE_KEY_FILE])
        s->from = c->opt[OPT_STORE_KEY_FILE];
    else
        snprintf(path, CLI_PATH_MAX, "%s.storekey", absolute);
    int rc = read_or_make_key_file(c, s);
    if (!rc && cli_resolve(s->from, config->store_key_file, sizeof(config->store_key_file)))
        rc = cli_fail(c, "the path of the key file %s is too long", s->from);
    return rc;
}

static int make_store_key(const struct cli *c, struct config *config, struct storekey_roots *ret)
{
    struct secret s = {.data = NULL};
    char path[CLI_PATH_MAX];
    int rc = choose_secret(c, config, &s, path);
    if (!rc) {
        int err = storekey_create(c->dir, s.slot, s.data, s.len, ret);
        bool there = err == ERR_EXISTS;
        if (there)
            err = storekey_open(c->dir, s.slot, s.data, s.len, ret);
        if (err && (there || err == ERR_DENIED))
            rc = cli_fail(c,
                          "%s/%s is there already and %s does not open it: give what opens it, or move it "
                          "away",
                          c->dir, there ? "store.key" : "queue.key", s.from);
        else if (err)
            rc = cli_fail(c, "cannot make %s/store.key: %s", c->dir, cli_err_str(err));
    }
    if (s.data)
        sodium_memzero(s.data, s.len);
    free(s.data);
    return rc;
}

static int make_keys(const struct cli *c, struct config *config, struct record_bundle *keys)
{
    struct storekey_roots *roots = secmem_key_alloc(sizeof(*roots));
    int rc = roots ? make_store_key(c, config, roots) : cli_fail(c, "out of memory");
    if (!rc)
        record_bundle_make(roots->store, roots->queue, keys);
    secmem_key_free(roots, sizeof(*roots));
    return rc;
}

/* The vault makes the store, at this start alone; its first domain is the instance's own, with keys that sign what it
 * sends. An init that is taken up makes them anew: nobody has seen the first ones. */
static int make_store(const struct cli *c, const struct offline_params *p)
{
    const struct vault_request q = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str(p->config->domain)};
    struct offline *offline;
    int vault;
    char why[CLI_WHY_MAX] = "";
    int err = offline_vault(p, &offline, &vault, why, sizeof(why));
    if (err)
        return cli_fail(c, "cannot make the store: %s", *why ? why : err_str(err));
    err = vault_call(vault, &q, -1, NULL, why);
    if (!err || err == ERR_EXISTS)
        err = signing_keys_make_first(p->keys, vault, p->config->domain, NULL, why);
    offline_stop(offline);
    close(vault);
    return err ? cli_fail(c, "cannot make the store: %s", *why ? why : err_str(err)) : EXIT_DONE;
}

/* A folder and a lock in it: of two inits at once the second finds what the first has made. */
static int take_folder(const struct cli *c, struct dir_lock *ret)
{
    char why[CLI_WHY_MAX] = "";
    int rc = check_folder(c);
    if (rc)
        return rc;
    /* 0711: roles with uids of their own pass through to what is theirs, and see nothing on the way. */
    if ((mkdir(c->dir, 0711) && errno != EEXIST) || chmod(c->dir, 0711))
        return cli_fail(c, "cannot make %s: %s", c->dir, strerror(errno));
    if (dir_lock(c->dir, ret, why, sizeof(why)))
        return cli_fail(c, "%s", why);
    return check_folder(c);
}

static int make_instance(const struct cli *c, struct config *config, const struct dir_lock *lock,
                         struct record_bundle *keys)
{
    static char text[CONFIG_CAP];
    char path[CLI_PATH_MAX];
    int rc = make_folders(c);
    if (!rc)
        rc = make_tls(c, config);
    if (!rc)
        rc = make_keys(c, config, keys);
    long len = rc ? 0 : config_write(config, text, sizeof(text));
    if (!rc && len < 0)
        rc = cli_fail(c, "the configuration is too long");
    const struct offline_params p = {.dir = c->dir,
                                     .config = config,
                                     .config_text = text,
                                     .config_len = (size_t)len,
                                     .keys = keys,
                                     .held = lock,
                                     .make = true};
    if (!rc)
        rc = make_store(c, &p);
    if (rc)
        return rc;
    cli_path(c, "letterlock.conf", path);
    int err = cli_write_file(path, text, (size_t)len, 0644);
    return err ? cli_fail(c, "cannot write %s: %s", path, strerror(errno)) : EXIT_DONE;
}

int command_init(struct cli *c)
{
    struct config config;
    struct dir_lock lock = {-1, -1};
    struct record_bundle *keys = secmem_key_alloc(sizeof(*keys));
    event_init("cli", LOG_LEVEL_ERROR, false);
    int rc = keys ? read_options(c, &config) : cli_fail(c, "out of memory");
    if (!rc)
        rc = take_folder(c, &lock);
    if (!rc)
        rc = make_instance(c, &config, &lock, keys);
    dir_unlock(&lock);
    secmem_key_free(keys, sizeof(*keys));
    if (!rc)
        cli_mind(c,
                 "keep a copy of %s/store.key, of %s/queue.key and of what opens them, away from this machine and not "
                 "beside the backups: without them the mail is lost, and every backup with it",
                 c->dir, c->dir);
    if (!rc && config.store_key_file[0] && cli_same_file_system(c->dir, config.store_key_file))
        cli_mind(c,
                 "the store key's file %s is on the store's file system: a stolen disk reads all names, and mail that "
                 "waits to be sent. Move "
                 "it to another one and set store_key_file, or use a systemd credential",
                 config.store_key_file);
    return rc;
}
