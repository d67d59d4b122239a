/* See totp.h. */
#include "webmail-api/session/totp.h"

#include <liboath/oath.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/print.h"

enum { WINDOW = 1 /* steps each way: clocks that go wrong, and time to type */ };

void totp_secret_make(uint8_t ret[TOTP_KEY_SIZE])
{
    randombytes_buf(ret, TOTP_KEY_SIZE);
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

int totp_uri(const uint8_t secret[TOTP_KEY_SIZE], const char *issuer, const char *address, char out[TOTP_URI_MAX])
{
    struct print t = {out, TOTP_URI_MAX};
    char *base32 = NULL;
    size_t len = 0;

    if (oath_base32_encode((const char *)secret, TOTP_KEY_SIZE, &base32, &len) != OATH_OK)
        return ERR_MEMORY;
    print_put(&t, "otpauth://totp/");
    put_escaped(&t, issuer);
    print_put(&t, ":");
    put_escaped(&t, address);
    print_put(&t, "?secret=%s&issuer=", base32);
    put_escaped(&t, issuer);
    print_put(&t, "&algorithm=SHA1&digits=%u&period=%u", TOTP_DIGITS, TOTP_SECONDS);
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

int totp_verify(const uint8_t secret[TOTP_KEY_SIZE], uint64_t now, uint64_t last, struct slice code, uint64_t *ret_step)
{
    const uint64_t step = now / TOTP_SECONDS, first = step > WINDOW ? step - WINDOW : 0;
    char want[TOTP_DIGITS + 1];
    uint64_t found = 0;
    int err = OK;

    if (!is_digits(code))
        return ERR_FORMAT;
    for (uint64_t s = first; s <= step + WINDOW && err == OK; s++) {
        if (oath_hotp_generate((const char *)secret, TOTP_KEY_SIZE, s, TOTP_DIGITS, false, OATH_HOTP_DYNAMIC_TRUNCATION,
                               want) != OATH_OK)
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

void recovery_code_make(char ret[RECOVERY_CODE_MAX])
{
    uint8_t digit[DIGITS];

    randombytes_buf(digit, sizeof(digit));
    for (size_t i = 0; i < DIGITS; i++)
        digit[i] &= 31;
    write_code(digit, ret);
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

int recovery_code_read(struct slice typed, char ret[RECOVERY_CODE_MAX])
{
    uint8_t digit[DIGITS];
    const int err = read_code(typed, digit) ? OK : ERR_FORMAT;

    if (err == OK)
        write_code(digit, ret);
    sodium_memzero(digit, sizeof(digit));
    return err;
}
