/* What the keyserver answers, to whom who asks well and to whom who does not: WKD, HKP and VKS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_published.h"
#include "crypto/wkd.h"
#include "server/core/error.h"
#include "tests/support/keyserver_bench.h"

static struct keyserver_bench b;

/* ---- asking ---- */

static struct slice text(const char *s)
{
    return slice_str(s);
}

static unsigned get(const char *target)
{
    return keyserver_bench_ask(&b, HTTP_GET, "example.org", text(target));
}

static unsigned search(const char *op, const char *what)
{
    char path[64];
    snprintf(path, sizeof(path), "/pks/lookup?op=%s&search=", op);
    return keyserver_bench_get(&b, path, text(what));
}

/* local as it is hashed, and l as it is said; NULL: not at all. domain NULL: the direct method. */
static unsigned wkd(const char *domain, const char *host, const char *local, const char *l)
{
    char hash[WKD_HASH_LEN + 1], target[HTTP_PATH_MAX];
    assert_int_equal(wkd_hash(local, strlen(local), hash), OK);
    snprintf(target, sizeof(target), "/.well-known/openpgpkey/%s%shu/%s%s%s", domain ? domain : "", domain ? "/" : "",
             hash, l ? "?l=" : "", l ? l : "");
    return keyserver_bench_ask(&b, HTTP_GET, host, text(target));
}

static const char *hex(const uint8_t *p, size_t len)
{
    static char out[2 * PGP_FPR_MAX + 1];
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02X", p[i]);
    return out;
}

/* ---- what was answered ---- */

/* A certificate, binary or armoured, of this primary key, with so many user ids. */
static void check_cert(const struct forge_key *of, size_t user_ids)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    struct pgp_published p;
    size_t len = b.a.len, begin, end;
    assert_int_equal(b.a.times, 1);
    assert_int_equal(b.a.status, 200);
    if (!strcmp(b.a.type, "application/pgp-keys")) {
        assert_int_equal(pgp_armor_decode(b.a.body, b.a.len, "PUBLIC KEY BLOCK", cert, sizeof(cert), &len, &begin,
                                          &end),
                         OK);
        assert_int_equal(begin, 0);
        assert_int_equal(end, b.a.len);
    } else {
        assert_string_equal(b.a.type, "application/octet-stream");
        assert_true(len <= sizeof(cert));
        memcpy(cert, b.a.body, len);
    }
    assert_int_equal(pgp_published_read(cert, len, &p), OK);
    assert_int_equal(p.key[0].fpr_len, of->fpr_len);
    assert_memory_equal(p.key[0].fpr, of->fpr, of->fpr_len);
    assert_int_equal(p.nuser_ids, user_ids);
}

static void check_text(const char *want)
{
    assert_int_equal(b.a.times, 1);
    assert_int_equal(b.a.len, strlen(want));
    assert_memory_equal(b.a.body, want, b.a.len);
}

/* As the first one that was not found, octet by octet. */
static void check_absent(unsigned status)
{
    assert_int_equal(status, 404);
    assert_string_equal(b.a.type, "text/plain; charset=utf-8");
    check_text("There is no such page here.\n");
}

/* ---- Web Key Directory ---- */

static void wkd_finds(void **state)
{
    static const char *const domains[] = {"example.org", "EXAMPLE.org", NULL};
    for (size_t i = 0; i < 3; i++)
        for (unsigned l = 0; l < 3; l++) {
            const char *host = domains[i] ? "openpgpkey.example.org" : "example.org";
            assert_int_equal(wkd(domains[i], host, l == 2 ? "ANN" : "ann",
                                 l == 0   ? NULL
                                 : l == 1 ? "ann"
                                          : "ANN"),
                             200);
            check_cert(&b.ann, 1);
            assert_true(b.a.body[0] & 0x80); /* never armoured (section 3.1) */
        }
    assert_int_equal(wkd("example.org", "x.example", "six", "six"), 200);
    check_cert(&b.six, 1);
    assert_int_equal(wkd("example.org", "x.example", "ann", "nobody"), 200); /* the hash counts */
    check_cert(&b.ann, 1);
}

/* WKD's hash lowers ASCII alone: what else has cases is only found by the address that was hashed. */
static void wkd_finds_letters_outside_ascii(void **state)
{
    static const char own[] = "j\xc3\xb6rg", upper[] = "J\xc3\x96RG", apart[] = "jo\xcc\x88rg";
    assert_int_equal(wkd("xn--mller-kva.example", "x", own, NULL), 200);
    assert_int_equal(wkd("m%C3%BCller.example", "x", own, NULL), 200);
    assert_int_equal(wkd("M%C3%9CLLER.example", "x", upper, "J%C3%96RG"), 200);
    assert_int_equal(wkd(NULL, "xn--mller-kva.example", upper, "J%C3%96RG"), 200);
    assert_int_equal(wkd("xn--mller-kva.example", "x", apart, "jo%CC%88rg"), 200);
    check_absent(wkd("xn--mller-kva.example", "x", upper, NULL));
    check_absent(wkd("xn--mller-kva.example", "x", upper, "j%C3%B6rg")); /* which is not what was hashed */
    check_absent(wkd("example.org", "x", own, "j%C3%B6rg"));
}

static void wkd_refuses(void **state)
{
    static const char *const hashes[] = {
        "x", "iy9q119eutrkn8s1mk4r39qejnbu3n5", "iy9q119eutrkn8s1mk4r39qejnbu3n5qq", "IY9Q119EUTRKN8S1MK4R39QEJNBU3N5Q",
        "%FF%FE%FD%FC%FB%FA%F9%F8%F7%F6%F5%F4%F3%F2%F1%F0%FF%FE%FD%FC%FB%FA%F9%F8%F7%F6%F5%F4%F3%F2%F1%F0"};
    static const char *const domains[] = {"not..a..name", "example.org.", "%5B192.0.2.1%5D", "%FF", "a%20b", "-"};
    char target[HTTP_PATH_MAX + 400];
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        snprintf(target, sizeof(target), "/.well-known/openpgpkey/example.org/hu/%s?l=ann", hashes[i]);
        check_absent(get(target));
        snprintf(target, sizeof(target), "/.well-known/openpgpkey/hu/%s?l=ann", hashes[i]);
        check_absent(get(target));
    }
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
        check_absent(wkd(domains[i], "example.org", "ann", "ann"));
    char name[600];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    check_absent(wkd(name, "example.org", "ann", "ann"));
    name[319] = '\0'; /* as long as it may be read, and too long with a domain */
    check_absent(wkd("example.org", "x", name, name));
    name[318 - sizeof("@example.org")] = '\0';
    check_absent(wkd("example.org", "x", name, name));
    check_absent(wkd("example.org", "x", "nobody", "ann%40example.org"));
    check_absent(wkd("example.org", "x", "", ""));
    assert_int_equal(get("/.well-known/openpgpkey/hu/a%00b"), 400);
    assert_int_equal(get("/.well-known/openpgpkey/hu/a%2Fb"), 400);
    assert_int_equal(get("/.well-known/openpgpkey/hu/"), 404);
}

/* ---- HKP ---- */

static void hkp_finds_addresses(void **state)
{
    static const char *const names[] = {ANN, "ANN@Example.ORG", "Ann <" ANN ">", "<" ANN ">",
                                        "\"Ann, of <x>\" <Ann@example.org>"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(search("get", names[i]), 200);
        assert_string_equal(b.a.type, "application/pgp-keys");
        check_cert(&b.ann, 1);
    }
    assert_int_equal(search("get", POST), 200);
    check_cert(&b.ann, 1);
    assert_int_equal(search("get", "J\xc3\x96RG@m\xc3\xbcller.example"), 200);
    assert_int_equal(search("get", HEX), 200); /* no key id, though it begins like one */
    assert_int_equal(get("/pks/lookup?options=mr&search=Ann+%3Cann@example.org%3E&exact=on&op=get&op=index"), 200);
    check_cert(&b.ann, 1);
    /* A part of an address or of a name is nobody's. */
    static const char *const parts[] = {
        "ann",    "nn@example.org",    "ann@example",   "ann@", "@example.org",    "@", " ", "Ann-Lee",
        "abcdef", "ann+x@example.org", "*@example.org", "%",    "ann@example.org."};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        check_absent(search("get", parts[i]));
}

static void hkp_finds_keys(void **state)
{
    const struct {
        const struct forge_key *searched, *found;
        size_t user_ids, id_at;
    } keys[] = {{&b.ann, &b.ann, 2, 12},
                {&b.ann_enc, &b.ann, 2, 12},
                {&b.six, &b.six, 1, 0},
                {&b.six_enc, &b.six, 1, 0}};
    char name[2 * PGP_FPR_MAX + 32];
    for (size_t i = 0; i < 4; i++)
        for (unsigned form = 0; form < 8; form++) {
            const struct forge_key *k = keys[i].searched;
            const char *digits = form & 4 ? hex(k->fpr + keys[i].id_at, 8) : hex(k->fpr, k->fpr_len);
            snprintf(name, sizeof(name), "%s%s", form & 1 ? form & 2 ? "0X" : "0x" : "", digits);
            for (char *c = name; form & 2 && *c; c++)
                *c = (char)(*c == 'X' ? *c : tolower(*c));
            assert_int_equal(search("get", name), 200);
            check_cert(keys[i].found, keys[i].user_ids);
        }
}

/* SKS-Keyserver/sks-keyserver issue 76: a fingerprint as programs show it. */
static void hkp_finds_fingerprints_in_groups(void **state)
{
    const char *digits = hex(b.ann.fpr, 20);
    char groups[80];
    snprintf(groups, sizeof(groups), "%.4s %.4s %.4s %.4s %.4s  %.4s %.4s %.4s %.4s %.4s", digits, digits + 4,
             digits + 8, digits + 12, digits + 16, digits + 20, digits + 24, digits + 28, digits + 32, digits + 36);
    assert_int_equal(search("get", groups), 200);
    check_cert(&b.ann, 2);
}

static void hkp_finds_no_short_or_odd_ids(void **state)
{
    const struct forge_key *const keys[] = {&b.ann, &b.six};
    char name[160];
    for (size_t k = 0; k < 2; k++)
        for (size_t n = 0; n <= 2 * keys[k]->fpr_len; n++) {
            const size_t whole = 2 * keys[k]->fpr_len;
            if (n == whole || n == 16)
                continue; /* which names a key */
            const char *digits = hex(keys[k]->fpr, keys[k]->fpr_len);
            snprintf(name, sizeof(name), "0x%s", digits + (whole - n)); /* its end */
            check_absent(search("get", name));
            check_absent(search("get", name + 2));
            snprintf(name, sizeof(name), "0x%.*s", (int)n, digits);
            check_absent(search("index", name));
        }
    const char *digits = hex(b.ann.fpr, 20);
    snprintf(name, sizeof(name), "0x%s0", digits);
    check_absent(search("get", name));
    snprintf(name, sizeof(name), "0x0x%s", digits);
    check_absent(search("get", name));
    snprintf(name, sizeof(name), "%.39sg", digits);
    check_absent(search("get", name));
    check_absent(search("get", "0x"));
    check_absent(search("get", "0"));
    check_absent(search("get", "0x                "));
}

/* Whoever takes another's primary key into his certificate does not stand in his way. */
static void hkp_prefers_whose_primary_key_it_is(void **state)
{
    const struct forge_key *const k = &b.ann;
    assert_int_equal(search("get", hex(k->fpr, 20)), 200);
    check_cert(k, 2);
    assert_int_equal(search("get", hex(k->fpr + 12, 8)), 200);
    check_cert(k, 2);
    assert_int_equal(search("get", hex(b.adopts.fpr, 20)), 200);
    check_cert(&b.adopts, PGP_PUBLISHED_USER_IDS_MAX); /* of ten addresses */
    assert_int_equal(search("index", hex(b.adopts.fpr, 20)), 200);
}

static void hkp_index(void **state)
{
    static const char ann[] = "uid:Ann-Lee%3A%20100%25%0D%0A%01%20<Ann@Example.org>:::\n",
                      post[] = "uid:<" POST ">:::\n";
    char head[128], want[512];
    snprintf(head, sizeof(head), "info:1:1\npub:%s:27::1700000000::\n", hex(b.ann.fpr, 20));
    for (unsigned v = 0; v < 2; v++) {
        const char *op = v ? "vindex" : "index";
        assert_int_equal(search(op, ANN), 200);
        assert_string_equal(b.a.type, "text/plain; charset=utf-8");
        snprintf(want, sizeof(want), "%s%s", head, ann); /* not the other address: mailvelope/keyserver issue 83 */
        check_text(want);
        assert_int_equal(search(op, hex(b.ann.fpr, 20)), 200);
        assert_int_equal(b.a.len, strlen(head) + strlen(ann) + strlen(post));
        b.a.body[b.a.len] = '\0';
        assert_memory_equal(b.a.body, head, strlen(head));
        assert_non_null(strstr((char *)b.a.body, ann));
        assert_non_null(strstr((char *)b.a.body, post));
    }
    assert_int_equal(search("index", JOERG), 200);
    b.a.body[b.a.len] = '\0';
    assert_non_null(strstr((char *)b.a.body, "\nuid:J%C3%B6rg%20<j%C3%B6rg@xn--mller-kva.example>:::\n"));
    snprintf(head, sizeof(head), "info:1:1\npub:%s:27::1700000000::\nuid:", hex(b.six.fpr, 32));
    assert_int_equal(search("index", SIX), 200);
    assert_memory_equal(b.a.body, head, strlen(head));
}

/* SKS-Keyserver/sks-keyserver issue 66: user ids without end. All of them is told, or nothing. */
static void hkp_index_of_long_user_ids(void **state)
{
    size_t lines = 0, colons = 0;
    assert_int_equal(search("index", LONG), 200);
    assert_int_equal(b.a.body[b.a.len - 1], '\n');
    for (size_t i = 0; i < b.a.len; i++) {
        lines += b.a.body[i] == '\n';
        colons += i + 2 < b.a.len && !memcmp(b.a.body + i, "%3A", 3);
    }
    assert_int_equal(lines, 2 + PGP_PUBLISHED_USER_IDS_MAX);
    assert_int_equal(colons, PGP_PUBLISHED_USER_IDS_MAX * 5499);
    assert_int_equal(search("get", LONG), 200);
    assert_int_equal(wkd("example.org", "x", "long", NULL), 200);
}

static void hkp_operations(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
    } cases[] = {
        {"/pks/lookup", 400},
        {"/pks/lookup?", 400},
        {"/pks/lookup?op=get", 400},
        {"/pks/lookup?search=ann@example.org", 400},
        {"/pks/lookup?op&search", 501},
        {"/pks/lookup?op=&search=x", 501},
        {"/pks/lookup?op=get&search=", 404},
        {"/pks/lookup?op=GET&search=ann@example.org", 501},
        {"/pks/lookup?op=get%20&search=ann@example.org", 501},
        {"/pks/lookup?op=stats&search=x", 501},
        {"/pks/lookup?op=stats", 501},
        {"/pks/lookup?op=hget&search=x", 501},
        {"/pks/lookup?op=fifteencharacte&search=x", 501},
        {"/pks/lookup?op=muchlongerthananythinghere&search=x", 400},
        {"/pks/lookup?op=get&search=a%00b", 400},
        {"/pks/lookup?op=ge%00t&search=x", 400},
        {"/pks/lookup?op=get&search=%0D%0Aann@example.org", 404},
        {"/pks/lookup?op=get&search=%7F%01%1B", 404},
        {"/pks/lookup?op=get&search=%FF%FE@example.org", 404},
        {"/pks/lookup?op=get&search=%", 400},
        {"/pks/lookup?op=get&search=%4", 400},
        {"/pks/lookup?op=get&search=a b", 400},
        {"/pks/lookup/", 404},
        {"/pks", 404},
        {"/PKS/lookup?op=get&search=ann@example.org", 404},
        {"/pks/../pks/lookup?op=get&search=ann@example.org", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (get(cases[i].target) != cases[i].status)
            fail_msg("%s: not %u", cases[i].target, cases[i].status);
    char target[1200];
    const int n = snprintf(target, sizeof(target), "/pks/lookup?op=get&search=");
    for (size_t len = 590; len < 610; len++) {
        memset(target + n, len % 2 ? 'a' : 'y', len);
        target[(size_t)n + len] = '\0';
        assert_int_equal(get(target), len <= 600 ? 404 : 400);
    }
}

/* ---- VKS ---- */

static void vks(void **state)
{
    const struct forge_key *const keys[] = {&b.ann, &b.six};
    char target[200];
    for (size_t i = 0; i < 2; i++) {
        const char *digits = hex(keys[i]->fpr, keys[i]->fpr_len);
        snprintf(target, sizeof(target), "/vks/v1/by-fingerprint/%s", digits);
        assert_int_equal(get(target), 200);
        check_cert(keys[i], i ? 1 : 2);
        snprintf(target, sizeof(target), "/vks/v1/by-keyid/%s", digits);
        check_absent(get(target));
        digits = hex(keys[i]->fpr + (i ? 0 : 12), 8);
        snprintf(target, sizeof(target), "/vks/v1/by-keyid/%s", digits);
        assert_int_equal(get(target), 200);
        check_cert(keys[i], i ? 1 : 2);
        snprintf(target, sizeof(target), "/vks/v1/by-fingerprint/%s", digits);
        check_absent(get(target));
        snprintf(target, sizeof(target), "/vks/v1/by-keyid/%s", digits + 8);
        check_absent(get(target));
    }
    assert_int_equal(get("/vks/v1/by-email/Ann%40example.org"), 200);
    check_cert(&b.ann, 1);
    assert_int_equal(get("/vks/v1/by-email/abcdef@example.org"), 200);
    assert_int_equal(get("/vks/v1/by-email/j%C3%B6rg@m%C3%BCller.example"), 200);
    check_absent(get("/vks/v1/by-email/%3Cann%40example.org%3E")); /* an address, no user id */
    check_absent(get("/vks/v1/by-email/ann"));
    check_absent(get("/vks/v1/by-email/%FF@example.org"));
    assert_int_equal(get("/vks/v1/by-email/a%0Ab@example.org"), 400);
    assert_int_equal(get("/vks/v1/by-email/"), 404);
    assert_int_equal(get("/vks/v1/by-email/a/b@example.org"), 404);
}

static void uploads_are_refused(void **state)
{
    static const char *const paths[] = {"/pks/add", "/vks/v1/upload", "/vks/v1/request-verify"};
    b.no_uploads = true;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(keyserver_bench_ask(&b, HTTP_POST, "example.org", text(paths[i])), 403);
        assert_int_equal(b.a.times, 1);
        assert_int_equal(get(paths[i]), 405);
        assert_int_equal(b.a.times, 0);
    }
    b.no_uploads = false;
    assert_int_equal(keyserver_bench_ask(&b, HTTP_POST, "x", text("/pks/lookup?op=get&search=x")), 405);
}

/* ---- who is not there ---- */

static void absence_is_one_answer(void **state)
{
    static const char *const locals[][2] = {{"nobody", "example.org"},
                                            {"gone", "example.org"},
                                            {"ann", "elsewhere.example"},
                                            {"ann", "sub.example.org"}};
    char address[80], target[200];
    for (size_t i = 0; i < 4; i++) {
        const char *local = locals[i][0], *domain = locals[i][1];
        snprintf(address, sizeof(address), "%s@%s", local, domain);
        check_absent(wkd(domain, "openpgpkey.example.org", local, local));
        check_absent(wkd(domain, "openpgpkey.example.org", local, NULL));
        check_absent(wkd(NULL, domain, local, local));
        check_absent(search("get", address));
        check_absent(search("index", address));
        snprintf(target, sizeof(target), "/vks/v1/by-email/%s", address);
        check_absent(get(target));
    }
    check_absent(search("get", hex(b.gone.fpr, 20)));
    check_absent(search("vindex", hex(b.gone.fpr + 12, 8)));
    snprintf(target, sizeof(target), "/vks/v1/by-fingerprint/%s", hex(b.gone.fpr, 20));
    check_absent(get(target));
}

/* ---- a store that does not answer ---- */

enum { WAYS = 7 };

static unsigned ask_way(unsigned way)
{
    char target[200];
    switch (way) {
    case 0: return wkd("example.org", "x", "ann", "ann");
    case 1: return wkd(NULL, "example.org", "nobody", "nobody");
    case 2: return search("get", ANN);
    case 3: return search("index", "nobody@example.org");
    case 4: return search("get", hex(b.ann.fpr, 20));
    case 5: return get("/vks/v1/by-email/nobody@example.org");
    default: snprintf(target, sizeof(target), "/vks/v1/by-keyid/%s", hex(b.six.fpr, 8)); return get(target);
    }
}

static void failures_are_not_absence(void **state)
{
    static const struct {
        int err;
        unsigned status;
    } cases[] = {{ERR_OVERRUN, 503}, {ERR_MEMORY, 503}, {ERR_IO, 500}, {ERR_CRYPTO, 500}, {ERR_FORMAT, 500}};
    for (unsigned way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            b.fail_get = b.fail_scan = cases[i].err;
            assert_int_equal(ask_way(way), cases[i].status);
            assert_int_equal(b.a.times, 1);
            b.fail_get = b.fail_scan = 0;
        }
        b.fail_begin = ERR_MEMORY;
        assert_int_equal(ask_way(way), 503);
        b.fail_begin = ERR_NOT_FOUND; /* not its word about anybody */
        assert_int_equal(ask_way(way), 500);
        b.fail_begin = 0;
        const unsigned quiet = ask_way(way);
        assert_true(quiet == 200 || quiet == 404);
    }
}

static void old_snapshots_are_asked_again(void **state)
{
    for (unsigned way = 0; way < WAYS; way++) {
        const unsigned status = ask_way(way);
        keyserver_bench_overrun(&b, VIEW_TRIES - 1);
        assert_int_equal(ask_way(way), status);
        if (way == 4)
            check_cert(&b.ann, 2);
        keyserver_bench_overrun(&b, VIEW_TRIES);
        assert_int_equal(ask_way(way), 503);
        keyserver_bench_overrun(&b, 0);
    }
}

/* An index that leads to an entry that is not there is damage, and nobody's absence. */
static void a_lost_entry_is_damage(void **state)
{
    b.fail_get = ERR_NOT_FOUND;
    assert_int_equal(wkd("example.org", "x", "ann", NULL), 500);
    assert_int_equal(search("get", hex(b.ann.fpr, 20)), 500);
    b.fail_get = 0;
}

/* ---- no memory to read a name ---- */

static bool no_memory;

int __real_address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus);
int __wrap_address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus);
int __wrap_address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus)
{
    return no_memory ? ERR_MEMORY : __real_address_normalize(in, len, out, ret_at, ret_plus);
}

static void no_memory_is_not_absence(void **state)
{
    no_memory = true;
    assert_int_equal(search("get", ANN), 503);
    assert_int_equal(get("/vks/v1/by-email/ann@example.org"), 503);
    assert_int_equal(wkd("example.org", "x", "nobody", "nobody"), 503);
    no_memory = false;
}

static int open_bench(void **state)
{
    keyserver_bench_open(&b);
    return 0;
}

static int close_bench(void **state)
{
    keyserver_bench_close(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wkd_finds),
        cmocka_unit_test(wkd_finds_letters_outside_ascii),
        cmocka_unit_test(wkd_refuses),
        cmocka_unit_test(hkp_finds_addresses),
        cmocka_unit_test(hkp_finds_keys),
        cmocka_unit_test(hkp_finds_fingerprints_in_groups),
        cmocka_unit_test(hkp_finds_no_short_or_odd_ids),
        cmocka_unit_test(hkp_prefers_whose_primary_key_it_is),
        cmocka_unit_test(hkp_index),
        cmocka_unit_test(hkp_index_of_long_user_ids),
        cmocka_unit_test(hkp_operations),
        cmocka_unit_test(vks),
        cmocka_unit_test(uploads_are_refused),
        cmocka_unit_test(absence_is_one_answer),
        cmocka_unit_test(failures_are_not_absence),
        cmocka_unit_test(old_snapshots_are_asked_again),
        cmocka_unit_test(a_lost_entry_is_damage),
        cmocka_unit_test(no_memory_is_not_absence),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
