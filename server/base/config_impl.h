/* Between the configuration's files: its table. */
#ifndef BASE_CONFIG_IMPL_H
#define BASE_CONFIG_IMPL_H

#include "server/base/config.h"

#define KB (UINT64_C(1) << 10)
#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)
#define TB (UINT64_C(1) << 40)

enum config_type { T_TEXT, T_BOOL, T_U32, T_SIZE };

struct config_item {
    const char *name;
    enum config_type type;
    enum config_kind kind;
    size_t offset, size;
    uint64_t min, max, number; /* bounds and default of numbers; 1 is yes */
    const char *text;          /* default of texts */
    bool (*valid)(const char *value);
    const char *wanted; /* texts: what would be right */
    const char *help;
};

enum { CONFIG_ITEMS_MAX = 128 };
extern const struct config_item config_items[];
extern const size_t config_items_n;

#endif
