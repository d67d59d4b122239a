/* Reads a mail from standard input and prints what Autocrypt says of its author: the address, "mutual" or "-", the
 * effective date in seconds since 1970, the key in base64 on one line; or why there is nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/autocrypt.h"

enum { MAIL_MAX = 1 << 20 };

int main(void)
{
    static uint8_t mail[MAIL_MAX], key[AUTOCRYPT_KEY_MAX * 3 / 2];
    static char text[sizeof(key) * 2];
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    struct autocrypt a;
    size_t len = fread(mail, 1, sizeof(mail), stdin), n = 0;
    int err = header_parse(mail, len, fields, HEADER_FIELDS_MAX, &v);
    if (!err)
        err = autocrypt_find(&v, time(NULL), &a);
    if (!err)
        err = autocrypt_decode(&a, key, &len);
    if (err) {
        printf("error %d\n", -err);
        return 0;
    }
    for (size_t i = 0; i < len; i += 3, n += 4)
        digit_base64_write(key + i, len - i < 3 ? len - i : 3, (uint8_t *)text + n);
    printf("%s %s %lld %.*s\n", a.address, a.mutual ? "mutual" : "-", (long long)a.date, (int)n, text);
    return 0;
}
