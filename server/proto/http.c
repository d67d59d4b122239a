#include "server/proto/http.h"

#include <string.h>

/* RFC 9110 section 9, RFC 5789; PRI begins HTTP/2 (RFC 9113 section 3.4). */
static const char *const methods[] = {"GET",    "POST",    "HEAD",  "PUT",   "CONNECT",
                                      "DELETE", "OPTIONS", "TRACE", "PATCH", "PRI"};

bool http_is_request(const uint8_t *line, size_t len)
{
    const uint8_t *blank = memchr(line, ' ', len), *last = memrchr(line, ' ', len);
    size_t n = blank ? (size_t)(blank - line) : len;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (n == strlen(methods[i]) && memcmp(line, methods[i], n) == 0)
            return true;
    return last && line + len - last > 6 && memcmp(last, " HTTP/", 6) == 0;
}
