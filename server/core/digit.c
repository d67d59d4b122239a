#include "server/core/digit.h"

int digit_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int digit_base64(uint8_t c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

const char digit_base64_digits[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void digit_base64_write(const uint8_t *in, size_t n, uint8_t out[4])
{
    uint32_t v = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);

    out[0] = (uint8_t)digit_base64_digits[v >> 18];
    out[1] = (uint8_t)digit_base64_digits[v >> 12 & 63];
    out[2] = n > 1 ? (uint8_t)digit_base64_digits[v >> 6 & 63] : '=';
    out[3] = n > 2 ? (uint8_t)digit_base64_digits[v & 63] : '=';
}
