/* Cases of the SMTP engine: a script and what it gives. Every case runs whole, octet by octet and cut in two at every
 * octet; all must give the same. */
#ifndef TESTS_SUPPORT_SMTP_CASES_H
#define TESTS_SUPPORT_SMTP_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/support/smtp_harness.h"

#define HELLO "EHLO c\r\n"
#define HELLO_OK                                                                                         \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n" \
    "250 ENHANCEDSTATUSCODES\r\n"
#define TO_B "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"
#define TO_B_OK "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\n250 2.1.5 OK\r\n"
#define OPEN HELLO TO_B "DATA\r\n"
#define OPEN_OK HELLO_OK TO_B_OK "BEGIN\n354 End with a line of one dot\r\n"
#define CLOSED_OK "221 2.0.0 Bye\r\nCLOSE\n"
#define BARE "FAILED 1\n554 5.6.0 Message holds a CR or LF by itself; lines must end in CRLF\r\nRESET\n"
#define LONG "FAILED 2\n554 5.6.0 Message holds a line that is too long\r\nRESET\n"
#define BIG "FAILED 3\n552 5.3.4 Message is larger than this server takes\r\nRESET\n"
#define NO_MAIL "503 5.5.1 MAIL first\r\n"

struct script {
    const char *text;
    size_t len;
    const char *want;
};
#define CASE(text, want)             \
    {                                \
        text, sizeof(text) - 1, want \
    }

void smtp_case_check(const struct script *c, const struct smtp_params *p);
void smtp_cases_check(const struct script *cases, size_t n);
#define CHECK_ALL(cases) smtp_cases_check(cases, sizeof(cases) / sizeof(cases[0]))

#endif
