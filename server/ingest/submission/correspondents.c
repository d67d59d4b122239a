/* The keys that accounts have seen. See correspondents.h. */
#include "server/ingest/submission/correspondents.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/ingest/submission/encrypt.h"
#include "server/ingest/submission/key_change.h"
#include "server/mail/address.h"
#include "store/client.h"

enum {
    DAY = 86400,
    TRIES = 4,                 /* another process was faster */
    AUTOCRYPT_STALE = 35 * DAY /* "Provide a recommendation for message encryption": a key that is not sent any more */
};

/* ---- the rule ---- */

static struct correspondent_key key_of(const struct correspondent_case *c)
{
    struct correspondent_key k = {.from = (uint8_t)c->from,
                                  .fpr_len = c->found->verdict.primary_fpr_len,
                                  .since = c->now};

    memcpy(k.fpr, c->found->verdict.primary_fpr, k.fpr_len);
    return k;
}

static void take_cert(struct correspondent *to, const struct correspondent_case *c)
{
    const struct known_key *k = c->found;

    to->seen = c->now;
    if (c->bare || k->len > CORRESPONDENT_CERT_MAX)
        return;
    to->len = (uint32_t)k->len;
    to->verdict = k->verdict;
    memcpy(to->cert, k->cert, k->len);
}

static bool usable(const struct correspondent *k, uint64_t now)
{
    return k->len && !k->revoked && (!k->verdict.enc_expires || k->verdict.enc_expires > now);
}

static struct correspondent_ruling refuse(const struct correspondent_case *c, enum correspondent_write w)
{
    return (struct correspondent_ruling){CORRESPONDENT_REFUSED, w,
                                         c->always ? CORRESPONDENT_ENDED : CORRESPONDENT_WAITS};
}

static struct correspondent_ruling first(const struct correspondent_case *c)
{
    c->kept->key = key_of(c);
    take_cert(c->kept, c);
    return (struct correspondent_ruling){CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK};
}

/* Its owner may have renewed it. Of two copies the newer counts: an older one lacks what was revoked or shortened. */
static struct correspondent_ruling same(const struct correspondent_case *c)
{
    struct correspondent *k = c->kept;
    const bool older = k->len && c->found->verdict.signed_at < k->verdict.signed_at;
    const bool differs = !c->bare && c->found->len <= CORRESPONDENT_CERT_MAX &&
                         (k->len != c->found->len || memcmp(k->cert, c->found->cert, k->len) != 0);
    const bool surer = c->from < k->key.from && k->key.from != KNOWN_BY_HAND;

    if (k->revoked)
        return refuse(c, CORRESPONDENT_STAYS);
    if (older)
        return usable(k, c->now) ? (struct correspondent_ruling){CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK}
                                 : refuse(c, CORRESPONDENT_STAYS);
    if (!differs && !surer && k->seen + DAY > c->now)
        return (struct correspondent_ruling){CORRESPONDENT_FOUND, CORRESPONDENT_STAYS, OK};
    if (surer)
        k->key.from = (uint8_t)c->from;
    take_cert(k, c);
    return (struct correspondent_ruling){CORRESPONDENT_FOUND, CORRESPONDENT_NOTES, OK};
}

static enum correspondent_write note_other(const struct correspondent_case *c)
{
    const struct correspondent_key other = key_of(c);

    if (correspondent_same_key(&c->kept->other, &other))
        return CORRESPONDENT_STAYS;
    c->kept->other = other;
    return CORRESPONDENT_NOTES;
}

static struct correspondent_ruling another(const struct correspondent_case *c)
{
    struct correspondent *k = c->kept;
    const struct correspondent_key to = key_of(c);

    if (c->always || k->key.from == KNOWN_BY_HAND)
        return (struct correspondent_ruling){CORRESPONDENT_REFUSED, note_other(c), CORRESPONDENT_CHANGED};
    /* Who can take away what is surer must not get a key of his own in its place. */
    if (c->from > k->key.from && usable(k, c->now))
        return (struct correspondent_ruling){CORRESPONDENT_OWN, note_other(c), OK};
    correspondent_turn(k, &to, CORRESPONDENT_FOLLOWED, c->now);
    take_cert(k, c);
    return (struct correspondent_ruling){CORRESPONDENT_FOUND, CORRESPONDENT_KEEPS, OK};
}

struct correspondent_ruling submission_correspondent_rule(const struct correspondent_case *c)
{
    struct correspondent *k = c->kept;

    if (!c->any)
        return c->found ? first(c) : (struct correspondent_ruling){CORRESPONDENT_NOTHING, CORRESPONDENT_STAYS, OK};
    if (c->found) {
        const struct correspondent_key found = key_of(c);
        return correspondent_same_key(&k->key, &found) ? same(c) : another(c);
    }
    if (c->revoked && !k->revoked) {
        k->revoked = true;
        return refuse(c, CORRESPONDENT_NOTES);
    }
    if (usable(k, c->now))
        return (struct correspondent_ruling){CORRESPONDENT_OWN, CORRESPONDENT_STAYS, OK};
    if (c->unknown)
        return (struct correspondent_ruling){CORRESPONDENT_REFUSED, CORRESPONDENT_STAYS, ERR_UNKNOWN};
    return refuse(c, CORRESPONDENT_STAYS);
}

/* ---- in a session ---- */

struct look {
    uint64_t account;
    char address[ADDRESS_MAX];
    struct correspondent c;
    uint8_t seen[CORRESPONDENT_SEEN];
    uint8_t packed[CORRESPONDENT_PACKED_MAX];
};
static struct look at; /* large; nothing of it outlives a call */

static int read_kept(void *arg, struct view *v)
{
    struct look *l = arg;

    return view_correspondent(v, l->account, CORRESPONDENT_KEPT, l->address, &l->c, l->seen);
}

static int read_incoming(void *arg, struct view *v)
{
    struct look *l = arg;
    uint8_t seen[CORRESPONDENT_SEEN];

    return view_correspondent(v, l->account, CORRESPONDENT_INCOMING, l->address, &l->c, seen);
}

void submission_correspondent_reset(struct submission *s)
{
    if (s->keeping.waits)
        vault_client_forget(s->t.in->depositor.vault, s->keeping.id);
    s->keeping = (struct keeping){0};
}

static void on_kept(void *arg, int status, struct unpack *body)
{
    struct submission *s = arg;
    struct keeping *k = &s->keeping;

    (void)body;
    k->waits = false;
    k->bare |= status == ERR_QUOTA;
    if (status != OK && status != ERR_CONFLICT && status != ERR_QUOTA)
        k->failed = status;
    k->ready(k->arg);
}

static void ignore(void *arg, int status, struct unpack *body)
{
    (void)arg;
    (void)status;
    (void)body;
}

static int put_with(struct ingest *in, struct look *l, vault_reply_fn *fn, void *arg, uint64_t *ret_id)
{
    struct vault_request q = {.type = VAULT_CORRESPONDENT_PUT, .account = l->account};
    size_t len;
    int err = correspondent_pack(&l->c, l->packed, &len);

    if (err != OK)
        return err;
    q.correspondent = (struct vault_correspondent){CORRESPONDENT_KEPT, l->seen, slice_of(l->packed, len)};
    return vault_client_request(in->depositor.vault, &q, -1, fn, arg, ret_id);
}

/* Nobody waits for it. n: the account is told then; NULL: of nothing. */
static void note(struct ingest *in, struct look *l, struct change_notice *n)
{
    if (!n)
        (void)put_with(in, l, ignore, NULL, NULL);
    else if (put_with(in, l, submission_key_change_noted, n, submission_key_change_asked(n)) != OK)
        submission_key_change_drop(n);
}

/* What cannot be kept is no reason to send in the clear. */
static int keep(struct submission *s, struct look *l, bool always, void (*ready)(void *arg), void *arg)
{
    struct keeping *k = &s->keeping;
    int err = k->failed;

    if (err == OK && k->tries++ == TRIES)
        err = ERR_AGAIN;
    if (err == OK)
        err = put_with(s->t.in, l, on_kept, s, &k->id);
    if (err != OK)
        return !always ? OK : err == ERR_FULL ? CORRESPONDENT_FULL : err;
    k->waits = true;
    k->ready = ready;
    k->arg = arg;
    return SUBMISSION_LATER;
}

static int use_kept(const struct correspondent *c, struct known **known)
{
    known_free(*known);
    *known = NULL;
    return known_of(c->cert, c->len, &c->verdict, (enum known_from)c->key.from, known);
}

/* Level 1's recommendation where both prefer it. Whoever sends mail can write such a field, so it is for those alone
 * who would send in the clear. */
static int use_incoming(struct submission *s, struct look *l, bool always, int none, struct known **known)
{
    const uint64_t now = (uint64_t)time(NULL);
    int err = always ? ERR_NOT_FOUND : view_run(s->t.in->view, read_incoming, l);

    if (err != OK)
        return err == ERR_NOT_FOUND || err == ERR_FORMAT || err == ERR_CRYPTO ? none : err;
    if (!l->c.mutual || !usable(&l->c, now) || l->c.seen > l->c.key.since + AUTOCRYPT_STALE)
        return none;
    return use_kept(&l->c, known);
}

static int judge(struct submission *s, struct look *l, int found, struct known **known, void (*ready)(void *arg),
                 void *arg)
{
    const bool always = s->encrypt == ENCRYPT_ALWAYS;
    struct correspondent_case c = {.kept = &l->c,
                                   .always = always,
                                   .bare = s->keeping.bare,
                                   .now = (uint64_t)time(NULL)};
    struct change_notice *news = NULL;
    struct correspondent_ruling r;
    int err = view_run(s->t.in->view, read_kept, l);

    if (err != OK && err != ERR_NOT_FOUND)
        return err == ERR_FORMAT || err == ERR_CRYPTO ? ERR_UNKNOWN : err;
    c.any = err == OK;
    if (!c.any) {
        memset(&l->c, 0, offsetof(struct correspondent, cert));
        memcpy(l->c.address, l->address, sizeof(l->c.address));
    }
    c.unknown = found == ERR_UNKNOWN;
    if (found == OK) {
        c.found = &(*known)->keys[0];
        c.from = (*known)->from;
    } else if (c.any && s->t.in->strangers) {
        c.revoked = submission_strangers_revoked(s->t.in->strangers, l->address, l->c.key.fpr, l->c.key.fpr_len);
    }
    r = submission_correspondent_rule(&c);
    err = r.write == CORRESPONDENT_KEEPS ? keep(s, l, always, ready, arg) : OK;
    if (r.write != CORRESPONDENT_KEEPS && c.any)
        news = submission_key_change(s->t.in, l->account, &l->c, r.word == CORRESPONDENT_REFUSED, c.now);
    if (r.write == CORRESPONDENT_NOTES || news)
        note(s->t.in, l, news);
    if (err != OK || r.word == CORRESPONDENT_FOUND)
        return err;
    if (r.word == CORRESPONDENT_NOTHING)
        return use_incoming(s, l, always, found, known);
    return r.word == CORRESPONDENT_OWN ? use_kept(&l->c, known) : r.why;
}

int submission_correspondent(struct submission *s, const char *address, int err, struct known **known,
                             void (*ready)(void *arg), void *arg)
{
    size_t local, plus;
    int verdict;

    if (err != OK && err != ERR_NO_KEY && err != ERR_UNKNOWN)
        return err;
    if (address_normalize(address, strlen(address), at.address, &local, &plus) != OK)
        return err;
    at.account = s->who.user.account;
    verdict = judge(s, &at, err, known, ready, arg);
    if (verdict != OK) {
        known_free(*known);
        *known = NULL;
    }
    if (verdict != SUBMISSION_LATER)
        submission_correspondent_reset(s);
    return verdict;
}
