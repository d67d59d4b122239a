/* Copies in pieces that are under way: whose next piece may come, and from whom. What the pieces have put there is
 * noted in the store (store/mailbox_copies.c). */
#include "server/core/error.h"
#include "store/vault/vault.h"

bool vault_copy_lives(const struct vault *v, const struct client *from, uint64_t account, uint64_t number)
{
    for (unsigned i = 0; i < v->ncopies; i++)
        if (v->copies[i].account == account && v->copies[i].number == number && (!from || v->copies[i].from == from))
            return true;
    return false;
}

static void copies_remove(struct vault *v, unsigned i)
{
    v->copies[i] = v->copies[--v->ncopies];
}

void vault_copies_drop(struct vault *v, const struct client *from)
{
    for (unsigned i = v->ncopies; i-- > 0;) {
        if (v->copies[i].from != from)
            continue;
        copies_remove(v, i);
        v->sweep = true;
        v->chore_cursor = PART_ACCOUNT_FIRST;
    }
}

void vault_copy_ended(struct vault *v, const struct client *from, uint64_t account, uint64_t number)
{
    for (unsigned i = v->ncopies; i-- > 0;)
        if (v->copies[i].account == account && v->copies[i].number == number && v->copies[i].from == from)
            copies_remove(v, i);
}

void vault_copy_stored(struct vault *v, const struct request *q)
{
    uint64_t account = q->a.account, number = q->a.copy.number;
    if (q->a.copy.piece == VAULT_PIECE_LAST) {
        vault_copy_ended(v, q->from, account, number);
    } else if (q->a.copy.piece == VAULT_PIECE_FIRST && q->from->ipc) {
        v->copies[v->ncopies].from = q->from;
        v->copies[v->ncopies].account = account;
        v->copies[v->ncopies++].number = number;
    }
}

/* No client may have more of them than it leaves to the others, or one could keep all from copying. */
static bool has_room(const struct vault *v, const struct client *from)
{
    unsigned own = 0;
    for (unsigned i = 0; i < v->ncopies; i++)
        own += v->copies[i].from == from;
    return v->ncopies + own < COPIES_MAX;
}

int vault_copy_check(const struct vault *v, const struct request *q)
{
    const struct vault_copy *a = &q->a.copy;
    if ((a->piece == VAULT_PIECE_WHOLE) != (a->number == 0) || (a->move && a->piece != VAULT_PIECE_WHOLE))
        return ERR_FORMAT;
    if (a->piece == VAULT_PIECE_FIRST)
        return !has_room(v, q->from) ? ERR_LIMIT : vault_copy_lives(v, NULL, q->a.account, a->number) ? ERR_EXISTS : OK;
    return a->piece == VAULT_PIECE_WHOLE || vault_copy_lives(v, q->from, q->a.account, a->number) ? OK : ERR_GONE;
}
