"""APPENDs that are announced and do not come, or come an octet at a time, from a few addresses and from many accounts,
and readers who open all the sessions they can: other readers' APPENDs, NOOPs and FETCHes take less than a second, and
all memory is given back."""
import collections
import contextlib
import os
import socket
import threading
import time

import harness
import pressure
import pytest

SECOND = 1.0
SECONDS = 10 if os.environ.get("LETTERLOCK_FULL") else 5  # for which each attack is looked at
GREEDY = 14  # accounts, an address each
MB = 1 << 20
LARGEST = 50 * MB
BUDGET = 256 * MB  # two addresses may hold all of it
SIZES = [LARGEST, 5 * MB, MB // 2, 50_000, 5_000]  # so that nothing is left between large ones
EACH = 32  # sessions that announce one of these
FIGURE = "imap_plaintext_bytes_now"

pytestmark = pytest.mark.needs("the released build")


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance(binary=harness.released()) as i:  # memory is compared
        i.init(access_instances=2, plaintext_budget=f"{BUDGET // MB} MB", reader_turn_ms=1000)
        i.honest = [i.add_account(f"honest{n}") for n in range(2)]
        i.greedy = [f"greedy{n}@{harness.DOMAIN}" for n in range(GREEDY)]
        for address in i.greedy:  # keys take long to make: one does for all
            i.run("account", "add", address, "--key", i.place / f"{i.honest[0]}.cert.asc")
            i.app_password(address)
        i.serve()
        for address in i.honest:
            i.send(address, harness.mail("to be fetched", "x" * 70 + "\n"))
        yield i


class Client:
    def __init__(self, i, address, host):
        self.s = socket.create_connection(("127.0.0.1", i.port("imap")), 60, (host, 0))
        self.f = self.s.makefile("rb")
        self.f.readline()
        self.ask(f'LOGIN {address} "{i.passwords[address]}"')

    def ask(self, text, then=b""):
        begin = time.monotonic()
        self.s.sendall(f"t {text}\r\n".encode() + then)
        while not (line := self.f.readline()).startswith(b"t "):
            assert line, "closed"
        assert line.startswith(b"t OK"), line
        return time.monotonic() - begin

    def append(self, message):
        return self.ask(f"APPEND Sent {{{len(message)}+}}", message + b"\r\n")


def honest(i, seconds):
    """What readers do who keep a session, and one who comes anew each time. The slowest of each kind of command."""
    slowest, counts = collections.defaultdict(float), collections.Counter()

    def took(what, seconds_):
        slowest[what] = max(slowest[what], seconds_)
        counts[what] += 1

    kept, end, n = Client(i, i.honest[0], "127.200.1.1"), time.monotonic() + seconds, 0
    kept.ask("SELECT INBOX")
    while time.monotonic() < end:
        n += 1
        message = harness.mail(f"appended {n}", "y" * 70 + "\n")
        took("APPEND", kept.append(message))
        took("NOOP", kept.ask("NOOP"))
        took("FETCH", kept.ask("FETCH 1 BODY.PEEK[]"))
        begin = time.monotonic()
        new = Client(i, i.honest[1], f"127.201.1.{n % 250 + 1}")
        new.append(message)
        took("login and APPEND", time.monotonic() - begin)
        new.s.close()
        time.sleep(0.05)
    kept.s.close()
    print({what: f"{counts[what]} times, {s:.2f} s at most" for what, s in slowest.items()})
    assert min(counts.values()) >= seconds / 2
    assert max(slowest.values()) < SECOND


def crowd(i, count, script, address):
    return pressure.Crowd(i.port("imap"), count, script, address)


def appending(i, what, sizes=(LARGEST,)):
    """Each session logs in as one of the greedy, announces a message and then does as `what` says."""
    def script(number):
        address = i.greedy[number % GREEDY]
        yield "* OK"
        yield f'a LOGIN {address} "{i.passwords[address]}"\r\n'.encode()
        yield "a OK"
        yield b"b APPEND INBOX {%d}\r\n" % sizes[number // EACH % len(sizes)]
        yield "+"
        yield from what()
    return script


def nothing():
    return iter(())


def octets():
    while True:
        yield b"x"
        yield 1.0


def half():
    line = b"x" * 98 + b"\r\n"
    for _ in range(LARGEST // 2 // 100_000):
        yield line * 1000


def half_and_octets():
    yield from half()
    yield from octets()


def over(i, rss):
    """All that was held is given back, and the processes are as small as before, within what a heap keeps. What the
    kernel has from clients that are gone comes in first; those do not wait for one another."""
    begin = time.monotonic()
    pressure.settled(i, "access", FIGURE, seconds=10)
    print(f"given back after {time.monotonic() - begin:.1f} s")
    grown = {pid: kb - rss.get(pid, 0) for pid, kb in pressure.rss_kb(i, "access").items()}
    print(f"grown by {grown} KB")
    assert max(grown.values()) < 64 * 1024


@pytest.mark.parametrize("what", [nothing, octets])
def test_announced_from_two_addresses(served, what):
    i = served
    rss = pressure.rss_kb(i, "access")
    count = EACH * len(SIZES)
    with crowd(i, count, appending(i, what, SIZES), lambda n: f"127.50.1.{n % 2 + 1}"):
        time.sleep(2)
        honest(i, SECONDS)
        held = pressure.counter(i, "access", FIGURE)
        print(f"{held} octets charged")
        assert held <= count * 64 * 1024  # a chunk for each that has sent an octet
    over(i, rss)


@pytest.mark.needs("the long run")
@pytest.mark.parametrize("what", [half, half_and_octets])
def test_half_of_a_large_one_from_each_of_many(served, what):
    i = served
    rss = pressure.rss_kb(i, "access")
    with crowd(i, 2 * GREEDY, appending(i, what), pressure.networks(2 * GREEDY, 51)):
        time.sleep(3)
        honest(i, SECONDS)
        held, now = pressure.counter(i, "access", FIGURE), sum(pressure.rss_kb(i, "access").values())
        print(f"{held / MB:.0f} MB charged, {now / 1024:.0f} MB resident")
        assert held <= BUDGET
        assert now < BUDGET // 1024 + 150 * 1024
    over(i, rss)


def test_one_account_from_many_addresses(served):
    """Its sessions and its messages are counted as its own, wherever they come from and whatever process has them."""
    i = served
    rss, greedy = pressure.rss_kb(i, "access"), i.greedy[0]

    def script(number):
        yield "* OK"
        yield f'a LOGIN {greedy} "{i.passwords[greedy]}"\r\n'.encode()
        yield "a "
        yield b"b APPEND INBOX {%d}\r\n" % LARGEST
        yield "+"
        yield from half()

    with crowd(i, 300, script, pressure.networks(300, 60)):
        time.sleep(3)
        honest(i, SECONDS)
        held = pressure.counter(i, "access", FIGURE)
        print(f"{held / MB:.0f} MB charged, {pressure.counter(i, 'access', 'imap_logins_over_limit')} logins refused")
        assert held <= 2 * (LARGEST + 20 * MB)  # one that is as large as may be, in each process
        assert pressure.counter(i, "access", "imap_logins_over_limit") >= 100
    over(i, rss)


def test_the_largest_message_gets_in(served):
    """When nothing else is going on."""
    i = served
    c = Client(i, i.honest[0], "127.200.1.1")
    body = harness.mail("large", "")
    body += (b"z" * 98 + b"\r\n") * ((LARGEST - len(body)) // 100)
    took = c.append(body)
    print(f"{len(body) / MB:.1f} MB in {took:.1f} s")
    pressure.settled(i, "access", FIGURE)
