"""Guessing who has an account: however many sessions, addresses and processes, a peer and a network get so many answers
as the configuration says and no more, whatever they ask; others notice nothing, and nobody's list with some stale
addresses is kept waiting."""
import collections
import contextlib
import socket
import threading
import time

import harness
import pressure
import pytest

SECONDS = 8  # of an attack
SESSIONS = 40  # at a time
BURST, MINUTE, NETWORK = 20, 30, 8  # smtp_errors_peer, smtp_errors_minute, and a network's multiple
PROCESSES = 2
PROXY = "127.0.0.99"  # may say for whom it speaks
ALICE = f"alice@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance() as i:
        i.init(ingest_instances=PROCESSES, smtp_sessions_peer=400, recipients_max=1000, smtp_errors=1000,
               smtp_errors_peer=BURST, smtp_errors_minute=MINUTE, xclient_hosts=PROXY)
        i.add_account("alice")
        for n in range(15):  # of one account a transaction takes eight addresses
            i.run("account", "add", f"reader{n}@{harness.DOMAIN}", "--key", i.place / f"{ALICE}.cert.asc")
        i.serve()
        yield i


def bound(seconds, times=1):
    """What is documented; two processes that answer at the same moment may both have the last place."""
    return times * (BURST + MINUTE * seconds / 60) + PROCESSES


def rcpts(served, address, recipients):
    """The codes of each, asked for one after the other, and the seconds that it took."""
    start, codes = time.monotonic(), []
    with socket.socket() as s:
        s.settimeout(60)
        s.bind((address, 0))
        s.connect(("127.0.0.1", served.port("smtp")))
        f = s.makefile("rb")
        f.readline()
        s.sendall(b"HELO list.example\r\nMAIL FROM:<list@example.org>\r\n")
        f.readline(), f.readline()
        for r in recipients:
            s.sendall(f"RCPT TO:<{r}>\r\n".encode())
            codes.append(int(f.readline()[:3]))
    return codes, time.monotonic() - start


def test_a_list_with_stale_addresses(served):
    """A hundred recipients of which ten are gone: nobody waits. With a third gone each gets its answer too. Before
    others come and wait."""
    waits = pressure.counter(served, "ingest", "errors_waits")
    people = [f"reader{n % 15}+{n}@{harness.DOMAIN}" if n % 10 else f"gone{n}@{harness.DOMAIN}" for n in range(100)]
    codes, took = rcpts(served, "127.34.1.1", people)
    print(f"10 of 100 gone: {took:.2f} s")
    assert codes == [250 if n % 10 else 550 for n in range(100)]
    assert pressure.counter(served, "ingest", "errors_waits") == waits

    people = [f"reader{n % 14}+{n}@{harness.DOMAIN}" if n % 3 else f"gone{n}@{harness.DOMAIN}" for n in range(75)]
    codes, took = rcpts(served, "127.35.1.1", people)
    print(f"25 of 75 gone: {took:.2f} s")
    assert codes == [250 if n % 3 else 550 for n in range(75)]
    assert pressure.counter(served, "ingest", "errors_waits") > waits


def names(number):
    """Who is asked for: in a hundred, ten times her who is here."""
    return [ALICE if n % 10 == 9 else f"guess{number}x{n}@{harness.DOMAIN}" for n in range(100)]


class Guesser(threading.Thread):
    """One session after the other, until the time is over, each with all that it has to say at once."""

    def __init__(self, port, end, number, address, seen_as=None, hasty=False, command=None):
        super().__init__(daemon=True)
        self.port, self.end, self.number, self.address, self.seen_as = port, end, number, address, seen_as
        self.hasty, self.command = hasty, command
        self.said = collections.Counter()  # code and whether she is here: replies
        self.sessions, self.sock = 0, None

    def run(self):
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError):
                self.session()

    def session(self):
        self.sessions += 1
        self.number += 1000
        with socket.socket() as s:
            self.sock = s
            s.settimeout(0.5 if self.hasty else SECONDS)
            s.bind((self.address, 0))
            s.connect(("127.0.0.1", self.port))
            f = s.makefile("rb")
            if not f.readline().startswith(b"220"):
                return
            if self.seen_as:
                s.sendall(f"XCLIENT ADDR=IPV6:{self.seen_as(self.number)} PROTO=ESMTP\r\n".encode())
                if not f.readline().startswith(b"220"):
                    return
            asked = names(self.number)
            lines = [f"{self.command}\r\n"] * 100 if self.command else [f"RCPT TO:<{n}>\r\n" for n in asked]
            s.sendall(b"HELO guesser.example\r\nMAIL FROM:<g@example.org>\r\n" + "".join(lines).encode())
            f.readline(), f.readline()
            for name in asked:
                line = f.readline()
                if not line:
                    return
                self.said[line[:3].decode(), name == ALICE] += 1


def attack(served, who):
    """Yields once it is under way, and then the replies to all of it together."""
    end = time.monotonic() + SECONDS
    crowd = [Guesser(served.port("smtp"), end, n, **who(n)) for n in range(SESSIONS)]
    for g in crowd:
        g.start()
    yield
    time.sleep(max(0, end - time.monotonic()))
    for g in crowd:
        with contextlib.suppress(OSError):
            g.sock.shutdown(socket.SHUT_RDWR)
    for g in crowd:
        g.join()
    said = sum((g.said for g in crowd), collections.Counter())
    print(f"{sum(g.sessions for g in crowd)} sessions; replies {dict(said)}")
    yield said


def look(served, who, times=1, honest=True):
    before, start = served.status()["messages"], time.monotonic()
    going = attack(served, who)
    next(going)
    if honest:
        assert pressure.honest_mail(served, ALICE, over=SECONDS // 2) >= 69
    said = next(going)
    took = time.monotonic() - start
    told = said["550", False]
    print(f"{told} told that they guessed wrong, at most {bound(took, times):.0f} in {took:.1f} s")
    assert told <= bound(took, times)
    assert told >= times * BURST * 0.9  # it did ask
    if honest:
        assert served.status()["messages"] == before + 70
    return said


def test_one_address(served):
    waits = pressure.counter(served, "ingest", "errors_waits")
    said = look(served, lambda n: {"address": "127.30.1.1"})
    # Past the limit she who is here and those who are not are refused alike.
    unseen = {here: said["450", here] for here in (True, False)}
    assert unseen[False] > 100 and 0.05 < unseen[True] / unseen[False] < 0.2
    assert pressure.counter(served, "ingest", "errors_waits") > waits
    assert pressure.counter(served, "ingest", "errors_unseen") >= sum(unseen.values())


@pytest.mark.needs("the long run")
def test_who_hangs_up_gains_nothing(served):
    look(served, lambda n: {"address": "127.31.1.1", "hasty": True}, honest=False)


@pytest.mark.needs("the long run")
def test_one_network(served):
    look(served, lambda n: {"address": f"127.32.1.{n + 1}"}, NETWORK)


def test_one_ipv6_network(served):
    """A new /64 for each session."""
    look(served, lambda n: {"address": PROXY, "seen_as": lambda m: f"2001:db8:77:{m % 65536:x}::1"}, NETWORK)


@pytest.mark.needs("the long run")
def test_one_ipv6_host(served):
    """A new address of its /64 for each session."""
    look(served, lambda n: {"address": PROXY, "seen_as": lambda m: f"2001:db8:78:1::{m % 65536:x}"}, honest=False)


def test_bad_commands(served):
    start = time.monotonic()
    going = attack(served, lambda n: {"address": "127.33.1.1", "command": "NONSENSE"})
    next(going)
    said = next(going)
    answered, ended = (sum(n for (c, _), n in said.items() if c == code) for code in ("500", "421"))
    print(f"{answered} bad commands answered, {ended} of them with the end")
    assert ended > 0  # past the wait a session gets one more answer, and its end with it
    assert BURST <= answered - ended <= bound(time.monotonic() - start)
