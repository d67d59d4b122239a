/* One request, bytes and descriptor made of the input, into decoder, gate and handler over a store with an account in
 * it. Nothing is kept: the commit is an abort in disguise, so every input meets the same store. Input: octet: which
 * verb; octet: bit 0 admin, bits 1-3 kind of descriptor; u16: payload length; payload; the rest is what the descriptor
 * holds. */
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/queue_key.h"
#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/event.h"
#include "store/account.h"
#include "store/approve.h"
#include "store/engine_impl.h"
#include "store/signin.h"
#include "store/vault/vault.h"

static const uint32_t types[] = {
    VAULT_DELIVER,
    VAULT_STORE_FLAGS,
    VAULT_COPY,
    VAULT_EXPUNGE,
    VAULT_MAILBOX_CREATE,
    VAULT_MAILBOX_DELETE,
    VAULT_MAILBOX_RENAME,
    VAULT_MAILBOX_SUBSCRIBE,
    VAULT_ACCOUNT_ADD,
    VAULT_ACCOUNT_REMOVE,
    VAULT_ACCOUNT_SET,
    VAULT_ADDRESS_ADD,
    VAULT_ADDRESS_REMOVE,
    VAULT_DOMAIN_ADD,
    VAULT_DOMAIN_REMOVE,
    VAULT_KEY_ADD,
    VAULT_KEY_RETIRE,
    VAULT_APP_PASSWORD_ADD,
    VAULT_APP_PASSWORD_REVOKE,
    VAULT_STAT,
    VAULT_RESTORED,
    VAULT_UPGRADE,
    VAULT_KEY_REVOKED,
    VAULT_REPLY,
    VAULT_NOTICE,
    0,
    VAULT_REPLACE,
    VAULT_KEY_NOTICE,
    VAULT_KEY_CURRENT,
    VAULT_KEY_ENC_REVOKED,
    VAULT_DELIVERED_SEEN,
    VAULT_COPY_UNDO,
    VAULT_FULL,
    VAULT_QUEUE_ADD,
    VAULT_QUEUE_UPDATE,
    VAULT_DKIM_PUT,
    VAULT_DKIM_DEL,
    VAULT_ACCOUNT_HOLD,
    VAULT_SUPPRESS_PUT,
    VAULT_SUPPRESS_DEL,
    VAULT_STS_PUT,
    VAULT_STS_DEL,
    VAULT_COMPLAINT,
    VAULT_TALLY_PUT,
    VAULT_TALLY_DEL,
    VAULT_KEY_PUBLISH,
    VAULT_UPLOAD_ADD,
    VAULT_UPLOAD_CONFIRM,
    VAULT_CORRESPONDENT_PUT,
    VAULT_CORRESPONDENT_DEL,
    VAULT_SIGNIN_SET,
    VAULT_WRAPPED_PUT,
    VAULT_SESSION_ADD,
    VAULT_SESSION_USED,
    VAULT_SESSION_DEL,
    VAULT_FACTOR_PUT,
    VAULT_FACTOR_DEL,
    VAULT_FACTOR_USED,
    VAULT_INVITE_PUT,
    VAULT_INVITE_DEL,
    VAULT_DMARC_REPORT,
};

static const char outer[] = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: [...]\r\nSealed-By: mx.example; v=1\r\n";

static struct loop *loop;
static struct engine *engine;
static struct engine_ops forgetful;
static struct record_keys *keys;
static struct vault *vault;
static int end;
static uint8_t capsule[512];
static size_t capsule_len;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t fixed_clock(void)
{
    return 1800000000;
}

static int commit_nothing(struct engine_txn *t)
{
    engine_group_abort(t);
    return OK;
}

static void drain(void)
{
    static uint8_t reply[IPC_MAX];
    struct ipc_msg m;
    while (ipc_recv_blocking(end, reply, &m, 0) == OK)
        ;
}

static void must(int r)
{
    bug_if(r != OK);
}

static void ask(const struct vault_request *q, int fd)
{
    static uint8_t buf[4096];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    vault_request_pack(&p, q);
    bug_if(p.failed);
    must(vault_take(vault, vault->clients, q->type, 1, slice_of(p.data, p.len), &fd));
    vault_run(vault);
    drain();
}

/* A session-key packet for the account's key (fingerprint of fours), and a container. */
static void packets_make(void)
{
    uint8_t *p = capsule;
    *p++ = 0xc1, *p++ = 10 + 2 + 32;
    *p++ = 3;
    memset(p, 4, 8);
    p += 8;
    *p++ = PGP_RSA, *p++ = 1, *p++ = 0;
    memset(p, 0x80, 32);
    p += 32;
    *p++ = 0xd2, *p++ = 40, *p++ = 1;
    memset(p, 9, 39);
    p += 39;
    capsule_len = (size_t)(p - capsule);
}

static int parcel_make(const void *head, size_t head_len, const uint8_t *packets, size_t len)
{
    struct parcel_writer *w;
    int fd = -1;
    must(parcel_create(&w));
    (void)parcel_put_outer(w, head, head_len);
    (void)parcel_put_capsule(w, capsule, capsule_len);
    (void)parcel_put_packets(w, packets, len);
    (void)parcel_seal(w, &fd);
    return fd;
}

/* How the account is signed in to, by an invitation of zeros; a session by the name of zeros, and a factor. */
static void register_password(void)
{
    static const uint8_t token[INVITE_TOKEN_SIZE];
    static uint8_t packed[FACTOR_PACKED_MAX];
    const struct factor f = {.kind = FACTOR_TOTP};
    size_t len;
    struct vault_request q = {.type = VAULT_INVITE_PUT,
                              .account = PART_ACCOUNT_FIRST,
                              .invite = {.until = UINT32_MAX, .uses = 2, .reset = true}};
    invitation_hash(keys, token, q.invite.hash);
    ask(&q, -1);
    q = (struct vault_request){.type = VAULT_SIGNIN_SET,
                               .account = PART_ACCOUNT_FIRST,
                               .signin = {.proof = SIGNIN_BY_INVITATION, .profile = 1, .password_key = {1}}};
    const uint8_t scalar[crypto_core_ristretto255_SCALARBYTES] = {1};
    must(crypto_scalarmult_ristretto255_base(q.signin.record, scalar));
    ask(&q, -1);
    ask(&(struct vault_request){.type = VAULT_SESSION_ADD,
                                .account = PART_ACCOUNT_FIRST,
                                .session = {.version = 1, .how = SESSION_PASSWORD, .until = fixed_clock() + 86400}},
        -1);
    must(factor_pack(&f, packed, &len));
    ask(&(struct vault_request){.type = VAULT_FACTOR_PUT,
                                .account = PART_ACCOUNT_FIRST,
                                .factor.record = slice_of(packed, len)},
        -1);
}

static void setup(void)
{
    static const uint8_t store_key[32] = {1};
    int pair[2], fd;
    event_init("fuzz", LOG_LEVEL_ERROR, false);
    loop = loop_create();
    keys = record_keys_of_root(store_key);
    must(engine_mem_create(&engine));
    must(store_init(engine, keys, fixed_clock()));
    must(vault_create(loop, engine, keys, 1 << 20, 1000, &vault));
    vault->clock = fixed_clock;
    must(ipc_pair(pair));
    must(vault_client_add(vault, pair[0], ~0u));
    end = pair[1];
    packets_make();
    ask(&(struct vault_request){.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")}, -1);
    struct pgp_verdict v = {.primary_fpr_len = 20,
                            .enc_fpr_len = 20,
                            .native = true,
                            .enc_expires = (uint32_t)fixed_clock() /* its end may be told */};
    memset(v.primary_fpr, 3, 20);
    memset(v.enc_fpr, 4, 20);
    must(parcel_make_plain("cert", 4, &fd));
    struct vault_request add = {
        .type = VAULT_ACCOUNT_ADD,
        .new = {.address = slice_str("alice@example.org"), .quota = 1 << 20, .verdict = v, .cert_len = 4}};
    struct view *view;
    must(view_over(engine, keys, &view));
    must(approve(view, store_key, &add, slice_of("cert", 4)));
    view_close(view);
    ask(&add, fd);
    for (uint8_t i = 0; i < 6; i++)
        ask(&(struct vault_request){.type = VAULT_DELIVER,
                                    .account = PART_ACCOUNT_FIRST,
                                    .mailbox = 1 + i % 2,
                                    .deliver = {.kind = MESSAGE_SERVER_SEALED,
                                                .internaldate = i,
                                                .delivery = {i},
                                                .flags = i,
                                                .keywords = {1, {slice_str("word")}}}},
            parcel_make(outer, strlen(outer), capsule, capsule_len));
    bug_if(vault->count.delivered != 6);
    register_password();
    forgetful = *engine->ops;
    forgetful.group_commit = commit_nothing;
    engine->ops = &forgetful;
}

/* Packets for the queue's key, by their looks. */
static int queue_parcel_make(const uint8_t *container, size_t len)
{
    struct pgp_key_ref ref;
    struct parcel_writer *w;
    uint8_t pkesk[111] = {0xc1, 109, 6, 33, 6};
    int fd = -1;
    must(queue_key_ref(record_keys_queue_public(keys), &ref));
    memcpy(pkesk + 5, ref.fpr, 32);
    pkesk[37] = PGP_X25519;
    pkesk[70] = 40;
    must(parcel_create(&w));
    (void)parcel_put_packets(w, pkesk, sizeof(pkesk));
    (void)parcel_put_packets(w, container, len);
    (void)parcel_seal(w, &fd);
    return fd;
}

static int fd_make(unsigned kind, const uint8_t *data, size_t len)
{
    int fd = -1;
    switch (kind) {
    case 1: /* sealed, whatever it holds */ return parcel_make_plain(data, len, &fd) == OK ? fd : -1;
    case 2: /* not sealed */
        fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd >= 0 && write(fd, data, len) < 0)
            len = 0;
        return fd;
    case 3: return parcel_make(outer, strlen(outer), data, len);
    case 4: return parcel_make(data, len, capsule, capsule_len);
    case 5: return parcel_make(outer, strlen(outer), capsule, capsule_len);
    case 6: return queue_parcel_make(data, len);
    default: return -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (vault == NULL)
        setup();
    if (size < 4)
        return 0;
    size_t len = (size_t)data[2] << 8 | data[3];
    if (len > size - 4)
        len = size - 4;
    int fd = fd_make(data[1] >> 1 & 7, data + 4 + len, size - 4 - len);
    vault->clients->who = data[1] & 1 ? ~0u : VAULT_MAY_INGEST | VAULT_MAY_ACCESS;
    gate_forget(vault->gate); /* nothing is ever committed, so it may remember nothing */
    vault->hot_account = 0;
    (void)vault_take(vault, vault->clients, types[data[0] % (sizeof(types) / sizeof(types[0]))], 7,
                     slice_of(data + 4, len), &fd);
    vault_run(vault);
    if (fd >= 0)
        close(fd);
    drain();
    return 0;
}
