/* SCRAM's messages of either side. The first octet says whose and how many follow, parted by line ends: the client's to
 * a server, or the server's to a client. Nobody gets in without the keys. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/proto/scram.h"

static const uint8_t octets[32] = "0123456789abcdefghijklmnopqrstu";

static struct slice next_line(struct slice *left)
{
    const uint8_t *end = left->len ? memchr(left->data, '\n', left->len) : NULL;
    struct slice line = slice_of(left->data, end ? (size_t)(end - left->data) : left->len);

    *left = end ? slice_of(end + 1, left->len - line.len - 1) : slice_of(left->data + line.len, 0);
    return line;
}

static void as_server(uint8_t options, struct slice text)
{
    static struct scram_server s;
    char out[SCRAM_MESSAGE_MAX];
    struct slice first = next_line(&text);

    memset(&s, 0, sizeof(s));
    if (scram_server_first(&s, options & 2, options & 4, first) != OK)
        return;
    if (s.user_len == 0 || strlen(s.user) != s.user_len || (s.binding != SCRAM_NOT_BOUND) != !!(options & 2))
        abort();
    scram_server_challenge(&s, octets, octets, 4096, out);
    if (strlen(out) >= SCRAM_MESSAGE_MAX || !strstr(out, ",i=4096"))
        abort();
    if (options & 8) /* so that a nonce which stands in the input can be right */
        strcpy(s.nonce, "nonce");
    if (scram_server_final(&s, next_line(&text), slice_of(octets, s.binding ? 32 : 0)) == OK &&
        scram_server_fits(&s, octets, octets))
        abort();
}

static void as_client(struct slice text)
{
    static struct scram_client c;
    char out[SCRAM_MESSAGE_MAX];

    memset(&c, 0, sizeof(c));
    if (scram_client_first(&c, "user", octets, out) != OK)
        abort();
    strcpy(c.nonce, "nonce");
    if (scram_client_final(&c, "pencil", next_line(&text), out) != OK)
        return;
    if (strlen(out) >= SCRAM_MESSAGE_MAX || strncmp(out, "c=biws,r=nonce", 14) != 0)
        abort();
    (void)scram_client_verify(&c, next_line(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    if (data[0] & 1)
        as_client(slice_of(data + 1, len - 1));
    else
        as_server(data[0], slice_of(data + 1, len - 1));
    return 0;
}
