/* What one session may do before the others have their turn: work, not output. Whatever walks over messages, blocks,
 * names or ranges spends for each that it looks at, found or not, and ends its turn when nothing is left. */
#ifndef IMAP_TURN_H
#define IMAP_TURN_H

#include <stdbool.h>
#include <stdint.h>

struct access;

/* A unit is about a look at one entry of a mailbox, some 300 ns: a turn takes a few milliseconds. */
enum {
    IMAP_TURN_WORK = 8192,
    IMAP_WORK_BLOCK = 4,   /* a block of 1,024 UIDs */
    IMAP_WORK_RECORD = 4,  /* a message's record */
    IMAP_WORK_FIND = 4096, /* a mailbox by its name: thousands of names may be opened for it */
    IMAP_WORK_CHUNK = 16,  /* packets are read, with the chunk that is opened for them; and 1 for each 256 octets */
    IMAP_WORK_NAME = 8,    /* a sealed name, or an outer header; and 1 for each 512 octets of it */
};

struct imap_turn {
    uint32_t left;
    unsigned cut; /* turns are 2^cut times shorter, since snapshots lived too long */
    uint64_t overruns;
    /* What input is worked on as it comes, in this turn of the loop. */
    uint64_t now_ms;
    uint32_t now_left;
};

/* A session's turn begins. What a snapshot that lived too long has used is not given back, so a second try of it does
 * not double the work. After it turns are shorter by half, and grow again. */
void imap_turn_begin(struct access *a);
/* The same for input that has just come. false: others have used up what one turn of the loop has for that, and the
 * session waits in the line. */
bool imap_turn_begin_now(struct access *a);
void imap_turn_end_now(struct access *a);
/* Has been spent, even if it was more than there was: what began is ended. false: nothing is left, the turn ends. */
bool imap_turn_spend(struct access *a, uint32_t n);
bool imap_turn_left(const struct access *a);

#endif
