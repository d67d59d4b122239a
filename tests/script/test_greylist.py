"""Greylisting (RFC 6647): mail from a domain that is new, or where none is proven a network, is put off until it comes
again; then all from there is let through, and so is a known correspondent's from anywhere, once it passes DMARC."""
import os
import signal
import time

import pytest

import harness
import names

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE, BOB, CAROL = (f"{name}@{harness.DOMAIN}" for name in ("alice", "bob", "carol"))
FRIEND = "friend@good.test"
FIRST, OTHER_OF_FIRST, SECOND, FOREIGN, EXEMPT = "192.0.2.5", "192.0.2.99", "198.51.100.5", "203.0.113.5", "10.0.0.1"
POOL = "192.0.4.5", "198.51.102.5", "203.0.115.5"  # of a large sender
ZONE = f"""
good TXT "v=spf1 ip4:{FIRST} ip4:{SECOND} -all"
_dmarc.good TXT "v=DMARC1; p=none"
pool TXT "v=spf1 {" ".join("ip4:" + a for a in POOL)} -all"
_dmarc.pool TXT "v=DMARC1; p=none"
"""


@pytest.fixture(scope="module")
def i():
    with names.start({"test": ZONE}) as zone, harness.Instance() as i:
        i.init(**zone.settings(), auth_exempt=EXEMPT, xclient_hosts="127.0.0.1", ingest_instances=2,
               greylist_wait=3600)
        for name in ("alice", "bob", "carol"):
            i.add_account(name)
        i.serve()
        assert send(i, FIRST)[0] == 250  # FRIEND is known to alice, and nothing of it is remembered but that
        i.stop()
        i.configure(greylist="yes")
        i.serve()
        yield i


def send(i, peer, sender=FRIEND, to=(ALICE,)):
    with i.smtp(timeout=120) as s:
        s.ehlo("mx.test")
        assert s.docmd("XCLIENT", f"ADDR={peer}")[0] == 220
        s.ehlo("mx.test")
        assert s.mail(sender)[0] == 250 and all(s.rcpt(who)[0] == 250 for who in to)
        return s.data(harness.mail(sender=sender))


def put_off(reply):
    return reply[0] == 451 and reply[1].startswith(b"4.7.1 ") and b"new here" in reply[1]


def wait_is(i, seconds):
    i.configure(greylist_wait=seconds)
    i.run("reload")


def comes_through(i, *mail):
    end = time.monotonic() + 120
    while (reply := send(i, *mail))[0] != 250:
        assert put_off(reply) and time.monotonic() < end


@pytest.fixture(scope="module")
def passed(i):
    """The first network, and pool.test, on a later try: pool.test's from another network than before."""
    before = len(i.fetch_all(ALICE))
    assert put_off(send(i, FIRST, "x@other.test")) and put_off(send(i, FIRST, "x@other.test"))
    assert put_off(send(i, POOL[0], "x@pool.test")) and put_off(send(i, POOL[1], "x@pool.test"))
    assert len(i.fetch_all(ALICE)) == before
    wait_is(i, 1)
    comes_through(i, FIRST, "x@other.test")
    comes_through(i, POOL[1], "x@pool.test")
    wait_is(i, 3600)
    assert len(i.fetch_all(ALICE)) == before + 2
    return i


def test_a_new_network_is_put_off_whoever_writes(i):
    assert put_off(send(i, "192.0.3.5", "x@other.test"))
    assert put_off(send(i, "IPV6:2001:db8::5", "", (ALICE, BOB)))
    assert i.logged(r"reason=greylisted reply=451 status=4\.7\.1", wait=120)
    assert i.counters("ingest")["deferred_greylist"] >= 2


def test_whose_mail_is_not_judged_is_not_put_off(i):
    assert send(i, EXEMPT, "x@other.test")[0] == 250


@pytest.mark.parametrize("peer", [FIRST, OTHER_OF_FIRST])
def test_a_network_that_tried_again_is_let_through(passed, peer):
    assert send(passed, peer, "new@other.test", (BOB,))[0] == 250


def test_a_domain_that_tried_again_is_let_through(passed):
    assert send(passed, POOL[2], "new@pool.test", (BOB,))[0] == 250
    assert put_off(send(passed, POOL[2], "new@other.test", (BOB,)))  # nothing of its networks
    assert put_off(send(passed, FOREIGN, "new@pool.test", (BOB,)))   # in its name


@pytest.mark.parametrize("peer, sender, to, through", [
    (SECOND, FRIEND, (ALICE,), True),
    (SECOND, FRIEND, (CAROL, ALICE), True),
    (SECOND, FRIEND, (BOB,), False),            # to whom they are new
    (SECOND, "new@good.test", (ALICE,), False),
    (FOREIGN, FRIEND, (ALICE,), False),         # in their name
])
def test_known_correspondents_who_pass_dmarc(i, peer, sender, to, through):
    reply = send(i, peer, sender, to)
    assert reply[0] == 250 if through else put_off(reply)


def test_whom_alice_has_written_to(i):
    with i.submission(ALICE) as s:
        s.sendmail(ALICE, "asked@good.test", "From: %s\r\nTo: asked@good.test\r\nSubject: x\r\n\r\nHello\r\n" % ALICE)
    assert send(i, SECOND, "asked@good.test")[0] == 250


def test_processes_that_end_forget_nothing(passed):
    before = passed.pids("ingest")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 120
    while len(now := passed.pids("ingest")) < 2 or set(now) & set(before):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert send(passed, OTHER_OF_FIRST, "newer@other.test", (BOB,))[0] == 250
    assert send(passed, POOL[0], "newer@pool.test", (BOB,))[0] == 250
    assert put_off(send(passed, FOREIGN, "newer@other.test", (BOB,)))
