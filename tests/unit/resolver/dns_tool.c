/* dns_tool DIR: the role resolver, in its sandbox, with the configuration in DIR/letterlock.conf, and an asker of it
 * that reads lines:
 *   ask TYPE NAME        a line "answer TYPE NAME ERR ..." follows when it is there
 *   many N TYPE FORMAT   N questions at once, FORMAT having a %d; a line "answered ERR N" for each kind of answer, then
 *                        "done"
 *   reload               the role has the configuration as it stands in the file now
 *   kill                 the role dies, and another one is started
 *   status               the role's counters, "counter NAME VALUE", then "done"
 *   pid                  "pid PID"
 * tests/script/test_names_asked.py runs it. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/role.h"
#include "server/dns/dns.h"
#include "server/master/spawn.h"
#include "tests/support/patience.h"

enum { KINDS = 64, LINE = 1024 };

static struct loop *loop;
static struct dns *dns;
static const char *dir;
static struct config config;
static char text[IPC_MAX / 2];
static size_t text_len;
static pid_t pid;
static int channel = -1, role_log = -1;
static unsigned open_now;
static unsigned kinds[KINDS];

static const struct {
    const char *name;
    enum dns_type type;
} types[] = {{"A", DNS_A},     {"AAAA", DNS_AAAA}, {"MX", DNS_MX},   {"NS", DNS_NS},   {"PTR", DNS_PTR},
             {"TXT", DNS_TXT}, {"TLSA", DNS_TLSA}, {"CAA", DNS_CAA}, {"SRV", DNS_SRV}, {"OPENPGPKEY", DNS_OPENPGPKEY}};

struct asked {
    char type[LINE], name[LINE];
};

static void load(void)
{
    char path[1024], why[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/letterlock.conf", dir);
    f = fopen(path, "rb");
    bug_if(!f);
    text_len = fread(text, 1, sizeof(text), f);
    fclose(f);
    if (config_parse(text, text_len, &config, why, sizeof(why)) != OK) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
}

static struct spawn_params params(void)
{
    struct spawn_params p = {
        .role = ROLE_RESOLVER, .dir = dir, .config = &config, .config_text = text, .config_len = text_len};

    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    return p;
}

static void start(void)
{
    struct spawn_params p = params();
    int pair[2];

    bug_if(ipc_pair(pair) != OK);
    p.peers[ROLE_MASTER] = pair[1];
    bug_if(spawn_role(&p, &pid, &channel, &role_log) != OK);
    close(pair[1]);
    if (spawn_wait_ready(channel, 20000) != OK) {
        puts("not ready");
        exit(1);
    }
    dns_channel(dns, pair[0]);
}

static void put_data(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", s.data[i]);
}

static void answered(void *arg, int err, const struct dns_answer *a)
{
    struct asked *q = arg;

    printf("answer %s %s %d", q->type, q->name, err);
    if (a)
        printf(" %s %s %" PRIu32 " %s", a->trust == DNS_SECURE ? "secure" : "insecure", a->exists ? "exists" : "none",
               a->ttl, a->canonical);
    for (uint32_t i = 0; a && i < a->n; i++) {
        const struct dns_record *r = &a->v[i];
        printf(" [%u %s %u %u %u ", r->preference, r->name ? r->name : "-", r->usage, r->selector, r->matching);
        put_data(r->data);
        printf("]");
    }
    puts("");
    free(q);
}

static void one_of_many(void *arg, int err, const struct dns_answer *a)
{
    kinds[-err < KINDS ? -err : KINDS - 1]++;
    if (--open_now)
        return;
    for (int i = 0; i < KINDS; i++)
        if (kinds[i])
            printf("answered %d %u\n", -i, kinds[i]);
    memset(kinds, 0, sizeof(kinds));
    puts("done");
}

static enum dns_type type_of(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    exit(2);
}

static void ask(char *type, char *name)
{
    struct asked *q = calloc(1, sizeof(*q));
    int err;

    bug_if(!q);
    snprintf(q->type, sizeof(q->type), "%s", type);
    snprintf(q->name, sizeof(q->name), "%s", name);
    err = dns_ask(dns, type_of(type), name, answered, q, NULL);
    if (err != OK) {
        printf("answer %s %s %d not asked\n", type, name, err);
        free(q);
    }
}

static void many(unsigned n, const char *type, const char *before, const char *after)
{
    open_now += n;
    for (unsigned i = 0; i < n; i++) {
        char name[3 * LINE];
        int err;

        snprintf(name, sizeof(name), "%s%u%s", before, i, after);
        err = dns_ask(dns, type_of(type), name, one_of_many, NULL, NULL);
        if (err != OK)
            one_of_many(NULL, err, NULL);
    }
}

static void reload(void)
{
    static uint8_t out[IPC_MAX];
    struct spawn_params p;
    size_t len;

    load();
    p = params();
    bug_if(spawn_pack_config(&p, out, &len) != OK);
    bug_if(ipc_send_blocking(channel, ROLE_MSG_CONFIG, 0, out, len, NULL, 0) != OK);
    puts("done");
}

static void kill_it(void)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(channel);
    close(role_log);
    start();
    puts("done");
}

static void status(void)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    struct unpack u;

    bug_if(ipc_send_blocking(channel, ROLE_MSG_STATUS, 7, NULL, 0, NULL, 0) != OK);
    do
        bug_if(ipc_recv_blocking(channel, buf, &m, PATIENCE_MS) != OK);
    while (m.type != ROLE_MSG_STATUS_REPLY);
    unpack_init(&u, m.payload.data, m.payload.len);
    for (uint32_t n = unpack_u32(&u); n; n--) {
        uint32_t counter = unpack_u32(&u);
        printf("counter %s %" PRIu64 "\n", counter_name((enum counter)counter), unpack_u64(&u));
    }
    puts("done");
}

static void command(char *line)
{
    char a[LINE] = "", b[LINE] = "", c[LINE] = "", *sign;
    unsigned n;

    if (sscanf(line, "ask %s %s", a, b) == 2)
        ask(a, b);
    else if (sscanf(line, "many %u %s %s", &n, b, c) == 3 && (sign = strstr(c, "%d"))) {
        *sign = '\0';
        many(n, b, c, sign + 2);
    } else if (!strcmp(line, "reload"))
        reload();
    else if (!strcmp(line, "kill"))
        kill_it();
    else if (!strcmp(line, "status"))
        status();
    else if (!strcmp(line, "pid"))
        printf("pid %d\n", (int)pid);
    else
        exit(2);
}

static void on_input(void *arg, unsigned events)
{
    static char line[LINE];
    static size_t len;
    char c;

    while (read(0, &c, 1) == 1) {
        if (c != '\n') {
            line[len < LINE - 1 ? len++ : len] = c;
            continue;
        }
        line[len] = '\0';
        len = 0;
        command(line);
        return; /* what came of it first */
    }
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    struct watch *in;
    int end;

    if (argc == 2 && strcmp(argv[1], "role:resolver") == 0)
        return resolver_main();
    if (argc != 2)
        return 2;
    dir = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    load();
    loop = loop_create();
    dns = loop ? dns_create(loop) : NULL;
    bug_if(!dns);
    start();
    puts("ready");
    in = watch_create(loop, 0, LOOP_READ, on_input, NULL);
    bug_if(!in);
    loop_run(loop);
    watch_destroy(in);
    dns_destroy(dns);
    loop_destroy(loop);
    ipc_send_blocking(channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0);
    waitpid(pid, &end, 0);
    if (!WIFEXITED(end) || WEXITSTATUS(end) != 0)
        puts("it ended badly");
    return 0;
}
