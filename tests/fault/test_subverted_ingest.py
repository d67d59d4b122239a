"""A stranger in ingest's place: a program that has ingest's own channel to the vault, taken from the running process,
asks for everything that there is. It can deliver sealed mail and nothing else. What a process of each role could open,
tests/fault/test_role_keys.py looks for in its memory; the judge's lies are in tests/unit/gpg/test_judge_hard.c."""
import contextlib
import json
import os
import pathlib
import random
import struct
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from channels import SEED, Channel, error, requests, sealed_parcel  # noqa: E402

ALICE, BOB = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"
MAY = {"VAULT_DELIVER", "VAULT_KEY_NOTICE", "VAULT_DELIVERED_SEEN", "VAULT_QUEUE_ADD", "VAULT_COMPLAINT",
       "VAULT_UPLOAD_ADD", "VAULT_UPLOAD_CONFIRM", "VAULT_CORRESPONDENT_PUT", "VAULT_DMARC_REPORT"}
pytestmark = pytest.mark.needs("root", "ss")


@pytest.fixture(scope="module")
def served():
    """Two processes of ingest, of which one is taken, and an account with a past."""
    with harness.Instance() as i:
        yield make(i)


def make(i):
    i.init(ingest_instances=2)
    i.add_account("alice")
    i.add_account("bob")
    i.serve()
    i.send(ALICE, harness.mail(subject="before"))
    m = i.imap(ALICE)
    m.select("INBOX")
    m.store("1", "+FLAGS", r"(\Flagged kw)")
    m.logout()
    return i


@contextlib.contextmanager
def taken(i):
    c = Channel(i, i.pids("ingest")[0])
    try:
        yield c
    finally:
        c.close()


def state(i):
    """All that a request could have changed, as clients and the operator see it."""
    seen = [i.run(*c).stdout for c in (
        ["account", "list"], ["domain", "list"], ["alias", "list"], ["key", "list", ALICE], ["key", "list", BOB],
        ["app-password", "list", ALICE])]
    m = i.imap(ALICE)
    seen.append(m.list())
    seen.append(m.lsub())
    for box in ("INBOX", "Sent", "Trash", "Drafts", "Junk", "Archive"):
        m.select(box, readonly=True)
        seen.append((box, m.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")))
    m.logout()
    return seen


def deliver(account, mailbox=1, kind=1, delivery=None):
    return struct.pack(">QIBBQ16s16s16sIQI8sI", account, mailbox, kind, 0, int(time.time()), delivery or os.urandom(16),
                       os.urandom(16), os.urandom(16), 0, 0, 0, bytes(8), 0)


def encrypted(i, to, data=b"Content-Type: text/plain\r\n\r\nsealed\r\n"):
    return i.keyring.gpg("--recipient", to, "--encrypt", data=data).stdout


def outer_of(i):
    """An outer header as this server writes it."""
    rendered = next(iter(i.fetch_all(ALICE).values()))
    return rendered[:rendered.index(b"MIME-Version:")]


def test_it_may_ask_for_few_things(served):
    before = state(served)
    denied = error("DENIED")
    rng = random.Random(SEED)
    payloads = [struct.pack(">QIIII", 16, 1, 1, 1, 1), struct.pack(">Q", 16), b"", rng.randbytes(200)]
    fd = sealed_parcel(b"", b"", b"")  # which many of them must have
    with taken(served) as c:
        answers = {name: {c.ask(number, p, [fd])[0] for p in payloads} for name, number in requests().items()
                   if name not in MAY}
    os.close(fd)
    assert len(answers) > 25
    assert {name: a for name, a in answers.items() if a != {denied}} == {}
    assert state(served) == before
    counters = next(r["counters"] for r in served.status()["roles"] if r["role"] == "vault")
    assert counters["requests-denied"] == len(answers) * len(payloads)


def test_what_it_delivers_is_sealed_to_its_reader(served):
    """Each lie that a parcel can tell, as any of the three kinds of mail; then an honest one, so that the others were
    refused for what they are."""
    i, before = served, state(served)
    outer, good = outer_of(i), encrypted(i, ALICE)
    stranger = i.keyring.generate("stranger@example.org") and encrypted(i, "stranger@example.org")
    lies = {
        "readable packets": (outer, good, b"Subject: readable\r\n\r\ntext\r\n"),
        "a readable capsule": (outer, b'{"v":1,"subject":"readable"}', good),
        "a readable subject": (outer.replace(b"Subject: [...]", b"Subject: readable"), good, good),
        "a field of its own": (outer + b"X-Note: readable\r\n", good, good),
        "packets for somebody else": (outer, good, stranger),
        "a capsule for somebody else": (outer, stranger, good),
        "text behind the packets": (outer, good, good + b"readable"),
        "no packets": (outer, good, b""),
    }
    refused = error("REFUSED"), error("FORMAT"), error("LIMIT")
    with taken(i) as c:
        for what, parts in lies.items():
            for kind in (1, 2, 3):
                fd = sealed_parcel(*parts)
                status, sentence, _ = c.ask(requests()["VAULT_DELIVER"], deliver(16, kind=kind), [fd])
                os.close(fd)
                if kind != 1 and what == "a readable subject":
                    continue  # mail that its sender encrypted keeps the subject that they published
                assert status in refused, (what, kind, status, sentence)
        for account, mailbox in ((16, 99), (999, 1)):
            fd = sealed_parcel(outer, good, good)
            assert c.ask(requests()["VAULT_DELIVER"], deliver(account, mailbox), [fd])[0] != 0
            os.close(fd)
        kept = [s for s in state(i)[8:] if s[1][1] != [None]]
        fd = sealed_parcel(outer, good, good)
        status, sentence, _ = c.ask(requests()["VAULT_DELIVER"], deliver(16), [fd])
        assert status == 0, sentence
    assert [s for s in before[8:] if s[1][1] != [None]][0][1][1][:1] == kept[0][1][1][:1]
    assert i.run("audit").returncode == 0


def test_what_it_queues_is_sealed_to_the_queue(served):
    """Readable text, a reader's mail, an outer header beside: none of it gets into the queue."""
    i, good = served, encrypted(served, ALICE)
    lies = [(b"", b"", b"Subject: readable\r\n\r\ntext\r\n"), (b"", b"", good), (outer_of(i), good, good),
            (b"", b"", b"")]
    record = b"\2" + os.urandom(99)
    payload = struct.pack(">QQBBI", 77, 0, 0, 0, len(record)) + record
    payload += struct.pack(">II8sI", 1, 1, b"", len(record)) + record
    with taken(i) as c:
        for parts in lies:
            fd = sealed_parcel(*parts)
            assert c.ask(requests()["VAULT_QUEUE_ADD"], payload, [fd])[0] == error("REFUSED")
            os.close(fd)
    assert json.loads(i.run("queue", "list", "--json").stdout) == []


def test_it_makes_no_false_notices(served):
    """Of a key that does not end: nothing is stored, and the notice that comes when it does end is not taken away."""
    i, before = served, state(served)
    outer, good = outer_of(i), encrypted(i, ALICE)
    fingerprint = bytes.fromhex(i.keyring.fingerprint(ALICE))
    named = struct.pack(">I", len(fingerprint)) + fingerprint
    with taken(i) as c:
        for events, version in [(e, v) for e in (1, 2, 4, 7) for v in range(4)]:
            fd = sealed_parcel(outer, good, good)
            payload = deliver(16, delivery=bytes(16)) + named + struct.pack(">BI", events, version)
            status, sentence, _ = c.ask(requests()["VAULT_KEY_NOTICE"], payload, [fd])
            os.close(fd)
            assert status == error("CONFLICT"), (events, version, status, sentence)
    assert state(i) == before


def test_it_publishes_nothing_without_a_token(served):
    """No token that is none, nor one of an address whose certificates nobody sent in."""
    before = served.run("key", "log", "--json").stdout
    with taken(served) as c:
        for place in range(4):
            token = c.ids.randbytes(16) + bytes([place]) + c.ids.randbytes(25)
            assert c.ask(requests()["VAULT_UPLOAD_CONFIRM"], token)[0] == error("NOT_FOUND")
    assert served.run("key", "log", "--json").stdout == before


def test_forgetting_deliveries_changes_nothing_else(served):
    i, before = served, state(served)
    with taken(i) as c:
        rows = b"".join(struct.pack(">Q16s", a, os.urandom(16)) for a in (16, 17, 999) for _ in range(100))
        assert c.ask(requests()["VAULT_DELIVERED_SEEN"], struct.pack(">I", len(rows) // 24) + rows)[0] == 0
    assert state(i) == before


MALFORMED = [
    ("no request has this number", 250, b"", 0),
    ("a reply", 200, struct.pack(">II", 0, 0), 0),
    ("cut short", 1, deliver(16)[:-3], 1),
    ("too long", 1, deliver(16) + b"x", 1),
    ("without its descriptor", 1, deliver(16), 0),
    ("more keywords than there are octets", 1, deliver(16)[:-16] + struct.pack(">I", 2 ** 32 - 1), 1),
    ("more features than a message has", 1, deliver(16)[:-4] + struct.pack(">I", 17) + bytes(17 * 8), 1),
    ("a kind that is none", 1, deliver(16, kind=9), 1),
    ("rows without end", 11, struct.pack(">I", 2 ** 32 - 1), 0),
    ("a notice's fingerprint of no length", 10, deliver(16, delivery=bytes(16)) + struct.pack(">IBI", 0, 1, 1),
     1),
    ("mail for the instance's partition", 1, deliver(0), 1),
    ("mail for the queue's partition", 1, deliver(1), 1),
    ("mail for a number beyond all accounts", 1, deliver(1 << 62), 1),
    ("delivered in the queue's partition", 11, struct.pack(">IQ16sQ16s", 2, 16, bytes(16), 1, bytes(16)), 0),
]


@pytest.mark.parametrize("what", [m[0] if n % 4 == 0 else pytest.param(m[0], marks=pytest.mark.needs("the long run"))
                                  for n, m in enumerate(MALFORMED)])
def test_a_malformed_request_ends_its_channel_alone(served, what):
    """Meanwhile mail comes in by the other process. A process without its channel is of no use, and is ended."""
    i = served
    _, kind, payload, fds = next(m for m in MALFORMED if m[0] == what)
    vault, there = i.pids("vault"), len(i.fetch_all(ALICE))
    with taken(i) as c:
        fd = [sealed_parcel(b"", b"", b"")] if fds else []
        c.send(kind, payload, fd)
        for f in fd:
            os.close(f)
        assert c.ended()
        for n in range(3):
            i.send(ALICE, harness.mail(subject=f"meanwhile {n}"))
    assert i.pids("vault") == vault and len(i.fetch_all(ALICE)) == there + 3
    end = time.monotonic() + 30
    while len([p for p in i.pids("ingest") if p != c.pid]) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    i.logged(rf"channel-ended role=ingest instance=\d+ pid={c.pid} by=vault")
