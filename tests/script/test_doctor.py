"""letterlock doctor: a healthy domain, and forty that are not: the right line each time.

What is broken in one zone at a time would take a run of its own; so cases that have nothing to do with one another are
broken in one round, and every round shows that nothing else has changed."""
import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import time

import pytest

import harness
import names
import peers

pytestmark = pytest.mark.needs(*names.NEEDS, "openssl")
HOST = "mx.here.test"
FILL = pathlib.Path(harness.BINARY).parent / "tests/unit/queue_fill"
TEN = " ".join(f"a:n{n}.here.test" for n in range(10))

# What a healthy zone has, by a name for it. DKIM, TLSA: the instance's own.
HEALTHY = {
    "mx": "@ MX 10 mx",
    "mx a": "mx A 127.0.0.1",
    "spf": '@ TXT "v=spf1 ip4:127.0.0.1 mx -all"',
    "spf host": 'mx TXT "v=spf1 a -all"',
    "other txt": '@ TXT "site-verification=1"',
    "dmarc": '_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc-reports@here.test"',
    "caa": 'mx CAA 0 issue "letsencrypt.org"',
    "submissions": "_submissions._tcp SRV 0 1 {465} mx",
    "imaps": "_imaps._tcp SRV 5 1 {993} mx\n_imaps._tcp SRV 10 1 993 n1",
    "reports": '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:postmaster@here.test"',
    "sts": '_mta-sts TXT "v=STSv1; id=1"',
    "sts host": "mta-sts A 127.0.0.1",
    "peer": "peer A 127.0.0.1",
    "names": "".join(f"n{n} A 127.0.0.9\n" for n in range(10)),
    "ptr": "1.0.0 PTR mx.here.test.",
    "listed": "",
    "list": '2.0.0.127 A 127.0.0.2',
}
HOME = {"ptr": "127.in-addr.arpa", "listed": "list.test", "list": "list.test"}  # others: here.test
SEEN = {"port-25-in": {"unknown"}, "clock": {"ok", "warn", "unknown"}, "disk": {"ok", "warn"},
        "status": {"warn"}}  # also where all is well; what else is not ok is a fault

# what is broken, how: (check, state, what the line says)
CASES = {
    "no SPF": ({"spf": ""}, ("spf", "fail", "here.test has no SPF record")),
    "two of SPF": ({"spf": '@ TXT "v=spf1 mx -all"\n@ TXT "v=spf1 a -all"'},
                   ("spf", "fail", "more than one SPF record")),
    "SPF that is none": ({"spf": '@ TXT "v=spf1 mx ip4:127.0.0 -all"'},
                         ("spf", "fail", r"not well-formed \(here.test: ip4:127.0.0\)")),
    "eleven look-ups": ({"spf": f'@ TXT "v=spf1 ip4:127.0.0.1 {TEN} mx -all"'},
                        ("spf", "fail", "costs 11 look-ups")),
    "eleven by includes": ({"spf": '@ TXT "v=spf1 mx include:s.here.test -all"',
                            "names": HEALTHY["names"] + 's TXT "v=spf1 a:n0.here.test redirect=t.here.test"\n'
                            f't TXT "v=spf1 {TEN.rsplit(" ", 2)[0]} -all"'},
                           ("spf", "fail", "costs 12 look-ups")),
    "an SPF loop": ({"spf": '@ TXT "v=spf1 include:here.test -all"'}, ("spf", "fail", "(asks without end|look-ups)")),
    "SPF for everybody": ({"spf": '@ TXT "v=spf1 mx +all"'}, ("spf", "fail", "lets everybody send")),
    "SPF for all addresses": ({"spf": '@ TXT "v=spf1 mx ip4:0.0.0.0/0 -all"'}, ("spf", "fail", "lets everybody send")),
    "SPF for others": ({"spf": '@ TXT "v=spf1 ip4:192.0.2.1 -all"'},
                       ("spf", "fail", "does not let 127.0.0.1 send: fail")),
    "SPF of names that are gone": ({"spf": '@ TXT "v=spf1 mx a:x.here.test a:y.here.test mx:z.here.test -all"'},
                                   ("spf", "fail", "3 terms of the SPF record name what is not there")),
    "an include without a record": ({"spf": '@ TXT "v=spf1 mx include:n1.here.test -all"'},
                                    ("spf", "fail", "what is included has no SPF record")),
    "SPF by PTR": ({"spf": '@ TXT "v=spf1 ptr -all"'}, ("spf", "warn", "uses ptr")),
    "no SPF of the host": ({"spf host": ""}, ("spf-host", "warn", "bounces")),
    "SPF of the host for others": ({"spf host": 'mx TXT "v=spf1 -all"'},
                                   ("spf-host", "fail", "does not let 127.0.0.1")),
    "no DKIM": ({"dkim": ""}, ("dkim", "fail", "a key that signs, ll-.*, is not published")),
    "another DKIM key": ({"dkim": lambda k: f'{k["label"]} TXT "v=DKIM1; k=ed25519; p=AAAA"'},
                         ("dkim", "fail", "has another key")),
    "a revoked DKIM key": ({"dkim": lambda k: f'{k["label"]} TXT "v=DKIM1; p="'}, ("dkim", "fail", "is revoked")),
    "two of DKIM": ({"dkim": lambda k: k["record"] + f'\n{k["label"]} TXT "v=DKIM1; p=AAAA"'},
                    ("dkim", "fail", "beside another record")),
    "DKIM for a test": ({"dkim": lambda k: k["record"].replace("v=DKIM1;", "v=DKIM1; t=y;")},
                        ("dkim", "fail", "t=y")),
    "no DMARC": ({"dmarc": ""}, ("dmarc", "fail", "has no DMARC record")),
    "DMARC that asks for nothing": ({"dmarc": '_dmarc TXT "v=DMARC1; p=none"'}, ("dmarc", "warn", "p=none")),
    "DMARC without reports": ({"dmarc": '_dmarc TXT "v=DMARC1; p=reject"'}, ("dmarc", "warn", "asks for no reports")),
    "two of DMARC": ({"dmarc": HEALTHY["dmarc"] + '\n_dmarc TXT "v=DMARC1; p=none"'},
                     ("dmarc", "fail", "2 DMARC records")),
    "DMARC that is none": ({"dmarc": '_dmarc TXT "v=DMARC1; p=refuse"'}, ("dmarc", "fail", "not well-formed")),
    "no MX": ({"mx": ""}, ("mx", "fail", "has no MX record")),
    "a null MX": ({"mx": "@ MX 0 ."}, ("mx", "fail", "takes no mail at all")),
    "MX elsewhere": ({"mx": "@ MX 10 n1"}, ("mx", "fail", "no MX record of here.test names this server")),
    "another MX first": ({"mx": "@ MX 10 mx\n@ MX 5 n1"}, ("mx", "warn", "goes first to n1.here.test")),
    "an MX without address": ({"mx": "@ MX 10 mx\n@ MX 20 nobody"}, ("mx", "fail", "nobody.here.test, which has no")),
    "no PTR": ({"ptr": ""}, ("ptr", "fail", "127.0.0.1 has no PTR record")),
    "PTR elsewhere": ({"ptr": "1.0.0 PTR n1.here.test."}, ("ptr", "fail", "does not lead back")),
    "PTR of another name": ({"ptr": "1.0.0 PTR peer.here.test."}, ("ptr", "warn", "leads back, but is not the name")),
    "TLSA of another key": ({"tlsa": f"_25._tcp.mx TLSA 3 1 1 {'ab' * 32}"},
                            ("tlsa", "fail", "fits the certificate shown on port 25")),
    "TLSA of no use": ({"tlsa": f"_25._tcp.mx TLSA 1 1 1 {'ab' * 32}"}, ("tlsa", "fail", "usage 2 or 3")),
    "no TLSA": ({"tlsa": ""}, ("tlsa", "warn", "although the zone is signed")),
    "CAA of another issuer": ({"caa": 'mx CAA 0 issue "other.example"'}, ("caa", "fail", "do not let letsencrypt.org")),
    "no SRV": ({"imaps": ""}, ("srv", "warn", "_imaps._tcp.here.test has no SRV record")),
    "SRV elsewhere": ({"submissions": "_submissions._tcp SRV 0 1 {465} n1"},
                      ("srv", "fail", "_submissions._tcp.here.test leads mail clients to n1.here.test")),
    "SRV of another port": ({"imaps": "_imaps._tcp SRV 0 1 143 mx"}, ("srv", "fail", "port 143, where this server")),
    "SRV of no service": ({"imaps": "_imaps._tcp SRV 0 0 0 ."}, ("srv", "fail", "says that there is no such service")),
    "no CAA": ({"caa": ""}, ("caa", "warn", "any authority")),
    "on a block list": ({"listed": '1.0.0.127 A 127.0.0.4\n1.0.0.127 TXT "spam\\027 seen"'},
                        ("block-lists", "fail", r"on the block list list.test: spam\? seen")),
    "a block list that ended": ({"list": ""}, ("block-lists", "unknown", "answers no question")),
    "a block list that refuses": ({"list": "*.127 A 127.255.255.254"}, ("block-lists", "unknown", "no question")),
    "no TLS reports": ({"reports": ""}, ("tls-reports", "warn", "asks for no reports")),
    "TLS reports to nowhere": ({"reports": '_smtp._tls TXT "v=TLSRPTv1; rua=postmaster"'},
                               ("tls-reports", "fail", "without a good rua=mailto:")),
    "no MTA-STS": ({"sts": ""}, ("mta-sts", "warn", "no MTA-STS policy")),
    "MTA-STS without id": ({"sts": '_mta-sts TXT "v=STSv1;"'},
                           ("mta-sts", "fail", "_mta-sts.here.test is not well-formed")),
}
ROUNDS = []  # [names of cases]: no two of a round change the same thing, or are about the same check
for case, (changes, (check, *_)) in CASES.items():
    for members in ROUNDS:
        if not any(check == CASES[m][1][0] or changes.keys() & CASES[m][0].keys() for m in members):
            members.append(case)
            break
    else:
        ROUNDS.append([case])


class Web(http.server.BaseHTTPRequestHandler):
    """Where the policy is fetched."""
    status, text, type = 200, "", "text/plain"

    def do_GET(self):
        assert self.path == "/.well-known/mta-sts.txt" and self.headers["Host"].startswith("mta-sts.here.test")
        self.send_response(Web.status)
        self.send_header("Content-Type", Web.type)
        self.send_header("Content-Length", str(len(Web.text)))
        self.end_headers()
        self.wfile.write(Web.text.encode())

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve_web(port, pair):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Web)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def policy(*lines):
    return "".join(f"{x}\r\n" for x in ("version: STSv1", *lines))


Web.text = policy("mode: enforce", "mx: *.here.test", "max_age: 1209600")


class Home:
    def __init__(self, i, n):
        self.i, self.n = i, n
        keys = json.loads(i.run("dkim", "list", "here.test", "--json").stdout)["keys"]
        self.keys = [{"label": k["name"].removesuffix(".here.test"), "txt": k["txt"]} for k in keys]
        for k in self.keys:
            parts = re.findall(".{1,250}", k["txt"])
            k["record"] = f'{k["label"]} TXT ' + " ".join(f'"{p}"' for p in parts)
        self.tlsa = f"_25._tcp.mx TLSA 3 1 1 {peers.fingerprint(i.dir / 'tls/chain.pem')}"
        self.seen = {}

    def zones(self, changes):
        """With what is broken. The first key's record alone is another one."""
        all_of = {**HEALTHY, "tlsa": self.tlsa, "dkim": self.keys[0]["record"], "dkim 2": self.keys[1]["record"],
                  **{k: v(self.keys[0]) if callable(v) else v for k, v in changes.items()}}
        zones = {"here.test": "", "127.in-addr.arpa": "", "list.test": ""}
        for name, text in all_of.items():
            zones[HOME.get(name, "here.test")] += self.ports(text) + "\n"
        return zones

    def ports(self, text):
        """{465}: the port where the instance has it."""
        return re.sub(r"\{(\d+)\}", lambda m: str(self.i.base + int(m.group(1))), text)

    def publish(self, changes, **how):
        self.n.change_all(self.zones(changes), **how)

    def doctor(self, domain="here.test"):
        p = self.i.run("doctor", domain, "--json", check=False)
        assert p.stderr == b"" and p.returncode in (0, 1), p.stderr
        found = json.loads(p.stdout)
        assert all(set(f) == {"id", "state", "found", "want", "do"} for f in found)
        assert (p.returncode == 1) == any(f["state"] == "fail" for f in found)
        return found

    def round(self, k):
        if k not in self.seen:
            self.publish({name: v for m in ROUNDS[k] for name, v in CASES[m][0].items()})
            self.seen[k] = self.doctor()
        return self.seen[k]


def faults(found):
    return [f for f in found if f["state"] != "ok" and f["state"] not in SEEN.get(f["id"], ())]


def authority(place, host):
    """(its certificate, [chain, key]) of an authority that is called as a known one."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=place)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj",
            "/C=US/O=Let's Encrypt/CN=R11")
    openssl("req", *ec, "-keyout", "mx.key", "-out", "mx.csr", "-subj", f"/CN={host}")
    (place / "ext").write_text(f"subjectAltName=DNS:{host},DNS:mta-sts.here.test\n")
    openssl("x509", "-req", "-in", "mx.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "60",
            "-extfile", "ext", "-out", "mx.pem")
    (place / "chain.pem").write_bytes((place / "mx.pem").read_bytes() + (place / "ca.pem").read_bytes())
    return place / "ca.pem", (place / "chain.pem", place / "mx.key")


def use(i, pair):
    for file, name in zip(pair, ("chain.pem", "key.pem")):
        (i.dir / "tls" / name).write_bytes(file.read_bytes())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("authority")
    roots, pair = authority(place, HOST)
    i = harness.Instance(domain=HOST)
    # The signed zone's own name; nobody but it stands above here.test.
    with i, names.start({"here.test": "", "127.in-addr.arpa": "", "list.test": ""}, signed=["here.test"]) as n:
        port = i.base + 5525
        i.init(**n.settings(), relay_port=port, relay_tls_roots=roots, doctor_peer="peer.here.test",
               blocklists="list.test", fetch_allow=f"127.0.0.1@{i.base + 443}", fetch_ca_file=roots)
        i.run("domain", "add", "here.test")
        use(i, pair)
        i.serve()
        with peers.Peer(port), serve_web(i.base + 443, pair):
            h = Home(i, n)
            h.pair = pair
            h.publish({})
            yield h


def test_a_healthy_domain(home):
    home.publish({})
    found = home.doctor()
    assert faults(found) == []
    assert {f["id"] for f in found} >= {
        "server", "keys", "queue", "domain", "addresses", "ptr", "mx", "dnssec", "certificate", "tlsa", "caa", "srv",
        "spf", "spf-host", "dkim", "dmarc", "mta-sts", "tls-reports", "port-25-out", "port-25-in", "block-lists",
        "clock", "disk"}
    assert sum(f["id"] == "certificate" for f in found) == 5  # a listener each
    assert sum(f["id"] == "dkim" for f in found) == 2
    assert all(f["do"] for f in found if f["state"] in ("warn", "fail"))
    text = home.i.run("doctor", "HERE.test")
    lines = text.stdout.decode().splitlines()
    assert [x for x in lines if x.startswith("fail")] == [] and re.match(r"\d+ ok, .* 0 wrong, ", lines[-1])
    assert any(re.match(r"ok +mx +mail for here.test goes to mx.here.test", x) for x in lines)
    assert any(re.match(r" +do: from a machine elsewhere: openssl s_client -starttls smtp", x) for x in lines)


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_is_said(home, case):
    k = next(k for k, members in enumerate(ROUNDS) if case in members)
    found = home.round(k)
    check, state, says = CASES[case][1]
    lines = [f for f in found if f["id"] == check and f["state"] == state]
    assert any(re.search(says, f["found"]) for f in lines), [f for f in found if f["id"] == check]
    if state in ("warn", "fail"):
        assert all(f["do"] for f in lines)
    wanted = {CASES[m][1][0] for m in ROUNDS[k]}
    assert {f["id"] for f in faults(found)} - wanted == set(), faults(found)
    assert json.dumps(found, ensure_ascii=False).isprintable()


def test_signatures_that_have_ended(home):
    home.publish({}, signatures="expired")
    try:
        found = home.doctor()
    finally:
        home.publish({}, signatures="good")
    assert [f for f in found if f["id"] == "dnssec" and f["state"] == "fail" and "do not hold (DNSSEC)" in f["found"]]
    assert not [f for f in found if f["id"] in ("mx", "dkim", "dmarc") and f["state"] == "ok"]


def test_a_zone_that_is_not_signed(home):
    home.publish({})
    home.i.configure(dns_anchor_file="")
    try:
        unknown = home.doctor()
        anchors = home.n.place / "anchors.other"
        anchors.write_text(home.n.anchors().replace("here.test", "there.test"))
        home.i.configure(dns_anchor_file=anchors)
        found = home.doctor()
    finally:
        home.i.configure(dns_anchor_file=home.n.place / "anchors")
    assert {f["state"] for f in unknown if f["id"] == "dnssec"} == {"unknown"}
    assert [f["found"] for f in found if f["id"] == "dnssec"] == [
        f"{name} is not signed (DNSSEC)" for name in ("here.test", HOST)]
    assert [f["state"] for f in found if f["id"] == "tlsa"] == ["warn"]
    assert {f["id"] for f in faults(found)} == {"dnssec", "tlsa"}


def test_the_server_s_name_is_nowhere(home):
    home.publish({"mx a": ""})
    found = home.doctor()
    assert [f for f in found if f["id"] == "addresses"][0]["found"] == f"{HOST} has no address"
    home.publish({"mx a": "mx CNAME peer", "spf host": "", "caa": ""})
    found = home.doctor()
    lines = [f for f in found if f["id"] == "addresses"]
    assert "is an alias of peer.here.test" in lines[0]["found"]
    assert "no address of this machine" not in lines[1]["found"]
    home.publish({"mx a": "mx A 192.0.2.1"})
    found = home.doctor()
    assert [f["state"] for f in found if f["id"] == "addresses"] == ["warn"]
    assert "192.0.2.1, which is no address of this machine" in str(found)


def test_names_that_nobody_answers_for(home):
    home.n.close_server()
    try:
        found = home.doctor()
    finally:
        home.n.go()
        home.publish({})
    about = {f["id"]: f["state"] for f in found}
    assert about["addresses"] == about["mx"] == about["spf"] == about["dkim"] == "unknown", found
    assert "DNS does not answer at all" in [f["found"] for f in found if f["id"] == "mx"][0]
    assert about["certificate"] == "ok"


def test_the_way_out(home):
    home.publish({})
    i = home.i
    try:
        with peers.Peer(i.base + 5526, greeting="554 5.7.1 not \x1b[31mfrom there"):
            i.configure(doctor_peer=f"peer.here.test:{i.base + 5526}")
            assert "says: 554 5.7.1 not ?[31mfrom there" in str(home.doctor())
        i.configure(doctor_peer=f"peer.here.test:{i.base + 5527}")
        refused = [f for f in home.doctor() if f["id"] == "port-25-out"]
        assert [f["state"] for f in refused] == ["fail"] and "Connection refused" in refused[0]["found"]
        assert "smarthost" in refused[0]["do"]
        i.configure(doctor_peer="nobody.here.test")
        assert [f["state"] for f in home.doctor() if f["id"] == "port-25-out"] == ["unknown"]
        i.configure(smarthost=f"peer.here.test:{i.base + 5525}")
        found = home.doctor()
        assert [f["state"] for f in found if f["id"] == "port-25-out"] == ["ok"]
        assert not [f for f in found if f["id"] in ("ptr", "block-lists", "spf-host")]
        assert [f["state"] for f in found if f["id"] == "spf"] == ["ok", "unknown"]
    finally:
        i.configure(doctor_peer="peer.here.test", smarthost="")


@pytest.mark.parametrize("state,says,answer", [
    ("fail", "does not name mx.here.test", {"text": policy("mode: enforce", "mx: *.mx.here.test", "max_age: 1209600")}),
    ("warn", "does not name mx.here.test", {"text": policy("mode: testing", "mx: a.here.test", "max_age: 1209600")}),
    ("ok", "names who takes the mail", {"text": policy("mode: enforce", "mx: mx.here.test", "max_age: 1209600")}),
    ("warn", "is for a test", {"text": policy("mode: testing", "mx: mx.here.test", "max_age: 1209600")}),
    ("warn", "says that there is no policy", {"text": policy("mode: none", "max_age: 1209600")}),
    ("warn", "good for 60 seconds", {"text": policy("mode: enforce", "mx: mx.here.test", "max_age: 60")}),
    ("fail", "is no policy", {"text": policy("mode: enforced", "mx: mx.here.test", "max_age: 1209600")}),
    ("fail", "the web server says 404", {"status": 404}),
    ("fail", "no text/plain", {"type": "text/html"}),
    ("fail", "no text/plain|is sent on", {"status": 302})])
def test_a_policy(home, monkeypatch, state, says, answer):
    if "sts" not in home.seen:
        home.publish({})
        home.seen["sts"] = True
    for name, value in answer.items():
        monkeypatch.setattr(Web, name, value)
    lines = [f for f in home.doctor() if f["id"] == "mta-sts"]
    assert [f["state"] for f in lines] == [state] and re.search(says, lines[0]["found"]), lines


def test_a_policy_of_this_server_s(home, monkeypatch):
    """What is wanted is what its own web server has; and a record must have the id of that."""
    def line():
        return [f for f in home.doctor() if f["id"] == "mta-sts"][0]
    home.i.configure(https="yes", mta_sts_mode="enforce", mta_sts_max_age=1209600)
    try:
        own = policy("mode: enforce", "mx: mx.here.test", "max_age: 1209600")
        record = re.search(r"^_mta-sts\..*$", home.i.run("domain", "dns", "here.test").stdout.decode(), re.M)[0]
        assert hashlib.sha256(own.encode()).hexdigest()[:32] in record
        monkeypatch.setattr(Web, "text", own)
        home.publish({})
        stale = line()
        assert stale["state"] == "warn" and "id is not that of" in stale["found"] and stale["want"] == record
        monkeypatch.setattr(Web, "status", 404)
        gone = line()
        assert gone["state"] == "fail" and "lead the name to this server" in gone["do"]
        assert gone["want"].endswith(own.strip().replace("\r\n", " / "))
        monkeypatch.setattr(Web, "status", 200)
        home.publish({"sts": ""})
        none = line()
        assert none["state"] == "warn" and none["want"] == record
        home.publish({"sts": record.replace("_mta-sts.here.test.  IN", "_mta-sts")})
        assert line()["state"] == "ok"
    finally:
        home.i.configure(https="no")


def test_a_policy_that_is_not_there(home):
    home.publish({"sts host": ""})
    assert "has no address" in [f["found"] for f in home.doctor() if f["id"] == "mta-sts"][0]
    home.publish({"sts host": "mta-sts A 127.0.0.2"})
    assert "open Internet" in [f["found"] for f in home.doctor() if f["id"] == "mta-sts"][0]


@pytest.mark.parametrize("name,expired,states,says", [
    ("else.here.test", False, {"fail"}, "is not for mx.here.test"),
    (HOST, True, {"fail"}, "expired on"),
    (HOST, False, {"warn", "fail"}, "self-signed|self signed")])
def test_a_certificate(home, tmp_path, name, expired, states, says):
    home.publish({})
    use(home.i, peers.certificate(tmp_path, name, expired))
    try:
        home.i.run("reload")
        found = home.doctor()
    finally:
        use(home.i, home.pair)
        home.i.run("reload")
    lines = [f for f in found if f["id"] == "certificate"]
    about = [f for f in lines if re.search(says, f["found"])]
    assert len(about) == 5 and {f["state"] for f in about} == states, lines
    assert [f["state"] for f in found if f["id"] == "tlsa"] == ["fail"]
    assert "not to be trusted" in [f["found"] for f in found if f["id"] == "mta-sts"][0]


def test_the_server_s_own_name(home):
    home.publish({})
    found = home.doctor(HOST)
    # As a domain it has keys too (init), and nothing is published for it there.
    assert [f["state"] for f in found if f["id"] == "domain"] == ["ok"]
    assert {f["id"] for f in faults(found)} >= {"mx", "dkim"}
    p = home.i.run("doctor", "elsewhere.test", check=False)
    assert p.returncode == 1 and b"not one of this server's domains" in p.stderr
    assert home.i.run("doctor", "no domain", check=False).returncode == 1


def test_a_server_that_does_not_run(home):
    home.publish({})
    home.i.stop()
    try:
        found = home.doctor()
        assert {f["id"] for f in faults(found)} == {"server"}
        assert [f["found"] for f in found if f["id"] == "certificate"][0].startswith("tls_chain: ")
        home.i.run("dkim", "rotate", "here.test", "--now")  # what is published is retired now
        states = [f["state"] for f in home.doctor() if f["id"] == "dkim"]
        assert sorted(states) == ["fail", "fail", "ok", "ok"]
    finally:
        home.i.serve()


@pytest.mark.needs(str(FILL))
def test_what_ends(home):
    """A reader's key within key_notice_days; mail that has waited for half of queue_lifetime."""
    i = home.i
    home.publish({})
    address = f"ann@{HOST}"
    i.keyring.unasked("--quick-gen-key", address, "future-default", "default", "10d")
    (i.place / "ann.asc").write_bytes(i.keyring.export(address))
    i.run("account", "add", address, "--key", i.place / "ann.asc")
    keys = [f for f in home.doctor() if f["id"] == "keys"]
    assert [f["state"] for f in keys] == ["warn"] and f"a key of {address} expires on 20" in keys[0]["found"]
    i.run("account", "remove", address)
    i.stop()
    try:
        subprocess.run([FILL, i.dir, "2", address, "bob@peer.here.test"], input=b"a: b\r\n\r\n", env=i.env, check=True,
                       capture_output=True)
        queue = [f for f in home.doctor() if f["id"] == "queue"]
        assert [(f["state"], f["found"]) for f in queue] == [("ok", "2 messages wait to be sent, and 0 are held")]
        i.configure(queue_lifetime=1)
        end = time.monotonic() + 60
        while (queue := [f for f in home.doctor() if f["id"] == "queue"])[0]["state"] != "warn":
            assert time.monotonic() < end, queue
        assert "2 messages wait to be sent, the oldest since 20" in queue[0]["found"]
        i.run("queue", "hold", "--all")
        queue = [f for f in home.doctor() if f["id"] == "queue"]
        assert queue[0]["found"].startswith("0 messages wait to be sent, and 2 are held")
    finally:
        i.configure(queue_lifetime=432000)
        i.serve()
