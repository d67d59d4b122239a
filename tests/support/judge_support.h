/* What the tests of judging share: certificates from text, judged, and the minimal copy beside them. */
#ifndef TESTS_SUPPORT_JUDGE_SUPPORT_H
#define TESTS_SUPPORT_JUDGE_SUPPORT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_judge.h"
#include "server/core/error.h"

enum { NOW = 1767225600 /* 2026-01-01 */ };

size_t from_text(const char *text, uint8_t *out, size_t cap);
void to_hex(const uint8_t *p, size_t n, char *out);

/* Judged from a copy of exactly its size, so that a sanitizer sees a read too far; what is left points into nothing. */
int judge_copy(const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *j);

void same_verdict(const struct pgp_judged *a, const struct pgp_judged *b);

/* The minimal copy: judged alike, not longer than a certificate in this packet format, and the same bytes when made of
 * itself. */
size_t check_minimal(const uint8_t *cert, size_t len, const struct pgp_judged *j, uint8_t *out);

#endif
