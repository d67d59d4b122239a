/* A mail judged, with one answer to every question. */
#ifndef TESTS_DKIM_JUDGE_H
#define TESTS_DKIM_JUDGE_H

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/dkim_verify.h"
#include "server/mailauth/whole_header.h"
#include "tests/support/dkim_forge.h"

enum { JUDGE_NOW = 1800000000, JUDGE_RECORDS_MAX = 200 };

/* The records of a name: how many; -1: DNS cannot tell. */
typedef int judge_fn(const char *name, const struct slice **ret);

static inline void judge_answer(struct records *r, const struct records_question *q, const struct slice *v, int n)
{
    static struct records_value values[JUDGE_RECORDS_MAX];
    struct records_answer a = {.err = n < 0 ? ERR_AGAIN : OK, .exists = n > 0, .n = n > 0 ? (size_t)n : 0, .v = values};

    for (int i = 0; i < n; i++)
        values[i] = (struct records_value){.name = "", .data = v[i]};
    records_put(r, q, &a);
}

static bool judge_spares; /* as the server judges: dkim_check_spare */

/* NULL: it cannot be made. */
static inline struct dkim_check *judge_check(const struct iovec *pieces, size_t n)
{
    struct whole_header h;
    struct dkim_check *c = NULL;
    const int err = whole_header_read(&h, pieces, n);

    if (err != ERR_MEMORY)
        (void)dkim_check_create(err == OK ? &h.view : NULL, pieces, n, JUDGE_NOW, &c);
    whole_header_free(&h);
    return c;
}

/* In two pieces. */
static inline void judge_with(const void *mail, size_t len, size_t cut, judge_fn *fn, struct dkim_verdicts *ret)
{
    const struct iovec pieces[] = {{(void *)mail, cut}, {(char *)mail + cut, len - cut}};
    const struct records_question *q;
    struct records *r = records_create();
    struct dkim_check *c = judge_check(pieces, 2);
    const struct slice *v;

    if (!r || !c)
        abort();
    if (judge_spares)
        dkim_check_spare(c);
    if (dkim_check_judge(c, r, ret) == ERR_AGAIN) {
        while ((q = records_take(r))) {
            if (q->type != RECORDS_TXT)
                abort();
            int n = fn(q->name, &v);
            judge_answer(r, q, v, n);
        }
        if (dkim_check_judge(c, r, ret) != OK)
            abort();
    }
    dkim_check_destroy(c);
    records_destroy(r);
}

/* One answer to every question. */
struct judge_answers {
    const struct slice *v;
    int n;
};
static struct judge_answers judge_answers;

static inline int judge_same(const char *name, const struct slice **ret)
{
    (void)name;
    *ret = judge_answers.v;
    return judge_answers.n;
}

static inline void judge_by(const void *mail, size_t len, size_t cut, const struct slice *records, int n,
                            struct dkim_verdicts *ret)
{
    judge_answers = (struct judge_answers){records, n};
    judge_with(mail, len, cut, judge_same, ret);
}

static inline void judge(const struct buf *mail, struct dkim_verdicts *ret)
{
    const struct slice record = slice_str(FORGE_RECORD);

    judge_by(mail->data, mail->len, 0, &record, 1, ret);
}

#endif
