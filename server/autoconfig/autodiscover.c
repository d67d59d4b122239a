/* Outlook's request ([MS-OXDSCLI] section 2.2.3), read by expat. */
#include <expat.h>
#include <stdbool.h>
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/error.h"

enum { DEPTH_MAX = 8 };

struct reading {
    XML_Parser parser;
    char *out;
    size_t cap, len;
    unsigned depth;
    bool inside; /* of the first such element */
    int err;     /* ERR_NOT_FOUND until it has ended */
};

static void stop(struct reading *r, int err)
{
    r->err = err;
    XML_StopParser(r->parser, XML_FALSE);
}

/* Entities are declared in a document type, which no client sends. */
static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                               int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(arg, ERR_FORMAT);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = arg;
    (void)attributes;
    if (++r->depth > DEPTH_MAX)
        stop(r, ERR_FORMAT);
    else
        r->inside = r->err == ERR_NOT_FOUND && !strcmp(name, "EMailAddress");
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reading *r = arg;
    (void)name;
    r->depth--;
    if (r->inside)
        r->err = OK;
    r->inside = false;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reading *r = arg;
    if (!r->inside)
        return;
    if ((size_t)len >= r->cap - r->len) {
        stop(r, ERR_LIMIT);
        return;
    }
    memcpy(r->out + r->len, text, (size_t)len);
    r->len += (size_t)len;
}

int autoconfig_read_autodiscover(struct slice body, char *address, size_t cap)
{
    struct reading r = {.parser = XML_ParserCreate(NULL), .out = address, .cap = cap, .err = ERR_NOT_FOUND};
    if (!r.parser)
        return ERR_MEMORY;
    XML_SetUserData(r.parser, &r);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    if (XML_Parse(r.parser, (const char *)body.data, (int)body.len, 1) != XML_STATUS_OK && r.err != ERR_LIMIT)
        r.err = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? ERR_MEMORY : ERR_FORMAT;
    XML_ParserFree(r.parser);
    if (r.err == OK)
        address[r.len] = '\0';
    return r.err;
}
