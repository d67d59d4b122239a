/* See totp.h. */
#include "webmail-api/session/totp.h"

#include <liboath/oath.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/print.h"

enum { WINDOW = 1 /* steps each way: clocks that go wrong, and time to type */ };

void totp_secret_make(uint8_t ret[TOTP_SECRET_SIZE])
{
    randombytes_buf(ret, TOTP_SECRET_SIZE);
}

/* RFC 3986 section 2.3: what is not unreserved goes as octets. */
static void put_escaped(struct print *t, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~";

    for (; *text; text++) {
        if (strchr(plain, *text))
            print_put(t, "%c", *text);
        else
            print_put(t, "%%%02X", (unsigned)(uint8_t)*text);
    }
}

int totp_uri(const uint8_t secret[TOTP_SECRET_SIZE], const char *issuer, const char *address, char out[TOTP_URI_MAX])
{
    struct print t = {out, TOTP_URI_MAX};
    char *base32 = NULL;
    size_t len = 0;

    if (oath_base32_encode((const char *)secret, TOTP_SECRET_SIZE, &base32, &len) != OATH_OK)
        return ERR_MEMORY;
    print_put(&t, "otpauth://totp/");
    put_escaped(&t, issuer);
    print_put(&t, ":");
    put_escaped(&t, address);
    print_put(&t, "?secret=%s&issuer=", base32);
    put_escaped(&t, issuer);
    print_put(&t, "&algorithm=SHA1&digits=%u&period=%u", TOTP_DIGITS, TOTP_STEP);
    sodium_memzero(base32, len);
    free(base32);
    if (t.left > 0)
        return OK;
    sodium_memzero(out, TOTP_URI_MAX);
    return ERR_LIMIT;
}

static bool is_digits(struct slice code)
{
    for (size_t i = 0; i < code.len; i++)
        if (code.data[i] < '0' || code.data[i] > '9')
            return false;
    return code.len == TOTP_DIGITS;
}

int totp_verify(const uint8_t secret[TOTP_SECRET_SIZE], uint64_t now, uint64_t last, struct slice code,
                uint64_t *ret_step)
{
    const uint64_t step = now / TOTP_STEP, first = step > WINDOW ? step - WINDOW : 0;
    char want[TOTP_DIGITS + 1];
    uint64_t found = 0;
    int err = OK;

    if (!is_digits(code))
        return ERR_FORMAT;
    for (uint64_t s = first; s <= step + WINDOW && err == OK; s++) {
        if (oath_hotp_generate((const char *)secret, TOTP_SECRET_SIZE, s, TOTP_DIGITS, false,
                               OATH_HOTP_DYNAMIC_TRUNCATION, want) != OATH_OK)
            err = ERR_CRYPTO;
        else if (sodium_memcmp(want, code.data, TOTP_DIGITS) == 0)
            found = s; /* of two that are alike the later one, so that it is not good again */
    }
    sodium_memzero(want, sizeof(want));
    if (err == OK && found <= last)
        err = ERR_DENIED;
    if (err == OK)
        *ret_step = found;
    return err;
}

/* ---- recovery codes ---- */

static const char alphabet[33] = "0123456789abcdefghjkmnpqrstvwxyz";

enum { DIGITS = 12, GROUP = 4 };
_Static_assert(DIGITS + DIGITS / GROUP <= RECOVERY_CODE_MAX, "digits, hyphens between groups, and a NUL");

static void hash(const uint8_t key[RECOVERY_KEY_SIZE], const uint8_t digit[DIGITS], uint8_t out[RECOVERY_HASH_SIZE])
{
    static const char use[] = "recovery code";
    uint8_t text[sizeof(use) + DIGITS];

    memcpy(text, use, sizeof(use));
    memcpy(text + sizeof(use), digit, DIGITS);
    (void)crypto_generichash(out, RECOVERY_HASH_SIZE, text, sizeof(text), key, RECOVERY_KEY_SIZE);
    sodium_memzero(text, sizeof(text));
}

static void write_code(const uint8_t digit[DIGITS], char out[RECOVERY_CODE_MAX])
{
    char *at = out;

    for (size_t i = 0; i < DIGITS; i++) {
        if (i > 0 && i % GROUP == 0)
            *at++ = '-';
        *at++ = alphabet[digit[i]];
    }
    *at = '\0';
}

void recovery_codes_make(const uint8_t key[RECOVERY_KEY_SIZE], char ret_text[RECOVERY_CODES][RECOVERY_CODE_MAX],
                         struct recovery_codes *ret)
{
    uint8_t digit[DIGITS];

    ret->left = (1u << RECOVERY_CODES) - 1;
    for (unsigned i = 0; i < RECOVERY_CODES; i++) {
        randombytes_buf(digit, sizeof(digit));
        for (size_t k = 0; k < DIGITS; k++)
            digit[k] &= 31;
        write_code(digit, ret_text[i]);
        hash(key, digit, ret->hash[i]);
    }
    sodium_memzero(digit, sizeof(digit));
}

/* The digit that a character stands for; -1: none. */
static int digit_of(uint8_t c)
{
    const int lower = c >= 'A' && c <= 'Z' ? c | 32 : c;
    const char *at;

    if (lower == 'o')
        return 0;
    if (lower == 'i' || lower == 'l')
        return 1;
    at = lower ? strchr(alphabet, lower) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static bool read_code(struct slice typed, uint8_t digit[DIGITS])
{
    size_t n = 0;

    for (size_t i = 0; i < typed.len && typed.len <= 4 * DIGITS; i++) {
        const int d = digit_of(typed.data[i]);
        if (typed.data[i] == '-' || typed.data[i] == ' ')
            continue;
        if (d < 0 || n == DIGITS)
            return false;
        digit[n++] = (uint8_t)d;
    }
    return n == DIGITS;
}

int recovery_codes_use(struct recovery_codes *c, const uint8_t key[RECOVERY_KEY_SIZE], struct slice typed)
{
    uint8_t digit[DIGITS], h[RECOVERY_HASH_SIZE];
    uint16_t found = 0;
    const bool read = read_code(typed, digit);

    if (read) {
        hash(key, digit, h);
        for (unsigned i = 0; i < RECOVERY_CODES; i++)
            found |= (uint16_t)((unsigned)(sodium_memcmp(h, c->hash[i], sizeof(h)) == 0) << i);
    }
    sodium_memzero(digit, sizeof(digit));
    sodium_memzero(h, sizeof(h));
    if (!read)
        return ERR_FORMAT;
    if (!(found & c->left))
        return ERR_DENIED;
    c->left &= (uint16_t)~found;
    return OK;
}
