#include "server/resolver/upstream.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/resolver/lookup.h"

enum { ZONE_MAX = 256, ITEM_MAX = 512 };

/* Memory and descriptors are bounded by these and by LOOKUPS_MAX: each lookup may need others. */
static const struct option {
    const char *name, *value;
} options[] = {
    {"msg-cache-size:", "16m"},         {"rrset-cache-size:", "32m"},        {"key-cache-size:", "4m"},
    {"neg-cache-size:", "1m"},          {"infra-cache-numhosts:", "10000"},  {"outgoing-range:", "512"},
    {"outgoing-num-tcp:", "64"},        {"num-queries-per-thread:", "1024"}, {"cache-max-ttl:", "86400"},
    {"cache-max-negative-ttl:", "900"}, {"qname-minimisation:", "yes"},      {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},  {"aggressive-nsec:", "yes"},
};

/* What is asked where the operator has said so. Elsewhere loopback is nobody's name server: a stranger's zone could
 * name it. */
static bool any_on_loopback(const char *list)
{
    char one[ITEM_MAX];

    while (config_list_next(&list, one, sizeof(one))) {
        const char *blank = strrchr(one, ' '), *server = blank ? blank + 1 : one;

        if (strncmp(server, "127.", 4) == 0 || strcmp(server, "::1") == 0 || strncmp(server, "::1@", 4) == 0)
            return true;
    }
    return false;
}

int upstream_anchors(const char *dir, const struct config *c, char ret[ANCHORS_MAX])
{
    char path[1100];
    size_t len = 0;
    int fd, err;

    ret[0] = '\0';
    if (!c->dns_anchor_file[0])
        return OK;
    snprintf(path, sizeof(path), "%s%s%s", c->dns_anchor_file[0] == '/' ? "" : dir,
             c->dns_anchor_file[0] == '/' ? "" : "/", c->dns_anchor_file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    err = read_to_end(fd, READ_ALL, ret, ANCHORS_MAX, &len);
    close(fd);
    if (err != OK || len == ANCHORS_MAX) {
        ret[0] = '\0';
        return err != OK ? err : ERR_LIMIT;
    }
    ret[len] = '\0';
    return OK;
}

/* The next line that says something, without its comment. Each is a DS or DNSKEY record. */
static bool next_anchor(const char **at, char *line, size_t cap)
{
    while (**at) {
        size_t whole = strcspn(*at, "\n"), n = strcspn(*at, ";\n"), skip = strspn(*at, " \t\r");

        if (n >= cap)
            n = cap - 1; /* no record is so long: it will not be taken */
        memcpy(line, *at, n);
        line[n] = '\0';
        *at += whole + ((*at)[whole] == '\n');
        if (skip < n)
            return true;
    }
    return false;
}

static void owner_of(const char *line, char zone[ZONE_MAX])
{
    size_t n = strcspn(line, " \t");

    snprintf(zone, ZONE_MAX, "%.*s", (int)(n < ZONE_MAX ? n : 0), line);
    n = strlen(zone);
    if (n > 1 && zone[n - 1] == '.')
        zone[n - 1] = '\0';
}

/* Whether zone stands at or below an anchor other than the root's. */
static bool anchored(const char *anchors, const char *zone)
{
    char line[4096], owner[ZONE_MAX];

    while (next_anchor(&anchors, line, sizeof(line))) {
        size_t n, z = strlen(zone);

        owner_of(line, owner);
        n = strlen(owner);
        if (strcmp(owner, ".") == 0 || n > z || strcasecmp(zone + z - n, owner) != 0)
            continue;
        if (n == z || zone[z - n - 1] == '.')
            return true;
    }
    return false;
}

static int say(struct ub_ctx *u, const char *name, const char *value)
{
    return ub_ctx_set_option(u, name, value) == 0 ? OK : ERR_FORMAT;
}

static int set_servers(struct ub_ctx *u, const struct config *c, const char *anchors)
{
    char one[ITEM_MAX];
    int err = OK;

    for (const char *at = c->dns_server; err == OK && config_list_next(&at, one, sizeof(one));)
        err = ub_ctx_set_fwd(u, one) == 0 ? OK : ERR_FORMAT;
    for (const char *at = c->dns_stub; err == OK && config_list_next(&at, one, sizeof(one));) {
        char *server = one + strcspn(one, " ");

        *server++ = '\0';
        server += strspn(server, " ");
        err = ub_ctx_set_stub(u, one, server, 0) == 0 ? OK : ERR_FORMAT;
        if (err == OK && !anchored(anchors, one))
            err = say(u, "domain-insecure:", one); /* the names above it know nothing of it */
    }
    return err;
}

static int set_anchors(struct ub_ctx *u, const char *anchors)
{
    char line[4096];

    while (next_anchor(&anchors, line, sizeof(line)))
        if (ub_ctx_add_ta(u, line) != 0)
            return ERR_FORMAT;
    return OK;
}

/* The zone is removed with what libunbound says of it, and another stands there, which hides those above it. */
static int open_zone(struct ub_ctx *u, const char *zone)
{
    (void)ub_ctx_zone_remove(u, zone); /* none is fine */
    return ub_ctx_zone_add(u, zone, "transparent") == 0 ? OK : ERR_FORMAT;
}

/* libunbound answers for test., localhost. and others itself (RFC 6761), unless they are somebody's here. This ends the
 * setting of options, and finds an anchor that is none. */
static int open_zones(struct ub_ctx *u, const struct config *c, const char *anchors)
{
    char one[ITEM_MAX], line[4096], zone[ZONE_MAX];
    int err = ub_ctx_zone_add(u, "invalid.", "static") == 0 ? OK : ERR_FORMAT;

    for (const char *at = c->dns_stub; err == OK && config_list_next(&at, one, sizeof(one));) {
        one[strcspn(one, " ")] = '\0';
        err = open_zone(u, one);
    }
    while (err == OK && next_anchor(&anchors, line, sizeof(line))) {
        owner_of(line, zone);
        if (strcmp(zone, ".") != 0)
            err = open_zone(u, zone);
    }
    return err;
}

int upstream_create(struct loop *l, const struct config *c, const char *anchors, struct ub_ctx **ret,
                    enum event_DNS *ret_why)
{
    struct ub_ctx *u = ub_ctx_create_event(loop_event_base(l));
    int err = u ? OK : ERR_MEMORY;

    *ret_why = EVENT_DNS_LIBRARY;
    if (u)
        ub_ctx_debugout(u, NULL); /* it would name names, and on the pipe for events */
    for (size_t i = 0; err == OK && i < sizeof(options) / sizeof(*options); i++)
        err = say(u, options[i].name, options[i].value);
    if (err == OK)
        err = say(u, "do-not-query-localhost:",
                  any_on_loopback(c->dns_server) || any_on_loopback(c->dns_stub) ? "no" : "yes");
    if (err == OK) {
        *ret_why = EVENT_DNS_SERVERS;
        err = set_servers(u, c, anchors);
    }
    if (err == OK) {
        *ret_why = EVENT_DNS_ANCHORS;
        err = set_anchors(u, anchors);
    }
    if (err == OK)
        err = open_zones(u, c, anchors);
    if (err == OK)
        *ret = u;
    else if (u)
        ub_ctx_delete(u);
    return err;
}
