/* The judge in bad company: one that lies, certificates that take too long, many at once, requests that are none; and
 * what is left of it when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <time.h>

#include "crypto/pgp_packet.h"
#include "tests/support/judge_certs.h"
#include "tests/support/patience.h"
#include "tests/support/pgp_forge.h"
#include "tests/support/gpg_roles.h"

/* --- a judge that lies --- */

static void put_answer(int fd, int status, const struct pgp_verdict *v, const uint8_t *cert, size_t len)
{
    static uint8_t in[IPC_MAX], out[1024];
    uint8_t verdict[PGP_VERDICT_SIZE];
    struct ipc_msg m;
    struct pack p;
    FILE *f = tmpfile();
    int file = fileno(f);
    if (ipc_recv_blocking(fd, in, &m, PATIENCE_MS) != OK || write(file, cert, len) != (ssize_t)len)
        _exit(1);
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    pgp_verdict_pack(v, verdict);
    pack_raw(&p, verdict, sizeof(verdict));
    ipc_send_blocking(fd, GPG_REPLY, 1, out, p.len, &file, status == OK);
    _exit(0);
}

static int lied_to(const struct gpg_judgement *given, int status, const struct pgp_verdict *v, const uint8_t *cert,
                   size_t len)
{
    struct gpg_judgement j;
    int pair[2];
    assert_int_equal(ipc_pair(pair), OK);
    pid_t pid = fork();
    if (pid == 0)
        put_answer(pair[1], status, v, cert, len);
    close(pair[1]);
    int err = gpg_judge_call(pair[0], given->cert, given->cert_len, NULL, 0, &j);
    waitpid(pid, NULL, 0);
    close(pair[0]);
    assert_true((err == OK) == (j.cert != NULL) && (err == OK || err == ERR_NO_KEY || strstr(j.why, "does not fit")));
    free(j.cert);
    return err;
}

static void a_lie_is_seen(void **state)
{
    struct gpg_judgement a = roles_judge_file("many.pub"), b = roles_judge_file("rsa.pub");
    struct pgp_verdict v = a.verdict;
    uint8_t *changed = malloc(a.cert_len + b.cert_len);
    assert_int_equal(lied_to(&a, OK, &v, a.cert, a.cert_len), OK); /* the truth */
    assert_int_equal(lied_to(&a, OK, &b.verdict, b.cert, b.cert_len), ERR_FORMAT);
    assert_int_equal(lied_to(&a, OK, &b.verdict, a.cert, a.cert_len), ERR_FORMAT);
    assert_int_equal(lied_to(&a, OK, &v, b.cert, b.cert_len), ERR_FORMAT);
    memcpy(v.enc_fpr, b.verdict.enc_fpr, 20);
    assert_int_equal(lied_to(&a, OK, &v, a.cert, a.cert_len), ERR_FORMAT);
    v = a.verdict;
    v.native = !v.native;
    assert_int_equal(lied_to(&a, OK, &v, a.cert, a.cert_len), ERR_FORMAT);
    v = a.verdict;
    v.enc_algo = PGP_RSA;
    assert_int_equal(lied_to(&a, OK, &v, a.cert, a.cert_len), ERR_FORMAT);
    /* A subkey of another certificate put in among the own ones, with the verdict fitting what is there. */
    struct pgp_packet p;
    size_t n = a.cert_len, start_at = 0;
    memcpy(changed, a.cert, a.cert_len);
    for (size_t pos = 0; pgp_packet_next(b.cert, b.cert_len, &pos, &p) == OK; start_at = pos)
        if (p.tag == PGP_TAG_PUBLIC_SUBKEY) {
            memcpy(changed + n, b.cert + start_at, b.cert_len - start_at);
            n += b.cert_len - start_at;
            break;
        }
    v = a.verdict;
    memcpy(v.enc_fpr, b.verdict.enc_fpr, 20);
    v.enc_algo = b.verdict.enc_algo;
    v.native = b.verdict.native;
    assert_int_equal(lied_to(&a, OK, &v, changed, n), ERR_FORMAT);
    /* One octet of a user id. */
    memcpy(changed, a.cert, a.cert_len);
    uint8_t *uid = memmem(changed, a.cert_len, "many@", 5);
    uid[0] = 'M';
    assert_int_equal(lied_to(&a, OK, &a.verdict, changed, a.cert_len), ERR_FORMAT);
    /* Revoked, it says, and names a key that is not this one: it would be taken out of use. */
    memcpy(v.enc_fpr, v.primary_fpr, 20);
    assert_int_equal(lied_to(&a, ERR_NO_KEY, &v, NULL, 0), ERR_NO_KEY);
    memcpy(v.primary_fpr, b.verdict.primary_fpr, 20);
    assert_int_equal(lied_to(&a, ERR_NO_KEY, &v, NULL, 0), ERR_FORMAT);
    free(changed);
    free(a.cert);
    free(b.cert);
}

/* --- too much to do --- */

/* RSA with an exponent as long as its modulus of 16,384 bits, and many signatures to verify with it. */
static size_t make_slow(uint8_t *out)
{
    enum { OCTETS = 2048 };
    size_t n = 0;
    uint8_t key[6 + 2 * (2 + OCTETS)] = {4, 0x60, 0, 0, 0, PGP_RSA}, sig[600 + OCTETS];
    for (int i = 0; i < 2; i++) {
        uint8_t *mpi = key + 6 + i * (2 + OCTETS);
        forge_be(mpi, 8 * OCTETS, 2);
        memset(mpi + 2, 0xfd, OCTETS);
    }
    n += pgp_packet_header(out, PGP_TAG_PUBLIC_KEY, sizeof(key));
    memcpy(out + n, key, sizeof(key));
    n += sizeof(key);
    uint8_t fpr[20], head[3] = {0x99, sizeof(key) >> 8, sizeof(key) & 255}, hashed[3 + sizeof(key)];
    memcpy(hashed, head, 3);
    memcpy(hashed + 3, key, sizeof(key));
    EVP_Digest(hashed, sizeof(hashed), fpr, NULL, EVP_sha1(), NULL);
    for (int i = 0; i < 300; i++) {
        char uid[32];
        int l = snprintf(uid, sizeof(uid), "u%d@example.org", i);
        n += pgp_packet_header(out + n, PGP_TAG_USER_ID, (size_t)l);
        memcpy(out + n, uid, (size_t)l);
        n += (size_t)l;
        size_t s = 0;
        const uint8_t begin[] = {4, 0x13, PGP_RSA, 8, 0, 6, 5, 2, 0x60, 0, 0, (uint8_t)i, 0, 10, 9, 16};
        memcpy(sig, begin, sizeof(begin));
        s = sizeof(begin);
        memcpy(sig + s, fpr + 12, 8);
        s += 8;
        s += forge_be(sig + s, 0xabcd, 2);
        s += forge_be(sig + s, 8 * OCTETS, 2);
        memset(sig + s, 0xaa, OCTETS);
        s += OCTETS;
        n += pgp_packet_header(out + n, PGP_TAG_SIGNATURE, s);
        memcpy(out + n, sig, s);
        n += s;
    }
    return n;
}

static void a_slow_certificate_does_not_block_for_ever(void **state)
{
    static uint8_t slow[1024 * 1024];
    size_t len = make_slow(slow);
    time_t began = time(NULL);
    struct gpg_judgement j = roles_ask_for(slow, len, "ada@example.org");
    roles_expect_refused(j, ERR_TIMEOUT, "slow", "takes too long", "export-minimal");
    assert_true(time(NULL) - began < 100);
    j = roles_ask_text(cert_v6_25519);
    assert_int_equal(j.status, OK);
    free(j.cert);
    j = roles_judge_file("rsa.pub");
    assert_int_equal(j.status, OK);
    free(j.cert);
}

static void many_are_asked_at_once(void **state)
{
    enum { N = 40 };
    static uint8_t buf[IPC_MAX];
    struct running r = roles_spawn(ROLE_GPG_JUDGE);
    uint8_t none[4] = {0};
    FILE *f = tmpfile();
    int file = fileno(f), judged = 0, full = 0;
    fputs(cert_v6_25519, f);
    fflush(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(ipc_send_blocking(r.peer, GPG_JUDGE, (uint64_t)i, none, sizeof(none), &file, 1), OK);
    for (int i = 0; i < N; i++) {
        struct ipc_msg m;
        struct unpack u;
        assert_int_equal(ipc_recv_blocking(r.peer, buf, &m, PATIENCE_MS), OK);
        unpack_init(&u, m.payload.data, m.payload.len);
        int status = -(int)unpack_u32(&u);
        assert_true(status == OK || status == ERR_FULL);
        *(status == OK ? &judged : &full) += 1;
        for (unsigned k = 0; k < m.nfds; k++)
            close(m.fds[k]);
    }
    assert_true(judged >= 16 && judged + full == N);
    /* Whoever asks and goes leaves the judge as it was. */
    for (int i = 0; i < 5; i++)
        ipc_send_blocking(r.peer, GPG_JUDGE, 1, none, sizeof(none), &file, 1);
    fclose(f);
    roles_end(&r, true);
}

static void bad_requests_end_the_channel_alone(void **state)
{
    static uint8_t buf[IPC_MAX];
    static const struct {
        uint8_t payload[16];
        size_t len;
    } t[] = {
        {{0}, 0},
        {{0, 0, 0, 1}, 4},
        {{0, 0, 0, 1, 0, 0, 0, 9, 'a'}, 9},
        {{0, 0, 0, 0, 7}, 5},
        {{0, 0, 0, 1, 0, 0, 0, 2, 'a', 0}, 10},
        {{0xff, 0xff, 0xff, 0xff}, 4},
    };
    FILE *f = tmpfile();
    int file = fileno(f);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct running r = roles_spawn(ROLE_GPG_JUDGE);
        struct ipc_msg m;
        assert_int_equal(ipc_send_blocking(r.peer, GPG_JUDGE, 1, t[i].payload, t[i].len, &file, 1), OK);
        assert_int_equal(ipc_recv_blocking(r.peer, buf, &m, PATIENCE_MS), ERR_GONE);
        roles_end(&r, true);
    }
    fclose(f);
}

/* --- what is left --- */

static size_t homes(pid_t pid)
{
    char pattern[64];
    glob_t g;
    snprintf(pattern, sizeof(pattern), "/dev/shm/letterlock-judge-%d-*", (int)pid);
    size_t n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
    if (n)
        globfree(&g);
    return n;
}

static void no_home_is_left(void **state)
{
    for (int killed = 0; killed < 2; killed++) {
        struct running r = roles_spawn(ROLE_GPG_JUDGE);
        assert_int_equal(homes(r.pid), 1);
        if (killed) {
            kill(r.pid, SIGKILL);
            waitpid(r.pid, NULL, 0);
            close(r.channel);
            close(r.peer);
        } else {
            roles_end(&r, true);
        }
        for (int i = 0; homes(r.pid) && i < PATIENCE_MS / 10; i++)
            usleep(10000);
        assert_int_equal(homes(r.pid), 0);
    }
}

static int setup(void **state)
{
    if (roles_setup())
        return -1;
    roles_make_key("rsa", "rsa2048", "rsa2048", "encr", "0", NULL);
    roles_make_key("many", "ed25519", "cv25519", "encr", "0", NULL);
    roles_judge = roles_spawn(ROLE_GPG_JUDGE);
    return 0;
}

int main(int argc, char **argv)
{
    int role = roles_main(argc, argv);
    if (role >= 0)
        return role;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lie_is_seen),          cmocka_unit_test(a_slow_certificate_does_not_block_for_ever),
        cmocka_unit_test(many_are_asked_at_once), cmocka_unit_test(bad_requests_end_the_channel_alone),
        cmocka_unit_test(no_home_is_left),
    };
    return cmocka_run_group_tests(tests, setup, roles_teardown);
}
