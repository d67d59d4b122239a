/* The gate's look at an outer header. What passes holds no line that could end a header, no control octet and no second
 * Subject. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/format/outer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    if (size < 1)
        return 0;
    size_t len = size - 1, subjects = 0, line = 0;
    uint8_t *s = malloc(len + 1), kind = 1 + data[0] % 3, policy = data[0] / 3 % 3;
    memcpy(s, data + 1, len);
    s[len] = 0;
    if (outer_check(s, len, kind, policy, &why) != OK) {
        if (!why)
            abort();
    } else {
        for (size_t i = 0; i < len; i++) {
            if ((s[i] < ' ' && !strchr("\t\r\n", s[i])) || !s[i] || (s[i] == '\n') != (i && s[i - 1] == '\r') ||
                (s[i] == '\r' && s[i + 1] != '\n'))
                abort();
            if (line == 0 && s[i] == '\r')
                abort();
            if (line == 0 && len - i > 8 && !strncasecmp((char *)s + i, "subject:", 8))
                subjects++;
            line = s[i] == '\n' ? 0 : line + 1;
            if (line > 1000)
                abort();
        }
        if (subjects > 1 || (kind == 1 && !memmem(s, len, "Subject: [...]\r\n", 16)))
            abort();
    }
    free(s);
    return 0;
}
