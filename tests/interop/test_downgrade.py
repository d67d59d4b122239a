"""Mail for servers without 8BITMIME: what Python's email decodes of each part is the same before and after. A sample of
the corpus by default; all 6,046 messages with LETTERLOCK_FULL=1."""
import email
import email.policy
import os
import pathlib
import re
import subprocess

import corpus
import pytest

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/downgrade_tool"
EVERY = 1 if os.environ.get("LETTERLOCK_FULL") else 20
LINE = 998


def downgrade(mails, folder):
    """What came out for each, or the error's words."""
    for n, mail in enumerate(mails):
        (folder / str(n)).write_bytes(mail)
    out = subprocess.run([TOOL], input="".join(f"{folder / str(n)}\n" for n in range(len(mails))), text=True,
                         capture_output=True, check=True, timeout=300).stdout.splitlines()
    return [(folder / f"{n}.7bit").read_bytes() if word == "ok" else word for n, word in enumerate(out)]


def parts(mail):
    """(type, decoded octets) of each leaf, in order."""
    found = []
    for part in email.message_from_bytes(mail, policy=email.policy.compat32).walk():
        if not part.is_multipart():
            data = part.get_payload(decode=True)
            found.append((part.get_content_type(), (data or b"").rstrip(b"\r\n")))
    return found


def is_fit(mail):
    body = mail.split(b"\r\n\r\n", 1)[-1]
    return body.isascii() and max(map(len, mail.split(b"\r\n"))) <= LINE


def longest(mail):
    return max(map(len, mail.split(b"\r\n")))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    mails = [corpus.wire(data.replace(b"\r", b"")) for _, data in list(corpus.messages())[::EVERY]]
    return list(zip(mails, downgrade(mails, tmp_path_factory.mktemp("real"))))


def test_real_mail_keeps_what_it_says(real):
    changed, kept = 0, []
    for before, after in real:
        if isinstance(after, str):
            kept.append((before, after))
            continue
        if after == before:
            continue
        changed += 1
        assert is_fit(after)
        assert parts(after) == parts(before)
    assert changed > len(real) // 100
    for before, why in kept:  # under a signature, or not taken apart by anybody
        assert b"multipart/signed" in before.lower() or b"\0" in before \
            or longest(before.split(b"\r\n\r\n")[0]) > LINE \
            or re.search(rb"^content-transfer-encoding: (?!7bit|8bit|quoted|base64|binary)", before, re.M | re.I) \
            or re.search(rb"^content-type: multipart/(?!.*boundary)", before, re.M | re.I) \
            or re.search(rb"^([\w-]+:|[ \t]).*[\x80-\xff]", before, re.M), why


def one(tmp_path, mail):
    return downgrade([mail], tmp_path)[0]


HEAD = b"From: a@example.org\r\nMIME-Version: 1.0\r\n"


@pytest.mark.parametrize("mail", [
    HEAD + b"\r\nplain\r\n",
    HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
    HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
])
def test_what_fits_is_left(tmp_path, mail):
    assert one(tmp_path, mail) == mail


@pytest.mark.parametrize("mail", [
    HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
    HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe4\r\n",
    HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n",
    HEAD + b"Content-Type: multipart/mixed\r\n\r\n\xe4\r\n",
    HEAD + b"X-Long: " + b"x" * 1000 + b"\r\n\r\n\xe4\r\n",
])
def test_what_cannot_be_done_is_said(tmp_path, mail):
    assert one(tmp_path, mail) == "not supported"


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
                  for n in range(40)) + b"\r\n\xe4\r\n"


def test_parts_too_deep_or_too_many(tmp_path):
    assert one(tmp_path, b"From: a@example.org\r\n" + NESTED) == "limit exceeded"
    many = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n\xe4\r\n" * 10001 + b"--b--\r\n"
    assert one(tmp_path, many) == "limit exceeded"


TEXTS = [b"\xe4", b"\xc3\xa4 = \xc3\xb6 \t\r\n\r\n.\r\nFrom x\r\n--b\r\n", b"\xff" * 3000, b"x" * 5000,
         b"= =\r\n=\xe4" * 100, b"a " * 2000 + b"\r\n \r\n", b"-" * 5000, bytes(range(1, 10)) + bytes(range(14, 256))]


@pytest.mark.parametrize("text", range(len(TEXTS)))
@pytest.mark.parametrize("kind", [b"text/plain; charset=utf-8", b"application/octet-stream", b"message/rfc822"])
def test_octets_come_back(tmp_path, text, kind):
    data = TEXTS[text]
    if kind == b"message/rfc822":
        data = b"Subject: inner\r\n\r\n" + data
    whole = HEAD + b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + data + b"\r\n"
    inner = HEAD + (b"Content-Type: multipart/mixed; boundary=\"b c\"\r\n\r\naside \xe4\r\n--b c\r\n"
                    b"Content-Type: " + kind + b"\r\n\r\n" + data + b"\r\n--b c\r\n\r\n\r\n--b c--\r\n\xe4 behind\r\n")
    for mail in (whole, inner):
        after = one(tmp_path, mail)
        assert is_fit(after) and parts(after) == parts(mail)


@pytest.mark.parametrize("encoding,data", [
    (b"quoted-printable", b"=E4" * 1000 + b"=\r\n" + b"x" * 2000 + b"  \r\n\xe4=20\r\n=\r\n= z\r\n"),
    (b"base64", b"QUJD" * 1000 + b"\r\nQQ==\r\n"),
])
def test_encodings_are_brought_into_form(tmp_path, encoding, data):
    mail = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + data
    after = one(tmp_path, mail)
    assert is_fit(after) and longest(after) <= 76
    strip = lambda found: [(t, re.sub(rb"[ \t]+(?=\r\n|$)", b"", d)) for t, d in found]
    assert strip(parts(after)) == strip(parts(mail))


def test_a_long_field_is_folded(tmp_path):
    mail = HEAD + b"X-Long: " + b"word " * 500 + b"end\r\n\r\nbody\r\n"
    after = one(tmp_path, mail)
    assert longest(after) <= LINE
    assert re.sub(rb"\r\n(?= )", b"", after) == mail
