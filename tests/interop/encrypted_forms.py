"""Mail that arrives encrypted, in every form that people, lists and attackers give it: real packets by gpg, sq, rnp and
OpenPGP.js, taken apart and put together again; each with what the server must do with it."""
import base64
import collections
import email.utils
import os
import quopri
import re
import subprocess

import harness

# name; who: the account; data: the mail; outcome: kept (as PGP/MIME), inline (kept as such), hidden (kept unless the
# operator does not want mail for hidden recipients kept), sealed;
# packets: of what is kept; clear: what the sender encrypted, if gpg can open it.
Form = collections.namedtuple("Form", "name who data outcome packets clear")

PKESK, SKESK, SED, MARKER, LITERAL, COMPRESSED, SEIPD, AEAD, PADDING = 1, 3, 9, 10, 11, 8, 18, 20, 21
TEXT = "Remember: the first line is no header field.\r\nGrüße\r\n\r\nA second paragraph.\r\n".encode()
ENTITY = b"Content-Type: text/plain; charset=utf-8\r\nSubject: inside\r\n\r\n" + TEXT


Packet = collections.namedtuple("Packet", "tag whole partial body")


def split(data):
    """One packet after another."""
    out, at = [], 0
    while at < len(data):
        start, head, partial, content = at, data[at], False, b""
        assert head & 0x80, (at, data[at:at + 20])
        at += 1
        if head & 0x40:
            tag, more = head & 0x3f, True
            while more:
                n, more = data[at], False
                if n < 192:
                    at += 1
                elif n < 224:
                    n = (n - 192 << 8) + data[at + 1] + 192
                    at += 2
                elif n == 255:
                    n = int.from_bytes(data[at + 1:at + 5], "big")
                    at += 5
                else:
                    n, more, partial = 1 << (n & 31), True, True
                    at += 1
                content += data[at:at + n]
                at += n
        else:
            tag, octets = head >> 2 & 15, 1 << (head & 3)
            n = int.from_bytes(data[at:at + octets], "big")
            content = data[at + octets:at + octets + n]
            at += octets + n
        out.append(Packet(tag, data[start:at], partial, content))
    assert at == len(data)
    return out


def body(packet):
    return split(packet)[0].body


def packet(tag, content):
    return bytes([0xc0 | tag, 255]) + len(content).to_bytes(4, "big") + content


def old_format(tag, content):
    return bytes([0x80 | tag << 2 | 1]) + len(content).to_bytes(2, "big") + content


def crc24(data):
    crc = 0xb704ce
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864cfb
    return crc


def armor(data, headers="", crc=True, width=64):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + width] for i in range(0, len(text), width)]
    if crc:
        lines.append("=" + base64.b64encode(crc24(data).to_bytes(3, "big")).decode())
    return ("-----BEGIN PGP MESSAGE-----\r\n" + headers + "\r\n" + "\r\n".join(lines)
            + "\r\n-----END PGP MESSAGE-----\r\n").encode()


def dearmor(text):
    lines = text.replace(b"\r", b"").split(b"\n")
    lines = lines[lines.index(b"") + 1:]
    return base64.b64decode(b"".join(x for x in lines[:[i for i, x in enumerate(lines) if x.startswith(b"--")][0]]
                                     if not x.startswith(b"=")))


def false_crc(armored, line=b"=AAAA"):
    return re.sub(rb"\r\n=.{4}\r\n", b"\r\n" + line + b"\r\n", armored)


def printable(data):
    return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


class Maker:
    """alice: a current Curve25519 key and a retired one; bob: RSA; six: a version 6 key of OpenPGP.js. carol,
    dave (RSA of 3072 bits) and erin (P-256) are strangers."""

    def __init__(self, place, ring, js, keys, retired):
        self.place, self.ring, self.js, self.keys, self.retired = place, ring, js, keys, retired
        self.count, self.phase = 0, "a"

    # Packets

    def gpg(self, *args, data=ENTITY):
        return self.ring.gpg("-z", "0", *args, data=data).stdout

    def to(self, *names, data=ENTITY, more=()):
        return self.gpg(*more, "--encrypt", *[x for n in names for x in ("--recipient", self.keys.get(n, n))],
                        data=data)

    def program(self, *args, data):
        p = subprocess.run([str(a) for a in args], input=data, capture_output=True, timeout=120)
        assert p.returncode == 0, p.stderr.decode()
        return p.stdout

    def certificate(self, name):
        path = self.place / f"{name}.pgp"
        if not path.exists():
            path.write_bytes(self.gpg("--export", self.keys[name], data=None))
        return path

    def sq(self, name, data=ENTITY):
        return self.program("sq", "encrypt", "--binary", "--recipient-cert", self.certificate(name), data=data)

    def rnp(self, name, *more, data=ENTITY):
        return self.program("rnp", "--encrypt", "--keyfile", self.certificate(name), "-r", self.keys[name], "--notty",
                            "--output", "-", *more, "-z", "0",
                            data=data)

    def openpgpjs(self, *names, data=ENTITY, **options):
        path = self.place / "clear"
        path.write_bytes(data)
        answer = self.js.ask(op="encrypt", path=str(path),
                             keys=[str(self.place / "six.public") if n == "six" else str(self.certificate(n))
                                   for n in names],
                             **options)
        assert "error" not in answer, answer
        return base64.b64decode(answer["message"])

    # Mail

    def head(self, who, extra=""):
        self.count += 1
        return harness.crlf(
            f"From: Sender <sender@example.org>\nTo: {who}@{harness.DOMAIN}\nSubject: as published\nDate:"
            f" {email.utils.formatdate(1795000000)}\nMessage-ID:"
            f" <{self.phase}.{self.count}@forms.example>\nMIME-Version: 1.0\n{extra}"
        )

    def mime(self, who, armored, extra="", part="", preamble="", control="Version: 1\r\n", between="", last="",
             epilogue="", kind="multipart/encrypted", control_part="",
             protocol='; protocol="application/pgp-encrypted"', encoding=None):
        if encoding:
            part += f"Content-Transfer-Encoding: {encoding}\r\n"
            armored = base64.encodebytes(armored).replace(b"\n",
                                                          b"\r\n") if encoding == "base64" else printable(armored)
        return (
            self.head(who, extra + f'Content-Type: {kind}{protocol};\n boundary="=-b /x"\n')
            + (
                f"\r\n{preamble}--=-b /x\r\nContent-Type: application/pgp-encrypted{control_part}\r\n\r\n{control}\r\n"
                f"{between}--=-b /x\r\nContent-Type: application/octet-stream; name=encrypted.asc\r\n{part}\r\n"
            ).encode()
            + armored
            + f"\r\n{last}--=-b /x--\r\n{epilogue}".encode()
        )

    def nested(self, who, armored):
        part = self.mime(who, armored)
        inner = part[part.index(b"Content-Type:"):]
        return self.head(who, "Content-Type: multipart/mixed; boundary=m\n") + b"\r\n--m\r\n" + inner + b"--m--\r\n"

    def mixed(self, who, armored, part="", more=""):
        return (
            self.head(who, "Content-Type: multipart/mixed; boundary=m\n")
            + f"\r\n--m\r\nContent-Type: text/plain; charset=utf-8\r\n{part}\r\n".encode()
            + armored
            + f"\r\n{more}--m--\r\n".encode()
        )

    def inline(self, who, armored, content="text/plain; charset=utf-8", extra=""):
        return self.head(who, (f"Content-Type: {content}\n" if content else "") + extra) + b"\r\n" + armored

    def all(self):
        for make in (self.kept, self.kept_inline, self.hidden, self.sealed_by_packets, self.sealed_by_mail):
            yield from make()

    def kept(self):
        def form(name, packets, who="alice", clear=ENTITY, **more):
            data = more.pop("armored", None) or armor(packets,
                                                      **{k: more.pop(k) for k in ("headers", "crc", "width")
                                                         if k in more})
            mail = self.nested if more.pop("nested", False) else self.mime
            return Form(name, who, mail(who, data, **more), "kept", packets, clear)

        plain, large = self.to("alice"), os.urandom(150000)
        pkesk, container = (p.whole for p in split(plain))
        partial = {"gpg": self.to("alice", data=large), "sq": self.sq("alice", data=large),
                   "rnp": self.rnp("alice", data=large)}
        for program, packets in partial.items():
            # rnp and gpg 2.2 know the length of nothing that comes through a pipe
            assert any(p.partial for p in split(packets)) or program == "sq", program
            yield form(f"{program}, 150,000 octets through a pipe", packets, clear=large)
        yield form("gpg", plain)
        yield form("gpg, RSA", self.to("bob"), who="bob")
        yield form("gpg, signed and compressed inside",
                   self.ring.gpg("--sign", "--encrypt", "--local-user", self.keys["carol"], "--recipient",
                                 self.keys["alice"],
                                                                      data=ENTITY).stdout)
        yield form("sq", self.sq("alice"))
        yield form("rnp", self.rnp("alice"))
        yield form("OpenPGP.js", self.openpgpjs("alice"))
        yield form("OpenPGP.js, RSA", self.openpgpjs("bob"), who="bob")
        yield form("OpenPGP.js, version 6 and SEIPD version 2", self.openpgpjs("six"), who="six", clear=None)
        yield form("OpenPGP.js, ours in version 6 beside a stranger's in version 4 makes all version 3",
                   self.openpgpjs("six", "carol"), who="six", clear=None)
        yield form("ours and a stranger's", self.to("carol", "alice"))
        yield form("ours and a retired one", self.to(self.retired, "alice"))
        yield form("ours and a hidden stranger", self.to("alice", more=("--hidden-recipient", self.keys["carol"])))
        yield form("64 session keys", pkesk * 64 + container)
        yield form("old packet format", old_format(PKESK, body(pkesk)) + container)
        yield form("session key with a length of five octets", packet(PKESK, body(pkesk)) + container)
        yield form("partial lengths by hand", self.partial(self.to("alice", data=ENTITY + large[:3000])), clear=ENTITY
                   + large[:3000])
        yield form("without CRC", plain, crc=False)
        yield form("76 characters a line", plain, width=76)
        yield form(
            "armour headers",
            plain,
            headers=(
                "Version: GnuPG v2\r\nComment: Using GnuPG: https://example.org\r\nHash: SHA512\r\nCharset: UTF-8\r\n"
            ),
        )
        yield form("base64", plain, encoding="base64")
        yield form("quoted-printable", plain, encoding="quoted-printable")
        yield form("preamble", plain, preamble="This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n")
        yield form(
            "as Thunderbird writes it",
            plain,
            extra=(
                f"User-Agent: Mozilla Thunderbird\nAutocrypt: addr=sender@example.org; keydata=\n {'A' * 70}\n"
                "Content-Language: en-US\n"
            ),
            part=(
                'Content-Description: OpenPGP encrypted message\r\nContent-Disposition: inline;'
                ' filename="encrypted.asc"\r\n'
            ),
            preamble="This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n",
        )
        encoded = "\r\nContent-Transfer-Encoding: "
        yield form("both parts in base64, as FlowCrypt writes them", plain, control="VmVyc2lvbjogMQ==\r\n",
                   control_part=f"; name=version.asc\r\nContent-Disposition: attachment{encoded}base64",
                   encoding="base64")
        yield form("control part as Exchange Online writes it", plain, control="VmVyc2lvbjogMQ0K\r\n",
                   control_part=(
                       ';\r\n\tname="PGPMIME Versions Identification"\r\nContent-Disposition: attachment;\r\n'
                       '\tfilename="PGPMIME Versions Identification"; size=13;\r\n\tcreation-date="Wed, 14 Mar 2018'
                       f' 14:41:28 GMT"{encoded}base64'))
        yield form("control part quoted-printable", plain, control="Version:=201=\r\n",
                   control_part=encoded + "quoted-printable")
        yield form("a false CRC", plain, armored=false_crc(armor(plain)))
        yield form("a CRC cut short", plain, armored=false_crc(armor(plain), b"=A"))
        yield form("unknown armour headers", plain, headers="X-Own: readable\r\nPassphrase-Format: numeric9x4\r\n")
        yield form("no protocol", plain, protocol="")
        yield form("PGP/MIME alone in multipart/mixed", plain, nested=True)
        yield form(
            "forged fields of ours",
            plain,
            extra=f"Sealed-By: {harness.DOMAIN}; v=1\nLetterlock-Seal: v=1; len=1; ins=0+1\n",
        )

    @staticmethod
    def partial(packets):
        pkesk, container = (p.whole for p in split(packets))
        content = body(container)
        return (
            pkesk
            + b"\xd2"
            + b"\xea"
            + content[:1024]
            + b"\xe0"
            + content[1024:1025]
            + b"\xff"
            + (len(content) - 1025).to_bytes(4, "big")
            + content[1025:]
        )

    def kept_inline(self):
        def form(name, text=TEXT, content="text/plain; charset=utf-8", extra="", armored=None, packets=None, **more):
            packets = packets or self.to("alice", data=text)
            return Form("inline, " + name, "alice",
                        self.inline("alice", armored or armor(packets, **more), content, extra), "inline", packets,
                        text)

        yield form("gpg")
        yield form("one line", b"one: line\r\n")
        yield form("looks like MIME", b"Content-Type: text/html\r\n\r\n<b>no</b>\r\n")
        yield form("no MIME type", content="")
        yield form("ISO-8859-1", TEXT.decode().encode("latin-1"),
                   "text/plain; charset=iso-8859-1; format=flowed; delsp=yes")
        yield form("the armour knows the charset", TEXT.decode().encode("latin-1"), "text/plain; charset=us-ascii",
                   headers="Charset: ISO-8859-15\r\n")
        yield form(
            "white space at line ends",
            armored=armor((p := self.to("alice", data=TEXT))).replace(b"\r\n", b"  \r\n"),
            packets=p,
        )
        yield form("empty lines around it", armored=b"\r\n\r\n" + armor((p := self.to("alice", data=TEXT)))
                   + b"\r\n \r\n", packets=p)
        p = self.to("alice", data=TEXT)
        yield form("quoted-printable", armored=printable(armor(p)), packets=p,
                   extra="Content-Transfer-Encoding: quoted-printable\n")
        base64_lines = base64.encodebytes(armor(p)).replace(b"\n", b"\r\n")
        yield form("base64", armored=base64_lines, packets=p, extra="Content-Transfer-Encoding: base64\n")
        yield form("a false CRC", armored=false_crc(armor(p)), packets=p)
        yield form("an unknown armour header", headers="Remark: readable\r\n")
        lines = "Version: FlowCrypt Email Encryption 8.5.10\r\nComment: Seamlessly send and receive encrypted email\r\n"
        yield Form("inline, alone in multipart/mixed, as FlowCrypt writes it", "alice",
                   self.mixed("alice", armor(p, headers=lines)), "inline", p, TEXT)
        yield Form("inline, alone in multipart/mixed, base64", "alice",
                   self.mixed("alice", base64_lines, "Content-Transfer-Encoding: base64\r\n"), "inline", p, TEXT)

    def hidden(self):
        def form(name, packets, who="alice", clear=ENTITY):
            return Form(name, who, self.mime(who, armor(packets)), "hidden", packets, clear)

        alice = ("--hidden-recipient", self.keys["alice"])
        pkesk, container = (p.whole for p in split(self.to(more=alice)))
        yield form("wildcard only", pkesk + container)
        yield form("wildcard, RSA", self.to(more=("--hidden-recipient", self.keys["bob"])), who="bob")
        yield form("all key ids thrown away", self.to("carol", "alice", more=("--throw-keyids",)))
        yield form("a wildcard among others' of other algorithms",
                   self.to("dave", "erin", "bob", "alice", more=("--throw-keyids",)))
        yield form("16 wildcards", pkesk * 16 + container)
        yield form("OpenPGP.js, wildcard", self.openpgpjs("alice", wildcard=True))
        yield form("OpenPGP.js, wildcards, RSA", self.openpgpjs("bob", "carol", wildcard=True), who="bob")
        yield form("OpenPGP.js, wildcard of version 6", self.openpgpjs("six", wildcard=True), who="six", clear=None)
        yield form("wildcard for somebody else with the same algorithm",
                   self.to(more=("--hidden-recipient", self.keys["carol"])))

    def sealed_by_packets(self):
        def form(name, packets, who="alice", clear=None):
            return Form(name, who, self.mime(who, armor(packets)), "sealed", None, clear)

        plain = self.to("alice")
        pkesk, container = (p.whole for p in split(plain))
        six = self.openpgpjs("six")
        pkesk6, container2 = (p.whole for p in split(six))
        literal, marker, padding = (
            packet(LITERAL, b"b\0\0\0\0\0readable"),
            packet(MARKER, b"PGP"),
            packet(PADDING, b"readable" * 4),
        )
        key_id = body(pkesk)[1:9]
        yield form("for a stranger only", self.to("carol"), clear=ENTITY)
        yield form("for a retired key only", self.to(self.retired), clear=ENTITY)
        yield form("names the key that only signs",
                   packet(PKESK, b"\3" + bytes.fromhex(self.ring.fingerprint(self.keys["alice"])[-16:])
                          + body(pkesk)[9:]) + container)
        yield form("our key id, another algorithm", packet(PKESK, b"\3" + key_id + b"\1\x08\0" + b"\xa5" * 256)
                   + container)
        wild = {n: self.to(more=("--hidden-recipient", self.keys[n])) for n in ("alice", "bob", "dave", "erin")}
        yield form("wildcard of an algorithm that no key has", wild["bob"], clear=ENTITY)
        yield form("wildcard of another length, RSA", wild["dave"], who="bob", clear=ENTITY)
        yield form("wildcard of another curve", wild["erin"], clear=ENTITY)
        hidden = split(wild["alice"])
        yield form("17 wildcards", hidden[0].whole * 17 + hidden[1].whole)
        yield form("wildcard and a stranger", self.to("carol", more=("--hidden-recipient", self.keys["alice"])),
                   clear=ENTITY)
        yield form("wildcard and a retired key", self.to(self.retired, more=("--hidden-recipient", self.keys["alice"])),
                   clear=ENTITY)
        yield form("wildcard, a literal behind", wild["alice"] + literal)
        yield form("marker first", marker + plain, clear=ENTITY)
        yield form("marker between", pkesk + marker + container, clear=ENTITY)
        yield form("marker behind", plain + marker)
        yield form("padding first", padding + plain)
        yield form("padding between", pkesk + padding + container)
        yield form("padding behind", plain + padding)
        yield form("padding first, version 6", padding + six, who="six")
        yield form("a second message behind", plain + self.to("alice"))
        yield form("a literal behind", plain + literal)
        yield form("an octet behind", plain + b"\0")
        yield form("a line behind", plain + b"readable\r\n")
        yield form("a literal first", literal + plain)
        yield form("a literal for us", pkesk + literal)
        yield form("compressed for us", pkesk + packet(COMPRESSED, b"\0" + literal))
        yield form("a container without integrity", pkesk + packet(SED, body(container)[1:]))
        yield form("a container alone", container)
        yield form("session keys alone", pkesk)
        yield form("a literal alone", self.gpg("--store"), clear=ENTITY)
        yield form("signed only", self.gpg("--sign", "--local-user", self.keys["carol"]), clear=ENTITY)
        yield form("password only", self.password("--symmetric"))
        yield form("password and our key", self.password("--symmetric", "--encrypt", "--recipient", self.keys["alice"]),
                   clear=ENTITY)
        yield form("GnuPG's AEAD packet", self.rnp("alice", "--aead=OCB"))
        yield form("versions 3 and 6 mixed", pkesk + packet(PKESK, body(pkesk6)) + container)
        yield form("version 6 before SEIPD version 1", pkesk6 + container, who="six")
        yield form("version 3 before SEIPD version 2", pkesk + container2)
        yield form("SEIPD version 3", pkesk + packet(SEIPD, b"\3" + body(container)[1:]))
        yield form("an unknown version among good ones", packet(PKESK, b"\4" + body(pkesk)[1:]) + plain)
        yield form("an unknown algorithm among good ones",
                   packet(PKESK, b"\3" + os.urandom(8) + b"\x63" + os.urandom(40)) + plain)
        yield form("text behind a session key's fields", packet(PKESK, body(pkesk) + b"readable") + container)
        yield form("a huge session key", packet(PKESK, b"\3" + key_id + b"\1\xff\xff" + b"\xff" * 8191) + container)
        yield form("65 session keys", pkesk * 65 + container)
        yield form("indeterminate length", b"\x87" + body(pkesk) + container)
        yield form("partial length of a session key", b"\xc1\xe9" + body(pkesk).ljust(512, b"\0") + b"\0" + container)
        yield form("a private packet with text", packet(60, b"readable") + plain)
        yield form("cut short", plain[:-1])
        yield form("no packets", b"this is readable text")

    def password(self, *args):
        return self.gpg("--pinentry-mode", "loopback", "--passphrase", "x", *args)

    def sealed_by_mail(self):
        def form(name, data, clear=ENTITY):
            return Form(name, "alice", data, "sealed", None, clear)

        def mime(name, clear=ENTITY, data=None, **more):
            return form(name, self.mime("alice", data or armor(self.to("alice")), **more), clear)

        def inline(name, data, *args, clear=TEXT, **more):
            return form("inline, " + name, self.inline("alice", data, *args, **more), clear)

        plain = armor(self.to("alice"))
        text = armor(self.to("alice", data=TEXT))
        yield inline("wildcard", armor(self.to(data=TEXT, more=("--hidden-recipient", self.keys["alice"]))))
        yield inline("text before", b"Look at this:\r\n" + text)
        yield inline("a mailing list's footer", text + b"_____________\r\nlist mailing list\r\n")
        yield inline("two blocks", text + text)
        yield inline("HTML", text, "text/html; charset=utf-8")
        yield inline("an attachment's type", text, "application/octet-stream")
        yield inline("a charset that nobody knows", text, "text/plain; charset=x-unheard-of")
        yield inline(
            "text among armour headers",
            text.replace(b"MESSAGE-----\r\n\r\n", b"MESSAGE-----\r\nreadable\r\n\r\n"),
            clear=None,
        )
        yield inline("dash-escaped", re.sub(rb"(?m)^-", b"- -", text), clear=None)
        yield inline("quoted", re.sub(rb"(?m)^", b"> ", text)[:-2], clear=None)
        yield inline("no end", text[:-27], clear=None)
        yield inline("text for a CRC", re.sub(rb"\r\n=.{4}\r\n", b"\r\n=this is readable\r\n", text), clear=None)
        attached = "--m\r\nContent-Type: application/octet-stream\r\n\r\nreadable\r\n"
        yield form("multipart/mixed, a block and an attachment", self.mixed("alice", text, more=attached), TEXT)
        yield form("multipart/mixed, text before the block", self.mixed("alice", b"Look at this:\r\n" + text), TEXT)
        yield inline(
            "cleartext signature",
            harness.crlf(self.gpg("--clearsign", "--local-user", self.keys["carol"], data=TEXT)),
            clear=None,
        )
        yield mime("multipart/encrypted that holds plain text", data=b"this is readable\r\n", clear=None)
        yield mime("armour of a literal", data=harness.crlf(self.gpg("--armor", "--store")))
        yield mime("no Version", control="\r\n")
        yield mime("Version: 2", control="Version: 2\r\n")
        yield mime("text in the control part", control="Version: 1\r\nreadable\r\n")
        yield mime("a third part", last="--=-b /x\r\nContent-Type: text/plain\r\n\r\na list's footer\r\n")
        yield mime("a part between", between="--=-b /x\r\nContent-Type: text/plain\r\n\r\nreadable\r\n")
        yield mime("an epilogue", epilogue="-- \r\nA list's footer\r\n")
        yield mime("mixed instead of encrypted, as Exchange makes it", kind="multipart/mixed", protocol="")
        yield mime("binary packets", data=self.to("alice").replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
                   clear=None)
        inner = plain.decode()
        yield form(
            "a list's multipart/mixed around it",
            self.head("alice", "Content-Type: multipart/mixed; boundary=m\n")
            + (
                '\r\n--m\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted";'
                ' boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion:'
                ' 1\r\n\r\n--b\r\nContent-Type:'
                f' application/octet-stream\r\n\r\n{inner}\r\n--b--\r\n\r\n--m\r\nContent-Type:'
                ' text/plain\r\n\r\nfooter\r\n--m--\r\n'
            ).encode(),
        )
        yield form("two Content-Types", self.mime("alice", plain, extra="Content-Type: text/plain\n"))
        yield form(
            "S/MIME",
            self.head(
                "alice",
                (
                    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;"
                    " name=smime.p7m\nContent-Transfer-Encoding: base64\n"
                ),
            )
            + b"\r\n"
            + self.smime().replace(b"\n", b"\r\n"),
            None,
        )
        yield form(
            "plain mail that talks of it",
            self.inline("alice", b"Begin with -----BEGIN PGP MESSAGE-----\r\nand so on.\r\n"),
            None,
        )

    def smime(self):
        key, certificate = self.place / "smime.key", self.place / "smime.crt"
        if not certificate.exists():
            self.program("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=alice", "-keyout",
                         key, "-out", certificate, data=b"")
        return base64.encodebytes(self.program("openssl", "cms", "-encrypt", "-aes256", "-outform", "DER", certificate,
                                               data=ENTITY))
