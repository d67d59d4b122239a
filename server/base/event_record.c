/* The table of events, and records as they go through a pipe. */
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/event_impl.h"
#include "server/base/roles.h"

#define FIELD(key, type) {#key, EVENT_TYPE_##type},
#define ROW(name, level, traits, fields) \
    [EVENT_##name] = {#name, LOG_LEVEL_##level, traits, EVENT_NUMBERS_##name, EVENT_RAWS_##name, {fields}},
const struct event_row event_rows[EVENTS] = {EVENT_TABLE(ROW, FIELD, FIELD)};

/* Any event fits a record. */
#define ROOM_HASH EVENT_HASH_SIZE
#define ROOM_ID (4 + EVENT_ID_MAX)
#define ROOM_TEXT (4 + EVENT_TEXT_MAX)
#define NUM_ROOM(key, type) +8
#define RAW_ROOM(key, type) +ROOM_##type
#define ROOM(name, level, traits, fields) _Static_assert(8 fields <= EVENT_RECORD_MAX, "a record of " #name);
EVENT_TABLE(ROOM, NUM_ROOM, RAW_ROOM)

#define WORD(table, name, word) word,
#define WORDS(table) static const char *const words_##table[] = {EVENT_WORDS_##table(WORD)};
EVENT_WORD_TABLES(WORDS)

#define TABLE(table) [EVENT_TYPE_##table] = {words_##table, sizeof(words_##table) / sizeof(*words_##table)},
static const struct {
    const char *const *words;
    size_t n;
} tables[EVENT_TYPE_LAST] = {EVENT_WORD_TABLES(TABLE)};

const char *event_word(enum event_type table, uint64_t word)
{
    return word < tables[table].n ? tables[table].words[word] : NULL;
}

enum log_level event_level(enum event_kind event)
{
    return event_rows[event].level;
}

unsigned event_traits(enum event_kind event)
{
    return event_rows[event].traits;
}

void event_fields(enum event_kind event, unsigned *ret_numbers, unsigned *ret_raws)
{
    *ret_numbers = event_rows[event].numbers;
    *ret_raws = event_rows[event].raws;
}

/* What a field may be: of an honest role always so. */
static bool number_fits(enum event_type type, uint64_t v)
{
    const int64_t n = (int64_t)v;

    switch (type) {
    case EVENT_TYPE_COUNT:
    case EVENT_TYPE_SIGNED:
    case EVENT_TYPE_OCTETS: return true;
    case EVENT_TYPE_STATUS: return n <= 0 && n > -STATUS_MAX;
    case EVENT_TYPE_ERRNO: return n > -ERRNO_MAX && n < ERRNO_MAX;
    case EVENT_TYPE_ROLE: return v <= ROLES; /* ROLES: unknown */
    case EVENT_TYPE_SIGNAL: return v <= SIGNAL_MAX;
    case EVENT_TYPE_TLS: return v <= UINT32_MAX;
    case EVENT_TYPE_CODE: return v == 0 || (v >= 20000 && v < 60000);
    case EVENT_TYPE_BUG: return bug_place(v) != NULL;
    default: return event_word(type, v) != NULL;
    }
}

bool event_id_fits(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", id.data[i]) || !id.data[i])
            return false;
    return true;
}

void event_pack(struct pack *p, const struct event_record *r)
{
    const struct event_row *row = &event_rows[r->event];

    pack_u32(p, r->event);
    pack_u32(p, r->more);
    if (r->more) {
        pack_u32(p, r->seconds);
        return;
    }
    for (unsigned i = 0; i < row->numbers; i++) {
        bug_if(!number_fits(row->fields[i].type, r->numbers[i]));
        pack_u64(p, r->numbers[i]);
    }
    for (unsigned i = 0; i < row->raws; i++) {
        const struct slice s = r->raws[i];
        switch (row->fields[row->numbers + i].type) {
        case EVENT_TYPE_HASH:
            bug_if(s.len != EVENT_HASH_SIZE);
            pack_raw(p, s.data, s.len);
            break;
        case EVENT_TYPE_ID:
            bug_if(s.len > EVENT_ID_MAX || !event_id_fits(s));
            pack_bytes(p, s.data, s.len);
            break;
        default: pack_bytes(p, s.data, s.len < EVENT_TEXT_MAX ? s.len : EVENT_TEXT_MAX);
        }
    }
    bug_if(p->failed);
}

static bool raw_unpack(struct unpack *u, enum event_type type, struct slice *ret)
{
    switch (type) {
    case EVENT_TYPE_HASH: *ret = unpack_raw(u, EVENT_HASH_SIZE); return true;
    case EVENT_TYPE_ID: *ret = unpack_bytes(u, EVENT_ID_MAX); return u->failed || event_id_fits(*ret);
    default: *ret = unpack_bytes(u, EVENT_TEXT_MAX); return true;
    }
}

int event_unpack(struct unpack *u, struct event_record *ret)
{
    struct event_record r = {.event = unpack_u32(u)};
    const struct event_row *row;

    r.more = unpack_u32(u);
    if (u->failed || (unsigned)r.event >= EVENTS)
        return ERR_FORMAT;
    row = &event_rows[r.event];
    if (r.more)
        r.seconds = unpack_u32(u);
    for (unsigned i = 0; !r.more && i < row->numbers; i++) {
        r.numbers[i] = unpack_u64(u);
        if (!u->failed && !number_fits(row->fields[i].type, r.numbers[i]))
            return ERR_FORMAT;
    }
    for (unsigned i = 0; !r.more && i < row->raws; i++)
        if (!raw_unpack(u, row->fields[row->numbers + i].type, &r.raws[i]))
            return ERR_FORMAT;
    if (u->failed)
        return ERR_FORMAT;
    *ret = r;
    return OK;
}
