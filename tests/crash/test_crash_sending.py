"""kill -9 of each role, of master and of all at once while our people send: what got 250 is delivered once or told
of in the sender's INBOX, or waits. What is taken twice there is what docs/crash-states.md says, each with its cause.
LETTERLOCK_CRASH_ROUNDS=200 for the long run."""
import collections
import contextlib
import email
import hashlib
import json
import os
import pathlib
import random
import re
import smtplib
import subprocess
import sys
import time

import harness
import names
import pytest
from workload import Client, decrypt_all, kill_one, message_with, wait_for_progress

pytestmark = pytest.mark.needs(*names.NEEDS)
ROUNDS = int(os.environ.get("LETTERLOCK_CRASH_ROUNDS", "6"))
VICTIMS = ["relay", "ingest", "vault", "everything", "resolver", "master", "relay", "gpg-seal", "ingest", "vault"]
FORGETS = {"relay", "everything", "master"}  # whose death takes an outcome with it that is not written
REMOTE = [*[f"{fate}-{{}}@d{n}.test" for fate in ("good", "late", "bad") for n in (1, 2)], "good-{}@drop.test",
          "good-{}@end4.test", "good-{}@end5.test", "never-{}@d3.test", *[f"good{n}-{{}}@d4.test" for n in range(3)]]


class Submitter(Client):
    """Sends a message to some people here and there; one without a 250 is sent again, the same octets, to those who
    were not taken."""

    def __init__(self, instance, sender, local):
        super().__init__(instance)
        self.sender, self.local = sender, local
        self.rng = random.Random(sender)
        self.count = 0
        self.done = collections.defaultdict(set)  # token -> recipients that got 250
        self.body = {}
        self.unsure = collections.Counter()       # token -> attempts that ended without an answer
        self.refused = collections.Counter()

    def progress(self):
        return len(self.done)

    def work(self):
        self.count += 1
        token = f"{self.sender.partition('@')[0]}-{self.count}"
        what = self.rng.choice(["here", "there", "there", "both"])
        to = [] if what == "here" else self.rng.sample(REMOTE, self.rng.randint(1, 5))
        to = [a.format(token) for a in to]
        to += [] if what == "there" else self.rng.sample(self.local, self.rng.randint(1, len(self.local)))
        text = "".join(self.rng.choices("abcdefgh \n", k=self.rng.choice([10, 3000, 60000])))
        message = message_with(token, text + "\n").replace(b"example.org", harness.DOMAIN.encode())
        message = re.sub(rb"^From: .*?\r\n", b"From: %s\r\n" % self.sender.encode(), message)
        self.body[token] = hashlib.sha256(message.partition(b"\r\n\r\n")[2]).hexdigest()
        while to := self.attempt(token, to, message):
            if self.stopping.wait(0.05):
                return

    def attempt(self, token, to, message):
        """Who is not taken."""
        try:
            with self.instance.submission(self.sender) as s:
                self.unsure[token] += 1
                refused = s.sendmail(self.sender, to, message)
                self.unsure[token] -= 1
        except smtplib.SMTPRecipientsRefused as e:
            refused = e.recipients
            self.unsure[token] -= 1
        except (OSError, smtplib.SMTPException) as e:
            self.refused[type(e).__name__] += 1
            return to
        known = {a for a, (code, _) in refused.items() if code == 550}  # as one that bounced when it was sent before
        assert not known or self.unsure[token] and all(map(fails, known)), refused
        assert all(400 <= code < 500 for a, (code, _) in refused.items() if a not in known), refused
        self.done[token].update(set(to) - set(refused))
        return [a for a in to if a in refused and a not in known]


@contextlib.contextmanager
def sink(port, journal):
    command = [sys.executable, str(pathlib.Path(__file__).with_name("sink.py")), str(port), str(journal)]
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        yield
    finally:
        p.stdin.close()
        p.wait(30)


@pytest.fixture
def zone():
    with names.start({"test": "* MX 10 mx\nmx A 127.0.0.1\n"}) as n:
        yield n


def waiting(i):
    return {r["to"] for m in json.loads(i.run("queue", "list", "--json").stdout) for r in m["recipients"]}


def drained(i, seconds=180):
    end = time.monotonic() + seconds
    while left := {a for a in waiting(i) if not a.startswith("never-")}:
        assert time.monotonic() < end, f"still in the queue: {sorted(left)[:20]}"
        time.sleep(0.5)


def told(i, sender):
    """How often each recipient's failure was told."""
    reports = decrypt_all(i, i.fetch_all(sender), i.place / f"told-{sender}").values()
    found = collections.Counter()
    for report in map(email.message_from_bytes, reports):
        assert report.get_content_type() == "multipart/report"
        fields = report.get_payload()[1].get_payload()[1:]
        assert {f["Action"] for f in fields} == {"failed"}
        found.update(f["Final-Recipient"].partition("; ")[2] for f in fields)
    return found


def fails(address):
    return address.startswith("bad-") or address.endswith("@end5.test")


def why_twice(mails, kills):
    """Of one that was taken again after the one before: the cause, and how old the reply was at most. Content is sent
    after its recipients were named, so whoever died since then did not know what became of it."""
    causes = []
    for before, after in zip(mails, mails[1:]):
        late = [max(end - before["at"], 0.0) for start, end, victim in kills
                if victim in FORGETS and before["named"] <= end and start <= after["at"]]
        causes.append("dropped" if not before["replied"] else late[0] if late else None)
    return causes


class Found:
    """What is counted at the end."""

    def __init__(self):
        self.windows, self.dropped, self.again, self.delivered, self.told = [], 0, 0, 0, 0

    def take(self, address, mails, kills, unsure):
        causes = why_twice(mails, kills)
        self.windows += [c for c in causes if isinstance(c, float)]
        self.dropped += causes.count("dropped")
        again = causes.count(None)
        assert again <= unsure, f"{address} got it {len(mails)} times: {mails}"
        self.again += again
        self.delivered += bool(mails)


def check_remote(i, s, journal, kills, found, left):
    reports = told(i, s.sender)
    for token, to in s.done.items():
        for address in (a for a in to if not a.endswith("@" + harness.DOMAIN)):
            mails = journal.pop(address, [])
            if address.startswith("never-"):
                assert not mails and address in left, f"neither sent nor there: {address}"
            elif fails(address):
                assert not mails and 1 <= reports.pop(address, 0) <= 1 + s.unsure[token], f"not told once: {address}"
                found.told += 1
            else:
                assert mails, f"lost: {address}"
                assert all((m["token"], m["from"], m["body"]) == (token, s.sender, s.body[token]) for m in mails)
                found.take(address, mails, kills, s.unsure[token])
    assert all(s.unsure[a.partition("@")[0].partition("-")[2]] for a in reports), reports


def check_local(i, address, submitters):
    stored = i.fetch_all(address).values()
    tokens = collections.Counter(re.search(rb"Message-ID: <([^@]*)@", m)[1].decode() for m in stored)
    promised = {t for s in submitters for t, to in s.done.items() if address in to}
    assert promised <= set(tokens), f"lost: {promised - set(tokens)}"
    assert set(tokens.values()) <= {1}, "stored twice"
    assert all(t in promised or was_unsure(submitters, t) for t in tokens), "stored, and not promised"
    return len(promised)


def was_unsure(submitters, token):
    return any(s.unsure[token] for s in submitters)


def add_odd(i):
    """An account whose key only gpg seals to."""
    address, cert = f"odd@{harness.DOMAIN}", i.place / "odd.asc"
    i.keyring.import_file(harness.ROOT / "tests" / "fault" / "elgamal.key")
    i.keyring.gpg("--quick-add-uid", i.keyring.fingerprint("A test"), address)
    cert.write_bytes(i.keyring.export(address))
    i.run("account", "add", address, "--key", cert)
    return i.app_password(address)


def test_what_was_submitted_is_delivered_or_told(instance, zone):
    i, journal, port = instance, instance.place / "journal", instance.base + 5525
    i.init(**zone.settings(), relay_port=port, queue_retry=1, queue_retry_max=2)
    senders = [i.add_account(n) for n in ("alice", "bob", "dora")]
    local = [i.add_account("carol"), add_odd(i)]
    submitters = [Submitter(i, s, local) for s in senders]
    rng, kills = random.Random(int(os.environ.get("LETTERLOCK_SEED", "1"))), []
    with sink(port, journal):
        i.serve()
        for s in submitters:
            s.start()
        wait_for_progress(submitters)
        for n in range(ROUNDS):
            time.sleep(rng.random() * 0.8)
            start, victim = time.monotonic(), VICTIMS[n % len(VICTIMS)]
            kill_one(i, victim)
            kills.append((start, time.monotonic(), victim))
            wait_for_progress(submitters)
        for s in submitters:
            s.stopping.set()
        for s in submitters:
            s.finish()
        drained(i)
    taken = collections.defaultdict(list)
    for line in map(json.loads, journal.read_text().splitlines()):
        for address in line["to"]:
            taken[address].append(line)
    left, found = waiting(i), Found()
    for s in submitters:
        check_remote(i, s, taken, kills, found, left)
    assert all(was_unsure(submitters, m[0]["token"]) for m in taken.values()), "sent, and not promised"
    here = sum(check_local(i, a, submitters) for a in local)
    assert i.run("audit").returncode == 0
    print(f"\n    {ROUNDS} rounds: {sum(len(s.done) for s in submitters)} submitted; {found.delivered} delivered"
          f" there, {here} here, {found.told} failures told, {len(left)} wait; twice there: {len(found.windows)} over a"
          f" death, the reply at most {max(found.windows, default=0):.3f} s old, {found.dropped} over a dropped reply,"
          f" {found.again} of {sum(sum(s.unsure.values()) for s in submitters)} submissions without an answer;"
          f" refusals {dict(sum((s.refused for s in submitters), collections.Counter()))}")
    assert found.delivered > 3 * ROUNDS and found.told > ROUNDS and here > ROUNDS and found.dropped
