/* What the operator should look at though the server serves: said in the log at the start, at a reload and once a day,
 * and by status. */
#ifndef MASTER_MIND_H
#define MASTER_MIND_H

#include <stdbool.h>

/* hint: it may be meant so, and is no line for the log. */
typedef void mind_fn(void *arg, bool hint, const char *sentence);

/* Of a folder that nobody serves: also what serve would be refused for. */
void mind_dir(const char *dir, mind_fn *fn, void *arg);

#endif
