/* The asking side of a judgement: one certificate in a memfd, one reply (blocking, for the command line). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/gpg/gpg.h"
#include "server/gpg/gpg_internal.h"

enum { JUDGE_TIMEOUT_MS = 120 * 1000 /* longer than the judge's own limit, and others may be before us */ };

int gpg_write_at(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const uint8_t *)data + done, len - done, (off_t)done);
        if (n <= 0)
            return ERR_IO;
        done += (size_t)n;
    }
    return OK;
}

int gpg_memfd(const void *data, size_t len, int *ret_fd)
{
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int err = gpg_write_at(fd, data, len);
    if (err == OK)
        *ret_fd = fd;
    else
        close(fd);
    return err;
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

/* A judge that was subverted could name another key: its answer must be about what it was given. */
static bool fits(const uint8_t *given, size_t len, int status, const struct gpg_judgement *j)
{
    uint8_t *cert;
    size_t cert_len;
    enum pgp_fault fault;
    unsigned detail;
    const struct pgp_verdict *v = &j->verdict;
    if (gpg_certificate_read(given, len, &cert, &cert_len, &fault, &detail) != OK)
        return false;
    bool ok = status == OK ? gpg_certificate_matches(cert, cert_len, v, j->cert, j->cert_len)
                           : gpg_certificate_is_of(cert, cert_len, v->primary_fpr, v->primary_fpr_len);
    free(cert);
    return ok;
}

static int read_reply(struct ipc_msg *m, const uint8_t *given, size_t len, struct gpg_judgement *j)
{
    struct unpack u;
    unpack_init(&u, m->payload.data, m->payload.len);
    int status = -(int)(unpack_u32(&u) & INT32_MAX); /* a foreign number: none of it may overflow */
    unpack_str(&u, j->why, sizeof(j->why));
    struct slice verdict = unpack_raw(&u, PGP_VERDICT_SIZE);
    if (m->type != GPG_REPLY || !unpack_done(&u) || status > OK)
        return ERR_FORMAT;
    if (status != OK && status != ERR_NO_KEY)
        return status;
    int err = pgp_verdict_unpack(verdict.data, verdict.len, &j->verdict);
    if (err == OK && status == OK)
        err = m->nfds == 1 ? gpg_read_all(m->fds[0], GPG_STORED_MAX, &j->cert, &j->cert_len) : ERR_FORMAT;
    if (err == OK && fits(given, len, status, j))
        return status;
    snprintf(j->why, sizeof(j->why),
             "the judge's answer does not fit the certificate: see the server's log, and do not "
             "trust this judge");
    return err == OK ? ERR_FORMAT : err;
}

static int pack_request(const char *const *addresses, size_t n, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct pack p;
    pack_init(&p, out, cap);
    pack_u32(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        pack_str(&p, addresses[i]);
    if (p.failed || n > GPG_ADDRESSES_MAX)
        return ERR_LIMIT;
    *ret_len = p.len;
    return OK;
}

static int ask(int channel, const uint8_t *cert, size_t len, const char *const *addresses, size_t naddresses,
               uint8_t buf[IPC_MAX], struct gpg_judgement *j)
{
    struct ipc_msg m = {0};
    size_t size;
    int fd, r = pack_request(addresses, naddresses, buf, IPC_MAX, &size);
    if (r == OK)
        r = gpg_memfd(cert, len, &fd);
    if (r == OK) {
        r = ipc_send_blocking(channel, GPG_JUDGE, 1, buf, size, &fd, 1);
        close(fd);
    }
    if (r == OK)
        r = ipc_recv_blocking(channel, buf, &m, JUDGE_TIMEOUT_MS);
    if (r != OK)
        return r;
    r = read_reply(&m, cert, len, j);
    for (unsigned i = 0; i < m.nfds; i++)
        if (m.fds[i] >= 0)
            close(m.fds[i]);
    return r;
}

int gpg_judge_call(int channel, const uint8_t *cert, size_t len, const char *const *addresses, size_t naddresses,
                   struct gpg_judgement *ret)
{
    struct gpg_judgement j = {0};
    uint8_t *buf = malloc(IPC_MAX);
    int err = buf ? OK : ERR_MEMORY;
    if (err == OK)
        err = len > PGP_CERT_MAX ? ERR_LIMIT : ask(channel, cert, len, addresses, naddresses, buf, &j);
    free(buf);
    if (len > PGP_CERT_MAX)
        snprintf(j.why, sizeof(j.why), "it is larger than 1 MB: export it with gpg --export-options export-minimal");
    else if (err == ERR_TIMEOUT && !*j.why)
        snprintf(j.why, sizeof(j.why), "the judge did not answer in %d s: try again, and see the log",
                 JUDGE_TIMEOUT_MS / 1000);
    else if (err != OK && !*j.why)
        snprintf(j.why, sizeof(j.why), "the certificate could not be judged (%s): try again", err_str(err));
    if (err != OK) {
        free(j.cert);
        j.cert = NULL;
        j.cert_len = 0;
    }
    j.status = err;
    *ret = j;
    return err;
}
