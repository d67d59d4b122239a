"""The role resolver against a real name server (NSD) with signed zones, by build/tests/unit/dns_tool: what is asked,
what is believed, what happens when nobody answers, and how much may be asked at once."""
import os
import pathlib
import re
import signal
import socket
import time

import harness
import names
import pytest
from role_tool import RoleTool

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/dns_tool"
RELEASED = harness.released().resolve().parent / "tests/unit/dns_tool"
pytestmark = pytest.mark.needs(*names.NEEDS, str(TOOL))
AGAIN, BOGUS, GONE, FORMAT, TIMEOUT, LIMIT = -13, -14, -12, -3, -17, -4
BIG = " ".join('"' + "x" * 200 + '"' for _ in range(30))
ZONE = f"""
@ MX 20 mx2
@ MX 10 MX
@ TXT "v=spf1 " "-all"
mx A 127.0.0.1
mx A 127.0.0.2
mx AAAA ::1
_25._tcp.mx TLSA 3 1 1 {"0123456789abcdef" * 4}
mx CAA 0 issue "letsencrypt.org"
first CNAME second
second CNAME mx
out CNAME nowhere
none MX 0 .
big TXT {BIG}
* .wild A 127.0.0.9
odd MX 10 a\\032b
joe+x=y\\@z.macro TXT "plus"
back\\092slash.macro TXT "back"
'*!~.macro TXT "signs"
odd2 MX 10 a\\.b
odd2 MX 20 mx
many MX 10 mx
""".replace("* .wild", "*.wild")


class Asker(RoleTool):
    def __init__(self, place, settings, tool=TOOL, wrapper=()):
        super().__init__(place, settings, tool, wrapper)

    def ask(self, kind, name):
        self.say(f"ask {kind} {name}")
        return Answer(self.heard())

    def many(self, n, kind, form):
        self.say(f"many {n} {kind} {form}")
        return {int(err): int(many) for _, err, many in map(str.split, self.until_done())}


class Answer:
    def __init__(self, line):
        words, *records = line.split(" [")
        _, self.kind, self.name, err, *rest = words.split()
        self.err = int(err)
        self.rest = rest
        if self.err == 0:
            self.trust, self.exists, self.ttl, self.canonical = rest[0], rest[1] == "exists", int(rest[2]), rest[3]
        self.records = [tuple(r.rstrip("]").split(" ")) for r in records]

    def hosts(self):
        return [(int(r[0]), r[1]) for r in self.records]

    def data(self):
        return [bytes.fromhex(r[5]) for r in self.records]

    def __repr__(self):
        return str(vars(self))


@pytest.fixture
def zones():
    with names.start({"test": ZONE, "0.127.in-addr.arpa": "1.0 PTR mx.test."}, signed=["test"]) as n:
        yield n


@pytest.fixture
def asker(zones, tmp_path):
    with Asker(tmp_path, zones.settings()) as a:
        yield a


def test_each_type(asker):
    a = asker.ask("MX", "test")
    assert a.hosts() == [(10, "mx.test"), (20, "mx2.test")]
    assert a.trust == "secure" and a.exists and a.canonical == "test"
    assert 0 < a.ttl <= 300
    assert sorted(asker.ask("A", "mx.test").data()) == [b"\x7f\0\0\1", b"\x7f\0\0\2"]
    assert asker.ask("AAAA", "MX.Test").data() == [bytes(15) + b"\1"]
    assert asker.ask("TXT", "test").data() == [b"v=spf1 -all"]
    assert asker.ask("NS", "test").hosts() == [(0, "ns.test")]
    ptr = asker.ask("PTR", "1.0.0.127.in-addr.arpa")
    assert ptr.hosts() == [(0, "mx.test")] and ptr.trust == "insecure"
    tlsa = asker.ask("TLSA", "_25._tcp.mx.test")
    assert [r[2:5] for r in tlsa.records] == [("3", "1", "1")]
    assert tlsa.data() == [bytes.fromhex("0123456789abcdef" * 4)]
    assert tlsa.trust == "secure"
    assert asker.ask("CAA", "mx.test").data() == [b"letsencrypt.org"]


def test_names_of_any_octets(zones, tmp_path):
    """SPF's macros put in what senders say."""
    with Asker(tmp_path, zones.settings()) as a:
        for name, text in ((r"joe+x=y@z", b"plus"), (r"back\slash", b"back"), ("'*!~", b"signs")):
            found = a.ask("TXT", f"{name}.macro.test")
            assert (found.err, found.data()) == (0, [text]), (name, found)
        assert a.ask("TXT", r"back\092slash.macro.test").exists is False


def test_what_is_not_there(asker):
    a = asker.ask("A", "no.test")
    assert (a.err, a.exists, a.records, a.trust) == (0, False, [], "secure")
    a = asker.ask("MX", "mx.test")
    assert (a.err, a.exists, a.records, a.trust) == (0, True, [], "secure") and 0 < a.ttl <= 300
    a = asker.ask("MX", "none.test")
    assert a.records and a.hosts() == [(0, "")], "RFC 7505"


def test_aliases(asker):
    a = asker.ask("A", "first.test")
    assert len(a.records) == 2 and a.canonical == "mx.test"
    a = asker.ask("A", "out.test")
    assert (a.exists, a.records, a.canonical) == (False, [], "nowhere.test")
    assert asker.ask("A", "x.wild.test").data() == [b"\x7f\0\0\x09"]


def test_a_long_answer_comes_by_tcp(asker):
    assert asker.ask("TXT", "big.test").data() == [b"x" * 6000]


def test_names_that_are_none(asker):
    """Asked for: not asked at all. In an answer: as if it were not there, or no answer."""
    for name in ("", ".", "a..b", "test.", "a b", "x" * 64 + ".test", ".".join(["x" * 60] * 5)):
        if name and " " not in name:
            assert asker.ask("A", name).rest == ["not", "asked"], name
    assert asker.ask("MX", "odd.test").err == FORMAT
    assert asker.ask("MX", "odd2.test").hosts() == [(20, "mx.test")]


def test_forged(tmp_path):
    """Signatures that have ended, a key that is another one: nobody is told what was there."""
    with names.start({"test": ZONE}, signed=["test"], signatures="expired") as n, Asker(tmp_path, n.settings()) as a:
        assert a.ask("A", "mx.test").err == BOGUS
        assert a.counters()["bogus"] == 1
    with names.start({"test": ZONE}, signed=["test"]) as n, names.start({"test": ZONE}, signed=["test"]) as other:
        settings = n.settings()
        settings["dns_anchor_file"].write_text(other.anchors())
        with Asker(tmp_path, settings) as a:
            assert a.ask("A", "mx.test").err == BOGUS


def test_a_zone_below(tmp_path):
    """Delegated with its DS, without one, and with a wrong one."""
    below = {f"{x}.test": "@ A 127.0.0.1" for x in ("signed", "unsigned", "wrong")}
    with names.start({"test": "", **below}, signed=["test", "signed.test", "wrong.test"]) as n:
        wrong = re.sub(r"[0-9a-f]{64}", "0" * 64, n.ds("wrong.test"))
        n.change("test", "\n".join(f"{z} NS ns.test." for z in ("signed", "unsigned", "wrong"))
                 + f"\n{n.ds('signed.test')}\n{wrong}")
        settings = n.settings()
        settings["dns_anchor_file"].write_text(n.anchors("test"))
        with Asker(tmp_path, settings) as a:
            said = {z: a.ask("A", z) for z in below}
            assert said["signed.test"].trust == "secure"
            assert said["unsigned.test"].trust == "insecure"
            assert said["wrong.test"].err == BOGUS


def test_nobody_answers(zones, tmp_path):
    """A server that is silent, one that is gone: each is ERR_AGAIN or ERR_TIMEOUT, within 30 s, and what is
    kept is answered all the while."""
    settings = zones.settings()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        gone = s.getsockname()[1]
    settings["dns_stub"] += f", gone.example 127.0.0.1@{gone}"
    with Asker(tmp_path, settings) as a:
        assert a.ask("A", "mx.test").err == 0
        zones.stop()
        start = time.monotonic()
        a.say("ask A silent.wild.test")
        a.say("ask MX www.gone.example")
        a.say("ask A mx.test")
        first, *others = [Answer(a.heard()) for _ in range(3)]
        zones.go()
        assert (first.name, first.err) == ("mx.test", 0), "kept"
        assert {o.name for o in others} == {"silent.wild.test", "www.gone.example"}
        assert all(o.err in (AGAIN, TIMEOUT) for o in others) and time.monotonic() - start < 120
        assert a.counters()["servfail"] + a.counters()["timeouts"] >= 2


def test_a_zone_that_the_server_does_not_have(zones, tmp_path):
    settings = zones.settings()
    settings["dns_stub"] += f", other.example 127.0.0.1@{zones.port}"
    with Asker(tmp_path, settings) as a:
        assert a.ask("A", "www.other.example").err == AGAIN, "REFUSED"
        assert a.counters()["servfail"] == 1


def memory_of(pid):
    return int(re.search(r"VmData:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024


def test_ten_thousand_at_once(zones, asker):
    """4,096 of one asker are taken, 500 of them at a time, the rest is told to come again. None is lost, and memory
    stays below the limit."""
    zones.stop()
    asker.say("many 10000 A n%d.wild.test")
    end = time.monotonic() + 20
    while (counters := asker.counters())["questions"] < 10000 and time.monotonic() < end:
        time.sleep(0.1)
    assert counters["refused_busy"] == 10000 - 4096
    assert (counters["under_way_now"], counters["waiting_now"]) == (500, 4096 - 500)
    zones.go()
    said = {int(err): int(many) for _, err, many in map(str.split, asker.until_done())}
    assert sum(said.values()) == 10000 and set(said) <= {0, AGAIN, TIMEOUT}, said
    assert said[0] >= 500
    assert asker.many(4000, "MX", "n%d.wild.test") == {0: 4000}, "and it goes on"
    counters = asker.counters()
    assert counters["waiting_now"] == counters["under_way_now"] == 0
    if TOOL == RELEASED:  # a sanitizer's shadow counts as data
        assert memory_of(asker.pid()) < 200 << 20


def test_asked_twice_is_looked_up_once(zones, asker):
    zones.stop()
    asker.say("many 1 A n%d.wild.test")
    for _ in range(20):
        asker.say("ask A n0.wild.test")
    time.sleep(0.3)
    zones.go()
    lines = [asker.heard() for _ in range(22)]
    assert sum(line.startswith("answer A n0.wild.test 0 ") for line in lines) == 20
    assert asker.counters()["lookups"] == 1


def test_killed_under_load(zones, asker):
    """Who has asked is told that it is gone; the next process answers."""
    zones.stop()  # so that all are under way
    asker.say("many 1000 A n%d.wild.test")
    time.sleep(0.3)
    asker.say("kill")
    lines = []
    while lines.count("done") < 2:
        lines.append(asker.heard())
    assert f"answered {GONE} 1000" in lines, lines
    zones.go()
    assert asker.ask("A", "mx.test").err == 0


def test_reload(zones, asker, tmp_path):
    """Other servers: what is under way ends as it began, what is asked then goes there."""
    with names.start({"test": "mx A 127.0.0.7", "more.example": "@ A 127.0.0.8"}) as other:
        assert len(asker.ask("A", "mx.test").records) == 2
        zones.stop()
        asker.say("ask A late.wild.test")
        asker.settings({**zones.settings(), "dns_stub": other.settings()["dns_stub"]})
        asker.say("reload")
        assert asker.heard() == "done"
        zones.go()
        assert asker.heard().startswith("answer A late.wild.test 0 secure")
        a = asker.ask("A", "more.example")
        assert a.data() == [b"\x7f\0\0\x08"] and a.trust == "insecure"
        assert asker.ask("A", "mx.test").err == BOGUS, "the anchor stays, and this server has not signed"
        assert asker.counters()["caches"] == 2


def test_a_server_that_resolves(zones, tmp_path):
    """dns_server: one that another one runs, here one that only knows its own zones."""
    settings = {"dns_server": f"127.0.0.1@{zones.port}", "dns_anchor_file": zones.settings()["dns_anchor_file"]}
    with Asker(tmp_path, settings) as a:
        assert a.ask("A", "mx.test").trust == "secure"


@pytest.mark.needs("strace", str(RELEASED))
def test_it_opens_and_writes_no_file(zones, tmp_path):
    """From its sandbox on: what it asks the kernel for are sockets, time and memory."""
    trace = tmp_path / "trace"
    with Asker(tmp_path, zones.settings(), tool=RELEASED,
                wrapper=["strace", "-f", "-qq", "-o", str(trace)]) as a:
        assert a.ask("TXT", "big.test").err == 0 and a.ask("A", "mx.test").err == 0
        pid = a.pid()
        a.say("reload")
        a.heard()
        assert a.ask("A", "first.test").err == 0
    lines = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if line.startswith(f"{pid} ")]
    entered = max(n for n, line in enumerate(lines) if line.startswith("seccomp("))
    calls = {re.match(r"(?:<\.\.\. )?(\w+)", line).group(1) for line in lines[entered + 1:] if line[0] not in "+-"}
    assert {"socket", "sendto", "recvfrom"} <= calls
    assert not calls & {"open", "openat", "creat", "rename", "unlink", "mkdir", "truncate", "listen", "accept4"}
    refused = [line for line in lines[entered + 1:] if "EPERM" in line]
    assert refused == [], "libunbound wants what the profile lacks"
