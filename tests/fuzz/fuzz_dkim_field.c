/* Any octets as each field that signs, as an ARC-Authentication-Results, and as a key record: what is taken lies within
 * them, and what is given out is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/dkim_record.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

static void check_within(struct slice s, const uint8_t *data, size_t size)
{
    CHECK(s.len == 0 || (s.data >= data && s.data + s.len <= data + size));
}

static void check_field(enum dkim_kind kind, const uint8_t *data, size_t size)
{
    static struct dkim_field f;
    enum dkim_reason r = dkim_field_read(kind, slice_of(data, size), &f);
    struct slice name;

    CHECK((unsigned)r < DKIM_REASONS);
    CHECK(f.b_len <= DKIM_B_MAX && f.instance <= ARC_INSTANCE_MAX);
    CHECK(strlen(f.domain) < sizeof(f.domain) && strlen(f.selector) < sizeof(f.selector));
    check_within(f.names, data, size);
    check_within(f.cut, data, size);
    if (r != DKIM_VERIFIED)
        return;
    CHECK(f.b_len > 0 && *f.domain && *f.selector && *f.identity && f.algorithm && f.cut.data);
    CHECK((kind == DKIM_KIND_SIGNATURE) == (f.instance == 0));
    CHECK(kind == DKIM_KIND_SIGNATURE || f.instance == arc_field_instance(slice_of(data, size)));
    while (dkim_field_name(&f.names, &name) == OK)
        check_within(name, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice whole = slice_of(data, size);
    const struct records_value value = {.data = whole};

    check_field(DKIM_KIND_SIGNATURE, data, size);
    check_field(DKIM_KIND_MESSAGE, data, size);
    check_field(DKIM_KIND_SEAL, data, size);
    CHECK(arc_results_instance(whole) <= ARC_INSTANCE_MAX);
    for (int a = DKIM_RSA_SHA256; a <= DKIM_ED25519_SHA256; a++) {
        const struct dkim_record *r = NULL, *again = NULL;
        enum dkim_reason reason = dkim_record_find(&value, 1, (enum dkim_algorithm)a, &r);
        CHECK(reason != DKIM_KEY_NONE && reason != DKIM_KEY_SEVERAL);
        if (reason == DKIM_VERIFIED && a == DKIM_RSA_SHA256)
            CHECK(r->rsa && r->bits >= 1024 && r->bits <= 4096);
        CHECK(reason == DKIM_VERIFIED ? r != NULL : !r || !r->rsa);
        CHECK(dkim_record_find(&value, 1, (enum dkim_algorithm)a, &again) == reason && again == r);
    }
    return 0;
}
