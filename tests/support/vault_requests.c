#include "tests/support/vault_requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

const uint32_t ALL_UIDS[2] = {1, UINT32_MAX};

void recount_all(struct bench *b)
{
    store_recount(b->engine, b->keys, b->account);
}

struct where deliver_ok(struct bench *b, uint32_t mailbox, uint64_t flags, size_t len)
{
    int fd = parcel_of(OUTER, 1, len);
    struct letter l = {.mailbox = mailbox, .flags = flags, .internaldate = 1700000000};
    assert_int_equal(deliver_call(b, &l, fd), OK);
    close(fd);
    return where_of(b);
}

struct schema_mailbox box_of(struct bench *b, uint32_t id)
{
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, b->keys, b->account, id, &box), OK);
    (void)engine_read_end(t);
    return box;
}

uint32_t find_mailbox(struct bench *b, const char *name)
{
    struct engine_txn *t;
    struct store_write w = {.keys = b->keys, .account = b->account};
    uint32_t id = 0;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    w.t = t;
    int err = mailbox_find(&w, name, &id);
    (void)engine_read_end(t);
    return err == OK ? id : 0;
}

int wish(struct bench *b, uint8_t publish)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                                    .account = b->account,
                                    .new = {.policy = VAULT_POLICY_KEEP,
                                            .quota = VAULT_QUOTA_KEEP,
                                            .seal_v2 = VAULT_SEAL_V2_KEEP,
                                            .encrypt = VAULT_ENCRYPT_KEEP,
                                            .publish = publish}};
    return request(b, &q, -1);
}

void own(struct bench *b, const struct pgp_verdict *v)
{
    struct vault_request q = {.type = VAULT_KEY_ADD, .account = b->account, .key = {.verdict = *v, .cert_len = 4}};
    q.key.verdict.enc_expires = (uint32_t)test_now - 10;
    assert_int_equal(request_cert(b, &q, "cert", 4), OK);
}

void house_address(struct bench *b, const char *address, uint8_t kind)
{
    const struct vault_request q = {.type = VAULT_ADDRESS_ADD,
                                    .account = b->account,
                                    .name = {slice_str(address), kind}};
    assert_int_equal(request(b, &q, -1), OK);
}
