/* What strangers send in: any bytes for a body of JSON, for a form, or for a certificate in either, whose signatures
 * count if half of their octets say so. Whatever it is, it is answered once; what is handed on is fit to be published,
 * of one address (the bench looks); a token leads to the certificate that it was given for. */
#include <jansson.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "keyserver/impl.h"
#include "server/core/error.h"
#include "tests/fuzz/pgp_half.h"
#include "tests/support/keyserver_bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keyserver_bench b;

static void check(unsigned status)
{
    must(status == 200 || status == 400 || status == 413);
    must(b.a.times == (status != 413) && (!b.a.times || b.a.status == status));
    must(b.handed.n <= UPLOAD_VERIFY_MAX);
}

static json_t *check_json(unsigned status)
{
    check(status);
    json_t *root = b.a.times ? json_loadb((const char *)b.a.body, b.a.len, 0, NULL) : NULL;
    must(!b.a.times || (json_is_object(root) && !strcmp(b.a.type, "application/json")));
    must(status != 200 || (json_is_string(json_object_get(root, "token")) && json_object_get(root, "status")));
    must(status != 400 || json_is_string(json_object_get(root, "error")));
    return root;
}

static json_t *post(const char *path, struct slice body)
{
    b.handed.n = 0;
    return check_json(keyserver_bench_post(&b, path, "application/json", body));
}

static json_t *post_json(const char *path, json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT);
    json_t *said = text ? post(path, slice_str(text)) : NULL;
    json_decref(root);
    free(text);
    return said;
}

/* All of its addresses, by the token that came. */
static void verify(json_t *said)
{
    json_t *list = json_array(), *token = json_object_get(said, "token"), *value;
    const char *address;
    json_object_foreach(json_object_get(said, "status"), address, value)
        json_array_append_new(list, json_string(address));
    json_t *again = post_json("/vks/v1/request-verify", json_pack("{s:O,s:o}", "token", token, "addresses", list));
    must(b.a.status == 200 && json_equal(json_object_get(again, "token"), token));
    json_decref(again);
}

static void send_cert(const uint8_t *data, size_t size)
{
    const size_t cap = 2 * size + 512;
    char *armour = malloc(cap), *token = malloc(2 * size + 8);
    size_t len = 0;
    must(armour && token && pgp_armor_encode(data, size, "PUBLIC KEY BLOCK", false, armour, cap, &len) == OK);
    json_t *said = post_json("/vks/v1/upload", json_pack("{s:s#}", "keytext", armour, len));
    must(b.handed.n == 0);
    if (b.a.status == 200)
        verify(said);
    json_decref(said);
    sodium_bin2hex(token, 2 * size + 8, data, size);
    json_decref(post_json("/vks/v1/request-verify", json_pack("{s:s,s:[s]}", "token", token, "addresses", ANN)));
    free(armour);
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)keep_short;
    if (!b.keyserver)
        keyserver_bench_open(&b);
    if (!size)
        return 0;
    const struct slice rest = slice_of(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0: json_decref(post("/vks/v1/upload", rest)); break;
    case 1: json_decref(post("/vks/v1/request-verify", rest)); break;
    case 2:
        b.handed.n = 0;
        check(keyserver_bench_post(&b, "/pks/add", "application/x-www-form-urlencoded", rest));
        break;
    default: send_cert(rest.data, rest.len);
    }
    return 0;
}
