/* The two gpg roles as they run: spawned, sandboxed, asked over their channels. Judging what people bring; sealing for
 * the key types that only GnuPG knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_check.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/base/role.h"
#include "server/gpg/gpg.h"
#include "server/master/spawn.h"
#include "tests/support/patience.h"
#include "tests/support/pgp_open.h"
#include "tests/support/gpg_roles.h"

static void judge_accepts(void **state)
{
    static const struct {
        const char *file;
        unsigned primary, enc;
        int native, warned;
    } t[] = {
        {"cv.pub", PGP_EDDSA_LEGACY, PGP_ECDH, 1, 0}, {"rsa.pub", PGP_RSA, PGP_RSA, 1, 0},
        {"elg.pub", PGP_DSA, PGP_ELGAMAL, 0, 0},      {"nist.pub", PGP_ECDSA, PGP_ECDH, -1, 0},
        {"bp.pub", PGP_ECDSA, PGP_ECDH, -1, 0},       {"exp.pub", PGP_ECDSA, PGP_ECDH, -1, 1},
        {"cv.asc", PGP_EDDSA_LEGACY, PGP_ECDH, 1, 0},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct gpg_judgement j = roles_judge_file(t[i].file);
        if (j.status != OK || j.verdict.primary_algo != t[i].primary || j.verdict.enc_algo != t[i].enc ||
            (t[i].native >= 0 && j.verdict.native != t[i].native) || (*j.why != 0) != t[i].warned ||
            j.verdict.enc_fpr_len != 20 || !j.cert_len)
            fail_msg("%s: %d \"%s\" primary %u enc %u native %d", t[i].file, j.status, j.why, j.verdict.primary_algo,
                     j.verdict.enc_algo, j.verdict.native);
        assert_true(j.verdict.prefs.aes256);
        free(j.cert);
    }
}

static void judge_refuses(void **state)
{
    static const struct {
        const char *file, *word;
    } t[] = {
        {"secret.asc", "SECRET"},
        {"secret.pgp", "SECRET"},
        {"weak.pub", "bits"},
        {"sign.pub", "sign only"},
        {"revoked.pub", "revoked"},
        {"subrevoked.pub", "revoked"},
        {"two.pub", "give one"},
        {"garbage", "no OpenPGP certificate"},
        {"empty", "empty"},
        {"nouid.pub", ""},
        {"cut.pub", ""},
        {"v6.asc", ""},
        {"big", "1 MB"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct gpg_judgement j = roles_judge_file(t[i].file);
        if (j.status == OK || j.cert || !strstr(j.why, t[i].word) || !*j.why)
            fail_msg("%s: %d \"%s\"", t[i].file, j.status, j.why);
    }
}

/* A certificate with two encryption subkeys: the newer seals; with the newer revoked the older one does. */
static void judge_chooses_the_newest(void **state)
{
    struct gpg_judgement a = roles_judge_file("subs.pub");
    struct pgp_key keys[8];
    size_t n = 8;
    assert_int_equal(a.status, OK);
    assert_int_equal(pgp_cert_keys(a.cert, a.cert_len, keys, &n), OK);
    assert_int_equal(n, 3);
    const struct pgp_key *newer = keys[1].created > keys[2].created ? &keys[1] : &keys[2];
    assert_memory_equal(a.verdict.enc_fpr, newer->fpr, 20);
    free(a.cert);
}

static void judgements_leave_nothing(void **state)
{
    struct gpg_judgement j = roles_judge_file("cv.pub");
    free(j.cert);
    /* the home is empty between judgements */
    assert_int_equal(roles_sh("test -z \"$(find /dev/shm/letterlock-judge-%d-* -mindepth 1 2>/dev/null)\"",
                              (int)roles_judge.pid),
                     0);
    assert_int_equal(roles_sh("test \"$(stat -c %%a /dev/shm/letterlock-judge-%d-*)\" = 700", (int)roles_judge.pid), 0);
}

static void judge_survives_bad_messages(void **state)
{
    struct running r = roles_spawn(ROLE_GPG_JUDGE);
    uint8_t buf[16] = {0};
    ipc_send_blocking(r.peer, 77, 1, buf, sizeof(buf), NULL, 0);
    static uint8_t out[IPC_MAX];
    struct ipc_msg m;
    assert_int_equal(ipc_recv_blocking(r.peer, out, &m, PATIENCE_MS), ERR_GONE);
    roles_end(&r, true);
}

/* --- sealing --- */
struct result {
    struct loop *loop;
    uint8_t *out;
    size_t len, cap;
    int status, done, sink_error;
    size_t left;
};

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct result *r = arg;
    if (r->sink_error)
        return r->sink_error;
    if (r->len + len > r->cap) {
        r->cap = (r->len + len) * 2;
        r->out = realloc(r->out, r->cap);
    }
    memcpy(r->out + r->len, data, len);
    r->len += len;
    return OK;
}

static void done(void *arg, int status)
{
    struct result *r = arg;
    r->status = status;
    r->done++;
    loop_stop(r->loop);
}

static void overdue(void *arg)
{
    fail_msg("timeout");
}

/* A channel of its own, as every client has: a late answer to the last one's question is not for the next. */
static int new_channel(struct running *role)
{
    static const uint8_t head[2] = {ROLE_INGEST, 0};
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(ipc_send_blocking(role->channel, ROLE_MSG_PEER, 0, head, sizeof(head), &pair[0], 1), OK);
    close(pair[0]);
    return pair[1];
}

static struct result seal_with(struct running *role, const struct gpg_seal_cert *certs, size_t n,
                               const struct iovec *in, size_t iovcnt, int sink_error)
{
    struct loop *l = loop_create();
    struct timer *t = timer_create_in(l, overdue, NULL);
    struct result r = {.loop = l, .sink_error = sink_error};
    struct gpg_seal_client *c = gpg_seal_client_create(l);
    struct gpg_seal_op *op;
    const struct gpg_seal_job job = {
        .certs = certs, .ncerts = n, .in = in, .iovcnt = iovcnt, .sink = sink, .sink_arg = &r};
    gpg_seal_client_channel(c, new_channel(role));
    timer_set(t, PATIENCE_MS);
    assert_int_equal(gpg_seal_start(c, &job, done, &r, &op), OK);
    assert_int_equal(loop_run(l), OK);
    assert_int_equal(r.done, 1);
    gpg_seal_client_destroy(c);
    timer_destroy(t);
    loop_destroy(l);
    return r;
}

static void check_decrypts(const struct result *r, const uint8_t *plain, size_t len)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/sealed", roles_dir);
    FILE *f = fopen(path, "wb");
    fwrite(r->out, 1, r->len, f);
    fclose(f);
    assert_int_equal(roles_sh(GPG "-d -o %s/opened --yes %s/sealed 2>/dev/null", roles_home, roles_dir, roles_dir), 0);
    size_t n;
    uint8_t *opened = roles_load("opened", &n);
    assert_int_equal(n, len);
    assert_memory_equal(opened, plain, len);
    free(opened);
}

static void seal_every_kind(void **state)
{
    static const char *const files[] = {"elg.pub", "nist.pub", "bp.pub", "exp.pub", "cv.pub"};
    static const size_t sizes[] = {0, 1, 70000, 1500000};
    struct running r = roles_spawn(ROLE_GPG_SEAL);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        struct gpg_judgement j = roles_judge_file(files[i]);
        if (j.status != OK)
            fail_msg("%s: %s", files[i], j.why);
        struct gpg_seal_cert cert = {j.cert, j.cert_len, j.verdict.enc_fpr, j.verdict.enc_fpr_len,
                                     j.verdict.enc_expires};
        struct pgp_key_ref ref = pgp_verdict_key(&j.verdict, true);
        for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
            uint8_t *plain = malloc(sizes[k] + 1);
            for (size_t b = 0; b < sizes[k]; b++)
                plain[b] = (uint8_t)(b * 31 + b / 255);
            struct iovec in[3] = {{plain, sizes[k] / 3},
                                  {plain + sizes[k] / 3, 0},
                                  {plain + sizes[k] / 3, sizes[k] - sizes[k] / 3}};
            struct result res = seal_with(&r, &cert, 1, in, 3, 0);
            if (res.status != OK)
                fail_msg("%s, %zu octets: %d", files[i], sizes[k], res.status);
            struct pgp_check_result c;
            const char *why = "";
            if (pgp_check_message(res.out, res.len, &ref, 1, PGP_CHECK_SERVER_SEAL, &c, &why) !=
                OK) /* what the gate will say */
                fail_msg("%s: %s", files[i], why);
            check_decrypts(&res, plain, sizes[k]);
            test_hide(res.out, res.len);
            if (pgp_check_message(res.out, res.len, &ref, 1, PGP_CHECK_FOREIGN_WILDCARD, &c, &why) != OK)
                fail_msg("%s, its key id hidden: %s", files[i], why);
            free(res.out);
            free(plain);
        }
        free(j.cert);
    }
    roles_end(&r, true);
}

static void seal_for_two(void **state)
{
    struct running r = roles_spawn(ROLE_GPG_SEAL);
    struct gpg_judgement a = roles_judge_file("elg.pub"), b = roles_judge_file("bp.pub");
    struct gpg_seal_cert certs[2] = {{a.cert, a.cert_len}, {b.cert, b.cert_len}};
    struct iovec in = {(char *)(uintptr_t) "hello", 5};
    struct result res = seal_with(&r, certs, 2, &in, 1, 0);
    assert_int_equal(res.status, OK);
    struct pgp_key_ref refs[2] = {pgp_verdict_key(&a.verdict, true), pgp_verdict_key(&b.verdict, true)};
    struct pgp_check_result c;
    const char *why = "";
    assert_int_equal(pgp_check_message(res.out, res.len, refs, 2, PGP_CHECK_SERVER_SEAL, &c, &why), OK);
    assert_int_equal(c.pkesks, 2);
    check_decrypts(&res, (const uint8_t *)"hello", 5);
    free(res.out);
    free(a.cert);
    free(b.cert);
    roles_end(&r, true);
}

/* gpg alone would take the newest subkey: here one that policy refuses, and one that was valid at the time which gpg is
 * told for the sake of another certificate. */
static void seal_to_the_judged_key_alone(void **state)
{
    static const char *const files[] = {"exp.pub", "mixed.pub", "lapsed.pub"};
    enum { N = 3 };
    struct running r = roles_spawn(ROLE_GPG_SEAL);
    struct gpg_judgement j[N];
    struct gpg_seal_cert certs[N];
    struct pgp_key_ref refs[N];
    struct iovec in = {(char *)(uintptr_t) "hello", 5};
    struct pgp_check_result c;
    const char *why = "";
    for (size_t i = 0; i < N; i++) {
        j[i] = roles_judge_file(files[i]);
        if (j[i].status != OK || j[i].verdict.enc_algo != PGP_ECDH)
            fail_msg("%s: %d \"%s\" enc %u", files[i], j[i].status, j[i].why, j[i].verdict.enc_algo);
        const struct pgp_verdict *v = &j[i].verdict;
        certs[i] = (struct gpg_seal_cert){j[i].cert, j[i].cert_len, v->enc_fpr, v->enc_fpr_len, v->enc_expires};
        refs[i] = pgp_verdict_key(v, true);
    }
    for (size_t from = 0; from < N; from++) {
        struct result res = seal_with(&r, certs + from, N - from, &in, 1, 0);
        assert_int_equal(res.status, OK);
        if (pgp_check_message(res.out, res.len, refs + from, N - from, PGP_CHECK_SERVER_SEAL, &c, &why) != OK)
            fail_msg("from %zu: %s", from, why);
        assert_int_equal(c.pkesks, N - from);
        check_decrypts(&res, (const uint8_t *)"hello", 5);
        free(res.out);
    }
    certs[0].fpr = j[1].verdict.enc_fpr; /* a key that is not in it */
    struct loop *l = loop_create();
    struct gpg_seal_client *client = gpg_seal_client_create(l);
    struct gpg_seal_op *op;
    const struct gpg_seal_job job = {.certs = certs, .ncerts = 1, .in = &in, .iovcnt = 1, .sink = sink};
    gpg_seal_client_channel(client, dup(r.peer));
    assert_int_equal(gpg_seal_start(client, &job, done, NULL, &op), ERR_NO_KEY);
    gpg_seal_client_destroy(client);
    loop_destroy(l);
    for (size_t i = 0; i < N; i++)
        free(j[i].cert);
    roles_end(&r, true);
}

static void seal_fails_closed(void **state)
{
    struct running r = roles_spawn(ROLE_GPG_SEAL);
    static uint8_t big[2000000];
    struct iovec in = {big, sizeof(big)};
    size_t len;
    uint8_t *sign = roles_load("sign.pub", &len);
    struct gpg_seal_cert cert = {sign, len};
    struct result res = seal_with(&r, &cert, 1, &in, 1, 0); /* nothing in it encrypts */
    assert_int_equal(res.status, ERR_CRYPTO);
    assert_int_equal(res.len, 0);
    free(sign);
    cert = (struct gpg_seal_cert){(const uint8_t *)"garbage", 7};
    assert_int_equal(seal_with(&r, &cert, 1, &in, 1, 0).status, ERR_CRYPTO);
    struct gpg_judgement j = roles_judge_file("bp.pub");
    cert = (struct gpg_seal_cert){j.cert, j.cert_len};
    assert_int_equal(seal_with(&r, &cert, 1, &in, 1, ERR_QUOTA).status, ERR_QUOTA); /* the sink's own word */
    res = seal_with(&r, &cert, 1, &in, 1, 0);                                       /* and the role goes on */
    assert_int_equal(res.status, OK);
    free(res.out);

    struct loop *l = loop_create();
    struct result gone = {.loop = l};
    struct gpg_seal_job job = {.certs = &cert, .ncerts = 1, .in = &in, .iovcnt = 1, .sink = sink, .sink_arg = &gone};
    struct gpg_seal_client *c = gpg_seal_client_create(l);
    struct gpg_seal_op *op;
    assert_int_equal(gpg_seal_start(c, &job, done, &gone, &op), ERR_GONE); /* no channel yet */
    gpg_seal_client_channel(c, r.peer);
    assert_int_equal(gpg_seal_start(c, &job, done, &gone, &op), OK);
    kill(r.pid, SIGKILL);
    waitpid(r.pid, NULL, 0);
    assert_int_equal(loop_run(l), OK); /* under way when the role dies */
    assert_int_equal(gone.done, 1);
    assert_true(gone.status == ERR_GONE);
    struct running again = roles_spawn(ROLE_GPG_SEAL);
    gpg_seal_client_channel(c, again.peer);
    struct result more[GPG_OPS_MAX + 1];
    for (int i = 0; i < GPG_OPS_MAX; i++) { /* many at once, some cancelled */
        more[i] = (struct result){.loop = l};
        job.sink_arg = &more[i];
        assert_int_equal(gpg_seal_start(c, &job, done, &more[i], &op), OK);
        if (i % 4 == 3) {
            gpg_seal_cancel(op);
            more[i].done = 1;
        } else if (i == GPG_OPS_MAX - 2) {
            more[i + 1].loop = l;
        }
    }
    int all;
    do {
        all = 1;
        assert_int_equal(loop_run(l), OK);
        for (int i = 0; i < GPG_OPS_MAX; i++)
            all = all && more[i].done;
    } while (!all);
    for (int i = 0; i < GPG_OPS_MAX; i++) {
        if (i % 4 != 3 && more[i].status != OK)
            fail_msg("seal %d: %d", i, more[i].status);
        free(more[i].out);
    }
    free(gone.out);
    gpg_seal_client_destroy(c);
    loop_destroy(l);
    roles_end(&again, false);
    close(r.channel);
    free(j.cert);
}

static void add_subkey(const char *name, const char *when, const char *algo, const char *expire)
{
    roles_make_key(name, "ed25519", "brainpoolP256r1", "encr", "0", "20190101T000000");
    assert_int_equal(roles_sh(GPG
                              "--faked-system-time %s --quick-add-key $(gpg --homedir %s --with-colons --list-keys "
                              "%s@example.org 2>/dev/null | awk -F: '/^fpr/{print $10; exit}') %s encr %s 2>/dev/null",
                              roles_home, when, roles_home, name, algo, expire),
                     0);
    assert_int_equal(roles_sh(GPG "--export %s@example.org >%s/%s.pub 2>/dev/null", roles_home, name, roles_dir, name),
                     0);
}

static int setup(void **state)
{
    if (roles_setup())
        return -1;
    roles_make_key("cv", "ed25519", "cv25519", "encr", "0", NULL);
    roles_make_key("rsa", "rsa2048", "rsa2048", "encr", "0", NULL);
    roles_make_key("weak", "rsa1024", "rsa1024", "encr", "0", NULL);
    roles_make_key("nist", "nistp256", "nistp256", "encr", "0", NULL);
    roles_make_key("bp", "brainpoolP256r1", "brainpoolP256r1", "encr", "0", NULL);
    roles_make_key("sign", "ed25519", NULL, NULL, "0", NULL);
    roles_make_key("exp", "brainpoolP256r1", "brainpoolP256r1", "encr", "1y", "20200101T000000");
    roles_make_key("subs", "ed25519", "cv25519", "encr", "0", "20200101T000000");
    roles_sh(GPG "--quick-add-key $(gpg --homedir %s --with-colons --list-keys subs@example.org 2>/dev/null | awk -F: "
                 "'/^fpr/{print $10; exit}') cv25519 encr 0 2>/dev/null; "
                 "gpg --homedir %s --export subs@example.org >%s/subs.pub 2>/dev/null",
             roles_home, roles_home, roles_home, roles_dir);
    add_subkey("mixed", "20200101T000000", "rsa1024", "0");
    add_subkey("lapsed", "20210101T000000", "brainpoolP256r1", "1y");
    roles_sh("printf 'Key-Type: DSA\\nKey-Length: 2048\\nSubkey-Type: ELG-E\\nSubkey-Length: 2048\\nName-Email: "
             "elg@example.org\\nExpire-Date: 0\\n%%%%no-protection\\n%%%%commit\\n' | " GPG
             "--gen-key 2>/dev/null; gpg --homedir %s --export elg@example.org >%s/elg.pub 2>/dev/null",
             roles_home, roles_home, roles_dir);
    roles_sh(GPG "--armor --export cv@example.org >%s/cv.asc 2>/dev/null", roles_home, roles_dir);
    roles_sh(GPG "--armor --export-secret-keys cv@example.org >%s/secret.asc 2>/dev/null", roles_home, roles_dir);
    roles_sh(GPG "--export-secret-keys cv@example.org >%s/secret.pgp 2>/dev/null", roles_home, roles_dir);
    roles_sh(
        "cat %s/cv.pub %s/bp.pub >%s/two.pub; head -c 100 %s/cv.pub >%s/cut.pub; head -c 5000 /dev/urandom | tr -d "
        "'\\200-\\377' >%s/garbage; : >%s/empty; "
        "head -c 1048577 /dev/zero >%s/big; head -c 51 %s/cv.pub >%s/nouid.pub",
        roles_dir, roles_dir, roles_dir, roles_dir, roles_dir, roles_dir, roles_dir, roles_dir, roles_dir, roles_dir);
    roles_sh("printf -- '-----BEGIN PGP PUBLIC KEY "
             "BLOCK-----\\n\\nxioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf\\nGwoAAABCBYJjh3/"
             "jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy\\n"
             "KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw\\n=0000\\n-----END PGP PUBLIC KEY "
             "BLOCK-----\\n' | grep -v '^=' >%s/v6.asc",
             roles_dir);
    /* a key that is revoked by its own certificate, which gpg makes with every pair; and one whose encryption subkey is
     */
    roles_make_key("revoked", "ed25519", "cv25519", "encr", "0", NULL);
    roles_sh(
        "f=$(gpg --homedir %s --with-colons --list-keys revoked@example.org 2>/dev/null | awk -F: '/^fpr/{print $10; "
        "exit}'); sed 's/^:-----/-----/' %s/openpgp-revocs.d/$f.rev | " GPG
        "--import 2>/dev/null; gpg --homedir %s --export revoked@example.org >%s/revoked.pub 2>/dev/null",
        roles_home, roles_home, roles_home, roles_home, roles_dir);
    roles_make_key("subrevoked", "ed25519", "cv25519", "encr", "0", NULL);
    roles_sh(
        "printf 'key 1\\nrevkey\\ny\\n0\\n\\ny\\nsave\\n' | gpg --homedir %s --no-tty --quiet --pinentry-mode loopback "
        "--passphrase '' --command-fd 0 --edit-key subrevoked@example.org >/dev/null 2>&1; "
        "gpg --homedir %s --export subrevoked@example.org >%s/subrevoked.pub 2>/dev/null",
        roles_home, roles_home, roles_dir);
    roles_judge = roles_spawn(ROLE_GPG_JUDGE);
    return 0;
}

int main(int argc, char **argv)
{
    int role = roles_main(argc, argv);
    if (role >= 0)
        return role;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_accepts),
        cmocka_unit_test(judge_refuses),
        cmocka_unit_test(judge_chooses_the_newest),
        cmocka_unit_test(judgements_leave_nothing),
        cmocka_unit_test(judge_survives_bad_messages),
        cmocka_unit_test(seal_every_kind),
        cmocka_unit_test(seal_for_two),
        cmocka_unit_test(seal_to_the_judged_key_alone),
        cmocka_unit_test(seal_fails_closed),
    };
    return cmocka_run_group_tests(tests, setup, roles_teardown);
}
