"""Whose keys an account has seen: another one is never followed in silence under `always`, nor does mail become clear
because a domain has none any more; across restarts, processes that die, and until the administrator says otherwise."""
import base64
import datetime
import email
import email.utils
import json
import os
import signal
import smtplib
import time

import harness
import names
import peers
import pytest
import web

from test_discover import Keys, key_id, letter, sealed_for

pytestmark = pytest.mark.needs(*names.NEEDS, "openssl", "gpg")
ZONE = "open.test"
ALICE = f"alice@{harness.DOMAIN}"
PEOPLE = ("first", "changed", "followed", "removed", "revoked", "accepted", "forgotten", "killed",
          "pinned", "restored", "early", "found", "told", "moved", "silent")
WAIT = 5


def of(name):
    return f"{name}@{name}.{ZONE}"


class Pages(web.Server):
    """The Web Key Directories: for each local part, octets, "" (there is none) or "?" (it never ends)."""

    def __init__(self, *args, **how):
        self.has = {}
        super().__init__(*args, **how)

    def __getattr__(self, name):
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.page

    def page(self, answer, query):
        what = self.has.get(query.removeprefix("l="), "")
        if what == "?":
            self.do_slow(answer, "")
        else:
            answer.whole(what or b"no", status="200" if what else "404")


@pytest.fixture(scope="module")
def i(tmp_path_factory):
    zone = "\n".join([*(f"openpgpkey.{n} A 127.0.0.1" for n in PEOPLE), "out A 127.0.0.2\nout A 127.0.0.3",
                      'proves TXT "v=spf1 ip4:127.0.0.0/8 -all"', '_dmarc.proves TXT "v=DMARC1; p=none"'])
    zones = {ZONE: zone, "test": "open NS ns.open", "127.in-addr.arpa": f"3.0.0 PTR out.{ZONE}."}
    with harness.Instance() as i, names.start(zones) as n, \
            Pages(tmp_path_factory.mktemp("web"), i.base + harness.WEB_PORT,
                  names=[f"openpgpkey.{p}.{ZONE}" for p in PEOPLE]) as w, \
            peers.Peer(i.port("smtp"), host="127.0.0.2") as world:
        w.ca.parent.chmod(0o755)
        i.init(**n.settings(), fetch_allow=f"127.0.0.1@{w.port}", fetch_ca_file=w.ca, discover_wait=WAIT,
               smarthost=f"out.{ZONE}:{i.port('smtp')}", ingest_instances=2, auth_exempt="127.0.0.1")
        i.add_account("alice")
        i.keys, i.pages, i.world = Keys(i.keyring), w, world
        i.serve()
        yield i


def has(i, name, letters):
    """What the domain has from now on. What was found before `ingest` forgets with a restart."""
    asked = name in i.pages.has
    i.pages.has[name] = i.keys.octets(letters, of(name)) if letters not in ("", "?") else letters
    if asked:
        restart(i)


def restart(i):
    i.stop()
    i.serve()


def dies(i, role):
    """The role's processes are killed, and others come."""
    before = i.pids(role)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 120
    while len([p for p in i.pids(role) if p not in before]) < len(before):
        assert time.monotonic() < end
        time.sleep(0.05)


def account(i, word):
    i.run("account", "set", ALICE, "--encrypt", word)


def rcpt(i, name):
    s = i.submission(ALICE)
    assert s.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
    code, text = s.docmd("RCPT", f"TO:<{of(name)}>")
    s.quit()
    return code, text.decode()


def sent(i, name):
    """The letters of the keys that it went out to."""
    before = len(i.world.mails)
    s = i.submission(ALICE)
    assert s.sendmail(ALICE, [of(name)], letter(of(name))) == {}
    s.quit()
    end = time.monotonic() + 120
    while len(i.world.mails) == before:
        assert time.monotonic() < end
        time.sleep(0.02)
    mail = i.world.mails[before].octets
    if b"multipart/encrypted" not in mail:
        return "clear"
    ids = {key_id(i, x, a): x for x, a in i.keys.made if a == of(name) and x != "r"}
    return "".join(ids[k] for k in sealed_for(i, mail))


def record(i, name):
    """Its record, with letters for fingerprints; None: there is none."""
    p = i.run("correspondent", "show", ALICE, of(name), "--json", check=False)
    if p.returncode:
        return None
    [r] = json.loads(p.stdout)
    fprs = {fpr.lower(): x for (x, a), (fpr, _) in i.keys.made.items() if a == of(name)}
    key = fprs[r["key"]["fingerprint"]]
    other = fprs[r["other"]["fingerprint"]] if "other" in r else ""
    return key, other, [(fprs[p["fingerprint"]], p["end"]) for p in r["past"]]


def test_the_first_is_kept(i):
    account(i, "always")
    assert record(i, "first") is None
    has(i, "first", "a")
    assert sent(i, "first") == "a"
    assert record(i, "first") == ("a", "", [])
    [r] = [r for r in json.loads(i.run("correspondent", "list", ALICE, "--json").stdout) if r["address"] == of("first")]
    assert r["key"]["source"] == "domain" and r["state"] == "usable"
    assert i.keys.one("a", of("first"))[0] in i.run("correspondent", "show", ALICE, of("first")).stdout.decode()


def test_it_is_kept_before_anything_goes(i):
    """A recipient that is only named is enough, and nobody's mail is needed for it."""
    account(i, "always")
    has(i, "early", "a")
    assert rcpt(i, "early")[0] == 250
    assert record(i, "early") == ("a", "", [])


@pytest.mark.parametrize("then", ["b", "", "?"])
def test_always_moves_to_nothing_else(i, then):
    """Another key, none, or no answer, for an hour, as it were: a restart is in between."""
    account(i, "always")
    has(i, "changed", "a")
    assert sent(i, "changed") == "a"
    has(i, "changed", then)
    if then == "b":
        code, text = rcpt(i, "changed")
        assert code == 550 and text.startswith("5.7.5 The key of this recipient is another than before")
        assert record(i, "changed") == ("a", "b", [])
        assert rcpt(i, "changed")[0] == 550
    else:
        assert sent(i, "changed") == "a"
    has(i, "changed", "a")
    assert sent(i, "changed") == "a"


def test_opportunistic_follows_and_tells(i):
    account(i, "opportunistic")
    has(i, "followed", "a")
    assert sent(i, "followed") == "a"
    has(i, "followed", "b")
    assert sent(i, "followed") == "b"
    assert record(i, "followed") == ("b", "", [("a", "followed")])


@pytest.mark.parametrize("then", ["", "?"])
def test_opportunistic_does_not_go_clear(i, then):
    account(i, "opportunistic")
    has(i, "removed", "a")
    assert sent(i, "removed") == "a"
    has(i, "removed", then)
    assert sent(i, "removed") == "a"


def test_a_revocation_is_not_taken_back(i):
    """The key's owner has ended it; an older copy, without that word, is no other word."""
    account(i, "always")
    whole = i.keys.one("r", of("revoked"))[1]
    before = without_revocation(whole)
    i.pages.has["revoked"] = before
    assert rcpt(i, "revoked")[0] == 250 and record(i, "revoked") == ("r", "", [])
    i.pages.has["revoked"] = whole
    restart(i)
    code, text = rcpt(i, "revoked")
    assert code == 550 and "has ended" in text
    for there in (before, ""):
        i.pages.has["revoked"] = there
        restart(i)
        assert rcpt(i, "revoked")[0] == 550
        account(i, "opportunistic")
        s = i.submission(ALICE)
        with pytest.raises(Exception, match="has ended"):
            s.sendmail(ALICE, [of("revoked")], letter(of("revoked")))
        account(i, "always")


def without_revocation(octets):
    """The certificate without the signature of type 0x20 on its primary key: packets as gpg writes them."""
    out, at = b"", 0
    while at < len(octets):
        tag, kind = octets[at] >> 2 & 15, octets[at] & 3
        size = {0: 1, 1: 2, 2: 4}[kind]
        length = int.from_bytes(octets[at + 1:at + 1 + size], "big")
        packet = octets[at:at + 1 + size + length]
        if not (tag == 2 and packet[1 + size + 1] == 0x20):
            out += packet
        at += len(packet)
    assert len(out) < len(octets)
    return out


def test_the_administrator_accepts(i):
    account(i, "always")
    has(i, "accepted", "a")
    assert sent(i, "accepted") == "a"
    has(i, "accepted", "b")
    assert rcpt(i, "accepted")[0] == 550
    i.run("correspondent", "accept", ALICE, of("accepted"), i.keys.one("b", of("accepted"))[0])
    assert record(i, "accepted") == ("b", "", [("a", "by-hand")])
    assert sent(i, "accepted") == "b"
    has(i, "accepted", "a")
    for word in ("always", "opportunistic"):
        account(i, word)
        s = i.submission(ALICE)
        with pytest.raises(Exception, match="another than before"):
            s.sendmail(ALICE, [of("accepted")], letter(of("accepted")))
    assert record(i, "accepted") == ("b", "a", [("a", "by-hand")])


def test_a_fingerprint_that_was_never_seen(i):
    account(i, "always")
    has(i, "pinned", "")
    i.run("correspondent", "accept", ALICE, of("pinned"), i.keys.one("b", of("pinned"))[0])
    assert rcpt(i, "pinned")[0] == 550
    has(i, "pinned", "a")
    assert rcpt(i, "pinned")[0] == 550
    has(i, "pinned", "b")
    assert sent(i, "pinned") == "b"
    has(i, "pinned", "")
    assert sent(i, "pinned") == "b"


def test_forgotten(i):
    account(i, "always")
    has(i, "forgotten", "a")
    assert sent(i, "forgotten") == "a"
    has(i, "forgotten", "b")
    assert rcpt(i, "forgotten")[0] == 550
    i.run("correspondent", "forget", ALICE, of("forgotten"))
    assert record(i, "forgotten") is None
    assert i.run("correspondent", "forget", ALICE, of("forgotten"), check=False).returncode == 1
    assert sent(i, "forgotten") == "b"


@pytest.mark.parametrize("role", ["vault", "ingest"])
def test_who_dies_forgets_nothing(i, role):
    account(i, "always")
    if role == "vault":
        i.pages.has["killed"] = i.keys.octets("a", of("killed"))
        dies(i, role)
        assert sent(i, "killed") == "a"
    else:
        i.pages.has["killed"] = i.keys.octets("b", of("killed"))
        dies(i, role)
        assert [rcpt(i, "killed")[0] for _ in range(4)] == [550] * 4  # two processes
    assert record(i, "killed")[0] == "a"


def unanswered(i, word):
    i.configure(discover_unanswered=word)
    restart(i)


def test_what_is_not_answered_may_wait(i):
    account(i, "opportunistic")
    unanswered(i, "defer")
    i.pages.has["silent"] = "?"
    s = i.submission(ALICE)
    with pytest.raises(smtplib.SMTPDataError, match="cannot be found out now") as e:
        s.sendmail(ALICE, [of("silent")], letter(of("silent")))
    assert e.value.smtp_code == 451
    has(i, "silent", "")
    assert sent(i, "silent") == "clear", "it was answered: there is none"
    unanswered(i, "clear")
    has(i, "silent", "?")
    assert sent(i, "silent") == "clear"


# ---- who is told of another key ----


def notices(i):
    """Those that came to Alice, of her mail of any kind: address to text, as they came."""
    mails = [email.message_from_bytes(i.unseal(m)) for m in i.fetch_all(ALICE).values()]
    return [m.get_payload() for m in mails if m["Subject"] == "Another key of somebody you write to"]


def told(i, n):
    end = time.monotonic() + 120
    while i.counters("ingest").get("key_change_notices", 0) < n:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_key_is_told(i):
    """Once, though two processes see it again and again; the fingerprints, where it was, what was done."""
    assert notices(i) == [], "who does not ask for it is not told"
    i.run("account", "set", ALICE, "--key-change-notices", "yes")
    assert b"key-change-notices yes" in i.run("account", "show", ALICE).stdout
    account(i, "always")
    has(i, "told", "a")
    assert sent(i, "told") == "a"
    has(i, "told", "b")
    assert [rcpt(i, "told")[0] for _ in range(6)] == [550] * 6
    told(i, 1)
    a, b = (i.keys.one(x, of("told"))[0] for x in "ab")
    [text] = notices(i)
    assert a in text and b in text and of("told") in text and "web server, which alone vouches" in text
    assert "is refused until" in text and f"correspondent accept {ALICE} {of('told')} {b}" in text
    lines = i.run("discover", of("told"), "--account", ALICE).stdout.decode().splitlines()
    assert lines[-1].startswith(f"{ALICE} has seen {a}, domain, since ") and lines[-1].endswith(": it is another key")

    account(i, "opportunistic")
    has(i, "moved", "a")
    assert sent(i, "moved") == "a"
    has(i, "moved", "b")
    assert sent(i, "moved") == "b"
    told(i, 1)  # since the restart
    assert [of(n) in text for n, text in zip(("told", "moved"), notices(i))] == [True, True]
    assert "sealed to the new key" in notices(i)[1]
    assert [rcpt(i, "told")[0], sent(i, "moved")] == [250, "b"]
    kept = json.loads(i.run("discover", of("moved"), "--account", ALICE, "--json").stdout)["kept"]
    assert kept["fingerprint"] == i.keys.one("b", of("moved"))[0] and kept["same"] and not kept["revoked"]
    p = i.run("discover", of("silent"), "--account", ALICE, "--json", check=False)
    assert p.returncode == 1 and json.loads(p.stdout)["kept"] is None
    assert len(notices(i)) == 2, "neither again within a day"
    i.run("account", "set", ALICE, "--key-change-notices", "no")
    assert i.run("audit").returncode == 0


# ---- keys that come with mail ----


def field(i, name, letters="a", addr=None, prefer="prefer-encrypt=mutual; "):
    data = base64.b64encode(i.keys.octets(letters, of(name))).decode()
    return f"Autocrypt: addr={addr or of(name)}; {prefer}keydata={data[:60]}\n {data[60:]}\n"


def comes(i, name, *fields, author=None, date=None, judged=False):
    """A mail to Alice, in the clear; judged: from where it is looked at who wrote it."""
    when = f"Date: {email.utils.format_datetime(date)}\n" if date else ""
    text = harness.crlf(f"From: {author or of(name)}\nTo: {ALICE}\n{when}{''.join(fields)}Subject: Hello\n\nHello\n")
    with smtplib.SMTP("127.0.0.1", i.port("smtp"), f"out.{ZONE}", 60,
                      ("127.0.0.3" if judged else "127.0.0.1", 0)) as s:
        assert s.sendmail(of(name), [ALICE], text) == {}


def incoming(i, name):
    p = i.run("correspondent", "show", ALICE, of(name), "--json", check=False)
    return None if p.returncode else [(r["key"]["source"], r.get("mutual")) for r in json.loads(p.stdout)]


def kept(i, name, what):
    """It is written after the mail was answered: nobody's mail waits for it."""
    end = time.monotonic() + 120
    while incoming(i, name) != what:
        assert time.monotonic() < end, incoming(i, name)
        time.sleep(0.05)


def test_the_answer_is_sealed(i):
    account(i, "opportunistic")
    comes(i, "writes", field(i, "writes"))
    kept(i, "writes", [("autocrypt", True)])
    assert sent(i, "writes") == "a"
    assert incoming(i, "writes") == [("autocrypt", True)], "what strangers write is not taken for what was seen"


def test_who_does_not_ask_for_it_is_answered_in_the_clear(i):
    account(i, "opportunistic")
    comes(i, "asks", field(i, "asks", prefer=""))
    kept(i, "asks", [("autocrypt", False)])
    assert sent(i, "asks") == "clear"
    comes(i, "asks", field(i, "asks"))
    kept(i, "asks", [("autocrypt", True)])
    assert sent(i, "asks") == "a"


def test_always_takes_no_strangers_word(i):
    account(i, "always")
    comes(i, "forges", field(i, "forges"))
    kept(i, "forges", [("autocrypt", True)])
    code, text = rcpt(i, "forges")
    assert code == 550 and text.startswith("5.7.5 No key is known")
    fpr = i.keys.one("a", of("forges"))[0]
    i.run("correspondent", "accept", ALICE, of("forges"), fpr)
    assert sent(i, "forges") == "a"
    i.run("correspondent", "forget", ALICE, of("forges"))
    assert incoming(i, "forges") is None


def test_another_mail_replaces_nothing(i):
    """Whoever writes in somebody's name: neither the key that came first nor one that was found."""
    account(i, "opportunistic")
    comes(i, "spoofed", field(i, "spoofed"))
    kept(i, "spoofed", [("autocrypt", True)])
    comes(i, "spoofed", field(i, "spoofed", "b"))
    comes(i, "spoofed", field(i, "spoofed", prefer=""))
    has(i, "found", "a")
    assert sent(i, "found") == "a"
    comes(i, "found", field(i, "found", "b"))
    kept(i, "found", [("domain", None), ("autocrypt", True)])
    assert (sent(i, "spoofed"), sent(i, "found")) == ("a", "a")
    assert record_of(i, "spoofed")["key"]["fingerprint"].upper() == i.keys.one("a", of("spoofed"))[0]


def test_the_author_of_a_key_may_change_it(i):
    """Whom DMARC proves."""
    account(i, "opportunistic")
    comes(i, "proves", field(i, "proves"), judged=True)
    kept(i, "proves", [("autocrypt", True)])
    assert sent(i, "proves") == "a"
    comes(i, "proves", field(i, "proves", "b", prefer=""), judged=True)
    kept(i, "proves", [("autocrypt", False)])
    comes(i, "proves", field(i, "proves", "b"), judged=True)
    kept(i, "proves", [("autocrypt", True)])
    assert sent(i, "proves") == "b"


def record_of(i, name):
    return json.loads(i.run("correspondent", "show", ALICE, of(name), "--json").stdout)[-1]


def test_what_is_no_key_of_its_author(i):
    account(i, "opportunistic")
    name = "nobody"
    two = field(i, name) + field(i, name, "b")
    comes(i, name, two)
    comes(i, name, field(i, name, addr=of("writes")))
    comes(i, name, field(i, name), author=f"{of(name)}, {of('writes')}")
    comes(i, name, field(i, name).replace("addr=", "must=1; addr="))
    comes(i, name, field(i, name, "s"))
    comes(i, name, field(i, name, "x"))
    comes(i, name, field(i, name, "r"))
    comes(i, name, field(i, name), "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n")
    comes(i, name, f"Autocrypt: addr={of(name)}; prefer-encrypt=mutual; keydata={'A' * 900}\n {'A' * 40000}\n")
    comes(i, "writes", field(i, "writes"))  # in their order: what came before has been looked at
    assert incoming(i, name) is None
    assert sent(i, name) == "clear"


def test_of_the_future_and_of_the_past(i):
    account(i, "opportunistic")
    now = datetime.datetime.now(datetime.timezone.utc)
    comes(i, "dated", field(i, "dated"), date=now + datetime.timedelta(days=300))
    kept(i, "dated", [("autocrypt", True)])
    r = record_of(i, "dated")
    assert r["key"]["since"] <= time.time() + 1 and r["seen"] == r["key"]["since"]


def test_audit_backup_and_removal(i, tmp_path):
    account(i, "always")
    has(i, "restored", "a")
    assert sent(i, "restored") == "a"
    i.run("backup", tmp_path / "copy")
    i.run("correspondent", "forget", ALICE, of("restored"))
    assert record(i, "restored") is None
    i.stop()
    for path in (i.dir / "store").iterdir():
        path.unlink()
    i.run("restore", tmp_path / "copy")
    assert record(i, "restored") == ("a", "", [])
    assert i.run("audit").returncode == 0
    i.run("account", "remove", ALICE)
    assert i.run("audit").returncode == 0
