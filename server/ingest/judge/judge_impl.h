/* Between the files of judge.h. */
#ifndef INGEST_JUDGE_JUDGE_IMPL_H
#define INGEST_JUDGE_JUDGE_IMPL_H

#include <sys/queue.h>

#include "server/base/prefix.h"
#include "server/ingest/judge/judge.h"

enum { JUDGE_EXEMPT_MAX = 256 };

/* What the configuration says. */
struct judge_rules {
    bool reject, junk, author_reject, spf_reject, helo_reject;
    bool defer_unknown; /* nobody can tell what the author's domain asks for */
    char trusted[512];  /* whose ARC seals are believed: names with commas between them */
    struct prefix exempt[JUDGE_EXEMPT_MAX];
    size_t exempts;
    struct {
        char zone[RECORDS_NAME_CAP];
        uint32_t weight;
    } list[CONFIG_WEIGHED_MAX];
    size_t lists;
};

struct judge {
    struct loop *loop;
    struct answers *answers;
    struct judge_rules rules;
    char domain[256];
    LIST_HEAD(, judging) waiting; /* whose message is whole */
    size_t octets;                /* of answers that messages have */
    bool stopping;
};

/* What follows: action, why and warnings, of the verdict. */
void judge_decide(const struct judge_rules *r, struct judge_result *ret);

#endif
