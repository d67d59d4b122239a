"""Many peers whose messages wait for memory, which is full to its last octet, and what may happen to them meanwhile:
they go in every way that a connection can go, or a reload leaves less. Mail and APPENDs of others get in, nothing is
stuck, no octet stays charged to a process or a peer, and the processes are as small as before."""
import collections
import concurrent.futures
import contextlib
import imaplib
import socket
import struct
import threading
import time

import harness
import pressure
import pytest

MB = 1 << 20
BUDGET = 8 * MB
MESSAGE = 2 * MB - 64 * 1024
LINE = b"x" * 98 + b"\r\n"
CHUNK = 600 * len(LINE)
PEERS = 40
ACCOUNTS = 20  # which may each hold a quarter of the budget
EACH = 2
DATA_TIMEOUT = 12  # and between chunks
FOR_OTHERS = 5  # seconds
SILENT = 140  # a session that announced an APPEND, and of whose client nothing is heard
GROWTH_KB = 20 << 10
SECONDS = 8  # for what was held by clients that are known to be gone
FIGURES = {"smtp": ("ingest", "plaintext_bytes_now", "sessions_now"),
           "imap": ("access", "imap_plaintext_bytes_now", "imap_sessions_now")}

pytestmark = pytest.mark.needs("the released build")


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance(binary=harness.released()) as i:
        i.init(ingest_instances=1, access_instances=1, plaintext_budget=BUDGET, plaintext_budget_peer=BUDGET,
               message_max=2 * MB, smtp_data_timeout=DATA_TIMEOUT, smtp_command_timeout=DATA_TIMEOUT)
        i.alice, i.bob = i.add_account("alice"), i.add_account("bob")
        i.many = [f"many{n}@{harness.DOMAIN}" for n in range(ACCOUNTS)]
        for address in i.many:  # keys take long to make: one does for all
            i.run("account", "add", address, "--key", i.place / f"{i.bob}.cert.asc")
            i.app_password(address)
        yield i.serve()


# ---- who waits ----


def content(octets):
    for _ in range(octets // 100_000):
        yield LINE * 1000
    yield LINE * (octets % 100_000 // 100)


def smtp_begin(i, number):
    yield from ["220", b"EHLO waits.example\r\n", "250 "]


def smtp_message(i, number, octets=MESSAGE):
    yield from [b"MAIL FROM:<waits@example.org>\r\n", "250", b"RCPT TO:<%s>\r\n" % i.bob.encode(), "250"]
    if number % 2:
        yield b"".join(b"BDAT %d\r\n" % CHUNK + LINE * (CHUNK // len(LINE)) for _ in range(octets // CHUNK))
        return
    yield from [b"DATA\r\n", "354", b"Subject: waits %d\r\n\r\n" % number]
    yield from content(octets)


def imap_begin(i, number):
    address = i.many[number % ACCOUNTS]
    yield from ["* OK", f'a LOGIN {address} "{i.passwords[address]}"\r\n'.encode(), "a OK"]


def imap_message(i, number, octets=MESSAGE):
    head = b"Subject: waits %d\r\n\r\n" % number
    yield from [b"b APPEND INBOX {%d}\r\n" % (len(head) + octets), "+", head]
    yield from content(octets // 100 * 100)


BEGIN = {"smtp": smtp_begin, "imap": imap_begin}
MESSAGES = {"smtp": smtp_message, "imap": imap_message}


def unfinished(i, service):
    """All but an end."""
    def script(number):
        yield from BEGIN[service](i, number)
        if service == "smtp":
            yield from smtp_message(i, number)
        else:
            yield from imap_message(i, number, MESSAGE + 50_000)
    return script


# ---- how they go ----


def fin(s):
    s.setblocking(False)
    with contextlib.suppress(OSError):
        s.recv(1 << 20)  # or it would be a reset
    s.close()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def half(s):
    """The sending side alone."""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_WR)


def vanish(s):
    """Without a word to the other side (TCP_REPAIR)."""
    with contextlib.suppress(OSError):
        s.setsockopt(socket.IPPROTO_TCP, 19, 1)
    s.close()


def stay(s):
    """Silent from now on."""


WAYS = {fin: SECONDS, reset: SECONDS, half: SECONDS, vanish: DATA_TIMEOUT + SECONDS, stay: DATA_TIMEOUT + SECONDS}


def long_run(way):
    return pytest.param(way, marks=pytest.mark.needs("the long run"))


def leave(crowd, way):
    crowd.stopping.set()
    crowd.join()
    for s in crowd.sessions:
        if s.sock:
            way(s.sock)


class Held(threading.Thread):
    """What is charged, seen again and again."""

    def __init__(self, i, service):
        super().__init__(daemon=True)
        self.i, (self.role, self.name, _) = i, FIGURES[service]
        self.most, self.stopping = 0, threading.Event()

    def run(self):
        while not self.stopping.wait(0.1):
            with contextlib.suppress(AssertionError):  # the configuration is just being written
                self.most = max(self.most, pressure.counter(self.i, self.role, self.name))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.join()


# ---- the others ----


def honest(i, service, n):
    """Seconds that a small message takes, from a network of its own."""
    message = harness.mail(f"honest {service} {n}", "A body.\n" * 100)
    if service == "smtp":
        return pressure.smtp_once(i, f"127.220.{n % 250}.7", i.alice, message)
    begin = time.monotonic()
    m = i.imap(i.alice)
    assert m.append("INBOX", "", "", message)[0] == "OK"
    m.logout()
    return time.monotonic() - begin


def honest_ones(i, service, seconds):
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(took) < 3:
        took.append(honest(i, service, len(took)))
    print(f"{len(took)} honest messages, the slowest in {max(took):.2f} s")
    assert max(took) < FOR_OTHERS


def all_given_back(i, service, seconds, rss):
    role, held, sessions = FIGURES[service]
    begin = time.monotonic()
    pressure.settled(i, role, held, seconds=seconds)
    print(f"given back after {time.monotonic() - begin:.1f} s")
    pressure.settled(i, role, sessions, seconds=SILENT)
    print(f"no sessions after {time.monotonic() - begin:.1f} s")
    pressure.as_small(i, role, rss, GROWTH_KB)


def nothing_is_charged_to(i, service, number, address):
    """A peer of the crowd may use all that a peer has; so may its account."""
    with reloaded(i, plaintext_budget_peer=2 * MB):
        done = []

        def script(_):
            yield from BEGIN[service](i, number)
            yield from MESSAGES[service](i, number, MESSAGE // 100 * 100)
            yield b".\r\n" if service == "smtp" else b"\r\n"
            yield "250" if service == "smtp" else "b OK"
            done.append(1)

        with pressure.Crowd(i.port(service), 1, script, lambda _: address, again=600) as c:
            end = time.monotonic() + 20
            while not done and time.monotonic() < end:
                time.sleep(0.1)
            assert done, dict(c.replies)


@contextlib.contextmanager
def reloaded(i, **settings):
    path = i.dir / "letterlock.conf"
    before = path.read_text()
    i.configure(**settings)
    i.run("reload")
    try:
        yield
    finally:
        path.write_text(before)
        i.run("reload")


@pytest.mark.parametrize("way", [fin, *(long_run(way) for way in WAYS if way is not fin)], ids=lambda f: f.__name__)
@pytest.mark.parametrize("service", FIGURES)
def test_who_waits_goes(served, service, way):
    i, role = served, FIGURES[service][0]
    rss, address = pressure.rss_kb(i, role), pressure.networks(PEERS, 70)
    with Held(i, service) as held:
        with pressure.Crowd(i.port(service), PEERS, unfinished(i, service), address, again=1) as crowd:
            time.sleep(3)
            honest_ones(i, service, 5)
            print(f"{held.most} of {BUDGET} octets held; {crowd.begun} begun, {crowd.ended} ended,"
                  f" {dict(crowd.replies)}")
            leave(crowd, way)
            honest_ones(i, service, 0)
            all_given_back(i, service, SILENT if service == "imap" and way in (vanish, stay) else WAYS[way], rss)
    assert BUDGET * 3 // 4 < held.most <= BUDGET
    nothing_is_charged_to(i, service, 0, address(0))


def until_it_is_in(i, service, number, turned_away):
    """A whole message, again and again."""
    message = harness.mail(f"whole {number}", "x" * 98 + "\n")[:-2] + LINE * (MB // len(LINE))
    while True:
        if service == "smtp":
            reply = pressure.smtp_once(i, f"127.90.{number % PEERS}.1", i.bob, message)
        else:
            reply = append_once(i, i.many[number % ACCOUNTS], message)
        if not isinstance(reply, str):
            return reply
        turned_away[reply[:9]] += 1
        time.sleep(0.5)


def append_once(i, address, message):
    begin = time.monotonic()
    try:
        m = i.imap(address)
        kind, words = m.append("INBOX", "", "", message)
        m.logout()
        return time.monotonic() - begin if kind == "OK" else f"{kind} {words[0].decode()}"
    except (OSError, imaplib.IMAP4.error) as e:
        return str(e)


def stored(i, service):
    total = 0
    for address in [i.bob] if service == "smtp" else i.many:
        m = i.imap(address)
        total += int(m.select("INBOX", readonly=True)[1][0])
        m.logout()
    return total


@pytest.mark.needs("the long run")
@pytest.mark.parametrize("budgets", [[BUDGET], [BUDGET // 2, BUDGET, BUDGET // 3, BUDGET]], ids=["full", "reloads"])
@pytest.mark.parametrize("service", FIGURES)
def test_whole_ones_get_in_one_after_another(served, service, budgets):
    """More at once than there is memory for. Who is refused comes again until all are in; none is there twice."""
    i, role, turned_away = served, FIGURES[service][0], collections.Counter()
    rss, before = pressure.rss_kb(i, role), stored(i, service)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(PEERS) as pool, Held(i, service) as held:
        of_each = [pool.submit(until_it_is_in, i, service, n, turned_away) for n in range(PEERS * EACH)]
        for budget in budgets:
            i.configure(plaintext_budget=budget, plaintext_budget_peer=budget)
            i.run("reload")
            time.sleep(0.7)
        concurrent.futures.wait(of_each, 2 * pressure.MINUTE)
        assert all(f.done() for f in of_each), "stuck"
        print(f"{len(of_each)} in after {time.monotonic() - begin:.1f} s, {held.most} octets held; turned away:"
              f" {dict(turned_away)}")
    all_given_back(i, service, SECONDS, rss)
    assert stored(i, service) == before + len(of_each)
    nothing_is_charged_to(i, service, 0, "127.90.0.1")
