/* Reads one date a line from standard input and prints for each what server/mail/date and GMime make of it, in seconds
 * since 1970, or "-": for tests that compare readers. */
#include <gmime/gmime.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"

int main(void)
{
    static char line[65536];
    g_mime_init();
    while (fgets(line, sizeof(line), stdin)) {
        int64_t t;
        line[strcspn(line, "\n")] = '\0';
        GDateTime *theirs = g_mime_utils_header_decode_date(line);
        if (date_read((const uint8_t *)line, strlen(line), &t, NULL) == OK)
            printf("%lld ", (long long)t);
        else
            printf("- ");
        if (theirs) {
            printf("%lld\n", (long long)g_date_time_to_unix(theirs));
            g_date_time_unref(theirs);
        } else {
            puts("-");
        }
    }
    return 0;
}
