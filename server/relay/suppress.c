#include "server/relay/suppress.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "store/suppression.h"

enum { PRUNE_MS = 3600 * 1000, PRUNE_MAX = 400, DAY = 86400 };

/* RFC 3463 section 3.2 and 3.3: no such mailbox, moved, no mail host of that name, disabled. Not 5.7.x, which is about
 * the sender, nor what is about the message. */
static const char *const gone[] = {"5.1.1", "5.1.6", "5.1.10", "5.2.1"};

bool suppress_says_gone(const struct smtp_client_reply *reply)
{
    if (reply->code != 550 && reply->code != 551 && reply->code != 553)
        return false;
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        if (strcmp(reply->enhanced, gone[i]) == 0)
            return true;
    return false;
}

/* The word of a smarthost, or of another server that the operator names, is not the destination's. */
static bool is_its_own_server(const struct relay *r, const struct destination *to)
{
    char domain[DNS_NAME_MAX + 1], sender[DNS_NAME_MAX + 1];
    const struct relay_route *by;
    enum queue_tls tls;

    route_destination_parts(destination_name(to), domain, sender, &tls);
    by = relay_policy_route(r->policy, domain);
    return strcmp(domain, "*") != 0 && (!by || !by->host[0]);
}

static void ignore(void *arg, int status, struct unpack *body)
{
}

void suppress_reply(struct relay *r, const struct destination *to, const char *address,
                    const struct smtp_client_reply *reply)
{
    struct suppressed s = {.since = relay_now(), .until = relay_now() + SUPPRESSED_DAYS * (uint64_t)DAY};
    struct vault_request q = {.type = VAULT_SUPPRESS_PUT};
    uint8_t record[SUPPRESSED_RECORD_MAX];
    size_t len;

    if (!suppress_says_gone(reply) || !is_its_own_server(r, to) || suppression_spell(address, s.address) != OK)
        return;
    snprintf(s.reply, sizeof(s.reply), "%s", reply->text);
    utf8_tame(s.reply, strlen(s.reply));
    if (suppression_seal(view_keys(r->view), &s, q.suppress.hash, record, &len) != OK)
        return;
    q.suppress.record = slice_of(record, len);
    if (vault_client_request(r->vault, &q, -1, ignore, NULL, NULL) == OK)
        relay_count(r, COUNT_SUPPRESSED);
}

/* ---- what is over ---- */

struct pruning {
    uint64_t now;
    size_t n;
    uint8_t hash[PRUNE_MAX][RECORD_HASH_SIZE];
};

static int see(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct suppressed *s)
{
    struct pruning *p = arg;

    if (err != OK || s->until > p->now)
        return err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_VERSION ? 0 : err;
    memcpy(p->hash[p->n++], hash, RECORD_HASH_SIZE);
    return p->n == PRUNE_MAX;
}

static int look(void *arg, struct view *v)
{
    struct pruning *p = arg;
    int err;

    p->n = 0;
    err = view_suppressed_each(v, NULL, see, p);
    return err < 0 ? err : OK;
}

void suppress_prune(void *relay)
{
    static struct pruning p; /* large; there is one loop */
    struct relay *r = relay;

    p.now = relay_now();
    if (view_run(r->view, look, &p) != OK)
        p.n = 0;
    for (size_t i = 0; i < p.n; i++) {
        struct vault_request q = {.type = VAULT_SUPPRESS_DEL};
        memcpy(q.suppress.hash, p.hash[i], RECORD_HASH_SIZE);
        if (vault_client_request(r->vault, &q, -1, ignore, NULL, NULL) != OK)
            break;
    }
    timer_set(r->prune, PRUNE_MS);
}
