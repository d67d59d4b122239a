/* Any bytes as relay.policy: refused with a line's number, or read into routes that stand within their bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/relay_policy.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_policy *p = NULL;
    char why[200] = "", word[300];
    const struct relay_route *r;
    size_t len = size < sizeof(word) - 1 ? size : sizeof(word) - 1;

    if (relay_policy_parse((const char *)data, size, &p, why, sizeof(why)) != OK) {
        if (p || strncmp(why, "line ", 5) != 0)
            abort();
        return 0;
    }
    /* Its first word is asked for, in whatever case. */
    memcpy(word, data, len);
    word[len] = '\0';
    word[strcspn(word, " \t\r\n#")] = '\0';
    r = relay_policy_route(p, word);
    if (r && (memchr(r->host, '\0', sizeof(r->host)) == NULL || (unsigned)r->tls > TLS_FINGERPRINT))
        abort();
    (void)relay_policy_source(p, word[0] == '@' ? word + 1 : word);
    relay_policy_free(p);
    return 0;
}
