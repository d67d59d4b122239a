/* AUTH (RFC 4954) as a client: PLAIN (RFC 4616) and SCRAM-SHA-256 (RFC 7677). */
#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/proto/sasl.h"
#include "server/proto/scram.h"
#include "server/proto/smtp_client_impl.h"

struct smtp_client_login {
    const char *password;
    enum { SAID_PLAIN, SAID_FIRST, SAID_FINAL, PROVEN, CANCELLED } step;
    struct scram_client scram;
    uint8_t challenge[SMTP_CLIENT_LINE_MAX];
    size_t challenge_len;
    bool lines; /* there was more than one */
    char message[SCRAM_MESSAGE_MAX], text[SASL_BASE64_LEN(SCRAM_MESSAGE_MAX) + 1];
};

void smtp_client_login_free(struct smtp_client *c)
{
    if (!c->login)
        return;
    explicit_bzero(c->login, sizeof(*c->login));
    free(c->login);
    c->login = NULL;
}

static int begin_plain(struct smtp_client *c, struct smtp_client_login *l, const char *user)
{
    size_t u = strlen(user), p = strlen(l->password);
    uint8_t text[2 + SASL_USER_MAX + SASL_PASSWORD_MAX];

    if (u > SASL_USER_MAX || p > SASL_PASSWORD_MAX)
        return ERR_LIMIT;
    text[0] = text[1 + u] = 0;
    memcpy(text + 1, user, u);
    memcpy(text + 2 + u, l->password, p);
    sasl_base64_encode(slice_of(text, 2 + u + p), l->text);
    explicit_bzero(text, sizeof(text));
    l->step = SAID_PLAIN;
    smtp_client_put(c, "AUTH PLAIN %s\r\n", l->text);
    return OK;
}

static int begin_scram(struct smtp_client *c, struct smtp_client_login *l, const char *user, const uint8_t *nonce)
{
    int err = strlen(user) > SASL_USER_MAX || strlen(l->password) > SASL_PASSWORD_MAX
                  ? ERR_LIMIT
                  : scram_client_first(&l->scram, user, nonce, l->message);

    if (err != OK)
        return err;
    sasl_base64_encode(slice_str(l->message), l->text);
    l->step = SAID_FIRST;
    smtp_client_put(c, "AUTH SCRAM-SHA-256 %s\r\n", l->text);
    return OK;
}

int smtp_client_login(struct smtp_client *c, const char *user, const char *password, const uint8_t *nonce)
{
    const bool plain = c->offers & SMTP_OFFERS_AUTH_PLAIN && c->tls;
    int err;

    if (c->phase == CLIENT_OVER)
        return OK; /* CLOSED says so */
    bug_if(c->phase != CLIENT_IDLE || c->login);
    if (!(c->offers & SMTP_OFFERS_AUTH_SCRAM) && !plain)
        return ERR_UNSUPPORTED;
    c->login = calloc(1, sizeof(*c->login));
    if (!c->login)
        return ERR_MEMORY;
    c->login->password = password;
    err = c->offers & SMTP_OFFERS_AUTH_SCRAM ? begin_scram(c, c->login, user, nonce) : begin_plain(c, c->login, user);
    if (err != OK)
        smtp_client_login_free(c);
    else if (c->phase != CLIENT_OVER)
        c->phase = CLIENT_LOGIN;
    return err;
}

void smtp_client_login_challenge(struct smtp_client *c, struct slice text)
{
    struct smtp_client_login *l = c->login;

    l->lines = c->lines > 1; /* RFC 4954 section 4: a challenge is one line */
    l->challenge_len = text.len < sizeof(l->challenge) ? text.len : 0;
    if (l->challenge_len)
        memcpy(l->challenge, text.data, l->challenge_len);
}

/* What the server wants to know next. ERR_: it is not to be told. */
static int answer(struct smtp_client *c, struct smtp_client_login *l)
{
    uint8_t text[SMTP_CLIENT_LINE_MAX];
    long n = l->lines ? -1 : sasl_base64_decode(slice_of(l->challenge, l->challenge_len), text, sizeof(text));
    int err;

    if (n < 0)
        return ERR_FORMAT;
    switch (l->step) {
    case SAID_FIRST:
        err = scram_client_final(&l->scram, l->password, slice_of(text, (size_t)n), l->message);
        if (err != OK)
            return err;
        sasl_base64_encode(slice_str(l->message), l->text);
        l->step = SAID_FINAL;
        smtp_client_put(c, "%s\r\n", l->text);
        return OK;
    case SAID_FINAL:
        err = scram_client_verify(&l->scram, slice_of(text, (size_t)n));
        if (err != OK)
            return err;
        l->step = PROVEN;
        smtp_client_put(c, "\r\n"); /* section 4: nothing more to say */
        return OK;
    default: return ERR_FORMAT; /* nothing is left to ask */
    }
}

bool smtp_client_login_next(struct smtp_client *c)
{
    struct smtp_client_login *l = c->login;
    int code = c->last.code;

    if (code == 334 && l->step != CANCELLED) {
        if (answer(c, l) != OK) {
            l->step = CANCELLED;
            smtp_client_put(c, "*\r\n"); /* RFC 4954 section 4 */
        }
        return false;
    }
    /* A server that accepts without its proof may be anybody. */
    if (code < 400 && (code != 235 || (l->step != SAID_PLAIN && l->step != PROVEN))) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_LOGIN);
        return false;
    }
    if (l->step == CANCELLED) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_LOGIN);
        return false;
    }
    smtp_client_login_free(c);
    return true;
}
