/* letterlock audit: that each address that should be found is, with the key that it should, and nobody else. */
#include <stdio.h>
#include <stdlib.h>

#include "server/cli/audit.h"
#include "server/cli/publish.h"
#include "server/core/error.h"

struct one {
    const struct publish_address *of;
    struct published_state state;
};

static int look(void *arg, struct view *v)
{
    struct one *o = arg;
    return publish_look(v, o->of->account, o->of->address, &o->state);
}

/* What is damaged was said of the record itself. */
static bool is_of_the_store(int err)
{
    return err == ERR_OVERRUN || err == ERR_IO || err == ERR_MEMORY;
}

/* While a server runs another command may be between its two steps: that is no fault. */
static int check_one(struct audit *a, const struct publish_address *of)
{
    struct one o = {.of = of};
    int err = view_run(a->i->view, look, &o);
    if (is_of_the_store(err))
        return err;
    if (err || o.state.verified || (o.state.there == o.state.wanted && o.state.same_key))
        return OK;
    a->bad += !a->i->running;
    printf("%s: %s; letterlock key publish\n", of->address,
           !o.state.there    ? "nobody finds its certificate, and should"
           : !o.state.wanted ? "its certificate is found, and should not be"
                             : "another certificate is found than should be");
    return OK;
}

int audit_published(struct audit *a)
{
    struct publish_addresses all = {.account = 0};
    int err = publish_addresses_read(a->i, &all);
    if (err) {
        free(all.v);
        return is_of_the_store(err) ? err : OK;
    }
    for (size_t k = 0; k < all.n && !err; k++)
        err = check_one(a, &all.v[k]);
    free(all.v);
    return err;
}
