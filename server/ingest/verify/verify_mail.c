#include "server/ingest/verify/verify_mail.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"
#include "server/core/print.h"
#include "server/mail/date.h"

enum { INNER_MAX = 1024, SEALED_MAX = 4096, BLOCK_MAX = 8192 };

static const char IF_NOT[] = "If it was not you, there is nothing to do: without the link nothing changes,\r\n"
                             "and in a day it is over.\r\n";

static void put_head(struct print *t, const struct verify_mail *m)
{
    const char *domain = strrchr(m->address, '@') + 1;
    char id[33], date[DATE_SIZE];
    uint8_t raw[16];

    randombytes_buf(raw, sizeof(raw));
    sodium_bin2hex(id, sizeof(id), raw, sizeof(raw));
    date_write((int64_t)m->now, date);
    print_put(t,
              "From: Letterlock <postmaster@%s>\r\nTo: %s\r\nSubject: Shall others find this key by your address?\r\n"
              "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n" /* RFC 3834 section 5 */
              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
              domain, m->address, date, id, domain);
}

static void put_what_happened(struct print *t, const struct verify_mail *m)
{
    char hex[2 * PGP_FPR_MAX + 1];

    sodium_bin2hex(hex, sizeof(hex), m->fpr, m->fpr_len);
    for (char *c = hex; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    print_put(t,
              "Somebody sent the certificate (the public key) of this key to your mail\r\n"
              "server, to be what others find by your address %s:\r\n\r\n  %s\r\n\r\n",
              m->address, hex);
}

/* ---- the block ---- */

struct sealed {
    uint8_t data[SEALED_MAX];
    size_t len;
};

static int take(void *arg, const uint8_t *data, size_t len)
{
    struct sealed *s = arg;

    if (len > sizeof(s->data) - s->len)
        return ERR_LIMIT;
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return OK;
}

static int seal(const struct verify_mail *m, char block[BLOCK_MAX])
{
    static struct sealed s;
    char inner[INNER_MAX];
    struct print t = {inner, sizeof(inner)};
    struct iovec piece;
    size_t len;
    int err;

    print_put(&t, "This link publishes your key for %s:\r\n\r\n  %s\r\n\r\n%s", m->address, m->link, IF_NOT);
    piece = (struct iovec){inner, sizeof(inner) - t.left};
    s.len = 0;
    err = t.left ? pgp_seal(&m->seals, 1, &piece, 1, take, &s, NULL) : ERR_LIMIT;
    sodium_memzero(inner, sizeof(inner));
    if (err == OK)
        err = pgp_armor_encode(s.data, s.len, "MESSAGE", m->checksum, block, BLOCK_MAX, &len);
    return err;
}

/* Armour has LF. */
static void put_block(struct print *t, const char *block)
{
    for (const char *line = block; *line;) {
        const size_t len = strcspn(line, "\r\n");
        print_put(t, "%.*s\r\n", (int)len, line);
        line += len;
        line += *line == '\r';
        line += *line == '\n';
    }
}

static int put_other(struct print *t, const struct verify_mail *m)
{
    static char block[BLOCK_MAX];
    int err = seal(m, block);

    if (err != OK)
        return err;
    print_put(t, "Your mail here is not sealed to that key: whoever finds it encrypts to it, and\r\n"
                 "what they send you reads with it alone. If it was you, and you have its secret\r\n"
                 "half, you can open the block below. It has a link, which publishes the key.\r\n"
                 "Copy the block, from BEGIN to END and with these lines, into a file and decrypt\r\n"
                 "that with the program that keeps the key. With GnuPG:\r\n\r\n"
                 "  gpg --decrypt FILE\r\n\r\n");
    print_put(t, "%s\r\n", IF_NOT);
    put_block(t, block);
    return OK;
}

int verify_mail(const struct verify_mail *m, char out[VERIFY_MAIL_MAX], size_t *ret_len)
{
    struct print t = {out, VERIFY_MAIL_MAX};
    char until[DATE_SIZE];
    int err = OK;

    date_write((int64_t)m->until, until);
    put_head(&t, m);
    put_what_happened(&t, m);
    if (m->seals)
        err = put_other(&t, m);
    else
        print_put(&t,
                  "If it was you, open this link and press the button there:\r\n\r\n  %s\r\n\r\n"
                  "It works once, until %s.\r\n%s",
                  m->link, until, IF_NOT);
    if (err == OK && !t.left)
        err = ERR_LIMIT;
    if (err == OK)
        *ret_len = VERIFY_MAIL_MAX - t.left;
    return err;
}
