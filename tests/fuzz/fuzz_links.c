/* Any bytes as a mail, as text and as HTML: few links, each to a host in its one form, which a link to it has too. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/links.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct links *l)
{
    if (l->n > LINKS_MAX)
        abort();
    for (size_t i = 0; i < l->n; i++) {
        const char *host = l->v[i].host;
        struct links again = {0};
        char text[DOMAIN_CAP + 32];
        if (!host[0] || strlen(host) >= DOMAIN_CAP || host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:[]")])
            abort();
        const int n = l->v[i].kind == LINK_MAIL ? snprintf(text, sizeof(text), "mailto:x@%s", host)
                                                : snprintf(text, sizeof(text), "//%s:%u/", host, l->v[i].port);
        char html[sizeof(text) + 16];
        const int len = snprintf(html, sizeof(html), "<a href=\"%.*s\">", n, text);
        links_add_text((uint8_t *)html, (size_t)len, true, &again);
        if (again.n != 1 || strcmp(again.v[0].host, host) != 0 || again.v[0].port != l->v[i].port)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct links l;
    uint8_t *copy = malloc(size ? size : 1);

    if (size)
        memcpy(copy, data, size);
    if (links_read(copy, size, &l) != OK)
        abort();
    check(&l);
    for (int html = 0; html < 2; html++) {
        l = (struct links){0};
        if (size)
            memcpy(copy, data, size);
        links_add_text(copy, size, html, &l);
        check(&l);
    }
    free(copy);
    return 0;
}
