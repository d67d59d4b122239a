/* opaque_tool: the server's half of OPAQUE for a client in another program. Octets are base64url without padding. Lines
 * of input, and the line that each gets back ("-": refused):
 *   register CREDENTIAL REQUEST    the response
 *   login CREDENTIAL RECORD KE1    KE2; a record "none" is of nobody
 *   finish KE3                     the session key of the last login */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "crypto/opaque.h"
#include "server/core/error.h"

enum { LINE_OCTETS = 2048 };

static struct opaque_server server;
static struct opaque_login login;

static bool read_octets(const char *word, uint8_t *out, size_t len)
{
    size_t n = 0;

    return word &&
           sodium_base642bin(out, len, word, strlen(word), NULL, &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
               0 &&
           n == len;
}

static void say(const uint8_t *octets, size_t len)
{
    char text[LINE_OCTETS];

    puts(sodium_bin2base64(text, sizeof(text), octets, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING));
    fflush(stdout);
}

static bool do_register(const char *credential, const char *word)
{
    uint8_t request[OPAQUE_REQUEST_SIZE], response[OPAQUE_RESPONSE_SIZE];

    if (!read_octets(word, request, sizeof(request)) ||
        opaque_register(&server, slice_str(credential), request, response) != OK)
        return false;
    say(response, sizeof(response));
    return true;
}

static bool do_login(const char *credential, const char *word, const char *more)
{
    uint8_t record[OPAQUE_RECORD_SIZE], ke1[OPAQUE_KE1_SIZE], ke2[OPAQUE_KE2_SIZE], random[OPAQUE_RANDOM_SIZE];

    randombytes_buf(random, sizeof(random));
    if (strcmp(word, "none") == 0) {
        opaque_record_fake(random, record);
        randombytes_buf(random, sizeof(random));
    } else if (!read_octets(word, record, sizeof(record))) {
        return false;
    }
    if (!read_octets(more, ke1, sizeof(ke1)) ||
        opaque_login_start(&server, NULL, slice_str(credential), record, ke1, random, ke2, &login) != OK)
        return false;
    say(ke2, sizeof(ke2));
    return true;
}

static bool do_finish(const char *word)
{
    uint8_t ke3[OPAQUE_KE3_SIZE];

    if (!read_octets(word, ke3, sizeof(ke3)) || opaque_login_finish(&login, ke3) != OK)
        return false;
    say(login.session_key, sizeof(login.session_key));
    return true;
}

static bool run(char *line)
{
    const char *verb = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"),
               *c = strtok(NULL, " \n");

    if (verb && strcmp(verb, "register") == 0 && b)
        return do_register(a, b);
    if (verb && strcmp(verb, "login") == 0 && c)
        return do_login(a, b, c);
    return verb && strcmp(verb, "finish") == 0 && a && do_finish(a);
}

int main(void)
{
    static const uint8_t root[32] = {7};
    char line[LINE_OCTETS];

    if (sodium_init() < 0)
        return 1;
    opaque_server_derive(root, &server);
    while (fgets(line, sizeof(line), stdin))
        if (!run(line)) {
            puts("-");
            fflush(stdout);
        }
    return 0;
}
