/* The one door into every sandbox. A role opens what it needs, then calls sandbox_enter once, before any thread exists;
 * afterwards the kernel refuses what the profile does not list: Landlock (ABI 2 at least; newer rights where offered), a
 * seccomp allow-list, no_new_privs, no core dumps, and a uid of its own when started as root. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum sandbox_profile {
    SANDBOX_MASTER,
    SANDBOX_INGEST,
    SANDBOX_ACCESS,
    SANDBOX_VAULT,
    SANDBOX_GPG_JUDGE,
    SANDBOX_GPG_SEAL,
    SANDBOX_PROFILES
};

struct sandbox_params {
    uid_t uid;               /* 0: keep the current one */
    gid_t gid;
    const char *write_dir;   /* the only tree under which the profile may write (vault: store; judge, master: theirs); or NULL */
    const char *read_dir;    /* a tree that may be read besides the system's libraries; or NULL */
    bool allow_no_landlock;  /* config: allow_no_landlock = yes */
    int landlock_abi_max;    /* tests: pretend the kernel offers no more than this; 0: the newest */
};

/* OK, or ERR_UNSUPPORTED (the kernel lacks Landlock ABI 2 and it is not allowed), ERR_IO. why gets a sentence. */
int sandbox_enter(enum sandbox_profile profile, const struct sandbox_params *p, char *why, size_t why_cap);
/* The ABI the kernel offers; 0 without Landlock. */
int sandbox_landlock_abi(void);
const char *sandbox_profile_name(enum sandbox_profile profile);

#endif
