/* A vault without process or network: requests are handed in as bytes, replies read from the other end of a real
 * channel. */
#ifndef TESTS_SUPPORT_VAULT_SUPPORT_H
#define TESTS_SUPPORT_VAULT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/account.h"
#include "store/message.h"
#include "server/format/render.h"
#include "store/vault/vault.h"

extern const char OUTER[];
extern const char OUTER_CLIENT[];
extern const uint8_t STORE_KEY[32];

struct bench {
    struct loop *loop;
    struct engine *engine, *fail; /* fail: the engine that wraps, or NULL */
    struct engine *inner;         /* what it wraps, or the engine */
    struct record_keys *keys;
    struct vault *vault;
    struct client *client;
    int end; /* the client's end */
    uint64_t ids;
    bool tells_nobody; /* else a notice goes along with a key that becomes current beside others */
    uint64_t account;
    uint8_t reply[IPC_MAX];
    struct unpack body;
    struct vault_reply r; /* what request was answered, if OK */
    char text[256];
    unsigned notices; /* rows seen since the last call */
    struct vault_change notice[CHANGES_MAX];
};

extern uint64_t test_now;
uint64_t test_clock(void);

/* ---- material ---- */

struct pgp_verdict verdict_of(uint8_t tag);

/* One OpenPGP message for key tag with a body of len octets; returns its length. */
size_t packets_make(uint8_t *out, uint8_t tag, size_t len);

int parcel_of(const char *outer, uint8_t tag, size_t len);
/* Packets for the queue's key, by their looks. */
int queue_parcel_of(const struct record_keys *k, size_t len);

/* ---- the vault; its first client may ask for everything ---- */

void bench_open(struct bench *b, struct engine *e, bool fails);
void bench_mem(struct bench *b, bool fails);
void bench_close(struct bench *b);

/* Hands in one request; taken is vault_take's word. */
int ask(struct bench *b, uint32_t type, const struct pack *p, int fd);

/* The next reply; notices on the way are kept. ERR_TIMEOUT: there is none. */
int hear(struct bench *b, uint64_t *ret_id);

int call(struct bench *b, uint32_t type, const struct pack *p, int fd);
extern uint8_t out_buf[IPC_MAX];

#define PACK(p)    \
    struct pack p; \
    pack_init(&p, out_buf, sizeof(out_buf))

/* cert (a memfd, of KEY_ADD), then a notice sealed to the key of this tag, of which q is told; the caller closes it. */
int told_enclose(struct vault_request *q, int cert, uint8_t tag);
/* With its approval by what the store holds now, unless q has one. */
struct vault_request approved(struct bench *b, const struct vault_request *q, int fd);
/* Hands in a request, to be run with what else waits. */
void ask_for(struct bench *b, const struct vault_request *q, int fd);
/* One request, run and answered. */
int request(struct bench *b, const struct vault_request *q, int fd);
/* One with a certificate; q says its length. */
int request_cert(struct bench *b, const struct vault_request *q, const void *cert, size_t len);

int domain_add_call(struct bench *b, const char *domain);
int account_add_call(struct bench *b, const char *address, uint8_t policy, uint64_t quota, uint8_t tag);
void bench_account(struct bench *b);
struct schema_usage usage_of(struct bench *b);
void quota_set(struct bench *b, uint64_t quota);

struct letter {
    uint32_t mailbox;
    uint8_t kind, policy, id;
    uint64_t flags;
    const char *keyword;
    int64_t internaldate;
};
/* A VAULT_DELIVER of it. */
struct vault_request letter_request(uint64_t account, const struct letter *l);

struct where {
    uint8_t duplicate;
    uint32_t uidvalidity, uid;
    uint64_t message, modseq;
};
/* Of the reply that was heard last. */
struct where where_of(struct bench *b);
int deliver_call(struct bench *b, const struct letter *l, int parcel);
int replace_call(struct bench *b, uint32_t in, uint32_t uid, const struct letter *l, int parcel);
/* r: n pairs of UIDs. */
struct vault_set set_of(const uint32_t *r, uint32_t n);
int flags_call(struct bench *b, uint32_t mailbox, uint8_t op, uint64_t flags, const char *keyword, uint64_t since,
               const uint32_t *r, uint32_t n);
int copy_call(struct bench *b, uint32_t from, uint32_t to, bool move, const uint32_t *r, uint32_t n);
int expunge_call(struct bench *b, uint32_t mailbox, bool only_deleted, const uint32_t *r, uint32_t n);
/* byte: use or on; -1: none. */
int mailbox_call(struct bench *b, enum vault_msg type, uint32_t mailbox, const char *name, int byte);
int create_call(struct bench *b, const char *name, uint32_t *ret);

#endif
