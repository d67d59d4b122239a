/* The sandbox's system-call half: an allow-list a profile, as tables. A call that is not listed fails with EPERM,
 * so that a library that probes for one goes on without it; calls that only an attack makes end the process.
 * Filters see arguments, never what pointers point at: clone3 and openat2 are answered ENOSYS, and libc falls back
 * to clone and openat. */
#include "server/base/sandbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"

#define IN(role) (1u << ROLE_##role)
#define MAIL (IN(INGEST) | IN(ACCESS))
#define VAULT IN(VAULT)
#define JUDGE IN(GPG_JUDGE)
#define SEAL IN(GPG_SEAL)
#define GPG (JUDGE | SEAL)
#define RESOLVER IN(RESOLVER)
#define RELAY IN(RELAY)
#define FETCHER IN(FETCHER)
#define WEB IN(WEB)
#define ALL (MAIL | VAULT | GPG | RESOLVER | RELAY | FETCHER | WEB)

enum { TESTS_MAX = 2 };
#define OWN_PID UINT64_MAX /* stands for this process's id */

/* One row allows a call to the profiles named, if every test holds: (argument & mask) == value. mask 0 ends the tests;
 * rows for the same call add up. */
struct row {
    int call;
    unsigned profiles;
    struct {
        unsigned arg;
        uint64_t mask, value;
    } test[TESTS_MAX];
};

#define CALL(name, who)      \
    {                        \
        SCMP_SYS(name), who, \
        {                    \
            {                \
                0, 0, 0      \
            }                \
        }                    \
    }
#define IF_EQ(name, who, arg, value)   \
    {                                  \
        SCMP_SYS(name), who,           \
        {                              \
            {                          \
                arg, UINT64_MAX, value \
            }                          \
        }                              \
    }
#define IF_BITS(name, who, arg, mask, value) \
    {                                        \
        SCMP_SYS(name), who,                 \
        {                                    \
            {                                \
                arg, mask, value             \
            }                                \
        }                                    \
    }

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define O_ANY_WRITE (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | TMPFILE_BIT)
#define O_ANY_MAKE (O_CREAT | O_TRUNC | TMPFILE_BIT)
#define CLONE_ANY_NEW \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)
/* All flags but close-on-exec, sealing and no-exec: a huge page that is missing ends the process that reads it, and the
 * vault reads what others hand it. */
#define MEMFD_ODD (0xffffffffU & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | 8U))
#define PR_SET_VMA_NAME 0x53564d41 /* newer than the oldest supported header */

static const struct row allowed[] = {
    /* Waiting and moving bytes. Fast open would be a connect: a listener that is shut down can be used for it. */
    {SCMP_SYS(sendto), ALL & ~RESOLVER, {{3, MSG_FASTOPEN, 0}, {4, UINT64_MAX, 0}}},
    IF_BITS(sendmsg, ALL & ~RESOLVER, 2, MSG_FASTOPEN, 0),
    CALL(epoll_wait, ALL),
    CALL(epoll_pwait, ALL),
    CALL(epoll_ctl, ALL),
    CALL(epoll_create1, ALL),
    CALL(read, ALL),
    CALL(write, ALL),
    CALL(readv, ALL),
    CALL(writev, ALL),
    CALL(recvmsg, ALL),
    CALL(recvfrom, ALL),
    CALL(poll, ALL),
    CALL(ppoll, ALL),
    CALL(select, GPG),
    CALL(pselect6, GPG),
    CALL(close, ALL),
    CALL(close_range, GPG),
    /* gpg looks for an agent. Not to reach one is fine with it, to get no socket is an error; this one can only be
     * closed. A datagram socket could send without connecting. */
    {SCMP_SYS(socket), JUDGE, {{0, UINT64_MAX, AF_UNIX}, {1, 0xf, SOCK_STREAM}}},
    /* Name servers are asked by UDP, and by TCP where an answer is too long. */
    {SCMP_SYS(socket), RESOLVER, {{0, UINT64_MAX, AF_INET}, {1, 0xf, SOCK_DGRAM}}},
    {SCMP_SYS(socket), RESOLVER, {{0, UINT64_MAX, AF_INET}, {1, 0xf, SOCK_STREAM}}},
    {SCMP_SYS(socket), RESOLVER, {{0, UINT64_MAX, AF_INET6}, {1, 0xf, SOCK_DGRAM}}},
    {SCMP_SYS(socket), RESOLVER, {{0, UINT64_MAX, AF_INET6}, {1, 0xf, SOCK_STREAM}}},
    CALL(bind, RESOLVER),
    CALL(connect, RESOLVER),
    /* Other mail servers, from an address of ours; Landlock says to which ports. */
    {SCMP_SYS(socket), RELAY, {{0, UINT64_MAX, AF_INET}, {1, 0xf, SOCK_STREAM}}},
    {SCMP_SYS(socket), RELAY, {{0, UINT64_MAX, AF_INET6}, {1, 0xf, SOCK_STREAM}}},
    CALL(bind, RELAY),
    CALL(connect, RELAY),
    /* Web servers; Landlock says to which ports. libcurl asks where a connection came to. */
    {SCMP_SYS(socket), FETCHER, {{0, UINT64_MAX, AF_INET}, {1, 0xf, SOCK_STREAM}}},
    {SCMP_SYS(socket), FETCHER, {{0, UINT64_MAX, AF_INET6}, {1, 0xf, SOCK_STREAM}}},
    CALL(connect, FETCHER),
    CALL(sendto, RESOLVER),
    CALL(sendmsg, RESOLVER),
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, SOL_SOCKET}, {2, UINT64_MAX, SO_REUSEADDR}}},
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, IPPROTO_IP}, {2, UINT64_MAX, IP_MTU_DISCOVER}}},
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, IPPROTO_IP}, {2, UINT64_MAX, IP_BIND_ADDRESS_NO_PORT}}},
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, IPPROTO_IPV6}, {2, UINT64_MAX, IPV6_V6ONLY}}},
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, IPPROTO_IPV6}, {2, UINT64_MAX, IPV6_MTU_DISCOVER}}},
    {SCMP_SYS(setsockopt), RESOLVER, {{1, UINT64_MAX, IPPROTO_IPV6}, {2, UINT64_MAX, IPV6_MTU}}},
    CALL(shutdown, ALL),
    CALL(accept4, MAIL | WEB),
    CALL(getsockname, MAIL | RELAY | FETCHER | WEB),
    CALL(getpeername, MAIL | FETCHER | WEB),
    CALL(getsockopt, ALL),
    /* Two options and no more: others load filters or whole protocols into the kernel. */
    {SCMP_SYS(setsockopt), MAIL | RELAY, {{1, UINT64_MAX, SOL_SOCKET}, {2, UINT64_MAX, SO_KEEPALIVE}}},
    {SCMP_SYS(setsockopt), MAIL | RELAY | FETCHER | WEB, {{1, UINT64_MAX, IPPROTO_TCP}, {2, UINT64_MAX, TCP_NODELAY}}},
    {SCMP_SYS(setsockopt), WEB, {{1, UINT64_MAX, IPPROTO_TCP}, {2, UINT64_MAX, TCP_CORK}}},
    CALL(eventfd2, ALL),
    CALL(pipe2, ALL),
    CALL(pipe, GPG),
    CALL(timerfd_create, ALL),
    CALL(timerfd_settime, ALL),
    CALL(lseek, ALL),
    CALL(pread64, ALL),
    CALL(pwrite64, ALL),
    CALL(fstat, ALL),
    CALL(newfstatat, ALL),
    CALL(dup, ALL),
    CALL(dup2, GPG),
    CALL(dup3, GPG),
    IF_EQ(ioctl, ALL, 1, FIONREAD),
    IF_EQ(ioctl, ALL, 1, FIONBIO),
    IF_EQ(ioctl, ALL, 1, TCGETS),
    IF_EQ(fcntl, ALL, 1, F_DUPFD),
    IF_EQ(fcntl, ALL, 1, F_DUPFD_CLOEXEC),
    IF_EQ(fcntl, ALL, 1, F_GETFD),
    IF_EQ(fcntl, ALL, 1, F_SETFD),
    IF_EQ(fcntl, ALL, 1, F_GETFL),
    IF_EQ(fcntl, ALL, 1, F_SETFL),
    IF_EQ(fcntl, ALL, 1, F_ADD_SEALS),
    IF_EQ(fcntl, ALL, 1, F_GET_SEALS),
    IF_EQ(fcntl, ALL, 1, F_SETPIPE_SZ),
    IF_EQ(fcntl, VAULT | JUDGE, 1, F_SETLK),
    IF_EQ(fcntl, VAULT | JUDGE, 1, F_SETLKW),
    IF_EQ(fcntl, VAULT | JUDGE, 1, F_GETLK),

    /* time */
    CALL(clock_gettime, ALL),
    CALL(clock_nanosleep, ALL),
    CALL(nanosleep, ALL),
    CALL(gettimeofday, ALL),
    CALL(time, ALL),
    CALL(clock_getres, ALL),
    CALL(times, GPG),
    CALL(setitimer, GPG),

    /* memory: none of it executable, except where a program is loaded */
    IF_BITS(mmap, ALL, 2, PROT_EXEC, 0),
    IF_BITS(mprotect, ALL, 2, PROT_EXEC, 0),
    {SCMP_SYS(mmap), GPG, {{2, PROT_EXEC | PROT_WRITE, PROT_EXEC}, {3, MAP_ANONYMOUS, 0}}},
    CALL(munmap, ALL),
    CALL(mremap, ALL),
    CALL(madvise, ALL),
    CALL(brk, ALL),
    CALL(mlock, ALL),
    CALL(mlock2, ALL),
    CALL(munlock, ALL),
    IF_BITS(memfd_create, ALL, 1, MEMFD_ODD, 0),
    CALL(memfd_secret, ALL),
    CALL(ftruncate, ALL),
    CALL(futex, ALL),
    CALL(set_robust_list, ALL),
    CALL(rseq, ALL),
    CALL(getrandom, ALL),
    CALL(membarrier, ALL),

    /* itself */
    CALL(getpid, ALL),
    CALL(gettid, ALL),
    CALL(getppid, ALL),
    CALL(getuid, ALL),
    CALL(geteuid, ALL),
    CALL(getgid, ALL),
    CALL(getegid, ALL),
    CALL(rt_sigaction, ALL),
    CALL(rt_sigprocmask, ALL),
    CALL(rt_sigreturn, ALL),
    CALL(rt_sigpending, ALL),
    CALL(sigaltstack, ALL),
    CALL(restart_syscall, ALL),
    CALL(exit, ALL),
    CALL(exit_group, ALL),
    CALL(sched_yield, ALL),
    CALL(sched_getaffinity, ALL),
    CALL(getrusage, ALL),
    CALL(uname, ALL),
    CALL(sysinfo, ALL),
    CALL(getcpu, ALL),
    CALL(getcwd, GPG),
    CALL(umask, GPG),
    CALL(getpgrp, GPG),
    CALL(getgroups, GPG),
    IF_EQ(kill, ALL, 0, OWN_PID),
    IF_EQ(tgkill, ALL, 0, OWN_PID),
    IF_EQ(prctl, ALL, 0, PR_SET_NAME),
    IF_EQ(prctl, ALL, 0, PR_GET_NAME),
    IF_EQ(prctl, ALL, 0, PR_GET_DUMPABLE),
    IF_EQ(prctl, ALL, 0, PR_SET_VMA_NAME),
    {SCMP_SYS(prlimit64), ALL, {{0, UINT64_MAX, 0}, {2, UINT64_MAX, 0}}}, /* reading its own limits */
    IF_EQ(prlimit64, IN(MASTER), 1, RLIMIT_DATA),                         /* of roles, after a reload */
    IF_EQ(prlimit64, GPG, 0, 0),                                          /* gpg dies if it cannot forbid its cores */
    CALL(setrlimit, GPG),
    CALL(getrlimit, ALL),

    /* files, by path: Landlock says which */
    IF_BITS(openat, MAIL | RELAY, 2, O_ANY_WRITE, 0),
    IF_BITS(open, MAIL | RELAY, 1, O_ANY_WRITE, 0),
    IF_BITS(openat, SEAL, 2, O_ANY_MAKE, 0),
    IF_BITS(open, SEAL, 1, O_ANY_MAKE, 0), /* Landlock leaves it /dev/null */
    /* O_RDONLY|O_TRUNC truncates, and Landlock sees no truncation before ABI 3. */
    IF_BITS(openat, VAULT, 2, O_TRUNC | TMPFILE_BIT, 0),
    IF_BITS(open, VAULT, 1, O_TRUNC | TMPFILE_BIT, 0),
    IF_BITS(openat, JUDGE, 2, TMPFILE_BIT, 0),
    IF_BITS(open, JUDGE, 1, TMPFILE_BIT, 0),
    CALL(stat, ALL),
    CALL(lstat, ALL),
    CALL(getdents64, VAULT | GPG),
    CALL(fstatfs, VAULT | GPG),
    CALL(statfs, GPG),
    CALL(access, GPG),
    CALL(faccessat, GPG),
    CALL(faccessat2, GPG),
    CALL(readlink, GPG),
    CALL(readlinkat, GPG),
    CALL(fsync, VAULT | JUDGE),
    CALL(fdatasync, VAULT | JUDGE),
    CALL(msync, VAULT),
    CALL(sync_file_range, VAULT),
    CALL(pwritev, VAULT),
    CALL(preadv, VAULT),
    CALL(fallocate, VAULT),
    CALL(fadvise64, ALL),
    CALL(rename, JUDGE),
    CALL(renameat, JUDGE),
    CALL(renameat2, JUDGE),
    CALL(link, JUDGE),
    CALL(linkat, JUDGE),
    CALL(unlink, JUDGE),
    CALL(unlinkat, JUDGE),
    CALL(mkdir, JUDGE),
    CALL(mkdirat, JUDGE),
    CALL(rmdir, JUDGE),

    /* threads (a hot backup), and processes where gpg is run */
    IF_BITS(clone, VAULT, 0, CLONE_THREAD | CLONE_ANY_NEW, CLONE_THREAD),
    IF_BITS(clone, GPG, 0, CLONE_ANY_NEW, 0),
    CALL(vfork, GPG),
    CALL(fork, GPG),
    CALL(execve, GPG),
    CALL(wait4, GPG),
    CALL(waitid, GPG),
    CALL(set_tid_address, GPG),
    CALL(arch_prctl, GPG),

#if SANITIZED
    CALL(readlink, ALL),
    CALL(readlinkat, ALL),
    CALL(getcwd, ALL),
    CALL(access, ALL),
    CALL(faccessat, ALL),
    CALL(getdents64, ALL),
    CALL(dup2, ALL),
    CALL(dup3, ALL),
#endif
};

/* Only an attack makes these. Master's filter, which every role inherits, refuses them as well. */
static const int hostile[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(syslog),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(personality),
};

/* Hostile in every role that runs no other program. */
static const int hostile_without_exec[] = {SCMP_SYS(execve), SCMP_SYS(execveat)};

static int add_row(scmp_filter_ctx f, const struct row *row)
{
    struct scmp_arg_cmp cmp[TESTS_MAX];
    unsigned n = 0;

    for (; n < TESTS_MAX && row->test[n].mask; n++) {
        uint64_t value = row->test[n].value == OWN_PID ? (uint64_t)getpid() : row->test[n].value;
        cmp[n] = (struct scmp_arg_cmp){row->test[n].arg, SCMP_CMP_MASKED_EQ, row->test[n].mask, value};
        if (row->test[n].mask == UINT64_MAX)
            cmp[n] = (struct scmp_arg_cmp){row->test[n].arg, SCMP_CMP_EQ, value, 0};
    }
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, row->call, n, cmp);
}

static int add_list(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < n; i++)
        err = seccomp_rule_add(f, action, calls[i], 0);
    return err;
}

static int fill(scmp_filter_ctx f, enum role role)
{
    size_t nhostile = sizeof(hostile) / sizeof(*hostile);
    int err;

    if (role == ROLE_MASTER)
        return add_list(f, SCMP_ACT_ERRNO(EPERM), hostile, nhostile);
    err = add_list(f, SCMP_ACT_KILL_PROCESS, hostile, nhostile);
    if (err == 0 && !(GPG & 1u << role))
        err = add_list(f, SCMP_ACT_KILL_PROCESS, hostile_without_exec, 2);
    for (size_t i = 0; err == 0 && i < sizeof(allowed) / sizeof(*allowed); i++)
        if (allowed[i].profiles & 1u << role)
            err = add_row(f, &allowed[i]);
    if (err == 0)
        err = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (err == 0)
        err = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
    return err;
}

int seccomp_enter(enum role role)
{
    scmp_filter_ctx f = seccomp_init(role == ROLE_MASTER ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
    int err;

    if (!f)
        return ERR_MEMORY;
    /* A binary tree over call numbers; foreign ABIs (i386, x32) end the process. */
    err = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (err == 0)
        err = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (err == 0)
        err = fill(f, role);
    if (err == 0)
        err = seccomp_load(f);
    seccomp_release(f);
    return err == 0 ? OK : ERR_IO;
}
