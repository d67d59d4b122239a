/* What is told of the lines that were found. See trace.h. */
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/event_text.h"
#include "server/cli/cli.h"
#include "server/cli/trace.h"
#include "server/mail/date.h"

/* The numbers of a `mail` event, as server/base/event_table.h has them. */
enum { AT, REASON, REPLY, STATUS, OCTETS, RECIPIENTS, TLS };
_Static_assert(TLS + 1 == EVENT_NUMBERS_mail, "the numbers of mail");
/* And of an `outgoing` event. */
enum { OUT_FATE, OUT_REPLY, OUT_STATUS, OUT_TRIES, OUT_SECONDS, OUT_OCTETS, OUT_TLS };
_Static_assert(OUT_TLS + 1 == EVENT_NUMBERS_outgoing && OUT_TLS + 1 <= TLS + 1, "the numbers of outgoing");

static const char *const reasons[] = {
    [EVENT_REASON_ACCEPTED] = "it was sealed and stored",
    [EVENT_REASON_ABANDONED] = "the sender ended without waiting for an answer",
    [EVENT_REASON_TIMEOUT] = "the sender was silent, or too slow, for too long",
    [EVENT_REASON_SHED] = "the server was full",
    [EVENT_REASON_STOPPING] = "the server was stopping",
    [EVENT_REASON_ERRORS] = "the sender had made too many errors",
    [EVENT_REASON_MALFORMED] = "the address is malformed",
    [EVENT_REASON_SYNTAX] = "the command is malformed",
    [EVENT_REASON_ORDER] = "the command came out of order",
    [EVENT_REASON_NON_ASCII] = "an address that is not ASCII came without SMTPUTF8",
    [EVENT_REASON_TOO_MANY] = "there were too many recipients; senders send again to the rest",
    [EVENT_REASON_TOO_LARGE] = "it is larger than message_max",
    [EVENT_REASON_BARE] = "a line of it does not end in CR LF",
    [EVENT_REASON_LONG_LINE] = "a line of it is too long",
    [EVENT_REASON_NO_MEMORY] = "too much mail was in flight",
    [EVENT_REASON_NO_USER] = "there is no such address here",
    [EVENT_REASON_RELAY] = "the domain is not one of ours",
    [EVENT_REASON_UNAPPROVED] = "nobody approved the account's keys, or the address: letterlock audit",
    [EVENT_REASON_NO_KEY] = "the account had no key to seal to",
    [EVENT_REASON_MAILBOX_FULL] = "the account's quota was used up",
    [EVENT_REASON_NO_ROOM] = "there was no room to store it",
    [EVENT_REASON_LOOP] = "it had been through too many servers: a loop",
    [EVENT_REASON_UNKEEPABLE] = "it is beyond what the server can keep",
    [EVENT_REASON_JUNK] = "it was sealed and stored with the junk",
    [EVENT_REASON_DMARC] = "it fails DMARC, and the domain of its From asks that such mail be refused",
    [EVENT_REASON_NO_AUTHOR] = "nobody can tell who wrote it: no From, several, or an unclear one",
    [EVENT_REASON_SPF] = "it fails SPF",
    [EVENT_REASON_HELO] = "the sending server called itself by no name, or by ours",
    [EVENT_REASON_LISTED] = "the sending server's address is on a block list",
    [EVENT_REASON_GREYLISTED] = "where it came from was new here: senders send again",
    [EVENT_REASON_UNJUDGED] = "whether its author's domain sent it could not be told then",
    [EVENT_REASON_DEFERRED] = "something here failed, or was away for the moment",
    [EVENT_REASON_OTHER] = "for another reason",
};

static const char *const faults[] = {
    [EVENT_TLS_FAULT_NONE] = "for no reason",
    [EVENT_TLS_FAULT_NO_TLS] = "what came was no TLS",
    [EVENT_TLS_FAULT_VERSION] = "no version in common",
    [EVENT_TLS_FAULT_CIPHER] = "no cipher, curve or signature in common",
    [EVENT_TLS_FAULT_ALPN] = "the peer wanted another protocol",
    [EVENT_TLS_FAULT_ALERT] = "the peer refused: our certificate, most likely",
    [EVENT_TLS_FAULT_ENDED] = "the peer went away",
    [EVENT_TLS_FAULT_TIMEOUT] = "the peer took too long",
    [EVENT_TLS_FAULT_OTHER] = "for another reason",
};

/* ---- facts ---- */

static void print_size(uint64_t octets)
{
    static const char *const units[] = {"octets", "KB", "MB", "GB"};
    size_t unit = 0;

    for (; octets >= 1024 && unit < 3; unit++)
        octets /= 1024;
    printf("up to %" PRIu64 " %s", octets, units[unit]);
}

static void print_tls(uint64_t suite)
{
    const unsigned char number[] = {(unsigned char)(suite >> 8), (unsigned char)suite};
    const unsigned minor = (unsigned)(suite >> 16) - 0x0301; /* 1.0 is 0x0301 on the wire */
    SSL_CTX *ctx = suite ? SSL_CTX_new(TLS_server_method()) : NULL;
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    const SSL_CIPHER *cipher = ssl ? SSL_CIPHER_find(ssl, number) : NULL;

    if (!suite)
        printf("in the clear");
    else
        printf("TLS 1.%u, %s", minor, cipher ? SSL_CIPHER_get_name(cipher) : "a cipher that OpenSSL does not know");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void print_facts(const struct trace_found *f)
{
    printf("    ");
    if (f->numbers[OCTETS]) {
        print_size(f->numbers[OCTETS]);
        printf(", ");
    }
    if (f->numbers[RECIPIENTS])
        printf("%" PRIu64 " recipient%s, ", f->numbers[RECIPIENTS], f->numbers[RECIPIENTS] == 1 ? "" : "s");
    print_tls(f->numbers[TLS]);
    printf("\n");
}

/* ---- what became of it ---- */

static const char *outcome(const struct trace_found *f)
{
    static const char *const refused[] = {
        [EVENT_STAGE_SENDER] = "sender refused",
        [EVENT_STAGE_RECIPIENT] = "recipient refused",
        [EVENT_STAGE_CONTENT] = "refused",
        [EVENT_STAGE_END] = "refused",
    };
    static const char *const lost[] = {
        [EVENT_STAGE_SENDER] = "ended before a recipient",
        [EVENT_STAGE_RECIPIENT] = "ended before the message",
        [EVENT_STAGE_CONTENT] = "cut off in the middle of the message",
        [EVENT_STAGE_END] = "ended before the answer; it may be stored",
    };
    const uint64_t at = f->numbers[AT], reply = f->numbers[REPLY];

    if (f->numbers[REASON] == EVENT_REASON_ACCEPTED || f->numbers[REASON] == EVENT_REASON_JUNK)
        return "accepted";
    return reply == 0 || reply == 421 ? lost[at] : refused[at];
}

static void print_status(uint64_t status)
{
    const unsigned s = (unsigned)status;

    if (s)
        printf(" %u.%u.%u", s / 10000, s / 100 % 100, s % 100);
}

static void print_outcome(const struct trace_found *f, size_t times)
{
    printf("    %s: %s", outcome(f), reasons[f->numbers[REASON]]);
    if (f->numbers[REPLY]) {
        printf("; the sender was told %" PRIu64, f->numbers[REPLY]);
        print_status(f->numbers[STATUS]);
    }
    if (times > 1)
        printf(" (%zu recipients)", times);
    printf("\n");
}

static void print_time(int64_t at)
{
    const unsigned second = (unsigned)(at % 86400);
    char day[DATE_DAY_SIZE];

    date_write_day((uint64_t)at, day);
    printf("%s %02u:%02u:%02u UTC", day, second / 3600, second / 60 % 60, second % 60);
}

/* A try to send it on: with the reply of the server there, or what stands for one where none came. */
static void print_try(const struct trace_found *f, size_t times)
{
    static const char *const fates[] = {
        [EVENT_FATE_SENT] = "sent",
        [EVENT_FATE_DEFERRED] = "deferred",
        [EVENT_FATE_FAILED] = "failed",
    };
    static const char *const known[] = {
        [EVENT_PROOF_NONE] = "",
        [EVENT_PROOF_CLEAR] = ", in the clear",
        [EVENT_PROOF_TLS] = ", over TLS to whomever",
        [EVENT_PROOF_DANE] = ", over TLS, known by DANE",
        [EVENT_PROOF_STS] = ", over TLS, known by MTA-STS",
        [EVENT_PROOF_VERIFY] = ", over TLS, known by an authority",
        [EVENT_PROOF_FINGERPRINT] = ", over TLS, known by its key",
    };

    printf("    ");
    print_time(f->at);
    printf("  %s: %" PRIu64, fates[f->numbers[OUT_FATE]], f->numbers[OUT_REPLY]);
    print_status(f->numbers[OUT_STATUS]);
    printf(", try %" PRIu64 ", %" PRIu64 " s after it was queued", f->numbers[OUT_TRIES], f->numbers[OUT_SECONDS]);
    printf("%s", known[f->numbers[OUT_TLS]]);
    if (times > 1)
        printf(" (%zu recipients)", times);
    printf("\n");
}

static bool alike(const struct trace_found *a, const struct trace_found *b)
{
    if (a->outgoing != b->outgoing ||
        (a->outgoing && (a->at != b->at || a->numbers[OUT_TRIES] != b->numbers[OUT_TRIES] ||
                         a->numbers[OUT_TLS] != b->numbers[OUT_TLS])))
        return false;
    for (int i = AT; i <= (a->outgoing ? OUT_STATUS : STATUS); i++)
        if (a->numbers[i] != b->numbers[i])
            return false;
    return true;
}

static void print_name(const char *word, const struct trace_name *n)
{
    char said[LOG_NAME_MAX];

    snprintf(said, sizeof(said), "%s", n->said);
    cli_tame(said);
    printf(" %s %s", word, said);
}

/* The lines of one mail. */
static void print_mail(const struct trace_found *f, size_t n, const struct trace_name *name,
                       const struct trace_name *other)
{
    const struct trace_found *last = &f[n - 1], *came = NULL;

    print_time(f->at);
    printf("  mail %s", f->id);
    if (last->sender)
        print_name("from", name);
    if (other && last->other_sender)
        print_name("from", other);
    if (last->recipient)
        print_name("to", name);
    if (other && last->other_recipient)
        print_name("to", other);
    printf("\n");
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && alike(&f[i], &f[next]); next++)
            ;
        if (came && f[i].outgoing)
            print_facts(came);
        (f[i].outgoing ? print_try : print_outcome)(&f[i], next - i);
        came = f[i].outgoing ? NULL : &f[next - 1];
    }
    if (came)
        print_facts(came);
}

/* ---- all of them ---- */

static int by_id(const void *a, const void *b)
{
    const struct trace_found *x = a, *y = b;
    const int order = strcmp(x->id, y->id);

    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

struct mail {
    size_t first, n, order;
};

static int by_order(const void *a, const void *b)
{
    const struct mail *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

size_t trace_tell(struct trace_found *found, size_t n, const struct trace_name *name, const struct trace_name *other)
{
    struct mail *mails = n ? calloc(n, sizeof(*mails)) : NULL;
    size_t count = 0;

    if (!mails)
        return 0;
    qsort(found, n, sizeof(*found), by_id);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(found[i].id, found[i - 1].id) != 0)
            mails[count++] = (struct mail){.first = i, .order = found[i].order};
        mails[count - 1].n++;
    }
    qsort(mails, count, sizeof(*mails), by_order);
    for (size_t i = 0; i < count; i++)
        print_mail(&found[mails[i].first], mails[i].n, name, other);
    free(mails);
    return count;
}

/* ---- trouble ---- */

void trace_trouble_add(struct trace_trouble *t, const struct event_record *r)
{
    if (r->event == EVENT_tls_failed && r->more)
        t->tls_more += r->more;
    else if (r->event == EVENT_tls_failed)
        t->tls[r->numbers[0]]++;
    else if (r->event == EVENT_session_ended && r->more)
        t->ended_more += r->more;
    else if (r->event == EVENT_session_ended)
        t->ended[r->numbers[0]]++;
    else if (r->event == EVENT_session_refused)
        t->refused += r->more ? r->more : 1;
    else if (r->event == EVENT_errors_slowed && !r->more)
        t->held += r->numbers[1];
    else if (r->event == EVENT_mail_untold && !r->more)
        t->untold += r->numbers[0];
    else if (r->event == EVENT_log_dropped && !r->more)
        t->lost += r->numbers[0];
}

static void print_trouble(const char *what, uint64_t n, const char *why)
{
    if (n)
        printf("besides, of nobody known: %s: %" PRIu64 "%s%s%s\n", what, n, why ? " (" : "", why ? why : "",
               why ? ")" : "");
}

void trace_trouble_tell(const struct trace_trouble *t)
{
    for (size_t i = 0; i < sizeof(t->tls) / sizeof(t->tls[0]); i++)
        print_trouble("TLS handshakes that failed", t->tls[i], faults[i]);
    print_trouble("TLS handshakes that failed", t->tls_more, "more than could be told");
    for (size_t i = 0; i < sizeof(t->ended) / sizeof(t->ended[0]); i++)
        print_trouble("sessions that we ended", t->ended[i], reasons[i]);
    print_trouble("sessions that we ended", t->ended_more, "more than could be told");
    print_trouble("sessions refused", t->refused, "too many of one peer or network");
    print_trouble("answers held back", t->held, "from who makes many errors");
    print_trouble("refused or given up, and only counted", t->untold, NULL);
    print_trouble("lines that the log has lost", t->lost, "more came than master took; some may be about mail");
}
