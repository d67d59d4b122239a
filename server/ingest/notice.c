/* Notices of a key's end: some days before it expires, when it has, and when it is revoked, its reader gets a mail,
 * sealed like any other. One instance of the role walks the accounts, a slice of them a turn, soon after its start,
 * then hourly and whenever an expiry is due; an account whose keys change is looked at by itself. The vault delivers a
 * notice and notes it with the key in one commit, so each comes once, whoever dies when. While nothing can be sealed to
 * an account, its notices wait. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/ingest/ingest.h"

enum {
    FIRST_MS = 2000,
    ROUND_MS = 3600 * 1000,
    RETRY_MS = 60 * 1000,
    LEAST_MS = 1000,
    SLICE = 64,       /* accounts of one snapshot */
    CHANGED_MAX = 64, /* accounts remembered between turns; more make a round */
    DAY = 86400,
};

struct due {
    uint8_t fpr[PGP_FPR_MAX], fpr_len, events, state;
    uint32_t expires;
};

struct notices {
    struct ingest *in;
    struct timer *timer;
    struct defer step;
    uint64_t next_ms; /* when the timer ends; 0: it is not set */
    bool walking;
    uint64_t cursor; /* the walk has seen accounts up to this one */
    uint64_t changed[CHANGED_MAX];
    size_t nchanged;

    /* One account's notices, sent one after the other. */
    uint64_t account, walked;
    uint32_t keys_version;
    char address[ADDRESS_MAX];
    struct due due[PGP_KEYS_MAX];
    size_t ndue, at;
    unsigned current, seen;
    uint64_t next_event; /* seconds since 1970: the soonest event that is not due yet; 0: none */
    bool busy, sealing;
    struct seal_op *op;
    uint64_t vault_id;
    struct iovec piece;
    char mail[4096];
};

static void step(void *arg);

static void go_on(struct notices *n)
{
    defer_set(n->in->loop, &n->step, step, n);
}

/* Not later than in so many milliseconds. */
static void wake_in(struct notices *n, uint64_t ms)
{
    uint64_t now = loop_now_ms(n->in->loop), at;
    if (ms < LEAST_MS)
        ms = LEAST_MS;
    at = now + ms;
    if (n->next_ms && n->next_ms <= at)
        return;
    n->next_ms = at;
    timer_set(n->timer, ms);
}

/* ---- what is due ---- */

/* The events that are to be told of a key in one mail, 0 for none. An expired key needs no warning any more. */
static uint8_t events_due(struct notices *n, const struct schema_key *k, uint64_t now)
{
    uint64_t end = k->verdict.enc_expires, ahead = (uint64_t)n->in->config.key_notice_days * DAY, next;
    uint8_t told = k->noticed;
    bool soon = end <= now + ahead;

    if (k->state == KEY_REVOKED || k->state == KEY_ENC_REVOKED)
        return told & KEY_EVENT_REVOKED ? 0 : KEY_EVENT_REVOKED;
    if (k->state != KEY_CURRENT || !end || told & KEY_EVENT_EXPIRED)
        return 0;
    if (end <= now)
        return KEY_EVENT_EXPIRED | (told & KEY_EVENT_EXPIRING ? 0 : KEY_EVENT_EXPIRING);
    next = soon ? end : end - ahead;
    if (!n->next_event || next < n->next_event)
        n->next_event = next;
    return soon && !(told & KEY_EVENT_EXPIRING) ? KEY_EVENT_EXPIRING : 0;
}

static int see_key(void *arg, const struct schema_key *k)
{
    struct notices *n = arg;
    uint8_t events = events_due(n, k, (uint64_t)time(NULL));

    n->current += k->state == KEY_CURRENT;
    if (events && n->ndue < PGP_KEYS_MAX) {
        struct due *d = &n->due[n->ndue++];
        *d = (struct due){.fpr_len = k->verdict.primary_fpr_len,
                          .events = events,
                          .state = k->state,
                          .expires = k->verdict.enc_expires};
        memcpy(d->fpr, k->verdict.primary_fpr, sizeof(d->fpr));
    }
    return 0;
}

static int see_account(void *arg, uint64_t account, const char *address)
{
    struct notices *n = arg;
    struct schema_account a;
    int err = view_account(n->in->view, account, &a);

    n->ndue = n->at = n->current = 0;
    if (err == OK) {
        n->account = account;
        n->keys_version = a.keys_version;
        memcpy(n->address, a.address, sizeof(n->address));
        err = view_keys_each(n->in->view, account, see_key, n);
    }
    secmem_wipe(&a, sizeof(a));
    if (err == ERR_MEMORY || err == ERR_IO)
        return err;
    if (err != OK) /* one that is gone or damaged keeps no other waiting */
        n->current = 0;
    if (err != OK && err != ERR_NOT_FOUND)
        log_info("key-notice account status=%d", err);
    if (!n->current)
        n->ndue = 0; /* nothing can be sealed: it waits */
    n->walked = account;
    return n->ndue || ++n->seen == SLICE;
}

struct look {
    struct notices *n;
    bool one;
    uint64_t from, next_event;
};

static int see(void *arg, struct view *v)
{
    const struct look *l = arg;
    struct notices *n = l->n;

    n->next_event = l->next_event;
    n->seen = 0;
    n->ndue = n->at = 0;
    return l->one ? see_account(n, l->from, NULL) : view_accounts_after(v, l->from, see_account, n);
}

/* One account that has changed, or the walk's next slice up to the first account with something due. *ret_more: there
 * is more to be looked at. */
static int look(struct notices *n, bool *ret_more)
{
    bool one = n->nchanged > 0;
    struct look l = {n, one, one ? n->changed[n->nchanged - 1] : n->cursor, n->next_event};
    int err = view_run(n->in->view, see, &l);

    if (err < 0) {
        n->ndue = 0;
        n->next_event = l.next_event;
        return err;
    }
    if (one) {
        n->nchanged--;
    } else if (err > 0) {
        n->cursor = n->walked;
    } else if (err == OK) {
        n->walking = false;
    }
    *ret_more = n->nchanged || n->walking;
    return OK;
}

/* ---- the mail ---- */

struct text {
    char *at;
    size_t left;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(t->at, t->left, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= t->left) {
        t->left = 0;
        return;
    }
    t->at += len;
    t->left -= (size_t)len;
}

static void day_text(uint32_t when, char out[16])
{
    time_t t = when;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

enum { HEX_MAX = 2 * PGP_FPR_MAX + 1 };

static void put_what_happened(struct text *t, const struct due *d, const char *hex)
{
    char day[16];

    day_text(d->expires, day);
    if (d->events & KEY_EVENT_REVOKED)
        put(t,
            "This key of yours has been revoked%s:\r\n\r\n  %s\r\n\r\n"
            "No more mail is sealed to it. Mail that has come stays as it is: keep the\r\n"
            "secret key for as long as you want to read it. New mail is sealed to your\r\n"
            "other keys.\r\n\r\n"
            "If it was you, there is nothing to do. If it was not, somebody has your key\r\n"
            "or its revocation: make a new key, and tell the postmaster.\r\n",
            d->state == KEY_ENC_REVOKED ? " (the part that mail is encrypted to)" : "", hex);
    else if (d->events & KEY_EVENT_EXPIRED)
        put(t,
            "The key that your mail is sealed to expired on %s:\r\n\r\n  %s\r\n\r\n"
            "Mail goes on being sealed to it, so that none is lost, and you can still\r\n"
            "read it. But other people's programs do not encrypt to it any more.\r\n\r\n",
            day, hex);
    else
        put(t,
            "The key that your mail is sealed to expires on %s:\r\n\r\n  %s\r\n\r\n"
            "Mail goes on being sealed to it after that day, so that none is lost. But\r\n"
            "other people's programs will no longer encrypt to it.\r\n\r\n",
            day, hex);
}

static void put_what_to_do(struct text *t, const struct due *d, const char *hex, const char *domain)
{
    put(t, "Let it live longer, or make a new key, in the program that keeps it, and\r\n"
           "export its certificate (the public key).");
    if (d->fpr_len == 20) /* GnuPG 2.2 knows no others */
        put(t,
            " With GnuPG:\r\n\r\n"
            "  gpg --quick-set-expire %s 2y\r\n"
            "  gpg --quick-set-expire %s 2y '*'\r\n"
            "  gpg --armor --export %s\r\n",
            hex, hex, hex);
    put(t,
        "\r\nSend the certificate to postmaster@%s, who enters it with\r\n"
        "`letterlock key add`. Nobody here needs your secret key: never give it away.\r\n",
        domain);
}

static int make_mail(struct notices *n, const struct due *d, uint64_t now)
{
    struct text t = {n->mail, sizeof(n->mail)};
    const char *domain = strrchr(n->address, '@') + 1;
    char hex[HEX_MAX], id[33], date[DATE_TEXT_SIZE];
    uint8_t raw[16];

    randombytes_buf(raw, sizeof(raw));
    sodium_bin2hex(id, sizeof(id), raw, sizeof(raw));
    sodium_bin2hex(hex, sizeof(hex), d->fpr, d->fpr_len);
    for (char *c = hex; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    date_text(now, date);
    put(&t,
        "From: Letterlock <postmaster@%s>\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n"
        "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n" /* RFC 3834 section 5 */
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "This is a word from your mail server, about your key.\r\n\r\n",
        domain, n->address,
        d->events & KEY_EVENT_REVOKED   ? "Your mail key has been revoked"
        : d->events & KEY_EVENT_EXPIRED ? "Your mail key has expired"
                                        : "Your mail key expires soon",
        date, id, domain);
    put_what_happened(&t, d, hex);
    if (!(d->events & KEY_EVENT_REVOKED))
        put_what_to_do(&t, d, hex, domain);
    n->piece = (struct iovec){n->mail, sizeof(n->mail) - t.left};
    return t.left ? OK : ERR_LIMIT;
}

/* ---- sending ---- */

/* The notice at hand is done with, whichever way. */
static void next(struct notices *n, int status)
{
    n->busy = false;
    n->op = NULL;
    if (status == OK)
        count(n->in, COUNT_NOTICES);
    else if (status == ERR_CONFLICT) /* keys or policy have changed meanwhile: it is looked at anew */
        wake_in(n, LEAST_MS);
    else if (status != ERR_NO_KEY && status != ERR_NOT_FOUND && status != ERR_QUOTA && status != ERR_EXISTS)
        wake_in(n, RETRY_MS);
    if (status != OK && status != ERR_EXISTS)
        log_info("key-notice status=%d", status);
    n->at++;
    go_on(n);
}

static void stored(void *arg, int status, struct unpack *body)
{
    next(arg, status == OK && unpack_u8(body) ? ERR_EXISTS : status);
}

static void sealed(void *arg, int status, const struct seal_result *sr)
{
    static const uint8_t none[RECORD_HASH_SIZE];
    struct notices *n = arg;
    const struct due *d = &n->due[n->at];
    uint8_t payload[256];
    struct pack p;

    n->op = NULL;
    n->sealing = false;
    secmem_wipe(n->mail, sizeof(n->mail));
    if (status != OK) {
        next(n, status);
        return;
    }
    pack_init(&p, payload, sizeof(payload));
    pack_u64(&p, n->account);
    pack_u32(&p, MAILBOX_INBOX);
    pack_u8(&p, sr->kind);
    pack_u8(&p, sr->policy);
    pack_u64(&p, (uint64_t)time(NULL));
    pack_raw(&p, none, sizeof(none));
    pack_raw(&p, sr->thread, sizeof(sr->thread));
    pack_raw(&p, sr->own_id, sizeof(sr->own_id));
    pack_u32(&p, 0);
    pack_u64(&p, 0);
    pack_u32(&p, 0);
    pack_bytes(&p, d->fpr, d->fpr_len);
    pack_u8(&p, d->events);
    pack_u32(&p, n->keys_version);
    /* Asked twice, the vault does it once. */
    status =
        vault_client_request(n->in->vault, VAULT_KEY_NOTICE, &p, sr->parcel_fd, ASK_AGAIN, stored, n, &n->vault_id);
    close(sr->parcel_fd);
    if (status != OK)
        next(n, status);
}

static void send_one(struct notices *n)
{
    uint64_t now = (uint64_t)time(NULL);
    int err = make_mail(n, &n->due[n->at], now);
    struct seal_request q = {
        .account = n->account,
        .mail = &n->piece,
        .mail_n = 1,
        .mail_len = n->piece.iov_len,
        .received = "",
        .auth_results = "",
        .tls = "",
        .now = now,
    };
    struct seal_op *op = NULL;

    n->busy = n->sealing = true;
    if (err == OK)
        err = sealer_start(n->in->sealer, &q, sealed, n, &op);
    if (err != OK)
        next(n, err);
    else if (n->sealing)
        n->op = op;
}

static void step(void *arg)
{
    struct notices *n = arg;
    bool more = false;
    int err;

    if (n->busy || n->in->stopping)
        return;
    if (n->at < n->ndue) {
        send_one(n);
        return;
    }
    if (n->nchanged || n->walking) {
        err = look(n, &more);
        if (err != OK) {
            log_info("key-notice walk status=%d", err);
            n->nchanged = 0;
            n->walking = false;
            wake_in(n, RETRY_MS);
            return;
        }
        if (n->ndue || more) {
            go_on(n);
            return;
        }
    }
    uint64_t now = (uint64_t)time(NULL), ahead = n->next_event > now ? n->next_event - now : 0;
    if (n->next_event && ahead < ROUND_MS / 1000)
        wake_in(n, ahead * 1000 + LEAST_MS); /* not a moment too early: seconds are what expires */
    wake_in(n, ROUND_MS);
}

static void on_timer(void *arg)
{
    struct notices *n = arg;

    n->next_ms = 0;
    n->next_event = 0;
    n->walking = true;
    n->cursor = 0;
    go_on(n);
}

void notices_round(struct notices *n)
{
    wake_in(n, LEAST_MS);
}

void notices_account_changed(struct notices *n, uint64_t account)
{
    for (size_t i = 0; i < n->nchanged; i++)
        if (n->changed[i] == account)
            return;
    if (n->nchanged < CHANGED_MAX)
        n->changed[n->nchanged++] = account;
    else
        wake_in(n, LEAST_MS);
    go_on(n);
}

struct notices *notices_create(struct ingest *in)
{
    struct notices *n = calloc(1, sizeof(*n));

    if (!n || !(n->timer = timer_create_in(in->loop, on_timer, n))) {
        free(n);
        return NULL;
    }
    n->in = in;
    wake_in(n, FIRST_MS);
    return n;
}

void notices_destroy(struct notices *n)
{
    if (!n)
        return;
    defer_cancel(n->in->loop, &n->step);
    timer_destroy(n->timer);
    if (n->op)
        seal_cancel(n->op);
    else if (n->busy && !n->sealing)
        vault_client_forget(n->in->vault, n->vault_id);
    secmem_wipe(n, sizeof(*n));
    free(n);
}
