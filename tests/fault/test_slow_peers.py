"""Slow peers do not shut the door: whoever holds places or memory and brings nothing for it makes room, and mail of
others gets in meanwhile. Each attack comes from many networks and from one; sessions that are ended come back."""
import os
import time

import harness
import pressure
import pytest

PLACES = 200          # the attackers are 1.2 times as many; 1,000 in the long run
BUDGET = 64 << 20     # 512 MB in the long run
HONEST = 70
if os.environ.get("LETTERLOCK_FULL"):
    PLACES, BUDGET = 1000, 512 << 20
GREETED = ["220", b"EHLO slow.example\r\n", "250 "]
ENVELOPE = [b"MAIL FROM:<slow@example.org>\r\n", "250", b"RCPT TO:<alice@%s>\r\n" % harness.DOMAIN.encode(), "250"]
DATA = [b"DATA\r\n", "354", b"Subject: slow\r\n\r\n"]


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance() as i:
        i.init(
            ingest_instances=2,
            smtp_sessions=PLACES,
            smtp_sessions_peer=max(PLACES // 20, 10),
            plaintext_budget=BUDGET,
            plaintext_budget_peer=BUDGET // 4,
            message_max=BUDGET // 8,
            xclient_hosts=",".join(f"127.9.{n}.1" for n in range(8)),
        )
        i.add_account("alice")
        yield i.serve()


def one_octet_every_few_seconds(number):
    yield "220"
    while True:
        yield b"N"
        yield 3


def inside_data(number):
    yield from GREETED + ENVELOPE + DATA
    while True:
        yield b"x"
        yield 3


def silent_after_one_recipient(number):
    yield from GREETED + ENVELOPE


def silent(number):
    return iter(())


def in_a_handshake(number):
    yield from GREETED + [b"STARTTLS\r\n", "220"]
    while True:
        yield b"\x16"
        yield 3


def commands_that_bring_nothing(number):
    yield from GREETED
    while True:
        yield from [b"NOOP\r\n", "250", 2, b"RSET\r\n", "250", 2, b"MAIL FROM:<a@b.example>\r\n", "250", 2]


def from_v6(script):
    """As if each came from a /64 of its own below one /48, through a proxy."""
    def steps(number):
        yield from ["220", b"XCLIENT ADDR=IPV6:2001:db8:7:%x::1\r\n" % (number + 1)]
        yield from script(number)
    return steps


ATTACKS = [one_octet_every_few_seconds, inside_data, silent_after_one_recipient, silent, in_a_handshake,
           commands_that_bring_nothing]
PLACES_FROM = {
    "many networks": lambda script: (script, pressure.networks(40)),
    "one /48": lambda script: (from_v6(script), lambda n: f"127.9.{n % 8}.1"),
}


def afterwards(i):
    pressure.settled(i, "ingest", "sessions_now", "plaintext_bytes_now")


@pytest.mark.parametrize("place", PLACES_FROM)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda f: f.__name__)
def test_mail_gets_in_past(served, attack, place):
    i, before = served, len(served.fetch_all(f"alice@{harness.DOMAIN}"))
    script, address = PLACES_FROM[place](attack)
    with pressure.Crowd(i.port("smtp"), PLACES * 6 // 5, script, address) as crowd:
        time.sleep(6)
        held = pressure.counter(i, "ingest", "sessions_now")
        got = pressure.honest_mail(i, f"alice@{harness.DOMAIN}", HONEST)
        print(f"{held} places held; the attackers began {crowd.begun} sessions, {crowd.ended} were ended")
    assert got >= HONEST - 1
    afterwards(i)
    assert len(i.fetch_all(f"alice@{harness.DOMAIN}")) == before + got


def unfinished(size):
    """As much content as a peer may have in flight, at once, and then an octet now and then."""
    def steps(number):
        yield from GREETED + ENVELOPE + DATA
        for _ in range(size // 78000):
            yield (b"x" * 76 + b"\r\n") * 1000
        while True:
            yield 3
            yield b"x"
    return steps


@pytest.mark.parametrize("addresses", [14, 56])
def test_mail_gets_in_past_unfinished_mail(served, addresses):
    """Each holds what makes the whole budget with the others', in pieces of a message."""
    i, before = served, len(served.fetch_all(f"alice@{harness.DOMAIN}"))
    each = BUDGET // 8 * 9 // 10
    sessions = BUDGET // each + 14
    with pressure.Crowd(i.port("smtp"), sessions, unfinished(each), pressure.networks(addresses), again=3) as crowd:
        time.sleep(5)
        held = pressure.counter(i, "ingest", "plaintext_bytes_now")
        got = pressure.honest_mail(i, f"alice@{harness.DOMAIN}", HONEST,
                                   message=harness.mail("honest", "20 KB of it\n" * 1700))
        print(f"{held >> 20} MB held; {crowd.begun} sessions begun, {crowd.ended} ended, {crowd.sent >> 20} MB sent")
    assert got >= HONEST - 1
    afterwards(i)
    assert len(i.fetch_all(f"alice@{harness.DOMAIN}")) == before + got


def test_a_slow_line_gets_through(served):
    """28.8 kbit/s and 200 KB, under the attack: steady, if slow."""
    i, got = served, []
    text = harness.mail("by modem", "forty-nine octets of text that a modem brings in\n" * 4000)

    def by_modem(number):
        yield from GREETED + ENVELOPE + [b"DATA\r\n", "354"]
        for at in range(0, len(text), 900):
            yield text[at:at + 900]
            yield 0.25
        yield b"\r\n.\r\n"
        yield "250"
        got.append(time.monotonic())
        yield b"QUIT\r\n"

    with pressure.Crowd(i.port("smtp"), PLACES * 6 // 5, inside_data, pressure.networks(40)):
        time.sleep(6)
        begin = time.monotonic()
        with pressure.Crowd(i.port("smtp"), 1, by_modem, lambda n: "127.210.3.7", again=600) as modem:
            while not got and time.monotonic() - begin < 3 * pressure.MINUTE:
                time.sleep(0.5)
            print(f"{len(text)} octets in {(got[0] if got else 0) - begin:.1f} s; {modem.ended} ended")
    assert got
    afterwards(i)
