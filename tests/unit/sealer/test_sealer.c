/* The sealer: what it makes opens, gives back the sender's octets and passes the vault's gate. */
#include "tests/support/sealer_bench.h"

static int set_policy(struct store_write *w, void *arg)
{
    return account_set(w,
                       &(struct vault_account){.policy = *(uint8_t *)arg,
                                               .quota = VAULT_QUOTA_KEEP,
                                               .seal_v2 = VAULT_SEAL_V2_KEEP,
                                               .encrypt = VAULT_ENCRYPT_KEEP},
                       &(struct vault_approval){0});
}

static void test_shapes(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } shapes[] = {
#define SHAPE(s) {s, sizeof(s) - 1}
        SHAPE(MAIL),
        SHAPE(""),
        SHAPE("\r\n"),
        SHAPE("x"),
        SHAPE("no header at all\r\n"),
        SHAPE("Subject: only a header\r\n"),
        SHAPE("Subject: x\r\n\r\n\0\1\xff\x80"
              "8-bit\r\n"),
        SHAPE("From: a\r\n b\r\nContent-Type: text/plain; charset=\"x\"\r\n\r\nb"),
        SHAPE("Letterlock-Seal: v=1; len=3\r\nSealed-By: x\r\n\r\nforged"),
        SHAPE("\0\0\0\0"),
        SHAPE(": \r\n\r\n"),
    };

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (size_t piece = 0; piece < 8; piece++) {
            struct outcome o = seal(shapes[i].text, shapes[i].len, piece);
            check_sealed(&o, &keys[0], shapes[i].text, shapes[i].len);
        }
}

static void test_sizes(void **state)
{
    /* Around the chunk of secmem, the head that is taken apart, and what a large message is. */
    static const size_t sizes[] = {1000, 65471, 65472, 65473, 131072, 400000, 5000000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *mail = malloc(sizes[i]);
        size_t n = strlen(MAIL);
        memset(mail, 'x', sizes[i]);
        memcpy(mail, MAIL, n);
        struct outcome o = seal(mail, sizes[i], 65472);
        check_sealed(&o, &keys[0], mail, sizes[i]);
        free(mail);
    }
}

static void test_long_header(void **state)
{
    int before = open_fds();

    /* A header over several pieces is taken apart; one beyond HEADER_MAX is refused for good. */
    for (size_t len = 60000; len <= 400000; len += 85000) {
        char *mail = malloc(len + 1000);
        size_t n = 0;
        while (n < len)
            n += (size_t)sprintf(mail + n, "X-Long-%06zu: %0600d\r\n", n, 7);
        n += (size_t)sprintf(mail + n, "Subject: s\r\n\r\nbody\r\n");
        struct outcome o = seal(mail, n, 65472);
        if (n - 6 > HEADER_MAX)
            assert_int_equal(o.status, ERR_LIMIT);
        else
            check_sealed(&o, &keys[0], mail, n);
        free(mail);
    }
    assert_int_equal(open_fds(), before);
}

static void test_policies(void **state)
{
    for (uint8_t policy = POLICY_SHY; policy <= POLICY_HIDDEN; policy++) {
        struct parcel p;
        write_group(set_policy, &policy);
        struct outcome o = seal(MAIL, strlen(MAIL), 0);
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.policy, policy);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
        assert_null(memmem(p.outer.data, p.outer.len, "secret", 6));
        assert_true((memmem(p.outer.data, p.outer.len, "bob@example.net", 15) != NULL) == (policy != POLICY_HIDDEN));
        parcel_close(&p);
        check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    }
}

static void outer_ids(struct outcome *o, char out[2000])
{
    struct parcel p;
    assert_int_equal(o->status, OK);
    assert_int_equal(parcel_open(o->r.parcel_fd, 1 << 20, &p), OK);
    const char *begin = memmem(p.outer.data, p.outer.len, "Message-ID:", 11);
    const char *end = memmem(p.outer.data, p.outer.len, "Sealed-By:", 10);
    assert_true(begin && end && begin < end);
    snprintf(out, 2000, "%.*s", (int)(end - begin), begin);
    parcel_close(&p);
    close(o->r.parcel_fd);
}

/* What was read under the policy hidden and is put back keeps its pseudonyms, and belongs where it belonged; what only
 * looks like a pseudonym is an id like any other. */
static void test_pseudonyms_come_back(void **state)
{
    static const char first[] = "Message-ID: <2@example.net>\r\nIn-Reply-To: <1@example.net>\r\n"
                                "References: <1@example.net> <x@y>\r\n\r\n";
    uint8_t policy = POLICY_HIDDEN;
    char ids[2000], again[2000], mail[2100];
    write_group(set_policy, &policy);
    struct outcome a = seal(first, strlen(first), 0);
    outer_ids(&a, ids);
    assert_null(strstr(ids, "example.net"));
    snprintf(mail, sizeof(mail), "%s\r\n", ids);
    struct outcome b = seal(mail, strlen(mail), 0);
    outer_ids(&b, again);
    assert_string_equal(again, ids);
    assert_memory_equal(a.r.thread, b.r.thread, RECORD_HASH_SIZE);
    assert_memory_equal(a.r.own_id, b.r.own_id, RECORD_HASH_SIZE);
    char *octet = strstr(mail, "<p1.") + 10;
    *octet = *octet == 'A' ? 'B' : 'A';
    struct outcome c = seal(mail, strlen(mail), 0);
    outer_ids(&c, again);
    assert_string_not_equal(again, ids);
    assert_null(strstr(again, octet - 10));
    assert_memory_not_equal(a.r.own_id, c.r.own_id, RECORD_HASH_SIZE);
    assert_memory_equal(a.r.thread, c.r.thread, RECORD_HASH_SIZE);
}

static void test_threads(void **state)
{
    static const char reply[] = "Message-ID: <2@example.net>\r\nReferences: <1@example.net> <x@y>\r\n\r\n";
    static const char none[] = "Subject: x\r\n\r\n";
    struct outcome a = seal(MAIL, strlen(MAIL), 0), b = seal(reply, strlen(reply), 0);
    struct outcome c = seal(none, strlen(none), 0), d = seal(none, strlen(none), 0);
    static const uint8_t zero[RECORD_HASH_SIZE];

    assert_memory_equal(a.r.thread, b.r.thread, RECORD_HASH_SIZE);
    assert_memory_not_equal(a.r.own_id, b.r.own_id, RECORD_HASH_SIZE);
    /* Mail without ids is alone, not all in one thread. */
    assert_memory_not_equal(c.r.thread, d.r.thread, RECORD_HASH_SIZE);
    assert_memory_not_equal(c.r.thread, zero, RECORD_HASH_SIZE);
    assert_memory_equal(c.r.own_id, zero, RECORD_HASH_SIZE);
    close(a.r.parcel_fd);
    close(b.r.parcel_fd);
    close(c.r.parcel_fd);
    close(d.r.parcel_fd);
}

/* ---- mail that arrives encrypted ---- */

struct packets {
    uint8_t data[4096];
    size_t len;
};

static int packets_sink(void *arg, const uint8_t *data, size_t len)
{
    struct packets *p = arg;

    memcpy(p->data + p->len, data, len);
    p->len += len;
    return OK;
}

static struct packets encrypt_to(const struct test_key *k)
{
    struct packets p = {.len = 0};
    struct iovec in = {(char *)(uintptr_t) "end to end", 10};
    struct pgp_recipient *r;

    assert_int_equal(pgp_recipient_create(k->cert, k->cert_len, &k->verdict, &r), OK);
    assert_int_equal(pgp_seal(&r, 1, &in, 1, packets_sink, &p, NULL), OK);
    pgp_recipient_destroy(r);
    return p;
}

static __attribute__((noinline, flatten)) size_t put_armour(char *out, const struct packets *p)
{
    return armor_encode(p->data, p->len, "MESSAGE", out);
}

static size_t pgp_mime(char *out, const struct packets *p)
{
    size_t n = (size_t)sprintf(out, "From: bob@example.net\r\nSubject: as published\r\nMIME-Version: 1.0\r\n"
                                    "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "
                                    "boundary=\"b\"\r\n\r\n"
                                    "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
                                    "--b\r\nContent-Type: application/octet-stream\r\n\r\n");

    n += put_armour(out + n, p);
    return n + (size_t)sprintf(out + n, "\r\n--b--\r\n");
}

static void check_foreign(bool ours, const struct packets *p)
{
    static char mail[16384];
    size_t len = pgp_mime(mail, p);

    for (size_t piece = 0; piece < 300; piece += 97) {
        struct outcome o = seal(mail, len, piece);
        struct parcel parcel;
        if (!ours) {
            check_sealed(&o, &keys[0], mail, len);
            continue;
        }
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.kind, MESSAGE_FOREIGN);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &parcel), OK);
        check_gate(&o, &parcel);
        assert_int_equal(parcel.packets.len, p->len); /* byte for byte */
        assert_memory_equal(parcel.packets.data, p->data, p->len);
        assert_non_null(memmem(parcel.outer.data, parcel.outer.len, "as published", 12));
        assert_null(memmem(parcel.outer.data, parcel.outer.len, "Sealed-By", 9));
        struct test_session ses;
        uint8_t plain[8192];
        size_t n;
        assert_int_equal(test_open(&keys[0], parcel.capsule.data, parcel.capsule.len, plain, &n, &ses), 0);
        assert_non_null(memmem(plain, n, "192.0.2.1", 9)); /* our Received is kept there */
        static const char *const kept[] = {
            /* and its own header, whole */
            "\"header\":\"From: bob@example.net\\u000d\\u000aSubject: as published\\u000d\\u000aMIME-Version: "
            "1.0\\u000d",
            "protocol=\\\"application/pgp-encrypted\\\"; boundary=\\\"b\\\"\\u000d\\u000a\\u000d\\u000a\"}",
            "\"subject\":\"as published\"",
        };
        for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
            if (!memmem(plain, n, kept[i], strlen(kept[i])))
                fail_msg("%s is not in %.*s", kept[i], (int)n, (const char *)plain);
        parcel_close(&parcel);
        close(o.r.parcel_fd);
    }
}

static void test_foreign(void **state)
{
    struct packets ours = encrypt_to(&keys[0]), stranger = encrypt_to(&keys[2]), junk = {.len = 100};

    check_foreign(true, &ours);
    check_foreign(false, &stranger); /* encrypted, but not for this account: sealed like any other */
    check_foreign(false, &junk);     /* a label alone proves nothing */
    junk = ours;
    junk.data[junk.len++] = 0xcb; /* something behind the container */
    check_foreign(false, &junk);
    junk = ours;
    junk.len--;
    check_foreign(false, &junk);
}

/* Packets around and inside a message for us: each makes it mail like any other, whole and with its own capsule. */
static void test_foreign_shapes(void **state)
{
    static const struct {
        int at;
        const char *octets;
        size_t len;
    } t[] = {
        /* at: 0 first, 1 between, 2 behind */
        {0, "\xca\3PGP", 5},
        {1, "\xca\3PGP", 5},
        {2, "\xca\3PGP", 5}, /* marker */
        {0, "\xd5\4text", 6},
        {1, "\xd5\4text", 6},
        {2, "\xd5\4text", 6}, /* padding */
        {0, "\xcb\10b\0\0\0\0\0hi", 10},
        {1, "\xcb\10b\0\0\0\0\0hi", 10}, /* literal */
        {2, "\xcb\10b\0\0\0\0\0hi", 10},
        {0, "\xc3\4\4\7\0\10", 6},
        {1, "\xc3\4\4\7\0\10", 6}, /* password */
        {1, "\xc8\3\0hi", 5},
        {2, "\xfc\4text", 6},
        {2, "\r\n", 2},
        {0, "\r\n", 2},
    };
    struct packets ours = encrypt_to(&keys[0]);
    size_t pkesk = 2u + ours.data[1];

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct packets p = ours;
        size_t at = t[i].at == 0 ? 0 : t[i].at == 1 ? pkesk : ours.len;
        memmove(p.data + at + t[i].len, p.data + at, p.len - at);
        memcpy(p.data + at, t[i].octets, t[i].len);
        p.len += t[i].len;
        check_foreign(false, &p);
    }
    struct packets twice = ours, alone = {.len = pkesk};
    memcpy(twice.data + ours.len, ours.data, ours.len);
    twice.len *= 2;
    check_foreign(false, &twice);
    memcpy(alone.data, ours.data, pkesk);
    check_foreign(false, &alone); /* a session key for us and nothing */
    memcpy(alone.data, ours.data + pkesk, ours.len - pkesk);
    alone.len = ours.len - pkesk;
    check_foreign(false, &alone); /* a container alone */
    alone = ours;
    alone.data[pkesk] = 0xc0 | PGP_TAG_SED;
    check_foreign(false, &alone);
    alone = ours;
    alone.data[11] = PGP_RSA; /* our key id, another algorithm */
    check_foreign(false, &alone);
}

/* The body is the block: it decrypts to text, so that PGP/MIME would make a header of its first lines. */
static size_t pgp_inline(char *out, const struct packets *p, const char *type, const char *armour_header)
{
    static const char first[] = "-----BEGIN PGP MESSAGE-----\r\n";
    size_t n = (size_t)sprintf(out, "From: bob@example.net\r\nSubject: as published\r\n%s\r\n", type);
    size_t at = n + sizeof(first) - 1, more = strlen(armour_header);

    n += put_armour(out + n, p);
    memmove(out + at + more, out + at, n - at);
    memcpy(out + at, armour_header, more);
    return n + more;
}

static void test_foreign_inline(void **state)
{
    static const struct {
        const char *type, *armour, *served;
    } t[] = {
        {"", "", "utf-8"},
        {"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n", "", "iso-8859-1"},
        {"Content-Type: text/plain; charset=us-ascii\r\n", "Version: x\r\nCharset: KOI8-R\r\n", "koi8-r"},
        {"Content-Type: text/plain; charset=x-unheard-of\r\n", "", NULL}, /* no form to serve it in: sealed */
        {"Content-Type: text/plain\r\n", "Charset: utf-16\r\n", NULL},
        {"Content-Type: text/html\r\n", "", NULL},
        {"Content-Type: text/plain\r\n", "Remark: readable\r\n", "utf-8"},
    };
    static char mail[16384];
    struct packets ours = encrypt_to(&keys[0]);

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        size_t len = pgp_inline(mail, &ours, t[i].type, t[i].armour);
        struct outcome o = seal(mail, len, 50);
        struct parcel parcel;
        struct render_layout l;
        if (!t[i].served) {
            check_sealed(&o, &keys[0], mail, len);
            continue;
        }
        uint8_t version;
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.kind, MESSAGE_FOREIGN);
        assert_false(o.r.wildcard);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &parcel), OK);
        assert_int_equal(render_inline_version(t[i].served, &version), OK);
        assert_int_equal(parcel.render, version);
        check_gate(&o, &parcel);
        assert_int_equal(parcel.packets.len, ours.len);
        assert_memory_equal(parcel.packets.data, ours.data, ours.len);
        render_layout(version, 1, parcel.outer.len, parcel.packets.len, &l);
        assert_int_equal(o.r.rendered_size, l.size);
        parcel_close(&parcel);
        close(o.r.parcel_fd);
    }
}

/* Of our own seal's packets a copy for nobody in particular. */
static struct packets hidden(const struct packets *p)
{
    struct packets h = *p;

    assert_int_equal(h.data[2], 3); /* PKESK v3: header of two octets, version, key id */
    memset(h.data + 3, 0, 8);
    return h;
}

/* Its session-key packet a second time, for somebody. */
static struct packets with_stranger(const struct packets *p)
{
    struct packets s = *p;
    size_t head = 2u + p->data[1];

    memcpy(s.data + head, p->data, p->len);
    s.len += head;
    memset(s.data + 3, 0x77, 8);
    return s;
}

static void check_warnings(struct outcome *o, const char *want)
{
    struct parcel parcel;
    struct test_session ses;
    uint8_t plain[8192];
    size_t n;

    assert_int_equal(parcel_open(o->r.parcel_fd, 1 << 20, &parcel), OK);
    assert_int_equal(test_open(&keys[0], parcel.capsule.data, parcel.capsule.len, plain, &n, &ses), 0);
    assert_non_null(memmem(plain, n, want, strlen(want)));
    parcel_close(&parcel);
    close(o->r.parcel_fd);
}

static void test_foreign_wildcard(void **state)
{
    static char mail[16384];
    struct packets ours = encrypt_to(&keys[0]), wild = hidden(&ours), junk = wild;
    size_t len = pgp_mime(mail, &wild);
    struct outcome o = seal(mail, len, 50);

    check_sealed(&o, &keys[0], mail, len); /* the default */
    sealer_keep_wildcard(sealer, true);
    keep_wildcard = true; /* the gate's word */
    check_foreign(true, &wild);
    o = seal(mail, len, 50);
    assert_true(o.r.wildcard);
    check_warnings(&o, "\"warnings\":[\"hidden-recipients\"]");
    len = pgp_mime(mail, &ours);
    o = seal(mail, len, 50);
    assert_false(o.r.wildcard);
    check_warnings(&o, "\"warnings\":[]");
    len = pgp_inline(mail, &wild, "", ""); /* no form to serve it in */
    o = seal(mail, len, 50);
    check_sealed(&o, &keys[0], mail, len);
    struct packets named = with_stranger(&wild);
    check_foreign(false, &named);
    named = with_stranger(&ours);
    check_foreign(true, &named);
    junk.data[junk.len++] = 0xcb;
    check_foreign(false, &junk);
    junk = wild;
    junk.data[11] = PGP_X25519; /* none of the account's keys can open that */
    check_foreign(false, &junk);
    o = seal(MAIL, strlen(MAIL), 50);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    keep_wildcard = false;
}

static void test_foreign_gpg(void **state)
{
    struct packets ours = encrypt_to(&keys[0]);

    use_gpg();
    check_foreign(true, &ours);
    assert_int_equal(gpg.calls, 4); /* the capsules alone */
}

static void test_foreign_append(void **state)
{
    static char mail[16384];
    struct packets ours = encrypt_to(&keys[0]);
    struct iovec iov = {mail, pgp_mime(mail, &ours)};
    struct seal_request q = {.account = alice,
                             .mail = &iov,
                             .mail_n = 1,
                             .mail_len = iov.iov_len,
                             .received = "",
                             .auth_results = "",
                             .tls = "",
                             .now = NOW,
                             .date = NOW,
                             .client_append = true};
    struct outcome o = {0};
    struct seal_op *op;

    assert_int_equal(sealer_start(sealer, &q, on_done, &o, &op), OK);
    assert_int_equal(o.status, OK);
    assert_int_equal(o.r.kind, MESSAGE_CLIENT);
    close(o.r.parcel_fd);
}

/* What was found of who wrote it stands in the capsule, of mail that came encrypted too: inside it there is no room. */
static void test_verdict(void **state)
{
    static char encrypted[16384];
    static uint8_t plain[65536];
    static const char *const kept[] = {"\"auth\":\"Authentication-Results: mx.example; dmarc=fail",
                                       "\"warnings\":[\"dmarc-fail\",\"spf-fail\"]"};
    struct packets ours = encrypt_to(&keys[0]);
    const struct iovec mails[] = {{(void *)(uintptr_t)MAIL, strlen(MAIL)}, {encrypted, pgp_mime(encrypted, &ours)}};

    for (size_t i = 0; i < 2; i++) {
        const struct seal_request q = {.account = alice,
                                       .mail = &mails[i],
                                       .mail_n = 1,
                                       .mail_len = mails[i].iov_len,
                                       .received = "",
                                       .auth_results = "Authentication-Results: mx.example; dmarc=fail\r\n",
                                       .warnings = "dmarc-fail,spf-fail",
                                       .tls = "",
                                       .now = NOW,
                                       .date = NOW};
        struct outcome o = {0};
        struct seal_op *op;
        struct parcel parcel;
        struct test_session ses;
        size_t n;

        assert_int_equal(sealer_start(sealer, &q, on_done, &o, &op), OK);
        assert_int_equal(o.status, OK);
        assert_int_equal(o.r.kind, i == 0 ? MESSAGE_SERVER_SEALED : MESSAGE_FOREIGN);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &parcel), OK);
        assert_int_equal(test_open(&keys[0], parcel.capsule.data, parcel.capsule.len, plain, &n, &ses), 0);
        for (size_t k = 0; k < sizeof(kept) / sizeof(*kept); k++)
            assert_non_null(memmem(plain, n, kept[k], strlen(kept[k])));
        parcel_close(&parcel);
        close(o.r.parcel_fd);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes),           TEST(test_sizes),          TEST(test_long_header),
        TEST(test_policies),         TEST(test_threads),        TEST(test_pseudonyms_come_back),
        TEST(test_foreign),          TEST(test_foreign_shapes), TEST(test_foreign_inline),
        TEST(test_foreign_wildcard), TEST(test_foreign_gpg),    TEST(test_foreign_append),
        TEST(test_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
