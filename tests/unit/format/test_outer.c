/* The gate's look at outer headers: what it must let through and what it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/format/protection.h"
#include "server/core/error.h"
#include "server/format/outer.h"
#include "store/schema.h"

#define D "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\n"
#define S "Subject: [...]\r\n"
#define B "Sealed-By: mail.example.org; v=1\r\n"
enum { SEALED = MESSAGE_SERVER_SEALED, FOREIGN = MESSAGE_FOREIGN };
#define P64 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

static const struct {
    int ok;
    uint8_t kind, policy;
    const char *text;
} table[] = {
    {1, SEALED, POLICY_SHY, D S B},
    {1, SEALED, POLICY_SHY,
     D "From: a@b.c\r\nTo: a@b, \"x y\"@[1.2.3.4],\r\n \xc3\xa4@\xc3\xb6.org\r\n" S
       "Message-ID: <a@b>\r\nReferences: <a@b>\r\n <c@d>\r\n" B},
    {1, SEALED, POLICY_SHY, D "From: unreadable@unreadable.invalid\r\n" S B},
    {1, SEALED, POLICY_SHY, D "From: \"a@b, c\" <unreadable@unreadable.invalid>,\r\n a@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a b <unreadable@unreadable.invalid>\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \"a@b\" <a@unreadable.invalid>\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \"a\r\n b\" <unreadable@unreadable.invalid>\r\n" S B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nFrom: unreadable@unreadable.invalid\r\n" S B},
    {0, SEALED, POLICY_SHY, ""},
    {0, SEALED, POLICY_SHY, D S},
    {0, SEALED, POLICY_SHY, D B},
    {0, SEALED, POLICY_SHY, S B},
    {0, SEALED, POLICY_SHY, D S B "\r\n"},
    {0, SEALED, POLICY_SHY, D S B "\r\nbody\r\n"},
    {0, SEALED, POLICY_SHY, "\r\n" D S B},
    {0, SEALED, POLICY_SHY, D S "Sealed-By: mail.example.org; v=1"},
    {0, SEALED, POLICY_SHY, D S "Sealed-By: mail.example.org; v=1\n"},
    {0, SEALED, POLICY_SHY, D "Subject: [...]\n" B},
    {0, SEALED, POLICY_SHY, D "Subject: [...]\r" B},
    {0, SEALED, POLICY_SHY, D S S B},
    {0, SEALED, POLICY_SHY, D "Subject: [...] \r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject:  [...]\r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject:[...]\r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject: [...]\r\n hello\r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject: hello\r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject: [..]\r\n" B},
    {0, SEALED, POLICY_SHY, D "subject: [...]\r\n" B},
    {0, SEALED, POLICY_SHY, D "Subject : [...]\r\n" B},
    {0, SEALED, POLICY_SHY, D S B "X-Mailer: x\r\n"},
    {0, SEALED, POLICY_SHY, D S B "Bcc: a@b\r\n"},
    {0, SEALED, POLICY_SHY, " x\r\n" D S B},
    {0, SEALED, POLICY_SHY, D S B "MIME-Version: 1.0\r\n"},
    {0, SEALED, POLICY_SHY, D S "Sealed-By: mail.example.org; v=2\r\n"},
    {0, SEALED, POLICY_SHY, D S "Sealed-By: mail example; v=1\r\n"},
    {0, SEALED, POLICY_SHY, D S "Sealed-By: ; v=1\r\n"},
    {0, SEALED, POLICY_SHY, D "From: A <a@b>\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: <a@b>\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b (c)\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b,c@d\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b, \r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b,\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b,\r\n \r\n c@d\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b,  c@d\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: g: a@b;\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: @b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@b.\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a..b@c\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \"a@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \"a\"b@c\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \xe4@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \xc3@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \xed\xa0\x80@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \xc0\xaf@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a\xc2\x85@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a\x7f@b\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: a@[1.2\r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \r\n" S B},
    {0, SEALED, POLICY_SHY, D "From: \r\n a@b\r\n" S B},
    {0, SEALED, POLICY_SHY, "Date: Tue, 1 Jul 2003 08:52:37 +0000\r\n" S B},
    {0, SEALED, POLICY_SHY, "Date: Mon, 01 Jul 2003 08:52:37 +0000\r\n" S B},
    {0, SEALED, POLICY_SHY, "Date: Tue, 01 Jul 2003 08:52:37 +0200\r\n" S B},
    {0, SEALED, POLICY_SHY, "Date: hello\r\n" S B},
    {0, SEALED, POLICY_SHY, D S "Message-ID: <a@b> <c@d>\r\n" B},
    {0, SEALED, POLICY_SHY, D S "Message-ID: a@b\r\n" B},
    {0, SEALED, POLICY_SHY, D S "Message-ID: <a b@c>\r\n" B},
    {0, SEALED, POLICY_SHY, D S "Message-ID: <ab>\r\n" B},
    {0, SEALED, POLICY_SHY, D S "References: <a@b><c@d>\r\n" B},
    {0, SEALED, POLICY_SHY, D S "References: <a@b> text\r\n" B},
    {0, SEALED, POLICY_SHY, D S "References: text <a@b>\r\n" B},
    {0, SEALED, POLICY_SHY, D S "References: <a@b>\r\n \r\n" B},
    {1, SEALED, POLICY_BASELINE,
     "Date: 1 Jul 03 08:52 EST (x)\r\nFrom: \"A, \xc3\xa4\" <a@b> (c)\r\nTo: g: A B. C <a@b>, c@d;, e@f\r\nCc: "
     "undisclosed:;\r\n" S B},
    {1, SEALED, POLICY_BASELINE, D S B "Bcc: A <a@b>, c@d\r\n"},
    {0, SEALED, POLICY_BASELINE, D S B "Bcc: A, B <a@b>\r\n"},
    {0, SEALED, POLICY_BASELINE, D S B "Bcc: a@b\r\nBcc: a@b\r\n"},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\n" S B "Bcc: a@b\r\n"},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\n" S B "Bcc: hidden@hidden.invalid\r\n"},
    {0, SEALED, POLICY_BASELINE, D "From: A, B <a@b>\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: A <a@b> trailing\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: A <a@b\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: g: h: a@b;;\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: g: a@b\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: (c\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: \xff <a@b>\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: secret words\r\n" S B},
    {0, SEALED, POLICY_BASELINE, D "From: a@b\r\nSubject: x\r\n" B},
    {0, SEALED, POLICY_BASELINE, "Date: now\r\n" S B},
    {1, SEALED, POLICY_HIDDEN,
     "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nFrom: hidden@hidden.invalid\r\nTo: hidden@hidden.invalid\r\n" S
     "Message-ID: <p1." P64 "@x.org>\r\n" B},
    {0, SEALED, POLICY_HIDDEN, D S B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nFrom: a@x.org\r\n" S B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\n" S "Message-ID: <a@b>\r\n" B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\n" S "References: <p1." P64 "@x> <a@b>\r\n" B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nCc: hidden@hidden.invalid\r\n" S B},
    {0, SEALED, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nFrom: hidden@hidden.invalid, a@b\r\n" S B},
    {1, FOREIGN, POLICY_SHY, D "Subject: as sent\r\n \xc3\xa4\r\n"},
    {1, FOREIGN, POLICY_BASELINE, D},
    {0, FOREIGN, POLICY_SHY, D S B},
    {0, FOREIGN, POLICY_SHY, D "Subject: \xe4\r\n"},
    {0, FOREIGN, POLICY_HIDDEN, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nSubject: as sent\r\n"},
    {0, FOREIGN, POLICY_SHY, D "Subject: a\x1b[2J\r\n"},
    {0, 0, POLICY_SHY, D S B},
    {0, 4, POLICY_SHY, D S B},
    {0, SEALED, 3, D S B},
};

static void the_table(void **state)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *why = NULL;
        int err =
            outer_check((const uint8_t *)table[i].text, strlen(table[i].text), table[i].kind, table[i].policy, &why);
        if (err != (table[i].ok ? OK : ERR_REFUSED) || (err != OK && !why))
            fail_msg("row %zu: %d (%s) for\n%s", i, err, why ? why : "", table[i].text);
    }
}

static void lengths_and_nuls(void **state)
{
    static char big[OUTER_MAX + 200];
    const char *why;
    size_t n = (size_t)sprintf(big, D S B "To: a@");
    memset(big + n, 'x', 250);
    memcpy(big + n + 250, "\r\n", 3);
    assert_int_equal(outer_check((uint8_t *)big, n + 252, SEALED, POLICY_SHY, &why), OK);
    big[n + 5] = '\0';
    assert_int_equal(outer_check((uint8_t *)big, n + 252, SEALED, POLICY_SHY, &why), ERR_REFUSED);
    n = (size_t)sprintf(big, D "Subject: "); /* 998 octets a line, no more */
    memset(big + n, 'x', 1000);
    memcpy(big + n + 989, "\r\n", 2);
    assert_int_equal(outer_check((uint8_t *)big, n + 991, FOREIGN, POLICY_SHY, &why), OK);
    memcpy(big + n + 989, "x\r\n", 3);
    assert_int_equal(outer_check((uint8_t *)big, n + 992, FOREIGN, POLICY_SHY, &why), ERR_REFUSED);
    n = (size_t)sprintf(big, D "Subject: x\r\n");
    size_t start = n - 3;
    while (n < OUTER_MAX + 10)
        n += (size_t)sprintf(big + n, " xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    assert_true(start < n);
    assert_int_equal(outer_check((uint8_t *)big, n, FOREIGN, POLICY_SHY, &why), ERR_REFUSED);
}

/* Cut or struck anywhere, a good header is refused or still holds nothing but what its grammar lets through. */
static void every_cut(void **state)
{
    const char *good = table[1].text, *why;
    for (size_t i = 0; i < strlen(good); i++) {
        uint8_t *copy = malloc(i + 1);
        memcpy(copy, good, i);
        assert_int_equal(outer_check(copy, i, SEALED, POLICY_SHY, &why), ERR_REFUSED);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table), cmocka_unit_test(lengths_and_nuls),
                                       cmocka_unit_test(every_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
