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

/* Of whichever namespace: not all who ask write it without a prefix. */
static int on_start(void *arg, const char *name)
{
    struct reading *r = arg;
    const char *colon = strchr(name, ':');
    r->inside = !r->ended && !strcmp(colon ? colon + 1 : name, "EMailAddress");
    return OK;
}

/* Without the blanks of a text that was indented. */
static void trim(struct reading *r)
{
    static const char blanks[] = " \t\r\n";
    size_t from = 0;
    while (r->len && strchr(blanks, r->out[r->len - 1]))
        r->len--;
    while (from < r->len && strchr(blanks, r->out[from]))
        from++;
    r->len -= from;
    memmove(r->out, r->out + from, r->len);
}

static int on_end(void *arg)
{
    struct reading *r = arg;
    if (r->inside)
        trim(r);
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
