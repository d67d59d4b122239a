"""Commands that are dear for their length, from many sessions of a few accounts that have all the names or keywords
they may: honest readers' NOOPs and APPENDs take less than half a second."""
import concurrent.futures
import contextlib
import os
import socket
import time

import harness
import pressure
import pytest

SECONDS = 6            # for which each is looked at
LONGEST = 0.5          # of what an honest reader asks for
NAMES, NAMERS = 1980, 3 if os.environ.get("LETTERLOCK_FULL") else 2  # mailboxes, and accounts that have them
SEARCHERS, MESSAGES = 6, 1024
HONEST = f"alice@{harness.DOMAIN}"
LONG = "n" * 400
KEYWORDS = [f"k{'y' * 56}{n:03}" for n in range(500)]

pytestmark = pytest.mark.needs("the released build")


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance(binary=harness.released()) as i:
        i.init(access_instances=1, imap_sessions_peer=2000, reader_turn_ms=1000)
        i.add_account("alice")
        i.namers = [i.add_account(f"namer{n}") for n in range(NAMERS)]
        i.searchers = [i.add_account(f"searcher{n}") for n in range(SEARCHERS)]
        i.serve()
        with concurrent.futures.ThreadPoolExecutor() as pool:  # at once: they wait for the disk more than they compute
            made = [pool.submit(many_names, i, a) for a in i.namers] + [
                pool.submit(many_keywords, i, a) for a in i.searchers]
        for m in made:
            m.result()
        yield i


def many_names(i, address):
    m = i.imap(address)
    m.create("top")
    m.send(b"".join(b"c CREATE top/%s%04d\r\n" % (LONG.encode(), n) for n in range(NAMES)))
    for _ in range(NAMES):
        assert m.readline().startswith(b"c OK")
    m.logout()


def many_keywords(i, address):
    m = i.imap(address)
    m.append("INBOX", None, None, harness.mail("one of many"))
    m.select("INBOX")
    for n in range(0, len(KEYWORDS), 100):
        m.store("1", "+FLAGS.SILENT", "(" + " ".join(KEYWORDS[n:n + 100]) + ")")
    have = 1
    while have < MESSAGES:
        assert m.copy(f"1:{have}", "INBOX")[0] == "OK"
        m.noop()
        have *= 2
    m.logout()


@contextlib.contextmanager
def sessions(i, addresses, each, commands):
    """That send these and read nothing."""
    all_ = [i.imap(a) for a in addresses for _ in range(each)]
    for m in all_:
        m.select("INBOX", readonly=True)
    for m in all_:
        m.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            m.sock.send(commands)
    yield
    for m in all_:
        m.sock.shutdown(socket.SHUT_RDWR)
        m.sock.close()


def honest(i, what):
    took, end = [], time.monotonic() + SECONDS
    m = i.imap(HONEST)
    with pressure.Noops(i, [HONEST]) as noops:
        while time.monotonic() < end:
            begin = time.monotonic()
            assert m.append("Sent", None, None, harness.mail("honest"))[0] == "OK"
            took.append(time.monotonic() - begin)
            time.sleep(0.02)
        noops.answered(what, LONGEST)
    print(f"{what}: {len(took)} honest APPENDs, the slowest {max(took) * 1000:.0f} ms")
    assert max(took) < LONGEST
    assert all(r["restarts"] == 0 for r in i.status()["roles"])


@pytest.mark.parametrize("what, command", [
    ("RENAME", "t RENAME top pot\r\nt RENAME pot top\r\n"),
    ("CREATE", f"t CREATE top/{LONG}0001\r\n"),
    ("DELETE", "t DELETE top\r\n"),
], ids=["rename", "create", "delete"])
def test_names(served, what, command):
    with sessions(served, served.namers, 90, command.encode() * 40):
        honest(served, what)
    time.sleep(2)


def test_keywords_that_nobody_knows(served):
    keys = " ".join([f"UNKEYWORD {KEYWORDS[0][:-3]}abc"] * 850)
    with sessions(served, served.searchers, 3, f"t SEARCH {keys}\r\n".encode() * 5):
        honest(served, "SEARCH")


def test_nothing_is_left(served):
    p = served.run("audit", check=False)
    assert p.returncode == 0, p.stdout + p.stderr
