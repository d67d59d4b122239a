/* One judgement, from the file that somebody brought to what is stored: who can verify it (GnuPG, or for the kinds it
 * does not know the native judge), whether it is strong enough, which key seals, and what of it is kept. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"

struct judging {
    const struct gpg_request *q;
    const struct gpg_policy *policy;
    struct gpg_judgement *j;
    uint8_t *cert; /* armour off */
    size_t len;
    uint64_t now;
    bool native;
    struct gnupg *gnupg; /* unless native */
    struct pgp_judged found;
    enum pgp_flaw flaw; /* of an encryption key that does not count for it */
    size_t chosen;
    bool any_named;
};

static int refuse_found(struct judging *g)
{
    struct pgp_verdict *v = &g->found.verdict;
    memcpy(g->j->verdict.primary_fpr, v->primary_fpr, sizeof(v->primary_fpr)); /* of a revoked one */
    g->j->verdict.primary_fpr_len = v->primary_fpr_len;
    return gpg_refuse_fault(g->j, g->found.fault, g->found.detail, g->native);
}

/* GnuPG passes over signatures of the future without a word. The native judge knows them, if it knows the primary key.
 */
static void ask_for_clock(struct judging *g)
{
    struct pgp_judged *native = malloc(sizeof(*native));
    if (native && pgp_judge(g->cert, g->len, g->now, native) != OK && native->fault == PGP_FAULT_CLOCK) {
        g->found.fault = native->fault;
        g->found.detail = native->detail;
    }
    free(native);
}

/* A version 4 certificate may have subkeys of both times. Whoever verifies all of it sees all of them, so the native
 * judge is asked first. Where it does not know the primary key (a curve that only GnuPG has), GnuPG judges the rest: it
 * passes over what it does not know. */
static int verify(struct judging *g, const char *dir)
{
    int err;
    g->native = gpg_certificate_is_new(g->cert, g->len);
    if (g->native) {
        err = pgp_judge(g->cert, g->len, g->now, &g->found);
        if (err == OK)
            return OK;
        if (!g->found.fault)
            return gpg_refuse(g->j, err, "it could not be judged (%s): try again", err_str(err));
        if (g->found.fault != PGP_FAULT_ALGORITHM || !gnupg_knows(&g->found.keys[0]))
            return refuse_found(g);
        g->native = false;
    }
    err = gnupg_judge(dir, g->cert, g->len, g->policy->now, &g->gnupg, &g->found, g->j);
    if (err != OK && g->found.fault == PGP_FAULT_SELF_SIGNED)
        ask_for_clock(g);
    return err != OK && g->found.fault ? refuse_found(g) : err;
}

static bool policy_takes(const void *policy, const struct pgp_key *k)
{
    return gpg_policy_takes(policy, k, "", NULL);
}

static bool choose(const struct pgp_judged *f, const struct gpg_policy *policy, enum pgp_validity wanted, size_t *ret)
{
    size_t i = pgp_judged_choose(f, wanted, policy ? policy_takes : NULL, policy);
    if (i < f->nkeys)
        *ret = i;
    return i < f->nkeys;
}

static struct pgp_key *key_of(struct pgp_judged *f, const struct pgp_key *k)
{
    for (size_t i = 0; i < f->nkeys; i++)
        if (f->keys[i].fpr_len == k->fpr_len && !memcmp(f->keys[i].fpr, k->fpr, k->fpr_len))
            return &f->keys[i];
    return NULL;
}

/* GnuPG takes keys whose numbers protect nothing: they do not count. The native judge has looked already. */
static int check_numbers(struct judging *g)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    struct pgp_judged *f = &g->found;
    size_t n = PGP_KEYS_MAX;
    int err = g->native ? OK : pgp_cert_keys(g->cert, g->len, keys, &n);
    if (g->native || err == ERR_UNSUPPORTED || err == ERR_FORMAT) /* what GnuPG passes over is not kept */
        return OK;
    for (size_t k = 0; k < n && !err; k++) {
        struct pgp_key *found = key_of(f, &keys[k]);
        enum pgp_flaw flaw = PGP_FLAW_NONE;
        if (!found)
            continue;
        err = pgp_key_flaw(&keys[k], &flaw);
        if (err || !flaw || (found != &f->keys[0] && !f->encrypts[found - f->keys]))
            continue;
        g->flaw = flaw;
        f->encrypts[found - f->keys] = false;
        if (found == &f->keys[0])
            return gpg_refuse_fault(g->j, PGP_FAULT_NUMBERS, flaw, false);
    }
    return err ? gpg_refuse(g->j, err, "it could not be judged (%s): try again", err_str(err)) : OK;
}

/* An expired key of one's own still seals: losing mail helps nobody. One that is too weak or not wanted does not, even
 * if it is the newest. */
static int choose_key(struct judging *g)
{
    const struct pgp_judged *f = &g->found;
    const char *what = "encryption key";
    if (!gpg_policy_takes(g->policy, &f->keys[0], "primary key", g->j))
        return ERR_REFUSED;
    if (choose(f, g->policy, PGP_VALID, &g->chosen) || choose(f, g->policy, PGP_EXPIRED, &g->chosen))
        return OK;
    if ((choose(f, NULL, PGP_VALID, &g->chosen) || choose(f, NULL, PGP_EXPIRED, &g->chosen)) &&
        !gpg_policy_takes(g->policy, &f->keys[g->chosen], what, g->j))
        return ERR_REFUSED;
    g->found.fault = g->flaw                                    ? PGP_FAULT_NUMBERS
                     : choose(f, NULL, PGP_REVOKED, &g->chosen) ? PGP_FAULT_ENC_REVOKED
                                                                : PGP_FAULT_SIGNING_ONLY;
    g->found.detail = g->flaw;
    return refuse_found(g);
}

static bool keep_user_id(void *arg, const uint8_t *text, size_t len)
{
    const struct judging *g = arg;
    const struct pgp_judged *f = &g->found;
    for (size_t i = 0; i < f->nuser_ids; i++)
        if (f->user_ids[i].validity == PGP_VALID && f->user_ids[i].len == len &&
            !memcmp(f->user_ids[i].text, text, len))
            return g->any_named ? gpg_user_id_names(text, len, g->q->addresses, g->q->naddresses)
                                : f->user_ids[i].primary;
    return false;
}

/* Which user ids stay: those that name the account; if none does, the primary one, or the first that is valid. */
static void choose_user_ids(struct judging *g)
{
    struct pgp_judged *f = &g->found;
    bool primary = false;
    size_t first = f->nuser_ids;
    for (size_t i = f->nuser_ids; i--;) {
        bool valid = f->user_ids[i].validity == PGP_VALID;
        g->any_named |=
            valid && gpg_user_id_names(f->user_ids[i].text, f->user_ids[i].len, g->q->addresses, g->q->naddresses);
        primary |= valid && f->user_ids[i].primary;
        first = valid ? i : first;
    }
    if (!primary && first < f->nuser_ids)
        f->user_ids[first].primary = true;
}

static void warn(struct judging *g)
{
    if (g->found.validity[g->chosen] == PGP_EXPIRED)
        gpg_warn_expired(g->j, g->found.expires[g->chosen], g->native);
    if (g->j->verdict.prefs.seipd_v2 && g->j->verdict.enc_fpr_len == 20 && g->j->verdict.enc_algo < PGP_X25519)
        gpg_warn(g->j,
                 "it asks for the newer format of encrypted mail (SEIPD v2), which gpg and Thunderbird cannot open: "
                 "if its owner reads mail with one of them, letterlock account set ADDRESS --seal-v2 never");
    if (!g->any_named && g->found.nuser_ids && g->q->naddresses)
        gpg_warn(g->j, "no user id of it names %s: mail is sealed to it all the same, but is it the right file?",
                 g->q->addresses[0]);
}

/* The verdict on what is kept, which is what will be used. */
static int read_kept(struct judging *g, const uint8_t *cert, size_t len)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    const struct pgp_key *enc = &g->found.keys[g->chosen];
    struct pgp_verdict *v = &g->j->verdict;
    size_t n = PGP_KEYS_MAX;
    if (pgp_cert_keys(cert, len, keys, &n) != OK)
        return gpg_refuse_fault(g->j, PGP_FAULT_FORMAT, 0, g->native);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].fpr_len != enc->fpr_len || memcmp(keys[i].fpr, enc->fpr, enc->fpr_len))
            continue;
        memcpy(v->primary_fpr, keys[0].fpr, sizeof(v->primary_fpr));
        v->primary_fpr_len = keys[0].fpr_len;
        v->primary_algo = keys[0].algo;
        v->created = keys[0].created;
        v->expires = g->found.expires[0];
        memcpy(v->enc_fpr, keys[i].fpr, sizeof(v->enc_fpr));
        v->enc_fpr_len = keys[i].fpr_len;
        v->enc_algo = keys[i].algo;
        v->enc_octets = pgp_key_octets(&keys[i]);
        v->enc_expires = g->found.expires[g->chosen];
        v->native = pgp_algo_is_native(keys[i].algo, keys[i].material, keys[i].material_len);
        return OK;
    }
    return gpg_refuse(g->j, ERR_FORMAT,
                      "the key that seals is not in what remains of it: export it again with gpg "
                      "--export --armor ADDRESS");
}

/* All of it that counts, whichever user ids it has; malloc'd. */
static int clean(struct judging *g, uint8_t **ret, size_t *ret_len)
{
    bool expired = g->found.validity[g->chosen] == PGP_EXPIRED;
    if (!g->native)
        return gnupg_export(g->gnupg, expired ? g->found.expires[g->chosen] : 0, ret, ret_len, g->j);
    uint8_t *whole = malloc(g->len);
    if (whole == NULL)
        return ERR_MEMORY;
    int err = pgp_cert_minimal(g->cert, g->len, &g->found, NULL, NULL, whole, g->len, ret_len);
    if (err != OK)
        free(whole);
    else
        *ret = whole;
    return err;
}

/* What it advertises, and how old it is, is read before user ids go: it may be on one of them. */
static int reduce(struct judging *g, uint8_t *out, size_t *ret_len)
{
    uint8_t *whole;
    size_t len;
    struct pgp_verdict *v = &g->j->verdict;
    int err = clean(g, &whole, &len);
    if (err != OK)
        return err;
    v->prefs = g->found.verdict.prefs;
    if (!g->native)
        err = pgp_cert_prefs(whole, len, &v->prefs);
    if (err == OK)
        err = pgp_cert_signed_at(whole, len, &v->signed_at);
    if (err == OK && g->native)
        err = pgp_cert_minimal(g->cert, g->len, &g->found, keep_user_id, g, out, GPG_STORED_MAX, ret_len);
    else if (err == OK)
        err = pgp_cert_strip(whole, len, keep_user_id, g, out, GPG_STORED_MAX, ret_len);
    free(whole);
    return err;
}

static int throw_away(void *arg, const uint8_t *data, size_t len)
{
    return OK;
}

/* Who will seal tries it: nothing that is wrong with a key waits for the first mail. */
static int try_to_seal(struct judging *g, const uint8_t *cert, size_t len)
{
    static char text[] = "trial";
    const struct iovec in = {text, sizeof(text) - 1};
    const struct pgp_verdict *v = &g->j->verdict;
    struct pgp_recipient *r;
    if (!v->native)
        return g->gnupg ? gnupg_try(g->gnupg, v->enc_fpr, v->enc_fpr_len, g->j) : OK;
    int err = pgp_recipient_create(cert, len, v, &r);
    if (err == OK) {
        err = pgp_seal(&r, 1, &in, 1, throw_away, NULL, NULL);
        pgp_recipient_destroy(r);
    }
    return err ? gpg_refuse(g->j, err, "a trial mail could not be sealed to it (%s): " GPG_GOOD_KEY, err_str(err)) : OK;
}

static int keep(struct judging *g)
{
    size_t len = 0;
    uint8_t *kept = malloc(GPG_STORED_MAX);
    if (!kept)
        return gpg_refuse(g->j, ERR_MEMORY, "out of memory: try again");
    *g->j->why = 0;
    int err = reduce(g, kept, &len);
    if (err == ERR_LIMIT)
        gpg_refuse(g->j, err,
                   "its keys and its own signatures alone are larger than %d KB: remove old subkeys and "
                   "export it again",
                   GPG_STORED_MAX / 1024);
    else if (err != OK && !*g->j->why)
        gpg_refuse_fault(g->j, PGP_FAULT_FORMAT, 0, g->native);
    if (err == OK)
        err = read_kept(g, kept, len);
    if (err == OK)
        err = try_to_seal(g, kept, len);
    if (err != OK) {
        free(kept);
        return err;
    }
    g->j->cert = kept;
    g->j->cert_len = len;
    return OK;
}

static int judge_read(struct judging *g, const char *dir)
{
    int err = verify(g, dir);
    if (err == OK)
        err = check_numbers(g);
    if (err == OK)
        err = choose_key(g);
    if (err == OK) {
        choose_user_ids(g);
        err = keep(g);
    }
    if (err == OK)
        warn(g);
    gnupg_close(g->gnupg);
    return err;
}

int gpg_judge(const char *dir, const struct gpg_request *q, const struct gpg_policy *policy, struct gpg_judgement *j)
{
    struct judging g = {.q = q, .policy = policy, .j = j, .now = policy->now ? policy->now : (uint64_t)time(NULL)};
    enum pgp_fault fault = PGP_FAULT_NONE;
    unsigned detail = 0;
    *j = (struct gpg_judgement){0};
    int err = q->len ? gpg_certificate_read(q->cert, q->len, &g.cert, &g.len, &fault, &detail)
                     : gpg_refuse(j, ERR_FORMAT,
                                  "the file is empty: export the key again with gpg --export --armor "
                                  "ADDRESS");
    if (fault)
        err = gpg_refuse_fault(j, fault, detail, false);
    else if (err == ERR_MEMORY)
        gpg_refuse(j, err, "out of memory: try again");
    if (err == OK)
        err = judge_read(&g, dir);
    free(g.cert);
    j->status = err;
    return err;
}
