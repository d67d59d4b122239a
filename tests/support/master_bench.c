#include "tests/support/master_bench.h"
#include "tests/support/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>

struct role_state role;

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
    struct ipc **c = malloc(sizeof(*c));
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

static void role_on_certs(void *arg, struct certs *certs)
{
    (void)arg;
    role.tls++;
    role.certs = certs_pairs(certs);
    certs_unref(certs);
}

uint64_t hash_of_keys(const struct record_bundle *b)
{
    uint64_t hash;

    crypto_generichash((uint8_t *)&hash, sizeof(hash), (const uint8_t *)b->key, sizeof(b->key), b->approver,
                       sizeof(b->approver));
    return hash;
}

static void role_on_status(void *arg, struct pack *reply)
{
    (void)arg;
    role_status_put(reply, (enum counter)SAYS_fds, role.fds);
    role_status_put(reply, (enum counter)SAYS_peers, role.peers);
    role_status_put(reply, (enum counter)SAYS_admins, role.admins);
    role_status_put(reply, (enum counter)SAYS_pings, role.pings);
    role_status_put(reply, (enum counter)SAYS_configs, role.configs);
    role_status_put(reply, (enum counter)SAYS_tls, role.tls);
    role_status_put(reply, (enum counter)SAYS_certs, role.certs);
    role_status_put(reply, (enum counter)SAYS_message_max, role.message_max);
    role_status_put(reply, (enum counter)SAYS_smtp_sessions, role.smtp_sessions);
    role_status_put(reply, (enum counter)SAYS_secrets, role.secrets);
    role_status_put(reply, (enum counter)SAYS_uses, role.uses);
    role_status_put(reply, (enum counter)SAYS_keys_hash, role.keys_hash);
    role_status_put(reply, (enum counter)SAYS_uid, getuid());
    role_status_put(reply, (enum counter)SAYS_answers, role.answers);
    role_status_put(reply, (enum counter)SAYS_wait_ms, role.wait_ms);
}

static void role_on_stop(void *arg)
{
    (void)arg;
    log_event(role_ends, OK);
    loop_stop(role.loop);
}

static void deaf_on_stop(void *arg)
{
    (void)arg;
}

static int role_on_answer(void *arg, uint64_t id, uint64_t wait_ms)
{
    (void)arg;
    role.answers += id == 1;
    role.wait_ms = wait_ms;
    return OK;
}

/* "login:" and what is sent, in this order: a: ask, s: ask, cut short, o, f: the try went well, failed,
 * g: one that failed is forgiven, h: the same, cut short. */
static void speak_of_logins(const char *what)
{
    static const uint8_t ask[2 * LOGIN_KEY_SIZE + 8] = {4, 10, 0, 0, 1, [LOGIN_KEY_SIZE] = 3, 10};
    static const uint8_t exchange[LOGIN_EXCHANGE_SIZE] = {1};

    role_on_login(role_on_answer, NULL);
    for (; *what; what++) {
        uint8_t out[sizeof(ask) + sizeof(exchange)];
        struct pack p;
        pack_init(&p, out, sizeof(out));
        if (*what == 'g' || *what == 'h') {
            pack_raw(&p, ask, sizeof(ask) - 8);
            pack_raw(&p, exchange, sizeof(exchange) - (*what == 'h'));
            role_send(ROLE_MSG_LOGIN_FORGIVE, 0, &p);
            continue;
        }
        if (*what == 'a' || *what == 's')
            pack_raw(&p, ask, sizeof(ask) - (*what == 's'));
        else
            pack_u8(&p, *what == 'f');
        role_send(*what == 'a' || *what == 's' ? ROLE_MSG_LOGIN_ASK : ROLE_MSG_LOGIN_DONE, 1, &p);
    }
}

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

    snprintf(path, sizeof(path), "%s/%s.behave", dir, role.name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, out, 31);
    out[n < 0 ? 0 : n] = '\0';
    if (fd >= 0)
        close(fd);
}

int stand_in(const char *name)
{
    static struct role_hooks hooks = {.on_peer = role_on_peer,
                                      .on_certs = role_on_certs,
                                      .on_config = role_on_config,
                                      .on_stop = role_on_stop,
                                      .on_status = role_on_status};
    static struct role_start s;
    struct sandbox_params p = {.uid = 0};
    enum role profile = ROLE_INGEST;
    char behave[32], store[600];
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
    role.secrets += (s.keys != NULL) * 10 + (s.certs != NULL) * 100;
    if (s.keys)
        role.secrets += (s.keys->queue_public_len > 0) * 1000 + s.keys->queue_opens * UINT64_C(10000);
    if (s.keys) {
        role.uses = s.keys->uses;
        role.keys_hash = hash_of_keys(s.keys);
    }
    role_start_wipe(&s);
    role.message_max = s.config.message_max;
    role.smtp_sessions = s.config.smtp_sessions;
    while (strcmp(name, role_name(profile)) != 0)
        profile++;
    p.uid = (uid_t)s.uid;
    p.gid = (gid_t)s.gid;
    snprintf(store, sizeof(store), "%s/store", s.dir);
    if (profile == ROLE_VAULT)
        p.write_dir = store;
    if (sandbox_enter_role(profile, &p) != OK)
        return 1;
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
    if (strncmp(behave, "login:", 6) == 0)
        speak_of_logins(behave + 6);
    loop_run(role.loop);
    _exit(0);
}

char top[200], master_dir[400];

uint32_t base;

struct storekey_roots key;

pid_t server;

const struct watchdog_params patient = {.ask_ms = 10000, .misses = 6}, quick = {.ask_ms = 200, .misses = 4};

const struct watchdog_params *watchdog = &patient;

static int server_err = -1;

char said[65536];

size_t said_len;

void write_text(const char *name, const char *text, size_t len)
{
    char path[700];
    int fd;
    snprintf(path, sizeof(path), "%s/%s", master_dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

void behave(const char *name, const char *how)
{
    char file[64];
    snprintf(file, sizeof(file), "%s.behave", name);
    write_text(file, how, strlen(how));
}

void write_config(uint64_t message_max)
{
    static char text[64 * 1024];
    struct config c;
    long n;

    config_defaults(&c);
    c.port_base = base;
    c.submission = true;
    c.ingest_instances = 2;
    c.access_instances = 1;
    c.relay_instances = 1;
    c.web_instances = 1;
    c.message_max = message_max;
    snprintf(c.store_key_file, sizeof(c.store_key_file), "key-file");
    snprintf(c.tls_chain, sizeof(c.tls_chain), "chain.pem");
    snprintf(c.tls_key, sizeof(c.tls_key), "key.pem");
    n = config_write(&c, text, sizeof(text));
    assert_true(n > 0);
    write_text("letterlock.conf", text, (size_t)n);
}

int setup(void **state)
{
    char command[1400];
    struct engine *e;

    (void)state;
    snprintf(top, sizeof(top), "/tmp/letterlock-master.XXXXXX");
    if (!mkdtemp(top))
        return -1;
    chmod(top, 0755);
    /* longer than a socket's path may be */
    snprintf(master_dir, sizeof(master_dir),
             "%s/a-directory-with-a-name-so-long-that-the-path-of-a-socket-in-it-"
             "does-not-fit-into-the-kernels-address",
             top);
    mkdir(master_dir, 0711);
    snprintf(command, sizeof(command),
             "mkdir -p %s/store && openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=test -keyout %s/key.pem -out %s/chain.pem 2>/dev/null",
             master_dir, master_dir, master_dir);
    if (system(command) != 0)
        return -1;
    snprintf(command, sizeof(command), "%s/store", master_dir);
    if (engine_lmdb_create(command, 1 << 20, 1, &e) != OK)
        return -1;
    engine_close(e);
    base = 30000 + (uint32_t)getpid() % 20000;
    write_config(1 << 20);
    write_text("key-file", "0123456789abcdef0123456789abcdef", 32);
    snprintf(command, sizeof(command), "%s/key-file", master_dir);
    chmod(command, 0600);
    setenv("LETTERLOCK_PASSPHRASE_FILE", "/nowhere", 1);
    return storekey_create(master_dir, SLOT_KEY_FILE, "0123456789abcdef0123456789abcdef", 32, &key);
}

int teardown(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

void serve(void)
{
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    fflush(NULL);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipe_fds[1], 2);
        exit(master_serve_watched(master_dir, watchdog));
    }
    close(pipe_fds[1]);
    if (server_err >= 0)
        close(server_err);
    server_err = pipe_fds[0];
    fcntl(server_err, F_SETFL, O_NONBLOCK);
    said_len = 0;
}

bool says(const char *what, int ms)
{
    for (int waited = 0; waited <= ms; waited += 10) {
        struct pollfd p = {.fd = server_err, .events = POLLIN};
        ssize_t n;

        poll(&p, 1, 10);
        n = read(server_err, said + said_len, sizeof(said) - 1 - said_len);
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

int ended(int ms)
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

void serve_ready(void)
{
    serve();
    if (!says("ready\n", PATIENCE_MS))
        fail_msg("not ready; it said: %s", said);
    for (int tries = 0; tries < PATIENCE_MS / 10; tries++) { /* nobody waits for relay, which waits for others */
        const struct seen *relay;
        status();
        relay = master_find("relay", 0);
        if (relay && relay->counters)
            return;
        usleep(10000);
    }
    fail_msg("relay is not ready");
}

int kill_server(void **state)
{
    (void)state;
    if (server > 0) {
        kill(server, SIGKILL);
        ended(PATIENCE_MS);
    }
    return 0;
}

void stop(void)
{
    int err;

    kill(server, SIGTERM);
    err = ended(PATIENCE_MS);
    if (err != 0)
        fail_msg("ended with %d; it said: %s", err, said);
}

struct seen seen[32];

uint32_t nseen;

void status(void)
{
    static unsigned char reply[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct unpack u;
    int control, none;

    assert_int_equal(control_connect(master_dir, &control), OK);
    assert_int_equal(control_call(control, CONTROL_STATUS, reply, &len, &none), OK);
    close(control);
    memset(seen, 0, sizeof(seen));
    unpack_init(&u, reply, len);
    assert_int_equal(unpack_u32(&u), 0);
    nseen = unpack_u32(&u);
    assert_true(nseen <= 32);
    for (uint32_t i = 0; i < nseen; i++) {
        struct seen *s = &seen[i];
        uint32_t n;

        unpack_str(&u, s->role, sizeof(s->role));
        s->instance = unpack_u32(&u);
        s->pid = unpack_u64(&u);
        s->restarts = unpack_u64(&u);
        n = unpack_u32(&u);
        s->counters = n;
        while (n--) {
            static const struct {
                int counter; /* -1: master's own */
                size_t at;
            } fields[] = {
#define FIELD(f) {SAYS_##f, offsetof(struct seen, f)},
                STAND_IN_COUNTERS(FIELD){-1, offsetof(struct seen, hangs)}};
            char name[64];
            uint64_t v;
            unpack_str(&u, name, sizeof(name));
            v = unpack_u64(&u);
            for (size_t f = 0; f < sizeof(fields) / sizeof(*fields); f++)
                if (strcmp(fields[f].counter < 0 ? "role-hangs" : counter_name(fields[f].counter), name) == 0)
                    *(uint64_t *)((char *)s + fields[f].at) = v;
        }
    }
    assert_true(unpack_done(&u));
}

struct seen *master_find(const char *name, uint32_t instance)
{
    for (uint32_t i = 0; i < nseen; i++)
        if (strcmp(seen[i].role, name) == 0 && seen[i].instance == instance)
            return &seen[i];
    fail_msg("no %s %u", name, instance);
    return NULL;
}

struct seen *reborn(const char *name, uint32_t instance, uint64_t old_pid)
{
    for (int i = 0; i < PATIENCE_MS / 20; i++) {
        struct seen *s;
        status();
        s = master_find(name, instance);
        if (s->pid && s->pid != old_pid && s->counters)
            return s;
        usleep(20000);
    }
    says("\xff", 50);
    fail_msg("%s is not back; it said: %s", name, said);
    return NULL;
}
