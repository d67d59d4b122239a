/* letterlock store-key: the slots that open an instance's store key. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/date.h"
#include "server/cli/cli.h"
#include "store/storekey.h"

enum { SLOTS_MAX = 64, CREDENTIAL_MIN = 32, CREDENTIAL_MAX = 4096 };

static int add_passphrase(const struct cli *c, const struct instance *i)
{
    char words[CLI_PASSPHRASE_MAX + 1];
    const char *path = c->opt[OPT_PASSPHRASE_FILE];
    int err = cli_read_secret(path, words, sizeof(words));
    if (err)
        return cli_fail(c, "no passphrase in %s: %s", path, cli_secret_fault(err));
    err = storekey_add(c->dir, i->roots, SLOT_PASSPHRASE, words, strlen(words));
    sodium_memzero(words, sizeof(words));
    return err ? cli_fail(c, "the slot could not be added: %s", cli_err_str(err)) : EXIT_DONE;
}

static int add_key_file(const struct cli *c, const struct instance *i)
{
    const char *path = c->opt[OPT_STORE_KEY_FILE];
    uint8_t fresh[32];
    randombytes_buf(fresh, sizeof(fresh));
    int err = cli_write_file(path, fresh, sizeof(fresh), 0600);
    if (err) {
        return cli_fail(c, "cannot make the key file %s: %s", path,
                        err == ERR_EXISTS ? "it exists; name a new one" : strerror(errno));
    }
    err = storekey_add(c->dir, i->roots, SLOT_KEY_FILE, fresh, sizeof(fresh));
    sodium_memzero(fresh, sizeof(fresh));
    if (err) {
        unlink(path);
        return cli_fail(c, "the slot could not be added: %s", cli_err_str(err));
    }
    char whole[CLI_PATH_MAX];
    printf("Set store_key_file = %s in %s/letterlock.conf to open with it.\n",
           cli_resolve(path, whole, sizeof(whole)) ? path : whole, c->dir);
    return EXIT_DONE;
}

int cli_read_credential(const struct cli *c, const char *path, char **ret, size_t *ret_len)
{
    struct stat st;
    char *data;
    size_t len;
    if (stat(path, &st))
        return cli_fail(c, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < CREDENTIAL_MIN || st.st_size > CREDENTIAL_MAX)
        return cli_fail(c, "the credential %s is no key: it must have %d to %d bytes", path, CREDENTIAL_MIN,
                        CREDENTIAL_MAX);
    if (st.st_mode & S_IROTH) /* it would be refused when it is to open */
        return cli_fail(c, "others may read the credential %s: chmod o-r, and think whether they did", path);
    if (cli_read_file(path, CREDENTIAL_MAX, &data, &len))
        return cli_fail(c, "cannot read %s: %s", path, strerror(errno));
    *ret = data;
    *ret_len = len;
    return EXIT_DONE;
}

static int add_credential(const struct cli *c, const struct instance *i)
{
    char *data;
    size_t len;
    int rc = cli_read_credential(c, c->opt[OPT_CREDENTIAL_FILE], &data, &len);
    if (rc)
        return rc;
    int err = storekey_add(c->dir, i->roots, SLOT_CREDENTIAL, data, len);
    sodium_memzero(data, len);
    free(data);
    return err ? cli_fail(c, "the slot could not be added: %s", cli_err_str(err)) : EXIT_DONE;
}

int command_store_key_add(struct cli *c)
{
    if (!!c->opt[OPT_STORE_KEY_FILE] + !!c->opt[OPT_PASSPHRASE_FILE] + !!c->opt[OPT_CREDENTIAL_FILE] != 1)
        return cli_usage(c,
                         "give --store-key-file FILE (a new file), --credential-file FILE or --passphrase-file FILE");
    struct instance i;
    int rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    rc = c->opt[OPT_PASSPHRASE_FILE]   ? add_passphrase(c, &i)
         : c->opt[OPT_CREDENTIAL_FILE] ? add_credential(c, &i)
                                       : add_key_file(c, &i);
    instance_close(&i);
    return rc;
}

static int read_slots(const struct cli *c, struct storekey_info slots[SLOTS_MAX], size_t *ret_n)
{
    int err = storekey_list(c->dir, slots, SLOTS_MAX, ret_n);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s/store.key is not there: put back your copy of it, or make an instance with init",
                        c->dir);
    return err ? cli_fail(c, "%s/store.key cannot be read: %s", c->dir, err_str(err)) : EXIT_DONE;
}

int command_store_key_list(struct cli *c)
{
    struct storekey_info slots[SLOTS_MAX];
    size_t n;
    int rc = read_slots(c, slots, &n);
    for (size_t k = 0; !rc && k < n; k++) {
        char made[DATE_DAY_SIZE];
        date_write_day(slots[k].created, made);
        printf("%4u  %s, made %s%s\n", slots[k].number, storekey_slot_name(slots[k].slot), made,
               slots[k].both ? "" : ", left half done: it opens nothing; remove it");
    }
    return rc;
}

/* Whether the file that the configuration names opens a slot. */
static bool file_opens(const struct cli *c, const char *path)
{
    struct storekey_roots *roots = secmem_key_alloc(sizeof(*roots));
    char *data = NULL;
    size_t len = 0;
    bool opens = roots && !cli_read_file(path, CREDENTIAL_MAX, &data, &len) &&
                 storekey_open(c->dir, SLOT_KEY_FILE, data, len, roots) == OK;
    if (data)
        sodium_memzero(data, len);
    free(data);
    secmem_key_free(roots, sizeof(*roots));
    return opens;
}

static int remove_slot(const struct cli *c, unsigned long number)
{
    struct config config;
    char path[CLI_PATH_MAX];
    int rc = instance_read_config(c, &config, NULL, NULL);
    if (rc)
        return rc;
    cli_path(c, config.store_key_file, path);
    bool opened = config.store_key_file[0] && file_opens(c, path);
    int err = storekey_remove(c->dir, (unsigned)number);
    if (err == ERR_CONFLICT)
        return cli_fail(c, "this is the last slot: without it nothing opens the store key; add another one first");
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "there is no slot %lu; letterlock store-key list shows them", number);
    if (err)
        return cli_fail(c, "the slot could not be removed: %s", cli_err_str(err));
    if (opened && !file_opens(c, path))
        cli_mind(c, "%s, which store_key_file names, opens the store key no more: name the file of a slot that is left",
                 path);
    return EXIT_DONE;
}

int command_store_key_remove(struct cli *c)
{
    struct storekey_info slots[SLOTS_MAX];
    size_t n;
    char *end;
    unsigned long number = strtoul(c->arg[0], &end, 10);
    if (*end || end == c->arg[0] || number > UINT32_MAX)
        return cli_fail(c, "NUMBER is what `letterlock store-key list` prints first");
    int rc = read_slots(c, slots, &n);
    return rc ? rc : remove_slot(c, number);
}

int command_store_key_new_queue(struct cli *c)
{
    struct config config;
    char why[CLI_WHY_MAX] = "";
    int rc = instance_read_config(c, &config, NULL, NULL);
    if (rc)
        return rc;
    struct storekey_roots *roots = secmem_key_alloc(sizeof(*roots));
    if (!roots)
        return cli_fail(c, "out of memory");
    int err = storekey_new_queue(c->dir, config.store_key_file, instance_ask_passphrase, roots, why, sizeof(why));
    secmem_key_free(roots, sizeof(*roots));
    if (err)
        return cli_fail(c, "%s", *why ? why : err_str(err));
    cli_mind(c, "the signing keys are lost as well: letterlock dkim rotate DOMAIN --now, for each domain");
    return EXIT_DONE;
}
