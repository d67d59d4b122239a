/* The gate's checks, and the keys they need. */
#include "store/vault/gate.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/queue_key.h"
#include "server/core/error.h"
#include "server/format/outer.h"
#include "server/format/render.h"

enum { CACHE_SLOTS = 256, KEYS_CHECKED = 32 /* pgp_check_result names no more */ };

struct slot {
    uint64_t account, used;
    uint32_t keys_version;
    size_t n, current;
    struct pgp_key_ref keys[KEYS_CHECKED];
};

struct gate {
    uint64_t clock;
    bool keep_wildcard, has_queue;
    struct pgp_key_ref queue;
    struct slot slots[CACHE_SLOTS];
};

int gate_create(struct slice queue_key, struct gate **ret)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return ERR_MEMORY;
    g->has_queue = queue_key.len > 0;
    if (g->has_queue && queue_key_ref(queue_key, &g->queue) != OK) {
        free(g);
        return ERR_FORMAT;
    }
    *ret = g;
    return OK;
}

void gate_destroy(struct gate *g)
{
    free(g);
}

void gate_keep_wildcard(struct gate *g, bool keep)
{
    g->keep_wildcard = keep;
}

void gate_forget(struct gate *g)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        g->slots[i].account = 0; /* no account has this number */
}

static void key_push(struct slot *slot, struct pgp_key_ref ref)
{
    if (slot->n < KEYS_CHECKED)
        slot->keys[slot->n++] = ref;
}

static void formers_push(struct slot *slot, const struct schema_key *k)
{
    for (unsigned i = k->nformer; i-- > 0;) {
        struct pgp_key_ref former = {.fpr_len = k->former[i].fpr_len};
        memcpy(former.fpr, k->former[i].fpr, sizeof(former.fpr));
        key_push(slot, former);
    }
}

/* The current keys first: should there be too many, retired ones, and those that sealed before a renewal, are left out.
 */
static int keys_load(struct store_write *w, const struct schema_account *account, struct slot *slot)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    size_t n;
    int err = schema_get_keys(w->t, w->keys, w->account, keys, &n);
    if (err == OK)
        err = schema_check_approval(w->t, w->keys, account, &(struct key_set){keys, n});
    if (err != OK)
        return err;
    for (size_t i = 0; i < n; i++)
        if (keys[i].state == KEY_CURRENT)
            key_push(slot, pgp_verdict_key(&keys[i].verdict, true));
    slot->current = slot->n;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].state != KEY_CURRENT)
            key_push(slot, pgp_verdict_key(&keys[i].verdict, false));
        formers_push(slot, &keys[i]);
    }
    return OK;
}

static int keys_find(struct gate *g, struct store_write *w, const struct schema_account *account, struct slot **ret)
{
    struct slot *oldest = &g->slots[0];
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct slot *s = &g->slots[i];
        if (s->account == account->id && s->keys_version == account->keys_version) {
            s->used = ++g->clock;
            *ret = s;
            return OK;
        }
        if (s->account == account->id || s->used < oldest->used)
            oldest = s;
    }
    oldest->n = oldest->current = 0;
    oldest->account = 0;
    int err = keys_load(w, account, oldest);
    if (err != OK)
        return err;
    oldest->account = account->id;
    oldest->keys_version = account->keys_version;
    oldest->used = ++g->clock;
    *ret = oldest;
    return OK;
}

/* What the server seals is for nobody else and never for a hidden recipient. What came for hidden ones is served as
 * PGP/MIME and in no other form. */
static enum pgp_check_mode mode_of(const struct gate *g, uint8_t kind, uint8_t render)
{
    if (kind == MESSAGE_SERVER_SEALED)
        return PGP_CHECK_SERVER_SEAL;
    return g->keep_wildcard && render == RENDER_VERSION ? PGP_CHECK_FOREIGN_WILDCARD : PGP_CHECK_FOREIGN;
}

int gate_check(struct gate *g, struct store_write *w, const struct schema_account *account, uint8_t kind,
               const struct parcel *p, struct gate_finding *ret, const char **ret_why)
{
    struct slot *keys;
    int err = keys_find(g, w, account, &keys);
    if (err != OK)
        return err;
    if (keys->current == 0)
        return ERR_NO_KEY;
    err = outer_check(p->outer.data, p->outer.len, kind, account->policy, ret_why);
    if (err != OK)
        return err;
    if (kind == MESSAGE_SERVER_SEALED && p->render != RENDER_VERSION) {
        *ret_why = "a server's seal is served as PGP/MIME and as nothing else";
        return ERR_REFUSED;
    }
    struct pgp_check_result message, capsule;
    err = pgp_check_message(p->packets.data, p->packets.len, keys->keys, keys->n, mode_of(g, kind, p->render), &message,
                            ret_why);
    if (err != OK)
        return err;
    err = pgp_check_message(p->capsule.data, p->capsule.len, keys->keys, keys->n, PGP_CHECK_SERVER_SEAL, &capsule,
                            ret_why);
    if (err != OK)
        return err;
    struct gate_finding finding = {0};
    for (size_t i = 0; i < keys->n && finding.nfprs < MESSAGE_FPRS_MAX; i++)
        if (message.keys_used >> i & 1) {
            memcpy(finding.fprs[finding.nfprs], keys->keys[i].fpr, MESSAGE_FPR_SIZE);
            finding.keys_used |= UINT32_C(1) << finding.nfprs++;
        }
    finding.head_len = (uint32_t)message.head_len;
    *ret = finding;
    return OK;
}

int gate_check_queued(const struct gate *g, const struct parcel *p, uint32_t *ret_head_len, const char **ret_why)
{
    struct pgp_check_result r;
    int err = ERR_REFUSED;
    if (!g->has_queue)
        *ret_why = "there is no key for what goes out";
    else if (p->outer.len > 0 || p->capsule.len > 0 || p->render != RENDER_VERSION)
        *ret_why = "what goes out has packets alone";
    else
        err = pgp_check_message(p->packets.data, p->packets.len, &g->queue, 1, PGP_CHECK_SERVER_SEAL, &r, ret_why);
    if (err == OK && (r.pkesks != 1 || r.seipd_version != 2)) {
        *ret_why = "what goes out is sealed once, in version 2";
        err = ERR_REFUSED;
    }
    if (err == OK)
        *ret_head_len = (uint32_t)r.head_len;
    return err;
}
