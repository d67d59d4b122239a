/* The engine: what is lost before a key is asked for, the questions, and the verdicts. See dkim_verify.h. */
#include "server/mailauth/dkim_verify.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/arc.h"
#include "server/mailauth/dkim_hash.h"
#include "server/mailauth/dkim_record.h"

/* A field that signs. */
struct slot {
    struct dkim_field f;
    size_t at, body;
    bool open;               /* its key is to be asked for */
    enum dkim_reason reason; /* DKIM_VERIFIED: nothing speaks against it so far */
    unsigned bits;
    uint8_t digest[DKIM_HASH];
};

struct dkim_check {
    struct slot *slots; /* signatures, then a message signature and a seal for each set */
    size_t signatures;
    bool more, spares;
    unsigned sets;
    enum dkim_reason chain, whole; /* what speaks against the chain's structure; against all of a message */
};

/* ---- words ---- */

static const struct {
    enum auth_result result;
    const char *text;
} reasons[DKIM_REASONS] = {
    [DKIM_VERIFIED] = {AUTH_PASS, "verified"},
    [DKIM_BODY_CHANGED] = {AUTH_FAIL, "the body is not what was signed"},
    [DKIM_SIGNATURE_WRONG] = {AUTH_FAIL, "the signature does not verify"},
    [DKIM_IN_PART] = {AUTH_POLICY, "the body is signed in part (l=)"},
    [DKIM_EXPIRED] = {AUTH_POLICY, "expired (x=)"},
    [DKIM_KEY_WEAK] = {AUTH_POLICY, "a key under 1024 bits"},
    [DKIM_KEY_LARGE] = {AUTH_POLICY, "a key over 4096 bits"},
    [DKIM_ADDED] = {AUTH_POLICY, "another field of a kind that is signed"},
    [DKIM_AUTHORS] = {AUTH_POLICY, "not one From"},
    [DKIM_HEADER_ODD] = {AUTH_POLICY, "a header that can be read in several ways"},
    [DKIM_SYNTAX] = {AUTH_NEUTRAL, "not a signature"},
    [DKIM_TESTING] = {AUTH_NEUTRAL, "a key for tests (t=y)"},
    [DKIM_UNSUPPORTED] = {AUTH_PERMERROR, "an algorithm, version or query that is not supported"},
    [DKIM_FROM_UNSIGNED] = {AUTH_PERMERROR, "From is not signed"},
    [DKIM_IDENTITY] = {AUTH_PERMERROR, "i= is not of d="},
    [DKIM_KEY_NONE] = {AUTH_PERMERROR, "no key"},
    [DKIM_KEY_SEVERAL] = {AUTH_PERMERROR, "several keys at one name"},
    [DKIM_KEY_SYNTAX] = {AUTH_PERMERROR, "not a key"},
    [DKIM_KEY_REVOKED] = {AUTH_PERMERROR, "a revoked key"},
    [DKIM_KEY_OTHER] = {AUTH_PERMERROR, "a key for something else"},
    [DKIM_KEY_UNKNOWN] = {AUTH_TEMPERROR, "the key could not be asked for"},
    [DKIM_CHAIN_BROKEN] = {AUTH_PERMERROR, "not a chain"},
    [DKIM_CHAIN_LONG] = {AUTH_PERMERROR, "a chain of too many sets"},
    [DKIM_CHAIN_FAILED] = {AUTH_PERMERROR, "a chain that had failed before"},
    [DKIM_SPARED] = {AUTH_NEUTRAL, "not tried: another of this domain verifies"},
};

enum auth_result dkim_result_of(enum dkim_reason r)
{
    return (unsigned)r < DKIM_REASONS ? reasons[r].result : AUTH_PERMERROR;
}

const char *dkim_reason_text(enum dkim_reason r)
{
    return (unsigned)r < DKIM_REASONS ? reasons[r].text : "";
}

/* ---- the message as a whole ---- */

/* NUL, CR without LF, LF without CR. All octets at once, as compilers do where nothing branches. */
static bool lines_are_odd(const uint8_t *s, size_t len)
{
    uint8_t odd = 0;

    for (size_t i = 1; i < len; i++)
        odd |= (s[i] == '\0') | ((s[i] == '\n') ^ (s[i - 1] == '\r'));
    return odd || (len && (s[0] == '\0' || s[0] == '\n' || s[len - 1] == '\r'));
}

/* A blank before the colon: some see no field there, and then another author. */
static bool author_is_odd(const struct header_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (header_field_is(v->s, &v->fields[i], "From") && v->fields[i].blank)
            return true;
    return false;
}

static enum dkim_reason look_at_whole(const struct header_view *v, const struct dkim_names *names)
{
    if (v->malformed || v->strays || lines_are_odd(v->s, v->header_len) || author_is_odd(v))
        return DKIM_HEADER_ODD;
    return dkim_names_count(names, "From") == 1 ? DKIM_VERIFIED : DKIM_AUTHORS;
}

/* ---- slots ---- */

static struct slot *message_slot(const struct dkim_check *c, unsigned set)
{
    return &c->slots[c->signatures + 2 * (size_t)(set - 1)];
}

static struct slot *seal_slot(const struct dkim_check *c, unsigned set)
{
    return message_slot(c, set) + 1;
}

static void read_slot(struct slot *s, enum dkim_kind kind, const struct header_view *v, size_t at)
{
    s->at = at;
    s->reason = dkim_field_read(kind, header_field_value(v->s, &v->fields[at]), &s->f);
}

/* The hash of what a signature covers; what speaks against it without a key. */
static int hash_slot(struct slot *s, struct dkim_names *names, uint64_t now)
{
    bool added = false;
    int err;

    if (s->reason != DKIM_VERIFIED)
        return OK;
    err = dkim_hash_header(names, &s->f, s->at, s->digest, &added);
    if (added)
        s->reason = DKIM_ADDED;
    else if (s->f.partial)
        s->reason = DKIM_IN_PART;
    else if (s->f.expires && s->f.expires < now)
        s->reason = DKIM_EXPIRED;
    return err;
}

/* RFC 8617 section 5.1.1: each set up to this one, in the order of their making; this seal comes last. */
static int hash_seal(struct slot *s, const struct header_view *v, const struct arc_sets *sets)
{
    struct dkim_hash h;
    int err;

    if (s->reason != DKIM_VERIFIED)
        return OK;
    err = dkim_hash_begin(&h);
    for (unsigned i = 0; i < s->f.instance && err == OK; i++)
        for (int p = 0; p < ARC_PARTS && err == OK; p++)
            err =
                dkim_hash_field(&h, v, sets->field[i][p], CANON_RELAXED, sets->field[i][p] == s->at ? &s->f.cut : NULL);
    if (err == OK)
        err = dkim_hash_end(&h, s->digest);
    dkim_hash_free(&h);
    return err;
}

static bool has_body(const struct slot *s)
{
    return s->f.kind != DKIM_KIND_SEAL && (s->reason == DKIM_VERIFIED || s->reason == DKIM_IN_PART);
}

static int hash_bodies(struct dkim_check *c, size_t slots, const struct iovec *mail, size_t n, size_t skip)
{
    struct dkim_bodies bodies = {.n = 0};
    int err;

    for (size_t i = 0; i < slots; i++)
        if (has_body(&c->slots[i]))
            c->slots[i].body = dkim_bodies_add(&bodies, c->slots[i].f.body, c->slots[i].f.length);
    err = dkim_bodies_hash(&bodies, mail, n, skip);
    for (size_t i = 0; i < slots && err == OK; i++) {
        struct slot *s = &c->slots[i];
        const struct dkim_body *b = &bodies.v[s->body];
        if (has_body(s) && (!b->met || memcmp(b->digest, s->f.body_hash, DKIM_HASH) != 0))
            s->reason = DKIM_BODY_CHANGED;
    }
    return err;
}

/* ---- the chain ---- */

/* RFC 8617 section 5.2 steps 2 and 3. */
static void look_at_chain(struct dkim_check *c)
{
    for (unsigned i = 1; i <= c->sets && c->chain == DKIM_VERIFIED; i++) {
        const struct slot *s = seal_slot(c, i);
        if (s->reason == DKIM_VERIFIED && s->f.chain != (i == 1 ? ARC_CHAIN_NONE : ARC_CHAIN_PASS))
            c->chain = DKIM_CHAIN_FAILED;
    }
    if (c->chain == DKIM_VERIFIED && c->sets)
        c->chain = c->whole;
}

/* The set on which the chain fails so far, 0: none. What older message signatures say decides nothing. */
static unsigned failing_set(const struct dkim_check *c, enum dkim_reason *ret)
{
    if (c->sets && message_slot(c, c->sets)->reason != DKIM_VERIFIED) {
        *ret = message_slot(c, c->sets)->reason;
        return c->sets;
    }
    for (unsigned i = c->sets; i > 0; i--)
        if (seal_slot(c, i)->reason != DKIM_VERIFIED) {
            *ret = seal_slot(c, i)->reason;
            return i;
        }
    return 0;
}

/* ---- questions ---- */

static void open_slot(struct slot *s)
{
    s->open = s->reason == DKIM_VERIFIED;
}

static void open_slots(struct dkim_check *c)
{
    enum dkim_reason reason;
    bool chain;

    for (size_t i = 0; i < c->signatures; i++)
        open_slot(&c->slots[i]);
    chain = c->chain == DKIM_VERIFIED && failing_set(c, &reason) == 0;
    for (unsigned i = 1; chain && i <= c->sets; i++) {
        open_slot(message_slot(c, i));
        open_slot(seal_slot(c, i));
    }
}

/* ---- made ---- */

static int find_slots(struct dkim_check *c, const struct header_view *v, const struct arc_sets *sets)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += header_field_is(v->s, &v->fields[i], "DKIM-Signature");
    c->more = n > DKIM_SIGNATURES_MAX;
    c->signatures = c->more ? DKIM_SIGNATURES_MAX : n;
    c->sets = sets->n;
    c->slots = calloc(c->signatures + 2 * (size_t)c->sets + 1, sizeof(*c->slots));
    if (!c->slots)
        return ERR_MEMORY;
    for (size_t i = 0, k = 0; k < c->signatures; i++)
        if (header_field_is(v->s, &v->fields[i], "DKIM-Signature"))
            read_slot(&c->slots[k++], DKIM_KIND_SIGNATURE, v, i);
    for (unsigned i = 1; i <= c->sets; i++) {
        read_slot(message_slot(c, i), DKIM_KIND_MESSAGE, v, sets->field[i - 1][ARC_MESSAGE]);
        read_slot(seal_slot(c, i), DKIM_KIND_SEAL, v, sets->field[i - 1][ARC_SEAL]);
    }
    return OK;
}

static int hash_all(struct dkim_check *c, const struct header_view *v, struct dkim_names *names,
                    const struct arc_sets *sets, uint64_t now)
{
    const size_t slots = c->signatures + 2 * (size_t)c->sets;
    int err = OK;

    for (size_t i = 0; i < slots && err == OK; i++) {
        struct slot *s = &c->slots[i];
        if (c->whole != DKIM_VERIFIED && s->reason == DKIM_VERIFIED)
            s->reason = c->whole;
        err = s->f.kind == DKIM_KIND_SEAL ? hash_seal(s, v, sets) : hash_slot(s, names, now);
    }
    return err;
}

static int look(struct dkim_check *c, const struct header_view *v, const struct iovec *mail, size_t n, uint64_t now)
{
    struct dkim_names *names = NULL;
    struct arc_sets sets = {.n = 0};
    int err = dkim_names_create(v, &names);

    if (err == OK) {
        c->whole = look_at_whole(v, names);
        c->chain = arc_sets_read(v, &sets);
        err = find_slots(c, v, &sets);
    }
    if (err == OK) {
        look_at_chain(c);
        err = hash_all(c, v, names, &sets, now);
    }
    if (err == OK)
        err = hash_bodies(c, c->signatures + 2 * (size_t)c->sets, mail, n, v->header_len);
    if (err == OK)
        open_slots(c);
    dkim_names_destroy(names);
    return err;
}

int dkim_check_create(const struct header_view *header, const struct iovec *mail, size_t n, uint64_t now,
                      struct dkim_check **ret)
{
    struct dkim_check *c = calloc(1, sizeof(*c));
    int err;

    if (!c)
        return ERR_MEMORY;
    c->more = !header;
    err = header ? look(c, header, mail, n, now) : OK;
    if (err == OK)
        *ret = c;
    else
        dkim_check_destroy(c);
    return err;
}

void dkim_check_destroy(struct dkim_check *c)
{
    if (c)
        free(c->slots);
    free(c);
}

/* ---- answers ---- */

static enum dkim_reason verify(struct slot *s, const struct records_answer *a)
{
    const struct dkim_record *r = NULL;
    enum dkim_reason reason;

    if (a->err != OK)
        return DKIM_KEY_UNKNOWN;
    reason = dkim_record_find(a->v, a->n, s->f.algorithm, &r);
    s->bits = r ? r->bits : 0;
    if (reason != DKIM_VERIFIED)
        return reason;
    if (r->testing) /* section 3.6.1: as unsigned, whether it verifies or not */
        return DKIM_TESTING;
    reason = dkim_record_verify(r, s->digest, slice_of(s->f.b, s->f.b_len));
    return reason == DKIM_VERIFIED && r->strict && strcmp(s->f.identity, s->f.domain) != 0 ? DKIM_IDENTITY : reason;
}

static bool is_spared(const struct dkim_check *c, const struct slot *s)
{
    for (size_t i = 0; c->spares && s->f.kind == DKIM_KIND_SIGNATURE && i < c->signatures; i++) {
        const struct slot *other = &c->slots[i];
        if (!other->open && other->reason == DKIM_VERIFIED && strcmp(other->f.domain, s->f.domain) == 0)
            return true;
    }
    return false;
}

static int close_slot(const struct dkim_check *c, struct slot *s, struct records *r)
{
    char name[2 * DOMAIN_CAP + sizeof("._domainkey.")];
    const struct records_answer *a;

    if (!s->open)
        return OK;
    if (is_spared(c, s)) {
        s->open = false;
        s->reason = DKIM_SPARED;
        return OK;
    }
    /* one that is too long for DNS exists nowhere: records_get sees to it */
    snprintf(name, sizeof(name), "%s._domainkey.%s", s->f.selector, s->f.domain);
    a = records_get(r, RECORDS_TXT, name);
    if (!a)
        return ERR_AGAIN;
    s->open = false;
    s->reason = verify(s, a);
    return OK;
}

static int close_slots(struct dkim_check *c, enum dkim_algorithm a, struct records *r)
{
    int err = OK;

    for (size_t i = 0; i < c->signatures + 2 * (size_t)c->sets; i++)
        if (c->slots[i].f.algorithm == a && close_slot(c, &c->slots[i], r) != OK)
            err = ERR_AGAIN;
    return err;
}

/* ---- verdicts ---- */

static void judge_signature(const struct slot *s, struct dkim_verdict *ret)
{
    *ret = (struct dkim_verdict){.result = dkim_result_of(s->reason),
                                 .reason = s->reason,
                                 .algorithm = s->f.algorithm,
                                 .bits = s->bits};
    memcpy(ret->domain, s->f.domain, sizeof(ret->domain));
    memcpy(ret->selector, s->f.selector, sizeof(ret->selector));
    memcpy(ret->identity, s->f.identity, sizeof(ret->identity));
}

/* RFC 8617 section 5.2 steps 4 to 6. */
static void judge_chain(const struct dkim_check *c, struct arc_verdict *ret)
{
    unsigned oldest = c->sets;

    *ret = (struct arc_verdict){.result = AUTH_NONE, .reason = c->chain, .sets = c->sets};
    if (c->chain != DKIM_VERIFIED || (ret->failed = failing_set(c, &ret->reason)) != 0) {
        ret->result = AUTH_FAIL;
        return;
    }
    if (c->sets == 0)
        return;
    while (oldest > 1 && message_slot(c, oldest - 1)->reason == DKIM_VERIFIED)
        oldest--;
    ret->result = AUTH_PASS;
    ret->oldest_pass = oldest;
    for (unsigned i = 1; i <= c->sets; i++)
        memcpy(ret->sealers[i - 1], seal_slot(c, i)->f.domain, DOMAIN_CAP);
}

void dkim_check_spare(struct dkim_check *c)
{
    c->spares = true;
}

int dkim_check_judge(struct dkim_check *c, struct records *r, struct dkim_verdicts *ret)
{
    int err = close_slots(c, DKIM_RSA_SHA256, r);

    if (close_slots(c, DKIM_ED25519_SHA256, r) != OK)
        err = ERR_AGAIN;
    ERR_clear_error(); /* what does not verify is nothing that TLS has to hear of */
    if (err != OK)
        return err;
    memset(ret, 0, sizeof(*ret));
    ret->n = c->signatures;
    ret->more = c->more;
    for (size_t i = 0; i < c->signatures; i++)
        judge_signature(&c->slots[i], &ret->v[i]);
    judge_chain(c, &ret->arc);
    return OK;
}
