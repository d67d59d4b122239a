/* The watchdog: a role that lives but answers nothing, one that spins or hangs in the kernel, is ended like one that
 * died, and the ordinary way starts the next. Missed questions are counted, not seconds: when the machine slept or the
 * whole service was frozen, master missed as many rounds as its roles did.
 *
 * What may keep a role from its loop, and for how long:
 *   vault      one commit and its sync: a group is at most 8 MB and as much again of LMDB's own pages, so even a disk
 *              of 1 MB/s is done in about 20 s. A backup has a thread of its own, and removals are cut into small
 *              groups. In a disk that does not answer at all the kill waits with the write, and costs nothing.
 *   gpg judge  nothing: a judgement has a process of its own, which ends itself after a minute
 *   the rest   work on one message at most, in the range of seconds */
#include <signal.h>

#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/master/notify.h"

static void on_tick(void *arg)
{
    struct master *m = arg;

    notify("WATCHDOG=1"); /* master's own loop turns */
    if (!m->stopping)
        store_watch(m);
    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        log_pipe_tick(p->log);
        if (m->stopping || p->state != PROC_READY || !p->channel)
            continue; /* a start and a stop have limits of their own */
        if (p->unanswered >= m->watchdog.misses) {
            p->hangs++;
            p->unanswered = 0; /* once a process, however long the kernel takes to end it */
            log_error("role-hangs role=%s instance=%u pid=%d", p->row->name, p->instance, (int)p->pid);
            kill(p->pid, SIGKILL);
            continue;
        }
        p->unanswered++;
        /* A full channel is no answer either. */
        (void)ipc_send(p->channel, ROLE_MSG_STATUS, WATCHDOG_ID, NULL, 0, NULL, 0);
    }
    event_tick();
    if (!m->stopping)
        timer_set(m->watchdog_timer, m->watchdog.ask_ms);
}

int watchdog_start(struct master *m)
{
    m->watchdog_timer = timer_create_in(m->loop, on_tick, m);
    if (!m->watchdog_timer)
        return ERR_MEMORY;
    timer_set(m->watchdog_timer, m->watchdog.ask_ms);
    return OK;
}

void watchdog_end(struct master *m)
{
    timer_destroy(m->watchdog_timer);
    m->watchdog_timer = NULL;
}
