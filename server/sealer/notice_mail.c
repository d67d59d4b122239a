/* What a reader is told of a key's end. See notice_mail.h. */
#include "server/sealer/notice_mail.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/print.h"
#include "server/mail/date.h"

enum { HEX_MAX = 2 * PGP_FPR_MAX + 1 };

static void put_what_happened(struct print *t, const struct notice *d, const char *hex)
{
    char day[DATE_DAY_SIZE];

    date_write_day(d->expires, day);
    if (d->events & NOTICE_ADDED)
        print_put(t,
                  "From now on your mail is sealed to this key too, beside those that you have:\r\n\r\n  %s\r\n\r\n"
                  "Whoever has its secret half reads your new mail; what has come already stays\r\n"
                  "as it is. This word was sealed to your other keys alone.\r\n\r\n"
                  "If the key is yours, there is nothing to do. If it is not, tell the postmaster,\r\n"
                  "and somebody else whom you trust: whoever entered it can read your mail.\r\n",
                  hex);
    else if (d->events & KEY_EVENT_REVOKED)
        print_put(t,
                  "This key of yours has been revoked%s:\r\n\r\n  %s\r\n\r\n"
                  "No more mail is sealed to it. Mail that has come stays as it is: keep the\r\n"
                  "secret key for as long as you want to read it. New mail is sealed to your\r\n"
                  "other keys.\r\n\r\n"
                  "If it was you, there is nothing to do. If it was not, somebody has your key\r\n"
                  "or its revocation: make a new key, and tell the postmaster.\r\n",
                  d->state == KEY_ENC_REVOKED ? " (the part that mail is encrypted to)" : "", hex);
    else if (d->events & KEY_EVENT_EXPIRED)
        print_put(t,
                  "The key that your mail is sealed to expired on %s:\r\n\r\n  %s\r\n\r\n"
                  "Mail goes on being sealed to it, so that none is lost, and you can still\r\n"
                  "read it. But other people's programs do not encrypt to it any more.\r\n\r\n",
                  day, hex);
    else
        print_put(t,
                  "The key that your mail is sealed to expires on %s:\r\n\r\n  %s\r\n\r\n"
                  "Mail goes on being sealed to it after that day, so that none is lost. But\r\n"
                  "other people's programs will no longer encrypt to it.\r\n\r\n",
                  day, hex);
}

static void put_what_to_do(struct print *t, const struct notice *d, const char *hex, const char *domain)
{
    print_put(t, "Let it live longer, or make a new key, in the program that keeps it, and\r\n"
                 "export its certificate (the public key).");
    if (d->fpr_len == 20) /* GnuPG 2.2 knows no others */
        print_put(t,
                  " With GnuPG:\r\n\r\n"
                  "  gpg --quick-set-expire %s 2y\r\n"
                  "  gpg --quick-set-expire %s 2y '*'\r\n"
                  "  gpg --armor --export %s\r\n",
                  hex, hex, hex);
    print_put(t,
              "\r\nSend the certificate to postmaster@%s, who enters it with\r\n"
              "`letterlock key add`. Nobody here needs your secret key: never give it away.\r\n",
              domain);
}

int notice_mail(const struct notice *d, const char *address, uint64_t now, char out[NOTICE_MAIL_MAX], size_t *ret_len)
{
    struct print t = {out, NOTICE_MAIL_MAX};
    const char *domain = strrchr(address, '@') + 1;
    char hex[HEX_MAX], id[33], date[DATE_SIZE];
    uint8_t raw[16];

    randombytes_buf(raw, sizeof(raw));
    sodium_bin2hex(id, sizeof(id), raw, sizeof(raw));
    sodium_bin2hex(hex, sizeof(hex), d->fpr, d->fpr_len);
    for (char *c = hex; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    date_write((int64_t)now, date);
    print_put(&t,
              "From: Letterlock <postmaster@%s>\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n"
              "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n" /* RFC 3834 section 5 */
              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
              "This is a word from your mail server, about your key.\r\n\r\n",
              domain, address,
              d->events & NOTICE_ADDED        ? "Another key reads your mail from now on"
              : d->events & KEY_EVENT_REVOKED ? "Your mail key has been revoked"
              : d->events & KEY_EVENT_EXPIRED ? "Your mail key has expired"
                                              : "Your mail key expires soon",
              date, id, domain);
    put_what_happened(&t, d, hex);
    if (!(d->events & (KEY_EVENT_REVOKED | NOTICE_ADDED)))
        put_what_to_do(&t, d, hex, domain);
    if (!t.left)
        return ERR_LIMIT;
    *ret_len = NOTICE_MAIL_MAX - t.left;
    return OK;
}
