#include "server/core/bug.h"

#include <stdio.h>
#include <stdlib.h>

/* Made by the linker; weak, since a program may have no place at all. */
extern const struct bug_place first_place __asm__("__start_bug_places") __attribute__((weak));
extern const struct bug_place end_of_places __asm__("__stop_bug_places") __attribute__((weak));

static void (*say_bug)(size_t number);

void bug_said_by(void (*say)(size_t number))
{
    say_bug = say;
}

const struct bug_place *bug_place(size_t number)
{
    const size_t n = (size_t)(&end_of_places - &first_place);

    return number < n ? &first_place + number : NULL;
}

void bug_at(const struct bug_place *place)
{
    if (say_bug)
        say_bug((size_t)(place - &first_place));
    else
        fprintf(stderr, "bug file=%s line=%d condition=\"%s\"\n", place->file, place->line, place->condition);
    abort();
}
