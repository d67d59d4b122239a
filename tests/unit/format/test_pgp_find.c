/* Armour, and finding encrypted mail: what is standard is found, what is odd is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/pgp_armor.h"
#include "server/format/find.h"
#include "server/core/error.h"
#include "tests/unit/armor.h"

static int decode(const char *text, size_t cap, uint8_t *out, size_t *n, size_t *from, size_t *to)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    memcpy(copy, text, len);
    int err = pgp_armor_decode((uint8_t *)copy, len, "MESSAGE", out, cap, n, from, to);
    free(copy);
    return err;
}

static void armour_comes_back(void **state)
{
    uint8_t data[400], out[400];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 73 + 5);
    for (size_t n = 0; n <= sizeof(data); n++) {
        size_t size = armor_size(n, "MESSAGE"), got, from, to;
        char *text = malloc(size + 3);
        assert_int_equal(armor_encode(data, n, "MESSAGE", text), size);
        memcpy(text + size, "xyz", 3);
        assert_int_equal(pgp_armor_decode((uint8_t *)text, size + 3, "MESSAGE", out, n, &got, &from, &to), OK);
        assert_int_equal(got, n);
        assert_int_equal(from, 0);
        assert_int_equal(to, size);
        assert_memory_equal(out, data, n);
        if (n)
            assert_int_equal(pgp_armor_decode((uint8_t *)text, size, "MESSAGE", out, n - 1, &got, &from, &to),
                             ERR_LIMIT);
        /* In place, as pgp_find does. */
        assert_int_equal(pgp_armor_decode((uint8_t *)text, size, "MESSAGE", (uint8_t *)text, size, &got, &from, &to),
                         OK);
        assert_memory_equal(text, data, n);
        free(text);
    }
}

#define B "-----BEGIN PGP MESSAGE-----\n"
#define E "-----END PGP MESSAGE-----\n"

static void armour_table(void **state)
{
    static const struct {
        const char *text;
        int err;
        const char *want;
    } t[] = {
        {B "\naGVsbG8=\n" E, OK, "hello"},
        {B "\r\naGVsbG8=\r\n-----END PGP MESSAGE-----", OK, "hello"},
        {B "Version: x\nComment: y z\n\naGVs\nbG8=\n" E, OK, "hello"},
        {B "Comment:\n\naGVs\nbG8=\n" E, OK, "hello"},
        {"text before\n" B " \t\naGVsbG8= \n" E "text after", OK, "hello"},
        /* RFC 9580 section 6.1: a checksum is ignored, be it wrong, malformed, or cut short. */
        {B "\naGVsbG8=\n=R/WK\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=1IQB\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=R/U\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=!!!!\n" E, OK, "hello"},
        {B "\naGVsbG8=\n\n=R/WK==\n\n" E, OK, "hello"},
        {B "\naGVs\n=AAAA\n" E, OK, "hel"},
        {B "\naGVsbG8\n=\n" E, OK, "hello"}, /* padding on a line of its own */
        {B "\naGVsbG8\n=\n=1IQB\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=this is text\n" E, ERR_FORMAT, NULL},
        {B "\naGVsbG8\n=R/WK\n" E, ERR_FORMAT, NULL},
        /* Section 6.2.2: unknown keys, as others write them. */
        {B "Charset: utf-8\nX-Own: y\nPassphrase-Format: numeric9x4\n\naGVsbG8=\n" E, OK, "hello"},
        {B "EmailAddress:a@example.org\nVersion:\n\naGVsbG8=\n" E, OK, "hello"},
        {B "\naGVsbG8=\n=R/WK\naGVs\n" E, ERR_FORMAT, NULL},
        {B "\naGVsbG8=\n=R/WK\n=R/WK\n" E, ERR_FORMAT, NULL},
        {B "\naGVsbG8\n" E, ERR_FORMAT, NULL}, /* padding missing */
        {B "\naGVsbG8==\n" E, ERR_FORMAT, NULL},
        {B "\naGVsbG9=\n" E, ERR_FORMAT, NULL},     /* bits behind the last octet */
        {B "\naGVsbG8=aGVs\n" E, ERR_FORMAT, NULL}, /* data behind padding */
        {B "\naGVsb!8=\n" E, ERR_FORMAT, NULL},
        {B "\naGVs bG8=\n" E, ERR_FORMAT, NULL},
        {B "\na===\n" E, ERR_FORMAT, NULL},
        {B "aGVsbG8=\n" E, ERR_FORMAT, NULL}, /* no empty line */
        {B "\naGVsbG8=\n", ERR_FORMAT, NULL},
        {B "\naGVsbG8=\n-----END PGP SIGNATURE-----\n", ERR_FORMAT, NULL},
        {B "\naGVsbG8=\n" B "\naGVsbG8=\n" E, ERR_FORMAT, NULL},
        {"-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n-----END PGP SIGNATURE-----\n", ERR_NOT_FOUND, NULL},
        {" " B "\naGVsbG8=\n" E, ERR_NOT_FOUND, NULL},
        {"", ERR_NOT_FOUND, NULL},
        {B, ERR_FORMAT, NULL},
        {B "\n" E, OK, ""},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint8_t out[64];
        size_t n = 0, from, to;
        int err = decode(t[i].text, sizeof(out), out, &n, &from, &to);
        if (err != t[i].err)
            fail_msg("row %zu: %d", i, err);
        if (!err) {
            assert_int_equal(n, strlen(t[i].want));
            assert_memory_equal(out, t[i].want, n);
        }
    }
}

#define ARMOR "-----BEGIN PGP MESSAGE-----\r\n\r\naGVsbG8=\r\n-----END PGP MESSAGE-----\r\n"
#define INLINE(headers) "-----BEGIN PGP MESSAGE-----\r\n" headers "\r\naGVsbG8=\r\n-----END PGP MESSAGE-----\r\n"
#define HEAD "From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
#define TYPE HEAD "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"b b\"\r\n"
#define PART1 "--b b\r\nContent-Type: application/pgp-encrypted\r\nContent-Description: v\r\n\r\nVersion: 1\r\n\r\n"
#define PART2H \
    "--b b\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Disposition: inline\r\n"
#define PART2 PART2H "\r\n" ARMOR "\r\n"
#define CLOSE "--b b--\r\n"
#define CONTROL "--b b\r\nContent-Type: application/pgp-encrypted"
#define MIXED HEAD "Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\n"
#define TEXT "--b b\r\nContent-Type: text/plain; charset=utf-8\r\n"
#define ARMOR64 "LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0tDQoNCmFHVnNiRzg9DQotLS0tLUVORCBQR1AgTUVT\r\nU0FHRS0tLS0tDQo=\r\n"

static const struct {
    const char *name, *mail;
    bool found, unlikely;
    const char *charset; /* of what is inline */
} mails[] = {
    {"standard", TYPE "\r\n" PART1 PART2 CLOSE, true},
    {"preamble", TYPE "\r\nThis is an OpenPGP/MIME encrypted message\r\n" PART1 PART2 CLOSE, true},
    {"white space behind", TYPE "\r\n" PART1 PART2 CLOSE "\r\n\r\n", true},
    {"no last line end", TYPE "\r\n" PART1 PART2 "--b b--", true},
    {"token boundary, upper case, last semicolon",
     HEAD "CONTENT-TYPE: MULTIPART/ENCRYPTED; BOUNDARY=bb; "
          "PROTOCOL=\"APPLICATION/pgp-encrypted\";\r\n\r\n--bb\r\ncontent-type: "
          "application/PGP-encrypted\r\n\r\nversion: 1\r\n--bb\r\nContent-type: APPLICATION/octet-stream\r\n\r\n" ARMOR
          "\r\n--bb--\r\n",
     true},
    {"quoted-printable",
     TYPE "\r\n" PART1 PART2H "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
          "-----BEGIN PGP MESSAGE-----\r\n\r\naGVsb=\r\nG8=3D\r\n-----END PGP MESSAGE-----\r\n" CLOSE,
     true},
    {"base64",
     TYPE "\r\n" PART1 PART2H "Content-Transfer-Encoding: base64\r\n\r\n"
          "LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0tCgphR1ZzYkc4PQotLS0tLUVORCBQR1AgTUVTU0FH\r\nRS0tLS0tCg==\r\n" CLOSE,
     true},
    {"a long preamble, quoted boundary",
     TYPE "\r\nThis is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n\r\n--b\r\n--bb\r\n" PART1 PART2 CLOSE,
     true},
    {"protected headers on the multipart",
     HEAD "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n"
          " boundary=\"b b\"; protected-headers=\"v1\"; charset=windows-1252\r\n\r\n" PART1 PART2 CLOSE,
     true},
    {"Autocrypt and other fields",
     "Autocrypt: addr=a@example.org; keydata=\r\n aGVsbG8=\r\n aGVsbG8=\r\nX-A: b\r\n" TYPE "\r\n" PART1 PART2 CLOSE,
     true},
    {"inline", HEAD "\r\n" ARMOR, true, false, ""},
    {"inline, text/plain, space around",
     HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\r\n" ARMOR "\r\n \r\n",
     true, false, "utf-8"},
    {"inline without any MIME", "Subject: x\r\n\r\n" ARMOR, true, false, ""},
    {"bare line feeds", "Subject: x\n\n-----BEGIN PGP MESSAGE-----\n\naGVsbG8=\n-----END PGP MESSAGE-----\n", true,
     false, ""},
    {"inline, another charset, mutt's parameters",
     HEAD "Content-Type: text/plain; charset=\"ISO-8859-1\"; x-action=pgp-encrypted; format=flowed\r\n\r\n" ARMOR, true,
     false, "iso-8859-1"},
    {"inline, a charset nobody knows", HEAD "Content-Type: text/plain; charset=X-Own\r\n\r\n" ARMOR, true, false,
     "x-own"},
    {"inline, quoted-printable",
     HEAD "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
          "-----BEGIN PGP MESSAGE-----\r\n\r\naGVsb=\r\nG8=3D\r\n-----END PGP MESSAGE-----\r\n",
     true, false, ""},
    {"the usual armour headers",
     HEAD "\r\n" INLINE("Version: GnuPG v2\r\nComment: Using GnuPG: https://example.org\r\ncomment:\r\n"
                        "Hash: SHA256\r\nMessageID: aaaa\r\n"),
     true, false, ""},
    {"the armour knows the charset better",
     HEAD "Content-Type: text/plain; charset=us-ascii\r\n\r\n" INLINE("Charset: ISO-8859-15\r\n"), true, false,
     "iso-8859-15"},
    {"white space at the ends of lines",
     HEAD "\r\n-----BEGIN PGP MESSAGE----- \r\nVersion: 1\t\r\n \t\r\naGVsbG8=  \r\n-----END PGP MESSAGE-----  \r\n",
     true, false, ""},
    {"every line doubled",
     HEAD "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n\r\n\r\naGVs\r\n\r\nbG8=\r\n\r\n-----END PGP MESSAGE-----\r\n", true,
     false, ""},
    {"control part in base64, as FlowCrypt writes it",
     TYPE "\r\n" CONTROL "; name=version.asc\r\nContent-Disposition: attachment\r\nContent-ID: <f_x@flowcrypt>\r\n"
          "Content-Transfer-Encoding: base64\r\n\r\nVmVyc2lvbjogMQ==\r\n" PART2 CLOSE,
     true},
    {"control part in base64, as Exchange Online writes it",
     TYPE "\r\n" CONTROL ";\r\n\tname=\"PGPMIME Versions Identification\"\r\nContent-Description: PGP/MIME Versions "
          "Identification\r\nContent-Disposition: attachment;\r\n\tfilename=\"PGPMIME Versions Identification\"; "
          "size=13;\r\n\tcreation-date=\"Wed, 14 Mar 2018 14:41:28 GMT\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
          "VmVyc2lvbjogMQ0K\r\n" PART2H "Content-Transfer-Encoding: base64\r\n\r\n" ARMOR64 "\r\n" CLOSE,
     true},
    {"control part quoted-printable",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nVersion:=201=\r\n\r\n" PART2 CLOSE,
     true},
    {"control part in base64 over lines",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: BASE64\r\n\r\nVmVyc2\r\nlvbjogMQ==\r\n\r\n" PART2 CLOSE, true},
    {"control part binary, the other 8bit",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: binary\r\n\r\nVersion: 1\r\n" PART2H
          "Content-Transfer-Encoding: 8bit\r\n\r\n" ARMOR "\r\n" CLOSE,
     true},
    {"no protocol", HEAD "Content-Type: multipart/encrypted; boundary=\"b b\"\r\n\r\n" PART1 PART2 CLOSE, true},
    {"an empty protocol",
     HEAD "Content-Type: multipart/encrypted; protocol=\"\"; boundary=\"b b\"\r\n\r\n" PART1 PART2 CLOSE, true},
    {"a text alone in multipart/mixed", MIXED TEXT "\r\n" ARMOR CLOSE, true, false, "utf-8"},
    {"the same in base64", MIXED TEXT "Content-Transfer-Encoding: base64\r\n\r\n" ARMOR64 CLOSE, true, false, "utf-8"},
    {"the same quoted-printable, a preamble, inline",
     MIXED "This is a multi-part message in MIME format.\r\n" TEXT
           "Content-Disposition: inline\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
           "-----BEGIN PGP MESSAGE-----\r\n\r\naGVsb=\r\nG8=3D\r\n-----END PGP MESSAGE-----\r\n" CLOSE,
     true, false, "utf-8"},
    {"the same without a type", MIXED "--b b\r\n\r\n" ARMOR CLOSE, true, false, ""},
    {"the same below multipart/alternative",
     MIXED "--b b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\n" ARMOR "\r\n--c--\r\n" CLOSE,
     true, false, ""},
    {"PGP/MIME alone in multipart/mixed",
     HEAD "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/encrypted;\r\n"
          " protocol=\"application/pgp-encrypted\"; boundary=\"b b\"\r\n\r\n" PART1 PART2 CLOSE "--c--\r\n",
     true},
    {"the same in base64 behind an empty line",
     HEAD
     "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: MULTIPART/Encrypted; boundary=\"b b\"\r\n"
     "\r\n" PART1 PART2H
     "Content-Transfer-Encoding: base64\r\n\r\nDQotLS0tLUJFR0lOIFBHUCBNRVNTQUdFLS0tLS0NCg0KYUdWc2JHOD0NCi0tLS0t\r\n"
     "RU5EIFBHUCBNRVNTQUdFLS0tLS0NCg==\r\n" CLOSE "--c--\r\n",
     true},
    {"inline in base64", HEAD "Content-Transfer-Encoding: base64\r\n\r\n" ARMOR64, true, false, ""},
    {"unknown lines in the armour's header", HEAD "\r\n" INLINE("Note: this is readable\r\nX-Own:\r\nPosted:by\r\n"),
     true, false, ""},
    {"unknown lines, two charsets in PGP/MIME's armour",
     TYPE "\r\n" PART1 PART2H "\r\n" INLINE("Remark: x\r\nCharset: a b\r\nCharset: c\r\n") "\r\n" CLOSE, true},
    {"a false checksum",
     HEAD "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\naGVsbG8=\r\n=1IQB\r\n-----END PGP MESSAGE-----\r\n", true, false, ""},

    {"empty", "", false},
    {"plain mail", HEAD "\r\nHello\r\n", false, true},
    {"header only", HEAD, false},
    {"text behind the inline block", HEAD "\r\n" ARMOR "-- \r\nA signature\r\n", false},
    {"text before the inline block", HEAD "\r\nLook:\r\n" ARMOR, false, true},
    {"two inline blocks", HEAD "\r\n" ARMOR ARMOR, false},
    {"a mailing list's footer", HEAD "\r\n" ARMOR "_______________\r\nlist mailing list\r\n", false},
    {"quoted", HEAD "\r\n> -----BEGIN PGP MESSAGE-----\r\n> \r\n> aGVsbG8=\r\n> -----END PGP MESSAGE-----\r\n", false,
     true},
    {"dash-escaped", HEAD "\r\n- -----BEGIN PGP MESSAGE-----\r\n\r\naGVsbG8=\r\n- -----END PGP MESSAGE-----\r\n", false,
     true},
    {"indented", HEAD "\r\n  -----BEGIN PGP MESSAGE-----\r\n\r\n  aGVsbG8=\r\n  -----END PGP MESSAGE-----\r\n", false},
    {"text among armour headers", HEAD "\r\n" INLINE("Version: 1\r\nthis is readable\r\n"), false},
    {"a folded armour header", HEAD "\r\n" INLINE("Version: 1\r\n Comment: readable\r\n"), false},
    {"two charsets", HEAD "\r\n" INLINE("Charset: utf-8\r\nCharset: latin1\r\n"), false},
    {"an empty charset", HEAD "\r\n" INLINE("Charset:\r\n"), false},
    {"an endless charset", HEAD "\r\n" INLINE("Charset: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), false},
    {"a charset with blanks", HEAD "Content-Type: text/plain; charset=\"a b\"\r\n\r\n" ARMOR, false},
    {"quoted-printable, text behind",
     HEAD "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
          "-----BEGIN PGP MESSAGE-----\r\n\r\naGVsbG8=3D\r\n-----END PGP MESSAGE-----\r\nreadable\r\n",
     false},
    {"quoted-printable that hides the first line",
     HEAD "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
          "=2D----BEGIN PGP MESSAGE-----\r\n\r\naGVsbG8=3D\r\n-----END PGP MESSAGE-----\r\n",
     false, true},
    {"an attachment", HEAD "Content-Type: application/octet-stream\r\n\r\n" ARMOR, false},
    {"S/MIME",
     HEAD "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; "
          "name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3DQEHA6CAMIACAQAxggFk\r\n",
     false, true},
    {"a text and another part in multipart/mixed", MIXED TEXT "\r\n" ARMOR TEXT "\r\nreadable\r\n" CLOSE, false},
    {"multipart/mixed, text behind the block", MIXED TEXT "\r\n" ARMOR "readable\r\n" CLOSE, false},
    {"multipart/mixed, an epilogue", MIXED TEXT "\r\n" ARMOR CLOSE "readable\r\n", false},
    {"multipart/mixed, an attached text",
     MIXED TEXT "Content-Disposition: attachment; filename=a.asc\r\n\r\n" ARMOR CLOSE, false},
    {"multipart/mixed, HTML", MIXED "--b b\r\nContent-Type: text/html\r\n\r\n" ARMOR CLOSE, false},
    {"multipart/mixed, encoded as a whole",
     HEAD "Content-Type: multipart/mixed; boundary=\"b b\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" TEXT
          "\r\n" ARMOR CLOSE,
     false},
    {"multipart/mixed, never closed", MIXED TEXT "\r\n" ARMOR, false},
    {"multipart/mixed without encryption", MIXED TEXT "\r\nreadable\r\n" CLOSE, false, true},
    {"multipart/related", HEAD "Content-Type: multipart/related; boundary=\"b b\"\r\n\r\n" TEXT "\r\n" ARMOR CLOSE,
     false, true},
    {"control part in base64, something else",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: base64\r\n\r\nVmVyc2lvbjogMg==\r\n" PART2 CLOSE, false},
    {"control part in no base64",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: base64\r\n\r\nVersion: 1\r\n" PART2 CLOSE, false},
    {"control part in an unknown encoding",
     TYPE "\r\n" CONTROL "\r\nContent-Transfer-Encoding: x-own\r\n\r\nVersion: 1\r\n" PART2 CLOSE, false},
    {"what a mail server made of it: mixed instead of encrypted",
     HEAD "Content-Type: multipart/mixed; protocol=\"application/pgp-encrypted\"; boundary=\"b b\"\r\n\r\n" PART1 PART2
         CLOSE,
     false},
    {"plain text between the parts", TYPE "\r\n" PART1 "--b b\r\n\r\nreadable\r\n" PART2 CLOSE, false},

    {"inline in HTML", HEAD "Content-Type: text/html\r\n\r\n" ARMOR, false},
    {"inline, called base64", HEAD "Content-Transfer-Encoding: base64\r\n\r\n" ARMOR, false},
    {"inline, two Content-Types", HEAD "Content-Type: text/plain\r\nContent-Type: text/plain\r\n\r\n" ARMOR, false},
    {"a signature block", HEAD "\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\naGVs\r\n-----END PGP SIGNATURE-----\r\n",
     false, true},
    {"unfinished armour", HEAD "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\naGVs\r\n", false},
    {"empty armour", HEAD "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n-----END PGP MESSAGE-----\r\n", false},
    {"label without content", TYPE "\r\nHello, this is readable\r\n", false},
    {"no closing delimiter", TYPE "\r\n" PART1 PART2, false},
    {"epilogue", TYPE "\r\n" PART1 PART2 CLOSE "readable\r\n", false},
    {"three parts", TYPE "\r\n" PART1 PART2 PART2 CLOSE, false},
    {"one part", TYPE "\r\n" PART1 CLOSE, false},
    {"parts swapped", TYPE "\r\n" PART2 PART1 CLOSE, false},
    {"other protocol",
     HEAD "Content-Type: multipart/encrypted; protocol=\"application/x\"; boundary=\"b b\"\r\n\r\n" PART1 PART2 CLOSE,
     false},
    {"no boundary",
     HEAD "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"\r\n\r\n" PART1 PART2 CLOSE, false},
    {"boundary twice",
     HEAD "Content-Type: multipart/encrypted; boundary=\"b b\"; boundary=c; "
          "protocol=\"application/pgp-encrypted\"\r\n\r\n" PART1 PART2 CLOSE,
     false},
    {"boundary in pieces",
     HEAD "Content-Type: multipart/encrypted; boundary*0=\"b \"; boundary*1=b; "
          "protocol=\"application/pgp-encrypted\"\r\n\r\n" PART1 PART2 CLOSE,
     false},
    {"boundary ends in space",
     HEAD
     "Content-Type: multipart/encrypted; boundary=\"b b \"; protocol=\"application/pgp-encrypted\"\r\n\r\n" PART1 PART2
         CLOSE,
     false},
    {"a longer boundary line", TYPE "\r\n" PART1 "--b bx\r\n" PART2 CLOSE, false},
    {"comment in the type",
     HEAD "Content-Type: multipart/encrypted (really); protocol=\"application/pgp-encrypted\"; boundary=\"b "
          "b\"\r\n\r\n" PART1 PART2 CLOSE,
     false},
    {"version 2", TYPE "\r\n--b b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 2\r\n" PART2 CLOSE, false},
    {"control part with more",
     TYPE "\r\n--b b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\nreadable\r\n" PART2 CLOSE, false},
    {"control part empty", TYPE "\r\n--b b\r\nContent-Type: application/pgp-encrypted\r\n\r\n" PART2 CLOSE, false},
    {"data part is text", TYPE "\r\n" PART1 "--b b\r\nContent-Type: text/plain\r\n\r\n" ARMOR "\r\n" CLOSE, false},
    {"text behind the armour", TYPE "\r\n" PART1 PART2H "\r\n" ARMOR "readable\r\n" CLOSE, false},
    {"unknown encoding", TYPE "\r\n" PART1 PART2H "Content-Transfer-Encoding: x-uuencode\r\n\r\n" ARMOR CLOSE, false},
    {"broken quoted-printable",
     TYPE "\r\n" PART1 PART2H "Content-Transfer-Encoding: quoted-printable\r\n\r\n" ARMOR "=q\r\n" CLOSE, false},
    {"encoding on the multipart", TYPE "Content-Transfer-Encoding: base64\r\n\r\n" PART1 PART2 CLOSE, false},
    {"a line that is no field", "From a@example.org\r\n" TYPE "\r\n" PART1 PART2 CLOSE, false},
    {"mixed around it", HEAD "Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\n" PART1 PART2 CLOSE, false},
};

static bool likely(const uint8_t *head, size_t len, size_t mail_len)
{
    struct header_field fields[16];
    struct header_view v;
    assert_int_equal(header_parse(head, len, fields, sizeof(fields) / sizeof(*fields), &v), OK);
    return pgp_find_likely(&v, mail_len);
}

static void every_mail(void **state)
{
    for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
        size_t len = strlen(mails[i].mail);
        struct pgp_found found = {.len = 4711};
        uint8_t *copy = malloc(len ? len : 1), *out = malloc(len ? len : 1);
        memcpy(copy, mails[i].mail, len);
        int err = pgp_find_message(copy, len, out, len, &found);
        if (mails[i].found ? err != OK : err != ERR_NOT_FOUND)
            fail_msg("%s: %d", mails[i].name, err);
        if (mails[i].found) {
            assert_int_equal(found.len, 5);
            assert_memory_equal(out, "hello", 5);
            assert_int_equal(found.in_line, mails[i].charset != NULL);
            if (mails[i].charset && strcmp(found.charset, mails[i].charset) != 0)
                fail_msg("%s: charset \"%s\"", mails[i].name, found.charset);
        } else {
            assert_int_equal(found.len, 4711);
        }
        if (mails[i].unlikely)
            assert_false(likely(copy, len, len));
        /* Wherever the first look is cut off, it may not say no to what would be found. */
        for (size_t cut = 0; mails[i].found && cut <= len; cut++) {
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, copy, cut);
            if (!likely(part, cut, len))
                fail_msg("%s: not likely after %zu octets", mails[i].name, cut);
            free(part);
        }
        /* Nor may a mail cut anywhere make the search read too far (the sanitizer watches). */
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, copy, cut);
            (void)pgp_find_message(part, cut, out, len, &found);
            free(part);
        }
        free(copy);
        free(out);
    }
}

/* The first look ends somewhere: what begins behind it is not looked for, so that large mails need no copy. */
static void far_down_a_multipart(void **state)
{
    static char mail[16384], out[16384];
    for (size_t preamble = 3900; preamble < 4200; preamble++) {
        size_t n = strlen(strcpy(mail, MIXED));
        memset(mail + n, 'x', preamble);
        strcpy(mail + n + preamble, "\r\n" TEXT "\r\n" ARMOR CLOSE);
        size_t len = strlen(mail);
        struct pgp_found found;
        int err = pgp_find_message((uint8_t *)mail, len, (uint8_t *)out, len, &found);
        assert_true(err == OK || err == ERR_NOT_FOUND);
        assert_int_equal(err == OK, strstr(mail, "-----BEGIN") - mail - (long)strlen(MIXED) + 36 < 4096);
        if (!err && !likely((uint8_t *)mail, len, len))
            fail_msg("not likely behind %zu octets", preamble);
        if (preamble >= 4100)
            assert_false(likely((uint8_t *)mail, len, len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(armour_comes_back),
        cmocka_unit_test(armour_table),
        cmocka_unit_test(every_mail),
        cmocka_unit_test(far_down_a_multipart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
