"""What goes out, in relay's memory: in the clear only while it is sent, and where neither swap nor a dump takes it.
Runs against the released build: a sanitizer keeps what was freed."""
import base64
import os
import pathlib
import ssl
import subprocess
import threading
import time

import harness
import peers
import pytest
from peers import Peer
from test_memory import maps_of, places_of

pytestmark = pytest.mark.needs("root", "the released build")
LINES = 20000


@pytest.fixture
def i():
    with harness.Instance(binary=str(harness.released())) as i:
        i.init(relay_port=i.base + 5525, relay_instances=1)
        yield i


def queue(i, n, sender, *to, mail=b"Subject: word\r\n\r\nand so on\r\n"):
    fill = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/queue_fill"
    subprocess.run([fill, i.dir, str(n), sender, *to], input=mail, check=True, env=i.env, stdout=subprocess.DEVNULL)


def test_it_stands_there_while_it_is_sent(i):
    word = f"Rara{os.urandom(8).hex()}"
    taken, go_on = threading.Event(), threading.Event()

    def end(mail):
        taken.set()
        go_on.wait()
        return "250 2.0.0 taken"

    mail = f"From: alice@letterlock.test\r\nSubject: {word}\r\n\r\n" + f"{word} and so on\r\n" * LINES
    (i.dir / "relay.policy").write_text("there.test route=127.0.0.1\n")
    queue(i, 1, "alice@letterlock.test", "bob@there.test", mail=mail.encode())
    with Peer(i.base + 5525, end=end):
        i.serve()
        assert taken.wait(60)
        pid, = i.pids("relay")
        found, maps = places_of(pid, word.encode()), maps_of(pid)
        assert len(found) > LINES * 9 // 10  # some stand on an edge
        for at in found:
            low, high, flags, *_ = next(m for m in maps if m[0] <= at < m[1])
            assert "dd" in flags, f"{low:x}-{high:x} would be in a core dump"
        go_on.set()
        seconds = time.monotonic() + 60
        while left := places_of(pid, word.encode()):
            assert time.monotonic() < seconds, len(left)
            time.sleep(0.2)
        assert i.pids("relay") == [pid]


def left_of(pid, words):
    return [word for word in words if places_of(pid, word.encode())]


def counters(i, *names):
    """Of relay; none of one that has not answered yet."""
    all_of_them = next(r["counters"] for r in i.status()["roles"] if r["role"] == "relay")
    return sum(all_of_them.get(name, 0) for name in names)


def until(fn, seconds=120):
    end = time.monotonic() + seconds
    while not fn():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.parametrize("refused", ["nobody", "some"])
def test_whom_it_went_to_is_forgotten(i, refused):
    """The names of those who had it, of those whom a server there did not know and repeated, and of the sender."""
    words = [f"rara{os.urandom(8).hex()}" for _ in range(24)]
    sender = f"rara{os.urandom(8).hex()}"
    (i.dir / "relay.policy").write_text("there.test route=127.0.0.1\n")

    def rcpt(address):
        bad = refused == "some" and words.index(address.partition("@")[0]) % 3 == 0
        return f"550 5.1.1 {address} is not here" if bad else "250 2.1.5 ok"

    for n in range(0, len(words), 4):
        queue(i, 1, f"{sender}@letterlock.test", *[f"{w}@there.test" for w in words[n:n + 4]])
    with Peer(i.base + 5525, rcpt=rcpt) as there:
        i.serve()
        pid, = i.pids("relay")
        until(lambda: counters(i, "sent", "failed") == len(words))
        assert sum(len(mail.recipients) for mail in there.mails) == (16 if refused == "some" else 24)
        until(lambda: not counters(i, "queue_messages_now", "connections_now", "unwritten_now"))
        assert not left_of(pid, [*words, sender])
        assert i.pids("relay") == [pid]


@pytest.mark.parametrize("how", ["SCRAM-SHA-256", "PLAIN"])
def test_the_password_of_a_smarthost(i, how):
    """Once it was said: wherever it stands no core dump takes it. Once it is another: nobody has it any more."""
    password = f"Rara{os.urandom(16).hex()}"
    chain, key = peers.certificate(i.place, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    (i.dir / "relay.policy").write_text(f"localhost tls={peers.fingerprint(chain)}\n")
    (i.place / "password").write_text(password + "\n")
    i.configure(smarthost=f"localhost:{i.base + 5525}", smarthost_user="me",
                smarthost_password_file=i.place / "password")
    queue(i, 4, "alice@letterlock.test", "bob@there.test")
    login = peers.Scram("me", password)
    with Peer(i.base + 5525, ehlo=(f"AUTH {how}",), auth=login, starttls=tls) as there:
        i.serve()
        until(lambda: len(there.mails) == 4)
        until(lambda: not counters(i, "queue_messages_now", "connections_now", "unwritten_now"))
    assert login.mechanisms[0] == how
    pids = {"master": i.process.pid, "relay": i.pids("relay")[0], "ingest": i.pids("ingest")[0]}
    for role, pid in pids.items():
        maps = maps_of(pid)
        for at in places_of(pid, password.encode()):
            low, high, flags, *_ = next(m for m in maps if m[0] <= at < m[1])
            assert "dd" in flags and role != "ingest", f"{role}: {low:x}-{high:x}"
        assert not places_of(pid, base64.b64encode(f"\0me\0{password}".encode()).rstrip(b"=")[:-1]), role  # AUTH PLAIN
    (i.place / "password").write_text("another\n")
    i.run("reload")
    until(lambda: not left_of(pids["master"], [password]) + left_of(pids["relay"], [password]))
    assert i.pids("relay") == [pids["relay"]]
