/* Address lists of header fields: what real mail has, and what the outer header may have; message ids likewise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

#include "server/mail/address.h"
#include "server/mail/message_id.h"

struct text {
    char s[512];
    size_t len;
};

static int put(void *arg, const char *address, size_t len)
{
    struct text *t = arg;
    t->len += (size_t)snprintf(t->s + t->len, sizeof(t->s) - t->len, "%.*s|", (int)len, address);
    return 0;
}

static int put_address(void *arg, const struct address_item *item)
{
    char spec[ADDRESS_CANONICAL_MAX], none[ADDRESS_UNREADABLE_MAX];
    size_t n = address_canonical(item, spec), m = address_unreadable(item, none);
    assert_true(m <= sizeof(none) && address_bare_list_valid((const uint8_t *)none, m));
    return n ? put(arg, spec, n) : 0;
}

/* The same with what is no address. */
static int put_item(void *arg, const struct address_item *item)
{
    char spec[ADDRESS_CANONICAL_MAX], none[ADDRESS_UNREADABLE_MAX];
    size_t n = address_canonical(item, spec);
    return n ? put(arg, spec, n) : put(arg, none, address_unreadable(item, none));
}

static void addresses_of_real_mail(void **state)
{
    static const struct {
        const char *in, *out;
    } t[] = {
        {"a@b", "a@b|"},
        {"Anna <a@b>, c@d", "a@b|c@d|"},
        {"\"Doe, J.\" <j@x>", "j@x|"},
        {"John Q. Public <j@x>", "j@x|"},
        {"team: a@b, c@d;, e@f", "a@b|c@d|e@f|"},
        {"undisclosed-recipients:;", ""},
        {"a@b (c (nested) \\) d), e@f", "a@b|e@f|"},
        {"<@r1,@r2:a@b>", "a@b|"}, /* section 4.4 */
        {"a . b @ c . d", "a.b@c.d|"},
        {"\"a\".b@c", "a.b@c|"},
        {"\"a b\"@c", "\"a b\"@c|"},
        {"\"\"@c", "\"\"@c|"},
        {"a@[192.0.2.1], b@[x:y]", "a@[192.0.2.1]|b@[x:y]|"},
        {"<a@[1.@b>,2]>, c@d", "a@[1.@b>,2]|c@d|"},
        {"<a@[1, c@d", ""},
        {"<[a@b>, c@d", "c@d|"},
        {"<unclosed@x, y@z", ""},
        {"a b@c, d@e", "d@e|"}, /* two words are no local part */
        {"a@b@c", ""},
        {"@b, <>, <@b>, a@, d@e", "d@e|"},
        {"x <a@b> junk, c@d", "a@b|c@d|"},
        {"x <a@b> (y@z), c@d", "a@b|c@d|"},
        {"x <a@b> <y@z>, c@d", "c@d|"}, /* which of the two? */
        {"<a@b> y@z, c@d", "c@d|"},
        {"a@b; c@d", "a@b|c@d|"},
        {"(never closed a@b", ""},
        {"\"never closed a@b", ""},
        {"a@b\r\n\t,c@d", "a@b|c@d|"},
        {"\xc3\xa4@\xc3\xb6.x", "\xc3\xa4@\xc3\xb6.x|"},
        {"a\xc2\x9b@b, \xe4@b, c@d", "c@d|"},
        {"a\x1b@b, c@d", "c@d|"},
        {",,;,", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct text got = {.len = 0};
        size_t len = strlen(t[i].in);
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, t[i].in, len);
        address_each(exact, len, put_address, &got);
        if (strcmp(got.s, t[i].out) != 0)
            fail_msg("%s: %s", t[i].in, got.s);
        for (size_t cut = 0; cut < len; cut++) { /* the sanitizer guards the end */
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, exact, cut);
            address_each(part, cut, put_address, &(struct text){.len = 0});
            address_list_valid(part, cut);
            address_bare_list_valid(part, cut);
            free(part);
        }
        free(exact);
    }
}

/* What is no address is shown as that, and never as another address. */
static void what_is_no_address(void **state)
{
#define NONE(what) "\"" what "\" <" ADDRESS_UNREADABLE ">|"
    static const struct {
        const char *in, *out;
    } t[] = {
        {"Bank <security@pay pal.com>", NONE("security@pay pal.com")},
        {"Bank <security@pay(x)pal.com>", NONE("security@pay(x)pal.com")},
        {"Bank <security@pay\r\n pal.com>", NONE("security@pay pal.com")},
        {"Bank <security@paypal.com .evil.example>",
         "security@paypal.com.evil.example|"}, /* around the dot: section 4.4 */
        {"<security@paypal.com evil.example>", NONE("security@paypal.com evil.example")},
        {"<secu rity@paypal.com>", NONE("secu rity@paypal.com")},
        {"<secu(x)rity@paypal.com>", NONE("secu(x)rity@paypal.com")},
        {"<\"secu\"rity@paypal.com>", NONE("\\\"secu\\\"rity@paypal.com")},
        {"<secu\"rity\"@paypal.com>", NONE("secu\\\"rity\\\"@paypal.com")},
        {"<\"a.\" b@c>", NONE("\\\"a.\\\" b@c")},
        {"<a@[192.0.2.1] b>", NONE("a@[192.0.2.1] b")},
        {"<a@[192.0.2.1]b>", NONE("a@[192.0.2.1]b")},
        {"<a@b[192.0.2.1]>", NONE("a@b[192.0.2.1]")},
        {"<a@\"b\">", NONE("a@\\\"b\\\"")},
        {"a (x) . b (y) @ (z) c . (q) d (r)", "a.b@c.d|"},
        {"a@[192.0. 2.1 ]", "a@[192.0.2.1]|"},
        {"root", NONE("root")},
        {"X,(<a@b>)", NONE("X")},
        {"<a@b,com>", NONE("a@b,com")},
        {"<aviso@%x.com>", "aviso@%x.com|"},
        {"<a@b{c}.d>, e@f=g", "a@b{c}.d|e@f=g|"},
        {"\"Facebook\" <>", ADDRESS_UNREADABLE "|"},
        {"<>, <> ,\"\" < >", ""},
        {"a@b@c, d@e", NONE("a@b@c") "d@e|"},
        {"\"a@b\" c@d", NONE("\\\"a@b\\\" c@d")},
        {"MAILER-DAEMON (Mail Delivery Subsystem)", NONE("MAILER-DAEMON (Mail Delivery Subsystem)")},
        {"a\xe4\x01 \xc2\x9b\t b\\", NONE("a? b\\\\")},
        {"g: a, b@c; d", NONE("a") "b@c|" NONE("d")},
        {"x <a@b> <y@z>", NONE("x <a@b> <y@z>")},
        {"a@b.", NONE("a@b.")},
        {"a@.b", NONE("a@.b")},
        {"a@-b_.c", "a@-b_.c|"},
        {".a.@b, a..b@c", "\".a.\"@b|\"a..b\"@c|"}, /* the same local parts (section 3.4.1) */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct text got = {.len = 0};
        address_each((const uint8_t *)t[i].in, strlen(t[i].in), put_item, &got);
        if (strcmp(got.s, t[i].out) != 0)
            fail_msg("%s: %s", t[i].in, got.s);
    }
    static char lengthy[3000]; /* cut, and within what the gate takes */
    struct text got = {.len = 0};
    memset(lengthy, '"', sizeof(lengthy) - 1);
    struct address_item item = {.spec = slice_str(lengthy)};
    put_item(&got, &item);
    assert_true(got.len > 150 && got.len <= ADDRESS_UNREADABLE_MAX);
    assert_true(address_bare_list_valid((const uint8_t *)got.s, got.len - 1));
}

static int first(void *arg, const struct address_item *item)
{
    ++*(int *)arg;
    return 1;
}

static void the_caller_may_stop(void **state)
{
    int n = 0;
    address_each((const uint8_t *)"a@b, c@d", 8, first, &n);
    assert_int_equal(n, 1);
}

static void items(void **state)
{
    static const char in[] = "\"A B\" (c) <@r:a@b>, team (x): c@d; , e";
    static const struct {
        int kind;
        const char *name, *route, *local, *domain;
    } want[] = {
        {ADDRESS_MAILBOX, "A B", "@r", "a", "b"}, {ADDRESS_GROUP, "team", NULL, NULL, NULL},
        {ADDRESS_MAILBOX, NULL, NULL, "c", "d"},  {ADDRESS_GROUP_END, NULL, NULL, NULL, NULL},
        {ADDRESS_MAILBOX, NULL, NULL, "e", NULL},
    };
    struct address_reader r = {.s = (const uint8_t *)in, .len = sizeof(in) - 1};
    struct address_item item;
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        const char *texts[] = {want[i].name, want[i].route, want[i].local, want[i].domain};
        assert_true(address_read(&r, &item));
        assert_int_equal(item.kind, want[i].kind);
        const struct slice pieces[] = {item.name, item.route, item.local, item.domain};
        for (size_t k = 0; k < 4; k++) {
            char text[32] = "";
            assert_int_equal(pieces[k].data != NULL, texts[k] != NULL);
            address_text(pieces[k], (uint8_t *)text, sizeof(text));
            assert_string_equal(text, texts[k] ? texts[k] : "");
        }
    }
    assert_false(address_read(&r, &item));
    char text[4];
    assert_int_equal(address_text(slice_str("abcdef"), (uint8_t *)text, sizeof(text)), 4); /* cut, not passed */
}

static void what_may_stand_outside(void **state)
{
    static const struct {
        const char *s;
        bool list, bare;
    } t[] = {
        {"a@b", true, true},
        {"a@b, c@d", true, true},
        {"a@b,\r\n c@d", true, true},
        {"a@b,c@d", true, false},
        {"a@b,  c@d", true, false},
        {"Anna <a@b>", true, false},
        {"John Q. Public <j@x>", true, false},
        {"a@b (comment)", true, false},
        {"g: a@b, c@d;", true, false},
        {"g:;", true, false},
        {"a@[192.0.2.1]", true, true},
        {"", false, false},
        {"a", false, false},
        {"a@", false, false},
        {"@b", false, false},
        {"a@b,", false, false},
        {",a@b", false, false},
        {"a@b c@d", false, false},
        {"g: h: a@b;;", false, false},
        {"g: a@b", false, false},
        {"a@b;", false, false},
        {"Anna <a@b", false, false},
        {"Anna <a @b>", false, false},
        {".Anna <a@b>", false, false},
        {"a@b (open", false, false},
        {"\"open <a@b>", false, false},
        {"a..b@c", false, false},
        {"a@b..c", false, false},
        {"a@.b", false, false},
        {"a@b.", false, false},
        {"a@%b.c", true, true},
        {"\"x, y\" <" ADDRESS_UNREADABLE ">", true, true},
        {"\"x\" <" ADDRESS_UNREADABLE ">, a@b", true, true},
        {ADDRESS_UNREADABLE, true, true},
        {"x <" ADDRESS_UNREADABLE ">", true, false},
        {"\"x\"  <" ADDRESS_UNREADABLE ">", true, false},
        {"\"x\" <" ADDRESS_UNREADABLE, false, false},
        {"\"x\" <a@b>", true, false},
        {"\"x\" \"y\" <" ADDRESS_UNREADABLE ">", true, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        if (address_list_valid((const uint8_t *)t[i].s, strlen(t[i].s)) != t[i].list ||
            address_bare_list_valid((const uint8_t *)t[i].s, strlen(t[i].s)) != t[i].bare)
            fail_msg("%s", t[i].s);
}

static int put_id(void *arg, const uint8_t *id, size_t len)
{
    char text[MESSAGE_ID_MAX];
    size_t n = message_id_text(id, len, text);
    assert_true(message_id_valid((const uint8_t *)text, n));
    return put(arg, text, n);
}

static void ids(void **state)
{
    static const struct {
        const char *in, *out;
        bool valid;
    } t[] = {
        {"<a@b>", "<a@b>|", true},
        {"<a@b> <c@d>", "<a@b>|<c@d>|", true},
        {"<a@b>\r\n <c@[1.2.3.4]>", "<a@b>|<c@[1.2.3.4]>|", true},
        {"<a@b><c@d>", "<a@b>|<c@d>|", false},
        {"Your mail of Monday <a@b>", "<a@b>|", false},
        {"<a@b> ", "<a@b>|", false},
        {"<<a@b>", "<a@b>|", false},
        {"<a b@c> <d@e>", "<d@e>|", false},
        {"<ab>", "", false},
        {"<@b> <a@>", "", false},
        {"<a@b\xc2\x9b>", "", false},
        {"<a@\xe4>", "", false},
        {"<\"a\"@b>", "<\"a\"@b>|", true}, /* section 4.5.4 */
        {"<\"a b\"@c> <d@e>", "<\"a b\"@c>|<d@e>|", true},
        {"<\"a\".\"b\"@[c]>", "<\"a\".\"b\"@[c]>|", true},
        {"< a . b @ c >", "<a.b@c>|", false},
        {"<a@b (of\r\n Monday)> <c@d>", "<a@b>|<c@d>|", false},
        {"<(x)\"a\r\n b\" @c>", "<\"a b\"@c>|", false},
        {"<a (x) b@c>", "", false},
        {"<\"a<b\"@c>", "", false},
        {"<\"a>b\"@c>", "", false},
        {"<\"a\x01\"@c>", "", false},
        {"<\"a@b>", "", false},
        {"<a@\"b\">", "", false},
        {"<\"a\">", "", false},
        {"<\"a\\\"@b>", "", false},
        {"<@r:a b@c>", "", false},
        {"<a@b", "", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct text got = {.len = 0};
        message_id_each((const uint8_t *)t[i].in, strlen(t[i].in), put_id, &got);
        if (strcmp(got.s, t[i].out) != 0 ||
            message_id_list_valid((const uint8_t *)t[i].in, strlen(t[i].in)) != t[i].valid)
            fail_msg("%s: %s", t[i].in, got.s);
    }
    char id[MESSAGE_ID_MAX + 1];
    memset(id, 'a', sizeof(id));
    memcpy(id, "<a@", 3);
    id[MESSAGE_ID_MAX - 1] = '>';
    assert_true(message_id_valid((uint8_t *)id, MESSAGE_ID_MAX));
    memcpy(id + MESSAGE_ID_MAX - 1, "a>", 2);
    assert_false(message_id_valid((uint8_t *)id, MESSAGE_ID_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_real_mail), cmocka_unit_test(what_is_no_address),
        cmocka_unit_test(the_caller_may_stop),    cmocka_unit_test(items),
        cmocka_unit_test(what_may_stand_outside), cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
