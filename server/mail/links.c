/* The parts of a message that are looked at. See links.h. */
#include "server/mail/links.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/links_impl.h"
#include "server/mail/parts.h"

/* UTF-16 and UTF-32 are ASCII with NULs in between. */
static size_t drop_nuls(uint8_t *s, size_t len)
{
    size_t n = 0;

    if (!memchr(s, '\0', len))
        return len;
    for (size_t i = 0; i < len; i++)
        if (s[i])
            s[n++] = s[i];
    return n;
}

void links_add_text(uint8_t *s, size_t len, bool html, struct links *ret)
{
    if (!len)
        return;
    len = drop_nuls(s, len > LINKS_LOOK_MAX ? LINKS_LOOK_MAX : len);
    if (html)
        links_of_html(s, len, ret);
    else
        links_of_plain(slice_of(s, len), ret);
}

/* ---- parts ---- */

struct reading {
    struct links *links;
    struct header_field *fields; /* of the header at hand */
    uint8_t *message;
    unsigned parts, depth;
};

static int read_part(void *arg, struct slice s);

/* What a part says that it is. */
static bool is_html(const struct part *p)
{
    return part_is(p, "text", "html") || part_is(p, "application", "xhtml+xml");
}

/* What says nothing of itself is text, and so is what says that it has parts and not where they begin. */
static int read_leaf(struct reading *r, const struct part *p)
{
    const bool html = is_html(p);
    size_t len;

    if (p->type.len && !html && !mime_is(p->type, "text") && !mime_is(p->type, "multipart"))
        return OK;
    uint8_t *body = r->message + (p->body.data - r->message); /* where it stands */
    (void)part_decode(p, false, body, &len);
    links_add_text(body, len, html, r->links);
    return OK;
}

static int read_part(void *arg, struct slice s)
{
    struct reading *r = arg;
    struct part p;
    int err;

    if (r->depth == LINKS_DEPTH_MAX || ++r->parts > LINKS_PARTS_MAX || part_read(s, r->fields, &p) != OK)
        return OK;
    r->depth++;
    if (mime_is(p.type, "multipart") && p.boundary_len)
        err = part_each(&p, read_part, r);
    else if (mime_is(p.type, "message") && p.transfer == TRANSFER_NONE)
        err = read_part(r, p.body);
    else
        err = read_leaf(r, &p);
    r->depth--;
    return err;
}

int links_read(uint8_t *message, size_t len, struct links *ret)
{
    struct reading r = {.links = ret, .message = message};
    int err;

    *ret = (struct links){0};
    if (!len)
        return OK;
    r.fields = malloc(HEADER_FIELDS_MAX * sizeof(*r.fields));
    err = r.fields ? read_part(&r, slice_of(message, len < LINKS_LOOK_MAX ? len : LINKS_LOOK_MAX)) : ERR_MEMORY;
    free(r.fields);
    return err;
}
