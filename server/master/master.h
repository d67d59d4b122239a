/* Master: reads the configuration, opens the listening sockets, starts the roles and watches them. Nothing that
 * comes from the network is parsed here. It keeps the store key (in secmem) and the TLS key (in locked, undumpable
 * memory) as long as it serves: a role that dies must be started again without asking anyone. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long a role may be silent: asked every ask_ms, killed when so many questions in a row had no answer. */
struct watchdog_params {
    uint64_t ask_ms;
    unsigned misses;
};

/* Serves DIR until SIGTERM, SIGINT or CONTROL_STOP; says "ready" on stderr when every role with a listener is
 * ready. SIGHUP reloads. Returns the exit status: 0 ended as told, 1 refused or failed, with one line on stderr. */
int master_serve(const char *dir);
int master_serve_watched(const char *dir, const struct watchdog_params *w); /* the same; tests shorten the waits */

/* The instance's lock, held by a server and by an offline command that writes: DIR/run/lock, which roles hold too, and
 * DIR, which stands when somebody clears DIR/run away. It ends with the last process that has the descriptors. */
struct dir_lock {
    int file, dir; /* -1: none */
};

/* Waits up to two seconds, since roles may outlive their master by a moment. ERR_CONFLICT: someone else holds it.
 * ERR_IO, ERR_LIMIT. why says it in a sentence. */
int dir_lock(const char *dir, struct dir_lock *ret, char *why, size_t why_cap);
void dir_unlock(struct dir_lock *l);
/* Whether somebody holds it now. */
bool dir_locked(const char *dir);

#endif
