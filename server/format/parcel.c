/* Parcels: the sealed memfds in which messages and certificates travel to the vault. Both sides stand here, so that
 * they agree. */
#include "server/format/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/format/render.h"

enum {
    PARCEL_BUFFER = 64 * 1024,
    READ_MAX = 256 * 1024 /* below, mapping costs more than copying */,
    PARCEL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

enum part { PART_OUTER, PART_CAPSULE, PART_PACKETS, PARTS };

struct parcel_writer {
    int fd;
    enum part part;
    int failed;
    uint8_t render;
    bool flushed; /* the head's place is in the file already */
    uint64_t len[PARTS];
    size_t used;
    uint8_t buffer[PARCEL_BUFFER];
};

static int memfd_make(int *ret_fd)
{
    int fd = memfd_create("parcel", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd < 0)
        return errno == ENOMEM ? ERR_MEMORY : ERR_IO;
    *ret_fd = fd;
    return OK;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && (errno == ENOMEM || errno == ENOSPC) ? ERR_MEMORY : ERR_IO;
        data += n;
        len -= (size_t)n;
    }
    return OK;
}

static int flush(struct parcel_writer *w)
{
    int err = write_all(w->fd, w->buffer, w->used);
    w->used = 0;
    w->flushed = true;
    return err;
}

int parcel_create(struct parcel_writer **ret)
{
    struct parcel_writer *w = malloc(sizeof(*w));
    if (w == NULL)
        return ERR_MEMORY;
    w->part = PART_OUTER;
    w->failed = 0;
    w->render = RENDER_VERSION;
    w->flushed = false;
    memset(w->len, 0, sizeof(w->len));
    memset(w->buffer, 0, PARCEL_HEAD); /* the head's place, filled in by parcel_seal */
    w->used = PARCEL_HEAD;
    int err = memfd_make(&w->fd);
    if (err != OK) {
        free(w);
        return err;
    }
    *ret = w;
    return OK;
}

void parcel_set_render(struct parcel_writer *w, uint8_t version)
{
    w->render = version;
}

static int put(struct parcel_writer *w, enum part part, const uint8_t *data, size_t len)
{
    if (w->failed)
        return w->failed;
    if (part < w->part)
        return w->failed = ERR_CONFLICT;
    w->part = part;
    w->len[part] += len;
    while (len > 0) {
        if (w->used == 0 && len >= PARCEL_BUFFER)
            return w->failed = write_all(w->fd, data, len);
        size_t n = PARCEL_BUFFER - w->used;
        if (n > len)
            n = len;
        memcpy(w->buffer + w->used, data, n);
        w->used += n;
        data += n;
        len -= n;
        if (w->used == PARCEL_BUFFER && (w->failed = flush(w)) != OK)
            return w->failed;
    }
    return OK;
}

int parcel_put_outer(struct parcel_writer *w, const void *data, size_t len)
{
    return put(w, PART_OUTER, data, len);
}

int parcel_put_capsule(struct parcel_writer *w, const uint8_t *data, size_t len)
{
    return put(w, PART_CAPSULE, data, len);
}

int parcel_put_packets(struct parcel_writer *w, const uint8_t *data, size_t len)
{
    return put(w, PART_PACKETS, data, len);
}

static int head_write(struct parcel_writer *w)
{
    uint8_t head[PARCEL_HEAD];
    struct pack p;
    pack_init(&p, head, sizeof(head));
    pack_raw(&p, "LLP", 3);
    pack_u8(&p, (uint8_t)('0' + w->render));
    pack_u32(&p, (uint32_t)w->len[PART_OUTER]);
    pack_u32(&p, (uint32_t)w->len[PART_CAPSULE]);
    pack_u64(&p, w->len[PART_PACKETS]);
    if (!w->flushed) {
        memcpy(w->buffer, head, sizeof(head));
        return OK;
    }
    return pwrite(w->fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) ? OK : ERR_IO;
}

int parcel_seal(struct parcel_writer *w, int *ret_fd)
{
    int err = w->failed;
    if (err == OK && (w->len[PART_OUTER] > PARCEL_OUTER_MAX || w->len[PART_CAPSULE] > PARCEL_CAPSULE_MAX))
        err = ERR_LIMIT;
    if (err == OK)
        err = head_write(w);
    if (err == OK)
        err = flush(w);
    if (err == OK && fcntl(w->fd, F_ADD_SEALS, PARCEL_SEALS) != 0)
        err = ERR_IO;
    if (err == OK) {
        *ret_fd = w->fd;
        w->fd = -1;
    }
    parcel_destroy(w);
    return err;
}

void parcel_destroy(struct parcel_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

int parcel_make_plain(const void *data, size_t len, int *ret_fd)
{
    int fd;
    int err = memfd_make(&fd);
    if (err != OK)
        return err;
    err = write_all(fd, data, len);
    if (err == OK && fcntl(fd, F_ADD_SEALS, PARCEL_SEALS) != 0)
        err = ERR_IO;
    if (err != OK) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return OK;
}

static int read_small(int fd, size_t len, struct parcel *ret)
{
    uint8_t *bytes = malloc(len);
    size_t at = 0;
    if (bytes == NULL)
        return ERR_MEMORY;
    while (at < len) {
        ssize_t n = pread(fd, bytes + at, len - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            free(bytes);
            return ERR_IO;
        }
        at += (size_t)n;
    }
    *ret = (struct parcel){.map = bytes, .map_len = len, .read = true};
    return OK;
}

int parcel_open_plain(int fd, uint64_t max, struct parcel *ret)
{
    /* The seals come first: without them size and bytes may change while we look. */
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & PARCEL_SEALS) != PARCEL_SEALS)
        return ERR_REFUSED;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ERR_IO;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return ERR_REFUSED;
    if ((uint64_t)st.st_size > max)
        return ERR_LIMIT;
    if (st.st_size <= READ_MAX)
        return read_small(fd, (size_t)st.st_size, ret);
    /* Private: before Linux 6.7 a write-sealed memfd has no shared mapping at all. */
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return ERR_IO;
    *ret = (struct parcel){.map = map, .map_len = (size_t)st.st_size};
    return OK;
}

int parcel_read(struct slice octets, struct parcel *ret)
{
    struct parcel p = {.map = NULL};
    struct unpack u;
    unpack_init(&u, octets.data, octets.len);
    struct slice magic = unpack_raw(&u, 3);
    uint8_t render = (uint8_t)(unpack_u8(&u) - '0');
    uint32_t outer_len = unpack_u32(&u), capsule_len = unpack_u32(&u);
    uint64_t packets_len = unpack_u64(&u);
    if (u.failed || memcmp(magic.data, "LLP", 3) != 0 || !render_known(render) || outer_len > PARCEL_OUTER_MAX ||
        capsule_len > PARCEL_CAPSULE_MAX || packets_len > octets.len)
        return ERR_REFUSED;
    p.render = render;
    p.outer = unpack_raw(&u, outer_len);
    p.capsule = unpack_raw(&u, capsule_len);
    p.packets = unpack_raw(&u, (size_t)packets_len);
    if (!unpack_done(&u))
        return ERR_REFUSED;
    *ret = p;
    return OK;
}

int parcel_open(int fd, uint64_t max, struct parcel *ret)
{
    struct parcel whole, p;
    int err = parcel_open_plain(fd, max, &whole);
    if (err != OK)
        return err;
    err = parcel_read(slice_of(whole.map, whole.map_len), &p);
    if (err != OK) {
        parcel_close(&whole);
        return err;
    }
    p.map = whole.map;
    p.map_len = whole.map_len;
    p.read = whole.read;
    *ret = p;
    return OK;
}

void parcel_close(struct parcel *p)
{
    if (p->read) {
        if (p->outer.len > 0)
            explicit_bzero((void *)(uintptr_t)p->outer.data, p->outer.len); /* names people; the rest is ciphertext */
        free((void *)(uintptr_t)p->map);
    } else if (p->map != NULL)
        munmap((void *)(uintptr_t)p->map, p->map_len);
    *p = (struct parcel){0};
}
