/* Each function tries one door with the bare system call, so that no library falls back to another way. */
#include "tests/unit/base/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/sandbox.h"

static const char *below(const char *dir, const char *name)
{
    static char path[240];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}
static bool opens(const char *path, int flags)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}
#define DOOR(fn) bool fn(const struct place *p)
#define TRY(fn, call)       \
    DOOR(fn)                \
    {                       \
        return (call) >= 0; \
    }

/* files */
DOOR(write_file)
{
    return opens(p->file, O_WRONLY);
}
DOOR(rdwr_file)
{
    return opens(p->file, O_RDWR);
}
DOOR(append_file)
{
    return opens(p->file, O_WRONLY | O_APPEND);
}
DOOR(create_root)
{
    return opens(below(p->root, "made"), O_WRONLY | O_CREAT);
}
DOOR(create_cwd)
{
    return opens("made", O_RDWR | O_CREAT);
}
DOOR(create_tmp)
{
    return opens("/tmp/letterlock-door", O_RDWR | O_CREAT);
}
DOOR(create_shm)
{
    return opens("/dev/shm/letterlock-door", O_RDWR | O_CREAT);
}
DOOR(tmpfile_root)
{
    return opens(p->root, O_TMPFILE | O_RDWR);
}
DOOR(tmpfile_shm)
{
    return opens("/dev/shm", O_TMPFILE | O_RDWR);
}
DOOR(tmpfile_store)
{
    return opens(p->store, O_TMPFILE | O_RDWR);
}
DOOR(trunc_rdonly)
{
    return opens(p->file, O_RDONLY | O_TRUNC);
}
TRY(creat_file, syscall(SYS_creat, p->file, 0600))
TRY(truncate_file, syscall(SYS_truncate, p->file, 0L))
TRY(truncate_data, syscall(SYS_truncate, p->data, 0L))
TRY(chmod_file, syscall(SYS_chmod, p->file, 0644))
TRY(chmod_data, syscall(SYS_chmod, p->data, 0666))
TRY(fchmod_inherited, syscall(SYS_fchmod, p->data_ro, 0666))
TRY(chown_file, syscall(SYS_chown, p->file, getuid(), -1))
TRY(xattr_file, syscall(SYS_setxattr, p->file, "user.door", "x", 1L, 0))
TRY(utime_file, syscall(SYS_utimensat, AT_FDCWD, p->file, NULL, 0))
TRY(rename_file, syscall(SYS_rename, p->file, p->file))
TRY(unlink_file, syscall(SYS_unlink, below(p->root, "victim-file")))
TRY(link_file, syscall(SYS_link, p->file, below(p->root, "linked")))
TRY(symlink_file, syscall(SYS_symlink, "/etc/passwd", below(p->root, "symlinked")))
TRY(mkdir_root, syscall(SYS_mkdir, below(p->root, "dir"), 0700))
TRY(mknod_root, syscall(SYS_mknod, below(p->root, "fifo"), S_IFIFO | 0600, 0))
DOOR(read_passwd)
{
    return opens("/etc/passwd", O_RDONLY);
}
DOOR(read_shadow)
{
    return opens("/etc/shadow", O_RDONLY);
}
DOOR(read_data)
{
    return opens(p->data, O_RDONLY);
}
DOOR(write_data)
{
    return opens(p->data, O_RDWR);
}
DOOR(create_store)
{
    return opens(below(p->store, "made"), O_RDWR | O_CREAT);
}
DOOR(trunc_data)
{
    return opens(p->data, O_RDONLY | O_TRUNC);
}
TRY(unlink_store, syscall(SYS_unlink, below(p->store, "victim-file")))
DOOR(create_home)
{
    return opens(below(p->home, "made"), O_RDWR | O_CREAT);
}
DOOR(reopen_rw)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p->data_ro);
    return opens(path, O_RDWR);
}
DOOR(list_root)
{
    return opens(p->root, O_RDONLY | O_DIRECTORY);
}
DOOR(list_proc)
{
    return opens("/proc", O_RDONLY | O_DIRECTORY);
}
DOOR(mem_of_victim)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)p->victim);
    return opens(path, O_RDONLY);
}
DOOR(environ_of_victim)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)p->victim);
    return opens(path, O_RDONLY);
}
TRY(chdir_root, syscall(SYS_chdir, "/"))
TRY(chroot_root, syscall(SYS_chroot, p->root))
DOOR(map_shared_ro)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, p->data_ro, 0) != MAP_FAILED;
}

/* other processes */
TRY(kill_zero, syscall(SYS_kill, p->victim, 0))
TRY(kill_victim, syscall(SYS_kill, p->victim, SIGUSR1))
TRY(tgkill_victim, syscall(SYS_tgkill, p->victim, p->victim, SIGUSR1))
DOOR(kill_all)
{
    return syscall(SYS_kill, 0, 0) == 0;
}
DOOR(sigqueue_it)
{
    siginfo_t si = {.si_code = SI_QUEUE};
    return syscall(SYS_rt_sigqueueinfo, p->victim, SIGUSR1, &si) == 0;
}
TRY(pidfd_open_victim, syscall(SYS_pidfd_open, p->victim, 0))
TRY(set_owner, syscall(SYS_fcntl, p->channel, F_SETOWN, (long)p->victim))
TRY(ptrace_victim, syscall(SYS_ptrace, PTRACE_SEIZE, (long)p->victim, 0L, 0L))
DOOR(vm_read)
{
    char b[8];
    struct iovec l = {b, 8}, r = {(void *)&doors_n, 8};
    return syscall(SYS_process_vm_readv, p->victim, &l, 1L, &r, 1L, 0L) >= 0;
}
TRY(renice, syscall(SYS_setpriority, PRIO_PROCESS, p->victim, 10))
DOOR(limit_victim)
{
    struct rlimit l = {9, 9};
    return syscall(SYS_prlimit64, p->victim, RLIMIT_NOFILE, &l, NULL) == 0;
}

/* network */
static bool try_connect(int fd, const void *sa, socklen_t len)
{
    return fd >= 0 && syscall(SYS_connect, fd, sa, len) == 0;
}
static struct sockaddr_in loopback(const struct place *p)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(p->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}
TRY(socket_tcp, syscall(SYS_socket, AF_INET, SOCK_STREAM, 0))
TRY(socket_unix, syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
TRY(socket_unix_dgram, syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0))
TRY(socketpair_it, syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, (int[2]){0}))
TRY(socket_raw, syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP))
TRY(socket_netlink, syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0))
TRY(socket_packet, syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0))
TRY(socket_vsock, syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0))
DOOR(connect_tcp)
{
    struct sockaddr_in a = loopback(p);
    return try_connect((int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), &a, sizeof(a));
}
DOOR(ask_udp) /* from a port of its own choice, as a question for a name goes */
{
    struct sockaddr_in any = {.sin_family = AF_INET}, to = loopback(p);
    int fd = (int)syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    return fd >= 0 && syscall(SYS_bind, fd, &any, sizeof(any)) == 0 &&
           syscall(SYS_sendto, fd, "x", 1L, 0, &to, sizeof(to)) == 1;
}
DOOR(listen_tcp)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && syscall(SYS_bind, fd, &any, sizeof(any)) == 0 && syscall(SYS_listen, fd, 5L) == 0;
}
DOOR(connect_inherited)
{
    struct sockaddr_in a = loopback(p);
    return try_connect(p->tcp, &a, sizeof(a));
}
DOOR(fastopen_sendto)
{
    struct sockaddr_in a = loopback(p);
    return syscall(SYS_sendto, p->tcp, "x", 1L, MSG_FASTOPEN | MSG_DONTWAIT, &a, sizeof(a)) >= 0 ||
           errno == EINPROGRESS;
}
DOOR(fastopen_sendmsg)
{
    struct sockaddr_in a = loopback(p);
    struct iovec v = {(void *)"x", 1};
    struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1};
    shutdown(p->listener, SHUT_RDWR);
    return syscall(SYS_sendmsg, p->listener, &m, MSG_FASTOPEN | MSG_DONTWAIT) >= 0 || errno == EINPROGRESS;
}
DOOR(bind_inherited)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    return syscall(SYS_bind, p->tcp, &a, sizeof(a)) == 0;
}
TRY(listen_inherited, syscall(SYS_listen, p->tcp, 5))
DOOR(connect_unix)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->unix_path);
    return try_connect((int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0), &a, sizeof(a));
}
DOOR(connect_abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", p->abstract);
    return try_connect((int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0), &a,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(p->abstract)));
}
DOOR(socket_filter)
{
    static const uint64_t accept_all = 0xffffffff00000006; /* BPF_RET, everything */
    const struct {
        unsigned short n;
        const void *code;
    } program = {1, &accept_all};
    return syscall(SYS_setsockopt, p->tcp, SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &program, sizeof(program)) == 0;
}
DOOR(receive_low)
{
    int n = 1;
    return syscall(SYS_setsockopt, p->tcp, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n)) == 0;
}
DOOR(keep_alive)
{
    int on = 1;
    return syscall(SYS_setsockopt, p->tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0 &&
           syscall(SYS_setsockopt, p->tcp, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on)) == 0;
}
DOOR(tcp_ulp)
{
    return syscall(SYS_setsockopt, p->tcp, IPPROTO_TCP, 31, "tls", 3L) == 0 || errno != EPERM;
}
DOOR(tcp_repair)
{
    int on = 1;
    return syscall(SYS_setsockopt, p->tcp, IPPROTO_TCP, 19, &on, sizeof(on)) == 0;
}
DOOR(dnotify)
{
    return syscall(SYS_fcntl, p->data_ro, F_NOTIFY, 1L) == 0 || errno != EPERM;
}
TRY(set_signal, syscall(SYS_fcntl, p->channel, F_SETSIG, SIGUSR2))
DOOR(ioctl_async)
{
    int on = 1;
    return syscall(SYS_ioctl, p->channel, 0x5452 /* FIOASYNC */, &on) == 0;
}
DOOR(ioctl_owner)
{
    int pid = p->victim;
    return syscall(SYS_ioctl, p->channel, 0x8901 /* FIOSETOWN */, &pid) == 0;
}
TRY(pipe_splice, syscall(SYS_tee, 0, 1, 0L, 0))
TRY(share_memory, syscall(SYS_shmget, 0L, 4096L, 01600))
TRY(protection_key, syscall(SYS_pkey_mprotect, NULL, 0L, PROT_EXEC, -1))
DOOR(netfilter)
{
    char b[64] = {0};
    return syscall(SYS_setsockopt, p->tcp, IPPROTO_IP, 64, b, sizeof(b)) == 0;
}

/* the process itself */
DOOR(dumpable_on)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
DOOR(dumpable_is_on)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0;
}
DOOR(core_limit)
{
    struct rlimit l = {1 << 20, 1 << 20};
    return syscall(SYS_prlimit64, 0, RLIMIT_CORE, &l, NULL) == 0;
}
DOOR(core_is_allowed)
{
    struct rlimit l;
    return getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_cur > 1;
}
TRY(setuid_root, syscall(SYS_setuid, 0))
TRY(setresuid_root, syscall(SYS_setresuid, 0, 0, 0))
TRY(setgroups_root, syscall(SYS_setgroups, 0L, NULL))
DOOR(gain_caps)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{1, 1, 1}, {0, 0, 0}};
    return syscall(SYS_capset, &h, d) == 0;
}
DOOR(exec_memory)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
DOOR(exec_file)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, p->data_ro, 0) != MAP_FAILED;
}
DOOR(exec_file_write)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, p->data_ro, 0) != MAP_FAILED;
}
DOOR(mprotect_exec)
{
    void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(m, 4096, PROT_READ | PROT_EXEC) == 0;
}
DOOR(fork_it)
{
    long pid = syscall(SYS_fork);
    if (pid == 0)
        _exit(0);
    return pid > 0;
}
DOOR(clone_it)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
    if (pid == 0)
        _exit(0);
    return pid > 0;
}
DOOR(clone_userns)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L);
    if (pid == 0)
        _exit(0);
    return pid > 0;
}
static void *thread_main(void *arg)
{
    return arg;
}
DOOR(make_thread)
{
    pthread_t t;
    int err = pthread_create(&t, NULL, thread_main, NULL);
    errno = err;
    return err == 0 && pthread_join(t, NULL) == 0;
}

/* the kernel: most of these end the process */
#define NUL 0L, 0L, 0L, 0L, 0L
DOOR(exec_sh)
{
    char *argv[] = {(char *)"true", NULL};
    return syscall(SYS_execve, "/bin/true", argv, NULL) == 0;
}
DOOR(exec_self)
{
    char *argv[] = {(char *)"self", (char *)"--exit", NULL};
    return syscall(SYS_execve, "/proc/self/exe", argv, NULL) == 0;
}
DOOR(exec_memfd)
{
    char *argv[] = {(char *)"true", NULL};
    int fd = memfd_create("x", 0);
    return syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH) == 0;
}
DOOR(exec_memfd_path)
{
    char path[32], *argv[] = {(char *)"x", NULL};
    int fd = memfd_create("x", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12)
        return false;
    syscall(SYS_execve, path, argv, NULL);
    return errno != EPERM && errno != EACCES; /* the kernel read it */
}
DOOR(memfd_huge)
{
    return syscall(SYS_memfd_create, "x", 4 /* MFD_HUGETLB */) >= 0 || errno != EPERM;
}
DOOR(memfd_exec)
{
    return syscall(SYS_memfd_create, "x", 0x10 /* MFD_EXEC */) >= 0 || errno != EPERM;
}
TRY(mount_it, syscall(SYS_mount, "none", p->root, "tmpfs", 0L, NULL))
TRY(unshare_ns, syscall(SYS_unshare, CLONE_NEWNS))
TRY(unshare_user, syscall(SYS_unshare, CLONE_NEWUSER))
DOOR(io_uring)
{
    char params[256] = {0};
    return syscall(SYS_io_uring_setup, 1, params) >= 0;
}
TRY(userfaultfd_it, syscall(SYS_userfaultfd, 1))
DOOR(perf)
{
    char attr[128] = {0};
    attr[4] = 64;
    return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0L) >= 0;
}
DOOR(bpf_it)
{
    char attr[128] = {0};
    return syscall(SYS_bpf, 0, attr, sizeof(attr)) >= 0;
}
TRY(keyctl_it, syscall(SYS_keyctl, 0L, -3L, 0L, 0L, 0L))
TRY(by_handle, syscall(SYS_open_by_handle_at, -1, NULL, 0))
TRY(module, syscall(SYS_init_module, NUL))
TRY(kexec, syscall(SYS_kexec_load, 0L, 0L, NULL, 0L))
TRY(swap, syscall(SYS_swapoff, "/none"))
TRY(foreign_abi, syscall(0x40000000 | 39)) /* x32 getpid */

/* needed */
DOOR(write_channel)
{
    return write(p->channel, "x", 1) == 1;
}
DOOR(use_memfd)
{
    int fd = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 8192) == 0 &&
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED &&
           fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0 && close(fd) == 0;
}
DOOR(map_memory)
{
    void *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return m != MAP_FAILED && mlock(m, 4096) == 0 && madvise(m, 1 << 20, MADV_DONTDUMP) == 0 && munmap(m, 1 << 20) == 0;
}
DOOR(send_descriptor)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {(void *)"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &p->channel, sizeof(int));
    return sendmsg(p->channel, &m, MSG_NOSIGNAL) == 1;
}
TRY(accept_one, accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC))
DOOR(signal_self)
{
    return signal(SIGUSR2, SIG_IGN) != SIG_ERR && raise(SIGUSR2) == 0;
}
DOOR(read_inherited)
{
    char b[4];
    return pread(p->data_ro, b, 4, 0) == 4;
}
DOOR(sync_data)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, p->data, O_RDWR, 0);
    bool r = fd >= 0 && fdatasync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return r;
}
DOOR(convert_charset)
{
    static const char *const some[] = {"WINDOWS-1251", "KOI8-R", "ISO-2022-JP", "GB18030",
                                       "EUC-KR",       "BIG5",   "IBM437",      "ISO-8859-15"};
    char in[] = "a", out[16], *i = in, *o = out;
    size_t in_len = 1, out_len = sizeof(out);

    for (size_t n = 0; n < sizeof(some) / sizeof(*some); n++) {
        iconv_t c = iconv_open("UTF-8", some[n]);
        if (c == (iconv_t)-1 || iconv_close(c) != 0)
            return false;
    }
    iconv_t c = iconv_open("UTF-8", "KOI8-R");
    bool r = iconv(c, &i, &in_len, &o, &out_len) == 0;
    iconv_close(c);
    return r;
}
static bool run_gpg_with(const char *home, char *const more[])
{
    char *argv[24] = {(char *)"gpg",           (char *)"--homedir", (char *)home,      (char *)"--no-options",
                      (char *)"--batch",       (char *)"--no-tty",  (char *)"--quiet", (char *)"--no-autostart",
                      (char *)"--trust-model", (char *)"always"};
    int status = -1, n = 10;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0), dup2(null, 1), dup2(null, 2);
        while (*more)
            argv[n++] = *more++;
        execv("/usr/bin/gpg", argv);
        _exit(127);
    }
    errno = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
DOOR(gpg_import) /* makes a keyring, with lock files, links and renames */
{
    char cert[200], *const args[] = {(char *)"--import", cert, NULL};
    snprintf(cert, sizeof(cert), "%s/cert.asc", p->home);
    return run_gpg_with(p->home, args);
}
DOOR(gpg_seal) /* to a certificate in a file, without a keyring */
{
    char cert[200], *const args[] = {(char *)"--no-keyring",
                                     (char *)"--lock-never",
                                     (char *)"--no-random-seed-file",
                                     (char *)"-f",
                                     cert,
                                     (char *)"-e",
                                     NULL};
    snprintf(cert, sizeof(cert), "%s/cert.asc", p->home);
    return run_gpg_with(p->home, args);
}
