/* A GnuPG home on /dev/shm for tests: makes keys without passphrases, exports, decrypts. */
#ifndef TESTS_SUPPORT_GPG_HOME_H
#define TESTS_SUPPORT_GPG_HOME_H

#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_packet.h"

extern char gpg_home[64];

/* Runs a shell command with HOME_ standing for the home; returns its exit status. */
int gpg_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int gpg_sh(const char *fmt, ...);
int gpg_home_open(void);
void gpg_home_close(void);
uint8_t *read_whole(const char *path, size_t *ret_len);
int write_whole(const char *path, const void *data, size_t len);

/* primary: "rsa2048/sign", subkey: "cv25519" and so on; the exported certificate. */
uint8_t *gpg_make_key(const char *name, const char *primary, const char *subkey, size_t *ret_len);

/* What gpg makes of a message; NULL when it refuses or warns about integrity. */
uint8_t *gpg_decrypt(const uint8_t *msg, size_t len, size_t *ret_len);

/* A verdict as the judge would give it: the last key that encrypts seals. */
int verdict_for(const uint8_t *cert, size_t len, struct pgp_verdict *ret);

#endif
