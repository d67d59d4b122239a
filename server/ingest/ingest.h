/* The ingest process: what its sessions share. */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "crypto/content.h"
#include "crypto/nonce.h"
#include "server/core/secmem.h"
#include "server/base/config.h"
#include "server/base/conn.h"
#include "server/base/counters.h"
#include "server/base/loop.h"
#include "server/base/role.h"
#include "server/proto/smtp.h"
#include "server/sealer/deposit.h"
#include "server/sealer/notices.h"
#include "server/sealer/told.h"
#include "server/service/budget.h"

#define INGEST_COUNTER_ENUM(id, name) COUNT_##id,
enum ingest_counter { INGEST_COUNTERS(INGEST_COUNTER_ENUM) INGEST_COUNTERS_N };

struct debts;
struct change_notices;
struct dns;
struct enqueuer;
struct fetch;
struct greylist;
struct internal;
struct judge;
struct login;
struct pacing;
struct smtp_session;
struct strangers;
struct verify;

/* What the log has been told of errors and what they cost (smtp/errors.h). */
struct slowing {
    struct idle over; /* the minute that they are counted in */
    uint64_t errors, waits, unseen;
};

/* Lines in the log that anybody can cause by the thousand (transaction/report.h). */
struct untold {
    struct idle over; /* the minute that they are counted in */
    uint32_t said, held;
};

struct ingest {
    struct loop *loop;
    struct config config;
    struct tls_ctx *tls;
    struct view *view;
    struct depositor depositor;
    struct gpg_seal_client *gpg; /* the service's */
    struct content_hash *content;
    struct notices *notices; /* in one instance of the role; else NULL */
    struct places *places;
    struct debts *debts;
    struct login *login;
    struct pacing *pacing;     /* of accounts that send (submission/pace.h) */
    struct enqueuer *enqueuer; /* NULL: there is no queue */
    struct dns *dns;
    struct judge *judge;       /* who wrote what comes from the world (judge/judge.h); NULL: nothing is judged */
    struct greylist *greylist; /* of networks whose mail is put off (mx/greylist.h) */
    struct fetch *fetch;
    struct strangers *strangers; /* keys of people elsewhere (submission/strangers.h); NULL: nobody looks for any */
    struct change_notices *key_changes; /* that accounts are told of (submission/key_change.h); NULL: there was none */
    struct slowing slowing;
    struct smtp_session *sessions;
    struct internal *internals; /* channels of who has mail for accounts here (internal/internal.h) */
    struct verify *verifies;    /* certificates that come in, by `web` or by mail (verify/verify.h) */
    struct debts *submissions;  /* of peers that send certificates in by mail (reserved/wks.h), to this process */
    struct debts *reports;      /* the same of reports (reserved/dmarc.h) */
    struct told_seen seen;
    struct nonces nonces; /* of ids, and of salts in the log */
    struct untold untold;
    uint64_t stall_ms;   /* a delivery that makes no progress for so long is answered with 451 */
    uint64_t vain_ms;    /* an account whose line is too long is told so this late */
    uint64_t closing_ms; /* so long may a session's last words take, however slowly they are taken */
    bool stopping;
    uint64_t counters[INGEST_COUNTERS_N];
};

static inline void count(struct ingest *in, enum ingest_counter c)
{
    in->counters[c]++;
}

int ingest_start_notices(struct ingest *in); /* ERR_MEMORY */

#endif
