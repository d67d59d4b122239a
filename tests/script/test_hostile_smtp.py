"""Peers that mean harm, or are broken: whatever they do, a good client in between is served, and what they took is
given back."""
import contextlib
import os
import resource
import socket
import ssl
import struct
import threading
import time

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"
OPEN = b"EHLO client.example\r\nMAIL FROM:<sender@example.org>\r\nRCPT TO:<" + ALICE.encode() + b">\r\n"


@pytest.fixture(scope="module")
def served():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with harness.Instance() as i:
        i.init(
            ingest_instances=2,
            smtp_sessions=400,
            smtp_sessions_peer=100,
            smtp_command_timeout=20,
            smtp_data_timeout=20,
            message_max=1048576,
            plaintext_budget=8388608,
            plaintext_budget_peer=2097152,
        )
        i.add_account("alice")
        i.serve()
        yield i
        assert all(r["restarts"] == 0 for r in i.status()["roles"])


def dial(instance, host=0):
    """Hosts have addresses of their own: limits are by peer."""
    s = socket.socket()
    s.settimeout(30)
    s.bind((f"127.0.1.{host + 1}", 0))
    s.connect(("127.0.0.1", instance.port("smtp")))
    s.recv(1, socket.MSG_PEEK)  # who speaks before the greeting is not listened to
    return s


def counters(instance, name):
    return sum(r["counters"].get(name, 0) for r in instance.status()["roles"] if r["role"] == "ingest")


def serve_one(instance):
    """The good client: in time, and exactly once."""
    before, start = instance.status()["messages"], time.monotonic()
    instance.send(ALICE, harness.mail("good", "x" * 70 + "\n"))
    assert time.monotonic() - start < 60
    assert instance.status()["messages"] == before + 1


@contextlib.contextmanager
def many(instance, count, begin):
    held = []
    try:
        for n in range(count):
            s = dial(instance, n % 8)
            held.append(s)
            begin(s)
        yield held
    finally:
        for s in held:
            s.close()


@pytest.fixture(autouse=True)
def nothing_is_held(served):
    pids = served.pids("ingest")
    yield
    end = time.monotonic() + 20
    while time.monotonic() < end and (counters(served, "sessions_now") or counters(served, "plaintext_bytes_now")):
        time.sleep(0.1)
    assert counters(served, "sessions_now") == 0 and counters(served, "plaintext_bytes_now") == 0
    assert served.pids("ingest") == pids
    for pid in pids if os.geteuid() == 0 else ():  # nobody else may look into a role
        assert not [1 for fd in os.listdir(f"/proc/{pid}/fd") if "memfd:parcel" in os.readlink(f"/proc/{pid}/fd/{fd}")]
    serve_one(served)


def test_silent_connections(served):
    with many(served, 200, lambda s: None):
        serve_one(served)


@pytest.mark.parametrize("words", [b"", b"EHLO c\r\nSTARTTLS\r\n"])
def test_all_places_taken(served, words):
    """More than there are places, and silent: they make room for who has something to say."""
    def begin(s):
        with contextlib.suppress(OSError):
            s.sendall(words)

    before = counters(served, "sessions_shed")
    with many(served, 460, begin):
        time.sleep(6)
        for _ in range(3):
            serve_one(served)
    assert counters(served, "sessions_shed") > before


def test_dripping_content(served):
    stop = threading.Event()
    with many(served, 40, lambda s: s.sendall(OPEN + b"DATA\r\nSubject: drip\r\n\r\n")) as held:
        def drip():
            while not stop.wait(0.02):
                for s in held:
                    s.send(b"x")
        t = threading.Thread(target=drip)
        t.start()
        try:
            for _ in range(3):
                serve_one(served)
        finally:
            stop.set()
            t.join()


def test_half_open_handshakes(served):
    context = ssl._create_unverified_context()

    def begin(s):
        out = ssl.MemoryBIO()
        hello = context.wrap_bio(ssl.MemoryBIO(), out)
        with contextlib.suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        s.sendall(b"EHLO c\r\nSTARTTLS\r\n")
        got = b""
        while b"220 2.0.0" not in got:
            got += s.recv(4096)
        s.sendall(out.read()[:-1] if n[0] % 2 else b"\x16\x03\x01")
        n[0] += 1

    n = [0]
    with many(served, 60, begin):
        serve_one(served)


def test_garbage_for_a_handshake(served):
    for junk in (b"MAIL FROM:<a@b>\r\n" * 100, os.urandom(5000), b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        with dial(served) as s:
            s.sendall(b"EHLO c\r\nSTARTTLS\r\n")
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                s.sendall(junk)
                while s.recv(65536):
                    pass
    serve_one(served)


def test_resets_in_content(served):
    before = served.status()["messages"]
    for n in range(60):
        s = dial(served, n % 8)
        s.sendall(
            OPEN
            + (b"BDAT 500000 LAST\r\n" if n % 2 else b"DATA\r\n")
            + b"Subject: reset\r\n\r\n"
            + b"y" * 70 * (n * 50)
        )
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert served.status()["messages"] == before


def test_clear_octets_behind_the_end_of_tls(served):
    """In the middle of a chunk: they are no content, and touch nothing (of others: CVE-2026-45185)."""
    before = served.status()["messages"]
    for tail in (b"y", b"y" * 1000, b"\r\n.\r\nQUIT\r\n", b"\x17\x03\x03\0\5hello"):
        with dial(served) as s:
            s.sendall(b"EHLO client.example\r\nSTARTTLS\r\n")
            said = b""
            while b"220 2.0.0" not in said:
                said += s.recv(4096)
            with ssl._create_unverified_context().wrap_socket(s) as t:
                t.sendall(OPEN + b"BDAT 1000 LAST\r\nSubject: x\r\n")
                said = b""
                while b"250 2.1.5" not in said:
                    said += t.recv(4096)
                t.setblocking(False)
                with contextlib.suppress(ssl.SSLWantReadError):
                    t.unwrap()
                os.set_blocking(t.fileno(), True)
                with contextlib.suppress(ConnectionError):
                    os.write(t.fileno(), tail)
                    while os.read(t.fileno(), 4096):
                        pass
    assert served.status()["messages"] == before
    serve_one(served)


def test_reset_while_it_is_stored(served):
    """Gone without waiting for the answer: stored or not, but whole, and nothing is held."""
    for n in range(40):
        s = dial(served, n % 8)
        s.sendall(OPEN + b"BDAT 24 LAST\r\nSubject: gone %06d\r\n\r\n" % n + b"QUIT\r\n")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.002 * (n % 5))
        s.close()
    assert served.run("audit").returncode == 0


def test_lines_without_end(served):
    with dial(served) as s:
        s.sendall(b"A" * 4_000_000)
        s.sendall(b"\r\nNOOP\r\nQUIT\r\n")
        assert s.makefile("rb").read().splitlines()[-3:] == [
            b"500 5.5.2 Line too long",
            b"250 2.0.0 OK",
            b"221 2.0.0 Bye",
        ]
    with dial(served) as s:
        s.sendall(OPEN + b"DATA\r\n" + b"A" * 900_000 + b"\r\n.\r\nQUIT\r\n")
        assert s.makefile("rb").read().splitlines()[-2].startswith(b"250 ")  # real mail has lines of 934,243 octets


def test_pipelined_commands(served):
    """100,000 at once, read by nobody for a while, then to the last reply."""
    count = 100_000
    with dial(served) as s:
        t = threading.Thread(target=lambda: s.sendall(b"EHLO c\r\n" + b"NOOP\r\n" * count + b"QUIT\r\n"))
        t.start()
        time.sleep(1)
        serve_one(served)
        replies = s.makefile("rb").read().splitlines()
        t.join()
    assert replies.count(b"250 2.0.0 OK") == count and replies[-1].startswith(b"221 ")


def test_asking_without_reading(served):
    def begin(s):
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                s.send(b"EHLO c\r\n" * 1000)

    with many(served, 30, begin):
        serve_one(served)


def test_smuggling_by_segments(served):
    """Every cut of the end of a message that is none."""
    before = served.status()["messages"]
    for end in (b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n\r.\r\n", b"\r\n.\r\r\n"):
        for cut in range(1, len(end)):
            with dial(served) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(OPEN + b"DATA\r\nSubject: a\r\n\r\nx" + end[:cut])
                time.sleep(0.01)
                s.sendall(end[cut:] + OPEN + b"DATA\r\nSubject: evil\r\n\r\n.\r\nQUIT\r\n")
                assert s.makefile("rb").read().splitlines()[-2].startswith(b"554 5.6.0"), (end, cut)
    assert served.status()["messages"] == before


def test_postmaster_without_a_domain(served):
    with served.smtp() as s:
        s.ehlo()
        s.mail("sender@example.org")
        assert s.docmd("RCPT", "TO:<Postmaster>")[0] == 250
        assert s.docmd("RCPT", f"TO:<POSTMASTER@{harness.DOMAIN}>")[0] == 250
