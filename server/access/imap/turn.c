/* The work of a turn. */
#include "server/access/imap/turn.h"

#include "server/access/imap/access.h"

enum { CUT_MAX = 10, NOW_WORK = 4 * IMAP_TURN_WORK };

void imap_turn_begin(struct access *a)
{
    struct imap_turn *t = &a->turn;
    uint64_t overruns = view_overruns(a->view);
    if (overruns != t->overruns)
        t->cut += t->cut < CUT_MAX;
    else
        t->cut -= t->cut > 0;
    t->overruns = overruns;
    t->left = IMAP_TURN_WORK >> t->cut;
}

bool imap_turn_begin_now(struct access *a)
{
    struct imap_turn *t = &a->turn;
    uint64_t now = loop_now_ms(a->loop);
    if (now != t->now_ms) {
        t->now_ms = now;
        t->now_left = NOW_WORK;
    }
    imap_turn_begin(a);
    t->left = t->left < t->now_left ? t->left : t->now_left;
    t->now_left -= t->left;
    return t->left > 0;
}

void imap_turn_end_now(struct access *a)
{
    a->turn.now_left += a->turn.left;
}

bool imap_turn_spend(struct access *a, uint32_t n)
{
    a->turn.left = a->turn.left > n ? a->turn.left - n : 0;
    return a->turn.left > 0;
}

bool imap_turn_left(const struct access *a)
{
    return a->turn.left > 0;
}
