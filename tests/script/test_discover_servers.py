"""letterlock discover where key servers are concerned, and where it is led astray: HKP and VKS with every kind of
answer, and of a real key server, which is another Letterlock; and that no source leads inside, whatever its name's
addresses are and wherever it sends."""
import concurrent.futures

import harness
import names
import pytest
import test_discover as table
from test_discover import ANOTHERS, EXPIRED, FOUND, GARBAGE, INSIDE, LARGE, MOVED, NO_HOST, NONE, OPEN, REVOKED, SEVERAL

pytestmark = pytest.mark.needs(*names.NEEDS, "openssl", "gpg")
ANN, HID = f"ann@peer.{OPEN}", f"hid@peer.{OPEN}"

ANSWERS = {  # what a key server has: what is said of it
    "a": FOUND, "": NONE, "e": EXPIRED, "r": REVOKED, "ra": FOUND, "ab": SEVERAL, "x": ANOTHERS, "s": table.SIGNS,
    "*": LARGE, "~": LARGE, "<": GARBAGE, "!": table.ERROR,
}
FORMS = {  # of names that lead inside, some of them among others
    "private": ["A 10.0.0.1"], "shared": ["A 100.64.0.1"], "metadata": ["A 169.254.169.254"],
    "loopback": ["A 127.0.0.2"], "here": ["A 0.0.0.0"], "six": ["AAAA ::1"], "mapped": ["AAAA ::ffff:127.0.0.1"],
    "unique": ["AAAA fd00::1"], "link": ["AAAA fe80::1"], "nat64": ["AAAA 64:ff9b::7f00:1"],
    "sixto4": ["AAAA 2002:7f00:1::1"], "both": ["A 127.0.0.1", "A 10.0.0.1"], "both-six": ["A 127.0.0.1", "AAAA ::1"],
    "alias": ["CNAME private"],
}
ELSEWHERE = ["301 https://127.0.0.1/ok", "302 http://169.254.169.254/latest/meta-data/", "303 //[::1]/ok",
             f"307 https://keys.{OPEN}@10.0.0.1/ok", "308 https://127.0.0.1:8443/ok", "302 file:///etc/passwd",
             f"300 https://keys.{OPEN}/ok", f"302 https://keys.{OPEN}/ok"]
CASES = [table.Case(f"s{n}", {}, server=what) for n, what in enumerate(ANSWERS)] + [
    table.Case(f"m{n}", {}, advanced=">" + to, direct=">" + to, server=">" + to) for n, to in enumerate(ELSEWHERE)] + [
    table.Case("slow", {}, server="?")]


def zone(keys):
    lines = [r for c in CASES for r in table.records(c, keys)]
    for form, records in FORMS.items():
        lines += [f"{host}{form} {r}" for host in ("", "openpgpkey.") for r in records]
    return "\n".join([*lines, "keys A 127.0.0.1", "peer A 127.0.0.9", "openpgpkey.peer A 127.0.0.9"])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """With a web server of every kind of answer on 127.0.0.1, and another Letterlock on 127.0.0.9."""
    hosts = [f"{p}{c.name}.{OPEN}" for c in CASES for p in ("", "openpgpkey.")]
    with harness.Instance() as i, harness.Instance(web=True, anew=True) as peer:
        keys = table.Keys(i.keyring)
        for c in CASES:
            for letter in table.letters(c):
                keys.one(letter, c.address)
        with names.start({OPEN: zone(keys)}) as n, \
                table.Pages(tmp_path_factory.mktemp("web"), i.base + harness.WEB_PORT, keys=keys, cases=CASES,
                            names=[*hosts, f"keys.{OPEN}", f"peer.{OPEN}", f"openpgpkey.peer.{OPEN}"]) as w:
            w.ca.parent.chmod(0o755)
            peer.init(bind="127.0.0.9", https="yes", http="no", smtp="no")
            peer.run("domain", "add", f"peer.{OPEN}")
            for address in ANN, HID:
                peer.add_account(address)
            peer.run("account", "set", HID, "--publish", "no")
            for name, kind in ("chain.pem", "pem"), ("key.pem", "key"):
                (peer.dir / "tls" / name).write_bytes((w.ca.parent / f"good.{kind}").read_bytes())
            peer.serve()
            i.init(**n.settings(), fetch_allow=f"127.0.0.1@{w.port}, 127.0.0.9@{peer.port('https')}",
                   fetch_ca_file=w.ca, discover_wait=60)
            i.keys, i.pages, i.peer = keys, w, peer
            yield i


def says(i, address, server):
    i.configure(discover_key_server=server)
    got = table.discover(i, address)
    return got, {s["source"]: s["says"] for s in got["sources"]}


def several(i, cases, server):
    i.configure(discover_key_server=server)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return [*pool.map(lambda c: table.discover(i, c.address), cases)]


@pytest.mark.parametrize("kind", ["vks", "hkp"])
def test_every_kind_of_answer(home, kind):
    """Nothing else has anything, and what a key server has is as sure as a key server is."""
    cases = CASES[:len(ANSWERS)]
    for c, got, said in zip(cases, several(home, cases, f"{kind}:keys.{OPEN}"), ANSWERS.values(), strict=True):
        assert {s["source"]: s["says"] for s in got["sources"]} == {
            "wkd-advanced": NO_HOST, "wkd-direct": NO_HOST, "dane": NONE, kind: said}, c.server
        assert (got["trust"], got.get("source")) == (("key-server", kind) if said == FOUND else ("none", None))
        assert got.get("fingerprint") == (home.keys.one("a", c.address)[0] if said == FOUND else None)


@pytest.mark.parametrize("kind", ["vks", "hkp"])
def test_a_slow_one(home, kind):
    home.configure(discover_wait=2)
    try:
        assert says(home, f"slow@slow.{OPEN}", f"{kind}:keys.{OPEN}")[1][kind] == table.SLOW
    finally:
        home.configure(discover_wait=60)


@pytest.mark.parametrize("kind", ["vks", "hkp"])
def test_another_letterlock(home, kind):
    """Its key server, and its Web Key Directory in both methods; who is hidden there is found by none of them."""
    got, said = says(home, ANN, f"{kind}:peer.{OPEN}")
    assert said == {"wkd-advanced": FOUND, "wkd-direct": FOUND, "dane": NONE, kind: FOUND}
    assert (got["trust"], got["source"], got["differs"]) == ("domain", "wkd-advanced", False)
    assert {s.get("fingerprint") for s in got["sources"]} == {home.peer.keyring.fingerprint(ANN), None}
    for address in HID, f"nobody@peer.{OPEN}":
        got, said = says(home, address, f"{kind}:peer.{OPEN}")
        assert not got["found"] and set(said.values()) == {NONE}


@pytest.mark.parametrize("n, form", [*enumerate(FORMS)])
def test_no_source_leads_inside(home, n, form):
    before = home.pages.connections
    kind = ("vks", "hkp")[n % 2]
    got, said = says(home, f"x@{form}.{OPEN}", f"{kind}:{form}.{OPEN}")
    assert said == {"wkd-advanced": INSIDE, "wkd-direct": INSIDE, "dane": NONE, kind: INSIDE} and not got["found"]
    assert home.pages.connections == before, "nobody was connected to"


@pytest.mark.parametrize("kind", ["vks", "hkp"])
def test_no_source_is_followed_elsewhere(home, kind):
    cases = CASES[len(ANSWERS):-1]
    for c, got in zip(cases, several(home, cases, f"{kind}:keys.{OPEN}"), strict=True):
        assert {s["source"]: s["says"] for s in got["sources"]} == {
            "wkd-advanced": MOVED, "wkd-direct": MOVED, "dane": NONE, kind: MOVED}, c.server
    assert not [r for r in home.pages.requests if r[1].startswith(("/ok", "/latest"))]
