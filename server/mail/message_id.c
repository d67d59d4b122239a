#include "server/mail/message_id.h"

#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/address.h"
#include "server/mail/token.h"

/* Wider than msg-id of RFC 5322 section 3.6.4 where real ids are; nothing that comments or breaks a line. On the left a
 * quoted string may stand (section 4.5.4), but no bracket in it. */
bool message_id_valid(const uint8_t *s, size_t len)
{
    if (len < 5 || len > MESSAGE_ID_MAX || s[0] != '<' || s[len - 1] != '>')
        return false;
    size_t ats = 0;
    for (size_t i = 1; i < len - 1; i++) {
        size_t n = ats ? 0 : token_quoted(s + i, len - 1 - i, false);
        if (n && !memchr(s + i, '<', n) && !memchr(s + i, '>', n)) {
            i += n - 1;
            continue;
        }
        if (s[i] <= ' ' || s[i] == 0x7f || strchr("<>()\"\\", s[i]))
            return false;
        ats += s[i] == '@';
    }
    return ats && s[1] != '@' && s[len - 2] != '@' && utf8_valid(s, len);
}

bool message_id_list_valid(const uint8_t *s, size_t len)
{
    for (size_t i = 0;;) {
        const uint8_t *end = i < len ? memchr(s + i, '>', len - i) : NULL;
        if (!end || !message_id_valid(s + i, (size_t)(end - s) + 1 - i))
            return false;
        i = (size_t)(end - s) + 1;
        if (i == len)
            return true;
        size_t start = i;
        while (i < len && token_is_space(s[i]))
            i++;
        if (i == start)
            return false;
    }
}

size_t message_id_text(const uint8_t *s, size_t len, char out[MESSAGE_ID_MAX])
{
    char spec[ADDRESS_CANONICAL_MAX];
    uint8_t line[MESSAGE_ID_MAX]; /* unfolded */
    size_t n = 0, end = 0;
    if (message_id_valid(s, len)) {
        memcpy(out, s, len);
        return len;
    }
    for (size_t i = 0; i < len && len <= MESSAGE_ID_MAX; i++)
        if (s[i] != '\r' && s[i] != '\n')
            line[end++] = s[i];
    if (end < 5 || !address_spec_read(slice_of(line + 1, end - 2), spec))
        return 0;
    for (size_t i = 0, u; i < end; i += u) { /* obs-id-left and obs-id-right are local-part and domain */
        u = token_unit(line + i, end - i);
        if (line[i] == '(' || token_is_space(line[i]))
            continue;
        memcpy(out + n, line + i, u);
        n += u;
    }
    return message_id_valid((const uint8_t *)out, n) ? n : 0;
}

void message_id_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const uint8_t *id, size_t len), void *arg)
{
    size_t open = len;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '<')
            open = i;
        else if (s[i] == '>' && open < len) {
            char text[MESSAGE_ID_MAX];
            if (message_id_text(s + open, i + 1 - open, text) && fn(arg, s + open, i + 1 - open))
                return;
            open = len;
        }
    }
}
