#include "server/base/roles.h"

#include <unistd.h>

#include "server/base/sanitized.h"

enum {
    INSTANCES_AUTO_MAX = 16,
    SESSION_MEMORY = 64 * 1024, /* an idle one has a quarter of it, one that works up to 2 MB: not all work at once */
};

/* Who has no key of a use can neither open nor look up nor forge what stands under it (docs/threats.md has the table).
 */
enum {
    INGEST_USES = RECORD_BIT(RECORD_DIRECTORY) | RECORD_BIT(RECORD_ADDRESS) | RECORD_BIT(RECORD_DOMAIN) |
                  RECORD_BIT(RECORD_DELIVERY) | RECORD_BIT(RECORD_THREAD) | RECORD_BIT(RECORD_MESSAGE_ID) |
                  RECORD_BIT(RECORD_LOG) | RECORD_BIT(RECORD_FINGERPRINT) | RECORD_BIT(RECORD_QUEUE) |
                  RECORD_BIT(RECORD_LOGIN) | RECORD_BIT(RECORD_APP_PASSWORD) | RECORD_BIT(RECORD_COMPLAINT) |
                  RECORD_BIT(RECORD_WKS) | RECORD_BIT(RECORD_FEATURE),
    ACCESS_USES = RECORD_BIT(RECORD_DIRECTORY) | RECORD_BIT(RECORD_LOGIN) | RECORD_BIT(RECORD_MAILBOX) |
                  RECORD_BIT(RECORD_MESSAGE) | RECORD_BIT(RECORD_CONTENT) | RECORD_BIT(RECORD_TAG) |
                  RECORD_BIT(RECORD_ADDRESS) | RECORD_BIT(RECORD_APP_PASSWORD) | RECORD_BIT(RECORD_DELIVERY) |
                  RECORD_BIT(RECORD_THREAD) | RECORD_BIT(RECORD_MESSAGE_ID) | RECORD_BIT(RECORD_FINGERPRINT) |
                  RECORD_BIT(RECORD_ENTRY),
    WEB_USES = RECORD_BIT(RECORD_DIRECTORY) | RECORD_BIT(RECORD_DOMAIN) | RECORD_BIT(RECORD_PUBLISHED) |
               RECORD_BIT(RECORD_ADDRESS) | RECORD_BIT(RECORD_LOGIN) | RECORD_BIT(RECORD_APP_PASSWORD) |
               RECORD_BIT(RECORD_SIGNIN) | RECORD_BIT(RECORD_OPAQUE),
    RELAY_USES =
        RECORD_BIT(RECORD_QUEUE) | RECORD_BIT(RECORD_QUEUE_CONTENT) | RECORD_BIT(RECORD_DKIM) | RECORD_BIT(RECORD_LOG),
    VAULT_USES = RECORD_BIT(RECORD_DIRECTORY) | RECORD_BIT(RECORD_LOGIN) | RECORD_BIT(RECORD_MAILBOX) |
                 RECORD_BIT(RECORD_MESSAGE) | RECORD_BIT(RECORD_CONTENT) | RECORD_BIT(RECORD_TAG) |
                 RECORD_BIT(RECORD_ADDRESS) | RECORD_BIT(RECORD_DOMAIN) | RECORD_BIT(RECORD_NAME) |
                 RECORD_BIT(RECORD_FINGERPRINT) | RECORD_BIT(RECORD_QUEUE_CONTENT) | RECORD_BIT(RECORD_ENTRY) |
                 RECORD_BIT(RECORD_PUBLISHED) | RECORD_BIT(RECORD_SIGNIN) | RECORD_BIT(RECORD_REPORT),
};

#define INSTANCES(item) offsetof(struct config, item)

#define WANTED(item) offsetof(struct config, item)

const struct listener_row listeners_table[LISTENERS] = {
    [LISTEN_SMTP] = {"SMTP", 25, WANTED(smtp)},
    [LISTEN_SUBMISSIONS] = {"submissions", 465, WANTED(submissions)},
    [LISTEN_SUBMISSION] = {"submission", 587, WANTED(submission)},
    [LISTEN_IMAP] = {"IMAP", 143, WANTED(imap)},
    [LISTEN_IMAPS] = {"IMAPS", 993, WANTED(imaps)},
    [LISTEN_HTTP] = {"HTTP", 80, WANTED(http)},
    [LISTEN_HTTPS] = {"HTTPS", 443, WANTED(https)},
};

bool listener_wanted(enum listener l, const struct config *c)
{
    return *(const bool *)((const char *)c + listeners_table[l].wanted);
}

const struct role_row roles_table[ROLES] = {
    [ROLE_MASTER] = {.name = "master"},
    [ROLE_INGEST] = {.name = "ingest",
                     .instances = INSTANCES(ingest_instances),
                     .traits = ROLE_REQUIRED | ROLE_HAS_TLS | ROLE_DECODES_MAIL | ROLE_LETS_IN | ROLE_QUEUE_SEALS,
                     .uses = INGEST_USES,
                     .tls = TLS_SMTP,
                     .listeners =
                         LISTEN_BIT(LISTEN_SMTP) | LISTEN_BIT(LISTEN_SUBMISSIONS) | LISTEN_BIT(LISTEN_SUBMISSION),
                     .servers = ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_GPG_SEAL) | ROLE_BIT(ROLE_RESOLVER) |
                                ROLE_BIT(ROLE_FETCHER),
                     .memory_mb = 320, /* 40 MB of it for strangers' certificates */
                     .sessions = offsetof(struct config, smtp_sessions)},
    [ROLE_ACCESS] = {.name = "access",
                     .instances = INSTANCES(access_instances),
                     .traits = ROLE_REQUIRED | ROLE_HAS_TLS | ROLE_DECODES_MAIL | ROLE_LETS_IN,
                     .uses = ACCESS_USES,
                     .tls = TLS_IMAP,
                     .listeners = LISTEN_BIT(LISTEN_IMAP) | LISTEN_BIT(LISTEN_IMAPS),
                     .servers = ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_GPG_SEAL),
                     .memory_mb = 512,
                     .sessions = offsetof(struct config, imap_sessions)},
    [ROLE_VAULT] = {.name = "vault",
                    .traits = ROLE_REQUIRED | ROLE_QUEUE_SEALS, /* the gate looks for it */
                    .uses = VAULT_USES,
                    .stop_stage = 2,
                    .memory_mb = 1024}, /* LMDB keeps up to 512 MB of a commit in memory */
    [ROLE_GPG_JUDGE] = {.name = "gpg-judge",
                        .traits = ROLE_RUNS_GNUPG | ROLE_IS_BLAMED,
                        .stop_stage = 1,
                        .memory_mb = 512},
    [ROLE_GPG_SEAL] = {.name = "gpg-seal",
                       .traits = ROLE_RUNS_GNUPG | ROLE_IS_BLAMED,
                       .stop_stage = 1,
                       .memory_mb = 512},
    [ROLE_RESOLVER] = {.name = "resolver", .traits = ROLE_IS_BLAMED, .stop_stage = 1, .memory_mb = 256},
    [ROLE_RELAY] = {.name = "relay",
                    .instances = INSTANCES(relay_instances),
                    .traits = ROLE_QUEUE_OPENS | ROLE_SENDS,
                    .uses = RELAY_USES,
                    .servers =
                        ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_INGEST) | ROLE_BIT(ROLE_RESOLVER) | ROLE_BIT(ROLE_FETCHER),
                    .memory_mb = 1024}, /* 256 MB of mail that is sent, and 200 octets a recipient that waits */
    [ROLE_FETCHER] = {.name = "fetcher",
                      .traits = ROLE_IS_BLAMED,
                      .servers = ROLE_BIT(ROLE_RESOLVER),
                      .stop_stage = 1,
                      .memory_mb = 256},
    [ROLE_WEB] = {.name = "web",
                  .instances = INSTANCES(web_instances),
                  .traits = ROLE_HAS_TLS | ROLE_ANSWERS_ACME | ROLE_LETS_IN | ROLE_FORGIVES,
                  .uses = WEB_USES,
                  .tls = TLS_WEB,
                  .listeners = LISTEN_BIT(LISTEN_HTTP) | LISTEN_BIT(LISTEN_HTTPS),
                  .servers = ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_INGEST),
                  .memory_mb = 256,
                  .sessions = offsetof(struct config, web_sessions)},
};

const char *role_name(enum role r)
{
    return (unsigned)r < ROLES ? roles_table[r].name : "unknown";
}

uint32_t role_instances(enum role r, const struct config *c)
{
    const size_t at = roles_table[r].instances;
    const uint32_t n = at ? *(const uint32_t *)((const char *)c + at) : 1;
    long cores;

    if (n)
        return n;
    cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > INSTANCES_AUTO_MAX ? INSTANCES_AUTO_MAX : (uint32_t)cores;
}

uint64_t role_memory(enum role r, const struct config *c)
{
    const struct role_row *row = &roles_table[r];
    uint64_t octets = (uint64_t)row->memory_mb * 1024 * 1024;

    if (SANITIZED || !row->memory_mb)
        return 0; /* a sanitizer's shadow counts as data */
    if (row->uses)
        octets += c->message_max;
    if (row->traits & ROLE_DECODES_MAIL)
        octets += c->plaintext_budget + c->plaintext_budget / 4;
    if (row->sessions)
        octets += (uint64_t) * (const uint32_t *)((const char *)c + row->sessions) * SESSION_MEMORY;
    return octets;
}
