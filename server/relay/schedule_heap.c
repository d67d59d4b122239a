#include <stdlib.h>

#include "server/core/error.h"
#include "server/relay/schedule_impl.h"

static void heap_set(struct schedule *s, uint32_t i, struct job *j)
{
    s->heap[i] = j;
    j->heap_at = i;
}

static void heap_up(struct schedule *s, uint32_t i)
{
    struct job *j = s->heap[i];

    for (; i > 0 && s->heap[(i - 1) / 2]->due > j->due; i = (i - 1) / 2)
        heap_set(s, i, s->heap[(i - 1) / 2]);
    heap_set(s, i, j);
}

void schedule_heap_down(struct schedule *s, uint32_t i)
{
    struct job *j = s->heap[i];

    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= s->heap_n)
            break;
        if (child + 1 < s->heap_n && s->heap[child + 1]->due < s->heap[child]->due)
            child++;
        if (s->heap[child]->due >= j->due)
            break;
        heap_set(s, i, s->heap[child]);
        i = child;
    }
    heap_set(s, i, j);
}

uint64_t schedule_due_of(const struct schedule *s, const struct job *j)
{
    uint64_t due = j->next_try;

    if (j->task != TASK_SEND && j->task != TASK_LOCAL)
        return due;
    if (j->message->expires < due)
        due = j->message->expires;
    if (s->limits.delay && !j->delay_told && j->message->queued_at + s->limits.delay < due)
        due = j->message->queued_at + s->limits.delay;
    return due;
}

/* There is room for every job. */
void schedule_heap_push(struct schedule *s, struct job *j)
{
    j->state = JOB_WAITING;
    j->due = schedule_due_of(s, j);
    s->heap[s->heap_n] = j;
    heap_up(s, s->heap_n++);
}

void schedule_heap_remove(struct schedule *s, struct job *j)
{
    uint32_t at = j->heap_at;
    struct job *last = s->heap[--s->heap_n];

    if (last == j)
        return;
    heap_set(s, at, last);
    heap_up(s, at);
    schedule_heap_down(s, last->heap_at);
}

int schedule_heap_room(struct schedule *s, uint32_t n)
{
    uint32_t cap = s->heap_cap ? s->heap_cap : 256;
    struct job **v;

    while (cap < n)
        cap *= 2;
    if (cap == s->heap_cap)
        return OK;
    v = realloc(s->heap, cap * sizeof(struct job *));
    if (!v)
        return ERR_MEMORY;
    s->heap = v;
    s->heap_cap = cap;
    return OK;
}
