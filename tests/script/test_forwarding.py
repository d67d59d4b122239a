"""Mail that is forwarded (account set --forward): sealed to keys, in the clear where the configuration allows it and
nowhere else, under a return path of ours (SRS), to which bounces come back and nothing else does."""
import contextlib
import email
import json
import os
import pathlib
import re
import signal
import smtplib
import time

import harness
import names
import pytest
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE, BOB, CAROL, DAVE = (f"{n}@{harness.DOMAIN}" for n in ("alice", "bob", "carol", "dave"))
FRIEND, SENDER = "Friend+x@there.test", "sender@example.test"
ZONE = """
mx A 127.0.0.1
* MX 10 mx
"""
SECRET = "The herons stand in the reeds"


class Forwarding(harness.Instance):
    def start(self, zone, **settings):
        self.there = self.base + 5525
        self.init(**zone.settings(), relay_port=self.there, queue_retry=1, queue_retry_max=2, **settings)
        for name in ("alice", "bob", "carol"):
            self.add_account(name)
        self.add_account("dave", algo="rsa")
        return self.serve()

    def forward(self, account, to, *options, check=True):
        return self.run("account", "set", account, "--forward", to, *options, check=check)

    def queue(self):
        return json.loads(self.run("queue", "list", "--json").stdout)

    def counter(self, name):
        return sum(r["counters"].get(name, 0) for r in self.status()["roles"] if r["role"] == "ingest")

    @contextlib.contextmanager
    def set(self, **settings):
        path = self.dir / "letterlock.conf"
        before = path.read_text()
        self.configure(**settings)
        try:
            self.run("reload")
            yield
        finally:
            path.write_text(before)
            self.run("reload")

    def bodies(self, address):
        return [self.unseal(m).decode(errors="replace") for m in self.fetch_all(address).values()]


@pytest.fixture(scope="module")
def i():
    with names.start({"test": ZONE}) as zone, Forwarding() as i:
        i.start(zone)
        yield i


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "i" not in request.fixturenames:
        return
    i = request.getfixturevalue("i")
    for address in (ALICE, BOB, CAROL, DAVE):
        i.run("account", "release", address)
        i.forward(address, "none")
        c = i.imap(address)
        if c.select("INBOX")[1] != [b"0"]:
            c.store("1:*", "+FLAGS", r"(\Deleted)")
            c.expunge()
        c.logout()


@pytest.fixture
def peer(i):
    with Peer(i.there) as peer:
        yield peer


def eventually(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def letter(subject=SECRET, body=SECRET, sender=SENDER, **how):
    return harness.mail(subject=subject, body=body + "\n", sender=sender, **how)


def arrived(peer, n=1):
    eventually(lambda: len(peer.mails) >= n)
    assert len(peer.mails) == n
    return peer.mails[-1]


def path_of(mail):
    """The return path of a forwarded mail, as SRS writes it."""
    assert re.fullmatch(rf"SRS0=[A-Z2-7]{{8}}=[A-Z2-7]{{2}}=example\.test=sender@{harness.DOMAIN}", mail.sender), mail
    return mail.sender


def test_in_the_clear_nothing_goes_unless_the_operator_says_so(i, peer):
    p = i.forward(ALICE, FRIEND, check=False)
    assert p.returncode == 1 and b"in the clear" in p.stderr and b"forward_plaintext" in p.stderr
    assert "forward" not in i.run("account", "show", ALICE).stdout.decode() and i.status()["forwarding"] == []
    with i.set(forward_plaintext="yes"):
        p = i.forward(ALICE, FRIEND, "--forward-only")
        assert b"in the clear" in p.stderr
        assert f"forward  to {FRIEND}, IN THE CLEAR; no copy is kept" in i.run("account", "show", ALICE).stdout.decode()
        assert f"forwarded to {FRIEND}, IN THE CLEAR" in i.run("account", "list").stdout.decode()
        assert f"forwarded: {ALICE} to {FRIEND}, IN THE CLEAR" in i.run("status").stdout.decode()
        assert i.status()["forwarding"] == [{"account": ALICE, "to": FRIEND, "how": "clear", "copy": False}]
        message = letter()
        i.send(ALICE, message, sender=SENDER)
        mail = arrived(peer)
        path_of(mail)
        assert mail.recipients == [FRIEND] and mail.octets.endswith(message)
        assert mail.octets.startswith(f"Delivered-To: {ALICE}\r\nReceived: from ".encode())
        assert i.fetch_all(ALICE) == {}
        assert i.logged(r"ingest\S* forwarded account=\d+ how=clear id=[0-9a-f]{16}")
    # Nor does it go on when the operator takes his word back: it is kept, though no copy was to be.
    start, kept = len(i.log()), i.counter("forwards_kept")
    assert "all is kept" in i.run("account", "show", ALICE).stdout.decode()
    i.send(ALICE, letter(), sender=SENDER)
    assert len(i.fetch_all(ALICE)) == 1 and i.queue() == []
    assert i.logged(r"warn .*ingest\S* forward-kept account=\d+ reason=no-key", start)
    assert i.counter("forwards_kept") == kept + 1 and len(peer.mails) == 1


@pytest.mark.parametrize("who", [ALICE, DAVE])  # one whose key is our engine's, and one whose is gpg's
@pytest.mark.parametrize("options", [(), ("--forward-only",)])
def test_sealed_to_the_account_s_own_keys(i, peer, who, options):
    i.forward(who, FRIEND, "--forward-own-keys", *options)
    assert "sealed to the account's own keys" in i.run("account", "show", who).stdout.decode()
    i.send(who, letter(), sender=SENDER)
    mail = arrived(peer)
    path_of(mail)
    outer = email.message_from_bytes(mail.octets)
    assert outer.get_content_type() == "multipart/encrypted" and outer["Subject"] == "[...]"
    assert outer["From"] == SENDER and SECRET.encode() not in mail.octets
    inner = email.message_from_bytes(i.keyring.decrypt(harness.armor_of(mail.octets)))
    assert inner["Subject"] == SECRET and inner.get_payload() == SECRET + "\r\n" and inner.get_param("hp") == "cipher"
    assert len(i.fetch_all(who)) == (0 if options else 1)


def test_own_keys_that_end_after_rcpt(i, peer):
    """What was to be sealed to them never goes in the clear, whatever the configuration allows to others."""
    gina = i.add_account("gina")
    revocation = i.place / "gina.rev"
    made_by_gpg = i.keyring.path / "openpgp-revocs.d" / f"{i.keyring.fingerprint(gina)}.rev"
    revocation.write_text(made_by_gpg.read_text().replace(":-----BEGIN", "-----BEGIN"))
    i.forward(gina, FRIEND, "--forward-own-keys", "--forward-only")
    with i.set(forward_plaintext="yes"), smtplib.SMTP("127.0.0.1", i.port("smtp"), timeout=60) as s:
        s.ehlo()
        assert s.mail(SENDER)[0] == s.rcpt(gina)[0] == 250
        i.run("key", "revoke", gina, revocation)
        assert 400 <= s.data(letter())[0] < 500
    assert i.queue() == [] and peer.mails == []


def test_nothing_readable_waits(i):
    """Nobody takes it yet: it lies in the queue."""
    with i.set(forward_plaintext="yes"):
        i.forward(ALICE, FRIEND)
        i.send(ALICE, letter(), sender=SENDER)
        queued = i.queue()
        assert len(queued) == 1 and queued[0]["forwarded"] and queued[0]["recipients"][0]["to"] == FRIEND
        for file in pathlib.Path(i.dir).rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                assert SECRET.encode() not in data and FRIEND.encode() not in data and SENDER.encode() not in data, file
        i.run("queue", "remove", queued[0]["id"])


def test_what_is_encrypted_goes_as_it_is(i, peer):
    armour = i.keyring.gpg("--armor", "--encrypt", "--recipient", ALICE,
                           data=b"Content-Type: text/plain\r\n\r\nIn a client\r\n").stdout.decode()
    body = ("--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\n"
            f"Content-Type: application/octet-stream\n\n{armour}\n--b--\n")
    kind = 'MIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n'
    message = letter(body=body, extra=kind)
    with i.set(forward_plaintext="yes"):
        i.forward(ALICE, FRIEND)
    i.send(ALICE, message, sender=SENDER)  # nothing of it is in the clear
    assert arrived(peer).octets.endswith(message)
    i.send(ALICE, letter(body=body.replace(armour, SECRET), extra=kind), sender=SENDER)  # a label is none
    assert len(i.fetch_all(ALICE)) == 2 and i.queue() == [] and len(peer.mails) == 1


def test_to_an_account_here(i, peer):
    i.forward(ALICE, BOB, "--forward-only")
    assert f"forward  to {BOB}, which is here" in i.run("account", "show", ALICE).stdout.decode()
    i.send(ALICE, letter(), sender=SENDER)
    assert i.fetch_all(ALICE) == {} and len(i.bodies(BOB)) == 1 and SECRET in i.bodies(BOB)[0]
    # In a ring it ends where it has been.
    i.forward(BOB, CAROL, "--forward-only")
    i.forward(CAROL, ALICE, "--forward-only")
    i.send(ALICE, letter(subject="ring"), sender=SENDER)
    assert i.fetch_all(ALICE) == {} and len(i.fetch_all(BOB)) == 1 and len(i.fetch_all(CAROL)) == 1
    i.forward(CAROL, ALICE)
    i.forward(BOB, CAROL)
    i.send(BOB, letter(subject="copies"), sender=SENDER)
    assert (len(i.fetch_all(ALICE)), len(i.fetch_all(BOB)), len(i.fetch_all(CAROL))) == (0, 2, 2)
    assert i.queue() == [] and peer.mails == []


def test_to_an_address_here_that_is_no_more(i, peer):
    away = f"away@{harness.DOMAIN}"
    i.run("alias", "add", away, BOB)
    i.forward(ALICE, away, "--forward-only", "--forward-own-keys")
    i.run("alias", "remove", away)
    said = f"to {away}, but nobody here has that address any more: all is kept"
    assert said in i.run("account", "show", ALICE).stdout.decode() and said in i.run("status").stdout.decode()
    start = len(i.log())
    i.send(ALICE, letter(), sender=SENDER)
    assert i.logged(r"forward-kept account=\d+ reason=no-user", start)
    assert len(i.fetch_all(ALICE)) == 1 and i.queue() == [] and peer.mails == []


@pytest.mark.parametrize("word", ["always", "opportunistic"])
def test_what_its_sender_had_sealed_is_never_in_the_clear(i, peer, word):
    """Nor by way of a second account here, which had its own copy."""
    with i.set(forward_plaintext="yes"):
        i.forward(BOB, CAROL)
        i.forward(CAROL, FRIEND)
        i.run("account", "set", ALICE, "--encrypt", word)
        start = len(i.log())
        s = i.submission(ALICE)
        s.sendmail(ALICE, BOB, letter(sender=ALICE))
        s.quit()
        i.run("account", "set", ALICE, "--encrypt", "never")
        assert [len(i.fetch_all(a)) for a in (BOB, CAROL)] == [1, 1]
        assert i.logged(r"forward-kept account=\d+ reason=no-key", start)
        assert i.queue() == [] and peer.mails == []


def test_by_any_of_its_addresses(i, peer):
    i.run("alias", "add", f"al@{harness.DOMAIN}", ALICE)
    i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
    i.send([f"al@{harness.DOMAIN}", f"alice+list@{harness.DOMAIN}", BOB], letter(), sender=SENDER)
    eventually(lambda: len(peer.mails) == 2)
    assert len(i.fetch_all(ALICE)) == 0 and len(i.fetch_all(BOB)) == 1
    i.forward(ALICE, BOB)  # who gets it in any case
    i.send([ALICE, BOB], letter(), sender=SENDER)
    assert len(i.fetch_all(ALICE)) == 1 and len(i.fetch_all(BOB)) == 2
    i.run("alias", "remove", f"al@{harness.DOMAIN}")


def test_a_large_one_is_kept_rather_than_refused(i, peer):
    """There is no memory to seal it once more."""
    with i.set(message_max="3 MB", plaintext_budget_peer="3 MB"):
        i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
        start = len(i.log())
        i.send(ALICE, letter(body=("x" * 70 + "\n") * 30000), sender=SENDER)
        assert i.logged(r"forward-kept account=\d+ reason=no-memory", start)
        assert len(i.fetch_all(ALICE)) == 1 and i.queue() == []


def test_a_full_mailbox_forwards(i, peer):
    i.run("account", "set", ALICE, "--quota", "1")
    i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
    i.send(ALICE, letter(), sender=SENDER)
    arrived(peer)
    i.run("account", "hold", ALICE)  # what cannot go on finds no room
    with pytest.raises(smtplib.SMTPDataError) as refused:
        i.send(ALICE, letter(), sender=SENDER)
    assert refused.value.smtp_code == 452
    i.run("account", "set", ALICE, "--quota", "0")


@pytest.mark.parametrize("to", ["x", "a@b@c", "none@", "a@[192.0.2.1]", "a b@c.test", "<a@c.test>",
                                "a@c.test>,<b@d.test"])
def test_what_is_no_address(i, to):
    p = i.forward(ALICE, to, check=False)
    assert p.returncode == 2 and b"--forward takes" in p.stderr


def test_words_that_make_no_sense(i):
    for words, code, said in ((("--forward-only",), 2, b"go with --forward"), (("--forward", ALICE), 1, b"own address"),
                              (("--forward", f"nobody@{harness.DOMAIN}"), 1, b"nobody here"),
                              (("--forward", "none", "--forward-own-keys"), 2, b"go with --forward")):
        p = i.run("account", "set", ALICE, *words, check=False)
        assert p.returncode == code and said in p.stderr, words


def bounced(i, to, message=None, sender=""):
    """What RCPT is answered, and the end."""
    with i.smtp() as s:
        s.ehlo()
        s.docmd("MAIL", f"FROM:<{sender}>")
        code = s.docmd("RCPT", f"TO:<{to}>")[0]
        if code != 250 or message is None:
            return code
        return s.data(message)[0]


BOUNCE = harness.crlf("From: MAILER-DAEMON@there.test\nTo: x\nSubject: failed\n\nIt did not go.\n")


def test_a_bounce_comes_back_to_the_sender(i, peer):
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    i.send(ALICE, letter(), sender=SENDER)
    path = path_of(arrived(peer))
    # Relays fold the case of a local part.
    for n, spelt in enumerate((path, path.lower(), path.upper())):
        assert bounced(i, spelt, BOUNCE) == 250
        eventually(lambda: len(peer.mails) == n + 2)
        mail = peer.mails[-1]
        assert mail.sender == "" and mail.recipients[0].lower() == SENDER and mail.octets.endswith(BOUNCE)
    assert [len(i.fetch_all(a)) for a in (ALICE, BOB)] == [1, 0]


def test_a_bounce_for_somebody_here(i, peer):
    """Whose address a stranger has used."""
    i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
    i.send(ALICE, letter(), sender=BOB)
    path = arrived(peer).sender
    assert re.fullmatch(rf"SRS0=[A-Z2-7]{{8}}=[A-Z2-7]{{2}}={harness.DOMAIN}=bob@{harness.DOMAIN}", path)
    assert bounced(i, path, BOUNCE) == 250
    assert len(i.fetch_all(BOB)) == 1 and i.queue() == [] and len(peer.mails) == 1
    # Names that only begin so are people's.
    i.run("alias", "add", f"srs0@{harness.DOMAIN}", BOB)
    i.send(f"srs0+list@{harness.DOMAIN}", letter(), sender=SENDER)
    assert len(i.fetch_all(BOB)) == 2
    i.run("alias", "remove", f"srs0@{harness.DOMAIN}")


def test_a_refusal_comes_back_to_the_sender(i):
    """The server there refuses what our relay brings."""
    with Peer(i.there, rcpt=lambda line: "550 5.1.1 nobody" if "riend" in line else "250 ok") as peer:
        i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
        i.send(ALICE, letter(), sender=SENDER)
        mail = arrived(peer)
        assert mail.sender == "" and mail.recipients == [SENDER]
        report = email.message_from_bytes(mail.octets)
        assert report.get_content_type() == "multipart/report"
        assert f"Original-Recipient: rfc822; {ALICE}" in report.as_string() and "Status: 5.1.1" in report.as_string()
        assert SECRET.encode() not in mail.octets and i.queue() == []
        # Of mail from the null path nobody is told.
        i.send(ALICE, letter(), sender="")
        eventually(lambda: i.queue() == [])
        assert len(peer.mails) == 1
    i.run("suppression", "remove", FRIEND)


def test_no_relay_for_strangers(i, peer):
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    i.send(ALICE, letter(), sender=SENDER)
    path = path_of(arrived(peer))
    local, _, domain = path.partition("@")
    h, t = local[5:13], local[14:16]
    forged = [path.replace(h, "AAAAAAAA"), path.replace(f"={t}=", "=AA="), path.replace("example.test", "other.test"),
              path.replace("=sender@", "=victim@"), local[:-1] + "@" + domain, local + "x@" + domain,
              "SRS1" + path[4:], path.replace("SRS0=", "SRS0+"), path.replace("SRS0=", "SRS0=="), f"SRS0={h}@{domain}",
              f"SRS0={h}={t}=@{domain}", f"SRS0=@{domain}", f"SRS0@{domain}", f"SRS1={h}=example.test==x@{domain}",
              f"SRS0={h}={t}=example.test=@{domain}", f"SRS0={h}={t}==sender@{domain}"]
    for address in forged:
        with i.smtp() as s:
            s.ehlo()
            s.docmd("MAIL", "FROM:<>")
            code, text = s.docmd("RCPT", f"TO:<{address}>")
            assert (code, text[:5]) == (550, b"5.1.1"), address
    with i.smtp() as s:
        s.ehlo()
        s.docmd("MAIL", "FROM:<>")
        assert s.docmd("RCPT", f"TO:<{local}@elsewhere.test>")[0] == 550
    # With a sender it is no bounce.
    assert bounced(i, path, BOUNCE, sender="spammer@evil.test") == 550
    assert len(peer.mails) == 1 and i.queue() == []


def test_nobody_from_outside_is_one_of_us(i, peer):
    """Our return path would speak for our domain: what says it was written here, and was not, goes nowhere; and of what
    goes nothing is signed."""
    i.run("domain", "dns", harness.DOMAIN)
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    start = len(i.log())
    for author in (BOB, f"Bob <{BOB}>", f'"x" <ceo@{harness.DOMAIN.upper()}>', f"a@example.test, {BOB}"):
        i.send(ALICE, letter(sender=author), sender=SENDER)
    assert i.logged(r"forward-kept account=\d+ reason=not-own-address", start)
    assert len(i.fetch_all(ALICE)) == 4 and i.queue() == []
    # One of us may.
    s = i.submission(BOB)
    s.sendmail(BOB, ALICE, letter(sender=BOB))
    s.quit()
    mail = arrived(peer)
    assert mail.sender == BOB
    i.send(ALICE, letter(), sender=SENDER)
    assert b"DKIM-Signature" not in arrived(peer, 2).octets
    assert b"DKIM-Signature" not in mail.octets


def test_a_loop_ends(i, peer):
    """The server there sends it back here."""
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    i.send(ALICE, letter(), sender=SENDER)
    mail = arrived(peer)
    start = len(i.log())
    i.send(ALICE, mail.octets, sender=mail.sender)
    assert i.logged(r"forward-kept account=\d+ reason=loop", start)
    assert len(i.fetch_all(ALICE)) == 2 and i.queue() == [] and len(peer.mails) == 1


def test_two_servers_that_forward_to_one_another():
    """Each seals what it sends on: a loop is seen all the same."""
    zone = {harness.DOMAIN: "@ MX 10 mx\nmx A 127.0.0.1", "there.test": "@ MX 10 mx\nmx A 127.0.0.1"}
    with names.start(zone) as n, harness.Instance() as here, harness.Instance(domain="there.test") as there:
        bob = f"bob@{there.domain}"
        for one, other, address in ((here, there, ALICE), (there, here, bob)):
            one.init(**n.settings(), relay_port=other.port("smtp"), queue_retry=1, queue_retry_max=2)
            one.add_account(address)
        here.run("account", "set", ALICE, "--forward", bob, "--forward-own-keys")
        there.run("account", "set", bob, "--forward", ALICE, "--forward-own-keys")
        here.serve()
        there.serve()
        here.send(ALICE, letter(), sender=SENDER)
        assert here.logged(r"forward-kept account=\d+ reason=loop", wait=120)
        assert len(here.fetch_all(ALICE)) == 2 and len(there.fetch_all(bob)) == 1
        assert here.run("queue", "list", "--json").stdout.strip() == b"[]"


def test_a_retry_makes_no_doubles(i):
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    message = letter()
    for _ in range(3):
        i.send(ALICE, message, sender=SENDER)
    queued = i.queue()
    assert len(queued) == 1
    i.run("queue", "remove", queued[0]["id"])


def test_past_its_part_of_the_limit_it_is_kept(i, peer):
    """And whose account it is sends on: strangers hold nobody."""
    with i.set(send_messages_day=6, queue_retry=1):
        i.forward(CAROL, FRIEND, "--forward-own-keys", "--forward-only")
        start = len(i.log())
        for _ in range(5):
            i.send(CAROL, letter(), sender=SENDER)
        eventually(lambda: len(peer.mails) == 3)
        assert len(i.fetch_all(CAROL)) == 2 and i.status()["sending"] == []
        assert i.logged(r"forward-kept account=\d+ reason=held", start)
        s = i.submission(CAROL)
        for _ in range(3):
            assert s.sendmail(CAROL, "x@there.test", letter(sender=CAROL)) == {}
        s.quit()
        eventually(lambda: len(peer.mails) == 6)
        i.run("account", "hold", CAROL)
        i.send(CAROL, letter(), sender=SENDER)
        assert len(i.fetch_all(CAROL)) == 3


def test_a_sender_that_cannot_be_written(i, peer):
    """A bounce of it comes to whose mail it is."""
    i.forward(ALICE, FRIEND, "--forward-own-keys", "--forward-only")
    for n, sender in enumerate((f"{'x' * 60}@example.test", '"a b"@example.test', f"a@{'x' * 50}.test")):
        i.send(ALICE, letter(), sender=sender)
        assert arrived(peer, n + 1).sender == ALICE
    i.send(ALICE, letter(), sender="")
    assert arrived(peer, 4).sender == ""
    # And of what others have forwarded the first of them is asked.
    i.send(ALICE, letter(), sender="SRS0=HHHH=TT=a.test=b@first.test")
    path = arrived(peer, 5).sender
    assert re.fullmatch(rf"SRS1=[A-Z2-7]{{8}}=first\.test==HHHH=TT=a\.test=b@{harness.DOMAIN}", path)
    assert bounced(i, path, BOUNCE) == 250
    assert arrived(peer, 6).recipients == ["SRS0=HHHH=TT=a.test=b@first.test"]


@pytest.mark.parametrize("role", ["ingest", "vault"])
def test_killed(i, role):
    """Whoever dies, a sender who was not told 250 comes again, and it goes once."""
    i.forward(ALICE, FRIEND, "--forward-own-keys")
    message = letter()

    def told(before_the_dot=lambda: None):
        with contextlib.suppress(OSError, smtplib.SMTPException), i.smtp() as s:
            s.ehlo()
            s.docmd("MAIL", f"FROM:<{SENDER}>")
            s.docmd("RCPT", f"TO:<{ALICE}>")
            s.docmd("DATA")
            before_the_dot()
            s.send(message + b".\r\n")
            return s.getreply()[0] == 250
        return False

    if not told(lambda: [os.kill(pid, signal.SIGKILL) for pid in i.pids(role)]):
        eventually(told)
    assert len(i.queue()) == len(i.fetch_all(ALICE)) == 1
    i.run("queue", "remove", i.queue()[0]["id"])


def test_audit_finds_nothing(i):
    assert i.run("audit").returncode == 0
