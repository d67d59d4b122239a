/* What `account show` says of signing in over HTTP. */
#ifndef CLI_SIGNIN_H
#define CLI_SIGNIN_H

#include <stdint.h>
#include <stdio.h>

struct view;
/* A line, if anything is registered. The errors of view.h. */
int signin_print(struct view *v, uint64_t account, uint64_t now, FILE *out);

#endif
