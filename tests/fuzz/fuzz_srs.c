/* Any bytes as a sender: what is written is short enough and read back, whatever its case. And as a return path of
 * ours: nobody makes one up. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mailauth/srs.h"

#define OURS "ours.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[SRS_KEY_SIZE] = {7};
static const uint64_t now = 1800000000;

static void round_trip(const char *sender)
{
    char path[ADDRESS_MAX], back[ADDRESS_MAX], folded[ADDRESS_MAX];
    const char *at;

    if (srs_make(key, OURS, sender, now, path) != OK)
        return;
    at = strrchr(path, '@');
    if (!at || at - path > SRS_LOCAL_MAX || strcmp(at + 1, OURS) != 0 || !srs_looks_so(path))
        abort();
    if (srs_open(key, OURS, path, now, back) != OK)
        return; /* of another's SRS0, who wrote no such domain */
    if (!strrchr(back, '@'))
        abort();
    strcpy(folded, path);
    for (char *s = folded; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
    if (srs_open(key, OURS, folded, now, folded) != OK || strlen(folded) != strlen(back))
        abort();
    if (strncasecmp(sender, "SRS", 3) != 0 && strncmp(back, sender, (size_t)(strrchr(sender, '@') - sender)) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[600], out[ADDRESS_MAX];

    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)srs_looks_so(text);
    if (srs_open(key, OURS, text, now, out) == OK)
        abort(); /* a hash of 40 bits was guessed */
    round_trip(text);
    return 0;
}
