/* Finding encrypted mail, and armour by itself: what decodes must come back the same when it is encoded again, and what
 * was found must be found again, equal, in what is served of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "server/format/find.h"
#include "server/core/error.h"
#include "server/format/render.h"
#include "tests/unit/armor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void armour(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t n, from, to;
    if (pgp_armor_decode(data, size, "MESSAGE", out, size, &n, &from, &to) != OK)
        return;
    if (n > size || from > to || to > size)
        abort();
    size_t len = armor_size(n, "MESSAGE"), n2;
    char *text = malloc(len + 1);
    uint8_t *back = malloc(n + 1);
    if (armor_encode(out, n, "MESSAGE", text) != len ||
        pgp_armor_decode((uint8_t *)text, len, "MESSAGE", back, n, &n2, &from, &to) != OK || n2 != n ||
        memcmp(back, out, n) != 0)
        abort();
    free(text);
    free(back);
}

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    memcpy(out, (const uint8_t *)arg + offset, len);
    return OK;
}

/* Mail whose header goes beyond the limits is refused before anybody looks. */
static bool likely(const uint8_t *mail, size_t len)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    return header_parse(mail, len, fields, HEADER_FIELDS_MAX, &v) != OK || pgp_find_likely(&v, len);
}

static void serve_and_find(uint8_t *packets, const struct pgp_found *found)
{
    static const char outer[] = "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\nSubject: [...]\r\n";
    struct render_source s = {.version = RENDER_VERSION,
                              .message = found->len,
                              .outer = (const uint8_t *)outer,
                              .outer_len = sizeof(outer) - 1,
                              .packets_len = found->len,
                              .read = read_packets,
                              .arg = packets};
    if (found->in_line && render_inline_version(found->charset, &s.version) != OK)
        return;
    size_t size = (size_t)render_size(s.version, s.outer_len, found->len), n;
    uint8_t *mail = malloc(size), *back = malloc(size), version = RENDER_VERSION;
    struct pgp_found again;
    if (render_range(&s, 0, size, mail, &n) != OK || n != size || !likely(mail, size) ||
        pgp_find_message(mail, size, back, size, &again) != OK || again.len != found->len ||
        again.in_line != found->in_line || memcmp(back, packets, found->len) != 0)
        abort();
    if (again.in_line && render_inline_version(again.charset, &version) != OK)
        abort();
    if (version != s.version)
        abort();
    free(mail);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *out = malloc(size + 1);
    struct pgp_found found = {0};
    bool maybe = likely(data, size);
    if (pgp_find_message(data, size, out, size, &found) == OK) {
        if (!maybe || found.len == 0 || found.len > size || memchr(found.charset, 0, sizeof(found.charset)) == NULL ||
            (!found.in_line && found.charset[0] != '\0'))
            abort();
        serve_and_find(out, &found);
    }
    armour(data, size, out);
    free(out);
    return 0;
}
