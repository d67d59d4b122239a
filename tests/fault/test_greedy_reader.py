"""A reader with a million entries (an eighth of it but in the long run), made by COPY, holds up nobody else: work
bounds a turn, not what comes of it. Her messages go away under her session; thirty searches are left unread. Honest
readers share her process meanwhile."""
import os
import re
import socket
import time

import harness
import pressure
import pytest

BITS = 20 if os.environ.get("LETTERLOCK_FULL") else 17
ENTRIES = 1 << int(os.environ.get("LETTERLOCK_GREEDY_BITS", BITS))
UNREAD = 30             # SEARCHes whose client reads nothing
UNREAD_KB = 50 * 1024   # that all of them may take together
BUSY = 30               # sessions that never stop searching
BUSY_SECONDS = 20 if os.environ.get("LETTERLOCK_FULL") else 10
NOOP_SECONDS = 1.0
COMMAND_SECONDS = 600   # the greedy one's own commands may take their time
HONEST = [f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"]

pytestmark = pytest.mark.needs("the released build")


@pytest.fixture(scope="module")
def served():
    with harness.Instance(binary=harness.released()) as i:
        i.init(access_instances=1, account_entries_max=2 * ENTRIES, reader_turn_ms=1000)
        for name in ("greedy", "alice", "bob"):
            i.add_account(name)
        i.serve()
        fill(i)
        yield i


def command(m, line):
    """The tagged answer, and how many lines came before it."""
    m.send(b"g " + line.encode() + b"\r\n")
    lines = 0
    while not (answer := m.readline()).startswith(b"g "):
        assert answer and not answer.startswith(b"* BYE"), answer
        lines += not answer.startswith(b"* OK")
    return answer, lines


def session(i, mailbox="Big"):
    m = i.imap(f"greedy@{harness.DOMAIN}", timeout=COMMAND_SECONDS)
    assert m.select(mailbox)[0] == "OK"
    return m


def fill(i):
    """Doubled until there are enough."""
    m = i.imap(f"greedy@{harness.DOMAIN}", timeout=COMMAND_SECONDS)
    assert m.append("INBOX", None, None, harness.mail("the only one"))[0] == "OK"
    assert m.create("Big")[0] == m.create("Other")[0] == "OK"
    m.select("INBOX")
    begin = time.monotonic()
    assert m.copy("1", "Big")[0] == "OK"
    m.select("Big")
    while (have := int(m.response("EXISTS")[1][-1])) < ENTRIES:
        answer, _ = command(m, f"COPY 1:{min(have, ENTRIES - have)} Big")
        assert answer.startswith(b"g OK"), answer
        m.select("Big")
    print(f"{ENTRIES} entries by COPY in {time.monotonic() - begin:.0f} s")
    m.logout()


def access(i):
    return next(r for r in i.status()["roles"] if r["role"] == "access")


def lives_on(i, before):
    now = access(i)
    assert (now["pid"], now["restarts"]) == (before["pid"], before["restarts"])


def test_unread_searches_take_little_memory(served):
    i, before = served, access(served)
    held = session(i)
    assert command(held, "FETCH 1 (UID)")[0].startswith(b"g OK")  # the map that all share is there
    rss = pressure.rss_kb(i, "access")[before["pid"]]
    greedy = [session(i) for _ in range(UNREAD)]
    with pressure.Noops(i, HONEST) as honest:
        for m in greedy:
            m.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            m.send(b"g SEARCH ALL\r\n")
        end, last = time.monotonic() + 60, None
        while time.monotonic() < end and last != (last := pressure.rss_kb(i, "access")[before["pid"]]):
            time.sleep(2)
        grown = pressure.rss_kb(i, "access")[before["pid"]] - rss
        print(f"{UNREAD} unread SEARCH ALL of {ENTRIES}: {grown / 1024:.1f} MB")
        honest.answered("unread SEARCH", NOOP_SECONDS)
    assert grown < UNREAD_KB
    held.send(b"g SEARCH ALL\r\n")  # and who reads misses nothing
    line = held.file.readline()  # which imaplib would find too long
    assert line.startswith(b"* SEARCH 1 2 3 ") and len(line.split()) == ENTRIES + 2
    assert held.file.readline().startswith(b"g OK")
    for m in [held, *greedy]:
        m.shutdown()
    lives_on(i, before)


def test_messages_gone_under_a_session(served):
    i, before = served, access(served)
    left, mover = session(i), session(i)
    assert command(left, "FETCH 1 (UID)")[0].startswith(b"g OK")
    with pressure.Noops(i, HONEST) as honest:
        answer, lines = command(mover, "UID MOVE 1:* Other")
        assert answer.startswith(b"g OK") and lines >= ENTRIES
        honest.answered("MOVE", NOOP_SECONDS)
        # The session that is left behind is told nothing as long as its commands go by numbers.
        for line, ok in (
            ("FETCH 1:* (FLAGS)", b"g NO [EXPUNGEISSUED]"),
            ("FETCH 1:* (BODY[])", b"g NO [EXPUNGEISSUED]"),
            ("STORE 1:* +FLAGS.SILENT (\\Flagged)", b"g NO [EXPUNGEISSUED]"),
            ("SEARCH NOT TEXT nothing", b"g OK"),
            ("SEARCH UNSEEN", b"g OK"),
        ):
            answer, _ = command(left, line)
            assert answer.startswith(ok), (line, answer)
            honest.answered(line, NOOP_SECONDS)
        answer, lines = command(left, "UID COPY 1:* INBOX")  # after which it may be told
        assert answer.startswith(b"g OK") and lines == ENTRIES
        honest.answered(f"{ENTRIES} EXPUNGEs told", NOOP_SECONDS)
        assert re.search(rb"MESSAGES 0\b", left.status("Big", "(MESSAGES)")[1][0])
        assert re.search(rb"MESSAGES %d\b" % ENTRIES, left.status("Other", "(MESSAGES)")[1][0])
    lives_on(i, before)


def where_they_are(i):
    m = i.imap(f"greedy@{harness.DOMAIN}", timeout=COMMAND_SECONDS)
    return next(b for b in ("Big", "Other") if b"MESSAGES %d)" % ENTRIES in m.status(b, "(MESSAGES)")[1][0])


def test_busy_sessions_and_a_large_copy(served):
    """Thirty sessions search without end and one copies a million messages, which the limit on entries ends on the way:
    the copy is taken back, and the others have their NOOPs and their mail."""
    i, before = served, access(served)
    full = where_they_are(i)
    greedy = [session(i, full) for _ in range(BUSY)]
    copier = session(i, full)
    copier.send(b"c COPY 1:* INBOX\r\n")
    for m in greedy:
        m.send(b"g SEARCH KEYWORD nothing UNKEYWORD something\r\n" * 1000)
    with pressure.Noops(i, HONEST) as honest:
        begin = time.monotonic()
        assert pressure.honest_mail(i, HONEST[0], count=20) == 20
        time.sleep(max(0, begin + BUSY_SECONDS - time.monotonic()))
        honest.answered(f"{BUSY} busy sessions", NOOP_SECONDS)
        for m in greedy:
            m.shutdown()
        answer = copier.readline()
        while answer.startswith(b"* "):
            answer = copier.readline()
        print(answer.decode().strip(), f"after {time.monotonic() - begin:.0f} s")
        honest.answered("COPY that is taken back", NOOP_SECONDS)
    assert answer.startswith(b"c NO [OVERQUOTA]")
    assert b"MESSAGES 1)" in copier.status("INBOX", "(MESSAGES)")[1][0]
    lives_on(i, before)
