"""What real clients say, on real sockets: the mail is stored, its sender stands in Return-Path, and what was sent comes
back byte for byte. (Every form, and what is refused: tests/unit/proto/test_smtp.c.)"""
import socket

import harness
import pytest

J = "j\u00f6rg@example.test"

SAID = [
    ("user's-pc", "MAIL FROM: <a@b>", "a@b"),
    ("user's pc", "MAIL FROM:<a..b@docomo.example>", '"a..b"@docomo.example'),
    ("[192.0.2.1]", "MAIL FROM:<abc.@docomo.example>", '"abc."@docomo.example'),
    ("x", "MAIL FROM:<.abc@ezweb.example>", '".abc"@ezweb.example'),
    ("my_pc", "MAIL FROM:<s@my_host.example>", "s@my_host.example"),
    ("x.", "MAIL FROM:<a@b.example.>", "a@b.example"),
    ("b\u00fcro", "MAIL  FROM:  <a@b.example>  SIZE=500", "a@b.example"),
    ("(x)", "MAIL FROM: <>", ""),
]


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init(ingest_instances=1).run("domain", "add", "example.test")
        i.add_account("alice@example.test")
        cert = i.place / "alice@example.test.cert.asc"
        i.run("account", "add", J, "--key", cert)
        yield i.serve()


def say(i, lines, message):
    with socket.create_connection(("127.0.0.1", i.port("smtp")), timeout=60) as s:
        f = s.makefile("rb")
        assert f.readline()[:3] == b"220"
        for line in [*lines, "DATA", message + b"."]:
            s.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")
            reply = f.readline()
            while reply[3:4] == b"-":
                reply = f.readline()
            assert reply[:1] in b"23", (line, reply)


def last(i, address):
    return list(i.fetch_all(address).values())[-1]


@pytest.mark.parametrize("helo,said,sender", SAID)
def test_senders(served, helo, said, sender):
    written = said.partition("<")[2].partition(">")[0] or "nobody@b"
    mail = harness.mail(sender=written, subject=said)
    say(served, [f"EHLO {helo}", said, "RCPT TO: <alice@example.test.>"], mail)
    stored = last(served, "alice@example.test")
    assert served.unseal(stored) == mail
    inside = served.keyring.decrypt(harness.armor_of(stored))
    assert f"Return-Path: <{sender}>\r\n".encode() in inside
    assert stored.partition(b"\r\n\r\n")[0].count(b"\r\nFrom:") + stored.startswith(b"From:") == 1


@pytest.mark.parametrize("to", ["j\u00f6rg@example.test", "jo\u0308rg@example.test", "J\u00d6RG@Example.TEST",
                                "JO\u0308RG@example.test.", "j\u00f6rg+x@example.test"])
def test_spellings_of_a_recipient(served, to):
    before = served.status()["messages"]
    mail = harness.mail(subject=f"to {ascii(to)}")
    say(served, ["EHLO x", "MAIL FROM:<a@b> SMTPUTF8", f"RCPT TO:<{to}>"], mail)
    assert served.status()["messages"] == before + 1
