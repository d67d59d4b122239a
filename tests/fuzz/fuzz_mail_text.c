/* Any octets as text for people: UTF-8 without controls, in one line. The first octet picks a charset. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/text.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static void field(const char *value, int (*put)(const char *value, struct buf *out))
{
    struct buf out;
    buf_init(&out, 1 << 20, true);
    int err = put(value, &out);
    must(err == OK || err == ERR_LIMIT);
    must(utf8_printable(out.data, out.len));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const charsets[] = {NULL,      "utf-8",     "iso-8859-1", "koi8-r", "iso-2022-jp",
                                           "gb18030", "shift_jis", "utf-16",     "utf-7",  "no such"};
    enum { CHARS = 256 };
    static char utf8[1 << 16], line[4 * CHARS];
    if (size < 1)
        return 0;
    const char *charset = charsets[data[0] % (sizeof(charsets) / sizeof(*charsets))];
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    size_t n = text_to_utf8(charset, text, size - 1, utf8, sizeof(utf8));
    must(n <= sizeof(utf8));
    n = text_to_line(utf8, n, data[0] & 0x80, CHARS, line);
    must(n <= sizeof(line) && utf8_printable(line, n));
    field(text, text_put_field);
    field(text, text_put_addresses);
    free(text);
    return 0;
}
