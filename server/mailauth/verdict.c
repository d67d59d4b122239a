#include "server/mailauth/verdict.h"

const char *auth_result_name(enum auth_result r)
{
    static const char *const names[] = {
        [AUTH_NONE] = "none",           [AUTH_NEUTRAL] = "neutral",    [AUTH_PASS] = "pass",
        [AUTH_FAIL] = "fail",           [AUTH_SOFTFAIL] = "softfail",  [AUTH_POLICY] = "policy",
        [AUTH_TEMPERROR] = "temperror", [AUTH_PERMERROR] = "permerror"};

    return names[r];
}

const char *dmarc_policy_name(enum dmarc_policy p)
{
    static const char *const names[] = {
        [DMARC_NONE] = "none", [DMARC_QUARANTINE] = "quarantine", [DMARC_REJECT] = "reject"};

    return names[p];
}
