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
    } told;                   /* changed flags are, as far as this change and UID; UINT32_MAX: all of the change */
    struct imap_map *map;     /* NULL until a sequence number matters */
    struct imap_map *loading; /* what there is of it so far */
    uint64_t own[4];          /* changes of our own making, which the client knows already */
    uint32_t keywords;        /* imap_keywords_digest of those that it was told of */
    uint8_t nown;
    bool readonly, dirty; /* dirty: something is to be told */
};

/* What the maps of an account may take of this process's memory: 120,000 blocks of 1,024 UIDs. */
enum { IMAP_MAPS_ACCOUNT = 16 * 1024 * 1024 };

/* Loads sel->map, shared with the sessions that show the same, in snapshots of its own. ERR_AGAIN: the turn's work is
 * done, and there is more to load. ERR_CONFLICT: what it was can no longer be told; ERR_LIMIT: more than
 * IMAP_MAPS_ACCOUNT. */
int imap_map_load(struct access *a, uint64_t account, struct imap_selected *sel);
void imap_map_drop(struct access *a, struct imap_selected *sel); /* what is loaded, and what there is so far */
/* The map holds for sel as well, which went on: of what it shows only flags changed. false: sel shows new UIDs too. */
bool imap_map_follow(struct imap_map *m, const struct imap_selected *sel);
/* Takes these out of sel->map, which is loaded; it then shows the mailbox at modseq (0: at no MODSEQ, so that nobody
 * can share it). Without memory it is dropped. */
void imap_map_remove(struct access *a, struct imap_selected *sel, const uint32_t *uids, size_t n, uint64_t modseq);

uint32_t imap_map_count(const struct imap_map *m);
uint32_t imap_map_last(const struct imap_map *m);                /* 0: empty */
uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq);   /* 1 <= seq <= count */
uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid);   /* 0: not in it */
uint32_t imap_map_from(const struct imap_map *m, uint32_t uid);  /* first member >= uid; 0: none */
uint32_t imap_map_below(const struct imap_map *m, uint32_t uid); /* how many are smaller */
/* The same two, for whoever asks for one UID after another of a map that does not change meanwhile: what was looked up
 * for the last one is kept. Zeroed: nothing yet. */
struct imap_map_near {
    uint64_t here;      /* bits of 64 UIDs */
    uint32_t base, seq; /* the first of them; the sequence number of the first member */
    bool set;
};
uint32_t imap_map_seq_near(const struct imap_map *m, struct imap_map_near *near, uint32_t uid);
uint32_t imap_map_from_near(const struct imap_map *m, struct imap_map_near *near, uint32_t uid);
/* The i-th block with members, in order, as words of 64 UIDs; NULL past the last. */
const uint64_t *imap_map_block(const struct imap_map *m, size_t i, uint32_t *ret_number);
/* The first block whose number is not smaller, for imap_map_block. */
size_t imap_map_block_from(const struct imap_map *m, uint32_t number);

#endif
