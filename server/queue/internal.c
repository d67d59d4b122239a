#include "server/queue/internal.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"

int internal_deliver_pack(struct pack *p, const struct internal_deliver *d)
{
    if (d->from.len >= ADDRESS_MAX || d->to.len >= ADDRESS_MAX)
        return ERR_LIMIT;
    pack_raw(p, d->delivery, sizeof(d->delivery));
    pack_bytes(p, d->from.data, d->from.len);
    pack_bytes(p, d->to.data, d->to.len);
    return p->failed ? ERR_LIMIT : OK;
}

static bool has_nul(struct slice s)
{
    return s.len > 0 && memchr(s.data, '\0', s.len) != NULL;
}

int internal_deliver_unpack(struct unpack *u, struct internal_deliver *ret)
{
    struct internal_deliver d;
    struct slice delivery = unpack_raw(u, sizeof(d.delivery));
    d.from = unpack_bytes(u, ADDRESS_MAX - 1);
    d.to = unpack_bytes(u, ADDRESS_MAX - 1);
    if (!unpack_done(u) || d.to.len == 0 || has_nul(d.from) || has_nul(d.to))
        return ERR_FORMAT;
    memcpy(d.delivery, delivery.data, delivery.len);
    *ret = d;
    return OK;
}
