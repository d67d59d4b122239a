/* Looking up by HKP (draft-gallagher-openpgp-hkp) and by VKS, the interface of keys.openpgp.org. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keyserver/impl.h"
#include "server/core/digit.h"
#include "server/core/error.h"

enum { SEARCH_MAX = 600 };

/* Hexadecimal digits, "0x" before them or not, without the blanks by which programs show a fingerprint in groups. */
static bool read_hex(struct slice s, char out[SEARCH_MAX], struct slice *ret)
{
    size_t i = s.len > 2 && s.data[0] == '0' && (s.data[1] | 0x20) == 'x' ? 2 : 0, n = 0;
    for (; i < s.len; i++)
        if (digit_hex(s.data[i]) >= 0)
            out[n++] = (char)s.data[i];
        else if (s.data[i] != ' ')
            return false;
    *ret = slice_of(out, n);
    return n > 0;
}

/* "0x" and hexadecimal digits, or an address, alone or in the form of a user id. */
static int find(struct keyserver *k, struct slice search)
{
    char address[ADDRESS_MAX], digits[SEARCH_MAX];
    struct slice hex;
    size_t at, plus;
    if (read_hex(search, digits, &hex))
        return keyserver_find_key(k, hex);
    int err = address_of_user_id((const char *)search.data, search.len, address, &at, &plus);
    return err ? keyserver_unread(err) : keyserver_find_address(k, address, strlen(address));
}

/* ---- the machine-readable index ---- */

struct text {
    char *p;
    size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *form, ...)
{
    va_list ap;
    va_start(ap, form);
    int n = vsnprintf(t->p + t->len, t->cap - t->len, form, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < t->cap - t->len)
        t->len += (size_t)n;
}

/* Percent-encoded but for what stands for itself: colons and ends of lines do not. */
static void say_user_id(struct text *t, const uint8_t *id, size_t len)
{
    say(t, "uid:");
    for (size_t i = 0; i < len; i++)
        if (id[i] > 0x20 && id[i] < 0x7f && id[i] != ':' && id[i] != '%')
            say(t, "%c", id[i]);
        else
            say(t, "%%%02X", id[i]);
    say(t, ":::\n");
}

static void answer_index(struct keyserver *k, struct http_exchange *x, int err)
{
    struct pgp_published p;
    char fpr[2 * PGP_FPR_MAX + 1];
    struct text t = {k->text, sizeof(k->text), 0};
    if (!err)
        err = pgp_published_read(k->cert, k->len, &p);
    if (err) {
        keyserver_answer_not_found(x, err);
        return;
    }
    sodium_bin2hex(fpr, sizeof(fpr), p.key[0].fpr, p.key[0].fpr_len);
    for (char *c = fpr; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 32) : *c;
    say(&t, "info:1:1\npub:%s:%u::%u::%s\n", fpr, p.key[0].algo, p.key[0].created, p.revoked ? "r" : "");
    for (size_t i = 0; i < p.nuser_ids; i++)
        say_user_id(&t, p.user_id[i].text, p.user_id[i].len);
    http_answer(x, &(struct http_reply){.status = 200,
                                        .type = "text/plain; charset=utf-8",
                                        .body = slice_of(k->text, t.len)});
}

void keyserver_hkp_lookup(void *service, struct http_exchange *x, const struct http_request *r)
{
    static const struct {
        const char *op;
        void (*answer)(struct keyserver *k, struct http_exchange *x, int err);
    } ops[] = {{"get", keyserver_answer_armored}, {"index", answer_index}, {"vindex", answer_index}};
    struct keyserver *k = service;
    char op_text[16], search_text[SEARCH_MAX];
    struct slice op, search;
    size_t i = 0, n = sizeof(ops) / sizeof(ops[0]);
    if (!http_query(r, "op", op_text, sizeof(op_text), &op)) {
        http_answer_status(x, 400);
        return;
    }
    while (i < n && (op.len != strlen(ops[i].op) || memcmp(op.data, ops[i].op, op.len)))
        i++;
    if (i == n)
        http_answer_status(x, 501); /* section 3.1.1: an operation that is not supported, whatever it needs */
    else if (!http_query(r, "search", search_text, sizeof(search_text), &search))
        http_answer_status(x, 400);
    else
        ops[i].answer(k, x, find(k, search));
}

/* ---- VKS ---- */

static void give_key(struct keyserver *k, struct http_exchange *x, struct slice name, bool fits)
{
    keyserver_answer_armored(k, x, fits ? keyserver_find_key(k, name) : ERR_NOT_FOUND);
}

void keyserver_vks_fingerprint(void *service, struct http_exchange *x, const struct http_request *r)
{
    give_key(service, x, r->params[0], r->params[0].len >= 40);
}

void keyserver_vks_keyid(void *service, struct http_exchange *x, const struct http_request *r)
{
    give_key(service, x, r->params[0], r->params[0].len < 40);
}

void keyserver_vks_email(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct keyserver *k = service;
    keyserver_answer_armored(k, x, keyserver_find_address(k, (const char *)r->params[0].data, r->params[0].len));
}
