/* letterlock acme: certificates for the names of this server, by uacme (RFC 8555). The keys are made and kept here;
 * uacme sees requests for certificates alone. */
#ifndef CLI_ACME_H
#define CLI_ACME_H

#include <openssl/evp.h>

#include "server/cli/cli.h"
#include "server/doctor/names.h"

/* Where a name's pair stands, and its next key until it is used. */
struct acme_pair {
    char name[256];
    bool own; /* the server's name: tls_chain and tls_key */
    char chain[CLI_PATH_MAX], key[CLI_PATH_MAX], next[CLI_PATH_MAX], seen[CLI_PATH_MAX];
};

struct acme {
    const struct cli *cli;
    const struct config *config;
    struct doctor_names *names;
    int lock;                /* no two runs at once */
    char dir[CLI_PATH_MAX];  /* uacme's */
    char hook[CLI_PATH_MAX]; /* what it calls */
    char late[CLI_PATH_MAX]; /* is there while the server may serve less than the files have */
    bool has_account;        /* asked for in this run */
};

/* acme_keys.c. PEM; the first key of a file. ERR_NOT_FOUND, ERR_FORMAT, ERR_IO (errno), ERR_CRYPTO. */
int acme_key_read(const char *path, EVP_PKEY **ret);
/* The one that the chain is for, since a file has two where an exchange was cut short; without a chain, the first. */
int acme_key_in_use(const struct acme_pair *p, EVP_PKEY **ret);
int acme_key_make(const char *path, EVP_PKEY **ret); /* P-256, in a new file, 0600 */
int acme_key_sha256(const EVP_PKEY *key, uint8_t out[32]);
/* A request for a certificate for that name, written to path. */
int acme_request_write(const char *name, EVP_PKEY *key, const char *path);
/* Puts a chain, and the next key where it changes (else NULL), in the place of what was there. At each moment the key's
 * file has the key that the chain's has. */
int acme_install(const struct acme_pair *p, const char *chain, size_t len, EVP_PKEY *next);
/* Whether the chain is the next key's already: the exchange was cut short behind it, and acme_finish does the rest. */
bool acme_unfinished(const struct acme_pair *p);
int acme_finish(const struct acme_pair *p);

/* acme_order.c. Prints why; an exit status. ret: malloc'd. */
int acme_order(struct acme *a, const struct acme_pair *p, EVP_PKEY *key, char **ret_chain, size_t *ret_len);

#endif
