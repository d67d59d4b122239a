"""HTTP when much goes on: thousands of requests in one piece, slow ones that take all places, a reload and the end of
the process in the middle of it."""
import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from test_http import AFTER, HOST, NAME, WAIT, connect, get, harness, make, memory, openssl, read_all, shown


@pytest.fixture(scope="module")
def site():
    with harness.Instance(binary=harness.released(), web=True).init(web_instances=1, web_sessions=48,
                                                                    web_sessions_peer=8) as i:
        yield i.serve()


def other(i, n):
    """A certificate, PEM, that has nothing to do with anything."""
    made = openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                   "-subj", f"/CN={n}", "-keyout", "/dev/null", "-out", i.dir / "other.pem")
    assert made.returncode == 0, made.stderr
    return (i.dir / "other.pem").read_text()


def test_ten_thousand_at_once(site):
    """In one piece, and each is answered; memory stays as it was."""
    n, request = 10000, f"GET /nothing HTTP/1.1\r\n{HOST}\r\n".encode()
    get(site)
    before = memory(site)
    with connect(site, tls=False) as s:
        sender = threading.Thread(target=s.sendall, args=(request * n + AFTER.encode(),))
        sender.start()
        said = read_all(s)
        sender.join()
    assert said.count(b"HTTP/1.1 308 ") == n + 1
    assert memory(site) < before + 2048, "KB"


def test_slow_ones_of_many_networks_make_room(site):
    """All places are taken by heads and bodies that come an octet now and then, which buys them nothing."""
    with contextlib.ExitStack() as stack:
        slow = []
        for n in range(48):
            s = stack.enter_context(socket.create_connection(
                ("127.0.0.1", site.port("http")), timeout=WAIT, source_address=(f"127.0.{20 + n // 8}.1", 0)))
            s.sendall(f"POST /.well-known/acme-challenge/x HTTP/1.1\r\n{HOST}".encode()[:20 + n])
            slow.append(s)
        over = threading.Event()

        def go_on():
            while not over.wait(0.5):
                for s in slow:
                    with contextlib.suppress(OSError):
                        s.sendall(b"x")

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            for _ in range(5):
                assert get(site, tls=False)[0] == 308
        finally:
            over.set()
            thread.join()
    assert site.counters("web")["web_sessions_shed"] + site.counters("web")["web_sessions_ended_slow"] >= 1


def test_a_reload_in_the_middle_of_answers(site):
    """What was asked for is answered to its end, and the connection goes on: over TLS too, with other certificates."""
    n, request = 3000, f"GET / HTTP/1.1\r\n{HOST}\r\n".encode()
    for tls in (True, False):
        with connect(site, tls) as s:
            sender = threading.Thread(target=s.sendall, args=(request * n + AFTER.encode(),))
            sender.start()
            said = s.recv(1000)  # then neither side can go on before we read
            fresh = make(site, "", NAME)
            site.run("reload")
            end = time.monotonic() + WAIT
            while shown(site, NAME) != fresh and time.monotonic() < end:
                pass
            said += read_all(s)
            sender.join()
        assert said.count(b"HTTP/1.1 200 " if tls else b"HTTP/1.1 308 ") == n + 1


def test_a_long_chain_is_shown(site):
    """As the other ports show it, by the default and by name."""
    others = "".join(other(site, n) for n in range(20))
    for name, host in ("", NAME), ("long.example.", "long.example"):
        first = make(site, name, host)
        chain = site.dir / "tls" / f"{name}chain.pem"
        own = chain.read_text()
        chain.write_text(own + others)
        site.run("reload")
        end = time.monotonic() + WAIT
        while shown(site, host) != first and time.monotonic() < end:
            pass
        assert shown(site, host) == first
        said = openssl("s_client", "-connect", f"127.0.0.1:{site.port('https')}", "-servername", host, "-showcerts")
        assert said.stdout.count("BEGIN CERTIFICATE") == 21
        chain.write_text(own)
    assert "web-certificate" not in site.log()


def test_another_process_takes_its_place(site):
    """Killed under load: connections end, and others are served by who comes after."""
    old, over, answered = site.pids("web"), threading.Event(), []

    def load():
        while not over.is_set():
            with contextlib.suppress(OSError, AssertionError, TypeError):
                answered.append(get(site, "/robots.txt")[0])

    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    end = time.monotonic() + WAIT
    try:
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        while site.pids("web") in ([], old) and time.monotonic() < end:
            time.sleep(0.05)
        now = answered.count(200)
        while answered.count(200) < now + 20 and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        over.set()
        for t in threads:
            t.join()
    assert answered.count(200) >= now + 20 and len(site.pids("web")) == 1 and site.pids("web") != old
    assert get(site)[0] == 200 and get(site, tls=False)[0] == 308
