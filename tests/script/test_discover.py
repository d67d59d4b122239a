"""letterlock discover against domains with every kind of answer: names by NSD, pages by a web server over TLS. For each
the places that were asked, what each has, which key counts and how sure it is; and nowhere does the search lead inside.
And mail to these domains, which is sealed to what was found, or is not sent."""
import base64
import concurrent.futures
import email
import hashlib
import json
import re
import time
import urllib.parse

import harness
import names
import peers
import pytest
import web

pytestmark = pytest.mark.needs(*names.NEEDS, "openssl", "gpg")
OPEN, SIGNED = "open.test", "signed.test"
ALICE = f"alice@{harness.DOMAIN}"
WAIT = 3  # seconds: what is slow here never ends

FOUND, NONE, NO_HOST = "found", "has none", "there is no such host"
EXPIRED, REVOKED = "has one that has expired", "has one that is revoked"
ANOTHERS, SEVERAL = "has one without a valid user id of this address", "has several that could be used"
SIGNS = "has one that has no key to encrypt with"
UNSIGNED = "has a record, which DNSSEC does not cover"
MOVED, INSIDE = "sends elsewhere, and nobody follows", "its address is not of the open Internet"
LARGE, SLOW = "what is there is too large", "does not answer in time"
GARBAGE, ERROR = "what is there is no valid certificate", "answers with an error"
TLS = "TLS fails, or its certificate is not good for that name"


class Case:
    """A domain: what its Web Key Directory has by the advanced and by the direct method (None: there is no such host;
    "": it is there, and has nothing), its OPENPGPKEY records, what the key server has; and what is to be found."""

    def __init__(self, name, says, trust="none", source=None, key=None, zone=OPEN, advanced=None, direct=None, dane="",
                 server="", differs=False):
        self.address = f"{name}@{name}.{zone}"
        self.name, self.zone, self.says, self.trust, self.source = name, zone, says, trust, source
        self.key, self.advanced, self.direct, self.dane = key, advanced, direct, dane
        self.server, self.differs = server, differs


CASES = [
    Case("advanced", {"wkd-advanced": FOUND}, "domain", "wkd-advanced", "a", advanced="a"),
    Case("direct", {"wkd-advanced": NO_HOST, "wkd-direct": FOUND}, "domain", "wkd-direct", "a", direct="a"),
    Case("both", {"wkd-advanced": FOUND, "wkd-direct": FOUND}, "domain", "wkd-advanced", "a", advanced="a", direct="b",
         differs=True),
    Case("unused", {"wkd-advanced": NONE, "wkd-direct": FOUND}, advanced="", direct="a"),
    Case("unused-server", {"wkd-advanced": NONE, "wkd-direct": FOUND, "vks": FOUND}, "key-server", "vks", "a",
         advanced="", direct="a", server="a"),
    Case("nothing", {}),
    Case("dane", {"dane": FOUND}, "dnssec", "dane", "a", zone=SIGNED, dane="a"),
    Case("both-dane", {"wkd-advanced": FOUND, "dane": FOUND}, "dnssec", "dane", "a", zone=SIGNED, advanced="a",
         dane="a"),
    Case("unlike", {"wkd-advanced": FOUND, "dane": FOUND}, "dnssec", "dane", "b", zone=SIGNED, advanced="a", dane="b",
         differs=True),
    Case("unsigned", {"dane": UNSIGNED}, dane="a"),
    Case("unsigned-wkd", {"wkd-advanced": FOUND, "dane": UNSIGNED}, "domain", "wkd-advanced", "a", advanced="a",
         dane="b"),
    Case("two-records", {"dane": SEVERAL}, zone=SIGNED, dane="ab"),
    Case("successor", {"dane": FOUND}, "dnssec", "dane", "a", zone=SIGNED, dane="ra"),
    Case("server", {"vks": FOUND}, "key-server", "vks", "a", server="a"),
    Case("expired", {"wkd-advanced": EXPIRED}, advanced="e"),
    Case("revoked", {"wkd-advanced": REVOKED}, advanced="r"),
    Case("replaced", {"wkd-advanced": FOUND}, "domain", "wkd-advanced", "a", advanced="ra"),
    Case("ambiguous", {"wkd-advanced": SEVERAL}, advanced="ab"),
    Case("signs", {"wkd-advanced": SIGNS}, advanced="s"),
    Case("stolen", {"wkd-advanced": ANOTHERS}, advanced="x"),
    Case("stolen-server", {"vks": ANOTHERS}, server="x"),
    Case("moved", {"wkd-advanced": MOVED}, advanced=">302 https://keys.open.test/ok"),
    Case("expired-direct", {"wkd-direct": EXPIRED}, direct="e"),
    Case("revoked-direct", {"wkd-direct": REVOKED}, direct="r"),
    Case("replaced-direct", {"wkd-direct": FOUND}, "domain", "wkd-direct", "a", direct="ra"),
    Case("stolen-direct", {"wkd-direct": ANOTHERS}, direct="x"),
    Case("large-direct", {"wkd-direct": LARGE}, direct="*"),
    Case("slow-direct", {"wkd-direct": SLOW}, direct="?"),
    Case("expired-dane", {"dane": EXPIRED}, zone=SIGNED, dane="e"),
    Case("revoked-dane", {"dane": REVOKED}, zone=SIGNED, dane="r"),
    Case("stolen-dane", {"dane": ANOTHERS}, zone=SIGNED, dane="x"),
    Case("spoilt-dane", {"wkd-advanced": FOUND, "dane": ANOTHERS}, "domain", "wkd-advanced", "a", zone=SIGNED,
         advanced="a", dane="x"),
    Case("large", {"wkd-advanced": LARGE}, advanced="*"),
    Case("endless", {"wkd-advanced": LARGE}, advanced="~"),
    Case("slow", {"wkd-advanced": SLOW}, advanced="?"),
    Case("slow-domain", {"wkd-advanced": SLOW, "vks": FOUND}, "key-server", "vks", "a", advanced="?", server="a"),
    Case("slow-server", {"vks": SLOW}, server="?"),
    Case("html", {"wkd-advanced": GARBAGE}, advanced="<"),
    Case("broken", {"wkd-advanced": ERROR}, advanced="!"),
    Case("inside", {"wkd-advanced": INSIDE}, advanced="@169.254.169.254"),
    Case("inside-direct", {"wkd-direct": INSIDE}, direct="@10.0.0.1"),
    Case("inside-six", {"wkd-advanced": INSIDE}, advanced="@::ffff:127.0.0.1"),
    Case("untrusted", {"wkd-advanced": TLS}, advanced="#"),
]


class Keys:
    """A certificate for each letter and address: a and b are good, e has expired, r is revoked, s only signs, x is
    another's."""

    def __init__(self, ring):
        self.ring, self.made = ring, {}

    def one(self, letter, address):
        if (letter, address) not in self.made:
            self.made[letter, address] = self.make(letter, address)
        return self.made[letter, address]

    def make(self, letter, address):
        uid = f"{address.partition('@')[0]} <eve@else.test>" if letter == "x" else f"{letter} <{address}>"
        how = ["--faked-system-time", "20200101T000000!"] if letter == "e" else []
        algo, ends = ("ed25519", "never") if letter == "s" else ("future-default", "1y" if how else "never")
        self.ring.unasked(*how, "--quick-gen-key", uid, algo, *(["cert"] if letter == "s" else ["default"]), ends)
        fpr = self.ring.fingerprint(f"={uid}")
        if letter == "r":
            revocation = (self.ring.path / "openpgp-revocs.d" / f"{fpr}.rev").read_text()
            self.ring.gpg("--import", data=revocation.replace(":-----", "-----").encode())
        return fpr, self.ring.gpg("--export", fpr).stdout

    def octets(self, letters, address):
        return b"".join(self.one(letter, address)[1] for letter in letters)


def letters(case):
    """Of all certificates that it has anywhere."""
    return {x for what in (case.advanced, case.direct, case.dane, case.server) if set(what or "") <= set("abersx")
            for x in what or ""}


class Pages(web.Server):
    """The Web Key Directories of all domains, and the key server."""

    def __init__(self, *args, keys, cases, **how):
        self.keys, self.cases = keys, cases
        super().__init__(*args, **how)

    def __getattr__(self, name):
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.page

    def page(self, answer, query):
        parts = answer.path.strip("/").split("/")
        if parts[0] in ("vks", "pks"):
            address = urllib.parse.unquote(parts[-1]) if parts[0] == "vks" else query.rpartition("&search=")[2]
            what = next((c.server for c in self.cases if c.address == address), "")
        else:
            advanced = len(parts) == 5
            case = next((c for c in self.cases if c.name == query.removeprefix("l=")), None)
            case = case or next(c for c in self.cases if c.name == "slow")
            assert not advanced or parts[2] == case.address.partition("@")[2]
            address, what = case.address, (case.advanced if advanced else case.direct) or ""
        self.give(answer, what, address)

    def give(self, a, what, address):
        if what.startswith(">"):
            self.do_redirect(a, what[1:])
        elif what == "*":
            self.do_exact(a, 48 * 1024 + 1)
        elif what in ("~", "?"):
            (self.do_endless if what == "~" else self.do_slow)(a, "")
        elif what in ("", "!"):
            a.whole(b"no", status="500" if what else "404")
        else:
            a.whole(b"<!doctype html><p>welcome" if what == "<" else self.keys.octets(what, address))


def records(case, keys):
    domain = case.name
    if case.dane:
        label = hashlib.sha256(case.name.encode()).hexdigest()[:56]
        for letter in case.dane:
            octets = base64.b64encode(keys.octets(letter, case.address)).decode()
            yield f"{label}._openpgpkey.{domain} OPENPGPKEY {octets}"
    for host, what in ((f"openpgpkey.{domain}", case.advanced), (domain, case.direct)):
        if what is not None:
            address = what[1:] if what.startswith("@") else "127.0.0.1"
            yield f"{host} {'AAAA' if ':' in address else 'A'} {address}"


def zone(which, keys):
    lines = [r for c in CASES if c.zone == which for r in records(c, keys)]
    return "\n".join([*lines, "keys A 127.0.0.1", "in A 10.0.0.1", "out A 127.0.0.2"])


def hosts():
    for c in CASES:
        if c.advanced != "#":
            yield from (f"openpgpkey.{c.name}.{c.zone}", f"{c.name}.{c.zone}")
    yield f"keys.{OPEN}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with harness.Instance() as i:
        keys = Keys(i.keyring)
        for c in CASES:
            for letter in letters(c):
                keys.one(letter, c.address)
        with names.start({z: zone(z, keys) for z in (OPEN, SIGNED)}, signed=[SIGNED]) as n, \
                Pages(tmp_path_factory.mktemp("web"), i.base + harness.WEB_PORT, names=[*hosts()], keys=keys,
                      cases=CASES) as w, \
                peers.Peer(i.port("smtp"), host="127.0.0.2") as world:
            w.ca.parent.chmod(0o755)
            i.init(**n.settings(), fetch_allow=f"127.0.0.1@{w.port}", fetch_ca_file=w.ca, discover_wait=WAIT,
                   fetch_timeout=300, discover_key_server=f"vks:keys.{OPEN}", smarthost=f"out.{OPEN}:{i.port('smtp')}")
            i.add_account("alice")
            i.keys, i.pages, i.world = keys, w, world
            yield i


def discover(i, address):
    p = i.run("discover", address, "--json", check=False)
    got = json.loads(p.stdout)
    assert p.returncode == (0 if got["found"] else 1), p.stderr
    return got


def looks(i, case):
    got = discover(i, case.address)
    says = {s["source"]: s["says"] for s in got["sources"]}
    usual = {"wkd-advanced": NO_HOST if case.advanced is None else NONE, "dane": NONE, "vks": NONE,
             "wkd-direct": NO_HOST if case.direct is None else NONE}
    assert says == {**usual, **case.says}, case.address
    assert (got["trust"], got.get("source"), got["differs"]) == (case.trust, case.source, case.differs), case.address
    want = i.keys.one(case.key, case.address)[0] if case.key else None
    assert got.get("fingerprint") == want, case.address
    return case.name


def is_slow(case):
    return "?" in (case.advanced, case.direct, case.server)


@pytest.mark.parametrize("slow", [False, True])
def test_every_kind_of_domain(home, slow):
    """What is not slow is waited for as long as it takes."""
    cases = [c for c in CASES if is_slow(c) == slow]
    home.configure(discover_wait=WAIT if slow else 60)
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            assert [*pool.map(lambda c: looks(home, c), cases)] == [c.name for c in cases]
    finally:
        home.configure(discover_wait=WAIT)


def test_a_key_server_that_lies_inside(home):
    home.configure(discover_key_server=f"vks:in.{OPEN}")
    try:
        got = discover(home, f"nothing@nothing.{OPEN}")
        assert {s["source"]: s["says"] for s in got["sources"]}["vks"] == INSIDE
    finally:
        home.configure(discover_key_server=f"vks:keys.{OPEN}")


def test_of_a_domain_here_nobody_else_is_asked(home):
    before = len(home.pages.requests)
    assert discover(home, f"alice@{harness.DOMAIN}") == {"found": True, "source": "account", "trust": "account"}
    assert discover(home, f"nobody@{harness.DOMAIN}") == {"found": False, "source": "account", "trust": "none"}
    assert len(home.pages.requests) == before


def test_for_people(home):
    case = CASES[0]
    fpr = home.keys.one("a", case.address)[0]
    lines = home.run("discover", case.address).stdout.decode().splitlines()
    assert lines[0].split(None, 1) == ["wkd-advanced", f"found: {fpr}"]
    assert lines[-1] == "wkd-advanced: its domain's web server vouches for it (HTTPS)"
    p = home.run("discover", f"nothing@nothing.{OPEN}", check=False)
    assert p.returncode == 1 and p.stdout.decode().splitlines()[-1] == "no key can be used: has none"
    p = home.run("discover", "no address", check=False)
    assert p.returncode == 1 and b"is no address" in p.stderr


# ---- mail to them ----

SECRET = "The geese fly at midnight"


@pytest.fixture(scope="module")
def sender(home):
    home.serve()
    yield home


def to(name):
    return next(c.address for c in CASES if c.name == name)


def letter(*people, cc=()):
    return harness.crlf(f"From: {ALICE}\nTo: {', '.join(people)}\n{''.join(f'Cc: {c}' + chr(10) for c in cc)}"
                        f"Subject: {SECRET} too\n\n{SECRET}\n")


def submit(i, word, message, people):
    """What went out, by its recipients."""
    i.run("account", "set", ALICE, "--encrypt", word)
    before = len(i.world.mails)
    s = i.submission(ALICE)
    assert s.sendmail(ALICE, people, message) == {}
    s.quit()
    end = time.monotonic() + 120
    while sum(len(m.recipients) for m in i.world.mails[before:]) < len(people):
        assert time.monotonic() < end
        time.sleep(0.02)
    return {tuple(sorted(m.recipients)): m.octets for m in i.world.mails[before:]}


def sealed_for(i, octets):
    assert SECRET.encode() not in octets
    m = email.message_from_bytes(octets)
    assert m.get_content_type() == "multipart/encrypted" and m["Subject"] == "[...]"
    inside = email.message_from_bytes(i.keyring.decrypt(harness.armor_of(octets)))
    assert inside["Subject"] == f"{SECRET} too" and inside.get_payload() == f"{SECRET}\r\n"
    out = i.keyring.gpg("--list-packets", data=harness.armor_of(octets), check=False).stdout.decode()
    return sorted(re.findall(r"^:pubkey enc packet:.*keyid ([0-9A-F]{16})$", out, re.M))


def key_id(i, letter, address):
    out = i.keyring.gpg("--with-colons", "--list-keys", i.keys.one(letter, address)[0]).stdout.decode()
    return re.search(r"^sub:(?:[^:]*:){3}([0-9A-F]{16}):", out, re.M).group(1)


@pytest.mark.parametrize("word", ["opportunistic", "always"])
@pytest.mark.parametrize("name", ["advanced", "direct", "dane", "unlike", "server", "replaced"])
def test_sealed_to_what_was_found(sender, word, name):
    key = next(c.key for c in CASES if c.name == name)
    got = submit(sender, word, letter(to(name)), [to(name)])
    assert sealed_for(sender, got[(to(name),)]) == [key_id(sender, key, to(name))]


def test_nobody_learns_of_a_blind_copy(sender):
    a, b, c = to("advanced"), to("dane"), to("direct")
    got = submit(sender, "always", letter(a, cc=[b]), [a, b, c])
    assert {k: sealed_for(sender, v) for k, v in got.items()} == {
        tuple(sorted((a, b))): sorted(key_id(sender, "a", x) for x in (a, b)), (c,): [key_id(sender, "a", c)]}


def test_asked_once(sender):
    a = to("advanced")
    submit(sender, "always", letter(a), [a])
    before, sought = len(sender.pages.requests), sender.counters("ingest")["keys_sought"]
    for word in ("opportunistic", "always"):
        sealed_for(sender, submit(sender, word, letter(a), [a])[(a,)])
    assert (len(sender.pages.requests), sender.counters("ingest")["keys_sought"]) == (before, sought)


@pytest.mark.parametrize("name", ["nothing", "unsigned", "expired", "revoked", "ambiguous", "signs", "stolen", "moved",
                                  "large", "html", "inside", "slow-server"])
def test_without_a_key(sender, name):
    """In the clear where the account allows it, and else to nobody."""
    code, text = refused(sender, to(name))
    assert (code, text[:5]) == ((451, b"4.7.5") if name == "slow-server" else (550, b"5.7.5"))
    got = submit(sender, "opportunistic", letter(to(name)), [to(name)])
    assert SECRET.encode() in got[(to(name),)]


def refused(i, address):
    i.run("account", "set", ALICE, "--encrypt", "always")
    s = i.submission(ALICE)
    assert s.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
    answer = s.docmd("RCPT", f"TO:<{address}>")
    assert s.docmd("RCPT", f"TO:<{to('advanced')}>")[0] == 250, "the session goes on"
    s.quit()
    return answer


def test_one_without_a_key_has_all_in_the_clear(sender):
    a, b = to("advanced"), to("nothing")
    got = submit(sender, "opportunistic", letter(a, b), [a, b])
    assert all(SECRET.encode() in octets for octets in got.values())


def test_who_leaves_while_it_is_looked_for(sender):
    sender.run("account", "set", ALICE, "--encrypt", "always")
    address = f"late@slow.{OPEN}"
    s = sender.submission(ALICE)
    s.docmd("MAIL", f"FROM:<{ALICE}>")
    s.send(f"RCPT TO:<{address}>\r\n")
    s.close()
    assert refused(sender, address)[0] == 451


def test_what_nobody_waits_for_leaves_its_place(sender):
    """Long before fetch_timeout: else a user who writes to slow domains would take all places from others."""
    for name in "early", "gone":
        assert refused(sender, f"{name}@slow.{OPEN}")[0] == 451
    end = time.monotonic() + 120
    while sender.counters("fetcher").get("under_way_now") != 0:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_nobody_is_asked_where_nobody_may_be(sender):
    before = len(sender.pages.requests)
    sender.configure(discover_wait=0)
    sender.run("reload")
    try:
        sender.run("account", "set", ALICE, "--encrypt", "always")
        s = sender.submission(ALICE)
        s.docmd("MAIL", f"FROM:<{ALICE}>")
        assert s.docmd("RCPT", f"TO:<new@advanced.{OPEN}>")[0] == 550
        s.quit()
    finally:
        sender.configure(discover_wait=WAIT)
        sender.run("reload")
    assert len(sender.pages.requests) == before
