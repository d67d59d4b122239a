/* Any octets as an SPF record (its first line) and as a sender's local part (the rest): what is taken lies within the
 * text, and each name that it means is one that DNS could be asked for, or is refused. The same octets as a list of
 * tags. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/spf.h"
#include "server/mailauth/tags.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

static void check_within(struct slice s, const uint8_t *data, size_t size)
{
    CHECK(s.len == 0 || (s.data >= data && s.data + s.len <= data + size));
}

static void expand(const struct spf_term *t, const char *local)
{
    static const uint8_t address[16] = {0x20, 1, 0x0d, 0xb8, 1};
    struct spf_macros m = {.local = local,
                           .sender_domain = "a.example",
                           .domain = "b.c.example",
                           .helo = "h.example",
                           .validated = "unknown",
                           .address = address};
    for (int six = 0; six < 2; six++) {
        char out[SPF_NAME_CAP];
        m.six = six;
        int err = spf_expand(&m, t->domain, out);
        CHECK(err == OK || err == ERR_LIMIT); /* never ERR_FORMAT: it was checked */
        CHECK(err != OK || (*out && strlen(out) < SPF_NAME_CAP));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spf_record r;
    struct slice bad = {0}, value = {0};
    char local[256] = "";
    const uint8_t *end = memchr(data, '\n', size);
    size_t len = end ? (size_t)(end - data) : size, rest = size - len - (end != NULL);

    if (tags_get(slice_of(data, size), "p", &value) == OK)
        check_within(value, data, size);
    (void)tags_begin(slice_of(data, size), "DMARC1");
    rest = rest < sizeof(local) - 1 ? rest : sizeof(local) - 1;
    if (end)
        memcpy(local, end + 1, rest);
    local[rest] = '\0';
    int err = spf_parse(slice_of(data, len), &r, &bad);
    if (err == ERR_FORMAT) {
        check_within(bad, data, size);
        return 0;
    }
    if (err != OK)
        return 0;
    CHECK(r.n <= SPF_TERMS_MAX && spf_is_record(slice_of(data, len)));
    for (size_t i = 0; i < r.n; i++) {
        CHECK(r.v[i].kind <= SPF_OTHER && r.v[i].bits4 <= 32 && r.v[i].bits6 <= 128);
        check_within(r.v[i].domain, data, size);
        if (r.v[i].domain.len && r.v[i].kind != SPF_OTHER)
            expand(&r.v[i], local);
    }
    return 0;
}
