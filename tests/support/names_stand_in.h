/* In place of the resolver's client: names that the test gives. A question is answered by the row of its type and name,
 * in the next turn of `loop`; without a row there is no such name. */
#ifndef TESTS_SUPPORT_NAMES_STAND_IN_H
#define TESTS_SUPPORT_NAMES_STAND_IN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/loop.h"
#include "server/core/error.h"
#include "server/dns/dns.h"

struct row {
    enum dns_type type;
    const char *name;
    int err;
    struct dns_answer a;
};
static const struct row *rows;
static size_t nrows;

struct dns_question {
    struct defer later;
    struct loop *loop;
    dns_fn *fn;
    void *arg;
    enum dns_type type;
    char name[256];
};
static struct loop *loop;
static unsigned asked, cancelled;

static void answer(void *arg)
{
    static const struct dns_answer nothing = {.exists = false};
    struct dns_question *q = arg;
    const struct row *row = NULL;

    for (size_t i = 0; i < nrows; i++)
        if (rows[i].type == q->type && strcmp(rows[i].name, q->name) == 0)
            row = &rows[i];
    q->fn(q->arg, row ? row->err : OK, row ? &row->a : &nothing);
    free(q);
}

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    struct dns_question *q = calloc(1, sizeof(*q));

    assert_non_null(q);
    *q = (struct dns_question){.loop = loop, .fn = fn, .arg = arg, .type = type};
    snprintf(q->name, sizeof(q->name), "%s", name);
    defer_set(loop, &q->later, answer, q);
    asked++;
    *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    defer_cancel(loop, &q->later);
    cancelled++;
    free(q);
}

#endif
