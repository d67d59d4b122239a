/* What follows from a verdict. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/ingest/judge/judge_impl.h"

static bool lists(const char *list, const char *name)
{
    char one[512];

    while (config_list_next(&list, one, sizeof(one)))
        if (strcasecmp(one, name) == 0)
            return true;
    return false;
}

/* Whoever sealed a chain says what came to him; so each sealer has to be one that is believed, or the first could be
 * anybody. */
static bool arc_is_trusted(const struct judge_rules *r, const struct arc_verdict *a)
{
    if (a->result != AUTH_PASS || a->sets == 0 || !*r->trusted)
        return false;
    for (unsigned i = 0; i < a->sets; i++)
        if (!lists(r->trusted, a->sealers[i]))
            return false;
    return true;
}

static enum judge_action action_of(const struct judge_rules *r, enum dmarc_policy p)
{
    if (p == DMARC_REJECT && r->reject)
        return JUDGE_REJECT;
    return p != DMARC_NONE && r->junk ? JUDGE_JUNK : JUDGE_ACCEPT;
}

/* Of no one author: readers may see another one than those who judge. An address literal is one that all read alike. */
static bool author_is_unclear(const struct mailauth_verdict *v)
{
    return v->author.fault == AUTHOR_MISSING || v->author.fault == AUTHOR_SEVERAL ||
           v->author.fault == AUTHOR_UNREADABLE;
}

static enum judge_action by_author(const struct judge_rules *r, const struct mailauth_verdict *v)
{
    return !author_is_unclear(v) ? JUDGE_ACCEPT : r->author_reject ? JUDGE_REJECT : r->junk ? JUDGE_JUNK : JUDGE_ACCEPT;
}

static enum judge_action by_policy(const struct judge_rules *r, const struct mailauth_verdict *v)
{
    return v->dmarc.result == AUTH_FAIL && !arc_is_trusted(r, &v->dkim.arc) ? action_of(r, v->dmarc.policy)
                                                                            : JUDGE_ACCEPT;
}

/* Nothing is judged by what is not known: what might yet have to be refused waits, and so does, if the configuration
 * says so, what nobody can tell the policy of. */
static enum judge_action by_ignorance(const struct judge_rules *r, const struct mailauth_verdict *v)
{
    if (v->dmarc.result != AUTH_TEMPERROR || arc_is_trusted(r, &v->dkim.arc))
        return JUDGE_ACCEPT;
    if (!*v->dmarc.published)
        return r->defer_unknown ? JUDGE_DEFER : JUDGE_ACCEPT;
    return action_of(r, v->dmarc.policy) == JUDGE_ACCEPT ? JUDGE_ACCEPT : JUDGE_DEFER;
}

static enum judge_action by_spf(const struct judge_rules *r, const struct mailauth_verdict *v)
{
    return r->spf_reject && v->spf.result == AUTH_FAIL && v->dmarc.result != AUTH_PASS &&
                   !arc_is_trusted(r, &v->dkim.arc)
               ? JUDGE_REJECT
               : JUDGE_ACCEPT;
}

/* Literals, names of one label and names that lead elsewhere are those of many honest servers. */
static enum judge_action by_helo(const struct judge_rules *r, const struct mailauth_verdict *v)
{
    return r->helo_reject && (v->helo.form == HELO_WRONG || (v->helo.ours && v->helo.result != AUTH_PASS))
               ? JUDGE_REJECT
               : JUDGE_ACCEPT;
}

static void warn(struct judge_result *r, bool is_so, const char *word)
{
    const size_t n = strlen(r->warnings);

    if (is_so)
        snprintf(r->warnings + n, sizeof(r->warnings) - n, "%s%s", n ? "," : "", word);
}

void judge_decide(const struct judge_rules *rules, struct judge_result *ret)
{
    static const struct {
        enum judge_action (*of)(const struct judge_rules *r, const struct mailauth_verdict *v);
        enum event_REASON why;
    } rows[] = {
        {by_author, EVENT_REASON_NO_AUTHOR}, {by_policy, EVENT_REASON_DMARC}, {by_ignorance, EVENT_REASON_UNJUDGED},
        {by_spf, EVENT_REASON_SPF},          {by_helo, EVENT_REASON_HELO},
    };
    const struct mailauth_verdict *v = &ret->verdict;

    ret->action = ret->listed >= CONFIG_WEIGHT_MAX ? JUDGE_REJECT : JUDGE_ACCEPT;
    ret->why = ret->action == JUDGE_REJECT ? EVENT_REASON_LISTED : EVENT_REASON_ACCEPTED;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const enum judge_action a = rows[i].of(rules, v);

        if (a > ret->action) { /* the worst */
            ret->action = a;
            ret->why = rows[i].why;
        }
    }
    ret->warnings[0] = '\0';
    warn(ret, v->dmarc.result == AUTH_FAIL, "dmarc-fail");
    warn(ret, v->dmarc.result == AUTH_TEMPERROR, "dmarc-unknown");
    warn(ret, author_is_unclear(v), "author-unclear");
    warn(ret, v->spf.result == AUTH_FAIL, "spf-fail");
    warn(ret, v->author.sender_differs, "sender-differs");
    warn(ret, ret->listed > 0, "listed");
}
