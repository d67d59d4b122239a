/* The parts of letterlock audit. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "server/cli/cli.h"

struct audit {
    const struct cli *c;
    struct instance *i;
    uint64_t accounts, messages, records, bad;
    bool progress;
};

/* Looks at every page of the store's file, unless a server writes it; prints each fault. An exit status: not done, and
 * the store must not be opened. *ret_pages is left as it is while a server runs. */
int audit_file(const struct cli *c, uint64_t *ret_pages);

/* Each record of an account, and what it names; while no server runs also how many entries name each message and carry
 * each keyword. Faults are printed and counted; an error is what no fault is. */
int audit_records(struct audit *a, uint64_t account);
/* The same of what is no account's, and every blob. */
int audit_directory(struct audit *a);
int audit_queue(struct audit *a);
int audit_published(struct audit *a);

#endif
