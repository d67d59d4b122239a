"""kill -9 of each role, and of all at once, at random moments under load: every message that got 250 is there exactly once and decrypts, nothing is
half-written, and what a reader was once shown never changes. LETTERLOCK_CRASH_ROUNDS=200 for the long run."""
import collections
import contextlib
import os
import random
import re
import signal
import smtplib
import subprocess
import threading
import time

import harness

ROUNDS = int(os.environ.get("LETTERLOCK_CRASH_ROUNDS", "6"))
VICTIMS = ["ingest", "access", "vault", "gpg-judge", "gpg-seal", "everything"]


class Sender(threading.Thread):
    """Sends until told to stop. A message without a 250 is sent again, the same bytes, until it has one."""

    def __init__(self, instance, number, recipients):
        super().__init__(daemon=True)
        self.instance, self.number, self.recipients = instance, number, recipients
        self.done = {}  # token -> recipients
        self.refused = collections.Counter()
        self.stopping = threading.Event()
        self.pause = threading.Event()

    def run(self):
        rng = random.Random(self.number)
        count = 0
        while not self.stopping.is_set():
            count += 1
            token = f"crash-{self.number}-{count}"
            to = rng.sample(self.recipients, rng.randint(1, len(self.recipients)))
            body = "".join(rng.choice("abcdefgh \n") for _ in range(rng.choice([10, 3000, 60000])))
            message = harness.mail(token, body + "\n", extra=f"X-Token: {token}\n")
            message = re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <%s@example.org>" % token.encode(), message)
            while not self.attempt(token, to, message):
                if self.stopping.wait(0.05):
                    return

    def attempt(self, token, to, message):
        try:
            with self.instance.smtp(timeout=60) as s:
                refused = s.sendmail("sender@example.org", to, message)
        except (OSError, smtplib.SMTPException) as e:
            self.refused[type(e).__name__] += 1
            return False
        if refused:
            self.refused["recipient"] += 1
            return False
        self.done[token] = to
        return True


class Reader(threading.Thread):
    """Reads over and over; a UID's bytes must never change."""

    def __init__(self, instance, address):
        super().__init__(daemon=True)
        self.instance, self.address = instance, address
        self.stopping = threading.Event()
        self.seen, self.wrong, self.reads = {}, [], 0

    def run(self):
        rng = random.Random(7)
        while not self.stopping.is_set():
            with contextlib.suppress(OSError, harness.imaplib.IMAP4.error, AttributeError):
                m = self.instance.imap(self.address, timeout=20)
                try:
                    m.select("INBOX", readonly=True)
                    uids = m.uid("SEARCH", "ALL")[1][0].split()
                    for uid in rng.sample(uids, min(len(uids), 20)):
                        typ, data = m.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
                        if typ == "OK" and isinstance(data[0], tuple):
                            self.reads += 1
                            digest = hash(data[0][1])
                            if self.seen.setdefault(uid, digest) != digest:
                                self.wrong.append(uid)
                finally:
                    m.shutdown()
            time.sleep(0.02)


def kill_one(instance, victim):
    if victim == "everything":
        instance.kill()
        instance.serve()
        return
    pids = instance.pids(victim)
    assert pids, f"no process runs as {victim}"
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until_sending(senders, limit=60):
    """Clients are served again: every sender gets one more message in."""
    before = [len(s.done) for s in senders]
    end = time.monotonic() + limit
    while any(len(s.done) <= b for s, b in zip(senders, before)):
        assert time.monotonic() < end, f"not served again: {[dict(s.refused) for s in senders]}"
        time.sleep(0.02)


def test_what_got_250_is_there_exactly_once(instance):
    i = instance.init(reader_turn_ms=200)
    recipients = [i.add_account("alice"), i.add_account("bob", algo="rsa")]
    i.serve()
    senders = [Sender(i, n, recipients) for n in range(3)]
    reader = Reader(i, recipients[0])
    rng = random.Random(int(os.environ.get("LETTERLOCK_SEED", "1")))
    for t in [*senders, reader]:
        t.start()
    wait_until_sending(senders)
    for n in range(ROUNDS):
        time.sleep(rng.random() * 0.5)
        kill_one(i, VICTIMS[n % len(VICTIMS)])
        if n % 5 == 0:
            wait_until_sending(senders)
    wait_until_sending(senders)
    for t in [*senders, reader]:
        t.stopping.set()
    for t in [*senders, reader]:
        t.join(120)
    assert not reader.wrong
    assert i.run("audit").returncode == 0

    promised = collections.defaultdict(set)
    for s in senders:
        for token, to in s.done.items():
            for r in to:
                promised[r].add(token.encode())
    for r in recipients:
        stored = i.fetch_all(r)
        tokens = collections.Counter(re.search(rb"Message-ID: <([^@]*)@", m).group(1) for m in stored.values())
        assert promised[r] <= set(tokens), f"lost: {promised[r] - set(tokens)}"
        assert not [t for t, n in tokens.items() if n != 1], "stored twice"
        place = i.place / f"clear-{r}"
        place.mkdir()
        names = []
        for uid, m in stored.items():
            (place / f"{uid}.asc").write_bytes(harness.armor_of(m))
            names.append(str(place / f"{uid}.asc"))
        for at in range(0, len(names), 500):
            i.keyring.gpg("--multifile", "--decrypt", *names[at:at + 500])
        for uid, m in stored.items():
            token = re.search(rb"Message-ID: <([^@]*)@", m).group(1)
            assert b"X-Token: " + token in (place / str(uid)).read_bytes()
    total = sum(len(p) for p in promised.values())
    print(f"\n    {ROUNDS} rounds, {total} deliveries promised and found once, {reader.reads} reads, refusals {sum((s.refused for s in senders), collections.Counter())}")
    assert total > ROUNDS and reader.reads > 0
