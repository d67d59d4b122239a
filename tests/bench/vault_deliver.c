/* Deliveries a second that one vault commits and syncs, over real channels, with the asker keeping so many in flight.
 * Beside it, in the same run, the raw rate of write and fdatasync of as many bytes, in files of a group's size: the
 * ceiling of this disk. bench_vault_deliver DIR [seconds] */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/account.h"
#include "store/client.h"
#include "tests/support/approving.h"
#include "store/vault/vault.h"

static const char outer[] = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: a@example.org\r\n"
                            "To: b@example.org\r\nSubject: [...]\r\n"
                            "Message-ID: <0123456789@example.org>\r\nSealed-By: mx.example; v=1\r\n";

struct load {
    struct loop *loop;
    struct vault_client *client;
    uint64_t account, sent, done, failed, until;
    int parcel;
};

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_str(err));
    exit(1);
}

static size_t packets_make(uint8_t *out, size_t len)
{
    uint8_t *p = out;
    p += pgp_packet_header(p, PGP_TAG_PKESK, 44);
    *p++ = 3;
    memset(p, 4, 8);
    p += 8;
    *p++ = PGP_RSA, *p++ = 1, *p++ = 0;
    memset(p, 0x80, 32);
    p += 32;
    p += pgp_packet_header(p, PGP_TAG_SEIPD, len);
    memset(p, 0x5a, len);
    *p = 1;
    return (size_t)(p + len - out);
}

static int parcel_make(size_t len)
{
    static uint8_t bytes[1 << 20];
    struct parcel_writer *w;
    int fd;
    must(parcel_create(&w), "parcel");
    must(parcel_put_outer(w, outer, strlen(outer)), "parcel");
    must(parcel_put_capsule(w, bytes, packets_make(bytes, 500)), "parcel");
    must(parcel_put_packets(w, bytes, packets_make(bytes, len)), "parcel");
    must(parcel_seal(w, &fd), "parcel");
    return fd;
}

static void send_one(struct load *l);

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct load *l = arg;
    (void)body;
    l->done++;
    l->failed += status != OK;
    if (now_ms() < l->until)
        send_one(l);
    else if (l->done == l->sent)
        loop_stop(l->loop);
}

static void send_one(struct load *l)
{
    struct vault_request q = {.type = VAULT_DELIVER,
                              .account = l->account,
                              .mailbox = MAILBOX_INBOX,
                              .deliver.kind = MESSAGE_SERVER_SEALED};
    uint64_t id = ++l->sent ^ l->until << 32;
    memcpy(q.deliver.delivery, &id, sizeof(id));
    q.deliver.delivery[15] = 1;
    must(vault_client_request(l->client, &q, l->parcel, on_reply, l, NULL), "deliver");
}

static const uint8_t key[32] = {1};

static _Noreturn void vault_process(const char *dir, int fd)
{
    struct engine *e;
    struct vault *v;
    struct loop *loop = loop_create();
    struct record_keys *keys = record_keys_of_root(key);
    must(engine_lmdb_create(dir, UINT64_C(64) << 30, 1000, &e), "engine");
    must(store_init(e, keys, 1800000000), "store");
    must(vault_create(loop, e, keys, 50 << 20, 1000, &v), "vault");
    must(vault_client_add(v, fd, ~0u), "client");
    (void)loop_run(loop);
    _exit(0);
}

static uint64_t setup(const char *dir, int fd)
{
    struct pgp_verdict v = {.primary_fpr_len = 20, .enc_fpr_len = 20, .native = true};
    memset(v.primary_fpr, 3, 20);
    memset(v.enc_fpr, 4, 20);
    const struct vault_request domain = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")};
    const struct vault_request account = {.type = VAULT_ACCOUNT_ADD,
                                          .new = {.address = slice_str("b@example.org"), .verdict = v, .cert_len = 4}};
    struct vault_reply r;
    char text[256] = "";
    int cert;
    must(vault_call(fd, &domain, -1, NULL, text), "domain");
    must(parcel_make_plain("cert", 4, &cert), "certificate");
    must(approved_call(dir, key, fd, &account, cert, &r, text), text);
    close(cert);
    return r.account;
}

static double raw_rate(const char *dir, size_t message, unsigned group)
{
    char path[600];
    static uint8_t bytes[1 << 20];
    snprintf(path, sizeof(path), "%s/raw", dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    uint64_t start = now_ms(), n = 0;
    while (now_ms() - start < 1000) {
        for (unsigned i = 0; i < group; i++)
            if (write(fd, bytes, message) != (ssize_t)message)
                must(ERR_IO, "write");
        if (fdatasync(fd) != 0)
            must(ERR_IO, "sync");
        n += group;
    }
    double rate = (double)n * 1000 / (double)(now_ms() - start);
    close(fd);
    unlink(path);
    return rate;
}

static double cpu_of(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fgets(line, sizeof(line), f) != NULL && strrchr(line, ')') != NULL)
        (void)sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

int main(int argc, char **argv)
{
    static const struct {
        size_t len;
        unsigned flight;
    } runs[] = {{2000, 50}, {2000, 256}, {20000, 50}, {20000, 256}};
    unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    int pair[2];
    if (argc < 2) {
        fprintf(stderr, "usage: bench_vault_deliver DIR [seconds]\n");
        return 2;
    }
    must(ipc_pair(pair), "channel");
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[1]);
        vault_process(argv[1], pair[0]);
    }
    close(pair[0]);
    struct load l = {.account = setup(argv[1], pair[1]), .loop = loop_create()};
    l.client = vault_client_create(l.loop, NULL, NULL);
    vault_client_channel(l.client, pair[1]);
    printf("%8s %8s %12s %12s %12s %8s\n", "octets", "flight", "messages/s", "vault CPU us", "raw write/s", "ratio");
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        l.parcel = parcel_make(runs[i].len);
        l.sent = l.done = l.failed = 0;
        uint64_t start = now_ms();
        double cpu = cpu_of(pid);
        l.until = start + seconds * 1000;
        for (unsigned k = 0; k < runs[i].flight; k++)
            send_one(&l);
        must(loop_run(l.loop), "loop");
        double rate = (double)l.done * 1000 / (double)(now_ms() - start),
               raw = raw_rate(argv[1], runs[i].len, runs[i].flight);
        printf("%8zu %8u %12.0f %12.1f %12.0f %8.2f%s\n", runs[i].len, runs[i].flight, rate,
               (cpu_of(pid) - cpu) * 1e6 / (double)l.done, raw, rate / raw, l.failed ? "  FAILURES" : "");
        close(l.parcel);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    vault_client_destroy(l.client);
    loop_destroy(l.loop);
    return 0;
}
