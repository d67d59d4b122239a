"""Mail from a client to a stranger's server, which asks the name server for the keys of its signatures: they are those
that `domain dns` prints."""
import contextlib
import json
import re
import smtplib
import ssl
import subprocess
import time

import dkim
import pytest

import harness
import names
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS, "drill")
DOMAIN = harness.DOMAIN
ALICE = f"alice@{DOMAIN}"
TEXT = "Grüße, und\r\n.ein Punkt  \r\n\r\n\r\n"
MAIL = (f"From: Alice <{ALICE}>\r\nTo: bob@there.test\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n"
        "Date: Sun, 29 Nov 2026 20:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{TEXT}").encode()


class Way:
    """An instance with a client, a name server and a stranger's server."""

    def __init__(self, i, zones, port):
        self.i, self.zones, self.port = i, zones, port

    def publish(self):
        """The zone as `domain dns` prints it; no resolver stands between it and who verifies."""
        self.zones.change(DOMAIN, self.i.run("domain", "dns", DOMAIN).stdout.decode())
        end = time.monotonic() + 20
        while any(k["txt"].encode() != self.txt((k["name"] + ".").encode()) for k in self.keys()):
            assert time.monotonic() < end
            time.sleep(0.1)

    def keys(self):
        return [k for k in json.loads(self.i.run("dkim", "list", DOMAIN, "--json").stdout)["keys"]
                if k["state"] != "over"]

    def txt(self, name, timeout=5):
        out = subprocess.run(["drill", "-p", str(self.zones.port), "@127.0.0.1", name.decode(), "TXT"],
                             capture_output=True, text=True, timeout=30).stdout
        found = re.findall(rf"^{re.escape(name.decode())}\s+\d+\s+IN\s+TXT\s+(.*)$", out, re.M)
        return "".join(re.findall('"(.*?)"', found[0])).encode() if found else None

    def send(self, mail=MAIL, sender=ALICE):
        context = ssl.create_default_context(cafile=str(self.i.dir / "tls/chain.pem"))
        context.check_hostname = False
        with smtplib.SMTP_SSL("127.0.0.1", self.i.port("submissions"), context=context, timeout=30) as s:
            s.login(ALICE, self.i.passwords[ALICE])
            s.sendmail(sender, ["bob@there.test"], mail, ["BODY=8BITMIME"])

    def arrived(self, peer, n=1):
        end = time.monotonic() + 60
        while len(peer.mails) < n:
            assert time.monotonic() < end, (self.i.place / "log").read_text()[-3000:]
            time.sleep(0.1)
        return peer.mails[n - 1].octets


@pytest.fixture(scope="module")
def way():
    with contextlib.ExitStack() as stack:
        zones = stack.enter_context(names.start({"test": "there MX 10 mx\nmx A 127.0.0.1", DOMAIN: "@ TXT none"}))
        i = stack.enter_context(harness.Instance())
        i.init(**zones.settings(), relay_port=i.base + 5525, queue_retry=1)
        i.add_account("alice")
        i.serve()
        yield Way(i, zones, i.base + 5525)


def signatures(mail):
    return re.findall(rb"^DKIM-Signature:.*?a=(\S+);.*?d=(\S+);.*?s=(\S+);", mail, re.M | re.S)


def verified(way, mail):
    found = []
    for n in range(len(signatures(mail))):
        try:
            found.append(dkim.DKIM(mail).verify(idx=n, dnsfunc=way.txt))
        except dkim.ValidationError:
            found.append(False)
    return found


@pytest.mark.parametrize("ehlo", [("PIPELINING", "8BITMIME", "SIZE 50000000"), ()], ids=["8bit", "7bit"])
def test_what_arrives_verifies_by_the_zone(way, ehlo):
    way.publish()
    with Peer(way.port, ehlo=ehlo) as peer:
        way.send()
        mail = way.arrived(peer)
    assert [a for a, d, s in signatures(mail)] == [b"rsa-sha256", b"ed25519-sha256"]
    assert {d for a, d, s in signatures(mail)} == {DOMAIN.encode()}
    assert verified(way, mail) == [True, True]
    assert (max(mail) < 128) == (ehlo == ())
    for a, b in ((b"Subject: ", b"Subject: not "), (b"\r\n\r\n", b"\r\n\r\nx"), (b"Alice <", b"Mallory <"),
                 (b"\r\nFrom:", b"\r\nSubject: two\r\nFrom:")):
        changed = mail.replace(a, b, 1)
        assert changed != mail and verified(way, changed) == [False, False]


def test_a_rotation_while_it_serves(way):
    """No process is started anew; what is on its way verifies by the old records still."""
    way.publish()
    with Peer(way.port) as peer:
        way.send()
        before = way.arrived(peer)
        way.i.run("dkim", "rotate", DOMAIN)
        way.publish()
        way.send(MAIL.replace(b"und", b"nun"))
        waiting = way.arrived(peer, 2)
        way.i.run("dkim", "rotate", DOMAIN, "--now")
        way.send(MAIL.replace(b"und", b"dann"))
        after = way.arrived(peer, 3)
    assert signatures(before) == signatures(waiting)
    assert not {s for a, d, s in signatures(before)} & {s for a, d, s in signatures(after)}
    assert verified(way, before) == verified(way, waiting) == verified(way, after) == [True, True]


def test_each_domain_signs_its_own(way):
    way.i.run("domain", "add", "second.example")
    way.i.run("alias", "add", "alice@second.example", ALICE)
    with Peer(way.port) as peer:
        way.send(MAIL.replace(ALICE.encode(), b"alice@second.example"))  # From says who wrote, not MAIL
        mail = way.arrived(peer)
    assert {d for a, d, s in signatures(mail)} == {b"second.example"} and len(signatures(mail)) == 2
