/* What the person who brought a certificate reads: one line that says what is wrong and how to make a good one; and the
 * operator's policy on strength, which is ours and not GnuPG's. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/gpg/gpg_internal.h"

#define GOOD_KEY GPG_GOOD_KEY
#define ADD_SUBKEY "add an encryption key with gpg --quick-add-key FPR cv25519 encr 2y"
/* GnuPG 2.2 knows neither version 6 nor algorithms 25 to 28. */
#define ADD_SUBKEY_NEW "add an encryption subkey with the program that made it, or " GOOD_KEY
#define EXPORT_MINIMAL "export it with gpg --export-options export-minimal --export --armor ADDRESS"

enum { BITS_MIN = 2048 /* of DSA and ElGamal, whatever the policy: NIST SP 800-57 part 1, table 4 */ };

int gpg_refuse(struct gpg_judgement *j, int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(j->why, sizeof(j->why), fmt, ap);
    va_end(ap);
    return err;
}

void gpg_warn(struct gpg_judgement *j, const char *fmt, ...)
{
    size_t n = strlen(j->why);
    va_list ap;
    if (n && n + 2 < sizeof(j->why))
        n += (size_t)snprintf(j->why + n, sizeof(j->why) - n, "; ");
    va_start(ap, fmt);
    vsnprintf(j->why + n, sizeof(j->why) - n, fmt, ap);
    va_end(ap);
}

const char *gpg_flaw_text(enum pgp_flaw flaw)
{
    static const char *const texts[] = {
        [PGP_FLAW_NONE] = "nothing",
        [PGP_FLAW_FIELDS] = "its fields are not those of its algorithm",
        [PGP_FLAW_MODULUS] = "its RSA modulus has a small factor",
        [PGP_FLAW_EXPONENT] = "its RSA exponent is 1, even or too long",
        [PGP_FLAW_GROUP] = "its numbers make no group of prime order",
        [PGP_FLAW_ELEMENT] = "its public number tells the secret one",
        [PGP_FLAW_FORM] = "its point is not written in the one form that is allowed (RFC 9580 section 11.2)",
        [PGP_FLAW_POINT] = "its point is not on its curve",
        [PGP_FLAW_SMALL_ORDER] = "its point is of small order",
        [PGP_FLAW_KDF] = "its key derivation is not SHA-2 with AES",
    };
    return texts[flaw];
}

/* %u, where a sentence has one, is the detail. The second is for kinds that gpg cannot mend, where they differ. */
static const struct sentence {
    int err;
    const char *text, *newer;
} sentences[] = {
    [PGP_FAULT_FORMAT] = {ERR_FORMAT,
                          "there is no OpenPGP certificate in it, or a damaged one: export it again with "
                          "gpg --export --armor ADDRESS",
                          "it is damaged: export it again with the program that made it"},
    [PGP_FAULT_SECRET] = {ERR_REFUSED, "this holds a SECRET key, which must never leave its owner: give the public one "
                                       "(gpg --export --armor ADDRESS)"},
    [PGP_FAULT_SEVERAL] = {ERR_REFUSED, "it holds more than one certificate: give one (gpg --export --armor FPR)"},
    [PGP_FAULT_LIMIT] = {ERR_LIMIT,
                         "it has more keys (64), user ids (256) or signatures (%u) than there may be: " EXPORT_MINIMAL},
    [PGP_FAULT_VERSION] = {ERR_UNSUPPORTED, "it has a key of version %u, a kind that was given up or never became a "
                                            "standard: " GOOD_KEY},
    [PGP_FAULT_ALGORITHM] = {ERR_UNSUPPORTED, "it needs algorithm %u, which is not known here: " GOOD_KEY},
    [PGP_FAULT_SELF_SIGNED] = {ERR_REFUSED,
                               "it has no valid user id signed by its own key: export it again with gpg "
                               "--export --armor ADDRESS, or " GOOD_KEY,
                               "nothing in it is validly signed by its own key: export it again with the program that "
                               "made it, or " GOOD_KEY},
    [PGP_FAULT_USER_IDS] = {ERR_REFUSED,
                            "each of its user ids has been revoked: add the one that counts with "
                            "gpg --quick-add-uid FPR ADDRESS and export it again",
                            "each of its user ids has been revoked: add the one that counts with the program that "
                            "made it"},
    [PGP_FAULT_WEAK] = {ERR_REFUSED,
                        "a key of it that counts has only %u bits, and today that can be broken: " GOOD_KEY},
    [PGP_FAULT_REVOKED] = {ERR_NO_KEY, "it has been revoked: " GOOD_KEY},
    [PGP_FAULT_ENC_REVOKED] = {ERR_NO_KEY, "its encryption key has been revoked: " ADD_SUBKEY,
                               "its encryption key has been revoked: " ADD_SUBKEY_NEW},
    [PGP_FAULT_SIGNING_ONLY] = {ERR_REFUSED, "it can sign only: " ADD_SUBKEY, "it can sign only: " ADD_SUBKEY_NEW},
};

static int refuse_numbers(struct gpg_judgement *j, enum pgp_flaw flaw)
{
    return gpg_refuse(j, ERR_FORMAT, "it has a key that protects nothing or cannot be sealed to: %s: " GOOD_KEY,
                      gpg_flaw_text(flaw));
}

static int refuse_clock(struct gpg_judgement *j, unsigned begins)
{
    char day[DATE_DAY_SIZE];
    date_write_day(begins, day);
    return gpg_refuse(
        j, ERR_REFUSED,
        "it is from the future (%s, %02u:%02u:%02u UTC by the clock that made it): set that clock or this "
        "server's right, or try again when it has begun",
        day, begins / 3600 % 24, begins / 60 % 60, begins % 60);
}

int gpg_refuse_fault(struct gpg_judgement *j, enum pgp_fault fault, unsigned detail, bool newer)
{
    if (fault == PGP_FAULT_NUMBERS)
        return refuse_numbers(j, (enum pgp_flaw)detail);
    if (fault == PGP_FAULT_CLOCK)
        return refuse_clock(j, detail);
    size_t n = sizeof(sentences) / sizeof(*sentences);
    const struct sentence *s = &sentences[(size_t)fault < n && sentences[fault].text ? fault : PGP_FAULT_FORMAT];
    const char *text = newer && s->newer ? s->newer : s->text, *at = strstr(text, "%u");
    if (fault == PGP_FAULT_LIMIT)
        detail = PGP_SIGNATURES_MAX;
    if (!at)
        return gpg_refuse(j, s->err, "%s", text);
    return gpg_refuse(j, s->err, "%.*s%u%s", (int)(at - text), text, detail, at + 2);
}

void gpg_warn_expired(struct gpg_judgement *j, uint32_t when, bool newer)
{
    char day[DATE_DAY_SIZE];
    date_write_day(when, day);
    gpg_warn(j,
             "the key expired on %s; mail is sealed to it all the same, but give a newer one soon (%s, then key "
             "add)",
             day, newer ? "with the program that made it" : "gpg --quick-set-expire FPR 2y");
}

static const char *family(unsigned algo)
{
    return algo <= PGP_RSA_SIGN ? "RSA" : algo == PGP_DSA ? "DSA" : algo == PGP_ELGAMAL ? "ElGamal" : NULL;
}

bool gpg_policy_takes(const struct gpg_policy *p, const struct pgp_key *k, const char *what, struct gpg_judgement *j)
{
    const char *name = family(k->algo);
    if (!name)
        return true; /* no curve that anybody here knows is too weak */
    bool rsa = k->algo <= PGP_RSA_SIGN;
    unsigned least = rsa && p->rsa_bits_min > BITS_MIN ? p->rsa_bits_min : BITS_MIN;
    const char *item = k->algo == PGP_DSA ? "accept_dsa" : "accept_elgamal";
    bool wanted = rsa || (k->algo == PGP_DSA ? p->accept_dsa : p->accept_elgamal);
    if (wanted && k->bits >= least)
        return true;
    if (j && k->bits < least && least == BITS_MIN)
        gpg_refuse(j, ERR_REFUSED, "its %s has only %u bits of %s, and today that can be broken: " GOOD_KEY, what,
                   k->bits, name);
    else if (j && k->bits < least)
        gpg_refuse(j, ERR_REFUSED,
                   "its %s has only %u bits of RSA, and this server asks for %u (rsa_bits_min): " GOOD_KEY, what,
                   k->bits, least);
    else if (j)
        gpg_refuse(j, ERR_REFUSED, "its %s is %s, which this server does not take (%s): " GOOD_KEY, what, name, item);
    return false;
}
