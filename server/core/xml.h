/* XML that strangers send, read by expat. Nothing is kept of it, and nothing is declared in it: a document type, which
 * could declare entities, ends it. */
#ifndef CORE_XML_H
#define CORE_XML_H

#include "server/core/wire.h"

/* In the order of the text. What is not OK ends it. Names are as they stand there, with their prefixes; text comes in
 * pieces. */
struct xml_ops {
    int (*start)(void *arg, const char *name);
    int (*end)(void *arg);
    int (*text)(void *arg, const char *text, size_t len);
};
/* Elements are depth_max deep at most. ERR_FORMAT: no XML, or with a document type; ERR_LIMIT: deeper; ERR_MEMORY; or
 * what ended it. */
int xml_read(struct slice text, unsigned depth_max, const struct xml_ops *ops, void *arg);

#endif
