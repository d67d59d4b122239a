"""What clients of others found, on real sockets: an address that serves both families, mail that comes back sealed."""
import socket

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"
BEA = f"bea@{harness.DOMAIN}"
MAX = 1 << 20  # octets: "1 MB"


def both_families():
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.bind(("::", 0))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        settings = {"bind": "::"} if both_families() else {}
        i.init(message_max="1 MB", **settings)
        i.add_account("alice")
        i.add_account("bea", policy="baseline")
        i.serve()
        yield i


@pytest.mark.skipif(not both_families(), reason="no socket here serves both families")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_loopback_in_both_families(served, host):
    with socket.create_connection((host, served.port("imap")), timeout=30) as s:
        greeting = s.makefile("rb").readline()
        assert b"AUTH=PLAIN" in greeting and b"LOGINDISABLED" not in greeting
        s.sendall(f't LOGIN {ALICE} "{served.passwords[ALICE]}"\r\n'.encode())
        assert s.makefile("rb").readline().startswith(b"t OK")


def largest(n):
    text = harness.mail(subject="Large")
    line = b"x" * 70 + b"\r\n"
    return text + line * ((n - len(text)) // len(line))


def test_what_is_served_may_come_back(served):
    """The largest message of all, sealed and in armour, is a third larger; open mail keeps its limit."""
    plain = largest(MAX)
    assert not served.send(ALICE, plain)
    m = served.imap(ALICE)
    m.select("INBOX")
    sealed = m.fetch("*", "(BODY.PEEK[])")[1][0][1]
    assert len(sealed) > MAX * 1.3
    assert m.append("Archive", r"(\Seen)", '"1-Jan-1960 00:00:00 +0000"', sealed)[0] == "OK"
    m.select("Archive")
    assert m.search(None, "BEFORE", "1-Jan-1970")[1] == [b"1"]
    again = m.fetch("1", "(BODY.PEEK[])")[1][0][1]
    body = sealed[sealed.index(b"-----BEGIN"):sealed.index(b"-----END")]
    assert body in again  # its packets, not sealed once more
    kind, text = m.append("Archive", None, None, largest(MAX + 4096))
    assert kind == "NO" and b"TOOBIG" in text[0]
    kind, text = m.append("Archive", None, None, largest(3 * MAX))  # refused before it is sent
    assert kind == "NO" and b"TOOBIG" in text[0]
    m.select("Archive")
    assert m.search(None, "ALL")[1] == [b"1"]
    m.logout()


def test_a_draft_shows_its_blind_copies_where_the_policy_lets_it(served):
    draft = harness.mail(subject="Draft", extra="Bcc: Carol <carol@example.net>, dan@example.net\r\n")
    for address, shown in ((BEA, b'(("Carol" NIL "carol" "example.net")(NIL NIL "dan" "example.net"))'), (ALICE, None)):
        m = served.imap(address)
        assert m.append("Drafts", r"(\Draft)", None, draft)[0] == "OK"
        m.select("Drafts")
        envelope = m.fetch("1", "(ENVELOPE)")[1][0]
        envelope = envelope if isinstance(envelope, bytes) else b"".join(envelope)
        assert shown in envelope if shown else b"carol" not in envelope
        assert m.search(None, "BCC", "carol")[1] == [b"1" if shown else b""]
        m.logout()
