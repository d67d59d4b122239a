"""Faults that others' programs had or have in what mail proves of who sent it, by their public reports, tried with our
engines. What of it is about signatures stands in tests/unit/mailauth/, about several results in test_mail_auth.py."""
import json
import pathlib
import subprocess

import pytest

from tests import harness

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/mailauth_tool"
PEER = "192.0.2.7"


def author(value, **wanted):
    return {"what": "author", "value": value}, wanted


def spf(zone, result, sender="a@one.example", helo="mx.other.example", **wanted):
    return ({"what": "spf", "ip": PEER, "helo": helo, "sender": sender, "zone": zone}, {"result": result, **wanted})


def dmarc(record, of, dkim, result):
    return ({"what": "dmarc", "author": of, "dkim": dkim, "zone": {"_dmarc.one.example": {"TXT": [record]}}},
            {"result": result})


MX = {"one.example": {"TXT": ["v=spf1 mx -all"], "MX": [[10, "mx1.one.example"], [20, "mx2.one.example"]]},
      "mx1.one.example": {"A": ["192.0.2.8"]}, "mx2.one.example": {"A": [PEER]}}
PASS, REJECT = [f"v=spf1 ip4:{PEER} -all"], "v=DMARC1; p=reject"
CASES = {
    "OpenDMARC 48: the first of two authors counted": author(
        "Support <support@bank.example>, Support <support@one.example>", fault="several"),
    "OpenDMARC 104: quotes within a quoted name": author(
        "\"'X, Y' via Z\" <list@one.example>", fault="", domain="one.example"),
    "OpenDMARC 243: an address in a quoted local part": author(
        '"Someone <someone@bank.example>"@one.example', fault="unreadable"),  # readers differ
    "OpenDMARC 70: a domain that failed, beside another's pass": dmarc(
        REJECT, "one.example", [["one.example", "fail"], ["two.example", "pass"]], "fail"),
    "mailauth 74: beside the author's, relaxed": dmarc(REJECT, "a.one.example", ["b.one.example"], "pass"),
    "mailauth 74: beside the author's, strict": dmarc(
        REJECT + "; adkim=s", "a.one.example", ["b.one.example"], "fail"),
    "OpenDMARC 49 (CVE-2019-20790): HELO passes for a sender of no such domain": spf(
        {"attacker.example": {"TXT": PASS}}, "none", "any@none.one.example", "attacker.example",
        domain="none.one.example"),
    "rspamd 455: the second MX": spf(MX, "pass"),
    "rspamd 215: an include that redirects": spf(
        {"one.example": {"TXT": ["v=spf1 include:two.example ~all"]},
         "two.example": {"TXT": ["v=spf1 redirect=three.example"]}, "three.example": {"TXT": PASS}}, "pass"),
    "rspamd 980: a redirect to a domain without a record": spf(
        {"one.example": {"TXT": ["v=spf1 redirect=two.example"]}, "two.example": {"A": [PEER]}}, "permerror"),
    "hardenize 19: an include of a domain without a record": spf(
        {"one.example": {"TXT": ["v=spf1 include:two.example -all"]}, "two.example": {"A": [PEER]}}, "permerror"),
    "pyspf 31: a redirect beside all": spf(
        {"one.example": {"TXT": ["v=spf1 redirect=two.example -all"]}, "two.example": {"TXT": PASS}}, "fail"),
}


@pytest.mark.parametrize("name", CASES)
def test_none_of_them_is_ours(name):
    question, wanted = CASES[name]
    out = subprocess.run([TOOL], input=json.dumps(question) + "\n", text=True, check=True, capture_output=True).stdout
    said = json.loads(out)
    assert {k: said[k] for k in wanted} == wanted
