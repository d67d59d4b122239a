#include "server/base/counters.h"

#include <stddef.h>

#define SMTP_NAME(id, name) [COUNTER_SMTP_##id] = name,
#define IMAP_NAME(id, name) [COUNTER_IMAP_##id] = "imap_" name,
#define WEB_NAME(id, name) [COUNTER_WEB_SERVICE_##id] = "web_" name,
#define INGEST_NAME(id, name) [COUNTER_INGEST_##id] = name,
#define VAULT_NAME(id, name) [COUNTER_VAULT_##id] = name,
#define RELAY_NAME(id, name) [COUNTER_RELAY_##id] = name,
#define NAME(id, name) [COUNTER_##id] = name,

static const char *const names[COUNTERS] = {
    SERVICE_COUNTERS(SMTP_NAME) SERVICE_COUNTERS(IMAP_NAME) INGEST_COUNTERS(INGEST_NAME) ACCESS_COUNTERS(NAME)
        VAULT_COUNTERS(VAULT_NAME) GPG_COUNTERS(NAME) RESOLVER_COUNTERS(NAME) RELAY_COUNTERS(RELAY_NAME)
            RELAY_NOW_COUNTERS(NAME) FETCHER_COUNTERS(NAME) SERVICE_COUNTERS(WEB_NAME) WEB_COUNTERS(NAME)};

const char *counter_name(enum counter c)
{
    return (unsigned)c < COUNTERS ? names[c] : NULL;
}
