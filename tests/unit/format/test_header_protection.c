/* Header protection: its property on nasty mails, on mutations of them and on real mail when LETTERLOCK_CORPUS is set;
 * and what exactly comes out. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/protect_property.h"

#define MAIL(s)          \
    {                    \
        s, sizeof(s) - 1 \
    }
static const struct {
    const char *s;
    size_t len;
} nasty[] = {
    MAIL(""),
    MAIL("\r\n"),
    MAIL("\n"),
    MAIL("\r"),
    MAIL("x"),
    MAIL(":"),
    MAIL(" "),
    MAIL("\0"),
    MAIL("a:"),
    MAIL("a:\r"),
    MAIL("\r\n\r\n"),
    MAIL("\r\nbody only\r\n"),
    MAIL("no header at all"),
    MAIL("no header at all\r\nSubject: body\r\n\r\n"),
    MAIL(" continuation first\r\nSubject: x\r\n\r\nb"),
    MAIL("\tx"),
    MAIL("Subject: x"),
    MAIL("Subject: x\r\n"),
    MAIL("Subject: x\r\n\r\n"),
    MAIL("Subject: x\nFrom: a@b\n\nbare LF\n"),
    MAIL("Subject: x\rFrom: a@b\r\r\n\r\n"),
    MAIL("Subject: a\0b\r\n\r\nc\0d"),
    MAIL("Subject: x\r\nthis is no field\r\nFrom: a@b\r\n\r\nbody"),
    MAIL(">From x\r\nSubject: y\r\n\r\nz"),
    MAIL("Content-Type: text/plain"),
    MAIL("Content-Type: text/plain;"),
    MAIL("Content-Type: text/plain; \r\n \t\r\n\r\nx"),
    MAIL("Content-Type: text/html; charset=\"utf-8\r\n\r\nx"),
    MAIL("Content-Type: text/html (never ends\r\n\r\nx"),
    MAIL("Content-Type: text/html (a;b \\) c)\r\n\r\nx"),
    MAIL("Content-Type: text/html; a=\"x\\\"\r\n\r\nx"),
    MAIL("Content-Type: text\r\n\r\nx"),
    MAIL("Content-Type:\r\n\r\nx"),
    MAIL("Content-Type: \r\n\r\nx"),
    MAIL("Content-Type: text/\0plain\r\n\r\nx"),
    MAIL("Content-Type : text/html\r\n\r\nx"),
    MAIL("Content-Type: text/plain; hp=\"clear\"; charset=utf-8\r\n\r\nx"),
    MAIL("Content-Type: text/plain; hp*=x; protected-headers=v1;\r\n\r\nx"),
    MAIL("Content-Type: multipart/mixed;\r\n\tboundary=\"--a b; c\"\r\nContent-Type: text/html\r\ncontent-type: "
         "x\r\n\r\nx"),
    MAIL("Sealed-By: evil; v=1\r\nHP-Outer: Subject: x\r\nLetterlock-Seal: v=1; len=3; "
         "ins=0+5\r\nletterlock-original-x: y\r\n\r\nz"),
    MAIL("Authentication-Results: MAIL.example.ORG; spf=pass\r\nAuthentication-Results: (c) \"mail.example.org\" 1; "
         "x\r\nAuthentication-Results: other; x\r\n\r\n"),
    MAIL("Letterlock-Seal: v=1; len=5; ins=0+40\r\n\r\nhello"),
    MAIL("From: a@b\r\nTo: undisclosed-recipients:;\r\nCc: Group: \"x, y\" <x@y>, (c) z @ w ; q@r\r\nDate: "
         "nonsense\r\n\r\n"),
    MAIL("From: =?utf-8?q?a?= <a@b>\r\nTo: <@r1,@r2:user@host>, \"quoted \\\" local\"@x, a . b @ c . d (c (n)), "
         "\xe4\xf6@x.y, \xc3\xa4@x.y\r\n\r\n"),
    MAIL("References: <a@b> <c@d>\r\n\t<e@f> junk <no-at> <x@y\r\nIn-Reply-To: Your message of \"x\" "
         "<q@r>\r\nMessage-ID: <m@n>\r\n\r\n"),
    MAIL("Subject: x\r\n\ty\r\nContent-Type: multipart/signed; protocol=application/pgp-signature; boundary=b\r\nDate: "
         "z\r\n\r\n--b\r\n"),
    MAIL("Subject: \xff\xfe\r\nFrom: \xff\xfe <a@b>\r\nSubject: two\r\n\r\n\xff"),
};

static void check_all(const uint8_t *mail, size_t len, const char *name)
{
    static const size_t chunks[] = {1, 7, 4096};
    char why[256];
    for (int policy = POLICY_SHY; policy <= POLICY_HIDDEN; policy++)
        for (size_t c = 0; c < 3; c++) {
            if (len > 5000 && c < 2)
                continue;
            for (int display = 0; display <= POLICY_DISPLAY; display += POLICY_DISPLAY)
                if (property_check(mail, len, (enum header_policy)(policy | display), chunks[c], why, NULL, NULL, NULL))
                    fail_msg("%s, policy %d, chunk %zu: %s", name, policy | display, chunks[c], why);
        }
}

static void every_nasty_mail(void **state)
{
    for (size_t i = 0; i < sizeof(nasty) / sizeof(*nasty); i++) {
        char name[32];
        snprintf(name, sizeof(name), "nasty %zu", i);
        for (size_t cut = 0; cut <= nasty[i].len; cut++) { /* exact size: the sanitizer sees every octet too far */
            uint8_t *copy = malloc(cut ? cut : 1);
            memcpy(copy, nasty[i].s, cut);
            check_all(copy, cut, name);
            free(copy);
        }
    }
}

static uint32_t seed = 12345;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void mutations(void **state)
{
    static const char *const bits[] = {"\r\n",
                                       "\n",
                                       "\r",
                                       " ",
                                       "\t",
                                       ";",
                                       ":",
                                       "\"",
                                       "(",
                                       ")",
                                       "<",
                                       ">",
                                       "@",
                                       ",",
                                       "\\",
                                       "\0x",
                                       "\r\n ",
                                       "Content-Type: ",
                                       "hp=\"cipher\"",
                                       "Sealed-By: x\r\n",
                                       "To: ",
                                       "From: ",
                                       "\xff",
                                       "\xc3\xa4",
                                       "[",
                                       "]",
                                       "References: ",
                                       "Message-ID: <"};
    uint8_t mail[4096];
    for (int round = 0; round < 20000; round++) {
        size_t len = 0;
        for (int k = 0; k < 3; k++) {
            size_t i = rnd(sizeof(nasty) / sizeof(*nasty));
            memcpy(mail + len, nasty[i].s, nasty[i].len);
            len += nasty[i].len;
        }
        for (uint32_t k = rnd(8); k; k--) {
            const char *b = bits[rnd(sizeof(bits) / sizeof(*bits))];
            size_t n = strlen(b) + !*b, pos = rnd((uint32_t)len + 1);
            memmove(mail + pos + n, mail + pos, len - pos);
            memcpy(mail + pos, b, n);
            len += n;
            if (len && rnd(2)) {
                pos = rnd((uint32_t)len);
                memmove(mail + pos, mail + pos + 1, len - pos - 1);
                len--;
            }
        }
        uint8_t *copy = malloc(len);
        memcpy(copy, mail, len);
        char why[256];
        enum header_policy policy = (enum header_policy)(round % 3 | (round & 8 ? POLICY_DISPLAY : 0));
        if (property_check(copy, len, policy, 1 + (size_t)round % 97, why, NULL, NULL, NULL) != 0)
            fail_msg("round %d: %s", round, why);
        free(copy);
    }
}

static char payload_text[1 << 20], outer_text[OUTER_MAX + 1];

static void protect(const char *mail, enum header_policy policy)
{
    char why[256] = "";
    uint8_t *payload;
    size_t n;
    if (property_check((const uint8_t *)mail, strlen(mail), policy, 4096, why, &payload, &n, outer_text) != 0)
        fail_msg("%s", why);
    memcpy(payload_text, payload, n);
    payload_text[n] = '\0';
    free(payload);
}

#define assert_has(text, what)                         \
    do {                                               \
        if (!strstr(text, what))                       \
            fail_msg("no \"%s\" in:\n%s", what, text); \
    } while (0)
#define assert_not(text, what)                      \
    do {                                            \
        if (strstr(text, what))                     \
            fail_msg("\"%s\" in:\n%s", what, text); \
    } while (0)

static const char letter[] = "From: \"Doe, Alice\" <alice@example.com>\r\nTo: Bob <bob@example.net>, \"Carol\" "
                             "<carol@example.net>\r\nCc: Friends: dan@x.org, Eve <eve@y.org>;\r\n"
                             "Sender: Sec <sec@example.com>\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200 (CEST)\r\nSubject: "
                             "the secret\r\nMessage-ID: <1@example.com>\r\n"
                             "In-Reply-To: Your message <0@example.net>\r\nReferences: <r1@x> <r2@x>\r\nContent-Type: "
                             "text/html; charset=utf-8\r\n\r\n<p>\r\n";

static void shy_shows_addresses_and_ids_only(void **state)
{
    protect(letter, POLICY_SHY);
    assert_string_equal(outer_text, "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\nFrom: alice@example.com\r\nSender: "
                                    "sec@example.com\r\nTo: bob@example.net, carol@example.net\r\n"
                                    "Cc: dan@x.org, eve@y.org\r\nSubject: [...]\r\nMessage-ID: "
                                    "<1@example.com>\r\nIn-Reply-To: <0@example.net>\r\nReferences: <r1@x> <r2@x>\r\n"
                                    "Sealed-By: mail.example.org; v=1\r\n");
    assert_has(payload_text, "HP-Outer: From: alice@example.com\r\n");
    assert_has(payload_text, "HP-Outer: Subject: [...]\r\n");
    assert_has(payload_text, "HP-Outer: Sealed-By: mail.example.org; v=1\r\n");
    assert_has(payload_text, "MIME-Version: 1.0\r\n");
    assert_has(payload_text,
               "Content-Type: text/html; charset=utf-8;\r\n\thp=\"cipher\"; protected-headers=\"v1\"\r\n\r\n<p>");
    assert_true(!strncmp(payload_text, "Letterlock-Seal: v=1; len=", 26));
}

static void baseline_leaves_the_rest(void **state)
{
    protect(letter, POLICY_BASELINE);
    assert_has(outer_text, "From: \"Doe, Alice\" <alice@example.com>\r\n");
    assert_has(outer_text, "Cc: Friends: dan@x.org, Eve <eve@y.org>;\r\n");
    assert_has(outer_text, "Date: Tue, 1 Jul 2003 10:52:37 +0200 (CEST)\r\n");
    assert_has(outer_text, "Subject: [...]\r\n");
    assert_not(outer_text, "secret");
}

static void hidden_hides_correspondents(void **state)
{
    char plain[128], pseudo[128];
    protect(letter, POLICY_HIDDEN);
    assert_has(outer_text, "Date: Tue, 01 Jul 2003 08:00:00 +0000\r\nFrom: hidden@hidden.invalid\r\nTo: "
                           "hidden@hidden.invalid\r\nSubject: [...]\r\n");
    assert_not(outer_text, "example.com");
    assert_not(outer_text, "Cc:");
    assert_not(outer_text, "Sender:");
    char *id = strstr(outer_text, "Message-ID: <");
    assert_non_null(id);
    sscanf(id, "Message-ID: <%127[^>]", pseudo);
    assert_int_equal(pseudonym_open(property_key, "mail.example.org", pseudo, plain, sizeof(plain)), OK);
    assert_string_equal(plain, "1@example.com");
    uint8_t other[32] = {1};
    assert_int_equal(pseudonym_open(other, "mail.example.org", pseudo, plain, sizeof(plain)), ERR_NOT_FOUND);
    assert_int_equal(pseudonym_open(property_key, "example.org", pseudo, plain, sizeof(plain)), ERR_NOT_FOUND);
    assert_int_equal(pseudonym_open(property_key, "mail.example.org", pseudo, plain, 5), ERR_LIMIT);
    for (char *c = pseudo; *c != '@'; c++) { /* any change of any character is noticed */
        char old = *c;
        *c = *c == 'A' ? 'B' : 'A';
        int err = pseudonym_open(property_key, "mail.example.org", pseudo, plain, sizeof(plain));
        *c = old;
        assert_int_equal(err, ERR_NOT_FOUND);
    }
}

static void forged_fields_are_renamed(void **state)
{
    protect("Sealed-By: mail.example.org; v=1\r\nhp-outer: Subject: x\r\nSubject: s\r\nAuthentication-Results: (x) "
            "Mail.Example.Org.; spf=pass\r\n"
            "Authentication-Results: \"mail.example.org\" 1; spf=pass\r\nAuthentication-Results: elsewhere.example; "
            "spf=pass\r\nLetterlock-Seal: v=1\r\n\r\n",
            POLICY_SHY);
    assert_has(payload_text, "\nLetterlock-Forged-Sealed-By: ");
    assert_has(payload_text, "\nLetterlock-Forged-hp-outer: ");
    assert_has(payload_text, "\nLetterlock-Forged-Authentication-Results: (x)");
    assert_has(payload_text, "\nLetterlock-Forged-Authentication-Results: \"mail");
    assert_has(payload_text, "\nAuthentication-Results: elsewhere");
    assert_has(payload_text, "\nLetterlock-Forged-Letterlock-Seal: ");
}

/* RFC 5321 section 4.4: ours stands on top, and no other. Of what no SMTP brought the sender's word stays. */
static void the_return_path_is_ours(void **state)
{
    static const char mail[] = "return-path: <forged@x>\r\nSubject: s\r\nReturn-Path : <b@x>\r\n\r\nx";
    static const char *const paths[] = {"bounces+1@example.net", "", "\"a b\"@example.net", NULL};
    struct protect_params p = property_params(POLICY_SHY);
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct protected_mail m;
        char top[128], want[128];
        p.return_path = paths[i];
        assert_int_equal(property_protect(&p, (const uint8_t *)mail, strlen(mail), strlen(mail), &m), OK);
        const char *s = (const char *)m.inserted.data, *end = memmem(s, m.inserted.len, "\r\nR", 3);
        snprintf(top, sizeof(top), "%.*s", 100, end);
        snprintf(want, sizeof(want), "\r\nReturn-Path: <%s>\r\nReceived: from a by", paths[i] ? paths[i] : "");
        if (!paths[i])
            strcpy(want, "\r\nReceived: from a by");
        assert_memory_equal(top, want, strlen(want));
        size_t forged = 0;
        for (size_t k = 0; k < m.inserted.len; k++)
            forged += m.inserted.len - k >= 18 && !memcmp(s + k, "Letterlock-Forged-", 18);
        assert_int_equal(forged, paths[i] ? 2 : 0);
        protected_mail_free(&m);
    }
}

/* Of what goes out (Autocrypt level 1): the author's one field, where it can be read. */
static void autocrypt_stays_outside(void **state)
{
    static const char from[] =
        "From: A <a@b.test>\r\nAutocrypt: addr=a@b.test; prefer-encrypt=mutual; keydata=\r\n AAAA";
    const struct {
        const char *more;
        size_t pad; /* so many lines of key */
        bool outgoing, there;
    } cases[] = {
        {"", 0, true, true},
        {"", 100, true, true}, /* of the length that is written here, nearly 10 KB */
        {"", 0, false, false},
        {"", 150, true, false},
        {"Autocrypt: addr=a@b.test; keydata=BBBB\r\n", 0, true, false},
        {"Autocrypt: addr=else@b.test; keydata=BBBB\r\n", 0, true, true},
        {"From: else@b.test\r\n", 0, true, false},
        {"Content-Type: multipart/report; boundary=x\r\n", 0, true, false},
    };
    static char mail[64 * 1024];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct protect_params p = property_params(POLICY_BASELINE);
        struct protected_mail m;
        int n = snprintf(mail, sizeof(mail), "%s", from);
        for (size_t k = 0; k < cases[i].pad; k++)
            n += snprintf(mail + n, sizeof(mail) - (size_t)n, "\r\n %076d", 0);
        n += snprintf(mail + n, sizeof(mail) - (size_t)n, "\r\n%s\r\nx", cases[i].more);
        p.outgoing = cases[i].outgoing;
        assert_int_equal(property_protect(&p, (const uint8_t *)mail, (size_t)n, (size_t)n, &m), OK);
        const bool outside = memmem(m.outer.data, m.outer.len, "\r\nAutocrypt: addr=a@b.test; p", 29);
        const bool told = memmem(m.inserted.data, m.inserted.len, "HP-Outer: Autocrypt: ", 21);
        assert_int_equal(outside, cases[i].there);
        assert_int_equal(told, cases[i].there);
        assert_null(memmem(m.outer.data, m.outer.len, "BBBB", 4));
        protected_mail_free(&m);
    }
}

static void mail_without_a_subject_says_so(void **state)
{
    protect("From: a@b\r\n\r\nSubject: body\r\n", POLICY_SHY);
    assert_has(payload_text, "\r\nHP-Outer: Subject: [...]\r\n");
    assert_has(payload_text, "\r\nSubject: \r\n");
    protect("SUBJECT:\r\n\r\n", POLICY_SHY);
    assert_not(payload_text, "\r\nSubject: \r\n");
}

static void content_types(void **state)
{
    static const struct {
        const char *field, *expected;
    } t[] = {
        {"Content-Type: text/html\r\n",
         "\nContent-Type: text/html;\r\n\thp=\"cipher\"; protected-headers=\"v1\"\r\n\r\n"},
        {"Content-Type: text/html;\r\n",
         "\nContent-Type: text/html;\r\n\thp=\"cipher\"; protected-headers=\"v1\"\r\n\r\n"},
        {"Content-Type: text/html; a=\"b;c\" (d;e)  \r\n",
         "\nContent-Type: text/html; a=\"b;c\" (d;e);\r\n\thp=\"cipher\"; protected-headers=\"v1\"  \r\n\r\n"},
        {"Content-Type: text/html; a=\"b\r\n",
         "\nContent-Type: text/html;\r\n\ta=\"b\";\r\n\thp=\"cipher\"; "
         "protected-headers=\"v1\"\r\nLetterlock-Original-Content-Type: text/html;"},
        {"Content-Type: text/html; hp=clear; charset=x; protected-headers=v1\r\n",
         "\nContent-Type: text/html;\r\n\tcharset=x;\r\n\thp=\"cipher\"; "
         "protected-headers=\"v1\"\r\nLetterlock-Original-Content-Type: text/html; hp=clear"},
        {"Content-Type: text/html\r\nContent-type: text/plain\r\n",
         "\nLetterlock-Original-Content-type: text/plain\r\n"},
        {"X: y\r\n", "\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii;\r\n\thp=\"cipher\"; "
                     "protected-headers=\"v1\"\r\nX: y\r\n"},
        {"MIME-Version: 1.0\r\n\r\n\xc3\xa4", "\nContent-Type: text/plain; charset=utf-8;\r\n"},
        {"MIME-Version: 1.0\r\n\r\n\xe4 ", "\nContent-Type: text/plain; charset=iso-8859-1;\r\n"},
        {"garbage\r\nContent-Type: text/html\r\n",
         "protected-headers=\"v1\"\r\n\r\ngarbage\r\nContent-Type: text/html\r\n\r\n"},
        {"X: y\r\ngarbage\r\nContent-Type: text/html\r\n",
         "\nLetterlock-Original-Line: garbage\r\nContent-Type: text/html;\r\n\thp=\"cipher\"; "
         "protected-headers=\"v1\"\r\n"},
        {"X: y\r\ngarbage\r\nX: z\r\n", "X: y\r\n\r\ngarbage\r\nX: z\r\n\r\n"},
        {"Content-Type : text/html\r\n",
         "\nContent-Type: text/html;\r\n\thp=\"cipher\"; "
         "protected-headers=\"v1\"\r\nLetterlock-Original-Line: Content-Type : text/html\r\n"},
        {"Subject : x\r\n", "\nSubject: x\r\nLetterlock-Original-Line: Subject : x\r\n"},
    };
    char mail[512];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        snprintf(mail, sizeof(mail), "%s\r\nbody", t[i].field);
        protect(mail, POLICY_SHY);
        assert_has(payload_text, t[i].expected);
    }
}

/* What Thunderbird shows of mail that was signed before it was sealed stands in front of the first part. */
static void signed_mail_names_its_subject_in_the_preamble(void **state)
{
#define SIGNED(rest) "Content-Type: multipart/signed; boundary=b; " rest "\r\n\r\n"
#define PGP SIGNED("protocol=\"application/pgp-signature\"")
#define LINE "\r\n\r\nContent-Type: text/rfc822-headers; protected-headers=\"v1\"\r\n"
    static const struct {
        const char *mail, *expected;
    } t[] = {
        {"Subject: x\r\n\ty\r\nDate: z\r\n" PGP "--b\r\n", LINE "Subject: x\r\n\ty\r\nDate: z\r\n\r\n--b\r\n"},
        {"subject : \xe4\r\n" PGP "pre\r\n--b\r\n", LINE "subject : \xe4\r\n\r\npre\r\n--b\r\n"},
        {"Subject: 1\r\nSubject: 2\r\n" PGP "--b", LINE "Subject: 1\r\n\r\n--b"},
        {"Subject: x\r\n" SIGNED("Protocol=APPLICATION/pgp-Signature") "--b", LINE "Subject: x\r\n\r\n--b"},
        {"Date: z\r\nSubject: a\rb\r\n" PGP "--b", LINE "Date: z\r\n\r\n--b"},
        {"Subject: a\rb\r\n" PGP "--b", NULL},
        {"Subject: a\n" PGP "--b", NULL},
        {"From: a@b\r\n" PGP "--b", NULL},
        {"Subject: x\r\n" PGP, NULL},
        {"Subject: x\r\n" SIGNED("protocol=\"application/pkcs7-signature\"") "--b", NULL},
        {"Subject: x\r\n" SIGNED("x-protocol=\"application/pgp-signature\"") "--b", NULL},
        {"Subject: x\r\nContent-Type: multipart/mixed; protocol=\"application/pgp-signature\"\r\n\r\n--b", NULL},
        {"Subject: x\r\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\r\n\r\n--b", NULL},
        {"Subject: x\r\nContent-Type: multipart/signed; protocol=application/pgp-signature\r\nno field\r\n\r\n--b",
         NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        protect(t[i].mail, POLICY_SHY);
        if (t[i].expected)
            assert_has(payload_text, t[i].expected);
        else
            assert_not(payload_text, "rfc822-headers");
    }
    static char mail[6000];
    for (int over = 0; over <= 1; over++) { /* a Subject of 4,096 octets is copied, one of 4,097 is not */
        snprintf(mail, sizeof(mail), "Subject: %0*d\r\n" PGP "--b", 4096 - 11 + over, 7);
        protect(mail, POLICY_SHY);
        assert_int_equal(strstr(payload_text, "rfc822-headers") == NULL, over);
    }
}

static void long_lists_keep_whole_pieces(void **state)
{
    static char mail[200000];
    size_t n = (size_t)sprintf(mail, "To: ");
    for (int i = 0; i < 2000; i++)
        n += (size_t)sprintf(mail + n, "%sname %d <user%d@example.com>", i ? ",\r\n " : "", i, i);
    n += (size_t)sprintf(mail + n, "\r\nReferences:");
    for (int i = 0; i < 1000; i++)
        n += (size_t)sprintf(mail + n, "\r\n <ref%d@example.com>", i);
    sprintf(mail + n, "\r\n\r\nx");
    for (int policy = 0; policy < 3; policy++) {
        protect(mail, (enum header_policy)policy);
        assert_true(strlen(outer_text) <= OUTER_MAX);
        if (policy == POLICY_HIDDEN)
            continue;
        assert_has(outer_text, "user0@example.com, user1@example.com");
        assert_has(outer_text, "References: <ref0@example.com> <ref");
        assert_has(outer_text, "<ref999@example.com>\r\n");
        assert_not(outer_text, "<ref500@");
    }
}

static void unprotect_refuses_broken_seals(void **state)
{
    static const char *const bad[] = {
        "",
        "Letterlock-Seal",
        "Letterlock-Seal: v=2; len=0; ins=0+00000038\r\n",
        "Letterlock-Seal: v=1; len=0; ins=0+00000039\r\n",
        "Letterlock-Seal: v=1; len=1; ins=0+00000038\r\n",
        "Letterlock-Seal: v=1; len=-1; ins=0+00000038\r\n",
        "Letterlock-Seal: v=1; len=18446744073709551616; ins=0+1\r\n",
        "Letterlock-Seal: v=1; len=0; ins=0+18446744073709551615,1+2\r\n",
        "Letterlock-Seal: v=1; len=2; ins=0+00000042,3+1\r\nab",
        "Letterlock-Seal: v=1; len=2; ins=0+00000041,0+1\r\nab",
        "Letterlock-Seal: v=1; len=40; ins=0+00000000\r\n",
        "Letterlock-Seal: v=1; len=0; ins=\r\n",
        "Letterlock-Seal: v=1; len=0; ins=0+00000037\n",
    };
    char ok[] = "Letterlock-Seal: v=1; len=2; ins=0+00000044\r\nab";
    size_t n = 99;
    sprintf(ok + 35, "%08zu", strlen(ok) - 2);
    ok[43] = '\r';
    assert_int_equal(header_unprotect((uint8_t *)ok, strlen(ok), &n), OK);
    assert_int_equal(n, 2);
    assert_memory_equal(ok, "ab", 2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char *copy = strdup(bad[i]);
        n = 99;
        assert_int_equal(header_unprotect((uint8_t *)copy, strlen(copy), &n), ERR_FORMAT);
        assert_int_equal(n, 99);
        assert_string_equal(copy, bad[i]);
        free(copy);
    }
}

static void limits(void **state)
{
    struct protect_params p = property_params(POLICY_SHY);
    struct protected_mail m;
    size_t n = HEADER_MAX + 100, k = 0;
    uint8_t *mail = malloc(n);
    memset(mail, 'x', n);
    memcpy(mail, "A:", 2);
    assert_int_equal(property_protect(&p, mail, n, n, &m), ERR_LIMIT);
    assert_int_equal(property_protect(&p, mail, 100, n, &m), ERR_LIMIT); /* the end is not at hand */
    memcpy(mail, "Subject: x\r\nA", 13);
    assert_int_equal(property_protect(&p, mail, 12, n, &m), ERR_LIMIT);
    assert_int_equal(property_protect(&p, mail, 13, n, &m), ERR_LIMIT);
    memcpy(mail, "Subject: x\r\n\r\n", 14);
    assert_int_equal(property_protect(&p, mail, 14, n, &m), OK);
    protected_mail_free(&m);
    for (k = 0; k < (HEADER_FIELDS_MAX + 1) * 4; k += 4)
        memcpy(mail + k, "a:\r\n", 4);
    assert_int_equal(property_protect(&p, mail, k, k, &m), ERR_LIMIT);
    assert_int_equal(property_protect(&p, mail, k - 4, k - 4, &m), OK);
    protected_mail_free(&m);
    for (k = 0; k < HEADER_INSERTIONS_MAX * 13; k += 13)
        memcpy(mail + k, "Sealed-By: \r\n", 13);
    assert_int_equal(property_protect(&p, mail, k, k, &m), ERR_LIMIT);
    assert_int_equal(property_protect(&p, mail, k - 13, k - 13, &m), OK);
    size_t used = m.inserted.len;
    assert_true(used > 0);
    protected_mail_free(&m);
    check_all(mail, k - 13, "255 insertions");
    free(mail);
}

static void walk(const char *dir, size_t *count)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    static uint8_t raw[8 << 20], mail[16 << 20];
    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[4096];
        size_t n = strlen(e->d_name), len = 0;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_type == DT_DIR) {
            walk(path, count);
            continue;
        }
        if (n < 4 || strcmp(e->d_name + n - 4, ".txt"))
            continue;
        FILE *f = fopen(path, "rb");
        size_t got = fread(raw, 1, sizeof(raw), f), i = 0;
        fclose(f);
        if (got > 5 && !memcmp(raw, "From ", 5))
            i = (size_t)((uint8_t *)memchr(raw, '\n', got) - raw) + 1;
        for (; i < got; i++) {
            if (raw[i] == '\n' && (!i || raw[i - 1] != '\r'))
                mail[len++] = '\r';
            mail[len++] = raw[i];
        }
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, mail, len);
        check_all(copy, len, path);
        free(copy);
        ++*count;
    }
    closedir(d);
}

static void real_mail(void **state)
{
    size_t count = 0;
    const char *dir = getenv("LETTERLOCK_CORPUS");
    if (!dir || !*dir)
        skip();
    walk(dir, &count);
    print_message("%zu real messages\n", count);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_nasty_mail),
        cmocka_unit_test(mutations),
        cmocka_unit_test(shy_shows_addresses_and_ids_only),
        cmocka_unit_test(baseline_leaves_the_rest),
        cmocka_unit_test(hidden_hides_correspondents),
        cmocka_unit_test(forged_fields_are_renamed),
        cmocka_unit_test(the_return_path_is_ours),
        cmocka_unit_test(autocrypt_stays_outside),
        cmocka_unit_test(mail_without_a_subject_says_so),
        cmocka_unit_test(content_types),
        cmocka_unit_test(signed_mail_names_its_subject_in_the_preamble),
        cmocka_unit_test(long_lists_keep_whole_pieces),
        cmocka_unit_test(unprotect_refuses_broken_seals),
        cmocka_unit_test(limits),
        cmocka_unit_test(real_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
