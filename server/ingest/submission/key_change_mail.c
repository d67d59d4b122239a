#include "server/ingest/submission/key_change_mail.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/print.h"
#include "server/mail/date.h"

static void put_head(struct print *t, const struct key_change *k)
{
    const char *domain = strrchr(k->account, '@') + 1;
    uint8_t raw[16];
    char id[33], date[DATE_SIZE];

    randombytes_buf(raw, sizeof(raw));
    sodium_bin2hex(id, sizeof(id), raw, sizeof(raw));
    date_write((int64_t)k->now, date);
    print_put(t,
              "From: Letterlock <postmaster@%s>\r\nTo: %s\r\nSubject: Another key of somebody you write to\r\n"
              "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n" /* RFC 3834 section 5 */
              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: 8bit\r\n\r\n",
              domain, k->account, date, id, domain);
}

static const char *where(const struct correspondent_key *k)
{
    static const char *const from[] = {
        [KNOWN_DNSSEC] = "found in its domain's DNS, signed up to the root (DNSSEC)",
        [KNOWN_DOMAIN] = "found at its domain's web server, which alone vouches for it",
        [KNOWN_SERVER] = "found at a key server, which alone vouches for it",
        [KNOWN_AUTOCRYPT] = "came with mail, for which nobody vouches",
        [KNOWN_BY_HAND] = "named by your server's administrator",
    };

    return from[k->from];
}

static void put_fpr(struct print *t, const struct correspondent_key *k)
{
    char hex[2 * PGP_FPR_MAX + 1];

    sodium_bin2hex(hex, sizeof(hex), k->fpr, k->fpr_len);
    for (char *c = hex; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    print_put(t, "%s", hex);
}

static void put_key(struct print *t, const char *what, const struct correspondent_key *k)
{
    char day[DATE_DAY_SIZE];

    date_write_day(k->since, day);
    print_put(t, "  %s ", what);
    put_fpr(t, k);
    print_put(t, "\r\n         %s, since %s\r\n", where(k), day);
}

/* For a shell: an address may have nearly any octet. */
static void put_word(struct print *t, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-";

    if (*word != '-' && word[strspn(word, plain)] == '\0') {
        print_put(t, "%s", word);
        return;
    }
    print_put(t, "'");
    for (; *word; word++)
        print_put(t, *word == '\'' ? "'\\''" : "%c", *word);
    print_put(t, "'");
}

static void put_command(struct print *t, const struct key_change *k, const struct correspondent_key *key)
{
    print_put(t, "\r\n  letterlock correspondent accept ");
    put_word(t, k->account);
    print_put(t, " ");
    put_word(t, k->address);
    print_put(t, " ");
    put_fpr(t, key);
    print_put(t, "\r\n");
}

static void put_outcome(struct print *t, const struct key_change *k)
{
    static const char *const text[] = {
        [KEY_CHANGE_FOLLOWED] = "It was followed: what you send there is sealed to the new key from now on.",
        [KEY_CHANGE_KEPT] = "It was not followed: what you send there is sealed to the key before, as it was.",
        [KEY_CHANGE_REFUSED] = "It was not followed: what you send there is refused until somebody decides.",
    };

    print_put(t,
              "\r\n%s\r\nCompare the new fingerprint with its owner, by another way than mail. If it is theirs,\r\n"
              "your server's administrator can accept it; no other one is followed then:\r\n",
              text[k->outcome]);
    put_command(t, k, &k->other);
    if (k->outcome != KEY_CHANGE_FOLLOWED)
        return;
    print_put(t, "\r\nIf it is not, this goes back to the key before:\r\n");
    put_command(t, k, &k->kept);
}

int submission_key_change_mail(const struct key_change *k, char out[KEY_CHANGE_MAIL_MAX], size_t *ret_len)
{
    struct print t = {out, KEY_CHANGE_MAIL_MAX};

    put_head(&t, k);
    print_put(&t, "Another key was found for an address that you write to:\r\n\r\n  %s\r\n\r\n", k->address);
    put_key(&t, "before", &k->kept);
    put_key(&t, "new   ", &k->other);
    put_outcome(&t, k);
    print_put(&t, "\r\nOf one address you are told so once a day at most. To hear no more of it, ask for\r\n"
                  "account set --key-change-notices no.\r\n");
    if (!t.left)
        return ERR_LIMIT;
    *ret_len = KEY_CHANGE_MAIL_MAX - t.left;
    return OK;
}
