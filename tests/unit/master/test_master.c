/* Master as its commands and its listeners see it: start, channels, reload, and the vault alone without a server. */
#include "tests/support/master_bench.h"
#include "tests/support/patience.h"

/* What a role may be sent, written down once more: a key more in roles_table is to be meant. */
static uint32_t uses_of(const char *name)
{
    static const struct {
        const char *role;
        uint32_t not_these;
    } rows[] = {
        {"ingest", RECORD_BIT(RECORD_MAILBOX) | RECORD_BIT(RECORD_MESSAGE) | RECORD_BIT(RECORD_CONTENT) |
                       RECORD_BIT(RECORD_TAG) | RECORD_BIT(RECORD_NAME) | RECORD_BIT(RECORD_LOGIN_SALT) |
                       RECORD_BIT(RECORD_QUEUE_CONTENT) | RECORD_BIT(RECORD_DKIM) | RECORD_BIT(RECORD_ENTRY) |
                       RECORD_BIT(RECORD_PUBLISHED) | RECORD_BIT(RECORD_REPORT) | RECORD_BIT(RECORD_SIGNIN) |
                       RECORD_BIT(RECORD_OPAQUE)},
        {"relay", RECORD_ALL & ~(RECORD_BIT(RECORD_QUEUE) | RECORD_BIT(RECORD_QUEUE_CONTENT) | RECORD_BIT(RECORD_DKIM) |
                                 RECORD_BIT(RECORD_LOG))},
        {"access", RECORD_BIT(RECORD_QUEUE) | RECORD_BIT(RECORD_DOMAIN) | RECORD_BIT(RECORD_NAME) |
                       RECORD_BIT(RECORD_LOGIN_SALT) | RECORD_BIT(RECORD_LOG) | RECORD_BIT(RECORD_QUEUE_CONTENT) |
                       RECORD_BIT(RECORD_DKIM) | RECORD_BIT(RECORD_COMPLAINT) | RECORD_BIT(RECORD_PUBLISHED) |
                       RECORD_BIT(RECORD_WKS) | RECORD_BIT(RECORD_FEATURE) | RECORD_BIT(RECORD_REPORT) |
                       RECORD_BIT(RECORD_SIGNIN) | RECORD_BIT(RECORD_OPAQUE)},
        {"vault", RECORD_BIT(RECORD_QUEUE) | RECORD_BIT(RECORD_APP_PASSWORD) | RECORD_BIT(RECORD_DELIVERY) |
                      RECORD_BIT(RECORD_THREAD) | RECORD_BIT(RECORD_MESSAGE_ID) | RECORD_BIT(RECORD_LOGIN_SALT) |
                      RECORD_BIT(RECORD_LOG) | RECORD_BIT(RECORD_DKIM) | RECORD_BIT(RECORD_COMPLAINT) |
                      RECORD_BIT(RECORD_WKS) | RECORD_BIT(RECORD_FEATURE) | RECORD_BIT(RECORD_OPAQUE)},
        {"web", RECORD_ALL & ~(RECORD_BIT(RECORD_DIRECTORY) | RECORD_BIT(RECORD_DOMAIN) | RECORD_BIT(RECORD_PUBLISHED) |
                               RECORD_BIT(RECORD_ADDRESS) | RECORD_BIT(RECORD_LOGIN) | RECORD_BIT(RECORD_APP_PASSWORD) |
                               RECORD_BIT(RECORD_SIGNIN) | RECORD_BIT(RECORD_OPAQUE))},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].role, name) == 0)
            return RECORD_ALL & ~rows[i].not_these;
    return 0;
}

static void starts_and_counts(void **state)
{
    struct record_bundle keys;

    (void)state;
    serve_ready();
    status();
    assert_int_equal(nseen, 10); /* vault, judge, seal, resolver, relay, fetcher, web, two ingest, access */
    for (uint32_t i = 0; i < nseen; i++) {
        assert_int_equal(seen[i].fds, 4); /* 0 to 3 and nothing else */
        assert_int_equal(seen[i].restarts, 0);
        assert_int_equal(seen[i].message_max, 1 << 20);
        record_bundle_make(key.store, key.queue, &keys);
        record_bundle_keep(&keys, uses_of(seen[i].role));
        assert_int_equal(seen[i].uses, keys.uses);
        if (keys.uses)
            assert_int_equal(seen[i].keys_hash, hash_of_keys(&keys));
        if (getuid() == 0)
            assert_true(seen[i].uid >= 61800 && seen[i].uid < 61800 + ROLES);
    }
    assert_int_equal(master_find("vault", 0)->secrets, 1010); /* keys, no TLS, nothing of the environment */
    assert_int_equal(master_find("gpg-judge", 0)->secrets, 0);
    assert_int_equal(master_find("gpg-seal", 0)->secrets, 0);
    assert_int_equal(master_find("resolver", 0)->secrets, 0);
    assert_int_equal(master_find("fetcher", 0)->secrets, 0);
    assert_int_equal(master_find("relay", 0)->secrets, 11010); /* keys, and the queue's secret half */
    assert_int_equal(master_find("web", 0)->secrets, 110);
    assert_int_equal(master_find("ingest", 1)->secrets, 1110);
    assert_int_equal(master_find("access", 0)->secrets, 110);
    assert_int_equal(master_find("ingest", 0)->smtp_sessions, 500); /* its share of 1000 */
    assert_int_equal(master_find("access", 0)->smtp_sessions, 1000);
    assert_int_equal(master_find("vault", 0)->peers, 5); /* two ingest, access, relay, web */
    assert_int_equal(master_find("gpg-seal", 0)->peers, 3);
    assert_int_equal(master_find("gpg-judge", 0)->peers, 0);
    assert_int_equal(master_find("ingest", 0)->peers, 6); /* vault, seal, resolver, fetcher; relay and web ask it */
    for (int tries = 0; tries < PATIENCE_MS / 10 && !master_find("ingest", 0)->pings; tries++) {
        usleep(10000);
        status();
    }
    assert_int_equal(master_find("ingest", 0)->pings, 1); /* answered by the vault */
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
        exit(master_serve(master_dir));
    }
    waitpid(second, &status_, 0);
    assert_int_equal(WEXITSTATUS(status_), 1);
    config_defaults(&c);
    const struct offline_params none = {.dir = master_dir, .config = &c, .config_text = ""};
    assert_int_equal(offline_vault(&none, &o, &fd, why, sizeof(why)), ERR_CONFLICT);
    assert_non_null(strstr(why, "at work"));
    status(); /* and the first goes on */
    stop();
    assert_int_equal(control_connect(master_dir, &fd), ERR_NOT_FOUND);
}

static void listens(void **state)
{
    struct {
        uint16_t port;
        const char *who;
    } want[] = {{25, "ingest"}, {587, "ingest"}, {143, "access"}, {993, "access"}};

    (void)state;
    serve_ready();
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)(base + want[i].port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        char got[16] = "";
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_true(read(fd, got, sizeof(got) - 1) > 0);
        assert_string_equal(got, want[i].who);
        close(fd);
    }
    stop();
}

static unsigned reload_reply(char *why, size_t cap)
{
    unsigned char reply[1000];
    unsigned long len = sizeof(reply);
    struct unpack u;
    int control, none;
    unsigned code;

    assert_int_equal(control_connect(master_dir, &control), OK);
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
    char why[600], command[1400];

    (void)state;
    serve_ready();
    write_config(2 << 20);
    snprintf(command, sizeof(command),
             "cd %s && mkdir tls && cp chain.pem tls/named.example.chain.pem && cp key.pem tls/named.example.key.pem",
             master_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(reload_reply(why, sizeof(why)), 0);
    status();
    assert_int_equal(master_find("ingest", 1)->certs, 2); /* in one set */
    assert_int_equal(master_find("ingest", 1)->message_max, 2 << 20);
    assert_int_equal(master_find("ingest", 1)->tls, 1);
    assert_int_equal(master_find("vault", 0)->tls, 0);
    /* a bad file changes nothing */
    write_text("letterlock.conf", "nonsense = 1\n", 13);
    assert_int_equal(reload_reply(why, sizeof(why)), (unsigned)-ERR_FORMAT);
    assert_non_null(strstr(why, "nonsense"));
    write_config(3 << 20);
    write_text("chain.pem", "no certificate", 14);
    assert_int_not_equal(reload_reply(why, sizeof(why)), 0);
    assert_non_null(strstr(why, "chain.pem"));
    status();
    assert_int_equal(master_find("ingest", 0)->message_max, 2 << 20);
    assert_int_equal(master_find("ingest", 0)->smtp_sessions, 500);
    assert_int_equal(master_find("ingest", 0)->configs, 1);
    /* and a role that dies now starts with the old files */
    kill((pid_t)master_find("access", 0)->pid, SIGKILL);
    assert_int_equal(reborn("access", 0, master_find("access", 0)->pid)->message_max, 2 << 20);
    kill(server, SIGHUP);
    assert_true(says("reload refused", PATIENCE_MS));
    stop();
    serve(); /* a start does not take it either */
    assert_int_equal(ended(PATIENCE_MS), 1);
    teardown(NULL);
    setup(NULL);
}

static void channels_for_commands(void **state)
{
    unsigned char reply[100];
    static uint8_t buf[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct ipc_msg m;
    int control, fd;

    (void)state;
    serve_ready();
    assert_int_equal(control_connect(master_dir, &control), OK);
    assert_int_equal(control_call(control, CONTROL_VAULT, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    assert_int_equal(ipc_send_blocking(fd, 1, 5, NULL, 0, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(fd, buf, &m, PATIENCE_MS), OK);
    assert_int_equal(m.id, 5);
    close(fd);
    /* while the vault is away a command waits for it */
    status();
    kill((pid_t)master_find("vault", 0)->pid, SIGKILL);
    len = sizeof(reply);
    assert_int_equal(control_call(control, CONTROL_VAULT, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    if (ipc_send_blocking(fd, 1, 6, NULL, 0, NULL, 0) == OK) /* the old one may have got it, dying */
        (void)ipc_recv_blocking(fd, buf, &m, PATIENCE_MS);
    close(fd);
    len = sizeof(reply);
    assert_int_equal(control_call(control, CONTROL_JUDGE, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    close(fd);
    len = sizeof(reply);
    assert_int_equal(control_call(control, CONTROL_SEAL, reply, &len, &fd), OK);
    assert_true(fd >= 0);
    close(fd);
    /* nonsense ends the channel, not the server */
    assert_int_equal(ipc_send_blocking(control, 77, 1, "x", 1, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(control, buf, &m, PATIENCE_MS), ERR_GONE);
    close(control);
    assert_int_equal(control_connect(master_dir, &control), OK);
    len = sizeof(reply);
    assert_int_equal(control_call(control, CONTROL_STOP, reply, &len, &fd), OK);
    close(control);
    assert_int_equal(ended(PATIENCE_MS), 0);
}

static void offline(void **state)
{
    static uint8_t buf[IPC_MAX];
    static char text[64 * 1024];
    struct offline *o, *judge;
    struct config c;
    struct ipc_msg m;
    char why[256] = "";
    struct dir_lock lock;
    int vault, channel;
    long n;
    struct record_bundle keys;

    (void)state;
    record_bundle_make(key.store, key.queue, &keys);
    config_defaults(&c);
    n = config_write(&c, text, sizeof(text));
    const struct offline_params p = {
        .dir = master_dir, .config = &c, .config_text = text, .config_len = (size_t)n, .keys = &keys};
    assert_int_equal(offline_vault(&p, &o, &vault, why, sizeof(why)), OK);
    assert_int_equal(dir_lock(master_dir, &lock, why, sizeof(why)), ERR_CONFLICT);
    assert_int_equal(ipc_send_blocking(vault, 1, 9, NULL, 0, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(vault, buf, &m, PATIENCE_MS), OK);
    static const enum role without_store[] = {ROLE_GPG_JUDGE, ROLE_GPG_SEAL, ROLE_RESOLVER};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(offline_role(without_store[i], &p, &judge, &channel, why, sizeof(why)), OK);
        close(channel);
        offline_stop(judge);
    }
    close(vault);
    offline_stop(o);
    assert_int_equal(dir_lock(master_dir, &lock, why, sizeof(why)), OK);
    dir_unlock(&lock);
    behave("vault", "die");
    assert_int_not_equal(offline_vault(&p, &o, &vault, why, sizeof(why)), OK);
    behave("vault", "");
    assert_int_equal(dir_lock(master_dir, &lock, why, sizeof(why)), OK);
    dir_unlock(&lock);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVED(starts_and_counts), SERVED(refuses_twice),         SERVED(listens),
        SERVED(reloads),           SERVED(channels_for_commands), SERVED(offline),
    };

    if (argc == 2 && strncmp(argv[1], "role:", 5) == 0)
        return stand_in(argv[1] + 5);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("master", tests, setup, teardown);
}
