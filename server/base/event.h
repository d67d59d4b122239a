/* What processes say in the log: events of one table, as typed records and never as text. A role writes numbers and
 * hashes into a pipe; master alone holds the log, checks each record against the table and renders it. So a role,
 * whatever becomes of it, cannot write a name, an address or a forged line (docs/ipc.md has the form of a record,
 * docs/log.md the events).
 *
 * To add an event: a row in server/base/event_table.h, first its NUMs, then its RAWs, and a row in docs/log.md. Then
 *     log_event(role_hangs, ROLE_VAULT, 0, pid);                           a value for each NUM
 *     log_event_raw(mail, (slice_of(salt, 16), slice_str(id)), octets);    a slice for each RAW, then the NUMs
 * Too few or too many do not compile. Nothing is allocated. Only the thread of the loop may say anything. A role's
 * records leave when the turn of its loop ends, and errors and warnings at once. */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"
#include "server/base/event_table.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
/* The level called error, warn, info or debug. ERR_FORMAT. */
int log_level_parse(const char *word, enum log_level *ret);

enum event_trait {
    EVENT_EACH = 1,  /* every one is said; of others EVENT_BURST a minute, then how many more there were */
    EVENT_NAMES = 2, /* may name somebody: said with debug_names alone, and taken by master then alone */
};

enum {
    EVENT_FIELDS_MAX = 16,
    EVENT_ID_MAX = 32,
    EVENT_TEXT_MAX = 512,
    EVENT_HASH_SIZE = 16,
    EVENT_RECORD_MAX = 2048, /* octets of a record */
    EVENT_PACKET_MAX = 4096, /* records that are written at once: PIPE_BUF, so all of them or none */
    EVENT_BURST = 10,        /* of one kind in a minute, and a minute is EVENT_BURST_S */
    EVENT_BURST_S = 60,
    EVENT_LINE_MAX = 2048,
};

#define EVENT_ENUM(name, level, traits, fields) EVENT_##name,
#define EVENT_NOTHING(key, type)
enum event_kind { EVENT_TABLE(EVENT_ENUM, EVENT_NOTHING, EVENT_NOTHING) EVENTS };

#define EVENT_ONE(key, type) +1
#define EVENT_NUMBERS(name, level, traits, fields) EVENT_NUMBERS_##name = 0 fields,
#define EVENT_RAWS(name, level, traits, fields) EVENT_RAWS_##name = 0 fields,
enum { EVENT_TABLE(EVENT_NUMBERS, EVENT_ONE, EVENT_NOTHING) EVENT_TABLE(EVENT_RAWS, EVENT_NOTHING, EVENT_ONE) };

#define EVENT_TYPE_ENUM(type) EVENT_TYPE_##type,
enum event_type { EVENT_TYPES(EVENT_TYPE_ENUM) EVENT_WORD_TABLES(EVENT_TYPE_ENUM) EVENT_TYPE_LAST };

#define EVENT_WORD_ENUM(table, name, word) EVENT_##table##_##name,
#define EVENT_WORD_ENUMS(table) enum event_##table{EVENT_WORDS_##table(EVENT_WORD_ENUM)};
EVENT_WORD_TABLES(EVENT_WORD_ENUMS)

#define log_event(name, ...)                                                                                    \
    do {                                                                                                        \
        const uint64_t numbers_[] = {__VA_ARGS__};                                                              \
        _Static_assert(sizeof(numbers_) == 8 * EVENT_NUMBERS_##name && !EVENT_RAWS_##name, "fields of " #name); \
        event_say(EVENT_##name, numbers_, NULL);                                                                \
    } while (0)
#define EVENT_SLICES(...) __VA_ARGS__
#define log_event_raw(name, raws, ...)                                                                     \
    do {                                                                                                   \
        const uint64_t numbers_[] = {__VA_ARGS__};                                                         \
        const struct slice raws_[] = {EVENT_SLICES raws};                                                  \
        _Static_assert(sizeof(numbers_) == 8 * EVENT_NUMBERS_##name, "numbers of " #name);                 \
        _Static_assert(sizeof(raws_) == sizeof(struct slice) * EVENT_RAWS_##name, "raw fields of " #name); \
        event_say(EVENT_##name, numbers_, raws_);                                                          \
    } while (0)
void event_say(enum event_kind event, const uint64_t *numbers, const struct slice *raws);
/* Whether it would be said at all: for fields that cost something to make. */
bool event_wanted(enum event_kind event);
bool event_level_wanted(enum log_level level);
static inline uint64_t event_tls(uint16_t version, uint16_t cipher)
{
    return (uint64_t)version << 16 | cipher;
}

/* A record as it was said. more: it stands for so many that were not, in the last seconds; it has no fields then. */
struct event_record {
    enum event_kind event;
    uint32_t more, seconds;
    uint64_t numbers[EVENT_FIELDS_MAX];
    struct slice raws[EVENT_FIELDS_MAX];
};

/* Where this process's records go; it starts with stderr, a rendered line each. errno is kept. */
void event_init(const char *process, enum log_level level, bool names);
void event_to(void (*sink)(const struct event_record *r));
/* A role: into the pipe that is its descriptor fd, by event_flush. Bugs are said there too. */
void event_to_pipe(int fd);
/* At the end of a turn, before a fork and an end: writes what waits. With a full pipe it goes on waiting; records for
 * which there is then no place are dropped, and a record says how many as soon as there is room. */
void event_flush(void);
/* From time to time: says of what there was more than EVENT_BURST. */
void event_tick(void);
/* At an end, before a minute is over: says that too, and flushes. A role's exit does it. */
void event_end(void);

/* Of one kind of event: whether this one is said. */
struct event_burst {
    uint32_t since, said, held;
};
bool event_burst_let(struct event_burst *b, uint32_t now_s, uint32_t most);
/* Whether some were held and their minute is over; begins the next. */
bool event_burst_over(struct event_burst *b, uint32_t now_s, uint32_t *ret_held, uint32_t *ret_seconds);

enum log_level event_level(enum event_kind event);
unsigned event_traits(enum event_kind event);
void event_fields(enum event_kind event, unsigned *ret_numbers, unsigned *ret_raws);
/* The form of docs/ipc.md. A record of this process always fits EVENT_RECORD_MAX; what a field's type does not allow
 * is a bug there, and ERR_FORMAT here: a role's word is foreign. Slices point into the input. */
void event_pack(struct pack *p, const struct event_record *r);
int event_unpack(struct unpack *u, struct event_record *ret);

#endif
