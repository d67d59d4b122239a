/* Certificates that strangers send in: by VKS (JSON) and by HKP (a form). Nothing is kept for them here: the token of
 * VKS is the certificate itself, made small. What is answered does not depend on who is here. */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keyserver/impl.h"
#include "server/core/error.h"
#include "server/keys/upload.h"

/* ---- answers ---- */

static void answer_text(struct http_exchange *x, unsigned status, const char *text)
{
    http_answer(x,
                &(struct http_reply){.status = status, .type = "text/plain; charset=utf-8", .body = slice_str(text)});
}

static void answer_json(struct http_exchange *x, unsigned status, json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (text)
        http_answer(x, &(struct http_reply){.status = status, .type = "application/json", .body = slice_str(text)});
    else
        http_answer_status(x, 503);
    free(text);
    json_decref(root);
}

static void answer_error(struct http_exchange *x, unsigned status, const char *why)
{
    answer_json(x, status, json_pack("{s:s}", "error", why));
}

typedef void answer_fn(struct http_exchange *x, unsigned status, const char *text);

/* What is asked before anything is read. */
static bool is_taken(struct keyserver *k, struct http_exchange *x, const struct http_request *r, answer_fn *no)
{
    const struct keyserver_uploads *u = k->uploads;
    if (!u->wanted(u->arg))
        no(x, 403, "This server takes no certificates.");
    else if (!u->may(u->arg, r->peer))
        no(x, 429, "Too many for now: later.");
    else
        return true;
    return false;
}

/* ---- JSON ---- */

enum { JSON_DEPTH = 3, JSON_VALUES = 128 };

/* The parser makes something of each value: so many, so deep, and no more. */
static bool is_small(struct slice json)
{
    size_t depth = 0, values = 0;
    bool text = false;
    for (size_t i = 0; i < json.len; i++) {
        const uint8_t c = json.data[i];
        if (text && c == '\\')
            i++;
        else if (c == '"')
            text = !text;
        else if (text)
            continue;
        else if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth)
            depth--;
        values += !text && (c == ',' || c == ':' || c == '[' || c == '{');
        if (depth > JSON_DEPTH || values > JSON_VALUES)
            return false;
    }
    return true;
}

static json_t *read_json(const struct http_request *r)
{
    json_t *root =
        is_small(r->body) ? json_loadb((const char *)r->body.data, r->body.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

static bool get_text(const json_t *root, const char *name, struct slice *ret)
{
    const json_t *s = json_object_get(root, name);
    if (!json_is_string(s))
        return false;
    *ret = slice_of(json_string_value(s), json_string_length(s));
    return true;
}

/* ---- VKS ---- */

/* What everybody can fetch says it: to the octet, so that a newer copy can be asked for. */
static bool is_published(struct keyserver *k, const char *address)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    struct pgp_published p;
    size_t len;
    return keyserver_find_address(k, address, strlen(address)) == OK && pgp_published_read(k->cert, k->len, &p) == OK &&
           p.key[0].fpr_len == k->coming.fpr_len && !memcmp(p.key[0].fpr, k->coming.fpr, k->coming.fpr_len) &&
           keys_coming_for(&k->coming, address, cert, &len) == OK && len == k->len && !memcmp(cert, k->cert, len);
}

static const char *state_of(struct keyserver *k, const char *address, const bool *asked)
{
    return k->coming.revoked ? "revoked" : is_published(k, address) ? "published" : *asked ? "pending" : "unpublished";
}

static json_t *describe(struct keyserver *k, const bool asked[COMING_ADDRESSES_MAX])
{
    static char token[KEYSERVER_TOKEN_MAX], fpr[2 * PGP_FPR_MAX + 1];
    const struct coming *c = &k->coming;
    json_t *status = json_object();
    sodium_bin2hex(token, sizeof(token), c->cert, c->len);
    sodium_bin2hex(fpr, sizeof(fpr), c->fpr, c->fpr_len);
    for (char *p = fpr; *p; p++)
        *p = *p >= 'a' ? (char)(*p - 32) : *p;
    for (size_t i = 0; status && i < c->n; i++)
        json_object_set_new(status, c->address[i], json_string(state_of(k, c->address[i], &asked[i])));
    return json_pack("{s:s,s:s,s:o}", "token", token, "key_fpr", fpr, "status", status);
}

static void answer_coming(struct keyserver *k, struct http_exchange *x, const bool asked[COMING_ADDRESSES_MAX])
{
    answer_json(x, 200, describe(k, asked));
}

void keyserver_vks_upload(void *service, struct http_exchange *x, const struct http_request *r)
{
    static const bool nobody[COMING_ADDRESSES_MAX];
    struct keyserver *k = service;
    struct slice text;
    const char *why = "There is no \"keytext\" in it, or it is no JSON.";
    if (!is_taken(k, x, r, answer_error))
        return;
    json_t *root = read_json(r);
    int err = root && get_text(root, "keytext", &text) ? keys_coming_read(&k->coming, text, &why) : ERR_FORMAT;
    json_decref(root);
    if (err)
        answer_error(x, err == ERR_MEMORY ? 503 : 400, why);
    else
        answer_coming(k, x, nobody);
}

/* The mail goes out, or it does not: the same work here, whoever it is. */
static bool ask(struct keyserver *k, size_t i)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    const struct coming *c = &k->coming;
    size_t len;
    if (c->revoked || keys_coming_for(c, c->address[i], cert, &len) != OK)
        return false;
    k->uploads->verify(k->uploads->arg, c->address[i], slice_of(cert, len));
    return true;
}

static bool find_address(const struct coming *c, const char *text, size_t len, size_t *ret)
{
    char address[ADDRESS_MAX];
    size_t at, plus;
    if (address_normalize(text, len, address, &at, &plus) != OK)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->address[i], address)) {
            *ret = i;
            return true;
        }
    return false;
}

/* Those of the list that the certificate has, each once. */
static void ask_all(struct keyserver *k, const json_t *list, bool asked[COMING_ADDRESSES_MAX])
{
    size_t n = 0, at;
    for (size_t i = 0; i < json_array_size(list) && n < UPLOAD_VERIFY_MAX; i++) {
        const json_t *s = json_array_get(list, i);
        if (!json_is_string(s) || !find_address(&k->coming, json_string_value(s), json_string_length(s), &at) ||
            asked[at])
            continue;
        asked[at] = ask(k, at);
        n++;
    }
}

static int read_token(struct keyserver *k, struct slice text, const char **ret_why)
{
    uint8_t *cert = malloc(COMING_MAX);
    size_t len;
    int err = cert ? OK : ERR_MEMORY;
    if (!err && !keys_hex_read(text, cert, COMING_MAX, &len))
        err = ERR_FORMAT;
    if (!err)
        err = keys_coming_again(&k->coming, cert, len, ret_why);
    free(cert);
    return err;
}

void keyserver_vks_request_verify(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct keyserver *k = service;
    bool asked[COMING_ADDRESSES_MAX] = {false};
    struct slice text;
    const char *why = "There is no such \"token\", or no list of \"addresses\".";
    if (!is_taken(k, x, r, answer_error))
        return;
    json_t *root = read_json(r), *list = json_object_get(root, "addresses");
    int err = json_is_array(list) && get_text(root, "token", &text) ? read_token(k, text, &why) : ERR_FORMAT;
    if (!err)
        ask_all(k, list, asked);
    json_decref(root);
    if (err)
        answer_error(x, err == ERR_MEMORY ? 503 : 400, why);
    else
        answer_coming(k, x, asked);
}

/* ---- HKP ---- */

static int read_form(struct keyserver *k, const struct http_request *r, const char **ret_why)
{
    struct http_request form = *r;
    struct slice text;
    char *buf = malloc(r->body.len + 1);
    int err = ERR_MEMORY;
    form.query = r->body;
    if (buf)
        err = http_query(&form, "keytext", buf, r->body.len + 1, &text) ? keys_coming_read(&k->coming, text, ret_why)
                                                                        : ERR_FORMAT;
    free(buf);
    return err;
}

static const char READ[] =
    "The certificate was read. Those of its addresses that can be published here were written to; "
    "what the mail says publishes them.";

/* draft-ietf-openpgp-hkp: who sends names no addresses, so each that is of a domain here is asked. */
void keyserver_hkp_add(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct keyserver *k = service;
    const char *why = "There is no \"keytext\" in the form.";
    if (!is_taken(k, x, r, answer_text))
        return;
    int err = read_form(k, r, &why);
    if (err) {
        answer_text(x, err == ERR_MEMORY ? 503 : 400, why);
        return;
    }
    for (size_t i = 0, n = 0; i < k->coming.n && n < UPLOAD_VERIFY_MAX; i++)
        if (keyserver_is_hosted(k, strrchr(k->coming.address[i], '@') + 1)) {
            ask(k, i);
            n++;
        }
    answer_text(x, 200, READ);
}
