#include "server/mail/message_id.h"

#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/token.h"

/* Wider than msg-id of RFC 5322 3.6.4 where real ids are; nothing that quotes, comments or breaks a line. */
bool message_id_valid(const uint8_t *s, size_t len)
{
    if (len < 5 || len > MESSAGE_ID_MAX || s[0] != '<' || s[len - 1] != '>')
        return false;
    size_t ats = 0;
    for (size_t i = 1; i < len - 1; i++) {
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

void message_id_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const uint8_t *id, size_t len), void *arg)
{
    size_t open = len;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '<')
            open = i;
        else if (s[i] == '>' && open < len) {
            if (message_id_valid(s + open, i + 1 - open) && fn(arg, s + open, i + 1 - open))
                return;
            open = len;
        }
    }
}
