/* How commands get into the output, and how it all ends. */
#include <stdarg.h>
#include <stdio.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/proto/smtp_client_impl.h"

enum { COMMAND_MAX = 8192 };

void smtp_client_end(struct smtp_client *c, enum smtp_client_fault fault)
{
    if (c->phase == CLIENT_OVER)
        return;
    /* What came in place of a reply says nothing of the content. */
    c->doubt = c->phase == CLIENT_END && c->out.len == 0 && fault != SMTP_CLIENT_FAULT_REFUSED;
    c->phase = CLIENT_OVER;
    c->fault = fault;
    buf_free(&c->out); /* what was not taken yet is for nobody */
}

void smtp_client_put(struct smtp_client *c, const char *fmt, ...)
{
    uint8_t *tail;
    va_list ap;
    int n;

    if (c->phase == CLIENT_OVER)
        return;
    if (buf_reserve(&c->out, COMMAND_MAX, &tail) != OK) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_MEMORY);
        return;
    }
    va_start(ap, fmt);
    n = vsnprintf((char *)tail, COMMAND_MAX, fmt, ap);
    va_end(ap);
    bug_if(n < 0 || n >= COMMAND_MAX); /* all that goes into one is checked before */
    buf_commit(&c->out, (size_t)n);
    c->put++;
}
