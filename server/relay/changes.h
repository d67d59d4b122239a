/* The queue in the store, made into jobs. */
#ifndef RELAY_CHANGES_H
#define RELAY_CHANGES_H

#include <stdint.h>

struct relay;
int changes_create(struct relay *r); /* ERR_MEMORY */
void changes_destroy(struct relay *r);
/* Reads the whole queue, from its beginning. */
void changes_walk(struct relay *r);
/* A message has changed: jobs of it that wait are made anew, those at work go on. */
void changes_note(struct relay *r, uint64_t id);

#endif
