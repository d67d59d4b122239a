/* The disk, watched: known beforehand to be full, so that mail is refused before it is sent, and what makes room goes
 * on.
 *
 * Looked at twice a second, and after a group that might have brought it near; never for a message by itself. Below the
 * reserve (disk_reserve) what grows is refused, and all clients are told. What is free inside the store counts for
 * half, since it is scattered; where it was too scattered, there must be more of it than when that showed. Should
 * another program fill the disk all the same, a commit fails; then a file that was kept for it is given up, and taken
 * again when there is room. */
#include "server/base/event.h"
#include "server/core/error.h"
#include "store/vault/vault.h"

#define MB (UINT64_C(1) << 20)

enum {
    SHARE = 20 /* never more of a file system than a twentieth */,
    CALM = 8 /* it is over when there is an eighth more */
};

static uint64_t reserve_of(const struct vault *v, const struct engine_room *r)
{
    uint64_t most = r->disk_total / SHARE;
    return v->room.wanted < most ? v->room.wanted : most;
}

/* Half of it: while it is given up, the disk is still low. */
static uint64_t file_of(uint64_t reserve)
{
    return reserve / 2 < 16 * MB ? reserve / 2 : 16 * MB;
}

/* Some pages are always free inside: those that the last commits have turned over. */
static uint64_t beyond_churn(uint64_t inside, uint64_t reserve)
{
    uint64_t churn = 2 * reserve < 8 * MB ? 2 * reserve : 8 * MB;
    return inside > churn ? inside - churn : 0;
}

static bool is_low(const struct engine_room *r, uint64_t inside, uint64_t reserve)
{
    return r->disk_free + beyond_churn(inside, reserve) < reserve || r->map_free + inside < MB;
}

/* All there is, for comparing. */
static uint64_t sum_of(const struct engine_room *r, uint64_t inside)
{
    return (r->disk_free < r->map_free ? r->disk_free : r->map_free) + inside;
}

static bool find_low(struct vault *v, const struct engine_room *r, uint64_t reserve)
{
    struct engine_stat s;
    if (v->room.full)
        reserve += reserve / CALM;
    if (!is_low(r, 0, reserve) && v->room.failed_at == 0)
        return false;
    if (engine_stat_get(v->engine, &s) != OK)
        return true;
    uint64_t inside = s.free_bytes / 2;
    if (v->room.failed_at == UINT64_MAX)
        v->room.failed_at = sum_of(r, inside);
    if (v->room.failed_at > 0 && sum_of(r, inside) < v->room.failed_at + MB)
        return true;
    v->room.failed_at = 0;
    return is_low(r, inside, reserve);
}

static void tell(struct vault *v, struct client *c)
{
    struct pack p;
    uint8_t out[8];
    pack_init(&p, out, sizeof(out));
    vault_reply_pack(&p, VAULT_FULL, &(struct vault_reply){.full = v->room.full});
    vault_client_send(c, VAULT_FULL, 0, out, p.len);
}

void room_tell(struct vault *v, struct client *c)
{
    if (v->room.full)
        tell(v, c);
}

static void room_set(struct vault *v, bool full)
{
    if (full == v->room.full)
        return;
    v->room.full = full;
    if (full)
        log_event(store_full, v->room.free, v->room.reserve);
    else
        log_event(store_has_room, v->room.free);
    for (struct client *c = v->clients, *next; c != NULL; c = next) {
        next = c->next;
        tell(v, c);
    }
}

void room_look(struct vault *v)
{
    struct engine_room r;
    uint64_t held;
    if (engine_room_get(v->engine, &r) != OK) /* an engine without bounds, or one that is to be opened again */
        return;
    uint64_t reserve = reserve_of(v, &r), file = file_of(reserve);
    v->room.free = r.disk_free;
    v->room.reserve = reserve;
    v->room.spent = 0;
    if (v->room.file != file && (file < v->room.file || r.disk_free > reserve + file))
        v->room.file = engine_reserve(v->engine, file, &held) == OK ? file : 0;
    room_set(v, find_low(v, &r, reserve));
}

void room_spend(struct vault *v, uint64_t bytes)
{
    v->room.spent += 2 * bytes; /* pages are copied */
    if (v->room.free < v->room.reserve + v->room.spent)
        room_look(v);
}

void room_failed(struct vault *v)
{
    v->room.failed_at = UINT64_MAX;
    room_look(v);
}

bool room_give_up(struct vault *v)
{
    uint64_t held = 0;
    bool given = engine_reserve(v->engine, 0, &held) == OK && held > 0;
    v->room.file = 0;
    if (given)
        log_event(store_reserve_given_up, held);
    return given;
}

bool room_refuses(const struct vault *v, const struct request *q)
{
    return v->room.full && (q->verb->needs & GROWS) && !(q->verb->type == VAULT_COPY && q->a.copy.move);
}
