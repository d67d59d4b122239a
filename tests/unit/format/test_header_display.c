/* The legacy display: what is hidden outside stands as text in a part of its own, and the mail comes back to the octet
 * (property_check sees to that on every mail here, and in test_header_protection.c on every nasty one). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/protect_property.h"

static char text[1 << 20];

static void display(const char *mail, enum header_policy policy)
{
    char why[256] = "", outer[OUTER_MAX + 1];
    uint8_t *payload = NULL;
    size_t n = 0;
    policy = (enum header_policy)(policy | POLICY_DISPLAY);
    if (property_check((const uint8_t *)mail, strlen(mail), policy, 7, why, &payload, &n, outer))
        fail_msg("%s", why);
    memcpy(text, payload, n);
    text[n] = '\0';
    free(payload);
}

#define assert_has(what)                               \
    do {                                               \
        if (!strstr(text, what))                       \
            fail_msg("no \"%s\" in:\n%s", what, text); \
    } while (0)
#define assert_not(what)                            \
    do {                                            \
        if (strstr(text, what))                     \
            fail_msg("\"%s\" in:\n%s", what, text); \
    } while (0)
#define FIRST                                                                        \
    "Content-Type: text/rfc822-headers; charset=utf-8; protected-headers=\"v1\"\r\n" \
    "Content-Transfer-Encoding: 8bit\r\nContent-Disposition: inline\r\n\r\n"

/* The boundary stands in the top field, before both parts and behind them. */
static void is_wrapped(void)
{
    char boundary[64], line[80];
    const char *type = strstr(text, "\nContent-Type: multipart/mixed; boundary=\"");
    assert_non_null(type);
    assert_int_equal(sscanf(type, "\nContent-Type: multipart/mixed; boundary=\"%63[^\"]\";", boundary), 1);
    assert_has("\";\r\n\thp=\"cipher\"; protected-headers=\"v1\"\r\n");
    snprintf(line, sizeof(line), "\r\n--%s\r\n", boundary);
    const char *one = strstr(text, line), *two = one ? strstr(one + 1, line) : NULL;
    assert_non_null(two);
    assert_null(strstr(two + 1, line));
    snprintf(line, sizeof(line), "\r\n--%s--\r\n", boundary);
    assert_string_equal(text + strlen(text) - strlen(line), line);
}

static void the_subject_is_text(void **state)
{
    display("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tzwei\r\nFrom: A <a@b>\r\n"
            "Content-Type: text/html; charset=utf-8\r\ncontent-transfer-encoding: base64\r\n"
            "Content-Language: de\r\n\r\nPHA+\r\n",
            POLICY_SHY);
    is_wrapped();
    assert_has(FIRST "Subject: Gr\xc3\xbc\xc3\x9f"
                     "e zwei\r\n\r\n--");
    assert_has("\r\nContent-Type: text/html;\r\n\tcharset=utf-8\r\ncontent-transfer-encoding: base64\r\n"
               "Content-Language: de\r\n\r\nPHA+\r\n");
    assert_has("\r\nLetterlock-Original-content-transfer-encoding: base64\r\n");
    assert_not("\r\nFrom: A <a@b>\r\n\r\n--"); /* under shy it stands outside */
}

static void what_hidden_hides_is_text(void **state)
{
    display("From: A <a@b>\r\nTo: c@d\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\nSubject: s\r\n\r\nx", POLICY_HIDDEN);
    is_wrapped();
    assert_has(FIRST "Subject: s\r\nFrom: A <a@b>\r\nTo: c@d\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\n\r\n--");
    assert_has("\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nx\r\n--");
}

/* A name is text, also one that decodes to an address, to another name's end or to a line of its own. */
static void a_name_makes_no_address(void **state)
{
    display("From: =?utf-8?q?Boss_=3Cboss=40corp=2Eexample=3E=2C?= <e@vil.example>\r\n"
            "To: =?utf-8?q?a=22_=3Cc=40d=3E=2C_=22b?= <e@f>, =?utf-8?q?=22_=3Cc=40d=3E=2C_?= <n@o>,"
            " g: =?iso-8859-1?q?=E4?= <h@i>;\r\n"
            "Cc: =?utf-8?q?a=0D=0AFrom=3A_b=0D=0A=0D=0A--c?= <k@l>, =?utf-8?q?=E2=82?= <m@n>\r\n\r\nx",
            POLICY_HIDDEN);
    is_wrapped();
    assert_has(FIRST "From: \"Boss <boss@corp.example>,\" <e@vil.example>\r\n");
    assert_has("\r\nTo: \"a\\\" <c@d>, \\\"b\" <e@f>, \"\\\" <c@d>,\" <n@o>, g: \xc3\xa4 <h@i>;\r\n");
    assert_not("\r\nFrom: b");
    assert_not("\r\n--c\""); /* a boundary may begin with c */
    display("From: =?utf-8?q?Boss_=3Cboss=40corp=2Eexample=3E?=\r\nTo: (=?utf-8?q?a=40b,_c?= <@\r\n\r\nx",
            POLICY_HIDDEN); /* no addresses at all */
    assert_not("Boss <boss");
    assert_has("\r\nTo: \"(a@b, c <@\"\r\n");
}

static void what_is_signed_stays_whole(void **state)
{
    static const char body[] = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
                               "--b\r\nContent-Type: application/pgp-signature\r\n\r\ny\r\n--b--\r\n";
    char mail[512];
    snprintf(mail, sizeof(mail),
             "Subject: s\r\nContent-Type: multipart/signed; hp=clear;\r\n"
             " protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n%s",
             body);
    display(mail, POLICY_SHY);
    is_wrapped();
    assert_has(body);
    assert_has("\r\nContent-Type: multipart/signed;\r\n\tprotocol=\"application/pgp-signature\";\r\n"
               "\tboundary=b\r\n\r\n"
               "--b\r\n");
}

static void odd_mails(void **state)
{
    display("Subject: s\r\n\r\n", POLICY_SHY); /* an empty body */
    is_wrapped();
    display("Subject: s\r\n", POLICY_SHY); /* none */
    is_wrapped();
    display("Subject: s\r\nContent-Type: text/html; charset=\"x\r\n\r\n\xc3\xa4", POLICY_SHY);
    is_wrapped();
    assert_has("\r\nContent-Type: text/html;\r\n\tcharset=\"x\"\r\n\r\n\xc3\xa4\r\n--");
    display("Subject: s\r\nContent-Type: ;\r\n\r\n\xc3\xa4", POLICY_SHY);
    assert_has("\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa4\r\n--");
    display("Subject: s\r\nContent-Transfer-Encoding : base64\r\n\r\neA==", POLICY_SHY);
    assert_has("\r\nContent-Transfer-Encoding: base64\r\n");
    display("Subject: a\x1b[2Jb\r\n\r\nx", POLICY_SHY); /* no control reaches the text */
    assert_has(FIRST "Subject: a [2Jb\r\n");
    /* Nothing is hidden; a line that is no field; a header that is cut off: without. */
    display("From: a@b\r\n\r\nx", POLICY_SHY);
    assert_not("multipart/mixed");
    display("Subject: s\r\nno field\r\n\r\nx", POLICY_SHY);
    assert_not("multipart/mixed");
    display("Subject: s", POLICY_SHY);
    assert_not("multipart/mixed");
}

/* A header that would be copied at length: the mail goes without, and whole. */
static void long_descriptions(void **state)
{
    static char mail[200 * 1024];
    size_t n = (size_t)sprintf(mail, "Subject: s\r\n");
    for (int i = 0; i < 20; i++)
        n += (size_t)sprintf(mail + n, "Content-X%d: %03000d\r\n", i, i);
    size_t fits = n;
    for (int i = 20; i < 23; i++)
        n += (size_t)sprintf(mail + n, "Content-X%d: %03000d\r\n", i, i);
    strcpy(mail + n, "\r\nbody");
    display(mail, POLICY_SHY);
    assert_not("multipart/mixed");
    strcpy(mail + fits, "\r\nbody");
    display(mail, POLICY_SHY);
    is_wrapped();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subject_is_text),
        cmocka_unit_test(what_hidden_hides_is_text),
        cmocka_unit_test(a_name_makes_no_address),
        cmocka_unit_test(what_is_signed_stays_whole),
        cmocka_unit_test(odd_mails),
        cmocka_unit_test(long_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
