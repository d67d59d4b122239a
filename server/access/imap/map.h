/* A selected mailbox as its client was told of it, and the map of its messages: which UIDs, in order. */
#ifndef IMAP_MAP_H
#define IMAP_MAP_H

#include "server/access/imap/access.h"

struct imap_selected {
    uint32_t mailbox, uidvalidity, exists, uidnext;
    uint64_t modseq;
    struct {
        uint64_t modseq;
        uint32_t uid;
    } told;               /* changed flags are, as far as this change and UID; UINT32_MAX: all of the change */
    struct imap_map *map; /* NULL until a sequence number matters */
    uint64_t own[4];      /* changes of our own making, which the client knows already */
    uint32_t keywords;    /* imap_keywords_digest of those that it was told of */
    uint8_t nown;
    bool readonly, dirty; /* dirty: something is to be told */
};

/* Shared by the sessions of the process. Needs a snapshot. ERR_CONFLICT: what it was can no longer be told. */
int imap_map_get(struct access *a, uint64_t account, const struct imap_selected *sel, struct imap_map **ret);
void imap_map_unref(struct access *a, struct imap_map *m); /* NULL is allowed */
/* The map still holds although the mailbox went on to modseq: only flags changed. */
void imap_map_extend(struct imap_map *m, uint64_t modseq);

uint32_t imap_map_count(const struct imap_map *m);
uint32_t imap_map_last(const struct imap_map *m);                /* 0: empty */
uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq);   /* 1 <= seq <= count */
uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid);   /* 0: not in it */
uint32_t imap_map_from(const struct imap_map *m, uint32_t uid);  /* first member >= uid; 0: none */
uint32_t imap_map_below(const struct imap_map *m, uint32_t uid); /* how many are smaller */

#endif
