"""letterlock audit beside a server at work: it finds nothing, since nothing is wrong, whatever comes and goes
meanwhile."""
import contextlib
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402

SECONDS = 4
ALICE, BOB, CAROL = (f"{n}@{harness.DOMAIN}" for n in ("alice", "bob", "carol"))


def deliver(i, stop):
    with i.smtp() as s:
        n = 0
        while not stop.is_set():
            n += 1
            s.sendmail("x@example.org", [ALICE, BOB], harness.mail(subject=f"{n}", body="line\n" * (n * 37 % 5000)))


def tidy(i, stop, address):
    """What a reader does all day, as fast as it goes."""
    m = i.imap(address)
    n = 0
    while not stop.is_set():
        n += 1
        m.select("INBOX")
        m.create(f"Box{n}")
        m.uid("COPY", "1:*", f"Box{n}")
        m.uid("STORE", "1:*", "+FLAGS.SILENT", rf"(\Seen kw{n % 7})")
        m.append("Sent", r"(\Seen)", None, harness.mail(body=f"sent {n}\n" * 300))
        m.uid("STORE", f"{2 * n}:{2 * n + 2}", "+FLAGS.SILENT", r"(\Deleted)")
        m.expunge()
        m.rename(f"Box{n}", f"Old{n}")
        if n > 2:
            m.delete(f"Old{n - 2}")
    m.logout()


def administer(i, stop):
    """Accounts come and go."""
    cert = i.place / f"{BOB}.cert.asc"
    cert = cert.with_name("carol.asc")
    cert.write_bytes(i.keyring.generate(CAROL))
    while not stop.is_set():
        i.run("account", "add", CAROL, "--key", cert)
        i.run("app-password", "add", CAROL, "--label", "test")
        i.send(CAROL, harness.mail())
        i.run("account", "remove", CAROL)


def test_it_finds_nothing_where_much_changes(instance):
    i = instance
    i.init()
    i.add_account("alice")
    i.add_account("bob")
    i.serve()
    stop, failed = threading.Event(), []

    def run(work, *args):
        with contextlib.ExitStack() as stack:
            stack.callback(stop.set)
            try:
                work(i, stop, *args)
            except Exception as e:
                failed.append(e)
    threads = [threading.Thread(target=run, args=a) for a in (
        (deliver,), (tidy, ALICE), (tidy, BOB), (administer,))]
    for t in threads:
        t.start()
    try:
        end, audits = time.monotonic() + SECONDS, 0
        while time.monotonic() < end or audits < 5:
            audits += 1
            p = i.run("audit", check=False)
            assert p.returncode == 0, p.stdout.decode()[-2000:] + p.stderr.decode()
            assert b"a server runs: " in p.stdout  # before it: carol is there, and not yet in the directory
            if stop.is_set():
                break
    finally:
        stop.set()
        for t in threads:
            t.join()
    if failed:
        pytest.fail(str(failed))
    assert len(i.fetch_all(ALICE, "Sent")) > 5
    i.stop()
    p = i.run("audit", check=False)
    assert p.returncode == 0, p.stdout.decode()[-2000:]
