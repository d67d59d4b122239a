/* A report as it comes by mail (RFC 9990 section 2.6.2): one attachment is it. See dmarc_report.h. */
#include <stdlib.h>

#include "server/core/error.h"
#include "server/mail/parts.h"
#include "server/mailauth/dmarc_report.h"

enum {
    DEPTH_MAX = 4,
    PARTS_MAX = 16,
    TRIES_MAX = 4, /* attachments that are looked into */
};

struct looking {
    struct header_field *fields; /* of the header at hand */
    struct dmarc_report *ret;
    unsigned depth, parts, tries;
    size_t room; /* octets of XML */
};

/* Their types are as many as their senders; but words for people are none. */
static bool may_be_report(const struct part *p)
{
    return !part_is(p, "text", "plain") && !part_is(p, "text", "html") && p->type.len > 0;
}

/* ERR_NOT_FOUND: it is none. */
static int look_into(struct looking *l, const struct part *p)
{
    uint8_t *plain;
    size_t len;
    int err;

    if (!may_be_report(p))
        return ERR_NOT_FOUND;
    if (++l->tries > TRIES_MAX)
        return ERR_LIMIT;
    plain = malloc(p->body.len + 1);
    if (!plain)
        return ERR_MEMORY;
    err = part_decode(p, false, plain, &len);
    if (err == OK)
        err = dmarc_report_read_within(slice_of(plain, len), &l->room, l->ret);
    free(plain);
    if (l->room == 0)
        return ERR_LIMIT;
    return err == OK || err == ERR_MEMORY ? err : ERR_NOT_FOUND;
}

enum { FOUND = 1 /* no error of a function: the rest is not looked at */ };

static int look_at(void *arg, struct slice s)
{
    struct looking *l = arg;
    struct part p;
    int err;

    if (++l->parts > PARTS_MAX)
        return ERR_LIMIT;
    if (part_read(s, l->fields, &p) != OK)
        return OK;
    if (!p.boundary_len) {
        err = look_into(l, &p);
        return err == OK ? FOUND : err == ERR_NOT_FOUND ? OK : err;
    }
    if (l->depth == DEPTH_MAX)
        return OK;
    l->depth++;
    err = part_each(&p, look_at, l);
    l->depth--;
    return err;
}

int dmarc_report_read_mail(const void *mail, size_t len, struct dmarc_report *ret)
{
    struct looking l = {.fields = malloc(HEADER_FIELDS_MAX * sizeof(*l.fields)),
                        .ret = ret,
                        .room = DMARC_REPORT_TEXT_MAX};
    int err = !l.fields ? ERR_MEMORY : len > DMARC_REPORT_MAIL_MAX ? ERR_LIMIT : look_at(&l, slice_of(mail, len));

    free(l.fields);
    return err == FOUND ? OK : err == OK ? ERR_FORMAT : err;
}
