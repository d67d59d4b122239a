/* fetch_tool DIR: the roles resolver and fetcher, in their sandboxes, with the configuration in DIR/letterlock.conf,
 * and an asker of the fetcher that reads lines:
 *   get ID KIND URL          "answer ID ERR STATUS TYPE LENGTH BODY" follows when it is there, of the body the first
 *                            octets in hex
 *   post ID KIND URL LENGTH  the same, with a body of so many "x", application/tlsrpt+gzip
 *   many N KIND URL          N at once, the URL having a %d; "answered ERR N" for each kind of answer, then "done"
 *   raw HEX                  these octets as a question, over a channel of its own: "ended" or "answered"
 *   reload                   the fetcher has the configuration as it stands in the file now; "done"
 *   kill                     both die, and others are started; "done"
 *   status                   the fetcher's counters, "counter NAME VALUE", then "done"
 *   pid                      "pid PID"
 * tests/script/test_fetch.py runs it. */
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
#include "server/fetch/message.h"
#include "server/master/spawn.h"

enum { KINDS = 64, LINE = 4096, SHOWN = 64 };

struct running {
    pid_t pid;
    int channel, log;
};

static struct loop *loop;
static struct fetch *fetch;
static const char *dir;
static struct config config;
static char text[IPC_MAX / 2];
static size_t text_len;
static struct running resolver, fetcher;
static unsigned open_now;
static unsigned kinds[KINDS];
static uint8_t posted[FETCH_BODY_MAX];

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

/* Its end of a channel from each of two others. */
static void start(enum role role, enum role from, int fd, enum role also, int also_fd, struct running *ret)
{
    struct spawn_params p = {.role = role, .dir = dir, .config = &config, .config_text = text, .config_len = text_len};

    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    p.peers[from] = fd;
    p.peers[also] = also_fd;
    bug_if(spawn_role(&p, &ret->pid, &ret->channel, &ret->log) != OK);
    if (spawn_wait_ready(ret->channel, 60000) != OK) {
        puts("not ready");
        exit(1);
    }
}

static void start_fetcher(void)
{
    int names[2], ours[2];

    bug_if(ipc_pair(names) != OK || ipc_pair(ours) != OK);
    start(ROLE_RESOLVER, ROLE_FETCHER, names[1], ROLE_FETCHER, names[1], &resolver);
    start(ROLE_FETCHER, ROLE_RESOLVER, names[0], ROLE_RELAY, ours[1], &fetcher);
    close(names[0]);
    close(names[1]);
    close(ours[1]);
    fetch_channel(fetch, ours[0]);
}

static void answered(void *arg, int err, const struct fetch_answer *a)
{
    char *id = arg;

    printf("answer %s %d", id, err);
    if (a) {
        printf(" %u %s %zu ", a->status, *a->type ? a->type : "-", a->body.len);
        for (size_t i = 0; i < a->body.len && i < SHOWN; i++)
            printf("%02x", a->body.data[i]);
    }
    puts("");
    free(id);
}

static void ask(const char *name, unsigned kind, const char *url, const char *type, size_t len)
{
    char *id = strdup(name);
    int err;

    bug_if(!id || len > sizeof(posted));
    err = fetch_ask(fetch, (enum fetch_kind)kind, url, type, slice_of(posted, len), answered, id, NULL);
    if (err == OK)
        return;
    printf("answer %s %d not-asked\n", name, err);
    free(id);
}

static void one_of_many(void *arg, int err, const struct fetch_answer *a)
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

static void many(unsigned n, unsigned kind, const char *before, const char *after)
{
    open_now += n;
    for (unsigned i = 0; i < n; i++) {
        char url[3 * LINE];
        int err;

        snprintf(url, sizeof(url), "%s%u%s", before, i, after);
        err = fetch_ask(fetch, (enum fetch_kind)kind, url, "", slice_of(posted, 0), one_of_many, NULL, NULL);
        if (err != OK)
            one_of_many(NULL, err, NULL);
    }
}

static void end(struct running *r, int signo)
{
    if (signo)
        kill(r->pid, signo);
    else
        ipc_send_blocking(r->channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0);
    int status;
    waitpid(r->pid, &status, 0);
    if (!signo && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        puts("it ended badly");
    close(r->channel);
    close(r->log);
}

static void kill_it(void)
{
    end(&fetcher, SIGKILL);
    end(&resolver, SIGKILL);
    start_fetcher();
    puts("done");
}

static void reload(void)
{
    static uint8_t out[IPC_MAX];
    struct spawn_params p = {.role = ROLE_FETCHER, .dir = dir, .config = &config, .config_text = text};
    size_t len;

    load();
    p.config_len = text_len;
    bug_if(spawn_pack_config(&p, out, &len) != OK);
    bug_if(ipc_send_blocking(fetcher.channel, ROLE_MSG_CONFIG, 0, out, len, NULL, 0) != OK);
    puts("done");
}

static void status(void)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    struct unpack u;

    bug_if(ipc_send_blocking(fetcher.channel, ROLE_MSG_STATUS, 7, NULL, 0, NULL, 0) != OK);
    do
        bug_if(ipc_recv_blocking(fetcher.channel, buf, &m, 60000) != OK);
    while (m.type != ROLE_MSG_STATUS_REPLY);
    unpack_init(&u, m.payload.data, m.payload.len);
    for (uint32_t n = unpack_u32(&u); n; n--) {
        uint32_t counter = unpack_u32(&u);
        printf("counter %s %" PRIu64 "\n", counter_name((enum counter)counter), unpack_u64(&u));
    }
    puts("done");
}

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;
    unsigned octet;

    for (; n < cap && sscanf(hex + 2 * n, "%2x", &octet) == 1; n++)
        out[n] = (uint8_t)octet;
    return n;
}

/* Over a channel of its own, so that what it does to that harms nobody else. */
static void raw(const char *hex)
{
    static uint8_t buf[IPC_MAX];
    const uint8_t head[2] = {ROLE_RELAY, 0};
    uint8_t octets[LINE];
    struct ipc_msg m;
    int pair[2];

    bug_if(ipc_pair(pair) != OK);
    bug_if(ipc_send_blocking(fetcher.channel, ROLE_MSG_PEER, 0, head, sizeof(head), &pair[1], 1) != OK);
    close(pair[1]);
    bug_if(ipc_send_blocking(pair[0], FETCH_ASK, 1, octets, from_hex(hex, octets, sizeof(octets)), NULL, 0) != OK);
    printf("%s\n", ipc_recv_blocking(pair[0], buf, &m, 60000) == ERR_GONE ? "ended" : "answered");
    close(pair[0]);
}

static void command(char *line)
{
    char a[LINE] = "", b[LINE] = "", *sign;
    unsigned kind, n;

    if (sscanf(line, "get %s %u %s", a, &kind, b) == 3)
        ask(a, kind, b, "", 0);
    else if (sscanf(line, "post %s %u %s %u", a, &kind, b, &n) == 4)
        ask(a, kind, b, "application/tlsrpt+gzip", n);
    else if (sscanf(line, "many %u %u %s", &n, &kind, b) == 3 && (sign = strstr(b, "%d"))) {
        *sign = '\0';
        many(n, kind, b, sign + 2);
    } else if (sscanf(line, "raw %s", a) == 1)
        raw(a);
    else if (!strcmp(line, "reload"))
        reload();
    else if (!strcmp(line, "kill"))
        kill_it();
    else if (!strcmp(line, "status"))
        status();
    else if (!strcmp(line, "pid"))
        printf("pid %d\n", (int)fetcher.pid);
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

    if (argc == 2 && strcmp(argv[1], "role:resolver") == 0)
        return resolver_main();
    if (argc == 2 && strcmp(argv[1], "role:fetcher") == 0)
        return fetcher_main();
    if (argc != 2)
        return 2;
    dir = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(posted, 'x', sizeof(posted));
    load();
    loop = loop_create();
    fetch = loop ? fetch_create(loop) : NULL;
    bug_if(!fetch);
    start_fetcher();
    puts("ready");
    in = watch_create(loop, 0, LOOP_READ, on_input, NULL);
    bug_if(!in);
    loop_run(loop);
    watch_destroy(in);
    fetch_destroy(fetch);
    loop_destroy(loop);
    end(&fetcher, 0);
    end(&resolver, 0);
    return 0;
}
