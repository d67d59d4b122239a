"""A limit of memory for each role: what grows without end ends there, as a temporary failure, and nobody else has less
for it. Honest load that fills all budgets does not come near."""
import contextlib
import re
import resource
import sys
import threading
import time

import harness
import pressure
import pytest

sys.path.insert(0, str(harness.ROOT / "tests" / "script"))
import test_http  # noqa: E402

MB = 1 << 20
NARROW = 48 * MB  # a limit that one message of 40 MB passes
BUDGET = 128 * MB
MAIL, SENDERS = 7 * MB, 16  # together nearly the budget


@pytest.fixture
def instance():
    with harness.Instance(binary=harness.released()) as i:
        i.init(ingest_instances=1, access_instances=1, plaintext_budget=BUDGET, plaintext_budget_peer=BUDGET)
        i.alice = i.add_account("alice")
        yield i


def status_of(i, role, what, file="status"):
    return int(re.search(rf"{what}:?\s+(\d+)", open(f"/proc/{i.pids(role)[0]}/{file}").read()).group(1))


def lines(octets):
    return b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * (octets // 72)


def test_a_role_ends_at_its_limit(instance):
    i = instance
    i.serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (NARROW, NARROW)))
    pids = {role: i.pids(role) for role in ("ingest", "access", "vault")}
    m = i.imap(i.alice)
    for _ in range(3):
        said = pressure.smtp_once(i, "127.0.0.1", i.alice, lines(40 * MB))
        assert isinstance(said, str) and said.startswith("452 4.3.1"), said
        assert isinstance(pressure.smtp_once(i, "127.0.0.1", i.alice, b"Subject: small\r\n\r\nhello"), float)
        assert m.append("INBOX", None, None, lines(40 * MB))[0] == "NO"
        assert m.noop()[0] == "OK"
    assert {role: i.pids(role) for role in pids} == pids, "nobody died of it"
    assert m.select("INBOX")[1] == [b"3"]
    m.logout()


def test_web_ends_at_its_limit():
    """Which connections over TLS reach: each fails or is served, and afterwards it serves as before."""
    with harness.Instance(binary=harness.released(), web=True) as i:
        i.init(web_instances=1, ingest_instances=1, access_instances=1, web_sessions_peer=10000)
        i.serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (24 * MB, 24 * MB)))
        web = i.pids("web")
        served = failed = 0
        with contextlib.ExitStack() as stack:
            while failed < 20 and served < 2000:
                try:
                    s = stack.enter_context(test_http.connect(i, tls=(served + failed) % 4 > 0))
                    s.sendall(f"GET / HTTP/1.1\r\n{test_http.HOST}\r\n".encode())
                    good = test_http.read_answer(s) is not None
                except (OSError, AssertionError):  # it was not made, or its answer was cut off
                    good = False
                served, failed = served + good, failed + (not good)
        print(f"{served} connections had room")
        assert failed == 20 and served > 100
        end = time.monotonic() + 120
        while i.counters("web")["web_sessions_now"] and time.monotonic() < end:
            time.sleep(0.1)
        assert test_http.get(i)[0] == 200 and test_http.get(i, tls=False)[0] == 308
        assert i.pids("web") == web, "nobody died of it"


def test_each_role_has_one(instance):
    """As docs/operating.md computes them."""
    instance.configure(http="yes", https="yes", web_instances=1)
    i = instance.serve()
    message, sessions = 50 * MB, 65536
    for role, limit in (("ingest", 320 * MB + message + BUDGET * 5 // 4 + 1000 * sessions),
                        ("access", 512 * MB + message + BUDGET * 5 // 4 + 20000 * sessions),
                        ("vault", 1024 * MB + message), ("gpg-judge", 512 * MB), ("gpg-seal", 512 * MB),
                        ("resolver", 256 * MB), ("relay", 1024 * MB + message), ("fetcher", 256 * MB),
                        ("web", 256 * MB + message + 10000 * sessions)):
        assert status_of(i, role, "Max data size", "limits") == limit, role


def test_full_budgets_stay_below(instance):
    """All of the budget is in flight at once, then all of it is stored."""
    i = instance.serve()
    done, peak = [], []

    def look():
        time.sleep(1)  # what is on its way arrives
        peak.append(status_of(i, "ingest", "VmData") * 1024)

    full = threading.Barrier(SENDERS, look)

    def send():
        with i.smtp() as s:
            s.ehlo()
            s.mail("ann@example.org"), s.rcpt(i.alice)
            s.putcmd("DATA")
            assert s.getreply()[0] == 354
            s.send(lines(MAIL))
            full.wait(60)
            s.send(b".\r\n")
            done.append(s.getreply()[0])

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for t in senders:
        t.start()
    for t in senders:
        t.join()
    limit = status_of(i, "ingest", "Max data size", "limits")
    print(f"{SENDERS} mails of {MAIL // MB} MB at once: {peak[0] // MB} MB of {limit // MB}")
    assert done == [250] * SENDERS
    assert SENDERS * MAIL < peak[0] < limit - 256 * MB
