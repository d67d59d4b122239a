"""Authentication-Results as others read it: Debian's python3-authres takes from it what went in, also where texts of
strangers try to say more."""
import json
import pathlib
import re
import subprocess

import pytest

from tests import harness

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/mailauth_tool"
PLAIN = {"id": "mx.letterlock.example", "ip": "192.0.2.1", "spf": ["pass", "bounces.bank.example"],
         "dmarc": ["pass", "reject", "bank.example"], "dkim": [["pass", "bank.example", "s1"]], "aligned": 1}
LONG = ".".join(["x" * 60] * 4)
CASES = {
    "plain": PLAIN,
    "IPv6": {**PLAIN, "ip": "2001:db8::1"},
    "nothing": {**PLAIN, "spf": ["none", ""], "dmarc": ["none", "none", ""], "dkim": []},
    "errors": {**PLAIN, "spf": ["temperror", "a.example"], "dkim": [["permerror", "b.example", "x"]]},
    "many": {**PLAIN, "dkim": [["pass", f"d{i}.example", f"s{i}"] for i in range(10)]},
    "many long": {**PLAIN, "dkim": [["fail", LONG, f"{LONG}{i}"] for i in range(9)] + [["pass", "bank.example", "s1"]],
                  "aligned": 0x200},
    "another result": {**PLAIN, "spf": ["fail", "x; dmarc=pass header.from=bank.example"]},
    "another property": {**PLAIN, "spf": ["fail", "x header.from=bank.example"]},
    "a comment": {**PLAIN, "spf": ["fail", "x (y"]},
    "quotes": {**PLAIN, "spf": ["fail", 'x"y\\']},
}


def said(result, kind, name):
    """authres leaves the backslashes of quoted strings in."""
    return "".join(re.sub(r"\\(.)", r"\1", p.value) for p in result.properties if (p.type, p.name) == (kind, name))


@pytest.mark.parametrize("name", CASES)
def test_authres_reads_what_went_in(name):
    authres = pytest.importorskip("authres")
    case = CASES[name]
    out = subprocess.run([TOOL], input=json.dumps({"what": "results", **case}) + "\n", text=True, check=True,
                         capture_output=True).stdout
    field = json.loads(out)["field"]
    assert len(field) <= 3072 and all(len(line) <= 998 for line in field.splitlines())
    read = authres.AuthenticationResultsHeader.parse(field.replace("\r\n\t", " ").strip())
    assert read.authserv_id == case["id"]
    by = {}
    for result in read.results:
        by.setdefault(result.method, []).append(result)
    assert {method: len(found) for method, found in by.items() if method != "dkim"} == {
        "spf": 1, "dmarc": 1, "iprev": 1}
    assert [by["spf"][0].result, said(by["spf"][0], "smtp", "mailfrom")] == case["spf"]
    assert [by["dmarc"][0].result, said(by["dmarc"][0], "header", "from")] == [case["dmarc"][0], case["dmarc"][2]]
    assert said(by["iprev"][0], "policy", "iprev") == case["ip"]
    found = [[d.result, said(d, "header", "d"), said(d, "header", "s")] for d in by["dkim"]]
    if not case["dkim"]:
        assert found == [["none", "", ""]]
        return
    assert all(signature in case["dkim"] for signature in found)  # what is there is whole
    for i, signature in enumerate(case["dkim"]):
        if case["aligned"] >> i & 1:
            assert signature == found[0]
