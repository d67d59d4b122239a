"""A stranger in relay's place: a program that has relay's own channels, to the vault and to ingest, taken from the
running process. It can have mail that goes out, lose it, and put mail of its own before people here; nothing else. What
it can open, tests/fault/test_role_keys.py looks at; where it can connect, tests/unit/base/test_doors.c."""
import contextlib
import json
import os
import random
import re
import signal
import struct
import time

import harness
import pytest
from channels import Channel, error, requests, sealed_file, sealed_parcel
from test_subverted_ingest import ALICE, BOB, make, state

MAY = {"VAULT_QUEUE_UPDATE", "VAULT_SUPPRESS_PUT", "VAULT_SUPPRESS_DEL", "VAULT_STS_PUT", "VAULT_STS_DEL",
       "VAULT_TALLY_PUT", "VAULT_TALLY_DEL"}
DELIVER, QUEUE = 1, 2  # INTERNAL_
OUTSIDE = "carol@there.example"
LIE = harness.crlf("From: bob@letterlock.test\nTo: alice@letterlock.test\nSubject: your password\n\nis wanted\n")
pytestmark = pytest.mark.needs("root", "ss")


@pytest.fixture(scope="module")
def served():
    """Two processes of ingest, accounts with a past, and mail of alice's that waits in the queue."""
    with harness.Instance() as i:
        make(i)
        with i.submission(ALICE) as s:
            s.sendmail(ALICE, [OUTSIDE, "dave@there.example"], harness.mail(sender=ALICE, to=OUTSIDE))
        yield i


@contextlib.contextmanager
def taken(i, server):
    end = time.monotonic() + 30
    while not i.pids("relay"):
        assert time.monotonic() < end
        time.sleep(0.1)
    c = Channel(i, i.pids("relay")[0], server)
    try:
        yield c
    finally:
        c.close()


def queued(i):
    return [(m["id"], m["from"], [r["to"] for r in m["recipients"]])
            for m in json.loads(i.run("queue", "list", "--json").stdout)]


def nonces(i, id, n):
    """What may be the nonce of a recipient's record: of each copy of it that is in the store's file."""
    octets, key = (i.dir / "store/data.mdb").read_bytes(), b"T" + struct.pack(">QI", id, n)
    return {octets[at.end() + 1:at.end() + 25] for at in re.finditer(re.escape(key), octets)}


def update(id, rows):
    return struct.pack(">Q24sII", id, bytes(24), 0, len(rows)) + b"".join(
        struct.pack(">I24sI", n, seen, len(record)) + record for n, seen, record in rows)


def internal(to, delivery=None, sender=""):
    words = b"".join(struct.pack(">I", len(w)) + w.encode() for w in (sender, to))
    return (delivery or os.urandom(16)) + words


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def put_inside(c, to, mail=LIE, delivery=None, seals=True, kind=DELIVER, sender=""):
    fd = sealed_file(mail, seals)
    try:
        return c.ask(kind, internal(to, delivery, sender), [fd])[0]
    finally:
        os.close(fd)


def test_it_may_ask_the_vault_for_what_is_its_own(served):
    i, before, denied = served, state(served), error("DENIED")
    payloads = [struct.pack(">QIIII", 16, 1, 1, 1, 1), struct.pack(">Q", 16), b"", random.Random(1).randbytes(200)]
    fd = sealed_parcel(b"", b"", b"")
    with taken(i, "vault") as c:
        answers = {name: {c.ask(number, p, [fd])[0] for p in payloads} for name, number in requests().items()
                   if name not in MAY}
    os.close(fd)
    assert len(answers) > 25
    assert {name: a for name, a in answers.items() if a != {denied}} == {}
    assert state(i) == before and queued(i)


def test_of_the_queue_it_changes_what_it_has_read(served):
    """Which is all of it: mail that goes out it can lose. Of what it has not seen, nothing, and of no account."""
    i, before = served, state(served)
    waits = queued(i)
    id = int(waits[0][0], 16)
    with taken(i, "vault") as c:
        ask = lambda rows, of=id: c.ask(requests()["VAULT_QUEUE_UPDATE"], update(of, rows))[0]
        record = b"\2" + os.urandom(99)
        for rows in ([(1, os.urandom(24), b"")], [(1, os.urandom(24), record)], [(1, bytes(24), b"")],
                     [(1, os.urandom(24), record), (2, os.urandom(24), b"")]):
            assert ask(rows) == error("CONFLICT")
        assert ask([(77, os.urandom(24), record)]) == error("NOT_FOUND")
        assert ask([(1, os.urandom(24), b"")], 16) == 0  # there is none, and the partition of accounts is not this
        assert queued(i) == waits and state(i) == before
        assert 0 in {ask([(1, n, b"")]) for n in nonces(i, id, 1)}
        assert [m[2] for m in queued(i)] == [waits[0][2][1:]]
    assert state(i) == before and i.run("audit").returncode == 0


def test_mail_of_its_own_is_sealed_and_comes_once(served):
    i = served
    before, bob = len(i.fetch_all(ALICE)), i.fetch_all(BOB)
    with taken(i, "ingest") as c:
        delivery = os.urandom(16)
        assert [put_inside(c, ALICE, delivery=delivery) for _ in range(3)] == [0, 0, 0]
        assert put_inside(c, f"nobody@{harness.DOMAIN}") == error("NOT_FOUND")
        assert put_inside(c, OUTSIDE) in (error("DENIED"), error("NOT_FOUND"))
        assert put_inside(c, ALICE, b"") != 0
        assert put_inside(c, ALICE, seals=False) == error("REFUSED")
    there = i.fetch_all(ALICE)
    assert len(there) == before + 1 and i.fetch_all(BOB) == bob
    last = there[max(there)]
    assert b"your password" not in last and b"is wanted" not in last and LIE in i.unseal(last)
    assert i.run("audit").returncode == 0


def test_into_the_queue_too(served):
    """As anybody, but in no account's name: what it sends by itself it could as well."""
    i, before, inside = served, queued(served), state(served)
    with taken(i, "ingest") as c:
        put = lambda to, **more: put_inside(c, to, kind=QUEUE, sender=BOB, **more)
        delivery = os.urandom(16)
        assert [put("erin@there.example", delivery=delivery) for _ in range(3)] == [0, 0, 0]
        assert put(f"nobody@{harness.DOMAIN}") == error("NOT_FOUND")
        assert put("erin") == error("FORMAT") and put("x@[192.0.2.1]") == error("FORMAT")
        assert put("erin@there.example", mail=b"") != 0 and put("erin@there.example", seals=False) == error("REFUSED")
    (new,) = [m for m in queued(i) if m not in before]
    assert new[1:] == (BOB, ["erin@there.example"]) and state(i) == inside
    assert i.run("audit").returncode == 0


def test_more_than_its_share_waits_outside(served):
    i, many, ingest = served, 200, served.pids("ingest")
    with taken(i, "ingest") as c:
        fd = sealed_file(LIE)
        with contextlib.ExitStack() as still:  # so that all of them are there at once
            for pid in ingest:
                still.enter_context(stopped(pid))
            numbers = [c.send(DELIVER, internal(f"nobody@{harness.DOMAIN}"), [fd]) for _ in range(many)]
        os.close(fd)
        status = {}
        while len(status) < many:
            data = c.socket.recv(70000)
            status[struct.unpack(">Q", data[4:12])[0]] = struct.unpack(">I", data[12:16])[0]
    assert set(status) == set(numbers)
    assert set(status.values()) == {error("NOT_FOUND"), error("FULL")} and i.pids("ingest") == ingest
    i.send(ALICE, harness.mail(subject="meanwhile"))


MALFORMED = [
    ("no message has this number", 3, internal(ALICE), 1),
    ("a reply", 100, struct.pack(">II", 0, 0), 0),
    ("cut short", DELIVER, internal(ALICE)[:-1], 1),
    ("too long", DELIVER, internal(ALICE) + b"x", 1),
    ("without its descriptor", DELIVER, internal(ALICE), 0),
    ("with two", DELIVER, internal(ALICE), 2),
    ("an address without end", DELIVER, internal("a" * 3000), 1),
    ("a NUL in an address", DELIVER, internal("alice\0@" + harness.DOMAIN), 1),
]


@pytest.mark.parametrize("what", [m[0] if n % 4 == 0 else pytest.param(m[0], marks=pytest.mark.needs("the long run"))
                                  for n, m in enumerate(MALFORMED)])
def test_what_is_no_message_ends_its_channel_alone(served, what):
    i = served
    _, kind, payload, fds = next(m for m in MALFORMED if m[0] == what)
    ingest, there = i.pids("ingest"), len(i.fetch_all(ALICE))
    with taken(i, "ingest") as c:
        fd = sealed_file(LIE)
        c.send(kind, payload, [fd] * fds)
        os.close(fd)
        assert c.ended()
        i.send(ALICE, harness.mail(subject="meanwhile"))
    assert i.pids("ingest") == ingest and len(i.fetch_all(ALICE)) == there + 1
    i.logged(rf"channel-ended role=relay instance=\d+ pid={c.pid} by=ingest", wait=30)
