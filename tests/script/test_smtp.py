"""SMTP on real sockets: what the engine's unit tests cannot show, TLS, ends of connections, limits of a process, and a
vault that dies under load."""
import os
import signal
import smtplib
import socket
import ssl
import threading
import time

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"
OPEN = b"EHLO client.example\r\nMAIL FROM:<sender@example.org>\r\nRCPT TO:<" + ALICE.encode() + b">\r\n"


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init(
            smtp_sessions_peer=10,
            smtp_sessions=12,
            ingest_instances=1,
            message_max=1048576,
            xclient_hosts="127.0.0.1",
            smtp_command_timeout=3,
            plaintext_budget=4194304,
            plaintext_budget_peer=2097152,
            smtp_errors=5,
        )
        i.add_account("alice")
        i.serve()
        yield i


def dial(instance):
    s = socket.create_connection(("127.0.0.1", instance.port("smtp")), timeout=30)
    s.recv(1, socket.MSG_PEEK)  # who speaks before the greeting is not listened to
    return s


def read_all(s):
    out = b""
    while True:
        try:
            data = s.recv(65536)
        except ConnectionResetError:
            return out
        if not data:
            return out
        out += data


def talk(instance, data):
    """Everything at once, then our side is closed: every reply must still come."""
    with dial(instance) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return read_all(s).decode().splitlines()


def stored(instance):
    return instance.status()["messages"]


def counter(instance, name):
    return sum(r["counters"].get(name, 0) for r in instance.status()["roles"] if r["role"] == "ingest")


def test_a_client_that_says_all_and_closes_its_side(served):
    before = stored(served)
    replies = talk(served, OPEN + b"BDAT 18 LAST\r\nSubject: whole\r\n\r\nQUIT\r\n")
    assert replies[-2].startswith("250 2.0.0 Accepted") and replies[-1].startswith("221 ")
    assert stored(served) == before + 1


def test_smuggled_message_is_refused_with_its_carrier(served):
    before = stored(served)
    for end in (b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", b"\r\n.\r\r\n"):
        with dial(served) as s:
            s.sendall(OPEN + b"DATA\r\n")
            s.sendall(
                b"Subject: carrier\r\n\r\nx"
                + end
                + b"MAIL FROM:<a@b>\r\nRCPT TO:<"
                + ALICE.encode()
                + b">\r\nDATA\r\nSubject: evil\r\n\r\n\r\n.\r\nQUIT\r\n"
            )
            replies = read_all(s).decode().splitlines()
        assert replies[-2].startswith("554 5.6.0") and replies[-1].startswith("221 "), (end, replies)
    assert stored(served) == before


def test_nothing_crosses_starttls(served):
    with dial(served) as s:
        s.recv(1000)
        s.sendall(b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        time.sleep(0.3)
        assert s.recv(10000).decode().splitlines()[-1].startswith("503 5.5.1")
        s.sendall(b"NOOP\r\n")
        assert s.recv(1000).startswith(b"250 2.0.0")  # in the clear, and nothing else was answered


def test_starttls_forgets_and_seals_the_facts(served):
    before = stored(served)
    with smtplib.SMTP("127.0.0.1", served.port("smtp"), local_hostname="client.example") as s:
        s.ehlo()
        assert s.has_extn("starttls")
        s.starttls(context=ssl._create_unverified_context())
        assert s.mail("sender@example.org")[0] == 503  # EHLO again
        s.ehlo()
        assert not s.has_extn("starttls")
        message = harness.mail("over TLS", "x" * 900 + "\n.leading dot\n..\n")
        s.sendmail("sender@example.org", ALICE, message)
    rendered = served.fetch_all(ALICE)
    assert len(rendered) == before + 1
    last = rendered[max(rendered)]
    assert served.unseal(last) == message
    payload = served.keyring.decrypt(harness.armor_of(last))
    assert b"with ESMTPS\r\n\t(TLSv1." in payload and b"from client.example ([127.0.0.1])" in payload


def test_xclient_names_the_client(served):
    replies = talk(
        served,
        b"XCLIENT ADDR=IPV6:2001:db8::7 HELO=far.example PROTO=ESMTP\r\nMAIL FROM:<x@far.example>\r\nRCPT TO:<"
        + ALICE.encode()
        + b">\r\nBDAT 20 LAST\r\nSubject: xclient\r\n\r\nQUIT\r\n",
    )
    assert replies[-2].startswith("250 2.0.0")
    rendered = served.fetch_all(ALICE)
    assert b"from far.example ([IPv6:2001:db8::7])" in served.keyring.decrypt(harness.armor_of(rendered[max(rendered)]))


def test_bare_line_ends_in_commands(served):
    assert talk(served, b"NOOP\nMAIL FROM:<a@b>\r\nNOOP\r\nQUIT\r\n")[1:] == \
        ["500 5.5.2 CR or LF by itself; lines end in CRLF", "250 2.0.0 OK", "221 2.0.0 Bye"]


def test_errors_end_the_session(served):
    replies = talk(served, b"Content-Type: text/plain\r\nHost: x\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n" * 3)
    assert len(replies) == 7 and replies[-1].startswith("421 4.7.0")


LONG = b"POST /" + b"x" * 3000 + b" HTTP/1.1"


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", LONG, b"PROPFIND / HTTP/1.1"], ids=lambda line: line[:4].decode())
def test_http_ends_the_session(served, line):
    """A page can have a browser send what it likes behind the header."""
    before = stored(served)
    body = OPEN + b"BDAT 17 LAST\r\nSubject: http\r\n\r\n" + b"QUIT\r\n"
    replies = talk(served, line + b"\r\nHost: x\r\n\r\n" + body)
    assert len(replies) == 2 and replies[1] == "421 4.7.0 This is not HTTP"
    assert stored(served) == before


def test_who_speaks_before_the_greeting_is_not_listened_to(served):
    """Processes that stand still for a moment, so that what is sent at once is there before they can greet. Whoever
    waits is greeted, however slowly."""
    pids, before, early = served.pids("ingest"), stored(served), counter(served, "refused_early")
    hasty, patient = [], []
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(4):
            for held in hasty, patient:
                held.append(socket.create_connection(("127.0.0.1", served.port("smtp")), timeout=30))
        words = OPEN + b"BDAT 18 LAST\r\nSubject: early\r\n\r\nQUIT\r\n"
        for s in hasty:
            s.sendall(words)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    for s in hasty:
        with s:
            assert read_all(s).decode().splitlines() == ["554 5.5.1 You spoke before the greeting"]
    for s in patient:
        with s:
            assert s.recv(1000).startswith(b"220 ")
            s.sendall(b"QUIT\r\n")
            assert read_all(s) == b"221 2.0.0 Bye\r\n"
    assert stored(served) == before and counter(served, "refused_early") == early + 4


def test_sizes(served):
    with served.smtp() as s:
        s.ehlo()
        assert s.esmtp_features["size"] == "1048576"
        assert s.mail("a@example.org", ["SIZE=1048577"])[0] == 552
    line = b"x" * 98 + b"\r\n"
    assert talk(served, OPEN + b"DATA\r\n" + line * 10486 + b".\r\nQUIT\r\n")[-2].startswith("552 5.3.4")
    assert talk(served, OPEN + b"DATA\r\n" + line * 10485 + b".\r\nQUIT\r\n")[-2].startswith("250 2.0.0")


def test_slow_senders_do_not_starve_others(served):
    """Two of one address hold what they may; a third is told 452; another address gets through."""
    held = []
    chunk = b"x" * 98 + b"\r\n"
    try:
        for _ in range(2):
            s = dial(served)
            s.sendall(OPEN + b"DATA\r\n" + b"Subject: slow\r\n\r\n" + chunk * 9000)
            held.append(s)
        end = time.monotonic() + 10
        while counter(served, "plaintext_bytes_now") < 1800000 and time.monotonic() < end:
            time.sleep(0.05)
        assert talk(served, OPEN + b"DATA\r\n" + chunk * 9000 + b".\r\nQUIT\r\n")[-2].startswith("452 4.3.1")
        assert talk(served, b"XCLIENT ADDR=192.0.2.8\r\n" + OPEN + b"DATA\r\n" + chunk * 9000 + b".\r\nQUIT\r\n")[
            -2
        ].startswith("250 2.0.0")
        for s in held:
            s.sendall(b".\r\nQUIT\r\n")
            assert b"250 2.0.0 Accepted" in read_all(s)
    finally:
        for s in held:
            s.close()
    assert counter(served, "plaintext_bytes_now") == 0


def test_sessions_of_a_peer_and_in_all(served):
    held = [dial(served) for _ in range(10)]
    try:
        for s in held:
            assert s.recv(1000).startswith(b"220 ")
        with dial(served) as s:
            assert s.recv(1000).startswith(b"421 4.7.0")
    finally:
        for s in held:
            s.close()
    end = time.monotonic() + 5
    while counter(served, "sessions_now") and time.monotonic() < end:
        time.sleep(0.05)
    with served.smtp() as s:
        assert s.noop()[0] == 250


def test_silence_is_timed_out(served):
    with dial(served) as s:
        out = read_all(s)
    assert out.splitlines()[-1].startswith(b"421 4.4.2")


def test_vault_dies_under_load(served):
    """Killed again and again: every message that got 250 is there, and none twice."""
    before = stored(served)
    accepted, wrong = [], []

    def send(worker):
        for i in range(40):
            try:
                served.send(ALICE, harness.mail(f"load {worker} {i}", "x" * 70 + "\n"), sender=f"w{worker}@example.org")
                accepted.append((worker, i))
            except smtplib.SMTPException as e:
                wrong.append(e)

    workers = [threading.Thread(target=send, args=(w,)) for w in range(4)]
    for w in workers:
        w.start()
    for _ in range(3):
        time.sleep(0.3)
        for pid in served.pids("vault"):
            os.kill(pid, signal.SIGKILL)
    for w in workers:
        w.join()
    assert not wrong
    assert stored(served) == before + len(accepted) == before + 160


def test_a_name_beyond_ascii_is_found_however_it_is_typed(served):
    served.run("alias", "add", f"jörg@{harness.DOMAIN}", ALICE)
    for name in ("jörg", "JÖRG", "jo\u0308rg", "JO\u0308RG", "Jörg+x", '"JÖRG"'):
        replies = talk(
            served,
            f"EHLO client.example\r\nMAIL FROM:<sender@example.org> SMTPUTF8\r\nRCPT TO:<{name}@{harness.DOMAIN}>\r\n"
            "QUIT\r\n".encode(),
        )
        assert replies[-2].startswith("250 "), (name, replies)
    replies = talk(
        served,
        f"EHLO client.example\r\nMAIL FROM:<sender@example.org> SMTPUTF8\r\nRCPT TO:<jorg@{harness.DOMAIN}>\r\n"
        "QUIT\r\n".encode(),
    )
    assert replies[-2].startswith("550 ")
    served.run("alias", "remove", f"JO\u0308RG@{harness.DOMAIN}")


def test_stopping_says_421(served):
    with dial(served) as idle:
        assert idle.recv(1000).startswith(b"220 ")
        assert served.stop() == 0
        assert read_all(idle).startswith(b"421 4.3.2")
