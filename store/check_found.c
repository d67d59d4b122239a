/* How the check says what it has found. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/core/error.h"
#include "store/check_impl.h"

/* "account 16, entry u 00000001 0000000a": the kind in words, and the key as docs/store-format.md has it. */
static size_t where(const struct check *c, char *out, size_t cap)
{
    int n = c->part == PART_INSTANCE ? snprintf(out, cap, "instance") : snprintf(out, cap, "account %" PRIu64, c->part);
    if (c->key.len == 0)
        return (size_t)n;
    uint8_t letter = c->key.data[0];
    n += snprintf(out + n, cap - (size_t)n, ", %s %c", c->kind ? c->kind->what : "record",
                  letter > ' ' && letter < 127 ? letter : '?');
    for (size_t i = 1; i < c->key.len && i < 25 && (size_t)n + 4 < cap; i++)
        n += snprintf(out + n, cap - (size_t)n, "%s%02x", i % 4 == 1 ? " " : "", c->key.data[i]);
    return (size_t)n;
}

void check_fault(struct check *c, const char *form, ...)
{
    struct check_found *f = c->found;
    va_list args;
    if (f->faults++ >= CHECK_LINES)
        return;
    char *line = f->line[f->n++];
    size_t n = where(c, line, CHECK_LINE_MAX);
    n += (size_t)snprintf(line + n, CHECK_LINE_MAX - n, ": ");
    va_start(args, form);
    vsnprintf(line + n, CHECK_LINE_MAX - n, form, args);
    va_end(args);
}

bool check_found_there(struct check *c, int err, bool *ret_there)
{
    bool there = err == OK;
    switch (err) {
    case OK: break;
    case ERR_NOT_FOUND:
        if (!ret_there)
            check_fault(c, "what it names is not there");
        break;
    case ERR_CRYPTO: check_fault(c, "it was changed, or belongs to another place"); break;
    case ERR_VERSION: check_fault(c, "a newer version wrote it"); break;
    case ERR_FORMAT:
    case ERR_LIMIT:
    case ERR_EXISTS: check_fault(c, "it is not what would have been written"); break;
    default: c->err = err; break;
    }
    if (ret_there)
        *ret_there = there;
    return there;
}

bool check_opened(struct check *c, int err)
{
    return check_found_there(c, err, NULL);
}

bool check_has(struct check *c, uint64_t part, struct slice key)
{
    struct slice value;
    int err = engine_get(c->t, part, key, &value);
    if (err && err != ERR_NOT_FOUND)
        c->err = err;
    return err == OK;
}
