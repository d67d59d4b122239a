/* App passwords as they are made: by the command line, and by their owner over HTTP. */
#ifndef LOGIN_APP_PASSWORD_H
#define LOGIN_APP_PASSWORD_H

#include "store/request.h"

enum { APP_PASSWORD_SIZE = 26 + 1 };

extern const char *const app_password_scopes[]; /* the word of each SCOPE_ bit, from the lowest on, then NULL */

/* A fresh one, for its owner's eyes, and of it what the vault gets: ret's hash and keys. The caller wipes both.
 * ERR_MEMORY. */
int app_password_make(const struct record_keys *k, const struct schema_account *a, char ret_text[APP_PASSWORD_SIZE],
                      struct vault_app_password *ret);

#endif
