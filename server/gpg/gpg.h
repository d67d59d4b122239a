/* GnuPG, behind two roles of its own. judge: is this certificate valid, and which of its subkeys seals? seal: sealing
 * for key types that the native engine leaves out. Both speak ipc. */
#ifndef GPG_GPG_H
#define GPG_GPG_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_seal.h"
#include "server/base/loop.h"

enum gpg_msg {
    GPG_JUDGE = 1, /* u32 n, n times str: the account's addresses, as the store has them. fd: certificate (memfd, at
                      most PGP_CERT_MAX). Reply: u32 status, str why (one line: what is wrong, how to make a good one),
                      raw verdict; fd: the minimal certificate, at most GPG_STORED_MAX. ERR_NO_KEY: it is revoked; the
                      verdict then names the primary key alone, in both places */
    GPG_SEAL, /* u32 ncerts, ncerts times (u32 length, u32 expires); fds: certificates in one memfd (concatenated), pipe
                 to read the plaintext from, pipe to write packets to, which become gpg's stdin and stdout: the role
                 itself never reads them. Reply when gpg has ended: u32 status, str why */
    GPG_REPLY = 100,
};

/* In words, as the end of a sentence about the key. */
const char *gpg_flaw_text(enum pgp_flaw flaw);

struct gpg_judgement {
    int status;
    char why[512];
    struct pgp_verdict verdict;
    uint8_t *cert;
    size_t cert_len; /* malloc'd, binary, minimal */
};
/* Blocking, for the command line; channel: raw end to a judge. addresses: of the account that the certificate is for;
 * user ids that name none of them are left out. Returns the judgement's status; the caller frees cert. When it is not
 * OK, ret->why is filled in and there is no cert; when it is OK, a why that is not empty is a warning. Of a revoked one
 * (ERR_NO_KEY) ret->verdict names the primary key. The judge's answer is checked against the certificate that was
 * given: a key that is not in it is never returned. */
enum {
    GPG_CERTS_MAX = 16,
    GPG_OPS_MAX = 32,      /* gpgs at a time; of one client, what it has asked for */
    GPG_WAITING_MAX = 256, /* of one client, before it asks */
    GPG_SHARE = 4,         /* a quarter of either is the most that one account has, and one peer */
    GPG_ADDRESSES_MAX = 128,
    GPG_STORED_MAX = 64 * 1024
};
int gpg_judge_call(int channel, const uint8_t *cert, size_t len, const char *const *addresses, size_t naddresses,
                   struct gpg_judgement *ret);

/* Asynchronous, for ingest and access. Streams in to the role and its packets to sink; done is called once. An
 * operation waits while all places are taken, or its account's share or its peer's. The next one is of whoever has
 * least under way, so a flood to one reader or from one sender holds up nobody else. */
struct gpg_seal_client;
struct gpg_seal_client *gpg_seal_client_create(struct loop *l);
void gpg_seal_client_destroy(struct gpg_seal_client *c);
void gpg_seal_client_channel(struct gpg_seal_client *c,
                             int fd); /* first or new channel; operations under way on the old one fail with ERR_GONE */
struct gpg_seal_op;
/* expires: the encryption key's, 0: never. gpg is given a time before it, since an expired key of the account's own
 * still seals. fpr: the key that the judge chose. gpg is given no other subkey, since it would take the newest, whether
 * policy refuses it or not. Without fpr (length 0) it gets all. */
struct gpg_seal_cert {
    const uint8_t *cert;
    size_t len;
    const uint8_t *fpr;
    size_t fpr_len;
    uint32_t expires;
};
struct gpg_seal_job {
    const struct gpg_seal_cert *certs; /* copied */
    size_t ncerts;
    const struct iovec *in; /* lives until done */
    size_t iovcnt;
    pgp_sink *sink;
    void *sink_arg;
    uint64_t account;                    /* whose certificates they are */
    const struct sockaddr_storage *peer; /* who sent it; NULL: the server itself */
};
/* done gets ERR_TIMEOUT after a minute. ERR_GONE: no role; ERR_AGAIN: as many wait as may, of all or of that account or
 * peer; ERR_FULL: the role does not answer; ERR_NO_KEY: fpr is not in its certificate. */
int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_job *job, void (*done)(void *arg, int status),
                   void *arg, struct gpg_seal_op **ret_op);
void gpg_seal_cancel(struct gpg_seal_op *op);
struct gpg_seal_counts {
    uint64_t waiting, refused; /* now; with ERR_AGAIN, since the start */
};
struct gpg_seal_counts gpg_seal_counts(const struct gpg_seal_client *c);

#endif
