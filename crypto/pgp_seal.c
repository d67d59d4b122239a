/* One seal: picks the format all recipients read, draws the randomness, writes a session-key packet each and the
 * container. */
#include "crypto/pgp_seal.h"

#include <sodium.h>
#include <string.h>

#include "crypto/pgp_seipd.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

/* A definite four-octet length must hold the container (section 4.2.1.3). */
static const uint64_t plaintext_max = 0xffffffffu - 16 * 1024 * 1024;

static struct pgp_suite choose_suite(struct pgp_recipient *const *r, size_t n)
{
    struct pgp_suite s = {.v2 = true, .cipher = PGP_AES256};
    for (size_t i = 0; i < n; i++) {
        if (!r[i]->prefs.seipd_v2)
            s.v2 = false;
        if (!r[i]->prefs.aes256)
            s.cipher = PGP_AES128;
    }
    s.key_len = pgp_cipher_key_len(s.cipher);
    return s;
}

static size_t header_size(uint64_t body_len)
{
    uint8_t scratch[6];
    return pgp_packet_header(scratch, PGP_TAG_LITERAL, (size_t)body_len);
}

/* Section 5.9: format 'b', no file name, no date. */
static uint64_t literal_size(uint64_t len)
{
    return header_size(len + 6) + 6 + len;
}

static int total_len(const struct iovec *in, size_t iovcnt, uint64_t *ret)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < iovcnt; i++) {
        if (in[i].iov_len > plaintext_max - sum)
            return ERR_LIMIT;
        sum += in[i].iov_len;
    }
    *ret = sum;
    return OK;
}

/* Once a released library sealed with keys of zeros, and no round trip showed it: what was drawn is looked at. */
static int draw(struct pgp_engine *e)
{
    struct pgp_random *r = &e->work->random;
    const uint8_t *tail = r->salt + sizeof(r->salt) - sizeof(e->last_salt);
    if (pgp_random(r, sizeof(*r)) != OK || sodium_is_zero(r->session_key, sizeof(r->session_key)) ||
        memcmp(tail, e->last_salt, sizeof(e->last_salt)) == 0)
        return ERR_CRYPTO;
    memcpy(e->last_salt, tail, sizeof(e->last_salt));
    return OK;
}

static int seal(struct pgp_output *o, struct pgp_recipient *const *recipients, size_t n, struct pgp_feed *f,
                uint64_t len)
{
    struct pgp_work *w = o->e->work;
    struct pgp_suite s = choose_suite(recipients, n);
    uint64_t literal = literal_size(len);
    uint8_t header[6];
    w->out_len = 0;
    int err = draw(o->e);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        size_t got;
        err = pgp_pkesk_make(o->e, recipients[i], &s, &w->agreed[i], &got);
        if (!err)
            err = pgp_output_put(o, w->pkesk, got);
        if (err)
            return err;
    }
    uint64_t body = s.v2 ? pgp_seipd2_size(literal) : pgp_seipd1_size(literal);
    err = pgp_output_put(o, header, pgp_packet_header(header, PGP_TAG_SEIPD, (size_t)body));
    if (!err)
        err = s.v2 ? pgp_seipd2(o, &s, f, literal) : pgp_seipd1(o, &s, f);
    return err ? err : pgp_output_flush(o);
}

/* Spilled registers, a lazy binding's among them, leave pieces of keys in frames that are gone by now. */
static __attribute__((noinline)) void scrub_stack(void)
{
    uint8_t below[16 * 1024];
    secmem_wipe(below, sizeof(below));
}

static int seal_part(struct pgp_engine *e, struct pgp_recipient *const *recipients, size_t n,
                     const struct pgp_seal_part *part, uint64_t *ret_size)
{
    struct pgp_output o = {.e = e, .sink = part->sink, .arg = part->arg};
    struct pgp_feed f;
    uint64_t len;
    if (total_len(part->in, part->iovcnt, &len) != OK)
        return ERR_LIMIT;
    pgp_feed_start(&f, part->in, part->iovcnt, len);
    int err = seal(&o, recipients, n, &f, len);
    secmem_wipe(e->work->stage, len + 64 < sizeof(e->work->stage) ? (size_t)len + 64 : sizeof(e->work->stage));
    if (!err)
        *ret_size = o.total;
    return err;
}

static int seal_parts(struct pgp_recipient *const *recipients, size_t n, const struct pgp_seal_part *parts,
                      size_t nparts, uint64_t *ret_size)
{
    struct pgp_engine *e = pgp_engine();
    int err = OK;
    if (n == 0 || n > PGP_SEAL_RECIPIENTS_MAX)
        return ERR_LIMIT;
    if (!e)
        return ERR_MEMORY;
    for (size_t i = 0; err == OK && i < nparts; i++)
        err = seal_part(e, recipients, n, &parts[i], ret_size);
    scrub_stack();
    secmem_wipe(e->work, offsetof(struct pgp_work, stage)); /* all that is secret stands in front */
    return err;
}

int pgp_seal_parts(struct pgp_recipient *const *recipients, size_t n, const struct pgp_seal_part *parts, size_t nparts)
{
    uint64_t size;
    return seal_parts(recipients, n, parts, nparts, &size);
}

int pgp_seal(struct pgp_recipient *const *recipients, size_t n, const struct iovec *in, size_t iovcnt, pgp_sink *sink,
             void *arg, uint64_t *ret_size)
{
    const struct pgp_seal_part part = {.in = in, .iovcnt = iovcnt, .sink = sink, .arg = arg};
    uint64_t size;
    int err = seal_parts(recipients, n, &part, 1, &size);
    if (!err && ret_size)
        *ret_size = size;
    return err;
}

uint64_t pgp_seal_size(struct pgp_recipient *const *recipients, size_t n, uint64_t len)
{
    struct pgp_suite s = choose_suite(recipients, n);
    uint64_t literal = literal_size(len), total = 0;
    for (size_t i = 0; i < n; i++) {
        size_t body = pgp_pkesk_body_size(recipients[i], &s);
        total += header_size(body) + body;
    }
    uint64_t body = s.v2 ? pgp_seipd2_size(literal) : pgp_seipd1_size(literal);
    return total + header_size(body) + body;
}
