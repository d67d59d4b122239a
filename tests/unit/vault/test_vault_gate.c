/* The gate as requests meet it: what may become a stored message. */
#include "tests/support/vault_requests.h"

static int parcel_with(const char *outer, struct slice capsule, struct slice packets, uint8_t render)
{
    struct parcel_writer *w;
    int fd;
    assert_int_equal(parcel_create(&w), OK);
    parcel_set_render(w, render);
    assert_int_equal(parcel_put_outer(w, outer, strlen(outer)), OK);
    assert_int_equal(parcel_put_capsule(w, capsule.data, capsule.len), OK);
    assert_int_equal(parcel_put_packets(w, packets.data, packets.len), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    return fd;
}

static int foreign_parcel(const char *outer, uint8_t message_tag, uint8_t capsule_tag, uint8_t render)
{
    uint8_t capsule[2000], packets[2000];
    return parcel_with(outer, slice_of(capsule, packets_make(capsule, capsule_tag, 100)),
                       slice_of(packets, packets_make(packets, message_tag, 100)), render);
}

/* Hidden recipients, and the form a message is served in: what the operator allows for mail that came encrypted is
 * never allowed for what the server makes. */
static void test_gate_foreign(void **state)
{
    enum { HIDDEN = 0x80 /* its key id is zero */ };
    static const struct {
        const char *outer;
        uint8_t kind, message, capsule, render;
        int no, yes; /* without and with keep_wildcard_mail */
    } t[] = {
        {OUTER_CLIENT, MESSAGE_FOREIGN, 1, 1, RENDER_VERSION, OK, OK},
        {OUTER_CLIENT, MESSAGE_FOREIGN, HIDDEN, 1, RENDER_VERSION, ERR_REFUSED, OK},
        {OUTER_CLIENT, MESSAGE_CLIENT, HIDDEN, 1, RENDER_VERSION, ERR_REFUSED, OK},
        {OUTER_CLIENT, MESSAGE_CLIENT, HIDDEN, 1, RENDER_INLINE, ERR_REFUSED, ERR_REFUSED},
        {OUTER_CLIENT, MESSAGE_FOREIGN, HIDDEN, 1, RENDER_INLINE, ERR_REFUSED, ERR_REFUSED},
        {OUTER_CLIENT, MESSAGE_FOREIGN, 1, HIDDEN, RENDER_VERSION, ERR_REFUSED, ERR_REFUSED},
        {OUTER_CLIENT, MESSAGE_FOREIGN, 2, 1, RENDER_VERSION, ERR_REFUSED, ERR_REFUSED},
        {OUTER, MESSAGE_SERVER_SEALED, HIDDEN, 1, RENDER_VERSION, ERR_REFUSED, ERR_REFUSED},
        {OUTER, MESSAGE_SERVER_SEALED, 1, HIDDEN, RENDER_VERSION, ERR_REFUSED, ERR_REFUSED},
        {OUTER, MESSAGE_SERVER_SEALED, 1, 1, RENDER_VERSION, OK, OK},
        {OUTER, MESSAGE_SERVER_SEALED, 1, 1, RENDER_INLINE, ERR_REFUSED, ERR_REFUSED},
        {OUTER_CLIENT, MESSAGE_FOREIGN, 1, 1, RENDER_INLINE, OK, OK},
        {OUTER_CLIENT, MESSAGE_FOREIGN, 1, 1, 0, ERR_REFUSED, ERR_REFUSED},
        {OUTER_CLIENT, MESSAGE_FOREIGN, 1, 1, 200, ERR_REFUSED, ERR_REFUSED},
    };
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int keep = 0; keep < 2; keep++) {
        gate_keep_wildcard(b.vault->gate, keep);
        for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
            struct letter l = {.mailbox = MAILBOX_INBOX, .kind = t[i].kind};
            struct schema_message m;
            int fd = foreign_parcel(t[i].outer, t[i].message, t[i].capsule, t[i].render);
            int want = keep ? t[i].yes : t[i].no;
            int err = deliver_call(&b, &l, fd);
            close(fd);
            if (err != want)
                fail_msg("row %zu, keep %d: %d: %s", i, keep, err, b.text);
            if (err != OK)
                continue;
            struct where where = where_of(&b);
            struct engine_txn *s;
            assert_int_equal(engine_group_begin(b.engine, &s), OK);
            assert_int_equal(schema_get_message(s, b.keys, b.account, where.message, &m, NULL), OK);
            engine_group_abort(s);
            assert_int_equal(m.render_version, t[i].render);
            assert_int_equal(m.outer_len, strlen(t[i].outer));
            assert_true(m.head_len > 0 && m.head_len < m.packets_len);
            assert_int_equal(m.nfprs, t[i].message == 1);
        }
    }
    bench_close(&b);
}

/* count session-key packets, each for key_id, with RSA integers of so many octets. */
static size_t put_pkesks(uint8_t *out, size_t count, uint8_t key_id, size_t octets)
{
    uint8_t body[10 + 2 + 512] = {3};
    size_t n = 0;
    memset(body + 1, key_id, 8);
    body[9] = PGP_RSA;
    body[10] = (uint8_t)(octets * 8 >> 8);
    body[11] = (uint8_t)(octets * 8);
    memset(body + 12, 0xa5, octets);
    while (count--) {
        n += pgp_packet_header(out + n, PGP_TAG_PKESK, 12 + octets);
        memcpy(out + n, body, 12 + octets);
        n += 12 + octets;
    }
    return n;
}

/* Mail for hidden recipients: the vault looks for itself at how many there are, whether one fits, and whether anybody
 * is named. The account's key is RSA of 256 octets. */
static void test_gate_hidden(void **state)
{
    static const struct {
        size_t fitting, other, octets, named;
        int err;
    } t[] = {
        {1, 0, 0, 0, OK},
        {16, 0, 0, 0, OK},
        {1, 15, 512, 0, OK},
        {17, 0, 0, 0, ERR_REFUSED},
        {1, 16, 512, 0, ERR_REFUSED},
        {0, 1, 512, 0, ERR_REFUSED},
        {0, 1, 257, 0, ERR_REFUSED},
        {0, 1, 128, 0, ERR_REFUSED},
        {1, 0, 0, 1, ERR_REFUSED},
        {0, 0, 0, 1, ERR_REFUSED},
    };
    static uint8_t packets[40000];
    uint8_t good[2000];
    size_t good_len = packets_make(good, 1, 100), container = put_pkesks(packets, 1, 0, 256);
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    gate_keep_wildcard(b.vault->gate, true);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        size_t n = put_pkesks(packets, t[i].fitting, 0, 256);
        n += put_pkesks(packets + n, t[i].other, 0, t[i].octets);
        n += put_pkesks(packets + n, t[i].named, 0x77, 256);
        memcpy(packets + n, good + container, good_len - container);
        n += good_len - container;
        struct letter l = {.mailbox = MAILBOX_INBOX, .kind = MESSAGE_FOREIGN};
        int fd = parcel_with(OUTER_CLIENT, slice_of(good, good_len), slice_of(packets, n), RENDER_VERSION);
        int err = deliver_call(&b, &l, fd);
        close(fd);
        if (err != t[i].err)
            fail_msg("row %zu: %d: %s", i, err, b.text);
    }
    bench_close(&b);
}

static void test_gate(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    int fd = parcel_of("Subject: hello\r\n", 1, 10); /* readable header */
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    assert_true(b.text[0] != '\0');
    close(fd);
    fd = parcel_of(OUTER, 2, 10); /* somebody else's key */
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    fd = parcel_of(OUTER, 1, 10); /* the right one as the wrong kind */
    l.kind = MESSAGE_CLIENT;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    fd = parcel_of(OUTER_CLIENT, 1, 10);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    l.kind = MESSAGE_SERVER_SEALED;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    /* packets or capsule that are no message */
    static const char *const junk[] = {"hello world, this is readable", "-----BEGIN PGP MESSAGE-----", ""};
    uint8_t good[2000];
    size_t n = packets_make(good, 1, 50);
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < 3; i++) {
            struct slice made = slice_of(good, n), bad = slice_str(junk[i]);
            fd = parcel_with(OUTER, part ? made : bad, part ? bad : made, RENDER_VERSION);
            assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
            close(fd);
        }
    assert_int_equal(b.vault->count.refused, 10);
    recount_all(&b);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_foreign),
        cmocka_unit_test(test_gate_hidden),
        cmocka_unit_test(test_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
