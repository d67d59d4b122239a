/* Any bytes as a header with Autocrypt fields: none, or one whose key, written anew, is read as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/autocrypt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { NOW = 1780000000 };
    static struct header_field fields[HEADER_FIELDS_MAX];
    static uint8_t key[AUTOCRYPT_KEY_MAX * 2], back[AUTOCRYPT_KEY_MAX * 2];
    struct header_view v;
    struct autocrypt a, again;
    size_t len, n;

    if (autocrypt_read(slice_of(data, size), &a) == OK &&
        (!memchr(a.address, '\0', sizeof(a.address)) || a.keydata.data < data ||
         a.keydata.data + a.keydata.len > data + size))
        abort();
    if (header_parse(data, size, fields, HEADER_FIELDS_MAX, &v) != OK || autocrypt_find(&v, NOW, &a) != OK)
        return 0;
    if (a.date > NOW)
        abort();
    if (autocrypt_decode(&a, key, &len) != OK || len == 0)
        return 0;
    char *text = malloc(autocrypt_write_max(len));
    if (!text)
        abort();
    n = autocrypt_write(a.address, a.mutual, key, len, text);
    if (n > autocrypt_write_max(len) || autocrypt_read(slice_of(text + 10, n - 10), &again) != OK ||
        strcmp(again.address, a.address) != 0 || again.mutual != a.mutual)
        abort();
    n = 0;
    if (autocrypt_decode(&again, back, &n) != OK || n != len || memcmp(back, key, len) != 0)
        abort();
    free(text);
    return 0;
}
