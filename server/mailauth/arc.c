/* See arc.h. */
#include "server/mailauth/arc.h"

#include <string.h>

#include "server/mailauth/dkim_field.h"

static const struct part {
    const char *name;
    unsigned (*instance)(struct slice value);
} parts[ARC_PARTS] = {
    [ARC_RESULTS] = {"ARC-Authentication-Results", arc_results_instance},
    [ARC_MESSAGE] = {"ARC-Message-Signature", arc_field_instance},
    [ARC_SEAL] = {"ARC-Seal", arc_field_instance},
};

enum { NOWHERE = HEADER_FIELDS_MAX };

/* The same field twice, and one whose place nobody can tell, break the chain (RFC 8617 section 5.2 step 3). */
static enum dkim_reason place(const struct header_view *v, size_t at, enum arc_part p,
                              size_t all[ARC_INSTANCE_MAX][ARC_PARTS], unsigned *n)
{
    const unsigned i = parts[p].instance(header_field_value(v->s, &v->fields[at]));

    if (i == 0 || all[i - 1][p] != NOWHERE)
        return DKIM_CHAIN_BROKEN;
    all[i - 1][p] = at;
    *n = i > *n ? i : *n;
    return DKIM_VERIFIED;
}

enum dkim_reason arc_sets_read(const struct header_view *v, struct arc_sets *ret)
{
    size_t all[ARC_INSTANCE_MAX][ARC_PARTS];
    unsigned n = 0;

    for (size_t i = 0; i < ARC_INSTANCE_MAX; i++)
        for (int p = 0; p < ARC_PARTS; p++)
            all[i][p] = NOWHERE;
    for (size_t at = 0; at < v->count; at++)
        for (int p = 0; p < ARC_PARTS; p++)
            if (header_field_is(v->s, &v->fields[at], parts[p].name) &&
                place(v, at, (enum arc_part)p, all, &n) != DKIM_VERIFIED)
                return DKIM_CHAIN_BROKEN;
    for (unsigned i = 0; i < n; i++)
        for (int p = 0; p < ARC_PARTS; p++)
            if (all[i][p] == NOWHERE)
                return DKIM_CHAIN_BROKEN;
    if (n > ARC_SETS_MAX)
        return DKIM_CHAIN_LONG;
    memcpy(ret->field, all, sizeof(ret->field));
    ret->n = n;
    return DKIM_VERIFIED;
}
