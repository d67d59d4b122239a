"""DMARC against the public cases of RFC 9989 that postalsys/mailauth keeps (test/dmarc/rfc9989-compliance-test.js, and
of dmarc-fixes-test.js what is about the RFC; (c) Postal Systems OU, MIT No Attribution,
https://github.com/postalsys/mailauth), among them the examples of the RFC's appendix B.4: each as a zone, an author,
identifiers that passed, and what has to come out. The last ones are ours."""
import json
import pathlib
import subprocess

import pytest

from tests import harness

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/mailauth_tool"
DEEP = "a.b.c.d.e.f.g.h.i.j.k.example.com"
NP = "v=DMARC1; p=reject; sp=none; np=quarantine"
LONG = "a" * 64
EXAMPLE = {"example.com": "v=DMARC1; p=reject"}
SIGNING = {"example.com": "v=DMARC1; p=reject", "signing.example.com": "v=DMARC1; p=reject"}
BANK = "v=DMARC1; p=reject; psd=y"


def walked(*names):
    return [f"TXT _dmarc.{name}" for name in names]


# name: (records at _dmarc.NAME (or NAME itself, where it is a dict), author, {what passed}, {what comes out})
CASES = {
    "identical, strict": (
        {"example.com": "v=DMARC1; p=reject; adkim=s"}, "example.com", {"dkim": ["example.com"]},
        {"result": "pass", "policy": "reject"}),
    "relaxed, by the organization": (
        EXAMPLE, "mail.example.com", {"dkim": ["example.com"]}, {"result": "pass"}),
    "no record": ({}, "example.com", {"dkim": ["example.com"]}, {"result": "none"}),
    "several records are none": (
        {"example.com": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}, "example.com", {"dkim": ["example.com"]},
        {"result": "none"}),
    "several records of the author, one above": (
        {"mail.example.com": ["v=DMARC1; p=reject", "v=DMARC1; p=quarantine"],
         "example.com": "v=DMARC1; p=none; sp=quarantine"}, "mail.example.com", {},
        {"result": "fail", "published": "example.com", "policy": "quarantine"}),
    "other texts are no records": (
        {"mail.example.com": ["some other text", "and one more"], "example.com": "v=DMARC1; p=quarantine"},
        "mail.example.com", {"dkim": ["example.com"]}, {"result": "pass", "policy": "quarantine"}),
    "pct=0 passes what aligns": (
        {"example.com": "v=DMARC1; p=reject; pct=0"}, "example.com", {"dkim": ["example.com"]}, {"result": "pass"}),
    "pct=0 fails what does not": (
        {"example.com": "v=DMARC1; p=reject; pct=0"}, "example.com",
        {"dkim": ["other.example"], "spf": "other.example"}, {"result": "fail", "policy": "reject"}),
    "B.4.1": (
        SIGNING, "example.com", {"spf": "example.com", "dkim": ["signing.example.com"]},
        {"result": "pass", "organization": "example.com", "spf_aligned": True, "dkim_aligned": 1,
         "asked": walked("example.com", "com", "signing.example.com")}),
    "B.4.2": (
        SIGNING, DEEP, {"spf": "example.com", "dkim": ["signing.example.com"]},
        {"result": "pass", "organization": "example.com", "published": "example.com", "spf_aligned": True,
         "dkim_aligned": 1,
         "asked": walked(DEEP, "g.h.i.j.k.example.com", "h.i.j.k.example.com", "i.j.k.example.com", "j.k.example.com",
                         "k.example.com", "example.com", "com", "signing.example.com")}),
    "psd=n between is the organization": (
        {"b.example.com": "v=DMARC1; p=reject; psd=n", "example.com": "v=DMARC1; p=none"}, "a.b.example.com", {},
        {"organization": "b.example.com", "policy": "reject"}),
    "eight names at most": (
        {"example.com": "v=DMARC1; p=none"}, DEEP, {},
        {"asked": walked(DEEP, "g.h.i.j.k.example.com", "h.i.j.k.example.com", "i.j.k.example.com", "j.k.example.com",
                         "k.example.com", "example.com", "com")}),
    "eight labels lose one": (
        {}, "a.b.c.d.e.f.example.com", {},
        {"asked": walked("a.b.c.d.e.f.example.com", "b.c.d.e.f.example.com", "c.d.e.f.example.com",
                         "d.e.f.example.com", "e.f.example.com", "f.example.com", "example.com", "com")}),
    "nine labels lose two": (
        {}, "x.a.b.c.d.e.f.example.com", {},
        {"asked": walked("x.a.b.c.d.e.f.example.com", "b.c.d.e.f.example.com", "c.d.e.f.example.com",
                         "d.e.f.example.com", "e.f.example.com", "f.example.com", "example.com", "com")}),
    "nothing above: its own organization": (
        {"mail.example.com": "v=DMARC1; p=reject"}, "mail.example.com",
        {"dkim": ["example.com"], "spf": "bounce.example.com"},
        {"result": "fail", "organization": "mail.example.com", "policy": "reject"}),
    "the record with the fewest labels": (
        {"b.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=reject"}, "a.b.example.com", {},
        {"organization": "example.com", "published": "example.com", "policy": "reject"}),
    "a suffix of the list that publishes": (
        {"blogspot.com": "v=DMARC1; p=reject"}, "alice.blogspot.com", {"dkim": ["bob.blogspot.com"]},
        {"result": "pass", "organization": "blogspot.com", "published": "blogspot.com", "policy": "reject"}),
    "psd=n of the author": (
        {"mail.example.com": "v=DMARC1; p=reject; psd=n", **EXAMPLE}, "mail.example.com", {"dkim": ["example.com"]},
        {"result": "fail", "organization": "mail.example.com", "asked": walked("mail.example.com")}),
    "several records between": (
        {"b.example.com": ["v=DMARC1; p=reject; psd=n", "v=DMARC1; p=none"], "example.com": "v=DMARC1; p=quarantine"},
        "a.b.example.com", {}, {"organization": "example.com", "policy": "quarantine"}),
    "identifiers elsewhere are not walked for": (
        EXAMPLE, "example.com", {"spf": "bounces.esp.example.net", "dkim": ["esp.example.net", "example.org"]},
        {"result": "fail", "asked": walked("example.com", "com")}),
    "walks for ten identifiers, SPF's first": (
        EXAMPLE, "example.com", {"spf": "bounces.example.com", "dkim": [f"s{i}.example.com" for i in range(20)]},
        {"result": "pass", "spf_aligned": True, "dkim_aligned": 0x1ff,
         "asked": walked("example.com", "com", "bounces.example.com", *(f"s{i}.example.com" for i in range(9)))}),
    "past the tenth it cannot be told": (
        {**EXAMPLE, **{f"s{i}.example.com": "v=DMARC1; p=none; psd=n" for i in range(10)}}, "example.com",
        {"dkim": [f"s{i}.example.com" for i in range(10)] + ["good.example.com"]}, {"result": "temperror"}),
    "within the ten one aligns": (
        {**EXAMPLE, **{f"s{i}.example.com": "v=DMARC1; p=none; psd=n" for i in range(12)}}, "example.com",
        {"dkim": ["good.example.com"] + [f"s{i}.example.com" for i in range(12)]}, {"result": "pass"}),
    "a name that cannot be": (
        EXAMPLE, f"{LONG}.example.com", {}, {"policy": "reject", "asked": walked("example.com", "com")}),
    "dots at the end": (
        EXAMPLE, "mail.example.com.", {"dkim": ["example.com."]}, {"result": "pass", "organization": "example.com"}),
    "capitals": (EXAMPLE, "Mail.Example.COM", {"dkim": ["EXAMPLE.com"]}, {"result": "pass"}),
    "the policy cannot be found now": (
        {"example.com": "error"}, "mail.example.com", {"dkim": ["example.com"]},
        {"result": "temperror", "organization": "mail.example.com", "published": ""}),
    "above the author nothing answers, identical": (
        {**EXAMPLE, "com": "error"}, "example.com", {"dkim": ["example.com"]},
        {"result": "pass", "policy": "reject", "organization": "example.com"}),
    "above the author nothing answers, below": (
        {**EXAMPLE, "com": "error"}, "example.com", {"dkim": ["mail.example.com"]},
        {"result": "temperror", "policy": "reject", "p": "reject", "published": "example.com"}),
    "above the author nothing answers, elsewhere": (
        {**EXAMPLE, "com": "error"}, "example.com", {"spf": "other.net"}, {"result": "fail"}),
    "above the author nothing answers, beside": (
        {**EXAMPLE, "com": "error"}, "example.com", {"spf": "other.com"}, {"result": "temperror"}),
    "an identifier's walk fails": (
        {**EXAMPLE, "mail.example.com": "error"}, "example.com", {"dkim": ["mail.example.com"]},
        {"result": "temperror", "policy": "reject"}),
    "an identifier's walk fails, another aligns": (
        {**EXAMPLE, "mail.example.com": "error"}, "example.com",
        {"spf": "bounces.example.com", "dkim": ["mail.example.com"]},
        {"result": "pass", "spf_aligned": True, "dkim_aligned": 0}),
    "strict needs no walk": (
        {"example.com": "v=DMARC1; p=reject; adkim=s", "mail.example.com": "error"}, "example.com",
        {"dkim": ["mail.example.com"]}, {"result": "fail"}),
    "np of a name that is not there": ({"example.com": NP}, "sub.example.com", {}, {"policy": "quarantine"}),
    "sp of a name that is": (
        {"example.com": NP, "=sub.example.com": {"A": ["192.0.2.10"]}}, "sub.example.com", {}, {"policy": "none"}),
    "a name with other records is there": (
        {"example.com": NP, "=mail.example.com": {"MX": [[1, "mx.example.com"]]}}, "mail.example.com", {},
        {"policy": "none"}),
    "np is not for the domain itself": (
        {"example.com": NP}, "example.com", {},
        {"policy": "reject", "np": "quarantine", "asked": walked("example.com", "com")}),
    "without np nobody asks": (
        {"example.com": "v=DMARC1; p=reject; sp=none"}, "sub.example.com", {},
        {"policy": "none", "asked": walked("sub.example.com", "example.com", "com")}),
    "p where sp is left out": (
        {"example.com": "v=DMARC1; p=quarantine; np=reject", "=sub.example.com": {"A": ["192.0.2.1"]}},
        "sub.example.com", {}, {"policy": "quarantine"}),
    "np of a public suffix": (
        {"gov.example": "v=DMARC1; p=reject; sp=none; np=reject; psd=y"}, "fake-agency.gov.example", {},
        {"published": "gov.example", "policy": "reject"}),
    "np of a name that cannot be": (
        {"example.com": NP}, f"{LONG}.example.com", {},
        {"policy": "quarantine", "asked": walked("example.com", "com")}),
    "whether it is there cannot be told": (
        {"example.com": NP, "=sub.example.com": {"A": "error"}}, "sub.example.com", {"dkim": ["example.com"]},
        {"result": "temperror"}),
    "B.4.3": (
        {"bank.example": BANK, "giant.bank.example": "v=DMARC1; p=quarantine"}, "giant.bank.example",
        {"spf": "mail.giant.bank.example", "dkim": ["mail.mega.bank.example"]},
        {"result": "pass", "organization": "giant.bank.example", "spf_aligned": True, "dkim_aligned": 0,
         "asked": walked("giant.bank.example", "bank.example", "mail.giant.bank.example")}),
    "not the suffix's policy where there is another": (
        {"example": BANK, "foo.example": "v=DMARC1; p=none"}, "foo.example", {},
        {"organization": "foo.example", "policy": "none"}),
    "the suffix's policy": (
        {"bank.example": "v=DMARC1; p=reject; sp=quarantine; psd=y"}, "mail.giant.bank.example",
        {"dkim": ["giant.bank.example"]},
        {"result": "pass", "organization": "giant.bank.example", "published": "bank.example", "policy": "quarantine"}),
    "two of one suffix": (
        {"bank.example": BANK}, "giant.bank.example", {"spf": "bank.example", "dkim": ["mega.bank.example"]},
        {"result": "fail", "organization": "giant.bank.example", "policy": "reject"}),
    "the suffix writes itself": (
        {"bank.example": "v=DMARC1; p=reject; sp=none; psd=y"}, "bank.example", {"spf": "mail.bank.example"},
        {"result": "fail", "organization": "bank.example", "policy": "reject"}),
    "t=y: reject is quarantine": (
        {"example.com": "v=DMARC1; p=reject; t=y"}, "example.com", {}, {"result": "fail", "policy": "quarantine"}),
    "t=y: quarantine is none": (
        {"example.com": "v=DMARC1; p=quarantine; t=y"}, "example.com", {}, {"result": "fail", "policy": "none"}),
    "t=Y: what is published stays": (
        {"example.com": "v=DMARC1; p=reject; sp=quarantine; t=Y"}, "sub.example.com", {},
        {"policy": "none", "p": "reject", "sp": "quarantine", "testing": True}),
    "t=n": ({"example.com": "v=DMARC1; p=reject; t=n"}, "example.com", {}, {"policy": "reject", "testing": False}),
    "t=yes is none": (
        {"example.com": "v=DMARC1; p=reject; t=yes"}, "example.com", {}, {"policy": "reject", "testing": False}),
    "no p, but rua": (
        {"example.com": "v=DMARC1; rua=mailto:dmarc@example.com"}, "example.com", {"dkim": ["example.com"]},
        {"result": "pass", "policy": "none"}),
    "neither": ({"example.com": "v=DMARC1; adkim=s"}, "example.com", {}, {"result": "none"}),
    "a p that is none, but rua": (
        {"example.com": "v=DMARC1; p=block; adkim=s; rua=mailto:dmarc@example.com!10m"}, "example.com",
        {"dkim": ["mail.example.com"]}, {"result": "fail", "policy": "none", "p": "none", "strict_dkim": True}),
    "an sp that is none, but rua": (
        {"example.com": "v=DMARC1; p=reject; sp=bounce; rua=mailto:dmarc@example.com"}, "sub.example.com", {},
        {"policy": "none", "sp": "none"}),
    "an empty np, but rua": (
        {"example.com": "v=DMARC1; p=reject; np=; rua=mailto:dmarc@example.com"}, "sub.example.com", {},
        {"policy": "none", "sp": "none"}),
    "a rua without scheme": (
        {"example.com": "v=DMARC1; p=reject; sp=nope; rua=dmarc@example.com"}, "example.com", {}, {"result": "none"}),
    "an empty rua": (
        {"example.com": "v=DMARC1; p=reject; sp=nope; rua="}, "example.com", {}, {"result": "none"}),
    "a rua to nobody": (
        {"example.com": "v=DMARC1; p=reject; sp=nope; rua=mailto:"}, "example.com", {}, {"result": "none"}),
    "the author's record without a policy ends it": (
        {"mail.example.com": "v=DMARC1; adkim=s", **EXAMPLE}, "mail.example.com", {}, {"result": "none"}),
    "v=dmarc1": ({"example.com": "v=dmarc1; p=reject"}, "example.com", {"dkim": ["example.com"]}, {"result": "none"}),
    "v=DMARC1x": (
        {"example.com": "v=DMARC1x; p=reject"}, "example.com", {"dkim": ["example.com"]}, {"result": "none"}),
    "blanks in the version": (
        {"example.com": "v = DMARC1; p=reject"}, "example.com", {"dkim": ["example.com"]},
        {"result": "pass", "policy": "reject"}),
    "p=Reject": (
        {"example.com": "v=DMARC1; p=Reject"}, "example.com", {"dkim": ["example.com"]},
        {"result": "pass", "policy": "reject"}),
    "adkim=S": (
        {"example.com": "v=DMARC1; p=reject; adkim=S"}, "mail.example.com", {"dkim": ["example.com"]},
        {"result": "fail", "strict_dkim": True}),
    "blanks around =": (
        {"example.com": "v=DMARC1; p = reject; adkim = s"}, "mail.example.com", {"dkim": ["example.com"]},
        {"result": "fail", "strict_dkim": True, "policy": "reject"}),
    # Ours from here on.
    "V=DMARC1; P=": ({"example.com": "V=DMARC1; P=reject"}, "example.com", {}, {"policy": "reject"}),
    # RFC 6376 section 3.2 takes such a list for none; but this domain wants a policy.
    "p twice": ({"example.com": "v=DMARC1; p=reject; p=none"}, "example.com", {}, {"policy": "reject"}),
    # Or strangers could keep a domain's policy away with a name of theirs that does not answer.
    "an error elsewhere": (
        EXAMPLE, "example.com", {"dkim": [["evil.example.net", "temperror"]], "spf": ["evil.example.net", "temperror"]},
        {"result": "fail", "policy": "reject"}),
    "an error of ours": (
        EXAMPLE, "example.com", {"dkim": [["mail.example.com", "temperror"]]}, {"result": "temperror"}),
    "failed identifiers do not align": (
        EXAMPLE, "example.com", {"dkim": [["example.com", "fail"]], "spf": ["example.com", "softfail"]},
        {"result": "fail", "spf_aligned": False, "dkim_aligned": 0}),
    "a blank in front": ({"example.com": " v=DMARC1; p=reject"}, "example.com", {}, {"result": "none"}),
    "without separators": ({"example.com": "v=DMARC1 p=reject"}, "example.com", {}, {"result": "none"}),
    "a tag that is none": ({"example.com": "v=DMARC1; x; ;p=reject;;"}, "example.com", {}, {"policy": "reject"}),
}


def zone_of(records):
    zone = {}
    for name, value in records.items():
        if name.startswith("="):
            zone[name[1:]] = value
        else:
            zone[f"_dmarc.{name}"] = {"TXT": value if isinstance(value, list) or value == "error" else [value]}
    return zone


@pytest.fixture(scope="module")
def verdicts():
    lines = [json.dumps({"what": "dmarc", "author": author, "zone": zone_of(records), **passed})
             for records, author, passed, _ in CASES.values()]
    out = subprocess.run([TOOL], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True).stdout
    return dict(zip(CASES, map(json.loads, out.splitlines()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_case(verdicts, name):
    wanted = CASES[name][3]
    assert {key: verdicts[name][key] for key in wanted} == wanted
