/* A sealed message on its way to the vault: a memfd sealed against every change (F_SEAL_WRITE|GROW|SHRINK|SEAL), so
 * that what is checked is what is stored. Layout: "LLP", the render version (server/format/render.h) as a digit, u32
 * outer_len, u32 capsule_len, u64 packets_len, then outer header, capsule, packets, to the last byte. */
#ifndef FORMAT_PARCEL_H
#define FORMAT_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

/* An outer header must fit into one record beside the message's numbers and its seal; a capsule is 64 KB of text at
 * most, sealed to a few keys. */
enum { PARCEL_HEAD = 20, PARCEL_OUTER_MAX = 15 * 1024, PARCEL_CAPSULE_MAX = 256 * 1024 };

/* What sealing and its header may add to the largest message. */
enum { PARCEL_SLACK = 512 * 1024 };

struct parcel_writer;
/* Streaming: outer, then capsule, then packets; lengths are filled in at the end. ERR_MEMORY, ERR_IO. Buffers 64 KB.
 * Parts out of order: ERR_CONFLICT. After a failed put only parcel_destroy is left. */
int parcel_create(struct parcel_writer **ret);
void parcel_set_render(struct parcel_writer *w, uint8_t version); /* a known one; RENDER_VERSION unless it is called */
int parcel_put_outer(struct parcel_writer *w, const void *data, size_t len);
/* any number of calls: fits pgp_sink */
int parcel_put_capsule(struct parcel_writer *w, const uint8_t *data, size_t len);
int parcel_put_packets(struct parcel_writer *w, const uint8_t *data, size_t len); /* likewise */
/* ends the writer, also when it fails; the caller owns the descriptor */
int parcel_seal(struct parcel_writer *w, int *ret_fd);
void parcel_destroy(struct parcel_writer *w); /* a writer that was not sealed; NULL is allowed */

/* The vault's side: checks the seals and the layout, and maps read-only; what is small is read instead, which costs
 * less. */
struct parcel {
    const uint8_t *map;
    size_t map_len;
    bool read;
    uint8_t render; /* a known version */
    struct slice outer, capsule, packets;
};
int parcel_open(int fd, uint64_t max, struct parcel *ret); /* ERR_REFUSED, ERR_LIMIT, ERR_IO; fd is not taken */
/* Of octets that stand in something that is open already: what it looks like, nothing to close. ERR_REFUSED */
int parcel_read(struct slice octets, struct parcel *ret);
void parcel_close(struct parcel *p);
/* The same for one piece of bytes without layout (a certificate); only map and map_len are set. */
int parcel_open_plain(int fd, uint64_t max, struct parcel *ret);
int parcel_make_plain(const void *data, size_t len, int *ret_fd);

#endif
