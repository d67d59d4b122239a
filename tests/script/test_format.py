"""What is sealed and served, read by other people's parsers: Python's email package and gpg."""
import email
import email.policy
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LETTERLOCK_BINARY", ROOT / "build-check" / "letterlock")).parent
TOOL = pathlib.Path(os.environ.get("LETTERLOCK_PROTECT_TOOL", BUILD / "tests" / "unit" / "protect_tool"))

LETTER = (b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nTo: \"B, C\" <bc@example.net>\r\n"
          b"Subject: the =?utf-8?q?secr=C3=A9t?=\r\n"
          b"Date: Tue, 1 Jul 2003 10:52:37 +0200\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/alternative;\r\n boundary=\"q;r\"\r\n\r\n--q;r\r\n\r\nplain\r\n--q;r\r\n"
          b"Content-Type: text/html\r\n\r\n<p>html\r\n--q;r--\r\n")


def tool(data, *args):
    return subprocess.run([TOOL, *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def parse(data):
    return email.message_from_bytes(data, policy=email.policy.default)


@pytest.mark.parametrize("policy", ["shy", "baseline", "hidden"])
def test_a_parser_reads_the_inner_header(policy):
    payload = tool(LETTER, policy)
    inner = parse(payload)
    assert inner["Subject"] == "the secrét"
    assert str(inner["From"]) == "Jörg <joerg@example.org>"
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner["Content-Type"].params["protected-headers"] == "v1"
    assert inner["Content-Type"].params["boundary"] == "q;r"
    assert [p.get_content().strip() for p in inner.iter_parts()] == ["plain", "<p>html"]
    outer = parse(tool(LETTER, "outer", policy))
    # RFC 9788 section 2.2: what HP-Outer says is what stands outside
    raw = re.sub(rb"\r\n[ \t]", b" ", payload.split(b"\r\n\r\n")[0]).split(b"\r\n")
    said = [line.removeprefix(b"HP-Outer: ") for line in raw if line.startswith(b"HP-Outer: ")]
    assert said == re.sub(rb"\r\n[ \t]", b" ", tool(LETTER, "outer", policy)).split(b"\r\n")[:-1]
    assert outer["Subject"] == "[...]"
    assert tool(payload, "unseal") == LETTER


@pytest.mark.parametrize("header", [b"", b"Content-Type: ;;;\r\n"])
def test_without_a_readable_content_type(header):
    inner = parse(tool(b"Subject: s\r\n" + header + b"\r\nbody\r\n", "shy"))
    assert inner.get_content_type() == "text/plain"
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner.get_content_charset() == "us-ascii"
    assert inner.get_payload() == "body\r\n"
    assert len(inner.get_all("Content-Type")) == 1


@pytest.mark.parametrize("mail", [b"no header at all\r\nSubject: x\r\n\r\ny", b" continuation\r\nSubject: x\r\n\r\ny",
                                  b"\r\nonly body\r\n"])
def test_a_mail_without_header_is_all_body(mail):
    inner = parse(tool(mail, "shy"))
    assert inner["Subject"] == ""  # or clients show the outer one
    assert inner.get_payload().encode().endswith(mail.removeprefix(b"\r\n"))


def test_forged_fields_lose_their_names():
    inner = parse(tool(b"Sealed-By: x; v=1\r\nAuthentication-Results: MAIL.example.org; spf=pass\r\nSubject: s\r\n"
                       b"HP-Outer: Subject: no\r\n\r\n", "shy"))
    assert inner["Sealed-By"] is None
    assert inner.get_all("Authentication-Results") == ["mail.example.org; none"]
    assert "Subject: no" not in inner.get_all("HP-Outer")
    assert inner["Letterlock-Forged-Authentication-Results"] == "MAIL.example.org; spf=pass"


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 100000])
def test_gpg_and_a_parser_read_a_rendering(tmp_path, size):
    plain = os.urandom(size)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "x"]
    try:
        packets = subprocess.run([*gpg, "-z", "0", "--s2k-count", "65536", "--symmetric"], input=plain,
                                 stdout=subprocess.PIPE, check=True).stdout
        mail = parse(tool(packets, "render", "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\nSubject: [...]\r\n"))
        assert not mail.defects
        assert mail.get_content_type() == "multipart/encrypted"
        assert mail["Content-Type"].params["protocol"] == "application/pgp-encrypted"
        version, body = mail.iter_parts()
        assert version.get_content_type() == "application/pgp-encrypted"
        assert version.get_payload() == "Version: 1\r\n"
        assert body.get_content_type() == "application/octet-stream"
        armour = body.get_payload().encode()
        assert all(len(line) <= 64 for line in armour.split(b"\r\n"))
        assert (b"\n=" in armour) == (len(packets) % 3 == 0)  # old gpg finds the end by padding or checksum
        assert subprocess.run([*gpg, "--decrypt"], input=armour, stdout=subprocess.PIPE, check=True).stdout == plain
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.mark.needs("the corpus of real mail (npm)")
def test_real_mail_shows_its_own_subject():
    import corpus
    seen = 0
    for number, (name, data) in enumerate(corpus.messages()):
        if number % 101:
            continue
        mail = corpus.wire(data)
        before = email.message_from_bytes(mail)
        payload = tool(mail, "shy")
        after = email.message_from_bytes(payload)
        assert before.get("Subject") == after.get("Subject"), name
        assert before.get_all("From") == after.get_all("From"), name
        assert after.get_param("hp") == "cipher", name
        assert before.get_content_type() == after.get_content_type(), name
        assert len(list(before.walk())) == len(list(after.walk())), name
        assert tool(payload, "unseal") == mail, name
        seen += 1
    assert seen > 50
