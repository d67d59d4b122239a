/* A certificate under construction and what is made of it: for the tests that forge them. */
#ifndef TESTS_SUPPORT_JUDGE_FORGED_H
#define TESTS_SUPPORT_JUDGE_FORGED_H

#include "tests/support/pgp_forge.h"
#include "tests/support/judge_support.h"

enum { T0 = 1700000000, DAY = 86400, ENC = 0x0c, BIND = 0x18, BACK = 0x19, DIRECT = 0x1f, CERT = 0x13 };

extern struct forge forged;
extern struct pgp_judged judgement;
extern struct forge_key primary, enc, enc2, sign, stranger, liar; /* liar: the primary's name, a stranger's secret */
void forged_keys(int version);

/* Primary key, direct key signature in version 6, one user id. */
void forged_start(int version);

void forged_bind(struct forge_sig s, const struct forge_key *by, const struct forge_key *subkey);

enum pgp_fault forged_judged_at(uint64_t now);

enum pgp_fault forged_judged(void);

bool forged_seals_with(const struct forge_key *k);

#endif
