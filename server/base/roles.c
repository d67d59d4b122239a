#include "server/base/roles.h"

#include <unistd.h>

#include "server/base/sanitized.h"

enum {
    INSTANCES_AUTO_MAX = 16,
    SESSION_MEMORY = 64 * 1024, /* an idle one has a quarter of it, one that works up to 2 MB: not all work at once */
};

#define INSTANCES(item) offsetof(struct config, item)

const struct role_row roles_table[ROLES] = {
    [ROLE_MASTER] = {.name = "master"},
    [ROLE_INGEST] = {.name = "ingest",
                     .instances = INSTANCES(ingest_instances),
                     .traits = ROLE_REQUIRED | ROLE_HAS_STORE_KEY | ROLE_HAS_TLS | ROLE_DECODES_MAIL,
                     .tls = TLS_SMTP,
                     .listeners = LISTEN_BIT(LISTEN_SMTP) | LISTEN_BIT(LISTEN_SUBMISSION),
                     .servers = ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_GPG_SEAL),
                     .memory_mb = 256,
                     .sessions = offsetof(struct config, smtp_sessions)},
    [ROLE_ACCESS] = {.name = "access",
                     .instances = INSTANCES(access_instances),
                     .traits = ROLE_REQUIRED | ROLE_HAS_STORE_KEY | ROLE_HAS_TLS | ROLE_DECODES_MAIL | ROLE_LETS_IN,
                     .tls = TLS_IMAP,
                     .listeners = LISTEN_BIT(LISTEN_IMAP) | LISTEN_BIT(LISTEN_IMAPS),
                     .servers = ROLE_BIT(ROLE_VAULT) | ROLE_BIT(ROLE_GPG_SEAL),
                     .memory_mb = 512,
                     .sessions = offsetof(struct config, imap_sessions)},
    [ROLE_VAULT] = {.name = "vault",
                    .traits = ROLE_REQUIRED | ROLE_HAS_STORE_KEY,
                    .stop_stage = 2,
                    .memory_mb = 1024}, /* LMDB keeps up to 512 MB of a commit in memory */
    [ROLE_GPG_JUDGE] = {.name = "gpg-judge", .traits = ROLE_RUNS_GNUPG, .stop_stage = 1, .memory_mb = 512},
    [ROLE_GPG_SEAL] = {.name = "gpg-seal", .traits = ROLE_RUNS_GNUPG, .stop_stage = 1, .memory_mb = 512},
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
    if (row->traits & ROLE_HAS_STORE_KEY)
        octets += c->message_max;
    if (row->traits & ROLE_DECODES_MAIL)
        octets += c->plaintext_budget + c->plaintext_budget / 4;
    if (row->sessions)
        octets += (uint64_t) * (const uint32_t *)((const char *)c + row->sessions) * SESSION_MEMORY;
    return octets;
}
