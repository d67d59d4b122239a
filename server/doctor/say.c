/* What a check has found, told. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/doctor/impl.h"

const char *doctor_state_name(enum doctor_state s)
{
    static const char *const names[DOCTOR_STATES] = {
        [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail", [DOCTOR_UNKNOWN] = "unknown"};

    return names[s];
}

/* Much of it is the words of others. */
static void say(struct doctor *d, enum doctor_state s, const char *want, const char *remedy, char *found)
{
    char wanted[DOCTOR_TEXT_MAX], what[DOCTOR_TEXT_MAX];
    const struct doctor_finding f = {d->id, s, found, wanted, what};

    snprintf(wanted, sizeof(wanted), "%s", want);
    snprintf(what, sizeof(what), "%s", remedy);
    utf8_tame(found, strlen(found));
    utf8_tame(wanted, strlen(wanted));
    utf8_tame(what, strlen(what));
    d->fn(d->arg, &f);
}

void doctor_say(struct doctor *d, enum doctor_state s, const char *want, const char *remedy, const char *fmt, ...)
{
    char found[DOCTOR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(found, sizeof(found), fmt, ap);
    va_end(ap);
    say(d, s, want, remedy, found);
}

void doctor_say_record(struct doctor *d, enum doctor_state s, enum zone_record want, const char *remedy,
                       const char *fmt, ...)
{
    char found[DOCTOR_TEXT_MAX], record[ZONE_RECORD_CAP];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(found, sizeof(found), fmt, ap);
    va_end(ap);
    zone_record_write(&d->zone, want, record);
    say(d, s, record, remedy, found);
}
