/* See pgp_decrypt.h. */
#include "crypto/pgp_decrypt.h"

#include <sodium.h>
#include <string.h>
#include <zlib.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"
#include "server/core/secmem.h"

enum {
    PREFIX = 16 + 2,
    MDC = 22,
    POINT = 1 + 32,
    WRAPPED_MAX = 48,
    BESIDES = 16 * 1024, /* octets that a compressed packet may hold besides what is wanted: heads and signatures */
    INDETERMINATE = 0xa3 /* section 4.2.2.4: a compressed packet that ends with the message, as GnuPG writes it */
};

/* ---- the session key ---- */

struct session_key {
    uint8_t cipher, key[32];
};

/* Section 11.5. */
static int make_kek(struct pgp_engine *e, const struct pgp_decrypt_key *k, const uint8_t *ephemeral, uint8_t kek[16])
{
    static const uint8_t counter[4] = {0, 0, 0, 1};
    static const uint8_t param[] = {10,       0x2b, 0x06, 0x01,       0x04,      0x01,
                                    0x97,     0x55, 0x01, 0x05,       0x01, /* the curve */
                                    PGP_ECDH, 3,    1,    PGP_SHA256, PGP_AES128};
    uint8_t shared[32], hash[32];
    const struct pgp_part parts[] = {{counter, sizeof(counter)},
                                     {shared, sizeof(shared)},
                                     {param, sizeof(param)},
                                     {"Anonymous Sender    ", 20},
                                     {k->fpr, sizeof(k->fpr)}};
    if (crypto_scalarmult(shared, k->secret, ephemeral) != 0)
        return ERR_CRYPTO;
    int err = pgp_hash_parts(e, e->sha256, parts, sizeof(parts) / sizeof(parts[0]), hash);
    memcpy(kek, hash, 16);
    secmem_wipe(shared, sizeof(shared));
    secmem_wipe(hash, sizeof(hash));
    return err;
}

/* Section 5.1.3: the cipher, the key, a checksum; section 11.5: padding. */
static int read_session_key(const uint8_t *in, size_t len, struct session_key *ret)
{
    const uint8_t pad = in[len - 1];
    uint16_t sum = 0;
    if (pad == 0 || pad >= len)
        return ERR_CRYPTO;
    for (size_t i = len - pad; i < len; i++)
        if (in[i] != pad)
            return ERR_CRYPTO;
    len -= pad;
    if (in[0] < PGP_AES128 || in[0] > PGP_AES256)
        return ERR_UNSUPPORTED;
    const size_t n = pgp_cipher_key_len(in[0]);
    if (len != 1 + n + 2)
        return ERR_CRYPTO;
    for (size_t i = 1; i <= n; i++)
        sum = (uint16_t)(sum + in[i]);
    if (in[1 + n] != sum >> 8 || in[2 + n] != (sum & 0xff))
        return ERR_CRYPTO;
    ret->cipher = in[0];
    memcpy(ret->key, in + 1, n);
    return OK;
}

/* Sections 5.1.5 and 11.2. f: behind the algorithm. */
static int open_ecdh(const struct pgp_decrypt_key *k, const uint8_t *f, size_t len, struct session_key *ret)
{
    struct pgp_engine *e = pgp_engine();
    const uint8_t *point;
    uint8_t kek[16], plain[WRAPPED_MAX];
    size_t pos = 0, n;
    if (pgp_mpi_next(f, len, &pos, &point, &n) != OK || n != POINT || point[0] != 0x40 || pos == len)
        return ERR_FORMAT;
    const size_t wrapped = f[pos++];
    if (wrapped != len - pos || wrapped < 24 || wrapped > WRAPPED_MAX || wrapped % 8)
        return ERR_FORMAT;
    EVP_CIPHER_CTX *ctx = e ? pgp_unwrap_ctx() : NULL;
    if (!ctx)
        return ERR_MEMORY;
    int err = make_kek(e, k, point + 1, kek);
    if (!err)
        err = pgp_key_unwrap(ctx, kek, f + pos, wrapped - 8, plain);
    if (!err)
        err = read_session_key(plain, wrapped - 8, ret);
    EVP_CIPHER_CTX_free(ctx);
    secmem_wipe(kek, sizeof(kek));
    secmem_wipe(plain, sizeof(plain));
    return err;
}

/* For our key, or for whom it may concern (section 5.1.1). */
static bool may_be_ours(const struct pgp_decrypt_key *k, const struct pgp_pkesk *p)
{
    static const uint8_t nobody[8];
    return p->algo == PGP_ECDH && (!memcmp(p->key_id, k->fpr + 12, 8) || !memcmp(p->key_id, nobody, 8));
}

/* Reads the session-key packets and the container behind them, which ends the message. */
static int read_message(const struct pgp_decrypt_key *k, struct slice m, struct session_key *ret,
                        struct pgp_packet *box)
{
    struct pgp_pkesk head;
    struct pgp_packet p;
    size_t pos = 0, tries = 0;
    int err, opened = ERR_CRYPTO;
    for (size_t n = 0; !(err = pgp_packet_next(m.data, m.len, &pos, &p)) && p.tag == PGP_TAG_PKESK; n++) {
        if (n == PGP_DECRYPT_PKESKS_MAX)
            return ERR_LIMIT;
        err = pgp_pkesk_read(p.body, p.body_len, &head);
        if (err)
            return err;
        if (head.version != 3) /* section 5.13.1: none but these stand in front of SEIPD v1 */
            return ERR_UNSUPPORTED;
        if (!opened || !may_be_ours(k, &head))
            continue;
        if (tries++ == PGP_DECRYPT_TRIES_MAX)
            return ERR_LIMIT;
        opened = open_ecdh(k, p.body + 10, p.body_len - 10, ret);
        if (opened == ERR_MEMORY)
            return opened;
    }
    if (err)
        return ERR_FORMAT;
    if (p.tag != PGP_TAG_SEIPD)
        return ERR_UNSUPPORTED;
    *box = p;
    return pos != m.len ? ERR_FORMAT : opened;
}

/* ---- the container ---- */

static int decrypt_cfb(const struct session_key *s, const uint8_t *in, size_t len, uint8_t *out)
{
    static const char *const names[] = {"AES-128-CFB", "AES-192-CFB", "AES-256-CFB"};
    static const uint8_t zeros[16];
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, names[s->cipher - PGP_AES128], NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, err = ERR_MEMORY;
    if (c && ctx)
        err = EVP_DecryptInit_ex2(ctx, c, s->key, zeros, NULL) && EVP_DecryptUpdate(ctx, out, &n, in, (int)len) &&
                      (size_t)n == len
                  ? OK
                  : ERR_CRYPTO;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(c);
    return err;
}

/* Section 5.13.1: the code is over all before its own digest. That the prefix repeats itself is not looked at: the code
 * says more, and one answer says less. */
static int check_mdc(const uint8_t *plain, size_t len)
{
    struct pgp_engine *e = pgp_engine();
    const uint8_t *mdc = plain + len - MDC;
    const struct pgp_part part = {plain, len - 20};
    uint8_t digest[20];
    if (!e)
        return ERR_MEMORY;
    int err = pgp_hash_parts(e, e->sha1, &part, 1, digest);
    if (err)
        return err;
    return mdc[0] == (0xc0 | PGP_TAG_MDC) && mdc[1] == 20 && !sodium_memcmp(digest, mdc + 2, 20) ? OK : ERR_CRYPTO;
}

/* box: its octets joined, version first; opened where it stands. */
static int open_box(const struct session_key *s, uint8_t *box, size_t len, struct slice *ret)
{
    if (len < 1 || box[0] != 1)
        return ERR_UNSUPPORTED;
    box++;
    len--;
    if (len < PREFIX + MDC)
        return ERR_FORMAT;
    int err = decrypt_cfb(s, box, len, box);
    if (!err)
        err = check_mdc(box, len);
    *ret = slice_of(box + PREFIX, len - PREFIX - MDC);
    return err;
}

/* ---- what it holds ---- */

/* Section 5.9: format, a name, a date. */
static int read_literal(const struct pgp_packet *p, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (p->content_len < 6)
        return ERR_FORMAT;
    uint8_t *body = secmem_map(p->content_len);
    if (!body)
        return ERR_MEMORY;
    pgp_packet_join(p, body);
    const size_t head = 2 + (size_t)body[1] + 4;
    int err = head > p->content_len ? ERR_FORMAT : p->content_len - head > cap ? ERR_LIMIT : OK;
    if (!err) {
        *ret_len = p->content_len - head;
        memcpy(out, body + head, *ret_len);
    }
    secmem_unmap(body, p->content_len);
    return err;
}

/* One literal packet, which signatures may stand around (section 10.3). */
static int read_plain(struct slice packets, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct pgp_packet p, literal = {.body = NULL};
    size_t pos = 0, signatures = 0;
    int err;
    while (!(err = pgp_packet_next(packets.data, packets.len, &pos, &p))) {
        if (p.tag == PGP_TAG_LITERAL && !literal.body)
            literal = p;
        else if ((p.tag != PGP_TAG_SIGNATURE && p.tag != PGP_TAG_ONE_PASS))
            return ERR_FORMAT;
        else if (signatures++ == PGP_DECRYPT_SIGNATURES_MAX)
            return ERR_LIMIT;
    }
    if (err != ERR_NOT_FOUND || !literal.body)
        return err == ERR_UNSUPPORTED ? err : ERR_FORMAT;
    return read_literal(&literal, out, cap, ret_len);
}

/* Section 5.6. A raw deflate stream has no head of its own. */
static int inflate_all(struct slice in, bool raw, uint8_t *out, size_t cap, size_t *ret_len)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)in.data,
                  .avail_in = (uInt)in.len,
                  .next_out = out,
                  .avail_out = (uInt)cap};
    if (inflateInit2(&z, raw ? -15 : 15) != Z_OK)
        return ERR_MEMORY;
    const int r = inflate(&z, Z_FINISH);
    *ret_len = z.total_out;
    const bool full = z.avail_out == 0;
    (void)inflateEnd(&z);
    return r == Z_STREAM_END ? OK : r == Z_MEM_ERROR ? ERR_MEMORY : r == Z_BUF_ERROR && full ? ERR_LIMIT : ERR_FORMAT;
}

static int read_compressed(struct slice body, uint8_t *out, size_t cap, size_t *ret_len)
{
    enum { UNCOMPRESSED, ZIP, ZLIB };
    const size_t room = cap + BESIDES;
    size_t n = 0;
    if (!body.len)
        return ERR_FORMAT;
    const uint8_t how = body.data[0];
    const struct slice rest = slice_of(body.data + 1, body.len - 1);
    if (how == UNCOMPRESSED)
        return read_plain(rest, out, cap, ret_len);
    if (how != ZIP && how != ZLIB)
        return ERR_UNSUPPORTED;
    uint8_t *plain = secmem_map(room);
    if (!plain)
        return ERR_MEMORY;
    int err = inflate_all(rest, how == ZIP, plain, room, &n);
    if (!err)
        err = read_plain(slice_of(plain, n), out, cap, ret_len); /* one level: a second is no literal packet */
    secmem_unmap(plain, room);
    return err;
}

int pgp_literal_read(struct slice packets, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct pgp_packet p;
    size_t pos = 0;
    if (packets.len && packets.data[0] == INDETERMINATE)
        return read_compressed(slice_of(packets.data + 1, packets.len - 1), out, cap, ret_len);
    if (pgp_packet_next(packets.data, packets.len, &pos, &p) != OK)
        return ERR_FORMAT;
    if (p.tag != PGP_TAG_COMPRESSED)
        return read_plain(packets, out, cap, ret_len);
    if (pos != packets.len)
        return ERR_FORMAT;
    uint8_t *body = secmem_map(p.content_len + 1);
    if (!body)
        return ERR_MEMORY;
    pgp_packet_join(&p, body);
    int err = read_compressed(slice_of(body, p.content_len), out, cap, ret_len);
    secmem_unmap(body, p.content_len + 1);
    return err;
}

int pgp_decrypt(const struct pgp_decrypt_key *k, struct slice message, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct session_key s = {0};
    struct pgp_packet p;
    struct slice plain;
    if (message.len > PGP_DECRYPT_MAX)
        return ERR_LIMIT;
    int err = read_message(k, message, &s, &p);
    uint8_t *box = err ? NULL : secmem_map(p.content_len + 1);
    if (!err && !box)
        err = ERR_MEMORY;
    if (!err) {
        pgp_packet_join(&p, box);
        err = open_box(&s, box, p.content_len, &plain);
    }
    secmem_wipe(&s, sizeof(s));
    if (!err)
        err = pgp_literal_read(plain, out, cap, ret_len);
    if (box)
        secmem_unmap(box, p.content_len + 1);
    return err;
}
