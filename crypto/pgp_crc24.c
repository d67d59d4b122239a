/* STEP octets at a time: table[k] is the effect of an octet that k more octets follow. Only the first three look-ups
 * of a step wait for the step before. */
#include "crypto/pgp_crc24.h"

enum { STEP = 16 };
static uint32_t table[STEP][256];

static void make_table(void)
{
    for (int k = 0; k < STEP && !table[STEP - 1][255]; k++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t v = k ? table[k - 1][i] : i << 16;
            for (int bit = 0; bit < 8 && !k; bit++)
                v = v << 1 ^ (v & 0x800000 ? 0x864cfb : 0);
            table[k][i] = k ? (v << 8 & 0xffffff) ^ table[0][v >> 16] : v & 0xffffff;
        }
}

uint32_t pgp_crc24(uint32_t crc, const uint8_t *in, size_t n)
{
    size_t i = 0;
    make_table();
    for (; i + STEP <= n; i += STEP) {
        uint32_t rest = 0;
        for (int k = 3; k < STEP; k++)
            rest ^= table[STEP - 1 - k][in[i + (size_t)k]];
        crc = table[STEP - 1][in[i] ^ (crc >> 16)] ^ table[STEP - 2][in[i + 1] ^ (crc >> 8 & 255)] ^
              table[STEP - 3][in[i + 2] ^ (crc & 255)] ^ rest;
    }
    for (; i < n; i++)
        crc = (crc << 8 & 0xffffff) ^ table[0][in[i] ^ (crc >> 16)];
    return crc;
}
