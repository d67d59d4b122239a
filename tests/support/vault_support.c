#include "tests/support/vault_support.h"

#include "crypto/queue_key.h"

#include "tests/support/approving.h"

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
                            .enc_octets = 256,
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

int queue_parcel_of(const struct record_keys *k, size_t len)
{
    static uint8_t bytes[1 << 20];
    const uint8_t head[] = {0xc1, 109, 6, 33, 6}, seipd[] = {0xd2, 0xff};
    struct pgp_key_ref ref;
    struct parcel_writer *w;
    struct pack p;
    int fd;
    assert_int_equal(queue_key_ref(record_keys_queue_public(k), &ref), OK);
    pack_init(&p, bytes, sizeof(bytes));
    pack_raw(&p, head, sizeof(head));
    pack_raw(&p, ref.fpr, 32);
    pack_u8(&p, PGP_X25519);
    memset(bytes + p.len, 7, 32 + 1 + 40);
    bytes[p.len + 32] = 40;
    p.len += 32 + 1 + 40;
    pack_raw(&p, seipd, sizeof(seipd));
    pack_u32(&p, (uint32_t)(36 + len));
    memcpy(bytes + p.len, "\2\11\2\12", 4);
    memset(bytes + p.len + 4, 9, 32 + len);
    p.len += 36 + len;
    assert_false(p.failed);
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_packets(w, bytes, p.len), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    return fd;
}

void bench_open(struct bench *b, struct engine *e, bool fails)
{
    memset(b, 0, sizeof(*b));
    b->loop = loop_create();
    assert_non_null(b->loop);
    b->engine = b->inner = e;
    if (fails) {
        assert_int_equal(engine_fail_wrap(e, &b->fail), OK);
        b->engine = b->fail;
    }
    b->keys = record_keys_of_root(STORE_KEY);
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
        if (m.type == VAULT_FULL)
            continue;
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

struct vault_request approved(struct bench *b, const struct vault_request *q, int fd)
{
    static const struct vault_approval none;
    struct vault_request copy = *q;
    if (memcmp(&q->approval, &none, sizeof(none)) == 0)
        approving_fd(b->inner, b->keys, STORE_KEY, &copy, fd);
    return copy;
}

/* The tag of a key that is to hear of the one that becomes current; 0: there is none. */
static uint8_t to_be_told(struct bench *b, struct vault_request *q)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    struct key_set s = {.v = keys};
    struct schema_account account;
    struct engine_txn *t;
    uint8_t tag = 0;
    const struct pgp_verdict *v = &q->key.verdict;
    bool add = q->type == VAULT_KEY_ADD;
    if ((!add && q->type != VAULT_KEY_CURRENT) || q->key.told.how != VAULT_TOLD_NOBODY || b->tells_nobody)
        return 0;
    assert_int_equal(engine_read_begin(b->inner, &t), OK);
    int err = schema_get_keys(t, b->keys, q->account, keys, &s.n);
    if (err == OK)
        err = schema_get_account(t, b->keys, q->account, &account);
    (void)engine_read_end(t);
    if (err != OK ||
        !key_must_be_told(&s, add ? v->primary_fpr : q->key.fpr.data, add ? v->primary_fpr_len : q->key.fpr.len))
        return 0;
    for (size_t i = 0; i < s.n && tag == 0; i++)
        if (keys[i].state == KEY_CURRENT)
            tag = keys[i].verdict.enc_fpr[0] ^ 0x80;
    q->key.told.policy = account.policy;
    return tag;
}

int told_enclose(struct vault_request *q, int cert, uint8_t tag)
{
    static uint8_t all[PGP_CERT_MAX + 4096];
    ssize_t len = cert >= 0 && q->type == VAULT_KEY_ADD ? pread(cert, all, PGP_CERT_MAX, 0) : 0;
    int parcel = parcel_of(OUTER, tag, 100), fd;
    assert_true(len >= 0);
    ssize_t n = pread(parcel, all + len, sizeof(all) - (size_t)len, 0);
    assert_true(n > 0);
    close(parcel);
    q->key.told =
        (struct vault_key_told){.how = VAULT_TOLD, .policy = q->key.told.policy, .thread = {1}, .own_id = {2}};
    assert_int_equal(parcel_make_plain(all, (size_t)(len + n), &fd), OK);
    return fd;
}

void ask_for(struct bench *b, const struct vault_request *asked, int fd)
{
    PACK(p);
    struct vault_request q = approved(b, asked, fd);
    uint8_t tag = to_be_told(b, &q);
    int both = tag != 0 ? told_enclose(&q, fd, tag) : -1;
    vault_request_pack(&p, &q);
    assert_int_equal(ask(b, q.type, &p, both >= 0 ? both : fd), OK);
    if (both >= 0)
        close(both);
}

int request(struct bench *b, const struct vault_request *asked, int fd)
{
    PACK(p);
    struct vault_request copy = approved(b, asked, fd), *q = &copy;
    uint8_t tag = to_be_told(b, q);
    int both = tag != 0 ? told_enclose(q, fd, tag) : -1;
    vault_request_pack(&p, q);
    int err = call(b, q->type, &p, both >= 0 ? both : fd);
    if (both >= 0)
        close(both);
    struct unpack u = b->body;
    if (err == OK)
        assert_int_equal(vault_reply_unpack(q->type, &u, &b->r), OK);
    return err;
}

int request_cert(struct bench *b, const struct vault_request *q, const void *cert, size_t len)
{
    int fd;
    assert_int_equal(parcel_make_plain(cert, len, &fd), OK);
    int err = request(b, q, fd);
    close(fd);
    return err;
}

int domain_add_call(struct bench *b, const char *domain)
{
    return request(b, &(struct vault_request){.type = VAULT_DOMAIN_ADD, .name.text = slice_str(domain)}, -1);
}

int account_add_call(struct bench *b, const char *address, uint8_t policy, uint64_t quota, uint8_t tag)
{
    uint8_t cert[300];
    const struct vault_request q = {.type = VAULT_ACCOUNT_ADD,
                                    .new = {.address = slice_str(address),
                                            .policy = policy,
                                            .quota = quota,
                                            .publish = 1,
                                            .autocrypt = 1,
                                            .verdict = verdict_of(tag),
                                            .cert_len = sizeof(cert)}};
    memset(cert, tag, sizeof(cert));
    int err = request_cert(b, &q, cert, sizeof(cert));
    if (err == OK)
        b->account = b->r.account;
    return err;
}

struct schema_usage usage_of(struct bench *b)
{
    struct engine_txn *t;
    struct schema_usage u;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_usage(t, b->keys, b->account, &u), OK);
    (void)engine_read_end(t);
    return u;
}

void quota_set(struct bench *b, uint64_t quota)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                                    .account = b->account,
                                    .new = {.policy = VAULT_POLICY_KEEP,
                                            .quota = quota,
                                            .seal_v2 = VAULT_SEAL_V2_KEEP,
                                            .encrypt = VAULT_ENCRYPT_KEEP,
                                            .publish = VAULT_PUBLISH_KEEP,
                                            .autocrypt = VAULT_AUTOCRYPT_KEEP,
                                            .key_changes = VAULT_KEY_CHANGES_KEEP}};
    assert_int_equal(request(b, &q, -1), OK);
}

void bench_account(struct bench *b)
{
    assert_int_equal(domain_add_call(b, "example.org"), OK);
    assert_int_equal(account_add_call(b, "alice@example.org", 0, 0, 1), OK);
}

struct vault_request letter_request(uint64_t account, const struct letter *l)
{
    struct vault_request q = {.type = VAULT_DELIVER,
                              .account = account,
                              .mailbox = l->mailbox,
                              .deliver = {.kind = l->kind ? l->kind : MESSAGE_SERVER_SEALED,
                                          .policy = l->policy,
                                          .internaldate = l->internaldate,
                                          .delivery = {l->id},
                                          .flags = l->flags}};
    if (l->keyword != NULL)
        q.deliver.keywords = (struct vault_keywords){1, {slice_str(l->keyword)}};
    return q;
}

struct where where_of(struct bench *b)
{
    struct unpack u = b->body;
    struct vault_reply r;
    assert_int_equal(vault_reply_unpack(VAULT_DELIVER, &u, &r), OK);
    return (struct where){r.delivered.duplicate, r.delivered.uidvalidity, r.delivered.uid, r.delivered.message,
                          r.delivered.modseq};
}

int deliver_call(struct bench *b, const struct letter *l, int parcel)
{
    struct vault_request q = letter_request(b->account, l);
    return request(b, &q, parcel);
}

int replace_call(struct bench *b, uint32_t in, uint32_t uid, const struct letter *l, int parcel)
{
    struct vault_request q = letter_request(b->account, l);
    q.type = VAULT_REPLACE;
    q.deliver.replaced.mailbox = in;
    q.deliver.replaced.uid = uid;
    return request(b, &q, parcel);
}

struct vault_set set_of(const uint32_t *r, uint32_t n)
{
    static struct uid_range ranges[VAULT_RANGES_MAX];
    for (uint32_t i = 0; i < n; i++)
        ranges[i] = (struct uid_range){r[2 * i], r[2 * i + 1]};
    return (struct vault_set){n, ranges};
}

int flags_call(struct bench *b, uint32_t mailbox, uint8_t op, uint64_t flags, const char *keyword, uint64_t since,
               const uint32_t *r, uint32_t n)
{
    struct vault_request q = {.type = VAULT_STORE_FLAGS,
                              .account = b->account,
                              .mailbox = mailbox,
                              .flags = {.op = op, .flags = flags, .unchangedsince = since, .set = set_of(r, n)}};
    if (keyword != NULL)
        q.flags.keywords = (struct vault_keywords){1, {slice_str(keyword)}};
    return request(b, &q, -1);
}

int copy_call(struct bench *b, uint32_t from, uint32_t to, bool move, const uint32_t *r, uint32_t n)
{
    const struct vault_request q = {.type = VAULT_COPY,
                                    .account = b->account,
                                    .mailbox = from,
                                    .copy = {.to = to, .move = move, .set = set_of(r, n)}};
    return request(b, &q, -1);
}

int expunge_call(struct bench *b, uint32_t mailbox, bool only_deleted, const uint32_t *r, uint32_t n)
{
    const struct vault_request q = {.type = VAULT_EXPUNGE,
                                    .account = b->account,
                                    .mailbox = mailbox,
                                    .expunge = {only_deleted, set_of(r, n)}};
    return request(b, &q, -1);
}

int mailbox_call(struct bench *b, enum vault_msg type, uint32_t mailbox, const char *name, int byte)
{
    struct vault_request q = {.type = type, .account = b->account, .mailbox = mailbox};
    if (name != NULL)
        q.box.name = slice_str(name);
    if (byte >= 0) {
        q.box.use = (uint8_t)byte;
        q.box.on = byte == 1;
    }
    return request(b, &q, -1);
}

int create_call(struct bench *b, const char *name, uint32_t *ret)
{
    int err = mailbox_call(b, VAULT_MAILBOX_CREATE, 0, name, 0);
    if (err == OK && ret != NULL)
        *ret = b->r.made.mailbox;
    return err;
}
