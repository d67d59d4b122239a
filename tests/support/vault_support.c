#include "tests/support/vault_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

const char OUTER[] = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: [...]\r\nSealed-By: mx.example; v=1\r\n";

const char OUTER_CLIENT[] = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: as it was\r\n";

const uint8_t STORE_KEY[32] = {7};

uint64_t test_now = 1800000000;

uint64_t test_clock(void)
{
    return test_now;
}

struct pgp_verdict verdict_of(uint8_t tag)
{
    struct pgp_verdict v = {.primary_fpr_len = 20,
                            .enc_fpr_len = 20,
                            .primary_algo = PGP_EDDSA_LEGACY,
                            .enc_algo = PGP_RSA,
                            .native = true};
    memset(v.primary_fpr, tag, 20);
    memset(v.enc_fpr, tag ^ 0x80, 20);
    return v;
}

size_t packets_make(uint8_t *out, uint8_t tag, size_t len)
{
    uint8_t *p = out;
    uint8_t pkesk[10 + 2 + 256] = {3};
    memset(pkesk + 1, tag ^ 0x80, 8);
    pkesk[9] = PGP_RSA;
    pkesk[10] = 8; /* 2048 bits */
    pkesk[11] = 0;
    memset(pkesk + 12, 0xa5, 256);
    p += pgp_packet_header(p, PGP_TAG_PKESK, sizeof(pkesk));
    memcpy(p, pkesk, sizeof(pkesk));
    p += sizeof(pkesk);
    size_t body = 1 + 32 + len;
    p += pgp_packet_header(p, PGP_TAG_SEIPD, body);
    p[0] = 1;
    for (size_t i = 1; i < body; i++)
        p[i] = (uint8_t)(i * 131 + tag);
    return (size_t)(p + body - out);
}

int parcel_of(const char *outer, uint8_t tag, size_t len)
{
    struct parcel_writer *w;
    static uint8_t bytes[16 * 1024 * 1024];
    int fd;
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_outer(w, outer, strlen(outer)), OK);
    size_t n = packets_make(bytes, tag, 100);
    assert_int_equal(parcel_put_capsule(w, bytes, n), OK);
    n = packets_make(bytes, tag, len);
    assert_int_equal(parcel_put_packets(w, bytes, n), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    return fd;
}

void bench_open(struct bench *b, struct engine *e, bool fails)
{
    memset(b, 0, sizeof(*b));
    b->loop = loop_create();
    assert_non_null(b->loop);
    b->engine = e;
    if (fails) {
        assert_int_equal(engine_fail_wrap(e, &b->fail), OK);
        b->engine = b->fail;
    }
    b->keys = record_keys_create(STORE_KEY);
    assert_non_null(b->keys);
    assert_int_equal(store_init(b->engine, b->keys, test_now), OK);
    assert_int_equal(vault_create(b->loop, b->engine, b->keys, 50 << 20, 1000, &b->vault), OK);
    engine_one_partition(b->engine); /* no request may need a commit over two */
    b->vault->clock = test_clock;
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b->vault, pair[0], ~0u), OK);
    b->client = b->vault->clients;
    b->end = pair[1];
}

void bench_mem(struct bench *b, bool fails)
{
    struct engine *e;
    assert_int_equal(engine_mem_create(&e), OK);
    bench_open(b, e, fails);
}

void bench_close(struct bench *b)
{
    vault_destroy(b->vault);
    engine_close(b->engine);
    record_keys_destroy(b->keys);
    loop_destroy(b->loop);
    close(b->end);
}

int ask(struct bench *b, uint32_t type, const struct pack *p, int fd)
{
    assert_false(p->failed);
    int own = fd < 0 ? -1 : dup(fd);
    int err = vault_take(b->vault, b->client, type, ++b->ids, slice_of(p->data, p->len), &own);
    if (own >= 0)
        close(own);
    return err;
}

int hear(struct bench *b, uint64_t *ret_id)
{
    struct ipc_msg m;
    for (;;) {
        int err = ipc_recv_blocking(b->end, b->reply, &m, 0);
        if (err != OK)
            return err;
        unpack_init(&b->body, m.payload.data, m.payload.len);
        if (m.type == VAULT_NOTICE) {
            uint32_t n = unpack_u32(&b->body);
            for (uint32_t i = 0; i < n; i++) {
                struct vault_change c = {.account = unpack_u64(&b->body)};
                c.mailbox = unpack_u32(&b->body);
                c.modseq = unpack_u64(&b->body);
                c.exists = unpack_u32(&b->body);
                b->notice[b->notices++ % CHANGES_MAX] = c;
            }
            assert_true(unpack_done(&b->body));
            continue;
        }
        assert_int_equal(m.type, VAULT_REPLY);
        int status = -(int)unpack_u32(&b->body);
        unpack_str(&b->body, b->text, sizeof(b->text));
        assert_false(b->body.failed);
        if (ret_id != NULL)
            *ret_id = m.id;
        return status;
    }
}

int call(struct bench *b, uint32_t type, const struct pack *p, int fd)
{
    b->notices = 0;
    assert_int_equal(ask(b, type, p, fd), OK);
    vault_run(b->vault);
    uint64_t id = 0;
    int err = hear(b, &id);
    assert_int_equal(id, b->ids);
    /* notices come after replies */
    struct unpack body = b->body;
    static uint8_t kept[IPC_MAX];
    memcpy(kept, b->reply, sizeof(kept));
    uint64_t none;
    assert_int_equal(hear(b, &none), ERR_TIMEOUT);
    memcpy(b->reply, kept, sizeof(kept));
    b->body = body;
    return err;
}

uint8_t out_buf[IPC_MAX];

int domain_add_call(struct bench *b, const char *domain)
{
    PACK(p);
    pack_str(&p, domain);
    return call(b, VAULT_DOMAIN_ADD, &p, -1);
}

int account_add_call(struct bench *b, const char *address, uint8_t policy, uint64_t quota, uint8_t tag)
{
    uint8_t packed[PGP_VERDICT_SIZE], cert[300];
    struct pgp_verdict v = verdict_of(tag);
    int fd;
    memset(cert, tag, sizeof(cert));
    pgp_verdict_pack(&v, packed);
    PACK(p);
    pack_str(&p, address);
    pack_u8(&p, policy);
    pack_u64(&p, quota);
    pack_u8(&p, 0);
    pack_raw(&p, packed, sizeof(packed));
    pack_u32(&p, sizeof(cert));
    assert_int_equal(parcel_make_plain(cert, sizeof(cert), &fd), OK);
    int err = call(b, VAULT_ACCOUNT_ADD, &p, fd);
    close(fd);
    if (err == OK)
        b->account = unpack_u64(&b->body);
    return err;
}

void bench_account(struct bench *b)
{
    assert_int_equal(domain_add_call(b, "example.org"), OK);
    assert_int_equal(account_add_call(b, "alice@example.org", 0, 0, 1), OK);
}

void pack_deliver(struct pack *p, uint64_t account, const struct letter *l)
{
    uint8_t id[16] = {0}, zero[16] = {0};
    id[0] = l->id;
    pack_u64(p, account);
    pack_u32(p, l->mailbox);
    pack_u8(p, l->kind ? l->kind : MESSAGE_SERVER_SEALED);
    pack_u8(p, l->policy);
    pack_u64(p, l->internaldate);
    pack_raw(p, id, 16);
    pack_raw(p, zero, 16);
    pack_raw(p, zero, 16);
    pack_u32(p, 0);
    pack_u64(p, l->flags);
    pack_u32(p, l->keyword != NULL);
    if (l->keyword != NULL)
        pack_str(p, l->keyword);
}

struct where where_of(struct bench *b)
{
    struct where w = {.duplicate = unpack_u8(&b->body)};
    w.uidvalidity = unpack_u32(&b->body);
    w.uid = unpack_u32(&b->body);
    w.message = unpack_u64(&b->body);
    w.modseq = unpack_u64(&b->body);
    assert_true(unpack_done(&b->body));
    return w;
}

int deliver_call(struct bench *b, const struct letter *l, int parcel)
{
    PACK(p);
    pack_deliver(&p, b->account, l);
    return call(b, VAULT_DELIVER, &p, parcel);
}

int replace_call(struct bench *b, uint32_t in, uint32_t uid, const struct letter *l, int parcel)
{
    PACK(p);
    pack_u32(&p, in);
    pack_u32(&p, uid);
    pack_deliver(&p, b->account, l);
    return call(b, VAULT_REPLACE, &p, parcel);
}

void pack_ranges(struct pack *p, const uint32_t *r, uint32_t n)
{
    pack_u32(p, n);
    for (uint32_t i = 0; i < 2 * n; i++)
        pack_u32(p, r[i]);
}

int flags_call(struct bench *b, uint32_t mailbox, uint8_t op, uint64_t flags, const char *keyword, uint64_t since,
               const uint32_t *r, uint32_t n)
{
    PACK(p);
    pack_u64(&p, b->account);
    pack_u32(&p, mailbox);
    pack_u8(&p, op);
    pack_u64(&p, flags);
    pack_u32(&p, keyword != NULL);
    if (keyword != NULL)
        pack_str(&p, keyword);
    pack_u64(&p, since);
    pack_ranges(&p, r, n);
    return call(b, VAULT_STORE_FLAGS, &p, -1);
}

int copy_call(struct bench *b, uint32_t from, uint32_t to, uint8_t move, const uint32_t *r, uint32_t n)
{
    PACK(p);
    pack_u64(&p, b->account);
    pack_u32(&p, from);
    pack_u32(&p, to);
    pack_u8(&p, move);
    pack_ranges(&p, r, n);
    return call(b, VAULT_COPY, &p, -1);
}

int expunge_call(struct bench *b, uint32_t mailbox, uint8_t only_deleted, const uint32_t *r, uint32_t n)
{
    PACK(p);
    pack_u64(&p, b->account);
    pack_u32(&p, mailbox);
    pack_u8(&p, only_deleted);
    pack_ranges(&p, r, n);
    return call(b, VAULT_EXPUNGE, &p, -1);
}

int mailbox_call(struct bench *b, uint32_t type, uint32_t mailbox, const char *name, int byte)
{
    PACK(p);
    pack_u64(&p, b->account);
    if (type != VAULT_MAILBOX_CREATE && type != VAULT_MAILBOX_SUBSCRIBE)
        pack_u32(&p, mailbox);
    if (name != NULL)
        pack_str(&p, name);
    if (byte >= 0)
        pack_u8(&p, (uint8_t)byte);
    return call(b, type, &p, -1);
}

int create_call(struct bench *b, const char *name, uint32_t *ret)
{
    int err = mailbox_call(b, VAULT_MAILBOX_CREATE, 0, name, 0);
    if (err == OK && ret != NULL)
        *ret = unpack_u32(&b->body);
    return err;
}
