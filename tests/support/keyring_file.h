/* A binary keyring, as the tools that scripts run read it. Included once. */
#ifndef TESTS_SUPPORT_KEYRING_FILE_H
#define TESTS_SUPPORT_KEYRING_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYRING_MAX = 64 << 20 };

/* For free(). Ends the tool if there is none. */
static uint8_t *keyring_read(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f ? malloc(KEYRING_MAX) : NULL;
    if (!data)
        exit(2);
    *ret_len = fread(data, 1, KEYRING_MAX, f);
    fclose(f);
    return data;
}

#endif
