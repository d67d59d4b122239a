/* The queue's records, sealed and opened by who has RECORD_QUEUE. Fields are held against their bounds in both
 * directions: what opens was sealed by somebody with the key, who may be in a stranger's hands. */
#include "store/queue.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/schema_table.h"

enum {
    ENVELOPE_VERSION = 1,
    RECIPIENT_VERSION = 1,
    ENVELOPE_PLAIN = 1 + 5 * 8 + 5 + 4 + ADDRESS_MAX + 4 + QUEUE_ENVID_MAX,
    RECIPIENT_PLAIN =
        1 + 5 + 4 + 2 * 8 + 4 + 4 + ADDRESS_MAX + 4 + QUEUE_ORCPT_MAX + 4 + QUEUE_REPLY_MAX + 4 + QUEUE_HOST_MAX,
};
_Static_assert(ENVELOPE_PLAIN < 512 && RECORD_OVERHEAD + 512 <= (int)QUEUE_ENVELOPE_MAX, "all have one length");
_Static_assert(RECORD_OVERHEAD + RECIPIENT_PLAIN + 256 <= (int)QUEUE_RECIPIENT_MAX, "a recipient fits");

static void take_seen(struct slice sealed, uint8_t seen[QUEUE_SEEN_SIZE])
{
    memcpy(seen, sealed.data + 1, QUEUE_SEEN_SIZE); /* version, nonce (crypto/record.c) */
}

/* ---- envelopes ---- */

static bool envelope_valid(const struct queue_envelope *e)
{
    return e->body <= QUEUE_8BIT && e->smtputf8 <= 1 && e->tls <= QUEUE_TLS_OPTIONAL && e->ret <= 2 &&
           e->origin <= QUEUE_FORWARDED;
}

int queue_seal_envelope(const struct record_keys *k, const struct queue_envelope *e, uint8_t *out, size_t *ret_len)
{
    struct schema_keybuf kb;
    uint8_t plain[ENVELOPE_PLAIN];
    struct pack p;
    if (e->id == 0 || e->id >= BLOB_ID_MAX || !envelope_valid(e) || !text_ends(e->from, sizeof(e->from)) ||
        !text_ends(e->envid, sizeof(e->envid)))
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, ENVELOPE_VERSION);
    pack_u64(&p, e->queued_at);
    pack_u64(&p, e->expires);
    pack_u64(&p, e->hold_until);
    pack_u64(&p, e->account);
    pack_u64(&p, e->size);
    pack_u8(&p, e->body);
    pack_u8(&p, e->smtputf8);
    pack_u8(&p, e->tls);
    pack_u8(&p, e->ret);
    pack_u8(&p, e->origin);
    pack_str(&p, e->from);
    pack_str(&p, e->envid);
    return sealed_make(k, PART_QUEUE, key_u64(&kb, 'Q', e->id), &p, out, QUEUE_ENVELOPE_MAX, ret_len);
}

static int envelope_unpack(const uint8_t *plain, size_t len, struct queue_envelope *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, ENVELOPE_VERSION);
    ret->queued_at = unpack_u64(&u);
    ret->expires = unpack_u64(&u);
    ret->hold_until = unpack_u64(&u);
    ret->account = unpack_u64(&u);
    ret->size = unpack_u64(&u);
    ret->body = unpack_u8(&u);
    ret->smtputf8 = unpack_u8(&u);
    ret->tls = unpack_u8(&u);
    ret->ret = unpack_u8(&u);
    ret->origin = unpack_u8(&u);
    unpack_str(&u, ret->from, sizeof(ret->from));
    unpack_str(&u, ret->envid, sizeof(ret->envid));
    return err != OK ? err : unpack_done(&u) && envelope_valid(ret) ? OK : ERR_FORMAT;
}

int queue_open_envelope(const struct record_keys *k, uint64_t id, struct slice sealed, struct queue_envelope *ret,
                        uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct schema_keybuf kb;
    struct queue_envelope e = {.id = id};
    uint8_t plain[ENVELOPE_PLAIN];
    size_t len = 0;
    int err = sealed_open(k, PART_QUEUE, key_u64(&kb, 'Q', id), sealed, plain, sizeof(plain), &len);
    if (err == OK)
        err = envelope_unpack(plain, len, &e);
    secmem_wipe(plain, len);
    if (err != OK)
        return err;
    take_seen(sealed, seen);
    *ret = e;
    return OK;
}

/* ---- recipients ---- */

static bool recipient_valid(const struct queue_recipient *r)
{
    return r->state >= QUEUE_QUEUED && r->state <= QUEUE_SENT && r->local <= 1 && r->delay_told <= 1 &&
           r->proof < QUEUE_PROOFS && r->to[0] != '\0';
}

static int recipient_pack(struct pack *p, const struct queue_recipient *r)
{
    if (!text_ends(r->to, sizeof(r->to)) || !text_ends(r->orcpt, sizeof(r->orcpt)) ||
        !text_ends(r->last_reply, sizeof(r->last_reply)) || !text_ends(r->host, sizeof(r->host)) || !recipient_valid(r))
        return ERR_LIMIT;
    pack_u8(p, RECIPIENT_VERSION);
    pack_u8(p, r->state);
    pack_u8(p, r->local);
    pack_u8(p, r->notify);
    pack_u8(p, r->delay_told);
    pack_u8(p, r->proof);
    pack_u32(p, r->tries);
    pack_u64(p, r->next_try);
    pack_u64(p, r->last_try);
    pack_u32(p, r->report);
    pack_str(p, r->to);
    pack_str(p, r->orcpt);
    pack_str(p, r->last_reply);
    pack_str(p, r->host);
    return OK;
}

int queue_seal_recipient(const struct record_keys *k, uint64_t id, const struct queue_recipient *r, uint8_t *out,
                         size_t *ret_len)
{
    struct schema_keybuf kb;
    uint8_t plain[RECIPIENT_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    int err = recipient_pack(&p, r);
    return err != OK
               ? err
               : sealed_make(k, PART_QUEUE, key_u64_u32(&kb, 'T', id, r->n), &p, out, QUEUE_RECIPIENT_MAX, ret_len);
}

const char *queue_proof_word(unsigned proof)
{
    static const char *const words[QUEUE_PROOFS] = {
        [QUEUE_PROOF_NONE] = "",
        [QUEUE_PROOF_CLEAR] = "clear",
        [QUEUE_PROOF_TLS] = "tls",
        [QUEUE_PROOF_DANE] = "dane",
        [QUEUE_PROOF_STS] = "mta-sts",
        [QUEUE_PROOF_VERIFY] = "verify",
        [QUEUE_PROOF_FINGERPRINT] = "fingerprint",
    };
    return proof < QUEUE_PROOFS ? words[proof] : "";
}

size_t queue_recipient_size(const struct queue_recipient *r)
{
    const size_t step = schema_kind_find(PART_QUEUE, 'T')->step;
    size_t len =
        1 + 5 + 4 + 2 * 8 + 4 + 4 * 4 + strlen(r->to) + strlen(r->orcpt) + strlen(r->last_reply) + strlen(r->host);
    return RECORD_OVERHEAD + (len / step + 1) * step;
}

static int recipient_unpack(const uint8_t *plain, size_t len, struct queue_recipient *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, RECIPIENT_VERSION);
    ret->state = unpack_u8(&u);
    ret->local = unpack_u8(&u);
    ret->notify = unpack_u8(&u);
    ret->delay_told = unpack_u8(&u);
    ret->proof = unpack_u8(&u);
    ret->tries = unpack_u32(&u);
    ret->next_try = unpack_u64(&u);
    ret->last_try = unpack_u64(&u);
    ret->report = unpack_u32(&u);
    unpack_str(&u, ret->to, sizeof(ret->to));
    unpack_str(&u, ret->orcpt, sizeof(ret->orcpt));
    unpack_str(&u, ret->last_reply, sizeof(ret->last_reply));
    unpack_str(&u, ret->host, sizeof(ret->host));
    return err != OK ? err : unpack_done(&u) && recipient_valid(ret) ? OK : ERR_FORMAT;
}

int queue_open_recipient(const struct record_keys *k, uint64_t id, uint32_t n, struct slice sealed,
                         struct queue_recipient *ret)
{
    struct schema_keybuf kb;
    struct queue_recipient r = {.n = n};
    uint8_t plain[RECIPIENT_PLAIN];
    size_t len = 0;
    int err = sealed_open(k, PART_QUEUE, key_u64_u32(&kb, 'T', id, n), sealed, plain, sizeof(plain), &len);
    if (err == OK)
        err = recipient_unpack(plain, len, &r);
    secmem_wipe(plain, len);
    if (err != OK)
        return err;
    take_seen(sealed, r.seen);
    *ret = r;
    return OK;
}

/* ---- keys that sign, ids ---- */

int queue_seal_dkim(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct pack *p, uint8_t *out,
                    size_t *ret_len)
{
    struct schema_keybuf kb;
    return sealed_make(k, PART_QUEUE, key_hash(&kb, 'D', hash), p, out, QUEUE_DKIM_MAX, ret_len);
}

int queue_open_dkim(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                    uint8_t out[QUEUE_DKIM_MAX], size_t *ret_len)
{
    struct schema_keybuf kb;
    return sealed_open(k, PART_QUEUE, key_hash(&kb, 'D', hash), sealed, out, QUEUE_DKIM_MAX, ret_len);
}

bool queue_is_damage(int err)
{
    return err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_VERSION;
}

uint64_t queue_new_id(void)
{
    uint64_t id = 0;
    while (id == 0) {
        randombytes_buf(&id, sizeof(id));
        id %= BLOB_ID_MAX;
    }
    return id;
}

void queue_id_write(uint64_t id, char out[QUEUE_ID_TEXT])
{
    snprintf(out, QUEUE_ID_TEXT, "%016" PRIx64, id);
}

int queue_id_read(const char *text, uint64_t *ret)
{
    uint64_t id = 0;
    for (int i = 0; i < QUEUE_ID_TEXT - 1; i++) {
        int digit = digit_hex((uint8_t)text[i]);
        if (digit < 0)
            return ERR_FORMAT;
        id = id << 4 | (uint64_t)digit;
    }
    if (text[QUEUE_ID_TEXT - 1] != '\0' || id == 0 || id >= BLOB_ID_MAX)
        return ERR_FORMAT;
    *ret = id;
    return OK;
}
