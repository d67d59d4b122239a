/* Packets as a role may write them into its pipe: what is taken is of the table, goes back into the same octets, and
 * becomes one line that no terminal obeys and that says nothing a field's type does not allow. */
#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/base/event_text.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

static void look_at(const struct event_record *r, const uint8_t *data, size_t len)
{
    uint8_t again[EVENT_PACKET_MAX];
    char line[EVENT_LINE_MAX];
    struct pack p;
    size_t n;

    pack_init(&p, again, sizeof(again));
    event_pack(&p, r);
    CHECK(p.len == len && memcmp(again, data, len) == 0);
    n = event_text(r, line, sizeof(line));
    CHECK(n > 0 && n < sizeof(line) && line[n] == '\0' && strlen(line) == n);
    for (size_t i = 0; i < n; i++) /* text is cut at the end of a line, perhaps within a character */
        CHECK((uint8_t)line[i] >= 0x20 && line[i] != 0x7f);
    CHECK(utf8_printable(line, n < sizeof(line) - 5 ? n : utf8_prefix(line, n)));
    CHECK(strncmp(line, event_name(r->event), strlen(event_name(r->event))) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct unpack u;

    bug_if(len > SIZE_MAX / 2); /* so that there is a place */
    unpack_init(&u, data, len);
    while (u.pos < len) {
        struct event_record r = {.event = EVENTS};
        size_t begin = u.pos;

        if (event_unpack(&u, &r) != OK) {
            CHECK(r.event == EVENTS);
            break;
        }
        CHECK(u.pos > begin);
        look_at(&r, data + begin, u.pos - begin);
    }
    return 0;
}
