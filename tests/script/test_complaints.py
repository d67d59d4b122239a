"""Complaints: a feedback report (RFC 5965) about a message counts once against the account that sent it, whoever sends
the report on and how often; one that nobody can have made counts for nobody; and each is delivered."""
import email
import email.policy
import json
import re
import time

import pytest

import harness
import names
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE, MALLORY = f"alice@{harness.DOMAIN}", f"mallory@{harness.DOMAIN}"
ABUSE = f"abuse@{harness.DOMAIN}"
LIMIT = 3
ZONE = """
mx A 127.0.0.1
* MX 10 mx
"""


def eventually(what, seconds=120):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return got


class Home:
    """What was reported has been counted once the report has its 250: the vault hears of it first."""

    def __init__(self, i, peer):
        self.i, self.peer = i, peer
        self.sent = 0

    def send(self, sender, to="bob@there.test", extra=""):
        """The message as their server got it."""
        before = len(self.peer.mails)
        self.sent += 1
        s = self.i.submission(sender)
        s.sendmail(sender, to, f"From: {sender}\r\n{extra}Subject: {self.sent}\r\n\r\nEarn money\r\n")
        s.close()
        eventually(lambda: len(self.peer.mails) > before)
        return self.peer.mails[-1].octets

    def report(self, message, to=ABUSE, kind="abuse", what="rfc822"):
        body = message if what == "rfc822" else message.partition(b"\r\n\r\n")[0] + b"\r\n"
        text = (f"From: fbl@provider.example\r\nTo: {to}\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
                'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
                "--b\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n\r\n"
                "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
                f"Feedback-Type: {kind}\r\nUser-Agent: x/1\r\nVersion: 1\r\n\r\n"
                f"--b\r\nContent-Type: {'message/rfc822' if what == 'rfc822' else 'text/rfc822-headers'}\r\n\r\n"
                ).encode() + body + b"\r\n--b--\r\n"
        with self.i.smtp() as s:
            s.sendmail("fbl@provider.example", [to], text)

    def shown(self, account):
        """Complaints ever, and in a day."""
        text = self.i.run("account", "show", account).stdout.decode()
        m = re.search(r"reported (\d+) complaints about its mail, (\d+) in the last 24 hours", text)
        return tuple(map(int, m.groups())) if m else (0, 0)

    def counter(self, role, name):
        return sum(r["counters"].get(name, 0) for r in self.i.status()["roles"] if r["role"] == role)


@pytest.fixture(scope="module")
def home():
    with names.start({"test": ZONE}) as zone, harness.Instance() as i:
        there = i.base + 5525
        i.init(**zone.settings(), relay_port=there, complaints_day=LIMIT, ingest_instances=1, access_instances=1,
               relay_instances=1)
        for name in ("operator", "alice", "mallory"):
            i.add_account(name)
        i.serve()
        with Peer(there) as peer:
            yield Home(i, peer)


def field(message, name):
    return email.message_from_bytes(message, policy=email.policy.SMTP)[name]


def test_what_a_message_carries(home):
    """Who is told (RFC 9477), signed, and a token that differs each time; a client's own is not believed."""
    one = home.send(MALLORY, extra="CFBL-Feedback-ID: mine\r\nCFBL-Address: me@else.example\r\n")
    two = home.send(MALLORY)
    assert field(one, "CFBL-Address") == f"{ABUSE}; report=arf"
    assert len(re.findall(rb"(?m)^CFBL-", one)) == 2 and b"mine" not in one
    tokens = [field(m, "CFBL-Feedback-ID").strip() for m in (one, two)]
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{68}", t) for t in tokens) and tokens[0] != tokens[1]
    for signature in email.message_from_bytes(one, policy=email.policy.compat32).get_all("DKIM-Signature"):
        covered = re.sub(r"\s", "", re.search(r"h=([^;]*)", signature).group(1)).lower().split(":")
        assert {"cfbl-address", "cfbl-feedback-id"} <= set(covered)
    assert max(map(len, one.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 998


def test_mail_for_people_here_carries_none(home):
    s = home.i.submission(MALLORY)
    s.sendmail(MALLORY, ALICE, f"From: {MALLORY}\r\nSubject: here\r\n\r\ntext\r\n")
    s.close()
    got = eventually(lambda: home.i.fetch_all(ALICE))
    assert b"CFBL-" not in home.i.unseal(got[max(got)])


def test_a_complaint_counts_once(home):
    """A thousand times the same: in both forms, by anybody, to each of our addresses for it."""
    before, reports = home.shown(MALLORY), home.counter("ingest", "feedback_reports")
    message = home.send(MALLORY)
    for n in range(40):
        home.report(message, to=(ABUSE, f"postmaster@{harness.DOMAIN}", f"Abuse+yahoo@{harness.DOMAIN}")[n % 3],
                    what=("rfc822", "headers")[n % 2], kind=("abuse", "fraud")[n % 2])
    assert home.counter("ingest", "feedback_reports") == reports + 40
    assert home.shown(MALLORY) == (before[0] + 1, before[1] + 1)
    said = [s for s in home.i.status()["sending"] if s["account"] == MALLORY]
    assert [(s["held"], s["complaints"]) for s in said] == [(False, before[1] + 1)]
    assert f"complaints: {MALLORY}  others complained about" in home.i.run("status").stdout.decode()
    lines = [x for x in home.i.log().splitlines() if " complaint " in x or x.endswith("complaint")]
    assert lines and all("@" not in x and "day=" in x for x in lines)


def test_what_counts_for_nobody(home):
    """A token that was made up or changed, another server's mail, other kinds of reports, other recipients."""
    before, reports = home.shown(MALLORY), home.counter("ingest", "feedback_reports")
    message = home.send(MALLORY)
    token = field(message, "CFBL-Feedback-ID").strip().encode()
    changed = bytearray(token)
    changed[20] ^= 1
    home.report(message.replace(token, bytes(changed)))
    home.report(message.replace(token, b"A" * 68))
    home.report(message.replace(b"CFBL-Feedback-ID", b"X-CFBL-Feedback-ID"))
    home.report(b"From: x@else.example\r\nMessage-ID: <1@else.example>\r\n\r\nspam\r\n")
    home.report(message, kind="not-spam")
    home.report(message, to=ALICE)  # who is nobody to complain to
    with home.i.smtp() as s:
        s.sendmail("x@else.example", [ABUSE], b"Subject: I complain\r\n\r\n" + message)
        s.sendmail("x@else.example", [ABUSE], message)
    assert home.counter("ingest", "feedback_reports") == reports + 5
    assert home.shown(MALLORY) == before and home.shown(ALICE) == (0, 0)
    home.report(message)  # which was good all the time
    assert home.shown(MALLORY) == (before[0] + 1, before[1] + 1)


def test_delivered_to_the_operator(home):
    """Nobody has abuse@ by name: the oldest account reads it; then whoever is given it."""
    operator = f"operator@{harness.DOMAIN}"
    message = home.send(MALLORY)
    before = len(home.i.fetch_all(operator))
    home.report(message, kind="other")
    eventually(lambda: len(home.i.fetch_all(operator)) == before + 1)
    home.i.run("alias", "add", ABUSE, ALICE)
    mine = len(home.i.fetch_all(ALICE))
    home.report(message, kind="other")
    eventually(lambda: len(home.i.fetch_all(ALICE)) == mine + 1)
    assert len(home.i.fetch_all(operator)) == before + 1
    home.i.run("alias", "remove", ABUSE)


def test_past_the_limit_the_account_is_held(home):
    home.i.run("account", "hold", MALLORY)
    home.i.run("account", "release", MALLORY)
    assert home.shown(MALLORY)[1] == 0
    messages = [home.send(MALLORY) for _ in range(LIMIT + 1)]
    for m in messages[:LIMIT]:
        home.report(m)
    assert home.shown(MALLORY)[1] == LIMIT
    assert not [s for s in home.i.status()["sending"] if s["held"]]
    home.send(MALLORY)
    home.report(messages[LIMIT])
    held = [s for s in home.i.status()["sending"] if s["held"]]
    assert [(s["account"], s["complaints"]) for s in held] == [(MALLORY, LIMIT + 1)]
    assert "complaints_day" in held[0]["why"]
    s = home.i.submission(MALLORY)
    code, text = s.mail(MALLORY)
    assert (code, text[:5]) == (550, b"5.7.1")
    s.close()
    home.send(ALICE)
    assert "account-held" in home.i.log() and "why=complaints_day" in home.i.log()
    assert "complaints" in home.i.run("account", "show", MALLORY).stdout.decode()
    home.i.run("account", "release", MALLORY)
    for m in messages:  # which have been counted
        home.report(m)
    home.send(MALLORY)
    assert home.shown(MALLORY)[1] == 0
    home.i.stop()
    home.i.serve()
    home.report(messages[0])
    assert home.shown(MALLORY)[1] == 0
    assert home.i.run("audit").returncode == 0
    assert json.loads(home.i.run("status", "--json").stdout)["sending"] == []
