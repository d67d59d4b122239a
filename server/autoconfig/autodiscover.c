/* Outlook's request ([MS-OXDSCLI] section 2.2.3). */
#include <stdbool.h>
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/error.h"
#include "server/core/xml.h"

enum { DEPTH_MAX = 8 };

struct reading {
    char *out;
    size_t cap, len;
    bool inside; /* of the first such element */
    bool ended;  /* it has */
};

static int on_start(void *arg, const char *name)
{
    struct reading *r = arg;
    r->inside = !r->ended && !strcmp(name, "EMailAddress");
    return OK;
}

static int on_end(void *arg)
{
    struct reading *r = arg;
    r->ended |= r->inside;
    r->inside = false;
    return OK;
}

static int on_text(void *arg, const char *text, size_t len)
{
    struct reading *r = arg;
    if (!r->inside)
        return OK;
    if (len >= r->cap - r->len)
        return ERR_LIMIT;
    memcpy(r->out + r->len, text, len);
    r->len += len;
    return OK;
}

int autoconfig_read_autodiscover(struct slice body, char *address, size_t cap)
{
    static const struct xml_ops ops = {on_start, on_end, on_text};
    struct reading r = {.out = address, .cap = cap};
    int err = xml_read(body, DEPTH_MAX, &ops, &r);
    if (err == OK && !r.ended)
        err = ERR_NOT_FOUND;
    if (err == OK)
        address[r.len] = '\0';
    return err;
}
