/* Correspondents' records. See correspondent.h. */
#include "store/correspondent_impl.h"

#include <stddef.h>
#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"

enum {
    VERSION = 1,
    KEY_SIZE = 1 + 1 + PGP_FPR_MAX + 8,
    PACKED = 1 + 4 + ADDRESS_MAX + KEY_SIZE + 8 + 8 + 1 + 1 + KEY_SIZE + 4 + CORRESPONDENT_PAST * (KEY_SIZE + 8 + 1) +
             PGP_VERDICT_SIZE + 4 + CORRESPONDENT_CERT_MAX,
    COUNT_VERSION = 1,
    COUNT_PLAIN = 1 + 4 + 4 + 8 + 4 + 4,
    DAY = 86400,
    SAMPLE = 32, /* records among which one makes room */
};
_Static_assert(PACKED <= (int)CORRESPONDENT_PACKED_MAX, "a record fits");
_Static_assert(CORRESPONDENT_PACKED_MAX + 1 + RECORD_OVERHEAD <= (int)ENGINE_VALUE_MAX, "and one sealed");
_Static_assert(CORRESPONDENT_SEEN == 24, "the nonce");

bool correspondent_same_key(const struct correspondent_key *a, const struct correspondent_key *b)
{
    return a->fpr_len == b->fpr_len && memcmp(a->fpr, b->fpr, a->fpr_len) == 0;
}

void correspondent_turn(struct correspondent *c, const struct correspondent_key *to, enum correspondent_end end,
                        uint64_t now)
{
    c->npast += c->npast < CORRESPONDENT_PAST;
    memmove(c->past + 1, c->past, (c->npast - 1) * sizeof(c->past[0]));
    c->past[0].key = c->key;
    c->past[0].until = now;
    c->past[0].end = (uint8_t)end;
    c->key = *to;
    c->other = (struct correspondent_key){0};
    c->revoked = false;
    c->len = 0;
}

/* ---- fields ---- */

static void pack_key(struct pack *p, const struct correspondent_key *k)
{
    pack_u8(p, k->from);
    pack_u8(p, k->fpr_len);
    pack_raw(p, k->fpr, PGP_FPR_MAX);
    pack_u64(p, k->since);
}

/* may_lack: whether there may be none. */
static void unpack_key(struct unpack *u, bool may_lack, struct correspondent_key *ret)
{
    *ret = (struct correspondent_key){.from = unpack_u8(u), .fpr_len = unpack_u8(u)};
    const struct slice fpr = unpack_raw(u, PGP_FPR_MAX);
    ret->since = unpack_u64(u);
    const bool none = may_lack && ret->fpr_len == 0 && ret->from == 0;
    if (u->failed || (!none && (ret->from < KNOWN_DNSSEC || ret->from > KNOWN_BY_HAND)) ||
        (!none && ret->fpr_len != 20 && ret->fpr_len != 32)) {
        u->failed = 1;
        return;
    }
    memcpy(ret->fpr, fpr.data, ret->fpr_len);
}

static bool unpack_bool(struct unpack *u)
{
    const uint8_t octet = unpack_u8(u);
    u->failed |= octet > 1;
    return octet == 1;
}

int correspondent_pack(const struct correspondent *c, uint8_t out[CORRESPONDENT_PACKED_MAX], size_t *ret_len)
{
    uint8_t verdict[PGP_VERDICT_SIZE] = {0};
    struct pack p;
    if (!text_ends(c->address, sizeof(c->address)) || !c->address[0] || c->npast > CORRESPONDENT_PAST ||
        c->len > CORRESPONDENT_CERT_MAX)
        return ERR_LIMIT;
    pack_init(&p, out, CORRESPONDENT_PACKED_MAX);
    pack_u8(&p, VERSION);
    pack_str(&p, c->address);
    pack_key(&p, &c->key);
    pack_u64(&p, c->seen);
    pack_u64(&p, c->told);
    pack_u8(&p, c->revoked);
    pack_u8(&p, c->mutual);
    pack_key(&p, &c->other);
    pack_u32(&p, c->npast);
    for (uint32_t i = 0; i < c->npast; i++) {
        pack_key(&p, &c->past[i].key);
        pack_u64(&p, c->past[i].until);
        pack_u8(&p, c->past[i].end);
    }
    if (c->len)
        pgp_verdict_pack(&c->verdict, verdict);
    pack_raw(&p, verdict, sizeof(verdict));
    pack_bytes(&p, c->cert, c->len);
    if (p.failed)
        return ERR_LIMIT;
    *ret_len = p.len;
    return OK;
}

static int unpack_cert(struct unpack *u, struct correspondent *c)
{
    const struct slice verdict = unpack_raw(u, PGP_VERDICT_SIZE), cert = unpack_bytes(u, CORRESPONDENT_CERT_MAX);
    if (!unpack_done(u))
        return ERR_FORMAT;
    c->len = (uint32_t)cert.len;
    if (c->len == 0)
        return OK;
    memcpy(c->cert, cert.data, cert.len);
    int err = pgp_verdict_unpack(verdict.data, verdict.len, &c->verdict);
    if (err == OK && (c->verdict.primary_fpr_len != c->key.fpr_len ||
                      memcmp(c->verdict.primary_fpr, c->key.fpr, c->key.fpr_len) != 0))
        err = ERR_FORMAT;
    return err;
}

int correspondent_unpack(const uint8_t *in, size_t len, struct correspondent *ret)
{
    struct unpack u;
    unpack_init(&u, in, len);
    int err = fields_version(&u, VERSION);
    if (err != OK)
        return err;
    memset(ret, 0, offsetof(struct correspondent, cert));
    unpack_str(&u, ret->address, sizeof(ret->address));
    unpack_key(&u, false, &ret->key);
    ret->seen = unpack_u64(&u);
    ret->told = unpack_u64(&u);
    ret->revoked = unpack_bool(&u);
    ret->mutual = unpack_bool(&u);
    unpack_key(&u, true, &ret->other);
    ret->npast = unpack_u32(&u);
    if (u.failed || ret->npast > CORRESPONDENT_PAST || !ret->address[0])
        return ERR_FORMAT;
    for (uint32_t i = 0; i < ret->npast; i++) {
        unpack_key(&u, false, &ret->past[i].key);
        ret->past[i].until = unpack_u64(&u);
        ret->past[i].end = unpack_u8(&u);
        u.failed |= ret->past[i].end < CORRESPONDENT_FOLLOWED || ret->past[i].end > CORRESPONDENT_OVERRULED;
    }
    return unpack_cert(&u, ret);
}

/* ---- records ---- */

struct slice key_correspondent(struct schema_keybuf *kb, const struct record_keys *k, uint64_t account, uint8_t kind,
                               const char *address)
{
    const struct record_part parts[] = {{"correspondent", 13}, {address, strlen(address)}};
    uint8_t hash[RECORD_HASH_SIZE];
    record_hash(k, RECORD_ADDRESS, account, parts, 2, hash);
    return key_hash(kb, (char)kind, hash);
}

static int read_fields(const uint8_t *plain, size_t len, void *ret)
{
    return correspondent_unpack(plain, len, ret);
}

int schema_unpack_correspondent(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                                struct correspondent *ret)
{
    uint8_t plain[CORRESPONDENT_PACKED_MAX];
    struct schema_keybuf kb;
    int err = sealed_unpack(k, account, key, value, plain, sizeof(plain), read_fields, ret);
    if (err != OK)
        return err;
    const struct slice own = key_correspondent(&kb, k, account, key.data[0], ret->address);
    return own.len == key.len && memcmp(own.data, key.data, key.len) == 0 ? OK : ERR_FORMAT;
}

int schema_get_correspondent(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                             const char *address, struct correspondent *ret, uint8_t ret_seen[CORRESPONDENT_SEEN])
{
    struct schema_keybuf kb;
    struct slice value;
    const struct slice key = key_correspondent(&kb, k, account, kind, address);
    int err = engine_get(t, account, key, &value);
    memset(ret_seen, 0, CORRESPONDENT_SEEN);
    if (err != OK)
        return err;
    if (value.len > CORRESPONDENT_SEEN)
        memcpy(ret_seen, value.data + 1, CORRESPONDENT_SEEN);
    return schema_unpack_correspondent(k, account, key, value, ret);
}

int schema_put_correspondent(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                             const struct correspondent *c)
{
    struct schema_keybuf kb;
    uint8_t plain[CORRESPONDENT_PACKED_MAX];
    struct pack p;
    size_t len;
    int err = correspondent_pack(c, plain, &len);
    if (err != OK)
        return err;
    pack_init(&p, plain, sizeof(plain));
    p.len = len;
    return sealed_put(t, k, account, key_correspondent(&kb, k, account, kind, c->address), &p);
}

int schema_get_correspondents(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                              struct correspondents *ret)
{
    struct schema_keybuf kb;
    uint8_t plain[COUNT_PLAIN];
    struct correspondents n;
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, account, key_simple(&kb, 'U'), plain, sizeof(plain), &len);
    if (err == ERR_NOT_FOUND)
        *ret = (struct correspondents){0};
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, COUNT_VERSION);
    n.kept = unpack_u32(&u);
    n.incoming = unpack_u32(&u);
    n.octets = unpack_u64(&u);
    n.day = unpack_u32(&u);
    n.told = unpack_u32(&u);
    if (err == OK && !unpack_done(&u))
        err = ERR_FORMAT;
    if (err == OK)
        *ret = n;
    return err;
}

int schema_put_correspondents(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                              const struct correspondents *v)
{
    struct schema_keybuf kb;
    uint8_t plain[COUNT_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, COUNT_VERSION);
    pack_u32(&p, v->kept);
    pack_u32(&p, v->incoming);
    pack_u64(&p, v->octets);
    pack_u32(&p, v->day);
    pack_u32(&p, v->told);
    return sealed_put(t, k, account, key_simple(&kb, 'U'), &p);
}

/* ---- writing ---- */

/* Of some records behind this one in the order of hashes, the one not heard of for longest. */
struct oldest {
    const struct store_write *w;
    unsigned looked;
    bool any;
    uint64_t seen;
    uint8_t hash[RECORD_HASH_SIZE];
};

static int see_old(void *arg, struct slice key, struct slice value)
{
    static struct correspondent c; /* large */
    struct oldest *o = arg;
    int err = schema_unpack_correspondent(o->w->keys, o->w->account, key, value, &c);
    if (err == ERR_FORMAT || err == ERR_CRYPTO) /* damaged: it goes first */
        c.seen = 0;
    else if (err != OK)
        return err;
    if (!o->any || c.seen < o->seen) {
        o->any = true;
        o->seen = c.seen;
        memcpy(o->hash, key.data + 1, RECORD_HASH_SIZE);
    }
    return ++o->looked == SAMPLE;
}

static int make_room(struct store_write *w, struct slice behind)
{
    struct schema_keybuf from, to;
    struct oldest o = {.w = w};
    int err = engine_scan(w->t, w->account, behind, key_simple(&to, CORRESPONDENT_INCOMING + 1), 0, see_old, &o);
    if (err == OK)
        err = engine_scan(w->t, w->account, key_simple(&from, CORRESPONDENT_INCOMING), behind, 0, see_old, &o);
    if (err < 0 || !o.any)
        return err < 0 ? err : ERR_FULL;
    return write_del(w, key_hash(&from, CORRESPONDENT_INCOMING, o.hash));
}

static bool same(const struct correspondent *a, const struct correspondent *b)
{
    static uint8_t x[CORRESPONDENT_PACKED_MAX], y[CORRESPONDENT_PACKED_MAX];
    size_t n, m;
    return correspondent_pack(a, x, &n) == OK && correspondent_pack(b, y, &m) == OK && n == m && memcmp(x, y, n) == 0;
}

/* Whether it is no continuation of what was: another past, a word of the administrator or of the key's owner undone. */
static bool forgets(const struct correspondent *was, const struct correspondent *c)
{
    static struct correspondent e; /* as it must be */
    const bool stays = correspondent_same_key(&was->key, &c->key);
    const bool by_hand = was->key.from == KNOWN_BY_HAND;
    if (stays ? (by_hand && c->key.from != KNOWN_BY_HAND) || (was->revoked && !c->revoked) : by_hand || c->npast == 0)
        return true;
    e = *was;
    if (!stays)
        correspondent_turn(&e, &c->key, c->past[0].end, c->past[0].until);
    e.key = c->key;
    e.seen = c->seen;
    e.told = c->told;
    e.revoked = c->revoked;
    e.mutual = c->mutual;
    e.other = c->other;
    e.verdict = c->verdict;
    e.len = c->len;
    memcpy(e.cert, c->cert, c->len);
    return !same(&e, c);
}

static bool may(uint8_t kind, bool by_hand, const struct correspondent *was, const struct correspondent *c)
{
    if (kind == CORRESPONDENT_INCOMING)
        return !by_hand && c->key.from == KNOWN_AUTOCRYPT && c->npast == 0 && c->told == 0;
    if (c->key.from == KNOWN_AUTOCRYPT)
        return false;
    return by_hand || (was ? !forgets(was, c) : c->key.from != KNOWN_BY_HAND && c->npast == 0);
}

/* A notice that is on its way: as many a day as there may be, and of one correspondent one. */
static int count_told(const struct store_write *w, struct correspondents *n, uint64_t was, uint64_t now)
{
    const uint32_t day = (uint32_t)(w->now / DAY);
    if (now == was)
        return OK;
    if (n->day != day)
        n->told = 0;
    n->day = day;
    if (now < was + CORRESPONDENT_TOLD_EVERY || n->told >= CORRESPONDENTS_TOLD_DAY)
        return ERR_LIMIT;
    n->told++;
    return OK;
}

static int count_in(struct store_write *w, uint8_t kind, struct slice key, bool there, const struct correspondent *from,
                    const struct correspondent *to)
{
    const uint32_t was = from ? from->len : 0, now = to->len; /* of the certificates */
    struct correspondents n;
    int err = schema_get_correspondents(w->t, w->keys, w->account, &n);
    if (err == OK)
        err = count_told(w, &n, from ? from->told : 0, to->told);
    if (err != OK)
        return err;
    if (kind == CORRESPONDENT_INCOMING) {
        if (there)
            return OK;
        if (n.incoming >= INCOMING_MAX)
            return make_room(w, key);
        n.incoming++;
    } else {
        if (!there && n.kept >= CORRESPONDENTS_MAX)
            return ERR_FULL;
        if (now > was && n.octets + now - was > CORRESPONDENT_OCTETS)
            return ERR_QUOTA;
        n.kept += !there;
        n.octets = n.octets - (n.octets < was ? n.octets : was) + now;
    }
    w->wrote = true;
    return schema_put_correspondents(w->t, w->keys, w->account, &n);
}

static int is_here(struct store_write *w)
{
    struct schema_account a;
    int err = schema_get_account(w->t, w->keys, w->account, &a);
    explicit_bzero(&a, sizeof(a));
    return err;
}

int correspondent_put(struct store_write *w, uint8_t kind, bool by_hand, const struct correspondent *c,
                      const uint8_t seen[CORRESPONDENT_SEEN])
{
    static struct correspondent was; /* large */
    struct schema_keybuf kb;
    uint8_t there[CORRESPONDENT_SEEN];
    int err = is_here(w);
    if (err != OK)
        return err;
    err = schema_get_correspondent(w->t, w->keys, w->account, kind, c->address, &was, there);
    const bool none = err == ERR_NOT_FOUND, damaged = err == ERR_FORMAT || err == ERR_CRYPTO;
    if (err != OK && !none && !damaged)
        return err;
    if (err == OK && same(&was, c)) /* asked again */
        return OK;
    if (memcmp(there, seen, sizeof(there)) != 0)
        return ERR_CONFLICT;
    /* What a damaged record had kept nobody knows: only the administrator goes on without it. */
    if ((damaged && kind == CORRESPONDENT_KEPT && !by_hand) || !may(kind, by_hand, err == OK ? &was : NULL, c))
        return ERR_DENIED;
    err = count_in(w, kind, key_correspondent(&kb, w->keys, w->account, kind, c->address), !none,
                   err == OK ? &was : NULL, c);
    if (err != OK)
        return err;
    w->wrote = true;
    return schema_put_correspondent(w->t, w->keys, w->account, kind, c);
}

int correspondent_del(struct store_write *w, uint8_t kind, const char *address)
{
    static struct correspondent was; /* large */
    struct schema_keybuf kb;
    struct correspondents n;
    uint8_t there[CORRESPONDENT_SEEN];
    int err = schema_get_correspondent(w->t, w->keys, w->account, kind, address, &was, there);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == ERR_FORMAT || err == ERR_CRYPTO)
        was.len = 0;
    else if (err != OK)
        return err;
    err = schema_get_correspondents(w->t, w->keys, w->account, &n);
    if (err != OK)
        return err;
    if (kind == CORRESPONDENT_INCOMING)
        n.incoming -= n.incoming > 0;
    else {
        n.kept -= n.kept > 0;
        n.octets -= n.octets < was.len ? n.octets : was.len;
    }
    err = write_del(w, key_correspondent(&kb, w->keys, w->account, kind, address));
    return err == OK ? schema_put_correspondents(w->t, w->keys, w->account, &n) : err;
}
