/* The access process: what its sessions share. */
#ifndef IMAP_ACCESS_H
#define IMAP_ACCESS_H

#include "crypto/content.h"
#include "server/base/config.h"
#include "server/base/loop.h"
#include "server/base/tls.h"
#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/format/parcel.h"
#include "server/format/render.h"
#include "server/login/login.h"
#include "server/sealer/deposit.h"
#include "server/sealer/told.h"
#include "server/service/budget.h"
#include "server/access/imap/turn.h"
#include "store/view.h"

enum {
    IMAP_ACCOUNT_BUCKETS = 1024,
    IMAP_MAP_BUCKETS = 256,
};

struct imap_session;
struct imap_map;

struct access {
    struct loop *loop;
    struct view *view;
    struct vault_client *vault;
    struct depositor depositor;
    struct content_hash *content;
    struct told_seen seen; /* the ids in it are held */
    struct tally *tally;   /* NULL: there is no other process */
    struct places *places;
    struct login *login;
    struct tls_ctx *tls;
    struct config config;
    struct imap_session *sessions;
    struct imap_session *by_account[IMAP_ACCOUNT_BUCKETS];
    struct imap_map *maps[IMAP_MAP_BUCKETS];
    struct buf staging;    /* what a turn makes, before its snapshot is known to be good */
    uint64_t tickets;      /* handed out so far */
    struct imap_turn turn; /* of the session whose turn it is */
    uint64_t logins, login_failures, commands, appended, fetched_bytes, logins_over_limit; /* counters for status */
};

/* What the largest message is when it is served: so much may come back, if it comes sealed. */
static inline uint64_t access_literal_max(const struct config *c)
{
    return render_size(RENDER_VERSION, PARCEL_OUTER_MAX, c->message_max + PARCEL_SLACK);
}

static inline uint32_t access_account_slot(const struct access *a, uint64_t account)
{
    return tally_slot(a->tally, &account, sizeof(account));
}

/* A delivery id is in use here (+1), or no more (-1): for the other processes to see. */
static inline void access_hold(const struct access *a, const uint8_t delivery[RECORD_HASH_SIZE], int32_t by)
{
    if (a->tally)
        tally_hold(a->tally, tally_slot(a->tally, delivery, RECORD_HASH_SIZE), by);
}

#endif
