#include "server/ingest/transaction/sender.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/auth_results.h"
#include "server/mailauth/author.h"
#include "server/mailauth/sender_features.h"

struct sender {
    char author[ADDRESS_MAX]; /* "": none that can be told */
    bool proven;
    struct features features;
};

/* ---- the message ---- */

static const uint8_t *octets_of(const struct sockaddr_storage *peer, bool *ret_six)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;

    *ret_six = peer->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
    if (peer->ss_family == AF_INET6)
        return six->sin6_addr.s6_addr + (*ret_six ? 0 : 12);
    return peer->ss_family == AF_INET ? (const uint8_t *)&((const struct sockaddr_in *)peer)->sin_addr : NULL;
}

static void read_author(struct slice top, struct sender *s)
{
    struct header_field *fields = malloc(HEADER_FIELDS_MAX * sizeof(*fields));
    struct header_view v;

    if (fields && header_parse(top.data, top.len, fields, HEADER_FIELDS_MAX, &v) == OK)
        author_address(&v, s->author);
    free(fields);
}

/* Our own people's words are nobody's lesson. */
static void read_links(const struct transaction *t, uint8_t *top, size_t len, struct links *ret)
{
    if (t->submitter || links_read(top, len, ret) != OK)
        *ret = (struct links){0};
}

static void look(struct transaction *t, uint8_t *top, size_t len, struct sender *s)
{
    struct links links;
    struct features_question q = {.author = s->author,
                                  .organization = "",
                                  .sender = smtp_envelope(t->smtp)->sender,
                                  .result = "",
                                  .links = &links};

    if (t->verdict) {
        q.organization = t->verdict->dmarc.organization;
        q.result = auth_result_name(t->verdict->dmarc.result);
    }
    read_author(slice_of(top, len), s);
    read_links(t, top, len, &links);
    s->proven =
        t->submitter != 0 /* whose addresses were looked at */ || (t->verdict && t->verdict->dmarc.result == AUTH_PASS);
    if (!t->submitter)
        q.peer = octets_of(smtp_session_peer(t->session), &q.six);
    features_of(&q, &s->features);
}

void transaction_look_at_sender(struct transaction *t)
{
    const size_t cap = t->mail.len < LINKS_LOOK_MAX ? (size_t)t->mail.len : LINKS_LOOK_MAX;
    uint8_t *top = cap ? secmem_map(cap) : NULL;

    free(t->sender);
    t->sender = NULL;
    if (top)
        t->sender = calloc(1, sizeof(*t->sender));
    if (t->sender)
        look(t, top, transaction_mail_top(&t->mail, top, cap), t->sender);
    secmem_unmap(top, cap);
    secmem_wipe_stack();
}

/* ---- a recipient ---- */

static void put_features(const struct record_keys *k, uint64_t account, const struct features *f,
                         struct vault_deliver *d)
{
    _Static_assert((int)FEATURES_MAX <= (int)MESSAGE_FEATURES_MAX, "each has its place");
    uint8_t hash[RECORD_HASH_SIZE];
    struct unpack u;

    for (size_t i = 0; i < f->n; i++) {
        const struct record_part parts[] = {{f->v[i].kind, strlen(f->v[i].kind)},
                                            {f->v[i].value, strlen(f->v[i].value)}};
        record_hash(k, RECORD_FEATURE, account, parts, 2, hash);
        unpack_init(&u, hash, sizeof(hash));
        d->features[i] = unpack_u64(&u);
    }
    d->nfeatures = (uint32_t)f->n;
}

struct asking {
    const struct transaction *t;
    const struct transaction_rcpt *r;
    const uint8_t *who;
};

/* Mail between two accounts here is in neither's list of recipients: there its author knows the recipient by what that
 * one has written before. */
static int knows_by_answer(const struct asking *a, struct view *v, const char *address)
{
    uint8_t who[CONTACT_WHO];

    contact_who(view_keys(v), a->t->submitter, address, true, who);
    return view_contact(v, a->t->submitter, who);
}

static int ask(void *arg, struct view *v)
{
    const struct asking *a = arg;
    int err = view_contact(v, a->r->account, a->who);

    if (err == ERR_NOT_FOUND)
        err = view_written_to(v, a->r->account, a->t->sender->author);
    if (err == ERR_NOT_FOUND && a->t->submitter)
        err = knows_by_answer(a, v, a->r->address);
    if (err == ERR_NOT_FOUND && a->t->submitter)
        err = knows_by_answer(a, v, a->r->primary);
    return err;
}

int transaction_put_sender(struct transaction *t, const struct transaction_rcpt *r, struct deposit_request *q)
{
    const struct sender *s = t->sender;
    const struct record_keys *k = view_keys(t->in->view);
    uint8_t who[CONTACT_WHO];
    struct asking a = {.t = t, .r = r, .who = who};
    int err;

    if (!s)
        return OK;
    put_features(k, r->account, &s->features, &q->store.deliver);
    if (!s->author[0]) {
        q->seal.first_contact = true; /* who cannot be told is nobody known */
        return OK;
    }
    contact_who(k, r->account, s->author, s->proven, who);
    if (!t->junk) /* of which the next one is as new */
        memcpy(q->store.deliver.contact, who, sizeof(who));
    err = view_run(t->in->view, ask, &a);
    q->seal.first_contact = err == ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? OK : err;
}

static bool is_known_to(struct transaction *t, const struct transaction_rcpt *r)
{
    uint8_t who[CONTACT_WHO];
    struct asking a = {.t = t, .r = r, .who = who};

    contact_who(view_keys(t->in->view), r->account, t->sender->author, true, who);
    return view_run(t->in->view, ask, &a) == OK;
}

bool transaction_sender_is_known(struct transaction *t)
{
    bool known = false;

    transaction_look_at_sender(t);
    if (!t->sender || !t->sender->proven || !t->sender->author[0])
        return false;
    for (size_t i = 0; !known && i < t->n; i++)
        known = t->rcpts[i].account != 0 && is_known_to(t, &t->rcpts[i]);
    return known;
}
