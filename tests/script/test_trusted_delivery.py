"""Delivery that is trusted: what TLS a server must prove before mail goes to it, by the operator's word, DANE (RFC
7672), MTA-STS (RFC 8461) and the sender's wish (RFC 8689), and what becomes of mail where it cannot. One instance sends
all of it, to peers that are each a domain of their own in a zone that is signed."""
import contextlib
import dataclasses
import functools
import http.server
import json
import pathlib
import re
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import harness
import names
import peers
import pytest
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS)
FILL = pathlib.Path(harness.BINARY).parent / "tests/unit/queue_fill"
MAIL = b"From: alice@letterlock.test\r\nSubject: hello\r\n\r\ntext\r\n"
PORT = 725
PATIENCE = 120
tlsa = functools.lru_cache(None)(peers.tlsa)
BASIC = ("PIPELINING", "8BITMIME")
REQUIRED, OPTIONAL = 1, 2  # enum queue_tls


def garbage(said=""):
    yield b"220 go on\r\n"
    time.sleep(0.2)
    yield b"this is no TLS\r\n" * 100


# The server there: what it offers, and whose certificate it has.
PEERS = {
    "good": dict(tls="good", offers=("REQUIRETLS",)),
    "swapped": dict(tls="other", offers=("REQUIRETLS",)),
    "stripped": dict(tls=None, offers=()),
    "failing": dict(tls=garbage, offers=()),
    "old": dict(tls="good", offers=()),  # without REQUIRETLS
}
# What is known of it: by the operator, by DNSSEC, by the sender. What comes of it for each of PEERS: how the server was
# known that took the mail, or the status of a reply that is ours: mail that waits (4) or has failed (5).
POLICIES = {
    #                  policy         records            wish       good     swapped  stripped failing  old
    "none":           ("",            "",                0,        "tls      tls      clear    clear    tls"),
    "dane":           ("",            "good 3 1 1",      0,        "dane     4.7.5    4.7.5    4.7.5    dane"),
    "dane-useless":   ("",            "good 0 1 1",      0,        "tls      tls      4.7.5    4.7.5    tls"),
    "dane-broken":    ("",            "SERVFAIL",        0,        "4.4.3    4.4.3    4.4.3    4.4.3    4.4.3"),
    "dane-expired":   ("",            "EXPIRED",         0,        "4.4.3    4.4.3    4.4.3    4.4.3    4.4.3"),
    "dane-insecure":  ("",            "INSECURE",        0,        "tls      tls      clear    clear    tls"),
    "may":            ("tls=may",     "good 3 1 1",      0,        "tls      tls      clear    clear    tls"),
    "asked":          ("tls=dane",    "good 3 1 1",      0,        "dane     4.7.5    4.7.5    4.7.5    dane"),
    "asked-none":     ("tls=dane",    "",                0,        "4.7.5    4.7.5    4.7.5    4.7.5    4.7.5"),
    "verify":         ("tls=verify",  "other 3 1 1",     0,        "verify   4.7.5    4.7.5    4.7.5    verify"),
    "pin":            ("tls=PIN",     "other 3 1 1",     0,        "fingerprint 4.7.5 4.7.5   4.7.5    fingerprint"),
    "must":           ("",            "",                REQUIRED, "5.7.30   5.7.30   5.7.30   5.7.30   5.7.30"),
    "must-dane":      ("",            "good 3 1 1",      REQUIRED, "dane     4.7.5    4.7.5    4.7.5    5.7.30"),
    "must-useless":   ("",            "good 0 1 1",      REQUIRED, "5.7.30   5.7.30   5.7.30   5.7.30   5.7.30"),
    "must-broken":    ("",            "SERVFAIL",        REQUIRED, "4.4.3    4.4.3    4.4.3    4.4.3    4.4.3"),
    "must-may":       ("tls=may",     "",                REQUIRED, "5.7.30   5.7.30   5.7.30   5.7.30   5.7.30"),
    "must-verify":    ("tls=verify",  "",                REQUIRED, "verify   4.7.5    4.7.5    4.7.5    5.7.30"),
    "need-not":       ("",            "good 3 1 1",      OPTIONAL, "tls      tls      clear    clear    tls"),
    "need-not-broken": ("",           "SERVFAIL",        OPTIONAL, "tls      tls      clear    clear    tls"),
    "need-not-verify": ("tls=verify", "",                OPTIONAL, "verify   4.7.5    4.7.5    4.7.5    verify"),
}
# The same for domains that have an MTA-STS policy: what is said of the page (its lines but the version, or what is
# wrong with it), then as above: TLSA records and the operator's word or the sender's wish, if any.
ENFORCE = "mode: enforce\nmx: mx.{name}.test\nmax_age: 86400\n"
TESTING = ENFORCE.replace("enforce", "testing")
STS_POLICIES = {
    "sts": (ENFORCE, "", "", 0, "mta-sts 4.7.5 4.7.5 4.7.5 mta-sts"),
    "sts-wild": (ENFORCE.replace("mx.{", "*.{"), "", "", 0, "mta-sts 4.7.5 4.7.5 4.7.5 mta-sts"),
    "sts-other": (ENFORCE.replace("mx.{", "else.{"), "", "", 0, "4.7.5 4.7.5 4.7.5 4.7.5 4.7.5"),
    "sts-testing": (TESTING, "", "", 0, "tls tls clear clear tls"),
    "sts-none": (ENFORCE.replace("enforce", "none"), "", "", 0, "tls tls clear clear tls"),
    "sts-wrong": (ENFORCE.replace("max_age", "age"), "", "", 0, "tls tls clear clear tls"),
    "sts-unreached": ("nobody", "", "", 0, "tls tls clear clear tls"),
    "sts-forged": ("forged", "", "", 0, "tls tls clear clear tls"),
    "sts-no-record": ("no record", "", "", 0, "tls tls clear clear tls"),
    "sts-dane": (ENFORCE, "", "good 3 1 1", 0, "dane 4.7.5 4.7.5 4.7.5 dane"),
    "sts-useless": (ENFORCE, "", "good 0 1 1", 0, "mta-sts 4.7.5 4.7.5 4.7.5 mta-sts"),
    "sts-may": (ENFORCE, "tls=may", "", 0, "tls tls clear clear tls"),
    "sts-must": (ENFORCE, "", "", REQUIRED, "mta-sts 4.7.5 4.7.5 4.7.5 5.7.30"),
    "sts-must-test": (TESTING, "", "", REQUIRED, "5.7.30 5.7.30 5.7.30 5.7.30 5.7.30"),
    "sts-need-not": (ENFORCE, "", "", OPTIONAL, "tls tls clear clear tls"),
}
# Certificates for a domain with an enforced policy.
STS_CERTIFICATES = {"sts-of-domain": ("domain", "4.7.5"), "sts-of-else": ("elsewhere", "4.7.5"),
                    "sts-of-nobody": ("good", "4.7.5"), "sts-dates": ("old", "4.7.5"),
                    "sts-of-mx": ("issued", "mta-sts")}
# Every usage, selector and matching type, and what must not fit. issued: by the authority, for the host; elsewhere: by
# it, for another name; domain: for the domain's own.
RECORDS = {
    "ee-cert": ("good", "good 3 0 0", "dane"), "ee-cert-256": ("good", "good 3 0 1", "dane"),
    "ee-cert-512": ("good", "good 3 0 2", "dane"), "ee-key": ("good", "good 3 1 0", "dane"),
    "ee-key-512": ("good", "good 3 1 2", "dane"),
    "ee-name": ("other", "other 3 1 1", "dane"),  # RFC 7672 section 3.1.1: names do not count
    "ee-dates": ("old", "old 3 1 1", "dane"),  # nor dates
    "ta-cert": ("issued", "authority 2 0 0", "dane"), "ta-cert-256": ("issued", "authority 2 0 1", "dane"),
    "ta-key": ("issued", "authority 2 1 1", "dane"), "ta-key-512": ("issued", "authority 2 1 2", "dane"),
    "ta-domain": ("domain", "authority 2 1 1", "dane"),
    "ta-name": ("elsewhere", "authority 2 1 1", "4.7.5"),
    "ta-other": ("good", "authority 2 1 1", "4.7.5"),
    "ta-ee": ("good", "good 2 1 1", "4.7.5"),  # no authority, and not its own name
    "pkix-ta": ("good", "authority 0 1 1", "tls"), "pkix-ee": ("other", "good 1 1 1", "tls"),
    "unknown": ("other", "good 7 1 1", "tls"),
    "selector": ("other", "good 3 1 1/3 9 1", "tls"),
    "short": ("other", "good 3 1 1/3 1 2", "tls"),  # a digest of another length
    "mixed": ("good", "good 1 1 1;good 3 1 1", "dane"), "mixed-bad": ("other", "good 1 1 1;good 3 1 1", "4.7.5"),
    "rolled": ("other", "good 3 1 1;other 3 1 1", "dane"),
}


@dataclasses.dataclass
class Case:
    name: str
    peer: str
    policy: str
    records: str
    wish: int
    wants: str
    tls: object
    offers: tuple
    sts: str = ""

    @property
    def to(self):
        return f"bob@{self.name}.test".replace("xn--bcher-kva", "bücher")

    @property
    def secure(self):
        return self.records != "INSECURE"


CASES = [Case(f"{p}-{q}", q, policy, records, wish, wants, PEERS[q]["tls"], PEERS[q]["offers"])
         for p, (policy, records, wish, cells) in POLICIES.items() for q, wants in zip(PEERS, cells.split())]
CASES += [Case(f"{p}-{q}", q, policy, records, wish, wants,
               "issued" if PEERS[q]["tls"] == "good" and records != "good 3 1 1" else PEERS[q]["tls"],
               PEERS[q]["offers"], page)
          for p, (page, policy, records, wish, cells) in STS_POLICIES.items() for q, wants in zip(PEERS, cells.split())]
CASES += [Case(name, "good", "", "", 0, wants, tls, (), ENFORCE) for name, (tls, wants) in STS_CERTIFICATES.items()]
CASES += [Case(name, "good", "", records, 0, wants, tls, ()) for name, (tls, records, wants) in RECORDS.items()]

# Over IPv6, and to a domain that people write in letters of their own.
with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
    s.bind(("::1", 0))
    CASES.append(Case("v6", "good", "", "good 3 1 1", 0, "dane", "good", ()))
CASES.append(Case("xn--bcher-kva", "good", "", "good 3 1 1", 0, "dane", "good", ("SMTPUTF8",)))


class Policies:
    """The web server of all domains' policies."""

    def __init__(self, port, place, by):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N805
                host = handler.headers["Host"].partition(":")[0]
                pages = {f"mta-sts.{c.name}.test": c for c in CASES if c.sts}
                assert handler.path == "/.well-known/mta-sts.txt"
                self.asked.append(host)
                handler.send_response(200)
                handler.send_header("Content-Type", "text/plain")
                handler.end_headers()
                text = ENFORCE if pages[host].sts in ("forged", "no record") else pages[host].sts
                handler.wfile.write(("version: STSv1\n" + text.format(name=pages[host].name)).encode())

            def log_message(handler, *args):  # noqa: N805
                pass

        self.asked = []
        self.server = http.server.ThreadingHTTPServer(("127.0.7.1", port), Handler, bind_and_activate=False)
        self.server.request_queue_size = 200
        self.server.server_bind()
        self.server.server_activate()
        names = [f"mta-sts.{c.name}.test" for c in CASES if c.sts and c.sts != "forged"]
        context = peers.issued(place, by, names)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self, i, place):
        self.i, self.place, self.port = i, place, i.base + PORT
        self.authority = peers.authority(place)
        self.shared = {"good": peers.context(place, "verified.test"), "other": peers.context(place, "other.test"),
                       "old": peers.context(place, "old.test", expired=True)}
        self.files = {"good": place / "verified.test.pem", "other": place / "other.test.pem",
                      "old": place / "old.test.pem", "authority": self.authority[0]}
        self.pin = peers.fingerprint(self.files["good"])
        self.hosts = {c.name: f"127.0.{4 + n // 200}.{n % 200 + 1}" for n, c in enumerate(CASES)}
        self.hosts["v6"] = "::1"
        self.peers, self.tries = {}, {}
        self.policies = Policies(i.base + 743, place, self.authority)
        self.names = names.start(self.zones(), ["test", "expired"], expired=["expired"])

    def zones(self, sts=True):
        zones = {"test": "", "loose": "", "expired": f"tlsa TLSA {tlsa(self.files['good'], 3, 1, 1)}\n"}
        for c in CASES:
            zones["test" if c.secure else "loose"] += self.address(c) + self.tlsa(c)
            zones["test"] += self.sts(c) if sts else ""
            zones["test"] += f"{c.name} MX 10 mx.{c.name}.{'test' if c.secure else 'loose'}.\n"
        return zones

    def address(self, c):
        return f"mx.{c.name} {'AAAA' if c.name == 'v6' else 'A'} {self.hosts[c.name]}\n"

    def sts(self, c):
        host = "127.0.7.2" if c.sts == "nobody" else "127.0.7.1"
        record = f"_mta-sts.{c.name} TXT \"v=STSv1; id=1\"\n" if c.sts != "no record" else ""
        return record + f"mta-sts.{c.name} A {host}\n" if c.sts else ""

    def tlsa(self, c):
        if c.records == "SERVFAIL":
            return f"_{self.port}._tcp.mx.{c.name} CNAME tlsa.broken.\n"
        if c.records == "EXPIRED":
            return f"_{self.port}._tcp.mx.{c.name} CNAME tlsa.expired.\n"
        if not c.records:
            return ""
        text = "good 3 1 1" if c.records == "INSECURE" else c.records
        return "".join(f"_{self.port}._tcp.mx.{c.name} TLSA {self.record(r)}\n" for r in text.split(";"))

    def record(self, text):
        """FILE USAGE SELECTOR MATCHING, and behind a slash what stands in place of these."""
        made, _, shown = text.partition("/")
        file, *numbers = made.split()
        data = tlsa(self.files[file], *map(int, numbers)).split()
        return " ".join([*shown.split(), data[3]] if shown else data)

    def context(self, c):
        issued = {"issued": f"mx.{c.name}.test", "elsewhere": f"elsewhere-{c.name}.test", "domain": f"{c.name}.test"}
        tls = "domain" if c.tls == "good" and c.policy == "tls=verify" else c.tls
        if isinstance(tls, str) and tls in issued:
            return peers.issued(self.place, self.authority, [issued[tls]])
        return self.shared.get(c.tls, c.tls) if isinstance(c.tls, str) else c.tls

    def begin(self):
        (self.place / "roots.pem").write_bytes(self.authority[0].read_bytes())
        (self.i.dir / "relay.policy").write_text("".join(
            f"{c.name}.test {c.policy.replace('PIN', self.pin)}\n" for c in CASES if c.policy))
        for c in CASES:
            more = {"starttls": self.context(c)} if c.tls else {}
            self.peers[c.name] = Peer(self.port, self.hosts[c.name], ehlo=(*BASIC, *c.offers), **more)
        for wish in (0, REQUIRED, OPTIONAL):
            to = [c.to for c in CASES if c.wish == wish]
            p = subprocess.run([FILL, self.i.dir, "1", f"alice@{harness.DOMAIN}", *to], input=MAIL,
                               capture_output=True, env={**self.i.env, "WISH": str(wish), "NOTIFY": "1"})
            assert p.returncode == 0, p.stderr

    def read_log(self):
        """Of each recipient: what each try came to, as (fate, status, tls)."""
        self.tries = {}
        tried = None
        for line in self.i.log().splitlines():
            if found := re.search(r" outgoing fate=(\w+) .*?status=(\S+) .*?tls=(\S+) ", line):
                tried = found.groups()
            elif found := re.search(r" named-outgoing .*?to=<(.*?)> ", line):
                self.tries.setdefault(found[1], []).append(tried)

    def settle(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read_log()
            if all(c.to in self.tries for c in CASES):
                break
            time.sleep(0.2)
        listed = json.loads(self.i.run("queue", "list", "--json").stdout)
        self.queue = {r["to"]: r for m in listed for r in m["recipients"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with harness.Instance() as i:
        w = World(i, tmp_path_factory.mktemp("trusted"))
        try:
            dns = w.names.settings()
            dns["dns_stub"] += f", broken 127.0.0.1@{w.names.port}"  # of a zone that it does not have: refused
            i.init(**dns, relay_port=w.port, relay_tls_roots=w.place / "roots.pem", queue_retry=600,
                   queue_retry_max=600, relay_connect_timeout=20, relay_timeout=60, debug_names="yes",
                   relay_connections=50, fetch_allow=f"127.0.7.0/24@{w.i.base + 743}",
                   fetch_ca_file=w.authority[0])
            i.add_account("alice")
            w.begin()
            i.serve()
            w.settle()
            yield w
        finally:
            for peer in w.peers.values():
                peer.close()
            w.policies.close()
            w.names.close()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_each_goes_as_it_may_or_not_at_all(world, case):
    peer, tries = world.peers[case.name], world.tries.get(case.to)
    assert tries, "it was never tried"
    (fate, status, tls), = set(tries)
    if case.wants[0] in "45":
        assert (fate, status) == ("failed" if case.wants[0] == "5" else "deferred", case.wants)
        assert peer.attempts == []  # nobody was named before it was clear who is there
    else:
        assert (fate, tls) == ("sent", case.wants)
        (mail,) = peer.mails
        assert mail.tls == (case.wants != "clear")
        assert ("REQUIRETLS" in mail.options.split()) == (case.wish == REQUIRED)


def test_the_queue_says_how_a_server_was_known(world):
    waits = {c.to for c in CASES if c.wants[0] == "4"}
    assert set(world.queue) == waits
    assert all(r["tls"] == "" for r in world.queue.values())  # nobody was told anything


# ---- the sender's wish, from the submission on ----

FIELDS = b"From: alice@letterlock.test\r\nSubject: wish\r\nMessage-ID: <%s@letterlock.test>\r\n"


def submit(world, case, name, options=(), fields=b""):
    """To NAME at the case's domain. What its try came to, and the mails that the server there took with it."""
    to = f"{name}@{case}.test"
    with world.i.submission(f"alice@{harness.DOMAIN}") as s:
        refused = s.sendmail(f"alice@{harness.DOMAIN}", [to], FIELDS % name.encode() + fields + b"\r\ntext\r\n",
                             mail_options=options)
    assert refused == {}
    end = time.monotonic() + PATIENCE
    while to not in world.tries and time.monotonic() < end:
        world.read_log()
        time.sleep(0.1)
    return world.tries[to][0], [m for m in world.peers[case].mails if m.recipients == [to]]


def test_requiretls_is_kept_from_end_to_end(world):
    (fate, _, tls), (mail,) = submit(world, "must-dane-good", "kept", ["REQUIRETLS"])
    assert (fate, tls) == ("sent", "dane") and "REQUIRETLS" in mail.options.split()
    for case in ("none-good", "must-may-good", "dane-old"):  # nobody is proved; the server there does not offer it
        tried, mails = submit(world, case, "refused", ["REQUIRETLS"])
        assert tried[:2] == ("failed", "5.7.30") and mails == []


def test_its_report_says_so(world):
    """And stays here: the report of a mail with REQUIRETLS goes to its sender's own account, sealed."""
    submit(world, "none-old", "told", ["REQUIRETLS"])
    end = time.monotonic() + PATIENCE
    alice = f"alice@{harness.DOMAIN}"
    while not any(b"told@none-old.test" in (text := world.i.unseal(m)) for m in world.i.fetch_all(alice).values()):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert b"5.7.30 Neither DANE nor MTA-STS says" in text


def test_what_need_not_be_encrypted_arrives(world):
    no = b"TLS-Required: No\r\n"
    for case, how in (("dane-swapped", "tls"), ("dane-stripped", "clear"), ("dane-broken-good", "tls")):
        (fate, _, tls), (mail,) = submit(world, case, "any", fields=no)
        assert (fate, tls) == ("sent", how)
        assert no in mail.octets  # for the next server as well (RFC 8689 section 5)
    world.i.run("reload")
    for name, fields in (("yes", b"TLS-Required: Yes\r\n"), ("twice", no + no), ("other", b"X-TLS-Required: No\r\n")):
        tried, mails = submit(world, "dane-swapped", name, fields=fields)
        assert tried[:2] == ("deferred", "4.7.5") and mails == []
        world.i.run("reload")  # the domain is not left alone
    tried, mails = submit(world, "none-old", "both", ["REQUIRETLS"], no)  # the wish for more is the one that counts
    assert tried[:2] == ("failed", "5.7.30") and mails == []
    tried, mails = submit(world, "verify-swapped", "word", fields=no)  # nor does it touch the operator's word
    assert tried[:2] == ("deferred", "4.7.5") and mails == []


def test_requiretls_is_offered_under_tls_alone(world):
    with smtplib.SMTP("127.0.0.1", world.i.port("smtp"), timeout=60) as s:
        s.ehlo()
        assert not s.has_extn("requiretls")
        assert s.docmd("MAIL", "FROM:<x@there.test> REQUIRETLS")[0] == 530
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        assert s.has_extn("requiretls")
        assert s.docmd("MAIL", "FROM:<x@there.test> REQUIRETLS=1")[0] == 501
        assert s.docmd("MAIL", "FROM:<x@there.test> REQUIRETLS")[0] == 250


# ---- last, since it takes all policies away ----

def test_a_restart_forgets_no_policy(world):
    """RFC 8461 section 5.1: whoever takes record and page away, once the server has begun anew, takes nothing away."""
    world.i.stop()
    assert world.i.run("audit").returncode == 0
    world.policies.close()
    world.names.change("test", world.zones(sts=False)["test"])
    world.i.serve()
    for case in ("sts-swapped", "sts-stripped", "sts-failing", "sts-other-good"):
        tried, mails = submit(world, case, "again")
        assert tried[:2] == ("deferred", "4.7.5") and mails == []
        assert world.peers[case].attempts == []
    (fate, _, tls), (mail,) = submit(world, "sts-good", "again")
    assert (fate, tls) == ("sent", "mta-sts") and mail.tls
    for case, how in (("sts-testing-swapped", "tls"), ("sts-none-stripped", "clear"), ("sts-no-record-swapped", "tls")):
        (fate, _, tls), _ = submit(world, case, "again")
        assert (fate, tls) == ("sent", how)
