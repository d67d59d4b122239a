/* What is known of an account's certificates, for people and for programs: fingerprints, algorithms, dates, states, and
 * how much of the stored mail each of them is needed for. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"

/* ---- reading ---- */

int key_list_read(const struct cli *c, struct instance *i, uint64_t account, struct keys_list *ret)
{
    int err = keys_read(i->view, account, ret);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int key_list_count(const struct cli *c, struct instance *i, struct keys_list *l)
{
    int err = keys_count(i->view, l);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

/* ---- in words ---- */

const char *key_state_name(uint8_t state)
{
    return state == KEY_CURRENT ? "current" : state == KEY_RETIRED ? "retired" : "revoked";
}

struct curve {
    uint8_t len, oid[10];
    const char *name;
};

static const char *curve_name(const struct pgp_key *k)
{
    /* RFC 9580 section 9.2. */
    static const struct curve curves[] = {
        {8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, "NIST P-256"},
        {5, {0x2b, 0x81, 4, 0, 34}, "NIST P-384"},
        {5, {0x2b, 0x81, 4, 0, 35}, "NIST P-521"},
        {9, {0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7}, "brainpoolP256r1"},
        {9, {0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11}, "brainpoolP384r1"},
        {9, {0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13}, "brainpoolP512r1"},
        {9, {0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1}, "Ed25519"},
        {10, {0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1}, "Curve25519"},
        {5, {0x2b, 0x81, 4, 0, 10}, "secp256k1"},
    };
    bool has = k->algo == PGP_ECDH || k->algo == PGP_ECDSA || k->algo == PGP_EDDSA_LEGACY;
    for (size_t i = 0; has && k->material_len && i < sizeof(curves) / sizeof(curves[0]); i++)
        if (k->material[0] == curves[i].len && k->material_len > curves[i].len &&
            !memcmp(k->material + 1, curves[i].oid, curves[i].len))
            return curves[i].name;
    return NULL;
}

static const char *algo_name(uint8_t algo)
{
    static const struct {
        uint8_t algo;
        const char *name;
    } names[] = {{PGP_RSA, "RSA"},         {PGP_RSA_ENCRYPT, "RSA"},
                 {PGP_RSA_SIGN, "RSA"},    {PGP_ELGAMAL, "ElGamal"},
                 {PGP_DSA, "DSA"},         {PGP_ECDH, "ECDH"},
                 {PGP_ECDSA, "ECDSA"},     {PGP_EDDSA_LEGACY, "EdDSA"},
                 {PGP_X25519, "X25519"},   {PGP_X448, "X448"},
                 {PGP_ED25519, "Ed25519"}, {PGP_ED448, "Ed448"}};
    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
        if (names[k].algo == algo)
            return names[k].name;
    return "?";
}

/* Of RSA, DSA and ElGamal the first number says it (section 5.5.5). */
static unsigned modulus_bits(const struct pgp_key *k)
{
    bool has = (k->algo >= PGP_RSA && k->algo <= PGP_RSA_SIGN) || k->algo == PGP_ELGAMAL || k->algo == PGP_DSA;
    return has && k->material_len >= 2 ? (unsigned)k->material[0] << 8 | k->material[1] : 0;
}

static void algo_text(const struct pgp_key *k, char out[64])
{
    const char *curve = curve_name(k);
    unsigned bits = modulus_bits(k);
    if (curve)
        snprintf(out, 64, "%s/%s", algo_name(k->algo), curve);
    else if (bits)
        snprintf(out, 64, "%s/%u", algo_name(k->algo), bits);
    else
        snprintf(out, 64, "%s", algo_name(k->algo));
}

/* fn gets each user id of the certificate. */
static void user_ids_each(const struct keys_entry *f, void (*fn)(void *arg, const char *text), void *arg)
{
    struct pgp_packet p;
    size_t pos = 0;
    char text[256];
    while (f->cert && pgp_packet_next(f->cert, f->cert_len, &pos, &p) == OK)
        if (p.tag == PGP_TAG_USER_ID) {
            size_t n = p.body_len < sizeof(text) - 1 ? p.body_len : sizeof(text) - 1;
            memcpy(text, p.body, n);
            text[n] = 0;
            cli_tame(text);
            fn(arg, text);
        }
}

static void print_user_id(void *arg, const char *text)
{
    fprintf(arg, "  %s", text);
}

static void expiry_text(const struct keys_entry *f, char out[40])
{
    char day[DATE_DAY_SIZE];
    uint32_t when = f->key.verdict.enc_expires;
    date_write_day(when, day);
    if (!when)
        snprintf(out, 40, "expires never");
    else
        snprintf(out, 40, "%s %s", when <= (uint64_t)time(NULL) ? "expired since" : "expires", day);
}

static void made_on(const struct keys_entry *f, char out[DATE_DAY_SIZE])
{
    date_write_day(f->key.verdict.created ? f->key.verdict.created : f->primary.created, out);
}

static const char LOST[] = "what stands in place of its certificate is damaged, or another one";

void key_print_line(const struct keys_entry *f)
{
    char primary[64], enc[64], made[DATE_DAY_SIZE], expiry[40];
    algo_text(&f->primary, primary);
    algo_text(&f->enc, enc);
    made_on(f, made);
    expiry_text(f, expiry);
    printf("%-8s ", key_state_name(f->key.state));
    cli_print_fpr(stdout, f->key.verdict.primary_fpr, f->key.verdict.primary_fpr_len);
    printf("  %s %s  made %s  %s  sealed by %s, SEIPD v%d  messages %" PRIu64 ", needed by %" PRIu64, primary, enc,
           made, expiry, f->key.verdict.native ? "the native engine" : "gpg", f->key.verdict.prefs.seipd_v2 ? 2 : 1,
           f->messages, f->only);
    user_ids_each(f, print_user_id, stdout);
    if (f->flaw)
        printf("  NO MAIL IS SEALED TO IT: %s", gpg_flaw_text(f->flaw));
    if (f->lost)
        printf("  NO MAIL IS SEALED: %s", LOST);
    putchar('\n');
}

static void print_user_id_line(void *arg, const char *text)
{
    fprintf(arg, "  user id     %s\n", text);
}

void key_print_block(const struct keys_entry *f)
{
    const struct schema_key *k = &f->key;
    char text[64], day[DATE_DAY_SIZE], expiry[40];
    cli_print_fpr(stdout, k->verdict.primary_fpr, k->verdict.primary_fpr_len);
    date_write_day(k->ended, day);
    printf("\n  state       %s", key_state_name(k->state));
    if (k->ended)
        printf(" since %s%s", day, k->state == KEY_ENC_REVOKED ? " (its encryption key)" : "");
    date_write_day(k->added, day);
    printf("\n  added       %s\n", day);
    user_ids_each(f, print_user_id_line, stdout);
    algo_text(&f->primary, text);
    made_on(f, day);
    printf("  primary     %s, made %s\n", text, day);
    algo_text(&f->enc, text);
    printf("  encrypts    %s  ", text);
    cli_print_fpr(stdout, k->verdict.enc_fpr, k->verdict.enc_fpr_len);
    printf("\n");
    for (unsigned i = 0; i < k->nformer; i++) {
        printf("  before      ");
        cli_print_fpr(stdout, k->former[i].fpr, k->former[i].fpr_len);
        printf("\n");
    }
    expiry_text(f, expiry);
    printf("  validity    %s\n", expiry);
    if (f->flaw)
        printf("  flaw        %s: no mail is sealed to it\n", gpg_flaw_text(f->flaw));
    if (f->lost)
        printf("  lost        %s: no mail is sealed\n", LOST);
    printf("  sealed by   %s\n", k->verdict.native ? "the native engine" : "gpg");
    printf("  format      SEIPD v%d%s\n", k->verdict.prefs.seipd_v2 ? 2 : 1,
           k->verdict.prefs.seipd_v2 ? ", where every current key takes it" : "");
    printf("  messages    %" PRIu64 "\n  needed by   %" PRIu64 " of them, which no other key opens\n", f->messages,
           f->only);
}

/* ---- for programs ---- */

static json_t *fpr_to_json(const uint8_t *fpr, size_t len)
{
    char hex[2 * PGP_FPR_MAX + 1] = "";
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02X", fpr[i]);
    return json_string(hex);
}

static json_t *algo_to_json(const struct pgp_key *k)
{
    json_t *o = json_pack("{s:s}", "algorithm", algo_name(k->algo));
    if (curve_name(k))
        json_object_set_new(o, "curve", json_string(curve_name(k)));
    unsigned bits = modulus_bits(k) ? modulus_bits(k) : k->bits;
    if (bits)
        json_object_set_new(o, "bits", json_integer(bits));
    return o;
}

static void add_user_id(void *arg, const char *text)
{
    json_t *s = json_string(text);
    json_array_append_new(arg, s ? s : json_string("?")); /* not UTF-8 */
}

json_t *key_to_json(const struct keys_entry *f)
{
    const struct schema_key *k = &f->key;
    json_t *former = json_array(), *uids = json_array(), *enc = algo_to_json(&f->enc);
    for (unsigned i = 0; i < k->nformer; i++)
        json_array_append_new(former, fpr_to_json(k->former[i].fpr, k->former[i].fpr_len));
    user_ids_each(f, add_user_id, uids);
    json_object_set_new(enc, "fingerprint", fpr_to_json(k->verdict.enc_fpr, k->verdict.enc_fpr_len));
    uint32_t expires = k->verdict.enc_expires;
    json_t *o = json_pack("{s:o, s:s, s:I, s:o, s:o, s:o, s:I, s:b, s:s, s:i, s:I, s:I, s:o}", "fingerprint",
                          fpr_to_json(k->verdict.primary_fpr, k->verdict.primary_fpr_len), "state",
                          key_state_name(k->state), "added", (json_int_t)k->added, "primary", algo_to_json(&f->primary),
                          "encryption", enc, "former_encryption", former, "created",
                          (json_int_t)(k->verdict.created ? k->verdict.created : f->primary.created), "expired",
                          (int)(expires && expires <= (uint64_t)time(NULL)), "sealed_by",
                          k->verdict.native ? "native" : "gpg", "seipd", k->verdict.prefs.seipd_v2 ? 2 : 1, "messages",
                          (json_int_t)f->messages, "messages_needing", (json_int_t)f->only, "user_ids", uids);
    json_object_set_new(o, "flaw", f->flaw ? json_string(gpg_flaw_text(f->flaw)) : json_null());
    json_object_set_new(o, "expires", expires ? json_integer(expires) : json_null());
    json_object_set_new(o, "ended", k->ended ? json_integer((json_int_t)k->ended) : json_null());
    if (k->state == KEY_REVOKED || k->state == KEY_ENC_REVOKED)
        json_object_set_new(o, "revoked", json_string(k->state == KEY_REVOKED ? "certificate" : "encryption key"));
    return o;
}
