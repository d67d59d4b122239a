/* One mail, one account, one parcel. The steps: keys, plan (what stays outside, what is inserted, the capsule), seal,
 * parcel. See sealer.h. */
#include "server/sealer/sealer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/format/capsule.h"
#include "server/format/protection.h"
#include "server/base/event.h"
#include "server/format/find.h"
#include "server/core/secmem.h"
#include "server/core/error.h"
#include "server/sealer/seal_keys.h"
#include "server/format/parcel.h"
#include "server/format/render.h"

enum { SEAL_WARNINGS_MAX = 256 };
enum { HEAD_MAX = HEADER_MAX + 64 * 1024 /* header block and a piece of the body, in one piece */ };

struct sealer {
    struct loop *loop;
    struct view *view;
    struct gpg_seal_client *gpg;
    struct seal_key_cache *keys;
    struct seal_keys *seen; /* by sealer_can_seal; NULL: none, or they are in the cache */
    bool keep_wildcard;
    char domain[256];
};

struct seal_op {
    struct sealer *s;
    struct seal_request q;
    seal_done_fn *done;
    void *arg;
    struct schema_account account;
    struct seal_keys *keys;
    struct header_view header;
    struct header_field *fields;
    uint8_t *head_copy; /* the mail's first head_len octets, when the first piece was too short */
    size_t head_len;
    struct protected_mail mail;
    bool have_mail;
    struct buf capsule;
    struct iovec capsule_piece;
    uint8_t *foreign;      /* the packets of mail that came encrypted, in a map of mail_len octets */
    struct iovec *payload; /* what is sealed: original and insertions */
    size_t payload_n;
    uint64_t packets_len;
    size_t outer_len;
    uint8_t render;
    struct parcel_writer *parcel;
    struct gpg_seal_op *gpg_op;
    bool capsule_sealed;
    struct seal_result result;
};

struct sealer *sealer_create(struct loop *l, struct view *v, struct gpg_seal_client *gpg, const char *domain)
{
    struct sealer *s = calloc(1, sizeof(*s));

    if (!s || strlen(domain) >= sizeof(s->domain) || !(s->keys = seal_key_cache_create())) {
        free(s);
        return NULL;
    }
    s->loop = l;
    s->view = v;
    s->gpg = gpg;
    strcpy(s->domain, domain);
    return s;
}

void sealer_destroy(struct sealer *s)
{
    if (!s)
        return;
    seal_keys_unref(s->seen);
    seal_key_cache_destroy(s->keys);
    free(s);
}

void sealer_keep_wildcard(struct sealer *s, bool keep)
{
    s->keep_wildcard = keep;
}

static void op_free(struct seal_op *op)
{
    if (op->gpg_op)
        gpg_seal_cancel(op->gpg_op);
    seal_keys_unref(op->keys);
    if (op->have_mail)
        protected_mail_free(&op->mail);
    buf_free(&op->capsule);
    free(op->fields);
    secmem_unmap(op->head_copy, op->head_len);
    secmem_unmap(op->foreign, (size_t)op->q.mail_len);
    parcel_destroy(op->parcel);
    free(op->payload);
    secmem_wipe(op, sizeof(*op));
    free(op);
}

/* ---- keys ---- */

int sealer_can_seal(struct sealer *s, uint64_t account)
{
    struct schema_account a;
    int err = view_account(s->view, account, &a);

    seal_keys_unref(s->seen);
    s->seen = NULL;
    if (err != OK)
        return err;
    if (!seal_key_cache_find(s->keys, &a))
        err = seal_keys_load(s->keys, s->view, &a, &s->seen);
    secmem_wipe(&a, sizeof(a));
    /* What is wrong with a certificate stays so until somebody gives another. */
    return err == ERR_NOT_FOUND || err == ERR_FORMAT || err == ERR_UNSUPPORTED || err == ERR_LIMIT ? ERR_NO_KEY : err;
}

void sealer_keep_seen(struct sealer *s)
{
    if (s->seen)
        seal_key_cache_put(s->keys, s->seen);
    seal_keys_unref(s->seen);
    s->seen = NULL;
}

struct load {
    struct seal_op *op;
    struct seal_keys *kept, *fresh;
};

static int read_account(void *arg, struct view *v)
{
    struct load *l = arg;
    struct seal_op *op = l->op;
    struct sealer *s = op->s;

    seal_keys_unref(l->fresh);
    l->kept = l->fresh = NULL;
    int err = view_account(v, op->q.account, &op->account);
    if (err == OK && op->q.primary && strcmp(op->q.primary, op->account.address) != 0)
        err = ERR_UNAPPROVED;
    if (err == OK && !(l->kept = seal_key_cache_find(s->keys, &op->account)))
        err = seal_keys_load(s->keys, v, &op->account, &l->fresh);
    return err;
}

/* Account and key set, from one snapshot that ended in time. */
static int load_account(struct seal_op *op)
{
    struct load l = {.op = op};
    int err = view_run(op->s->view, read_account, &l);

    if (err == OK && l.fresh)
        seal_key_cache_put(op->s->keys, l.fresh);
    if (err == OK) {
        op->keys = l.kept ? l.kept : l.fresh;
        op->keys->refs++;
    }
    if (err == ERR_UNAPPROVED)
        log_event(keys_not_approved, op->q.account);
    seal_keys_unref(l.fresh);
    return err;
}

/* ---- plan ---- */

/* The header block and what follows of the body in one piece: most often the first piece as it is. */
static int parse_header(struct seal_op *op)
{
    const struct iovec *v = op->q.mail;
    /* The sum of the pieces is mail_len: the caller's word. */
    size_t want = op->q.mail_len < HEAD_MAX ? (size_t)op->q.mail_len : HEAD_MAX, at = 0;

    op->fields = malloc(HEADER_FIELDS_MAX * sizeof(*op->fields));
    if (!op->fields)
        return ERR_MEMORY;
    if (want == 0)
        return header_parse((const uint8_t *)"", 0, op->fields, HEADER_FIELDS_MAX, &op->header);
    if (header_parse(v[0].iov_base, v[0].iov_len, op->fields, HEADER_FIELDS_MAX, &op->header) == OK &&
        (op->header.ends || op->q.mail_n == 1))
        return OK;
    op->head_copy = secmem_map(want);
    op->head_len = want;
    if (!op->head_copy)
        return ERR_MEMORY;
    for (size_t i = 0; at < want && i < op->q.mail_n; i++) {
        size_t n = v[i].iov_len < want - at ? v[i].iov_len : want - at;
        memcpy(op->head_copy + at, v[i].iov_base, n);
        at += n;
    }
    return header_parse(op->head_copy, want, op->fields, HEADER_FIELDS_MAX, &op->header);
}

static bool has_8bit(const uint8_t *p, size_t len)
{
    uint64_t w, any = 0;
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        memcpy(&w, p + i, 8);
        any |= w;
    }
    for (; i < len; i++)
        any |= p[i];
    return any & UINT64_C(0x8080808080808080);
}

static bool body_is_8bit(const struct seal_op *op)
{
    size_t skip = op->header.header_len;

    for (size_t i = 0; i < op->q.mail_n; i++) {
        const uint8_t *p = op->q.mail[i].iov_base;
        size_t n = op->q.mail[i].iov_len, s = skip < n ? skip : n;
        if (has_8bit(p + s, n - s))
            return true;
        skip -= s;
    }
    return false;
}

static int outer_done(struct seal_op *op, const struct buf *outer)
{
    op->outer_len = outer->len;
    return parcel_put_outer(op->parcel, outer->data, outer->len);
}

static int make_capsule(struct seal_op *op, bool foreign)
{
    char warnings[SEAL_WARNINGS_MAX];
    struct capsule_params p = {
        .sealed_by = op->s->domain,
        .sealed_at = op->q.now,
        .tls = op->q.tls,
        .auth_results = op->q.auth_results,
        .return_path = op->q.return_path,
        .received = foreign ? op->q.received : NULL,
        .foreign = foreign,
        .warnings = warnings,
    };

    /* An expired key: losing mail helps nobody, so it is sealed and said. Hidden recipients: it is kept, though nobody
     * can tell here whether its reader can open it. */
    snprintf(warnings, sizeof(warnings), "%s%s%s%s",
             op->keys->first_expiry && op->keys->first_expiry <= op->q.now ? "key-expired," : "",
             op->result.wildcard ? "hidden-recipients," : "", op->q.first_contact ? "first-contact," : "",
             op->q.warnings ? op->q.warnings : "");
    return capsule_make(&p, &op->header, &op->capsule);
}

/* What a client puts back under the policy hidden bears pseudonyms: its message and thread are those of the ids behind
 * them. */
static void turn_back(const struct seal_op *op, char id[512])
{
    char plain[512];

    if (pseudonym_open(op->account.pseudonym_key, op->s->domain, id, plain, sizeof(plain)) == OK)
        strcpy(id, plain);
    secmem_wipe(plain, sizeof(plain));
}

static void make_ids(struct seal_op *op)
{
    const struct record_keys *k = view_keys(op->s->view);
    char own[512], root[512];

    capsule_thread_ids(&op->header, own, root);
    turn_back(op, own);
    turn_back(op, root);
    if (own[0]) {
        struct record_part part = {own, strlen(own)};
        record_hash(k, RECORD_MESSAGE_ID, op->q.account, &part, 1, op->result.own_id);
    }
    if (root[0]) {
        struct record_part part = {root, strlen(root)};
        record_hash(k, RECORD_THREAD, op->q.account, &part, 1, op->result.thread);
    } else {
        randombytes_buf(op->result.thread, sizeof(op->result.thread)); /* a thread of its own */
    }
    secmem_wipe(own, sizeof(own));
    secmem_wipe(root, sizeof(root));
}

static struct protect_params protect_params(const struct seal_op *op)
{
    return (struct protect_params){
        .policy = (enum header_policy)(op->account.policy & ~POLICY_DISPLAY),
        .display = op->account.policy & POLICY_DISPLAY,
        .domain = op->s->domain,
        .return_path = op->q.return_path,
        .received = op->q.received,
        .auth_results = op->q.auth_results,
        .pseudonym_key = op->account.pseudonym_key,
        .date = op->q.date,
    };
}

/* Header protection, and what is sealed as pieces. */
static int make_payload(struct seal_op *op)
{
    struct protect_params p = protect_params(op);
    size_t cap = op->q.mail_n + 2 * HEADER_INSERTIONS_MAX + 1;
    int err = header_protect(&p, &op->header, op->q.mail_len, body_is_8bit(op), &op->mail);

    if (err != OK)
        return err;
    op->have_mail = true;
    op->payload = calloc(cap, sizeof(*op->payload));
    if (!op->payload)
        return ERR_MEMORY;
    err = protected_mail_iov(&op->mail, op->q.mail, op->q.mail_n, op->payload, cap, &op->payload_n);
    return err == OK ? outer_done(op, &op->mail.outer) : err;
}

/* ---- mail that arrives encrypted (docs/design.md section 1) ---- */

/* Is it one OpenPGP message for this account and nothing else, in a form that it can be served in? */
static int look(struct seal_op *op, const uint8_t *mail, uint8_t *packets, size_t len, size_t *ret_len)
{
    struct pgp_found found;
    struct pgp_check_result check;
    const char *why;
    uint8_t render = RENDER_VERSION;
    int err = pgp_find_message(mail, len, packets, len, &found);

    if (err == OK && found.in_line)
        err = render_inline_version(found.charset, &render);
    if (err == OK)
        err = pgp_check_message(packets, found.len, op->keys->known, op->keys->nknown,
                                op->s->keep_wildcard && !found.in_line ? PGP_CHECK_FOREIGN_WILDCARD : PGP_CHECK_FOREIGN,
                                &check, &why);
    if (err != OK)
        return err;
    op->render = render;
    op->result.wildcard = check.wildcard;
    *ret_len = found.len;
    return OK;
}

/* op->foreign: the packets of such mail in a map of mail_len octets; NULL for any other. Without the memory to look
 * nothing may be said: sealed twice, clients could not open it. */
static int find_packets(struct seal_op *op, size_t *ret_len)
{
    size_t total = (size_t)op->q.mail_len, at = 0;
    uint8_t *whole, *packets;
    int err = ERR_MEMORY;

    if (total == 0 || !pgp_find_likely(&op->header, op->q.mail_len))
        return OK;
    whole = secmem_map(total);
    packets = secmem_map(total);
    if (whole && packets) {
        for (size_t i = 0; i < op->q.mail_n; i++) {
            memcpy(whole + at, op->q.mail[i].iov_base, op->q.mail[i].iov_len);
            at += op->q.mail[i].iov_len;
        }
        err = look(op, whole, packets, total, ret_len);
    }
    secmem_unmap(whole, total);
    if (err == OK) {
        op->foreign = packets;
        return OK;
    }
    secmem_unmap(packets, total);
    return err == ERR_MEMORY ? err : OK;
}

static int keep_foreign(struct seal_op *op, size_t len)
{
    struct protect_params p = protect_params(op);
    struct buf outer;
    int err;

    buf_init(&outer, OUTER_MAX, true);
    err = header_outer_foreign(&p, &op->header, &outer);
    if (err == OK)
        err = outer_done(op, &outer);
    buf_free(&outer);
    if (err == OK)
        err = make_capsule(op, true);
    op->result.kind = op->q.client_append ? MESSAGE_CLIENT : MESSAGE_FOREIGN;
    op->payload = calloc(1, sizeof(*op->payload));
    if (!op->payload)
        return err == OK ? ERR_MEMORY : err;
    op->payload[0] = (struct iovec){op->foreign, len};
    op->payload_n = 1;
    return err;
}

/* ---- seal ---- */

static int sink_capsule(void *arg, const uint8_t *data, size_t len)
{
    return parcel_put_capsule(((struct seal_op *)arg)->parcel, data, len);
}

static int sink_packets(void *arg, const uint8_t *data, size_t len)
{
    struct seal_op *op = arg;

    op->packets_len += len;
    return parcel_put_packets(op->parcel, data, len);
}

/* Ends the operation, whichever way. */
static void finish(struct seal_op *op, int status)
{
    seal_done_fn *done = op->done;
    void *arg = op->arg;
    struct seal_result result;

    if (status == OK) {
        struct parcel_writer *w = op->parcel;
        op->parcel = NULL;
        parcel_set_render(w, op->render);
        status = parcel_seal(w, &op->result.parcel_fd);
    }
    op->result.policy = op->account.policy;
    op->result.rendered_size = render_size(op->render, op->outer_len, op->packets_len);
    result = op->result;
    op_free(op);
    done(arg, status, status == OK ? &result : NULL);
}

/* The packets: made through the gpg role, or already there. */
static int copy_foreign(struct seal_op *op)
{
    return sink_packets(op, op->payload[0].iov_base, op->payload[0].iov_len);
}

static void gpg_done(void *arg, int status);

static int gpg_next(struct seal_op *op)
{
    const struct gpg_seal_job job = {
        .certs = op->keys->certs,
        .ncerts = op->keys->ncurrent,
        .in = op->capsule_sealed ? op->payload : &op->capsule_piece,
        .iovcnt = op->capsule_sealed ? op->payload_n : 1,
        .sink = op->capsule_sealed ? sink_packets : sink_capsule,
        .sink_arg = op,
        .account = op->q.account,
        .peer = op->q.peer,
    };

    return op->s->gpg ? gpg_seal_start(op->s->gpg, &job, gpg_done, op, &op->gpg_op) : ERR_GONE;
}

static void gpg_done(void *arg, int status)
{
    struct seal_op *op = arg;

    op->gpg_op = NULL;
    if (status == OK && !op->capsule_sealed) {
        op->capsule_sealed = true;
        status = op->foreign ? copy_foreign(op) : gpg_next(op);
        if (status == OK && !op->foreign)
            return;
    }
    finish(op, status);
}

static int native_seal(struct seal_op *op)
{
    const struct pgp_seal_part parts[] = {
        {.in = &op->capsule_piece, .iovcnt = 1, .sink = sink_capsule, .arg = op},
        {.in = op->payload, .iovcnt = op->payload_n, .sink = sink_packets, .arg = op},
    };
    int err = pgp_seal_parts(op->keys->recipients, op->keys->ncurrent, parts, op->foreign ? 1 : 2);

    return err == OK && op->foreign ? copy_foreign(op) : err;
}

static __attribute__((noinline)) int prepare(struct seal_op *op)
{
    size_t len = 0;
    int err = load_account(op);

    if (err == OK)
        err = parse_header(op);
    if (err == OK)
        err = parcel_create(&op->parcel);
    if (err != OK)
        return err;
    make_ids(op);
    op->result.kind = MESSAGE_SERVER_SEALED;
    err = find_packets(op, &len);
    if (err != OK)
        return err;
    if (op->foreign) {
        err = keep_foreign(op, len);
    } else if (op->q.plain_max && op->q.mail_len > op->q.plain_max) {
        return ERR_LIMIT;
    } else {
        err = make_payload(op);
        if (err == OK)
            err = make_capsule(op, false);
    }
    op->capsule_piece = (struct iovec){op->capsule.data, op->capsule.len};
    return err;
}

int sealer_start(struct sealer *s, const struct seal_request *q, seal_done_fn *done, void *arg, struct seal_op **ret_op)
{
    struct seal_op *op = calloc(1, sizeof(*op));
    int err;

    if (!op)
        return ERR_MEMORY;
    op->s = s;
    op->q = *q;
    op->done = done;
    op->arg = arg;
    op->result.parcel_fd = -1;
    op->render = RENDER_VERSION;
    buf_init(&op->capsule, CAPSULE_MAX, true);
    *ret_op = NULL;
    err = prepare(op);
    free(op->fields);
    op->fields = NULL;
    secmem_wipe_stack(); /* a preview, header fields, what GMime decoded */
    if (err == OK && !op->keys->native) {
        err = gpg_next(op);
        if (err == OK) {
            *ret_op = op;
            return OK;
        }
    } else if (err == OK) {
        err = native_seal(op);
    }
    finish(op, err);
    return OK;
}

void sealer_cancel(struct seal_op *op)
{
    op_free(op);
}
