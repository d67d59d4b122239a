/* See delivery.h. What is hashed is what the client said, so a date that it left to the server is not part of it. */
#include "server/access/imap/delivery.h"

#include <sodium.h>
#include <string.h>

#include "server/access/imap/access.h"

static int make(struct imap_session *s, const struct imap_delivery *d, uint8_t ret[RECORD_HASH_SIZE])
{
    uint8_t fixed[40], content[CONTENT_HASH_SIZE];
    struct record_part parts[2 + IMAP_KEYWORDS_MAX] = {{fixed, sizeof(fixed)}, {content, sizeof(content)}};
    struct pack p;
    int err = content_hash(s->a->content, d->mail, d->mail_n, content);

    if (err != OK)
        return err;
    pack_init(&p, fixed, sizeof(fixed));
    pack_u32(&p, d->mailbox);
    pack_u32(&p, d->replaced.mailbox);
    pack_u32(&p, d->replaced.uid);
    pack_u64(&p, d->flags->system);
    pack_u64(&p, d->dated);
    pack_u64(&p, d->dated ? (uint64_t)d->date : 0);
    parts[0].len = p.len;
    for (unsigned i = 0; i < d->flags->nkeywords; i++)
        parts[2 + i] = (struct record_part){d->flags->keywords[i], strlen(d->flags->keywords[i])};
    record_hash(view_keys(s->a->view), RECORD_DELIVERY, s->account, parts, 2 + d->flags->nkeywords, ret);
    explicit_bzero(content, sizeof(content));
    return OK;
}

static bool in_use(const struct imap_session *s, const uint8_t id[RECORD_HASH_SIZE])
{
    const struct imap_session *o = s->a->by_account[s->account % IMAP_ACCOUNT_BUCKETS];

    if (told_seen_has(&s->a->seen, s->account, id))
        return true;
    for (; o; o = o->acc_next)
        if (o->account == s->account &&
            ((o->delivery && memcmp(o->delivery, id, RECORD_HASH_SIZE) == 0) || told_has(&o->told, s->account, id)))
            return true;
    return false;
}

/* false: another is at work on it. */
static bool take(struct imap_session *s, const uint8_t id[RECORD_HASH_SIZE])
{
    const struct tally *t = s->a->tally;

    if (in_use(s, id))
        return false;
    access_hold(s->a, id, 1);
    if (!t || !tally_held(t, tally_slot(t, id, RECORD_HASH_SIZE)))
        return true;
    access_hold(s->a, id, -1);
    return false;
}

int imap_delivery_begin(struct imap_session *s, const struct imap_delivery *d, uint8_t ret[RECORD_HASH_SIZE])
{
    uint8_t id[RECORD_HASH_SIZE];
    int err = make(s, d, id);

    if (err != OK)
        return err;
    if (s->told.n == TOLD_MAX || !take(s, id)) {
        randombytes_buf(id, sizeof(id));
        access_hold(s->a, id, 1);
    }
    memcpy(ret, id, sizeof(id));
    s->delivery = ret;
    told_seen_flush(&s->a->seen); /* this may be what was put there before once more */
    return OK;
}

void imap_delivery_end(struct imap_session *s, bool stored)
{
    if (!s->delivery)
        return;
    if (stored && told_add(&s->told, s->account, s->delivery) == OK)
        s->ask_heard = true;
    else
        access_hold(s->a, s->delivery, -1);
    s->delivery = NULL;
}
