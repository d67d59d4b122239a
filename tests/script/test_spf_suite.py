"""SPF against the published cases of RFC 7208: the openspf.org test suite of 2014.04 by Stuart D. Gathman, Julian
Mehnle and others, as Debian's python3-spf has it in its documentation (rfc7208-tests.yml, under the Python Software
Foundation licence; see /usr/share/doc/python3-spf/copyright). pyspf goes through the same cases in the same zones.
What counts most is that we pass nothing that should not."""
import gzip
import json
import pathlib
import socket
import subprocess

import pytest

from tests import harness

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/mailauth_tool"
SUITE = pathlib.Path("/usr/share/doc/python3-spf/rfc7208-tests.yml.gz")
CASES = 203


def judge(lines):
    out = subprocess.run([TOOL], input="".join(json.dumps(line) + "\n" for line in lines), text=True, check=True,
                         capture_output=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def values(kind, value):
    if kind == "TXT":
        return "".join(value) if isinstance(value, list) else value
    return value


def node(records):
    """A name of the suite's zones. "TIMEOUT" by itself stands for all types that are not there; SPF is TXT too, unless
    there is a TXT, or the word that there is none."""
    ret, spf = {}, []
    for record in records:
        if record == "TIMEOUT":
            ret["*"] = "error"
            continue
        for kind, value in record.items():
            if kind == "SPF":
                spf is None or spf.append("error" if value == "TIMEOUT" else values("TXT", value))
            elif kind == "CNAME":
                ret["CNAME"] = value.lower()
            elif value == "TIMEOUT":
                ret[kind] = "error"
            elif value == "NONE":
                spf = None  # no TXT of its own, and none made of SPF
            elif ret.get(kind) != "error":
                ret.setdefault(kind, []).append(values(kind, value))
    if "TXT" not in ret and spf:
        ret["TXT"] = "error" if "error" in spf else spf
    return ret


def suite():
    yaml = pytest.importorskip("yaml")
    for scenario in yaml.safe_load_all(gzip.open(SUITE)):
        zone = {name.lower().rstrip("."): node(records) for name, records in scenario["zonedata"].items()}
        for name, case in scenario["tests"].items():
            yield name, case, zone


def wanted(case):
    return case["result"] if isinstance(case["result"], list) else [case["result"]]


@pytest.fixture(scope="module")
def cases():
    if not SUITE.exists():
        pytest.skip("python3-spf is not installed")
    ret = list(suite())
    assert len(ret) == CASES
    return ret


@pytest.fixture(scope="module")
def ours(cases):
    return judge({"what": "spf", "ip": case["host"], "helo": case["helo"], "sender": case["mailfrom"], "zone": zone}
                 for _, case, zone in cases)


def test_all_published_cases(cases, ours):
    wrong = []
    for (name, case, _), got in zip(cases, ours):
        words = case.get("explanation", "DEFAULT")
        right = got["result"] in wanted(case)
        if words != "DEFAULT" or "explanation" in case:
            right &= got["explanation"] == ("" if words == "DEFAULT" else words)
        if not right:
            wrong.append((name, wanted(case), words, got["result"], got["explanation"], got["problem"]))
    assert wrong == []


def test_no_false_pass(cases, ours):
    assert [name for (name, case, _), got in zip(cases, ours)
            if got["result"] == "pass" and "pass" not in wanted(case)] == []


def test_pyspf_in_the_same_zones(cases):
    """The reference library, in the zones as this script reads them, says what the suite wants: they are read right."""
    spf = pytest.importorskip("spf")
    differs = {}
    for name, case, zone in cases:
        spf.DNSLookup = lambda asked, kind, *rest, zone=zone: list(pyspf_lookup(spf, zone, asked, kind))
        said = spf.query(i=case["host"], s=case["mailfrom"], h=case["helo"], strict=True).check()[0]
        if said not in wanted(case):
            differs[name] = said
    assert differs == {}


def pyspf_lookup(spf, zone, name, kind, alias=False):
    """As pyspf's own tests answer it."""
    labels = [label for label in name.split(".") if label]
    if any(len(label) > 63 for label in labels):
        raise spf.TempError("DNS label too long")
    found = zone.get(".".join(labels).lower(), {})
    records = found.get(kind, [] if "CNAME" in found else found.get("*", []))
    if records == "error":
        raise spf.TempError("DNS timeout")
    for value in records:
        if kind == "TXT":
            value = (value.encode(),)
        elif kind == "AAAA":
            value = socket.inet_pton(socket.AF_INET6, value)
        elif kind == "MX":
            value = tuple(value)
        yield (name, kind), value
    if "CNAME" in found and not alias:
        yield (name, "CNAME"), found["CNAME"]
        yield from pyspf_lookup(spf, zone, found["CNAME"], kind, True)
