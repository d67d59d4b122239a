"""Mail from the world is judged before it is sealed: a real name server says what the authors' domains publish, and
what becomes of each mail is seen in the session, in the mailboxes, and in what gpg opens."""
import base64
import contextlib
import os
import re
import signal
import smtplib
import socket
import subprocess
import threading

import dkim
import pytest

import arc_sealer
import harness
import names

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE, BOB, CAROL = (f"{n}@{harness.DOMAIN}" for n in ("alice", "bob", "carol"))
HERE, ELSEWHERE = "127.0.0.2", "127.0.0.3"  # the first one may send for good.test


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Signer:
    """With an RSA and an Ed25519 key (RFC 8463)."""

    def __init__(self):
        self.rsa = openssl("genrsa", "-traditional", "2048")
        self.ed = openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER")

    def records(self):
        raw = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", data=self.ed)[-32:]
        text = base64.b64encode(openssl("rsa", "-pubout", "-outform", "DER", data=self.rsa)).decode()
        return (f'rsa._domainkey.good TXT "v=DKIM1; p={text[:200]}" "{text[200:]}"\n'
                f'ed._domainkey.good TXT "v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"\n')

    def sign(self, message, domain="good.test"):
        one = dkim.sign(message, b"rsa", domain.encode(), self.rsa)
        two = dkim.sign(message, b"ed", domain.encode(), base64.b64encode(self.ed[-32:]),
                        signature_algorithm=b"ed25519-sha256")
        return one + two + message


SIGNER = Signer()
LIST = arc_sealer.Key("list", 2048)
ZONE = f"""
mx A {HERE}
good TXT "v=spf1 ip4:{HERE} -all"
_dmarc.good TXT "v=DMARC1; p=reject"
mx.good A {HERE}
mx.good TXT "v=spf1 a -all"
quarantine TXT "v=spf1 -all"
_dmarc.quarantine TXT "v=DMARC1; p=quarantine"
careless TXT "v=spf1 -all"
macro TXT "v=spf1 exists:%{{l}}.%{{i}}._spf.macro.test -all"
_dmarc.macro TXT "v=DMARC1; p=reject"
joe+x=y.{HERE}._spf.macro A 127.0.0.9
loop TXT "v=spf1 include:loop2.test -all"
loop2 TXT "v=spf1 include:loop.test -all"
_dmarc.loop TXT "v=DMARC1; p=reject"
dead NS ns.nowhere
ns.nowhere A 127.0.0.250
half TXT "v=spf1 include:x.dead.test -all"
_dmarc.half TXT "v=DMARC1; p=reject"
{SIGNER.records()}"""
FRESH = [[f"f{n}x{k}" for k in range(12)] for n in range(6)]  # domains that are asked for once
ZONE += "".join(f'{f} TXT "v=spf1 ip4:{HERE} -all"\n_dmarc.{f} TXT "v=DMARC1; p=reject"\n' for f in sum(FRESH, []))
LISTS = f"""
_dmarc.d1 TXT "v=DMARC1; p=reject"
list._domainkey TXT "{LIST.record[:200]}" "{LIST.record[200:]}"
"""
REVERSE = "2.0.0 PTR mx.test.\n"


class Home:
    def __init__(self, i):
        self.i = i

    def smtp(self, peer, helo):
        return smtplib.SMTP("127.0.0.1", self.i.port("smtp"), local_hostname=helo, source_address=(peer, 0),
                            timeout=120)

    def send(self, message, sender="a@good.test", to=ALICE, peer=HERE, helo="mx.test"):
        """The reply to its end."""
        with self.smtp(peer, helo) as s:
            try:
                s.sendmail(sender, [to], message, mail_options=["BODY=8BITMIME"])
                return 250, b""
            except smtplib.SMTPDataError as e:
                return e.smtp_code, e.smtp_error

    def last(self, who=ALICE, mailbox="INBOX"):
        """What gpg opens of the newest one, as it is rendered to its reader; and what was sent."""
        got = self.i.fetch_all(who, mailbox)
        rendered = got[max(got)]
        return self.i.keyring.decrypt(harness.armor_of(rendered)), self.i.unseal(rendered)

    def count(self, who=ALICE, mailbox="INBOX"):
        return len(self.i.fetch_all(who, mailbox))

    def counter(self, name):
        return self.i.counters("ingest").get(name, 0)

    @contextlib.contextmanager
    def set(self, **settings):
        before = (self.i.dir / "letterlock.conf").read_text()
        self.i.configure(**settings)
        self.i.run("reload")
        try:
            yield
        finally:
            (self.i.dir / "letterlock.conf").write_text(before)
            self.i.run("reload")


@pytest.fixture(scope="module")
def home():
    zones = {"test": ZONE, "example.org": LISTS, "0.127.in-addr.arpa": REVERSE.replace("2.0.0", "2.0")}
    with names.start(zones) as zone, harness.Instance() as i:
        i.init(**zone.settings(), auth_exempt="127.0.0.1", ingest_instances=1, access_instances=1, relay_instances=1)
        for name in ("alice", "bob", "carol"):
            i.add_account(name)
        i.run("account", "set", CAROL, "--forward", "carol@else.example", "--forward-own-keys")
        i.serve()
        yield Home(i)


def mail(author="a@good.test", extra="", **how):
    return harness.mail(sender=author, extra=extra, **how)


def ours(opened):
    """The Authentication-Results of our name, unfolded, as a reader's program finds them."""
    head = re.sub(rb"\r?\n[ \t]+", b" ", re.split(rb"\r?\n\r?\n", opened, maxsplit=1)[0]).decode()
    return re.findall(rf"(?m)^Authentication-Results: ({re.escape(harness.DOMAIN)};.*)$", head)


def test_good_mail(home):
    """A signature, the other of its domain spared, SPF, the peer's names; the verdict stands inside the seal, on top,
    and undoing it gives back what was sent."""
    sent = SIGNER.sign(mail(subject="good"))
    assert home.send(sent)[0] == 250
    opened, undone = home.last()
    assert undone == sent
    (said,) = ours(opened)
    assert said.startswith(f"{harness.DOMAIN}; dmarc=pass policy.dmarc=reject header.from=good.test; ")
    assert "spf=pass smtp.mailfrom=good.test" in said and f"iprev=pass policy.iprev={HERE}" in said
    assert re.findall(r"dkim=(\w+)[^;]* header\.d=good\.test header\.s=(\w+)", said) == [
        ("pass", "rsa"), ("neutral", "ed")], said
    top = [line.split(b":")[0] for line in opened.splitlines() if re.match(rb"[A-Z][A-Za-z-]+:", line)]
    assert top[:4] == [b"Letterlock-Seal", b"Return-Path", b"Received", b"Authentication-Results"]


@pytest.mark.parametrize("forged", [
    "Authentication-Results: {}; dmarc=pass header.from=bank.example",
    "authentication-results: {}; dmarc=pass",
    'Authentication-Results: "{}" 1; dmarc=pass',
    "Authentication-Results: (of ours)\r\n {}; dmarc=pass",
    "Authentication-Results:\r\n\t{};\r\n\tdmarc=pass",
    "Authentication-Results : {}; dmarc=pass",
    "Authentication-Results: {}.; dmarc=pass",
])
def test_forged_results_are_renamed(home, forged):
    forged = forged.format(harness.DOMAIN.upper())
    other = "Authentication-Results: mx.elsewhere.example; dmarc=pass\r\n"
    sent = mail(author="b@careless.test", extra=f"{forged}\r\n{other}", subject="forged")
    assert home.send(sent, sender="b@good.test")[0] == 250
    opened, undone = home.last()
    assert undone == sent and len(ours(opened)) == 1 and "dmarc=none" in ours(opened)[0]
    readers = re.findall(rb"(?im)^authentication-results[ \t]*:", opened)
    assert len(readers) == 2, "ours, and that of another server"


def test_forged_results_are_renamed_however_many(home):
    """OpenDKIM leaves every second one (its issue 185)."""
    forged = f"Authentication-Results: {harness.DOMAIN}; dmarc=pass header.from=bank.example"
    sent = mail(author="b@careless.test", extra=f"{forged}\r\n" * 40, subject="forged")
    assert home.send(sent, sender="b@good.test")[0] == 250
    opened, undone = home.last()
    assert undone == sent and len(ours(opened)) == 1 and "dmarc=none" in ours(opened)[0]


@pytest.mark.parametrize("first, second, kept", [(HERE, ELSEWHERE, "INBOX"), (ELSEWHERE, HERE, "Junk")])
def test_a_retry_with_another_verdict_is_no_second_copy(home, first, second, kept):
    """Whoever has not read that it is stored may send again."""
    sent, before = mail(subject=f"retried in {kept}"), {box: home.count(mailbox=box) for box in ("INBOX", "Junk")}
    with home.set(auth_reject="no"):
        for peer in first, second:
            s = home.smtp(peer, "mx.test")
            s.ehlo()
            assert s.mail("a@good.test")[0] == s.rcpt(ALICE)[0] == 250 and s.docmd("DATA")[0] == 354
            s.send(sent + b".\r\n")
            assert s.sock.recv(4, socket.MSG_PEEK)[:1] == b"2"
            s.close()  # with the reply unread: a reset
    assert {box: home.count(mailbox=box) for box in before} == {**before, kept: before[kept] + 1}
    assert home.last(mailbox=kept)[1] == sent


def test_spoofed_mail_is_refused(home):
    before, refused = home.count(), home.counter("refused_auth")
    code, words = home.send(mail(subject="spoofed"), peer=ELSEWHERE)
    assert code == 550 and words.startswith(b"5.7.1 It fails DMARC")
    assert home.count() == before and home.counter("refused_auth") == refused + 1
    home.i.logged(r" mail at=end reason=dmarc reply=550 status=5\.7\.1 ")
    assert "good.test" not in home.i.log(), "nothing names the author"
    with home.set(auth_reject="no"):
        assert home.send(mail(subject="spoofed"), peer=ELSEWHERE)[0] == 250
    opened, _ = home.last(mailbox="Junk")
    assert "dmarc=fail" in ours(opened)[0]
    with home.set(auth_reject="no", auth_junk="no"):
        assert home.send(mail(subject="spoofed"), peer=ELSEWHERE)[0] == 250
    assert home.count() == before + 1


def test_a_changed_body_proves_nothing(home):
    sent = SIGNER.sign(mail(subject="changed")).replace(b"A body.", b"B body.")
    assert home.send(sent, sender="x@careless.test", peer=ELSEWHERE)[0] == 550
    assert home.send(SIGNER.sign(mail(subject="as it was")), sender="x@careless.test", peer=ELSEWHERE)[0] == 250
    assert "spf=fail" in ours(home.last()[0])[0]


def test_quarantine_goes_to_the_mailbox_for_it(home):
    inbox, junk = home.count(), home.count(mailbox="Junk")
    sent = mail(author="q@quarantine.test", subject="doubtful")
    assert home.send(sent, sender="q@quarantine.test")[0] == 250
    assert (home.count(), home.count(mailbox="Junk")) == (inbox, junk + 1)
    opened, undone = home.last(mailbox="Junk")
    assert undone == sent and "dmarc=fail" in ours(opened)[0]
    home.i.logged(r" mail at=end reason=junk reply=250 ")
    m = home.i.imap(BOB)
    assert m.delete("Junk")[0] == "OK"
    m.logout()
    assert home.send(mail(author="q@quarantine.test"), sender="q@quarantine.test", to=BOB)[0] == 250
    assert home.count(BOB) == 1, "who has no such mailbox"


@pytest.mark.parametrize("author", [
    "From: a@good.test\r\nFrom: b@good.test\r\n",
    "From: a@good.test, c@careless.test\r\n",
    'From: "ceo@bank.example" <a@good.test>, x <y@careless.test>\r\n',
    "From: friends: a@good.test;\r\n",
    "From : a@good.test\r\n",
    "Subject: nobody\r\n",
])
def test_an_author_that_nobody_can_tell(home, author):
    sent = (author + "To: x\r\nSubject: who\r\n\r\ntext\r\n").encode()
    inbox, junk = home.count(), home.count(mailbox="Junk")
    assert home.send(sent)[0] == 250
    assert (home.count(), home.count(mailbox="Junk")) == (inbox, junk + 1)
    with home.set(auth_author_reject="yes"):
        assert home.send(sent)[0] == 550


def test_spf_alone(home):
    """Refuses nothing unless the operator says so, nor what passes DMARC."""
    sent = mail(author="b@careless.test")
    assert home.send(sent, sender="b@careless.test")[0] == 250
    assert "spf=fail" in ours(home.last()[0])[0]
    with home.set(auth_spf_reject="yes"):
        code, words = home.send(sent, sender="b@careless.test")
        assert code == 550 and words.startswith(b"5.7.23 ")
        assert home.send(SIGNER.sign(mail()), sender="b@careless.test")[0] == 250


def test_a_bounce_is_judged_by_its_helo(home):
    sent = mail(author="mailer-daemon@good.test")
    assert home.send(sent, sender="", helo="mx.good.test")[0] == 250
    assert "spf=pass smtp.helo=mx.good.test" in ours(home.last()[0])[0]
    assert home.send(sent, sender="", helo="mx.test")[0] == 550


def test_names_with_what_senders_say(home):
    """A macro's name has octets that no host's has."""
    sent = mail(author="joe@macro.test")
    assert home.send(sent, sender="joe+x=y@macro.test")[0] == 250
    assert "spf=pass" in ours(home.last()[0])[0]
    assert home.send(sent, sender="joe+x=z@macro.test")[0] == 550
    assert home.send(sent, sender=r'"joe\\x y"@macro.test')[0] == 550


def test_loops_end(home):
    assert home.send(mail(author="l@loop.test"), sender="l@loop.test")[0] == 550
    assert home.send(SIGNER.sign(mail()), sender="l@loop.test")[0] == 250
    assert "spf=permerror" in ours(home.last()[0])[0]


def test_who_calls_himself_by_our_name(home):
    sent = SIGNER.sign(mail())
    assert home.send(sent, helo=harness.DOMAIN)[0] == 250
    with home.set(helo_reject="yes"):
        assert home.send(sent, helo=harness.DOMAIN)[0] == 550
        assert home.send(sent, helo="localhost")[0] == 250
        assert home.send(sent)[0] == 250


def test_lists_that_are_believed(home):
    def through_a_list():
        m = arc_sealer.Mail(LIST).seal()
        return m.octets()
    assert home.send(through_a_list(), sender="list@careless.test")[0] == 550
    with home.set(arc_trusted="other.example"):
        assert home.send(through_a_list(), sender="list@careless.test")[0] == 550
    with home.set(arc_trusted="other.example, Example.org"):
        assert home.send(through_a_list(), sender="list@careless.test")[0] == 250
        said = ours(home.last()[0])[0]
        assert "arc=pass" in said and "dmarc=fail" in said
        assert home.send(through_a_list() + b"more\r\n", sender="list@careless.test")[0] == 550


def test_what_cannot_be_told(home):
    """A name server that does not answer: what nobody knows the policy of is taken or put off as configured; what might
    have to be refused waits."""
    unknown = mail(author="x@dead.test")
    assert home.send(unknown, sender="a@good.test")[0] == 250
    assert "dmarc=temperror" in ours(home.last()[0])[0]
    with home.set(auth_unavailable="defer"):
        code, words = home.send(unknown, sender="a@good.test")
        assert code == 451 and words.startswith(b"4.7.1 It cannot be told now")
    half = mail(author="x@half.test")
    assert home.send(half, sender="x@half.test")[0] == 451
    assert home.send(half, sender="x@careless.test")[0] == 550, "what is unknown aligns with nothing"
    with home.set(auth_reject="no", auth_junk="no"):
        assert home.send(half, sender="x@half.test")[0] == 250


def test_what_goes_on(home):
    """Junk stays where it is, and what is refused does not go on."""
    assert home.send(mail(author="q@quarantine.test"), sender="q@quarantine.test", to=CAROL)[0] == 250
    home.i.logged(r" forward-kept .*reason=junk ")
    assert home.counter("forwarded") == 0 and home.count(CAROL, "Junk") == 1
    assert home.send(mail(), to=CAROL, peer=ELSEWHERE)[0] == 550
    assert home.send(SIGNER.sign(mail()), to=CAROL)[0] == 250
    assert home.counter("forwarded") == 1


def test_exempt(home):
    assert home.send(mail(), peer="127.0.0.1")[0] == 250
    assert ours(home.last()[0]) == []


def test_the_resolver_killed_under_load(home):
    """Never judged wrongly: what is spoofed is never taken, what is honest never refused for good. Nothing of these
    domains is kept before."""
    i, wrong, told = home.i, [], {}

    def kill():
        for pid in i.pids("resolver"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def sender(n):
        for k, domain in enumerate(FRESH[n]):
            if n == 0 and k % 3 == 1:
                kill()
            spoofed, author = n % 2 == 0, f"a@{domain}.test"
            code, _ = home.send(mail(author=author), sender=author, peer=ELSEWHERE if spoofed else HERE)
            told[code] = told.get(code, 0) + 1
            if code not in ((550, 451) if spoofed else (250, 451)):
                wrong.append((spoofed, code))

    with home.set(auth_unavailable="defer"):
        threads = [threading.Thread(target=sender, args=(n,)) for n in range(len(FRESH))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert wrong == [] and sum(told.values()) == sum(map(len, FRESH))
    assert i.logged("resolver 0 ended", wait=120)
    home.i.overlook_reports()
