/* Entering a sandbox: what needs privilege first (rules on paths, handing over a tree, the uid), then the doors
 * close for good, in the order Landlock, seccomp. The tables of what each profile may do are in sandbox_landlock.c
 * and sandbox_seccomp.c. */
#include "server/base/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <iconv.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/sandbox_impl.h"

enum { LANDLOCK_ABI_MIN = 2, HAND_OVER_DEPTH = 2, GPG_FILES_MAX = 1024, GPG_PROCESSES_MAX = 64 };

static bool entered;

#if SANITIZED
/* The leak checker traces its own process, which the sandbox forbids: outside it leaks are still looked for. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return entered;
}
#endif

static int failed(struct sandbox_fault *ret, enum event_SANDBOX why)
{
    *ret = (struct sandbox_fault){.why = why, .rc = errno};
    return ERR_IO;
}

/* libc loads these as shared objects when they are first used. Held open until the process ends, so that the code
 * stays. */
static const char *const charsets[] = {
    "ISO-8859-1",   "ISO-8859-2",   "ISO-8859-3",    "ISO-8859-4",    "ISO-8859-5",   "ISO-8859-6",   "ISO-8859-7",
    "ISO-8859-8",   "ISO-8859-9",   "ISO-8859-10",   "ISO-8859-13",   "ISO-8859-14",  "ISO-8859-15",  "ISO-8859-16",
    "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252",  "WINDOWS-1253",  "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256",
    "WINDOWS-1257", "WINDOWS-1258", "KOI8-R",        "KOI8-U",        "IBM850",       "IBM866",       "TIS-620",
    "WINDOWS-874",  "BIG5",         "BIG5-HKSCS",    "GB2312",        "GBK",          "GB18030",      "EUC-JP",
    "SHIFT_JIS",    "WINDOWS-31J",  "ISO-2022-JP",   "EUC-KR",        "UHC",          "ISO-2022-KR",  "UTF-7",
    "UTF-16",       "UTF-32",       "MACINTOSH",     "MAC-CYRILLIC",  "VISCII",       "TCVN",         "KOI8-T",
    "IBM437",       "IBM737",       "IBM775",        "IBM852",        "IBM855",       "IBM857",       "IBM860",
    "IBM861",       "IBM862",       "IBM863",        "IBM864",        "IBM865",       "IBM869",       "IBM874",
    "ISO-8859-11",  "ISO-2022-CN",  "ISO-2022-JP-2", "ISO-2022-JP-3", "EUC-TW",       "EUC-JISX0213", "SHIFT_JISX0213",
    "JOHAB",        "ARMSCII-8",    "GEORGIAN-PS",
};
static iconv_t charsets_held[sizeof(charsets) / sizeof(*charsets)];

static void load_charsets(void)
{
    for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++)
        charsets_held[i] = iconv_open("UTF-8", charsets[i]); /* one that is missing stays missing */
}

/* What privilege made before belongs to the role afterwards. Links are never followed and files with a second name
 * left alone: the former owner of the tree may be hostile. */
static int hand_over(int dir, uid_t uid, gid_t gid, int depth)
{
    DIR *d;
    struct dirent *e;
    int err = fchown(dir, uid, gid) == 0 ? OK : ERR_IO;

    d = err == OK ? fdopendir(dir) : NULL;
    if (!d) {
        close(dir);
        return ERR_IO;
    }
    while (err == OK && (e = readdir(d))) {
        struct stat st;
        int fd;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        if (S_ISDIR(st.st_mode) && depth > 0) {
            err = hand_over(fd, uid, gid, depth - 1);
            continue;
        }
        if (S_ISREG(st.st_mode) && st.st_nlink == 1 && fchown(fd, uid, gid) != 0)
            err = ERR_IO;
        close(fd);
    }
    closedir(d);
    return err;
}

static int hand_over_tree(const struct sandbox_params *p)
{
    int fd = open(p->write_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? ERR_IO : hand_over(fd, p->uid, p->gid, HAND_OVER_DEPTH);
}

static int lower_limit(int which, rlim_t max)
{
    struct rlimit lim;

    if (getrlimit(which, &lim) != 0)
        return ERR_IO;
    lim.rlim_max = lim.rlim_max < max ? lim.rlim_max : max;
    lim.rlim_cur = lim.rlim_cur < lim.rlim_max ? lim.rlim_cur : lim.rlim_max;
    return setrlimit(which, &lim) == 0 ? OK : ERR_IO;
}

/* The hard limit stays as it is, so that master can let a role have more after a reload; the role itself may not change
 * limits. gpg may, and its need does not depend on the configuration. */
static int limit_memory(rlim_t max, bool hard)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_DATA, &lim) != 0)
        return ERR_IO;
    lim.rlim_cur = lim.rlim_max < max ? lim.rlim_max : max;
    lim.rlim_max = hard ? lim.rlim_cur : lim.rlim_max;
    return setrlimit(RLIMIT_DATA, &lim) == 0 ? OK : ERR_IO;
}

static int limits(enum role role, const struct sandbox_params *p, bool own_uid)
{
    bool gpg = roles_table[role].traits & ROLE_RUNS_GNUPG;
    int err = lower_limit(RLIMIT_CORE, 1); /* 0 would still let a core_pattern handler have one; 1 does not */

    /* Between fork and exec GPGME closes descriptors one by one up to this limit. */
    if (err == OK && gpg)
        err = lower_limit(RLIMIT_NOFILE, GPG_FILES_MAX);
    /* Counted by uid, so only where nothing else runs under it. */
    if (err == OK && gpg && own_uid)
        err = lower_limit(RLIMIT_NPROC, GPG_PROCESSES_MAX);
    if (err == OK && p->memory)
        err = limit_memory(p->memory, gpg);
    return err;
}

static int drop_uid(const struct sandbox_params *p)
{
    int death = 0;

    prctl(PR_GET_PDEATHSIG, &death);
    if (setgroups(0, NULL) != 0 || setresgid(p->gid, p->gid, p->gid) != 0 || setresuid(p->uid, p->uid, p->uid) != 0)
        return ERR_IO;
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0) {
        errno = EPERM;
        return ERR_IO;
    }
    /* A change of uid clears it. */
    if (death && prctl(PR_SET_PDEATHSIG, death) != 0)
        return ERR_IO;
    return OK;
}

/* While there is the privilege to do it; without privilege there is nothing to drop. */
static void drop_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    memset(none, 0, sizeof(none));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0 ? OK : ERR_IO;
}

static bool has_threads(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) == 0 && st.st_nlink > 3;
}

static int become(enum role role, const struct sandbox_params *p, struct sandbox_fault *ret_fault)
{
    bool own_uid = p->uid != 0 && role != ROLE_MASTER;

    if (own_uid && p->write_dir && hand_over_tree(p) != OK)
        return failed(ret_fault, EVENT_SANDBOX_GIVE);
    if (limits(role, p, own_uid) != OK)
        return failed(ret_fault, EVENT_SANDBOX_LIMITS);
    if (role != ROLE_MASTER)
        drop_bounding_set();
    if (own_uid && drop_uid(p) != OK)
        return failed(ret_fault, EVENT_SANDBOX_UID);
    if (role != ROLE_MASTER && drop_capabilities() != OK)
        return failed(ret_fault, EVENT_SANDBOX_CAPABILITIES);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed(ret_fault, EVENT_SANDBOX_PRIVILEGES);
    return OK;
}

int sandbox_enter(enum role role, const struct sandbox_params *p, struct sandbox_fault *ret_fault)
{
    int abi = sandbox_landlock_abi(), ruleset = -1, r;

    if (p->landlock_abi_max > 0 && abi > p->landlock_abi_max)
        abi = p->landlock_abi_max;
    if (abi < LANDLOCK_ABI_MIN && !p->allow_no_landlock) {
        *ret_fault = (struct sandbox_fault){EVENT_SANDBOX_LANDLOCK, 0, abi};
        return ERR_UNSUPPORTED;
    }
    if (has_threads()) {
        *ret_fault = (struct sandbox_fault){.why = EVENT_SANDBOX_THREAD};
        return ERR_CONFLICT;
    }
    if (roles_table[role].traits & ROLE_DECODES_MAIL)
        load_charsets();
    r = abi >= LANDLOCK_ABI_MIN ? landlock_prepare(role, p, abi, &ruleset, ret_fault) : OK;
    if (r == OK)
        r = become(role, p, ret_fault);
    if (r == OK && ruleset >= 0 && landlock_restrict(ruleset) != OK)
        r = failed(ret_fault, EVENT_SANDBOX_DOMAIN);
    if (ruleset >= 0)
        close(ruleset);
    if (r != OK)
        return r;
    entered = true;
    if (seccomp_enter(role) != OK)
        return failed(ret_fault, EVENT_SANDBOX_SECCOMP);
    return OK;
}

int sandbox_enter_role(enum role role, const struct sandbox_params *p)
{
    struct sandbox_fault f = {0};
    int err = sandbox_enter(role, p, &f);

    if (err != OK)
        log_event(sandbox_refused, f.why, (uint64_t)f.rc, (uint64_t)f.landlock);
    return err;
}
