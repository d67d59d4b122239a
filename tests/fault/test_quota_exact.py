"""What an account can make grow is charged to it, near what the store takes for it, and the quota holds: COPY, header
fields that only the capsule carries on, mailboxes, keywords, tombstones, tiny mail. What is taken away is given back to
the octet, which `letterlock audit` counts again."""
import contextlib
import imaplib
import pathlib
import re
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

QUOTA = 1 << 20
FACTOR = 1.6  # octets of the store for one that is charged, at most; docs/store-format.md, "Usage", has what is usual
SLACK = 256 * 1024  # pages that turn over, half-full ones
SETTLE = 2.5  # seconds until pages that readers could see are free


@pytest.fixture
def account(instance):
    """(instance, address, an IMAP session)"""
    instance.init()
    address = instance.add_account("alice", quota=str(QUOTA))
    instance.serve()
    m = instance.imap(address)
    m.select("INBOX")
    yield instance, address, m
    with contextlib.suppress(imaplib.IMAP4.abort, OSError):
        m.logout()


def live(i):
    """Octets of the store that hold something."""
    time.sleep(SETTLE)
    counters = next(r["counters"] for r in i.status()["roles"] if r["role"] == "vault")
    return counters["store-used-bytes"] - counters["store-free-bytes"]


def used(i, address):
    return int(re.search(r"quota +(\d+) of", i.run("account", "show", address).stdout.decode()).group(1))


class Growth:
    """Holds what the store grew by against what was charged."""

    def __init__(self, i, address):
        self.i, self.address, self.live, self.used = i, address, live(i), used(i, address)

    def check(self, what):
        grown, charged = live(self.i) - self.live, used(self.i, self.address) - self.used
        print(f"{what}: the store grew by {grown}, charged {charged}, {grown / max(charged, 1):.2f}")
        assert grown <= FACTOR * charged + SLACK
        assert used(self.i, self.address) <= QUOTA + 4096, "a block, tombstones, keywords: never refused, and few"
        p = self.i.run("audit", check=False)
        assert p.returncode == 0, p.stdout + p.stderr
        return charged


def message(fields=b"", body=b"body\r\n"):
    return b"Subject: a\r\n" + fields + b"\r\n" + body


def over(answer):
    return answer[0] == "NO" and b"OVERQUOTA" in answer[1][0]


def fill(m, make, at_most):
    """How often it was answered OK until over quota."""
    for n in range(at_most):
        answer = make(n)
        if over(answer):
            return n
        assert answer[0] == "OK", answer
    raise AssertionError("nothing was refused")


def test_copy_doubling(account):
    i, address, m = account
    m.append("INBOX", "", None, message())
    m.noop()
    g = Growth(i, address)
    rounds = fill(m, lambda n: m.copy(f"1:{min(2 ** n, 500)}", "INBOX"), 60)
    g.check(f"COPY, {rounds} times")
    # EXPUNGE needs no room, whatever is charged already
    i.run("account", "set", address, "--quota", "1")
    m.noop()
    m.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
    assert m.expunge()[0] == "OK"
    assert used(i, address) < g.used + 4096


def test_fields_that_the_capsule_keeps(account):
    """31 KB of X- fields beside a body of 60 octets, in a mail that arrives encrypted and keeps its header."""
    i, address, _ = account
    g = Growth(i, address)
    key = i.keyring.gpg("--armor", "--recipient", address, "--encrypt", data=b"x" * 60).stdout.replace(b"\n", b"\r\n")
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"z" * 900) for n in range(34))
    mail = (b"From: s@example.org\r\nTo: " + address.encode() + b"\r\nSubject: s\r\n" + fields +
            b"MIME-Version: 1.0\r\nContent-Type: multipart/encrypted;\r\n"
            b' protocol="application/pgp-encrypted"; boundary=b\r\n\r\n--b\r\n'
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + key + b"\r\n--b--\r\n")
    sent = 0
    with i.smtp() as s:
        s.ehlo()
        for sent in range(300):
            s.mail("s@example.org")
            code = s.rcpt(address)[0]
            code = s.data(mail)[0] if code == 250 else code
            if code != 250:
                break
            time.sleep(0.001)
    assert code == 452, code
    assert g.check(f"{sent} mails with 31 KB of fields") > 0.9 * (QUOTA - g.used) - 40000


def test_mailboxes_with_long_names(account):
    i, address, m = account
    g = Growth(i, address)
    made = fill(m, lambda n: m.create("m" + f"{n:04}" * 120), 2000)
    g.check(f"{made} mailboxes")
    assert made < QUOTA // 1024


def test_subscriptions(account):
    i, address, m = account
    for n in range(200):
        m.create("m" + f"{n:04}" * 120)
    g = Growth(i, address)
    for n in range(200):
        assert m.subscribe("m" + f"{n:04}" * 120)[0] == "OK"
    assert g.check("200 subscriptions") == 200 * 640
    for n in range(200):
        assert m.unsubscribe("m" + f"{n:04}" * 120)[0] == "OK"
    assert used(i, address) == g.used


def test_keywords(account):
    i, address, m = account
    m.append("INBOX", "", None, message())
    m.noop()
    g = Growth(i, address)  # which waits until the delivery id is forgotten
    for n in range(500):
        m.store("1", "+FLAGS.SILENT", f"(k{'y' * 55}{n:03})")
    assert g.check("500 keywords") == 500 * 256
    m.store("1", "FLAGS.SILENT", "()")
    assert used(i, address) == g.used


@pytest.mark.needs("the long run")
def test_mailbox_churn(account):
    """Made, filled, emptied and deleted, again and again: nothing stays, not even tombstones."""
    i, address, m = account
    g = Growth(i, address)
    for n in range(60):
        assert m.create(f"churn{n}")[0] == "OK"
        for _ in range(6):
            assert m.append(f"churn{n}", r"(\Deleted)", None, message())[0] == "OK"
        m.select(f"churn{n}")
        m.store("2,4", "+FLAGS.SILENT", r"(\Deleted)")
        m.expunge()
        m.select("INBOX")
        assert m.delete(f"churn{n}")[0] == "OK"
    for _ in range(100):
        time.sleep(0.1)
        if used(i, address) - g.used < 60 * 6 * 192 + 1:
            break
    assert 0 <= used(i, address) - g.used <= 60 * 6 * 192, "delivery ids, for some days, and nothing else"
    g.check("60 mailboxes come and go")


@pytest.mark.needs("the long run")
def test_tiny_mail(account):
    i, address, m = account
    g = Growth(i, address)
    kept = fill(m, lambda n: m.append("INBOX", "", None, message(body=b"x\r\n")), 1000)
    g.check(f"{kept} tiny mails")
    assert i.run("account", "show", address).stdout.count(b"1048576 bytes") == 1
    m.noop()
    m.store("1:10", "+FLAGS.SILENT", r"(\Deleted)")
    m.expunge()
    assert m.append("INBOX", "", None, message())[0] == "OK", "what was given back can be used again"
