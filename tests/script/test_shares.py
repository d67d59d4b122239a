"""The sessions that the operator configured are shared out to a role's processes: whatever process takes a connection,
as many are served as were configured, and nobody is refused while there is a place anywhere."""
import contextlib
import os
import resource
import select
import signal
import socket
import time

import harness
import pytest

LIMIT, CROWD = 200, 150
RUNS = 20 if os.environ.get("LETTERLOCK_FULL") else 3
GREETING = {"smtp": b"220 ", "imap": b"* OK "}


@pytest.fixture(scope="module")
def served():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with harness.Instance() as i:
        i.init(
            ingest_instances=2,
            access_instances=2,
            smtp_sessions=LIMIT,
            imap_sessions=LIMIT,
            smtp_sessions_peer=LIMIT,
            imap_sessions_peer=LIMIT,
        )
        yield i.serve()


def dial(instance, service, host=1):
    s = socket.socket()
    s.setblocking(False)
    s.bind((f"127.0.1.{host}", 0))
    with contextlib.suppress(BlockingIOError):
        s.connect(("127.0.0.1", instance.port(service)))
    return s


def first_words(sockets, seconds, enough=None):
    """What each was told in that time, or until so many were; those that wait without a word are left out."""
    said, end = {}, time.monotonic() + seconds
    while len(said) < (enough or len(sockets)) and time.monotonic() < end:
        for s in select.select([s for s in sockets if s not in said], [], [], 0.1)[0]:
            said[s] = s.recv(1000)
    return said


@contextlib.contextmanager
def crowd(instance, service, count, hosts=1):
    held = []
    try:
        held += [dial(instance, service, n % hosts + 1) for n in range(count)]
        yield held
    finally:
        for s in held:
            s.close()


def sessions(instance, service):
    role, name = {"smtp": ("ingest", "sessions_now"), "imap": ("access", "imap_sessions_now")}[service]
    return [r["counters"].get(name, 0) for r in instance.status()["roles"] if r["role"] == role]


def emptied(instance, service):
    end = time.monotonic() + 20
    while any(sessions(instance, service)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(sessions(instance, service))


@pytest.mark.parametrize("hosts", [1, 8])
@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_nobody_is_refused_while_there_is_a_place(served, service, hosts):
    for run in range(RUNS):
        with crowd(served, service, CROWD, hosts) as held:
            said = first_words(held, 30)
            assert len(said) == CROWD, f"run {run}: {CROWD - len(said)} without a word"
            assert [t for t in said.values() if not t.startswith(GREETING[service])] == [], f"run {run}"
            assert sum(sessions(served, service)) == CROWD
        emptied(served, service)


@pytest.fixture(scope="module")
def narrow():
    """A peer may have 30 sessions; there are four processes."""
    with harness.Instance() as i:
        i.init(ingest_instances=4, access_instances=4, smtp_sessions_peer=30, imap_sessions_peer=30)
        yield i.serve()


def count(said, service):
    good = [t for t in said.values() if t.startswith(GREETING[service])]
    refused = [t for t in said.values() if t.startswith((b"421 4.7.0", b"* BYE [UNAVAILABLE]"))]
    assert len(good) + len(refused) == len(said)
    return len(good), len(refused)


def dial_slowly(instance, service, n, held):
    """One after the other, so that each is counted before the next comes."""
    said = {}
    for _ in range(n):
        held.append(dial(instance, service))
        said |= first_words(held[-1:], 5)
    return count(said, service)


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_the_limit_of_a_peer_is_of_all_processes_together(narrow, service):
    """However its connections fall: nobody is refused before the limit, and no process knows its own count alone."""
    for _ in range(RUNS):
        with crowd(narrow, service, 0) as held:
            assert dial_slowly(narrow, service, 30, held) == (30, 0)
            # An even share is a peer's in each process whatever the others say: 8, 8, 8 and 8.
            most = 30 + sum(max(0, 8 - n) for n in sessions(narrow, service))
            more, refused = dial_slowly(narrow, service, 40, held)
            assert 30 + more <= most and refused >= 30 - 22
        emptied(narrow, service)


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_a_peer_whose_connections_all_fall_on_one_process(narrow, service):
    role = {"smtp": "ingest", "imap": "access"}[service]
    pids = narrow.pids(role)
    stopped = pids[1:]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        with crowd(narrow, service, 0) as held:
            assert dial_slowly(narrow, service, 31, held) == (30, 1)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    emptied(narrow, service)
    # What a process that died had counted is forgotten with it.
    with crowd(narrow, service, 0) as held:
        assert dial_slowly(narrow, service, 30, held) == (30, 0)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while (len(narrow.pids(role)) < 4 or set(narrow.pids(role)) & set(pids)) and time.monotonic() < end:
            time.sleep(0.1)
        again = []
        try:
            assert dial_slowly(narrow, service, 30, again) == (30, 0)
        finally:
            for s in again:
                s.close()
    emptied(narrow, service)


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_every_place_is_taken_and_the_rest_waits(served, service):
    """Past the limit a connection waits in the queue, and is served when a session ends."""
    with crowd(served, service, LIMIT + 20, 8) as held:
        said = first_words(held, 60, LIMIT)
        said |= first_words([s for s in held if s not in said], 1)
        assert len(said) == LIMIT and all(t.startswith(GREETING[service]) for t in said.values())
        assert sessions(served, service) == [LIMIT // 2] * 2
        waiting = [s for s in held if s not in said]
        for s in list(said)[:20]:
            s.close()
        said = first_words(waiting, 20)
        assert len(said) == 20 and all(t.startswith(GREETING[service]) for t in said.values())
    emptied(served, service)


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_who_only_sits_there_makes_room(served, service):
    """All places are taken by the silent: after some seconds they go, and no more of them than are needed."""
    with crowd(served, service, LIMIT, 8) as held:
        assert len(first_words(held, 30)) == LIMIT
        time.sleep(5.5)
        with crowd(served, service, 10) as newcomers:
            said = first_words(newcomers, 20)
            assert len(said) == 10 and all(t.startswith(GREETING[service]) for t in said.values())
            gone = first_words(held, 1)
            assert 10 <= len(gone) <= 30, len(gone)
    emptied(served, service)
