/* The payloads of requests about signing in (request.c), each as its fields in their order. */
#ifndef STORE_REQUEST_SIGNIN_H
#define STORE_REQUEST_SIGNIN_H

#include "store/request_fields.h"
#include "store/signin.h"

static inline void signin_proof(struct codec *c, struct vault_request *q)
{
    struct vault_signin *s = &q->signin;
    u64_account(c, &q->account);
    u8(c, &s->proof, SIGNIN_BY_INVITATION, SIGNIN_BY_PHRASE);
    raw(c, s->secret, sizeof(s->secret));
    u32(c, &s->serial);
}

static inline void u32_envelope(struct codec *c, uint32_t *v)
{
    u32(c, v);
    must(c, *v <= WRAPPED_MAX);
}

static inline void signin_set(struct codec *c, struct vault_request *q)
{
    struct vault_signin *s = &q->signin;
    signin_proof(c, q);
    u8(c, &s->profile, 1, UINT8_MAX);
    raw(c, s->record, sizeof(s->record));
    raw(c, s->password_key, sizeof(s->password_key));
    raw(c, s->phrase_key, sizeof(s->phrase_key));
    u32_envelope(c, &s->password_len);
    u32_envelope(c, &s->phrase_len);
}

static inline void wrapped_put(struct codec *c, struct vault_request *q)
{
    static const uint8_t none[WRAPPED_ID_SIZE];
    struct vault_signin *s = &q->signin;
    signin_proof(c, q);
    u8(c, &s->kind, WRAPPED_PASSWORD, WRAPPED_PASSKEY);
    raw(c, s->id, sizeof(s->id));
    u32_envelope(c, &s->password_len);
    must(c, s->proof != SIGNIN_BY_INVITATION);
    must(c, s->kind == WRAPPED_PASSKEY || memcmp(s->id, none, sizeof(none)) == 0);
}

static inline void signed_in(struct codec *c, struct vault_reply *r)
{
    u32(c, &r->version);
}

static inline void session_name(struct codec *c, struct vault_request *q)
{
    u64_account(c, &q->account);
    raw(c, q->session.hash, sizeof(q->session.hash));
}

static inline void session_add(struct codec *c, struct vault_request *q)
{
    session_name(c, q);
    u32(c, &q->session.version);
    u8(c, &q->session.how, 1, SESSION_HOW_ALL);
    u64(c, &q->session.until);
    str(c, &q->session.label, LABEL_MAX - 1);
}

static inline void session_del(struct codec *c, struct vault_request *q)
{
    u64_account(c, &q->account);
    u8(c, &q->session.which, SESSION_ONE, SESSION_OTHERS);
    u32(c, &q->session.number);
}

static inline void factor_put(struct codec *c, struct vault_request *q)
{
    session_name(c, q);
    bytes(c, &q->factor.record, FACTOR_PACKED_MAX);
    must(c, q->factor.record.len > 0);
}

static inline void factor_del(struct codec *c, struct vault_request *q)
{
    session_name(c, q);
    u32(c, &q->factor.number);
}

static inline void factor_used(struct codec *c, struct vault_request *q)
{
    u64_account(c, &q->account);
    u32(c, &q->factor.number);
    u8(c, &q->factor.kind, FACTOR_TOTP, FACTOR_RECOVERY);
    u64(c, &q->factor.value);
    raw(c, q->factor.code, sizeof(q->factor.code));
}

static inline void invite_put(struct codec *c, struct vault_request *q)
{
    u64_account(c, &q->account);
    raw(c, q->invite.hash, sizeof(q->invite.hash));
    u64(c, &q->invite.until);
    u32(c, &q->invite.uses);
    u8_bool(c, &q->invite.reset);
    must(c, q->invite.uses > 0);
}

#endif
