/* Between the files of the sandbox: Landlock and seccomp, each with its own table of what a profile may do. */
#ifndef BASE_SANDBOX_IMPL_H
#define BASE_SANDBOX_IMPL_H

#include "server/base/sandbox.h"
#include "server/base/sanitized.h"

/* Two steps, because paths are opened while privilege lasts and the domain is entered when it is gone. abi is at
 * least 1. */
int landlock_prepare(enum role role, const struct sandbox_params *p, int abi, int *ret_ruleset,
                     struct sandbox_fault *ret_fault);
int landlock_restrict(int ruleset);

int seccomp_enter(enum role role);

#endif
