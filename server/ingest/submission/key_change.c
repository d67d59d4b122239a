/* One notice from the record's note to its delivery. See key_change.h. */
#include "server/ingest/submission/key_change.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/base/event.h"
#include "server/core/error.h"

enum { UNDER_WAY_MAX = 32 /* in this process; what is beyond them is told with a later mail */ };

struct change_notice {
    LIST_ENTRY(change_notice) in_list;
    struct ingest *in;
    uint64_t account, question; /* to the vault, while it notes; else 0 */
    struct deposit *deposit;
    char primary[ADDRESS_MAX];
    uint64_t now;
    struct iovec piece;
    char mail[KEY_CHANGE_MAIL_MAX];
};
LIST_HEAD(change_notices, change_notice);

bool submission_key_change_untold(const struct correspondent *c, bool refused, struct key_change *ret)
{
    const bool followed = c->npast && c->past[0].end == CORRESPONDENT_FOLLOWED && c->past[0].until > c->told;

    if (c->other.fpr_len && c->other.since > c->told) {
        ret->kept = c->key;
        ret->other = c->other;
        ret->outcome = refused ? KEY_CHANGE_REFUSED : KEY_CHANGE_KEPT;
        return true;
    }
    if (followed) {
        ret->kept = c->past[0].key;
        ret->other = c->key;
        ret->outcome = KEY_CHANGE_FOLLOWED;
    }
    return followed;
}

/* ---- who is told ---- */

struct wish {
    uint64_t account;
    char primary[ADDRESS_MAX];
    bool wants;
    struct correspondents n;
};

static int read_wish(void *arg, struct view *v)
{
    struct wish *w = arg;
    struct schema_account a;
    int err = view_account(v, w->account, &a);

    w->wants = err == OK && a.key_changes;
    if (w->wants) {
        memcpy(w->primary, a.address, sizeof(w->primary));
        err = view_correspondents(v, w->account, &w->n);
    }
    explicit_bzero(&a, sizeof(a));
    return err;
}

static bool is_enough(const struct correspondents *n, uint64_t now)
{
    return n->day == now / CORRESPONDENT_TOLD_EVERY && n->told >= CORRESPONDENTS_TOLD_DAY;
}

static struct change_notice *create(struct ingest *in, const struct wish *w, const struct key_change *k)
{
    struct change_notices *all = in->key_changes;
    struct change_notice *n, *other;
    size_t under_way = 0;

    if (!all && !(all = in->key_changes = calloc(1, sizeof(*all))))
        return NULL;
    LIST_FOREACH(other, all, in_list)
    under_way++;
    n = under_way < UNDER_WAY_MAX ? calloc(1, sizeof(*n)) : NULL;
    if (!n)
        return NULL;
    n->in = in;
    n->account = w->account;
    n->now = k->now;
    memcpy(n->primary, w->primary, sizeof(n->primary));
    n->piece.iov_base = n->mail;
    LIST_INSERT_HEAD(all, n, in_list);
    if (submission_key_change_mail(k, n->mail, &n->piece.iov_len) == OK)
        return n;
    submission_key_change_drop(n);
    return NULL;
}

struct change_notice *submission_key_change(struct ingest *in, uint64_t account, struct correspondent *c, bool refused,
                                            uint64_t now)
{
    struct wish w = {.account = account};
    struct key_change k = {.account = w.primary, .address = c->address, .now = now};
    struct change_notice *n;

    if (!submission_key_change_untold(c, refused, &k) || now < c->told + CORRESPONDENT_TOLD_EVERY)
        return NULL;
    if (view_run(in->view, read_wish, &w) != OK || !w.wants || is_enough(&w.n, now))
        return NULL;
    n = create(in, &w, &k);
    if (n)
        c->told = now;
    return n;
}

/* ---- from the note to the mail ---- */

void submission_key_change_drop(struct change_notice *n)
{
    if (!n)
        return;
    LIST_REMOVE(n, in_list);
    if (n->question)
        vault_client_forget(n->in->depositor.vault, n->question);
    if (n->deposit)
        deposit_cancel(n->deposit);
    explicit_bzero(n, sizeof(*n));
    free(n);
}

void submission_key_change_close_all(struct ingest *in)
{
    struct change_notices *all = in->key_changes;

    while (all && !LIST_EMPTY(all))
        submission_key_change_drop(LIST_FIRST(all));
    free(all);
    in->key_changes = NULL;
}

uint64_t *submission_key_change_asked(struct change_notice *n)
{
    return &n->question;
}

static void sealed(void *arg, const struct seal_result *r)
{
    struct change_notice *n = arg;

    (void)r;
    explicit_bzero(n->mail, sizeof(n->mail));
    count(n->in, COUNT_SEALED);
}

static void ended(struct change_notice *n, int status)
{
    if (status == OK)
        count(n->in, COUNT_KEY_CHANGES);
    else
        log_event(key_notice_failed, EVENT_NOTICE_DELIVERY, status);
    n->deposit = NULL;
    submission_key_change_drop(n);
}

static void deposited(void *arg, int status, const struct deposit_result *r)
{
    (void)r;
    ended(arg, status);
}

static int send_it(struct change_notice *n)
{
    static const struct deposit_hooks hooks = {.sealed = sealed, .done = deposited};
    const struct deposit_request q = {
        .seal = {.account = n->account,
                 .primary = n->primary,
                 .mail = &n->piece,
                 .mail_n = 1,
                 .mail_len = n->piece.iov_len,
                 .return_path = "",
                 .received = "",
                 .auth_results = "",
                 .tls = "",
                 .now = n->now,
                 .date = (int64_t)n->now},
        .store = {.type = VAULT_DELIVER, .mailbox = MAILBOX_INBOX, .deliver.internaldate = n->now},
    };

    return deposit_start(&n->in->depositor, &q, &hooks, n, &n->deposit);
}

/* Whatever was refused, or nobody knows, is told with a later mail. */
void submission_key_change_noted(void *arg, int status, struct unpack *body)
{
    struct change_notice *n = arg;

    (void)body;
    n->question = 0;
    if (status != OK) {
        submission_key_change_drop(n);
        return;
    }
    status = send_it(n);
    if (status != OK)
        ended(n, status);
}
