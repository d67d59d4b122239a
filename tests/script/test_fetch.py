"""The role fetcher against a web server that behaves in every bad way, by build/tests/unit/fetch_tool: where it goes,
where it does not, whom it believes, and that what it takes of an answer is bounded."""
import pathlib
import re
import socket
import struct
import threading
import time

import harness
import names
import pytest
import web
from role_tool import RoleTool

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/fetch_tool"
RELEASED = harness.released().resolve().parent / "tests/unit/fetch_tool"
pytestmark = pytest.mark.needs(*names.NEEDS, "openssl", str(TOOL))
OK, FORMAT, LIMIT, NOT_FOUND, DENIED, GONE, AGAIN, CRYPTO, TIMEOUT, MOVED = 0, -3, -4, -6, -8, -12, -13, -14, -17, -24
MTA_STS, REPORT, DOCTOR, KEY = 1, 2, 3, 4
MOST = 48 * 1024

# What the Internet is not. Each is the address of a name.
FORBIDDEN = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.1.1.1 127.255.255.254 169.254.169.254
172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1
198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1
ff02::1 ff0e::1 ffff::1
""".split()

# What leads astray whoever reads it otherwise than the one who connects.
URLS = """
https://127.0.0.1/ok https://2130706433/ok https://0x7f000001/ok https://0x7f.0.0.1/ok https://0177.0.0.1/ok
https://017700000001/ok https://127.1/ok https://127.0.1/ok https://0/ok https://127.0.0.1./ok https://a.127.0.0.1/ok
https://1.0x7f/ok https://[::1]/ok https://[::ffff:127.0.0.1]/ok https://[64:ff9b::7f00:1]/ok https://[fe80::1%25lo]/ok
https://[v1.a]/ok https://%31%32%37.0.0.1/ok https://good%2etest/ok https://good.test%00.example/ok
https://user@good.test/ok https://user:word@good.test/ok https://@good.test/ok https://:@good.test/ok
https://good.test@127.0.0.1/ok https://good.test:443@127.0.0.1/ok https://127.0.0.1%2f@good.test/ok
https://good.test;a=b@good.test/ok https://good.test\\@else.test/ok https://good.test\\ok https://good.test#@else.test/
https://good.test/ok#part https://good.test:22/ok https://good.test:80/ok https://good.test:0/ok https://good.test:/ok#
https://good.test:65979/ok https://good.test:4430/ok https://good.test:443:443/ok https:///good.test/ok
https:/good.test/ok https:good.test/ok //good.test/ok good.test/ok /ok https:// https://./ok https://.test/ok
https://good..test/ok https://good.test./ok https://localhost/ok https://test/ok https://good_test.test/ok
https://-/ok http://good.test/ok ftp://good.test/ok file:///etc/passwd file://good.test/etc/passwd gopher://good.test/
dict://good.test/ ldap://good.test/ smb://good.test/a scp://good.test/a telnet://good.test/ imaps://good.test/
smtp://good.test/ ws://good.test/ wss://good.test/ data:,x javascript:1 about:blank https+unix://good.test/
view-source:https://good.test/
""".split()


def forbidden_zone():
    lines = [f"f{i} {'AAAA' if ':' in a else 'A'} {a}" for i, a in enumerate(FORBIDDEN)]
    return "\n".join(lines) + """
good A 127.0.0.1
expired A 127.0.0.1
nobodys A 127.0.0.1
anothers A 127.0.0.1
clear A 127.0.0.2
silent A 127.0.0.3
old A 127.0.0.4
shut A 127.0.0.5
garbage A 127.0.0.6
second A 127.0.0.5
second A 127.0.0.1
both A 127.0.0.1
both A 10.0.0.1
both2 A 127.0.0.1
both2 AAAA ::1
many A 127.0.0.1
""" + "".join(f"many A 127.0.0.{n}\n" for n in range(5, 15)) + """many A 192.168.1.1
alias CNAME good
bad CNAME f2
bad2 CNAME bad
six.web AAAA ::1
none TXT x
gone CNAME nowhere
""" + "*.web A 127.0.0.1\nweb A 127.0.0.1\n"


class Tool(RoleTool):
    def __init__(self, place, settings, tool=TOOL, wrapper=()):
        super().__init__(place, settings, tool, wrapper)
        self.number = 0

    def ask_all(self, *urls, kind=DOCTOR):
        """All at once; what came of each, in their order."""
        ids = {}
        for url in urls:
            self.number += 1
            ids[str(self.number)] = url
            self.say(f"get {self.number} {kind} {url}")
        found = {}
        while len(found) < len(ids):
            a = Answer(self.heard())
            found[a.id] = a
        return [found[i] for i in ids]

    def ask(self, url, kind=DOCTOR):
        return self.ask_all(url, kind=kind)[0]

    def errors(self, *urls, kind=DOCTOR):
        return dict(zip(urls, [a.err for a in self.ask_all(*urls, kind=kind)]))

    def post(self, url, n):
        self.number += 1
        self.say(f"post {self.number} {REPORT} {url} {n}")
        return Answer(self.heard())

    def many(self, n, url, kind=DOCTOR):
        self.say(f"many {n} {kind} {url}")

    def many_answers(self):
        return {int(err): int(n) for _, err, n in map(str.split, self.until_done())}


class Answer:
    def __init__(self, line):
        _, self.id, err, *rest = line.split(" ")
        self.err, self.text = int(err), line
        if self.err == OK:
            self.status, self.type, self.len, self.body = int(rest[0]), rest[1], int(rest[2]), bytes.fromhex(rest[3])

    def __repr__(self):
        return self.text


def until(ask, fits):
    end = time.monotonic() + 120
    while not fits(found := ask()):
        assert time.monotonic() < end, found
    return found


@pytest.fixture(scope="module")
def base():
    base = harness.free_base()
    yield base
    harness.release_base(base)


@pytest.fixture(scope="module")
def server(base, tmp_path_factory):
    with web.Server(tmp_path_factory.mktemp("web"), base + harness.WEB_PORT) as w:
        yield w


@pytest.fixture(scope="module")
def zone():
    with names.start({"test": forbidden_zone()}) as n:
        yield n


@pytest.fixture(scope="module")
def settings(server, zone):
    server.ca.parent.chmod(0o755)
    return {**zone.settings(), "fetch_allow": f"127.0.0.0/28@{server.port}", "fetch_ca_file": server.ca}


@pytest.fixture(scope="module")
def t(settings, tmp_path_factory):
    with Tool(tmp_path_factory.mktemp("fetch"), settings) as t:
        yield t


def test_a_page_comes_as_it_is(t, server):
    a = t.ask("https://good.test/ok?a=b&c")
    assert (a.err, a.status, a.type, a.body) == (OK, 200, "text/plain", b"hello")
    method, target, headers, _ = server.requests[-1]
    assert (method, target) == ("GET", "/ok?a=b&c")
    assert headers == {"host": "good.test", "user-agent": "Letterlock", "accept": "*/*", "accept-encoding": "identity"}
    a = t.ask("https://GOOD.test:443/status?404")
    assert (a.err, a.status, a.body) == (OK, 404, b"such")
    assert t.ask("https://alias.test/exact?%d" % MOST).len == MOST
    assert t.ask("https://good.test/html").type == "text/html"
    assert t.ask("https://good.test/typeless").type == "-"
    assert t.ask("https://second.test/ok").body == b"hello", "the first address does not answer"


def test_a_policy_is_text(t):
    url = "https://mta-sts.web.test/.well-known/mta-sts.txt"
    a = t.ask(url, kind=MTA_STS)
    assert a.err == OK and a.body.startswith(b"version: STSv1\r\nmode: testing")
    assert t.ask("https://good.test/html", kind=MTA_STS).err == FORMAT, "RFC 8461 section 3.3"
    assert t.ask("https://good.test/typeless", kind=MTA_STS).err == FORMAT
    assert t.ask("https://good.test/status?404", kind=MTA_STS).status == 404


def test_a_report_is_posted(t, server):
    a = t.post("https://good.test/ok", 40000)
    method, target, headers, body = server.requests[-1]
    assert (a.err, method, len(body)) == (OK, "POST", 40000)
    assert headers["content-type"] == "application/tlsrpt+gzip" and "expect" not in headers
    assert t.post("https://good.test/ok", 0).err == OK and server.requests[-1][2]["content-length"] == "0"
    assert t.post("https://good.test/exact?5000", 1).err == LIMIT, "nobody needs so long an answer to a report"
    assert t.post("https://good.test/redirect?307 https://else.test/ok".replace(" ", "%20"), 1).err == MOVED


def test_urls_that_are_not_taken(t, server):
    before = len(server.requests), server.connections
    assert t.errors(*URLS) == dict.fromkeys(URLS, DENIED)
    assert (len(server.requests), server.connections) == before
    for url in ("https://good.test/\x01", "https://gööd.test/", "https://１２７.0.0.1/", "https://127。0。0。1/"):
        t.say("get 0 3 " + url)
        assert Answer(t.heard()).err == FORMAT, url
    assert t.ask("https://good.test/" + "x" * 1100).err == FORMAT


def test_addresses_that_are_not_connected_to(t, server):
    before = server.connections
    urls = [f"https://f{i}.test/ok" for i in range(len(FORBIDDEN))]
    urls += [f"https://{n}.test/ok" for n in ("both", "both2", "many", "bad", "bad2")]
    assert t.errors(*urls) == dict.fromkeys(urls, DENIED)
    assert t.errors("https://none.test/", "https://gone.test/", "https://nowhere.test/") == {
        "https://none.test/": NOT_FOUND, "https://gone.test/": NOT_FOUND, "https://nowhere.test/": NOT_FOUND}
    assert server.connections == before


def test_no_redirection_is_followed(t, server):
    places = ["https://169.254.169.254/latest/meta-data", "http://169.254.169.254/", "https://[::1]/ok",
              "https://f2.test/ok", "https://web.test/ok", "https://good.test/ok", "/ok", "//web.test/ok",
              "file:///etc/passwd", "gopher://good.test/", "/redirect?302%20/ok", ""]
    codes = ["300", "301", "302", "303", "304", "305", "307", "308", "399"]
    urls = [f"https://good.test/redirect?302%20{p}" for p in places]
    urls += [f"https://good.test/redirect?{code}%20https://web.test/ok" for code in codes]
    before = len(server.requests)
    assert t.errors(*urls) == dict.fromkeys(urls, MOVED)
    for kind in (MTA_STS, KEY):
        assert t.errors(*urls, kind=kind) == dict.fromkeys(urls, MOVED)
    asked = server.requests[before:]
    assert len(asked) == 3 * len(urls) and {r[1].partition("?")[0] for r in asked} == {"/redirect"}


def test_answers_have_bounds(t, server):
    paths = {"gigabyte": LIMIT, "endless": LIMIT, "chunks": LIMIT, "trailers": LIMIT, "gzip": FORMAT,
             "transfer-gzip": LIMIT, "emptiness": LIMIT, "extension": LIMIT, "headers": LIMIT, "header": LIMIT,
             "interim": LIMIT, f"exact?{MOST + 1}": LIMIT, "short": FORMAT, "ssh": FORMAT, "http09": FORMAT,
             "ends": AGAIN, "two-lengths": FORMAT}
    urls = {f"https://good.test/{p}": err for p, err in paths.items()}
    found = t.errors(*urls)
    assert found.pop("https://good.test/header") in (LIMIT, AGAIN), "libcurl has no memory for such a line"
    del urls["https://good.test/header"]
    assert found == urls
    assert max(server.sent.values()) < 16 << 20, server.sent
    if TOOL == RELEASED:
        peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{t.pid()}/status").read_text())[1])
        assert peak < 64 * 1024, "KB"
    assert t.ask("https://good.test/ok").body == b"hello"


def test_whom_it_believes(t, server):
    before = len(server.requests)
    urls = [f"https://{n}.test/ok" for n in ("expired", "nobodys", "anothers", "clear", "old", "garbage")]
    assert t.errors(*urls) == dict.fromkeys(urls, CRYPTO)
    assert t.ask("https://a.b.web.test/ok").err == CRYPTO, "a wildcard is one label"
    assert t.ask("https://shut.test/ok").err == AGAIN
    assert len(server.requests) == before


def test_nothing_is_kept_of_an_answer(t, server):
    assert [t.ask("https://good.test/cookie").err for _ in range(2)] == [OK, OK]
    a, b = server.requests[-2:]
    assert a == b and "cookie" not in b[2]
    connections = server.connections
    assert [t.ask("https://good.test/keep").err for _ in range(2)] == [OK, OK]
    assert server.connections == connections + 2, "each is held against the addresses of its own look-up"


def test_who_lies_over_the_channel_is_left(t):
    url = b"https://good.test/ok"

    def question(kind, url, type=b"", body=b""):
        return bytes([kind]) + b"".join(struct.pack(">I", len(x)) + x for x in (url, type, body))

    bad = [b"", b"\x03", question(0, url), question(9, url), question(3, b""), question(3, b"https://a\r\nb/"),
           question(3, url, b"a/b"), question(3, url, b"", b"x"), question(2, url), question(2, url, b"a/b\r\nX: y"),
           question(2, url, b"a/" + b"b" * 200), question(3, url + b"\0"), question(3, url) + b"x",
           question(3, url)[:-1], question(3, b"x" * 1025), question(2, url, b"A/b")]
    for octets in bad:
        t.say("raw " + (octets.hex() or "-"))
        assert t.heard() == "ended", octets
    t.say("raw " + question(3, url).hex())
    assert t.heard() == "answered"


def test_over_ipv6(settings, server, tmp_path):
    with Tool(tmp_path, {**settings, "fetch_allow": f"127.0.0.0/28@{server.port}, ::1@{server.port}"}) as t:
        before = server.over_v6
        assert t.ask("https://six.web.test/ok").body == b"hello" and server.over_v6 == before + 1
        assert t.ask("https://both2.test/ok").err == CRYPTO, "now both of its addresses are allowed"


@pytest.fixture(scope="module")
def alternating():
    """A name server whose answer to A is now good, now bad, and may be kept by nobody."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    given = []

    def serve():
        while True:
            try:
                q, peer = s.recvfrom(4096)
            except OSError:
                return
            end = q.index(b"\0", 12) + 5
            kind = struct.unpack(">H", q[end - 4:end - 2])[0]
            records = b""
            if kind == 1:
                given.append("127.0.0.1" if len(given) % 2 == 0 else "127.1.1.1")
                records = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(given[-1])
            head = q[:2] + b"\x84\0\0\1" + struct.pack(">HHH", bool(records), 0, 0)
            s.sendto(head + q[12:end] + records, peer)

    threading.Thread(target=serve, daemon=True).start()
    yield s.getsockname()[1], given
    s.close()


def test_rebinding(settings, server, alternating, tmp_path):
    """A name is looked up once a fetch, and its addresses are the ones that are connected to."""
    port, given = alternating
    stubs = settings["dns_stub"] + f", flip.example 127.0.0.1@{port}"
    with Tool(tmp_path, {**settings, "dns_stub": stubs}) as t:
        found = [t.ask("https://flip.example/ok").err for _ in range(8)]
    assert len(given) == 8, "one look-up each"
    assert found == [CRYPTO if a == "127.0.0.1" else DENIED for a in given], "the certificate is for others"


def test_slow_ones_end(settings, server, tmp_path):
    with Tool(tmp_path, settings) as t:
        t.settings({**settings, "fetch_timeout": 2})
        t.say("reload")
        assert t.heard() == "done"
        urls = [f"https://good.test/{p}" for p in ("slow", "slow-header", "nothing", "upgrade")]
        urls += ["https://silent.test/ok"]
        found = t.errors(*urls)
        assert set(found.values()) <= {TIMEOUT, FORMAT}, found
        assert found["https://silent.test/ok"] == found["https://good.test/slow"] == TIMEOUT
        assert t.counters()["under_way_now"] == 0


def test_so_many_at_a_time(settings, server, tmp_path):
    with Tool(tmp_path, {**settings, "fetch_timeout": 300}) as t:
        server.most = 0
        t.many(30, "https://good.test/hold?%d")
        t.many(1100, "https://h%d.web.test/hold")
        c = until(t.counters, lambda c: c["fetches"] == 1130 and server.now >= 48)
        assert c["under_way_now"] == 48 and c["refused_busy"] == 1130 - 1024
        held = sum("good.test" == r[2]["host"] for r in server.requests if r[1].startswith("/hold"))
        assert held == 4 and server.most == 48, "at one host, and of one asker"
        assert t.ask("http://good.test/").err == AGAIN, "what is more is refused"
    server.hold.set()  # and what is under way ends with the fetcher
    server.hold.clear()


def test_a_fetcher_that_dies(settings, tmp_path):
    with Tool(tmp_path, settings) as t:
        t.say("get 1 3 https://good.test/nothing")
        until(t.counters, lambda c: c["under_way_now"])
        t.say("kill")
        assert {t.heard(), t.heard()} == {"answer 1 %d" % GONE, "done"}
        assert t.ask("https://good.test/ok").err == OK


def test_without_roots_nobody_is_believed(settings, tmp_path):
    with Tool(tmp_path, {**settings, "fetch_ca_file": ""}) as t:
        assert t.ask("https://good.test/ok").err == CRYPTO


@pytest.mark.needs("strace", str(RELEASED))
def test_what_the_kernel_is_asked(settings, server, tmp_path):
    """Wherever a page is said to be, one address and port is connected to; no thread, no file, no other socket."""
    trace = tmp_path / "trace"
    with Tool(tmp_path, settings, tool=RELEASED, wrapper=["strace", "-f", "-qq", "-o", str(trace)]) as t:
        pid = t.pid()
        t.errors(*URLS)
        t.errors(*[f"https://f{i}.test/ok" for i in range(len(FORBIDDEN))], "https://both.test/ok",
                 "https://both2.test/ok", "https://bad.test/ok")
        t.errors("https://good.test/redirect?302%20https://169.254.169.254/", "https://good.test/gigabyte")
        assert t.ask("https://good.test/ok").body == b"hello"
    lines = [x.split(maxsplit=1)[1] for x in trace.read_text().splitlines() if x.startswith(f"{pid} ")]
    start = next(i for i, x in enumerate(lines) if x.startswith("seccomp("))
    calls = [x for x in lines[start + 1:] if re.match(r"(socket|connect|bind|listen|open|openat|clone|fork)", x)]
    connects = {m for x in calls for m in re.findall(r"_port=htons\((\d+)\).*?([\d.:a-f]+)\"", x)}
    assert connects == {(str(server.port), "127.0.0.1")}
    done = {re.match(r"\w+", x)[0] for x in calls if " = -1 EPERM" not in x}
    assert done == {"socket", "connect"}, calls
