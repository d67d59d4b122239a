"""Slowing down of failed logins, over processes: two access processes count as one."""
import re
import select
import signal
import socket
import time

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"
ELSEWHERE = "127.9.9.9"  # of another network than 127.0.0.1


@pytest.fixture
def served():
    with harness.Instance() as i:
        i.init(access_instances=2)
        i.add_account("alice")
        i.serve()
        yield i


def connect(instance, source="127.0.0.1"):
    s = socket.create_connection(("127.0.0.1", instance.port("imap")), timeout=30, source_address=(source, 0))
    assert s.recv(4096).startswith(b"* OK")
    return s


def answer(s):
    data = b""
    while not re.search(rb"^t .*\r\n", data, re.M):
        more = s.recv(4096)
        assert more, data
        data += more
    return data


def login(s, password):
    s.sendall(f't LOGIN {ALICE} "{password}"\r\n'.encode())


def sessions(instance):
    return [r["counters"]["imap_sessions_now"] for r in instance.status()["roles"] if r["role"] == "access"]


def test_two_processes_slow_as_one(served):
    guesses = []
    while not guesses or min(sessions(served)) < 6:  # each process has more than would be free by its own count
        guesses += [connect(served) for _ in range(6)]
        assert len(guesses) < 200
    begin = time.monotonic()
    for s in guesses:
        login(s, "wrong")
    refused = set()
    while (left := begin + 0.9 - time.monotonic()) > 0 or len(refused) < 3:
        ready, _, _ = select.select([s for s in guesses if s not in refused], [], [], max(left, 0.1))
        for s in ready:
            assert b"AUTHENTICATIONFAILED" in answer(s)
            refused.add(s)
    # Three at once, the fourth after half a second, the fifth after one.
    assert 3 <= len(refused) <= 3 + (time.monotonic() - begin) // 0.5
    other = connect(served, ELSEWHERE)
    login(other, served.passwords[ALICE])
    assert b"t OK" in answer(other)
    waiting = [s for s in guesses if s not in refused]
    ready, _, _ = select.select(waiting, [], [], 0)
    assert len(ready) < len(waiting)  # before all of them
    for s in guesses:
        s.close()
    served.logged(r" info access\.\d login-failed$")
    assert "alice" not in served.log() and "wrong" not in served.log()
    begin = time.monotonic()
    right = connect(served)
    login(right, served.passwords[ALICE])  # waits for what the wrong ones did
    assert b"t OK" in answer(right)
    assert time.monotonic() - begin > 0.4
    other.close()
    right.close()


def test_without_master_s_answer_nobody_logs_in(served):
    s, before = connect(served), connect(served)
    login(before, served.passwords[ALICE])
    assert answer(before).startswith(b"t OK")
    served.process.send_signal(signal.SIGSTOP)
    try:
        before.sendall(b"t SELECT INBOX\r\n")  # whoever is in goes on
        assert b"t OK" in answer(before)
        begin = time.monotonic()
        login(s, served.passwords[ALICE])
        assert answer(s).startswith(b"t NO [UNAVAILABLE]")
        assert 4 < time.monotonic() - begin < 60
    finally:
        served.process.send_signal(signal.SIGCONT)
    login(s, served.passwords[ALICE])
    assert answer(s).startswith(b"t OK")
    s.close()
    before.close()
