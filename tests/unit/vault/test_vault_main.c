/* The role itself, from master's first message to STOP: in its sandbox, on LMDB, asked over channels. Backup and
 * recovery of the engine need more of the kernel than ordinary requests: they are asked for here, where the profile is
 * in force. */
#include "tests/support/patience.h"
#include "tests/support/vault_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "server/base/role.h"
#include "store/client.h"
#include "tests/support/approving.h"

static char dir[] = "/tmp/vault-main-XXXXXX";

static const char *store_path(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/store", dir);
    return path;
}

static rlim_t file_max = RLIM_INFINITY; /* the next vault's disk ends here */
static bool make;                       /* the next vault makes what is missing of the store */
static uint64_t alice;
static uint32_t wrong_uses; /* of the next vault's keys: there though they should not be, or the other way round */

static void tell(int channel, uint32_t type, const void *data, size_t len, int fd)
{
    assert_int_equal(ipc_send_blocking(channel, type, 0, data, len, &fd, fd >= 0), OK);
}

/* Everything before GO; *ret_client: an admin's channel. */
static void tell_keys(int channel, const uint8_t *root, uint32_t uses)
{
    struct record_bundle b;
    uint8_t out[RECORD_BUNDLE_MAX];
    record_bundle_make(root, root, &b);
    tell(channel, ROLE_MSG_RECORD_KEYS, out, record_bundle_pack(&b, uses, out), -1);
    tell(channel, ROLE_MSG_QUEUE_KEY, out, record_bundle_pack_queue(&b, false, out), -1);
}

static void start(int channel, const uint8_t *root, int *ret_client)
{
    static char text[48 * 1024];
    static uint8_t out[50 * 1024];
    uint8_t peer[2] = {ROLE_MASTER, 1};
    struct config c;
    struct pack p;
    int pair[2];
    config_defaults(&c);
    snprintf(c.domain, sizeof(c.domain), "mx.example");
    c.map_size = UINT64_C(1) << 30;
    c.reader_turn_ms = 50;
    c.allow_no_landlock = true; /* the test runs on kernels without it, too */
    long n = config_write(&c, text, sizeof(text));
    assert_true(n > 0);
    pack_init(&p, out, sizeof(out));
    pack_str(&p, dir);
    pack_u32(&p, 0);
    pack_u32(&p, 1);
    pack_u64(&p, geteuid() == 0 ? 4242 : 0);
    pack_u64(&p, geteuid() == 0 ? 4242 : 0);
    pack_bytes(&p, text, (size_t)n);
    tell(channel, ROLE_MSG_CONFIG, p.data, p.len, -1);
    if (make)
        tell(channel, ROLE_MSG_MAKE, "", 0, -1);
    if (root != NULL)
        tell_keys(channel, root, roles_table[ROLE_VAULT].uses ^ wrong_uses);
    assert_int_equal(ipc_pair(pair), OK);
    tell(channel, ROLE_MSG_PEER, peer, sizeof(peer), pair[0]);
    close(pair[0]);
    tell(channel, ROLE_MSG_GO, "", 0, -1);
    *ret_client = pair[1];
}

static pid_t vault_spawn(const uint8_t *root, int *ret_channel, int *ret_client)
{
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pair[1]);
        int fd = fcntl(pair[0], F_DUPFD, 10); /* so that dup2 also clears close-on-exec */
        dup2(fd, ROLE_CHANNEL_FD);
        closefrom(ROLE_CHANNEL_FD + 1);
        fcntl(ROLE_CHANNEL_FD, F_SETFL, O_NONBLOCK);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_max, RLIM_INFINITY});
        execl("/proc/self/exe", "letterlock", "role:vault", (char *)NULL);
        _exit(127);
    }
    close(pair[0]);
    start(pair[1], root, ret_client);
    *ret_channel = pair[1];
    return pid;
}

static int wait_exit(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void wait_ready(int channel)
{
    uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    assert_int_equal(ipc_recv_blocking(channel, buf, &m, PATIENCE_MS), OK);
    assert_int_equal(m.type, ROLE_MSG_READY);
}

static void vault_stop(pid_t pid, int channel, int client)
{
    tell(channel, ROLE_MSG_STOP, "", 0, -1);
    assert_int_equal(wait_exit(pid), 0);
    close(channel);
    close(client);
}

static struct vault_reply reply;
static char text[256];

static int deliver_one(int client, int parcel, uint8_t id, uint32_t *ret_uid)
{
    const struct vault_request q = {.type = VAULT_DELIVER,
                                    .account = alice,
                                    .mailbox = MAILBOX_INBOX,
                                    .deliver = {.kind = MESSAGE_SERVER_SEALED, .delivery = {id}}};
    int err = vault_call(client, &q, parcel, &reply, text);
    if (err == OK)
        *ret_uid = reply.delivered.uid;
    return err;
}

/* A later client, as master makes one. */
static int client_of(int channel, enum role role)
{
    int pair[2];
    uint8_t peer[2] = {(uint8_t)role, 0};
    assert_int_equal(ipc_pair(pair), OK);
    tell(channel, ROLE_MSG_PEER, peer, sizeof(peer), pair[0]);
    close(pair[0]);
    return pair[1];
}

/* Without the word to make one, a vault starts on a store or not at all. */
static void test_makes_none(void **state)
{
    char path[128];
    int channel, client;
    snprintf(path, sizeof(path), "%s/store", dir);
    for (int i = 0; i < 2; i++) { /* without the folder, and with it */
        pid_t pid = vault_spawn(STORE_KEY, &channel, &client);
        assert_int_equal(wait_exit(pid), ROLE_EXIT_STORE);
        assert_int_equal(i ? rmdir(path) : access(path, F_OK), i ? 0 : -1);
        if (!i)
            assert_int_equal(mkdir(path, 0700), 0);
        close(channel);
        close(client);
    }
}

static void test_life(void **state)
{
    static const struct vault_request stat_request = {.type = VAULT_STAT};
    const struct vault_request domain = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")};
    int channel, client;
    make = true;
    pid_t pid = vault_spawn(STORE_KEY, &channel, &client);
    make = false;
    wait_ready(channel);
    assert_int_equal(vault_call(client, &domain, -1, NULL, text), OK);
    /* an account, a message, a flag */
    const struct vault_request add = {.type = VAULT_ACCOUNT_ADD,
                                      .new = {.address = slice_str("alice@example.org"),
                                              .verdict = verdict_of(1),
                                              .cert_len = 4}};
    int cert, parcel;
    assert_int_equal(parcel_make_plain("cert", 4, &cert), OK);
    assert_int_equal(approved_call(store_path(), STORE_KEY, client, &add, cert, &reply, text), OK);
    alice = reply.account;
    close(cert);
    parcel = parcel_of(OUTER, 1, 100000);
    int ingest = client_of(channel, ROLE_INGEST);
    for (uint8_t i = 0; i < 3; i++) {
        uint32_t uid;
        assert_int_equal(deliver_one(ingest, parcel, (uint8_t)(i + 2), &uid), OK);
    }
    close(parcel);
    close(ingest);
    /* a hot copy: a thread, in the sandbox */
    char path[128];
    snprintf(path, sizeof(path), "%s/copy", dir);
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(vault_call(client, &(struct vault_request){.type = VAULT_BACKUP}, out, &reply, text), OK);
    assert_true(reply.bytes > 100000);
    close(out);
    unlink(path);
    assert_int_equal(vault_call(client, &stat_request, -1, NULL, text), OK);
    /* a later client, without rights; "master" alone, without the word that it is an administrator's, has none */
    for (int i = 0; i < 2; i++) {
        int later = client_of(channel, i ? ROLE_ACCESS : ROLE_MASTER);
        assert_int_equal(vault_call(later, &stat_request, -1, NULL, text), ERR_DENIED);
        close(later);
    }
    /* its counters */
    uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    assert_int_equal(ipc_send_blocking(channel, ROLE_MSG_STATUS, 9, "", 0, NULL, 0), OK);
    assert_int_equal(ipc_recv_blocking(channel, buf, &m, PATIENCE_MS), OK);
    assert_int_equal(m.type, ROLE_MSG_STATUS_REPLY);
    assert_int_equal(m.id, 9);
    vault_stop(pid, channel, client);
    /* the store belongs to the vault alone */
    struct stat st;
    snprintf(path, sizeof(path), "%s/store/data.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    if (geteuid() == 0)
        assert_int_equal(st.st_uid, 4242);
    /* and again, over what is there */
    pid = vault_spawn(STORE_KEY, &channel, &client);
    wait_ready(channel);
    assert_int_equal(vault_call(client, &domain, -1, NULL, text), ERR_EXISTS);
    /* master dies: the vault ends */
    close(channel);
    assert_int_equal(wait_exit(pid), 0);
    close(client);
}

static void test_wrong_key(void **state)
{
    static const uint8_t other[32] = {8};
    int channel, client;
    pid_t pid = vault_spawn(other, &channel, &client);
    assert_int_equal(wait_exit(pid), ROLE_EXIT_KEY);
    close(channel);
    close(client);
    pid = vault_spawn(NULL, &channel, &client);
    assert_int_equal(wait_exit(pid), 1);
    close(channel);
    close(client);
    /* One more than its row has, one fewer. */
    static const uint32_t wrong[] = {RECORD_BIT(RECORD_APP_PASSWORD), RECORD_BIT(RECORD_MESSAGE)};
    for (int i = 0; i < 2; i++) {
        wrong_uses = wrong[i];
        pid = vault_spawn(STORE_KEY, &channel, &client);
        assert_int_equal(wait_exit(pid), 1);
        close(channel);
        close(client);
    }
    wrong_uses = 0;
}

/* Lifts the limit from the running vault, as its own user: root may lack the right in a container. */
static void make_room(pid_t vault)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setresgid(4242, 4242, 4242) != 0 || setresuid(4242, 4242, 4242) != 0))
            _exit(1);
        _exit(prlimit(vault, RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL) != 0);
    }
    assert_int_equal(wait_exit(pid), 0);
}

/* The disk is full: a temporary error, nothing stored, and all is well again when there is room, in the same process.
 * */
static void test_disk_full(void **state)
{
    int channel, client, r = OK, failed = 0;
    int parcel = parcel_of(OUTER, 1, 400000); /* more than the pages that small commits leave behind */
    uint32_t last = 0, uid = 0;
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s/store/data.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    file_max = (rlim_t)st.st_size + 1000 * 1024;
    pid_t pid = vault_spawn(STORE_KEY, &channel, &client);
    wait_ready(channel);
    int ingest = client_of(channel, ROLE_INGEST);
    uint8_t id = 50;
    for (int i = 0; i < 60; i++, id++) {
        r = deliver_one(ingest, parcel, id, &uid);
        if (r != OK) {
            assert_true(r == ERR_FULL || r == ERR_IO);
            assert_true(text[0] != '\0');
            if (++failed == 5)
                break;
            continue;
        }
        assert_int_equal(failed, 0);
        assert_true(last == 0 || uid == last + 1);
        last = uid;
    }
    assert_int_equal(failed, 5);
    file_max = RLIM_INFINITY;
    make_room(pid);
    for (int i = 0; i < 10; i++) { /* the last five that failed are tried again, too */
        assert_int_equal(deliver_one(ingest, parcel, (uint8_t)(id - 4 + i), &uid), OK);
        assert_int_equal(uid, last + 1); /* no UID was lost */
        last = uid;
    }
    close(parcel);
    close(ingest);
    vault_stop(pid, channel, client);
}

static int made(void **state)
{
    return mkdtemp(dir) == NULL || chmod(dir, 0755) != 0;
}

static int removed(void **state)
{
    char path[128];
    static const char *const files[] = {"store/data.mdb", "store/lock.mdb", "store/reserve"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/store", dir);
    rmdir(path);
    rmdir(dir);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "role:vault") == 0)
        return vault_main();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_makes_none), cmocka_unit_test(test_life),
                                       cmocka_unit_test(test_disk_full), cmocka_unit_test(test_wrong_key)};
    return cmocka_run_group_tests(tests, made, removed);
}
