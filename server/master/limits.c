/* The kernel's limits, which roles inherit: raised as far as they may be, at the start, and looked at again when a
 * reload asks for more. */
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "server/master/impl.h"

enum { FILES_BESIDE_SESSIONS = 256 };

/* Sessions need descriptors, one each; roles inherit the limit. An operator who allows more sessions than fit is
 * told. */
static void raise_files(const struct config *c)
{
    struct config access = *c, ingest = *c, web = *c;
    struct rlimit l;
    uint64_t most;

    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
    config_share(&access, role_instances(ROLE_ACCESS, &access));
    config_share(&ingest, role_instances(ROLE_INGEST, &ingest));
    config_share(&web, role_instances(ROLE_WEB, &web));
    most = access.imap_sessions > ingest.smtp_sessions ? access.imap_sessions : ingest.smtp_sessions;
    if (most < web.web_sessions && (c->http || c->https))
        most = web.web_sessions;
    if (l.rlim_max < most + FILES_BESIDE_SESSIONS)
        log_warn("sessions beyond what the limit of open files lets in: one process may have %llu, the limit is %llu; "
                 "raise LimitNOFILE, or lower imap_sessions, smtp_sessions and web_sessions",
                 (unsigned long long)most, (unsigned long long)l.rlim_max);
}

/* Keys and mail in flight are locked in memory as far as the limit lets (server/core/secmem.h); roles inherit it. */
static void raise_lock(const struct config *c)
{
    struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};
    struct sysinfo about;

    if (setrlimit(RLIMIT_MEMLOCK, &l) == 0 || getrlimit(RLIMIT_MEMLOCK, &l) != 0)
        return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &l);
    if (l.rlim_max < c->plaintext_budget && sysinfo(&about) == 0 && about.totalswap > 0)
        log_warn(
            "of mail in flight a process can lock %llu bytes in memory, and more of it could be swapped out; raise "
            "LimitMEMLOCK, or have no swap",
            (unsigned long long)l.rlim_max);
}

void limits_raise(const struct config *c)
{
    raise_files(c);
    raise_lock(c);
}
