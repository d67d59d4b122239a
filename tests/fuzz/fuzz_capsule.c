/* The capsule of any octets is JSON within its size. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/format/capsule.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct capsule_params p = {
        .sealed_by = "x", .sealed_at = 1, .tls = "", .auth_results = "", .warnings = "", .foreign = size & 1};
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    struct buf out;
    char own[512], root[512];
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    buf_init(&out, CAPSULE_MAX, true);
    if (header_parse(copy, size, fields, HEADER_FIELDS_MAX, &v) != OK) {
        free(copy);
        return 0;
    }
    if (capsule_make(&p, &v, &out) != OK)
        abort();
    capsule_thread_ids(&v, own, root);
    json_t *j = json_loadb((char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    if (!j)
        abort();
    json_decref(j);
    buf_free(&out);
    free(copy);
    return 0;
}
