"""Mails that are alike in every octet. One that is sent again by a client which has shown that it read its 250 is
another mail and is stored; one that is sent again by a client which has not is a retry, of which one copy is there."""
import contextlib
import os
import signal
import socket
import ssl
import struct
import time

import harness
import pytest

CASE = harness.crlf((harness.ROOT / "tests/cases/dup-alert.eml").read_bytes())
ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init(ingest_instances=1, smtp_sessions_peer=100).run("domain", "add", "example.test")
        i.add_account(ALICE)
        i.add_account(BOB)
        yield i.serve()


def counters(i, role):
    return next(r["counters"] for r in i.status()["roles"] if r["role"] == role and r["counters"])


@pytest.fixture
def count(served):
    """How many messages alice has more than at the test's beginning, and a message of the test's own."""
    before = len(served.fetch_all(ALICE))
    return lambda: len(served.fetch_all(ALICE)) - before


@pytest.fixture
def message(request):
    return CASE + f"about {request.node.name}\r\n".encode()


class Raw:
    """A client that decides when it reads, and how it ends."""

    def __init__(self, i, tls=False):
        self.s = socket.create_connection(("127.0.0.1", i.port("smtp")), timeout=60)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tcp = self.s.dup()
        self.read()
        self.ask("EHLO user's-pc\r\n")
        if tls:
            self.ask("STARTTLS\r\n")
            self.s = ssl._create_unverified_context().wrap_socket(self.s)
            self.ask("EHLO user's-pc\r\n")

    def read(self):
        out = b""
        while not out.endswith(b"\r\n") or out.rsplit(b"\r\n", 2)[-2][3:4] == b"-":
            got = self.s.recv(1000)
            assert got, out
            out += got
        return out

    def ask(self, text, want=b"2"):
        self.s.sendall(text.encode() if isinstance(text, str) else text)
        got = self.read()
        assert got.startswith(want), got
        return got

    def begin(self, *to):
        self.ask("MAIL FROM:<cron@host.example>\r\n")
        for t in to or (ALICE,):
            self.ask(f"RCPT TO:<{t}>\r\n")
        self.ask("DATA\r\n", b"354")

    def content(self, message, behind=b""):
        self.s.sendall(message + b".\r\n" + behind)

    def wait(self):
        """Until the reply is there, which is not read."""
        assert self.tcp.recv(1, socket.MSG_PEEK)

    def close(self):
        with contextlib.suppress(OSError):
            self.tcp.close()
            self.s.close()

    def reset(self):
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()
        os.close(self.s.detach())


def deliver(i, message, *to, tls=False):
    """As clients do that ask and wait: a connection, QUIT."""
    r = Raw(i, tls)
    r.begin(*to)
    r.content(message)
    assert r.read().startswith(b"250")
    r.ask("QUIT\r\n", b"221")
    r.close()


def settled():
    time.sleep(0.3)  # the server's process has seen the end


def test_an_alert_three_times(served, count):
    for n in range(3):
        deliver(served, CASE, tls=n == 1)
    assert count() == 3


def test_three_times_in_one_connection(served, count, message):
    r = Raw(served)
    for _ in range(3):
        r.begin()
        r.content(message)
        assert r.read().startswith(b"250")
    r.close()
    assert count() == 3


def test_again_after_the_first_was_expunged(served, count, message):
    deliver(served, message)
    m = served.imap(ALICE)
    m.select("INBOX")
    m.store("*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    deliver(served, message)
    assert count() == 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("behind", [b"QUIT\r\n", b"RSET\r\nNOOP\r\nQUIT\r\n", b"NOOP\r\n"])
def test_as_postfix_does(served, count, message, tls, behind):
    """The end and QUIT go out together, the 250 is read, and the connection is closed."""
    for _ in range(3):
        r = Raw(served, tls)
        r.begin()
        r.content(message, behind)
        assert r.read().startswith(b"250")
        if tls:
            with contextlib.suppress(OSError):
                r.s.setblocking(False)
                r.s.unwrap()
        r.close()
        settled()
    assert count() == 3


def test_tls_ended_by_a_close_alone(served, count, message):
    """No close_notify from the client; were the server's there by then, unread, its kernel would reset."""
    for _ in range(2):
        r = Raw(served, True)
        r.begin()
        r.content(message, b"QUIT\r\n")
        got = b""
        while b"\r\n221 " not in got:
            got += r.read()
        assert got.startswith(b"250")
        time.sleep(0.2)
        os.close(r.s.detach())
        r.tcp.close()
        settled()
    assert count() == 2


def test_a_close_without_quit_tells(served, count, message):
    for _ in range(2):
        r = Raw(served)
        r.begin()
        r.content(message)
        assert r.read().startswith(b"250")
        r.close()
        settled()
    assert count() == 2


def test_bdat_and_what_follows_at_once(served, count, message):
    r = Raw(served)
    for _ in range(3):
        r.s.sendall(b"MAIL FROM:<cron@host.example>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n" %
                    (ALICE.encode(), len(message)) + message)
        for _ in range(3):
            assert r.s.recv(4, socket.MSG_WAITALL) == b"250 "
            while not r.s.recv(1) == b"\n":
                pass
    r.close()
    assert count() == 3


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("behind", [b"", b"QUIT\r\n"])
def test_unread_is_a_retry(served, count, message, tls, behind):
    """A process that dies with the 250 in its socket: its kernel resets the connection."""
    for _ in range(3):
        r = Raw(served, tls)
        r.begin()
        r.content(message, behind)
        r.wait()
        os.close(r.s.detach())
        r.tcp.close()
        settled()
    assert count() == 1
    deliver(served, message)  # the retry is answered and read: what comes now is another mail
    deliver(served, message)
    assert count() == 2


def test_a_reset_tells_nothing(served, count, message):
    for _ in range(2):
        r = Raw(served)
        r.begin()
        r.content(message)
        r.wait()
        r.reset()
        settled()
    assert count() == 1


def test_an_end_that_was_there_before_the_reply_tells_nothing(served, count, message):
    vault = served.pids("vault")[0]
    for _ in range(2):
        r = Raw(served)
        r.begin()
        os.kill(vault, signal.SIGSTOP)
        try:
            r.content(message)
            r.tcp.shutdown(socket.SHUT_WR)
            time.sleep(0.2)
        finally:
            os.kill(vault, signal.SIGCONT)
        assert r.read().startswith(b"250")
        r.close()
        settled()
    assert count() == 1


def test_octets_that_were_there_before_the_reply_tell_nothing(served, count, message):
    vault = served.pids("vault")[0]
    for _ in range(2):
        r = Raw(served)
        r.begin()
        os.kill(vault, signal.SIGSTOP)
        try:
            r.content(message)
            time.sleep(0.2)
            r.s.sendall(b"NOOP\r\nRSET\r\n")
            time.sleep(0.2)
        finally:
            os.kill(vault, signal.SIGCONT)
        r.wait()
        r.reset()
        settled()
    assert count() == 1


def test_ingest_dies_before_it_has_heard(served, count, message):
    r = Raw(served)
    r.begin()
    r.content(message)
    r.wait()
    os.kill(served.pids("ingest")[0], signal.SIGKILL)
    r.close()
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError, AssertionError):
            deliver(served, message)
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    assert count() == 1


def test_the_vault_dies_between(served, count, message):
    """What it was to forget waits for the next one."""
    deliver(served, message)
    os.kill(served.pids("vault")[0], signal.SIGKILL)
    deliver(served, message)
    assert count() == 2


def test_ids_are_cleared_without_more_mail(served, message):
    before = counters(served, "vault")["deliveries-seen"]
    deliver(served, message)
    end = time.monotonic() + 10
    while counters(served, "vault")["deliveries-seen"] == before:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_each_address_is_a_delivery(served, count, message):
    served.run("alias", "add", "al@example.test", ALICE)
    deliver(served, message, ALICE, "alice+x@example.test")
    assert count() == 2
    deliver(served, message, "alice+x@example.test", "ALICE+x@Example.test", '"alice+x"@example.test', BOB)
    assert count() == 3  # one address in three spellings
    deliver(served, message, "alice+y@example.test", "al@example.test")
    assert count() == 5


def test_details_of_one_account_are_eight_at_once(served, count, message):
    """Each is sealed and stored by itself; whoever wants more sends the mail again."""
    left, most = [f"alice+{n}@example.test" for n in range(20)], 0
    while left:
        taken = min(8, len(left))
        refused = served.send([*left, BOB], message)
        assert all(reply[0] == 452 and reply[1].startswith(b"4.5.3 ") for reply in refused.values())
        assert list(refused) == left[taken:]
        left, most = list(refused), most + taken
        assert count() == most
    assert most == 20


def test_a_copy_to_a_detail_in_a_transaction_of_its_own(served, count, message):
    """Told apart without having heard anything."""
    for to in (ALICE, "alice+x@example.test"):
        r = Raw(served)
        r.begin(to)
        r.content(message)
        r.wait()
        r.reset()
        settled()
    assert count() == 2
