#include "tests/unit/base/doors.h"

#include "server/base/sandbox.h"

#define INGEST (1u << ROLE_INGEST)
#define ACCESS (1u << ROLE_ACCESS)
#define VAULT (1u << ROLE_VAULT)
#define JUDGE (1u << ROLE_GPG_JUDGE)
#define SEAL (1u << ROLE_GPG_SEAL)
#define GPG (JUDGE | SEAL)
/* gpg roles may map libraries as code. */
#define GPG_READS_LIBRARIES GPG
#define RESOLVER (1u << ROLE_RESOLVER)
#define RELAY (1u << ROLE_RELAY)
#define FETCHER (1u << ROLE_FETCHER)
#define WEB (1u << ROLE_WEB)
#define EVERY (INGEST | ACCESS | VAULT | GPG | RESOLVER | RELAY | FETCHER | WEB)

#define D(fn, who) {#fn, fn, who},
const struct door doors[] = {
#include "tests/unit/base/doors_rows.h"
};
const size_t doors_n = sizeof(doors) / sizeof(*doors);
