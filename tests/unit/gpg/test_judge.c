/* What the judge says and keeps, through the role as it runs: kinds that only RFC 9580 has, user ids, policy,
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "crypto/pgp_judge.h"
#include "crypto/pgp_packet.h"
#include "tests/support/judge_certs.h"
#include "tests/support/pgp_forge.h"
#include "tests/support/gpg_roles.h"

enum { DAY_2024 = 1704067200 };

/* --- kinds that GnuPG 2.2 does not know --- */

static void newer_kinds_are_taken(void **state)
{
    static const struct {
        const char *name, *text;
        unsigned version, primary, enc;
        const char *warning;
    } t[] = {
        {"v6_25519", cert_v6_25519, 6, PGP_ED25519, PGP_X25519, ""},
        {"v6_448", cert_v6_448, 6, PGP_ED448, PGP_X448, ""},
        {"v6_p256", cert_v6_p256, 6, PGP_ECDSA, PGP_ECDH, ""},
        {"v6_rsa", cert_v6_rsa, 6, PGP_RSA, PGP_RSA, ""},
        {"v6_two_subkeys", cert_v6_two_subkeys, 6, PGP_ED25519, PGP_X448, ""},
        {"v6_new_after_revoked", cert_v6_new_after_revoked, 6, PGP_ED25519, PGP_X25519, ""},
        {"v6_user_ids", cert_v6_user_ids, 6, PGP_ED25519, PGP_X25519, ""},
        {"v6_expiring", cert_v6_expiring, 6, PGP_ED25519, PGP_X25519, "the key expired on 2024-12-31"},
        {"v4_25519", cert_v4_25519, 4, PGP_ED25519, PGP_X25519, ""},
        {"v4_448", cert_v4_448, 4, PGP_ED448, PGP_X448, ""},
        /* Of both times: the newest seals. */
        {"v4_legacy_x25519", cert_v4_legacy_x25519, 4, PGP_EDDSA_LEGACY, PGP_X25519, ""},
        {"v4_rsa_x25519", cert_v4_rsa_x25519, 4, PGP_RSA, PGP_X25519, ""},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct gpg_judgement j = roles_ask_text(t[i].text);
        struct pgp_key keys[8];
        size_t n = 8;
        if (j.status != OK || j.verdict.primary_algo != t[i].primary || j.verdict.enc_algo != t[i].enc ||
            !j.verdict.native || strncmp(j.why, t[i].warning, strlen(t[i].warning)) || (!*t[i].warning && *j.why))
            fail_msg("%s: %d \"%s\" primary %u enc %u", t[i].name, j.status, j.why, j.verdict.primary_algo,
                     j.verdict.enc_algo);
        assert_int_equal(pgp_cert_keys(j.cert, j.cert_len, keys, &n), OK);
        assert_int_equal(keys[0].version, t[i].version);
        assert_int_equal(j.verdict.prefs.seipd_v2, t[i].version == 6);
        struct pgp_recipient *r;
        assert_int_equal(pgp_recipient_create(j.cert, j.cert_len, &j.verdict, &r), OK);
        pgp_recipient_destroy(r);
        free(j.cert);
    }
}

static void newer_kinds_are_refused_with_a_word(void **state)
{
    struct gpg_judgement revoked = roles_ask_text(cert_v6_revoked);
    roles_expect_refused(revoked, ERR_NO_KEY, "v6_revoked", "has been revoked", "gpg --quick-gen-key");
    assert_int_equal(revoked.verdict.primary_fpr_len, 32);
    roles_expect_refused(roles_ask_text(cert_v6_retired), ERR_NO_KEY, "v6_retired", "has been revoked",
                         "gpg --quick-gen-key");
    roles_expect_refused(roles_ask_text(cert_v4_revoked), ERR_NO_KEY, "v4_revoked", "has been revoked",
                         "gpg --quick-gen-key");
    roles_expect_refused(roles_ask_text(cert_v6_subkey_revoked), ERR_NO_KEY, "v6_subkey_revoked",
                         "encryption key has been revoked", "the program that made it");
    roles_expect_refused(roles_ask_text(cert_v6_signing_only), ERR_REFUSED, "v6_signing_only", "sign only",
                         "the program that made it");
    char two[2 * sizeof(cert_v6_25519)];
    snprintf(two, sizeof(two), "%s\n%s", cert_v6_25519, cert_v4_25519);
    roles_expect_refused(roles_ask_text(two), ERR_REFUSED, "two", "more than one", "give one");
    char cut[sizeof(cert_v6_25519)];
    strcpy(cut, cert_v6_25519);
    memmove(cut + 200, cut + 300, strlen(cut + 300) + 1);
    roles_expect_refused(roles_ask_text(cut), ERR_FORMAT, "cut", "damaged", "gpg --export");
}

static struct forge_key primary, sub;

/* A primary key on a curve that only GnuPG knows: it judges what it knows of a certificate of both times. */
static void gnupg_takes_what_the_native_judge_cannot(void **state)
{
    size_t len;
    uint8_t *data = roles_load("k256.pub", &len);
    forge_key_make(&sub, 4, PGP_X25519, DAY_2024, 2);
    len += pgp_packet_header(data + len, PGP_TAG_PUBLIC_SUBKEY, sub.body_len);
    memcpy(data + len, sub.body, sub.body_len);
    struct gpg_judgement j = roles_ask_for(data, len + sub.body_len, "k256@example.org");
    if (j.status != OK || *j.why || j.verdict.primary_algo != PGP_ECDSA || j.verdict.enc_algo != PGP_ECDH)
        fail_msg("%d \"%s\"", j.status, j.why);
    assert_null(memmem(j.cert, j.cert_len, sub.body, sub.body_len));
    free(j.cert);
    free(data);
}

static void forge_whole(struct forge *f, int version, struct forge_sig self, struct forge_sig binding)
{
    f->len = 0;
    forge_key_make(&primary, version, PGP_ED25519, DAY_2024, 1);
    forge_key_make(&sub, version, PGP_X25519, DAY_2024, 2);
    forge_put_key(f, PGP_TAG_PUBLIC_KEY, &primary);
    if (version == 6)
        forge_put_sig(f, self, &primary, &primary, NULL, NULL);
    forge_put_uid(f, "Ada <ada@example.org>");
    self.type = 0x13;
    forge_put_sig(f, self, &primary, &primary, NULL, "Ada <ada@example.org>");
    forge_put_key(f, PGP_TAG_PUBLIC_SUBKEY, &sub);
    forge_put_sig(f, binding, &primary, &primary, &sub, NULL);
}

static const struct forge_sig self_sig = {.type = 0x1f, .created = DAY_2024, .flags = 3, .features = 9};
static const struct forge_sig binding_sig = {.type = 0x18, .created = DAY_2024, .flags = 12};

static void odd_versions_and_algorithms(void **state)
{
    static struct forge f;
    forge_whole(&f, 6, self_sig, binding_sig);
    struct gpg_judgement j = roles_ask_for(f.data, f.len, "ada@example.org"); /* the forge makes good ones too */
    if (j.status != OK || *j.why)
        fail_msg("%d \"%s\"", j.status, j.why);
    free(j.cert);
    f.data[2] = 5; /* the version, behind tag and length */
    roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_UNSUPPORTED, "v5", "version 5", "gpg --quick-gen-key");
    f.data[2] = 3;
    roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_UNSUPPORTED, "v3", "version 3", "gpg --quick-gen-key");
    struct forge_sig bad = self_sig;
    bad.bad = true;
    forge_whole(&f, 6, bad, binding_sig);
    roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_REFUSED, "bad self-signature",
                         "nothing in it is validly signed", "the program that made it");
    forge_whole(&f, 6, self_sig, binding_sig);
    f.data[2 + 5] = 99; /* the primary's algorithm */
    roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_UNSUPPORTED, "algorithm", "algorithm 99",
                         "gpg --quick-gen-key");
    static const uint8_t unknown[] = {0, 20, 21, 24, 29, 99, 255};
    for (size_t i = 0; i < sizeof(unknown); i++) { /* in version 4, GnuPG is asked */
        char word[32];
        f.len = 0;
        forge_key_make(&primary, 4, unknown[i], DAY_2024, 1);
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
        forge_put_uid(&f, "Ada <ada@example.org>");
        forge_put_sig(&f, self_sig, &primary, &primary, NULL, "Ada <ada@example.org>");
        snprintf(word, sizeof(word), "algorithm %u,", unknown[i]);
        roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_UNSUPPORTED, word, word, "gpg --quick-gen-key");
    }
    f.len = 0;
    forge_key_make(&primary, 4, PGP_ED25519, DAY_2024, 1);
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    for (int i = 0; i < PGP_KEYS_MAX; i++)
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &sub);
    roles_expect_refused(roles_ask_for(f.data, f.len, ""), ERR_LIMIT, "many keys", "more keys (64)", "export-minimal");
}

static void what_is_kept_has_a_limit(void **state)
{
    static struct forge f;
    static uint8_t notation[40 * 1024];
    uint8_t *at = notation;
    struct forge_sig self = self_sig, binding = binding_sig;
    at += forge_be(at, 0xff, 1);
    at += forge_be(at, sizeof(notation) - 5, 4);
    *at++ = 20; /* notation data: flags, name's and value's length */
    forge_be(at + 4, 1, 2);
    forge_be(at + 6, sizeof(notation) - 6 - 8 - 1, 2);
    at[8] = 'n';
    self.hashed = binding.hashed = notation;
    self.hashed_len = binding.hashed_len = sizeof(notation);
    forge_whole(&f, 6, self, binding);
    struct gpg_judgement j = roles_ask_for(f.data, f.len, "ada@example.org");
    roles_expect_refused(j, ERR_LIMIT, "80 KB", "larger than 64 KB", "remove old subkeys");
    forge_whole(&f, 6, self_sig, binding);
    j = roles_ask_for(f.data, f.len, "ada@example.org");
    if (j.status != OK || j.cert_len < 40 * 1024)
        fail_msg("40 KB: %d \"%s\"", j.status, j.why);
    free(j.cert);
}

/* --- user ids --- */

/* Counts what is kept; user ids of kept to text, a line each. */
static void look(const struct gpg_judgement *j, size_t count[64], char *uids, size_t cap)
{
    struct pgp_packet p;
    size_t pos = 0, n = 0;
    memset(count, 0, 64 * sizeof(*count));
    while (pgp_packet_next(j->cert, j->cert_len, &pos, &p) == OK) {
        count[p.tag]++;
        if (p.tag == PGP_TAG_USER_ID && n + p.body_len + 2 < cap)
            n += (size_t)snprintf(uids + n, cap - n, "%.*s\n", (int)p.body_len, (const char *)p.body);
    }
    uids[n] = 0;
}

static bool same_lines(const char *a, const char *b)
{
    bool same = strlen(a) == strlen(b);
    for (const char *line = a; same && *line; line = strchr(line, '\n') + 1)
        same = memmem(b, strlen(b), line, (size_t)(strchr(line, '\n') - line) + 1) != NULL;
    return same;
}

static void only_own_user_ids_stay(void **state)
{
    static const struct {
        const char *addresses[3], *uids;
        int warned;
    } t[] = {
        {{"many@example.org"}, "many@example.org\nMany <MANY+list@Example.ORG>\n", 0},
        {{"many+other@example.org"}, "many@example.org\nMany <MANY+list@Example.ORG>\n", 0},
        {{"else@else.example"}, "Else <else@else.example>\n", 0},
        {{"nobody@example.org", "else@else.example"}, "Else <else@else.example>\n", 0},
        {{"nobody@example.org", "@else.example"}, "Else <else@else.example>\n", 0},
        {{"m@xn--bcher-kva.example"},
         "M <m@b\xc3\xbc"
         "cher.example>\n",
         0},
        {{"old@example.org"}, NULL, 1}, /* that one is revoked */
        {{"any@example.org"}, NULL, 1},
        {{"example.org"}, NULL, 1},
        {{NULL}, NULL, 0},
    };
    size_t len, count[64];
    uint8_t *data = roles_load("many.pub", &len);
    char uids[512];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct gpg_judgement j;
        size_t n = 0, lines = 0;
        while (n < 3 && t[i].addresses[n])
            n++;
        assert_int_equal(gpg_judge_call(roles_judge.peer, data, len, t[i].addresses, n, &j), OK);
        look(&j, count, uids, sizeof(uids));
        for (const char *c = uids; *c; c++)
            lines += *c == '\n';
        if ((*j.why != 0) != t[i].warned || (t[i].warned && !strstr(j.why, t[i].addresses[0])))
            fail_msg("%zu: \"%s\"", i, j.why);
        if (t[i].uids ? !same_lines(uids, t[i].uids) : lines != 1)
            fail_msg("%zu: kept %s", i, uids);
        /* one signature each, no stranger's; the photograph is gone */
        assert_int_equal(count[PGP_TAG_SIGNATURE], lines + 1);
        assert_int_equal(count[PGP_TAG_USER_ATTRIBUTE], 0);
        assert_int_equal(count[PGP_TAG_PUBLIC_KEY] + count[PGP_TAG_PUBLIC_SUBKEY], 2);
        assert_true(j.verdict.prefs.aes256); /* on a user id that may be gone */
        free(j.cert);
    }
    free(data);
    struct gpg_judgement j = roles_ask_for(cert_v6_user_ids, strlen(cert_v6_user_ids), "second@example.org");
    assert_int_equal(j.status, OK);
    look(&j, count, uids, sizeof(uids));
    assert_string_equal(uids, "<second@example.org>\n");
    assert_string_equal(j.why, "");
    free(j.cert);
    j = roles_ask_for(cert_v6_expiring, strlen(cert_v6_expiring), "nobody@example.org");
    assert_true(j.status == OK && strstr(j.why, "expired on 2024-12-31") && strstr(j.why, "nobody@example.org"));
    free(j.cert);
}

/* --- policy --- */

static void policy_is_the_operators(void **state)
{
    struct config usual = roles_config;
    struct running first = roles_judge;
    size_t len;
    roles_config.rsa_bits_min = 4096;
    roles_config.accept_dsa = roles_config.accept_elgamal = false;
    roles_config_len = (size_t)config_write(&roles_config, roles_config_text, sizeof(roles_config_text));
    roles_judge = roles_spawn(ROLE_GPG_JUDGE);
    roles_expect_refused(roles_judge_file("rsa.pub"), ERR_REFUSED, "rsa",
                         "only 2048 bits of RSA, and this server asks for 4096", "gpg --quick-gen-key");
    roles_expect_refused(roles_judge_file("elg.pub"), ERR_REFUSED, "dsa",
                         "primary key is DSA, which this server does not take", "gpg --quick-gen-key");
    uint8_t *elg = roles_load("mixed.pub", &len);
    roles_expect_refused(roles_ask_for(elg, len, ""), ERR_REFUSED, "mixed", "only 2048 bits of RSA", "4096");
    roles_end(&roles_judge, true);

    roles_config = usual;
    roles_config.accept_elgamal = false;
    roles_config_len = (size_t)config_write(&roles_config, roles_config_text, sizeof(roles_config_text));
    roles_judge = roles_spawn(ROLE_GPG_JUDGE);
    roles_expect_refused(roles_ask_for(elg, len, ""), ERR_REFUSED, "mixed",
                         "encryption key is ElGamal, which this server does not", "(accept_elgamal)");
    roles_end(&roles_judge, true);
    roles_config = usual;
    roles_config_len = (size_t)config_write(&roles_config, roles_config_text, sizeof(roles_config_text));
    roles_judge = first;
    roles_expect_refused(roles_judge_file("weakdsa.pub"), ERR_REFUSED, "weakdsa", "only 1024 bits of DSA",
                         "gpg --quick-gen-key");
    struct gpg_judgement j = roles_ask_for(elg, len, "mixed@example.org");
    assert_int_equal(j.status, OK);
    assert_int_equal(j.verdict.enc_algo, PGP_ELGAMAL);
    free(j.cert);
    free(elg);
}

/* The newest encryption key is too weak: an older one seals; alone, it is refused. */
static void a_weak_key_is_passed_over(void **state)
{
    struct gpg_judgement j = roles_judge_file("older.pub");
    struct pgp_key keys[8];
    size_t n = 8;
    assert_int_equal(j.status, OK);
    assert_string_equal(j.why, "");
    assert_int_equal(pgp_cert_keys(j.cert, j.cert_len, keys, &n), OK);
    assert_int_equal(n, 3);
    const struct pgp_key *strong = keys[1].bits == 2048 ? &keys[1] : &keys[2];
    assert_int_equal(strong->bits, 2048);
    assert_true(strong->created < keys[1].created || strong->created < keys[2].created);
    assert_memory_equal(j.verdict.enc_fpr, strong->fpr, 20);
    free(j.cert);
    roles_expect_refused(roles_judge_file("weaksub.pub"), ERR_REFUSED, "weaksub",
                         "encryption key has only 1024 bits of RSA", "gpg --quick-gen-key");
}

static void make_with_elgamal(const char *name, const char *primary_type, int bits)
{
    roles_sh("printf 'Key-Type: %s\\nKey-Length: %d\\nKey-Usage: sign\\nSubkey-Type: ELG-E\\nSubkey-Length: 2048\\n"
             "Name-Email: %s@example.org\\nExpire-Date: 0\\n%%%%no-protection\\n%%%%commit\\n' | " GPG
             "--gen-key 2>/dev/null; gpg --homedir %s --export %s@example.org >%s/%s.pub 2>/dev/null",
             primary_type, bits, name, roles_home, roles_home, name, roles_dir, name);
}

static int setup(void **state)
{
    if (roles_setup())
        return -1;
    roles_make_key("rsa", "rsa2048", "rsa2048", "encr", "0", NULL);
    roles_make_key("sign", "ed25519", NULL, NULL, "0", NULL);
    roles_make_key("weaksub", "rsa2048", "rsa1024", "encr", "0", NULL);
    roles_make_key("older", "rsa2048", "rsa2048", "encr", "0", "20200101T000000");
    roles_sh(GPG "--quick-add-key $(gpg --homedir %s --with-colons --list-keys older@example.org 2>/dev/null | awk -F: "
                 "'/^fpr/{print $10; exit}') rsa1024 encr 0 2>/dev/null; "
                 "gpg --homedir %s --export older@example.org >%s/older.pub 2>/dev/null",
             roles_home, roles_home, roles_home, roles_dir);
    roles_make_key("k256", "secp256k1", "cv25519", "encr", "0", NULL);
    roles_make_key("many", "ed25519", "cv25519", "encr", "0", NULL);
    make_with_elgamal("elg", "DSA", 2048);
    make_with_elgamal("mixed", "RSA", 2048);
    make_with_elgamal("weakdsa", "DSA", 1024);
    /* Five user ids more, one of them revoked; a stranger's signature on each; a photograph. */
    roles_sh(
        "cd %s; for u in 'Many <MANY+list@Example.ORG>' 'Else <else@else.example>' 'old@example.org' "
        "'M <m@b\xc3\xbc"
        "cher.example>'; do " GPG "--quick-add-uid many@example.org \"$u\" 2>/dev/null; done; " GPG
        "--quick-revoke-uid many@example.org old@example.org 2>/dev/null; "
        "printf '\\377\\330\\377\\340\\000\\020JFIF\\000\\001' >p.jpg; printf 'addphoto\\n%s/p.jpg\\ny\\nsave\\n' | "
        "gpg --homedir %s --no-tty --quiet --pinentry-mode loopback --passphrase '' --command-fd 0 --edit-key "
        "many@example.org >/dev/null 2>&1; " GPG
        "-u sign@example.org --quick-sign-key $(gpg --homedir %s --with-colons "
        "--list-keys many@example.org 2>/dev/null | awk -F: '/^fpr/{print $10; exit}') 2>/dev/null; "
        "gpg --homedir %s --export many@example.org >many.pub 2>/dev/null",
        roles_dir, roles_home, roles_home, roles_dir, roles_home, roles_home, roles_home, roles_home);
    roles_judge = roles_spawn(ROLE_GPG_JUDGE);
    return 0;
}

int main(int argc, char **argv)
{
    int role = roles_main(argc, argv);
    if (role >= 0)
        return role;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newer_kinds_are_taken),
        cmocka_unit_test(newer_kinds_are_refused_with_a_word),
        cmocka_unit_test(gnupg_takes_what_the_native_judge_cannot),
        cmocka_unit_test(odd_versions_and_algorithms),
        cmocka_unit_test(what_is_kept_has_a_limit),
        cmocka_unit_test(only_own_user_ids_stay),
        cmocka_unit_test(policy_is_the_operators),
        cmocka_unit_test(a_weak_key_is_passed_over),
    };
    return cmocka_run_group_tests(tests, setup, roles_teardown);
}
