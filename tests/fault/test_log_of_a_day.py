"""The log of a day: `letterlock trace` finds each of 100 addresses' mail in it, all of it and no other, and nobody else
finds a name. Accepted and refused mail, encrypted mail, bounces, aliases, several recipients, with and without TLS,
from many peers. 10,000 messages in the long run."""
import collections
import os
import pathlib
import random
import re
import smtplib
import ssl
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402

MESSAGES = 10000 if os.environ.get("LETTERLOCK_FULL") else 2000
CLIENTS, A_SESSION = 8, 20
OURS = ["marsh.example", "fen.example"]
ACCOUNTS = [f"walrus{n}@{OURS[n % 2]}" for n in range(10)]
ALIASES = {f"otter{n}@{OURS[n % 2]}": ACCOUNTS[n % 10] for n in range(30)}
UNKNOWN = [f"mole{n}@{OURS[n % 2]}" for n in range(10)]
OUTSIDE = [f"heron{n}@reed{n % 7}.example" for n in range(50)]
WORDS = ["waterfall", "moonlight", "strawberry"]
ADDRESSES = ACCOUNTS + list(ALIASES) + UNKNOWN + OUTSIDE
assert len(ADDRESSES) == 100
HASHES = r"\b[0-9a-f]{32}\b"


class Client(threading.Thread):
    """Sends its share, and notes for each address the ids of the mail that it had to do with."""

    def __init__(self, instance, number, share, encrypted):
        super().__init__()
        self.instance, self.number, self.share, self.encrypted = instance, number, share, encrypted
        self.random = random.Random(number)
        self.of = collections.defaultdict(set)
        self.sent, self.failure = collections.Counter(), None

    def run(self):
        try:
            while self.share > 0:
                n = min(self.share, A_SESSION)
                self.session(n)
                self.share -= n
        except Exception as e:  # shown by whoever waits
            self.failure = e

    def session(self, n):
        source = f"127.77.{self.number}.{self.random.randrange(1, 250)}"
        with smtplib.SMTP("127.0.0.1", self.instance.port("smtp"), "otterholt.example", timeout=60,
                          source_address=(source, 0)) as s:
            if self.random.random() < 0.3:
                s.starttls(context=ssl._create_unverified_context())
            s.ehlo()
            for _ in range(n):
                self.one(s)

    def note(self, text, sender, *recipients):
        mail_id = re.search(rb"(?:Accepted as |\[)([0-9a-f]{16})\]?$", text).group(1).decode()
        for address in (sender, *recipients):
            self.of[address].add(mail_id)
            if address in ALIASES:
                self.of[ALIASES[address]].add(mail_id)

    def one(self, s):
        kind = self.random.choices(["plain", "encrypted", "bounce", "broken", "malformed", "too large"],
                                   [70, 10, 5, 5, 1, 1])[0]
        sender = "" if kind == "bounce" else self.random.choice(OUTSIDE)
        self.sent[kind] += 1
        if kind in ("malformed", "too large"):
            code, text = s.docmd(f"MAIL FROM:{sender}" if kind == "malformed" else
                                 f"MAIL FROM:<{sender}> SIZE=99999999999")
            assert code in (501, 552), text
            return self.note(text, sender)
        assert s.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        accepted = []
        for to in self.random.sample([*ACCOUNTS, *ALIASES], self.random.choice((1, 1, 1, 2, 3))):
            if self.random.random() < 0.03:  # so few that each has its line (server/ingest/transaction/report.h)
                to = self.random.choice(UNKNOWN)
            detail = self.random.random() < 0.2
            code, text = s.docmd(f"RCPT TO:<{to.replace('@', '+list@') if detail else to}>")
            if code == 250:
                accepted.append(to)
            else:
                assert code == 550, text
                self.note(text, sender, to)
                self.sent["recipient refused"] += 1
        if accepted:
            self.content(s, kind, sender, accepted)
        else:
            assert s.docmd("RSET")[0] == 250

    def content(self, s, kind, sender, accepted):
        subject = self.random.choice(WORDS)
        message = self.encrypted if kind == "encrypted" else harness.mail(
            subject, "A body.\n" * self.random.randrange(500), sender or "MAILER-DAEMON", accepted[0])
        if kind == "broken":
            message = message.replace(b"\r\n\r\n", b"\r\n\r\n\n", 1)
        assert s.docmd("DATA")[0] == 354
        s.send(message + b"\r\n.\r\n")
        code, text = s.getreply()
        assert code == (554 if kind == "broken" else 250), text
        self.note(text, sender, *accepted)


def encrypted_mail(instance):
    inner = b"Content-Type: text/plain\r\n\r\nx"
    block = instance.keyring.gpg("--armor", "--encrypt", "-r", ACCOUNTS[0], data=inner).stdout
    return harness.crlf(b"From: x@reed0.example\nTo: y@marsh.example\nSubject: waterfall\nMIME-Version: 1.0\n"
                        b"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n"
                        b"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\n"
                        b"Content-Type: application/octet-stream\n\n" + block + b"--b--\n")


@pytest.fixture(scope="module")
def day():
    with harness.Instance() as i:
        i.init(smtp_sessions_peer=100)
        i.serve()
        cert = i.place / "cert.asc"
        cert.write_bytes(i.keyring.generate(ACCOUNTS[0]))
        for domain in OURS:
            i.run("domain", "add", domain)
        for account in ACCOUNTS:
            i.run("account", "add", account, "--key", cert)
        for alias, account in ALIASES.items():
            i.run("alias", "add", alias, account)
        message = encrypted_mail(i)
        clients = [Client(i, n, MESSAGES // CLIENTS, message) for n in range(CLIENTS)]
        for c in clients:
            c.start()
        i.of, i.sent = collections.defaultdict(set), collections.Counter()
        for c in clients:
            c.join()
            if c.failure:
                raise c.failure
            i.sent += c.sent
            for address, ids in c.of.items():
                i.of[address] |= ids
        counters = collections.Counter()
        for r in i.status()["roles"]:
            counters += collections.Counter({k: v for k, v in r["counters"].items() if isinstance(v, int)})
        i.accepted = counters["accepted"]
        assert i.stop() == 0
        yield i


def traced(instance, address, log, code=0):
    p = instance.run("trace", address, log, check=False)
    assert p.returncode == code and b"damaged" not in p.stderr, p.stderr
    return re.findall(r"^\S+ \S+ UTC  mail ([0-9a-f]{16})", p.stdout.decode(), re.M)


def test_each_address_s_mail_is_found_and_no_other(day):
    print(f"{dict(day.sent)}; accepted {day.accepted}; log {len(day.log())} octets")
    assert day.accepted > MESSAGES / 2 and "mail-untold" not in day.log() and "log-dropped" not in day.log()
    found = 0
    for address in ADDRESSES:
        ids = traced(day, address, day.place / "log")
        assert len(ids) == len(set(ids)) and set(ids) == day.of[address], address
        found += len(ids)
    assert found > MESSAGES
    assert set(traced(day, "<>", day.place / "log")) == day.of[""]


def test_a_search_finds_nobody(day):
    log = day.log().lower()
    assert log.count(" mail ") > MESSAGES * 0.9
    for address in ADDRESSES:
        for part in address.split("@"):
            assert part not in log, part
    for word in ["walrus", "otter", "mole", "heron", "reed", "marsh", "fen.example", "otterholt", ".example", "127.77",
                 harness.DOMAIN, "@", "<", *WORDS]:
        assert word not in log, word


def test_equal_addresses_look_different(day):
    """No hash and no salt comes twice."""
    hashes = re.findall(HASHES, day.log())
    assert len(hashes) > 3 * MESSAGES and len(hashes) == len(set(hashes))


def test_only_the_store_s_key_finds_anybody(day):
    with harness.Instance(anew=True) as other:
        other.init()
        for address in (ACCOUNTS[0], OUTSIDE[0], "@reed0.example", "<>"):
            assert traced(other, address, day.place / "log", code=1) == []
