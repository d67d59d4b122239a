/* A program put in place of each role: enters the role's sandbox and tries every door of
 * tests/unit/base/doors_table.c, at Landlock ABI 2 and at the newest, as root with a uid of its own, as root that
 * keeps its uid, and as an ordinary user. Prints the table of what it found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event_text.h"
#include "server/base/sandbox.h"
#include "tests/unit/base/doors.h"

enum who { OWN_UID, ROOT_KEPT, USER, WHOS, NOT_AT_ALL = WHOS };
enum { TEST_UID = 61234, USER_UID = 61235, DOORS_MAX = 160 };
static const char *const who_names[WHOS] = {"a uid of its own", "root", "a user"};

enum found { SHUT, OPEN, KILLED };
static const char first_fatal[] = "setuid_root";
static const char *const found_names[] = {"shut", "OPEN", "kill"};
static enum found seen[ROLES][DOORS_MAX]; /* OPEN if it ever was */
static struct place place;

struct combination {
    enum role profile;
    enum who who;
    int abi;
};

struct finding {
    uint16_t door;
    uint8_t trying, open;
    int32_t error;
};

static void make_file(const char *dir, const char *name, char *ret, size_t cap)
{
    char path[160];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR | O_CREAT, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "data of the store", 17), 17);
    fchmod(fd, 0666);
    close(fd);
    if (ret)
        snprintf(ret, cap, "%s", path);
}

static int listener_unix(const char *path, bool abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path + abstract, sizeof(a.sun_path) - 1, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(path))),
                     0);
    assert_int_equal(listen(fd, 100), 0);
    return fd;
}

static int listener_tcp(unsigned short *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1000), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int make_certificate(void);

static int setup(void **state)
{
    umask(0);
    snprintf(place.root, sizeof(place.root), "/tmp/letterlock-doors.XXXXXX");
    if (!mkdtemp(place.root))
        return -1;
    chmod(place.root, 0777);
    snprintf(place.store, sizeof(place.store), "%s/store", place.root);
    snprintf(place.home, sizeof(place.home), "%s/home", place.root);
    mkdir(place.store, 0777);
    mkdir(place.home, 0777);
    make_file(place.root, "file", place.file, sizeof(place.file));
    make_file(place.root, "victim-file", NULL, 0);
    make_file(place.store, "data.mdb", place.data, sizeof(place.data));
    make_file(place.store, "victim-file", NULL, 0);
    snprintf(place.unix_path, sizeof(place.unix_path), "%s/sock", place.root);
    snprintf(place.abstract, sizeof(place.abstract), "letterlock-doors-%d", (int)getpid());
    listener_unix(place.unix_path, false);
    chmod(place.unix_path, 0777);
    listener_unix(place.abstract, true);
    listener_tcp(&place.port);
    (void)state;
    return make_certificate();
}

static int teardown(void **state)
{
    char command[100];

    (void)state;
    printf("%-20s", "door");
    for (int p = ROLE_INGEST; p < ROLES; p++)
        printf(" %-9s", role_name(p));
    for (size_t i = 0; i < doors_n; i++) {
        printf("\n%-20s", doors[i].name);
        for (int p = ROLE_INGEST; p < ROLES; p++)
            printf(" %-9s", doors[i].open_to >> p & 1 ? "needed" : found_names[seen[p][i]]);
    }
    printf("\n");
    snprintf(command, sizeof(command), "rm -rf %s", place.root);
    return system(command);
}

static pid_t start_victim(enum who who)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGUSR1, SIG_IGN);
    if (who == OWN_UID && setresuid(TEST_UID, TEST_UID, TEST_UID) != 0)
        _exit(1);
    for (;;)
        pause();
}

/* The subverted role. */
static void intrude(const struct combination *c, struct place *p, int report, size_t from, size_t to)
{
    struct sandbox_params params = {.landlock_abi_max = c->abi};
    struct sandbox_fault fault;
    int pair[2];
    unsigned short port;
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    p->listener = listener_tcp(&port);
    a.sin_port = htons(port);
    if (chdir(p->root) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 ||
        connect(peer, (struct sockaddr *)&a, sizeof(a)) != 0)
        _exit(3);
    p->channel = pair[0];
    p->tcp = socket(AF_INET, SOCK_STREAM, 0);
    p->data_ro = open(p->data, O_RDONLY);
    if (c->profile == ROLE_VAULT)
        params.write_dir = p->store;
    if (c->profile == ROLE_GPG_JUDGE)
        params.write_dir = p->home;
    if (c->profile == ROLE_GPG_SEAL)
        params.read_dir = p->home;
    if (c->profile == ROLE_RELAY || c->profile == ROLE_FETCHER)
        params.ports = &p->port, params.nports = 1;
    if (c->who == OWN_UID)
        params.uid = params.gid = TEST_UID;
    if (c->who != NOT_AT_ALL && sandbox_enter(c->profile, &params, &fault) != OK) {
        fprintf(stderr, "%s: %s\n", role_name(c->profile), event_word(EVENT_TYPE_SANDBOX, fault.why));
        _exit(2);
    }
    for (size_t i = from; i < to; i++) {
        struct finding f = {.door = (uint16_t)i, .trying = 1};
        if (write(report, &f, sizeof(f)) != sizeof(f))
            _exit(4);
        errno = 0;
        f.open = doors[i].open(p);
        f.error = errno;
        f.trying = 0;
        if (write(report, &f, sizeof(f)) != sizeof(f))
            _exit(4);
    }
    _exit(0);
}

/* Runs one process from a door on; returns the door to go on with. */
static size_t one_life(const struct combination *c, size_t from, size_t to, enum found *found, int *errors)
{
    int report[2], status;
    struct finding f;
    size_t at = from;
    bool trying = false;
    pid_t pid;

    assert_int_equal(pipe(report), 0);
    pid = fork();
    if (pid == 0) {
        close(report[0]);
        intrude(c, &place, report[1], from, to);
    }
    close(report[1]);
    while (read(report[0], &f, sizeof(f)) == sizeof(f)) {
        at = f.door;
        trying = f.trying;
        if (!trying) {
            found[at] = f.open ? OPEN : SHUT;
            errors[at++] = f.error;
        }
    }
    close(report[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (trying && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        found[at++] = KILLED;
    else if (trying)
        found[at++] = OPEN; /* it became another program, or another signal ended it */
    else if (at < to || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: the sandbox was not entered (status %d)", role_name(c->profile), status);
    return at;
}

/* What one uid made, the next could not open. */
static void forget_made(void)
{
    char path[240];

    snprintf(path, sizeof(path), "%s/made", place.store);
    unlink(path);
    snprintf(path, sizeof(path), "find %s -mindepth 1 ! -name cert.asc -delete", place.home);
    assert_int_equal(system(path), 0);
}

/* A fresh certificate for the gpg roles to work with. */
static int make_certificate(void)
{
    char command[900];

    snprintf(command, sizeof(command),
             "mkdir -m 700 %s/gnupg && gpg --homedir %s/gnupg --batch --quiet --passphrase '' --quick-gen-key "
             "test@example.org default default never 2>/dev/null && gpg --homedir %s/gnupg --armor --export "
             "> %s/cert.asc 2>/dev/null; r=$?; gpgconf --homedir %s/gnupg --kill all; "
             "rm -rf %s/gnupg; exit $r",
             place.root, place.root, place.root, place.home, place.root, place.root);
    return system(command);
}

/* The doors themselves: outside any sandbox they must give way to root, or they would prove nothing. Those from
 * first_fatal on are left alone: they would change the system. */
static void doors_open_outside(void **state)
{
    /* Shut by the state that doors before them leave, or by the kernel for everyone. */
    static const char known[] = " map_shared_ro fastopen_sendto bind_inherited listen_inherited netfilter ";
    const struct combination c = {ROLE_INGEST, NOT_AT_ALL, 0};
    enum found found[DOORS_MAX];
    int errors[DOORS_MAX] = {0}, shut = 0;
    size_t n = 0;

    (void)state;
    while (strcmp(doors[n].name, first_fatal) != 0)
        n++;
    place.victim = start_victim(ROOT_KEPT);
    usleep(20000);
    one_life(&c, 0, n, found, errors);
    kill(place.victim, SIGKILL);
    waitpid(place.victim, NULL, 0);
    for (size_t i = 0; i < n; i++)
        if (found[i] == SHUT && !strstr(known, doors[i].name)) {
            shut++;
            print_error("outside: %s is shut (%s)\n", doors[i].name, strerror(errors[i]));
        }
    assert_int_equal(shut, 0);
}

static void try_doors(void **state)
{
    const struct combination *c = *state;
    enum found found[DOORS_MAX];
    int errors[DOORS_MAX] = {0}, bad = 0;

    assert_true(doors_n <= DOORS_MAX);
    forget_made();
    place.victim = start_victim(c->who);
    usleep(20000);
    for (size_t i = 0; i < doors_n;)
        i = one_life(c, i, doors_n, found, errors);
    kill(place.victim, SIGKILL);
    waitpid(place.victim, NULL, 0);
    for (size_t i = 0; i < doors_n; i++) {
        bool needed = doors[i].open_to >> c->profile & 1;
        if (seen[c->profile][i] != OPEN)
            seen[c->profile][i] = found[i];
        if (needed == (found[i] == OPEN))
            continue;
        bad++;
        print_error("%s as %s, Landlock ABI %d: %s is %s (%s)\n", role_name(c->profile), who_names[c->who],
                    c->abi ? c->abi : sandbox_landlock_abi(), doors[i].name, found_names[found[i]],
                    strerror(errors[i]));
    }
    assert_int_equal(bad, 0);
}

/* An ordinary user's process tries the doors too: this test runs itself again as one. */
static void as_user(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(USER_UID, USER_UID, USER_UID) || setresuid(USER_UID, USER_UID, USER_UID))
            _exit(1);
        execl("/proc/self/exe", "doors", (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void refuses_old_kernel(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct sandbox_params params = {.landlock_abi_max = 1};
        struct sandbox_fault fault;
        if (sandbox_enter(ROLE_INGEST, &params, &fault) != ERR_UNSUPPORTED ||
            !strstr(event_word(EVENT_TYPE_SANDBOX, fault.why), "allow_no_landlock") || fault.landlock != 1)
            _exit(1);
        params.allow_no_landlock = true;
        _exit(sandbox_enter(ROLE_INGEST, &params, &fault) == OK && open("/etc/passwd", O_RDONLY) >= 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int in_child(int (*fn)(void))
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int connect_port(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), err = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;

    close(fd);
    return err;
}

static int tries_two_ports(enum role role)
{
    uint16_t first, second;
    struct sandbox_params params = {.ports = &first, .nports = 1};
    struct sandbox_fault fault;

    (void)listener_tcp(&first);
    (void)listener_tcp(&second);
    if (connect_port(second) != 0)
        return 1;
    if (sandbox_enter(role, &params, &fault) != OK)
        return 2;
    if (connect_port(first) != 0)
        return 3;
    return connect_port(second) == EACCES ? 0 : 4;
}

static int relay_tries_two_ports(void)
{
    return tries_two_ports(ROLE_RELAY);
}

static int fetcher_tries_two_ports(void)
{
    return tries_two_ports(ROLE_FETCHER);
}

static void they_connect_to_their_ports_alone(void **state)
{
    if (sandbox_landlock_abi() < 4)
        skip(); /* Linux 6.7 is needed */
    assert_int_equal(in_child(relay_tries_two_ports), 0);
    assert_int_equal(in_child(fetcher_tries_two_ports), 0);
}

static bool can_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Returns the number of the first thing that is not as it should be. Its children get their own sandboxes inside
 * this one; that they can is shown by the test of master. */
static int be_master(void)
{
    struct sandbox_params params = {.write_dir = place.store};
    struct sandbox_fault fault;
    char made[200], *const argv[] = {(char *)"true", NULL};
    int status;
    pid_t pid;

    snprintf(made, sizeof(made), "%s/made-by-master", place.store);
    if (sandbox_enter(ROLE_MASTER, &params, &fault) != OK)
        return 1;
    if (!can_open(made, O_CREAT | O_RDWR) || unlink(made) != 0)
        return 2;
    if (can_open(place.file, O_WRONLY) || can_open("/tmp/letterlock-door", O_CREAT | O_RDWR))
        return 3;
    if (!can_open("/etc/passwd", O_RDONLY) || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 4;
    pid = fork();
    if (pid == 0) {
        execv("/bin/true", argv);
        _exit(77);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 77)
        return 5;
    if (mount("none", place.root, "tmpfs", 0, NULL) == 0 || ptrace(PTRACE_SEIZE, getppid(), 0L, 0L) == 0 ||
        unshare(CLONE_NEWUSER) == 0)
        return 6;
    return 0;
}

static void master_profile(void **state)
{
    (void)state;
    assert_int_equal(in_child(be_master), 0);
}

static void *sleeper(void *arg)
{
    sleep(5);
    return arg;
}

static int enter_with_thread(void)
{
    struct sandbox_params params = {.landlock_abi_max = 0};
    struct sandbox_fault fault;
    pthread_t t;

    if (pthread_create(&t, NULL, sleeper, NULL) != 0)
        return 1;
    return sandbox_enter(ROLE_VAULT, &params, &fault) == ERR_CONFLICT && fault.why == EVENT_SANDBOX_THREAD ? 0 : 2;
}

static int enter_without_tree(void)
{
    struct sandbox_params params = {.write_dir = "/nowhere/at/all"};
    struct sandbox_fault fault;
    return sandbox_enter(ROLE_VAULT, &params, &fault) == ERR_IO && fault.why == EVENT_SANDBOX_RULE_WRITE &&
                   fault.rc == ENOENT
               ? 0
               : 2;
}

static void refuses_to_enter(void **state)
{
    (void)state;
    assert_int_equal(in_child(enter_with_thread), 0);
    assert_int_equal(in_child(enter_without_tree), 0);
}

/* The tree is handed over, but nothing a link points to. */
static int hand_over(void)
{
    struct sandbox_params params = {.uid = TEST_UID, .gid = TEST_UID, .write_dir = place.home};
    struct sandbox_fault fault;
    char path[240], victim[240];
    struct stat st;

    snprintf(victim, sizeof(victim), "%s/of-root", place.root);
    snprintf(path, sizeof(path), "%s/link", place.home);
    if (!can_open(victim, O_CREAT | O_RDWR) || symlink(victim, path) != 0)
        return 1;
    snprintf(path, sizeof(path), "%s/hard", place.home);
    if (link(victim, path) != 0)
        return 2;
    snprintf(path, sizeof(path), "%s/own", place.home);
    if (!can_open(path, O_CREAT | O_RDWR))
        return 3;
    if (sandbox_enter(ROLE_GPG_JUDGE, &params, &fault) != OK)
        return 4;
    if (stat(victim, &st) != 0 || st.st_uid != 0)
        return 5;
    return stat(path, &st) == 0 && st.st_uid == TEST_UID ? 0 : 6;
}

static void hands_over(void **state)
{
    (void)state;
    assert_int_equal(in_child(hand_over), 0);
}

int main(int argc, char **argv)
{
    static struct combination all[ROLES * WHOS * 2];
    static char names[ROLES * WHOS * 2][80];
    struct CMUnitTest tests[ROLES * WHOS * 2 + 7];
    size_t n = 0, t = 0;

    if (argc > 1 && strcmp(argv[1], "--exit") == 0)
        return 0;
    for (int w = 0; w < WHOS; w++)
        for (int p = ROLE_INGEST; p < ROLES; p++)
            for (int a = 0; a < 2; a++) {
                if ((getuid() == 0) != (w != USER))
                    continue;
                all[n] = (struct combination){p, w, a ? 0 : 2};
                snprintf(names[n], sizeof(names[n]), "%s as %s, Landlock ABI %d", role_name(p), who_names[w],
                         a ? sandbox_landlock_abi() : 2);
                tests[t++] = (struct CMUnitTest){names[n], try_doors, NULL, NULL, &all[n]};
                n++;
            }
    tests[t++] = (struct CMUnitTest){"an old kernel is refused, unless allowed", refuses_old_kernel, NULL, NULL, NULL};
    tests[t++] = (struct CMUnitTest){"ports", they_connect_to_their_ports_alone, NULL, NULL, NULL};
    tests[t++] = (struct CMUnitTest){"master", master_profile, NULL, NULL, NULL};
    tests[t++] = (struct CMUnitTest){"a thread, or a tree that is not there", refuses_to_enter, NULL, NULL, NULL};
    if (getuid() == 0)
        tests[t++] = (struct CMUnitTest){"the tree changes hands", hands_over, NULL, NULL, NULL};
    if (getuid() == 0)
        tests[t++] = (struct CMUnitTest){"outside, the doors are open", doors_open_outside, NULL, NULL, NULL};
    if (getuid() == 0)
        tests[t++] = (struct CMUnitTest){"as an ordinary user", as_user, NULL, NULL, NULL};
    return _cmocka_run_group_tests("doors", tests, t, setup, teardown);
}
