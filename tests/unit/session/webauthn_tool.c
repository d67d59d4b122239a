/* webauthn_tool DOMAIN ORIGIN: the server's half of WebAuthn for a browser. "ready", then lines of input, and the line
 * that each gets back. VERIFY is "yes" or "no"; each challenge is answered once.
 *   creation VERIFY    what is asked (JSON)
 *   request VERIFY
 *   made JSON          "ok", the lengths of its id and key, or the error
 *   used JSON          "ok", which one, its count */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/buf.h"
#include "server/core/error.h"
#include "webmail-api/session/webauthn.h"

static struct webauthn_credential have[WEBAUTHN_CREDENTIALS_MAX];
static size_t n;

static void say_options(struct webauthn_asked *a, bool creation, bool verify)
{
    struct json_out o;
    struct buf b;

    a->verify = verify;
    randombytes_buf(a->challenge, sizeof(a->challenge));
    buf_init(&b, 65536, false);
    json_out_init(&o);
    if (creation)
        webauthn_put_creation(&o, a, "Letterlock", "reader@example.org", have, n);
    else
        webauthn_put_request(&o, a, have, n);
    if (json_out_finish(&o, &b) == OK)
        printf("%.*s\n", (int)b.len, (const char *)b.data);
    buf_free(&b);
}

static void say_made(const struct webauthn_asked *a, const char *json)
{
    int err = n < WEBAUTHN_CREDENTIALS_MAX ? webauthn_register(slice_str(json), a, &have[n]) : ERR_FULL;

    if (err != OK) {
        puts(err_str(err));
        return;
    }
    printf("ok %zu %zu\n", have[n].id_len, have[n].key_len);
    n++;
}

static void say_used(const struct webauthn_asked *a, const char *json)
{
    size_t which;
    uint32_t count;
    int err = webauthn_verify(slice_str(json), a, have, n, &which, &count);

    if (err != OK) {
        puts(err_str(err));
        return;
    }
    printf("ok %zu %u\n", which, count);
    have[which].count = count;
}

int main(int argc, char **argv)
{
    struct webauthn_asked a = {.rp_id = argc > 1 ? argv[1] : "",
                               .origin = argc > 2 ? argv[2] : "",
                               .user = slice_str("a handle")};
    char *line = NULL;
    size_t cap = 0;

    if (argc != 3 || sodium_init() < 0 || webauthn_prepare() != OK)
        return 2;
    puts("ready");
    fflush(stdout);
    while (getline(&line, &cap, stdin) > 0) {
        const char *word = strtok(line, " \n"), *rest = strtok(NULL, "\n");
        const bool asks = word && (strcmp(word, "creation") == 0 || strcmp(word, "request") == 0);
        if (!rest)
            puts("?");
        else if (asks)
            say_options(&a, *word == 'c', strcmp(rest, "yes") == 0);
        else if (strcmp(word, "made") == 0)
            say_made(&a, rest);
        else
            say_used(&a, rest);
        if (!asks)
            randombytes_buf(a.challenge, sizeof(a.challenge));
        fflush(stdout);
    }
    free(line);
    return 0;
}
