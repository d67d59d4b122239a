/* Bugs end the process. The place of a bug is known by a number, so that a process that may write no text can still
 * say where it was: the places of the whole program lie beside one another in a section of their own. */
#ifndef CORE_BUG_H
#define CORE_BUG_H

#include <stddef.h>

/* Its alignment is its size: places stand in the section without gaps. */
struct bug_place {
    const char *file, *condition;
    int line;
} __attribute__((aligned(32)));

/* Never reachable from input. */
#define bug_if(cond)                                                                    \
    ((cond) ? ({                                                                        \
        static const struct bug_place place_                                            \
            __attribute__((section("bug_places"), used)) = {__FILE__, #cond, __LINE__}; \
        bug_at(&place_);                                                                \
    })                                                                                  \
            : (void)0)
/* Says where, by the function below or as a line on stderr, and aborts. */
_Noreturn void bug_at(const struct bug_place *place);
/* Who says it from now on; the process aborts when it returns. */
void bug_said_by(void (*say)(size_t number));
const struct bug_place *bug_place(size_t number); /* NULL: there is none of this number */

#endif
