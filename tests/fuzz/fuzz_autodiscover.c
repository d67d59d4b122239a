/* Any bytes as what Outlook posts: refused, or an address that, written into XML and read again, is the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[AUTOCONFIG_CAP + 64];
    char address[320], again[320];
    if (size > 8192 || autoconfig_read_autodiscover(slice_of(data, size), address, sizeof(address)) != OK)
        return 0;
    if (!memchr(address, '\0', sizeof(address)))
        abort();
    const struct autoconfig a = {.host = "mail.example.org", .domain = "example.org", .address = address, .imaps = 993};
    size_t len = autoconfig_write(&a, AUTOCONFIG_AUTODISCOVER, text);
    text[len] = '\0';
    char *name = strstr(text, "<LoginName>");
    if (!*address != !name)
        abort();
    if (!name)
        return 0;
    char *end = strstr(name, "</LoginName>");
    *end = '\0';
    static char request[4096];
    snprintf(request, sizeof(request), "<EMailAddress>%s</EMailAddress>", name + strlen("<LoginName>"));
    /* XML reads a carriage return as a line feed (section 2.11). */
    for (char *p = address; *p; p++)
        if (*p == '\r')
            return 0;
    if (autoconfig_read_autodiscover(slice_str(request), again, sizeof(again)) != OK || strcmp(again, address) != 0)
        abort();
    return 0;
}
