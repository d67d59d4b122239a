"""Each grammar of mail text is read in one place (docs/architecture.md): a second reader shows by what it cannot do
without."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("crypto", "server", "store", "keyserver", "webmail-api")

# grammar: (its homes, a sign of its readers, what a second reader might look like). A home that is not the grammar's
# reader has its reason beside it.
GRAMMARS = {
    "UTF-8 is decoded": (
        {"server/core/utf8.c"},
        r"& 0xc0\)?\s*[!=]=\s*0x80|[<>]=? 0x(c[12]|e0|f[0145])\b|& 0x(e0|f0|f8)\) == 0x(c0|e0|f0)"
        r"|\bmb(r?towc|r?len|s\w*towcs)\b|\bg_utf8_(?!normalize)|\bgunichar\b|\bg_unichar_(?!to(upper|lower)\b)",
        ["if ((s[i] & 0xc0) != 0x80)", "p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0", "(c & 0xf0) == 0xe0",
         "mbrtowc(&wc, s, n, &st)", "g_utf8_validate(s, n, &end)"]),
    "letters beyond ASCII are composed and folded": (
        {"server/mail/address_normal.c"},
        r"\bg_utf8_(normalize|casefold|str(up|down))\b|\bg_unichar_to(upper|lower|title)\b|\btow(upper|lower|ctrans)\b",
        ["g_utf8_normalize(s, -1, G_NORMALIZE_NFC)", "g_unichar_tolower(c)", "towlower(c)"]),
    "UTF-8 is encoded": (
        {"server/core/utf8.c"},
        r"0x80 \| \(?\w+ (>> \d+ )?& 0x3f|0xc0 \| \(?\w+ >> 6|0xe0 \| \(?\w+ >> 12",
        ["out[1] = 0x80 | (c & 0x3f);", "*p++ = (char)(0xc0 | c >> 6);"]),
    "dates are read and written": (
        {"server/mail/date.c"},
        r'"Jan|"Mon"|"SunMon|%b\b|\b(gmtime|localtime|asctime|ctime)(_r)?\s*\('
        r'|\b(timegm|mktime|strptime|strftime|getdate)\s*\(',
        ['static const char months[12][4] = {"Jan", "Feb"};', "gmtime_r(&t, &tm);",
         'strftime(day, 16, "%Y-%m-%d", &tm);']),
    "days are counted": (
        {"server/mail/date.c"},
        r"\b146097\b|\b719468\b|\b146096\b|% 400\b|\b153 \*|\{31, 28, 31|\{31, 29, 31",
        ["return era * 146097 + yoe * 365;", "leap = y % 4 == 0 && (y % 100 || y % 400 == 0);",
         "len[] = {31, 28, 31, 30}"]),
    "header blocks are walked": (
        set(),  # server/mail/header.c does without these signs
        r"'\\n'[^;{}]{0,120}' '[^;{}]{0,60}'\\t'"  # a line end, then white space: a fold
        r"|memchr\([^;]*'\\n'.{0,700}mem(r?chr)\([^;]*':'"  # a line and its colon
        r'|"\\r\\n\\r\\n", 4|"\\n\\n", 2|strstr\([^;]*"\\r\\n'
        r'|strn?casecmp\([^;]*"(received|subject|from|to|date|content-type|message-id)\b:?"',
        ["if (s[i] == '\\n' && (i + 1 == len || (s[i + 1] != ' ' && s[i + 1] != '\\t')))",
         "nl = memchr(p, '\\n', len); if (!nl) break; colon = memchr(p, ':', nl - p);",
         'memmem(p, len, "\\r\\n\\r\\n", 4)', 'strncasecmp(p, "received", 8) == 0']),
    "white space is told": (
        {"server/mail/token.h",
         "server/base/config.c",  # of the configuration's lines
         "crypto/pgp_armor.c"},  # behind armour's lines
        r"[!=]= ' ' ?(\|\||&&)[^;]{0,50}[!=]= '\\t'",
        ["while (s[i] == ' ' || s[i] == '\\t')"]),
    "MIME fields are read": (
        {"server/mail/mime.c",
         "server/mail/mime_repair.c"},  # what breaks the grammar, as GMime reads it
        r'"[^"\n]*\(\)<>@,;:[^"\n]*"|strn?casecmp\([^;]*"(multipart|boundary|charset|text|message)\b'
        r"|g_mime_content_type_parse",
        ['strchr("()<>@,;:\\\\\\"/[]?=", c)', 'strncasecmp(type, "multipart/", 10)']),
    "base64 is decoded": (
        {"server/core/digit.c",
         "server/core/base64url.c"},  # of JSON, tokens and our own ids
        r"'a' \+ 26|'0' \+ 52|\b(53, ?54, ?55, ?56|52, ?53, ?54, ?55)\b|base642bin|EVP_Decode|g_base64_decode"
        r"|BIO_f_base64",
        ["return c - 'a' + 26;", "[256] = {53, 54, 55, 56, 57, 58,",
         "sodium_base642bin(out, n, s, len, NULL, &len, &end, 1)"]),
    "base64 has its alphabet": (
        {"server/core/digit.c",
         "server/proto/imap_name.c"},  # modified UTF-7 has an alphabet of its own (RFC 3501 section 5.1.3)
        r'"ABCDEFGHIJKLMNOPQRSTUVWXYZabc',
        ['static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";']),
    "hexadecimal digits are read": (
        {"server/core/digit.c",
         "server/cli/key.c"},  # fingerprints as people type them
        r"'[aA]' \+ 10|hex2bin|isxdigit|\"0123456789(abcdef|ABCDEF)\"",
        ["return c - 'A' + 10;", 'strchr("0123456789ABCDEF", c)']),
    "quoted-printable and encoded words are decoded": (
        {"server/mail/encoding.c",
         "server/proto/imap_search.c",  # ids of messages in hexadecimal
         "server/proto/smtp_args.c",  # xtext (RFC 3461 section 4)
         "server/mailauth/tls_report_record.c",  # octets of a URI (RFC 3986 section 2.1)
         "server/mail/links_url.c",  # the same
         "server/http/router.c",  # of paths and queries (the same)
         "server/relay/dsn.c",  # what it said
         "server/base/relay_policy.c"},  # fingerprints
        r"digit_hex\([^;]*\bdigit_hex\(|hexchar\([^;]*;[^;]*hexchar\("
        r"|= '=' (&&|\|\|) [^;]{0,60}= '\?'|digit_hex\(\w+\.data\[i \+ 1\]",
        ["o[n++] = digit_hex(s[i + 1]) << 4 | digit_hex(s[i + 2]);", "if (s[0] == '=' && s[1] == '?')"]),
    "atoms have their characters": (
        {"server/mail/token.c",
         "server/http/request.c",  # tokens of HTTP, which have others (RFC 9110 section 5.6.2)
         "server/mail/address.c"},  # those of them that no domain has
        r'"[^"\n]*!#\$%&\'[^"\n]*"|\'!\'[^;]{0,40}\'#\'[^;]{0,40}\'\$\'',
        ["strchr(\"!#$%&'*+-/=?^_`{|}~\", c)", "c == '!' || c == '#' || c == '$'"]),
    "addresses are read": (
        {"server/mail/address.c", "server/mail/address_list.c", "server/mail/address_normal.c",
         "server/mail/message_id.c",  # ids look like addresses
         "server/proto/smtp_path.c"},  # paths around them
        r"\[(?!0\])[^\]]+\]\s*[!=]= '@'|\*\w+ [!=]= '@'",
        ["if (s[n] != '@') return 0;", "while (*p != '@') p++;"]),
    "address literals are read": (
        {"server/mail/address.c"},
        r'"IPv6:"|"IPv6:", 5',
        ['strncasecmp(text, "IPv6:", 5)']),
    "domains go to ASCII": (
        {"server/mail/address_normal.c"},
        r"\bidn2?_\w+",
        ["idn2_to_ascii_8z(text, &out, 0)"]),
    "comments nest": (
        {"server/mail/token.c"},
        r"== '\('\)\s*\{?\s*\S*depth\+\+",
        ["if (c == '(') depth++;"]),
    "charsets are converted": (
        {"server/mail/text.c",
         "server/base/sandbox.c"},  # loads them before the doors close
        r"\biconv\w*\s*\(",
        ['iconv_open("utf-8", charset)']),
    "GMime is used": (
        {"server/mail/text.c", "server/mail/text_impl.h", "server/mail/summary.c", "server/mail/mime_repair.c"},
        r"\bg_mime_|\bGMIME_|\bGMime|\binternet_address_|gmime\.h",
        ["g_mime_parser_new_with_stream(stream)"]),
}


def without_comments(text):
    """Comments become blanks, so that places stay; strings stay."""
    keep = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(rf"({keep})|/\*.*?\*/|//[^\n]*",
                  lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def sources():
    return {p.relative_to(ROOT).as_posix(): without_comments(p.read_text())
            for folder in FOLDERS for p in sorted((ROOT / folder).glob("**/*.[ch]"))}


def readers(grammar, files):
    """{file: lines} that show the grammar's sign."""
    sign = re.compile(GRAMMARS[grammar][1], re.S)
    found = {}
    for name, text in files.items():
        lines = sorted({text.count("\n", 0, m.start()) + 1 for m in sign.finditer(text)})
        if lines:
            found[name] = lines
    return found


@pytest.fixture(scope="module")
def files():
    return sources()


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_a_grammar_has_one_home(grammar, files):
    homes = GRAMMARS[grammar][0]
    found = readers(grammar, files)
    assert {f: lines for f, lines in found.items() if f not in homes} == {}, f"{grammar} in one place"
    assert set(found) == homes, "a home that no longer reads it is to be struck from the list"


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_a_second_reader_shows(grammar):
    for planted in GRAMMARS[grammar][2]:
        text = without_comments(f"/* {planted} */ int f(void)\n{{\n    {planted}\n}}\n")
        assert readers(grammar, {"planted.c": text}) == {"planted.c": [3]}, planted
