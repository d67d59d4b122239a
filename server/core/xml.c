#include "server/core/xml.h"

#include <expat.h>
#include <sodium.h>

#include "server/core/error.h"

struct reading {
    XML_Parser parser;
    unsigned left; /* how much deeper it may go */
    const struct xml_ops *ops;
    void *arg;
    int err;
};

/* expat calls back once more after it was stopped, for an element that begins and ends at once. */
static void go_on(struct reading *r, int err)
{
    if (err == OK || r->err != OK)
        return;
    r->err = err;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                               int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    go_on(arg, ERR_FORMAT);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = arg;
    (void)attributes;
    if (!r->left)
        go_on(r, ERR_LIMIT);
    if (r->err != OK)
        return;
    r->left--;
    go_on(r, r->ops->start(r->arg, name));
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reading *r = arg;
    (void)name;
    if (r->err != OK)
        return;
    r->left++;
    go_on(r, r->ops->end(r->arg));
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reading *r = arg;
    if (r->err == OK)
        go_on(r, r->ops->text(r->arg, text, (size_t)len));
}

int xml_read(struct slice text, unsigned depth_max, const struct xml_ops *ops, void *arg)
{
    struct reading r = {.parser = XML_ParserCreate(NULL), .left = depth_max, .ops = ops, .arg = arg};
    if (!r.parser)
        return ERR_MEMORY;
    XML_SetHashSalt(r.parser, randombytes_random() | 1); /* or expat looks for one in the system */
    XML_SetUserData(r.parser, &r);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    if (XML_Parse(r.parser, (const char *)text.data, (int)text.len, 1) != XML_STATUS_OK && r.err == OK)
        r.err = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? ERR_MEMORY : ERR_FORMAT;
    XML_ParserFree(r.parser);
    return r.err;
}
