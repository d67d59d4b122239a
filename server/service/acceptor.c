/* One accept a turn: the sockets are shared with the other instances, and who is busy should not take all. */
#include "server/service/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/event.h"

enum {
    PAUSE_MS = 200, /* out of descriptors or memory: the queue keeps connections for a moment */
    LOOK_MS = 50,   /* with all places taken: time for an instance that has one to accept first */
    SHED_A_LOOK = 64,
    SHED_FOR_DESCRIPTORS = 16, /* a pause */
};

struct listening {
    struct acceptor *a;
    struct watch *watch;
    int fd;
    enum listener kind;
    bool tls_first;
    bool waited; /* a connection did, when it was last looked at */
};

struct acceptor {
    struct loop *loop;
    struct acceptor_params p;
    struct listening sockets[LISTENERS];
    size_t nsockets;
    struct timer *pause, *look;
    bool watching, paused, looking, closed;
    bool starved; /* the last connection could not be taken for want of a descriptor */
};

/* Watches the sockets, or not, as the places say. */
static void update(struct acceptor *a)
{
    bool full = places_full(a->p.places), watch = !a->closed && !a->paused && !full;

    if (watch != a->watching)
        for (size_t i = 0; i < a->nsockets; i++)
            watch_set(a->sockets[i].watch, watch ? LOOP_READ : 0);
    a->watching = watch;
    if (full && !a->closed && !a->looking) {
        a->looking = true;
        timer_set(a->look, LOOK_MS);
    }
}

void acceptor_places_changed(struct acceptor *a)
{
    update(a);
    if (a->closed && places_sessions(a->p.places) == 0 && a->p.empty)
        a->p.empty(a->p.arg);
}

/* Descriptors ran out before places did. Another instance had a pause's time to take the connection first. */
static void shed_for_descriptors(struct acceptor *a)
{
    for (unsigned n = 0; a->starved && n < SHED_FOR_DESCRIPTORS && places_shed(a->p.places); n++)
        ;
    a->starved = true;
}

static void pause_after(struct acceptor *a, int why)
{
    log_event(accept_failed, why);
    a->paused = true;
    timer_set(a->pause, PAUSE_MS);
    if (why == EMFILE)
        shed_for_descriptors(a);
    update(a);
}

/* false: none waits, or there is no room for one. */
static bool accept_one(struct listening *s)
{
    struct acceptor *a = s->a;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    uint32_t on;
    int fd = accept4(s->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return false;
        pause_after(a, errno);
        return false;
    }
    a->starved = false;
    if (places_enter(a->p.places, &peer, &on) == OK) {
        a->p.open(a->p.arg, fd, &peer, on, s->kind);
        return true;
    }
    if (!s->tls_first)
        (void)send(fd, a->p.refusal, strlen(a->p.refusal), MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    return true;
}

static void on_readable(void *arg, unsigned events)
{
    struct listening *s = arg;

    if (s->a->watching)
        (void)accept_one(s);
}

static void on_pause_over(void *arg)
{
    struct acceptor *a = arg;

    a->paused = false;
    update(a);
}

static bool connection_waits(const struct listening *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* A session that is shed is gone as soon as its last words are: some places more are lent meanwhile. */
static bool make_room(struct acceptor *a)
{
    return !places_full(a->p.places) || (places_lendable(a->p.places) && places_shed(a->p.places));
}

/* Nobody is shed for a connection that another instance is about to take: it must have waited for one look. */
static void on_look(void *arg)
{
    struct acceptor *a = arg;

    a->looking = false;
    for (size_t i = 0; i < a->nsockets && places_full(a->p.places) && !a->paused && !a->closed; i++) {
        struct listening *s = &a->sockets[i];
        bool waits = connection_waits(s);

        for (unsigned n = 0; waits && s->waited && n < SHED_A_LOOK; n++)
            if (!make_room(a) || !accept_one(s) || !connection_waits(s))
                break;
        s->waited = waits;
    }
    update(a);
}

struct acceptor *acceptor_create(struct loop *l, const struct acceptor_params *p)
{
    struct acceptor *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->loop = l;
    a->p = *p;
    a->watching = true;
    a->pause = timer_create_in(l, on_pause_over, a);
    a->look = timer_create_in(l, on_look, a);
    if (a->pause && a->look)
        return a;
    acceptor_destroy(a);
    return NULL;
}

int acceptor_listen(struct acceptor *a, int fd, enum listener kind, bool tls_first)
{
    struct listening *s = &a->sockets[a->nsockets];

    bug_if(a->nsockets == LISTENERS);
    *s = (struct listening){.a = a, .fd = fd, .kind = kind, .tls_first = tls_first};
    s->watch = watch_create(a->loop, fd, a->watching ? LOOP_READ : 0, on_readable, s);
    if (!s->watch)
        return ERR_MEMORY;
    a->nsockets++;
    return OK;
}

void acceptor_close(struct acceptor *a)
{
    a->closed = true;
    update(a);
}

void acceptor_destroy(struct acceptor *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->nsockets; i++)
        watch_destroy(a->sockets[i].watch);
    timer_destroy(a->pause);
    timer_destroy(a->look);
    free(a);
}
