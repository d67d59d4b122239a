"""How TLS went with the servers of other domains, told to those that ask (RFC 8460): one instance sends to domains that
each go wrong in another way; then its reports arrive, by mail and by HTTPS."""
import contextlib
import dataclasses
import email
import gzip
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import dkim
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
PERIOD = 20  # seconds
ALICE = f"alice@{harness.DOMAIN}"
ENFORCE = "version: STSv1\nmode: enforce\nmx: mx.{name}.test\nmax_age: 86400\n"
TESTING = ENFORCE.replace("enforce", "testing")
NONE, TLSA, STS = "no-policy-found", "tlsa", "sts"


def garbage(said=""):
    yield b"220 go on\r\n"
    time.sleep(0.2)
    yield b"this is no TLS\r\n" * 100


@dataclasses.dataclass
class Case:
    """tls: the server's certificate, None: no STARTTLS. page: of MTA-STS. wants: by policy type, the result of its
    session, "" if it went well."""
    name: str
    tls: object
    wants: dict
    page: str = ""
    records: str = ""
    reason: str = ""
    word: str = ""


CASES = [
    Case("plain", "good", {NONE: ""}),
    Case("stripped", None, {NONE: "starttls-not-supported"}),
    Case("refused", "454 4.7.0 not now", {NONE: "starttls-not-supported"}),
    Case("failing", garbage, {NONE: "validation-failure"}, reason="tls-handshake-failed"),
    Case("dane", "good", {TLSA: ""}, records="3 1 1"),
    Case("dane-other", "other", {TLSA: "tlsa-invalid"}, records="3 1 1"),
    Case("dane-stripped", None, {TLSA: "starttls-not-supported"}, records="3 1 1"),
    Case("dane-useless", "good", {TLSA: "tlsa-invalid"}, records="0 1 1", reason="no-usable-tlsa-record"),
    Case("dane-expired", "good", {TLSA: "dnssec-invalid"}, records="EXPIRED"),
    Case("dane-wanted", "good", {TLSA: "dane-required"}, word="tls=dane"),
    Case("sts", "issued", {STS: ""}, ENFORCE),
    Case("sts-other", "elsewhere", {STS: "certificate-host-mismatch"}, ENFORCE),
    Case("sts-nobody", "good", {STS: "certificate-not-trusted"}, ENFORCE),
    Case("sts-old", "old", {STS: "certificate-expired"}, ENFORCE),
    Case("sts-mx", "issued", {STS: "validation-failure"}, ENFORCE.replace("mx.{", "else.{"),
         reason="mx-not-in-policy"),
    Case("test", "issued", {STS: ""}, TESTING),
    Case("test-other", "elsewhere", {STS: "certificate-host-mismatch"}, TESTING),
    Case("test-nobody", "good", {STS: "certificate-not-trusted"}, TESTING),
    Case("test-old", "old", {STS: "certificate-expired"}, TESTING),
    Case("test-stripped", None, {STS: "starttls-not-supported"}, TESTING),
    Case("test-mx", "elsewhere", {STS: "certificate-host-mismatch"}, TESTING.replace("mx.{", "else.{")),
    Case("page-gone", "good", {STS: "sts-policy-fetch-error", NONE: ""}, "404"),
    Case("page-wrong", "good", {STS: "sts-policy-invalid", NONE: ""}, ENFORCE.replace("max_age", "age")),
    Case("page-forged", "good", {STS: "sts-webpki-invalid", NONE: ""}, "forged"),
    Case("page-and-dane", "good", {STS: "sts-policy-fetch-error", TLSA: ""}, "404", records="3 1 1"),
]
BY_NAME = {c.name: c for c in CASES}
# The same server takes all reports; one domain's go by HTTPS.
POSTED = ("sts", "test-other")
# These ask for nothing: no record, two of them, one that is wrong.
QUIET = {"quiet": [], "twice": ["v=TLSRPTv1; rua=mailto:twice@reports.test"] * 2, "wrong": ["v=TLSRPTv1; rua=mailto:"]}


class Web:
    """Policies of all domains, and where reports are posted: (path, type, body)."""

    def __init__(self, port, place, by):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N805
                name = handler.headers["Host"].partition(":")[0].removeprefix("mta-sts.").removesuffix(".test")
                page = BY_NAME[name].page
                handler.send_response(404 if page == "404" else 200)
                handler.send_header("Content-Type", "text/plain")
                handler.end_headers()
                handler.wfile.write(page.format(name=name).encode())

            def do_POST(handler):  # noqa: N805
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.posted.append((handler.path, handler.headers["Content-Type"], body))
                handler.send_response(503 if len(self.posted) <= self.refuses else 201)
                handler.end_headers()

            def log_message(handler, *args):  # noqa: N805
                pass

        self.posted, self.refuses = [], 1
        self.server = http.server.ThreadingHTTPServer(("127.0.7.1", port), Handler, bind_and_activate=False)
        self.server.request_queue_size = 200
        self.server.server_bind()
        self.server.server_activate()
        known = [f"mta-sts.{c.name}.test" for c in CASES if c.page and c.page != "forged"]
        context = peers.issued(place, by, [*known, "reports.test"])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def fill(i, *to):
    p = subprocess.run([FILL, i.dir, "1", ALICE, *to], input=MAIL, capture_output=True,
                       env={**i.env, "WISH": "0", "NOTIFY": "1"})
    assert p.returncode == 0, p.stderr


class World:
    def __init__(self, i, place):
        self.i, self.place, self.port = i, place, i.base + PORT
        self.authority = peers.authority(place)
        self.contexts = {"good": peers.context(place, "good.test"), "other": peers.context(place, "other.test")}
        self.good = place / "good.test.pem"
        self.hosts = {c.name: f"127.0.4.{n + 1}" for n, c in enumerate(CASES)}
        self.web = Web(i.base + 743, place, self.authority)
        self.names = names.start(self.zones(), ["test", "expired"], expired=["expired"])
        self.stack = contextlib.ExitStack()
        self.mailed, self.reports = {}, {}

    def zones(self):
        text = "reports MX 10 mx.reports\nmx.reports A 127.0.5.1\nreports A 127.0.7.1\n"
        text += "_smtp._tls.reports TXT \"v=TLSRPTv1; rua=mailto:loop@reports.test\"\n"
        for name, records in QUIET.items():
            text += f"{name} MX 10 mx.plain\n"
            text += "".join(f"_smtp._tls.{name} TXT \"{r}{' ' * n}\"\n" for n, r in enumerate(records))
        for c in CASES:
            text += f"{c.name} MX 10 mx.{c.name}\nmx.{c.name} A {self.hosts[c.name]}\n"
            rua = f"https://reports.test/{c.name}" if c.name in POSTED else f"mailto:{c.name}@reports.test"
            text += f"_smtp._tls.{c.name} TXT \"v=TLSRPTv1; rua={rua}\"\n"
            if c.page:
                text += f"_mta-sts.{c.name} TXT \"v=STSv1; id=1\"\nmta-sts.{c.name} A 127.0.7.1\n"
            where = f"_{self.port}._tcp.mx.{c.name}"
            if c.records == "EXPIRED":
                text += f"{where} CNAME tlsa.expired.\n"
            elif c.records:
                text += f"{where} TLSA {peers.tlsa(self.good, *map(int, c.records.split()))}\n"
        return {"test": text, "expired": f"tlsa TLSA {peers.tlsa(self.good, 3, 1, 1)}\n"}

    def context(self, c):
        if c.tls in ("issued", "elsewhere"):
            return peers.issued(self.place, self.authority, [("mx." if c.tls == "issued" else "x.") + f"{c.name}.test"])
        if c.tls == "old":
            return peers.issued(self.place, self.authority, [f"mx.{c.name}.test"], days=-1)
        return self.contexts.get(c.tls, c.tls) if isinstance(c.tls, str) else c.tls

    def begin(self):
        i = self.i
        (self.place / "roots.pem").write_bytes(self.authority[0].read_bytes())
        i.init(**self.names.settings(), relay_port=self.port, relay_tls_roots=self.place / "roots.pem",
               queue_retry=3600, queue_retry_max=3600, tls_report_interval=PERIOD,
               fetch_allow=f"127.0.7.0/24@{i.base + 743}", fetch_ca_file=self.authority[0])
        i.add_account("alice")
        (i.dir / "relay.policy").write_text("".join(f"{c.name}.test {c.word}\n" for c in CASES if c.word))
        for c in CASES:
            more = {"starttls": self.context(c)} if c.tls else {}
            self.stack.enter_context(Peer(self.port, self.hosts[c.name], **more))
        self.sink = self.stack.enter_context(Peer(self.port, "127.0.5.1"))
        fill(i, *(f"bob@{c.name}.test" for c in CASES), *(f"bob@{name}.test" for name in QUIET))

    def read(self):
        self.mailed, self.reports = {}, {}
        for m in list(self.sink.mails):
            name = m.recipients[0].partition("@")[0]
            self.mailed.setdefault(name, []).append(m)
            part, = [p for p in email.message_from_bytes(m.octets).walk()
                     if p.get_content_type() == "application/tlsrpt+gzip"]
            self.reports.setdefault(name, []).append(json.loads(gzip.decompress(part.get_payload(decode=True))))
        for path, kind, body in self.web.posted[self.web.refuses:]:
            assert kind == "application/tlsrpt+gzip"
            self.reports.setdefault(path[1:], []).append(json.loads(gzip.decompress(body)))

    def until(self, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not what():
            time.sleep(0.3)

    def settle(self):
        """Until every report has come, and no record is left."""
        def settled():
            self.read()
            return len(self.reports) >= len(CASES) and self.i.counters("vault").get("tls-tallies") == 0
        self.until(settled)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with harness.Instance() as i:
        w = World(i, tmp_path_factory.mktemp("reports"))
        try:
            w.begin()
            i.serve()
            w.settle()
            yield w
        finally:
            w.stack.close()
            w.web.close()
            w.names.close()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_each_domain_is_told_what_happened(world, case):
    assert case.name in world.reports, world.i.log()[-3000:]
    (report,), domain = world.reports[case.name], f"{case.name}.test"
    assert report["organization-name"] == harness.DOMAIN and report["contact-info"] == f"postmaster@{harness.DOMAIN}"
    begin, end = (time.strptime(report["date-range"][f"{k}-datetime"], "%Y-%m-%dT%H:%M:%SZ") for k in ("start", "end"))
    assert time.mktime(end) - time.mktime(begin) == PERIOD - 1
    assert {p["policy"]["policy-type"] for p in report["policies"]} == set(case.wants)
    for p in report["policies"]:
        policy, summary = p["policy"], p["summary"]
        result = case.wants[policy["policy-type"]]
        assert (summary["total-successful-session-count"], summary["total-failure-session-count"]) == (
            (0, 1) if result else (1, 0))
        assert policy["policy-domain"] == (f"mx.{domain}" if policy["policy-type"] == TLSA else domain)
        assert len(p.get("failure-details", [])) == bool(result)
        for d in p.get("failure-details", []):
            assert (d["result-type"], d["failed-session-count"]) == (result, 1)
            assert d["receiving-mx-hostname"] == f"mx.{domain}"
            if result not in ("dnssec-invalid", "dane-required") and d.get("failure-reason-code") != "mx-not-in-policy":
                assert d["receiving-ip"] == world.hosts[case.name] and d["sending-mta-ip"].startswith("127.0.")
            assert d.get("failure-reason-code", "") == case.reason


def test_policies_are_told_as_they_are(world):
    one = lambda name, kind: [p["policy"] for p in world.reports[name][0]["policies"]
                              if p["policy"]["policy-type"] == kind][0]
    assert one("sts", STS)["mx-host"] == ["mx.sts.test"]
    assert set(one("sts", STS)["policy-string"]) == set(ENFORCE.format(name="sts").splitlines())
    assert "mode: testing" in one("test-other", STS)["policy-string"]
    (line,) = one("dane", TLSA)["policy-string"]
    assert line.upper() == peers.tlsa(world.good, 3, 1, 1).upper()
    assert "policy-string" not in one("plain", NONE)


def test_the_mail_is_as_the_rfc_has_it(world):
    """RFC 8460 sections 3 and 5.3."""
    (mail,) = world.mailed["plain"]
    m = email.message_from_bytes(mail.octets)
    assert mail.sender == m["From"] == f"postmaster@{harness.DOMAIN}" and mail.recipients == [m["To"]]
    assert m["TLS-Required"] == "No" and m["TLS-Report-Domain"] == "plain.test"
    assert m["TLS-Report-Submitter"] == harness.DOMAIN and m.get_param("report-type") == "tlsrpt"
    listed = json.loads(world.i.run("dkim", "list", harness.DOMAIN, "--json").stdout)
    keys = {k["name"]: k["txt"] for k in listed["keys"]}
    look_up = lambda name, timeout=5: keys[name.decode().rstrip(".")].encode()
    assert dkim.DKIM(mail.octets, tlsrpt=True).verify(dnsfunc=look_up), "as receivers of such reports verify it"
    assert not dkim.DKIM(mail.octets.replace(b"Report Domain", b"Report domain"), tlsrpt=True).verify(dnsfunc=look_up)
    assert world.reports["plain"][0]["report-id"] in m["Subject"]
    (other,) = world.mailed["dane"]
    assert email.message_from_bytes(other.octets)["TLS-Report-Domain"] == "dane.test"
    names_ = [p.get_filename() for p in m.walk() if p.get_filename()]
    assert re.fullmatch(rf"{harness.DOMAIN}!plain\.test!\d+!\d+\.json\.gz", names_[0])


def test_our_reader_reads_them(world, tmp_path):
    file = tmp_path / "r.json"
    file.write_text(json.dumps(world.reports["test-other"][0]))
    p = subprocess.run([harness.BINARY, "tls-report", file], capture_output=True, text=True)
    assert p.returncode == 0 and "1 x certificate-host-mismatch" in p.stdout


def test_who_asks_for_none_gets_none(world):
    """Nor is any report about reports (which TLS-Required: No marks), though that domain asks for them."""
    assert set(world.reports) == set(BY_NAME)
    assert world.i.counters("vault")["tls-tallies"] == 0, "their records are gone all the same"
    counters = world.i.counters("relay")
    assert counters["tls_reports"] == len(CASES) and counters["tls_reports_lost"] == counters["tls_tallies_lost"] == 0


def test_what_is_not_taken_is_posted_again(world):
    """Section 5.5; under the same id."""
    path, _, body = world.web.posted[0]
    again = [b for p, _, b in world.web.posted[1:] if p == path]
    assert [json.loads(gzip.decompress(b)) for b in again] == [json.loads(gzip.decompress(body))]


def test_killed_in_between(world):
    """What was written is in a report, once; a new process goes on with it."""
    i, before = world.i, len(world.reports["plain"])
    with i.submission(ALICE) as s:
        assert s.sendmail(ALICE, ["bob@plain.test"], MAIL) == {}
    world.until(lambda: i.counters("vault").get("tls-tallies") == 1)
    for pid in i.pids("relay"):
        os.kill(pid, signal.SIGKILL)
    world.until(lambda: world.read() or len(world.reports["plain"]) > before)
    (report,) = world.reports["plain"][before:]
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    assert i.run("audit").returncode == 0
