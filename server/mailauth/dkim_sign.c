/* Signing (RFC 6376 section 5): one hash of the body and one of the header for all signers. See dkim.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/header.h"
#include "server/mailauth/canon.h"
#include "server/mailauth/dkim_impl.h"
#include "server/mailauth/whole_header.h"

enum {
    HASH = 32,
    SIGNATURE_MAX = 256,
    LINE = 76,
    FIELD_MAX = 32 * 1024, /* a field names each instance that it covers */
};

/* What is covered (section 5.4.1). Of those to be had once, one more than there are is named, so that nobody can add
 * another (section 8.15). Mailing lists add Sender and their own fields, and may. */
static const struct covered {
    const char *name;
    bool oversigned;
} covered[] = {
    {"From", true},
    {"Reply-To", true},
    {"To", true},
    {"Cc", true},
    {"Subject", true},
    {"Date", true},
    {"Message-ID", true},
    {"In-Reply-To", true},
    {"References", true},
    {"MIME-Version", true},
    {"Content-Type", true},
    {"Content-Transfer-Encoding", true},
    {"Sender", false},
    {"Content-ID", false},
    {"Content-Description", false},
    {"Resent-From", false},
    {"Resent-Date", false},
    {"Resent-To", false},
    {"Resent-Cc", false},
    {"Resent-Message-ID", false},
    {"List-Id", false},
    {"List-Help", false},
    {"List-Unsubscribe", false},
    {"List-Unsubscribe-Post", false},
    {"List-Post", false},
    {"List-Owner", false},
    {"List-Archive", false},
    {"Autocrypt", false},
    {"OpenPGP", false},
    {"CFBL-Address", false}, /* RFC 9477 asks for both */
    {"CFBL-Feedback-ID", false},
};
enum { COVERED = sizeof(covered) / sizeof(covered[0]) };

/* A message taken apart: its header, and the hash of its body. */
struct message {
    struct whole_header header;
    uint8_t body[HASH];
};

static void into_hash(void *hash, const uint8_t *data, size_t len)
{
    (void)EVP_DigestUpdate(hash, data, len);
}

/* ---- the message ---- */

static int hash_body(struct message *m, const struct iovec *mail, size_t n)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct canon_body b = {.form = CANON_RELAXED};
    size_t skip = m->header.view.header_len;
    int err = OK;

    if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = skip < mail[i].iov_len ? skip : mail[i].iov_len;
        skip -= from;
        canon_body_feed(&b, (const uint8_t *)mail[i].iov_base + from, mail[i].iov_len - from, into_hash, hash);
    }
    canon_body_end(&b, into_hash, hash);
    if (EVP_DigestFinal_ex(hash, m->body, NULL) != 1)
        err = ERR_CRYPTO;
    EVP_MD_CTX_free(hash);
    return err;
}

static int take_apart(struct message *m, const struct iovec *mail, size_t n)
{
    const struct header_view *v = &m->header.view;
    int err = whole_header_read(&m->header, mail, n);

    if (err == OK && (v->malformed || v->strays > 0 || !header_find(v, "From")))
        err = ERR_FORMAT; /* readers would see another header than was signed */
    return err == OK ? hash_body(m, mail, n) : err;
}

/* ---- the fields that are covered ---- */

/* The last instance first (section 5.4.2). Gives how many there are. */
static size_t hash_instances(const struct message *m, const char *name, EVP_MD_CTX *hash)
{
    const struct header_view *v = &m->header.view;
    size_t n = 0;

    for (size_t i = v->count; i-- > 0;) {
        const struct header_field *f = &v->fields[i];
        if (f->name_len == 0 || !header_field_is(v->s, f, name))
            continue;
        canon_field(v->s + f->offset, f->name_len, v->s + f->value_offset, f->offset + f->len - f->value_offset, true,
                    into_hash, hash);
        n++;
    }
    return n;
}

/* One tag's text, a piece of it at a time: a fold goes before what would not fit the line. */
struct fold {
    struct buf *out;
    size_t column;
};

/* A blank at its beginning becomes the fold. */
static int fold_put(struct fold *f, const char *text)
{
    size_t len = strlen(text);

    if (f->column + len > LINE && f->column > 1) {
        int err = buf_puts(f->out, "\r\n\t");
        if (err != OK)
            return err;
        f->column = 1;
        text += *text == ' ';
        len = strlen(text);
    }
    f->column += len;
    return buf_append(f->out, text, len);
}

/* "From:From:To:..." as h= has it, and their hash. */
static int cover(const struct message *m, EVP_MD_CTX *hash, struct buf *names)
{
    int err = OK;

    for (size_t i = 0; i < COVERED && err == OK; i++) {
        size_t n = hash_instances(m, covered[i].name, hash) + covered[i].oversigned;
        for (; n > 0 && err == OK; n--)
            err = buf_printf(names, "%s%s", names->len ? ":" : "", covered[i].name);
    }
    return err == ERR_LIMIT ? ERR_FORMAT : err;
}

/* ---- a signature's field ---- */

static int fold_list(struct fold *f, const char *list, size_t len)
{
    char one[64];
    int err = OK;

    while (len > 0 && err == OK) {
        const char *colon = memchr(list, ':', len);
        size_t n = colon ? (size_t)(colon - list) + 1 : len;
        memcpy(one, list, n);
        one[n] = '\0';
        err = fold_put(f, one);
        list += n;
        len -= n;
    }
    return err == OK ? fold_put(f, ";") : err;
}

static int fold_base64(struct fold *f, const uint8_t *data, size_t len)
{
    char text[SIGNATURE_MAX * 4 / 3 + 8];
    char one[LINE];
    size_t n = (size_t)EVP_EncodeBlock((uint8_t *)text, data, (int)len);
    int err = OK;

    for (size_t i = 0; i < n && err == OK;) {
        size_t room = f->column < LINE ? LINE - f->column : LINE - 1, take = n - i < room ? n - i : room;
        memcpy(one, text + i, take);
        one[take] = '\0';
        err = fold_put(f, one);
        i += take;
    }
    return err;
}

/* Up to "b=", which is empty while the field itself is hashed (section 3.5). */
static int begin_field(const struct dkim_signer *s, const struct message *m, const struct buf *names, uint64_t now,
                       struct fold *f)
{
    char tags[4][DKIM_SELECTOR_MAX + 256 + 8];
    int err = fold_put(f, "DKIM-Signature: v=1;");

    snprintf(tags[0], sizeof(tags[0]), " a=%s; c=relaxed/relaxed;",
             s->key->algorithm == DKIM_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256");
    snprintf(tags[1], sizeof(tags[1]), " d=%s;", s->domain);
    snprintf(tags[2], sizeof(tags[2]), " s=%s;", s->selector);
    snprintf(tags[3], sizeof(tags[3]), " t=%" PRIu64 ";", now);
    for (size_t i = 0; i < 4 && err == OK; i++)
        err = fold_put(f, tags[i]);
    if (err == OK)
        err = fold_put(f, " h=");
    if (err == OK)
        err = fold_list(f, (const char *)names->data, names->len);
    if (err == OK)
        err = fold_put(f, " bh=");
    if (err == OK)
        err = fold_base64(f, m->body, HASH);
    return err == OK ? fold_put(f, "; b=") : err;
}

static int sign_hash(const struct dkim_key *k, const uint8_t hash[HASH], uint8_t *out, size_t *len)
{
    EVP_PKEY_CTX *rsa = NULL;
    EVP_MD_CTX *ed = NULL;
    bool ok;

    if (k->algorithm == DKIM_RSA_SHA256) {
        rsa = EVP_PKEY_CTX_new(k->pkey, NULL);
        ok = rsa && EVP_PKEY_sign_init(rsa) == 1 && EVP_PKEY_CTX_set_signature_md(rsa, EVP_sha256()) == 1 &&
             EVP_PKEY_sign(rsa, out, len, hash, HASH) == 1;
    } else { /* the hash is what is signed (RFC 8463 section 3) */
        ed = EVP_MD_CTX_new();
        ok = ed && EVP_DigestSignInit(ed, NULL, NULL, NULL, k->pkey) == 1 &&
             EVP_DigestSign(ed, out, len, hash, HASH) == 1;
    }
    EVP_PKEY_CTX_free(rsa);
    EVP_MD_CTX_free(ed);
    return ok ? OK : ERR_CRYPTO;
}

/* covered: hashed so far. The field is hashed last, without CRLF (section 3.7). */
static int finish_field(const struct dkim_signer *s, const EVP_MD_CTX *covered_hash, const uint8_t *field, size_t len,
                        struct fold *f)
{
    static const size_t name = sizeof("DKIM-Signature") - 1;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t digest[HASH], signature[SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);
    int err = ERR_MEMORY;

    if (hash && EVP_MD_CTX_copy_ex(hash, covered_hash) == 1) {
        canon_field(field, name, field + name + 1, len - name - 1, false, into_hash, hash);
        err = EVP_DigestFinal_ex(hash, digest, NULL) == 1 ? sign_hash(s->key, digest, signature, &signature_len)
                                                          : ERR_CRYPTO;
    }
    EVP_MD_CTX_free(hash);
    if (err == OK)
        err = fold_base64(f, signature, signature_len);
    return err == OK ? buf_puts(f->out, "\r\n") : err;
}

static int sign_one(const struct dkim_signer *s, const struct message *m, const EVP_MD_CTX *covered_hash,
                    const struct buf *names, uint64_t now, struct buf *fields)
{
    struct buf field;
    struct fold f = {&field, 0};
    int err;

    buf_init(&field, FIELD_MAX, false);
    err = begin_field(s, m, names, now, &f);
    if (err == OK)
        err = finish_field(s, covered_hash, field.data, field.len, &f);
    if (err == OK)
        err = buf_append(fields, field.data, field.len);
    buf_free(&field);
    return err;
}

int dkim_sign(const struct dkim_signer *signers, size_t n, const struct iovec *mail, size_t mail_n, uint64_t now,
              struct buf *fields)
{
    struct message m = {0};
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct buf names;
    size_t before = fields->len;
    int err;

    buf_init(&names, FIELD_MAX / 2, false);
    err = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 ? take_apart(&m, mail, mail_n) : ERR_MEMORY;
    if (err == OK)
        err = cover(&m, hash, &names);
    for (size_t i = 0; i < n && err == OK; i++)
        err = sign_one(&signers[i], &m, hash, &names, now, fields);
    if (err != OK)
        fields->len = before;
    EVP_MD_CTX_free(hash);
    buf_free(&names);
    whole_header_free(&m.header);
    return err;
}
