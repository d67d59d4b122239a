/* The capsule's JSON (RFC 8259), each string within its share. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/format/capsule_impl.h"

void capsule_raw(struct json *j, const char *s)
{
    if (j->err == OK)
        j->err = buf_puts(j->out, s);
    j->comma = false;
}

void capsule_key(struct json *j, const char *key)
{
    bool comma = j->comma;
    capsule_raw(j, comma ? ",\"" : "\"");
    capsule_raw(j, key);
    capsule_raw(j, "\":");
    j->comma = true;
}

void capsule_string(struct json *j, const char *s, size_t len, size_t share)
{
    char esc[8];
    size_t used = 2;
    capsule_raw(j, "\"");
    for (size_t i = 0, n; i < len && j->err == OK; i += n) {
        uint8_t c = (uint8_t)s[i];
        const char *put = s + i;
        uint32_t decoded;
        size_t put_len = n = c < 0x80 ? c != 0 : utf8_decode(s + i, len - i, &decoded);
        if ((c < 0x20 && c) || c == 0x7f) {
            put_len = (size_t)snprintf(esc, sizeof(esc), "\\u%04x", c);
            put = esc;
            n = 1;
        } else if (c == '"' || c == '\\') {
            put_len = (size_t)snprintf(esc, sizeof(esc), "\\%c", c);
            put = esc;
        } else if (!n) {
            n = 1;
            put = "\xef\xbf\xbd";
            put_len = 3;
        } else if (c < 0x80) { /* runs of plain characters go at once */
            while (i + n < len && (c = (uint8_t)s[i + n]) >= 0x20 && c < 0x7f && c != '"' && c != '\\' &&
                   used + n < share)
                n++;
            put_len = n;
        }
        if (used + put_len > share)
            break;
        used += put_len;
        j->err = buf_append(j->out, put, put_len);
    }
    capsule_raw(j, "\"");
    j->comma = true;
}
