#include "server/ingest/verify/verify_mail.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_seal.h"
#include "crypto/wks_key.h"
#include "server/core/error.h"
#include "server/core/print.h"
#include "server/ingest/verify/wks_words.h"
#include "server/mail/date.h"

enum { INNER_MAX = 1024, SEALED_MAX = 4096, BLOCK_MAX = 8192 };

static const char IF_NOT[] = "If it was not you, there is nothing to do: without the link nothing changes,\r\n"
                             "and in a day it is over.\r\n";

enum { BOUNDARY_SIZE = 33 };

static void random_hex(char out[33])
{
    uint8_t raw[16];

    randombytes_buf(raw, sizeof(raw));
    sodium_bin2hex(out, 33, raw, sizeof(raw));
}

static void put_head(struct print *t, const struct verify_mail *m, const char *boundary)
{
    static const char text[] = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    const char *domain = strrchr(m->address, '@') + 1;
    char id[33], date[DATE_SIZE];

    random_hex(id);
    date_write((int64_t)m->now, date);
    print_put(t,
              "From: Letterlock <%s@%s>\r\nTo: %s\r\nSubject: Shall others find this key by your address?\r\n"
              "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n" /* RFC 3834 section 5 */
              "MIME-Version: 1.0\r\n",
              m->token ? WKS_LOCAL_PART : "postmaster", domain, m->address, date, id, domain);
    if (m->token)
        print_put(t, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
    print_put(t, "%s", text);
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

static int seal(const struct verify_mail *m, const char *text, size_t text_len, char block[BLOCK_MAX])
{
    static struct sealed s;
    struct iovec piece = {(void *)(uintptr_t)text, text_len};
    size_t len;
    int err;

    s.len = 0;
    err = pgp_seal(&m->seals, 1, &piece, 1, take, &s, NULL);
    if (err == OK)
        err = pgp_armor_encode(s.data, s.len, "MESSAGE", m->checksum, block, BLOCK_MAX, &len);
    return err;
}

static int seal_link(const struct verify_mail *m, char block[BLOCK_MAX])
{
    char inner[INNER_MAX];
    struct print t = {inner, sizeof(inner)};
    int err;

    print_put(&t, "This link publishes your key for %s:\r\n\r\n  %s\r\n\r\n%s", m->address, m->link, IF_NOT);
    err = t.left ? seal(m, inner, sizeof(inner) - t.left, block) : ERR_LIMIT;
    sodium_memzero(inner, sizeof(inner));
    return err;
}

static int seal_request(const struct verify_mail *m, char block[BLOCK_MAX])
{
    char sender[ADDRESS_MAX], inner[WKS_TEXT_MAX];
    struct wks_request r = {
        .sender = sender, .address = m->address, .fpr = m->fpr, .fpr_len = m->fpr_len, .token = m->token};
    size_t len;
    int err;

    snprintf(sender, sizeof(sender), "%s%s", WKS_LOCAL_PART, strrchr(m->address, '@'));
    err = wks_request_write(&r, inner, &len);
    if (err == OK)
        err = seal(m, inner, len, block);
    sodium_memzero(inner, sizeof(inner));
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
    int err = seal_link(m, block);

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

/* Programs that speak it find their part by its type; the text is for people who have none. */
static int put_request(struct print *t, const struct verify_mail *m, const char *boundary)
{
    static char block[BLOCK_MAX];
    int err = seal_request(m, block);

    if (err != OK)
        return err;
    print_put(t, "\r\n--%s\r\nContent-Type: " WKS_TYPE "\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", boundary);
    put_block(t, block);
    print_put(t, "\r\n--%s--\r\n", boundary);
    return OK;
}

static const char ANSWER[] = "A mail program that knows of Web Key Services asks you whether to confirm it. Without\r\n"
                             "one, save this message and let GnuPG answer it:\r\n\r\n"
                             "  gpg-wks-client --receive --send <MESSAGE\r\n\r\n";

int verify_mail(const struct verify_mail *m, char out[VERIFY_MAIL_MAX], size_t *ret_len)
{
    struct print t = {out, VERIFY_MAIL_MAX};
    char until[DATE_SIZE], boundary[BOUNDARY_SIZE];
    int err = OK;

    random_hex(boundary);
    date_write((int64_t)m->until, until);
    put_head(&t, m, boundary);
    put_what_happened(&t, m);
    if (m->token)
        print_put(&t, "%s", ANSWER);
    if (!m->own)
        err = put_other(&t, m);
    else
        print_put(&t,
                  "If it was you, open this link and press the button there:\r\n\r\n  %s\r\n\r\n"
                  "It works once, until %s.\r\n%s",
                  m->link, until, IF_NOT);
    if (err == OK && m->token)
        err = put_request(&t, m, boundary);
    if (err == OK && !t.left)
        err = ERR_LIMIT;
    if (err == OK)
        *ret_len = VERIFY_MAIL_MAX - t.left;
    return err;
}
