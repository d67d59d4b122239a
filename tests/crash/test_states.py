"""The rows of docs/crash-states.md that can be brought about on purpose, each by itself; and that every row names tests
that exist."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

import harness
import pytest
from workload import kill


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)
    return found


def role(instance, name):
    """The process of a role that serves."""
    return until(lambda: [r for r in instance.status()["roles"] if r["role"] == name and r["pid"] and r["counters"]])[0]


def stored(instance):
    return instance.status()["messages"]


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def code_of(instance, to, message):
    """Of the reply; 0: the connection broke."""
    try:
        with instance.smtp() as s:
            return 250 if not s.sendmail("sender@example.org", to, message) else 450
    except harness.smtplib.SMTPResponseException as e:
        return e.smtp_code if e.smtp_code > 0 else 0
    except harness.smtplib.SMTPRecipientsRefused:
        return 450
    except OSError:
        return 0


def send_until_taken(instance, to, message):
    until(lambda: code_of(instance, to, message) == 250)


@pytest.fixture(scope="module")
def served():
    with harness.Instance(place=tempfile.mkdtemp()) as i:
        i.init(ingest_instances="1", access_instances="1")
        i.alice = i.add_account("alice")
        i.odd = f"odd@{harness.DOMAIN}"
        i.keyring.import_file(harness.ROOT / "tests" / "fault" / "elgamal.key")
        i.keyring.gpg("--quick-add-uid", i.keyring.fingerprint("A test"), i.odd)
        cert = i.place / "odd.asc"
        cert.write_bytes(i.keyring.export(i.odd))
        i.run("account", "add", i.odd, "--key", cert)
        i.app_password(i.odd)
        yield i.serve()


def test_ingest_dies_before_the_handover(served):
    i, message = served, harness.mail("half")
    before = stored(i)
    with socket.create_connection(("127.0.0.1", i.port("smtp")), timeout=60) as s:
        s.recv(1000)
        for line in (b"EHLO x\r\n", b"MAIL FROM:<a@example.org>\r\n", b"RCPT TO:<%s>\r\n" % i.alice.encode(),
                     b"DATA\r\n"):
            s.sendall(line)
            assert s.recv(1000)[:1] in b"23"
        s.sendall(message[:100])
        time.sleep(0.1)
        kill([role(i, "ingest")["pid"]])
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(1000) == b""
    assert stored(i) == before
    send_until_taken(i, i.alice, message)
    assert stored(i) == before + 1


def test_ingest_dies_between_commit_and_reply(served):
    i, message = served, harness.mail("committed, not answered")
    before, vault, ingest = stored(i), role(i, "vault")["pid"], role(i, "ingest")["pid"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with stopped(vault):
            sending = pool.submit(code_of, i, i.alice, message)
            time.sleep(0.7)  # sealed, and on its way to the vault
            with stopped(ingest):
                os.kill(vault, signal.SIGCONT)
                until(lambda: stored(i) == before + 1)
                kill([ingest])
        assert sending.result(60) == 0
    duplicates = role(i, "vault")["counters"]["duplicates"]
    send_until_taken(i, i.alice, message)
    assert stored(i) == before + 1
    assert role(i, "vault")["counters"]["duplicates"] == duplicates + 1


def test_ingest_dies_with_some_recipients_committed(served):
    i, message = served, harness.mail("two recipients")
    before, counts = stored(i), [len(i.fetch_all(a)) for a in (i.alice, i.odd)]
    with concurrent.futures.ThreadPoolExecutor() as pool, stopped(role(i, "gpg-seal")["pid"]):
        sending = pool.submit(code_of, i, [i.alice, i.odd], message)
        until(lambda: stored(i) == before + 1)
        kill([role(i, "ingest")["pid"]])
        assert sending.result(60) == 0
        assert [len(i.fetch_all(a)) for a in (i.alice, i.odd)] == [counts[0] + 1, counts[1]]
    send_until_taken(i, [i.alice, i.odd], message)
    assert [len(i.fetch_all(a)) for a in (i.alice, i.odd)] == [c + 1 for c in counts]


def test_vault_dies_with_requests_waiting(served):
    """Deliveries wait for the next vault; senders notice nothing."""
    i = served
    before, vault = stored(i), role(i, "vault")["pid"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with stopped(vault):
            sending = [pool.submit(code_of, i, i.alice, harness.mail(f"waiting {n}")) for n in range(4)]
            time.sleep(0.7)
            assert not any(s.done() for s in sending)
            kill([vault])
        assert [s.result(30) for s in sending] == [250] * 4
    assert stored(i) == before + 4


def test_access_dies(served):
    """Its clients connect again and find what they left; a client of another role notices nothing."""
    i = served
    other = i.smtp()
    m = i.imap(i.alice)
    m.select("INBOX")
    assert m.uid("STORE", "1:*", "+FLAGS", r"(\Flagged)")[0] == "OK"
    state = m.uid("FETCH", "1:*", "(FLAGS)")[1]
    kill([role(i, "access")["pid"]])
    with pytest.raises((OSError, harness.imaplib.IMAP4.abort)):
        m.noop()
    role(i, "access")
    m = i.imap(i.alice)
    m.select("INBOX", readonly=True)
    assert [re.sub(rb" ?\\Recent", b"", s) for s in m.uid("FETCH", "1:*", "(FLAGS)")[1]] == [
        re.sub(rb" ?\\Recent", b"", s) for s in state
    ]
    m.logout()
    other.sendmail("sender@example.org", i.alice, harness.mail("over the old session"))
    other.quit()


def test_gpg_judge_dies(served):
    """The command says so, the account is not there, and what the judge had on /dev/shm goes."""
    i = served
    address = f"judged@{harness.DOMAIN}"
    cert = i.place / "judged.asc"
    cert.write_bytes(i.keyring.generate(address))
    judge = role(i, "gpg-judge")["pid"]
    homes = lambda: list(pathlib.Path("/dev/shm").glob(f"letterlock-judge-{judge}-*"))
    assert len(homes()) == 1
    os.kill(judge, signal.SIGSTOP)
    adding = subprocess.Popen([i.binary, "account", "add", address, "--key", str(cert)], env=i.env,
                              stderr=subprocess.PIPE)
    time.sleep(0.5)
    kill([judge])
    err = adding.communicate(timeout=60)[1].decode().strip()
    if adding.returncode:
        assert adding.returncode == 1 and err.startswith("letterlock account add: ") and "\n" not in err
        until(lambda: i.run("account", "add", address, "--key", cert, check=False).returncode == 0)
    assert address in i.run("account", "list").stdout.decode()
    until(lambda: not homes())


def test_a_removal_cut_in_two(served):
    """A mailbox of thousands is deleted in steps; the vault dies between them, and the next one goes on to the end."""
    i = served
    m = i.imap(i.alice)
    assert m.append("Archive", None, None, harness.mail("many"))[0] == "OK"
    before = role(i, "vault")["counters"]["store-entries"]
    assert m.create("Big")[0] == "OK"
    m.select("Archive", readonly=True)
    assert m.copy("1", "Big")[0] == "OK"
    m.select("Big")
    for _ in range(13):
        assert m.copy("1:*", "Big")[0] == "OK"
        m.noop()
    m.select("INBOX", readonly=True)
    full = role(i, "vault")["counters"]["store-entries"]
    assert full > before + 8000
    assert m.delete("Big")[0] == "OK"
    kill([role(i, "vault")["pid"]])
    assert m.list('""', "Big")[1] == [None]
    until(lambda: role(i, "vault")["counters"]["store-entries"] < before + 50)
    assert m.select("INBOX", readonly=True)[0] == "OK"
    m.logout()
    assert i.run("audit").returncode == 0


def messages(m, mailbox):
    """How many, as STATUS says; a session of its own, which a killed process ends."""
    return int(re.search(rb"MESSAGES (\d+)", m.status(mailbox, "(MESSAGES)")[1][0])[1])


@pytest.mark.parametrize("who", ["vault", "access", "client", "quota"])
def test_a_copy_cut_in_two(served, who):
    """A COPY of thousands goes in pieces. Whoever dies between them, the destination is as it was."""
    i, many, big, other = served, 1 << 14, f"Big-{who}", f"Other-{who}"
    m = i.imap(i.alice)
    assert m.append("Archive", None, None, harness.mail("one"))[0] == "OK"
    assert m.create(big)[0] == m.create(other)[0] == "OK"
    m.select("Archive", readonly=True)
    assert m.copy("1", big)[0] == m.copy("1", other)[0] == "OK"
    m.select(big)
    while messages(i.imap(i.alice), big) < many:
        assert m.copy("1:*", big)[0] == "OK"
        m.noop()
    if who == "quota":  # for half of it
        i.run("account", "set", i.alice, "--quota", str(1 << 40))
        used = int(re.search(rb"(\d+) of", i.run("account", "show", i.alice).stdout)[1])
        i.run("account", "set", i.alice, "--quota", str(used + 256 * many // 2))
    watcher = i.imap(i.alice)
    pids = [r["pid"] for r in i.status()["roles"] if r["role"] == who]
    m.send(f"c COPY 1:* {other}\r\n".encode())
    until(lambda: messages(watcher, other) > 1)
    if who == "client":
        m.sock.shutdown(socket.SHUT_RDWR)
        m.sock.close()
    elif who in ("vault", "access"):
        kill(pids)
    if who == "vault":
        assert m.readline().startswith(b"c NO [UNAVAILABLE]")
    elif who == "quota":
        assert m.readline().startswith(b"c NO [OVERQUOTA]")
        assert messages(watcher, other) == 1  # at once
    until(lambda: messages(i.imap(i.alice), other) == 1)
    again = i.imap(i.alice)
    again.select(other)
    assert again.search(None, "ALL")[1] == [b"1"]
    assert i.run("audit").returncode == 0


def test_master_dies_and_its_roles_end(instance):
    i = instance.init()
    alice = i.add_account("alice")
    i.serve()
    for n in range(2):
        pids = [r["pid"] for r in i.status()["roles"]]
        i.send(alice, harness.mail(f"before {n}"))
        i.process.kill()
        i.process.wait()
        i.serve()  # at once: the lock waits for whoever holds the store
        until(lambda: not any(pathlib.Path(f"/proc/{p}").exists() for p in pids))
    assert len(i.fetch_all(alice)) == 2


def test_every_state_names_its_tests():
    """docs/crash-states.md: each row has at least one `file::test`, and each is there."""
    text = (harness.ROOT / "docs" / "crash-states.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text, re.M)
    assert [int(n) for n, _ in rows] == list(range(1, len(rows) + 1)) and len(rows) >= 20
    for n, tests in rows:
        named = re.findall(r"`([\w/.]+)::(\w+)`", tests)
        assert named, f"row {n} names no test"
        for path, name in named:
            assert re.search(rf"\b{name}\(", (harness.ROOT / path).read_text()), f"row {n}: {path} has no {name}"
