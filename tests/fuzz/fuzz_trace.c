/* What `letterlock trace` reads: lines of a log, addresses, times. A line that is read is one that is written so; a
 * spelling is its own spelling; a time is none that overflows. The first octet says which. */
#include <stdlib.h>
#include <string.h>

#include "server/base/event_text.h"
#include "server/cli/trace.h"
#include "server/core/error.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static void line(const char *text, size_t len)
{
    struct event_line l;
    char again[EVENT_LINE_MAX];
    size_t n;

    if (event_read(text, len, &l) != OK)
        return;
    must(l.at >= INT64_C(-62167219200) && l.at <= INT64_C(253402300799) && l.ms < 1000 && l.instance >= -1);
    must((unsigned)l.r.event < EVENTS);
    n = event_text(&l.r, again, sizeof(again));
    must(n <= len && memcmp(text + len - n, again, n) == 0);
}

static void name(const char *text, size_t len)
{
    struct log_name once, again;

    log_name_spell(text, len, &once);
    must(once.len <= LOG_NAME_MAX && once.base_len <= once.len && once.domain <= once.len);
    if (once.len == 0 || once.len == LOG_NAME_MAX || strchr("<", once.text[0]) || once.text[once.len - 1] == '>')
        return;
    log_name_spell(once.text, once.len, &again);
    must(once.len == again.len && memcmp(once.text, again.text, once.len) == 0);
    must(once.base_len == again.base_len && memcmp(once.base, again.base, once.base_len) == 0);
}

static void moment(const char *text, size_t len)
{
    char copy[64];
    int64_t at = 0;

    if (len >= sizeof(copy))
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (trace_time_read(copy, INT64_C(1795921200), &at) == OK)
        must(llabs(at) < INT64_C(1) << 40);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *, size_t) = {line, name, moment};
    char *exact;

    if (size == 0)
        return 0;
    exact = malloc(size > 1 ? size - 1 : 1); /* so that reading past it is seen */
    must(exact != NULL);
    memcpy(exact, data + 1, size - 1);
    readers[data[0] % 3](exact, size - 1);
    free(exact);
    return 0;
}
