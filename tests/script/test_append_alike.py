"""APPENDs that are alike in every octet, flag and date. One that is sent again by a client which has not shown that it
read its OK is a retry, of which one copy is there; any other is another message, also beside the first."""
import contextlib
import os
import re
import signal
import socket
import struct
import time

import harness
import pytest
from test_imap import Raw, wait_until
from test_mail_alike import counters

ALICE = f"alice@{harness.DOMAIN}"
DATE = '" 1-Feb-2003 04:05:06 +0000"'


@pytest.fixture(scope="module", params=[1, 2])
def served(request):
    """One process, and two, among which connections fall as they like."""
    with harness.Instance() as i:
        i.init(access_instances=request.param)
        i.add_account("alice")
        i.serve()
        yield i


@pytest.fixture
def box(served, request):
    r = Raw(served, ALICE)
    name = re.sub(r"\W", "-", request.node.name)
    assert r.say(f"CREATE {name}")[-1].startswith(b"t OK")
    yield name
    r.close()


def count(i, box):
    r = Raw(i, ALICE)
    n = int(re.search(rb"MESSAGES (\d+)", r.say(f"STATUS {box} (MESSAGES)")[0]).group(1))
    r.close()
    return n


def begin(r, box, args="(\\Seen) ", body=b"Subject: alike\r\n\r\nbody\r\n"):
    r.send(f"t APPEND {box} {args}{{{len(body)}+}}\r\n".encode() + body + b"\r\n")


def append(r, box, *args, **how):
    begin(r, box, *args, **how)
    line = r.until(b"t ")[-1]
    assert line.startswith(b"t OK [APPENDUID "), line
    return int(line.split()[4].rstrip(b"]"))


def unread(i, box, *args, **how):
    """A client that dies with its OK in the socket."""
    r = Raw(i, ALICE)
    begin(r, box, *args, **how)
    assert r.s.recv(1, socket.MSG_PEEK)
    r.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    r.close()
    time.sleep(0.3)  # the server's process has seen the end


def test_in_one_session(served, box):
    r = Raw(served, ALICE)
    assert len({append(r, box) for _ in range(3)}) == 3
    r.close()
    assert count(served, box) == 3


def test_one_session_after_another(served, box):
    for tls in (False, True, False):
        r = Raw(served, ALICE, tls=tls)
        append(r, box)
        assert r.say("LOGOUT")[0].startswith(b"* BYE")
        r.close()
        time.sleep(0.1)
    assert count(served, box) == 3


def test_a_close_without_logout_tells(served, box):
    for _ in range(3):
        r = Raw(served, ALICE)
        append(r, box)
        r.close()
        time.sleep(0.2)
    assert count(served, box) == 3


@pytest.mark.parametrize("args", ["", "(\\Seen $k) ", f"(\\Seen) {DATE} ", f"{DATE} "])
def test_unread_is_a_retry(served, box, args):
    unread(served, box, args)
    unread(served, box, args)
    assert count(served, box) == 1
    r = Raw(served, ALICE)
    assert append(r, box, args) == 1  # the first one's UID
    assert append(r, box, args) == 2  # that was read: this is another
    r.close()
    assert count(served, box) == 2


def test_what_differs_is_no_retry(served, box):
    unread(served, box)
    r = Raw(served, ALICE)
    for n, how in enumerate([("",), ("(\\Seen \\Draft) ",), ("(\\Seen $k) ",), (f"(\\Seen) {DATE} ",)], 2):
        assert append(r, box, *how) == n
    assert append(r, box, body=b"Subject: alike\r\n\r\nBody\r\n") == 6
    assert r.say(f"CREATE {box}/below")[-1].startswith(b"t OK")
    assert append(r, f"{box}/below") == 1
    r.close()


def test_sent_in_one_go(served, box):
    """Pipelined: the client has read nothing when it sends the next one."""
    r = Raw(served, ALICE)
    for _ in range(5):
        begin(r, box)
    for _ in range(5):
        assert r.until(b"t ")[-1].startswith(b"t OK [APPENDUID")
    r.close()
    assert count(served, box) == 5


def test_two_sessions_at_once(served, box):
    """As clients copy a mail twice over two connections: both are at work, or have their OK and say nothing yet."""
    rs = [Raw(served, ALICE) for _ in range(6)]
    for _ in range(3):
        for r in rs:
            begin(r, box)
        for r in rs:
            assert r.until(b"t ")[-1].startswith(b"t OK [APPENDUID")
    assert len({append(r, box) for r in rs}) == 6
    for r in rs:
        r.close()
    assert count(served, box) == 24


def test_the_first_one_was_taken_away(served, box):
    """Put there once more after somebody has removed it: it is there."""
    unread(served, box)
    r = Raw(served, ALICE)
    r.say(f"SELECT {box}")
    r.say("STORE 1 +FLAGS \\Deleted")
    r.say("EXPUNGE")
    r.close()
    unread(served, box)
    unread(served, box)
    assert count(served, box) == 1


def test_replace(served, box):
    """A REPLACE tried again finds that the old one is gone; the new one is there once."""
    r = Raw(served, ALICE)
    append(r, box, body=b"Subject: old\r\n\r\n")
    r.close()
    for _ in range(2):
        r = Raw(served, ALICE)
        assert r.say(f"SELECT {box}")[-1].startswith(b"t OK")
        r.send(b"t UID REPLACE 1 " + box.encode() + b" {16+}\r\nSubject: new\r\n\r\n\r\n")
        assert r.s.recv(1, socket.MSG_PEEK)
        r.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        r.close()
        time.sleep(0.3)
    assert count(served, box) == 1


def test_ids_are_cleared(served, box):
    before = counters(served, "vault")["deliveries-seen"]
    r = Raw(served, ALICE)
    append(r, box)
    append(r, box)
    r.close()
    wait_until(lambda: counters(served, "vault")["deliveries-seen"] == before + 2, 20)


def test_access_dies_between_commit_and_ok(served, box):
    """docs/crash-states.md: the client tries again and one copy is there; a second one on purpose makes two."""
    i = served
    r = Raw(i, ALICE)
    vault = i.pids("vault")[0]
    stored = i.status()["messages"]
    os.kill(vault, signal.SIGSTOP)
    try:
        begin(r, box)
        time.sleep(0.7)  # sealed, and on its way to the vault
        access = i.pids("access")
        for pid in access:
            os.kill(pid, signal.SIGSTOP)
    finally:
        os.kill(vault, signal.SIGCONT)
    wait_until(lambda: i.status()["messages"] == stored + 1, 20)
    for pid in access:
        os.kill(pid, signal.SIGKILL)
    assert r.line() == b""
    r.close()
    wait_until(lambda: i.pids("access") and not set(access) & set(i.pids("access")), 30)
    again = connected(i)
    assert append(again, box) == 1
    assert append(again, box) == 2
    again.close()
    assert count(i, box) == 2


def connected(i):
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, AssertionError):
            return Raw(i, ALICE)
        assert time.monotonic() < end
        time.sleep(0.1)
