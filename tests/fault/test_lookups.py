"""Who asks the keyserver about everybody: it tells nobody who is not to be found, neither in octets nor in time, and
nobody may ask without end."""
import contextlib
import math
import pathlib
import random
import socket
import string
import sys
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "script"))
import harness  # noqa: E402
import key_tools  # noqa: E402
from key_tools import ring  # noqa: E402,F401 (a fixture)
from test_http import WAIT, tls_context  # noqa: E402
from test_keyserver import lookup, wkd  # noqa: E402

DOMAIN = harness.DOMAIN
FOREIGN = "elsewhere0.test"  # as long as ours
NAMES = 20
TRIES = 10000 if harness.here("the long run") else 1000
ALL = 100000  # web_lookups_peer where it is not what is tested


def word():
    return "".join(random.choices(string.ascii_lowercase, k=8))


@pytest.fixture(scope="module")
def i(ring):  # noqa: F811
    """People who do not want to be found, and one who does."""
    assert len(FOREIGN) == len(DOMAIN)
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=1, publish_default="no", web_lookups_peer=ALL, web_lookups_minute=60000)
        key = ring.make(f"Ann <ann@{DOMAIN}>")
        file = key_tools.write(instance.place / key, ring.export(key))
        instance.run("account", "add", f"ann@{DOMAIN}", "--key", file)
        instance.run("account", "set", f"ann@{DOMAIN}", "--publish", "yes")
        instance.hidden = [word() for _ in range(NAMES)]
        for name in instance.hidden:
            instance.run("account", "add", f"{name}@{DOMAIN}", "--key", file)
        yield instance.serve()


class Asker:
    """A connection that is kept."""

    def __init__(self, i, source):
        s = socket.create_connection(("127.0.0.1", i.port("https")), timeout=WAIT, source_address=(source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s = tls_context().wrap_socket(s, server_hostname=DOMAIN)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()

    def ask(self, path, host=DOMAIN):
        """(nanoseconds until the answer was whole, its head without Date, its body)"""
        question = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        start, data = time.perf_counter_ns(), b""
        self.s.sendall(question)
        while True:
            data += self.s.recv(65536)
            head, end, body = data.partition(b"\r\n\r\n")
            if end and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                break
            assert data, "the connection ended"
        took = time.perf_counter_ns() - start
        return took, b"\r\n".join(x for x in head.split(b"\r\n") if not x.startswith(b"Date:")), body


WAYS = {
    "wkd": lambda name, domain: (wkd(name, domain), DOMAIN),
    "wkd direct": lambda name, domain: (wkd(name, domain, direct=True), domain),
    "hkp": lambda name, domain: (lookup("get", f"{name}@{domain}"), DOMAIN),
    "hkp index": lambda name, domain: (lookup("index", f"{name}@{domain}"), DOMAIN),
    "vks": lambda name, domain: ("/vks/v1/by-email/" + urllib.parse.quote(f"{name}@{domain}"), DOMAIN),
}


def deviation(differences):
    """Wilcoxon's signed ranks: how many standard deviations from what tries of one kind would give. Each round asks all
    its questions in an order of its own, so whatever else goes on here falls on both sides alike."""
    ranked = sorted((d for d in differences if d), key=abs)
    n = len(ranked)
    positive = sum(rank for rank, d in enumerate(ranked, 1) if d > 0)
    return (positive - n * (n + 1) / 4) / math.sqrt(n * (n + 1) * (2 * n + 1) / 24)


@pytest.mark.parametrize("way", WAYS)
def test_time_and_octets_do_not_tell(i, way):
    """Unknown, hidden and foreign addresses are one, and unknown ones asked for twice are the measure's own check: all
    of them lie within what chance gives once in a million runs."""
    unknown, foreign = [word() for _ in range(NAMES)], [word() for _ in range(NAMES)]
    kinds = {"hidden": [(n, DOMAIN) for n in i.hidden], "foreign": [(n, FOREIGN) for n in foreign],
             "unknown": [(n, DOMAIN) for n in unknown], "again": [(n, DOMAIN) for n in unknown]}
    questions = {kind: [WAYS[way](*name) for name in names] for kind, names in kinds.items()}
    took = {kind: [] for kind in kinds}
    seen = set()
    with Asker(i, f"127.0.{1 + list(WAYS).index(way)}.1") as asker:  # each a network of its own
        assert asker.ask(*WAYS[way]("ann", DOMAIN))[1].startswith(b"HTTP/1.1 200")
        for _ in range(TRIES):
            order = list(kinds)
            random.shuffle(order)
            for kind in order:
                ns, head, body = asker.ask(*random.choice(questions[kind]))
                took[kind].append(ns)
                seen.add((head, body))
    assert len(seen) == 1 and seen.pop()[0].startswith(b"HTTP/1.1 404")
    told = {kind: round(deviation([a - b for a, b in zip(took[kind], took["unknown"])]), 1)
            for kind in ("hidden", "foreign", "again")}
    print(way, told, "median", sorted(took["unknown"])[TRIES // 2] / 1000, "us")
    assert all(abs(z) < 5 for z in told.values()), told


@contextlib.contextmanager
def limited(i, **settings):
    i.configure(**settings)
    i.run("reload")
    try:
        yield
    finally:
        i.configure(web_lookups_peer=ALL, web_lookups_minute=60000)
        i.run("reload")


def status(answer):
    return int(answer[1].split()[1])


def test_a_greedy_peer_is_told_to_wait_and_nobody_else_is(i):
    """However it asks, over however many connections; and pages are not look-ups."""
    before = i.counters("web")
    with limited(i, web_lookups_peer=30, web_lookups_minute=1), contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(Asker(i, "127.0.0.9")) for _ in range(5)]
        said = [greedy[n % 5].ask(*WAYS[way]("ann", DOMAIN)) for n in range(60) for way in ("wkd", "hkp", "vks")]
        assert [status(a) for a in said[:30]] == [200] * 30
        assert {status(a) for a in said[32:]} == {429}  # two more if a minute went by
        waits = [int(a[1].split(b"Retry-After: ")[1].split(b"\r\n")[0]) for a in said if status(a) == 429]
        assert all(1 <= w <= 61 for w in waits)
        assert b"Access-Control-Allow-Origin: *" in said[-1][1]
        assert status(greedy[0].ask("/robots.txt")) == 200
        assert status(greedy[0].ask("/.well-known/openpgpkey/policy")) == 200
        other = stack.enter_context(Asker(i, "127.0.0.10"))
        for n in range(20):
            assert status(greedy[n % 5].ask(*WAYS["vks"]("ann", DOMAIN))) == 429
            assert status(other.ask(*WAYS["vks"]("ann", DOMAIN))) == 200
        counted = i.counters("web")
        assert 50 <= counted["web_lookups"] - before["web_lookups"] <= 54
        assert counted["web_lookups_refused"] - before["web_lookups_refused"] >= 166


def test_a_network_has_a_multiple(i):
    with limited(i, web_lookups_peer=5, web_lookups_minute=1):
        had = 0
        for host in range(20, 40):
            with Asker(i, f"127.0.7.{host}") as asker:
                had += sum(status(asker.ask(*WAYS["vks"]("ann", DOMAIN))) == 200 for _ in range(6))
        assert 8 * 5 <= had <= 8 * 5 + 8  # what came again meanwhile
        with Asker(i, "127.0.8.1") as asker:
            assert status(asker.ask(*WAYS["vks"]("ann", DOMAIN))) == 200
