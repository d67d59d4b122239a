/* The whole way of a mail, joined as the server joins it, but in one process: random mail (the corpus of real mail, and
 * the same mutated) is sealed over a reader's view, goes through the vault's gate into LMDB, is found again by the
 * reader, rendered as IMAP serves it, taken apart and decrypted, and must be the octets that were sent.
 * LETTERLOCK_CORPUS names the corpus, LETTERLOCK_FULL=1 takes all of it, LETTERLOCK_SEED another seed. */
#include <ftw.h>

#include "server/format/protection.h"
#include "crypto/pgp_armor.h"
#include "server/sealer/sealer.h"
#include "store/view_impl.h"
#include "tests/unit/armor.h"
#include "tests/support/pgp_open.h"
#include "tests/support/vault_support.h"

enum { NOW = 1800000000, TURN_MS = 200, BATCH = 60, POLICIES = 3, FILES_MAX = 20000, SAMPLE = 11, MAIL_CAP = 8 << 20 };

/* No key here needs the gpg role. */
int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_job *job, void (*done)(void *arg, int status),
                   void *arg, struct gpg_seal_op **ret_op)
{
    return ERR_GONE;
}

void gpg_seal_cancel(struct gpg_seal_op *op)
{
    fail();
}

struct person {
    uint64_t account;
    struct test_key key;
};
static struct person people[POLICIES];
static const struct {
    int version;
    uint8_t algo;
    const uint8_t *oid;
} kinds[POLICIES] = {
    {4, PGP_ECDH, test_oid_25519},
    {4, PGP_RSA, NULL},
    {6, PGP_X25519, NULL},
};
static struct bench b;
static struct view *view;
static struct sealer *sealer;
static char dir[] = "/tmp/letterlock-roundtrip-XXXXXX";
static char store[64];

static char *files[FILES_MAX];
static size_t nfiles;
static uint64_t seed = 1;
static unsigned sent, limited, foreign;

static uint64_t rnd(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return n ? seed % n : 0;
}

/* ---- the instance ---- */

static void person_add(int policy)
{
    struct person *p = &people[policy];
    char address[64];
    assert_int_equal(test_key_make(&p->key, kinds[policy].version, kinds[policy].algo, kinds[policy].oid), 0);
    p->key.verdict.prefs.seipd_v2 = kinds[policy].version == 6;
    p->key.verdict.prefs.aes256 = policy != POLICY_SHY;
    snprintf(address, sizeof(address), "%s@example.org", header_policy_name((enum header_policy)policy));
    const struct vault_request q = {.type = VAULT_ACCOUNT_ADD,
                                    .new = {.address = slice_str(address),
                                            .policy = (uint8_t)policy,
                                            .verdict = p->key.verdict,
                                            .cert_len = (uint32_t)p->key.cert_len}};
    assert_int_equal(request_cert(&b, &q, p->key.cert, p->key.cert_len), OK);
    p->account = b.r.account;
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
    return remove(path);
}

static int setup(void **state)
{
    struct engine *e;
    if (getenv("LETTERLOCK_SEED"))
        seed = strtoull(getenv("LETTERLOCK_SEED"), NULL, 10) * 2 + 1;
    if (!mkdtemp(dir))
        return -1;
    snprintf(store, sizeof(store), "%s/store", dir);
    assert_int_equal(engine_lmdb_create(store, UINT64_C(8) << 30, TURN_MS, &e), OK);
    bench_open(&b, e, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    for (int i = 0; i < POLICIES; i++)
        person_add(i);
    struct record_bundle keys;
    record_bundle_make(STORE_KEY, STORE_KEY, &keys);
    assert_int_equal(view_open(dir, &keys, 60000, &view), OK);
    sealer = sealer_create(b.loop, view, NULL, "mx.example.org");
    return sealer ? 0 : -1;
}

static int teardown(void **state)
{
    sealer_destroy(sealer);
    view_close(view);
    bench_close(&b);
    for (int i = 0; i < POLICIES; i++)
        test_key_free(&people[i].key);
    for (size_t i = 0; i < nfiles; i++)
        free(files[i]);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- mail ---- */

static int see_file(const char *path, const struct stat *st, int what, struct FTW *f)
{
    size_t n = strlen(path);
    if (what == FTW_F && n > 4 && strcmp(path + n - 4, ".txt") == 0 && nfiles < FILES_MAX)
        files[nfiles++] = strdup(path);
    return 0;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* As a mail client sends it: without the leading "From " line, every line end CRLF. */
static size_t mail_read(const char *path, uint8_t *out)
{
    FILE *f = fopen(path, "r");
    size_t n = 0;
    bool first = true, skip = false;
    assert_non_null(f);
    for (int c, last = 0; (c = getc(f)) != EOF && n < MAIL_CAP / 2; last = c) {
        if (first) {
            char head[4];
            long at = ftell(f);
            skip = c == 'F' && fread(head, 1, 4, f) == 4 && memcmp(head, "rom ", 4) == 0;
            fseek(f, at, SEEK_SET);
            first = false;
        }
        if (skip) {
            skip = c != '\n';
            continue;
        }
        if (c == '\n' && last != '\r')
            out[n++] = '\r';
        out[n++] = (uint8_t)c;
    }
    fclose(f);
    return n;
}

/* One change that mail does not expect. */
static size_t mutate(uint8_t *m, size_t n)
{
    static const char *const pieces[] = {
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        ":",
        " ",
        "\t",
        "\"",
        "(",
        ")",
        "<",
        ">",
        "[",
        ",",
        ";",
        "\\",
        "@",
        "\x80",
        "\xff",
        "=?utf-8?q?",
        "\r\nContent-Type: ",
        "\r\nContent-Type: text/plain; hp=\"clear\"",
        "\r\nLetterlock-Seal: v=1; len=1; ins=0+1",
        "\r\nSealed-By: mx.example.org; v=1",
        "\r\nHP-Outer: Subject: x",
        "\r\nAuthentication-Results: mx.example.org; none",
        "\r\nFrom: a@b, ",
        "\r\nTo: g: \"x\" <y@z>;",
        "\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000",
        "\r\nReferences: <a@b> <c@d>",
        "\r\nMIME-Version: 1.0",
        "\r\nSubject: =?x?b?y?=",
        "\r\n-----BEGIN PGP MESSAGE-----\r\n",
        "\r\n ",
    };
    size_t head = n < 3000 ? n : 3000, at = rnd(2) ? rnd(head + 1) : rnd(n + 1), len;
    switch (rnd(6)) {
    case 0: /* an octet */
        if (at < n)
            m[at] = (uint8_t)rnd(256);
        return n;
    case 1: /* a piece put in */
    case 2: {
        const char *s = pieces[rnd(sizeof(pieces) / sizeof(*pieces))];
        len = strlen(s);
        memmove(m + at + len, m + at, n - at);
        memcpy(m + at, s, len);
        return n + len;
    }
    case 3: /* a piece taken out */
        len = rnd(40);
        len = len < n - at ? len : n - at;
        memmove(m + at, m + at + len, n - at - len);
        return n - len;
    case 4: /* a piece doubled */
        len = rnd(300);
        len = len < n - at ? len : n - at;
        memmove(m + at + len, m + at, n - at);
        return n + len;
    default: /* cut off */ return rnd(8) ? n : at;
    }
}

/* ---- there and back ---- */

struct item {
    int policy;
    uint8_t *mail;
    size_t len;
    struct seal_result sealed;
    struct where where;
    uint8_t *packets; /* mail that came encrypted: these */
    size_t packets_len;
};

static void on_done(void *arg, int status, const struct seal_result *r)
{
    struct item *i = arg;
    assert_int_not_equal(i->sealed.parcel_fd, -2);
    i->sealed.parcel_fd = -2;
    if (status == OK)
        i->sealed = *r;
    else if (status != ERR_LIMIT)
        fail_msg("sealing failed: %s", err_str(status));
}

/* In pieces of random length, as they come from the wire. */
static void item_seal(struct item *i)
{
    static struct iovec iov[64];
    struct seal_op *op = NULL;
    size_t n = 0;
    for (size_t at = 0; at < i->len; n++) {
        size_t len = n == 63 || rnd(2) ? i->len - at : rnd(i->len - at + 1);
        iov[n] = (struct iovec){i->mail + at, len};
        at += len;
    }
    struct seal_request q = {.account = people[i->policy].account,
                             .mail = iov,
                             .mail_n = n,
                             .mail_len = i->len,
                             .received = "Received: from c\r\n\tby mx.example.org; Sat, 21 Nov 2026 10:00:00 +0000\r\n",
                             .auth_results = "",
                             .tls = "",
                             .now = NOW,
                             .date = NOW};
    i->sealed.parcel_fd = -1;
    assert_int_equal(sealer_start(sealer, &q, on_done, i, &op), OK);
    assert_null(op);
}

static void items_deliver(struct item *v, size_t n)
{
    static uint8_t serial[16];
    uint64_t first = b.ids + 1, id;
    size_t asked = 0;
    for (size_t k = 0; k < n; k++) {
        struct item *i = &v[k];
        if (i->sealed.parcel_fd < 0)
            continue;
        for (int d = 0; ++serial[d] == 0;)
            d++;
        struct vault_request q = {.type = VAULT_DELIVER,
                                  .account = people[i->policy].account,
                                  .mailbox = MAILBOX_INBOX,
                                  .deliver = {.kind = i->sealed.kind, .policy = i->sealed.policy, .internaldate = NOW}};
        memcpy(q.deliver.delivery, serial, sizeof(q.deliver.delivery));
        memcpy(q.deliver.thread, i->sealed.thread, sizeof(q.deliver.thread));
        memcpy(q.deliver.own_id, i->sealed.own_id, sizeof(q.deliver.own_id));
        ask_for(&b, &q, i->sealed.parcel_fd);
        close(i->sealed.parcel_fd);
        i->where.uid = 0;
        asked++;
    }
    vault_run(b.vault);
    size_t k = 0;
    for (size_t heard = 0; heard < asked; heard++, k++) {
        while (v[k].sealed.parcel_fd < 0)
            k++;
        int err = hear(&b, &id);
        if (err != OK) {
            fwrite(v[k].mail, 1, v[k].len < 3000 ? v[k].len : 3000, stderr);
            fail_msg("the vault answers %s: %s", err_str(err), b.text);
        }
        assert_int_equal(id, first + heard);
        v[k].where = where_of(&b);
        assert_int_equal(v[k].where.duplicate, 0);
    }
    assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
}

struct source {
    uint64_t account;
    const struct schema_message *m;
};

static int source_read(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    struct source *s = arg;
    return view_packets(view, s->account, s->m, offset, out, len);
}

/* The message as IMAP serves it, found by its UID. */
static uint8_t *item_render(const struct item *i, struct schema_message *m, size_t *ret_len)
{
    static uint8_t outer[SCHEMA_OUTER_MAX];
    uint64_t account = people[i->policy].account;
    struct schema_entry e;
    assert_int_equal(view_entry(view, account, MAILBOX_INBOX, i->where.uid, &e), OK);
    assert_int_equal(e.message, i->where.message);
    assert_int_equal(view_message(view, account, e.message, m, outer), OK);
    uint64_t size = schema_message_size(m);
    assert_int_equal(size, i->sealed.rendered_size);
    struct source src = {account, m};
    struct render_source rs = {.version = m->render_version,
                               .message = e.message,
                               .outer = outer,
                               .outer_len = m->outer_len,
                               .packets_len = m->packets_len,
                               .read = source_read,
                               .arg = &src};
    uint8_t *all = malloc(size + 1), *part = malloc(size + 1);
    size_t n, part_n, from = rnd(size), want = rnd(size);
    assert_int_equal(render_range(&rs, 0, size + 1, all, &n), OK);
    assert_int_equal(n, size);
    assert_int_equal(render_range(&rs, from, want, part, &part_n), OK);
    assert_int_equal(part_n, n - from < want ? n - from : want);
    assert_memory_equal(part, all + from, part_n);
    free(part);
    *ret_len = n;
    return all;
}

static void item_back(struct item *i)
{
    struct schema_message m;
    struct test_session ses;
    size_t n, armoured, from, to, len, original;
    const struct person *p = &people[i->policy];
    assert_int_equal(view_begin(view), OK);
    uint8_t *served = item_render(i, &m, &n);
    uint8_t *capsule = malloc(m.capsule_len + 64), *plain = malloc(n + 64), *packets = malloc(n);
    assert_int_equal(view_capsule(view, p->account, &m, 0, capsule, m.capsule_len), OK);
    assert_int_equal(view_end(view), OK);

    uint8_t *begin = memmem(served, n, "-----BEGIN PGP MESSAGE-----", 27);
    assert_non_null(begin);
    assert_int_equal(pgp_armor_decode(begin, n - (size_t)(begin - served), "MESSAGE", packets, n, &armoured, &from,
                                      &to),
                     OK);
    assert_int_equal(armoured, m.packets_len);
    uint8_t *opened = malloc(m.capsule_len + 64);
    assert_int_equal(test_open(&p->key, capsule, m.capsule_len, opened, &len, &ses), 0);
    assert_true(len > 2 && opened[0] == '{' && opened[len - 1] == '}');
    if (i->packets) {
        assert_int_equal(m.kind, MESSAGE_FOREIGN);
        assert_int_equal(armoured, i->packets_len);
        assert_memory_equal(packets, i->packets, armoured);
        foreign++;
    } else {
        assert_int_equal(m.kind, MESSAGE_SERVER_SEALED);
        assert_int_equal(test_open(&p->key, packets, armoured, plain, &len, &ses), 0);
        assert_int_equal(header_unprotect(plain, len, &original), OK);
        assert_int_equal(original, i->len);
        assert_memory_equal(plain, i->mail, original);
        sent++;
    }
    free(served), free(capsule), free(plain), free(opened);
    if (i->packets || rnd(4)) {
        free(packets);
        return;
    }
    i->packets = packets; /* now and then they come again, as mail that arrives encrypted */
    i->packets_len = armoured;
}

static void item_wrap(struct item *i, char *armour)
{
    static const char head[] =
        "From: bob@example.net\r\nSubject: sealed by Bob\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted;\r\n"
        " protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n--b\r\n"
        "Content-Type: application/pgp-encrypted\r\n"
        "\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n";
    size_t n = armor_encode(i->packets, i->packets_len, "MESSAGE", armour);
    free(i->mail);
    i->mail = malloc(sizeof(head) + n + 16);
    i->len = (size_t)sprintf((char *)i->mail, "%s", head);
    memcpy(i->mail + i->len, armour, n);
    i->len += n;
    i->len += (size_t)sprintf((char *)i->mail + i->len, "\r\n--b--\r\n");
}

/* Seals, delivers and reads back what the batch holds; twice, the second time what came encrypted. */
static void batch_run(struct item *v, size_t n)
{
    static char armour[2 * MAIL_CAP];
    for (size_t k = 0; k < n; k++)
        item_seal(&v[k]);
    items_deliver(v, n);
    size_t again = 0;
    for (size_t k = 0; k < n; k++) {
        if (v[k].sealed.parcel_fd >= 0)
            item_back(&v[k]);
        else
            limited++;
        if (v[k].packets) {
            v[again] = v[k];
            if (again++ != k)
                v[k].mail = NULL;
        } else {
            free(v[k].mail);
        }
    }
    for (size_t k = 0; k < again; k++) {
        item_wrap(&v[k], armour);
        item_seal(&v[k]);
        assert_true(v[k].sealed.parcel_fd >= 0);
    }
    items_deliver(v, again);
    for (size_t k = 0; k < again; k++) {
        item_back(&v[k]);
        free(v[k].packets);
        free(v[k].mail);
    }
}

static void test_real_mail(void **state)
{
    static uint8_t text[MAIL_CAP];
    static struct item batch[BATCH];
    const char *corpus = getenv("LETTERLOCK_CORPUS");
    size_t n = 0, step = getenv("LETTERLOCK_FULL") ? 1 : SAMPLE;
    if (!corpus) {
        print_message("LETTERLOCK_CORPUS is not set\n");
        skip();
    }
    assert_int_equal(nftw(corpus, see_file, 16, FTW_PHYS), 0);
    assert_true(nfiles > 1000);
    qsort(files, nfiles, sizeof(*files), by_name);
    for (size_t f = rnd(step); f < nfiles; f += step)
        for (int policy = 0; policy < POLICIES; policy++)
            for (int mutant = 0; mutant < 2; mutant++) {
                size_t len = mail_read(files[f], text);
                for (uint64_t k = mutant ? 1 + rnd(12) : 0; k > 0; k--)
                    len = mutate(text, len);
                batch[n] = (struct item){.policy = policy, .mail = malloc(len + 1), .len = len};
                memcpy(batch[n].mail, text, len);
                if (++n == BATCH) {
                    batch_run(batch, n);
                    n = 0;
                }
            }
    batch_run(batch, n);
    print_message("%u there and back, %u encrypted already, %u refused for their size\n", sent, foreign, limited);
    assert_true(limited * 100 < sent && foreign > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_mail)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
