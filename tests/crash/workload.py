"""What the crash tests let happen at the same time: senders, a reader, and a client that changes its mailboxes. Each
remembers what it was promised."""
import collections
import contextlib
import hashlib
import imaplib
import os
import random
import re
import signal
import smtplib
import threading
import time

import harness

MAILBOXES = ["INBOX", "Archive", "Trash"]
BROKEN = (OSError, imaplib.IMAP4.error, AttributeError)


class Client(threading.Thread):
    """Works until told to stop; what goes wrong in it fails the test."""

    def __init__(self, instance):
        super().__init__(daemon=True)
        self.instance = instance
        self.stopping = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.work()
        except Exception as e:  # noqa: BLE001
            self.failure = e

    def finish(self):
        self.stopping.set()
        self.join(120)
        assert not self.is_alive()
        if self.failure:
            raise self.failure


class Sender(Client):
    """A message without a 250 is sent again, the same bytes, until it has one."""

    def __init__(self, instance, number, recipients):
        super().__init__(instance)
        self.number, self.recipients = number, recipients
        self.count = 0
        self.rng = random.Random(number)
        self.done = {}  # token -> recipients
        self.refused = collections.Counter()

    def progress(self):
        return len(self.done)

    def work(self):
        self.count += 1
        token = f"crash-{self.number}-{self.count}"
        to = self.rng.sample(self.recipients, self.rng.randint(1, len(self.recipients)))
        body = "".join(self.rng.choices("abcdefgh \n", k=self.rng.choice([10, 3000, 60000])))
        message = message_with(token, body + "\n")
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


def message_with(token, body):
    message = harness.mail(token, body, extra=f"X-Token: {token}\n")
    return re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <%s@example.org>" % token.encode(), message)


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Reader(Client):
    """Reads over and over, the newest most of all, where the pages churn; a UID's bytes must never change."""

    def __init__(self, instance, address):
        super().__init__(instance)
        self.address = address
        self.rng = random.Random(7)
        self.seen, self.wrong, self.reads, self.sessions = {}, [], 0, 0

    def work(self):
        with contextlib.suppress(*BROKEN):
            m = self.instance.imap(self.address, timeout=60)
            self.sessions += 1
            try:
                while not self.stopping.is_set():
                    self.look(m)
            finally:
                m.shutdown()
        time.sleep(0.02)

    def look(self, m):
        m.select("INBOX", readonly=True)
        uids = m.uid("SEARCH", "ALL")[1][0].split()
        for uid in {*uids[-5:], *self.rng.sample(uids, min(len(uids), 15))}:
            typ, data = m.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            if typ == "OK" and isinstance(data[0], tuple):
                self.reads += 1
                found = digest(data[0][1])
                if self.seen.setdefault(int(uid), found) != found:
                    self.wrong.append(uid)
        time.sleep(0.005)


class Changer(Client):
    """An IMAP client that appends, flags, moves, copies, replaces and expunges. `state` is what the server said OK to;
    a command without an OK leaves two possibilities, of which the
    next look must find one, whole: never a message in both mailboxes of a MOVE, or in none, nor half of a set."""

    def __init__(self, instance, address):
        super().__init__(instance)
        self.address = address
        self.rng = random.Random(11)
        self.state = frozenset()     # (token, mailbox, flags); flags without \\Recent
        self.maybe = None            # what it is if the last command was done all the same
        self.appended = self.changes = self.looks = self.unsure = 0
        self.uids = {}               # mailbox -> {uid: token}

    def progress(self):
        return self.looks

    def work(self):
        with contextlib.suppress(*BROKEN):
            m = self.instance.imap(self.address, timeout=60)
            try:
                self.look(m)
                for _ in range(self.rng.randint(3, 12)):
                    if self.stopping.is_set() or not self.change(m):
                        break
            finally:
                m.shutdown()
        time.sleep(0.02)

    # What is there

    def contents(self, m):
        found, uids = [], {}
        for mailbox in MAILBOXES:
            assert_ok(m.select(mailbox, readonly=True))
            typ, data = m.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
            assert_ok((typ, data))
            uids[mailbox] = {}
            for part in data:
                if not isinstance(part, tuple):
                    continue
                token = re.search(rb"Message-ID: <([^@]*)@", part[1]).group(1).decode()
                flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).split()) - {rb"\Recent"}
                uids[mailbox][int(re.search(rb"UID (\d+)", part[0]).group(1))] = token
                found.append((token, mailbox, flags))
        return found, uids

    def look(self, m):
        if self.maybe is not None:
            time.sleep(0.3)  # a request of the dead access may be in the vault still
        found, self.uids = self.contents(m)
        if len(found) != len(set(found)):
            raise AssertionError(f"twice: {[k for k, n in collections.Counter(found).items() if n > 1]}")
        found = frozenset(found)
        if found not in (self.state, self.maybe):
            raise AssertionError(
                f"promised and not there: {set(self.state - found)}; there and not promised: {set(found - self.state)};"
                f" undecided: {None if self.maybe is None else set(self.maybe ^ self.state)}"
            )
        self.state, self.maybe = found, None
        self.looks += 1

    # Changes: each a function that tells what the state would be, and does it

    def change(self, m):
        """False: not known what became of it, so look before going on."""
        if len(self.state) > 40:
            verb = self.expunge
        else:
            verb = self.rng.choice([self.append, self.append, self.store, self.store, self.move, self.copy,
                                    self.expunge,
                                    self.replace, self.replace])
        return verb(m)

    def done(self, maybe, ask):
        self.maybe = frozenset(maybe)
        self.changes += 1
        self.unsure += 1
        typ, data = ask()
        if typ != "OK":
            return False
        self.state, self.maybe = self.maybe, None
        self.unsure -= 1
        return True

    def append(self, m):
        self.appended += 1
        token, mailbox = f"append-{self.appended}", self.rng.choice(MAILBOXES)
        flags = self.rng.choice([b"", rb"\Seen", rb"\Flagged \Seen", b"word"])
        message = message_with(token, "x" * self.rng.choice([5, 70]) * 10 + "\n")
        ok = self.done(self.state | {(token, mailbox, frozenset(flags.split()))},
                       lambda: m.append(mailbox, f"({flags.decode()})", None, message))
        return ok and self.refresh(m)

    def refresh(self, m):
        """UIDs of what is new, without taking over what is wrong."""
        found, self.uids = self.contents(m)
        if frozenset(found) != self.state or len(found) != len(self.state):
            raise AssertionError(f"after an OK: {set(found) ^ self.state}")
        return True

    def some(self, m):
        mailbox = self.rng.choice(MAILBOXES)
        uids = sorted(self.uids.get(mailbox, {}))
        chosen = self.rng.sample(uids, min(len(uids), self.rng.randint(1, 8)))
        if chosen:
            assert_ok(m.select(mailbox))
        tokens = {self.uids[mailbox][u] for u in chosen}
        return mailbox, ",".join(map(str, chosen)), tokens

    def store(self, m):
        mailbox, uids, tokens = self.some(m)
        if not uids:
            return True
        sign, flag = self.rng.choice(["+", "-"]), self.rng.choice([rb"\Flagged", rb"\Answered", b"word", b"$Forwarded"])
        change = (lambda f: f | {flag}) if sign == "+" else (lambda f: f - {flag})
        maybe = {(t, b, change(f) if b == mailbox and t in tokens else f) for t, b, f in self.state}
        return self.done(maybe, lambda: m.uid("STORE", uids, f"{sign}FLAGS", f"({flag.decode()})"))

    def move(self, m):
        mailbox, uids, tokens = self.some(m)
        to = self.rng.choice(MAILBOXES)
        if not uids or to == mailbox or any(t in tokens and b == to for t, b, f in self.state):
            return True
        maybe = {(t, to if b == mailbox and t in tokens else b, f) for t, b, f in self.state}
        return self.done(maybe, lambda: m.uid("MOVE", uids, to)) and self.refresh(m)

    def copy(self, m):
        mailbox, uids, tokens = self.some(m)
        to = self.rng.choice(MAILBOXES)
        if not uids or to == mailbox or any(t in tokens and b == to for t, b, f in self.state):
            return True
        maybe = self.state | {(t, to, f) for t, b, f in self.state if b == mailbox and t in tokens}
        return self.done(maybe, lambda: m.uid("COPY", uids, to)) and self.refresh(m)

    def replace(self, m):
        """RFC 8508: a new message for an old one, in one step: never both, never neither."""
        mailbox, uids, tokens = self.some(m)
        if not uids:
            return True
        uid = int(uids.split(",")[0])
        self.appended += 1
        old, new, to = self.uids[mailbox][uid], f"replace-{self.appended}", self.rng.choice(MAILBOXES)
        flags = self.rng.choice([b"", rb"\Seen", b"word $Forwarded"])
        m.literal = message_with(new, "y" * self.rng.choice([5, 3000]) + "\n")
        maybe = {e for e in self.state if e[:2] != (old, mailbox)} | {(new, to, frozenset(flags.split()))}
        return self.done(maybe, lambda: m._simple_command("UID", "REPLACE", str(uid), to,
                                                          f"({flags.decode()})")) and self.refresh(m)

    def expunge(self, m):
        mailbox, uids, tokens = self.some(m)
        if not uids:
            return True
        marked = {(t, b, f | {rb"\Deleted"} if b == mailbox and t in tokens else f) for t, b, f in self.state}
        if not self.done(marked, lambda: m.uid("STORE", uids, "+FLAGS.SILENT", r"(\Deleted)")):
            return False
        gone = {e for e in self.state if not (e[1] == mailbox and e[0] in tokens)}
        return self.done(gone, lambda: m.uid("EXPUNGE", uids)) and self.refresh(m)


def assert_ok(answer):
    if answer[0] != "OK":
        raise imaplib.IMAP4.error(f"{answer}")


imaplib.Commands.setdefault("MOVE", ("SELECTED",))
imaplib.Commands.setdefault("REPLACE", ("SELECTED",))


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_one(instance, victim):
    """victim: a role; "master", whose roles must end by themselves; or "everything", in one breath. Then the server
    runs again."""
    if victim == "master":
        instance.kill()
        instance.serve()
        return
    pids = [r["pid"] for r in instance.status().get("roles", []) if victim in (r["role"], "everything") and r["pid"]]
    assert pids, f"no process runs as {victim}"
    if victim == "everything":
        kill([instance.process.pid, *pids])
        instance.kill()
        instance.serve()
    else:
        kill(pids)


def wait_for_progress(clients, limit=60):
    """They are served again: each gets one more thing done."""
    before = [c.progress() for c in clients]
    end = time.monotonic() + limit
    while any(c.progress() <= b for c, b in zip(clients, before)):
        for c in clients:
            if c.failure:
                raise c.failure
        assert time.monotonic() < end, f"not served again: {[getattr(c, 'refused', type(c).__name__) for c in clients]}"
        time.sleep(0.02)


def decrypt_all(instance, stored, place):
    """Every rendered message of a mailbox in the clear, by UID; one gpg for many."""
    place.mkdir()
    names = []
    for uid, m in stored.items():
        (place / f"{uid}.asc").write_bytes(harness.armor_of(m))
        names.append(str(place / f"{uid}.asc"))
    for at in range(0, len(names), 500):
        instance.keyring.gpg("--multifile", "--decrypt", *names[at:at + 500])
    return {uid: (place / str(uid)).read_bytes() for uid in stored}
