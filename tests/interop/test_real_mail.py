"""Real mail goes in by SMTP, comes out by IMAP through mbsync, is decrypted by gpg and gives back exactly the bytes
that were sent. A sample by default; all 6,046 messages with LETTERLOCK_FULL=1."""
import collections
import email
import email.utils
import hashlib
import os
import re
import socket
import subprocess

import corpus
import harness
import pytest
import readers
import test_dates

FULL = bool(os.environ.get("LETTERLOCK_FULL"))
SAMPLE_EVERY = 1 if FULL else 60
# Named parts of the corpus that a sample must not miss: the longest lines, 8-bit headers, bare CRs.
ODD = re.compile(rb"\r(?!\n)|\A[^\n]*[\x80-\xff]|[^\n]{999}")


# What the corpus does not have. All of it is legal to an SMTP server, which looks at line ends alone.
MADE = {
    "NULs in header and body": b"Subject: a\0b\r\nFrom: x@example.org\r\n\r\nbody\0\0\r\n\0\r\n",
    "no header at all": b"\r\njust a body\r\n",
    "no empty line": b"Subject: header only\r\nTo: y@example.org\r\n",
    "first line is no field": b"this is no field\r\nSubject: too late\r\n\r\nbody\r\n",
    "begins with a continuation": b" continued from nowhere\r\nSubject: s\r\n\r\nbody\r\n",
    "8-bit header": "Subject: Grüße aus Köln\r\nFrom: \"Jörg\" <j@example.org>\r\n\r\nä\r\n".encode("latin-1"),
    "every byte": b"Subject: bytes\r\n\r\n" + bytes(c for c in range(256) if c not in (10, 13)) + b"\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\n",
    "one octet": b"x\r\n",
    "forged fields": (
        b"Sealed-By: letterlock.test; v=1\r\nLetterlock-Seal: v=1; len=1; ins=0+1\r\nHP-Outer: Subject: z\r\n"
        b"Authentication-Results: letterlock.test; dkim=pass\r\nSubject: f\r\n\r\nbody\r\n"
    ),
    "two Content-Types": (
        b"Content-Type: text/plain\r\nContent-Type: text/html; charset=\"x\r\nSubject: c\r\n\r\nbody\r\n"
    ),
}


class Smtp:
    """A client that says exactly what it is told and reads replies."""

    def __init__(self, instance):
        self.sock = socket.create_connection(("127.0.0.1", instance.port("smtp")), timeout=120)
        self.file = self.sock.makefile("rb")
        assert self.reply()[0] == 220
        self.command(b"EHLO client.example")

    def reply(self):
        while True:
            line = self.file.readline()
            assert line, "the server closed the connection"
            if line[3:4] != b"-":
                return int(line[:3]), line

    def command(self, line):
        self.sock.sendall(line + b"\r\n")
        return self.reply()

    def envelope(self, to):
        assert self.command(b"MAIL FROM:<sender@example.org> BODY=8BITMIME")[0] == 250
        assert self.command(b"RCPT TO:<" + to.encode() + b">")[0] == 250

    def data(self, to, message):
        self.envelope(to)
        assert self.command(b"DATA")[0] == 354
        self.sock.sendall(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
        return self.reply()

    def bdat(self, to, message):
        self.envelope(to)
        self.sock.sendall(b"BDAT %d LAST\r\n" % len(message) + message)
        return self.reply()

    def reset(self):
        self.command(b"RSET")


def mbsync(instance, address, place):
    place.mkdir()
    (place / "Mail").mkdir()
    rc = place / "mbsyncrc"
    rc.write_text(f"""
IMAPAccount ll
Host localhost
Port {instance.port('imaps')}
User {address}
Pass {instance.passwords[address]}
SSLType IMAPS
CertificateFile {instance.dir}/tls/chain.pem

IMAPStore far
Account ll

MaildirStore near
Path {place}/Mail/
Inbox {place}/Mail/INBOX
SubFolders Verbatim

Channel ll
Far :far:
Near :near:
Patterns *
Create Near
SyncState *
""")
    out = subprocess.run(["mbsync", "-c", str(rc), "-a"], capture_output=True, timeout=1800)
    assert out.returncode == 0, out.stderr.decode()
    return [p for folder in ("new", "cur") for p in sorted((place / "Mail" / "INBOX" / folder).iterdir())]


def decrypt_all(instance, files, place):
    """gpg decrypts many files in one process; each result stands beside its file."""
    place.mkdir()
    names = []
    for n, path in enumerate(files):
        rendered = path.read_bytes()
        (place / f"{n}.asc").write_bytes(harness.armor_of(rendered))
        names.append(f"{place}/{n}.asc")
    for at in range(0, len(names), 500):
        instance.keyring.gpg("--multifile", "--decrypt", *names[at:at + 500])
    return [place / str(n) for n in range(len(names))]


def date_of(message):
    """The Date field's text, on one line; "" where there is none."""
    head = re.split(rb"(?m)^\r\n", message, maxsplit=1)[0]
    field = re.search(rb"(?im)^date[ \t]*:((?:.*(?:\n[ \t].*)*))", head)
    return re.sub(rb"\s+", b" ", field[1]).strip().decode("utf-8", "surrogateescape") if field else ""


def parts_of(mail):
    """As GMime reads them, without the kind that `+display` puts in front."""
    return [part for part in readers.gmime(mail)[1] if part[0] != "text/rfc822-headers"]


@pytest.mark.needs("the corpus of real mail (npm)", "mbsync")
@pytest.mark.parametrize("policy", ["shy", "baseline", "hidden", "shy+display"] if FULL else ["shy"])
def test_real_mail_comes_back_byte_for_byte(instance, tmp_path, policy):
    # Nothing is slowed: what is refused here counts as an error of the client's.
    i = instance.init(message_max=64 << 20, smtp_errors=10000, smtp_errors_peer=100000, smtp_errors_minute=60000)
    reader = i.add_account("reader", policy=policy)
    i.serve()
    sent, counts = collections.Counter(), collections.Counter()
    smtp = Smtp(i)
    for n, (name, data) in enumerate(corpus.messages()):
        if n % SAMPLE_EVERY and not ODD.search(data[:200000]):
            continue
        counts["read"] += 1
        counts["with NUL"] += b"\0" in data
        head = data.split(b"\n\n", 1)[0]
        counts["with 8-bit header"] += any(c > 127 for c in head)
        counts["without Message-ID"] += not re.search(rb"(?im)^message-id:", head)
        counts["without Date"] += not re.search(rb"(?im)^date:", head)
        # As the file has it, with bare LFs: refused, and nothing of it is kept.
        code, line = smtp.bdat(reader, data)
        assert 500 <= code < 600, (name, line)
        counts["refused for bare LF"] += 1
        smtp.reset()
        message = corpus.wire(data)
        code, line = smtp.data(reader, message)
        if corpus.sendable(message):
            assert code == 250, (name, line)
            sent[hashlib.sha256(message).digest()] += 1
            counts["accepted"] += 1
        else:
            assert 500 <= code < 600, (name, line)
            counts["refused for bare CR"] += 1
    for name, message in MADE.items():
        code, line = smtp.data(reader, message)
        assert code == 250, (name, line)
        sent[hashlib.sha256(message).digest()] += 1
        counts["made here, accepted"] += 1
    unended = b"Subject: no end of line at the end\r\n\r\nbody"
    assert smtp.bdat(reader, unended)[0] == 250
    sent[hashlib.sha256(unended).digest()] += 1
    counts["sent twice with the same bytes (two deliveries)"] = sum(v - 1 for v in sent.values())
    files = mbsync(i, reader, tmp_path / "mbsync")
    assert len(files) == sum(sent.values())  # each that was answered 250
    back = collections.Counter()
    outside = [email.message_from_bytes(path.read_bytes()) for path in files]
    dated, changed = [], []
    for path, outer in zip(decrypt_all(i, files, tmp_path / "clear"), outside):
        message = i.run("unseal", data=path.read_bytes()).stdout
        back[hashlib.sha256(message).digest()] += 1
        assert len(outer.get_all("From")) == 1, message[:2000]
        parts = parts_of(message) if message != MADE["two Content-Types"] else []  # readers disagree
        if parts and parts_of(path.read_bytes()) != parts:
            changed.append(message)
        counts["parts as GMime reads them"] += bool(parts)
        counts["without an address in From"] += "unreadable@unreadable.invalid" in str(outer["From"])
        if date_of(message) != str(outer["Date"]):  # baseline leaves most as they are
            dated.append((email.utils.parsedate_to_datetime(outer["Date"]).timestamp(), date_of(message)))
    assert back == sent
    assert not changed, [message[:2000] for message in changed]
    read = [(outer, text, gmime) for (outer, text), (_, gmime) in zip(dated, test_dates.ask([t for _, t in dated]))]
    hour = 3600 if policy == "hidden" else 1  # the hour it began in is all that is told
    wrong = [(outer, text, gmime) for outer, text, gmime in read if gmime is not None and outer != gmime // hour * hour]
    assert not wrong, wrong
    counts["dates as GMime reads them"] = sum(gmime is not None for _, _, gmime in read)
    print("\n" + "\n".join(f"    {v:6} {k}" for k, v in counts.items()))
    assert i.run("audit").returncode == 0
    if FULL:
        assert counts["read"] == 6046
