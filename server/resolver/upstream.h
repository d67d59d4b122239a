/* libunbound as it is configured: whom it asks, what it trusts, how much it keeps. */
#ifndef RESOLVER_UPSTREAM_H
#define RESOLVER_UPSTREAM_H

#include <unbound.h>
#include <unbound-event.h>

#include "server/base/config.h"
#include "server/base/event.h"
#include "server/base/loop.h"

enum { ANCHORS_MAX = 64 * 1024 };

/* The text of c's dns_anchor_file, "" if there is none; read before the sandbox. ERR_IO, ERR_LIMIT. */
int upstream_anchors(const char *dir, const struct config *c, char ret[ANCHORS_MAX]);
/* ERR_FORMAT: an anchor is none, or libunbound does not take a server; ERR_MEMORY. ret_why: for the log. */
int upstream_create(struct loop *l, const struct config *c, const char *anchors, struct ub_ctx **ret,
                    enum event_DNS *ret_why);

#endif
