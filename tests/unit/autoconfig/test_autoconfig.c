/* What Outlook posts, and what others post as if they were; and that no address breaks a form that it stands in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/error.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))
#define HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
#define OPEN \
    "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request>"
#define CLOSE "</Request></Autodiscover>"
#define SCHEMA                                                                                                  \
    "<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a" \
    "</AcceptableResponseSchema>"

static void requests(void **state)
{
    static const struct {
        const char *text, *address; /* address NULL: err */
        int err;
    } rows[] = {
        {HEAD OPEN "<EMailAddress>ann@example.org</EMailAddress>" SCHEMA CLOSE, "ann@example.org", 0},
        {HEAD OPEN SCHEMA "<EMailAddress>ann@example.org</EMailAddress>" CLOSE, "ann@example.org", 0},
        {OPEN "<EMailAddress>a&amp;b@example.org</EMailAddress>" CLOSE, "a&b@example.org", 0},
        {OPEN "<EMailAddress><![CDATA[a<b]]>@x</EMailAddress>" CLOSE, "a<b@x", 0},
        {OPEN "<EMailAddress>j\xc3\xb6rg@example.org</EMailAddress>" CLOSE, "j\xc3\xb6rg@example.org", 0},
        {OPEN "<EMailAddress>first@x</EMailAddress><EMailAddress>second@x</EMailAddress>" CLOSE, "first@x", 0},
        {OPEN "<EMailAddress></EMailAddress>" CLOSE, "", 0},
        {OPEN "<EMailAddress>\r\n \t ann@example.org\n</EMailAddress>" CLOSE, "ann@example.org", 0},
        {OPEN "<EMailAddress> \n </EMailAddress>" CLOSE, "", 0},
        {"<a:Autodiscover xmlns:a=\"x\"><a:EMailAddress>ann@example.org</a:EMailAddress></a:Autodiscover>",
         "ann@example.org", 0},
        {OPEN SCHEMA CLOSE, NULL, ERR_NOT_FOUND},
        {OPEN "<emailaddress>ann@example.org</emailaddress>" CLOSE, NULL, ERR_NOT_FOUND},
        {OPEN "<LegacyDN>/o=x</LegacyDN>" CLOSE, NULL, ERR_NOT_FOUND},
        {OPEN "<EMailAddress>ann@<b/>example.org</EMailAddress>" CLOSE, NULL, ERR_NOT_FOUND},
        {"", NULL, ERR_FORMAT},
        {"EMailAddress=ann@example.org", NULL, ERR_FORMAT},
        {OPEN "<EMailAddress>ann@example.org</EMailAddress>", NULL, ERR_FORMAT},
        {OPEN "<EMailAddress>ann@example.org</EMailAddress>" CLOSE "<a/>", NULL, ERR_FORMAT},
        {OPEN "<EMailAddress>\xff@x</EMailAddress>" CLOSE, NULL, ERR_FORMAT},
        {OPEN "<EMailAddress>&#0;@x</EMailAddress>" CLOSE, NULL, ERR_FORMAT},
        {OPEN "<EMailAddress>&nope;@x</EMailAddress>" CLOSE, NULL, ERR_FORMAT},
        {"<!DOCTYPE a>" OPEN "<EMailAddress>ann@example.org</EMailAddress>" CLOSE, NULL, ERR_FORMAT},
        {"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" OPEN "<EMailAddress>&x;</EMailAddress>" CLOSE, NULL,
         ERR_FORMAT},
        {"<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
         "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]>" OPEN "<EMailAddress>&c;</EMailAddress>" CLOSE,
         NULL, ERR_FORMAT},
        {"<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>", NULL, ERR_LIMIT},
    };
    char address[64];
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        int err = autoconfig_read_autodiscover(slice_str(rows[i].text), address, sizeof(address));
        if (err != (rows[i].address ? OK : rows[i].err))
            fail_msg("%s: %d", rows[i].text, err);
        if (rows[i].address)
            assert_string_equal(address, rows[i].address);
    }
}

/* Room for cap - 1 octets, however they come in pieces. */
static void long_address(void **state)
{
    char text[1024], address[64];
    (void)state;
    for (size_t len = 60; len < 70; len++) {
        strcpy(text, OPEN "<EMailAddress>");
        memset(text + strlen(text), 'a', len - 1);
        text[strlen(OPEN "<EMailAddress>") + len - 1] = '\0';
        strcat(text, "&amp;</EMailAddress>" CLOSE);
        assert_int_equal(autoconfig_read_autodiscover(slice_str(text), address, sizeof(address)),
                         len < sizeof(address) ? OK : ERR_LIMIT);
        memset(text, 0, sizeof(text));
    }
}

/* The longest names and addresses there are, made of what XML must escape. */
static void largest(void **state)
{
    char host[256], address[320], out[AUTOCONFIG_CAP];
    struct autoconfig a = {
        .host = host, .domain = host, .address = address, .imaps = 65535, .imap = 65535, .submission = 65535};
    (void)state;
    a.submissions = 65535;
    memset(host, 'h', sizeof(host));
    host[255] = '\0';
    memset(address, '&', sizeof(address));
    address[319] = '\0';
    for (int f = 0; f < AUTOCONFIG_FORMS; f++) {
        size_t len = autoconfig_write(&a, (enum autoconfig_form)f, out);
        assert_in_range(len, 1, sizeof(out) - 1);
        assert_non_null(autoconfig_type((enum autoconfig_form)f));
        out[len] = '\0';
        if (f != AUTOCONFIG_TEXT) /* a bare one is no XML */
            assert_null(strstr(out, "&&"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(long_address),
                                       cmocka_unit_test(largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
