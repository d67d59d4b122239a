/* The receiver's table, and what is decided of sender, recipients and header. See submission.h. */
#include "server/ingest/submission/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/format/outer.h"
#include "server/ingest/submission/author.h"
#include "server/ingest/submission/autocrypt.h"
#include "server/ingest/submission/clean.h"
#include "server/ingest/submission/encrypt.h"
#include "server/ingest/submission/state.h"
#include "server/ingest/transaction/deliver.h"
#include "server/ingest/transaction/forward.h"
#include "server/ingest/transaction/rcpt.h"
#include "server/ingest/transaction/received.h"
#include "server/ingest/transaction/report.h"
#include "server/ingest/reserved/reserved.h"
#include "server/mail/address.h"

enum { ID_OCTETS = 16 /* random or hashed, of a message id that is made here */ };

static void give_back(struct transaction *t)
{
    struct submission *s = (struct submission *)t;

    submission_queue_reset(s);
    submission_encrypt_reset(s);
    secmem_unmap(s->head, s->head_cap);
    s->head = NULL;
    s->head_len = s->head_cap = 0;
}

static const struct transaction_kind kind = {.finish = submission_queue_finish,
                                             .cancel = submission_queue_cancel,
                                             .reset = give_back};

static void *on_open(struct ingest *in, struct smtp_session *session)
{
    struct submission *s = calloc(1, sizeof(*s));

    if (s)
        transaction_begin(&s->t, &kind, in, session);
    return s;
}

static void on_close(void *r)
{
    struct submission *s = r;

    submission_auth_cancel(s);
    submission_leave(s);
    transaction_end(&s->t);
    free(s->rows);
    explicit_bzero(s, sizeof(*s));
    free(s);
}

static void on_auth(void *r, const struct smtp_event *e)
{
    submission_auth(r, e);
}

static void on_reset(void *r)
{
    struct submission *s = r;

    if (smtp_phase(s->t.smtp) == SMTP_PHASE_CLOSED)
        submission_auth_cancel(s);
    transaction_on_reset(r);
}

/* ---- MAIL ---- */

struct sender {
    struct submission *s;
    const char *address;
};

/* Whose address is it, by the way that mail for it would take. Needs a snapshot. */
static int is_own(void *arg, const char *address)
{
    const struct submission *s = arg;
    struct schema_address a;
    int err = view_route(s->t.in->view, address, strlen(address), &a);

    if (err == ERR_NOT_FOUND || err == ERR_FORMAT)
        return ERR_DENIED;
    return err != OK ? err : a.account == s->who.user.account ? OK : ERR_DENIED;
}

enum { HELD = 1 /* no error of a function */ };

static int check_sender(void *arg, struct view *v)
{
    const struct sender *c = arg;
    const struct login_result *who = &c->s->who;
    int err = view_password_lives(v, who->user.account, who->hash);

    if (err == OK && c->address[0]) /* the null path is of read receipts and the like (RFC 8098 section 3) */
        err = is_own(c->s, c->address);
    if (err != OK)
        return err;
    err = view_held(v, who->user.account);
    if (err != ERR_NOT_FOUND)
        return err == OK ? HELD : err;
    return submission_encrypt_wanted(v, who->user.account, &c->s->encrypt);
}

static const struct transaction_refusal sender_refusals[] = {
    {ERR_NOT_FOUND, 535, "5.7.8", "The app password was revoked", COUNT_SENDER, EVENT_REASON_REVOKED},
    {ERR_DENIED, 550, "5.7.1", "You can send only as your own addresses, and this is none of them", COUNT_SENDER,
     EVENT_REASON_NOT_OWN}, /* RFC 6409 section 6.1 */
    {HELD, 550, "5.7.1", TRANSACTION_HELD_TEXT, COUNT_HELD, EVENT_REASON_HELD},
    {ERR_LIMIT, 450, "4.7.1", "Too many messages of this account at once; try again later", COUNT_DEFERRED,
     EVENT_REASON_DEFERRED},
    {ERR_UNAPPROVED, 451, "4.7.5", "Your account's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

static void begin_mail(struct submission *s, int err)
{
    const struct smtp_event *e = &s->mail_event;
    struct sender c = {s, e->address};

    if (err == OK)
        err = view_run(s->t.in->view, check_sender, &c);
    if (err == OK) {
        transaction_on_mail(s, e);
        return;
    }
    transaction_report_mail(&s->t, e->address, transaction_refuse(&s->t, sender_refusals, err)->why);
    transaction_name(&s->t);
    if (err == ERR_NOT_FOUND)
        smtp_close(s->t.smtp, 421, "4.7.0", "Log in again");
}

static void on_mail(void *r, const struct smtp_event *e)
{
    struct submission *s = r;

    s->mail_event = *e;
    submission_pace(s, PACE_MESSAGE, begin_mail);
}

static bool waits(const void *r)
{
    const struct submission *s = r;

    return s->pace.then != NULL;
}

/* ---- RCPT ---- */

enum {
    HIDDEN = SUBMISSION_LATER + 1 /* no error of a function: the address stands for one that is sealed */,
    SUPPRESSED
};
static const struct transaction_refusal rcpt_refusals[] = {
    {HIDDEN, 550, "5.1.1", "This stands for a correspondent whose address is inside the sealed message: take it there",
     COUNT_NO_USER, EVENT_REASON_HIDDEN},
    {SUPPRESSED, 550, "5.1.1",
     "That address's own server has said lately that there is none such; is it wrong, ask this server's postmaster",
     COUNT_SUPPRESSED, EVENT_REASON_SUPPRESSED},
    {ERR_FORMAT, 550, "5.1.2", "No mail can be sent to such a domain", COUNT_NO_USER, EVENT_REASON_MALFORMED},
    {ERR_FULL, 452, "4.5.3", "Too many recipients for one message", COUNT_DEFERRED, EVENT_REASON_TOO_MANY},
    {ERR_NO_KEY, 550, "5.7.5", "No key is known for this recipient, and your account seals always", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {ERR_UNKNOWN, 451, "4.7.5",
     "Whether this recipient has a key cannot be found out now, and your account seals always", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {CORRESPONDENT_CHANGED, 550, "5.7.5",
     "The key of this recipient is another than before: compare it with them; letterlock correspondent show, accept",
     COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {CORRESPONDENT_ENDED, 550, "5.7.5",
     "The key of this recipient has ended or is nowhere to be found, and your account seals always", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {CORRESPONDENT_WAITS, 451, "4.7.5", "The key of this recipient has ended, and no other is found", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {CORRESPONDENT_FULL, 452, "4.3.1", "Your account has too many correspondents to keep one more key", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {ERR_UNSUPPORTED, 451, "4.3.5", "This server has no outgoing queue", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

static void refuse_rcpt(struct submission *s, const char *address, int err)
{
    transaction_report_rcpt(&s->t, address, transaction_refuse(&s->t, rcpt_refusals, err)->why);
}

static int is_ours(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

/* As transaction_route. Local parts that no account can have may be somebody's elsewhere. */
static int route(struct submission *s, const char *address, struct transaction_route *ret)
{
    const char *at = strrchr(address, '@');
    char domain[DOMAIN_CAP];
    int err = transaction_route(&s->t, address, ret);

    if (err != ERR_FORMAT || !at)
        return err;
    if (address_domain_normalize(at + 1, strlen(at + 1), domain) != OK)
        return ERR_DENIED;
    err = view_run(s->t.in->view, is_ours, domain);
    return err == OK ? ERR_NOT_FOUND : err == ERR_NOT_FOUND ? ERR_DENIED : err;
}

/* here: where it leads, or NULL. Answers if it fails. */
static int add(struct submission *s, const struct smtp_event *e, const struct transaction_route *here)
{
    const bool held = smtp_envelope(s->t.smtp)->hold_until != 0;
    int err;

    if (!here || held) {
        err = submission_queue_add(s, e, here != NULL);
        if (err != OK)
            refuse_rcpt(s, e->address, err);
        return err;
    }
    err = transaction_add_local(&s->t, e->address, here);
    if (err != OK)
        transaction_refuse_rcpt(&s->t, e->address, err);
    return err;
}

struct whom {
    uint64_t now;
    char address[ADDRESS_MAX];
};

static int look_up_suppressed(void *arg, struct view *v)
{
    const struct whom *w = arg;
    struct suppressed s;
    int err = view_suppressed(v, w->address, &s);

    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    return s.until > w->now ? SUPPRESSED : OK;
}

/* One that bounced for good lately. What is no address is refused elsewhere. */
static int check_suppressed(struct submission *s, const char *address)
{
    struct whom w = {.now = (uint64_t)time(NULL)};

    return suppression_spell(address, w.address) == OK ? view_run(s->t.in->view, look_up_suppressed, &w) : OK;
}

static void on_rcpt(void *r, const struct smtp_event *e);
static void on_rcpt_ready(struct submission *s)
{
    const struct smtp_event e = s->rcpt;

    on_rcpt(s, &e);
    smtp_session_resume(s->t.session);
}

static void on_rcpt(void *r, const struct smtp_event *e)
{
    struct submission *s = r;
    struct transaction_route to;
    bool here;
    int err;

    if (strcasecmp(e->address, HIDDEN_ADDRESS) == 0) {
        refuse_rcpt(s, e->address, HIDDEN);
        return;
    }
    if (reserved_rcpt(&s->t, e->address, false))
        return;
    err = route(s, e->address, &to);
    if (err != OK && err != ERR_DENIED) {
        transaction_refuse_rcpt(&s->t, e->address, err);
        return;
    }
    here = err == OK;
    err = here ? OK : check_suppressed(s, e->address);
    if (err == OK)
        err = submission_encrypt_may(s, e->address, on_rcpt_ready);
    if (err == SUBMISSION_LATER) {
        s->rcpt = *e; /* its texts stay until it is answered */
        return;
    }
    if (err != OK) {
        refuse_rcpt(s, e->address, err);
        return;
    }
    if (add(s, e, here ? &to : NULL) == OK)
        smtp_accept(s->t.smtp, NULL);
}

/* ---- the message ---- */

/* What is wrong with a header: enum author_fault, and errors. */
enum { TOO_LARGE = 100, MALFORMED };
static const struct transaction_refusal header_refusals[] = {
    {TOO_LARGE, 552, "5.3.4", "The header is too large", COUNT_SENDER, EVENT_REASON_TOO_LARGE},
    {MALFORMED, 554, "5.6.0", "A line of the header is no header field", COUNT_SENDER, EVENT_REASON_SYNTAX},
    {AUTHOR_NONE_THERE, 554, "5.6.0", "The message has no From, or an empty one", COUNT_SENDER, EVENT_REASON_NOT_OWN},
    {AUTHOR_TWICE, 554, "5.6.0", "The message has more than one From or Sender", COUNT_SENDER, EVENT_REASON_NOT_OWN},
    {AUTHOR_UNREADABLE, 554, "5.6.0", "From or Sender is not written as RFC 5322 has it", COUNT_SENDER,
     EVENT_REASON_NOT_OWN},
    {AUTHOR_NOT_OWN, 550, "5.7.1", "From or Sender is an address that is not yours", COUNT_SENDER,
     EVENT_REASON_NOT_OWN},
    {ERR_NO_KEY, 451, "4.7.5", "A recipient has no key any more, and your account seals always", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {ERR_UNKNOWN, 451, "4.7.5", "Whether each recipient has a key cannot be found out now; without one nothing goes",
     COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {CORRESPONDENT_CHANGED, 550, "5.7.5",
     "The key of a recipient is another than before: compare it with them; letterlock correspondent show, accept",
     COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {CORRESPONDENT_ENDED, 550, "5.7.5",
     "The key of a recipient has ended or is nowhere to be found, and your account seals always", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {CORRESPONDENT_WAITS, 451, "4.7.5", "The key of a recipient has ended, and no other is found", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {CORRESPONDENT_FULL, 452, "4.3.1", "Your account has too many correspondents to keep one more key", COUNT_NO_KEY,
     EVENT_REASON_NO_KEY},
    {ERR_UNAPPROVED, 451, "4.7.5", "Your account's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {ERR_FULL, 452, "4.3.1", "No memory to seal this message now", COUNT_BUDGET, EVENT_REASON_NO_MEMORY},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

/* A client's header on its way to ours. */
struct work {
    struct submission *s;
    struct clean_header h;
    struct header_field fields[HEADER_FIELDS_MAX];
    uint8_t pseudonym_key[32];
    char domain[DOMAIN_CAP], given_id[MESSAGE_ID_MAX], id[64 + DOMAIN_CAP];
    bool id_stays;
};

static int look(void *arg, struct view *v)
{
    struct work *w = arg;
    const uint64_t account = w->s->who.user.account;
    const char *at = strrchr(w->given_id, '@');
    struct schema_account a;
    int err = submission_author_check(&w->h, is_own, w->s, w->domain);

    if (err == OK)
        err = view_account(v, account, &a);
    if (err != OK)
        return err;
    memcpy(w->pseudonym_key, a.pseudonym_key, sizeof(w->pseudonym_key));
    explicit_bzero(&a, sizeof(a));
    w->id_stays = at && strcasecmp(at + 1, w->s->t.in->config.domain) == 0;
    if (!at || w->id_stays)
        return OK;
    err = view_domain_known(v, at + 1);
    w->id_stays = err == OK;
    return err == ERR_NOT_FOUND || err == ERR_FORMAT ? OK : err;
}

/* An id whose right side names the client's machine is replaced by one that says nothing; the same id by the same. */
static void make_id(struct work *w)
{
    struct ingest *in = w->s->t.in;
    uint8_t fresh[ID_OCTETS], hash[RECORD_HASH_SIZE];
    struct record_part part = {w->given_id, strlen(w->given_id)};
    char *p = w->id;

    if (!part.len) {
        nonces_take(&in->nonces, fresh, sizeof(fresh));
        part = (struct record_part){fresh, sizeof(fresh)};
    }
    record_hash(view_keys(in->view), RECORD_MESSAGE_ID, w->s->who.user.account, &part, 1, hash);
    *p++ = '<';
    for (size_t i = 0; i < ID_OCTETS; i++)
        p += snprintf(p, 3, "%02x", hash[i]);
    snprintf(p, sizeof(w->id) - (size_t)(p - w->id), "@%s>", w->domain);
}

/* The first octets of the message, in one piece. */
static size_t gather(const struct secmem_msg *m, uint8_t *out)
{
    size_t len = 0;

    for (const struct secmem_chunk *c = m->first; c && len < HEADER_MAX; c = c->next) {
        size_t take = c->len < HEADER_MAX - len ? c->len : HEADER_MAX - len;
        memcpy(out + len, c->data, take);
        len += take;
    }
    return len;
}

static int write_header(struct work *w, struct clean_params *p)
{
    struct submission *s = w->s;
    uint8_t *field;
    size_t len;
    int err = submission_autocrypt(s->t.in->view, s->who.user.account, &w->h, s->t.now, &field, &len);

    if (err != OK)
        return err;
    p->more = slice_of(field, len);
    s->head_cap = submission_clean_max(&w->h, p);
    s->head = secmem_map(s->head_cap);
    if (s->head)
        s->head_len = submission_clean(&w->h, p, s->head);
    free(field);
    return s->head ? transaction_behead(&s->t, slice_of(s->head, s->head_len), w->h.len) : ERR_MEMORY;
}

static int rewrite(struct work *w, const uint8_t *top, size_t len)
{
    struct submission *s = w->s;
    struct clean_params p = {.now = (int64_t)s->t.now, .key = w->pseudonym_key, .own_domain = s->t.in->config.domain};
    int err = submission_header_read(top, len, w->fields, &w->h);

    if (err != OK)
        return err == ERR_LIMIT ? TOO_LARGE : MALFORMED;
    s->tls_optional = submission_tls_optional(&w->h);
    if (!submission_header_id(&w->h, w->given_id))
        w->given_id[0] = '\0';
    err = view_run(s->t.in->view, look, w);
    if (err != OK)
        return err;
    memcpy(s->author, w->domain, sizeof(s->author));
    if (w->given_id[0] && s->nrows > 0)
        submission_queue_name(s);
    if (!w->id_stays) {
        make_id(w);
        p.id = w->id;
    }
    return write_header(w, &p);
}

static int rewrite_header(struct submission *s)
{
    struct work *w = secmem_map(sizeof(*w));
    uint8_t *top = secmem_map(HEADER_MAX);
    int err = ERR_MEMORY;

    if (w && top) {
        w->s = s;
        err = rewrite(w, top, gather(&s->t.msg, top));
    }
    secmem_unmap(top, HEADER_MAX);
    secmem_unmap(w, sizeof(*w));
    return err;
}

static void deliver(struct submission *s, int err)
{
    s->t.submitter = s->who.user.account;
    if (err == OK)
        err = transaction_forward(&s->t);
    if (err != OK)
        transaction_refuse_all(&s->t, header_refusals, err);
    else
        transaction_deliver(&s->t);
}

static void encrypted(struct submission *s, int err)
{
    deliver(s, err);
    smtp_session_resume(s->t.session);
}

static void on_end(void *r)
{
    struct submission *s = r;
    int err;

    if (reserved_end(&s->t))
        return;
    err = transaction_take_content(&s->t);
    if (err == OK)
        err = rewrite_header(s);
    if (err != OK) {
        transaction_refuse_all(&s->t, header_refusals, err);
        return;
    }
    /* Of where it came from it says nothing. */
    const struct received received = {.domain = s->t.in->config.domain, .id = s->t.id_text, .now = s->t.now};
    transaction_received_make(&received, smtp_envelope(s->t.smtp), s->t.received);
    err = submission_encrypt(s, encrypted);
    if (err != SUBMISSION_LATER)
        deliver(s, err);
}

const struct smtp_receiver submission_receiver = {
    .mechanisms = "SCRAM-SHA-256 PLAIN LOGIN",
    .bound = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN",
    .open = on_open,
    .close = on_close,
    .auth = on_auth,
    .mail = on_mail,
    .waits = waits,
    .rcpt = on_rcpt,
    .room = transaction_on_room,
    .content = transaction_on_content,
    .failed = transaction_on_failed,
    .end = on_end,
    .reset = on_reset,
    .refused = transaction_on_refused,
    .heard = transaction_on_heard,
};
