/* The sandbox's file, network and signal half: Landlock rulesets through the raw system calls, since neither libc
 * nor the headers of the oldest supported system know the newer rights. Every right the kernel offers is handled,
 * so all is denied but what the table grants. */
#include "server/base/sandbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/core/error.h"

/* Rights and fields by the ABI that brought them; the system's header ends at ABI 2. */
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };
#define FS_ABI1 ((1ULL << 13) - 1)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP 1ULL
#define NET_CONNECT_TCP 2ULL
#define SCOPE_ABSTRACT_AND_SIGNAL 3ULL

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

#define EXEC LANDLOCK_ACCESS_FS_EXECUTE
#define READ LANDLOCK_ACCESS_FS_READ_FILE
#define LIST (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define STORE (LIST | WRITE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define HOME (STORE | LANDLOCK_ACCESS_FS_MAKE_DIR | REMOVE | FS_REFER)
#define OWN (HOME | LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define FILE_RIGHTS (EXEC | READ | WRITE | FS_IOCTL_DEV) /* what a rule on something other than a directory may hold */

#define IN(role) (1u << ROLE_##role)
#define MAIL (IN(INGEST) | IN(ACCESS))
#define GPG (IN(GPG_JUDGE) | IN(GPG_SEAL))
#define ALL ((1u << ROLES) - 1)

/* What each profile may reach. Paths that do not exist are passed over. */
static const struct grant {
    const char *path;
    unsigned profiles;
    uint64_t rights;
} grants[] = {
    {"/etc/localtime", ALL, READ},
    {"/usr/share/zoneinfo", ALL, LIST},

    {"/usr/bin/gpg", GPG | IN(MASTER), READ | EXEC},
    {"/usr/bin/gpgconf", GPG | IN(MASTER), READ | EXEC},
    /* The kernel opens the program interpreter for execution too. */
    {"/lib64/ld-linux-x86-64.so.2", GPG | IN(MASTER), READ | EXEC},
    {"/lib/ld-linux-aarch64.so.1", GPG | IN(MASTER), READ | EXEC},
    {"/lib/ld-linux-riscv64-lp64d.so.1", GPG | IN(MASTER), READ | EXEC},
    {"/lib", GPG, LIST},
    {"/lib64", GPG, LIST},
    {"/usr/lib", GPG, LIST},
    {"/etc/ld.so.cache", GPG, READ},
    {"/etc/gcrypt", GPG, LIST},
    {"/usr/share/gnupg", GPG, LIST},
    {"/usr/lib/locale", GPG, LIST},
    {"/proc/sys/crypto", GPG, LIST},
    {"/dev/urandom", GPG, READ},
    {"/dev/null", GPG | IN(MASTER), READ | LANDLOCK_ACCESS_FS_WRITE_FILE},

    {"/", IN(MASTER), LIST},
    {"/proc/self/exe", IN(MASTER), READ | EXEC},
    {"/dev/shm", IN(MASTER), OWN},
#if SANITIZED
    /* Reports name functions and maps. */
    {"/proc/self", ALL, LIST},
    {"/proc/self/exe", ALL, READ},
    {"/lib", ALL, LIST},
    {"/usr/lib", ALL, LIST},
#endif
};

/* What write_dir means to each profile; 0: it has none. */
static const uint64_t write_rights[ROLES] = {
    [ROLE_MASTER] = OWN,
    [ROLE_VAULT] = STORE,
    [ROLE_GPG_JUDGE] = HOME,
};

int sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

static uint64_t handled_fs(int abi)
{
    return FS_ABI1 | (abi >= ABI_REFER ? FS_REFER : 0) | (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0) |
           (abi >= ABI_IOCTL ? FS_IOCTL_DEV : 0);
}

static int add_path(int ruleset, const char *path, uint64_t rights, uint64_t handled, bool must_exist)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & handled};
    struct stat st;
    int err;

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return !must_exist && (errno == ENOENT || errno == EACCES || errno == ENOTDIR) ? OK : ERR_IO;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= FILE_RIGHTS;
    err = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ? OK : ERR_IO;
    close(rule.parent_fd);
    return err;
}

/* Landlock's rule of a port (ABI 4), which the oldest system's header lacks. */
struct port_attr {
    uint64_t access, port;
};
enum { RULE_PORT = 2 };

static int add_port(int ruleset, uint64_t access, uint16_t port)
{
    const struct port_attr attr = {access, port};

    return syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &attr, 0) == 0 ? OK : ERR_IO;
}

/* Port 0 is whatever the kernel gives, which a socket that is bound to an address gets. */
static int add_ports(int ruleset, const struct sandbox_params *p)
{
    int err = add_port(ruleset, NET_BIND_TCP, 0);

    for (size_t i = 0; err == OK && i < p->nports; i++)
        err = add_port(ruleset, NET_CONNECT_TCP, p->ports[i]);
    return err;
}

/* ret_why: of what there is no rule. */
static int add_all(int ruleset, enum role role, const struct sandbox_params *p, uint64_t handled,
                   enum event_SANDBOX *ret_why)
{
    *ret_why = EVENT_SANDBOX_RULE;
    for (size_t i = 0; i < sizeof(grants) / sizeof(*grants); i++)
        if (grants[i].profiles & 1u << role && add_path(ruleset, grants[i].path, grants[i].rights, handled, false))
            return ERR_IO;
    *ret_why = EVENT_SANDBOX_RULE_WRITE;
    if (p->write_dir && write_rights[role] && add_path(ruleset, p->write_dir, write_rights[role], handled, true))
        return ERR_IO;
    *ret_why = EVENT_SANDBOX_RULE_READ;
    if (p->read_dir && add_path(ruleset, p->read_dir, LIST, handled, true))
        return ERR_IO;
    return OK;
}

int landlock_prepare(enum role role, const struct sandbox_params *p, int abi, int *ret_ruleset,
                     struct sandbox_fault *ret_fault)
{
    struct ruleset_attr attr = {.handled_access_fs = handled_fs(abi)};
    size_t size = abi >= ABI_SCOPE ? sizeof(attr)
                  : abi >= ABI_NET ? offsetof(struct ruleset_attr, scoped)
                                   : sizeof(uint64_t);
    enum event_SANDBOX why;
    int ruleset;

    /* Master's children inherit its domain; a configured name server may have any port. */
    if (abi >= ABI_NET && role != ROLE_MASTER && role != ROLE_RESOLVER)
        attr.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= ABI_SCOPE)
        attr.scoped = SCOPE_ABSTRACT_AND_SIGNAL;

    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0) {
        *ret_fault = (struct sandbox_fault){EVENT_SANDBOX_RULESET, errno, abi};
        return ERR_IO;
    }
    if (add_all(ruleset, role, p, attr.handled_access_fs, &why)) {
        *ret_fault = (struct sandbox_fault){why, errno, abi};
        close(ruleset);
        return ERR_IO;
    }
    if (attr.handled_access_net && (role == ROLE_RELAY || role == ROLE_FETCHER) && add_ports(ruleset, p) != OK) {
        *ret_fault = (struct sandbox_fault){EVENT_SANDBOX_RULE, errno, abi};
        close(ruleset);
        return ERR_IO;
    }
    *ret_ruleset = ruleset;
    return OK;
}

int landlock_restrict(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? OK : ERR_IO;
}
