#include "server/core/print.h"

#include <stdarg.h>
#include <stdio.h>

void print_put(struct print *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int len = vsnprintf(t->at, t->left, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= t->left) {
        t->left = 0;
        return;
    }
    t->at += len;
    t->left -= (size_t)len;
}
