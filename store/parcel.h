/* A sealed message on its way to the vault: a memfd sealed against every change (F_SEAL_WRITE|GROW|SHRINK|SEAL), so that what is checked is what is stored.
 * Layout: "LLP1", u32 outer_len, u32 capsule_len, u64 packets_len, then outer header, capsule, packets, to the last byte. */
#ifndef STORE_PARCEL_H
#define STORE_PARCEL_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/wire.h"

enum { PARCEL_HEAD = 20 };

struct parcel_writer;
/* Streaming: outer, then capsule, then packets; lengths are filled in at the end. NULL: no memory. Buffers 64 KB. */
int parcel_create(struct parcel_writer **ret);
int parcel_put_outer(struct parcel_writer *w, const void *data, size_t len);
int parcel_put_capsule(struct parcel_writer *w, const uint8_t *data, size_t len); /* any number of calls: fits pgp_sink */
int parcel_put_packets(struct parcel_writer *w, const uint8_t *data, size_t len); /* likewise */
int parcel_seal(struct parcel_writer *w, int *ret_fd); /* ends the writer; the caller owns the descriptor */
void parcel_destroy(struct parcel_writer *w);

/* The vault's side: checks the seals and the layout, maps read-only. */
struct parcel { const uint8_t *map; size_t map_len; struct slice outer, capsule, packets; };
int parcel_open(int fd, uint64_t max, struct parcel *ret); /* ERR_REFUSED, ERR_LIMIT, ERR_IO; fd is not taken */
void parcel_close(struct parcel *p);

#endif
