/* Any octets as a date: what is read is written again as the same moment. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[DATE_SIZE], day_text[DATE_DAY_SIZE];
    int64_t t = 0, back;
    int32_t day = 0;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    int err = date_read(copy, size, &t, &day);
    must(err == OK || (!date_valid(copy, size) && !date_is_utc(copy, size)));
    if (err == OK) {
        must(t >= DATE_OLDEST && t <= (int64_t)DATE_LAST && date_exists(date_from_days(day)));
        must(llabs((long long)date_day_of(t) - day) <= 1); /* zones go up to 24 hours */
        date_write(t, text);
        date_write_day((uint64_t)t, day_text);
        must(strlen(text) == DATE_SIZE - 1 && date_is_utc((const uint8_t *)text, strlen(text)));
        must(date_read((const uint8_t *)text, strlen(text), &back, NULL) == OK && back == t);
    }
    free(copy);
    return 0;
}
