"""Mails as real clients make them, each with what a reader must see of it: for tests of what readers' clients show."""
import base64
import dataclasses
import hashlib
import pathlib
import re
import struct
import subprocess
import zlib

SIGNER = "signer@example.org"
DATE = "Sat, 21 Nov 2026 12:34:56 +0100"
PLAIN = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"


@dataclasses.dataclass
class Mail:
    name: str
    data: bytes                # as the sender sends it, CRLF
    subject: str               # as a reader must see it
    text: str                  # a line of the text that a reader must see, or ""
    sender: str = "Ada Example <ada@example.org>"
    types: tuple = ("text/plain",)
    attachments: dict = dataclasses.field(default_factory=dict)  # name: octets
    signed: str = ""           # "pgp", "cms", "cms-opaque", "clear", "dkim"
    short: bool = False        # one of those that every run of the tests takes
    sealed: bool = True        # False: it came encrypted and stays as it is


def crlf(text):
    data = text.encode() if isinstance(text, str) else text
    return re.sub(rb"\r?\n", b"\r\n", data)


def png(red, green, blue):
    """A picture of 16 by 16 in one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes((red, green, blue)) * 16) * 16
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def b64(data):
    return base64.encodebytes(data).decode()


class Maker:
    """Makes the mails for one recipient; keyring: a harness.Keyring, which gets the signer's keys; place: a folder for
    the S/MIME key."""

    def __init__(self, keyring, place):
        self.keyring = keyring
        self.place = pathlib.Path(place)
        keyring.generate(SIGNER)
        self.cms_key, self.cms_cert = self.place / "smime.key", self.place / "smime.crt"
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.cms_key, "-out", self.cms_cert,
                     "-days", "30",
                     "-subj", f"/CN=Signer/emailAddress={SIGNER}", "-addext", "keyUsage=digitalSignature",
                     "-addext", "extendedKeyUsage=emailProtection")

    @staticmethod
    def openssl(*args, data=None):
        return subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, check=True).stdout

    def sign(self, part, *how):
        return self.keyring.gpg("--local-user", SIGNER, "--armor", *how, data=part).stdout

    def head(self, subject, sender="Ada Example <ada@example.org>", extra="", name=""):
        return (f"From: {sender}\nTo: Reader Räder <{{to}}>\n".replace("Räder", "=?utf-8?q?R=C3=A4der?=") +
                f"Cc: third@example.net\nSubject: {subject}\nDate: {DATE}\nMessage-ID: <{name}.{{id}}@example.org>\n"
                f"In-Reply-To: <parent@example.org>\nReferences: <root@example.org> <parent@example.org>\n{extra}")

    def make(self, to):
        """Every mail for one recipient."""
        out = [*self.texts(), *self.headers(), *self.multiparts(), *self.signed(), *self.protected()]
        for m in out:
            ident = hashlib.sha256((m.name + to).encode()).hexdigest()[:12]
            m.data = crlf(m.data).replace(b"{to}", to.encode()).replace(b"{id}", ident.encode())
        out.append(self.encrypted(to))
        assert len({m.name for m in out}) == len(out)
        return out

    # Bodies

    def texts(self):
        h = self.head
        yield Mail("plain", h("A plain mail", extra=PLAIN, name="plain") + "\nThis is the plain body.\n",
                   "A plain mail", "This is the plain body.", short=True)
        yield Mail("no-mime", h("Without MIME", name="no-mime") + "\nA body without any type.\n", "Without MIME",
                   "A body without any type.")
        flowed = (
            "A paragraph that the sender's client broke \nsoftly, as RFC 3676 has it.\n\n From a space-stuffed line.\n"
            " >no quote, stuffed\n> a quote \n> that flows\n-- \nAda\n"
        )
        yield Mail(
            "flowed",
            h(
                "Format flowed",
                extra="MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8; format=flowed\n",
                name="flowed",
            )
            + "\n"
            + flowed,
            "Format flowed",
            "From a space-stuffed line.",
            short=True,
        )
        yield Mail(
            "flowed-delsp",
            h(
                "Format flowed, DelSp",
                extra="MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8;\n format=flowed; delsp=yes\n",
                name="delsp",
            )
            + "\nKein Leerzeichen im zusammen \ngesetzten Wort.\n",
            "Format flowed, DelSp",
            "Kein Leerzeichen im",
        )
        yield Mail("empty-body", h("Nothing in it", extra=PLAIN, name="empty") + "\n", "Nothing in it", "")
        yield Mail("no-body", h("Not even an empty line", extra=PLAIN, name="nobody"), "Not even an empty line", "")
        yield Mail("8bit", h("8-bit body", extra=PLAIN + "Content-Transfer-Encoding: 8bit\n", name="8bit")
                   + "\nGrüße aus Köln, £5, 漢字.\n",
                   "8-bit body", "Grüße aus Köln, £5, 漢字.")
        yield Mail(
            "latin1-body",
            (
                h(
                    "Latin-1 body",
                    extra=(
                        "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding:"
                        " 8bit\n"
                    ),
                    name="latin1",
                )
                + "\nGrüße aus Köln.\n"
            ).encode("latin-1"),
            "Latin-1 body",
            "Grüße aus Köln.",
        )
        yield Mail("qp-blanks", h("Quoted-printable, trailing blanks", extra=PLAIN
                                  + "Content-Transfer-Encoding: quoted-printable\n", name="qp") +
                   "\nA line that ends in blanks =20 =20\nand one with a soft=\n break, and a sign: =E2=82=AC \n",
                   "Quoted-printable, trailing blanks",
                   "and one with a soft break, and a sign: €")
        yield Mail("base64-text", h("A text in base64", extra=PLAIN + "Content-Transfer-Encoding: base64\n", name="b64")
                   + "\n" + b64("Ein Text in base64: ß.\n".encode()),
                   "A text in base64", "Ein Text in base64: ß.")
        yield Mail("html-only", h("HTML alone", extra="MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n",
                                  name="html") +
                   "\n<!DOCTYPE html><html><body><p>Only <b>HTML</b> here.</p></body></html>\n", "HTML alone", "HTML",
                   types=("text/html",))

    # Headers

    def headers(self):
        h = self.head
        yield Mail(
            "encoded-words",
            h(
                "=?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=\n =?utf-8?Q?_und_=C3=9Cbersee=3A_?=\n =?iso-8859-1?Q?=A35?=",
                "=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <ada@example.org>",
                extra=PLAIN,
                name="words",
            )
            + "\nBody of encoded words.\n",
            "Grüße aus Köln und Übersee: £5",
            "Body of encoded words.",
            sender="Jörg Müller <ada@example.org>",
            short=True,
        )
        yield Mail("raw-utf8", h("Grüße, roh in UTF-8: 漢字", "Jörg Müller <ada@example.org>", extra=PLAIN,
                                 name="rawutf8") + "\nBody below a raw header.\n",
                   "Grüße, roh in UTF-8: 漢字", "Body below a raw header.", sender="Jörg Müller <ada@example.org>")
        yield Mail("raw-latin1", (h("Gr\xfc\xdfe, roh in Latin-1", "J\xf6rg <ada@example.org>",
                                    extra="MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n",
                                    name="rawlatin1") +
                                  "\nBody below a Latin-1 header.\n").encode("latin-1"), "Grüße, roh in Latin-1",
                   "Body below a Latin-1 header.", sender="Jörg <ada@example.org>")
        yield Mail("empty-subject", h("", extra=PLAIN, name="emptysubj") + "\nA mail with an empty subject.\n", "",
                   "A mail with an empty subject.")
        yield Mail("no-subject", re.sub("Subject: .*\n", "", h("x", extra=PLAIN, name="nosubj"))
                   + "\nA mail without a subject.\n", "", "A mail without a subject.")
        long = "A very long subject, " + " ".join(f"word{n}" for n in range(180))
        folded = "\n ".join(re.findall(r".{1,70}(?: |$)", long)).replace(" \n", "\n")
        yield Mail("long-subject", h(folded, extra=PLAIN, name="long") + "\nThe subject above is long.\n", long,
                   "The subject above is long.")
        yield Mail("broken-type", h("A Content-Type that nothing can be appended to",
                                    extra='MIME-Version: 1.0\nContent-Type: text/plain; charset="utf-8\n',
                                    name="broken") +
                   "\nThe type above is broken.\n", "A Content-Type that nothing can be appended to",
                   "The type above is broken.")

    # Multiparts

    def multiparts(self):
        h, red, blue = self.head, png(255, 0, 0), png(0, 0, 255)
        image = (
            "Content-Type: image/png; name={n}.png\nContent-Transfer-Encoding: base64\nContent-ID:"
            " <{n}@example.org>\nContent-Disposition: inline; filename={n}.png\n\n"
        )
        yield Mail("alternative-images", h("Alternative with images",
                                           extra="MIME-Version: 1.0\nContent-Type: multipart/alternative; "
                                                 'boundary="alt"\n', name="alt") + f"""
--alt
Content-Type: text/plain; charset=utf-8

The text of the alternative.
--alt
Content-Type: multipart/related; boundary="rel"; type="text/html"

--rel
Content-Type: text/html; charset=utf-8

<html><body><p>The text of the alternative.</p><img src="cid:red@example.org">\
<img src="cid:blue@example.org"></body></html>
--rel
{image.format(n="red")}{b64(red)}--rel
{image.format(n="blue")}{b64(blue)}--rel--
--alt--
""", "Alternative with images", "The text of the alternative.", short=True,
                   attachments={"red.png": red, "blue.png": blue},
                   types=("multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
                          "image/png"))
        blob = bytes(range(256)) * 20
        yield Mail("attachments", h("Attachments",
                                    extra="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=mix\n",
                                    name="attach") + f"""
--mix
Content-Type: text/plain; charset=utf-8

See what is attached.
--mix
Content-Type: application/octet-stream; name="=?utf-8?Q?Stra=C3=9Fenkarte=2Ebin?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*0*=utf-8''Stra%C3%9Fen; filename*1*=karte.bin

{b64(blob)}--mix
Content-Type: text/csv; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Disposition: attachment; filename="=?utf-8?B?w5xiZXJzaWNodC5jc3Y=?="

a,=C3=BC
--mix
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="Größe.bin"

{b64(b"raw name")}--mix--
""", "Attachments", "See what is attached.", short=True,
                   types=("multipart/mixed", "text/plain", "application/octet-stream", "text/csv",
                          "application/octet-stream"),
                   attachments={"Straßenkarte.bin": blob, "Übersicht.csv": "a,ü".encode(), "Größe.bin": b"raw name"})
        yield Mail("forwarded", h("Fwd: something",
                                  extra="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=fwd\n", name="fwd")
                   + """
--fwd
Content-Type: text/plain

See the mail below.
--fwd
Content-Type: message/rfc822

From: other@example.net
To: ada@example.org
Subject: The inner subject
Date: Mon, 1 Jun 2026 00:00:00 +0000
Content-Type: text/plain; charset=utf-8

The forwarded body.
--fwd--
""", "Fwd: something", "See the mail below.", types=("multipart/mixed", "text/plain", "message/rfc822", "text/plain"))
        yield Mail("forwarded-alone", h("A message alone", extra="MIME-Version: 1.0\nContent-Type: message/rfc822\n",
                                        name="fwd1") + """
From: other@example.net
Subject: Yet another inner subject
Date: Mon, 1 Jun 2026 00:00:00 +0000
Content-Type: text/plain; charset=utf-8

The body of the message alone.
""", "A message alone", "The body of the message alone.", types=("message/rfc822", "text/plain"))
        yield Mail("bounce", h("Undelivered Mail Returned to Sender",
                               "Mail Delivery System <MAILER-DAEMON@example.org>",
                               extra="MIME-Version: 1.0\nAuto-Submitted: auto-replied\nContent-Type: multipart/report; "
                                     "report-type=delivery-status; boundary=dsn\n", name="dsn") + """
--dsn
Content-Type: text/plain; charset=us-ascii

This is the mail system: your message could not be delivered.
--dsn
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; nobody@example.net
Action: failed
Status: 5.1.1
--dsn
Content-Type: text/rfc822-headers

Subject: what was sent
--dsn--
""", "Undelivered Mail Returned to Sender", "your message could not be delivered",
                   sender="Mail Delivery System <MAILER-DAEMON@example.org>",
                   types=("multipart/report", "text/plain", "message/delivery-status", "text/plain", "text/plain",
                          "text/rfc822-headers"))
        invite = (
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1@example.org\n"
            "DTSTAMP:20261121T100000Z\nDTSTART:20261201T100000Z\nSUMMARY:Besprechung über Köln\n"
            "ORGANIZER:mailto:ada@example.org\nEND:VEVENT\nEND:VCALENDAR\n"
        )
        yield Mail("invitation", h("Invitation",
                                   extra="MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=cal\n",
                                   name="cal") + f"""
--cal
Content-Type: text/plain; charset=utf-8

You are invited.
--cal
Content-Type: text/calendar; charset=utf-8; method=REQUEST

{invite}--cal--
""", "Invitation", "You are invited.", types=("multipart/alternative", "text/plain", "text/calendar"))

    # Signed inside

    def signed(self):
        h = self.head
        part = crlf(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nA signed text:"
            " =C3=BC.\nFrom the start of a line.  =20\n"
        )
        yield self.pgp_signed("pgp-signed", h("Signed with PGP", extra="{type}", name="pgpsigned"), part,
                              subject="Signed with PGP", text="A signed text: ü.", short=True)
        clear = self.sign("A clear-signed text.\n- with a dash\nand blanks  \n".encode(), "--clear-sign").decode()
        yield Mail("clear-signed", h("Clear-signed", extra=PLAIN, name="clearsigned") + "\n" + clear, "Clear-signed",
                   "A clear-signed text.", signed="clear")
        cms = self.openssl(
            "cms",
            "-sign",
            "-signer",
            self.cms_cert,
            "-inkey",
            self.cms_key,
            "-md",
            "sha256",
            data=b"Content-Type: text/plain; charset=utf-8\r\n\r\nA text signed with S/MIME.\r\n",
        ).decode("latin-1")
        yield Mail("smime-signed", h("Signed with S/MIME", name="smime") + cms, "Signed with S/MIME",
                   "A text signed with S/MIME.", signed="cms", short=True,
                   types=("multipart/signed", "text/plain", "application/pkcs7-signature"))
        opaque = self.openssl(
            "cms",
            "-sign",
            "-nodetach",
            "-signer",
            self.cms_cert,
            "-inkey",
            self.cms_key,
            "-md",
            "sha256",
            data=b"Content-Type: text/plain; charset=utf-8\r\n\r\nA text inside S/MIME.\r\n",
        ).decode("latin-1")
        yield Mail("smime-opaque", h("Signed with S/MIME, opaque", name="smimeo") + opaque,
                   "Signed with S/MIME, opaque", "", signed="cms-opaque",
                   types=("application/pkcs7-mime",))
        body = "A mail of a list.\n\n_______________________________________________\nlist mailing list\n"
        bh = base64.b64encode(hashlib.sha256(crlf(body)).digest()).decode()
        yield Mail(
            "list-dkim",
            "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.org;"
            f" s=sel;\n\th=from:to:subject:date;\n\tbh={bh};\n\tb=AAAA\nSender: list-bounces@example.org\nList-Id: A"
            " list <list.example.org>\nList-Post: <mailto:list@example.org>\nPrecedence: list\n"
            + h("[list] A mail of a list", extra=PLAIN, name="list")
            + "\n"
            + body,
            "[list] A mail of a list",
            "A mail of a list.",
            signed="dkim",
        )

    def pgp_signed(self, name, head, part, **known):
        signature = self.sign(part, "--detach-sign", "--textmode").decode()
        field = (
            'MIME-Version: 1.0\nContent-Type: multipart/signed;'
            ' micalg=pgp-sha512;\n\tprotocol="application/pgp-signature"; boundary="sig"\n'
        )
        data = (
            crlf(head.replace("{type}", field) + "\n--sig\n")
            + part
            + crlf(f"\n--sig\nContent-Type: application/pgp-signature; name=signature.asc\n\n{signature}\n--sig--\n")
        )
        return Mail(name, data, signed="pgp", types=("multipart/signed", "text/plain", "application/pgp-signature"),
                    **known)

    # Header protection of the sender's own, RFC 9788

    def protected(self):
        h = self.head
        part = crlf(
            'Content-Type: text/plain; charset=utf-8; hp="clear"; protected-headers="v1"\nFrom: Ada Example'
            f' <ada@example.org>\nSubject: Protected by a signature\nDate: {DATE}\n\nA text with protected fields.\n'
        )
        yield self.pgp_signed("hp-clear-signed", h("Protected by a signature", extra="{type}", name="hpclear"), part,
                              subject="Protected by a signature", text="A text with protected fields.", short=True)
        yield Mail("hp-clear", h("Says hp=clear on top",
                                 extra='MIME-Version: 1.0\nContent-Type: text/plain; hp="clear"; charset=utf-8\n',
                                 name="hpclear0") +
                   "\nA text that says clear.\n", "Says hp=clear on top", "A text that says clear.")
        yield Mail(
            "hp-cipher",
            h(
                "Says hp=cipher on top",
                extra=(
                    'HP-Outer: Subject: [...]\nHP-Outer: From: forged@example.com\nMIME-Version: 1.0\nContent-Type:'
                    ' text/plain; charset=utf-8; hp="cipher"\n'
                ),
                name="hpcipher0",
            )
            + "\nA text that says cipher.\n",
            "Says hp=cipher on top",
            "A text that says cipher.",
        )

    def encrypted(self, to):
        """End to end, as a client with header protection makes it: it is not sealed again."""
        inner = crlf(
            'HP-Outer: Subject: [...]\nHP-Outer: From: Ada Example <ada@example.org>\nFrom: Ada Example'
            f' <ada@example.org>\nTo: {to}\nSubject: Encrypted end to end\nDate: {DATE}\nMessage-ID:'
            ' <e2e@example.org>\nContent-Type: text/plain; charset=utf-8; hp="cipher"; protected-headers="v1"\n\nA'
            ' text encrypted by its sender.\n'
        )
        armor = self.keyring.gpg("--armor", "--encrypt", "--recipient", to, data=inner).stdout.decode()
        data = crlf(
            f"From: Ada Example <ada@example.org>\nTo: {to}\nSubject: [...]\nDate: {DATE}\nMessage-ID:"
            " <e2e@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/encrypted;"
            " protocol=\"application/pgp-encrypted\"; boundary=\"enc\"\n\n--enc\nContent-Type:"
            " application/pgp-encrypted\n\nVersion: 1\n\n--enc\nContent-Type:"
            f" application/octet-stream\n\n{armor}\n--enc--\n"
        )
        return Mail("encrypted", data, "Encrypted end to end", "A text encrypted by its sender.", sealed=False,
                    short=True)
