#include "tests/support/protect_property.h"

#define PROPERTY_FAIL(...)               \
    do {                                 \
        snprintf(why, 256, __VA_ARGS__); \
        goto fail;                       \
    } while (0)

const uint8_t property_key[32] = "0123456789abcdef0123456789abcdef";

struct protect_params property_params(enum header_policy policy)
{
    return (struct protect_params){
        .policy = (enum header_policy)(policy & ~POLICY_DISPLAY),
        .display = policy & POLICY_DISPLAY,
        .domain = "mail.example.org",
        .return_path = "bounces+1@example.net",
        .received = "Received: from a by mail.example.org with ESMTPS;\r\n\tTue, 1 Jan 2030 00:00:00 +0000\r\n",
        .auth_results = "Authentication-Results: mail.example.org; none\r\n",
        .pseudonym_key = property_key,
        .date = 1700000000};
}

int property_parse(const uint8_t *mail, size_t have, struct header_view *ret)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    return header_parse(mail, have, fields, HEADER_FIELDS_MAX, ret);
}

int property_protect(const struct protect_params *p, const uint8_t *mail, size_t have, size_t total,
                     struct protected_mail *ret)
{
    struct header_view v;
    bool is_8bit = false;
    int err = property_parse(mail, have, &v);
    for (size_t i = 0; i < have && !is_8bit; i++)
        is_8bit = mail[i] >= 0x80;
    return err == OK ? header_protect(p, &v, total, is_8bit, ret) : err;
}

int property_check(const uint8_t *mail, size_t len, enum header_policy policy, size_t chunk, char why[256],
                   uint8_t **ret_payload, size_t *ret_payload_len, char *ret_outer /* OUTER_MAX + 1 or NULL */)
{
    struct protect_params p = property_params(policy);
    struct protected_mail m;
    const char *reason = NULL;
    struct iovec *in = NULL, *out = NULL;
    uint8_t *payload = NULL;
    struct buf foreign;
    size_t n = 0, nout, total = 0;
    struct header_view v;
    int err = property_protect(&p, mail, len, len, &m);
    if (err == ERR_LIMIT)
        return 0;
    if (err != OK) {
        snprintf(why, 256, "header_protect: %d", err);
        return -1;
    }
    if (outer_check(m.outer.data, m.outer.len, MESSAGE_SERVER_SEALED, (uint8_t)policy, &reason) != OK)
        PROPERTY_FAIL("outer_check: %s: %.*s", reason, (int)(m.outer.len < 120 ? m.outer.len : 120), m.outer.data);
    in = calloc(len / chunk + 1, sizeof(*in));
    out = calloc(len / chunk + 1 + 2 * HEADER_INSERTIONS_MAX, sizeof(*out));
    for (size_t i = 0; i < len; i += chunk)
        in[n++] = (struct iovec){(uint8_t *)mail + i, len - i < chunk ? len - i : chunk};
    if (protected_mail_iov(&m, in, n, out, n + 2 * HEADER_INSERTIONS_MAX, &nout) != OK)
        PROPERTY_FAIL("protected_mail_iov failed");
    for (size_t i = 0; i < nout; i++)
        total += out[i].iov_len;
    payload = malloc(total + 1);
    total = 0;
    for (size_t i = 0; i < nout; i++) {
        memcpy(payload + total, out[i].iov_base, out[i].iov_len);
        total += out[i].iov_len;
    }
    if (total != len + m.inserted.len)
        PROPERTY_FAIL("pieces: %zu octets, expected %zu", total, len + m.inserted.len);
    if (ret_payload) {
        *ret_payload = malloc(total + 1);
        memcpy(*ret_payload, payload, total);
        *ret_payload_len = total;
    }
    if (ret_outer) {
        memcpy(ret_outer, m.outer.data, m.outer.len);
        ret_outer[m.outer.len] = '\0';
    }
    size_t back;
    if (header_unprotect(payload, total, &back) != OK)
        PROPERTY_FAIL("header_unprotect failed");
    if (back != len || memcmp(payload, mail, len))
        PROPERTY_FAIL("not the original: %zu octets, was %zu", back, len);
    if (property_parse(mail, len, &v) != OK)
        PROPERTY_FAIL("parsed once, not again");
    err = header_outer_foreign(&p, &v, &foreign);
    if (err != OK)
        PROPERTY_FAIL("header_outer_foreign: %d", err);
    err = outer_check(foreign.data, foreign.len, MESSAGE_FOREIGN, (uint8_t)policy, &reason);
    buf_free(&foreign);
    if (err != OK)
        PROPERTY_FAIL("outer_check foreign: %s", reason);
    free(in), free(out), free(payload);
    protected_mail_free(&m);
    return 0;
fail:
    free(in), free(out), free(payload);
    protected_mail_free(&m);
    return -1;
}
