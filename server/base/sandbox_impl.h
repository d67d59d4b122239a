/* Between the files of the sandbox: Landlock and seccomp, each with its own table of what a profile may do. */
#ifndef BASE_SANDBOX_IMPL_H
#define BASE_SANDBOX_IMPL_H

#include "server/base/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/* Two steps, because paths are opened while privilege lasts and the domain is entered when it is gone. abi is at
 * least 1. */
int landlock_prepare(enum role role, const struct sandbox_params *p, int abi, int *ret_ruleset, char *why,
                     size_t why_cap);
int landlock_restrict(int ruleset);

int seccomp_enter(enum role role);

#endif
