/* Delivering to a destination: the way there, one connection after another until one works, and over it one job after
 * another. */
#ifndef RELAY_DELIVERY_H
#define RELAY_DELIVERY_H

#include "server/relay/relay.h"

/* For a job that schedule_start gave. */
void delivery_begin(struct relay *r, struct job *j);
/* Ends those that wait longest for a server's first word, if others have no place. */
void delivery_make_room(struct relay *r);
/* The process ends: what is not at its final dot ends now. */
void delivery_stop_all(struct relay *r);
void delivery_destroy_all(struct relay *r);

#endif
