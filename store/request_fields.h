/* The fields that payloads to and from the vault are made of (request.c): each is packed or unpacked, as the codec
 * says, and held against its bounds in both directions. */
#ifndef STORE_REQUEST_FIELDS_H
#define STORE_REQUEST_FIELDS_H

#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "store/request.h"
#include "store/schema.h"

/* One of both is set. */
struct codec {
    struct pack *pack;
    struct unpack *unpack;
    void *room; /* for a list's rows, when unpacking */
};

/* ---- fields ---- */

static inline void must(struct codec *c, bool holds)
{
    if (holds)
        return;
    if (c->pack != NULL)
        c->pack->failed = 1;
    else
        c->unpack->failed = 1;
}

static inline bool failed(const struct codec *c)
{
    return c->pack != NULL ? c->pack->failed : c->unpack->failed;
}

static inline void u8(struct codec *c, uint8_t *v, uint8_t min, uint8_t max)
{
    if (c->pack != NULL)
        pack_u8(c->pack, *v);
    else
        *v = unpack_u8(c->unpack);
    must(c, *v >= min && *v <= max);
}

static inline void u8_bool(struct codec *c, bool *v)
{
    uint8_t octet = c->pack != NULL && *v;
    u8(c, &octet, 0, 1);
    *v = octet == 1;
}

/* 0, 1, or 255: it is kept. */
static inline void u8_wish(struct codec *c, uint8_t *v)
{
    u8(c, v, 0, UINT8_MAX);
    must(c, *v <= 1 || *v == VAULT_PUBLISH_KEEP);
}

static inline void u32(struct codec *c, uint32_t *v)
{
    if (c->pack != NULL)
        pack_u32(c->pack, *v);
    else
        *v = unpack_u32(c->unpack);
}

static inline void u64(struct codec *c, uint64_t *v)
{
    if (c->pack != NULL)
        pack_u64(c->pack, *v);
    else
        *v = unpack_u64(c->unpack);
}

static inline void u64_row(struct codec *c, void *row)
{
    u64(c, row);
}

/* An account's number. The other partitions are nobody's to name: what works there knows which it is. */
static inline void u64_account(struct codec *c, uint64_t *v)
{
    u64(c, v);
    must(c, *v >= PART_ACCOUNT_FIRST && *v < BLOB_PART_MAX);
}

static inline void raw(struct codec *c, uint8_t *v, size_t len)
{
    if (c->pack != NULL) {
        pack_raw(c->pack, v, len);
        return;
    }
    struct slice s = unpack_raw(c->unpack, len);
    if (s.len == len)
        memcpy(v, s.data, len);
}

/* The same where they stand. */
static inline void raw_at(struct codec *c, const uint8_t **v, size_t len)
{
    if (c->pack != NULL)
        pack_raw(c->pack, *v, len);
    else
        *v = unpack_raw(c->unpack, len).data;
}

static inline void bytes(struct codec *c, struct slice *v, size_t max)
{
    if (c->pack != NULL)
        pack_bytes(c->pack, v->data, v->len);
    else
        *v = unpack_bytes(c->unpack, max);
    must(c, v->len <= max);
}

static inline void str(struct codec *c, struct slice *v, size_t max)
{
    bytes(c, v, max);
    must(c, v->len == 0 || memchr(v->data, '\0', v->len) == NULL);
}

/* A fingerprint of version 4 or 6. */
static inline void bytes_fpr(struct codec *c, struct slice *v)
{
    bytes(c, v, PGP_FPR_MAX);
    must(c, v->len == 20 || v->len == 32);
}

static inline void raw_verdict(struct codec *c, struct pgp_verdict *v)
{
    uint8_t packed[PGP_VERDICT_SIZE] = {0};
    if (c->pack != NULL)
        pgp_verdict_pack(v, packed);
    raw(c, packed, sizeof(packed));
    if (c->unpack != NULL)
        must(c, !failed(c) && pgp_verdict_unpack(packed, sizeof(packed), v) == OK);
}

static inline void u32_cert_len(struct codec *c, uint32_t *v)
{
    u32(c, v);
    must(c, *v > 0 && *v <= PGP_CERT_MAX);
}

static inline void u64_flags(struct codec *c, uint64_t *v)
{
    u64(c, v);
    must(c, (*v & ~(uint64_t)FLAGS_SYSTEM) == 0);
}

/* In two's complement; dates beyond those years have no text. */
static inline void u64_date(struct codec *c, int64_t *v)
{
    uint64_t u = (uint64_t)*v;
    u64(c, &u);
    *v = (int64_t)u;
    must(c, *v >= DATE_FIRST && *v <= (int64_t)DATE_LAST);
}

/* u32 n (at most max), n rows of size octets in memory: packed from v, unpacked into room. Gives where they stand. */
static inline const void *list(struct codec *c, uint32_t *n, const void *v, void *room, size_t size, uint32_t max,
                               void (*row)(struct codec *c, void *row))
{
    u32(c, n);
    must(c, *n <= max);
    uint8_t *at = c->pack != NULL ? (uint8_t *)v : room;
    for (uint32_t i = 0; i < *n && !failed(c); i++)
        row(c, at + i * size);
    return at;
}

#endif
