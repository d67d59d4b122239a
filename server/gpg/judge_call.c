/* The asking side of a judgement: one certificate in a memfd, one reply (blocking, for the command line). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/base/ipc.h"
#include "server/gpg/gpg.h"
#include "server/gpg/gpg_internal.h"

enum { JUDGE_TIMEOUT_MS = 120 * 1000 };

int gpg_memfd(const void *data, size_t len, int *ret_fd)
{
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const uint8_t *)data + done, len - done, (off_t)done);
        if (n <= 0) {
            close(fd);
            return ERR_IO;
        }
        done += (size_t)n;
    }
    *ret_fd = fd;
    return OK;
}

int gpg_read_all(int fd, size_t max, uint8_t **ret, size_t *ret_len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return ERR_IO;
    if ((size_t)size > max)
        return ERR_LIMIT;
    uint8_t *data = malloc((size_t)size + 1);
    if (!data)
        return ERR_MEMORY;
    for (size_t done = 0; done < (size_t)size;) {
        ssize_t n = pread(fd, data + done, (size_t)size - done, (off_t)done);
        if (n <= 0) {
            free(data);
            return ERR_IO;
        }
        done += (size_t)n;
    }
    *ret = data;
    *ret_len = (size_t)size;
    return OK;
}

static int read_reply(struct ipc_msg *m, struct gpg_judgement *j)
{
    struct unpack u;
    unpack_init(&u, m->payload.data, m->payload.len);
    int status = -(int)(unpack_u32(&u) & INT32_MAX); /* a foreign number: none of it may overflow */
    unpack_str(&u, j->why, sizeof j->why);
    struct slice verdict = unpack_raw(&u, PGP_VERDICT_SIZE);
    uint32_t nuids = unpack_u32(&u);
    for (uint32_t i = 0; i < nuids && !u.failed; i++)
        unpack_bytes(&u, IPC_MAX);
    if (m->type != GPG_REPLY || !unpack_done(&u) || status > OK)
        return ERR_FORMAT;
    if (status == ERR_NO_KEY) {
        int r = pgp_verdict_unpack(verdict.data, verdict.len, &j->verdict);
        return r == OK ? status : r;
    }
    if (status != OK)
        return status;
    if (m->nfds != 1)
        return ERR_FORMAT;
    int r = pgp_verdict_unpack(verdict.data, verdict.len, &j->verdict);
    return r == OK ? gpg_read_all(m->fds[0], PGP_CERT_MAX, &j->cert, &j->cert_len) : r;
}

int gpg_judge_call(int channel, const uint8_t *cert, size_t len, struct gpg_judgement *ret)
{
    struct ipc_msg m = {0};
    struct gpg_judgement j = {0};
    int fd, r = len > PGP_CERT_MAX ? ERR_LIMIT : gpg_memfd(cert, len, &fd);
    if (r == OK) {
        r = ipc_send_blocking(channel, GPG_JUDGE, 1, NULL, 0, &fd, 1);
        close(fd);
    }
    uint8_t *buf = r == OK ? malloc(IPC_MAX) : NULL;
    if (r == OK)
        r = buf ? ipc_recv_blocking(channel, buf, &m, JUDGE_TIMEOUT_MS) : ERR_MEMORY;
    if (r == OK) {
        r = read_reply(&m, &j);
        for (unsigned i = 0; i < m.nfds; i++)
            if (m.fds[i] >= 0)
                close(m.fds[i]);
    }
    free(buf);
    if (len > PGP_CERT_MAX)
        snprintf(j.why, sizeof j.why, "it is larger than 1 MB: export it with gpg --export-options export-minimal");
    else if (r != OK && !*j.why)
        snprintf(j.why, sizeof j.why, "the certificate could not be judged (%s)", err_str(r));
    j.status = r;
    *ret = j;
    return r;
}
