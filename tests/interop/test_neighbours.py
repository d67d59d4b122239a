"""Mail from and to Postfix, Exim and OpenSMTPD, with and without TLS: what they hand us arrives as it was sent, and
what our people submit arrives there, signed and without a trace of the client."""
import email
import re
import smtplib
import ssl

import harness
import mtas
import pytest

pytestmark = pytest.mark.needs("root", "postfix", "Exim and OpenSMTPD (apt)")

LOCAL = f"alice@{harness.DOMAIN}"
BODY = "Grüße\r\n.\r\n..dots\r\nFrom here\r\n\r\nlast line\r\n".encode()


@pytest.fixture(scope="module")
def server():
    with harness.Instance() as s:
        s.init(domain=f"mx.{harness.DOMAIN}", queue_retry=1, queue_retry_max=2)
        s.add_account("alice", "rsa")
        s.serve()
        yield s


@pytest.fixture(scope="module", params=[(name, tls) for name in mtas.ALL for tls in (True, False)],
                ids=lambda p: f"{p[0]}-{'tls' if p[1] else 'clear'}")
def neighbour(request, server):
    name, tls = request.param
    with mtas.ALL[name](f"{name}.test", {harness.DOMAIN: server.port("smtp")}, tls) as n:
        (server.dir / "relay.policy").write_text(f"{n.domain} route=127.0.0.1:{n.port} tls=may\n")
        server.run("reload")
        yield n


def mail(sender, to, subject):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0200\r\n"
            f"Message-ID: <{subject}@laptop.home.invalid>\r\nUser-Agent: Secret/1.0\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n").encode() + BODY


def submit(server, to, message):
    s = smtplib.SMTP("127.0.0.1", server.port("submission"), local_hostname="laptop.home.invalid", timeout=60)
    with s:
        s.starttls(context=ssl._create_unverified_context())
        s.login(LOCAL, server.passwords[LOCAL])
        return s.sendmail(LOCAL, [to], message, mail_options=["BODY=8BITMIME"])


def body_of(data):
    """Of a neighbour's file: decoded, whatever encoding the way asked for; line ends as it keeps them."""
    return re.sub(rb"\r?\n", b"\r\n", email.message_from_bytes(data).get_payload(decode=True))


def test_what_they_send_arrives(server, neighbour):
    before = server.fetch_all(LOCAL)
    subject = f"in-{neighbour.domain}-{neighbour.tls}"
    assert neighbour.send(LOCAL, mail(f"bob@{neighbour.domain}", LOCAL, subject)) == {}
    server.logged(r"mail .*accepted", wait=60)
    for _ in range(600):
        new = {uid: m for uid, m in server.fetch_all(LOCAL).items() if uid not in before}
        if new:
            break
    original = server.unseal(next(iter(new.values())))
    assert f"Subject: {subject}".encode() in original
    assert body_of(original) == BODY


def test_what_we_send_arrives(server, neighbour):
    subject = f"out-{neighbour.domain}-{neighbour.tls}"
    to = f"bob@{neighbour.domain}"
    submit(server, to, mail(LOCAL, to, subject))
    for n in range(1, 10):
        found = [m for m in neighbour.awaited(n) if subject.encode() in m]
        if found:
            break
    (data,) = found
    assert body_of(data) == BODY
    head = data.split(b"\n\n")[0]
    assert head.count(b"DKIM-Signature:") == 2
    for trace in (b"laptop.home.invalid", b"Secret/1.0", b"+0200"):
        assert trace not in head
    ours = [r for r in email.message_from_bytes(data).get_all("Received") if f"by mx.{harness.DOMAIN}" in r]
    assert len(ours) == 1 and "127.0.0.1" not in ours[0]
    if neighbour.tls and neighbour.domain != "opensmtpd.test":
        theirs = email.message_from_bytes(data).get_all("Received")[0]
        assert re.search(r"TLS", theirs)


def test_one_that_greylists(server):
    """Postfix puts off whom it does not know; what was put off comes by the next try, once."""
    with mtas.Greylist() as greylist, mtas.Postfix("grey.test", greylist=greylist.server_address[1]) as n:
        (server.dir / "relay.policy").write_text(f"{n.domain} route=127.0.0.1:{n.port}\n")
        server.run("reload")
        submit(server, "bob@grey.test", mail(LOCAL, "bob@grey.test", "greylisted"))
        assert body_of(n.awaited(1)[0]) == BODY
        assert greylist.known == [("127.0.0.1", LOCAL, "bob@grey.test")] * 2
        assert len(n.received()) == 1
        greylist.shutdown()
