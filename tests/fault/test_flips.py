"""Octets of the store's file are changed, one at a time. `letterlock audit` finds each, or it is one that nobody reads,
as tests/thief/lmdb_pages.py shows; and no server shows its clients anything else than before."""
import collections
import contextlib
import imaplib
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "thief"))
import harness  # noqa: E402
import lmdb_pages  # noqa: E402
from channels import as_web  # noqa: E402
from holders import sign_up  # noqa: E402

pytestmark = pytest.mark.needs("root", "ss")

SEED = 20261130
LONG = harness.here("the long run")
FLIPS, SERVED = (1000, 50) if LONG else (200, 8)
ALICE, BOB = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"
QUEUE = 1  # the partition
NOBODY_READS = {lmdb_pages.FREE, lmdb_pages.GAP, lmdb_pages.UNUSED, lmdb_pages.STALE, lmdb_pages.BEYOND}


@pytest.fixture(scope="module")
def store():
    """A stopped instance with every kind of record that lasts: mail in clear and encrypted, of one piece and of many,
    appended, copied, expunged, waiting to go out; names, keywords, subscriptions, an alias; how somebody signs in."""
    with harness.Instance(web=True) as i:
        i.init(relay_port=1, web_instances=1)
        i.add_account("alice")
        i.add_account("bob", algo="rsa4096")
        i.run("alias", "add", f"al@{harness.DOMAIN}", ALICE)
        i.serve()
        sign_up(i, as_web(i), 16, ALICE, b"x" * 9000, b"telephone")
        for size in (10, 3000, 20000, 70000):
            i.send([ALICE, BOB], harness.mail(body="A line of it.\n" * (size // 14)))
        s = i.smtp()  # whose sender dies with the answer unread, so that its delivery id stays
        s.sendmail("x@example.org", [BOB], harness.mail())
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sock.close()
        armored = i.keyring.gpg("--armor", "-r", ALICE, "--encrypt", data=b"secret" * 5000).stdout.decode()
        i.send(ALICE, harness.crlf(f"From: a@example.org\nTo: {ALICE}\nSubject: x\n\n{armored}"))
        m = i.imap(ALICE)
        assert m.append("Sent", r"(\Seen)", None, harness.crlf(f"To: {BOB}\nSubject: y\n\n{armored}"))[0] == "OK"
        assert m.append("Drafts", r"(\Draft)", None, harness.mail(body="A draft.\n" * 40))[0] == "OK"
        for command in (lambda: m.create("Some/Box"), lambda: m.subscribe("Some/Box"), lambda: m.select("INBOX"),
                        lambda: m.store("1:3", "+FLAGS", r"(\Seen kw)"), lambda: m.copy("1:3", "Some/Box"),
                        lambda: m.store("2", "+FLAGS", r"(\Deleted)"), m.expunge):
            assert command()[0] == "OK"
        m.logout()
        with i.submission(ALICE) as s:
            for n in (10, 2000):
                s.sendmail(ALICE, ["carol@world.example", "dave@world.example"],
                           harness.mail(sender=ALICE, body="A line of it.\n" * n), mail_options=["HOLDFOR=86400"])
        i.stop()
        assert i.run("audit").returncode == 0
        yield i


class Flipped:
    """The store's file with one octet changed, for as long as a block lasts; what readers leave beside it is gone with
    it."""

    def __init__(self, i):
        self.path = i.dir / "store" / "data.mdb"
        self.whole = self.path.read_bytes()
        self.file = lmdb_pages.File(self.whole)
        assert self.file.faults == []
        assert {chr(item.key[8]) for item in self.file.trees[b"kv"]} == set("VCSINadAqKGPBbFskuwxmnDeMTQLlpcfhOWoEJ")
        self.rng = random.Random(SEED)
        self.places = [(self.rng.choice(places), self.rng.randrange(1, 256))
                       for places in self.rng.choices(*self.shares(), k=max(FLIPS, SERVED))]

    def shares(self):
        """Octets of all kinds, and beside them, since most octets are of packets: what the trees are made of, records,
        and what waits to go out."""
        records, queue = bytearray(len(self.whole)), bytearray(len(self.whole))
        for tree in (b"kv", b"blob"):
            for item in self.file.trees[tree]:
                partition = struct.unpack(">Q", item.key[:8])[0] & (1 << 62) - 1
                for at, length in ((item.key_at, len(item.key)), (item.value_at, len(item.value))):
                    if tree == b"kv":
                        records[at:at + length] = b"\1" * length
                    if partition == QUEUE:
                        queue[at:at + length] = b"\1" * length
        assert sum(queue) > 20000
        kinds = self.file.kind
        of = [(8, lambda at: kinds[at] != lmdb_pages.FREE), (1, lambda at: kinds[at] == lmdb_pages.FREE),
              (5, lambda at: kinds[at] in (lmdb_pages.FIELD, lmdb_pages.SEPARATOR, lmdb_pages.KEY)),
              (6, lambda at: records[at]), (4, lambda at: queue[at])]
        places = [(share, [at for at in range(len(kinds)) if wanted(at)]) for share, wanted in of]
        return [p for _, p in places if p], [share for share, p in places if p]

    @contextlib.contextmanager
    def changed(self, at, by):
        fd = os.open(self.path, os.O_RDWR)
        try:
            os.pwrite(fd, bytes([self.whole[at] ^ by]), at)
            yield
        finally:
            os.close(fd)
            st = self.path.stat()
            self.path.write_bytes(self.whole)
            os.chown(self.path, st.st_uid, st.st_gid)

    def separates(self, at, by):
        """A separator of a branch is any octets between two keys; another one that is between them is as good."""
        data = bytearray(self.whole)
        data[at] ^= by
        return lmdb_pages.File(bytes(data)).faults == []


def test_audit_finds_each(store):
    flipped = Flipped(store)
    outcome, missed = collections.Counter(), []
    for at, by in flipped.places[:FLIPS]:
        kind = flipped.file.kind[at]
        with flipped.changed(at, by):
            p = store.run("audit", check=False)
        assert p.returncode in (0, 1), f"octet {at}: ended by {p.returncode}: {p.stderr.decode()[-500:]}"
        assert p.returncode == 0 or p.stderr.count(b"\n") == 1, p.stderr
        found = "found" if p.returncode else "not found"
        outcome[lmdb_pages.KINDS[kind], found] += 1
        if p.returncode == 0 and kind not in NOBODY_READS and not (
                kind == lmdb_pages.SEPARATOR and flipped.separates(at, by)):
            missed.append((at, by, lmdb_pages.KINDS[kind], flipped.file.named(at)))
    print(f"\nseed {SEED}, {FLIPS} octets changed")
    for (kind, found), n in sorted(outcome.items()):
        print(f"{kind:40} {found:10} {n:5}")
    assert missed == []


def seen_by_clients(i):
    """All that FETCH, LIST and STATUS tell, or None where a command was refused or a connection ended."""
    told = []
    for address in (ALICE, BOB):
        with contextlib.suppress(imaplib.IMAP4.error, OSError, socket.timeout):
            m = i.imap(address, timeout=60)
            for box in (b"INBOX", b"Sent", b"Drafts", b"Some/Box"):
                answer = []
                with contextlib.suppress(imaplib.IMAP4.error):
                    if m.select(box.decode(), readonly=True)[0] == "OK":
                        ok, data = m.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
                        answer = data if ok == "OK" else []
                for part in answer:
                    if isinstance(part, tuple):
                        n = re.search(rb"UID (\d+)", part[0])
                        told.append((address, box, n and n.group(1), part))
    return told


def is_refused_by_its_reader(i, other, truth):
    """Packets that this server sealed are served without a look at the outer seal's tag: OpenPGP has its own, and a
    client says that the message was changed. All else of it must be as it was."""
    before = next(t for t in truth if t[:3] == other[:3])
    armored = [harness.armor_of(t[3][1]) for t in (before, other)]
    if (before[3][0], before[3][1].replace(armored[0][:-1], b"")) != (other[3][0], other[3][1].replace(
            armored[1][:-1], b"")):
        return False
    assert i.keyring.gpg("--decrypt", data=armored[0]).returncode == 0
    return i.keyring.gpg("--decrypt", data=armored[1], check=False).returncode != 0


def test_a_server_shows_nothing_else(store):
    """Less, or nothing, but never another octet, flag, date or size."""
    truth = None
    flipped = Flipped(store)
    outcome = collections.Counter()
    held = [(at, by) for at, by in flipped.places if flipped.file.kind[at] in (lmdb_pages.VALUE, lmdb_pages.KEY,
                                                                              lmdb_pages.FIELD)]
    for at, by in [(0, 0), *held[:SERVED]]:
        with flipped.changed(at, by):
            shutil.copy(flipped.path, store.place / "served")
            try:
                store.serve()
                told = seen_by_clients(store)
            except AssertionError as e:
                assert "serve" in str(e)
                told = []
            store.kill()
        if truth is None:
            truth = told
            assert len(truth) == 14
        outcome["all" if told == truth else "less" if told else "nothing"] += 1
        for other in (t for t in told if t not in truth):
            assert is_refused_by_its_reader(store, other, truth), (at, by, flipped.file.named(at))
            outcome["refused by OpenPGP"] += 1
    print(f"\nseed {SEED}, {SERVED} stores served: {dict(outcome)}")
