"""The role resolver against a real name server (NSD) with signed zones, by build/tests/unit/dns_tool: what is asked,
what is believed, what happens when nobody answers, and how much may be asked at once."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import harness
import names
import pytest

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/dns_tool"
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
first CNAME second
second CNAME mx
out CNAME nowhere
none MX 0 .
big TXT {BIG}
* .wild A 127.0.0.9
odd MX 10 a\\032b
odd2 MX 10 a\\.b
odd2 MX 20 mx
many MX 10 mx
""".replace("* .wild", "*.wild")


class Asker:
    """dns_tool, with these settings of the configuration."""

    def __init__(self, place, settings, wrapper=()):
        self.place = place
        self.settings(settings)
        self.process = subprocess.Popen([*wrapper, TOOL, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        first = self.process.stdout.readline()
        assert first == "ready\n", first

    def settings(self, settings):
        text = "".join(f"{k} = {v}\n" for k, v in {"role_uid_base": 61800, **settings}.items())
        (self.place / "letterlock.conf").write_text(text)

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def heard(self):
        line = self.process.stdout.readline()
        assert line, "dns_tool ended"
        return line.rstrip("\n")

    def until_done(self):
        return list(iter(self.heard, "done"))

    def ask(self, kind, name):
        self.say(f"ask {kind} {name}")
        return Answer(self.heard())

    def many(self, n, kind, form):
        self.say(f"many {n} {kind} {form}")
        return {int(err): int(many) for _, err, many in map(str.split, self.until_done())}

    def counters(self):
        self.say("status")
        return {name: int(value) for _, name, value in map(str.split, self.until_done())}

    def pid(self):
        self.say("pid")
        return int(self.heard().split()[1])

    def close(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        assert self.process.wait(30) == 0 and "badly" not in rest, rest


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


@contextlib.contextmanager
def asking(tmp_path, settings, **how):
    a = Asker(tmp_path, settings, **how)
    try:
        yield a
    finally:
        a.close()


@pytest.fixture
def zones():
    with names.start({"test": ZONE, "0.127.in-addr.arpa": "1.0 PTR mx.test."}, signed=["test"]) as n:
        yield n


@pytest.fixture
def asker(zones, tmp_path):
    with asking(tmp_path, zones.settings()) as a:
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
    for name in ("", ".", "a..b", "test.", "a b", "*.test", "x" * 64 + ".test", ".".join(["x" * 60] * 5)):
        if name and " " not in name:
            assert asker.ask("A", name).rest == ["not", "asked"], name
    assert asker.ask("MX", "odd.test").err == FORMAT
    assert asker.ask("MX", "odd2.test").hosts() == [(20, "mx.test")]


def test_forged(tmp_path):
    """Signatures that have ended, a key that is another one: nobody is told what was there."""
    with names.start({"test": ZONE}, signed=["test"], signatures="expired") as n, asking(tmp_path, n.settings()) as a:
        assert a.ask("A", "mx.test").err == BOGUS
        assert a.counters()["bogus"] == 1
    with names.start({"test": ZONE}, signed=["test"]) as n, names.start({"test": ZONE}, signed=["test"]) as other:
        settings = n.settings()
        settings["dns_anchor_file"].write_text(other.anchors())
        with asking(tmp_path, settings) as a:
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
        with asking(tmp_path, settings) as a:
            said = {z: a.ask("A", z) for z in below}
            assert said["signed.test"].trust == "secure"
            assert said["unsigned.test"].trust == "insecure"
            assert said["wrong.test"].err == BOGUS
