#include "server/relay/report.h"

#include <stdio.h>
#include <string.h>

#include "server/base/event.h"
#include "server/format/log_name.h"

_Static_assert((int)LOG_NAME_SALT_SIZE == (int)EVENT_HASH_SIZE && (int)RECORD_HASH_SIZE == (int)EVENT_HASH_SIZE,
               "salts and hashes are shown as hashes");

_Static_assert((int)EVENT_PROOF_NONE == (int)QUEUE_PROOF_NONE &&
                   (int)EVENT_PROOF_FINGERPRINT == (int)QUEUE_PROOF_FINGERPRINT,
               "the words of one are those of the other");

struct names {
    uint8_t salt[LOG_NAME_SALT_SIZE];
    uint8_t from[EVENT_HASH_SIZE], to[EVENT_HASH_SIZE], to_domain[EVENT_HASH_SIZE];
};

/* As of mail that comes in, a mail's sender is hashed as a sender, whoever it is. */
static void hash(const struct attempt *t, const struct attempt_row *row, struct names *n)
{
    const struct record_keys *k = view_keys(t->relay->view);
    struct log_name name;

    *n = (struct names){0};
    nonces_take(&t->relay->nonces, n->salt, sizeof(n->salt));
    log_name_spell(t->envelope.from, strlen(t->envelope.from), &name);
    log_name_hash(k, n->salt, LOG_NAME_SENDER, name.text, name.len, n->from);
    log_name_spell(row->r.to, strlen(row->r.to), &name);
    log_name_hash(k, n->salt, LOG_NAME_RECIPIENT, name.text, name.len, n->to);
    if (name.domain < name.len)
        log_name_hash(k, n->salt, LOG_NAME_RECIPIENT, name.text + name.domain, name.len - name.domain, n->to_domain);
}

/* The first number of a reply, and its status as 50101. */
static void numbers(const struct attempt_row *row, uint64_t *ret_code, uint64_t *ret_status)
{
    char status[OUTCOME_STATUS_MAX];
    unsigned code = 0, a = 0, b = 0, c = 0;

    outcome_status(row->r.last_reply, row->outcome.verdict, status);
    (void)sscanf(row->r.last_reply, "%3u", &code);
    (void)sscanf(status, "%u.%u.%u", &a, &b, &c);
    *ret_code = code;
    *ret_status = a * 10000 + (b < 100 ? b : 0) * 100 + (c < 100 ? c : 0);
}

void report_outcome(const struct attempt *t, const struct attempt_row *row)
{
    static const enum event_FATE fates[] = {[VERDICT_SENT] = EVENT_FATE_SENT,
                                            [VERDICT_DEFERRED] = EVENT_FATE_DEFERRED,
                                            [VERDICT_FAILED] = EVENT_FATE_FAILED};
    const uint64_t waited = t->now > t->envelope.queued_at ? t->now - t->envelope.queued_at : 0;
    uint64_t code, status;
    struct names n;
    char id[17], said[EVENT_TEXT_MAX];

    if (!event_wanted(EVENT_outgoing))
        return;
    hash(t, row, &n);
    numbers(row, &code, &status);
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)t->envelope.id);
    log_event_raw(outgoing,
                  (slice_str(id), slice_of(n.salt, sizeof(n.salt)), slice_of(n.from, sizeof(n.from)),
                   slice_of(n.to, sizeof(n.to)), slice_of(n.to_domain, sizeof(n.to_domain))),
                  fates[row->outcome.verdict], code, status, row->r.tries, waited, t->envelope.size, row->r.proof);
    snprintf(said, sizeof(said), "%s%s%s", row->r.host, row->r.host[0] ? ": " : "", row->r.last_reply);
    if (event_wanted(EVENT_named_outgoing))
        log_event_raw(named_outgoing,
                      (slice_str(id), slice_str(t->envelope.from), slice_str(row->r.to), slice_str(said)),
                      row->r.tries);
}
