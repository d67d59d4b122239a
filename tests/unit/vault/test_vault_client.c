/* The way to the vault: what is asked again of a new vault and what is not, with a vault played by the test; then a
 * real one in a process of its own that is killed. */
#include "tests/support/patience.h"
#include "tests/support/vault_recount.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/client.h"
#include "tests/support/approving.h"

struct seen {
    int calls, status;
    uint8_t first;
    struct vault_client *forget_in;
    uint64_t forget;
};

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct seen *s = arg;
    s->calls++;
    s->status = status;
    s->first = unpack_u8(body);
    if (s->forget_in != NULL)
        vault_client_forget(s->forget_in, s->forget);
}

static const struct vault_request expunge = {.type = VAULT_EXPUNGE, .account = 16};
static struct vault_change noticed;
static unsigned notices;

static void on_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    noticed = (struct vault_change){account, mailbox, modseq, exists};
    notices++;
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void spin(struct loop *l, uint64_t ms)
{
    struct timer *t = timer_create_in(l, stop, l);
    timer_set(t, ms);
    assert_int_equal(loop_run(l), OK);
    timer_destroy(t);
}

/* The vault's end, played: takes one message. */
static struct ipc_msg take(int end, uint8_t *buf)
{
    struct ipc_msg m;
    assert_int_equal(ipc_recv_blocking(end, buf, &m, PATIENCE_MS), OK);
    return m;
}

static void answer(int end, uint64_t id, uint32_t status, uint8_t byte)
{
    uint8_t out[64];
    struct pack p;
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, status);
    pack_str(&p, "said");
    pack_u8(&p, byte);
    assert_int_equal(ipc_send_blocking(end, VAULT_REPLY, id, out, p.len, NULL, 0), OK);
}

static uint8_t buf[IPC_MAX];

static int channel(struct vault_client *c)
{
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(c, pair[0]);
    return pair[1];
}

/* What may run twice is asked again of the next vault if the first one died over it. */
static void check_asked_again(const struct vault_request *q)
{
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, on_notice, NULL);
    struct seen reply = {0};
    int end = channel(c);
    assert_int_equal(vault_client_request(c, q, -1, on_reply, &reply, NULL), OK);
    uint64_t id = take(end, buf).id;
    close(end); /* the vault dies */
    spin(l, 20);
    assert_int_equal(reply.calls, 0);
    end = channel(c);
    struct ipc_msg m = take(end, buf);
    assert_int_equal(m.type, q->type);
    assert_int_equal(m.id, id);
    close(end);
    vault_client_destroy(c);
    loop_destroy(l);
}

static void test_asked_again(void **state)
{
    const struct vault_seen_row row = {16, {9}};
    check_asked_again(&(struct vault_request){.type = VAULT_DELIVERED_SEEN, .seen = {1, &row}});
    check_asked_again(&(struct vault_request){.type = VAULT_DMARC_REPORT, .dmarc.domain = slice_str("example.org")});
    check_asked_again(&(struct vault_request){.type = VAULT_COMPLAINT, .account = 16, .complaint = {7}});
    check_asked_again(
        &(struct vault_request){.type = VAULT_CORRESPONDENT_PUT,
                                .account = 16,
                                .correspondent = {.kind = CORRESPONDENT_KEPT, .record = slice_of("\001", 1)}});
}

/* A replacement is asked again like the delivery that it is; without an id it is not. */
static void test_replacement_again(void **state)
{
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, on_notice, NULL);
    struct seen safe = {0}, unsafe = {0};
    struct vault_request d = {.type = VAULT_REPLACE,
                              .account = 16,
                              .mailbox = 1,
                              .deliver = {.kind = 3, .delivery = {1}, .replaced = {3, 9}}};
    static const uint8_t what[8] = {0, 0, 0, 3, 0, 0, 0, 9};
    int parcel = memfd_create("p", 0), end = channel(c);
    assert_int_equal(vault_client_request(c, &d, parcel, on_reply, &safe, NULL), OK);
    memset(d.deliver.delivery, 0, sizeof(d.deliver.delivery));
    assert_int_equal(vault_client_request(c, &d, parcel, on_reply, &unsafe, NULL), OK);
    close(parcel);
    uint64_t id = 0;
    for (int vault = 0; vault < 2; vault++) {
        struct ipc_msg m = take(end, buf), none;
        assert_int_equal(m.type, VAULT_REPLACE);
        assert_memory_equal(m.payload.data, what, sizeof(what));
        assert_true(vault == 0 || m.id == id);
        id = m.id;
        close(m.fds[0]);
        if (vault == 0) {
            m = take(end, buf);
            assert_int_equal(m.type, VAULT_REPLACE);
            close(m.fds[0]);
            close(end); /* the vault dies */
            spin(l, 20);
            end = channel(c);
        } else {
            assert_int_equal(ipc_recv_blocking(end, buf, &none, 20), ERR_TIMEOUT);
        }
    }
    assert_int_equal(unsafe.calls, 1);
    assert_int_equal(unsafe.status, ERR_GONE);
    assert_int_equal(safe.calls, 0);
    answer(end, id, 0, 7);
    spin(l, 20);
    assert_int_equal(safe.calls, 1);
    assert_int_equal(safe.status, OK);
    close(end);
    vault_client_destroy(c);
    loop_destroy(l);
}

static void test_again_and_not_again(void **state)
{
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, on_notice, NULL);
    struct seen deliver = {0}, flags = {0}, later = {0}, forgotten = {0};
    uint64_t id;
    struct vault_request d = {.type = VAULT_DELIVER,
                              .account = 16,
                              .mailbox = 1,
                              .deliver = {.kind = 1, .delivery = {1}}};
    int parcel = memfd_create("p", 0), end = channel(c);
    struct pack p;
    assert_int_equal(vault_client_request(c, &d, parcel, on_reply, &deliver, NULL), OK);
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &flags, NULL), OK);
    assert_int_equal(vault_client_request(c, &d, parcel, on_reply, &forgotten, &id), OK);
    vault_client_forget(c, id);
    close(parcel); /* the client has its own */
    struct ipc_msg m = take(end, buf);
    assert_int_equal(m.type, VAULT_DELIVER);
    assert_int_equal(m.nfds, 1);
    close(m.fds[0]);
    uint64_t first_id = m.id;
    size_t len = m.payload.len;
    static uint8_t first[IPC_MAX];
    memcpy(first, m.payload.data, len);
    close(end); /* the vault dies */
    spin(l, 20);
    assert_int_equal(deliver.calls, 0);
    assert_int_equal(flags.calls, 1);
    assert_int_equal(flags.status, ERR_GONE);
    /* asked while there is none */
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &later, NULL), OK);
    spin(l, 300);
    assert_int_equal(later.calls, 0);
    end = channel(c);
    m = take(end, buf);
    assert_int_equal(m.type, VAULT_DELIVER);
    assert_int_equal(m.id, first_id);
    assert_int_equal(m.payload.len, len);
    assert_memory_equal(m.payload.data, first, len);
    assert_int_equal(m.nfds, 1);
    close(m.fds[0]);
    m = take(end, buf);
    assert_int_equal(m.type, VAULT_EXPUNGE);
    uint64_t later_id = m.id;
    struct ipc_msg none;
    assert_int_equal(ipc_recv_blocking(end, buf, &none, 20), ERR_TIMEOUT); /* the forgotten one is not asked again */
    answer(end, later_id, -ERR_QUOTA, 0);
    answer(end, first_id, 0, 7);
    static const struct vault_change change = {16, 2, 3, 4};
    uint8_t out[64];
    pack_init(&p, out, sizeof(out));
    vault_reply_pack(&p, VAULT_NOTICE, &(struct vault_reply){.changes = {1, &change}});
    assert_int_equal(ipc_send_blocking(end, VAULT_NOTICE, 0, out, p.len, NULL, 0), OK);
    assert_int_equal(ipc_send_blocking(end, VAULT_FULL, 0, "\1", 1, NULL, 0), OK);
    assert_false(vault_client_full(c));
    spin(l, 20);
    assert_true(vault_client_full(c));
    assert_int_equal(later.status, ERR_QUOTA);
    assert_int_equal(deliver.calls, 1);
    assert_int_equal(deliver.status, OK);
    assert_int_equal(deliver.first, 7);
    assert_int_equal(forgotten.calls, 0);
    assert_int_equal(notices, 1);
    assert_int_equal(noticed.exists, 4);
    close(end);
    vault_client_destroy(c);
    loop_destroy(l);
}

/* A vault that answers nonsense: the channel ends, nobody is called twice, nobody waits for ever. */
static void test_hostile_vault(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t id_off;
        size_t len;
        uint8_t bytes[12];
    } bad[] = {
        {VAULT_REPLY, 0, 0, {0}},
        {VAULT_REPLY, 0, 4, {0}},
        {VAULT_REPLY, 0, 8, {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}},
        {VAULT_REPLY, 0, 8, {0xff}},
        {VAULT_REPLY, 4096, 8, {0}},
        {VAULT_REPLY, 1, 8, {0}},
        {VAULT_NOTICE, 0, 4, {0xff}},
        {VAULT_NOTICE, 0, 5, {0}},
        {VAULT_FULL, 0, 0, {0}},
        {VAULT_FULL, 0, 1, {2}},
        {VAULT_FULL, 0, 2, {1, 0}},
        {77, 0, 0, {0}},
    };
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, on_notice, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct seen s = {0};
        int end = channel(c);
        assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &s, NULL), OK);
        struct ipc_msg m = take(end, buf);
        assert_int_equal(ipc_send_blocking(end, bad[i].type, m.id + bad[i].id_off, bad[i].bytes, bad[i].len, NULL, 0),
                         OK);
        spin(l, 10);
        assert_int_equal(s.calls, 1);
        assert_int_equal(s.status, ERR_GONE);
        close(end);
    }
    vault_client_destroy(c);
    loop_destroy(l);
}

static void test_bounds(void **state)
{
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, NULL, NULL);
    struct seen s = {0}, t = {0};
    uint64_t ids[2];
    for (int i = 0; i < VAULT_CLIENT_PENDING_MAX; i++)
        assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &s, i < 2 ? &ids[i] : NULL), OK);
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &s, NULL), ERR_FULL);
    vault_client_forget(c, ids[0]); /* not sent: its place is free at once */
    vault_client_forget(c, ids[0]);
    vault_client_forget(c, 12345678);
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &t, NULL), OK);
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &s, NULL), ERR_FULL);
    struct vault_request many = expunge;
    many.expunge.set.n = VAULT_RANGES_MAX + 1;
    assert_int_equal(vault_client_request(c, &many, -1, on_reply, &s, NULL), ERR_LIMIT);
    assert_int_equal(s.calls, 0);
    vault_client_destroy(c);
    loop_destroy(l);
}

/* Nobody comes: after VAULT_WAIT_MS the asker is told. One callback forgets another that is due as well. */
static void test_wait_ends(void **state)
{
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, NULL, NULL);
    struct seen first = {0}, second = {0};
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &first, NULL), OK);
    assert_int_equal(vault_client_request(c, &expunge, -1, on_reply, &second, &first.forget), OK);
    first.forget_in = c;
    spin(l, VAULT_WAIT_MS - 1000);
    assert_int_equal(first.calls, 0);
    spin(l, 1500);
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.status, ERR_TIMEOUT);
    assert_int_equal(second.calls, 0);
    vault_client_destroy(c);
    loop_destroy(l);
}

/* ---- a real vault in a process of its own ---- */

static _Noreturn void vault_process(const char *dir, int fd)
{
    struct engine *e;
    struct vault *v;
    struct loop *l = loop_create();
    struct record_keys *keys = record_keys_of_root(STORE_KEY);
    if (engine_lmdb_create(dir, 1 << 28, 20, &e) != OK || store_init(e, keys, 1800000000) != OK ||
        vault_create(l, e, keys, 50 << 20, 20, &v) != OK || vault_client_add(v, fd, ~0u) != OK)
        _exit(3);
    (void)loop_run(l);
    _exit(4);
}

static pid_t vault_start(const char *dir, int *ret_fd)
{
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pair[1]);
        vault_process(dir, pair[0]);
    }
    close(pair[0]);
    *ret_fd = pair[1];
    return pid;
}

static void vault_kill(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static uint64_t setup_by_call(const char *dir, int fd)
{
    static const uint8_t cert[64] = {1};
    const struct vault_request domain = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")};
    const struct vault_request account = {.type = VAULT_ACCOUNT_ADD,
                                          .new = {.address = slice_str("alice@example.org"),
                                                  .verdict = verdict_of(1),
                                                  .cert_len = sizeof(cert)}};
    struct vault_reply r;
    char text[256];
    int memfd;
    assert_int_equal(vault_call(fd, &domain, -1, NULL, text), OK);
    assert_int_equal(vault_call(fd, &domain, -1, NULL, text), ERR_EXISTS);
    assert_string_equal(text, "the domain is there already");
    assert_int_equal(parcel_make_plain(cert, sizeof(cert), &memfd), OK);
    assert_int_equal(approved_call(dir, STORE_KEY, fd, &account, memfd, &r, text), OK);
    close(memfd);
    return r.account;
}

struct delivered {
    bool done;
    int status;
    uint8_t duplicate;
    uint32_t uid;
};

static void on_delivered(void *arg, int status, struct unpack *body)
{
    struct delivered *d = arg;
    assert_false(d->done);
    d->done = true;
    struct vault_reply r = {0};
    d->status = status;
    if (status == OK)
        assert_int_equal(vault_reply_unpack(VAULT_DELIVER, body, &r), OK);
    d->duplicate = r.delivered.duplicate;
    d->uid = r.delivered.uid;
}

static void recount_here(const char *dir, uint64_t account, uint32_t exists)
{
    struct engine *e;
    struct record_keys *keys = record_keys_of_root(STORE_KEY);
    assert_int_equal(engine_lmdb_create(dir, 1 << 28, 20, &e), OK);
    store_recount(e, keys, account);
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(e, &t), OK);
    assert_int_equal(schema_get_mailbox(t, keys, account, 1, &box), OK);
    (void)engine_read_end(t);
    assert_int_equal(box.exists, exists);
    engine_close(e);
    record_keys_destroy(keys);
}

/* In a process of its own: secret memory does not outlive a fork, and this test forks again. */
static void recount_dir(const char *dir, uint64_t account, uint32_t exists)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        recount_here(dir, account, exists);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void remove_dir(const char *dir)
{
    char path[128];
    static const char *const files[] = {"data.mdb", "lock.mdb", "reserve"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* Killed again and again under load: each delivery is answered, and is there exactly once. */
static void test_killed_vault(void **state)
{
    enum { N = 400, KILLS = 8 };
    static struct delivered done[N];
    char dir[] = "/tmp/vault-kill-XXXXXX";
    int fd;
    assert_non_null(mkdtemp(dir));
    pid_t pid = vault_start(dir, &fd);
    uint64_t account = setup_by_call(dir, fd);
    struct loop *l = loop_create();
    struct vault_client *c = vault_client_create(l, on_notice, NULL);
    vault_client_channel(c, fd);
    int parcel = parcel_of(OUTER, 1, 3000);
    unsigned kills = 0;
    for (unsigned i = 0; i < N; i++) {
        struct vault_request d = {.type = VAULT_DELIVER,
                                  .account = account,
                                  .mailbox = 1,
                                  .deliver = {.kind = MESSAGE_SERVER_SEALED, .internaldate = i}};
        memcpy(d.deliver.delivery, &i, sizeof(i));
        d.deliver.delivery[15] = 1;
        assert_int_equal(vault_client_request(c, &d, parcel, on_delivered, &done[i], NULL), OK);
        if (i % 20 == 19)
            spin(l, 1 + i % 7);
        if (i % (N / KILLS) == N / KILLS - 1) {
            vault_kill(pid);
            kills++;
            pid = vault_start(dir, &fd);
            vault_client_channel(c, fd);
        }
    }
    for (int wait = 0; wait < 100; wait++) {
        bool all = true;
        for (unsigned i = 0; i < N; i++)
            all &= done[i].done;
        if (all)
            break;
        spin(l, 50);
    }
    static bool uid_seen[N + 1];
    for (unsigned i = 0; i < N; i++) {
        assert_true(done[i].done);
        assert_int_equal(done[i].status, OK);
        assert_true(done[i].uid >= 1 && done[i].uid <= N);
        assert_false(uid_seen[done[i].uid]);
        uid_seen[done[i].uid] = true;
    }
    assert_int_equal(kills, KILLS);
    close(parcel);
    vault_client_destroy(c);
    loop_destroy(l);
    vault_kill(pid);
    recount_dir(dir, account, N);
    remove_dir(dir);
}

static void test_backup(void **state)
{
    char dir[] = "/tmp/vault-backup-XXXXXX", copy[64], file[80];
    static const struct vault_request backup = {.type = VAULT_BACKUP};
    struct vault_reply r;
    char text[256];
    int fd;
    assert_non_null(mkdtemp(dir));
    pid_t pid = vault_start(dir, &fd);
    uint64_t account = setup_by_call(dir, fd);
    snprintf(copy, sizeof(copy), "%s.copy", dir);
    snprintf(file, sizeof(file), "%s/data.mdb", copy);
    assert_int_equal(mkdir(copy, 0700), 0);
    int out = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(out >= 0);
    assert_int_equal(vault_call(fd, &backup, out, &r, text), OK);
    struct stat st;
    assert_int_equal(fstat(out, &st), 0);
    assert_int_equal(r.bytes, st.st_size);
    assert_int_equal(vault_call(fd, &backup, out, &r, text), ERR_REFUSED); /* no longer empty */
    close(out);
    vault_kill(pid);
    close(fd);
    recount_dir(copy, account, 0);
    remove_dir(copy);
    remove_dir(dir);
}

/* A broken message ends its sender's channel and nobody else's. */
static void test_broken_client(void **state)
{
    char dir[] = "/tmp/vault-broken-XXXXXX";
    uint8_t reply[IPC_MAX];
    struct ipc_msg m;
    int fd, pair[2];
    assert_non_null(mkdtemp(dir));
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_ACCESS), OK);
    fd = pair[1];
    assert_int_equal(ipc_send_blocking(fd, VAULT_DELIVER, 1, "garbage", 7, NULL, 0), OK);
    spin(b.loop, 20);
    assert_int_equal(ipc_recv_blocking(fd, reply, &m, PATIENCE_MS), ERR_GONE);
    assert_int_equal(b.vault->nclients, 1);
    assert_int_equal(b.vault->count.broken_clients, 1);
    bench_account(&b); /* the other goes on */
    close(fd);
    /* one that asks and is gone before the answer */
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], ~0u), OK);
    PACK(p);
    vault_request_pack(&p, &(struct vault_request){.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.com")});
    assert_int_equal(ipc_send_blocking(pair[1], VAULT_DOMAIN_ADD, 1, p.data, p.len, NULL, 0), OK);
    close(pair[1]);
    spin(b.loop, 20);
    assert_int_equal(b.vault->nclients, 1);
    bench_close(&b);
    rmdir(dir);
}

/* What is committed before a client is known to the vault is told to it by the first word on its channel. */
static void test_greeting(void **state)
{
    struct bench b;
    int pair[2];
    bench_mem(&b, false);
    bench_account(&b);
    struct vault_client *c = vault_client_create(b.loop, on_notice, NULL);
    notices = 0;
    noticed.account = 99;
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(c, pair[1]);
    spin(b.loop, 20);
    assert_int_equal(notices, 0);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_RELAY), OK);
    vault_client_greet(b.vault);
    spin(b.loop, 20);
    assert_int_equal(notices, 1);
    assert_int_equal(noticed.account, 0);
    vault_client_destroy(c);
    spin(b.loop, 20);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_again),
        cmocka_unit_test(test_replacement_again),
        cmocka_unit_test(test_again_and_not_again),
        cmocka_unit_test(test_hostile_vault),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_wait_ends),
        cmocka_unit_test(test_killed_vault),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_broken_client),
        cmocka_unit_test(test_greeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
