/* The one way into every sandbox. A role opens what it needs, then calls sandbox_enter once, before any thread
 * exists; afterwards the kernel refuses what the profile does not list: Landlock (ABI 2 at least; newer rights
 * where offered), a seccomp allow-list, no_new_privs, no capabilities, no core dumps, and a uid of its own when
 * started as root.
 *
 * What each profile leaves open, besides memory, time and inherited descriptors:
 *   ingest, access  accept on inherited listeners; memfds; reading read_dir and the time zone files
 *   vault           files below write_dir: read, write, create; fsync; threads
 *   gpg judge       fork and exec of gpg and gpgconf; reading the system's libraries; any file operation below
 *                   write_dir
 *   gpg seal        fork and exec of gpg and gpgconf; reading the system's libraries and read_dir; no file can be
 *                   written
 *   resolver        UDP and TCP sockets, to any address; none that listens; no file, not even to read
 *   relay           TCP sockets, to the ports it is given; none that listens; reading the store
 *   web             accept on inherited listeners; no file, not even to read
 *   fetcher         TCP sockets, to the ports it is given; none that listens; no file, not even to read
 * No profile but these and master's has sockets of its own making (the judge one kind, which can only be closed) or
 * connect, and none chmod, chown, truncation by path, or signals to others.
 *
 * Master is weaker, because its children inherit what it gives up: Landlock confines it (and them) to writing
 * below write_dir and /dev/shm, to executing this binary and GnuPG, and, where offered, to signals and abstract
 * sockets within the family. It reads everything its uid may read, keeps its uid and capabilities, and its seccomp
 * filter only denies what no role ever needs (ptrace, mounts, modules, bpf, namespaces and the like). It never
 * parses what comes from the network.
 *
 * Landlock does not cover stat: a role can learn whether a path exists. Character sets that libraries would load
 * as code on demand are loaded before the door closes, for the roles that decode mail: executable memory cannot be
 * made behind it. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/base/event.h"
#include "server/base/roles.h"

struct sandbox_params {
    uid_t uid; /* 0: keep the current one */
    gid_t gid;
    const char *write_dir; /* the only tree under which the profile may write (vault: store; judge,
        master: theirs); or NULL. With
                                a uid, the tree is given to it first (regular files and directories, two levels deep) */
    const char *read_dir;  /* a tree that may be read besides the system's libraries; or NULL */
    const uint16_t
        *ports; /* relay, fetcher: those they may connect to, where the kernel's Landlock has networks (ABI 4) */
    size_t nports;
    bool allow_no_landlock; /* config: allow_no_landlock = yes */
    uint64_t memory;        /* octets of data the process may have (role_memory); 0: as many as it may already */
    int landlock_abi_max;   /* tests: pretend the kernel offers no more than this; 0: the newest */
};

/* Why it was refused; event_word(EVENT_TYPE_SANDBOX, why) is a sentence. */
struct sandbox_fault {
    enum event_SANDBOX why;
    int rc;       /* errno, or 0 */
    int landlock; /* what the kernel offers, where that is the matter */
};

/* OK, or ERR_UNSUPPORTED (the kernel lacks Landlock ABI 2 and it is not allowed), ERR_CONFLICT (a thread exists
 * already), ERR_IO. After a failure the process is half-way in and must exit. */
int sandbox_enter(enum role role, const struct sandbox_params *p, struct sandbox_fault *ret_fault);
/* The same for a role, which says its failure in the log. */
int sandbox_enter_role(enum role role, const struct sandbox_params *p);
/* The ABI the kernel offers; 0 without Landlock. */
int sandbox_landlock_abi(void);

#endif
