"""After a message was sealed, or refused, or cut off, no process holds a piece of it any more: the memory of each role
is searched for what was in it. Runs against the released build, because the sanitizers' allocator keeps what was
freed."""
import contextlib
import os
import pathlib
import re
import socket
import ssl
import time

import harness
import pytest
from test_fail_closed import certificate_for_gpg

pytestmark = pytest.mark.needs("root", "the released build")
PIECES = ["Subject", "Body", "Name", "File", "Local"]


class Canaries:
    """Strings of their own for every situation."""

    def __init__(self):
        self.all = {}

    def of(self, situation):
        words = []
        for piece in PIECES:
            word = f"Rara{piece}{os.urandom(6).hex()}"
            self.all[word.lower().encode()] = f"{situation}: {piece}"
            words.append(word)
        return words


def mail_with(words, kind="plain"):
    subject, body, name, file_name, local = words
    text = {
        "plain": ("text/plain; charset=utf-8", "8bit", f"{body} grüße {'padding ' * 2000}"),
        "latin": ("text/plain; charset=iso-8859-15", "quoted-printable", f"{body} gr=FC=DFe {'padding ' * 5}"),
        "html": (
            "text/html; charset=utf-8",
            "quoted-printable",
            f"<html><body><p>{body} &amp; <b>{body}</b></p></body></html>",
        ),
    }[kind]
    return harness.crlf(f"""From: "{name} Person" <{local.lower()}@example.org>
To: Alice {name} <alice@{harness.DOMAIN}>
Subject: {subject} =?utf-8?Q?gr=C3=BC=C3=9Fe_{subject}?=
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <{os.urandom(6).hex()}@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: {text[0]}
Content-Transfer-Encoding: {text[1]}

{text[2]}
--b
Content-Type: application/octet-stream; name="{file_name}.pdf"
Content-Disposition: attachment; filename="{file_name}.pdf"
Content-Transfer-Encoding: base64

{'QUJD' * 100}
--b--
""")


def search(pid, words):
    """Where the words stand in a process's memory: (word, map, what stands around it). Any case: libraries fold it."""
    found, size = [], 0
    pattern = re.compile(b"|".join(map(re.escape, words)))
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "[vv" in line:
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            overlap = b""
            while at < end:
                try:
                    memory.seek(at)
                    data = overlap + memory.read(min(1 << 20, end - at))
                except OSError:  # secret memory shows itself to nobody
                    break
                if len(data) == len(overlap):
                    break
                size += len(data) - len(overlap)
                at += len(data) - len(overlap)
                for m in pattern.finditer(data.lower()):
                    found.append(
                        (m.group(), line.split(None, 5)[-1].strip(), data[max(0, m.start() - 40) : m.end() + 40])
                    )
                overlap = data[-200:]
    return found, size


def command(s, line, code):
    s.sendall(line)
    answer = b""
    while not re.search(rb"^\d{3} .*\r\n", answer, re.M):
        got = s.recv(4096)
        assert got, answer
        answer += got
    assert answer.startswith(code), answer


@contextlib.contextmanager
def raw_smtp(i, sender, recipient):
    with socket.create_connection(("127.0.0.1", i.port("smtp")), timeout=60) as s:
        command(s, b"", b"220")
        command(s, b"EHLO x\r\n", b"250")
        command(s, b"MAIL FROM:<%s>\r\n" % sender.encode(), b"250")
        command(s, b"RCPT TO:<%s>\r\n" % recipient.encode(), b"250")
        yield s


def sent_every_way(i, c, alice, odd):
    """Sessions that are still open."""
    kept = []
    for kind in ["plain", "latin", "html"]:
        i.send(alice, mail_with(c.of(kind), kind))
    i.send([alice, f"bob@{harness.DOMAIN}"], mail_with(c.of("two recipients")))
    i.send(odd, mail_with(c.of("by gpg")))

    words = c.of("session still open")
    s = i.smtp()
    kept.append(s)
    s.sendmail(f"{words[4].lower()}@example.org", alice, mail_with(words))

    words = c.of("TLS, session still open")
    s = i.smtp()
    kept.append(s)
    s.starttls(context=ssl._create_unverified_context())
    s.sendmail(f"{words[4].lower()}@example.org", alice, mail_with(words))

    words = c.of("BDAT")
    with raw_smtp(i, f"{words[4].lower()}@example.org", alice) as s:
        message = mail_with(words)
        s.sendall(b"BDAT 500\r\n" + message[:500])
        command(s, b"", b"250")
        command(s, b"BDAT %d LAST\r\n" % (len(message) - 500) + message[500:], b"250")

    words = c.of("refused: bare LF")
    with raw_smtp(i, f"{words[4].lower()}@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        s.sendall(mail_with(words) + b"bare\nline\r\n.\r\n")
        with contextlib.suppress(OSError):
            s.recv(1000)

    words = c.of("refused: too large")
    with raw_smtp(i, f"{words[4].lower()}@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        with contextlib.suppress(OSError):
            s.sendall(mail_with(words) + b"x" * 70 + b"\r\n")
            s.sendall((b"x" * 70 + b"\r\n") * 20000 + b".\r\n")
            s.recv(1000)

    words = c.of("cut off in DATA")
    with raw_smtp(i, f"{words[4].lower()}@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        s.sendall(mail_with(words)[:6000])
        time.sleep(0.2)

    words = c.of("cut off in BDAT")
    with raw_smtp(i, f"{words[4].lower()}@example.org", alice) as s:
        s.sendall(b"BDAT 90000\r\n" + mail_with(words))
        time.sleep(0.2)

    words = c.of("an address that nobody has")
    with socket.create_connection(("127.0.0.1", i.port("smtp")), timeout=60) as s:
        command(s, b"", b"220")
        command(s, b"EHLO %s.example\r\n" % words[0].lower().encode(), b"250")
        command(s, b"MAIL FROM:<%s@example.org>\r\n" % words[4].lower().encode(), b"250")
        command(s, b"RCPT TO:<%s@%s>\r\n" % (words[1].lower().encode(), harness.DOMAIN.encode()), b"550")

    m = i.imap(alice, tls=True)
    kept.append(m)
    m.append("Sent", r"(\Seen)", None, mail_with(c.of("APPEND, TLS, session still open")))
    m = i.imap(alice)
    m.append("Sent", r"(\Seen)", None, mail_with(c.of("APPEND")))
    m.logout()
    m = i.imap(alice)
    m.append("Nowhere", None, None, mail_with(c.of("APPEND to no mailbox")))
    m.logout()
    m = i.imap(alice)
    m.send(b"x APPEND INBOX {90000+}\r\n" + mail_with(c.of("APPEND cut off")))
    time.sleep(0.2)
    m.shutdown()
    return kept


@pytest.fixture
def released():
    with harness.Instance(binary=str(harness.released())) as i:
        i.init(message_max="1000000")
        yield i


def test_no_role_remembers(released):
    i, c = released, Canaries()
    alice = i.add_account("alice")
    i.add_account("bob", algo="rsa")
    odd = f"odd@{harness.DOMAIN}"
    cert = i.place / "odd.asc"
    cert.write_bytes(certificate_for_gpg(i, odd))
    i.run("account", "add", odd, "--key", cert)
    i.serve()
    kept = sent_every_way(i, c, alice, odd)
    c.all |= {p.lower().encode(): "an app password" for p in i.passwords.values()}
    time.sleep(1)
    roles = [r for r in i.status()["roles"] if r["pid"]]
    left = []
    for r in roles:
        found, size = search(r["pid"], list(c.all))
        assert size > 4 << 20, f"{r['role']}: only {size} bytes could be read"
        left += [(r["role"], c.all[word], where, around) for word, where, around in found]
    assert not left, "\n".join(map(str, left))
    del kept


def test_the_search_finds_what_is_there(released):
    """A message that is still coming in is found in ingest's memory, and in nobody else's."""
    i, c = released, Canaries()
    alice = i.add_account("alice")
    i.serve()
    words = c.of("still coming")
    with raw_smtp(i, "sender@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        s.sendall(mail_with(words)[:20000])
        time.sleep(0.3)
        holders = {r["role"] for r in i.status()["roles"] if search(r["pid"], list(c.all))[0]}
        assert holders == {"ingest"}
    time.sleep(0.3)
    assert not [r["role"] for r in i.status()["roles"] if search(r["pid"], list(c.all))[0]]
