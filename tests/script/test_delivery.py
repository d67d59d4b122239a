"""Delivery to servers that do as they like (tests/peers.py), all of it by one instance at once: what people submit is
delivered once, tried again, or given back to them, and never goes where or how it must not."""
import dataclasses
import email
import email.policy
import json
import re
import time

import harness
import names
import peers
import pytest
from peers import Peer, first

pytestmark = pytest.mark.needs(*names.NEEDS)

ALICE, BOB = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"
PORT = 725  # of the instance's base: relay_port
BODY = b".a dot\r\n..two\r\n.\r\nFrom here\r\n\r\nlast line\r\n"
UMLAUTS = "Grüße an alle\r\n.\r\nlast\r\n".encode()
LONG = b"Content-Type: text/plain; charset=us-ascii\r\n"
EIGHT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
PATIENCE = 90  # seconds, for all of it, on a busy machine
LATER, NOBODY = "450 4.2.0 later", "550 5.1.1 nobody of this name"
CRLF_IN_WORDS = b"550-5.1.1 first\r\n550-5.1.1 Final-Recipient: rfc822; mallory@evil.example\r\n550 5.1.1 last\r\n"
RAW_WORDS = b"550 5.1.1 \x1b[31m\x00\xff\xfe\xc2\x85<b>\xe2\x80\xae" + b"A" * 1500 + b"\r\n"


@dataclasses.dataclass
class Case:
    """What goes to bob@NAME.test, and what comes of it. outcome: "sent"; "late" (sent, but not by the first try);
    "failed"; "waits". times: transactions that the server saw; None: as many as there may be. mails: how many of them
    it took."""
    name: str
    outcome: str = "sent"
    status: str = ""
    peer: dict = None  # of Peer; None: nobody listens
    records: str = ""  # of the zone, in place of the MX
    policy: str = ""
    times: int = None
    mails: int = 1
    tls: bool = None
    body: bytes = BODY
    fields: bytes = b""
    sender: str = ALICE
    mail_options: tuple = ()
    rcpt_options: tuple = ("NOTIFY=FAILURE",)
    words: str = ""  # in the queue's list, of one that waits
    long: bool = False  # takes time, and is for the long run
    to: str = ""

    def __post_init__(self):
        self.to = self.to or f"bob@{self.name}.test"

    @property
    def domain(self):
        return self.to.partition("@")[2]


SENT = [
    Case("plain", peer={}, times=1, tls=False),
    Case("bare", peer={"ehlo": ()}, times=1),
    Case("helo", peer={"ehlo": "502 5.5.1 what"}, times=1),
    Case("lower", peer={"ehlo": b"250-peer\r\n250-pipelining\r\n250-8bitmime\r\n250 size\r\n"}, times=1),
    Case("chatty", times=1, peer={"greeting": b"220-peer\r\n220-has\r\n220 much to say\r\n",
                                  "end": b"250-2.0.0 ok\r\n250 x\r\n"}),
    Case("codes", peer={"mail": b"250\r\n", "rcpt": b"251\r\n", "end": b"250\r\n"}, times=1),
    Case("late-greeting", peer={"greeting": peers.late("220 peer", 2)}, times=1),
    Case("octets", peer={"greeting": peers.slowly("220 p", 0.2), "end": peers.slowly("250 k", 0.2)}, times=None),
    Case("octet-a-second", peer={"greeting": peers.slowly("220 peer", 1), "rcpt": peers.slowly("250 ok", 1)}, times=1,
         long=True),
    Case("slow-reader", peer={"window": 2048, "pace": 0.0002}, body=b"x" * 70 + b"\r\n" + BODY * 2000, times=1),
    Case("says-250-and-dies", peer={"after": b"\0\xff no reply at all\r\n"}, times=1),
    Case("says-421-behind", peer={"after": b"421 4.3.2 bye\r\n"}, times=1),
    Case("eight", peer={}, fields=EIGHT, body=UMLAUTS, times=1),
    Case("seven", peer={"ehlo": ("PIPELINING",)}, fields=EIGHT, body=UMLAUTS, times=1),
    Case("header-eight", peer={"ehlo": ("8BITMIME",)}, fields="Subject: Grüße\r\n".encode(), times=1),
    Case("header-latin", peer={"ehlo": ("8BITMIME", "SMTPUTF8")}, fields=b"Subject: Gr\xfc\xdfe\r\n", times=1),
    Case("long-lines", peer={}, fields=LONG, body=b"y" * 5000 + b"\r\n" + BODY, times=1),
    Case("a-only", peer={}, records="{name} A {host}", times=1),
    Case("second-mx", peer={}, records="{name} MX 5 {name}-dead\n{name} MX 20 mx.{name}\nmx.{name} A {host}\n"
         "{name}-dead A 127.0.1.254", times=1),
    Case("unknown-first", peer={}, records="{name} MX 5 {name}-no\n{name} MX 20 mx.{name}\nmx.{name} A {host}",
         times=1),
    Case("we-are-second", peer={}, records="{name} MX 5 mx.{name}\n{name} MX 10 letterlock.test.\nmx.{name} A {host}",
         times=1),
    Case("xn--bcher-kva", peer={}, times=1),
    Case("under_score", peer={}, times=1),
    Case("routed", peer={}, records="{name} MX 0 .", policy="route={host}", times=1),
    Case("success-there", peer={"ehlo": ("DSN",)}, mail_options=("RET=HDRS",), times=1,
         rcpt_options=("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;b+2Bb@o.example")),
]
LATE = [
    Case(name, "late", peer=how) for name, how in {
        "greylisted": {"rcpt": first(1, LATER, "250 ok")},
        "twice-greylisted": {"rcpt": first(2, LATER, "250 ok")},
        "greets-421": {"greeting": first(1, "421 4.3.2 busy", "220 peer")},
        "greets-554": {"greeting": first(1, "554 5.7.1 go away", "220 peer")},
        "helo-450": {"ehlo": first(1, "450 4.3.2 busy", "250 peer"), "helo": first(1, "450 4.3.2 busy", "250 peer")},
        "mail-451": {"mail": first(1, "451 4.3.0 later", "250 ok")},
        "mail-421": {"mail": first(1, "421 4.3.2 bye", "250 ok")},
        "rcpt-421": {"rcpt": first(1, "421 4.3.2 bye", "250 ok")},
        "data-451": {"data": first(1, "451 4.3.0 later", "354 go on")},
        "data-421": {"data": first(1, "421 4.3.2 bye", "354 go on")},
        "data-250": {"data": first(1, "250 2.0.0 taken", "354 go on")},
        "end-451": {"end": first(1, "451 4.3.0 later", "250 ok")},
        "end-421": {"end": first(1, "421 4.3.2 bye", "250 ok")},
        "end-452": {"end": first(1, "452 4.3.1 full", "250 ok")},
        "dies-greeting": {"greeting": first(1, None, "220 peer")},
        "dies-ehlo": {"ehlo": first(1, None, "250 peer")},
        "dies-mail": {"mail": first(1, None, "250 ok")},
        "dies-rcpt": {"rcpt": first(1, None, "250 ok")},
        "dies-data": {"data": first(1, None, "354 go on")},
        "dies-dot": {"end": first(1, None, "250 ok")},
        "bare-lf": {"mail": first(1, b"250 ok\n", "250 ok")},
        "bare-cr": {"rcpt": first(1, b"250 ok\r250 ok\r\n", "250 ok")},
        "no-smtp": {"greeting": first(1, b"HTTP/1.1 400 Bad Request\r\n", "220 peer")},
        "endless": {"mail": first(1, peers.endless(b"250-" + b"x" * 500 + b"\r\n"), "250 ok")},
        "endless-line": {"mail": first(1, peers.endless(b"250 " + b"x" * 5000), "250 ok")},
        "unasked": {"ehlo": first(1, b"250 peer\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n250 taken\r\n",
                                  "250 peer")},
        "early-end": {"data": first(1, b"354 go on\r\n250 2.0.0 taken\r\n", "354 go on")},
        "1xx": {"rcpt": first(1, "150 hm", "250 ok")},
        "3xx": {"rcpt": first(1, "354 hm", "250 ok")},
        "two-codes": {"rcpt": first(1, b"250-ok\r\n550 no\r\n", "250 ok")},
    }.items()] + [
    Case("dies-inside", "late", peer={"content": first(1, 50000, None)}, body=BODY * 3000),
    # The one way that mail comes twice: it was taken, and nobody could know.
    Case("dies-unsaid", "late", peer={"after": first(1, None, "")}, mails=2),
]
FAILED = [
    Case("nobody", "failed", "5.1.1", {"rcpt": NOBODY}, times=1),
    Case("refused", "failed", "5.7.1", {"mail": "550 5.7.1 not you"}, times=1),
    Case("no-data", "failed", "5.3.2", {"data": "554 5.3.2 no"}, times=1),
    Case("bad-content", "failed", "5.6.0", {"end": "554 5.6.0 spam"}, times=1),
    Case("early-552", "failed", "5.3.4", {"data": b"354 go on\r\n552 5.3.4 too big\r\n"}, times=1),
    Case("no-code", "failed", "5.0.0", {"rcpt": "550 no"}, times=1),
    Case("wrong-class", "failed", "5.2.1", {"rcpt": "550 2.2.1 ok"}, times=1),
    Case("many-lines", "failed", "5.1.1", {"rcpt": CRLF_IN_WORDS}, times=1),
    Case("odd-words", "failed", "5.1.1", {"rcpt": RAW_WORDS}, times=1),
    Case("too-large", "failed", "5.3.4", {"ehlo": ("SIZE 200",)}, times=0),
    Case("no-smtputf8", "failed", "5.6.7", {"ehlo": ("8BITMIME",)}, fields="Subject: Grüße\r\n".encode(), times=0,
         mail_options=("SMTPUTF8",)),
    Case("null-mx", "failed", "5.1.10", records="{name} MX 0 ."),
    Case("loop", "failed", "5.4.6", {}, records="{name} MX 10 letterlock.test.\nletterlock A {host}", times=0),
    Case("no-such.domain", "failed", "5.1.2", records="other A 127.0.0.1"),
    Case("no-address", "failed", "5.4.4", records="{name} TXT none"),
    Case("ret-full", "failed", "5.1.1", {"rcpt": NOBODY}, mail_options=("RET=FULL",)),
    Case("never-told", "failed", "", {"rcpt": NOBODY}, rcpt_options=("NOTIFY=NEVER",)),
    Case("null-path", "failed", "", {"rcpt": NOBODY}, sender="", rcpt_options=("NOTIFY=FAILURE",)),
]
WAITS = [
    Case("servfail", "waits", "4.4.3", to="bob@there.broken"),
    Case("refuses-all", "waits", "4.2.0", {"rcpt": LATER}, words="450 4.2.0 later"),
    Case("gone", "waits", "4.4.1"),
    Case("all-554", "waits", "5.7.1", {"greeting": "554 5.7.1 go away"}, times=0, words="554 5.7.1 go away"),
    Case("silent", "waits", "4.4.2", {"silent": True}, long=True),
]
OTHERS = [
    Case("success-here", peer={}, rcpt_options=("NOTIFY=SUCCESS",), times=1),
    Case("delayed", "waits", "4.2.0", {"rcpt": LATER}, rcpt_options=("NOTIFY=DELAY",)),
]


def tls(name, outcome="sent", starttls=None, **how):
    """starttls: of tests/peers.py, a certificate by its name. Where it must be had nothing is said before it is."""
    waits = {"times": 0, "status": "4.7.5"} if outcome == "waits" else {"times": 1}
    return Case(name, outcome, peer={"starttls": starttls} if starttls else {}, **{**waits, **how})


def garbage(said=""):
    """In place of a handshake, and not in one piece with the reply, which would be something else."""
    yield b"220 go on\r\n"
    time.sleep(0.2)
    yield b"this is no TLS\r\n" * 100


TLS = [
    tls("verified", starttls="good", policy="tls=verify", tls=True),
    tls("tls", starttls="other", tls=True),
    tls("tls-old", starttls="old", tls=True),
    tls("tls-454", starttls="454 4.7.0 not now", tls=False),
    tls("tls-554", starttls="554 5.7.0 no", tls=False),
    tls("tls-garbage", starttls=garbage, tls=False),
    tls("tls-dies", starttls=b"220 go on\r\n", tls=False),
    tls("pinned", starttls="other", policy="tls={pin}", tls=True),
    tls("tls-behind", "waits", ("other", b"250 2.0.0 slipped in\r\n")),
    tls("pinned-wrong", "waits", "other", policy="tls=" + "ab" * 32),
    tls("pinned-stripped", "waits", policy="tls={pin}"),
    tls("verify-none", "waits", policy="tls=verify"),
    tls("verify-other", "waits", "other", policy="tls=verify"),
    tls("verify-name", "waits", "good", policy="tls=verify"),
    tls("verify-454", "waits", "454 4.7.0 not now", policy="tls=verify"),
    tls("verify-garbage", "waits", garbage, policy="tls=verify"),
    tls("dane-none", "waits", policy="tls=dane"),
]
CASES = [c for c in SENT + LATE + FAILED + WAITS + OTHERS + TLS if not c.long or harness.here("the long run")]


def message(case):
    return (b"From: " + ALICE.encode() + b"\r\nTo: " + case.to.encode() + b"\r\nX-Case: " + case.name.encode()
            + b"\r\nMessage-ID: <" + case.name.encode() + b"@letterlock.test>\r\n"
            + b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            + (b"" if b"Subject:" in case.fields else b"Subject: about " + case.name.encode() + b"\r\n")
            + (b"MIME-Version: 1.0\r\n" if case.fields else b"") + case.fields + b"\r\n" + case.body)


class World:
    """The instance, its name server, the peers by their cases' names, and what has come of the cases."""

    def __init__(self, i, place):
        self.i, self.place, self.port = i, place, i.base + PORT
        self.peers, self.listed, self.notices = {}, {}, {}
        self.contexts = {"good": peers.context(place, "verified.test"), "other": peers.context(place, "other.test"),
                         "smart": peers.context(place, "smart.test"),
                         "old": peers.context(place, "old.test", expired=True)}
        self.pin = peers.fingerprint(place / "other.test.pem")
        self.hosts = {c.name: f"127.0.2.{n + 1}" for n, c in enumerate(CASES)}
        records = [(c.records or "{name} MX 10 mx.{name}\nmx.{name} A {host}").format(name=c.name, host=h)
                   for c, h in zip(CASES, self.hosts.values()) if c.to.endswith(".test")]
        self.names = names.start({"test": "\n".join(records + ["smart A 127.0.3.1"])})

    def settings(self):
        dns = self.names.settings()
        dns["dns_stub"] += f", broken 127.0.0.1@{self.names.port}"  # of a zone that it does not have: refused
        return {**dns, "relay_port": self.port, "relay_tls_roots": self.place / "roots.pem", "queue_retry": 1,
                "queue_retry_max": 2, "queue_delay_notice": 3, "relay_connect_timeout": 10, "relay_timeout": 20}

    def begin(self):
        (self.i.dir / "relay.policy").write_text("".join(
            f"{c.domain} {c.policy.format(pin=self.pin, host=self.hosts[c.name])}\n" for c in CASES if c.policy))
        for c in CASES:
            if c.peer is not None:
                how = dict(c.peer)
                if "starttls" in how:
                    how["starttls"] = self.context(how["starttls"])
                self.peers[c.name] = Peer(self.port, self.hosts[c.name], **how)

    def context(self, how):
        if isinstance(how, tuple):
            return self.contexts[how[0]], how[1]
        return self.contexts.get(how, how)

    def submit(self, to, octets, sender=ALICE, mail_options=(), rcpt_options=()):
        """One transaction; gives the reply to the message."""
        with self.i.submission(ALICE) as s:
            s.ehlo_or_helo_if_needed()
            code, said = s.mail(sender, ["BODY=8BITMIME", *mail_options])
            assert code == 250, said
            for one in [to] if isinstance(to, str) else to:
                code, said = s.rcpt(one, rcpt_options)
                assert code == 250, said
            return s.data(octets)

    def queue(self):
        """What waits, by recipient."""
        return {r["to"]: r for m in json.loads(self.i.run("queue", "list", "--json").stdout) for r in m["recipients"]}

    def until(self, said, what):
        """said: what was awaited. None: if it does not come, other tests say so."""
        end = time.monotonic() + PATIENCE
        while not (found := what()) and time.monotonic() < end:
            time.sleep(0.1)
        if not found and said:
            raise AssertionError(f"not in time: {said() if callable(said) else said}\n{self.i.log()[-2000:]}")
        return found

    def settle(self):
        """Until nothing is left but what waits, and that has been tried."""
        waiting = {c.to for c in CASES if c.outcome == "waits"}

        def settled():
            self.listed = self.queue()
            return set(self.listed) <= waiting and all(r["last_reply"] for r in self.listed.values())
        self.until(None, settled)

    def read_notices(self, count):
        """What alice was told, by envelope ids."""
        self.until(None, lambda: len(self.i.fetch_all(ALICE)) >= count)
        for rendered in self.i.fetch_all(ALICE).values():
            notice = email.message_from_bytes(self.i.unseal(rendered), policy=email.policy.SMTP)
            fields = notice.get_payload(1).get_payload(0) if notice.is_multipart() else {}
            self.notices.setdefault(fields.get("Original-Envelope-Id"), []).append((rendered, notice))

    def close(self):
        for p in self.peers.values():
            p.close()
        self.names.close()


def told(case):
    """Whether alice is."""
    return case.outcome == "failed" and case.status != "" or case.name in ("success-here", "delayed")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with harness.Instance() as i:
        w = World(i, tmp_path_factory.mktemp("world"))
        try:
            roots = [(w.place / f"{n}.test.pem").read_text() for n in ("verified", "smart")]
            (w.place / "roots.pem").write_text("".join(roots))
            w.place.chmod(0o755)
            i.init(**w.settings())
            for name in ("alice", "bob"):
                i.add_account(name)
            w.begin()
            i.serve()
            for c in CASES:
                options = (f"ENVID=E-{c.name}", *c.mail_options)
                code, said = w.submit(c.to, message(c), c.sender, options, c.rcpt_options)
                assert code == 250, (c.name, said, i.log()[-2500:])
            w.settle()
            w.read_notices(sum(told(c) for c in CASES))
            yield w
        finally:
            w.close()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_outcome(world, case):
    peer, waits = world.peers.get(case.name), world.listed.get(case.to)
    mails, attempts = (peer.mails, peer.attempts) if peer else ([], [])
    arrives = case.outcome in ("sent", "late")
    assert len(mails) == (case.mails if arrives else 0)
    assert case.times is None or len(attempts) == case.times
    assert case.outcome != "late" or len(attempts) > 1 or peer.connections > 1
    assert (waits is not None) == (case.outcome == "waits")
    if waits:
        assert waits["state"] == "deferred" and waits["tries"] > 0 and f" {case.status} " in waits["last_reply"]
        assert case.words in waits["last_reply"]
    for mail in mails:
        check_mail(case, peer, mail)
    assert len(world.notices.get(f"E-{case.name}", [])) == told(case)


def offers_of(peer):
    """Of one that says the same at each EHLO; else None."""
    if isinstance(peer.ehlo, bytes):
        return peer.ehlo.decode().upper().replace("250-", "").replace("250 ", "").split("\r\n")
    return () if isinstance(peer.ehlo, str) else peer.ehlo if isinstance(peer.ehlo, tuple) else None


def check_mail(case, peer, mail):
    assert mail.recipients == [case.to] and mail.sender == case.sender and mail.helo == harness.DOMAIN
    assert case.tls is None or mail.tls == case.tls
    head, _, body = mail.octets.partition(b"\r\n\r\n")
    assert f"X-Case: {case.name}".encode() in head
    (received,) = re.findall(rb"^Received:.*\r\n(?:[ \t].*\r\n)*", mail.octets, re.M)
    assert f"by {harness.DOMAIN} ".encode() in received and b"127.0.0.1" not in received
    lines = mail.octets.split(b"\r\n")
    assert all(len(line) <= 998 for line in lines) and b"\n" not in b"".join(lines)
    assert email.message_from_bytes(mail.octets).get_payload(decode=True) == case.body
    offers = offers_of(peer)
    if offers is None:
        return
    if "8BITMIME" not in offers:
        assert max(mail.octets) < 128
    if max(map(len, case.body.split(b"\r\n"))) <= 998 and (max(case.body) < 128 or "8BITMIME" in offers):
        assert body == case.body
    assert ("BODY=8BITMIME" in mail.options) == (max(case.body) >= 128 and "8BITMIME" in offers)
    assert ("SMTPUTF8" in mail.options.split()) == ("SMTPUTF8" in case.mail_options)
    assert ("SIZE=" in mail.options) == any(o.startswith("SIZE") for o in offers)
    assert ("ENVID=" in mail.options) == ("DSN" in offers)


def blocks(status):
    """Python's reader parts those of message/delivery-status alone."""
    if status.get_content_type() == "message/delivery-status":
        return status.get_payload()
    text = status.get_payload(0).as_bytes()
    return [email.message_from_bytes(b, policy=email.policy.SMTP) for b in re.split(rb"\r?\n\r?\n", text.strip())]


@pytest.mark.parametrize("case", [c for c in CASES if told(c)], ids=lambda c: c.name)
def test_notice(world, case):
    """RFC 3464, sealed to whom it is for."""
    (rendered, m), = world.notices[f"E-{case.name}"]
    action = {"success-here": "relayed", "delayed": "delayed"}.get(case.name, "failed")
    for word in (case.domain, case.name, "delivery-status", case.status or "2.0.0"):
        assert word.encode() not in re.sub(rb"(?m)^Message-ID:.*$", b"", rendered)
    assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
    assert m["From"].addresses[0].addr_spec == f"mailer-daemon@{harness.DOMAIN}" and m["To"] == ALICE
    assert m["Auto-Submitted"] == "auto-replied" and m["Return-Path"] in (None, "<>")
    text, status, original = m.get_payload()
    whole, of_recipient = blocks(status)
    assert case.to in text.get_content()
    assert whole["Reporting-MTA"] == f"dns; {harness.DOMAIN}" and whole["Arrival-Date"]
    assert of_recipient["Final-Recipient"] == f"rfc822; {case.to}" and of_recipient["Action"] == action
    assert re.match(case.status or "2\\.", of_recipient["Status"])
    from_there = case.peer is not None and case.times != 0
    assert (of_recipient["Diagnostic-Code"] is not None) == from_there
    assert of_recipient["Last-Attempt-Date"] and (of_recipient["Will-Retry-Until"] is not None) == (action == "delayed")
    assert set(of_recipient.keys()) <= {"Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                                        "Last-Attempt-Date", "Will-Retry-Until", "Original-Recipient"}
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", str(of_recipient) + text.get_content())
    full = "RET=FULL" in case.mail_options
    kind = "message/rfc822" if full else "text/rfc822-headers"
    assert original.get_content_type() == ("message/global-headers" if "SMTPUTF8" in case.mail_options else kind)
    assert (BODY.split(b"\r\n")[-2] in original.as_bytes()) == full
    assert f"X-Case: {case.name}".encode() in original.as_bytes()


def test_what_was_asked_of_whoever_takes_it_is_passed_on(world):
    mail, = world.peers["success-there"].mails
    assert {"RET=HDRS", "ENVID=E-success-there"} <= set(mail.options.split())
    (options,) = mail.rcpt_options.values()
    assert set(options.split()) == {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;b+2Bb@o.example"}


def test_the_counters_agree(world):
    counters = world.i.counters("relay")
    sent = sum(c.outcome in ("sent", "late") for c in CASES)
    assert (counters["sent"], counters["failed"]) == (sent, sum(c.outcome == "failed" for c in CASES))


# What follows uses the same instance, with mail of its own.


def mail(name, to, **more):
    return message(Case(name, to=to, **more))


def of(peer, name):
    return [m for m in peer.mails if f"X-Case: {name}".encode() in m.octets]


def in_inbox(world, address, name):
    found = [world.i.unseal(m) for m in world.i.fetch_all(address).values()]
    return [m for m in found if f"X-Case: {name}".encode() in m]


def test_here_and_elsewhere_in_one_transaction(world):
    before = len(world.i.fetch_all(BOB))
    code, said = world.submit([BOB, "carol@plain.test", "dave@plain.test"], mail("both", BOB))
    assert code == 250 and len(world.i.fetch_all(BOB)) == before + 1  # 250 means that it is there
    sent = world.until("sent", lambda: of(world.peers["plain"], "both"))
    assert [m.recipients for m in sent] == [["carol@plain.test", "dave@plain.test"]]
    assert len(in_inbox(world, BOB, "both")) == 1


def test_held_mail_waits_and_goes(world):
    begin = time.time()
    code, said = world.submit([BOB, "bob@plain.test"], mail("held", BOB), mail_options=["HOLDFOR=4"])
    assert code == 250
    assert {to: r["state"] for to, r in world.queue().items() if to in (BOB, "bob@plain.test")} == \
        {BOB: "held", "bob@plain.test": "held"}
    assert not of(world.peers["plain"], "held") and not in_inbox(world, BOB, "held")
    world.until("sent", lambda: of(world.peers["plain"], "held"))
    assert time.time() - begin >= 3
    world.until("delivered", lambda: in_inbox(world, BOB, "held"))
    world.until("gone", lambda: not {BOB, "bob@plain.test"} & set(world.queue()))
    assert len(of(world.peers["plain"], "held")) == len(in_inbox(world, BOB, "held")) == 1


@pytest.mark.parametrize("to, code", [("bob@[127.0.0.1]", 550), ("bob@[IPv6:::1]", 550), ("bob@x.letterlock.test", 250),
                                      (f"nobody@{harness.DOMAIN}", 550), ("bob@-.test", 501), ("bob@a..test", 501)])
def test_recipients_that_nobody_can_be(world, to, code):
    with world.i.submission(ALICE) as s:
        s.ehlo()
        s.mail(ALICE)
        assert s.rcpt(to)[0] == code


@pytest.mark.parametrize("inside", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"a\nb", b"a\rb"])
def test_no_second_message_is_slipped_in(world, inside):
    """Neither here nor at whom it is for (CVE-2023-51764 and its kin)."""
    s = world.i.submission(ALICE)
    s.ehlo()
    s.mail(ALICE)
    s.rcpt("bob@plain.test")
    assert s.docmd("DATA")[0] == 354
    slipped = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<eve@plain.test>\r\nDATA\r\nFrom: {ALICE}\r\n\r\nslipped in\r\n.\r\n"
    s.send(mail("smuggled", "bob@plain.test", body=b"x") + inside + slipped.encode())
    code, said = s.getreply()
    assert 500 <= code < 600
    s.close()
    assert not [to for to in world.queue() if to.startswith("eve@")] and not of(world.peers["plain"], "smuggled")


def test_time_is_over(world):
    """What could not be delivered in time is given back, once."""
    world.i.configure(queue_lifetime=2)
    world.i.run("reload")
    try:
        known = len(world.i.fetch_all(ALICE))
        to = "carol@refuses-all.test"
        world.submit(to, mail("expires", to), mail_options=["ENVID=E-expires"], rcpt_options=["NOTIFY=FAILURE"])
        world.until("told", lambda: len(world.i.fetch_all(ALICE)) > known)
        world.until("gone", lambda: to not in world.queue())
        (notice,) = in_inbox(world, ALICE, "expires")
        assert b"Action: failed" in notice and f"Final-Recipient: rfc822; {to}".encode() in notice
        assert re.search(rb"Status: [45]\.(4\.7|2\.0)", notice) and len(world.i.fetch_all(ALICE)) == known + 1
    finally:
        world.i.configure(queue_lifetime=432000)
        world.i.run("reload")


@pytest.mark.parametrize("how, reaches", [("SCRAM-SHA-256 PLAIN", True), ("PLAIN LOGIN", True), ("lies", False),
                                          ("other", False), ("clear", False)])
def test_a_smarthost(world, how, reaches):
    """It takes all that has no route of its own, once it has proved that it is the one that was meant."""
    login = peers.Scram("me", "secret", lies=how == "lies")
    offers = "AUTH SCRAM-SHA-256" if how == "lies" else f"AUTH {how}" if reaches else "AUTH PLAIN SCRAM-SHA-256"
    context = world.contexts["other" if how == "other" else "smart"]
    (world.place / "password").write_text("secret\n")
    name, to = f"smart-{how.split()[0].lower()}", "bob@nowhere-at-all.example"
    with Peer(world.port, "127.0.3.1", ehlo=(offers, "8BITMIME"), auth=login,
              starttls=None if how == "clear" else context) as smart:
        world.i.configure(smarthost="smart.test", smarthost_user="me", smarthost_password_file=world.place / "password")
        world.i.run("reload")
        try:
            world.submit(to, mail(name, to))
            if reaches:
                world.until("sent", lambda: of(smart, name))
                assert len(of(smart, name)) == 1 and of(smart, name)[0].tls
                assert login.mechanisms[0] == how.split()[0]
            else:
                world.until(world.queue, lambda: world.queue().get(to, {}).get("tries", 0) > 0)
                assert not smart.mails and not any("PLAIN" in line for line, _ in smart.logins)
                assert how == "lies" or not smart.logins
        finally:
            for m in json.loads(world.i.run("queue", "list", "--json").stdout):
                if any(r["to"] == to for r in m["recipients"]):
                    world.i.run("queue", "remove", m["id"], check=False)
            world.i.configure(smarthost="", smarthost_user="", smarthost_password_file="")
            world.i.run("reload")


def test_two_of_us_write_to_one_another(world):
    with harness.Instance(domain="second.test") as second:
        second.init(**world.names.settings())
        zoe = second.add_account("zoe@second.test")
        policy = world.i.dir / "relay.policy"
        kept = policy.read_text()
        policy.write_text(kept + f"second.test route=127.0.0.1:{second.port('smtp')}\n")
        (second.dir / "relay.policy").write_text(f"{harness.DOMAIN} route=127.0.0.1:{world.i.port('smtp')}\n")
        world.i.run("reload")
        second.serve()
        world.submit(zoe, mail("there", zoe))
        there = world.until("there", lambda: second.fetch_all(zoe))
        assert b"X-Case: there" in second.unseal(there[1]) and b"X-Case" not in there[1]
        with second.submission(zoe) as s:
            s.sendmail(zoe, ALICE, mail("back", ALICE).replace(ALICE.encode(), zoe.encode(), 1))
        world.until("back", lambda: in_inbox(world, ALICE, "back"))
        opened = [world.i.keyring.decrypt(harness.armor_of(m)) for m in world.i.fetch_all(ALICE).values()]
        (back,) = [m for m in opened if b"X-Case: back" in m]
        assert BODY in back
        assert re.search(rb"Received: from second\.test.*with ESMTPS", re.sub(rb"\r\n[ \t]+", b" ", back))
        policy.write_text(kept)
        world.i.run("reload")


@pytest.mark.parametrize("order", ["retry", "reload"])
def test_whoever_failed_is_tried_again_when_the_operator_says_so(world, order):
    """And not only after the time that all mail for it would wait."""
    with harness.Instance() as i:
        i.init(**{**world.settings(), "queue_retry": 3000, "queue_retry_max": 3000, "relay_port": i.base + PORT,
                  "relay_instances": 1})  # one that fails says it to all of its process
        alice = i.add_account("alice")
        i.serve()
        with i.submission(alice) as s:
            for n in range(3):
                s.sendmail(alice, [f"b{n}@gone.test"], mail(f"again-{n}", "bob@gone.test"))

        def queue():
            return [r for m in json.loads(i.run("queue", "list", "--json").stdout) for r in m["recipients"]]
        world.until("deferred", lambda: any(r["tries"] for r in queue()))
        tried = sum(r["tries"] > 0 for r in queue())
        assert len(queue()) == 3 and tried < 3
        with Peer(i.base + PORT, world.hosts["gone"]) as peer:
            i.run("queue", "retry", "--all") if order == "retry" else i.run("reload")
            # By an order all are tried; a reload lets those go that were not tried, the others have their own time.
            world.until("sent", lambda: len(peer.mails) == (3 if order == "retry" else 3 - tried))
