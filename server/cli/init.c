/* letterlock init and store-key: a new instance, and the slots that open its store key. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/cli/cli.h"
#include "store/storekey.h"

enum { CERTIFICATE_DAYS = 3650 };

static int add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

/* A self-signed P-256 certificate: enough to start with; an ACME client replaces the two files later. */
static int make_certificate(const char *domain, const char *chain_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    char names[600];
    snprintf(names, sizeof names, "DNS:%s,DNS:localhost,IP:127.0.0.1", domain);
    unsigned char serial[8];
    randombytes_buf(serial, sizeof serial);
    serial[0] &= 0x7f;
    BIGNUM *bn = BN_bin2bn(serial, sizeof serial, NULL);
    int ok = key && x && bn && X509_set_version(x, X509_VERSION_3) && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) &&
             X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
             X509_gmtime_adj(X509_getm_notAfter(x), (long)CERTIFICATE_DAYS * 86400) && X509_set_pubkey(x, key) &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)domain, -1, -1, 0) &&
             X509_set_issuer_name(x, X509_get_subject_name(x)) && add_extension(x, NID_subject_alt_name, names) &&
             add_extension(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") && X509_sign(x, key, EVP_sha256());
    BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
    ok = ok && PEM_write_bio_X509(chain, x) && PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
    char *text = NULL;
    int err = ok ? OK : ERR_CRYPTO;
    if (!err) {
        long n = BIO_get_mem_data(chain, &text);
        err = cli_write_file(chain_path, text, (size_t)n, 0644, true);
    }
    if (!err) {
        long n = BIO_get_mem_data(secret, &text);
        err = cli_write_file(key_path, text, (size_t)n, 0600, true);
        explicit_bzero(text, (size_t)n);
    }
    BIO_free(chain);
    BIO_free(secret);
    BN_free(bn);
    X509_free(x);
    EVP_PKEY_free(key);
    return err;
}

static int read_secret_file(const char *path, char **ret, size_t *ret_len)
{
    int err = cli_read_file(path, 4096, ret, ret_len);
    return !err && !*ret_len ? ERR_FORMAT : err;
}

/* A passphrase file's first line, without its end. */
static int read_passphrase_file(const char *path, char **ret, size_t *ret_len)
{
    int err = read_secret_file(path, ret, ret_len);
    if (!err)
        *ret_len = strcspn(*ret, "\r\n");
    return !err && !*ret_len ? ERR_FORMAT : err;
}

/* realpath writes up to PATH_MAX octets into a buffer of the caller's: ours are shorter. */
static bool resolve(const char *path, char out[512])
{
    char *whole = realpath(path, NULL);
    bool fits = whole && strlen(whole) < 512;
    if (fits)
        strcpy(out, whole);
    free(whole);
    return fits;
}

/* Where the new store key's first slot comes from: the passphrase or key file asked for, else a systemd credential, else a key file beside DIR. */
static int make_store_key(struct cli *c, struct config *config, uint8_t key[32])
{
    char *secret = NULL, path[700];
    size_t len = 0;
    int err;
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    if (c->opt[OPT_PASSPHRASE_FILE]) {
        if (read_passphrase_file(c->opt[OPT_PASSPHRASE_FILE], &secret, &len))
            return cli_fail(c, "cannot read a passphrase from %s", c->opt[OPT_PASSPHRASE_FILE]);
        err = storekey_create(c->dir, SLOT_PASSPHRASE, secret, len, key);
    } else if (!c->opt[OPT_STORE_KEY_FILE] && credentials &&
               (size_t)snprintf(path, sizeof path, "%s/letterlock-store-key", credentials) < sizeof path && !read_secret_file(path, &secret, &len)) {
        err = storekey_create(c->dir, SLOT_CREDENTIAL, secret, len, key);
    } else {
        char absolute[512];
        if (!resolve(c->dir, absolute))
            return cli_fail(c, "cannot resolve %s", c->dir);
        if (c->opt[OPT_STORE_KEY_FILE])
            snprintf(path, sizeof path, "%s", c->opt[OPT_STORE_KEY_FILE]);
        else
            snprintf(path, sizeof path, "%s.storekey", absolute);
        uint8_t fresh[32];
        randombytes_buf(fresh, sizeof fresh);
        err = cli_write_file(path, fresh, sizeof fresh, 0600, true);
        if (err)
            return cli_fail(c, "cannot make the key file %s: %s", path, err == ERR_EXISTS ? "it exists; name another with --store-key-file" : strerror(errno));
        err = storekey_create(c->dir, SLOT_KEY_FILE, fresh, sizeof fresh, key);
        sodium_memzero(fresh, sizeof fresh);
        if (!err && !resolve(path, config->store_key_file))
            err = ERR_IO;
    }
    if (secret)
        sodium_memzero(secret, len);
    free(secret);
    return err ? cli_fail(c, "cannot make the store key: %s", err_str(err)) : EXIT_DONE;
}

static void warn_same_file_system(const struct cli *c, const struct config *config)
{
    struct stat store, key;
    if (config->store_key_file[0] && !stat(c->dir, &store) && !stat(config->store_key_file, &key) && store.st_dev == key.st_dev)
        fprintf(stderr, "letterlock init: mind: the store key's file %s is on the store's file system: a stolen disk reads names and queue. "
                        "Move it to another one and set store_key_file, or use a systemd credential.\n", config->store_key_file);
}

static int write_config(struct cli *c, const struct config *config)
{
    static char text[64 * 1024];
    char path[600];
    long n = config_write(config, text, sizeof text);
    snprintf(path, sizeof path, "%s/letterlock.conf", c->dir);
    if (n < 0 || cli_write_file(path, text, (size_t)n, 0644, true))
        return cli_fail(c, "cannot write %s: %s", path, strerror(errno));
    return EXIT_DONE;
}

int command_init(struct cli *c)
{
    struct config config;
    char path[600], key_path[620], absolute[512];
    uint8_t key[32];
    config_defaults(&config);
    if (!c->opt[OPT_DOMAIN])
        return cli_fail(c, "give --domain DOMAIN: the name in the part behind the @ of its addresses");
    char probe[300], normal[ADDRESS_MAX];
    size_t at, plus;
    if ((size_t)snprintf(probe, sizeof probe, "x@%s", c->opt[OPT_DOMAIN]) >= sizeof probe ||
        address_normalize(probe, strlen(probe), normal, &at, &plus) || strlen(normal + 2) >= sizeof config.domain)
        return cli_fail(c, "%s is not a domain name", c->opt[OPT_DOMAIN]);
    snprintf(config.domain, sizeof config.domain, "%s", normal + 2);
    if (c->opt[OPT_LOOPBACK]) {
        char *end;
        unsigned long base = strtoul(c->opt[OPT_LOOPBACK], &end, 10);
        if (*end || base < 1000 || base > 64000)
            return cli_fail(c, "--loopback takes a base from 1000 to 64000: 20000 gives SMTP on 20025, IMAPS on 20993");
        config.port_base = (uint32_t)base;
        snprintf(config.bind, sizeof config.bind, "127.0.0.1");
    }
    else
        snprintf(config.bind, sizeof config.bind, access("/proc/net/if_inet6", F_OK) ? "0.0.0.0" : "::");
    if (strlen(c->dir) > 400)
        return cli_fail(c, "the path of DIR is too long");
    snprintf(path, sizeof path, "%s/letterlock.conf", c->dir);
    if (!access(path, F_OK))
        return cli_fail(c, "%s holds an instance already", c->dir);
    /* 0711: roles with uids of their own pass through to what is theirs, and see nothing on the way. */
    if (mkdir(c->dir, 0711) && errno != EEXIST)
        return cli_fail(c, "cannot make %s: %s", c->dir, strerror(errno));
    chmod(c->dir, 0711);
    if (!resolve(c->dir, absolute))
        return cli_fail(c, "cannot resolve %s", c->dir);
    static const char *const folders[] = {"store", "tls", "run"};
    for (size_t k = 0; k < 3; k++) {
        snprintf(path, sizeof path, "%s/%s", absolute, folders[k]);
        if (mkdir(path, 0700) && errno != EEXIST)
            return cli_fail(c, "cannot make %s: %s", path, strerror(errno));
    }
    snprintf(path, sizeof path, "%s/tls/chain.pem", absolute);
    snprintf(key_path, sizeof key_path, "%s/tls/key.pem", absolute);
    if (access(path, F_OK)) {
        int err = make_certificate(config.domain, path, key_path);
        if (err)
            return cli_fail(c, "cannot make a certificate in %s/tls: %s", absolute, err_str(err));
    }
    int rc = make_store_key(c, &config, key);
    if (!rc)
        rc = write_config(c, &config);
    sodium_memzero(key, sizeof key);
    if (rc)
        return rc;
    /* The first start of the vault makes the store; its first domain is the instance's own. */
    struct instance i;
    rc = instance_open(c, INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    uint8_t payload[300];
    struct pack p;
    pack_init(&p, payload, sizeof payload);
    pack_str(&p, config.domain);
    rc = instance_call(c, &i, VAULT_DOMAIN_ADD, &p, -1, NULL);
    instance_close(&i);
    if (!rc)
        warn_same_file_system(c, &config);
    return rc;
}

static int unlocked_key(struct cli *c, struct instance *i)
{
    return instance_open(c, 0, i);
}

int command_store_key_add(struct cli *c)
{
    if (!c->opt[OPT_STORE_KEY_FILE] == !c->opt[OPT_PASSPHRASE_FILE])
        return cli_fail(c, "give --store-key-file FILE (a new file) or --passphrase-file FILE");
    struct instance i;
    int rc = unlocked_key(c, &i);
    if (rc)
        return rc;
    int err;
    if (c->opt[OPT_PASSPHRASE_FILE]) {
        char *secret = NULL;
        size_t len = 0;
        err = read_passphrase_file(c->opt[OPT_PASSPHRASE_FILE], &secret, &len);
        if (!err)
            err = storekey_add(c->dir, i.key, SLOT_PASSPHRASE, secret, len);
        if (secret)
            sodium_memzero(secret, len);
        free(secret);
    } else {
        uint8_t fresh[32];
        randombytes_buf(fresh, sizeof fresh);
        err = cli_write_file(c->opt[OPT_STORE_KEY_FILE], fresh, sizeof fresh, 0600, true);
        if (!err)
            err = storekey_add(c->dir, i.key, SLOT_KEY_FILE, fresh, sizeof fresh);
        sodium_memzero(fresh, sizeof fresh);
        if (!err)
            printf("Set store_key_file = %s in %s/letterlock.conf to open with it.\n", c->opt[OPT_STORE_KEY_FILE], c->dir);
    }
    instance_close(&i);
    return err ? cli_fail(c, "the slot could not be added: %s", err_str(err)) : EXIT_DONE;
}

int command_store_key_list(struct cli *c)
{
    static const char *const names[] = {"?", "passphrase", "key file", "systemd credential"};
    struct storekey_info slots[64];
    size_t n;
    int err = storekey_list(c->dir, slots, 64, &n);
    if (err)
        return cli_fail(c, "%s/store.key cannot be read: %s", c->dir, err_str(err));
    for (size_t k = 0; k < n; k++) {
        char made[16];
        time_t t = (time_t)slots[k].created;
        struct tm tm;
        strftime(made, sizeof made, "%Y-%m-%d", gmtime_r(&t, &tm));
        printf("%4u  %s, made %s\n", slots[k].number, names[slots[k].slot <= 3 ? slots[k].slot : 0], made);
    }
    return EXIT_DONE;
}

int command_store_key_remove(struct cli *c)
{
    char *end;
    unsigned long number = strtoul(c->arg[0], &end, 10);
    if (*end || number > 1000000)
        return cli_fail(c, "NUMBER is what `letterlock store-key list` prints first");
    int err = storekey_remove(c->dir, (unsigned)number);
    if (err == ERR_STATE)
        return cli_fail(c, "this is the last slot: without it nothing opens the store key");
    return err ? cli_fail(c, "no slot %lu: %s", number, err_str(err)) : EXIT_DONE;
}
