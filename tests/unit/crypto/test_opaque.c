/* RFC 9807's vectors (appendix C: C.1.1, C.1.2, C.2.1) octet by octet, and what the server makes of other messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/opaque.h"
#include "server/core/error.h"

static const char *const context = "OPAQUE-POC";

struct vector {
    const char *seed, *secret, *public_key, *masking_nonce, *server_nonce, *share;
    const char *record, *ke1, *ke2, *ke3, *session;
    const char *client, *server;
};

#define SEED                                                           \
    "f433d0227b0b9dd54f7c4422b600e764e47fb503f1f9a0f0a47c6606b054a7fd" \
    "c65347f1a08f277e22358bbabe26f823fca82c7848e9a75661f4ec5d5c1989ef"
#define SECRET "47451a85372f8b3537e249d7b54188091fb18edde78094b43e2ba42b5eb89f0d"
#define PUBLIC "b2fe7af9f48cc502d016729d2fe25cdd433f2c4bc904660b2a382c9b79df1a78"
#define MASKING_NONCE "38fe59af0df2c79f57b8780278f5ae47355fe1f817119041951c80f612fdfc6d"
#define SERVER_NONCE "71cd9960ecef2fe0d0f7494986fa3d8b2bb01963537e60efb13981e138e3d4a1"
#define SHARE "05a4f54206eef1ba2f615bc0aa285cb22f26d1153b5b40a1e85ff80da12f982f"
#define REQUEST "5059ff249eb1551b7ce4991f3336205bde44a105a032e747d21bf382e75f7a71"
#define RESPONSE "7408a268083e03abc7097fc05b587834539065e86fb0c7b6342fcf5e01e5b019" PUBLIC
#define KE1                                                            \
    "c4dedb0ba6ed5d965d6f250fbe554cd45cba5dfcce3ce836e4aee778aa3cd44d" \
    "da7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc" \
    "6e29bee50701498605b2c085d7b241ca15ba5c32027dd21ba420b94ce60da326"

static const struct vector vectors[] = {
    {SEED, SECRET, PUBLIC, MASKING_NONCE, SERVER_NONCE, SHARE,
     "76a845464c68a5d2f7e442436bb1424953b17d3e2e289ccbaccafb57ac5c3675"
     "1ac5844383c7708077dea41cbefe2fa15724f449e535dd7dd562e66f5ecfb958"
     "64eadddec9db5874959905117dad40a4524111849799281fefe3c51fa82785c5"
     "ac13171b2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec"
     "634b0f5b96109c198a8027da51854c35bee90d1e1c781806d07d49b76de6a28b"
     "8d9e9b6c93b9f8b64d16dddd9c5bfb5fea48ee8fd2f75012a8b308605cdd8ba5",
     KE1,
     "7e308140890bcde30cbcea28b01ea1ecfbd077cff62c4def8efa075aabcbb471" MASKING_NONCE
     "d6ec60bcdb26dc455ddf3e718f1020490c192d70dfc7e403981179d8073d1146"
     "a4f9aa1ced4e4cd984c657eb3b54ced3848326f70331953d91b02535af44d9fe"
     "dc80188ca46743c52786e0382f95ad85c08f6afcd1ccfbff95e2bdeb015b166c"
     "6b20b92f832cc6df01e0b86a7efd92c1c804ff865781fa93f2f20b446c8371b6" SERVER_NONCE
     "c4f62198a9d6fa9170c42c3c71f1971b29eb1d5d0bd733e40816c91f7912cc4a"
     "660c48dae03e57aaa38f3d0cffcfc21852ebc8b405d15bd6744945ba1a93438a"
     "162b6111699d98a16bb55b7bdddfe0fc5608b23da246e7bd73b47369169c5c90",
     "4455df4f810ac31a6748835888564b536e6da5d9944dfea9e34defb9575fe5e2"
     "661ef61d2ae3929bcf57e53d464113d364365eb7d1a57b629707ca48da18e442",
     "42afde6f5aca0cfa5c163763fbad55e73a41db6b41bc87b8e7b62214a8eedc67"
     "31fa3cb857d657ab9b3764b89a84e91ebcb4785166fbb02cedfcbdfda215b96f",
     "", ""},
    {SEED, SECRET, PUBLIC, MASKING_NONCE, SERVER_NONCE, SHARE,
     "76a845464c68a5d2f7e442436bb1424953b17d3e2e289ccbaccafb57ac5c3675"
     "1ac5844383c7708077dea41cbefe2fa15724f449e535dd7dd562e66f5ecfb958"
     "64eadddec9db5874959905117dad40a4524111849799281fefe3c51fa82785c5"
     "ac13171b2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec"
     "1ac902dc5589e9a5f0de56ad685ea8486210ef41449cd4d8712828913c5d2b68"
     "0b2b3af4a26c765cff329bfb66d38ecf1d6cfa9e7a73c222c6efe0d9520f7d7c",
     KE1,
     "7e308140890bcde30cbcea28b01ea1ecfbd077cff62c4def8efa075aabcbb471" MASKING_NONCE
     "d6ec60bcdb26dc455ddf3e718f1020490c192d70dfc7e403981179d8073d1146"
     "a4f9aa1ced4e4cd984c657eb3b54ced3848326f70331953d91b02535af44d9fe"
     "a502150b67fe36795dd8914f164e49f81c7688a38928372134b7dccd50e09f8f"
     "ed9518b7b2f94835b3c4fe4c8475e7513f20eb97ff0568a39caee3fd6251876f" SERVER_NONCE
     "c4f62198a9d6fa9170c42c3c71f1971b29eb1d5d0bd733e40816c91f7912cc4a"
     "292371e7809a9031743e943fb3b56f51de903552fc91fba4e7419029951c3970"
     "b2e2f0a9dea218d22e9e4e0000855bb6421aa3610d6fc0f4033a6517030d4341",
     "7a026de1d6126905736c3f6d92463a08d209833eb793e46d0f7f15b3e0f62c76"
     "43763c02bbc6b8d3d15b63250cae98171e9260f1ffa789750f534ac11a0176d5",
     "ae7951123ab5befc27e62e63f52cf472d6236cb386c968cc47b7e34f866aa4bc"
     "7638356a73cfce92becf39d6a7d32a1861f12130e824241fe6cab34fbd471a57",
     "alice", "bob"},
    /* a name that nobody has: what stands for its record */
    {"743fc168d1f826ad43738933e5adb23da6fb95f95a1b069f0daa0522d0a78b61"
     "7f701fc6aa46d3e7981e70de7765dfcd6b1e13e3369a582eb8dc456b10aa53b0",
     "c788585ae8b5ba2942b693b849be0c0426384e41977c18d2e81fbe30fd7c9f06",
     "825f832667480f08b0c9069da5083ac4d0e9ee31b49c4e0310031fea04d52966",
     "9c035896a043e70f897d87180c543e7a063b83c1bb728fbd189c619e27b6e5a6",
     "1e10f6eeab2a7a420bf09da9b27a4639645622c46358de9cf7ae813055ae2d12",
     "360b0937f47d45f6123a4d8f0d0c0814b6120d840ebb8bc5b4f6b62df07f78c2",
     "84f43f9492e19c22d8bdaa4447cc3d4db1cdb5427a9f852c4707921212c36251"
     "39ebd51f0e39a07a1c2d2431995b0399bca9996c5d10014d6ebab4453dc10ce5"
     "cef38ed3df6e56bfff40c2d8dd4671c2b4cf63c3d54860f31fe40220d690bb71"
     "0000000000000000000000000000000000000000000000000000000000000000"
     "0000000000000000000000000000000000000000000000000000000000000000"
     "0000000000000000000000000000000000000000000000000000000000000000",
     "b0a26dcaca2230b8f5e4b1bcab9c84b586140221bb8b2848486874b0be448905"
     "42d4e61ed3f8d64cdd3b9d153343eca15b9b0d5e388232793c6376bd2d9cfd0a"
     "b641d7f20a245a09f1d4dbb6e301661af7f352beb0791d055e48d3645232f77f",
     "928f79ad8df21963e91411b9f55165ba833dea918f441db967cdc09521d22925"
     "9c035896a043e70f897d87180c543e7a063b83c1bb728fbd189c619e27b6e5a6"
     "32b5ab1bff96636144faa4f9f9afaac75dd88ea99cf5175902ae3f3b2195693f"
     "165f11929ba510a5978e64dcdabecbd7ee1e4380ce270e58fea58e6462d92964"
     "a1aaef72698bca1c673baeb04cc2bf7de5f3c2f5553464552d3a0f7698a9ca7f"
     "9c5e70c6cb1f706b2f175ab9d04bbd13926e816b6811a50b4aafa9799d5ed797"
     "1e10f6eeab2a7a420bf09da9b27a4639645622c46358de9cf7ae813055ae2d12"
     "98251c5ba55f6b0b2d58d9ff0c88fe4176484be62a96db6e2a8c4d431bd1bf27"
     "fe6c1d0537603835217d42ebf7b2581982732e74892fd28211b31ed33863f0be"
     "af75ba6f59474c0aaf9d78a60a9b2f4cd24d7ab54131b3c8efa192df6b72db4c",
     NULL, NULL, "alice", "bob"},
};

static void unhex(const char *hex, uint8_t *out, size_t len)
{
    size_t n = 0;

    assert_int_equal(sodium_hex2bin(out, len, hex, strlen(hex), NULL, &n, NULL), 0);
    assert_int_equal(n, len);
}

struct given {
    struct opaque_server server;
    struct opaque_names names;
    struct slice credential;
    uint8_t random[OPAQUE_RANDOM_SIZE], record[OPAQUE_RECORD_SIZE], ke1[OPAQUE_KE1_SIZE];
};

static struct given given(const struct vector *v)
{
    struct given g = {.names = {slice_str(context), slice_str(v->client), slice_str(v->server)},
                      .credential = slice_str("1234")};

    unhex(v->seed, g.server.oprf_seed, sizeof(g.server.oprf_seed));
    unhex(v->secret, g.server.private_key, sizeof(g.server.private_key));
    unhex(v->public_key, g.server.public_key, sizeof(g.server.public_key));
    unhex(v->masking_nonce, g.random, 32);
    unhex(v->server_nonce, g.random + 32, 32);
    unhex(v->share, g.random + 64, 32);
    unhex(v->record, g.record, sizeof(g.record));
    unhex(v->ke1, g.ke1, sizeof(g.ke1));
    return g;
}

static int start(const struct given *g, uint8_t ke2[OPAQUE_KE2_SIZE], struct opaque_login *l)
{
    return opaque_login_start(&g->server, &g->names, g->credential, g->record, g->ke1, g->random, ke2, l);
}

static void signing_in(void **state)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        const struct vector *v = &vectors[i];
        const struct given g = given(v);
        uint8_t ke2[OPAQUE_KE2_SIZE], want[OPAQUE_KE2_SIZE], ke3[OPAQUE_KE3_SIZE], key[OPAQUE_SESSION_KEY_SIZE];
        struct opaque_login l;
        assert_int_equal(start(&g, ke2, &l), OK);
        unhex(v->ke2, want, sizeof(want));
        assert_memory_equal(ke2, want, sizeof(want));
        if (!v->ke3)
            continue;
        unhex(v->ke3, ke3, sizeof(ke3));
        unhex(v->session, key, sizeof(key));
        assert_int_equal(opaque_login_finish(&l, ke3), OK);
        assert_memory_equal(l.session_key, key, sizeof(key));
        for (size_t bit = 0; bit < 8 * sizeof(ke3); bit++) {
            ke3[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(opaque_login_finish(&l, ke3), ERR_DENIED);
            ke3[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void registration(void **state)
{
    const struct given g = given(&vectors[0]);
    uint8_t request[OPAQUE_REQUEST_SIZE], got[OPAQUE_RESPONSE_SIZE], want[OPAQUE_RESPONSE_SIZE];

    unhex(REQUEST, request, sizeof(request));
    unhex(RESPONSE, want, sizeof(want));
    assert_int_equal(opaque_register(&g.server, g.credential, request, got), OK);
    assert_memory_equal(got, want, sizeof(want));
    assert_int_equal(opaque_record_check(g.record), OK);
    /* another account, another OPRF key */
    assert_int_equal(opaque_register(&g.server, slice_str("1235"), request, got), OK);
    assert_memory_not_equal(got, want, 32);
    assert_memory_equal(got + 32, want + 32, 32);
}

/* No exchange but this one ends in its session key: whatever changes on the way changes what KE3 has to be. */
static void each_octet_counts(void **state)
{
    const struct given g = given(&vectors[0]);
    uint8_t ke2[OPAQUE_KE2_SIZE], ke3[OPAQUE_KE3_SIZE];
    struct opaque_login l;

    unhex(vectors[0].ke3, ke3, sizeof(ke3));
    for (size_t i = 0; i < sizeof(g.ke1); i++) {
        struct given other = g;
        other.ke1[i] ^= 1;
        int err = start(&other, ke2, &l);
        assert_true(err == ERR_FORMAT || (err == OK && opaque_login_finish(&l, ke3) == ERR_DENIED));
    }
    for (size_t i = 0; i < sizeof(g.record); i++) {
        struct given other = g;
        other.record[i] ^= 1;
        int err = start(&other, ke2, &l);
        assert_true(err == ERR_FORMAT || (err == OK && opaque_login_finish(&l, ke3) == ERR_DENIED));
    }
    for (size_t i = 0; i < sizeof(g.random); i++) {
        struct given other = g;
        other.random[i] ^= 1;
        assert_int_equal(start(&other, ke2, &l), OK);
        assert_int_equal(opaque_login_finish(&l, ke3), ERR_DENIED);
    }
}

static void odd_elements(void **state)
{
    static const uint8_t neutral[32] = {0};
    uint8_t wide[32], response[OPAQUE_RESPONSE_SIZE] = {7}, ke2[OPAQUE_KE2_SIZE] = {7};
    struct opaque_login l = {.client_mac = {7}};
    const uint8_t *const odd[] = {neutral, wide};
    const struct given g = given(&vectors[0]);

    memset(wide, 0xff, sizeof(wide)); /* not below the field's order */
    for (size_t i = 0; i < 2; i++) {
        struct given bad = g;
        assert_int_equal(opaque_register(&g.server, g.credential, odd[i], response), ERR_FORMAT);
        memcpy(bad.ke1, odd[i], 32);
        assert_int_equal(start(&bad, ke2, &l), ERR_FORMAT);
        bad = g;
        memcpy(bad.ke1 + 64, odd[i], 32);
        assert_int_equal(start(&bad, ke2, &l), ERR_FORMAT);
        bad = g;
        memcpy(bad.record, odd[i], 32);
        assert_int_equal(opaque_record_check(bad.record), ERR_FORMAT);
        assert_int_equal(start(&bad, ke2, &l), ERR_FORMAT);
    }
    assert_int_equal(response[0], 7); /* outputs are as they were */
    assert_int_equal(ke2[0], 7);
    assert_int_equal(l.client_mac[0], 7);
}

static void a_root_gives_a_server(void **state)
{
    struct opaque_server one, again, other;
    uint8_t root[32] = {1}, random[96], fake[OPAQUE_RECORD_SIZE], ke2[OPAQUE_KE2_SIZE];
    struct given g = given(&vectors[0]);
    struct opaque_login l;

    opaque_server_derive(root, &one);
    opaque_server_derive(root, &again);
    root[0]++;
    opaque_server_derive(root, &other);
    assert_memory_equal(&one, &again, sizeof(one));
    assert_memory_not_equal(one.oprf_seed, other.oprf_seed, sizeof(one.oprf_seed));
    assert_memory_not_equal(one.private_key, other.private_key, sizeof(one.private_key));
    randombytes_buf(random, sizeof(random));
    opaque_record_fake(random, fake);
    assert_int_equal(opaque_record_check(fake), OK);
    g.server = one;
    memcpy(g.record, fake, sizeof(fake));
    assert_int_equal(start(&g, ke2, &l), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signing_in),   cmocka_unit_test(registration),          cmocka_unit_test(each_octet_counts),
        cmocka_unit_test(odd_elements), cmocka_unit_test(a_root_gives_a_server),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
