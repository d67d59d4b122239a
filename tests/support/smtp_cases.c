#include "tests/support/smtp_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

void smtp_case_check(const struct script *c, const struct smtp_params *p)
{
    for (size_t cut = 0; cut <= c->len; cut++) {
        struct harness h;
        harness_init(&h, p);
        harness_run(&h, c->text, c->len, cut);
        if (strcmp((char *)h.log.data, c->want) != 0)
            fprintf(stderr, "case %s\ncut at %zu\n", c->text, cut);
        assert_string_equal((char *)h.log.data, c->want);
        harness_free(&h);
    }
}

void smtp_cases_check(const struct script *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        smtp_case_check(&cases[i], &harness_params);
}
