/* Mail to a submission address, as a stranger writes it. Input: octet, and behind it 0: packets as a container holds
 * them; 1: what was encrypted, a part of a message; else a whole mail, or if it begins with an octet of packets, a
 * message for our key. What is opened is never longer than the room for it; a word has its token as it stands there. */
#include <stdlib.h>
#include <string.h>

#include "crypto/wks_key.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/format/find.h"
#include "server/keys/coming.h"
#include "server/ingest/verify/wks_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 64 * 1024 };

static struct pgp_decrypt_key key;
static uint8_t packets[1024 * 1024], plain[ROOM], body[ROOM];

static void setup(void)
{
    static const uint8_t root[32] = {7}; /* as in tests/unit/crypto/test_pgp_decrypt.c */
    struct record_keys *k = record_keys_of_root(root);
    uint8_t cert[WKS_CERT_MAX];
    size_t len;
    bug_if(!k || wks_key_make(k, "example.org", cert, &len, &key) != OK);
    record_keys_destroy(k);
}

static void look_at_part(struct slice part)
{
    static struct coming coming;
    uint8_t token[UPLOAD_TOKEN_SIZE];
    char text[UPLOAD_TOKEN_TEXT];
    const char *why;
    size_t len;
    if (pgp_find_part(part, WKS_TYPE, body, sizeof(body), &len) == OK) {
        bug_if(len > sizeof(body));
        if (wks_response_read(slice_of(body, len), token) == OK) {
            keys_token_write(token, text);
            bug_if(!memmem(body, len, text, strlen(text)));
        }
    }
    if (pgp_find_part(part, "application/pgp-keys", body, sizeof(body), &len) == OK)
        (void)keys_coming_read(&coming, slice_of(body, len), &why);
}

static void look_at_opened(int err, size_t len)
{
    bug_if(err != OK && err != ERR_CRYPTO && err != ERR_FORMAT && err != ERR_UNSUPPORTED && err != ERR_LIMIT);
    if (err)
        return;
    bug_if(len > sizeof(plain));
    look_at_part(slice_of(plain, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgp_found found;
    size_t len = 0;
    if (!key.secret[0] && !key.secret[1])
        setup();
    if (size < 2 || size > sizeof(packets))
        return 0;
    const struct slice rest = slice_of(data + 1, size - 1);
    if (data[0] == 0) {
        look_at_opened(pgp_literal_read(rest, plain, sizeof(plain), &len), len);
    } else if (data[0] == 1) {
        look_at_part(rest);
    } else if (rest.data[0] & 0x80) {
        look_at_opened(pgp_decrypt(&key, rest, plain, sizeof(plain), &len), len);
    } else if (pgp_find_message(rest.data, rest.len, packets, sizeof(packets), &found) == OK) {
        look_at_opened(pgp_decrypt(&key, slice_of(packets, found.len), plain, sizeof(plain), &len), len);
    }
    return 0;
}
