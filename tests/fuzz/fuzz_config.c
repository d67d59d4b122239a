/* Any bytes as a configuration: refused with a reason, or written out and read back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/config.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[65536];
    struct config c, d;
    char why[200] = "";
    long n;

    memset(&c, 0x5a, sizeof(c));
    if (config_parse((const char *)data, size, &c, why, sizeof(why)) != OK) {
        if (why[0] == '\0' || *(const unsigned char *)&c != 0x5a)
            abort();
        return 0;
    }
    n = config_write(&c, text, sizeof(text));
    if (n <= 0 || config_parse(text, (size_t)n, &d, why, sizeof(why)) != OK)
        abort();
    if (config_write(&d, text, sizeof(text)) != n || strcmp(c.domain, d.domain) != 0 ||
        c.message_max != d.message_max || strcmp(c.xclient_hosts, d.xclient_hosts) != 0)
        abort();
    return 0;
}
