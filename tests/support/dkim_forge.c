#include "tests/support/dkim_forge.h"

#include <sodium.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/arc.h"
#include "server/mailauth/dkim_hash.h"
#include "server/mailauth/tags.h"

static const char secret[] = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

struct parsed {
    struct header_view view;
    struct header_field fields[HEADER_FIELDS_MAX];
};

static void parse(const struct buf *mail, struct parsed *p)
{
    assert_int_equal(header_parse(mail->data, mail->len, p->fields, HEADER_FIELDS_MAX, &p->view), OK);
}

/* What the tags say of it, without judging them. */
static void read_tags(struct slice value, struct dkim_field *f)
{
    const char *text = (const char *)value.data;
    const char *b = memmem(text, value.len, "; b=", 4);
    struct slice c, l;

    *f = (struct dkim_field){.length = UINT64_MAX};
    if (tags_get(value, "c", &c) == OK) {
        f->header = c.len >= 7 && memcmp(c.data, "relaxed", 7) == 0 ? CANON_RELAXED : CANON_SIMPLE;
        f->body = c.len > 7 && memcmp(c.data + c.len - 8, "/relaxed", 8) == 0 ? CANON_RELAXED : CANON_SIMPLE;
    }
    if (tags_get(value, "l", &l) == OK)
        f->length = (uint64_t)strtoull((const char *)l.data, NULL, 10);
    (void)tags_get(value, "h", &f->names);
    assert_non_null(b);
    f->cut = slice_of(b + 4, value.len - (size_t)(b + 4 - text));
}

static void body_hash(const struct buf *mail, const struct parsed *p, const struct dkim_field *f, char out[64])
{
    const struct iovec all = {mail->data, mail->len};
    struct dkim_bodies b = {.n = 0};

    dkim_bodies_add(&b, f->body, f->length);
    assert_int_equal(dkim_bodies_hash(&b, &all, 1, p->view.header_len), OK);
    sodium_bin2base64(out, 64, b.v[0].digest, DKIM_HASH, sodium_base64_VARIANT_ORIGINAL);
}

static void add_in_front(struct buf *mail, const char *text)
{
    struct buf all;

    buf_init(&all, mail->max, false);
    assert_int_equal(buf_puts(&all, text), OK);
    assert_int_equal(buf_append(&all, mail->data, mail->len), OK);
    buf_free(mail);
    *mail = all;
}

/* The signature goes where the first field ends: behind its "b=". */
static void put_signature(struct buf *mail, const uint8_t digest[DKIM_HASH])
{
    uint8_t seed[32], public[32], key[64], octets[64];
    char text[128];
    struct buf all;
    size_t first = (size_t)((uint8_t *)memmem(mail->data, mail->len, "; b=\r\n", 6) - mail->data) + 4;

    assert_int_equal(sodium_base642bin(seed, 32, secret, strlen(secret), NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    crypto_sign_ed25519_seed_keypair(public, key, seed);
    crypto_sign_ed25519_detached(octets, NULL, digest, DKIM_HASH, key);
    sodium_bin2base64(text, sizeof(text), octets, sizeof(octets), sodium_base64_VARIANT_ORIGINAL);
    buf_init(&all, mail->max, false);
    assert_int_equal(buf_append(&all, mail->data, first), OK);
    assert_int_equal(buf_puts(&all, text), OK);
    assert_int_equal(buf_append(&all, mail->data + first, mail->len - first), OK);
    buf_free(mail);
    *mail = all;
}

/* "NAME: TAGS; b=" in front, with "@" filled in. */
static void begin_field(struct buf *mail, const char *name, const char *tags, struct parsed *p, struct dkim_field *f)
{
    const char *at = strchr(tags, '@');
    char hash[64] = "", *line = malloc(strlen(name) + strlen(tags) + sizeof(hash) + 16);

    assert_non_null(line);
    sprintf(line, "%s: %s; b=\r\n", name, tags);
    parse(mail, p);
    read_tags(slice_str(line + strlen(name) + 1), f);
    if (at) {
        body_hash(mail, p, f, hash);
        sprintf(line, "%s: %.*s%s%s; b=\r\n", name, (int)(at - tags), tags, hash, at + 1);
    }
    add_in_front(mail, line);
    free(line);
    parse(mail, p);
    read_tags(header_field_value(p->view.s, &p->view.fields[0]), f);
}

void forge_sign(struct buf *mail, const char *name, const char *tags)
{
    static struct parsed p;
    struct dkim_names *names;
    struct dkim_field f;
    uint8_t digest[DKIM_HASH];
    bool added;

    begin_field(mail, name, tags, &p, &f);
    assert_int_equal(dkim_names_create(&p.view, &names), OK);
    assert_int_equal(dkim_hash_header(names, &f, 0, digest, &added), OK);
    dkim_names_destroy(names);
    put_signature(mail, digest);
}

static void seal(struct buf *mail, const char *tags)
{
    static struct parsed p;
    struct arc_sets sets = {.n = 0};
    struct dkim_field f;
    struct dkim_hash h;
    uint8_t digest[DKIM_HASH] = {0};

    begin_field(mail, "ARC-Seal", tags, &p, &f);
    if (arc_sets_read(&p.view, &sets) == DKIM_VERIFIED) {
        assert_int_equal(dkim_hash_begin(&h), OK);
        for (unsigned i = 0; i < sets.n; i++)
            for (int part = 0; part < ARC_PARTS; part++)
                assert_int_equal(dkim_hash_field(&h, &p.view, sets.field[i][part], CANON_RELAXED,
                                                 sets.field[i][part] ? NULL : &f.cut),
                                 OK);
        assert_int_equal(dkim_hash_end(&h, digest), OK);
        dkim_hash_free(&h);
    }
    put_signature(mail, digest);
}

void forge_set(struct buf *mail, unsigned i, const char *cv, const char *tags)
{
    static const char usual[] = "a=ed25519-sha256; d=football.example.com; s=brisbane; c=relaxed/relaxed; bh=@; "
                                "h=from:to:subject:arc-authentication-results";
    char line[1024];

    snprintf(line, sizeof(line), "ARC-Authentication-Results: i=%u; lists.example.org; dkim=pass\r\n", i);
    add_in_front(mail, line);
    snprintf(line, sizeof(line), "i=%u; %s", i, tags ? tags : usual);
    forge_sign(mail, "ARC-Message-Signature", line);
    snprintf(line, sizeof(line), "i=%u; a=ed25519-sha256; d=football.example.com; s=brisbane; cv=%s", i, cv);
    seal(mail, line);
}
