"""The log when somebody is against it: a role that writes what it likes, one that writes without end, and a reader that
stands still. Honest mail and commands go on, and nothing but what the table of events has gets into the log."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import harness
import pressure
import pytest

HONEST = 20
FLOOD = 5  # seconds
GARBAGE = [
    b"2026-11-29T03:00:00.000Z error master all is well\n",
    b"From: secret@letterlock.test\r\nSubject: secret\r\n",
    b"\x1b]0;secret\x07\x1b[2J\xc2\x9b31m\n",
    b"ready\n",
    bytes(range(256)) * 16,
]
ROLES = ("ingest", "access", "vault", "gpg-judge", "gpg-seal", "resolver", "relay", "fetcher", "web")


@pytest.fixture
def served():
    with harness.Instance(binary=harness.released(), web=True) as i:
        i.init(ingest_instances=1, access_instances=1, relay_instances=1, web_instances=1)
        i.alice = i.add_account("alice")
        yield i.serve()


def mail_and_commands(i):
    """The honest figures: seconds of the slowest mail and of the slowest NOOP."""
    took = [pressure.smtp_once(i, "127.0.0.1", i.alice, b"Subject: honest\r\n\r\nhello") for _ in range(HONEST)]
    assert all(isinstance(t, float) for t in took), took
    m = i.imap(i.alice)
    slowest = 0
    for _ in range(HONEST):
        begin = time.monotonic()
        assert m.noop()[0] == "OK"
        slowest = max(slowest, time.monotonic() - begin)
    m.logout()
    return max(took), slowest


@pytest.mark.needs("root")
def test_a_role_cannot_write_text(served):
    """As a role in a stranger's hands would: into its own descriptor 2."""
    i = served
    before = len(i.log())
    for role in ROLES:
        for pid in i.pids(role):
            assert [os.readlink(f"/proc/{pid}/fd/{n}").partition(":")[0] for n in (1, 2)] == ["/dev/null", "pipe"]
            fd = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY)
            for words in GARBAGE:
                os.write(fd, words)
            os.close(fd)
            i.logged(rf"Z warn master log-refused role={role} instance=0 packets=1$", before)
    print("slowest mail %.2f s, slowest NOOP %.2f s" % mail_and_commands(i))
    said = i.log()[before:]
    assert not re.search(r"secret|all is well|ready|[^\n -~]", said), said
    assert len(i.pids("ingest")) == 1 and "ended" not in said
    lines = [line for line in said.splitlines() if "log-refused" in line]
    assert len(lines) == len(ROLES), "once a minute for each"


@pytest.mark.needs("root")
def test_a_flood_stays_in_its_pipe(served):
    """A role that says what is true as fast as it can. The record is log-dropped, which is said each time."""
    i = served
    pid = i.pids("gpg-seal")[0]
    number = re.findall(r"^    EVENT\((\w+),", (harness.ROOT / "server/base/event_table.h").read_text(), re.M)
    record = number.index("log_dropped").to_bytes(4, "big") + bytes(4) + (7).to_bytes(8, "big")
    over = threading.Event()
    written = 0

    def flood():
        nonlocal written
        fd = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        while not over.is_set():
            try:
                written += os.write(fd, record * 256) // len(record)
            except BlockingIOError:
                time.sleep(0.001)
        os.close(fd)

    before = len(i.log())
    writer = threading.Thread(target=flood)
    writer.start()
    begin = time.monotonic()
    figures = mail_and_commands(i)
    while time.monotonic() - begin < FLOOD:
        i.status()
        time.sleep(0.2)
    over.set()
    writer.join()
    seconds = time.monotonic() - begin
    lines = i.log()[before:].count("log-dropped")
    print(f"{written} records, {lines} lines in {seconds:.1f} s; slowest mail %.2f s, slowest NOOP %.2f s" % figures)
    assert figures[0] < pressure.MINUTE and figures[1] < 1
    assert 10000 < lines <= 10000 * (seconds + 2) < written


@pytest.mark.parametrize("kind", ["pipe", "stopped reader"])
def test_nobody_reads_the_log(kind, tmp_path):
    """As with a journal that hangs: all stderr of the server goes where it is not taken."""
    with harness.Instance(binary=harness.released()) as i:
        i.init(log_level="debug", ingest_instances=1, access_instances=1)
        alice = i.add_account("alice")
        ours, theirs = os.pipe()
        i.process = subprocess.Popen([i.binary, "serve"], env=i.env, stdout=theirs, stderr=theirs,
                                     start_new_session=True)
        said = b""
        while not re.search(rb"^ready$", said, re.M):
            said += os.read(ours, 65536)
        reader = None
        if kind == "stopped reader":
            reader = subprocess.Popen(["cat"], stdin=ours, stdout=open(tmp_path / "said", "wb"))
            reader.send_signal(signal.SIGSTOP)
        os.set_blocking(theirs, False)  # another description of it, by which it is filled
        try:
            fd = os.open(f"/proc/self/fd/{theirs}", os.O_WRONLY | os.O_NONBLOCK)
            while True:
                os.write(fd, b"x" * 4096)
        except BlockingIOError:
            os.close(fd)
        os.set_blocking(theirs, True)
        os.close(theirs)
        i.alice = alice
        begin = time.monotonic()
        figures = mail_and_commands(i)
        while time.monotonic() - begin < 10:  # lines enough for the buffer, and a role that dies
            pressure.smtp_once(i, "127.0.0.1", alice, b"Subject: more\r\n\r\nhello")
            pressure.smtp_once(i, "127.0.0.1", f"nobody@{harness.DOMAIN}", b"")
        os.kill(i.pids("gpg-seal")[0], signal.SIGKILL)
        assert i.status()["running"]
        print("slowest mail %.2f s, slowest NOOP %.2f s" % figures)
        assert figures[0] < pressure.MINUTE and figures[1] < 1
        if reader:
            reader.send_signal(signal.SIGCONT)
            os.close(ours)
            end = time.monotonic() + 10
            while b"ended, signal 9" not in (said := (tmp_path / "said").read_bytes()) and time.monotonic() < end:
                time.sleep(0.05)
            assert b"ended, signal 9" in said, "what waited is said"
        begin = time.monotonic()
        i.process.send_signal(signal.SIGTERM)
        assert i.process.wait(30) == 0
        i.process = None
        if reader:
            assert reader.wait(10) == 0


def test_nothing_is_missing_in_a_burst(served):
    """What a stranger says as fast as they can, and an end in the middle of the minute: each mail has its line or is
    counted, and so has each handshake."""
    i = served
    i.configure(smtp_errors=10000, smtp_errors_peer=10000, smtp_errors_minute=10000)
    i.run("reload")
    refused = handshakes = 700
    with i.smtp() as s:
        s.ehlo()
        s.mail("a@example.org")
        for n in range(refused):
            assert s.rcpt(f"n{n}@{harness.DOMAIN}")[0] == 550
    for _ in range(handshakes):
        with socket.create_connection(("127.0.0.1", i.port("imaps"))) as c:
            c.sendall(b"no TLS at all\r\n")
            c.recv(100)
    i.stop()
    said = i.log()
    assert "log-dropped" not in said
    lines = said.count(" mail at=rcpt ")
    assert lines == 600 and f"mail-untold lines={refused - lines} " in said
    assert len(re.findall("tls-failed why=", said)) == 10
    assert f"tls-failed more={handshakes - 10} " in said


def test_what_master_did_not_come_to_is_counted(served):
    """It stands still for as long as 700 mails take: those without a line are said to be, though nothing follows."""
    i = served
    mails = 700
    with i.smtp() as s:
        s.ehlo()
        i.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(mails):
                s.sendmail("a@example.org", [i.alice], b"Subject: x\r\n\r\nx\r\n")
        finally:
            i.process.send_signal(signal.SIGCONT)
    i.stop()
    lines = i.log().count(" reason=accepted ")
    dropped = sum(map(int, re.findall("log-dropped records=(\\d+)", i.log())))
    print(f"{lines} lines, {dropped} dropped")
    assert lines + dropped == mails and lines < mails
