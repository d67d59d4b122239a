/* The first part of letterlock audit: the store's file, page by page, before LMDB maps it. LMDB believes what it reads,
 * and a wrong page number ends whoever follows it by a signal. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "server/cli/audit.h"
#include "server/master/control.h"
#include "store/look.h"

enum { FAULTS_TOLD = 20 };

static bool is_running(const struct cli *c)
{
    int control;
    if (control_connect(c->dir, &control))
        return false;
    close(control);
    return true;
}

static void tell_fault(void *arg, uint64_t page, const char *what)
{
    uint64_t *faults = arg;
    if (++*faults <= FAULTS_TOLD)
        printf("store/data.mdb, page %" PRIu64 ": %s\n", page, what);
}

int audit_file(const struct cli *c, uint64_t *ret_pages)
{
    char why[CLI_WHY_MAX];
    uint64_t faults = 0, pages = 0;
    if (is_running(c))
        return EXIT_DONE;
    int err = store_walk(c->dir, tell_fault, &faults, &pages, why, sizeof(why));
    if (err)
        return cli_fail(c, "%s", why);
    if (faults && is_running(c))
        return cli_fail(c, "a server was started meanwhile, and writes what was being read; begin again");
    if (faults)
        return cli_fail(c,
                        "the store's file is damaged, in %" PRIu64 " places; the lines on stdout name %s. Move it away "
                        "and have letterlock restore make it from a backup",
                        faults, faults > FAULTS_TOLD ? "the first" : "each");
    *ret_pages = pages;
    return EXIT_DONE;
}
