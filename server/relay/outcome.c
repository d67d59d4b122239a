#include "server/relay/outcome.h"

#include <stdio.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/utf8.h"

static const struct {
    enum verdict verdict;
    const char *words;
} obstacles[OBSTACLES] = {
    [OBSTACLE_NO_DOMAIN] = {VERDICT_FAILED, "550 5.1.2 There is no such domain"},
    [OBSTACLE_NO_ADDRESS] = {VERDICT_FAILED, "550 5.4.4 No host that takes its mail has an address"},
    [OBSTACLE_NULL_MX] = {VERDICT_FAILED, "556 5.1.10 The domain takes no mail (RFC 7505)"},
    [OBSTACLE_LOOP] = {VERDICT_FAILED, "554 5.4.6 Its mail would come back to this server"},
    [OBSTACLE_NAMES] = {VERDICT_DEFERRED, "451 4.4.3 DNS gave no answer, or a false one"},
    [OBSTACLE_CONNECT] = {VERDICT_DEFERRED, "451 4.4.1 Nobody answers there"},
    [OBSTACLE_SILENT] = {VERDICT_DEFERRED, "451 4.4.2 The server there said nothing for too long"},
    [OBSTACLE_LOST] = {VERDICT_DEFERRED, "451 4.4.2 The connection ended too soon"},
    [OBSTACLE_DOUBT] = {VERDICT_DEFERRED, "451 4.4.2 The connection ended before the message was acknowledged"},
    [OBSTACLE_NO_SMTP] = {VERDICT_DEFERRED, "451 4.5.0 What the server there says is not SMTP"},
    [OBSTACLE_TLS] = {VERDICT_DEFERRED, "451 4.7.5 The TLS that is asked for cannot be had there"},
    [OBSTACLE_LOGIN] = {VERDICT_DEFERRED, "451 4.7.8 The smarthost does not let us in"},
    [OBSTACLE_TOO_LARGE] = {VERDICT_FAILED, "552 5.3.4 The server there takes no message of this size"},
    [OBSTACLE_NO_SMTPUTF8] = {VERDICT_FAILED,
                              "550 5.6.7 The server there takes no letters beyond ASCII in addresses and headers"},
    [OBSTACLE_CONVERSION] = {VERDICT_FAILED,
                             "554 5.6.3 It cannot be made fit for the server there without breaking it"},
    [OBSTACLE_REQUIRETLS] = {VERDICT_FAILED, "550 5.7.30 The server there does not know REQUIRETLS"},
    [OBSTACLE_UNPROVED] = {VERDICT_FAILED,
                           "550 5.7.30 Neither DANE nor MTA-STS says who its servers are, as REQUIRETLS asks"},
    [OBSTACLE_EXPIRED] = {VERDICT_FAILED, "554 5.4.7 It could not be delivered in time"},
    [OBSTACLE_DAMAGED] = {VERDICT_FAILED, "554 5.3.0 The queued message is damaged"},
    [OBSTACLE_NO_USER] = {VERDICT_FAILED, "550 5.1.1 There is no such address here any more"},
    [OBSTACLE_UNKEEPABLE] = {VERDICT_FAILED, "554 5.6.0 The message cannot be kept here"},
    [OBSTACLE_SHORTAGE] = {VERDICT_DEFERRED, "451 4.3.2 This server lacks memory for the moment"},
};

void outcome_obstacle(enum obstacle o, struct outcome *ret)
{
    *ret = (struct outcome){.verdict = obstacles[o].verdict};
    snprintf(ret->reply, sizeof(ret->reply), "%s", obstacles[o].words);
}

bool outcome_is_own(const char *reply)
{
    for (int i = 0; i < OBSTACLES; i++)
        if (strcmp(obstacles[i].words, reply) == 0)
            return true;
    return false;
}

void outcome_reply(const struct smtp_client_reply *r, bool taken, struct outcome *ret)
{
    *ret = (struct outcome){.verdict = VERDICT_DEFERRED};
    if (r->code >= 200 && r->code < 300)
        ret->verdict = VERDICT_SENT;
    else if (r->code >= 500 && r->code < 600)
        ret->verdict = VERDICT_FAILED;
    /* RFC 5321 section 4.5.3.1.10: too many recipients is 452; 552 said the same once, and is to be read so. 5.2.2 and
     * 5.3.4 are 552s of other meaning. */
    if (r->code == 552 && taken && (!r->enhanced[0] || strncmp(r->enhanced + 1, ".5.3", 4) == 0))
        ret->verdict = VERDICT_DEFERRED;
    ret->again_at_once = ret->verdict == VERDICT_DEFERRED && taken && (r->code == 452 || r->code == 552) &&
                         (!r->enhanced[0] || strncmp(r->enhanced + 1, ".5.3", 4) == 0);
    snprintf(ret->reply, sizeof(ret->reply), "%s", r->text);
    utf8_tame(ret->reply, strlen(ret->reply));
}

static size_t digits(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

/* RFC 3463 section 2: class "." subject "." detail, of at most three digits each. Its octets; 0: there is none. */
static size_t enhanced_len(const char *s)
{
    size_t subject, detail;

    if ((s[0] != '2' && s[0] != '4' && s[0] != '5') || s[1] != '.')
        return 0;
    subject = digits(s + 2, 3);
    if (!subject || s[2 + subject] != '.')
        return 0;
    detail = digits(s + 3 + subject, 3);
    return detail && (!s[3 + subject + detail] || s[3 + subject + detail] == ' ') ? 3 + subject + detail : 0;
}

void outcome_status(const char *reply, enum verdict now, char out[OUTCOME_STATUS_MAX])
{
    static const char classes[] = {[VERDICT_SENT] = '2', [VERDICT_DEFERRED] = '4', [VERDICT_FAILED] = '5'};
    const size_t code = digits(reply, 3);
    size_t len = code == 3 && reply[3] ? enhanced_len(reply + 4) : 0;

    bug_if(now < VERDICT_SENT || now > VERDICT_FAILED);
    snprintf(out, OUTCOME_STATUS_MAX, "%.*s", len ? (int)len : 5, len ? reply + 4 : "x.0.0");
    out[0] = classes[now];
}
