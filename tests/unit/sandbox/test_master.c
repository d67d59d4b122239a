/* Master with stand-ins for its roles: this program is executed again as "role:NAME" and does what the file
 * DIR/NAME.behave says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/base/ipc.h"
#include "server/base/role.h"
#include "server/master/control.h"
#include "server/master/master.h"
#include "server/master/offline.h"
#include "server/master/spawn.h"
#include "store/storekey.h"

/* ---- the stand-in ---- */

static struct {
    const char *name;
    struct loop *loop;
    uint64_t fds, peers, admins, pings, configs, tls, message_max, smtp_sessions, secrets, key_sum;
} role;

static int role_on_message(void *arg, struct ipc_msg *m)
{
    struct ipc *c = *(struct ipc **)arg;
    if (m->type == 1) { /* a ping: what a server answers */
        role.pings++;
        ipc_send(c, 2, m->id, NULL, 0, NULL, 0);
    } else {
        role.pings++;
    }
    return OK;
}
static void role_on_close(void *arg)
{
    struct ipc **c = arg;
    ipc_destroy(*c);
    free(c);
}
static void role_on_peer(void *arg, enum role peer, bool admin, int fd)
{
    static const struct ipc_ops ops = {role_on_message, role_on_close};
    struct ipc **c = malloc(sizeof *c);
    (void)arg;
    *c = ipc_create(role.loop, fd, &ops, c);
    role.peers++;
    role.admins += admin;
    if (strcmp(role.name, "ingest") == 0 && peer == ROLE_VAULT)
        ipc_send(*c, 1, 7, NULL, 0, NULL, 0);
}
static void role_on_config(void *arg, const struct config *c)
{
    (void)arg;
    role.configs++;
    role.message_max = c->message_max;
    role.smtp_sessions = c->smtp_sessions;
}
static void role_on_tls(void *arg, struct tls_ctx *tls)
{
    (void)arg;
    role.tls++;
    tls_ctx_unref(tls);
}
static void role_on_status(void *arg, struct pack *reply)
{
    (void)arg;
    role_status_put(reply, "fds", role.fds);
    role_status_put(reply, "peers", role.peers);
    role_status_put(reply, "admins", role.admins);
    role_status_put(reply, "pings", role.pings);
    role_status_put(reply, "configs", role.configs);
    role_status_put(reply, "tls", role.tls);
    role_status_put(reply, "message_max", role.message_max);
    role_status_put(reply, "smtp_sessions", role.smtp_sessions);
    role_status_put(reply, "secrets", role.secrets);
    role_status_put(reply, "key_sum", role.key_sum);
    role_status_put(reply, "uid", getuid());
}
static void role_on_stop(void *arg)
{
    char line[64];
    (void)arg;
    snprintf(line, sizeof line, "stopped %s\n", role.name);
    (void)!write(2, line, strlen(line));
    loop_stop(role.loop);
}
static void deaf_on_stop(void *arg) { (void)arg; }

static void accept_it(void *arg, unsigned events)
{
    int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    (void)!write(fd, role.name, strlen(role.name));
    close(fd);
}

static uint64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* ".", "..", and the directory itself */
}

static void behaviour(const char *dir, char out[32])
{
    char path[700];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "%s/%s.behave", dir, role.name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, out, 31);
    out[n < 0 ? 0 : n] = '\0';
    if (fd >= 0)
        close(fd);
}

static int stand_in(const char *name)
{
    static struct role_hooks hooks = {role_on_peer, role_on_tls, role_on_config, role_on_stop, role_on_status};
    static struct role_start s;
    struct sandbox_params p = {.uid = 0};
    enum sandbox_profile profile = SANDBOX_INGEST;
    char behave[32], why[256] = "", store[600];
    struct rlimit core;

    role.name = name;
    role.fds = count_fds();
    role.secrets = getenv("LETTERLOCK_PASSPHRASE_FILE") != NULL || getenv("HOME") != NULL;
    role_receive(&s);
    behaviour(s.dir, behave);
    if (strcmp(behave, "die") == 0)
        return 9;
    if (strcmp(behave, "trap") == 0)
        raise(SIGSYS);
    role.secrets += (s.store_key != NULL) * 10 + (s.tls != NULL) * 100;
    for (int i = 0; s.store_key && i < 32; i++)
        role.key_sum += s.store_key[i];
    role_start_wipe(&s);
    role.message_max = s.config.message_max;
    role.smtp_sessions = s.config.smtp_sessions;
    while (strcmp(name, sandbox_profile_name(profile)) != 0)
        profile++;
    p.uid = (uid_t)s.uid;
    p.gid = (gid_t)s.gid;
    snprintf(store, sizeof store, "%s/store", s.dir);
    if (profile == SANDBOX_VAULT)
        p.write_dir = store;
    if (sandbox_enter(profile, &p, why, sizeof why) != OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max > 1)
        return 1;
    role.loop = loop_create();
    for (int i = 0; i < LISTENERS; i++)
        if (s.listeners[i] >= 0)
            watch_create(role.loop, s.listeners[i], LOOP_READ, accept_it, &s.listeners[i]);
    for (int i = 0; i < ROLES; i++)
        if (s.peers[i] >= 0)
            role_on_peer(NULL, (enum role)i, s.peer_admin[i], s.peers[i]);
    if (strcmp(behave, "deaf") == 0)
        hooks.on_stop = deaf_on_stop;
    if (strcmp(behave, "silent") == 0)
        return loop_run(role.loop);
    if (role_attach(role.loop, &hooks, NULL) != OK)
        return 1;
    loop_run(role.loop);
    _exit(0);
}

/* ---- the test's side ---- */

static char top[200], dir[400];
static uint32_t base;
static uint8_t key[32];
static pid_t server;
static const struct watchdog_params patient = {.ask_ms = 10000, .misses = 6}, quick = {.ask_ms = 200, .misses = 4};
static const struct watchdog_params *watchdog = &patient;
static int server_err = -1;
static char said[65536];
static size_t said_len;

static void write_text(const char *name, const char *text, size_t len)
{
    char path[700];
    int fd;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}
static void behave(const char *name, const char *how)
{
    char file[64];
    snprintf(file, sizeof file, "%s.behave", name);
    write_text(file, how, strlen(how));
}
static void write_config(uint64_t message_max)
{
    static char text[64 * 1024];
    struct config c;
    long n;

    config_defaults(&c);
    c.port_base = base;
    c.submission = true;
    c.ingest_instances = 2;
    c.access_instances = 1;
    c.message_max = message_max;
    snprintf(c.store_key_file, sizeof c.store_key_file, "key-file");
    snprintf(c.tls_chain, sizeof c.tls_chain, "chain.pem");
    snprintf(c.tls_key, sizeof c.tls_key, "key.pem");
    n = config_write(&c, text, sizeof text);
    assert_true(n > 0);
    write_text("letterlock.conf", text, (size_t)n);
}

static int setup(void **state)
{
    char command[1400];

    (void)state;
    snprintf(top, sizeof top, "/tmp/letterlock-master.XXXXXX");
    if (!mkdtemp(top))
        return -1;
    chmod(top, 0755);
    /* longer than a socket's path may be */
    snprintf(dir, sizeof dir, "%s/a-directory-with-a-name-so-long-that-the-path-of-a-socket-in-it-"
             "does-not-fit-into-the-kernels-address", top);
    mkdir(dir, 0711);
    snprintf(command, sizeof command, "mkdir -p %s/store && openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=test -keyout %s/key.pem -out %s/chain.pem 2>/dev/null", dir, dir, dir);
    if (system(command) != 0)
        return -1;
    base = 30000 + (uint32_t)getpid() % 20000;
    write_config(1 << 20);
    write_text("key-file", "0123456789abcdef0123456789abcdef", 32);
    snprintf(command, sizeof command, "%s/key-file", dir);
    chmod(command, 0600);
    setenv("LETTERLOCK_PASSPHRASE_FILE", "/nowhere", 1);
    return storekey_create(dir, SLOT_KEY_FILE, "0123456789abcdef0123456789abcdef", 32, key);
}
static int teardown(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

static void serve(void)
{
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    fflush(NULL);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipe_fds[1], 2);
        exit(master_serve_watched(dir, watchdog));
    }
    close(pipe_fds[1]);
    if (server_err >= 0)
        close(server_err);
    server_err = pipe_fds[0];
    fcntl(server_err, F_SETFL, O_NONBLOCK);
    said_len = 0;
}
/* Reads what the server says until it says this. false: it ended or time is up. */
static bool says(const char *what, int ms)
{
    for (int waited = 0; waited <= ms; waited += 10) {
        struct pollfd p = {.fd = server_err, .events = POLLIN};
        ssize_t n;

        poll(&p, 1, 10);
        n = read(server_err, said + said_len, sizeof said - 1 - said_len);
        if (n > 0)
            said_len += (size_t)n;
        said[said_len] = '\0';
        if (strstr(said, what))
            return true;
        if (n == 0)
            return false;
    }
    return false;
}
static int ended(int ms)
{
    int status;

    for (int waited = 0; waited <= ms; waited += 10) {
        if (waitpid(server, &status, WNOHANG) == server) {
            says("\xff", 50);
            server = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
        usleep(10000);
    }
    return -1;
}
static void serve_ready(void)
{
    serve();
    if (!says("ready\n", 20000))
        fail_msg("not ready; it said: %s", said);
}
static void stop(void)
{
    int r;

    kill(server, SIGTERM);
    r = ended(12000);
    if (r != 0)
        fail_msg("ended with %d; it said: %s", r, said);
}

struct seen {
    char role[32];
    uint32_t instance;
    uint64_t pid, restarts, fds, peers, admins, pings, configs, tls, message_max, smtp_sessions, secrets, key_sum, uid, hangs,
        counters;
};
static struct seen seen[32];
static uint32_t nseen;

static void status(void)
{
    static unsigned char reply[IPC_MAX];
    unsigned long len = sizeof reply;
    struct unpack u;
    int control, none;

    assert_int_equal(control_connect(dir, &control), OK);
    assert_int_equal(control_call(control, CONTROL_STATUS, reply, &len, &none), OK);
    close(control);
    memset(seen, 0, sizeof seen);
    unpack_init(&u, reply, len);
    assert_int_equal(unpack_u32(&u), 0);
    nseen = unpack_u32(&u);
    assert_true(nseen <= 32);
    for (uint32_t i = 0; i < nseen; i++) {
        struct seen *s = &seen[i];
        uint32_t n;

        unpack_str(&u, s->role, sizeof s->role);
        s->instance = unpack_u32(&u);
        s->pid = unpack_u64(&u);
        s->restarts = unpack_u64(&u);
        n = unpack_u32(&u);
        s->counters = n;
        while (n--) {
            static const struct { const char *name; size_t at; } fields[] = {
#define FIELD(f) {#f, offsetof(struct seen, f)}
                FIELD(fds), FIELD(peers), FIELD(admins), FIELD(pings), FIELD(configs), FIELD(tls), FIELD(message_max),
                FIELD(smtp_sessions),
                FIELD(secrets), FIELD(key_sum), FIELD(uid), {"role-hangs", offsetof(struct seen, hangs)}};
            char name[64];
            uint64_t v;
            unpack_str(&u, name, sizeof name);
            v = unpack_u64(&u);
            for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
                if (strcmp(fields[f].name, name) == 0)
                    *(uint64_t *)((char *)s + fields[f].at) = v;
        }
    }
    assert_true(unpack_done(&u));
}
static struct seen *find(const char *name, uint32_t instance)
{
    for (uint32_t i = 0; i < nseen; i++)
        if (strcmp(seen[i].role, name) == 0 && seen[i].instance == instance)
            return &seen[i];
    fail_msg("no %s %u", name, instance);
    return NULL;
}
/* Until a fresh process of that role counts. */
static struct seen *reborn(const char *name, uint32_t instance, uint64_t old_pid)
{
    for (int i = 0; i < 300; i++) {
        struct seen *s;
        status();
        s = find(name, instance);
        if (s->pid && s->pid != old_pid && s->counters)
            return s;
        usleep(20000);
    }
    fail_msg("%s is not back; it said: %s", name, said);
    return NULL;
}

static void starts_and_counts(void **state)
{
    uint64_t sum = 0;

    (void)state;
    serve_ready();
    status();
    assert_int_equal(nseen, 6); /* vault, judge, seal, two ingest, access */
    for (int i = 0; i < 32; i++)
        sum += key[i];
    for (uint32_t i = 0; i < nseen; i++) {
        assert_int_equal(seen[i].fds, 4);     /* 0 to 3 and nothing else */
        assert_int_equal(seen[i].restarts, 0);
        assert_int_equal(seen[i].message_max, 1 << 20);
        if (getuid() == 0)
            assert_true(seen[i].uid >= 61800 && seen[i].uid < 61800 + ROLES);
    }
    assert_int_equal(find("vault", 0)->secrets, 10); /* the key, no TLS, nothing of the environment */
    assert_int_equal(find("vault", 0)->key_sum, sum);
    assert_int_equal(find("gpg-judge", 0)->secrets, 0);
    assert_int_equal(find("gpg-seal", 0)->secrets, 0);
    assert_int_equal(find("ingest", 1)->secrets, 110);
    assert_int_equal(find("ingest", 0)->smtp_sessions, 500); /* its share of 1000 */
    assert_int_equal(find("access", 0)->smtp_sessions, 1000);
    assert_int_equal(find("vault", 0)->peers, 3);
    assert_int_equal(find("gpg-seal", 0)->peers, 3);
    assert_int_equal(find("gpg-judge", 0)->peers, 0);
    assert_int_equal(find("ingest", 0)->peers, 2);
    assert_int_equal(find("ingest", 0)->pings, 1); /* answered by the vault */
    stop();
}

static void refuses_twice(void **state)
{
    int status_, fd;
    struct offline *o;
    char why[256] = "";
    struct config c;
    pid_t second;

    (void)state;
    serve_ready();
    second = fork();
    if (second == 0) {
        close(2);
        open("/dev/null", O_WRONLY);
        exit(master_serve(dir));
    }
    waitpid(second, &status_, 0);
    assert_int_equal(WEXITSTATUS(status_), 1);
    config_defaults(&c);
    assert_int_equal(offline_vault(dir, &c, "", 0, key, &o, &fd, why, sizeof why), ERR_STATE);
    assert_non_null(strstr(why, "at work"));
    status(); /* and the first goes on */
    stop();
    assert_int_equal(control_connect(dir, &fd), ERR_NOT_FOUND);
}

static void listens(void **state)
{
    struct { uint16_t port; const char *who; } want[] = {{25, "ingest"}, {587, "ingest"}, {143, "access"},
        {993, "access"}};

    (void)state;
    serve_ready();
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(base + want[i].port)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        char got[16] = "";
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
        assert_true(read(fd, got, sizeof got - 1) > 0);
        assert_string_equal(got, want[i].who);
        close(fd);
    }
    stop();
}

static void each_role_is_restarted(void **state)
{
    static const struct { const char *name; uint32_t instance; } all[] = {{"vault", 0}, {"gpg-judge", 0},
        {"gpg-seal", 0}, {"ingest", 1}, {"access", 0}};

    (void)state;
    serve_ready();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t old, others[6];
        struct seen *s;

        status();
        for (uint32_t k = 0; k < 6; k++)
            others[k] = seen[k].pid;
        old = find(all[i].name, all[i].instance)->pid;
        kill((pid_t)old, SIGKILL);
        s = reborn(all[i].name, all[i].instance, old);
        assert_int_equal(s->restarts, 1);
        for (uint32_t k = 0; k < 6; k++)
            assert_true(seen[k].pid == others[k] || others[k] == old); /* nobody else noticed */
    }
    status();
    /* the vault's clients came back to the new one, and the reborn clients to it as well */
    assert_int_equal(find("ingest", 0)->peers, 4);
    assert_int_equal(find("ingest", 0)->pings, 2);
    assert_int_equal(find("ingest", 1)->pings, 1);
    assert_int_equal(find("vault", 0)->peers, 5);
    stop();
}

static void backs_off(void **state)
{
    struct timespec a, b;
    uint64_t restarts;

    (void)state;
    behave("gpg-seal", "die");
    serve_ready(); /* what can be done without does not hold up the start */
    clock_gettime(CLOCK_MONOTONIC, &a);
    usleep(1800000);
    status();
    clock_gettime(CLOCK_MONOTONIC, &b);
    restarts = find("gpg-seal", 0)->restarts;
    /* at once, then after 100, 200, 400, 800 ms: not in a spin */
    assert_true(restarts >= 4 && restarts <= 7);
    behave("gpg-seal", "");
    assert_true(reborn("gpg-seal", 0, 0)->counters > 0);
    status();
    assert_int_equal(find("ingest", 0)->peers, 2); /* and its clients have it now */
    behave("gpg-seal", "trap");
    kill((pid_t)find("gpg-seal", 0)->pid, SIGKILL);
    assert_true(says("its sandbox ended it", 5000));
    behave("gpg-seal", "");
    stop();
}

static void gives_up_a_start(void **state)
{
    (void)state;
    behave("vault", "die");
    serve();
    assert_int_equal(ended(15000), 1);
    assert_non_null(strstr(said, "vault does not start"));
    behave("vault", "");
}

static void stops_in_order(void **state)
{
    char *vault, *p;

    (void)state;
    serve_ready();
    stop();
    vault = strstr(said, "stopped vault");
    assert_non_null(vault);
    for (int i = 0; i < 2; i++) {
        p = strstr(said, i ? "stopped access" : "stopped ingest");
        assert_non_null(p);
        assert_true(p < vault);
    }
    assert_true(strstr(said, "stopped gpg-seal") < vault);
}

static void stops_the_deaf(void **state)
{
    struct timespec a, b;

    (void)state;
    behave("access", "deaf");
    behave("vault", "deaf");
    serve_ready();
    clock_gettime(CLOCK_MONOTONIC, &a);
    stop();
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true(b.tv_sec - a.tv_sec <= 11);
    behave("access", "");
    behave("vault", "");
}

/* 800 ms without an answer are too many here, 60 s in life. */
static void hangs_are_ended(void **state)
{
    static const struct { const char *name; uint32_t instance; } all[] = {{"vault", 0}, {"gpg-judge", 0},
        {"gpg-seal", 0}, {"ingest", 1}, {"access", 0}};

    (void)state;
    watchdog = &quick;
    serve_ready();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t old, others[6];
        struct seen *s;

        status();
        for (uint32_t k = 0; k < 6; k++)
            others[k] = seen[k].pid;
        old = find(all[i].name, all[i].instance)->pid;
        assert_int_equal(find(all[i].name, all[i].instance)->hangs, 0);
        said_len = 0;
        assert_int_equal(kill((pid_t)old, SIGSTOP), 0);
        assert_true(says("role-hangs", 10000)); /* no status() meanwhile: it would wait for the stopped one */
        assert_non_null(strstr(said, all[i].name));
        s = reborn(all[i].name, all[i].instance, old);
        assert_int_equal(s->hangs, 1);
        assert_int_equal(s->restarts, 1);
        for (uint32_t k = 0; k < 6; k++)
            assert_true(seen[k].pid == others[k] || others[k] == old);
    }
    stop();
    watchdog = &patient;
}

static void slow_is_not_hanging(void **state)
{
    uint64_t pids[6];

    (void)state;
    watchdog = &quick;
    serve_ready();
    status();
    for (int k = 0; k < 6; k++)
        pids[k] = seen[k].pid;
    for (int i = 0; i < 6; i++) { /* busy for some rounds, again and again, but not for all of them */
        kill((pid_t)find("vault", 0)->pid, SIGSTOP);
        usleep(400000);
        kill((pid_t)find("vault", 0)->pid, SIGCONT);
        usleep(250000);
    }
    /* all of it frozen for longer than anyone may be silent: the machine slept */
    kill(server, SIGSTOP);
    for (int k = 0; k < 6; k++)
        kill((pid_t)pids[k], SIGSTOP);
    usleep(1500000);
    kill(server, SIGCONT);
    usleep(50000);
    for (int k = 0; k < 6; k++)
        kill((pid_t)pids[k], SIGCONT);
    usleep(1000000);
    status();
    for (int k = 0; k < 6; k++) {
        assert_int_equal(seen[k].pid, pids[k]);
        assert_int_equal(seen[k].hangs, 0);
    }
    stop();
    watchdog = &patient;
}

static unsigned reload_reply(char *why, size_t cap)
{
    unsigned char reply[1000];
    unsigned long len = sizeof reply;
    struct unpack u;
    int control, none;
    unsigned code;

    assert_int_equal(control_connect(dir, &control), OK);
    assert_int_equal(control_call(control, CONTROL_RELOAD, reply, &len, &none), OK);
    close(control);
    unpack_init(&u, reply, len);
    code = unpack_u32(&u);
    unpack_str(&u, why, cap);
    assert_true(unpack_done(&u));
    return code;
}

static void reloads(void **state)
{
    char why[600];

    (void)state;
    serve_ready();
    write_config(2 << 20);
    assert_int_equal(reload_reply(why, sizeof why), 0);
    status();
    assert_int_equal(find("ingest", 1)->message_max, 2 << 20);
    assert_int_equal(find("ingest", 1)->tls, 1);
    assert_int_equal(find("vault", 0)->tls, 0);
    /* a bad file changes nothing */
    write_text("letterlock.conf", "nonsense = 1\n", 13);
    assert_int_equal(reload_reply(why, sizeof why), (unsigned)-ERR_FORMAT);
    assert_non_null(strstr(why, "nonsense"));
    write_config(3 << 20);
    write_text("chain.pem", "no certificate", 14);
    assert_int_not_equal(reload_reply(why, sizeof why), 0);
    assert_non_null(strstr(why, "chain.pem"));
    status();
    assert_int_equal(find("ingest", 0)->message_max, 2 << 20);
    assert_int_equal(find("ingest", 0)->smtp_sessions, 500);
    assert_int_equal(find("ingest", 0)->configs, 1);
    /* and a role that dies now starts with the old files */
    kill((pid_t)find("access", 0)->pid, SIGKILL);
    assert_int_equal(reborn("access", 0, find("access", 0)->pid)->message_max, 2 << 20);
    kill(server, SIGHUP);
    assert_true(says("reload refused", 3000));
    stop();
    serve(); /* a start does not take it either */
    assert_int_equal(ended(5000), 1);
    teardown(NULL);
    setup(NULL);
}

static void channels_for_commands(void **state)
{
    unsigned char reply[100];
    static uint8_t buf[IPC_MAX];
    unsigned long len = sizeof reply;
    struct ipc_msg m;
    int control, fd;

    (void)state;
    serve_ready();
    assert_int_equal(control_connect(dir, &control), OK);
    assert_int_equal(control_call(control, CONTROL_VAULT, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    assert_int_equal(ipc_send_blocking(fd, 1, 5, NULL, 0, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(fd, buf, &m, 3000), OK);
    assert_int_equal(m.id, 5);
    close(fd);
    /* while the vault is away a command waits for it */
    status();
    kill((pid_t)find("vault", 0)->pid, SIGKILL);
    len = sizeof reply;
    assert_int_equal(control_call(control, CONTROL_VAULT, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    if (ipc_send_blocking(fd, 1, 6, NULL, 0, NULL, 0) == OK) /* the old one may have got it, dying */
        (void)ipc_recv_blocking(fd, buf, &m, 3000);
    close(fd);
    len = sizeof reply;
    assert_int_equal(control_call(control, CONTROL_JUDGE, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    close(fd);
    /* nonsense ends the channel, not the server */
    assert_int_equal(ipc_send_blocking(control, 77, 1, "x", 1, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(control, buf, &m, 3000), ERR_GONE);
    close(control);
    assert_int_equal(control_connect(dir, &control), OK);
    len = sizeof reply;
    assert_int_equal(control_call(control, CONTROL_STOP, reply, &len, &fd), OK);
    close(control);
    assert_int_equal(ended(12000), 0);
}

static void master_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        uint64_t pids[6];
        serve_ready();
        status();
        for (int k = 0; k < 6; k++)
            pids[k] = seen[k].pid;
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        serve_ready(); /* at once, over the remains */
        for (int k = 0; k < 6; k++) {
            int waited = 0;
            while (kill((pid_t)pids[k], 0) == 0 && waited++ < 200) /* the system's init has to reap them */
                usleep(10000);
            assert_true(waited < 200);
        }
        stop();
    }
}

static void offline(void **state)
{
    static uint8_t buf[IPC_MAX];
    static char text[64 * 1024];
    struct offline *o, *judge;
    struct config c;
    struct ipc_msg m;
    char why[256] = "";
    int vault, channel, lock;
    long n;

    (void)state;
    config_defaults(&c);
    n = config_write(&c, text, sizeof text);
    assert_int_equal(offline_vault(dir, &c, text, (size_t)n, key, &o, &vault, why, sizeof why), OK);
    assert_int_equal(dir_lock(dir, &lock), ERR_STATE);
    assert_int_equal(ipc_send_blocking(vault, 1, 9, NULL, 0, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(vault, buf, &m, 3000), OK);
    assert_int_equal(offline_judge(dir, &c, text, (size_t)n, &judge, &channel, why, sizeof why), OK);
    close(channel);
    offline_stop(judge);
    close(vault);
    offline_stop(o);
    assert_int_equal(dir_lock(dir, &lock), OK);
    close(lock);
    behave("vault", "die");
    assert_int_not_equal(offline_vault(dir, &c, text, (size_t)n, key, &o, &vault, why, sizeof why), OK);
    behave("vault", "");
    assert_int_equal(dir_lock(dir, &lock), OK);
    close(lock);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_and_counts), cmocka_unit_test(refuses_twice), cmocka_unit_test(listens),
        cmocka_unit_test(each_role_is_restarted), cmocka_unit_test(backs_off), cmocka_unit_test(gives_up_a_start),
        cmocka_unit_test(stops_in_order), cmocka_unit_test(stops_the_deaf), cmocka_unit_test(hangs_are_ended),
        cmocka_unit_test(slow_is_not_hanging), cmocka_unit_test(reloads),
        cmocka_unit_test(channels_for_commands), cmocka_unit_test(master_killed), cmocka_unit_test(offline),
    };

    if (argc == 2 && strncmp(argv[1], "role:", 5) == 0)
        return stand_in(argv[1] + 5);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("master", tests, setup, teardown);
}
